"""The `gradstep` command: how it starts a server, and how a real one ends."""

import asyncio
import http.client
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import servers
import typer
import uvicorn
from typer.testing import CliRunner

from app import __version__, cli, main
from app.engine.plan import Ending
from app.engine.presets import NOTEBOOK
from app.main import create_app


class Served:
    """How the server was started, in place of starting it."""

    def __init__(self) -> None:
        self.config: uvicorn.Config | None = None
        self.host, self.port = "", 0
        self.starts, self.interrupted = True, False

    def run(self, server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        self.config, (self.host, self.port) = server.config, sockets[0].getsockname()[:2]
        server.started = self.starts
        if self.interrupted:
            raise KeyboardInterrupt


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    served, before = Served(), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: served.run(server, sockets))
    yield served
    signal.signal(signal.SIGTERM, before)


def gradstep(*arguments: str) -> Any:
    app = typer.Typer(add_completion=False)
    app.command()(cli.serve)
    return CliRunner().invoke(app, arguments)


def test_a_setting_that_is_wrong(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSTEP_MAX_BODY", "abc")
    monkeypatch.setenv("GRADSTEP_SESSION_TTL", "0")
    result = gradstep("--port", "0")
    assert result.exit_code == 1
    assert served.config is None
    said = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in said] == ["GRADSTEP_MAX_BODY", "GRADSTEP_SESSION_TTL"]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_it_serves_on_this_machine_alone(served: Served, port: int) -> None:
    result = gradstep("--port", str(port))
    assert result.exit_code == 0, result.output
    address = f"http://127.0.0.1:{port}"
    assert result.stdout == f"Gradstep: {address}/ and its documentation: {address}/docs (Ctrl+C ends it)\n"
    assert served.config is not None
    assert (served.config.app, served.config.access_log, served.config.workers) == ("app.main:app", False, 1)
    assert (served.host, served.port) == ("127.0.0.1", port)


def test_it_listens_where_it_is_told(served: Served) -> None:
    result = gradstep("--host", "0.0.0.0", "--port", "0", "--access-log")
    assert result.exit_code == 0, result.output
    assert served.config is not None
    assert served.config.access_log
    assert served.host == "0.0.0.0"
    assert f"http://0.0.0.0:{served.port}/docs" in result.stdout


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="NOT TESTED: this machine has no IPv6")
def test_an_ipv6_address_is_shown_in_brackets(served: Served) -> None:
    result = gradstep("--host", "::1", "--port", "0")
    assert f"http://[::1]:{served.port}/docs" in result.stdout


def test_a_port_that_is_taken(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        result = gradstep("--port", str(taken))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Cannot listen on 127.0.0.1, port {taken}: ")
    assert served.config is None


def test_a_server_that_does_not_start(served: Served) -> None:
    served.starts = False
    assert gradstep("--port", "0").exit_code == 1


def test_an_interrupt_ends_it_well(served: Served) -> None:
    served.interrupted = True
    assert gradstep("--port", "0").exit_code == 0


def test_a_termination_ends_it_well(served: Served) -> None:
    gradstep("--port", "0")
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 0


def test_more_workers_are_refused(served: Served) -> None:
    result = gradstep("--workers", "2")
    assert result.exit_code == 2
    assert "sessions are in the memory of one process" in " ".join(result.output.replace("│", " ").split())
    assert served.config is None


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--port", "65536"], ["--reload"], ["now"]])
def test_what_it_does_not_take(served: Served, arguments: list[str]) -> None:
    assert gradstep(*arguments).exit_code == 2
    assert served.config is None


def test_the_version(served: Served) -> None:
    assert gradstep("--version").stdout == f"{__version__}\n"
    assert served.config is None


def test_the_options_are_explained(served: Served) -> None:
    shown = gradstep("--help").output
    assert all(option in shown for option in ("--host", "--port", "--workers", "--access-log", "--version"))


def test_the_command_is_this(monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    monkeypatch.setattr("sys.argv", ["gradstep", "--version"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0


def test_a_training_under_way_ends_early_and_is_answered(tmp_path: Path) -> None:
    """What `docker stop` does: the training keeps what it has, its client is told, and the process ends well."""
    data: Any = NOTEBOOK["data"]
    rows = {name: value * 50 for name, value in data.items()}
    with servers.gradstep(tmp_path) as server, ExitStack() as stack:
        trainer, other = (
            stack.enter_context(closing(http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=60)))
            for _ in range(2)
        )
        post(trainer, "/v1/sessions", {**NOTEBOOK, "data": rows})
        session = f"/v1/sessions/{json.loads(trainer.getresponse().read())['id']}"
        post(trainer, f"{session}/train", {"epochs": 1_000_000, "report_every": 1_000_000})
        status = 200
        while status == 200:  # the training has not begun
            post(other, f"{session}/forward", {})
            refusal = other.getresponse()
            status, _ = refusal.status, refusal.read()
        server.process.terminate()
        answer = trainer.getresponse()
        stopped = json.loads(answer.read())["stopped"]
    assert (status, answer.status, stopped["reason"]) == (409, 200, "cancelled")
    assert 0 < stopped["epoch"] < 1_000_000


def post(connection: http.client.HTTPConnection, path: str, body: Any) -> None:
    """Send a request, without waiting for what it answers."""
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})


def test_trainings_are_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    app, told = create_app(), []
    sessions = app.state.sessions
    run = sessions.runs.train("session", 0, 10)

    async def shutdown(server: uvicorn.Server, sockets: Any = None) -> None:
        told.append((sessions.lane.closing.is_set(), run.ending))

    monkeypatch.setattr(main, "app", app)
    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    asyncio.run(cli._Server(uvicorn.Config("app.main:app")).shutdown())
    sessions.close()
    assert told == [(True, Ending("cancelled"))]


needs_linux = pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="NOT TESTED: this system has no TCP_USER_TIMEOUT"
)


def test_what_a_client_has_not_taken_is_little() -> None:
    """A system may count its own needs too: Linux doubles what it is told. By itself it would be megabytes."""
    with cli._listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        served, _ = listener.accept()
        with served:
            for one in (listener, served):
                unsent = one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
                assert cli._UNSENT_BYTES <= unsent <= 2 * cli._UNSENT_BYTES


@needs_linux
def test_a_client_has_so_much_patience_at_most() -> None:
    with cli._listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        served, _ = listener.accept()
        with served:
            for one in (listener, served):
                assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000 * cli._STALLED_SECONDS


def test_a_system_without_such_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    with cli._listen("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


@needs_linux
def test_a_client_that_takes_nothing_loses_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_STALLED_SECONDS", 1)
    with cli._listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        served, _ = listener.accept()
        with served, pytest.raises(TimeoutError):
            served.sendall(bytes(1 << 26))


def test_nowhere_to_listen(capsys: pytest.CaptureFixture[str]) -> None:
    with cli._listen("127.0.0.1", 0) as listener, pytest.raises(typer.Exit):
        cli._listen("127.0.0.1", listener.getsockname()[1])
    assert "Another --port may be free" in capsys.readouterr().err
