"""What each owner may have, in the store in memory."""

from contextlib import suppress
from typing import Any

import pytest

from app.errors import Full, QuotaExceeded
from app.sessions.memory import MemoryStore
from app.sessions.session import Session
from app.settings import Settings

from .making import TTL, Clock, after, make_session, revision_of, run


def make(**settings: Any) -> MemoryStore:
    return MemoryStore(Settings(**settings), Clock())


async def put(store: MemoryStore, session_id: str, owner: str) -> Session:
    session = make_session(session_id)._replace(owner=owner)
    await store.reserve(session_id, session.nbytes, owner)
    await store.create(session, revision_of(session))
    return session


async def put_changed(store: MemoryStore, session_id: str, owner: str, changes: int) -> Session:
    session = await put(store, session_id, owner)
    for number in range(1, changes + 1):
        state = session.state._replace(parameters=session.state.parameters + 1)
        session = after(session, revision=number, latest_revision=number, state=state)
        await store.commit(session, revision_of(session, "forward"), number - 1)
    return session


async def kept(store: MemoryStore, session_id: str) -> int:
    """How many of its states are kept."""
    return sum(revision.is_kept for revision in (await store.history(session_id)).revisions)


async def held(store: MemoryStore, session_id: str) -> int:
    return (await store.load(session_id)).nbytes + (await store.history(session_id)).nbytes


async def room(store: MemoryStore, owner: str) -> int:
    """How many bytes there are for another session of an owner's."""
    low, high = 0, 2**40
    while low < high:
        middle = (low + high + 1) // 2
        try:
            await store.reserve("probe", middle, owner)
        except Full:
            high = middle - 1
        else:
            low = middle
            await store.release("probe")
    return low


def test_each_owner_has_so_many_sessions() -> None:
    async def check() -> None:
        store = make(owner_sessions=2)
        first = await put(store, "a", "alice")
        await store.reserve("b", 1000, "alice")  # a place that is only reserved counts too
        with pytest.raises(QuotaExceeded) as refused:
            await put(store, "c", "alice")
        assert refused.value.extra == {"limit": 2, "estimate": 3, "setting": "GRADSTEP_OWNER_SESSIONS"}
        assert refused.value.retry_after == 60
        await put(store, "d", "bob")
        await store.reserve("a", 10**6)  # one that is there may grow
        await store.release("a")
        await store.release("b")
        await put(store, "b", "alice")
        await store.delete("a", first.version)
        await put(store, "e", "alice")
        with pytest.raises(QuotaExceeded):
            await put(store, "f", "alice")

    run(check())


def test_those_that_expire_make_room() -> None:
    async def check() -> None:
        clock = Clock()
        store = MemoryStore(Settings(owner_sessions=1, owner_bytes=10**6), clock)
        await put(store, "a", "alice")
        clock.now += TTL
        await store.reserve("b", 1000, "alice")
        await store.release("b")
        assert await room(store, "alice") == 10**6

    run(check())


def test_where_no_keys_are_needed_there_are_no_shares() -> None:
    async def check() -> None:
        store = make(owner_sessions=1, owner_bytes=1)
        for session_id in "abc":
            await put(store, session_id, "")
        await store.delete("b", 0)
        assert await store.count() == 2

    run(check())


def test_each_owner_has_so_many_bytes() -> None:
    async def check() -> None:
        store = make(owner_bytes=10**6)
        await put(store, "a", "alice")
        await put(store, "b", "bob")
        alices = 10**6 - await held(store, "a")
        assert await room(store, "alice") == alices
        with pytest.raises(QuotaExceeded) as refused:
            await store.reserve("c", alices + 1, "alice")
        assert refused.value.extra == {"limit": 10**6, "estimate": 10**6 + 1, "setting": "GRADSTEP_OWNER_BYTES"}
        past = (await store.history("a")).nbytes
        await store.reserve("a", 10**6 - past)  # its own bytes are not counted twice
        assert await room(store, "alice") == 0
        with pytest.raises(QuotaExceeded):
            await store.reserve("a", 10**6 - past + 1)
        await store.release("a")
        assert await room(store, "alice") == alices
        await store.delete("a", 0)
        assert await room(store, "alice") == 10**6

    run(check())


def test_an_owners_old_states_make_room_and_no_others() -> None:
    async def check() -> None:
        measuring = make()
        await put_changed(measuring, "a", "alice", 9)
        store = make(owner_bytes=await held(measuring, "a") + 2000)
        await put_changed(store, "b", "bob", 9)
        session = await put_changed(store, "a", "alice", 9)
        assert await kept(store, "a") == await kept(store, "b") == 10
        with suppress(QuotaExceeded):
            await store.reserve("c", 10**6, "alice")
        assert await kept(store, "a") == 10  # nothing is let go for what finds no room anyway
        await store.reserve("c", 2500, "alice")
        await store.release("c")
        assert 0 < await kept(store, "a") < 10
        before = await kept(store, "a")
        await store.reserve("a", session.nbytes + 5000)  # and for itself
        assert await kept(store, "a") < before
        assert await kept(store, "b") == 10

    run(check())


def test_what_is_refused_for_all_is_not_counted_for_one() -> None:
    async def check() -> None:
        store = make(max_sessions=1, max_bytes=10**6, owner_sessions=1)
        with pytest.raises(Full) as refused:
            await store.reserve("a", 10**6 + 1, "alice")
        assert type(refused.value) is Full
        await put(store, "a", "alice")

    run(check())
