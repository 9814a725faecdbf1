"""How a server ends: what is under way is brought to an end or refused, and whoever signs it off is told when."""

import asyncio
import http.client
import json
import os
import signal
import socket
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import servers
from api.calls import problem
from conftest import WithoutLifespan
from starlette.testclient import TestClient
from starlette.types import Message, Scope

from app import drain
from app.drain import Drain
from app.engine.presets import NOTEBOOK
from app.main import create_app
from app.settings import Settings

HALF = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
IMPATIENT = "import app.drain; app.drain.PATIENCE_SECONDS = 0.2"


class Sessions:
    """In place of the real ones: whether they were told to stop."""

    stopped = False

    def stop(self) -> None:
        self.stopped = True


def make(seconds: float = 0.0) -> tuple[Drain, Sessions]:
    sessions: Any = Sessions()
    return Drain(sessions, seconds), sessions


def signalled(seconds: float, number: signal.Signals, times: int = 1) -> tuple[list[str], list[float]]:
    """What happens at a signal, in its order, and after how many seconds the process is ended."""
    told: list[str] = []
    ends: list[float] = []

    async def run() -> None:
        run_dry, sessions = make(seconds)
        heard = asyncio.Event()

        def handle(*_: Any) -> None:
            told.append(f"server, sessions stopped: {sessions.stopped}")
            heard.set()

        before = signal.signal(number, handle)
        try:
            with run_dry.at_signals():
                for _ in range(times):
                    signal.raise_signal(number)
                    await asyncio.sleep(0)
                    told.append(f"begun: {run_dry.begun}")
                await heard.wait()
            assert signal.getsignal(number) is handle
        finally:
            signal.signal(number, before)

    class Timer(threading.Timer):
        def __init__(self, interval: float, *arguments: Any) -> None:
            super().__init__(interval, *arguments)
            ends.append(interval)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drain, "Timer", Timer)
        asyncio.run(run())
    assert not [
        thread for thread in threading.enumerate() if isinstance(thread, Timer) and not thread.finished.is_set()
    ]
    return told, ends


def test_a_server_hears_of_its_end_when_all_know() -> None:
    told, ends = signalled(0.05, signal.SIGTERM)
    assert told == ["begun: True", "server, sessions stopped: True"]
    assert ends == [0.05 + drain.LAST_SECONDS]


def test_nobody_waits_after_ctrl_c() -> None:
    told, ends = signalled(3600, signal.SIGINT)
    assert told == ["begun: True", "server, sessions stopped: True"]
    assert ends == [drain.LAST_SECONDS]


def test_a_second_signal_is_heard_at_once() -> None:
    told, _ = signalled(3600, signal.SIGTERM, times=2)
    assert told == ["begun: True", "server, sessions stopped: False", "begun: True"]


def test_signals_are_for_the_main_thread() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    found = []

    async def look() -> None:
        with make()[0].at_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=lambda: asyncio.run(look()))
    thread.start()
    thread.join()
    assert found == [handler]


def test_a_process_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, status = threading.Event(), list[int]()

    def end(code: int) -> None:
        status.append(code)
        ended.set()

    monkeypatch.setattr(os, "_exit", end)
    timer = drain._end_process_after(0.0)
    assert ended.wait(60)
    assert (status, timer.daemon) == ([0], True)


def half_sent(drained: bool, begun: bool = False) -> list[Message]:
    """What is answered to a request whose body does not end, when it is given up."""
    app: Any = create_app(Settings())
    sent: list[Message] = []
    scope: Scope = {
        "type": "http", "method": "POST", "path": "/v1/sessions", "raw_path": b"/v1/sessions", "query_string": b"",
        "root_path": "", "headers": [(b"content-type", b"application/json"), (b"content-length", b"9")],
        "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
    }  # fmt: skip

    async def run() -> None:
        asked = asyncio.Event()

        async def receive() -> Message:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            if begun:
                raise RuntimeError("an answer has begun")
            sent.append(message)

        task = asyncio.create_task(app(scope, receive, send))
        await asked.wait()
        app.drain.begun = drained
        app.drain.give_up()
        await task

    try:
        asyncio.run(run())
    finally:
        app.state.sessions.close()
    assert not app.drain.requests
    return sent


