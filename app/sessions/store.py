"""Where sessions are kept: a small protocol, shaped so that the store can be in another process.

No lock and no live object passes through it: a session is read, a new one is worked out, and `commit` puts it in place
only if the record is still at the version that was read. What must come with a change, or not at all (its place in the
history, the answer to a request that may be repeated) goes into the same commit.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from app.engine.curves import Curve
from app.sessions.history import History
from app.sessions.revisions import Revision
from app.sessions.session import Session

REPLIES_KEPT_SECONDS = 24 * 3600


class Conflict(Exception):
    """The record was written in between: load it and apply the change again."""


class Reply(NamedTuple):
    """What was answered to a request that is to be done once, so that it can be answered alike again.

    Attributes:
        key: stands for the owner, the method, the path and the client's `Idempotency-Key`.
        fingerprint: of what was sent: something else under the same key is refused.
        run: the id of the run that answers, where the answer was its stream; then there is no body.
    """

    key: str
    fingerprint: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    run: str | None = None


class SessionStore(Protocol):
    """Every method may raise SessionNotFound or SessionExpired for an id that it does not hold.

    A store in another process may also raise StoreAway, from any method, and SessionCorrupt for a session whose record
    it cannot read. Where `commit`, `create` or `delete` raises StoreAway, it may have been done all the same.
    """

    @property
    def secret(self) -> bytes:
        """Bytes that are the same in all processes that use the store, to derive ids from that nobody can guess."""
        raise NotImplementedError

    async def open(self) -> None:
        """Get ready for use, when the server starts; a store that is away is no error yet."""

    async def close(self) -> None:
        """Let go of connections, when the server has stopped."""

    async def ready(self) -> None:
        """Raise StoreAway where the store cannot be reached."""

    async def reserve(self, session_id: str, nbytes: int, owner: str = "") -> None:
        """Hold room for a session to grow to `nbytes`, and a place for it if it is new, before anything is built.

        A session with a reservation does not expire. Raises Full where there is no room.
        """

    async def release(self, session_id: str) -> None:
        """Give back what was reserved: nothing came of it. (`create` and `commit` do so for what did.)"""

    async def pin(self, session_id: str) -> None:
        """Keep a session from expiring until `unpin` is called as often."""

    async def unpin(self, session_id: str) -> None:
        """Let a session expire again; nothing where it is gone."""

    async def create(
        self, session: Session, first: Revision, ancestors: Sequence[Curve] = (), reply: Reply | None = None
    ) -> None:
        """Put a new session into its reserved place, its history with it; raises Conflict where its id is taken."""

    async def load(self, session_id: str, owner: str | None = None) -> Session:
        """The session as it is now; another owner's is not found (None: whoever's it is)."""

    async def history(self, session_id: str) -> History:
        """The session's revisions, to be read."""

    async def commit(self, session: Session, revision: Revision | None, after: int, reply: Reply | None = None) -> None:
        """Put in the next version of a session, made from revision `after`; raises Conflict unless it is the next.

        With a revision, this joins the history, and those later than `after` leave it; without one, the session only
        stands somewhere else in it, or is taken by a run, or let go by it. Raises Full where the reply has no room.
        """

    async def remember(self, session_id: str, revision: int, digest: str) -> None:
        """Keep the hash of a revision's state, if the session still has that revision."""

    async def delete(self, session_id: str, version: int, reply: Reply | None = None) -> None:
        """End a session; raises Conflict if it is no longer at this version."""

    async def reply(self, session_id: str, key: str) -> Reply | None:
        """What was answered, within the last day, to a request about a session, which may be gone by now."""

    async def keep(self, session_id: str, reply: Reply) -> Reply:
        """Keep an answer that comes with no change of the session itself; what is kept, which may be an earlier one."""
        raise NotImplementedError

    async def list(self, owner: str, limit: int, after: tuple[float, str] | None = None) -> list[Session]:
        """The oldest `limit` sessions of an owner, by (created_at, id), that come after a place in that order."""

    async def count(self) -> int:
        """How many sessions there are."""
