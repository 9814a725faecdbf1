"""The sessions of one server: made, read, changed and ended."""

import secrets
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from app.engine import cost
from app.engine.curves import Curve
from app.engine.data import build_data
from app.engine.hashing import state_hash
from app.engine.network import Config
from app.engine.rows import Data
from app.engine.state import State, check_initial_numbers, initial_state
from app.errors import (
    Busy,
    GradstepError,
    NotFound,
    RequestUnderWay,
    RevisionMismatch,
    SessionCorrupt,
    SessionExpired,
    SessionNotFound,
    WrongPhase,
)
from app.sessions import limits
from app.sessions.lane import Lane
from app.sessions.lineage import curves_of, curves_work
from app.sessions.once import Changed, Once, Replayed, derived_id
from app.sessions.operations import NO_ARGUMENTS, Arguments, Job, Operation, Outcome, Train, Trained
from app.sessions.past import Past, find, size_of
from app.sessions.replay import INIT_BYTE_WORK
from app.sessions.revisions import Revision
from app.sessions.runs import Run, RunStore
from app.sessions.session import Fork, Session, config_to_json, full_config, to_json
from app.sessions.store import Conflict, SessionStore
from app.sessions.sweep import Sweep, varied
from app.sessions.sweeping import Item, SweepRun
from app.sessions.trainings import Host, OwnTrainings, Parts, Trainings
from app.settings import Settings

if TYPE_CHECKING:
    from app.sessions.rates import Rates

T = TypeVar("T")
LARGE_STATE = 1 << 20  # bytes
SECOND = 10**9  # in the units of `app.engine.cost`
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


