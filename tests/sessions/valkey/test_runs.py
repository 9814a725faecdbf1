"""The runs that processes share: found, followed, listed, forgotten."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from app.engine.plan import Ending, stopped
from app.errors import NotFound, Stopping, StoreAway, TrainingFailed
from app.sessions.runs import Run
from app.sessions.valkey import listener, runs, told
from app.sessions.valkey.client import Client
from app.sessions.valkey.listener import Listener
from app.sessions.valkey.runs import Held, SharedRuns

from ..making import Clock, make_session, run
from .test_told import CURVE

Made = Callable[[], SharedRuns]


def with_runs(url: str, work: Any) -> None:
    """Let something be done with the runs of several processes."""

    async def do() -> None:
        made: list[SharedRuns] = []

        def make() -> SharedRuns:
            client = Client(url)
            made.append(SharedRuns(client, Listener(client), 100, Clock()))
            return made[-1]

        try:
            async with asyncio.timeout(20):
                await work(make)
        finally:
            for one in made:
                await one.close()
                await one.listener.close()
                await one._client.close()

    run(do())


async def begun(of: SharedRuns, session_id: str = "s") -> Run:
    one = Run(session_id, 0, 9, 0.0)
    await of.begin(one, told.about(one))
    return one


async def tell(of: SharedRuns, held: Held, first: int) -> None:
    await of.tell(held, {"status": told.status_of(held.run)}, first, 3, told.pack_piece(CURVE, ()))


async def finish(of: SharedRuns, one: Run) -> None:
    held = await of.take(one.session_id, one.id, "t")
    assert held is not None
    held.run.finish(stopped("epochs", make_session("s").state), None, 1.0)
    await of.tell(held, {"status": told.status_of(held.run)}, over=True)


def test_told_and_followed(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry once, though it is told twice; and however many there are."""
    monkeypatch.setattr(runs, "_AT_ONCE", 2)

    async def check(make: Made) -> None:
        here, there = make(), make()
        one = await begun(here)
        mirror = await there.follow("s", one.id)
        assert await there.follow("s", one.id) is mirror
        held = await here.take("s", one.id, "t")
        assert held is not None
        for first in (0, 0, 3, 6, 9, 3, 12):
            await tell(here, held, first)
        while mirror.count < 15:
            await mirror.change()
        assert (await make().follow("s", one.id)).count == 15
        again = await here.take("s", one.id, "u")
        assert again is not None
        assert (again.takes, again.entries, again.run.count) == (2, 15, 15)
        with pytest.raises(runs.Lost):
            await tell(here, held, 15)
        await finish(here, one)
        await mirror.end()
        assert (mirror.status, await here.take("s", one.id, "v"), await here.take("s", "zebra", "v")) == (
            "finished", None, None,
        )  # fmt: skip
        await there.end(one, Ending("cancelled"))  # the store knows that it is over

    with_runs(valkey_url, check)


def test_who_looks_no_more_is_let_go(valkey_url: str) -> None:
    async def check(make: Made) -> None:
        here = make()
        one = await begun(here)
        mirror: Run | None = await here.follow("s", one.id)
        assert mirror is not None
        await asyncio.sleep(0)
        assert len(here._tasks) == 1
        del mirror
        gc.collect()
        while here._tasks:
            await asyncio.sleep(0.01)
        assert here.listener._listening == {}

    with_runs(valkey_url, check)


