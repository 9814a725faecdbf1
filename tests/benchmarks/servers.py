"""Servers in processes of their own, and a plain client for them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import orjson

START_SECONDS, STOP_SECONDS = 30, 5


@contextmanager
def serve(app: str, **environment: str) -> Iterator[int]:
    """Serve an application as a deployment would, from one process; its port."""
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    with _serve([sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", *options], environment) as (port, _):
        yield port


@contextmanager
def serve_gradstep() -> Iterator[tuple[int, int]]:
    """Serve Gradstep by its own command; its port and the id of its process."""
    with _serve([sys.executable, "-c", "from app.cli import main; main()"], {}) as served:
        yield served


@contextmanager
def _serve(command: list[str], environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    server = subprocess.Popen([*command, "--port", str(port)], env={**os.environ, **environment})
    try:
        _wait(server, port)
        yield port, server.pid
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start") from None
            time.sleep(0.02)


class Client:
    """One connection, kept open."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
        """What a call answers, which must be a success."""
        content = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        typed = {"Content-Type": "application/json"} if content else {}
        self._connection.request(method, path, content, {**typed, **(headers or {})})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:500]!r}")
        return answer

    def create(self, config: Any) -> str:
        """Make a session; its path."""
        return f"/v1/sessions/{orjson.loads(self.call('POST', '/v1/sessions', config))['id']}"
