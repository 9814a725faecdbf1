"""Trainings, carried out: at once where they are small, by a worker process where they are not.

Either way a training is a pure function of the session's config, its state, its rows and the plan. What comes of it is
one new revision, however it ends: where the worker is gone, the session stands where the last checkpoint was made.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from app.engine import training
from app.engine.curves import Curve, pack
from app.engine.plan import Ending, Frame, Trained, entries_of, stopped
from app.engine.spec import Array
from app.engine.state import State
from app.errors import Full, GradstepError, TrainingFailed
from app.sessions import limits
from app.sessions.lane import RETRY_AFTER_SECONDS
from app.sessions.operations import Job, Outcome, Train, price
from app.sessions.runs import Run, Runs
from app.sessions.session import Session, live_config
from app.sessions.store import Conflict
from app.sessions.sweeping import Begin, SweepRun, carry_out
from app.sessions.workers import AHEAD, Told, Training, WorkerGone, Workers
from app.settings import Settings

BYTE_WORK = 2  # to write a byte of what an entry shows, in the units of `app.engine.cost`
GONE = "the process that was at it has ended; the session stands where its last checkpoint was"

log = logging.getLogger("gradstep")


class Parts(NamedTuple):
    """What each entry of a run shows beside its numbers: parts of the session as it then is, what the network answers.

    Attributes:
        probe: the inputs to answer to (m, inputs).
        nbytes: about how long the text for one entry is.
        write: that text.
        spec: what another process makes the same of, as JSON.
    """

    frames: bool
    probe: Array | None
    nbytes: int
    write: Callable[[Session, Frame], bytes]
    spec: bytes = b""


class Todo(NamedTuple):
    """A training that was checked and priced.

    Attributes:
        nbytes: the most that its session may hold after it.
        held: the most that is held while it goes on.
        inline: whether it is done at once, in the event loop.
    """

    session: Session
    operation: Train
    training: Training
    parts: Parts | None
    nbytes: int
    held: int
    inline: bool


class Journal(Protocol):
    """Takes down how far a training is, for other processes."""

    def begun(self) -> None:
        """A worker is at it."""

    async def told(self, curve: Curve | None, texts: Sequence[bytes], state: State | None) -> None:
        """Entries, what they show, and a checkpoint, as far as there are any."""


class Work(NamedTuple):
    """A training to be seen through.

    Attributes:
        known: entries of up to so many steps are there already, of the time before another process went on with it.
        elapsed: seconds that it had taken by then.
    """

    run: Run
    todo: Todo
    journal: Journal | None = None
    known: int = 0
    elapsed: float = 0.0


class Room(Protocol):
    """Holds room for a session to grow to so many bytes, and keeps others from changing it."""

    def __call__(self, session_id: str, nbytes: int) -> AbstractAsyncContextManager[None]:
        """To be entered and left."""


class Take(Protocol):
    """Lets a run take a session, or, with None, let go of it; raises Conflict where it was changed in between."""

    def __call__(self, session: Session, run: str | None) -> Awaitable[Session]:
        """The session after it."""


class Put(Protocol):
    """Puts what a run has come to into the store."""

    def __call__(
        self, session: Session, operation: Train, outcome: Outcome, nbytes: int, run: str
    ) -> Awaitable[Session]:
        """The session after it."""


class Read(Protocol):
    """Writes something out, in the event loop or in a thread, as its work has it."""

    def __call__(self, work: int, function: Callable[[], list[bytes]]) -> Awaitable[list[bytes]]:
        """What the function comes to."""


class Pin(Protocol):
    """Keeps sessions from expiring."""

    def __call__(self, session_ids: Sequence[str]) -> AbstractAsyncContextManager[None]:
        """To be entered and left; one that is gone already is left out."""


class Host(NamedTuple):
    """What trainings need of the sessions."""

    room: Room
    take: Take
    put: Put
    read: Read
    pin: Pin
    begin: Begin


class Trainings:
    """What begins trainings and sees them through. `clock` gives seconds since 1970.

    Attributes:
        remake: makes of a `Parts.spec` what the entries of a session's training are to show.
    """

    def __init__(self, settings: Settings, host: Host, clock: Callable[[], float]) -> None:
        self.settings, self.host, self.clock = settings, host, clock
        self.workers = Workers(settings.train_workers, settings.cancel_seconds)
        self.remake: Callable[[Session, Train, bytes], Parts | None] = lambda *_: None
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(
        self,
        session: Session,
        operation: Train,
        job: Job,
        parts: Parts | None = None,
        *,
        patient: bool = False,
        run_id: str | None = None,
    ) -> Run:
        """Begin a prepared training, which goes on by itself. A `patient` one is not refused where the queue is full.

        Raises:
            LimitExceeded: the entries with their parts would take too much memory.
            Full: there is no room for its memory, or too many trainings are waiting for a worker.
            Conflict: the session was changed in between.
        """
        todo = self._price(session, operation, job, parts)
        return await self._begin(todo, run_id or secrets.token_hex(8), patient=patient)

    async def sweep(self, run: SweepRun) -> Run:
        """Begin to train the sessions of a sweep."""
        raise NotImplementedError

    async def _begin(self, todo: Todo, run_id: str, *, patient: bool) -> Run:
        raise NotImplementedError

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on by itself."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self) -> None:
        """Begin to see to trainings, when the server starts."""

    def stop(self) -> None:
        """Let what is under way end early."""

    async def leave(self) -> None:
        """Wait for what others are to go on with, when the server stops."""

    def close(self) -> None:
        """End the workers, and with them what they are at."""
        self.workers.close()

    def _price(self, session: Session, operation: Train, job: Job, parts: Parts | None) -> Todo:
        """What a prepared training takes. Raises LimitExceeded."""
        assert job.training is not None
        task, work, nbytes = job.training, job.work, job.nbytes
        if parts is not None:
            size = entries_of(task.plan, session.state.epochs) * parts.nbytes
            limits.check_stream(self.settings, size)
            task = task._replace(plan=replace(task.plan, frames=parts.frames, probe=parts.probe))
            work, shown = price(session, task.data, task.plan)
            nbytes = shown + AHEAD * (shown - nbytes) + size  # frames are there while the next ones are made
            limits.check_bytes(self.settings, nbytes)
        return Todo(session, operation, task, parts, job.nbytes, nbytes, work <= self.settings.inline_work)

    async def _take(self, todo: Todo, run_id: str, room: AsyncExitStack) -> Todo:
        """Let a run take the session, and room for it. Raises Conflict or Full, and then the session is free again."""
        taken = await self.host.take(todo.session, run_id)
        try:
            await room.enter_async_context(self.host.room(taken.id, todo.held))
        except GradstepError:
            await self.host.take(taken, None)
            raise
        return todo._replace(session=taken)

    async def _train(self, work: Work) -> tuple[Trained, GradstepError | None]:
        """What a training comes to, or where the last checkpoint of one was whose worker is gone; and what failed.

        Raises TrainingFailed where there was no checkpoint yet.
        """
        taken = Taken(work, self.host.read)
        try:
            return await self._attempt(work, taken), None
        except WorkerGone:
            return self._gone(work, taken.state)

    async def _attempt(self, work: Work, taken: "Taken") -> Trained:
        """What a training comes to. Raises WorkerGone."""
        return await (self._train_here if work.todo.inline else self._train_away)(work, taken)

    def _gone(self, work: Work, checkpoint: State | None) -> tuple[Trained, GradstepError | None]:
        """What a training comes to whose worker is gone."""
        run, state = work.run, checkpoint or work.todo.training.state
        run.cut(state.steps, state.epochs)
        if run.ending is not None:  # it was too long at a step, and was ended for it
            return Trained(state, stopped(run.ending.reason, state)), None
        if checkpoint is None:
            raise failed(GONE)
        return Trained(state, stopped("cancelled", state)), failed(GONE)

    async def _train_here(self, work: Work, taken: "Taken") -> Trained:
        self._begun(work)
        todo = work.todo
        config, task = live_config(todo.session.config_json), todo.training
        steps = training.train(config, task.state, task.data, task.plan, time.perf_counter)
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                trained: Trained = end.value
                return trained
            await taken(Told(pack(progress.entries), progress.frames, None))

    async def _train_away(self, work: Work, taken: "Taken") -> Trained:
        run, timers = work.run, list[asyncio.TimerHandle]()

        def began() -> None:
            self._begun(work)
            assert run.started_at is not None
            seconds = self.settings.max_run_seconds - (self.clock() - run.started_at)
            timers.append(asyncio.get_running_loop().call_later(seconds, run.end_early, Ending("time_limit")))

        try:
            return await self.workers.train(work.todo.training, taken, run.endings, began)
        finally:
            for timer in timers:
                timer.cancel()

    def _begun(self, work: Work) -> None:
        work.run.begin(self.clock())
        if work.journal is not None:
            work.journal.begun()


class OwnTrainings(Trainings):
    """The trainings of a server that is one process: begun here, seen through here."""

    def __init__(self, settings: Settings, host: Host, clock: Callable[[], float]) -> None:
        super().__init__(settings, host, clock)
        self.runs = Runs(4 * settings.max_stream)
        self._at_workers = 0

    async def sweep(self, run: SweepRun) -> Run:
        self.runs.add(run)
        pinned = AsyncExitStack()
        await pinned.enter_async_context(self.host.pin([run.session_id, *(item.session for item in run.items)]))
        self.start(self._sweep(run, pinned))
        return run

    async def _sweep(self, run: SweepRun, pinned: AsyncExitStack) -> None:
        try:
            async with pinned:
                await carry_out(run, self.host.begin, self.runs.end, self.settings.train_workers, self.clock)
        finally:
            self.runs.ended(run)

    async def _begin(self, todo: Todo, run_id: str, *, patient: bool) -> Run:
        most = self.settings.train_workers + self.settings.train_queue
        if not (todo.inline or patient) and self._at_workers >= most:
            raise full()
        async with AsyncExitStack() as stack:
            todo = await self._take(todo, run_id, stack)
            run = Run(todo.session.id, todo.session.state.epochs, todo.training.plan.epochs, self.clock(), run_id)
            self.runs.add(run)
            self._at_workers += not todo.inline
            self.start(self._see_through(Work(run, todo), stack.pop_all()))
        return run

    def stop(self) -> None:
        for run in self.runs.under_way():
            run.end_early(Ending("cancelled"))

    async def _see_through(self, work: Work, room: AsyncExitStack) -> None:
        """Train, and put what comes of it into the store."""
        run, todo = work.run, work.todo
        trained, failure, revision = None, None, None
        try:
            async with room:
                trained, failure = await self._train(work)
                outcome = Outcome({"state": trained.state}, None, run.settle())
                after = await self.host.put(todo.session, todo.operation, outcome, todo.nbytes, run.id)
                revision = after.revision
                run.session = after if run.is_awaited else None
        except GradstepError as error:
            failure = error
        except Exception as error:
            log.error("a fault while training the session %s", run.session_id, exc_info=error)
            failure = failed("something went wrong here; the server's log says what")
        finally:
            if revision is None:
                with suppress(GradstepError, Conflict):  # the session is gone
                    await self.host.take(todo.session, None)
            self._at_workers -= not todo.inline
            if trained is None or revision is None or failure is not None:
                run.fail(failure or failed("the server has stopped"), revision, self.clock())
            else:
                run.finish(trained.stopped, revision, self.clock())
            self.runs.ended(run)


class Taken:
    """Takes what a training tells into its run, with the text of parts. `state` is the last checkpoint."""

    def __init__(self, work: Work, read: Read) -> None:
        self.work, self.read = work, read
        self.state: State | None = None

    async def __call__(self, told: Told) -> None:
        work, run = self.work, self.work.run
        if told.state is not None:
            self.state = told.state
            run.advance(told.state.epochs)
        curve, texts = told.curve, list[bytes]()
        if curve is not None and (work.known or work.elapsed):
            curve, told = self._new(curve, told)
        if curve is not None:
            if (parts := work.todo.parts) is not None:
                size = BYTE_WORK * parts.nbytes * len(told.frames)
                texts = await self.read(size, partial(_written, parts, work.todo.session, told.frames))
            run.add(curve, texts)
        if work.journal is not None:
            await work.journal.told(curve, texts, told.state)

    def _new(self, curve: Curve, told: Told) -> tuple[Curve | None, Told]:
        """The entries that are not there yet, as of the very first beginning."""
        rows = curve.rows.copy()
        rows[:, curve.columns.index("elapsed")] += self.work.elapsed
        new = rows[:, curve.columns.index("steps")] > self.work.known
        frames = [frame for frame, is_new in zip(told.frames, new, strict=False) if is_new]
        return Curve(curve.columns, rows[new]) if new.any() else None, told._replace(frames=frames)


def _written(parts: Parts, session: Session, frames: Sequence[Frame]) -> list[bytes]:
    return [parts.write(session, frame) for frame in frames]


def failed(detail: str) -> TrainingFailed:
    """A training that a fault of the server has ended."""
    return TrainingFailed(detail, retry_after=RETRY_AFTER_SECONDS)


def full() -> Full:
    """Too many trainings are waiting for a worker."""
    return Full("as many trainings as this server takes are already waiting", retry_after=RETRY_AFTER_SECONDS)
