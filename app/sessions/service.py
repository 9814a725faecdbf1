"""The sessions of one server: made, read, changed and ended."""

import secrets
import sys
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeVar

from app.engine import cost
from app.engine.data import Data, build_data
from app.engine.network import Config
from app.engine.state import State, check_initial_numbers, initial_state
from app.errors import Busy, RevisionMismatch, WrongPhase
from app.sessions import limits
from app.sessions.lane import Lane
from app.sessions.operations import Job, Operation, Outcome, row_count
from app.sessions.session import Session, config_to_json, full_config
from app.sessions.store import Conflict, SessionStore
from app.settings import Settings

T = TypeVar("T")


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
            rows = row_count(config.data)
            n = max(n, len(config.data.inputs))
            limits.check_rows(self.settings, rows, "/data/inputs")
        nbytes = cost.state_bytes(config, n, rows)
        limits.check_bytes(self.settings, nbytes)
        check_initial_numbers(config)
        data = build_data(config, config.data) if config.data is not None else None
        return Draft(config, data, nbytes)

    async def create(self, draft: Draft, state: State | None = None) -> Session:
        """Make a session, from its config or from a state that it goes on with. Raises Full where there is no room."""
        session_id = secrets.token_hex(16)
        config = draft.config
        await self.store.reserve(session_id, draft.nbytes)
        try:
            if state is None:
                state = await self.run(cost.update_work(config), lambda: initial_state(config))
            now = self.clock()
            session = Session(
                session_id, config.name, *config_to_json(config), draft.data, state, now, now,
                now + self.settings.session_ttl,
            )  # fmt: skip
            await self.store.create(session)
        except BaseException:
            await self.store.release(session_id)
            raise
        return session

    async def load(self, session_id: str) -> Session:
        """The session as it is now; raises SessionNotFound or SessionExpired."""
        return await self.store.load(session_id)

    async def change(self, session_id: str, operation: Operation, if_match: Collection[int] | None = None) -> Changed:
        """Do an operation to a session, all of it or nothing, as one new revision.

        Work up to `inline_work` is done at once. More goes to the lane, and until it has ended other changes of the
        session are refused.

        Raises, in this order:
            InvalidInput: the operation makes no sense here, or would cost more than a ceiling allows.
            RevisionMismatch: the session is at none of the revisions `if_match`.
            Busy: work on it is under way in the lane.
            WrongPhase: it is not ready for this.
            Full: there is no room for its memory or its work.
        """
        while True:
            session = await self.store.load(session_id)
            job = self._prepare(session, operation, if_match)
            try:
                return await self._commit(session, job)
            except Conflict:
                continue

    async def delete(self, session_id: str, if_match: Collection[int] | None = None) -> None:
        """End a session; raises RevisionMismatch or Busy."""
        while True:
            session = await self.store.load(session_id)
            self._check_free(session, if_match)
            try:
                return await self.store.delete(session_id, session.version)
            except Conflict:
                continue

    async def run(self, work: int, function: Callable[[], T]) -> T:
        """Do work that changes no session, in the event loop or the lane as its cost has it."""
        return function() if work <= self.settings.inline_work else await self.lane.run(function)

    async def read(self, work: int, function: Callable[[], T]) -> T:
        """Write something out, in the event loop or, so as not to wait behind trainings, in a lane for that alone."""
        return function() if work <= self.settings.inline_work else await self.reads.run(function)

    def close(self) -> None:
        """End what can end early, and wait for the rest."""
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

    async def _commit(self, session: Session, job: Job) -> Changed:
        """Do a prepared operation, within room that is taken first, and given back where nothing comes of it."""
        inline = job.work <= self.settings.inline_work
        if not inline:
            self.lane.check_room()
        await self.store.reserve(session.id, job.nbytes)
        try:
            outcome = job.run(lambda: False) if inline else await self._run_in_lane(session.id, job)
            return await self._put(session, outcome)
        except BaseException:
            await self.store.release(session.id)
            raise

    async def _run_in_lane(self, session_id: str, job: Job) -> Outcome:
        """Do a long operation in a thread; until it has ended, the session is busy."""
        self._busy.add(session_id)
        try:
            return await self.lane.run(lambda: job.run(self.lane.closing.is_set))
        finally:
            self._busy.discard(session_id)

    async def _put(self, before: Session, outcome: Outcome) -> Changed:
        """Count the change, and let the store have it."""
        now = self.clock()
        revision = before.latest_revision + 1
        session = before._replace(
            **outcome.changes, revision=revision, latest_revision=revision, version=before.version + 1,
            updated_at=now, expires_at=now + self.settings.session_ttl,
        )  # fmt: skip
        await self.store.commit(session)
        return Changed(session, outcome.result)
