"""Where sessions are kept: a small protocol, shaped so that the store can be in another process.

No lock and no live object passes through it: a session is read, a new one is worked out, and `commit` puts it in place
only if the record is still at the version that was read.
"""

from collections.abc import Sequence
from typing import Protocol

from app.engine.curves import Curve
from app.sessions.history import History
from app.sessions.revisions import Revision
from app.sessions.session import Session


class Conflict(Exception):
    """The record was written in between: load it and apply the change again."""


class SessionStore(Protocol):
    """Every method may raise SessionNotFound or SessionExpired for an id that it does not hold."""

    async def reserve(self, session_id: str, nbytes: int) -> None:
        """Hold room for a session to grow to `nbytes`, and a place for it if it is new, before anything is built.

        A session with a reservation does not expire. Raises Full where there is no room.
        """

    async def release(self, session_id: str) -> None:
        """Give back what was reserved: nothing came of it. (`create` and `commit` do so for what did.)"""

    async def pin(self, session_id: str) -> None:
        """Keep a session from expiring until `unpin` is called as often."""

    async def unpin(self, session_id: str) -> None:
        """Let a session expire again; nothing where it is gone."""

    async def create(self, session: Session, first: Revision, ancestors: Sequence[Curve] = ()) -> None:
        """Put a new session into its reserved place, its history with it."""

    async def load(self, session_id: str) -> Session:
        """The session as it is now."""

    async def history(self, session_id: str) -> History:
        """The session's revisions, to be read."""

    async def commit(self, session: Session, revision: Revision | None, after: int) -> None:
        """Put in the next version of a session, made from revision `after`; raises Conflict unless it is the next.

        With a revision, this joins the history, and those later than `after` leave it; without one, the session only
        stands somewhere else in it.
        """

    async def remember(self, session_id: str, revision: int, digest: str) -> None:
        """Keep the hash of a revision's state, if the session still has that revision."""

    async def delete(self, session_id: str, version: int) -> None:
        """End a session; raises Conflict if it is no longer at this version."""

    async def list(self, limit: int, after: tuple[float, str] | None = None) -> list[Session]:
        """The oldest `limit` sessions, by (created_at, id), that come after a place in that order."""

    async def count(self) -> int:
        """How many sessions there are."""
