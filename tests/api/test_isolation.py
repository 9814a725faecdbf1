"""Nobody sees another's sessions: every call about one answers as it would if there were none.

What there is to call is read from the OpenAPI document, so that a new route is in here from the start.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx2
import pytest
from conftest import Clock
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from app.engine.presets import NOTEBOOK
from app.main import create_app
from app.settings import Settings

from .calls import JSON, NPZ, create, post, problem, read
from .streaming import EVENTS, LINES, LONG

ADA, BOB = "key-of-ada", "key-of-bob"
UNKNOWN = "f" * 32
ANSWERED_ANEW = ("x-request-id", "traceparent")  # differ from one answer to the next
PATHS: dict[str, dict[str, Any]] = create_app(Settings(), page=None).openapi()["paths"]
OPERATIONS = [(method, path) for path, methods in PATHS.items() if "{session_id}" in path for method in methods]
TIMED = 60


class Asked(NamedTuple):
    """A request about a session; `{session_id}`, `{run}` and `{name}` stand in its path."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""

    def of(self, session: str, run: str) -> str:
        """Its target, about a session and a run of it."""
        path = self.path.replace("{session_id}", session).replace("{run}", run).replace("{name}", "hidden.weight")
        return f"{path}?{self.query}" if self.query else path

    def send(self, client: TestClient, session: str, run: str) -> httpx2.Response:
        """What it answers."""
        return client.request(self.method, self.of(session, run), content=self.body, headers=self.headers)


class Owned(NamedTuple):
    """Ada's session and a run of it, and clients: hers, and Bob's."""

    ada: TestClient
    bob: TestClient
    session: str
    run: str

    @property
    def url(self) -> str:
        return f"/v1/sessions/{self.session}"


@pytest.fixture
def owned(make_client: Callable[..., TestClient]) -> Owned:
    ada = make_client(api_keys=(ADA, BOB))
    bob = TestClient(ada.app, raise_server_exceptions=False)
    bob.portal = ada.portal  # one event loop, as one server has
    for client, key in ((ada, ADA), (bob, BOB)):
        client.headers["Authorization"] = f"Bearer {key}"
    url = create(ada, NOTEBOOK)
    run = post(ada, f"{url}/train", {"epochs": 3}, Prefer="respond-async")["id"]
    for operation in ("forward", "backward"):
        post(ada, f"{url}/{operation}")
    return Owned(ada, bob, url.rpartition("/")[2], run)


def example(method: str, path: str) -> bytes:
    """A body that the call takes."""
    if "requestBody" not in PATHS[path][method]:
        return b""
    first, *_ = PATHS[path][method]["requestBody"]["content"]["application/json"]["examples"].values()
    return json.dumps(first["value"]).encode()


def requests(method: str, path: str) -> Iterator[Asked]:
    """A call, well-formed and in many ways not so."""
    body = example(method, path)
    headers = JSON if body else {}
    plain = Asked(method, path, "", headers, body)
    yield plain
    if method == "get":
        yield plain._replace(method="head")
    for query in ("of=loss", "revision=0", "epoch=2", "revision=99", "zebra=1", "include=zebra", "at=epoch", "limit=0"):
        yield plain._replace(query=query)
    for more in (
        {"If-Match": '"0"'}, {"If-Match": '"99"'}, {"If-Match": "zebra"}, {"If-None-Match": '"5"'},
        {"Accept": "text/html"}, {"Accept": NPZ}, {"Accept": EVENTS}, {"Accept": LINES, "Last-Event-ID": "1"},
        {"Prefer": "respond-async"}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "one", "If-Match": '"99"'},
    ):  # fmt: skip
        yield plain._replace(headers={**headers, **more})
    for wrong in (b"", b"{", b"[]", b'{"zebra": 1}'):
        yield plain._replace(body=wrong)
    yield plain._replace(headers={"Content-Type": "text/plain"}, body=b"{}")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_call_about_anothers_session_is_refused_as_if_there_were_none(
    owned: Owned, method: str, path: str
) -> None:
    before = read(owned.ada, owned.url), read(owned.ada, f"{owned.url}/history"), read(owned.ada, f"{owned.url}/runs")
    for asked in requests(method, path):
        answer = asked.send(owned.bob, owned.session, owned.run)
        unknown = asked.send(owned.bob, UNKNOWN, owned.run)
        assert answer.content.replace(owned.session.encode(), UNKNOWN.encode()) == unknown.content, asked
        assert headers_of(answer) == headers_of(unknown), asked
        if asked.method == "head":
            assert answer.status_code == unknown.status_code == 404
        else:
            problem(answer, 404, "session-not-found")
    after = read(owned.ada, owned.url), read(owned.ada, f"{owned.url}/history"), read(owned.ada, f"{owned.url}/runs")
    assert after == before
    assert read(owned.bob, "/v1/sessions")["items"] == []


