"""What every store promises."""

from collections.abc import Callable
from typing import Any

import pytest

from app.errors import Full, SessionExpired, SessionNotFound
from app.sessions.memory import EXPIRED_KEPT_SECONDS, MemoryStore
from app.sessions.session import Session
from app.sessions.store import Conflict, SessionStore
from app.settings import Settings

from .making import START, TTL, Clock, after, make_session, run

STORES: dict[str, Callable[[Settings, Callable[[], float]], SessionStore]] = {"memory": MemoryStore}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest, clock: Clock) -> Callable[..., SessionStore]:
    return lambda **settings: STORES[request.param](Settings(**settings), clock)


@pytest.fixture
def store(make: Callable[..., SessionStore]) -> SessionStore:
    return make()


async def put(store: SessionStore, session_id: str, **fields: Any) -> Session:
    session = make_session(session_id, **fields)
    await store.reserve(session_id, session.nbytes)
    await store.create(session)
    return session


async def room(store: SessionStore) -> int:
    """How many bytes there is room for, found by asking for a little more each time."""
    low, high = 0, 2**40
    while low < high:
        middle = (low + high + 1) // 2
        try:
            await store.reserve("probe", middle)
        except Full:
            high = middle - 1
        else:
            low = middle
            await store.release("probe")
    return low


def test_create_and_load(store: SessionStore) -> None:
    async def check() -> None:
        session = await put(store, "a")
        assert await store.load("a") == session
        assert await store.count() == 1
        with pytest.raises(SessionNotFound):
            await store.load("b")

    run(check())


def test_a_reserved_place_is_not_a_session_yet(store: SessionStore) -> None:
    async def check() -> None:
        await store.reserve("a", 1000)
        assert await store.count() == 0
        assert await store.list(10) == []
        with pytest.raises(SessionNotFound):
            await store.load("a")

    run(check())


def test_commit(store: SessionStore) -> None:
    async def check() -> None:
        session = await put(store, "a")
        changed = after(session, name="new", revision=1)
        await store.commit(changed)
        assert await store.load("a") == changed
        for stale in (session, changed, after(session), after(after(changed))):
            with pytest.raises(Conflict):
                await store.commit(stale)
        assert await store.load("a") == changed
        with pytest.raises(SessionNotFound):
            await store.commit(after(make_session("b")))

    run(check())


def test_delete(store: SessionStore) -> None:
    async def check() -> None:
        session = await put(store, "a")
        await store.commit(after(session))
        with pytest.raises(Conflict):
            await store.delete("a", session.version)
        await store.delete("a", session.version + 1)
        assert await store.count() == 0
        for call in (store.load("a"), store.delete("a", 1), store.commit(after(after(session)))):
            with pytest.raises(SessionNotFound):
                await call

    run(check())


