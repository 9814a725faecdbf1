"""What every store promises."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.errors import Full, SessionExpired, SessionNotFound
from app.sessions.history import History
from app.sessions.memory import EXPIRED_KEPT_SECONDS, MemoryStore
from app.sessions.session import Session
from app.sessions.store import Conflict, SessionStore
from app.sessions.valkey.store import ValkeyStore
from app.settings import Settings

from .making import START, TTL, Clock, after, make_session, revision_of

Work = Coroutine[Any, Any, None]
made: list[SessionStore] = []


def run(work: Work) -> None:
    """Do this, and close the stores that it was done with."""

    async def do() -> None:
        try:
            await work
        finally:
            while made:
                await made.pop().close()

    asyncio.run(do())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "valkey"])
def make(request: pytest.FixtureRequest, clock: Clock) -> Callable[..., SessionStore]:
    """Makes stores that count bytes to the last, with these settings."""

    def make(**fields: Any) -> SessionStore:
        settings = Settings(**fields)
        if request.param == "memory":
            return MemoryStore(settings, clock)
        made.append(ValkeyStore(request.getfixturevalue("empty_valkey")(), settings, clock, slab=0))
        return made[-1]

    return make


@pytest.fixture
def make_in_memory(clock: Clock) -> Callable[..., MemoryStore]:
    return lambda **settings: MemoryStore(Settings(**settings), clock)


@pytest.fixture
def store(make: Callable[..., SessionStore]) -> SessionStore:
    return make()


async def put(store: SessionStore, session_id: str, **fields: Any) -> Session:
    session = make_session(session_id, **fields)
    await store.reserve(session_id, session.nbytes)
    await store.create(session, revision_of(session))
    return session


async def commit(store: SessionStore, session: Session, made_from: int | None = None) -> None:
    """Put in a change, by default one made from the revision before it."""
    revision = revision_of(session, "forward")
    await store.commit(session, revision, session.revision - 1 if made_from is None else made_from)


async def size_of(store: SessionStore, session_id: str) -> int:
    """What a session holds, its history included."""
    return (await store.load(session_id)).nbytes + (await store.history(session_id)).nbytes


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


def later(session: Session, **changes: Any) -> Session:
    """The next version of a session, as a new revision."""
    revision = session.latest_revision + 1
    return after(session, revision=revision, latest_revision=revision, **changes)


def numbers(history: History) -> list[int]:
    return [revision.number for revision in history.revisions]


def test_create_and_load(store: SessionStore) -> None:
    async def check() -> None:
        session = await put(store, "a")
        assert await store.load("a") == session
        assert await store.count() == 1
        with pytest.raises(SessionNotFound):
            await store.load("b")
        with pytest.raises(Conflict):
            await put(store, "a", created_at=START + 1)
        await store.release("a")
        assert await store.load("a") == session

    run(check())


def test_a_reserved_place_is_not_a_session_yet(store: SessionStore) -> None:
    async def check() -> None:
        await store.reserve("a", 1000)
        assert await store.count() == 0
        assert await store.list("", 10) == []
        with pytest.raises(SessionNotFound):
            await store.load("a")

    run(check())


def test_commit(store: SessionStore) -> None:
    async def check() -> None:
        session = await put(store, "a")
        changed = after(session, name="new", revision=1)
        await commit(store, changed)
        assert await store.load("a") == changed
        for stale in (session, changed, after(session), after(after(changed))):
            with pytest.raises(Conflict):
                await commit(store, stale, 1)
        assert await store.load("a") == changed
        assert numbers(await store.history("a")) == [0, 1]
        with pytest.raises(SessionNotFound):
            await commit(store, after(make_session("b")), 0)

    run(check())


def test_delete(store: SessionStore) -> None:
    async def check() -> None:
        session = await put(store, "a")
        await commit(store, later(session))
        with pytest.raises(Conflict):
            await store.delete("a", session.version)
        await store.delete("a", session.version + 1)
        assert await store.count() == 0
        for call in (
            store.load("a"), store.history("a"), store.delete("a", 1), commit(store, later(later(session)))
        ):  # fmt: skip
            with pytest.raises(SessionNotFound):
                await call

    run(check())


def test_list(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        for session_id, second in (("b", 0), ("a", 0), ("d", 2), ("c", 1)):
            await put(store, session_id, created_at=START + second)
        changed = await store.load("b")
        await commit(store, later(changed))
        assert [session.id for session in await store.list("", 10)] == ["a", "b", "c", "d"]
        assert [session.id for session in await store.list("", 2)] == ["a", "b"]
        assert [session.id for session in await store.list("", 2, (START, "a"))] == ["b", "c"]
        assert [session.id for session in await store.list("", 9, (START, "b"))] == ["c", "d"]
        assert [session.id for session in await store.list("", 9, (START + 1, ""))] == ["c", "d"]
        assert await store.list("", 9, (START + 2, "d")) == []

    run(check())


def test_a_session_expires_when_it_is_left_alone(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        session = await put(store, "a")
        clock.now += TTL - 1
        await store.load("a")  # which does not prolong it
        await commit(store, later(session, expires_at=clock.now + TTL))  # which does
        clock.now += TTL - 1
        assert await store.count() == 1
        clock.now += 1
        for call in (
            store.load("a"), store.history("a"), store.delete("a", 1), commit(store, later(later(session)))
        ):  # fmt: skip
            with pytest.raises(SessionExpired) as caught:
                await call
            assert caught.value.extra == {"expired_at": START + 2 * TTL - 1}
        assert await store.list("", 10) == []
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
        await commit(store, later(first, expires_at=clock.now + TTL))
        clock.now = START + TTL
        assert [session.id for session in await store.list("", 10)] == ["a"]
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
        await commit(store, later(busy, expires_at=clock.now + TTL))
        clock.now += TTL - 1
        assert (await store.load("busy")).version == 1
        clock.now += 1
        with pytest.raises(SessionExpired):
            await store.load("busy")

    run(check())


def test_what_is_pinned_does_not_expire(store: SessionStore, clock: Clock) -> None:
    """Until it was let go as often as it was pinned, and then at once."""

    async def check() -> None:
        pinned = await put(store, "pinned")
        for session_id in ("idle", "alike"):
            await put(store, session_id)
        for session_id in ("pinned", "pinned", "alike"):
            await store.pin(session_id)
        clock.now += TTL
        assert {session.id for session in await store.list("", 10)} == {"pinned", "alike"}
        with pytest.raises(SessionExpired):
            await store.load("idle")
        await store.unpin("pinned")
        assert await store.load("pinned") == pinned
        await store.unpin("pinned")
        assert await store.count() == 1
        with pytest.raises(SessionExpired):
            await store.load("pinned")
        await commit(store, later(await store.load("alike"), expires_at=clock.now + TTL))  # it may still be changed
        await store.unpin("alike")
        clock.now += TTL - 1
        assert await store.count() == 1
        clock.now += 1
        assert await store.count() == 0

    run(check())


def test_a_pin_is_no_reservation_nor_the_other_way_round(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        free = await room(store)
        session = await put(store, "a")
        await store.pin("a")
        assert await room(store) == free - await size_of(store, "a")
        await store.reserve("a", 10**6)
        clock.now += TTL
        await store.unpin("a")
        await store.load("a")  # it is still reserved
        await store.pin("a")
        await store.release("a")
        assert await store.load("a") == session  # and now it is still pinned
        await store.unpin("a")
        with pytest.raises(SessionExpired):
            await store.load("a")
        assert await room(store) == free

    run(check())


def test_what_is_gone_cannot_be_pinned(store: SessionStore, clock: Clock) -> None:
    async def check() -> None:
        with pytest.raises(SessionNotFound):
            await store.pin("zebra")
        await put(store, "expires")
        clock.now += TTL
        with pytest.raises(SessionExpired):
            await store.pin("expires")
        session = await put(store, "a", created_at=clock.now)
        await store.pin("a")
        await store.delete("a", session.version)  # a pin keeps nobody from deleting it
        with pytest.raises(SessionNotFound):
            await store.load("a")
        await store.unpin("a")
        again = await put(store, "a", created_at=clock.now)
        clock.now += TTL - 1
        assert await store.load("a") == again
        clock.now += 1
        with pytest.raises(SessionExpired):
            await store.load("a")

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
        assert [session.id for session in await store.list("", 10)] == ["fresh"]

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
        assert [session.id for session in await store.list("", 10)] == ["e"]

    run(check())


def test_no_more_bytes_than_allowed(make: Callable[..., SessionStore]) -> None:
    async def check() -> None:
        measuring = make()
        await put(measuring, "a")
        size = await size_of(measuring, "a")
        store = make(max_bytes=3 * size)
        session = await put(store, "a")
        history = await store.history("a")
        with pytest.raises(Full) as caught:
            await store.reserve("b", 2 * size + 1)
        assert caught.value.extra == {"limit": 3 * size, "estimate": 3 * size + 1, "setting": "GRADSTEP_MAX_BYTES"}
        await store.reserve("b", 2 * size)
        with pytest.raises(Full):
            await store.reserve("a", size - history.nbytes + 1)  # to grow to so much besides its history
        await store.release("b")
        await store.reserve("a", 3 * size - history.nbytes)
        await store.reserve("a", 1)  # a session at least holds what it holds already
        with pytest.raises(Full):
            await store.reserve("b", 1)
        await store.commit(after(session), None, 0)
        await store.reserve("b", 2 * size)

    run(check())


async def put_changed(store: SessionStore, session_id: str, changes: int) -> Session:
    """A session with so many changes, each of all its parameters."""
    session = await put(store, session_id)
    for _ in range(changes):
        numbers = session.state.parameters.copy()
        session = later(session, state=session.state._replace(parameters=numbers, used=numbers))
        await store.reserve(session_id, session.nbytes + 1_000)
        await commit(store, session)
    return session


async def kept(store: SessionStore, session_id: str) -> list[int]:
    return [revision.number for revision in (await store.history(session_id)).revisions if revision.is_kept]


def test_old_states_make_room_those_of_what_is_longest_unchanged_first(
    make_in_memory: Callable[..., MemoryStore],
) -> None:
    async def check() -> None:
        store = make_in_memory(max_bytes=10**6)
        for session_id in "abc":
            await put_changed(store, session_id, 9)
        await store.reserve("b", 1)  # at work
        free = await room(store)  # which is found by letting go what there is
        assert await kept(store, "a") == await kept(store, "c") == [9]
        assert await kept(store, "b") == list(range(10))
        for session_id in "ac":
            free += await size_of(store, session_id)
        assert free == 10**6 - await size_of(store, "b")

    run(check())


def test_no_more_is_let_go_than_is_needed(make_in_memory: Callable[..., MemoryStore]) -> None:
    async def check() -> None:
        store = make_in_memory(max_bytes=10**6)
        for session_id in "ab":
            await put_changed(store, session_id, 9)
        held = await size_of(store, "a") + await size_of(store, "b")
        await store.reserve("c", 10**6 - held)
        assert len(await kept(store, "a")) == 10
        await store.release("c")
        await store.reserve("c", 10**6 - held + 1)
        assert await kept(store, "a") == [0, 2, 3, 4, 5, 6, 7, 8, 9]
        assert len(await kept(store, "b")) == 10

    run(check())


def test_a_session_makes_room_for_itself(make_in_memory: Callable[..., MemoryStore]) -> None:
    async def check() -> None:
        measuring = make_in_memory()
        await put_changed(measuring, "a", 20)
        limit = await size_of(measuring, "a") * 2 // 3
        store = make_in_memory(max_bytes=limit)
        session = await put_changed(store, "a", 20)
        assert len(await kept(store, "a")) in range(5, 15)
        held = await size_of(store, "a")
        assert held <= limit
        past = (await store.history("a")).nbytes
        await store.reserve("a", limit - past + 500)  # for which one of its states goes
        assert past - 1_000 < (await store.history("a")).nbytes < past
        await store.reserve("b", 0)  # no more is counted than there may be
        await store.release("b")
        await store.release("a")
        assert await size_of(store, "a") < held
        await store.delete("a", session.version)
        assert await room(store) == limit

    run(check())


def test_nothing_is_let_go_for_what_finds_no_room_anyway(make_in_memory: Callable[..., MemoryStore]) -> None:
    async def check() -> None:
        store = make_in_memory(max_bytes=10**6)
        await put_changed(store, "a", 9)
        with pytest.raises(Full):
            await store.reserve("b", 10**6)
        assert len(await kept(store, "a")) == 10

    run(check())


def test_bytes_are_counted_to_the_last(make: Callable[..., SessionStore], clock: Clock) -> None:
    async def check() -> None:
        store = make(max_bytes=10**9)
        assert await room(store) == 10**9
        session = await put(store, "a")
        held = await size_of(store, "a")
        assert await room(store) == 10**9 - held
        await store.reserve("a", 10**6)
        assert await room(store) == 10**9 - 10**6 - (await store.history("a")).nbytes
        changed = after(session, config_json=session.config_json + b" " * 1000)
        await store.commit(changed, None, 0)
        assert await room(store) == 10**9 - held - 1000
        await store.reserve("a", 10**6)
        await store.release("a")
        assert await room(store) == 10**9 - held - 1000
        await commit(store, later(changed))
        free = await room(store)  # for which a state is let go
        assert free == 10**9 - await size_of(store, "a")
        await store.reserve("b", 10**6)
        await store.release("b")
        await put(store, "c")
        await store.delete("a", 2)
        assert await room(store) == 10**9 - await size_of(store, "c")
        clock.now += TTL
        assert await store.count() == 0
        assert await room(store) == 10**9

    run(check())
