"""The store in Valkey: each change of a session is one script there, so that it is done wholly or not at all.

A process has the sessions that it works on at hand, and asks what has changed since. A change is made to the history at
hand, and what it comes to is written, if the session is still at the version from before it; otherwise, or where the
answer is lost, what is at hand is let go of, and read again.
"""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from app.engine.curves import Curve
from app.errors import (
    Full,
    LimitExceeded,
    RevisionGone,
    SessionCorrupt,
    SessionExpired,
    SessionNotFound,
    StoreAway,
)
from app.sessions.history import History
from app.sessions.revisions import Revision
from app.sessions.session import Session
from app.sessions.store import REPLIES_KEPT_SECONDS, Conflict, Reply
from app.sessions.valkey import keys
from app.sessions.valkey.cache import Cache, Cached
from app.sessions.valkey.client import RETRY_AFTER_SECONDS, Client, script
from app.sessions.valkey.places import Due, Places
from app.sessions.valkey.recorded import Fields, Recorded
from app.sessions.valkey.records import Damaged, Kept, check, seal
from app.sessions.valkey.replies import pack_reply, unpack_reply
from app.settings import Settings

T = TypeVar("T")
SLAB = 64 * 1024  # bytes of room beyond what is asked for, so that most changes need not ask
LARGE = 256 * 1024  # bytes, from which on packing and checking are done outside the event loop
HUGE = 16 * 2**20  # bytes, from which on reading is given more time
LARGEST = 500 * 2**20  # bytes of one value, of which Valkey takes 512 MiB
HOLD_SECONDS = 120  # that a session is kept from expiring at a time
TEND_SECONDS = 30
_REPLY_BYTES = 1_000  # beside its body
_AT_ONCE = 16  # sessions that are read at once for a list
_DAY = 24 * 3600
_LOAD, _WRITE, _DELETE, _HOLD, _LOOK = map(script, ("load", "write", "delete", "hold", "look"))
_PLAIN = ("version", "owner", "expires", "created", "room")

log = logging.getLogger("gradstep")


