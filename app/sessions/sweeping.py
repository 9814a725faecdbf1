"""Sweeps, carried out: each fork is trained, some at once, and the run says how they went."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from app.engine.curves import Curve
from app.engine.plan import Ending, Stopped
from app.errors import Full, GradstepError, StoreAway, TrainingFailed
from app.sessions.lane import RETRY_AFTER_SECONDS
from app.sessions.operations import Train
from app.sessions.runs import Run, Status
from app.sessions.session import to_json

POINTS = 100  # of each fork's curve that are kept
_ITEM_BYTES = 500

log = logging.getLogger("gradstep")


@dataclass
class Item:
    """One session of a sweep: what it varies, and, once that is there, how its training went."""

    session: str
    settings: dict[str, Any]
    training: Train
    stopped: Stopped | None = None
    failure: GradstepError | None = None
    curve: Curve | None = None

    @property
    def is_over(self) -> bool:
        """Whether its training has ended, or could not begin."""
        return self.stopped is not None or self.failure is not None

    @property
    def nbytes(self) -> int:
        """The memory that it holds."""
        curve = 0 if self.curve is None else int(self.curve.rows.nbytes)
        return _ITEM_BYTES + len(to_json(self.settings)) + curve


class SweepRun(Run):
    """A sweep under way, or how it went. It has no entries of its own, and makes no revision."""

    def __init__(
        self, session_id: str, items: Sequence[Item], epochs: int, now: float, run_id: str | None = None
    ) -> None:
        super().__init__(session_id, 0, epochs * len(items), now, run_id)
        self.items = items

    @property
    def nbytes(self) -> int:
        """The memory of its items."""
        return sum(item.nbytes for item in self.items)

    def complete(self, status: Status, now: float) -> None:
        """It has ended."""
        self.status = status
        self._end(now)


class Begin(Protocol):
    """Begins the training of a session, which is not refused where the queue is full."""

    def __call__(self, session_id: str, operation: Train, *, patient: bool, key: str | None = None) -> Awaitable[Run]:
        """The run, to be waited for."""


class End(Protocol):
    """Asks a run to end."""

    def __call__(self, run: Run, ending: Ending) -> Awaitable[None]:
        """It has been asked."""


async def carry_out(run: SweepRun, begin: Begin, end: End, at_once: int, clock: Callable[[], float]) -> None:
    """Train each session of a sweep that has not been yet, so many at once.

    What ends the sweep early ends those under way.
    """
    run.begin(clock())
    children: set[Run] = set()
    gate, ended = asyncio.Semaphore(at_once), asyncio.Event()

    async def pass_endings_on() -> None:
        while True:
            ending = await run.endings.get()
            ended.set()
            for child in [*children]:
                await end(child, ending)

    async def train(item: Item) -> None:
        async with gate:
            child = await _begin(run, item, begin, ended)
            if child is None:
                return
            children.add(child)
            if run.ending is not None:  # it came in between
                await end(child, run.ending)
            await child.end()
            children.discard(child)
            item.stopped, item.failure = child.stopped, child.failure
            if (piece := child.since(0)) is not None:
                item.curve = piece.curve.thinned(POINTS)
            run.advance(run.epochs_done + child.epochs_done)

    watch = asyncio.create_task(pass_endings_on())
    status: Status = "cancelled"
    try:
        async with asyncio.TaskGroup() as group:
            for item in run.items:
                if not item.is_over:
                    group.create_task(train(item))
        if run.ending is None:
            status = "finished"
    finally:
        for child in children:  # the server is stopping
            child.end_early(Ending("cancelled"))
        watch.cancel()
        await asyncio.wait([watch])
        run.complete(status, clock())


async def _begin(run: Run, item: Item, begin: Begin, ended: asyncio.Event) -> Run | None:
    """Begin an item's training as soon as there is room for it; None where it cannot be, or the sweep has ended."""
    while run.ending is None:
        try:
            return await begin(item.session, item.training, patient=True)
        except (Full, StoreAway) as unavailable:
            with suppress(TimeoutError):
                async with asyncio.timeout(unavailable.retry_after):
                    await ended.wait()
        except GradstepError as error:
            item.failure = error
            break
        except Exception as error:
            log.error("a fault while beginning to train the session %s", item.session, exc_info=error)
            item.failure = TrainingFailed("something went wrong here", retry_after=RETRY_AFTER_SECONDS)
            break
    return None
