"""Clients that do not get on with their request, or come in crowds, against a real server in a thread."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app import protocol
from app.protocol import MAX_HEADERS, MAX_PIPELINED, SPARE_CONNECTIONS, Config, Protocol
from app.settings import Settings

POST = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
CHUNKED = POST.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked")
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE_SECONDS = 60

Connect = Callable[[], socket.socket]


@contextmanager
def serve(app: ASGIApp | None = None, **settings: Any) -> Iterator[Connect]:
    """Makes connections to a server with these settings, of another application if there is one."""
    config = Config(Settings(**settings), log_config=None, lifespan="off")
    config.app = app or config.app
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield lambda: stack.enter_context(socket.create_connection(address, PATIENCE_SECONDS))
        finally:
            stack.close()
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def impatient() -> Iterator[Connect]:
    with serve(header_seconds=0.1, body_seconds=0.1) as connect:
        yield connect


@pytest.fixture(scope="module")
def patient() -> Iterator[Connect]:
    with serve(header_seconds=3600, body_seconds=3600) as connect:
        yield connect


def answer(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """An answer, after which the connection is closed; status 0 where there is none."""
    try:
        text = connection.makefile("rb").read()
    except ConnectionResetError:
        return 0, {}, None
    if not text:
        return 0, {}, None
    head, _, body = text.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body)


def refused(connection: socket.socket, status: int, kind: str, instance: str = "") -> None:
    got, headers, body = answer(connection)
    assert got == status == body["status"]
    assert (body["type"], body["instance"]) == (f"/v1/problems/{kind}", instance)
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    assert headers["x-content-type-options"] == "nosniff"


def read(connection: socket.socket) -> None:
    """One answer to GET, after which the connection is open."""
    text = b""
    while not text.endswith(b'{"status":"ok"}'):
        got = connection.recv(4096)
        assert got, text
        text += got


def test_a_connection_that_waits_for_its_next_request_is_kept() -> None:
    with serve(header_seconds=0.5) as connect:
        connection = connect()
        connection.sendall(GET)
        read(connection)
        time.sleep(0.6)
        connection.sendall(GET)
        read(connection)


def test_headers_that_do_not_end(impatient: Connect) -> None:
    connection = impatient()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
    refused(connection, 408, "request-timeout")


def test_headers_that_do_not_end_after_an_answer(impatient: Connect) -> None:
    connection = impatient()
    connection.sendall(GET)
    read(connection)
    connection.sendall(GET[:20])
    refused(connection, 408, "request-timeout")


def test_a_body_that_does_not_come(impatient: Connect) -> None:
    connection = impatient()
    connection.sendall(POST % 10)
    refused(connection, 408, "request-timeout", "/v1/sessions")


def test_a_body_that_does_not_end(impatient: Connect) -> None:
    connection = impatient()
    connection.sendall(POST % 10 + b"{")
    refused(connection, 408, "request-timeout", "/v1/sessions")


def test_a_connection_without_a_request_is_closed(impatient: Connect) -> None:
    assert answer(impatient())[0] == 0


def test_line_ends_keep_no_connection_open(impatient: Connect) -> None:
    connection = impatient()
    connection.sendall(GET)
    read(connection)
    connection.sendall(b"\r\n")
    assert answer(connection)[0] == 0


def test_the_rest_of_a_body_that_was_refused_is_not_waited_for(impatient: Connect) -> None:
    connection = impatient()
    connection.sendall((POST % 10**9).replace(b"json", b"zebra") + b"{")
    status, *_ = answer(connection)
    assert status == 415


def test_a_large_body_may_take_its_time(impatient: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "BODY_RATE", 1)
    connection = impatient()
    connection.sendall(POST % 9000 + b" " * 4000)
    busy = threading.Event()
    assert not busy.wait(0.3)  # three times what headers may take
    connection.sendall(b" " * 4998 + b"{}")
    assert connection.recv(12) == b"HTTP/1.1 422"


def test_a_slow_client_of_a_patient_server(patient: Connect) -> None:
    connection = patient()
    for byte in GET:
        connection.sendall(bytes([byte]))
    read(connection)
    connection.sendall(GET)
    read(connection)


class Slow:
    """An application that answers when it is let, and how often its server has looked whether to wait on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_answer, self.looks = threading.Event(), threading.Semaphore(0)
        look = Protocol._look

        def counted(protocol: Protocol) -> None:
            look(protocol)
            self.looks.release()

        monkeypatch.setattr(Protocol, "_look", counted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await asyncio.to_thread(self.may_answer.wait)
        await JSONResponse({"status": "ok"})(scope, receive, send)

    def look(self, times: int) -> None:
        for _ in range(times):
            assert self.looks.acquire(timeout=PATIENCE_SECONDS)


def test_a_request_behind_another_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not its client who is slow."""
    slow = Slow(monkeypatch)
    with serve(slow, header_seconds=0.02) as connect:
        connection = connect()
        connection.sendall(GET + GET[:20])
        slow.look(3)
        slow.may_answer.set()
        read(connection)
        refused(connection, 408, "request-timeout")


def test_a_body_that_came_late_is_waited_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch)
    with serve(slow, header_seconds=0.5, body_seconds=0.1) as connect:
        connection = connect()
        connection.sendall(POST % 2 + b"{")
        connection.sendall(b"}")
        time.sleep(0.6)
        slow.may_answer.set()
        read(connection)


def test_what_is_no_http(patient: Connect) -> None:
    connection = patient()
    connection.sendall(b"zebra\r\n\r\n")
    refused(connection, 400, "malformed-request")


@pytest.mark.parametrize("other", ["websocket", "h2c"])
def test_another_protocol_is_not_taken(patient: Connect, other: str) -> None:
    connection = patient()
    connection.sendall(GET[:-2] + f"Connection: Upgrade\r\nUpgrade: {other}\r\n\r\n".encode() + GET)
    status, headers, body = answer(connection)
    assert (status, headers["connection"], body) == (200, "close", {"status": "ok"})


def statuses(connection: socket.socket) -> list[int]:
    """Those of all answers, after which the connection is closed."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", connection.makefile("rb").read())]


