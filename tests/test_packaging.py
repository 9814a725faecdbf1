"""The wheel has what it should, and the project's files name no machine and no server of ours."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import BytesParser
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from app import __version__

ROOT = Path(__file__).parents[1]
HOSTS = re.compile(r"https?://(?!127\.0\.0\.1|0\.0\.0\.0|localhost|\[|\{|\$|www\.w3\.org|\w+\.example\b)[\w-]+\.\w")
MACHINES = re.compile(r"(?<![\w.:/-])/(?:home|Users)/\w|[A-Z]:\\Users\\")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this project, built as an installer would, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = shutil.which("uv") or os.environ.get("UV")
    if find_spec("hatchling"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    elif uv:
        command = [uv, "build", "--offline", "--wheel", "--out-dir", str(folder), "--python", sys.executable]
    else:
        pytest.skip("NOT TESTED: no wheel could be built, for there is neither hatchling here nor uv")
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if built.returncode and "hatchling" in built.stderr and "network" in built.stderr:
        pytest.skip(f"NOT TESTED: no wheel could be built, for hatchling is not here:\n{built.stderr}")
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(archive.read(name))


def files() -> list[Path]:
    """The project's files: those in git, and those that will be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NOT TESTED: git does not say which files belong to the project: {error}")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_the_wheel_holds_the_application_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"app", f"gradstep-{__version__}.dist-info"}
    there = {path.relative_to(ROOT).as_posix() for path in files() if path.is_relative_to(ROOT / "app")}
    assert {name for name in names if name.startswith("app/")} == there
    assert f"gradstep-{__version__}.dist-info/licenses/LICENSE" in names


def test_the_metadata(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("gradstep", __version__)
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Project-URL") is None
    assert metadata["Home-page"] is None
    assert metadata["Author-email"] is None
    assert str(metadata.get_payload()).startswith("# Gradstep\n")


def test_the_version_is_kept_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" not in project
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_command(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        scripts = archive.read(f"gradstep-{__version__}.dist-info/entry_points.txt").decode()
    assert scripts.split() == ["[console_scripts]", "gradstep", "=", "app.cli:main"]


@pytest.mark.parametrize("pattern", [HOSTS, MACHINES], ids=["hosts", "machines"])
def test_no_file_names(pattern: re.Pattern[str]) -> None:
    found = []
    for path in files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_no_lock_file_is_kept() -> None:
    assert not [path for path in files() if path.name in ("uv.lock", "poetry.lock", "requirements.txt")]


@pytest.mark.skipif(os.name == "nt", reason="NOT TESTED: Windows keeps no such mark")
def test_the_checks_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
