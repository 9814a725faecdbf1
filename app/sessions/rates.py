"""How much work each owner may ask for in a minute: counted by the library `limits`, in this process or in Valkey.

Work is counted in calls: a request is one, and one more for each `CALL_WORK` of what it asks for, before that is done.
A call that takes more than is left is let through, once, and its owner then waits for as long as the rest of it is
worth; so no training is too long ever to be begun, and over time nobody gets more than their share. What a training was
counted for and did not do is given back.
"""

import time
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import ContextVar
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.errors import StorageError

from app.errors import StoreAway, TooManyRequests
from app.settings import Settings

if TYPE_CHECKING:
    from valkey.asyncio import ConnectionPool

    from app.sessions.runs import Run

T = TypeVar("T")
CALL_WORK = 100_000  # in the units of `app.engine.cost`: 0.1 ms, as long as the smallest call takes in all
WINDOW_SECONDS = 60
WAIT_SECONDS = 2  # for Valkey, or for one of our connections to it


class Payer:
    """Who makes a request, and what they may still ask for.

    Attributes:
        name: an owner, or a client's address.
        counted: whether the request has been counted; before that, nothing is known of the rest.
        left: how many more calls they may make.
        reset: the seconds until they may make as many as ever.
    """

    __slots__ = ("counted", "left", "name", "reset")

    def __init__(self, name: str) -> None:
        self.name, self.counted, self.left, self.reset = name, False, 0, 0


PAYER: ContextVar[Payer | None] = ContextVar("payer", default=None)


class Payment(NamedTuple):
    """What somebody was counted for a piece of work, and in which minute."""

    payer: Payer
    calls: int
    window: int


class Rates:
    """Counts what the payer of the request at hand, if it has one, asks for.

    `enter` and `pay` raise StoreAway where the counts cannot be reached.
    """

    def __init__(self, settings: Settings) -> None:
        self.calls = settings.owner_rate
        self._pool = None if settings.store == "memory" else _connections(settings.store)
        options: dict[str, Any] = {"key_prefix": "gradstep:rate", "connection_pool": self._pool}
        self._storage: Storage = (
            RedisStorage("async+valkey://", wrap_exceptions=True, **options)
            if self._pool
            else MemoryStorage(wrap_exceptions=True)
        )

    async def enter(self, owner: str, *, refuse: bool = True) -> None:
        """Count a request as a call of its owner, or of its client where nobody needs a key. Raises TooManyRequests."""
        payer = PAYER.get()
        assert payer is not None
        if owner:
            payer.name = f"owner:{owner}"
        paused = await self._paused(payer)
        used = await self._count(payer, 1)
        if paused:
            payer.left, payer.reset = 0, ceil(paused)
        if refuse and (paused or used > self.calls):
            raise self._refusal(payer)

    async def pay(self, work: int) -> Payment | None:
        """Count work before it is done, unless it is too little; a None costs nothing.

        Raises TooManyRequests where nothing is left by now, for what was asked for at the same time.
        """
        payer, calls = PAYER.get(), work // CALL_WORK
        if payer is None or not calls:
            return None
        used = await self._count(payer, calls)
        if used - calls >= self.calls:
            raise self._refusal(payer)
        await self._make_wait(payer, used, calls)
        return Payment(payer, calls, _window())

    async def note(self, work: int) -> None:
        """Count work that is to be done in any case: to write an answer, maybe of a change that was made."""
        payer, calls = PAYER.get(), work // CALL_WORK
        if payer is not None and calls:
            with suppress(StoreAway):
                await self._make_wait(payer, await self._count(payer, calls), calls)

    async def refund(self, payment: Payment, share: float = 1.0) -> None:
        """Give back what was counted for a share of some work, which was not done; or not, where that cannot be."""
        with suppress(StoreAway):
            await self._refund(payment, share)

    async def settle(self, payment: Payment, run: "Run") -> None:
        """Give back what was counted for a run, once it has ended, and not done."""
        await run.end()
        await self.refund(payment, 1 - run.epochs_done / run.epochs_total)

    async def _refund(self, payment: Payment, share: float) -> None:
        payer, calls = payment.payer, int(payment.calls * share)
        if not calls:
            return
        if payment.window == _window() and await self._count(payer, -calls) < self.calls:
            await _ask(self._storage.clear(_pause(payer)))
        elif await self._paused(payer):
            await self._lengthen_pause(payer, -self._seconds(calls))

    async def close(self) -> None:
        """Let go of connections."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _count(self, payer: Payer, calls: int) -> int:
        """How many calls somebody has been counted in this minute, with these."""
        window = _window()
        used = await _ask(self._storage.incr(f"{payer.name}:{window}", WINDOW_SECONDS, calls))
        payer.counted, payer.left, payer.reset = True, max(0, self.calls - used), ceil(_rest())
        return used

    async def _make_wait(self, payer: Payer, used: int, calls: int) -> None:
        """Let somebody wait for what was too much of these calls."""
        if (too_much := min(used - self.calls, calls)) > 0:
            await self._lengthen_pause(payer, self._seconds(too_much))

    def _seconds(self, calls: int) -> float:
        return calls * WINDOW_SECONDS / self.calls

    async def _paused(self, payer: Payer) -> float:
        """For how many seconds more somebody waits; 0 where they do not."""
        if not await _ask(self._storage.get(_pause(payer))):
            return 0
        return max(1.0, await _ask(self._storage.get_expiry(_pause(payer))) - time.time())

    async def _lengthen_pause(self, payer: Payer, seconds: float) -> None:
        """Begin a pause, after this minute, or make it longer or, by a negative number, shorter.

        In two steps, between which a call may slip through.
        """
        whole = ceil((await self._paused(payer) or _rest()) + seconds)
        await _ask(self._storage.clear(_pause(payer)))
        if whole > 0:
            await _ask(self._storage.incr(_pause(payer), whole))
            payer.reset = whole

    def _refusal(self, payer: Payer) -> TooManyRequests:
        detail = f"each may make {self.calls:,} calls a minute here, of which one that is long counts as many"
        return TooManyRequests(detail, retry_after=payer.reset, limit=self.calls, setting="GRADSTEP_OWNER_RATE")


def _pause(payer: Payer) -> str:
    """The key that is there for as long as somebody waits."""
    return f"{payer.name}:pause"


def _window() -> int:
    """The number of this minute: workers whose clocks agree to a second count in the same."""
    return int(time.time() // WINDOW_SECONDS)


def _rest() -> float:
    """The seconds that are left of it."""
    return WINDOW_SECONDS - time.time() % WINDOW_SECONDS


def _connections(url: str) -> "ConnectionPool":
    from valkey.asyncio import BlockingConnectionPool

    return BlockingConnectionPool.from_url(
        url, timeout=WAIT_SECONDS, socket_timeout=WAIT_SECONDS, socket_connect_timeout=WAIT_SECONDS
    )


async def _ask(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except StorageError as error:
        raise StoreAway("the store of the sessions cannot be reached", retry_after=1) from error