class ValkeyStore:
    """Sessions in the Valkey at a URL. `slab` is how much more room is taken than is asked for."""

    def __init__(self, url: str, settings: Settings, clock: Callable[[], float], slab: int = SLAB) -> None:
        self.client = Client(url)
        self.places = Places(self.client, settings, clock)
        self.name = secrets.token_hex(8)  # this process's
        self._settings, self._clock, self._slab = settings, clock, slab
        self._cache = Cache(settings.cache_bytes)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._failed_at = 0.0
        self._secret: bytes | None = None
        self._pins: Counter[str] = Counter()
        self._reserved: set[str] = set()
        self._granted: dict[str, int] = {}
        self._owed: set[str] = set()  # sessions whose places may be wrong
        self._tending: asyncio.Task[None] | None = None

    @property
    def secret(self) -> bytes:
        """The same in every process; raises StoreAway where the store has not been reached yet."""
        if self._secret is None:
            raise StoreAway("the store of the sessions has not been reached yet", retry_after=RETRY_AFTER_SECONDS)
        return self._secret

    async def open(self) -> None:
        with suppress(StoreAway):
            await self._agree()
        self._tending = asyncio.create_task(self._tend())

    async def close(self) -> None:
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait([self._tending])
        await self.client.close()

    async def ready(self) -> None:
        await self.client.call("PING")
        if self._secret is None:
            await self._agree()

    async def reserve(self, session_id: str, nbytes: int, owner: str = "") -> None:
        key = keys.of_session(session_id)
        cached = self._cache.get(session_id)
        self._reserved.add(session_id)
        try:
            if cached is not None and cached.session.expires_at <= self._clock() + HOLD_SECONDS:
                await self._hold(key)
            wanted = nbytes if cached is None else nbytes + cached.past
            if cached is None or wanted > self._granted.get(session_id, cached.room):
                with self._owing(session_id):
                    self._granted[session_id] = await self._take(session_id, owner, wanted, further=cached is None)
        except BaseException:
            self._reserved.discard(session_id)
            raise

    async def _take(self, session_id: str, owner: str, nbytes: int, *, further: bool) -> int:
        """Take room, if need be after sessions that are over their time have given theirs back."""
        try:
            return await self.places.take(session_id, owner, nbytes, self._slab, further=further)
        except Full:
            if not await self.sweep():
                raise
        return await self.places.take(session_id, owner, nbytes, self._slab, further=further)

    async def release(self, session_id: str) -> None:
        self._reserved.discard(session_id)
        if self._granted.pop(session_id, None) is not None or self._expires_soon(session_id):
            await self._make_agree(session_id)

    async def pin(self, session_id: str) -> None:
        await self._hold(keys.of_session(session_id), self._here(session_id))
        self._pins[session_id] += 1

    async def unpin(self, session_id: str) -> None:
        self._pins[session_id] -= 1
        if self._pins[session_id] <= 0:
            del self._pins[session_id]
            await self._make_agree(session_id)

    async def create(
        self, session: Session, first: Revision, ancestors: Sequence[Curve] = (), reply: Reply | None = None
    ) -> None:
        with self._owing(session.id):
            history = Recorded(first, self._settings.max_history, ancestors)
            made = Cached(session, history, 0, _kept((0, 0, 0), reply, self._clock()))
            await self._write(made, None, reply)
        self._cache.put(made)
        await self._settle(made)

    async def load(self, session_id: str, owner: str | None = None) -> Session:
        lock = self._locks.get(session_id)
        if lock is None or not lock.locked():
            cached = self._cache.get(session_id)
            known = None if cached is None else cached.session
            answer = await self._ask(session_id, owner, known)
            if known is not None and answer[0] == b"same":
                return known
            async with self._alone(session_id):
                now = self._cache.get(session_id)
                if now is cached and (now is None or now.session is known):  # or else it was read by now
                    return (await self._read(session_id, answer, cached)).session
        async with self._alone(session_id):
            return (await self._latest(session_id, owner)).session

    async def history(self, session_id: str) -> History:
        """As it was when the session was last loaded, or later."""
        lock, cached = self._locks.get(session_id), self._cache.get(session_id)
        if cached is not None and (lock is None or not lock.locked()) and not self._expires_soon(session_id):
            return cached.history
        async with self._alone(session_id):
            return (await self._latest(session_id)).history

    async def commit(self, session: Session, revision: Revision | None, after: int, reply: Reply | None = None) -> None:
        with self._owing(session.id):
            granted, cached = await self._commit(session, revision, after, reply)
        self._reserved.discard(session.id)
        self._granted.pop(session.id, None)
        if cached.room != granted:
            await self._settle(cached)

    async def _commit(
        self, session: Session, revision: Revision | None, after: int, reply: Reply | None
    ) -> tuple[int, Cached]:
        """What `commit` does, but for the place; the bytes that this has, and what is at hand."""
        async with self._alone(session.id):
            cached = self._cache.get(session.id)
            if cached is None or cached.session.version != session.version - 1:
                cached = await self._latest(session.id)
            if cached.session.version != session.version - 1:
                raise Conflict
            before = cached.session
            try:
                if revision is None:
                    cached.history.revive(session.revision, session.state)
                else:
                    cached.history.append(revision, after)
                cached.session, cached.kept = session, _kept(cached.kept, reply, self._clock())
                granted = self._granted.get(session.id, cached.room)
                await self._write(cached, before, reply)
            except BaseException:
                self._cache.drop(session.id)
                raise
            self._cache.put(cached)
            return granted, cached

    async def remember(self, session_id: str, revision: int, digest: str) -> None:
        """It is kept at hand, and stored with the next change."""
        cached = self._cache.get(session_id)
        if cached is not None:
            with suppress(RevisionGone):
                cached.history.remember(revision, digest)

    async def delete(self, session_id: str, version: int, reply: Reply | None = None) -> None:
        all_keys, args = _with_reply(keys.of_session(session_id), reply)
        with self._owing(session_id):
            self._cache.drop(session_id)
            _check(await self.client.run(_DELETE, all_keys, version, self._clock(), self._here(session_id), *args))
        await self._make_agree(session_id)

    async def reply(self, session_id: str, key: str) -> Reply | None:
        value = await self.client.call("GET", keys.reply(session_id, key))
        try:
            return None if value is None else unpack_reply(value)
        except ValueError as error:
            raise SessionCorrupt(str(error)) from error

    async def keep(self, session_id: str, reply: Reply) -> Reply:
        key, kept_for = keys.reply(session_id, reply.key), 1000 * REPLIES_KEPT_SECONDS
        if await self.client.call("SET", key, pack_reply(reply), "NX", "PX", kept_for):
            return reply
        return await self.reply(session_id, reply.key) or reply

    async def count(self) -> int:
        await self.sweep()
        return await self.places.count()

    async def sweep(self) -> int:
        """Look at the sessions that are due, and free the places of those that are gone; how many those were."""
        return sum([await self._look(due) for due in await self.places.due() if due.id not in self._reserved])

    async def tend(self) -> None:
        """What is to be done time and again. Raises StoreAway."""
        await self._agree()
        for session_id in [*self._pins, *filter(self._expires_soon, self._reserved)]:
            with suppress(SessionNotFound, SessionExpired):
                await self._hold(keys.of_session(session_id), self._here(session_id))
        for session_id in list(self._owed):
            self._owed.discard(session_id)
            await self._make_agree(session_id)
        await self.sweep()

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_SECONDS if self._secret else RETRY_AFTER_SECONDS)
            try:
                await self.tend()
            except StoreAway:
                pass
            except Exception:
                log.exception("the places of the sessions could not be tended")

    async def _agree(self) -> None:
        """Have one secret with all others, though the store may have lost what it had."""
        await self.client.call("SET", keys.SECRET, self._secret or secrets.token_bytes(32), "NX")
        self._secret = await self.client.call("GET", keys.SECRET)

    def _here(self, session_id: str) -> int:
        """Whether this process keeps a session from expiring."""
        return int(session_id in self._reserved or session_id in self._pins)

    def _expires_soon(self, session_id: str) -> bool:
        """Whether what is at hand is about to expire, as far as this process knows."""
        cached = self._cache.get(session_id)
        return cached is not None and cached.session.expires_at <= self._clock() + HOLD_SECONDS

    async def _hold(self, key: Sequence[str], here: int = 0) -> None:
        """Keep a session from expiring for a while."""
        now = self._clock()
        _check(
            await self.client.run(_HOLD, key, now, here, self.name, now + HOLD_SECONDS, 1000 * HOLD_SECONDS, again=True)
        )

    @asynccontextmanager
    async def _alone(self, session_id: str) -> AsyncIterator[None]:
        """One at a time in this process. Who waited while the store could not be reached need not try by himself."""
        lock, asked_at = self._locks.setdefault(session_id, asyncio.Lock()), time.monotonic()
        async with lock:
            if self._failed_at > asked_at:
                raise StoreAway("the store of the sessions cannot be reached", retry_after=RETRY_AFTER_SECONDS)
            try:
                yield
            except StoreAway:
                self._failed_at = time.monotonic()
                raise

    @contextmanager
    def _owing(self, session_id: str) -> Iterator[None]:
        """Look at a session's place later, where nobody knows what has been done."""
        try:
            yield
        except (StoreAway, asyncio.CancelledError):
            self._owed.add(session_id)
            raise

    async def _ask(self, session_id: str, owner: str | None, known: Session | None) -> list[Any]:
        """What is stored, or what has changed of it. Raises SessionNotFound or SessionExpired."""
        whose = "" if owner is None else f"={owner}"
        args = (whose, self._clock(), self._here(session_id), "" if known is None else known.version)
        all_keys, stamp = keys.of_session(session_id), _stamp(known)
        answer = await self.client.run(_LOAD, all_keys, *args, HUGE, stamp, again=True)
        if answer[0] == b"huge":  # and takes longer
            answer = await self.client.run(_LOAD, all_keys, *args, "inf", stamp, again=True, nbytes=int(answer[1]))
        if answer[0] in (b"none", b"expired"):
            if known is not None and owner in (None, known.owner):
                self._cache.drop(session_id)
            _check(answer)
        return answer

    async def _latest(self, session_id: str, owner: str | None = None) -> Cached:
        """The session as it is stored, at hand."""
        cached = self._cache.get(session_id)
        answer = await self._ask(session_id, owner, None if cached is None else cached.session)
        return await self._read(session_id, answer, cached)

    async def _read(self, session_id: str, answer: list[Any], cached: Cached | None) -> Cached:
        """Bring what is at hand up to date. Raises SessionCorrupt."""
        kind, *rest = answer
        if cached is not None and kind == b"same":
            return cached
        self._cache.drop(session_id)  # until it is in order again
        try:
            if cached is not None and kind == b"changed":
                names, values, gone = rest
                contents = await _outside(_size(values), lambda: _contents(session_id, zip(names, values, strict=True)))
                head = cached.history.follow(contents, map(bytes.decode, gone))
                cached.session, cached.room, cached.kept = head.session, head.room, head.kept
            else:
                cached = await _outside(_size(rest[0]), lambda: self._whole(session_id, rest[0]))
        except Damaged as error:
            log.error("what is stored of the session %s cannot be read: %s", session_id, error)
            raise SessionCorrupt("what is stored of this session cannot be read") from error
        self._cache.put(cached)
        return cached

    def _whole(self, session_id: str, pairs: list[bytes]) -> Cached:
        history = Recorded(None, self._settings.max_history)
        plain = dict(zip(pairs[::2], pairs[1::2], strict=True))
        version = plain[b"version"]
        head = history.follow(_contents(session_id, plain.items()))
        if (head.session.id, b"%d" % head.session.version) != (session_id, version):
            raise Damaged("it is another's, or of another version")
        return Cached(head.session, history, head.room, head.kept)

    async def _write(self, cached: Cached, before: Session | None, reply: Reply | None) -> None:
        """Store the next version of a session, or the first, with what has changed. Raises Conflict."""
        session, now = cached.session, self._clock()
        cached.room = self._room(cached)
        fields, gone = cached.history.changes(session, cached.room, cached.kept)
        sizes = [sum(map(len, pieces)) for pieces in fields.values()]
        if max(sizes) > LARGEST:
            raise LimitExceeded("", "the largest array, in bytes,", limit=LARGEST, estimate=max(sizes))
        values = await _outside(sum(sizes), lambda: _sealed(session.id, fields))
        change = "".join((*(f" {field}" for field in fields), *(f" -{field}" for field in gone)))
        values += ["room", cached.room]
        all_keys, (answer, kept_for) = _with_reply(keys.of_session(session.id), reply)
        _check(
            await self.client.run(
                _WRITE, all_keys, "" if before is None else before.version, _stamp(before), session.version,
                session.owner, now, self._here(session.id), session.created_at, session.expires_at,
                max(1, round(1000 * (session.expires_at - now))), change, answer, kept_for, len(values) // 2, *values,
                *gone, nbytes=sum(sizes),
            )
        )  # fmt: skip

    def _room(self, cached: Cached) -> int:
        """The room for a session from now on: what it has, as long as that is about right."""
        size = cached.session.nbytes + cached.past
        granted = self._granted.get(cached.session.id, cached.room)
        if size <= granted <= size + 2 * self._slab:
            return granted
        return max(size, min(granted, size + self._slab)) if granted >= size else size + self._slab

    async def _settle(self, cached: Cached) -> None:
        """Tell the places what a session has room for."""
        session = cached.session
        try:
            await self.places.settle(session.id, session.owner, cached.room, session.expires_at, session.created_at)
        except StoreAway:
            self._owed.add(session.id)
        self._reserved.discard(session.id)
        self._granted.pop(session.id, None)

    async def _make_agree(self, session_id: str) -> None:
        """Let a session's place be what the session says, now or, if the store is away, later."""
        try:
            for due in await self.places.due(session_id):
                await self._look(due)
        except StoreAway:
            self._owed.add(session_id)

    async def _look(self, due: Due) -> bool:
        """Look whether a session is still there; whether it is gone."""
        here = self._here(due.id)
        kind, *rest = await self.client.run(
            _LOOK, keys.of_session(due.id), self._clock(), here, "" if here else self.name, again=True
        )
        if kind == b"there":
            again, owner, created_at, room = rest
            await self.places.put_off(due, owner.decode(), int(room), float(again), float(created_at))
            return False
        self._cache.drop(due.id)
        await self.places.free(due)
        return True

    async def _find(self, session_id: str, owner: str) -> Session | None:
        """A session for a list, which may be gone."""
        with suppress(SessionNotFound, SessionExpired, SessionCorrupt):
            return await self.load(session_id, owner)
        return None

    async def list(self, owner: str, limit: int, after: tuple[float, str] | None = None) -> list[Session]:
        found, skip = list[Session](), 0
        while len(found) < limit:
            page = await self.places.list(owner, after, skip, _AT_ONCE)
            later = [session_id for created_at, session_id in page if after is None or (created_at, session_id) > after]
            found += filter(None, await asyncio.gather(*[self._find(session_id, owner) for session_id in later]))
            if len(page) < _AT_ONCE:
                break
            skip += len(page)
        return found[:limit]


