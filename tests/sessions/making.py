"""Sessions to work on, and a way to run coroutines."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.engine.network import Config
from app.engine.presets import NOTEBOOK
from app.engine.state import initial_state
from app.sessions.service import Sessions
from app.sessions.session import Session, config_to_json

T = TypeVar("T")
START = 1_795_000_000.0
TTL = 6 * 3600


class Clock:
    """Seconds since 1970, by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def make_config(**fields: Any) -> Config:
    return Config.model_validate({**NOTEBOOK, **fields})


def make_session(session_id: str, created_at: float = START, config: Config | None = None) -> Session:
    """A session that nothing was done to."""
    config = config or make_config()
    state = initial_state(config)
    return Session(
        session_id, config.name, *config_to_json(config), None, state, created_at, created_at, created_at + TTL
    )


def after(session: Session, **changes: Any) -> Session:
    """The next version of a session."""
    return session._replace(version=session.version + 1, **changes)


async def create(sessions: Sessions, **fields: Any) -> Session:
    return await sessions.create(sessions.draft(make_config(**fields)))


def held(sessions: Sessions) -> tuple[int, int, set[str]]:
    """Bytes counted, bytes really held, and reservations."""
    store: Any = sessions.store
    return store._total, sum(session.nbytes for session in store._sessions.values()), store._reserved
