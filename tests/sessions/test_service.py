"""Changes are all or nothing, one at a time, and refused in a fixed order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import pytest

from app.engine.spec import read_only
from app.errors import (
    Busy,
    FieldError,
    Full,
    GradstepError,
    InvalidInput,
    RevisionMismatch,
    SessionNotFound,
    WrongPhase,
)
from app.sessions.memory import MemoryStore
from app.sessions.operations import Backward, Change, Forward, Job, Outcome, Step, Train
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.settings import Settings

from .making import START, TTL, Clock, create, held, make_config, run

LONG = 10**9


@dataclass
class Stub:
    """An operation to order: what it refuses, what it costs, what it does."""

    refuses: GradstepError | None = None
    work: int = 0
    nbytes: int = 0
    does: Callable[[Callable[[], bool]], Outcome] = lambda _: Outcome({"name": "done"}, "result")
    prepared: list[int] = field(default_factory=list)

    def prepare(self, session: Session, settings: Settings) -> Job:
        self.prepared.append(session.version)
        if self.refuses:
            raise self.refuses
        return Job(self.work, self.nbytes, self.does)


class Held:
    """An operation in the lane that ends when it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = Event(), Event()
        self.operation = Stub(work=LONG, does=self._work)

    def _work(self, ended: Callable[[], bool]) -> Outcome:
        self.begun.set()
        assert self.go.wait(10)
        return Outcome({"name": "held"}, ended())


def make(**settings: Any) -> Sessions:
    values, clock = Settings(**settings), Clock()
    return Sessions(MemoryStore(values, clock), values, clock)


async def begin(sessions: Sessions, session: Session) -> tuple[Held, "asyncio.Task[Any]"]:
    """Start a long operation; it is under way when this returns."""
    held = Held()
    task = asyncio.create_task(sessions.change(session.id, held.operation))
    while not held.begun.is_set():
        await asyncio.sleep(0)
    return held, task


def test_create() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions)
        assert await sessions.load(session.id) == session
        assert (session.created_at, session.updated_at, session.expires_at) == (START, START, START + TTL)
        assert len(session.id) == 32
        other = await create(sessions)
        assert other.id != session.id
        assert other.state.parameters.tobytes() == session.state.parameters.tobytes()
        total, really, reserved = held(sessions)
        assert (total, reserved) == (really, set())

    run(check())


def test_a_large_network_is_made_in_the_lane() -> None:
    async def check() -> None:
        inline, lane = make(), make(inline_work=1)
        one, other = await create(inline), await create(lane)
        assert one.state.parameters.tobytes() == other.state.parameters.tobytes()
        lane.close()

    run(check())


def test_a_session_that_cannot_be_made_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        sessions = make(max_sessions=1)
        monkeypatch.setattr("app.sessions.service.initial_state", lambda config: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            await create(sessions)
        monkeypatch.undo()
        assert held(sessions) == (0, 0, set())
        await create(sessions)
        with pytest.raises(Full):
            await create(sessions)

    run(check())


def test_a_change_is_one_revision() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions)
        sessions.clock.now += 60  # type: ignore[attr-defined]
        changed, result = await sessions.change(session.id, Stub())
        assert result == "result"
        assert (changed.name, changed.revision, changed.latest_revision, changed.version) == ("done", 1, 1, 1)
        assert (changed.created_at, changed.updated_at) == (START, START + 60)
        assert changed.expires_at == START + 60 + TTL
        assert await sessions.load(session.id) == changed
        with pytest.raises(SessionNotFound):
            await sessions.change("zebra", Stub())

    run(check())


class RacingStore(MemoryStore):
    """A store in which somebody else writes just before our first commits, or deletes."""

    races = 2

    async def commit(self, session: Session) -> None:
        await self._race(session.id)
        await super().commit(session)

    async def delete(self, session_id: str, version: int) -> None:
        await self._race(session_id)
        await super().delete(session_id, version)

    async def _race(self, session_id: str) -> None:
        if self.races:
            self.races -= 1
            theirs = await self.load(session_id)
            revision = theirs.latest_revision + 1
            theirs = theirs._replace(name="theirs", revision=revision, latest_revision=revision)
            await super().commit(theirs._replace(version=theirs.version + 1))


def racing() -> Sessions:
    values, clock = Settings(), Clock()
    return Sessions(RacingStore(values, clock), values, clock)


