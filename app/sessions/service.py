"""The sessions of one server: made, read, changed and ended."""

import secrets
import sys
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

from app.engine import cost
from app.engine.curves import Curve
from app.engine.data import build_data
from app.engine.hashing import state_hash
from app.engine.network import Config
from app.engine.rows import Data
from app.engine.state import State, check_initial_numbers, initial_state
from app.errors import Busy, GradstepError, RevisionMismatch, WrongPhase
from app.sessions import limits
from app.sessions.lane import Lane
from app.sessions.lineage import curves_of, curves_work
from app.sessions.operations import NO_ARGUMENTS, Arguments, Job, Operation, Outcome, Train, Trained
from app.sessions.past import Past, find, size_of
from app.sessions.replay import INIT_BYTE_WORK
from app.sessions.revisions import Revision
from app.sessions.runs import Run, Runs
from app.sessions.session import Fork, Session, config_to_json, full_config, to_json
from app.sessions.store import Conflict, SessionStore
from app.sessions.sweep import Sweep, varied
from app.sessions.sweeping import Item, SweepRun, carry_out
from app.sessions.trainings import Parts, Trainings
from app.settings import Settings

T = TypeVar("T")
LARGE_STATE = 1 << 20  # bytes
_VARIED_WORK = 200_000  # to validate a config, in the units of `app.engine.cost`


class Draft(NamedTuple):
    """A config that has passed every check: what a session would be made from, and what it would cost."""

    config: Config
    data: Data | None
    nbytes: int

    @property
    def full_config(self) -> dict[str, Any]:
        """The completed config as JSON data, as the session would answer it."""
        return full_config(self.config.name, *config_to_json(self.config), self.data)


class Changed(NamedTuple):
    """A session after a change, and what else came of it."""

    session: Session
    result: Any


