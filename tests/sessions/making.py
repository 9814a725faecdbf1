"""Sessions to work on, and a way to run coroutines."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from threading import Event
from typing import Any, ClassVar, TypeVar

import numpy as np
from engine.networks import there, train

from app.engine import training
from app.engine.curves import pack
from app.engine.data import DataSpec
from app.engine.network import Config
from app.engine.plan import Ending, Trained
from app.engine.presets import NOTEBOOK
from app.engine.state import State, initial_state
from app.sessions.edits import Change, Edit
from app.sessions.history import History
from app.sessions.lane import Lane
from app.sessions.memory import MemoryStore
from app.sessions.operations import Arguments, Backward, Forward, Job, Operation, Outcome, Step, Train
from app.sessions.revisions import Revision, Revisions
from app.sessions.runs import Run
from app.sessions.service import Sessions
from app.sessions.session import Session, config_to_json, live_config
from app.sessions.workers import Told, Training, WorkerGone
from app.settings import Settings

T = TypeVar("T")
ROWS = {"inputs": [[0.05, 0.1], [0.9, 0.4], [-0.5, 0.8]], "targets": [[0.01], [0.9], [0.4]]}
START = 1_795_000_000.0
TTL = 6 * 3600


class Clock:
    """Seconds since 1970, by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def make_config(**fields: Any) -> Config:
    return Config.model_validate({**NOTEBOOK, **fields})


def make_session(session_id: str, created_at: float = START, config: Config | None = None) -> Session:
    """A session that nothing was done to."""
    config = config or make_config()
    state = initial_state(config)
    return Session(
        session_id, config.name, *config_to_json(config), None, state, created_at, created_at, created_at + TTL
    )


def revision_of(session: Session, operation: str = "create") -> Revision:
    """The entry of a session in its history."""
    return Revision(
        session.revision, operation, b"{}", True, session.updated_at, session.config_json, session.data, session.state
    )


def after(session: Session, **changes: Any) -> Session:
    """The next version of a session."""
    return session._replace(version=session.version + 1, **changes)


async def create(sessions: Sessions, **fields: Any) -> Session:
    return await sessions.create(sessions.draft(make_config(**fields)))


async def run_of(sessions: Sessions, session_id: str) -> Run | None:
    """The run that trains a session."""
    return await sessions.run_of(await sessions.store.load(session_id))


def held(sessions: Sessions) -> tuple[int, int, set[str]]:
    """Bytes counted, bytes really held, and reservations."""
    store: Any = sessions.store
    assert store._sessions.keys() == store._histories.keys()
    sizes = (session.nbytes + store._histories[session.id].nbytes for session in store._sessions.values())
    return store._total, sum(sizes), store._reserved


class Walk:
    """A session of three rows, and short ways to go through its history."""

    def __init__(self, settings: Settings | None = None, **fields: Any) -> None:
        self.settings = settings or Settings()
        self.clock = Clock()
        self.sessions = Sessions(MemoryStore(self.settings, self.clock), self.settings, self.clock)
        train_here(self.sessions)
        self.id = run(create(self.sessions, **{"data": ROWS, **fields})).id

    def do(self, *operations: Operation) -> Session:
        """The session after these changes."""
        for operation in operations:
            run(self.sessions.change(self.id, operation))
        return self.now

    @property
    def now(self) -> Session:
        return run(self.sessions.load(self.id))

    @property
    def history(self) -> History:
        return run(self.sessions.store.history(self.id))

    @property
    def revisions(self) -> Revisions:
        return self.history.revisions

    @property
    def index(self) -> int:
        """The position of the revision where the session stands."""
        return self.revisions.find(self.now.revision)

    @property
    def numbers(self) -> list[int]:
        return [revision.number for revision in self.revisions]

    @property
    def kept(self) -> list[int]:
        """The revisions whose states are kept."""
        return [revision.number for revision in self.revisions if revision.is_kept]

    def let_go(self, budget: int = 0) -> None:
        """Let states go, down to so many bytes."""
        self.history.shrink(budget, self.now.revision)

    def at(self, revision: int | None = None, epoch: int | None = None) -> Session:
        return run(self.sessions.past.at(self.now, revision, epoch))

    def rewind(self, revision: int | None = None, epoch: int | None = None) -> Session:
        return run(self.sessions.rewind(self.id, revision, epoch))

    def fork(self, revision: int | None = None, epoch: int | None = None) -> "Walk":
        """Another walk, through the fork."""
        return self.through(run(self.sessions.fork(self.at(revision, epoch), "fork")).id)

    def through(self, session_id: str) -> "Walk":
        """Another walk, through another session of the same server."""
        other = Walk.__new__(Walk)
        other.settings, other.clock, other.sessions, other.id = self.settings, self.clock, self.sessions, session_id
        return other


def long_walk(count: int, settings: Settings | None = None) -> Walk:
    """A session that was changed so many times, a step by hand among every hundred."""
    walk = Walk(settings)

    async def change() -> None:
        for number in range(count):
            steps = (Forward(), Backward(), Step())
            at = number % 100
            await walk.sessions.change(walk.id, steps[at] if at < 3 else Change(name=str(number)))

    run(change())
    return walk


