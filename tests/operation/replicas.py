"""Replicas: `gradstep` in processes of their own, each on a port that it keeps when it is started anew."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from servers import PATIENCE_SECONDS, ROOT

FREE = range(20_000, 30_000)  # below what systems give to clients: nobody else takes a port while its replica is down


def free_port() -> int:
    """A port that nobody listens on."""
    while True:
        port = random.SystemRandom().choice(FREE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Replica:
    """A replica, which can be stopped and started anew."""

    def __init__(self, log: Path, settings: dict[str, str]) -> None:
        self.port = free_port()
        self.log = log
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADSTEP_")}
        self._environment |= settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `await_ready` tells when it takes work."""
        command = [sys.executable, "-c", "from app.cli import main; main()", "--port", str(self.port)]
        with self.log.open("a") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, env=self._environment)

    def await_ready(self) -> None:
        """Wait until it takes work."""
        assert self.process
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=PATIENCE_SECONDS):
                    return
            except URLError:
                time.sleep(0.02)
        raise AssertionError(f"the replica did not start:\n{self.log.read_text()}")

    def stop(self) -> int:
        """Have it end by itself, as a supervisor would; its exit code."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def replicas(folder: Path, count: int, **settings: str) -> Iterator[list[Replica]]:
    """So many replicas, ready; killed in the end."""
    them = [Replica(folder / f"replica-{number}.log", settings) for number in range(1, count + 1)]
    try:
        for each in them:
            each.start()
        for each in them:
            each.await_ready()
        yield them
    finally:
        running = [each.process for each in them if each.process and each.process.poll() is None]
        for process in running:
            process.kill()
            process.wait(PATIENCE_SECONDS)
