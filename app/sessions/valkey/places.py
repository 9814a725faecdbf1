"""The places that sessions have, counted by all processes together: no more sessions and bytes than the ceilings allow.

A session lies on one node of a cluster and its place on another, so that no script changes both. What a session says
itself is right, and its place is made to agree: at once, as a rule, and otherwise when it is next to be looked at.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from app.errors import Full, QuotaExceeded
from app.sessions.valkey import keys
from app.sessions.valkey.client import Client, script
from app.settings import Settings

PLACE_SECONDS = 120  # that a place is kept for a session that is still to be made, after a crash
_DUE_AT_ONCE = 1_000
_SHARED = [keys.BYTES, keys.OWNERS, keys.TOTALS, keys.EXPIRY]
_PLACE, _SETTLE, _DUE = (script(name, about_a_session=False) for name in ("place", "settle", "due"))
_WORDS = {
    "max_sessions": "sessions", "max_bytes": "bytes held by sessions",
    "owner_sessions": "sessions of one key", "owner_bytes": "bytes held by the sessions of one key",
}  # fmt: skip


class Due(NamedTuple):
    """A session that is to be looked at; `score` says when, as the store has it."""

    id: str
    score: bytes
    owner: str


class Places:
    """The places of all sessions. Every method may raise StoreAway."""

    def __init__(self, client: Client, settings: Settings, clock: Callable[[], float]) -> None:
        self._client, self._settings, self._clock = client, settings, clock

    async def take(self, session_id: str, owner: str, nbytes: int, slab: int, *, further: bool) -> int:
        """Hold so many bytes for a session (`further`: beside those it has), and up to `slab` more; how many it has.

        `owner` is whose it will be, if it is new. Raises Full, or QuotaExceeded.
        """
        settings, now = self._settings, self._clock()
        outcome, *rest = await self._client.run(
            _PLACE, _SHARED, session_id, owner, nbytes, slab, int(further), now, now + PLACE_SECONDS,
            settings.max_sessions, settings.max_bytes, settings.owner_sessions, settings.owner_bytes,
            again=not further,
        )  # fmt: skip
        if outcome == b"done":
            return int(rest[0])
        setting, estimate, soonest = rest[0].decode(), int(rest[1]), float(rest[2])
        limit = getattr(settings, setting)
        detail = f"there is no room: {estimate:,} {_WORDS[setting]} would be more than the limit of {limit:,}"
        kind = QuotaExceeded if setting.startswith("owner") else Full
        raise kind(
            detail, retry_after=max(1, min(60, round(soonest - now))), limit=limit, estimate=estimate,
            setting=f"GRADSTEP_{setting.upper()}",
        )  # fmt: skip

    async def settle(self, session_id: str, owner: str, nbytes: int, again: float, created_at: float) -> None:
        """A session is there, and has so many bytes; it is to be looked at again at a time."""
        await self._settle(session_id, owner, nbytes, again, created_at)

    async def free(self, due: Due) -> None:
        """A session is gone, unless it has come back since it was found to be due."""
        await self._settle(due.id, due.owner, "", "", "", due.score)

    async def put_off(self, due: Due, owner: str, nbytes: int, again: float, created_at: float) -> None:
        """A session that was due is still there."""
        await self._settle(due.id, owner, nbytes, again, created_at, due.score)

    async def due(self, *session_ids: str) -> list[Due]:
        """The sessions that are to be looked at by now, or these, as far as they have places."""
        answer = await self._client.run(_DUE, _SHARED, self._clock(), _DUE_AT_ONCE, *session_ids, again=True)
        values = iter(answer)
        return [Due(one[0].decode(), one[1], one[2].decode()) for one in iter(lambda: tuple(islice(values, 3)), ())]

    async def count(self) -> int:
        """How many sessions there are."""
        return int(await self._client.call("HGET", keys.TOTALS, "sessions") or 0)

    async def _settle(self, session_id: str, owner: str, *args: object) -> None:
        await self._client.run(
            _SETTLE, [*_SHARED, keys.created(owner)], session_id, owner, *args, *[""] * (4 - len(args)), again=True
        )

    async def list(self, owner: str, after: tuple[float, str] | None, skip: int, count: int) -> list[tuple[float, str]]:
        """Some of an owner's sessions, by when they were made, from where others were made at the same time on."""
        start = "-inf" if after is None else after[0]
        found = await self._client.call(
            "ZRANGE", keys.created(owner), start, "+inf", "BYSCORE", "LIMIT", skip, count, "WITHSCORES"
        )
        return list(_places(found))


def _places(found: list[bytes]) -> Iterator[tuple[float, str]]:
    """The pairs in an answer with scores."""
    for index in range(0, len(found), 2):
        yield float(found[index + 1]), found[index].decode()
