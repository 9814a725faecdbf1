"""Jobs: each is had by one process at a time, and by another where that has died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from valkey.exceptions import ResponseError

from app.errors import StoreAway
from app.sessions.valkey.client import Client
from app.sessions.valkey.jobs import LONG, SMALL, Job, Jobs, Taken

from ..making import run

LEASE = 0.2
JOB = Job(LONG, "s", "r")


@asynccontextmanager
async def made(url: str) -> AsyncIterator[tuple[Jobs, Jobs, Client]]:
    """Those of two processes."""
    client = Client(url)
    jobs = Jobs(client, LEASE), Jobs(client, LEASE)
    await jobs[0].open()
    async with asyncio.timeout(20):
        yield *jobs, client
    await client.close()


async def first(jobs: Jobs, kind: str = LONG) -> Taken:
    async for taken in jobs.take(kind, asyncio.Semaphore(1)):
        return taken
    raise AssertionError


def test_taken_by_one_and_then_by_another(valkey_url: str) -> None:
    async def check() -> None:
        async with made(valkey_url) as (one, other, _):
            assert await one.start(JOB, 1)
            await one.add(JOB)
            assert not await one.start(JOB, 1)
            taken = await first(one)
            assert taken.job == JOB
            assert await one.start(JOB, 1)  # one that is taken does not wait
            await one.drop(JOB)
            clock = asyncio.get_running_loop().time
            until = clock() + 2 * LEASE
            lapsed = asyncio.create_task(first(other))
            while clock() < until:
                await one.renew([taken])
                await asyncio.sleep(LEASE / 5)
            assert not lapsed.done()
            assert await lapsed == taken
            await other.give_back(taken)
            again = await first(one)
            assert (again.job, again.id != taken.id) == (JOB, True)
            await one.done(again)
            await one.renew([again])
            await one.revive()
            await one.add(Job(SMALL, "s", "q"))
            assert (await first(other, SMALL)).job.run_id == "q"

    run(check())


def test_one_that_was_never_put_in(valkey_url: str) -> None:
    async def check() -> None:
        async with made(valkey_url) as (one, other, _):
            for kind in (LONG, SMALL):
                await one.start(Job(kind, "s", "r"), None)
                await other.revive()
                await asyncio.sleep(LEASE)
                await other.revive()
                assert (await first(other, kind)).job.kind == kind

    run(check())


def test_whatever_happens_to_the_store(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with made(valkey_url) as (one, _, client):
            call, faults = client.call, [StoreAway("away", retry_after=1)]

            async def fail(*command: Any) -> Any:
                if faults:
                    raise faults.pop()
                return await call(*command)

            monkeypatch.setattr(client, "call", fail)
            await client.valkey.flushall()
            waiting = asyncio.create_task(first(one))
            await asyncio.sleep(0.4)
            await one.add(JOB)
            assert (await waiting).job == JOB
            one.close()
            assert [taken async for taken in one.take(LONG, asyncio.Semaphore(1))] == []
            monkeypatch.undo()
            await client.call("SET", "gradstep:{gradstep}:jobs:long", "something else")
            with pytest.raises(Exception):  # noqa: B017, PT011
                await one.open()

    run(check())


def test_those_that_died_long_ago_are_cleared_away(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with made(valkey_url) as (one, other, client):
            await one.add(JOB)
            await first(one)
            await other.add(JOB)
            await other.done(await first(other))
            monkeypatch.setattr("app.sessions.valkey.jobs._OLD_SECONDS", -1)
            await other.open()
            left = await client.call("XINFO", "CONSUMERS", "gradstep:{gradstep}:jobs:long", "workers")
            assert len(left) == 1  # it has a job still

    run(check())


def test_an_error_that_is_none_of_these(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with made(valkey_url) as (one, _, client):

            async def fail(*_: Any) -> Any:
                raise ResponseError("ERR something else")

            monkeypatch.setattr(client, "call", fail)
            with pytest.raises(ResponseError):
                await one.open()

    run(check())