def test_list(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        for session_id, second in (("b", 0), ("a", 0), ("d", 2), ("c", 1)):
            await put(store, session_id, created_at=START + second)
        changed = await store.load("b")
        await store.commit(after(changed))
        assert [session.id for session in await store.list(10)] == ["a", "b", "c", "d"]
        assert [session.id for session in await store.list(2)] == ["a", "b"]
        assert [session.id for session in await store.list(2, (START, "a"))] == ["b", "c"]
        assert [session.id for session in await store.list(9, (START, "b"))] == ["c", "d"]
        assert [session.id for session in await store.list(9, (START + 1, ""))] == ["c", "d"]
        assert await store.list(9, (START + 2, "d")) == []

    run(check())


def test_a_session_expires_when_it_is_left_alone(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        session = await put(store, "a")
        clock.now += TTL - 1
        await store.load("a")  # which does not prolong it
        await store.commit(after(session, expires_at=clock.now + TTL))  # which does
        clock.now += TTL - 1
        assert await store.count() == 1
        clock.now += 1
        for call in (store.load("a"), store.delete("a", 1), store.commit(after(after(session)))):
            with pytest.raises(SessionExpired) as caught:
                await call
            assert caught.value.extra == {"expired_at": START + 2 * TTL - 1}
        assert await store.list(10) == []
        assert await store.count() == 0
        clock.now += EXPIRED_KEPT_SECONDS - 1
        with pytest.raises(SessionExpired):
            await store.load("a")
        clock.now += 1
        with pytest.raises(SessionNotFound):
            await store.load("a")

    run(check())


def test_the_order_of_changes_is_that_of_expiry(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        first, second = await put(store, "a"), await put(store, "b")
        clock.now += 100
        await store.commit(after(first, expires_at=clock.now + TTL))
        clock.now = START + TTL
        assert [session.id for session in await store.list(10)] == ["a"]
        with pytest.raises(SessionExpired):
            await store.load(second.id)

    run(check())


def test_what_is_reserved_does_not_expire(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        busy = await put(store, "busy")
        await put(store, "idle")
        await store.reserve("busy", 10**6)
        clock.now += 2 * TTL
        with pytest.raises(SessionExpired):
            await store.load("idle")
        assert await store.load("busy") == busy
        await store.commit(after(busy, expires_at=clock.now + TTL))
        clock.now += TTL - 1
        assert (await store.load("busy")).version == 1
        clock.now += 1
        with pytest.raises(SessionExpired):
            await store.load("busy")

    run(check())


def test_what_was_reserved_in_vain_expires_at_once(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        await put(store, "busy")
        await store.reserve("busy", 10**6)
        clock.now += TTL
        await put(store, "fresh", created_at=clock.now)
        assert await store.count() == 2
        await store.release("busy")
        with pytest.raises(SessionExpired):
            await store.load("busy")
        assert [session.id for session in await store.list(10)] == ["fresh"]

    run(check())


def test_no_more_sessions_than_allowed(make: Callable[..., SessionStore], clock: Clock) -> None:
    async def check() -> None:
        store = make(max_sessions=2)
        await put(store, "a")
        await store.reserve("b", 100)
        with pytest.raises(Full) as caught:
            await store.reserve("c", 100)
        assert caught.value.extra == {"limit": 2, "estimate": 3, "setting": "GRADSTEP_MAX_SESSIONS"}
        assert 1 <= caught.value.retry_after <= 60
        await store.reserve("a", 10**6)  # one that is there may grow
        await store.release("b")
        await put(store, "c")
        await store.delete("c", 0)
        await put(store, "d")
        await store.release("a")
        clock.now += TTL
        await put(store, "e", created_at=clock.now)
        assert [session.id for session in await store.list(10)] == ["e"]

    run(check())


def test_no_more_bytes_than_allowed(make: Callable[..., SessionStore]) -> None:
    async def check() -> None:
        size = make_session("a").nbytes
        store = make(max_bytes=3 * size)
        session = await put(store, "a")
        with pytest.raises(Full) as caught:
            await store.reserve("b", 2 * size + 1)
        assert caught.value.extra == {"limit": 3 * size, "estimate": 3 * size + 1, "setting": "GRADSTEP_MAX_BYTES"}
        await store.reserve("b", 2 * size)
        with pytest.raises(Full):
            await store.reserve("a", size + 1)
        await store.release("b")
        await store.reserve("a", 3 * size)
        await store.reserve("a", 1)  # a session at least holds what it holds already
        with pytest.raises(Full):
            await store.reserve("b", 1)
        await store.commit(after(session))
        await store.reserve("b", 2 * size)

    run(check())


def test_bytes_are_counted_to_the_last(make: Callable[..., SessionStore], clock: Clock) -> None:
    async def check() -> None:
        store = make(max_bytes=10**9)
        assert await room(store) == 10**9
        session = await put(store, "a")
        assert await room(store) == 10**9 - session.nbytes
        await store.reserve("a", 10**6)
        assert await room(store) == 10**9 - 10**6
        changed = after(session, config_json=session.config_json + b" " * 1000)
        await store.commit(changed)
        assert await room(store) == 10**9 - session.nbytes - 1000
        await store.reserve("a", 10**6)
        await store.release("a")
        assert await room(store) == 10**9 - session.nbytes - 1000
        await store.reserve("b", 10**6)
        await store.release("b")
        await put(store, "c")
        await store.delete("a", 1)
        assert await room(store) == 10**9 - session.nbytes
        clock.now += TTL
        assert await store.count() == 0
        assert await room(store) == 10**9

    run(check())
