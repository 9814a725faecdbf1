"""Trainings, carried out: at once where they are small, by a worker process where they are not.

Either way a training is a pure function of the session's config, its state, its rows and the plan. What comes of it is
one new revision, however it ends: where the worker is gone, the session stands where the last checkpoint was made.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from app.engine import training
from app.engine.curves import pack
from app.engine.plan import Ending, Frame, Trained, entries_of, stopped
from app.engine.spec import Array
from app.engine.state import State
from app.errors import Full, GradstepError, TrainingFailed
from app.sessions import limits
from app.sessions.lane import RETRY_AFTER_SECONDS
from app.sessions.operations import Job, Outcome, Train, price
from app.sessions.runs import Run, Runs
from app.sessions.session import Session, live_config
from app.sessions.workers import AHEAD, Told, Training, WorkerGone, Workers
from app.settings import Settings

BYTE_WORK = 2  # to write a byte of what an entry shows, in the units of `app.engine.cost`

log = logging.getLogger("gradstep")


class Parts(NamedTuple):
    """What each entry of a run shows beside its numbers: parts of the session as it then is, what the network answers.

    Attributes:
        probe: the inputs to answer to (m, inputs).
        nbytes: about how long the text for one entry is.
        write: that text.
    """

    frames: bool
    probe: Array | None
    nbytes: int
    write: Callable[[Session, Frame], bytes]


class _Work(NamedTuple):
    """A training to be seen through; `nbytes` is the most that its session may hold after it."""

    run: Run
    session: Session
    operation: Train
    training: Training
    parts: Parts | None
    nbytes: int
    inline: bool


class Room(Protocol):
    """Holds room for a session to grow to so many bytes, and keeps others from changing it."""

    def __call__(self, session_id: str, nbytes: int) -> AbstractAsyncContextManager[None]:
        """To be entered and left."""


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


class Trainings:
    """What begins trainings and sees them through. `clock` gives seconds since 1970."""

    def __init__(
        self, settings: Settings, runs: Runs, room: Room, put: Put, read: Read, clock: Callable[[], float]
    ) -> None:
        self.settings, self.runs = settings, runs
        self.workers = Workers(settings.train_workers, settings.cancel_seconds)
        self._room, self._put, self._read, self._clock = room, put, read, clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_workers = 0

    async def begin(
        self, session: Session, operation: Train, job: Job, parts: Parts | None = None, *, patient: bool = False
    ) -> Run:
        """Begin a prepared training, which goes on by itself. A `patient` one is not refused where the queue is full.

        Raises:
            LimitExceeded: the entries with their parts would take too much memory.
            Full: there is no room for its memory, or too many trainings are waiting for a worker.
        """
        assert job.training is not None
        task, work, nbytes = job.training, job.work, job.nbytes
        if parts is not None:
            size = entries_of(task.plan, session.state.epochs) * parts.nbytes
            limits.check_stream(self.settings, size)
            task = task._replace(plan=replace(task.plan, frames=parts.frames, probe=parts.probe))
            work, shown = price(session, task.data, task.plan)
            nbytes = shown + AHEAD * (shown - nbytes) + size  # frames are there while the next ones are made
            limits.check_bytes(self.settings, nbytes)
        inline = work <= self.settings.inline_work
        if not (inline or patient) and self._at_workers >= self.settings.train_workers + self.settings.train_queue:
            raise Full("as many trainings as this server takes are already waiting", retry_after=RETRY_AFTER_SECONDS)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._room(session.id, nbytes))
            run = self.runs.train(session.id, session.state.epochs, task.plan.epochs)
            self._at_workers += not inline
            todo = _Work(run, session, operation, task, parts, job.nbytes, inline)
            self.start(self._see_through(todo, stack.pop_all()))
        return run

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on by itself."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Ask every run to end."""
        for run in self.runs.under_way():
            run.end_early(Ending("cancelled"))

    def close(self) -> None:
        """End the workers, and with them what they are at."""
        self.workers.close()

    async def _see_through(self, work: _Work, room: AsyncExitStack) -> None:
        """Train, and put what comes of it into the store."""
        run, trained, failure, revision = work.run, None, None, None
        try:
            async with room:
                trained, failure = await self._train(work)
                outcome = Outcome({"state": trained.state}, None, run.settle())
                after = await self._put(work.session, work.operation, outcome, work.nbytes, run.id)
                revision = after.revision
                run.session = after if run.is_awaited else None
        except GradstepError as error:
            failure = error
        except Exception as error:
            log.error("a fault while training the session %s", run.session_id, exc_info=error)
            failure = _failed("something went wrong here; the server's log says what")
        finally:
            self._at_workers -= not work.inline
            if trained is None or revision is None or failure is not None:
                run.fail(failure or _failed("the server has stopped"), revision, self._clock())
            else:
                run.finish(trained.stopped, revision, self._clock())
            self.runs.ended(run)

    async def _train(self, work: _Work) -> tuple[Trained, GradstepError | None]:
        """What a training comes to, or where the last checkpoint of one was whose worker is gone; and what failed.

        Raises TrainingFailed where there was no checkpoint yet.
        """
        run, taken = work.run, _Taken(work, self._read)
        try:
            return await (self._train_here if work.inline else self._train_away)(work, taken), None
        except WorkerGone:
            state = taken.state or work.session.state
            run.cut(state.steps, state.epochs)
            if run.ending is not None:  # it was too long at a step, and was ended for it
                return Trained(state, stopped(run.ending.reason, state)), None
            failure = _failed("the process that was at it has ended; the session stands where its last checkpoint was")
            if taken.state is None:
                raise failure from None
            return Trained(state, stopped("cancelled", state)), failure

    async def _train_here(self, work: _Work, taken: "_Taken") -> Trained:
        work.run.begin(self._clock())
        config, task = live_config(work.session.config_json), work.training
        steps = training.train(config, task.state, task.data, task.plan, time.perf_counter)
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                trained: Trained = end.value
                return trained
            await taken(Told(pack(progress.entries), progress.frames, None))

    async def _train_away(self, work: _Work, taken: "_Taken") -> Trained:
        run, seconds = work.run, self.settings.max_run_seconds
        timers: list[asyncio.TimerHandle] = []

        def began() -> None:
            run.begin(self._clock())
            timers.append(asyncio.get_running_loop().call_later(seconds, run.end_early, Ending("time_limit")))

        try:
            return await self.workers.train(work.training, taken, run.endings, began)
        finally:
            for timer in timers:
                timer.cancel()


class _Taken:
    """Takes what a training tells into its run, with the text of parts. `state` is the last checkpoint."""

    def __init__(self, work: _Work, read: Read) -> None:
        self.run, self.session, self.parts, self.read = work.run, work.session, work.parts, read
        self.state: State | None = None

    async def __call__(self, told: Told) -> None:
        if told.state is not None:
            self.state = told.state
            self.run.advance(told.state.epochs)
        if told.curve is None:
            return
        texts: list[bytes] = []
        if self.parts is not None:
            work = BYTE_WORK * self.parts.nbytes * len(told.frames)
            texts = await self.read(work, partial(_written, self.parts, self.session, told.frames))
        self.run.add(told.curve, texts)


def _written(parts: Parts, session: Session, frames: Sequence[Frame]) -> list[bytes]:
    return [parts.write(session, frame) for frame in frames]


def _failed(detail: str) -> TrainingFailed:
    return TrainingFailed(detail, retry_after=RETRY_AFTER_SECONDS)