def test_what_is_no_http_is_answered_after_what_came_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch)
    for before, after in ((GET, []), (GET + GET, [200]), (GET + POST % 2 + b"{}", [200])):
        for wrong in (b"zebra\r\n\r\n", CHUNKED + b"zebra\r\n"):
            slow.may_answer.clear()
            with serve(slow) as connect:
                connection = connect()
                connection.sendall(before + wrong)
                connection.sendall(b"more")
                slow.may_answer.set()
                assert statuses(connection) == [200, *after, 400]


def test_what_is_no_http_after_a_last_answer() -> None:
    with serve(JSONResponse({"status": "ok"}, headers={"Connection": "close"})) as connect:
        connection = connect()
        connection.sendall(GET + b"zebra\r\n\r\n")
        assert statuses(connection) == [200]


def test_who_has_gone_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though another of their requests is waiting behind this one."""
    heard = threading.Event()

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    with serve(listening) as connect:
        connection = connect()
        connection.sendall(GET + GET)
        connection.close()
        assert heard.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("before", "instance"),
    [(GET[:-2], ""), (CHUNKED + b"2\r\n{}\r\n0\r\n", "/v1/sessions")],
    ids=["before the body", "after the body"],
)
def test_headers_without_end(patient: Connect, before: bytes, instance: str) -> None:
    connection = patient()
    connection.sendall(before)
    other = patient()
    other.sendall(GET)
    read(other)  # by now it has that
    for _ in range(MAX_HEADERS // 1000 + 2):
        connection.sendall(b"A: " + b"b" * 995 + b"\r\n")
    refused(connection, 431, "headers-too-large", instance)


def test_a_body_in_many_pieces_is_no_headers(patient: Connect) -> None:
    connection = patient()
    connection.sendall(CHUNKED)
    for _ in range(2 * MAX_HEADERS // 1000):
        connection.sendall(b"3e8\r\n" + b" " * 1000 + b"\r\n")
    connection.sendall(b"2\r\n{}\r\n0\r\n\r\n")
    assert connection.recv(12) == b"HTTP/1.1 422"


def test_too_many_requests_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were taken are answered."""
    slow = Slow(monkeypatch)
    with serve(slow) as connect:
        connection = connect()
        connection.sendall(GET * (MAX_PIPELINED + 10))
        slow.may_answer.set()
        assert statuses(connection) == [200] * (1 + MAX_PIPELINED) + [400]


def test_too_many_connections() -> None:
    with serve(max_connections=3) as connect:
        open_ones = [connect() for _ in range(3)]
        for connection in open_ones:
            connection.sendall(GET)
            read(connection)
        one_more = connect()
        one_more.sendall(GET)
        refused(one_more, 503, "server-full", "/healthz")
        crowd = [connect() for _ in range(SPARE_CONNECTIONS)]
        crowd[-1].sendall(GET)
        many_more = connect()
        assert answer(many_more)[0] == 0
        for connection in open_ones:
            connection.close()
