"""Trainings shared by many processes: begun in one, queued, and seen through in whichever has a worker for it.

Who is at a training tells the others how far it is, with a checkpoint now and then. Where a process dies, another takes
the training over and goes on from the checkpoint; it comes to the same state, bit for bit. How it is going to end is
put down before the session is changed, so that whoever finds the session let go can put down that it has.
"""

import asyncio
import copy
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from app.engine.curves import Curve
from app.engine.plan import Ending, Trained
from app.engine.state import State
from app.engine.stops import Expression, Plateau, breakpoint_of
from app.errors import Busy, GradstepError, NotFound, SessionCorrupt, SessionExpired, SessionNotFound, StoreAway
from app.sessions.operations import Outcome, Train
from app.sessions.runs import Run
from app.sessions.session import Session
from app.sessions.store import Conflict, SessionStore
from app.sessions.sweeping import SweepRun, carry_out
from app.sessions.trainings import Host, Taken, Todo, Trainings, Work, failed, full
from app.sessions.valkey import told
from app.sessions.valkey.client import Client
from app.sessions.valkey.jobs import LONG, SMALL, Job, Jobs
from app.sessions.valkey.jobs import Taken as TakenJob
from app.sessions.valkey.listener import Listener, break_off
from app.sessions.valkey.runs import Held, Lost, SharedRuns
from app.sessions.workers import WorkerGone
from app.settings import Settings

T = TypeVar("T")
MOST_TAKES = 4  # the first one among them
SMALL_AT_ONCE = 64
_AGAIN_SECONDS = 0.25
_CHECKPOINT_SHARE = 20  # a checkpoint comes no sooner than so many times as long as the last one took to put down

log = logging.getLogger("gradstep")