def _check(answer: list[Any]) -> None:
    """Raise what a script refuses with."""
    kind = answer[0]
    if kind == b"conflict":
        raise Conflict
    if kind == b"expired":
        expired_at = float(answer[1])
        raise SessionExpired("this session was not changed for too long and is gone", expired_at=expired_at)
    if kind == b"none":
        raise SessionNotFound("no session has this id")


def _stamp(session: Session | None) -> str:
    """What a version of a session has beside its number that no other has: see `find.lua`."""
    return "" if session is None else f"{session.created_at!r}/{session.expires_at!r}"


def _kept(kept: Kept, reply: Reply | None, now: float) -> Kept:
    """The bytes of stored answers, today's and yesterday's, with another one."""
    today, (day, new, old) = int(now // _DAY), kept
    if today != day:
        new, old = 0, new if today == day + 1 else 0
    return today, new + (0 if reply is None else _REPLY_BYTES + len(reply.body)), old


def _with_reply(session_keys: list[str], reply: Reply | None) -> tuple[list[str], tuple[bytes, int]]:
    """The keys, and what a script is told of an answer."""
    if reply is None:
        return session_keys, (b"", 0)
    return [*session_keys, f"{session_keys[0]}:reply:{reply.key}"], (pack_reply(reply), 1000 * REPLIES_KEPT_SECONDS)


def _sealed(session_id: str, fields: Fields) -> list[Any]:
    """Fields and values, in turn."""
    return [item for field, pieces in fields.items() for item in (field, seal(session_id, field, pieces))]


def _contents(session_id: str, fields: Iterable[tuple[bytes, bytes | None]]) -> dict[str, memoryview]:
    """The contents of fields, as far as they have checksums. Raises Damaged."""
    named = ((name.decode(), value) for name, value in fields)
    return {name: check(session_id, name, value) for name, value in named if name not in _PLAIN}


def _size(values: Iterable[bytes | None]) -> int:
    return sum(len(value or b"") for value in values)


async def _outside(nbytes: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes in the event loop, or, where they are many, outside it."""
    return work() if nbytes <= LARGE else await asyncio.to_thread(work)
