"""The proxy, with the project's own file, as a plain process on a socket that is given to it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import PATIENCE_SECONDS, ROOT

FILE = ROOT / "deploy" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")

needs_haproxy = pytest.mark.skipif(HAPROXY is None, reason="NOT TESTED: HAProxy is not installed")


class Proxy:
    """A proxy that runs. `log` is where it tells of replicas that come and go, and of requests that went wrong."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.log = log

    def await_log(self, text: str, after: int = 0) -> None:
        """Wait until the proxy has said so, after so many characters of its log; fails where it never does."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.log.read_text()[after:]:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.log.read_text()}"
            time.sleep(0.01)


@contextmanager
def proxy(folder: Path, replicas: Sequence[str], **variables: str) -> Iterator[Proxy]:
    """The proxy before these replicas (each `HOST:PORT`), with other values of its file's variables where given."""
    assert HAPROXY is not None
    log = folder / "proxy.log"
    names = {f"PROXY_REPLICA_{number}": address for number, address in enumerate(replicas, 1)}
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("w") as out:
        given = {**names, **variables, "PROXY_LISTEN": f"fd@{listener.fileno()}"}
        command = [HAPROXY, "-db", "-f", str(FILE)]
        process = subprocess.Popen(
            command, env={**os.environ, **given}, stdout=out, stderr=out, pass_fds=[listener.fileno()]
        )
        try:
            yield Proxy(listener.getsockname()[1], log)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