class QueuedTrainings(Trainings):
    """The trainings of a server that is many processes.

    Attributes:
        is_stopping: whether others are to go on with what is under way.
    """

    def __init__(self, settings: Settings, host: Host, clock: Callable[[], float], store: SessionStore) -> None:
        super().__init__(settings, host, clock)
        self.client = Client(settings.store)  # beside the store's: some of its connections wait for jobs
        self.listener = Listener(self.client)
        self.runs = SharedRuns(self.client, self.listener, settings.session_ttl, clock)
        self.jobs = Jobs(self.client, settings.lease_seconds)
        self.store = store
        self._taken: set[TakenJob] = set()
        self._at: set[Run] = set()
        self._sweeps: set[asyncio.Task[None]] = set()
        self._taking: list[asyncio.Task[None]] = []
        self.is_stopping = False

    # Begun

    async def _begin(self, todo: Todo, run_id: str, *, patient: bool) -> Run:
        job = Job(SMALL if todo.inline else LONG, todo.session.id, run_id)
        most = None if todo.inline or patient else self.settings.train_queue
        if not await self.jobs.start(job, most):
            raise full()
        try:
            async with AsyncExitStack() as stack:
                todo = await self._take(todo, run_id, stack)
        except (GradstepError, Conflict):
            await self.jobs.drop(job)
            raise
        state, plan = todo.session.state, todo.training.plan
        run = Run(todo.session.id, state.epochs, plan.epochs, self.clock(), run_id)
        spec = "" if todo.parts is None else todo.parts.spec.decode()
        await self.runs.begin(run, told.about(run, train=told.train_to_json(todo.operation), shows=spec))
        return await self._put_in(run, job)

    async def sweep(self, run: SweepRun) -> Run:
        job = Job(SMALL, run.session_id, run.id)
        await self.jobs.start(job, None)
        await self.runs.begin(run, told.about(run, items=told.about_items(run)))
        return await self._put_in(run, job)

    async def _put_in(self, run: Run, job: Job) -> Run:
        await self.jobs.add(job)
        self.runs.mirror(run)
        return run

    # Taken, and seen through

    async def open(self) -> None:
        """Begin to take jobs."""
        places = {LONG: self.settings.train_workers, SMALL: SMALL_AT_ONCE}
        self._taking = [asyncio.create_task(self._take_jobs(kind, count)) for kind, count in places.items()]
        self._taking.append(asyncio.create_task(self._keep()))

    def stop(self) -> None:
        """Take no more, and let others go on with what is under way."""
        self.is_stopping = True
        self.jobs.close()
        self.runs.stop()
        for run in self._at:
            run.endings.put_nowait(Ending("cancelled"))  # the process that is at it hears of it, and nobody else
        for sweep in self._sweeps:
            sweep.cancel()

    async def leave(self) -> None:
        """Stop, and wait until what is under way has been given back; what takes too long is broken off."""
        self.stop()
        seconds = self.settings.cancel_seconds
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            if late:
                await asyncio.to_thread(self.workers.close)
                await asyncio.wait(late, timeout=seconds)
        await break_off(*self._taking, *self._tasks)
        await self.runs.close()
        await self.listener.close()
        await self.client.close()

    async def _take_jobs(self, kind: str, count: int) -> None:
        await self.insist(self.jobs.open)
        places = asyncio.Semaphore(count)
        async for taken in self.jobs.take(kind, places):
            self.start(self._carry_out(taken, places))

    async def _keep(self) -> None:
        """Keep the jobs that are under way here, and see to those whose beginning was broken off."""
        while True:
            await asyncio.sleep(self.settings.lease_seconds / 3)
            with suppress(StoreAway):
                await self.jobs.renew(self._taken)
                await self.jobs.revive()

    async def _carry_out(self, taken: TakenJob, places: asyncio.Semaphore) -> None:
        self._taken.add(taken)
        try:
            is_done = not self.is_stopping and await self._see_through(taken.job)
            await self.insist(lambda: (self.jobs.done if is_done else self.jobs.give_back)(taken))
        except Lost:
            log.warning("another process has gone on with the run %s", taken.job.run_id)
        except StoreAway:  # and the server is stopping: the job will be taken over
            pass
        except Exception as error:
            log.error("a fault while at the run %s", taken.job.run_id, exc_info=error)
        finally:
            self._taken.discard(taken)
            places.release()

    async def _see_through(self, job: Job) -> bool:
        """Whether a job is done; another is to go on with it otherwise. Raises Lost."""
        token = secrets.token_hex(8)
        held = await self.insist(lambda: self.runs.take(job.session_id, job.run_id, token))
        session: Session | None = None
        with suppress(SessionNotFound, SessionExpired, SessionCorrupt):
            session = await self.insist(lambda: self.store.load(job.session_id))
        if held is None:  # it was begun, and no more than that; or it is over
            if session is not None and session.run == job.run_id:
                await self._let_go(session)
            return True
        watch = asyncio.create_task(self.runs.watch(held.run))
        try:
            if isinstance(held.run, SweepRun):
                return await self._sweep(held, held.run)
            if session is None or session.run != job.run_id:
                await self._settle(held)
                return True
            return await self._train_on(held, session)
        finally:
            await break_off(watch)

    async def _train_on(self, held: Held, session: Session) -> bool:
        run, state, trained, failure = held.run, None, None, None
        self._at.add(run)
        try:
            todo, state = self._todo(held, session)
            journal = Journal(self, held, todo)
            work = Work(run, todo, journal, *self._known(run, todo))
            async with self.host.pin([session.id]), self.host.room(session.id, todo.held):
                taken = Taken(work, self.host.read)
                try:
                    if held.takes > MOST_TAKES:
                        raise WorkerGone
                    trained = await self._attempt(work, taken)
                    if self.is_stopping and run.ending is None and trained.stopped["reason"] == "cancelled":
                        await journal.told(None, (), trained.state)
                        await self.runs.tell(held, {"takes": b"%d" % (held.takes - 1)})  # that was nobody's fault
                        return False
                except WorkerGone:
                    if held.takes <= MOST_TAKES and run.ending is None:
                        return False
                    trained, failure = self._gone(work, taken.state or state)
                await self._put(held, todo, trained, failure)
        except (Lost, StoreAway):
            raise
        except GradstepError as error:
            await self._fail(held, session, error)
        except Exception as error:
            log.error("a fault while training the session %s", run.session_id, exc_info=error)
            await self._fail(held, session, failed("something went wrong here; the server's log says what"))
        finally:
            self._at.discard(run)
        return True

    def _todo(self, held: Held, session: Session) -> tuple[Todo, State | None]:
        """What is still to be done, and the checkpoint from which it goes on."""
        operation = Train.model_validate(held.about["train"])
        spec = held.about["shows"].encode()
        parts = self.remake(session, operation, spec) if spec else None
        todo = self._price(session, operation, operation.prepare(session, self.settings), parts)
        state = told.unpack_checkpoint(held.run.id, held.fields)
        if state is not None:
            plan = todo.training.plan
            epochs = session.state.epochs + plan.epochs - state.epochs
            todo = todo._replace(training=todo.training._replace(state=state, plan=replace(plan, epochs=epochs)))
        return todo, state

    def _known(self, run: Run, todo: Todo) -> tuple[int, float]:
        """Up to which step there are entries, and how many seconds the training had taken at its checkpoint."""
        if (piece := run.since(0)) is None:
            return 0, 0.0
        columns, rows = piece.curve
        steps, elapsed = rows[:, columns.index("steps")], rows[:, columns.index("elapsed")]
        return int(steps[-1]), float(elapsed[steps <= todo.training.state.steps].max(initial=0.0))

    async def _put(self, held: Held, todo: Todo, trained: Trained, failure: GradstepError | None) -> None:
        """Put what a run has come to into the store, once, whatever goes wrong with the connection."""
        run, session = held.run, todo.session
        outcome = Outcome({"state": trained.state}, None, run.settle())
        over = copy.copy(run)
        if failure is None:
            over.finish(trained.stopped, session.latest_revision + 1, self.clock())
        else:
            over.fail(failure, session.latest_revision + 1, self.clock())
        await self.insist(lambda: self.runs.tell(held, {"end": told.status_of(over)}))
        while session.run == run.id:
            try:
                await self.host.put(session, todo.operation, outcome, todo.nbytes, run.id)
                break
            except (StoreAway, Conflict):  # it may have been put in all the same
                await asyncio.sleep(_AGAIN_SECONDS)
                session = await self.insist(lambda: self.store.load(run.session_id))
        await self.insist(lambda: self.runs.tell(held, {"status": told.status_of(over)}, over=True))

    async def _fail(self, held: Held, session: Session, failure: GradstepError) -> None:
        """Nothing has come of a run."""
        over = copy.copy(held.run)
        over.fail(failure, None, self.clock())
        await self.insist(lambda: self.runs.tell(held, {"end": told.status_of(over)}))
        await self._let_go(session)
        await self.insist(lambda: self.runs.tell(held, {"status": told.status_of(over)}, over=True))

    async def _settle(self, held: Held) -> None:
        """The session was let go already, or is gone: put down how the run has ended."""
        status = held.fields.get("end")
        if status is None:
            held.run.fail(failed("the session was ended while this was waiting"), None, self.clock())
            status = told.status_of(held.run)
        await self.insist(lambda: self.runs.tell(held, {"status": status}, over=True))

    async def _let_go(self, session: Session) -> None:
        """Let a session be free again, where the run still has it."""
        run_id = session.run
        with suppress(SessionNotFound, SessionExpired):
            while session.run == run_id:
                try:
                    await self.host.take(session, None)
                    break
                except (StoreAway, Conflict):
                    await asyncio.sleep(_AGAIN_SECONDS)
                    session = await self.insist(partial(self.store.load, session.id))

    async def _sweep(self, held: Held, run: SweepRun) -> bool:
        """Whether a sweep is over. A training of it that another process had begun is found by its key."""
        begin = partial(self._begin_item, key=f"sweep {run.id}")
        sweep = asyncio.create_task(carry_out(run, begin, self.runs.end, self.settings.train_workers, self.clock))
        self._sweeps.add(sweep)
        put_down = {index for index, item in enumerate(run.items) if item.is_over}
        sessions = [run.session_id, *(item.session for item in run.items)]
        try:
            async with self.host.pin(sessions):
                while True:
                    over = {index for index, item in enumerate(run.items) if item.is_over} - put_down
                    fields = {told.item_name(index): told.pack_item(run.items[index]) for index in over}
                    fields["status"], ended = told.status_of(run), run.is_over
                    if sweep.cancelling():
                        return False
                    await self.insist(partial(self.runs.tell, held, fields, over=ended))
                    if ended:
                        return True
                    put_down |= over
                    if not run.is_over and put_down == {at for at, item in enumerate(run.items) if item.is_over}:
                        await run.change()
        finally:
            await break_off(sweep)
            self._sweeps.discard(sweep)

    async def _begin_item(self, session_id: str, operation: Train, *, patient: bool, key: str | None) -> Run:
        while True:
            try:
                return await self.host.begin(session_id, operation, patient=patient, key=key)
            except Busy:
                session = await self.insist(partial(self.store.load, session_id))
                if session.run is not None and await self._is_there(session_id, session.run):
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)  # its beginning was broken off, and it is soon free

    async def _is_there(self, session_id: str, run_id: str) -> bool:
        with suppress(NotFound):
            await self.insist(partial(self.runs.find, session_id, run_id))
            return True
        return False

    async def insist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do something that may be done twice until it is done; raises StoreAway only where the server is stopping."""
        while True:
            try:
                return await act()
            except StoreAway:
                if self.is_stopping:
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)


class Journal:
    """Puts down how far a training is."""

    def __init__(self, trainings: QueuedTrainings, held: Held, todo: Todo) -> None:
        self._trainings, self._held = trainings, held
        self._count = held.entries
        self._at = asyncio.Lock()
        self._clock, self._next_checkpoint = asyncio.get_running_loop().time, 0.0
        session, plan = todo.session, todo.operation.plan
        at = breakpoint_of(plan.stop, session.state.epochs)
        self._last = min(session.state.epochs + plan.epochs, at or 10**18)
        self._every = plan.report_every
        self._has_checkpoints = not any(isinstance(stop, Plateau | Expression) for stop in plan.stop)

    def begun(self) -> None:
        """A worker is at it."""
        self._trainings.start(self._begun())

    async def _begun(self) -> None:
        with suppress(Lost, StoreAway):
            await self.told(None, (), None)

    async def told(self, curve: Curve | None, texts: Sequence[bytes], state: State | None) -> None:
        """Put down entries, what they show, and a checkpoint, as far as there are any. Raises Lost."""
        async with self._at:
            began, is_stopping = self._clock(), self._trainings.is_stopping
            fields = {"status": told.status_of(self._held.run)}
            if state is not None and (is_stopping or began >= self._next_checkpoint) and self._is_kept(state):
                fields |= told.pack_checkpoint(self._held.run.id, state)
            if is_stopping and curve is not None:
                curve, texts = self._regular(curve, texts)
            count, piece = (0, b"") if curve is None else (len(curve.rows), told.pack_piece(curve, texts))
            tell = partial(self._trainings.runs.tell, self._held, fields, self._count, count, piece)
            await self._trainings.insist(tell)
            self._count += count
            took = self._clock() - began if len(fields) > 1 else 0.0
            self._next_checkpoint = max(self._next_checkpoint, self._clock() + _CHECKPOINT_SHARE * took)

    def _is_kept(self, state: State) -> bool:
        """Whether a training can go on from a state: what some conditions have seen by then is in none."""
        return self._has_checkpoints and state.epochs < self._last

    def _regular(self, curve: Curve, texts: Sequence[bytes]) -> tuple[Curve | None, Sequence[bytes]]:
        """The entries without that which a training only makes since it ends there, as this one will not."""
        epochs = curve.rows[:, curve.columns.index("epoch")]
        regular = (epochs % self._every == 0) | (epochs == self._last)
        texts = [text for text, is_regular in zip(texts, regular, strict=False) if is_regular]
        return curve._replace(rows=curve.rows[regular]) if regular.any() else None, texts