class Sessions:
    """What the API calls. `clock` gives seconds since 1970."""

    def __init__(self, store: SessionStore, settings: Settings, clock: Callable[[], float]) -> None:
        self.store = store
        self.lane = Lane(settings.lane_workers, settings.lane_queue)
        self.parsing = Lane(1, settings.lane_queue)
        self.reads = Lane(1, sys.maxsize)  # refuses nothing: a change that was made must be answered
        self.settings = settings
        self.clock = clock
        self.past = Past(store, settings, self.lane, self.read, self.run)
        self.runs = Runs(4 * settings.max_stream, clock)
        self.trainings = Trainings(settings, self.runs, self._room, self._put, self.read, clock)
        self._busy: set[str] = set()

    def draft(self, config: Config, rows_in_use: int = 0) -> Draft:
        """Check a config and price it, without making anything; `rows_in_use` are those of a pass to go on with.

        Raises:
            InvalidInput: it makes no sense, or would cost more than a ceiling allows.
        """
        limits.check_network(self.settings, config)
        limits.check_rows(self.settings, rows_in_use, "/tensors/inputs")
        n, rows = rows_in_use, 0
        if config.data is not None:
            rows = config.data.count
            n = max(n, config.data.train_count)
            limits.check_rows(self.settings, rows, f"/data{config.data.counted_at}")
        nbytes = cost.state_bytes(config, n, rows)
        limits.check_bytes(self.settings, nbytes)
        check_initial_numbers(config)
        data = build_data(config, config.data) if config.data is not None else None
        return Draft(config, data, nbytes)

    async def create(self, draft: Draft, state: State | None = None) -> Session:
        """Make a session, from its config or from a state that it goes on with. Raises Full where there is no room."""
        session_id, config = secrets.token_hex(16), draft.config
        operation = "create" if state is None else "import"
        async with self._room(session_id, draft.nbytes):
            if state is None:
                state = await self.run(cost.update_work(config), lambda: initial_state(config))
            now = self.clock()
            session = Session(
                session_id, config.name, *config_to_json(config), draft.data, state, now, now,
                now + self.settings.session_ttl,
            )  # fmt: skip
            digest = await self._digest(session)
            await self.store.create(session, _revision(session, operation, NO_ARGUMENTS, digest=digest))
        return session

    async def rewind(
        self, session_id: str, revision: int | None, epoch: int | None, if_match: Collection[int] | None = None
    ) -> Session:
        """Stand at an earlier revision again, or at the end of an epoch, which is a new revision.

        Raises what `Past.at` does, and RevisionMismatch, Busy or Full.
        """
        while True:
            session = await self.store.load(session_id)
            revisions = (await self.store.history(session_id)).revisions
            place = find(revisions, session.revision, revision, epoch, "/")
            self._check_free(session, if_match)
            try:
                async with self._room(session_id, 2 * size_of(revisions, place)):
                    there = await self.past.at(session, revision, epoch)
                    if epoch is None:
                        return await self._stand(session, there)
                    return await self._stand_in_epoch(session, there, epoch)
            except Conflict:
                continue

    async def fork(self, session: Session, name: str | None, settings: dict[str, Any] | None = None) -> Session:
        """A new session that goes on from where this one stands, for its reader. Raises Full where there is no room.

        `settings` are those by which this one was made to differ from its history, by a sweep.
        """
        history = await self.store.history(session.id)
        revisions = history.revisions[:]
        index = revisions.find(session.revision)
        ancestors: list[Curve] = []
        if session.state.epochs:
            curves = partial(curves_of, revisions, history.ancestors, index, session.epoch)
            ancestors = await self.read(curves_work(revisions), curves)
        digest = revisions[index].digest if session.epoch is None and settings is None else None
        origin = Fork(session.id, session.revision, session.epoch)
        session_id, now = secrets.token_hex(16), self.clock()
        fork = session._replace(
            id=session_id, name=name, created_at=now, updated_at=now, expires_at=now + self.settings.session_ttl,
            revision=0, latest_revision=0, version=0, forked_from=origin, epoch=None,
        )  # fmt: skip
        nbytes = fork.nbytes + fork.state.nbytes + (fork.data.nbytes if fork.data else 0)
        async with self._room(session_id, nbytes + sum(curve.rows.nbytes for curve in ancestors)):
            made_by = {} if settings is None else {"settings": settings}
            arguments = Arguments(to_json({**origin._asdict(), **made_by}))
            digest = digest or await self._digest(fork)
            await self.store.create(fork, _revision(fork, "fork", arguments, digest=digest), ancestors)
        return fork

    async def sweep(self, session: Session, sweep: Sweep) -> SweepRun:
        """Fork a session, as its reader has it, for each combination of some settings, and begin to train the forks.

        Raises:
            InvalidInput: a setting makes no sense here, or all would cost more than a ceiling allows.
            Full: there is no room for so many sessions; then none is made.
        """
        limits.check_sweep(self.settings, sweep.count)
        combinations = list(sweep.combinations())
        reading = len(combinations) * (_VARIED_WORK + INIT_BYTE_WORK * len(session.config_json))
        configs = await self.run(reading, lambda: [sweep.config(session, settings) for settings in combinations])
        for settings, config_json in zip(combinations, configs, strict=True):
            sweep.check(session, settings, config_json, self.settings)
        start, items = cost.update_work(session.config) + INIT_BYTE_WORK * len(session.init_json), list[Item]()
        async with AsyncExitStack() as stack:
            await self._pin(session.id, stack)
            try:
                for settings, config_json in zip(combinations, configs, strict=True):
                    variant = await self.run(start, partial(varied, session, config_json, settings))
                    fork = await self.fork(variant, variant.name, settings)
                    items.append(Item(fork.id, settings, sweep.training(settings)))
                    await self._pin(fork.id, stack)
            except BaseException:
                for item in items:
                    with suppress(GradstepError):  # somebody may have found it by now
                        await self.delete(item.session)
                raise
            run = SweepRun(session.id, items, sweep.train.epochs, self.clock())
            self.runs.add(run)
            self.trainings.start(self._sweep(run, stack.pop_all()))
        return run

    async def _sweep(self, run: SweepRun, pinned: AsyncExitStack) -> None:
        try:
            async with pinned:
                await carry_out(run, self.begin, self.settings.train_workers, self.clock)
        finally:
            self.runs.ended(run)

    async def _pin(self, session_id: str, stack: AsyncExitStack) -> None:
        """Keep a session from expiring for as long as the stack is open."""
        await self.store.pin(session_id)
        stack.push_async_callback(self.store.unpin, session_id)

    async def load(self, session_id: str) -> Session:
        """The session as it is now; raises SessionNotFound or SessionExpired."""
        return await self.store.load(session_id)

    async def change(self, session_id: str, operation: Operation, if_match: Collection[int] | None = None) -> Changed:
        """Do an operation to a session, all of it or nothing, as one new revision.

        Work up to `inline_work` is done at once. More goes to the lane, a training to a worker process; until that has
        ended, other changes of the session are refused.

        Raises, in this order:
            InvalidInput: the operation makes no sense here, or would cost more than a ceiling allows.
            RevisionMismatch: the session is at none of the revisions `if_match`.
            Busy: work on it is under way elsewhere.
            WrongPhase: it is not ready for this.
            Full: there is no room for its memory or its work.
            TrainingFailed: the process that was at a training has ended.
        """
        while True:
            session = await self.store.load(session_id)
            job = self._prepare(session, operation, if_match)
            if isinstance(operation, Train) and job.work > self.settings.inline_work:
                return await self._trained(await self.trainings.begin(session, operation, job))
            try:
                return await self._commit(session, operation, job)
            except Conflict:
                continue

    async def begin(
        self,
        session_id: str,
        operation: Train,
        if_match: Collection[int] | None = None,
        parts: Parts | None = None,
        *,
        patient: bool = False,
    ) -> Run:
        """Begin a training that goes on by itself; until it has ended, other changes of the session are refused.

        Raises what `change` does.
        """
        session = await self.store.load(session_id)
        job = self._prepare(session, operation, if_match)
        return await self.trainings.begin(session, operation, job, parts, patient=patient)

    async def delete(self, session_id: str, if_match: Collection[int] | None = None) -> None:
        """End a session; raises RevisionMismatch or Busy."""
        while True:
            session = await self.store.load(session_id)
            self._check_free(session, if_match)
            try:
                await self.store.delete(session_id, session.version)
                return self.runs.forget(session_id)
            except Conflict:
                continue

    async def run(self, work: int, function: Callable[[], T]) -> T:
        """Do work that changes no session, in the event loop or the lane as its cost has it."""
        return function() if work <= self.settings.inline_work else await self.lane.run(function)

    async def read(self, work: int, function: Callable[[], T]) -> T:
        """Write something out, in the event loop or, so as not to wait behind trainings, in a lane for that alone."""
        return function() if work <= self.settings.inline_work else await self.reads.run(function)

    def stop(self) -> None:
        """Let what can end early do so."""
        self.lane.closing.set()
        self.trainings.stop()

    def close(self) -> None:
        """End what can end early, and wait for the rest."""
        self.stop()
        self.trainings.close()
        self.lane.close()
        self.parsing.close()
        self.reads.close()

    def is_busy(self, session_id: str) -> bool:
        """Whether work on a session is under way outside the event loop."""
        return session_id in self._busy

    def _prepare(self, session: Session, operation: Operation, if_match: Collection[int] | None) -> Job:
        """Check an operation; what is wrong with it comes before 412, and the wrong phase after."""
        try:
            job = operation.prepare(session, self.settings)
        except WrongPhase:
            self._check_free(session, if_match)
            raise
        self._check_free(session, if_match)
        return job

    def _check_free(self, session: Session, if_match: Collection[int] | None) -> None:
        if if_match is not None and session.revision not in if_match:
            raise RevisionMismatch(f"the session has moved on: it is at revision {session.revision}")
        if session.id in self._busy:
            raise Busy("work on this session is under way; until it has ended, the session can only be read")

    async def _commit(self, session: Session, operation: Operation, job: Job) -> Changed:
        """Do a prepared operation, within room that is taken first, and given back where nothing comes of it."""
        inline = job.work <= self.settings.inline_work
        if not inline:
            self.lane.check_room()
        async with self._room(session.id, job.nbytes):
            ended = self.lane.closing.is_set
            outcome = job.run(lambda: False) if inline else await self.lane.run(lambda: job.run(ended))
            return Changed(await self._put(session, operation, outcome, job.nbytes), outcome.result)

    async def _put(
        self, session: Session, operation: Operation, outcome: Outcome, nbytes: int, run: str | None = None
    ) -> Session:
        """Put what an operation, or a run of one, has come to into the store."""
        changed, digest = self._next(session, **outcome.changes), None
        if nbytes > LARGE_STATE or changed.state is session.state:
            digest = await self._digest(changed, session)
        revision = _revision(changed, operation.operation, operation.arguments(), outcome.curve, digest, run)
        await self.store.commit(changed, revision, session.revision)
        return changed

    def _room(self, session_id: str, nbytes: int) -> "_Room":
        """Room to grow to."""
        return _Room(self.store, self._busy, session_id, nbytes)

    async def _trained(self, run: Run) -> Changed:
        """What a training has come to, once it has ended. Raises TrainingFailed."""
        run.is_awaited = True
        try:
            await run.end()
        finally:  # also where nobody waits any more: it would hold the session for as long as the run is kept
            run.is_awaited = False
            session, run.session = run.session, None
        if run.failure is not None:
            raise run.failure
        assert session is not None
        assert run.stopped is not None
        return Changed(session, Trained(run.entries(), run.stopped))

    async def _stand(self, before: Session, there: Session) -> Session:
        """Let a session stand at the revision where one of its readers does."""
        session = self._next(before, state=there.state, config_json=there.config_json, data=there.data)._replace(
            revision=there.revision, latest_revision=before.latest_revision
        )
        await self.store.commit(session, None, before.revision)
        return session

    async def _stand_in_epoch(self, before: Session, there: Session, epoch: int) -> Session:
        """Let a session stand, as a new revision, at the end of an epoch, where one of its readers does."""
        session = self._next(before, state=there.state, config_json=there.config_json, data=there.data)
        arguments = Arguments(to_json({"epoch": epoch}))
        revision = _revision(session, "rewind", arguments, digest=await self._digest(session))
        await self.store.commit(session, revision._replace(source=there.revision), before.latest_revision)
        return session

    def _next(self, before: Session, **changes: Any) -> Session:
        """The session after a change, which counts as one revision."""
        now = self.clock()
        revision = before.latest_revision + 1
        return before._replace(
            **changes, revision=revision, latest_revision=revision, version=before.version + 1,
            updated_at=now, expires_at=now + self.settings.session_ttl,
        )  # fmt: skip

    async def _digest(self, session: Session, before: Session | None = None) -> str | None:
        """The hash of a large state, worked out at once, outside the event loop; None where that can wait."""
        state = session.state
        if state.nbytes <= LARGE_STATE:
            return None
        if before is not None and state is before.state:
            revisions = (await self.store.history(before.id)).revisions
            return revisions[revisions.find(before.revision)].digest
        return await self.reads.run(lambda: state_hash(session.config, state))


def _revision(
    session: Session,
    operation: str,
    arguments: Arguments,
    curve: Curve | None = None,
    digest: str | None = None,
    run: str | None = None,
) -> Revision:
    """The entry of a change in the history."""
    return Revision(
        session.revision, operation, *arguments, session.updated_at, session.config_json, session.data, session.state,
        curve, None, digest, run,
    )  # fmt: skip


class _Room:
    """Room for a session to grow to, given back where nothing comes of it. All the while, the session is busy."""

    __slots__ = ("_busy", "_id", "_nbytes", "_store")

    def __init__(self, store: SessionStore, busy: set[str], session_id: str, nbytes: int) -> None:
        self._store, self._busy, self._id, self._nbytes = store, busy, session_id, nbytes

    async def __aenter__(self) -> None:
        self._busy.add(self._id)  # before anything is awaited, so that nobody comes in between
        try:
            await self._store.reserve(self._id, self._nbytes)
        except BaseException:
            self._busy.discard(self._id)
            raise

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._busy.discard(self._id)
        if error is not None:
            await self._store.release(self._id)
