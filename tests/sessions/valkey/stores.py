"""Several stores on one server, as several processes have them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from app.sessions.session import Session
from app.sessions.valkey.store import ValkeyStore
from app.settings import Settings

from ..making import Clock, make_session, revision_of

Work = Callable[["Stores"], Coroutine[Any, Any, None]]


class Stores:
    """Makes stores with a clock of their own, and closes them."""

    def __init__(self, url: str) -> None:
        self.url, self.clock = url, Clock()
        self._made: list[ValkeyStore] = []

    def make(self, slab: int | None = None, **settings: Any) -> ValkeyStore:
        sized = {} if slab is None else {"slab": slab}
        self._made.append(ValkeyStore(self.url, Settings(**settings), self.clock, **sized))
        return self._made[-1]

    def run(self, work: Work) -> None:
        async def do() -> None:
            try:
                await work(self)
            finally:
                for store in self._made:
                    await store.close()

        asyncio.run(do())


async def put(store: ValkeyStore, session_id: str, **fields: Any) -> Session:
    """A session that nothing was done to."""
    session = make_session(session_id)._replace(**fields)
    await store.reserve(session_id, session.nbytes, session.owner)
    await store.create(session, revision_of(session))
    return session


def next_of(session: Session, **changes: Any) -> Session:
    """The session after a change of all its numbers."""
    numbers = session.state.parameters + 1
    numbers.setflags(write=False)
    state = session.state._replace(parameters=numbers, used=numbers, loss=float("nan"))
    revision = session.latest_revision + 1
    return session._replace(
        state=state, version=session.version + 1, revision=revision, latest_revision=revision, **changes
    )


async def commit(store: ValkeyStore, session: Session, after: int | None = None) -> Session:
    """Put in a change, by default one that was made from the revision before it."""
    await store.reserve(session.id, session.nbytes, session.owner)
    made_from = session.revision - 1 if after is None else after
    await store.commit(session, revision_of(session, "forward"), made_from)
    return session