def headers_of(answer: httpx2.Response) -> list[tuple[str, str]]:
    return [pair for pair in answer.headers.multi_items() if pair[0] not in ANSWERED_ANEW]


def test_a_training_under_way_is_seen_by_nobody_else(owned: Owned) -> None:
    """Neither that the session is busy, nor the run's stream; and nobody else can end it."""
    run = post(owned.ada, f"{owned.url}/train", LONG, Prefer="respond-async")["id"]
    asked = [
        Asked("post", "/v1/sessions/{session_id}/step"),
        Asked("delete", "/v1/sessions/{session_id}"),
        Asked("get", "/v1/sessions/{session_id}/runs/{run}", headers={"Accept": EVENTS}),
        Asked("delete", "/v1/sessions/{session_id}/runs/{run}"),
    ]
    for one in asked:
        problem(one.send(owned.bob, owned.session, run), 404, "session-not-found")
    problem(owned.ada.post(f"{owned.url}/step"), 409, "training-under-way")
    mine = create(owned.bob, NOTEBOOK)
    for method in ("GET", "DELETE"):
        problem(owned.bob.request(method, f"{mine}/runs/{run}"), 404, "not-found")
    assert read(owned.ada, f"{owned.url}/runs/{run}")["status"] in ("queued", "running")
    assert owned.ada.delete(f"{owned.url}/runs/{run}").status_code == 202


def test_a_comparison_with_anothers_session(owned: Owned) -> None:
    mine = create(owned.bob, NOTEBOOK)
    for query in ({}, {"against_revision": 0}, {"against_epoch": 1}, {"against_revision": 99}):
        another, unknown = (
            owned.bob.get(f"{mine}/diff?{urlencode({'against': one, **query})}") for one in (owned.session, UNKNOWN)
        )
        problem(another, 404, "session-not-found")
        assert another.content == unknown.content
    assert owned.ada.get(f"{owned.url}/diff?against={owned.session}").status_code == 200


def test_each_lists_their_own(owned: Owned) -> None:
    mine = [create(owned.bob, NOTEBOOK).rpartition("/")[2] for _ in range(3)]
    first = read(owned.bob, "/v1/sessions?limit=2")
    rest = read(owned.bob, first["next"])
    assert sorted(item["id"] for item in first["items"] + rest["items"]) == sorted(mine)
    assert rest["next"] is None
    assert [item["id"] for item in read(owned.ada, "/v1/sessions")["items"]] == [owned.session]
    listed = read(owned.ada, "/v1/sessions")["items"][0]
    after = f"{0.0!r}~{owned.session}"
    assert listed["id"] not in str(read(owned.bob, f"/v1/sessions?{urlencode({'after': after})}"))


def test_what_comes_of_a_session_is_its_owners_too(owned: Owned) -> None:
    fork = owned.ada.post(f"{owned.url}/fork", json={"epoch": 2}).headers["Location"]
    sweep = post(owned.ada, f"{owned.url}/sweep", {"vary": {"seed": [1, 2]}, "train": {"epochs": 1}})
    read_to_the_end(owned.ada, f"{owned.url}/runs/{sweep['id']}")
    swept = read(owned.ada, f"{owned.url}/runs/{sweep['id']}")["result"]["items"]
    made = [fork, *(f"/v1/sessions/{item['session']}" for item in swept)]
    assert len(made) == 3
    for url in made:
        assert read(owned.ada, url)["forked_from"]["session"] == owned.session
        problem(owned.bob.get(url), 404, "session-not-found")
    problem(owned.bob.get(f"{owned.url}/runs/{sweep['id']}"), 404, "session-not-found")
    copied = owned.bob.post("/v1/sessions", json=read(owned.ada, f"{owned.url}/export")).headers["Location"]
    problem(owned.ada.get(copied), 404, "session-not-found")
    assert len(read(owned.ada, "/v1/sessions")["items"]) == 4
    assert len(read(owned.bob, "/v1/sessions")["items"]) == 1


