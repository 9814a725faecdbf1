"""What is particular to the store in memory: how many expired sessions it remembers."""

import pytest

from app.errors import SessionExpired, SessionNotFound
from app.sessions import memory
from app.settings import Settings

from .making import TTL, Clock, make_session, revision_of, run


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
