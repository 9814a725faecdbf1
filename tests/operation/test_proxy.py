"""The proxy's own part: which replica gets what, what is tried again, and whom it cuts off."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from .fakes import Fake, fake
from .proxy import Proxy, needs_haproxy, proxy

pytestmark = needs_haproxy

SESSIONS = [f"/v1/sessions/{number:032x}" for number in range(60)]


@pytest.fixture
def fakes() -> Iterator[list[Fake]]:
    with ExitStack() as stack:
        yield [stack.enter_context(fake()) for _ in range(3)]


@pytest.fixture
def before(fakes: list[Fake], tmp_path: Path) -> Iterator[Proxy]:
    with proxy(tmp_path, [f"127.0.0.1:{one.port}" for one in fakes], PROXY_REQUEST_TIMEOUT="300ms") as running:
        yield running


@pytest.fixture
def client(before: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=before.address, timeout=20) as client:
        yield client


def holder(fakes: list[Fake], client: httpx.Client, path: str) -> Fake:
    """The replica that gets a session's requests."""
    assert client.get(path).status_code == 200
    [one] = [one for one in fakes if path in one.paths]
    for each in fakes:
        each.seen.clear()
    return one


def test_a_session_stays_at_a_replica_and_each_replica_has_its_share(fakes: list[Fake], client: httpx.Client) -> None:
    for path in SESSIONS:
        assert client.get(path).status_code == 200
        assert client.post(f"{path}/forward").status_code == 200
    homes = [{path.removesuffix("/forward") for path in one.paths} for one in fakes]
    assert sum(map(len, homes)) == len(SESSIONS)
    assert min(map(len, homes)) >= len(SESSIONS) // 6
    for _ in range(9):
        assert client.post("/v1/sessions").status_code == 200
    assert all("/v1/sessions" in one.paths for one in fakes)


def test_a_replica_that_is_not_ready_gets_nothing_new_and_ends_what_it_has(
    fakes: list[Fake], before: Proxy, client: httpx.Client
) -> None:
    draining = holder(fakes, client, SESSIONS[0])
    arrived, go_on = Event(), Event()

    def answer_late() -> int:
        arrived.set()
        assert go_on.wait(20)
        return 202

    draining.answer = answer_late
    late: list[int] = []
    caller = Thread(target=lambda: late.append(httpx.post(f"{before.address}{SESSIONS[0]}", timeout=20).status_code))
    caller.start()
    assert arrived.wait(20)
    draining.ready = False
    before.await_log("is DOWN")
    draining.seen.clear()
    assert {client.post(path).status_code for path in SESSIONS} == {200}
    assert not draining.seen
    go_on.set()
    caller.join()
    assert late == [202]
    draining.answer = lambda: 200
    draining.ready = True
    before.await_log("is UP")
    assert client.get(SESSIONS[0]).status_code == 200
    assert draining.paths == [SESSIONS[0]]


def test_a_replica_that_is_gone_costs_no_request(fakes: list[Fake], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    addresses = [f"127.0.0.1:{port}" for port in (nobody, fakes[1].port, fakes[2].port)]
    with proxy(tmp_path, addresses) as before, httpx.Client(base_url=before.address, timeout=20) as client:
        assert {client.post(path, content=b"{}").status_code for path in SESSIONS} == {200}
    assert sorted(fakes[1].paths + fakes[2].paths) == SESSIONS


@pytest.mark.parametrize("status", [None, 503], ids=["no answer", "503"])
def test_only_what_may_be_repeated_is_tried_elsewhere(
    fakes: list[Fake], client: httpx.Client, status: int | None
) -> None:
    failing = holder(fakes, client, SESSIONS[0])
    failing.answer = lambda: status
    key = {"Idempotency-Key": "once"}
    body = b"x" * 50_000
    assert client.get(SESSIONS[0]).status_code == 200
    assert client.post(SESSIONS[0], content=body, headers=key).status_code == 200
    others = [request for one in fakes if one is not failing for request in one.seen]
    assert [request.method for request in others] == ["GET", "POST"]
    with httpx.Client(base_url=client.base_url, timeout=20) as fresh:
        refused = fresh.post(SESSIONS[0], content=body)
    assert refused.status_code == (status or 502)
    assert len(failing.seen) >= 3
    assert sum(len(one.seen) for one in fakes if one is not failing) == 2


def half_sent(port: int, text: bytes) -> bytes:
    """What comes back to a client that sends this and no more, until its connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(text)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["headers", "body"],
)
def test_a_half_sent_request_is_cut_off_and_reaches_nobody(fakes: list[Fake], before: Proxy, text: bytes) -> None:
    assert half_sent(before.port, text).startswith(b"HTTP/1.1 408 ")
    assert not any(one.seen for one in fakes)


def test_a_replica_is_told_whose_request_it_is(fakes: list[Fake], client: httpx.Client) -> None:
    client.get("/", headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"})
    [request] = [request for one in fakes for request in one.seen]
    assert request.headers.get_all("X-Forwarded-For") == ["127.0.0.1"]
    assert request.headers.get_all("X-Forwarded-Proto") == ["http"]


@pytest.mark.parametrize("path", ["/metrics", "/%6Detrics"])
def test_what_is_for_prometheus_is_not_for_the_public(fakes: list[Fake], client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert not any(one.seen for one in fakes)


def test_its_own_errors_are_problems(fakes: list[Fake], before: Proxy) -> None:
    def ask(method: str, path: str) -> tuple[int, str | None, str | None, Any]:
        connection = HTTPConnection("127.0.0.1", before.port, timeout=20)
        connection.request(method, path)
        answer = connection.getresponse()
        told = answer.status, answer.getheader("Content-Type"), answer.getheader("Retry-After"), answer.read()
        connection.close()
        return told

    for one in fakes:
        one.answer = lambda: None
    status, kind, _, body = ask("POST", SESSIONS[0])
    assert (status, kind) == (502, "application/problem+json")
    assert b'"status":502' in body
    for one in fakes:
        one.ready = False
    before.await_log("no server available")
    status, kind, retry_after, body = ask("GET", SESSIONS[0])
    assert (status, kind, retry_after) == (503, "application/problem+json", "1")
    assert b'"status":503' in body
