"""Runs: trainings that go on by themselves, how far they are, and the entries that they have made so far.

A run keeps its entries once, in a table that grows; each reader goes through it at its own pace, from wherever it
likes. Nothing waits for a reader, and nothing is kept for one.
"""

import asyncio
import secrets
import sys
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.engine.curves import Curve
from app.engine.entries import Entry
from app.engine.plan import Ending, Stopped
from app.errors import GradstepError, NotFound
from app.sessions.session import Session

Status = Literal["queued", "running", "finished", "stopped", "cancelled", "failed"]
_STATUS: dict[str, Status] = {"epochs": "finished", "cancelled": "cancelled", "disconnected": "cancelled"}
KEPT, KEPT_OF_SESSION = 10_000, 100  # runs that have ended
FORGOTTEN = "the session has no such run, or it is too long ago and was forgotten"
_FIRST_ROWS = 64
_TEXTS_KEPT = 4


class Piece(NamedTuple):
    """Entries of a run in a row, and for each the text of what it shows beside its numbers, if it shows anything."""

    curve: Curve
    parts: Sequence[bytes]


class Run:
    """One training under way, or how it went.

    Attributes:
        created_at, started_at, ended_at: seconds since 1970; the latter two None before that.
        epochs_done, epochs_total: of this training.
        loss: of the last entry.
        stopped: why it ended; None before that, and where it failed.
        failure: why it failed.
        epochs_before: the session's count of epochs when it was begun.
        was_cut: the steps and epochs that it went back to, where entries that had been there were taken out: a reader
            may have had them.
        revision: the session's revision that it made.
        is_awaited: whether somebody waits for it who wants the `session` that it has come to.
        ending: what is to end it early, the last that came.
    """

    def __init__(self, session_id: str, epochs: int, total: int, now: float, run_id: str | None = None) -> None:
        self.id = run_id or secrets.token_hex(8)
        self.session_id = session_id
        self.created_at = now
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.status: Status = "queued"
        self.epochs_done, self.epochs_total = 0, total
        self.loss: float | None = None
        self.stopped: Stopped | None = None
        self.failure: GradstepError | None = None
        self.revision: int | None = None
        self.ending: Ending | None = None
        self.endings: asyncio.Queue[Ending] = asyncio.Queue()  # for whoever is at it
        self.epochs_before = epochs
        self._columns: tuple[str, ...] = ()
        self._rows: NDArray[np.float64] = np.empty((0, 0))
        self._parts: list[bytes] = []
        self._changed = asyncio.Event()
        self.was_cut: tuple[int, int] | None = None
        self.session: Session | None = None
        self.is_awaited = False
        self._written: dict[Hashable, bytes] = {}
        self.count = 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.ended_at is not None

    @property
    def epochs(self) -> int:
        """The session's count of epochs, with those that it has done."""
        return self.epochs_before + self.epochs_done

    @property
    def nbytes(self) -> int:
        """The memory of its entries."""
        return int(self._rows.nbytes) + sum(map(len, self._parts))

    def begin(self, now: float) -> None:
        """It is at work, or at work again."""
        self.status, self.started_at = "running", self.started_at or now
        self.tell()

    def add(self, curve: Curve, parts: Sequence[bytes] = ()) -> None:
        """Put in entries of epochs that have ended."""
        stop = self.count + len(curve.rows)
        if stop > len(self._rows):
            rows = np.empty((max(stop, 2 * len(self._rows), _FIRST_ROWS), len(curve.columns)))
            if self.count:
                rows[: self.count] = self._rows[: self.count]
            self._columns, self._rows = curve.columns, rows
        self._rows[self.count : stop] = curve.rows
        self._parts += parts
        self.count = stop
        last = curve.rows[-1]
        self.loss = float(last[curve.columns.index("loss")])
        self.advance(int(last[curve.columns.index("epoch")]))

    def advance(self, epochs: int) -> None:
        """The session would have had so many epochs by now."""
        self.epochs_done = max(self.epochs_done, epochs - self.epochs_before)
        self.tell()

    def cut(self, steps: int, epochs: int) -> None:
        """Go back to where the session has had so many steps and epochs: the entries of what came after are lost."""
        self.epochs_done = epochs - self.epochs_before
        if self.count:
            column = self._rows[: self.count, self._columns.index("steps")]
            count, self.count = self.count, int(np.searchsorted(column, steps, "right"))
            if self.count < count:
                self.was_cut = steps, epochs
            del self._parts[self.count :]
            self.loss = float(self._rows[self.count - 1, self._columns.index("loss")]) if self.count else None

    def settle(self) -> Curve | None:
        """All entries, now that there will be no more; None without any."""
        self._rows = self._rows[: self.count].copy()
        return Curve(self._columns, self._rows) if self.count else None

    def finish(self, stopped: Stopped, revision: int | None, now: float) -> None:
        """It has ended, and the session stands at a revision of its own."""
        self.status, self.stopped, self.revision = _STATUS.get(stopped["reason"], "stopped"), stopped, revision
        self.epochs_done = max(0, stopped["epoch"] - self.epochs_before)
        self._end(now)

    def fail(self, failure: GradstepError, revision: int | None, now: float) -> None:
        """It has ended for a reason that nobody wished; what was saved of it is a revision."""
        self.status, self.failure, self.revision = "failed", failure, revision
        self._end(now)

    def end_early(self, ending: Ending) -> None:
        """Ask it to end."""
        if not self.is_over:
            self.ending = ending
            self.endings.put_nowait(ending)

    def since(self, position: int, most: int = sys.maxsize, nbytes: int = sys.maxsize) -> Piece | None:
        """The entries from a position on, so many at most, and no more once their parts are so long.

        None where there are no more yet.
        """
        if position >= self.count:
            return None
        stop = min(self.count, position + most)
        parts = self._parts[position:stop]
        if parts:
            lengths = list(accumulate(map(len, parts)))
            stop = min(stop, position + bisect_left(lengths, nbytes) + 1)
        return Piece(Curve(self._columns, self._rows[position:stop]), parts[: stop - position])

    def entries(self) -> list[Entry]:
        """All of them so far, one by one."""
        piece = self.since(0)
        return piece.curve.entries() if piece else []

    def written(self, what: Hashable, write: Callable[[], bytes]) -> bytes:
        """Some of it as text, for readers who are at the same place: while it goes on, the last few are kept."""
        text = self._written.get(what)
        if text is None:
            text = write()
            if not self.is_over:
                while len(self._written) >= _TEXTS_KEPT:
                    del self._written[next(iter(self._written))]
                self._written[what] = text
        return text

    def after(self, epoch: int) -> int:
        """The position of the first entry of a later epoch."""
        if not self.count:
            return 0
        return int(np.searchsorted(self._rows[: self.count, self._columns.index("epoch")], epoch, "right"))

    async def change(self) -> None:
        """Wait for something new: entries, another status."""
        await self._changed.wait()

    async def end(self) -> None:
        """Wait until it is over."""
        while not self.is_over:
            await self.change()

    def tell(self) -> None:
        """Let those go on who wait for something new."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _end(self, now: float) -> None:
        self._written.clear()
        self.ended_at = now
        self.tell()


class RunStore(Protocol):
    """Where the runs of sessions are found, whichever process is at them. Every method may raise StoreAway."""

    async def of(self, session_id: str) -> list[Run]:
        """The runs of a session, oldest first, as far as they are now."""

    async def find(self, session_id: str, run_id: str) -> Run:
        """One of them, as far as it is now. Raises NotFound."""

    async def follow(self, session_id: str, run_id: str) -> Run:
        """One of them with its entries, to be waited for: it goes on for as long as somebody holds it."""

    async def end(self, run: Run, ending: Ending) -> None:
        """Ask a run to end; nothing where it is over."""

    def end_soon(self, run: Run, ending: Ending) -> None:
        """Ask it, and do not wait until it has been asked."""

    async def forget(self, session_id: str) -> None:
        """A session is gone, and so are its runs; one that is under way trains others, and is to end."""

    def all(self) -> Iterable[Run]:
        """The runs that this process remembers, or is at."""


class Runs:
    """The runs of all sessions, oldest first. Those that have ended are forgotten where they would be too many.

    `max_bytes` is the memory that those which have ended may hold together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._runs: dict[str, dict[str, Run]] = {}
        self._ended: dict[Run, int] = {}  # with their memory, in the order in which they ended
        self._nbytes = 0

    def add(self, run: Run) -> None:
        """Put in a new run."""
        self._runs.setdefault(run.session_id, {})[run.id] = run

    def ended(self, run: Run) -> None:
        """A run is over: it may be forgotten from now on."""
        runs = self._runs.get(run.session_id, {})
        if run.id not in runs:  # its session is gone
            return
        self._ended[run] = run.nbytes
        self._nbytes += run.nbytes
        over = [other for other in runs.values() if other.is_over]
        if len(over) > KEPT_OF_SESSION:
            self._drop(over[0])
        while len(self._ended) > KEPT or (self._nbytes > self._max_bytes and len(self._ended) > 1):
            self._drop(next(iter(self._ended)))

    async def of(self, session_id: str) -> list[Run]:
        return list(self._runs.get(session_id, {}).values())

    async def find(self, session_id: str, run_id: str) -> Run:
        run = self._runs.get(session_id, {}).get(run_id)
        if run is None:
            raise NotFound(FORGOTTEN)
        return run

    follow = find

    async def end(self, run: Run, ending: Ending) -> None:
        run.end_early(ending)

    def end_soon(self, run: Run, ending: Ending) -> None:
        run.end_early(ending)

    async def forget(self, session_id: str) -> None:
        for run in self._runs.pop(session_id, {}).values():
            run.end_early(Ending("cancelled"))
            self._nbytes -= self._ended.pop(run, 0)

    def all(self) -> Iterator[Run]:
        return (run for runs in self._runs.values() for run in runs.values())

    def under_way(self) -> list[Run]:
        """The runs that have not ended."""
        return [run for run in self.all() if not run.is_over]

    def _drop(self, run: Run) -> None:
        self._nbytes -= self._ended.pop(run)
        runs = self._runs[run.session_id]
        del runs[run.id]
        if not runs:
            del self._runs[run.session_id]