def test_what_is_not_done_in_time_is_refused() -> None:
    start, body = half_sent(drained=True)
    assert start["status"] == 503
    headers = dict(start["headers"])
    assert (headers[b"connection"], headers[b"retry-after"]) == (b"close", b"1")
    assert json.loads(body["body"])["type"] == "/v1/problems/server-stopping"


def test_an_answer_that_has_begun_gets_no_other() -> None:
    assert half_sent(drained=True, begun=True) == []


def test_whoever_else_gives_a_request_up_does_so() -> None:
    with pytest.raises(asyncio.CancelledError):
        half_sent(drained=False)


def test_answers_close_their_connections_meanwhile() -> None:
    app: Any = create_app(Settings())
    with TestClient(WithoutLifespan(app)) as client:
        assert "Connection" not in client.get("/readyz").headers
        app.drain.begun = True
        answer = client.get("/readyz")
        problem(answer, 503, "server-stopping")
        assert (answer.headers["Retry-After"], answer.headers["Connection"]) == ("5", "close")
        made = client.post("/v1/sessions", json=NOTEBOOK)
        assert (made.status_code, made.headers["Connection"]) == (201, "close")
        assert client.get("/healthz").status_code == 200
    app.state.sessions.close()


def test_a_real_server(tmp_path: Path) -> None:
    """What `docker stop` does: trainings keep what they have, streams end as they should, and the process ends well."""
    data: Any = NOTEBOOK["data"]
    rows = {name: value * 50 for name, value in data.items()}
    with servers.gradstep(tmp_path) as server, ExitStack() as stack:
        address = urlsplit(server.address).netloc
        trainer, reader, other = (
            stack.enter_context(closing(http.client.HTTPConnection(address, timeout=60))) for _ in range(3)
        )
        urls = [
            f"/v1/sessions/{json.loads(post(other, '/v1/sessions', {**NOTEBOOK, 'data': rows}))['id']}" for _ in "12"
        ]
        begin(trainer, f"{urls[0]}/train", {"epochs": 1_000_000, "report_every": 1_000_000})
        begin(reader, f"{urls[1]}/train", {"epochs": 1_000_000, "report_every": 100}, Accept="application/jsonl")
        stream = reader.getresponse()
        assert json.loads(stream.readline())["event"] == "epoch"
        other.close()  # as the server may have by now: `get` opens it anew
        while json.loads(get(other, f"{urls[0]}/runs"))["items"][0:1] == []:
            pass  # the training has not begun
        server.process.terminate()
        answer = trainer.getresponse()
        stopped = json.loads(answer.read())["stopped"]
        last = json.loads(stream.read().splitlines()[-1])
        assert server.process.wait(servers.PATIENCE_SECONDS) == 0
    assert (answer.status, stopped["reason"]) == (200, "cancelled")
    assert 0 <= stopped["epoch"] < 1_000_000
    assert (last["event"], last["stopped"]["reason"]) == ("end", "cancelled")


def test_a_real_server_with_half_a_request(tmp_path: Path) -> None:
    with servers.gradstep(tmp_path, first=IMPATIENT) as server, ExitStack() as stack:
        host, port = urlsplit(server.address).hostname, urlsplit(server.address).port
        body, headers = (stack.enter_context(socket.create_connection((host, port), 60)) for _ in range(2))
        body.sendall(HALF)
        headers.sendall(HALF[:30])
        with closing(http.client.HTTPConnection(f"{host}:{port}", timeout=60)) as other:
            get(other, "/healthz")  # by now it has them
        server.process.terminate()
        answer = body.makefile("rb").read()
        assert headers.recv(1) == b""
        assert server.process.wait(servers.PATIENCE_SECONDS) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), 60)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"type":"/v1/problems/server-stopping"' in answer


def begin(connection: http.client.HTTPConnection, path: str, body: Any, **headers: str) -> None:
    """Send a request, without waiting for what it answers."""
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})


def post(connection: http.client.HTTPConnection, path: str, body: Any) -> bytes:
    begin(connection, path, body)
    return connection.getresponse().read()


def get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()