class GatedLane(Lane):
    """A lane that counts what is done in it, and in which work waits until its gate is open."""

    def __init__(self, workers: int = 1) -> None:
        super().__init__(workers, 10**6)
        self.count = 0
        self.gate = Event()
        self.gate.set()

    async def run(self, work: Callable[[], T]) -> T:
        self.count += 1

        def after_the_gate() -> T:
            assert self.gate.wait(30)
            return work()

        return await super().run(after_the_gate)


def gate_reads(sessions: Sessions) -> GatedLane:
    """Let a server's hashes and long reads go through a gate."""
    sessions.reads.close()
    sessions.reads = GatedLane()
    return sessions.reads


def gate_lane(sessions: Sessions) -> GatedLane:
    """Let a server's long work go through a gate."""
    sessions.lane.close()
    sessions.lane = GatedLane()
    sessions.past.ended = sessions.lane.closing.is_set
    return sessions.lane


class Here:
    """In place of worker processes: trainings done in the event loop, a chunk at a time.

    By a clock such as `slow_clock` gives, a chunk is a step.

    Attributes:
        pauses_at: after so many steps at least a training sets `reached` and waits for `go`.
        tells_at: after so many it tells its only checkpoint, which is `told`.
        dies_at: after so many its process is gone.
    """

    def __init__(self, make_clock: Callable[[], Callable[[], float]] = lambda: time.perf_counter) -> None:
        self.make_clock = make_clock
        self.pauses_at: int | None = None
        self.tells_at: int | None = None
        self.dies_at: int | None = None
        self.told: State | None = None
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def train(
        self,
        job: Training,
        told: Callable[[Told], Awaitable[None]],
        endings: "asyncio.Queue[Ending]",
        began: Callable[[], None],
    ) -> Trained:
        began()
        steps = training.train(live_config(job.config_json), job.state, job.data, job.plan, self.make_clock())
        ending: Ending | None = None
        while True:
            try:
                entries, frames, state = steps.send(ending)
            except StopIteration as end:
                trained: Trained = end.value
                return trained
            done, checkpoint = state.steps - job.state.steps, None
            if self.told is None and self.tells_at is not None and done >= self.tells_at:
                self.told = checkpoint = state
            await told(Told(pack(entries), frames, checkpoint))
            if self.pauses_at is not None and done >= self.pauses_at:
                self.reached.set()
                await self.go.wait()
            await asyncio.sleep(0)
            if self.dies_at is not None and done >= self.dies_at:
                raise WorkerGone
            ending = None if endings.empty() else endings.get_nowait()

    def close(self) -> None:
        """Nothing is left."""


def train_here(sessions: Sessions, here: Here | None = None) -> Here:
    """Let a server's long trainings be done in the event loop."""
    here = here or Here()
    trainings: Any = sessions.trainings
    trainings.workers.close()
    trainings.workers = here
    return here


async def turns(count: int = 20) -> None:
    """Let others go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def edit(values: dict[str, Any]) -> Edit:
    """New values of parameters by name, as JSON has them."""
    return Edit.model_validate(values)


@dataclass(frozen=True)
class Cut:
    """A training that is ended after so many steps."""

    whole: Train
    steps: int
    operation: ClassVar[str] = "train"

    def arguments(self) -> Arguments:
        return self.whole.arguments()

    def prepare(self, session: Session, settings: Settings) -> Job:
        def do(_: Callable[[], bool]) -> Outcome:
            plan = {**plan_of(self.whole), "steps": self.steps}
            trained = train(session.config, session.state, there(session.data), **plan)
            return Outcome({"state": trained.state}, None, pack(trained.entries))

        return Job(0, 100_000, do)


def plan_of(training: Train) -> dict[str, Any]:
    """The fields of a training's plan."""
    return asdict(training.plan)


def rows(n: int) -> DataSpec:
    """Other rows, n of them."""
    return there(make_config(data={"inputs": [[1.0, 2.0]] * n, "targets": [[1.0]] * n}).data)


def recount(history: History) -> None:
    """Count again, from scratch, what a history holds, and hold it against its own count."""
    entries = sum(revision.nbytes for revision in history.revisions)
    counts = {id(revision.state.updates): revision.state.updates for revision in history.revisions}
    ancestors = sum(curve.rows.nbytes for curve in history.ancestors)
    assert history.entry_bytes == entries + ancestors + 40 * sum(map(len, counts.values()))
    found: dict[int, Any] = {}
    for revision in history.revisions:
        found |= {id(array): array for array in arrays_of(revision)}
    kept = sum(revision.is_kept for revision in history.revisions)
    assert history.state_bytes == sum(130 + array.nbytes for array in found.values()) + 450 * kept
    assert history.nbytes == history.entry_bytes + history.state_bytes


def arrays_of(revision: Revision) -> Iterator[Any]:
    """Every array that a revision holds."""
    if revision.data is not None:
        for some in (revision.data.train, revision.data.test):
            if some is not None:
                yield from (some.inputs, some.targets)
    if isinstance(revision.state, State):
        yield from (value for value in revision.state if isinstance(value, np.ndarray))
