"""docs/operations.md says what is so."""

import re
import tomllib

from servers import ROOT

from app.api.problems import KINDS
from app.settings import Settings

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def test_settings() -> None:
    """To mend the table, put in the lines that are missing."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `GRADSTEP_")]
    defaults = Settings.model_construct()  # whatever the environment says
    wanted = []
    for name, field in Settings.model_fields.items():
        default = getattr(defaults, name)
        shown = "none" if default in ((), None) else f"`{default}`"
        wanted.append(f"| `GRADSTEP_{name.upper()}` | {shown} | {field.description} |")
    assert rows == wanted


def test_each_setting_that_is_named_is_one() -> None:
    named = set(re.findall(r"GRADSTEP_([A-Z_]+[A-Z])", PAGE + README))
    assert named <= {field.upper() for field in Settings.model_fields}


def test_each_problem_that_is_named_is_one() -> None:
    named = set(re.findall(r"50\d \(?`([\w-]+)`|410 `([\w-]+)`", PAGE))
    assert named
    assert {one or other for one, other in named} <= KINDS.keys()


def test_each_extra_that_is_named_is_one() -> None:
    image = (ROOT / "Dockerfile").read_text("utf-8")
    lists = re.findall(r"gradstep\[([\w,]+)\]|\.whl\)\[([\w,]+)\]|--extra (\w+)", PAGE + README + image)
    named = {extra for one in lists for names in one for extra in names.split(",") if extra}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"valkey", "metrics"} <= named <= project["optional-dependencies"].keys()


def test_each_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"`((?:docs|deploy)/[\w./-]+)`", PAGE + README)) | {"compose.yaml"}
    assert not [path for path in named if not (ROOT / path).exists()]
