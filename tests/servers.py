"""Real servers: `gradstep` in a process of its own, on a free port."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from app.cli import main; main()", "--port", "0"]
PATIENCE_SECONDS = 60


class Server(NamedTuple):
    """A server that answers."""

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def gradstep(folder: Path, *options: str, first: str = "pass", **settings: str) -> Iterator[Server]:
    """A server with default settings but for these, which ends when it is told to. `folder` is where its log goes.

    `first` is Python that it runs before it starts.
    """
    log = folder / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADSTEP_")}
    environment |= {f"GRADSTEP_{name.upper()}": value for name, value in settings.items()}
    python, option, code, *rest = COMMAND
    command = [python, option, f"{first}; {code}", *rest, *options]
    with (
        log.open("w") as out,
        subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, env=environment) as process,
    ):
        try:
            yield Server(when_up(process, log), process)
        finally:
            process.terminate()
            status = process.wait(PATIENCE_SECONDS)
    assert status == 0, log.read_text()


def when_up(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address of a server that is starting, once it answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if address := re.search(r"^Gradstep: (http://127\.0\.0\.1:\d+)/ ", log.read_text(), re.MULTILINE):
            with urllib.request.urlopen(f"{address[1]}/readyz", timeout=PATIENCE_SECONDS):
                return address[1]
        time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")