class Sessions:
    """What the API calls. `clock` gives seconds since 1970; `rates` are there where work is counted."""

    def __init__(
        self, store: SessionStore, settings: Settings, clock: Callable[[], float], rates: "Rates | None" = None
    ) -> None:
        self.store = store
        self.rates = rates
        self.lane = Lane(settings.lane_workers, settings.lane_queue)
        self.parsing = Lane(1, settings.lane_queue)
        self.reads = Lane(1, sys.maxsize)  # refuses nothing: a change that was made must be answered
        self.settings = settings
        self.clock = clock
        self.past = Past(store, settings, self.lane, self.read, self.run)
        self.runs, self.trainings = self._make_trainings()
        self._busy: set[str] = set()
        self._at_work: set[str] = set()

    def _make_trainings(self) -> tuple[RunStore, Trainings]:
        host = Host(self._room, self._take, self._put, self.read, self._pinned, self.begin)
        if self.settings.store != "memory":
            from app.sessions.valkey.trainings import QueuedTrainings  # an extra: valkey may not be there

            queued = QueuedTrainings(self.settings, host, self.clock, self.store)
            return queued.runs, queued
        own = OwnTrainings(self.settings, host, self.clock)
        return own.runs, own

    @contextmanager
    def at_work(self, key: str) -> Iterator[None]:
        """A request that is to be done once is at work. Raises RequestUnderWay where it is already, in this process.

        (In two processes, both do the work, and the store takes the first: the other replays its answer.)
        """
        if key in self._at_work:
            raise RequestUnderWay("a request with this Idempotency-Key is under way; ask again when it has ended")
        self._at_work.add(key)
        try:
            yield
        finally:
            self._at_work.discard(key)

    def id_for(self, key: str, attempt: int = 0) -> str:
        """The id of the session that a request makes which is to be done once: another where it is still taken."""
        return derived_id(self.store.secret, "session", key, str(attempt))

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

    async def create(
        self, draft: Draft, state: State | None = None, *, owner: str = "", once: Once | None = None
    ) -> Session:
        """Make a session, from its config or from a state that it goes on with.

        Raises:
            Full: there is no room.
            Replayed: it was made already.
        """
        session_id, config = await self._new_id(once), draft.config
        operation = "create" if state is None else "import"
        async with self._room(session_id, draft.nbytes, owner):
            if state is None:
                state = await self.run(cost.update_work(config), lambda: initial_state(config))
            now = self.clock()
            session = Session(
                session_id, config.name, *config_to_json(config), draft.data, state, now, now,
                now + self.settings.session_ttl, owner=owner,
            )  # fmt: skip
            digest = await self._digest(session)
            await self._make(session, _revision(session, operation, NO_ARGUMENTS, digest=digest), (), once)
        return session

    async def _new_id(self, once: Once | None) -> str:
        """An id for a session to be made. Raises Replayed."""
        if once is None:
            return secrets.token_hex(16)
        attempts = count()
        while True:
            session_id = self.id_for(once.key, next(attempts))
            try:
                with suppress(SessionCorrupt):
                    await self.store.load(session_id)
            except (SessionNotFound, SessionExpired):
                return session_id
            await self._replay(session_id, once)  # or else it was made more than a day ago

    async def _make(self, session: Session, first: Revision, ancestors: Sequence[Curve], once: Once | None) -> None:
        """Put a new session into the store. Raises Replayed where another process was faster."""
        reply = None if once is None else await once.reply(Changed(session, None))
        try:
            await self.store.create(session, first, ancestors, reply)
        except Conflict:
            await self._replay(session.id, once)
            raise

    async def _replay(self, session_id: str, once: Once | None) -> None:
        """Raise Replayed where the change was made already."""
        if once is not None and (reply := await self.store.reply(session_id, once.key)) is not None:
            raise Replayed(reply)

    async def rewind(
        self,
        session_id: str,
        revision: int | None,
        epoch: int | None,
        if_match: Collection[int] | None = None,
        once: Once | None = None,
    ) -> Session:
        """Stand at an earlier revision again, or at the end of an epoch, which is a new revision.

        Raises what `Past.at` and `change` do.
        """
        while True:
            session = await self.store.load(session_id)
            revisions = (await self.store.history(session.id)).revisions
            place = find(revisions, session.revision, revision, epoch, "/")
            self._check_free(session, if_match)
            try:
                size, is_kept = 2 * size_of(revisions, place), revisions.is_kept(place.position)
                async with self._room(session.id, size, alone=epoch is not None or not is_kept or size > LARGE_STATE):
                    there = await self.past.at(session, revision, epoch)
                    if epoch is None:
                        return await self._stand(session, there, once)
                    return await self._stand_in_epoch(session, there, epoch, once)
            except Conflict:
                await self._replay(session_id, once)

    async def fork(
        self,
        session: Session,
        name: str | None,
        settings: dict[str, Any] | None = None,
        once: Once | None = None,
        *,
        session_id: str | None = None,
    ) -> Session:
        """A new session that goes on from where this one stands, for its reader. Raises Full or Replayed.

        `settings` are those by which this one was made to differ from its history, by a sweep. With a `session_id` of
        its own, raises Conflict where it is there.
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
        session_id, now = session_id or await self._new_id(once), self.clock()
        fork = session._replace(
            id=session_id, name=name, created_at=now, updated_at=now, expires_at=now + self.settings.session_ttl,
            revision=0, latest_revision=0, version=0, forked_from=origin, epoch=None, run=None,
        )  # fmt: skip
        nbytes = fork.nbytes + fork.state.nbytes + (fork.data.nbytes if fork.data else 0)
        async with self._room(session_id, nbytes + sum(curve.rows.nbytes for curve in ancestors), fork.owner):
            made_by = {} if settings is None else {"settings": settings}
            arguments = Arguments(to_json({**origin._asdict(), **made_by}))
            digest = digest or await self._digest(fork)
            await self._make(fork, _revision(fork, "fork", arguments, digest=digest), ancestors, once)
        return fork

    async def sweep(self, session: Session, sweep: Sweep, key: str | None = None) -> SweepRun:
        """Fork a session, as its reader has it, for each combination of some settings, and begin to train the forks.

        With the `key` of a request that may come again, the run that it has begun already.

        Raises:
            InvalidInput: a setting makes no sense here, or all would cost more than a ceiling allows.
            Full: there is no room for so many sessions; then none is made.
        """
        if key is not None and isinstance(begun := await self._run_for(session.id, key), SweepRun):
            return begun
        limits.check_sweep(self.settings, sweep.count)
        combinations = list(sweep.combinations())
        reading = len(combinations) * (_VARIED_WORK + INIT_BYTE_WORK * len(session.config_json))
        configs = await self.run(reading, lambda: [sweep.config(session, settings) for settings in combinations])
        works = [
            sweep.check(session, settings, config_json, self.settings)
            for settings, config_json in zip(combinations, configs, strict=True)
        ]
        start, items = cost.update_work(session.config) + INIT_BYTE_WORK * len(session.init_json), list[Item]()
        async with self._counted(works) as settled_by, AsyncExitStack() as stack:
            await self._pin(session.id, stack)
            try:
                for index, (settings, config_json) in enumerate(zip(combinations, configs, strict=True)):
                    variant = await self.run(start, partial(varied, session, config_json, settings))
                    fork = await self._fork_of_sweep(variant, settings, key, index)
                    if key is not None and fork.version:  # by another process, meanwhile; or more than a day ago
                        if isinstance(begun := await self._run_for(session.id, key), SweepRun):
                            settled_by(begun)
                            return begun
                        fork = await self.fork(variant, variant.name, settings)
                    items.append(Item(fork.id, settings, sweep.training(settings)))
                    await self._pin(fork.id, stack)
            except BaseException:
                for item in items:
                    with suppress(GradstepError):  # somebody may have found it by now
                        await self.delete(item.session)
                raise
            run_id = None if key is None else await self._run_id(session.id, key)
            run = SweepRun(session.id, items, sweep.train.epochs, self.clock(), run_id)
            await self.trainings.sweep(run)
            settled_by(run)
        return run

    async def _fork_of_sweep(self, variant: Session, settings: dict[str, Any], key: str | None, index: int) -> Session:
        """A fork to be trained; with the key of a request that may come again, the one that it has made already."""
        session_id = None if key is None else derived_id(self.store.secret, "sweep", key, str(index))
        try:
            return await self.fork(variant, variant.name, settings, session_id=session_id)
        except Conflict:
            assert session_id is not None
            return await self.store.load(session_id)

    async def _pin(self, session_id: str, stack: AsyncExitStack) -> None:
        """Keep a session from expiring for as long as the stack is open."""
        await self.store.pin(session_id)
        stack.push_async_callback(self.store.unpin, session_id)

    @asynccontextmanager
    async def _pinned(self, session_ids: Sequence[str]) -> AsyncIterator[None]:
        """Keep sessions from expiring, those of them that are there."""
        async with AsyncExitStack() as stack:
            for session_id in session_ids:
                with suppress(SessionNotFound, SessionExpired):
                    await self._pin(session_id, stack)
            yield

    async def load(self, session_id: str, owner: str = "") -> Session:
        """An owner's session as it is now; raises SessionNotFound or SessionExpired."""
        return await self.store.load(session_id, owner)

    async def change(
        self,
        session_id: str,
        operation: Operation,
        if_match: Collection[int] | None = None,
        once: Once | None = None,
        *,
        loaded: Session | None = None,
    ) -> Changed:
        """Do an operation to a session, all of it or nothing, as one new revision.

        `loaded` is the session as the request has just read it, which spares another look at the store.

        Work up to `inline_work` is done at once. More goes to the lane, a training to a worker process; until that has
        ended, other changes of the session are refused.

        Raises, in this order:
            InvalidInput: the operation makes no sense here, or would cost more than a ceiling allows.
            RevisionMismatch: the session is at none of the revisions `if_match`.
            Busy: work on it is under way elsewhere.
            WrongPhase: it is not ready for this.
            Full: there is no room for its memory or its work.
            TooManyRequests: its work is more than its owner may ask for at present.
            TrainingFailed: the process that was at a training has ended.
            Replayed: it was done already.
        """
        while True:
            session, loaded = loaded or await self.store.load(session_id), None
            if isinstance(operation, Train) and once is not None and (run := await self._run_for(session.id, once.key)):
                return await self._kept(await self._trained(run), once)
            job = self._prepare(session, operation, if_match)
            try:
                if not isinstance(operation, Train) or job.work <= self.settings.inline_work:
                    return await self._commit(session, operation, job, once)
                run_id = None if once is None else await self._run_id(session.id, once.key)
                run = await self._begin(session, operation, job, run_id=run_id)
                return await self._kept(await self._trained(run), once)
            except Conflict:
                await self._replay(session_id, once)

    async def _kept(self, changed: Changed, once: Once | None) -> Changed:
        """What a run has come to, the answer kept: after the change, for a repeat before it finds the run."""
        if once is not None:
            reply = await once.reply(changed)
            kept = await self.store.keep(changed.session.id, reply)
            if kept != reply and kept.run is None:  # (the answer as a stream is another form of this)
                raise Replayed(kept)
        return changed

    async def run_of(self, session: Session) -> Run | None:
        """The run that trains a session."""
        if session.run is not None:
            with suppress(NotFound):
                return await self.runs.find(session.id, session.run)
        return None

    async def _run_for(self, session_id: str, key: str) -> Run | None:
        """The run that a request began already, unless it failed."""
        with suppress(NotFound):
            return await self.runs.follow(session_id, await self._run_id(session_id, key))
        return None

    async def _run_id(self, session_id: str, key: str) -> str:
        """The id of the run that a request begins, or has begun: another where a run of it failed."""
        attempts = count()
        while True:
            run_id = derived_id(self.store.secret, "run", key, str(next(attempts)))[:16]
            try:
                run = await self.runs.find(session_id, run_id)
            except NotFound:
                return run_id
            if run.failure is None:
                return run_id

    async def begin(
        self,
        session_id: str,
        operation: Train,
        if_match: Collection[int] | None = None,
        parts: Parts | None = None,
        *,
        patient: bool = False,
        key: str | None = None,
    ) -> Run:
        """Begin a training that goes on by itself; until it has ended, other changes of the session are refused.

        With the `key` of a request that may come again, the run that it has begun already. Raises what `change` does.
        """
        while True:
            session = await self.store.load(session_id)  # first: a run that is begun from now on has it changed
            if key is not None and (run := await self._run_for(session_id, key)):
                return run
            job = self._prepare(session, operation, if_match)
            run_id = None if key is None else await self._run_id(session_id, key)
            with suppress(Conflict):
                return await self._begin(session, operation, job, parts, patient=patient, run_id=run_id)

    async def _begin(
        self,
        session: Session,
        operation: Train,
        job: Job,
        parts: Parts | None = None,
        *,
        patient: bool = False,
        run_id: str | None = None,
    ) -> Run:
        """Begin a prepared training; one of a sweep, which is `patient`, was counted with that."""
        async with self._counted([] if patient else [job.work]) as settled_by:
            run = await self.trainings.begin(session, operation, job, parts, patient=patient, run_id=run_id)
            settled_by(run)
        return run

    @asynccontextmanager
    async def _counted(self, works: Iterable[int]) -> AsyncIterator[Callable[[Run], None]]:
        """Count trainings before they are begun, each for as much as it may take.

        What is not begun is given back, and when a run has ended, what it did not do. Raises TooManyRequests.
        """
        rates, most = self.rates, self.settings.max_run_seconds * SECOND
        payment = None if rates is None else await rates.pay(sum(min(work, most) for work in works))
        if rates is None or payment is None:
            yield lambda _: None
            return
        try:
            yield lambda run: self.trainings.start(rates.settle(payment, run))
        except BaseException:
            await rates.refund(payment)
            raise

    async def delete(self, session_id: str, if_match: Collection[int] | None = None, once: Once | None = None) -> None:
        """End a session; raises RevisionMismatch, Busy or Replayed."""
        while True:
            session = await self.store.load(session_id)
            self._check_free(session, if_match)
            reply = None if once is None else await once.reply(Changed(session, None))
            try:
                await self.store.delete(session_id, session.version, reply)
                return await self.runs.forget(session_id)
            except Conflict:
                await self._replay(session_id, once)

    async def run(self, work: int, function: Callable[[], T]) -> T:
        """Do work that changes no session, in the event loop or the lane as its cost has it.

        Raises Full, or TooManyRequests.
        """
        if self.rates is not None:
            await self.rates.pay(work)
        return function() if work <= self.settings.inline_work else await self.lane.run(function)

    async def read(self, work: int, function: Callable[[], T]) -> T:
        """Write something out, in the event loop or, so as not to wait behind trainings, in a lane for that alone."""
        if self.rates is not None:
            await self.rates.note(work)
        return function() if work <= self.settings.inline_work else await self.reads.run(function)

    async def open(self) -> None:
        """Get ready, when the server starts."""
        await self.store.open()
        await self.trainings.open()

    async def leave(self) -> None:
        """Let others go on with what they can, when the server stops; `close` ends the rest."""
        self.stop()
        await self.trainings.leave()
        await self.store.close()

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
        if session.id in self._busy or session.run is not None:
            raise Busy("work on this session is under way; until it has ended, the session can only be read")

    async def _commit(self, session: Session, operation: Operation, job: Job, once: Once | None) -> Changed:
        """Do a prepared operation, within room that is taken first, and given back where nothing comes of it."""
        inline = job.work <= self.settings.inline_work
        if not inline:
            self.lane.check_room()
        async with self._room(session.id, job.nbytes, alone=not inline or job.nbytes > LARGE_STATE):
            if self.rates is not None:
                await self.rates.pay(job.work)
            ended = self.lane.closing.is_set
            outcome = job.run(lambda: False) if inline else await self.lane.run(lambda: job.run(ended))
            return Changed(await self._put(session, operation, outcome, job.nbytes, once=once), outcome.result)

    async def _take(self, session: Session, run: str | None) -> Session:
        """Let a run take a session, or let go of it."""
        taken = session._replace(
            run=run, version=session.version + 1, expires_at=self.clock() + self.settings.session_ttl
        )
        await self.store.commit(taken, None, session.revision)
        return taken

    async def _put(
        self,
        session: Session,
        operation: Operation,
        outcome: Outcome,
        nbytes: int,
        run: str | None = None,
        once: Once | None = None,
    ) -> Session:
        """Put what an operation, or a run of one, has come to into the store."""
        changed, digest = self._next(session, **outcome.changes), None
        if nbytes > LARGE_STATE or changed.state is session.state:
            digest = await self._digest(changed, session)
        revision = _revision(changed, operation.operation, operation.arguments(), outcome.curve, digest, run)
        reply = None if once is None else await once.reply(Changed(changed, outcome.result))
        await self.store.commit(changed, revision, session.revision, reply)
        return changed

    def _room(self, session_id: str, nbytes: int, owner: str = "", *, alone: bool = True) -> "_Room":
        """Room to grow to; `owner` is whose the session will be, if it is new."""
        return _Room(self.store, self._busy if alone else set(), session_id, nbytes, owner)

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
        assert run.stopped is not None
        if session is None:  # it was over before
            session = await self.past.at(await self.store.load(run.session_id), run.revision)
        return Changed(session, Trained(run.entries(), run.stopped))

    async def _stand(self, before: Session, there: Session, once: Once | None) -> Session:
        """Let a session stand at the revision where one of its readers does."""
        session = self._next(before, state=there.state, config_json=there.config_json, data=there.data)._replace(
            revision=there.revision, latest_revision=before.latest_revision
        )
        reply = None if once is None else await once.reply(Changed(session, None))
        await self.store.commit(session, None, before.revision, reply)
        return session

    async def _stand_in_epoch(self, before: Session, there: Session, epoch: int, once: Once | None) -> Session:
        """Let a session stand, as a new revision, at the end of an epoch, where one of its readers does."""
        session = self._next(before, state=there.state, config_json=there.config_json, data=there.data)
        arguments = Arguments(to_json({"epoch": epoch}))
        revision = _revision(session, "rewind", arguments, digest=await self._digest(session))
        reply = None if once is None else await once.reply(Changed(session, None))
        await self.store.commit(session, revision._replace(source=there.revision), before.latest_revision, reply)
        return session

    def _next(self, before: Session, **changes: Any) -> Session:
        """The session after a change, which counts as one revision."""
        now = self.clock()
        revision = before.latest_revision + 1
        return before._replace(
            **changes, revision=revision, latest_revision=revision, version=before.version + 1,
            updated_at=now, expires_at=now + self.settings.session_ttl, run=None,
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
    """Room for a session to grow to, given back where nothing comes of it. All the while, the session is in `busy`."""

    __slots__ = ("_busy", "_id", "_nbytes", "_owner", "_store")

    def __init__(self, store: SessionStore, busy: set[str], session_id: str, nbytes: int, owner: str) -> None:
        self._store, self._busy, self._id, self._nbytes, self._owner = store, busy, session_id, nbytes, owner

    async def __aenter__(self) -> None:
        self._busy.add(self._id)  # before anything is awaited, so that nobody comes in between
        try:
            await self._store.reserve(self._id, self._nbytes, self._owner)
        except BaseException:
            self._busy.discard(self._id)
            raise

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._busy.discard(self._id)
        if error is not None:
            await self._store.release(self._id)