def test_the_oldest_of_a_session_are_forgotten(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT_OF_SESSION", 2)

    async def check(make: Made) -> None:
        here = make()
        under_way, over, last = [await begun(here) for _ in range(3)]
        await finish(here, over)
        newest = await begun(here)
        assert [one.id for one in await here.of("s")] == [under_way.id, last.id, newest.id]
        with pytest.raises(NotFound):
            await here.find("s", over.id)
        await here._client.call("DEL", f"gradstep:{{s}}:run:{last.id}")  # as what expires
        assert [one.id for one in await here.of("s")] == [under_way.id, newest.id]
        await finish(here, newest)
        await here.forget("s")
        assert await here.of("s") == []
        assert (await here._client.call("KEYS", "*")) == [b"gradstep:{s}:run:%s" % under_way.id.encode()]

    with_runs(valkey_url, check)


def test_one_that_is_forgotten_while_it_is_followed(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "LOOK_SECONDS", 0.05)

    async def check(make: Made) -> None:
        here = make()
        one = await here.follow("s", (await begun(here)).id)
        await here._client.valkey.flushall()
        await one.end()
        assert isinstance(one.failure, NotFound)

    with_runs(valkey_url, check)


def test_what_is_stored_of_it_is_damaged(valkey_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def check(make: Made) -> None:
        here = make()
        one = await begun(here)
        mirror = await here.follow("s", one.id)
        await here._client.call("HSET", f"gradstep:{{s}}:run:{one.id}", "status", "zebra")
        while not mirror.is_over:
            await here._client.call("PUBLISH", f"gradstep:{{s}}:run:{one.id}:told", "")
            await asyncio.sleep(0.01)
        assert isinstance(mirror.failure, TrainingFailed)
        assert "following" in caplog.text

    with_runs(valkey_url, check)


def test_it_is_ended_as_soon_as_the_store_is_back(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(make: Made) -> None:
        here = make()
        one = await begun(here)
        command, faults = here._client.run, [1]

        async def fail(*arguments: Any, **more: Any) -> Any:
            if faults:
                faults.pop()
                raise StoreAway("away", retry_after=1)
            return await command(*arguments, **more)

        held = await here.take("s", one.id, "t")
        assert held is not None
        watch = asyncio.create_task(here.watch(held.run))
        monkeypatch.setattr(here._client, "run", fail)
        here.end_soon(one, Ending("disconnected"))
        assert await held.run.endings.get() == Ending("disconnected")
        watch.cancel()
        await asyncio.wait([watch])

    with_runs(valkey_url, check)


def test_a_server_that_stops_lets_readers_go(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(make: Made) -> None:
        here = make()
        one = await begun(here)
        mirror = await here.follow("s", one.id)
        here.stop()
        assert isinstance(mirror.failure, Stopping)
        late = await here.follow("s", (await begun(here)).id)
        assert isinstance(late.failure, Stopping)
        await finish(here, one)
        there = make()
        over = await there.follow("s", one.id)
        assert (over.status, over.failure) == ("finished", None)
        reading, command = await there.follow("s", (await begun(there)).id), there._client.run

        async def stop(*arguments: Any, **more: Any) -> Any:
            answer = await command(*arguments, **more)
            there.stop()
            return answer

        monkeypatch.setattr(there._client, "run", stop)
        await reading.end()
        await asyncio.sleep(0.05)
        assert isinstance(reading.failure, Stopping)

    with_runs(valkey_url, check)


def test_notices_that_are_lost(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever listens looks all the same, now and then; and hears again when the store is back."""
    monkeypatch.setattr(listener, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(listener, "_AGAIN_SECONDS", 0.01)

    async def check(make: Made) -> None:
        here = make()
        client, heard, other = here._client, asyncio.Event(), asyncio.Event()
        here.listener.listen("channel", heard.set)
        await heard.wait()
        here.listener.listen("channel", other.set)
        assert other.is_set()
        await client.call("CLIENT", "KILL", "TYPE", "pubsub")
        heard.clear()
        await heard.wait()
        here.listener.leave("channel", other.set)
        here.listener.leave("channel", heard.set)
        await client.call("CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.sleep(0.1)  # nothing is listened to
        here.listener.listen("channel", heard.set)
        monkeypatch.setattr(listener, "LOOK_SECONDS", 30)
        await asyncio.sleep(0.15)
        heard.clear()
        while not heard.is_set():
            await client.call("PUBLISH", "channel", "")
            await asyncio.sleep(0.01)

    with_runs(valkey_url, check)
