"""What is particular to the store in memory: how many expired sessions it remembers, and room for answers."""

import pytest

from app.errors import SessionExpired, SessionNotFound
from app.sessions import memory
from app.sessions.store import REPLIES_KEPT_SECONDS, Reply
from app.settings import Settings

from .making import TTL, Clock, after, make_session, revision_of, run


def test_no_more_expired_sessions_are_remembered_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EXPIRED_KEPT", 2)
    clock = Clock()
    store = memory.MemoryStore(Settings(), clock)

    async def check() -> None:
        for session_id in "abc":
            session = make_session(session_id)
            await store.reserve(session_id, session.nbytes)
            await store.create(session, revision_of(session))
        clock.now += TTL
        with pytest.raises(SessionNotFound):
            await store.load("a")
        for session_id in "bc":
            with pytest.raises(SessionExpired):
                await store.load(session_id)

    run(check())


def test_old_states_make_room_for_answers() -> None:
    async def check() -> None:
        clock = Clock()
        store = memory.MemoryStore(Settings(max_bytes=30_000), clock)
        for session_id in "ab":
            session = make_session(session_id)
            await store.reserve(session_id, session.nbytes)
            await store.create(session, revision_of(session))
        for number in range(1, 10):
            state = session.state._replace(parameters=session.state.parameters + 1)
            session = after(session, revision=number, latest_revision=number, state=state)
            await store.commit(session, revision_of(session, "forward"), number - 1)
        states = (await store.history("b")).state_bytes
        await store.reserve("a", 30_000 - (await store.history("b")).nbytes - session.nbytes)  # no byte is left
        reply = Reply("key", "print", 200, (), b"done")
        await store.commit(after(await store.load("a")), None, 0, reply)
        assert await store.reply("a", "key") == reply
        assert (await store.history("b")).state_bytes < states

    run(check())


def test_an_answer_in_place_of_another_takes_room_once() -> None:
    async def check() -> None:
        clock = Clock()
        store = memory.MemoryStore(Settings(max_bytes=10_000, session_ttl=10**6), clock)
        session = make_session("a", clock.now)._replace(expires_at=clock.now + 10**6)
        await store.reserve("a", session.nbytes)
        await store.create(session, revision_of(session), (), Reply("key", "print", 200, (), b""))
        clock.now += 1
        for _ in range(20):
            session = after(session)
            await store.commit(session, None, 0, Reply("key", "print", 200, (), b"", "run"))
        clock.now += REPLIES_KEPT_SECONDS - 1
        assert await store.reply("a", "key") is not None  # it is kept for as long as the last
        clock.now += 1
        assert await store.reply("a", "key") is None
        await store.reserve("b", 10_000 - session.nbytes - (await store.history("a")).nbytes)

    run(check())