@pytest.mark.parametrize("work", [0, LONG])
def test_a_lost_race_is_run_again(work: int) -> None:
    async def check() -> None:
        sessions = racing()
        session = await create(sessions)
        operation = Stub(work=work)
        changed, _ = await sessions.change(session.id, operation)
        assert operation.prepared == [0, 1, 2]
        assert (changed.name, changed.revision) == ("done", 3)
        total, really, reserved = held(sessions)
        assert (total, reserved) == (really, set())
        assert not sessions.is_busy(session.id)
        sessions.close()

    run(check())


def test_a_lost_race_under_if_match_is_refused() -> None:
    async def check() -> None:
        sessions = racing()
        session = await create(sessions)
        with pytest.raises(RevisionMismatch):
            await sessions.change(session.id, Stub(), {0})
        assert (await sessions.load(session.id)).name == "theirs"
        with pytest.raises(RevisionMismatch):
            await sessions.delete(session.id, {1})
        await sessions.delete(session.id, {2})

    run(check())


def test_a_delete_that_loses_a_race_deletes_what_is_there() -> None:
    async def check() -> None:
        sessions = racing()
        session = await create(sessions)
        await sessions.delete(session.id)
        assert await sessions.store.count() == 0
        assert held(sessions) == (0, 0, set())

    run(check())


INVALID, WRONG = InvalidInput([FieldError("/a", "b")]), WrongPhase("not now")


def test_the_order_of_refusals() -> None:
    async def check() -> None:
        sessions = make(max_bytes=10**6, lane_workers=1, lane_queue=1)
        session, busy = await create(sessions), await create(sessions)
        hold, task = await begin(sessions, busy)
        too_large = 10**7

        async def refusal(where: Session, operation: Stub, if_match: set[int] | None = None) -> type[GradstepError]:
            with pytest.raises(GradstepError) as caught:
                await sessions.change(where.id, operation, if_match)
            return caught.type

        assert await refusal(busy, Stub(INVALID), {7}) is InvalidInput
        assert await refusal(busy, Stub(WRONG), {7}) is RevisionMismatch
        assert await refusal(busy, Stub(nbytes=too_large), {7}) is RevisionMismatch
        assert await refusal(busy, Stub(WRONG)) is Busy
        assert await refusal(busy, Stub(nbytes=too_large), {0}) is Busy
        assert await refusal(session, Stub(WRONG), {0, 3}) is WrongPhase
        assert await refusal(session, Stub(nbytes=too_large)) is Full
        hold.go.set()
        await task
        sessions.close()

    run(check())


def test_one_thing_at_a_time() -> None:
    async def check() -> None:
        sessions = make()
        session, other = await create(sessions), await create(sessions)
        hold, task = await begin(sessions, session)
        assert sessions.is_busy(session.id)
        assert await sessions.load(session.id) == session  # reads answer the state before
        for operation in (Stub(), Stub(work=LONG)):
            with pytest.raises(Busy):
                await sessions.change(session.id, operation)
        with pytest.raises(Busy):
            await sessions.delete(session.id)
        assert (await sessions.change(other.id, Stub())).session.revision == 1  # others go on
        sessions.clock.now += 2 * TTL  # type: ignore[attr-defined]
        assert await sessions.load(session.id) == session  # what is at work does not expire
        hold.go.set()
        changed, ended = await task
        assert (changed.name, changed.revision, ended) == ("held", 1, False)
        assert not sessions.is_busy(session.id)
        assert (await sessions.change(session.id, Stub())).session.revision == 2
        sessions.close()

    run(check())


def test_a_full_lane() -> None:
    async def check() -> None:
        sessions = make(lane_workers=1, lane_queue=1)
        working, waiting, refused = [await create(sessions) for _ in range(3)]
        hold, task = await begin(sessions, working)
        queued = asyncio.create_task(sessions.change(waiting.id, Stub(work=LONG)))
        await asyncio.sleep(0)
        assert sessions.is_busy(waiting.id)
        before = held(sessions)
        with pytest.raises(Full) as caught:
            await sessions.change(refused.id, Stub(work=LONG))
        assert caught.value.retry_after > 0
        assert held(sessions) == before
        assert not sessions.is_busy(refused.id)
        assert (await sessions.change(refused.id, Stub())).session.name == "done"  # small work goes past the lane
        with pytest.raises(Full):
            await sessions.run(LONG, lambda: 1)
        assert await sessions.read(LONG, lambda: 1) == 1  # what was done is always answered
        hold.go.set()
        await asyncio.gather(task, queued)
        sessions.close()

    run(check())


