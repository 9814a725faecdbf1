"""The default store: sessions in this process's memory.

Its coroutines never suspend, so that what runs inline between a load and a commit cannot be interrupted: it needs no
lock and meets no conflict.
"""

import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from heapq import nsmallest

from app.engine.curves import Curve
from app.errors import Full, RevisionGone, SessionExpired, SessionNotFound
from app.sessions.history import History
from app.sessions.revisions import Revision
from app.sessions.session import Session
from app.sessions.shares import Shares
from app.sessions.store import REPLIES_KEPT_SECONDS, Conflict, Reply
from app.settings import Settings

EXPIRED_KEPT_SECONDS = 24 * 3600
EXPIRED_KEPT = 100_000
_REPLY_BYTES = 1_000  # beside its body


class MemoryStore:
    """Sessions by id, the longest unchanged first."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._histories: dict[str, History] = {}
        self._expired: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._replies: OrderedDict[str, tuple[float, Reply]] = OrderedDict()
        self._held: dict[str, int] = {}
        self._reserved: set[str] = set()
        self._pins: Counter[str] = Counter()
        self._total = 0
        self._shares = Shares(settings) if settings.owner_sessions or settings.owner_bytes else None
        self.secret = secrets.token_bytes(32)

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def ready(self) -> None:
        """It is always there."""

    async def reserve(self, session_id: str, nbytes: int, owner: str = "") -> None:
        held = self._held.get(session_id)
        if held is None:
            self._expire()
        if held is None and len(self._held) >= self._settings.max_sessions:
            raise self._full("max_sessions", len(self._held) + 1)
        grown = nbytes if held is None else max(nbytes + self._histories[session_id].nbytes, held)
        if self._shares is not None:
            grown = self._within_share(self._shares, session_id, nbytes, grown, owner)
        missing = self._total - (held or 0) + grown - self._settings.max_bytes
        if missing > 0 and not self._let_go(missing):
            raise self._full("max_bytes", self._total - (held or 0) + grown)
        if missing > 0 and held is not None:  # its own history may be smaller by now
            grown = max(nbytes + self._histories[session_id].nbytes, self._held[session_id])
        self._reserved.add(session_id)
        self._hold(session_id, grown, owner)

    async def release(self, session_id: str) -> None:
        self._reserved.discard(session_id)
        session = self._sessions.get(session_id)
        self._hold(session_id, self._size(session) if session else None)
        self._look_again(session_id)

    async def pin(self, session_id: str) -> None:
        await self.load(session_id)
        self._pins[session_id] += 1

    async def unpin(self, session_id: str) -> None:
        self._pins[session_id] -= 1
        if self._pins[session_id] <= 0:
            del self._pins[session_id]
            self._look_again(session_id)

    async def create(
        self, session: Session, first: Revision, ancestors: Sequence[Curve] = (), reply: Reply | None = None
    ) -> None:
        if session.id in self._sessions:
            raise Conflict
        self._keep(reply)
        self._histories[session.id] = History(first, self._settings.max_history, ancestors)
        self._put(session)

    async def load(self, session_id: str, owner: str | None = None) -> Session:
        self._expire()
        session = self._sessions.get(session_id)
        if session is not None and owner in (None, session.owner):
            return session
        expired_at, whose = self._expired.get(session_id, (0, None))
        if whose is not None and owner in (None, whose):
            raise SessionExpired("this session was not changed for too long and is gone", expired_at=expired_at)
        raise SessionNotFound("no session has this id")

    async def history(self, session_id: str) -> History:
        await self.load(session_id)
        return self._histories[session_id]

    async def commit(self, session: Session, revision: Revision | None, after: int, reply: Reply | None = None) -> None:
        current = self._sessions.get(session.id) or await self.load(session.id)
        if session.version != current.version + 1:
            raise Conflict
        self._keep(reply)
        history = self._histories[session.id]
        if revision is None:
            history.revive(session.revision, session.state)
        else:
            history.append(revision, after)
        self._put(session)

    async def remember(self, session_id: str, revision: int, digest: str) -> None:
        history = self._histories.get(session_id)
        if history is not None:
            with suppress(RevisionGone):
                history.remember(revision, digest)

    async def delete(self, session_id: str, version: int, reply: Reply | None = None) -> None:
        current = await self.load(session_id)
        if version != current.version:
            raise Conflict
        self._keep(reply)
        del self._sessions[session_id], self._histories[session_id]
        self._hold(session_id, None)

    async def reply(self, session_id: str, key: str) -> Reply | None:
        self._expire()
        kept = self._replies.get(key)
        return None if kept is None else kept[1]

    async def keep(self, session_id: str, reply: Reply) -> Reply:
        if (kept := await self.reply(session_id, reply.key)) is not None:
            return kept
        self._keep(reply)
        return reply

    async def list(self, owner: str, limit: int, after: tuple[float, str] | None = None) -> list[Session]:
        self._expire()
        own = (session for session in self._sessions.values() if session.owner == owner)
        later = (session for session in own if after is None or (session.created_at, session.id) > after)
        return nsmallest(limit, later, key=lambda session: (session.created_at, session.id))

    async def count(self) -> int:
        self._expire()
        return len(self._sessions)

    def _keep(self, reply: Reply | None) -> None:
        """Keep an answer for a day. Raises Full, before anything is done."""
        if reply is not None:
            self._forget(reply.key)
            nbytes = _REPLY_BYTES + len(reply.body)
            missing = self._total + nbytes - self._settings.max_bytes
            if missing > 0 and not self._let_go(missing):
                raise self._full("max_bytes", self._total + nbytes)
            self._total += nbytes
            self._replies[reply.key] = (self._clock() + REPLIES_KEPT_SECONDS, reply)

    def _forget(self, key: str) -> None:
        """Let go of an answer, if it is kept."""
        if kept := self._replies.pop(key, None):
            self._total -= _REPLY_BYTES + len(kept[1].body)

    def _put(self, session: Session) -> None:
        self._sessions[session.id] = session
        self._sessions.move_to_end(session.id)
        self._reserved.discard(session.id)
        self._hold(session.id, self._size(session))

    def _size(self, session: Session) -> int:
        return session.nbytes + self._histories[session.id].nbytes

    def _within_share(self, shares: Shares, session_id: str, nbytes: int, grown: int, owner: str) -> int:
        """What a session is to grow to, within what its owner may have. Raises QuotaExceeded."""
        session = self._sessions.get(session_id)
        if session is None:
            shares.check_count(owner)
        else:
            owner = session.owner
        if (missing := shares.missing(session_id, grown, owner)) > 0:
            self._let_go(missing, owner)
            if session is not None:  # its own history may be smaller by now
                grown = max(nbytes + self._histories[session_id].nbytes, self._held[session_id])
            shares.check_bytes(session_id, grown, owner)
        return grown

    def _let_go(self, nbytes: int, owner: str | None = None) -> bool:
        """Make room for so many bytes by letting old states go, of the session that is longest unchanged first.

        With an owner, of theirs alone. Where that would not be enough, all states are kept.
        """
        idle = [one for one in self._sessions.values() if one.id not in self._reserved and owner in (None, one.owner)]
        if sum(self._histories[session.id].state_bytes for session in idle) < nbytes:
            return False
        for session in idle:
            history = self._histories[session.id]
            before = history.nbytes
            history.shrink(max(0, history.state_bytes - nbytes), session.revision)
            self._hold(session.id, self._size(session))
            nbytes -= before - history.nbytes
            if nbytes <= 0:
                return True
        return False

    def _look_again(self, session_id: str) -> None:
        """A session that was kept for its reservation or its pins alone may be over its time."""
        session = self._sessions.get(session_id)
        if session and session.expires_at <= self._clock():
            self._sessions.move_to_end(session_id, last=False)

    def _hold(self, session_id: str, nbytes: int | None, owner: str = "") -> None:
        """Count the memory of a session; None for one that is gone. `owner` tells whose it is, if it is new."""
        self._total += (nbytes or 0) - self._held.pop(session_id, 0)
        if nbytes is not None:
            self._held[session_id] = nbytes
        if self._shares is not None:
            self._shares.hold(session_id, nbytes, owner)

    def _expire(self) -> None:
        """Let go of what is over its time; where nothing is, this is a look at the two that come first."""
        now, kept = self._clock(), 0
        while len(self._sessions) > kept:
            first = next(iter(self._sessions.values()))
            if first.expires_at > now:
                break
            if first.id in self._reserved or first.id in self._pins:
                self._sessions.move_to_end(first.id)
                kept += 1
                continue
            del self._sessions[first.id], self._histories[first.id]
            self._hold(first.id, None)
            self._expired[first.id] = (first.expires_at, first.owner)
        while self._replies:
            key, (until, _) = next(iter(self._replies.items()))
            if until > now:
                break
            self._forget(key)
        while self._expired:
            expired_at, _ = next(iter(self._expired.values()))
            if expired_at > now - EXPIRED_KEPT_SECONDS and len(self._expired) <= EXPIRED_KEPT:
                break
            self._expired.popitem(last=False)

    def _full(self, setting: str, estimate: int) -> Full:
        limit = getattr(self._settings, setting)
        what = "sessions" if setting == "max_sessions" else "bytes held by sessions"
        first = next(iter(self._sessions.values()), None)
        wait = 1 if first is None else max(1, min(60, round(first.expires_at - self._clock())))
        return Full(
            f"this server has no room: {estimate:,} {what} would be more than its limit of {limit:,}",
            retry_after=wait, limit=limit, estimate=estimate, setting=f"GRADSTEP_{setting.upper()}",
        )  # fmt: skip