def read_to_the_end(client: TestClient, url: str) -> None:
    """Wait for a run."""
    assert client.get(url, headers={"Accept": LINES}).text.splitlines()[-1].startswith('{"event":"end"')


def test_an_answer_is_repeated_to_the_one_who_asked_alone(owned: Owned) -> None:
    once = {"Idempotency-Key": "the very same"}
    made = [client.post("/v1/sessions", json=NOTEBOOK, headers=once) for client in (owned.ada, owned.bob, owned.ada)]
    assert made[0].content == made[2].content
    assert made[0].headers["Location"] != made[1].headers["Location"]
    problem(owned.bob.get(made[0].headers["Location"]), 404)
    stepped = owned.ada.post(f"{owned.url}/step", json={}, headers=once)
    problem(owned.bob.post(f"{owned.url}/step", json={}, headers=once), 404, "session-not-found")
    problem(owned.bob.post(f"{owned.url}/step", json={"parameters": []}, headers=once), 404, "session-not-found")
    assert owned.ada.post(f"{owned.url}/step", json={}, headers=once).content == stepped.content
    assert owned.ada.delete(owned.url, headers=once).status_code == 204
    assert owned.ada.delete(owned.url, headers=once).status_code == 204
    problem(owned.bob.delete(owned.url, headers=once), 404, "session-not-found")


def test_an_expired_session_was_never_there_for_others(owned: Owned, clock: Clock) -> None:
    clock.now += Settings().session_ttl + 1
    problem(owned.ada.get(owned.url), 410, "session-expired")
    for method, path in OPERATIONS:
        asked = Asked(method, path)
        answer, unknown = (asked.send(owned.bob, one, owned.run) for one in (owned.session, UNKNOWN))
        problem(answer, 404, "session-not-found")
        assert answer.content.replace(owned.session.encode(), UNKNOWN.encode()) == unknown.content


def test_two_keys_of_one_owner_share(make_client: Callable[..., TestClient]) -> None:
    hashes = (sha256(key.encode()).hexdigest() for key in ("one", "two"))
    client = make_client(api_keys=tuple(f"ada:sha256:{digest}" for digest in hashes))
    client.headers["Authorization"] = "Bearer one"
    url = create(client, NOTEBOOK)
    client.headers["Authorization"] = "Bearer two"
    assert read(client, url)["revision"] == 0


async def seconds(app: ASGIApp, method: str, target: str) -> float:
    """How long the application takes to refuse a request of Bob's, without a client's own time."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
        "method": method.upper(), "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"host", b"testserver"), (b"authorization", f"Bearer {BOB}".encode())],
        "client": ("127.0.0.1", 1), "server": ("testserver", 80),
    }  # fmt: skip
    statuses: list[int | None] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    begun = perf_counter()
    await app(scope, receive, send)
    taken = perf_counter() - begun
    assert statuses[0] == 404
    return taken


def test_how_long_it_takes(owned: Owned, report: Callable[[str], None]) -> None:
    """About another's session, and about one that is not there, in turn."""

    async def measured(method: str, path: str) -> tuple[float, float]:
        targets = [Asked(method, path).of(session, owned.run) for session in (owned.session, UNKNOWN)]
        times: list[list[float]] = [[], []]
        for turn in range(TIMED):
            for which in (0, 1) if turn % 2 else (1, 0):
                times[which].append(await seconds(owned.ada.app, method, targets[which]))
        return median(times[0]), median(times[1])

    async def all_of_them() -> list[tuple[float, float]]:
        return [await measured(method, path) for method, path in OPERATIONS]

    found = asyncio.run(all_of_them())
    ratios = sorted(another / unknown for another, unknown in found)
    report(
        f"another's session against an unknown one, {len(found)} routes: {ratios[0]:.3f} to {ratios[-1]:.3f}, "
        f"median {median(ratios):.3f} of {1e6 * median(unknown for _, unknown in found):.0f} µs"
    )