def fail(_: Callable[[], bool]) -> Outcome:
    raise RuntimeError("a fault")


@pytest.mark.parametrize("work", [0, LONG])
@pytest.mark.parametrize(
    "operation",
    [Stub(INVALID), Stub(WRONG), Stub(nbytes=10**12), Stub(does=fail), Stub(does=lambda _: Outcome({"zebra": 1}))],
)
def test_nothing_is_half_done(operation: Stub, work: int) -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions)
        before = held(sessions)
        operation.work = work
        with pytest.raises((GradstepError, RuntimeError, TypeError, ValueError)):
            await sessions.change(session.id, operation)
        assert await sessions.load(session.id) is session
        assert held(sessions) == before
        assert not sessions.is_busy(session.id)
        sessions.clock.now += TTL  # type: ignore[attr-defined]
        assert await sessions.store.count() == 0  # it expires as if nothing had been tried
        assert held(sessions) == (0, 0, set())
        sessions.close()

    run(check())


def test_a_caller_that_goes_away_leaves_nothing_reserved() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions)
        before = held(sessions)
        hold, task = await begin(sessions, session)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hold.go.set()
        assert held(sessions) == before
        assert not sessions.is_busy(session.id)
        sessions.close()

    run(check())


def test_bytes_come_back_to_zero() -> None:
    async def check() -> None:
        sessions = make()
        for fields in ({}, {"optimizer": "adam"}, {"dtype": "float32"}):
            session = await create(sessions, **fields)
            for operation in (
                Forward(), Backward(until="output"), Step(parameters=["output.weight"]), Backward(using="current"),
                Step(), Forward(inputs=[[1.0, 2.0]] * 50), Change(name="x" * 200), Train(epochs=3),
                Change(optimizer="adam"), Train(),
            ):  # fmt: skip
                session, _ = await sessions.change(session.id, operation)
                total, really, reserved = held(sessions)
                assert (total, reserved) == (really, set())
        for session in await sessions.store.list(10):
            await sessions.delete(session.id)
        assert held(sessions) == (0, 0, set())

    run(check())


def test_what_a_state_holds_is_never_more_than_was_reserved() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions, optimizer={"type": "adam", "amsgrad": True})
        for operation in (
            Forward(inputs=[[1.0, 2.0]] * 500, targets=[[1.0]] * 500),
            Backward(),
            Step(),
            Train(epochs=2),
        ):
            job = operation.prepare(session, sessions.settings)
            session, _ = await sessions.change(session.id, operation)
            assert session.nbytes <= job.nbytes

    run(check())


def test_closing_ends_a_long_training_after_a_whole_step() -> None:
    async def check() -> None:
        sessions = make(max_work=10**15)
        session = await create(sessions)
        task = asyncio.create_task(sessions.change(session.id, Train(epochs=1_000_000, report_every=100)))
        await asyncio.sleep(0.02)
        assert sessions.is_busy(session.id)
        sessions.close()
        changed, history = await task
        stopped = history.stopped
        assert stopped["reason"] == "cancelled"
        assert 0 < stopped["epoch"] == stopped["step"] == changed.state.steps < 1_000_000
        assert changed.state.phase == "ready"
        expected = await replayed(stopped["epoch"])
        assert changed.state.parameters.tobytes() == expected.state.parameters.tobytes()

    run(check())


async def replayed(epochs: int) -> Session:
    sessions = make()
    session = await create(sessions)
    changed, _ = await sessions.change(session.id, Train(epochs=epochs, report_every=100))
    sessions.close()
    return changed


def test_a_state_is_shared_and_never_written_to() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions)
        before = session.state.parameters.copy()
        for operation in (Forward(), Backward(), Step(), Train(epochs=5, batch_size=1)):
            await sessions.change(session.id, operation)
        np.testing.assert_array_equal(session.state.parameters, before)
        with pytest.raises(ValueError, match="read-only"):
            session.state.parameters[0] = 1
        assert read_only(before) is before

    run(check())


def test_a_draft_makes_nothing() -> None:
    sessions = make()
    draft = sessions.draft(make_config())
    assert draft.data is not None
    assert draft.nbytes > 0
    assert held(sessions) == (0, 0, set())
    with pytest.raises(InvalidInput):
        sessions.draft(make_config(data={"inputs": [[1.0]], "targets": [[1.0]]}))
