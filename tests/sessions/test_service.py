"""Changes are all or nothing, one at a time, and refused in a fixed order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any, ClassVar

import numpy as np
import pytest

from app.engine.hashing import state_hash
from app.engine.spec import read_only
from app.errors import (
    Busy,
    FieldError,
    Full,
    GradstepError,
    InvalidInput,
    RevisionGone,
    RevisionMismatch,
    SessionNotFound,
    WrongPhase,
)
from app.sessions.edits import Change
from app.sessions.memory import MemoryStore
from app.sessions.operations import NO_ARGUMENTS, Arguments, Backward, Forward, Job, Outcome, Step, Train
from app.sessions.revisions import Revision
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.sessions.store import Conflict, Reply
from app.settings import Settings

from .making import (
    START,
    TTL,
    Clock,
    after,
    create,
    gate_lane,
    gate_reads,
    held,
    make_config,
    revision_of,
    run,
    train_here,
    turns,
)

LONG = 10**9


@dataclass
class Stub:
    """An operation to order: what it refuses, what it costs, what it does."""

    refuses: GradstepError | None = None
    work: int = 0
    nbytes: int = 0
    does: Callable[[Callable[[], bool]], Outcome] = lambda _: Outcome({"name": "done"}, "result")
    prepared: list[int] = field(default_factory=list)
    operation: ClassVar[str] = "stub"

    def arguments(self) -> Arguments:
        return NO_ARGUMENTS

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
    sessions = Sessions(MemoryStore(values, clock), values, clock)
    train_here(sessions)
    return sessions


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


def test_an_id_that_is_taken_is_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        sessions = make()
        monkeypatch.setattr("app.sessions.service.secrets.token_hex", lambda count: count * "ab")
        session = await create(sessions, name="first")
        with pytest.raises(Conflict):
            await create(sessions, name="second")
        assert await sessions.load(session.id) == session
        total, really, reserved = held(sessions)
        assert (total, reserved) == (really, set())

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

    async def commit(self, session: Session, revision: Revision | None, after: int, reply: Reply | None = None) -> None:
        await self._race(session.id)
        await super().commit(session, revision, after, reply)

    async def delete(self, session_id: str, version: int, reply: Reply | None = None) -> None:
        await self._race(session_id)
        await super().delete(session_id, version, reply)

    async def _race(self, session_id: str) -> None:
        if self.races:
            self.races -= 1
            theirs = await self.load(session_id)
            before, number = theirs.revision, theirs.latest_revision + 1
            theirs = after(theirs, name="theirs", revision=number, latest_revision=number)
            await super().commit(theirs, revision_of(theirs, "change"), before)


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


class Elsewhere(MemoryStore):
    """A store that answers after a while, as one in another process does."""

    refuses = False

    async def reserve(self, session_id: str, nbytes: int, owner: str = "") -> None:
        await turns(3)
        if self.refuses:
            raise Full("no room", retry_after=1)
        await super().reserve(session_id, nbytes, owner)
        await turns(3)

    async def release(self, session_id: str) -> None:
        await turns(3)
        await super().release(session_id)


def elsewhere() -> tuple[Sessions, Elsewhere]:
    settings, clock = Settings(), Clock()
    store = Elsewhere(settings, clock)
    return Sessions(store, settings, clock), store


def test_a_session_is_claimed_before_anything_is_waited_for() -> None:
    """Of two long changes at once, one is told that the other is at work; none is lost."""

    async def check() -> None:
        sessions, _ = elsewhere()
        session = await create(sessions)
        first, second = [
            asyncio.create_task(sessions.change(session.id, Stub(work=LONG, does=lambda _: Outcome({"name": "first"}))))
            for _ in range(2)
        ]
        changed = (await first).session
        with pytest.raises(Busy):
            await second
        assert await sessions.load(session.id) is changed
        assert (changed.name, changed.revision) == ("first", 1)
        after = await sessions.change(session.id, Change(name="second"))
        assert [one.number for one in (await sessions.store.history(session.id)).revisions] == [0, 1, 2]
        assert (after.session.name, held(sessions)[2]) == ("second", set())
        sessions.close()

    run(check())


def test_small_changes_at_once_are_made_one_after_the_other() -> None:
    async def check() -> None:
        sessions, _ = elsewhere()
        session = await create(sessions)
        names = [str(number) for number in range(5)]
        changed = await asyncio.gather(*(sessions.change(session.id, Change(name=name)) for name in names))
        assert [each.session.name for each in changed] == names
        assert sorted(each.session.revision for each in changed) == [1, 2, 3, 4, 5]
        matched = (sessions.change(session.id, Change(name=name), {5}) for name in names)
        outcomes = await asyncio.gather(*matched, return_exceptions=True)
        assert sum(isinstance(outcome, RevisionMismatch) for outcome in outcomes) == 4
        now = await sessions.load(session.id)
        assert now.revision == 6
        used, really, reserved = held(sessions)
        assert (used, reserved) == (really, set())
        sessions.close()

    run(check())


@pytest.mark.parametrize("how", ["refused", "cancelled"])
def test_a_room_that_is_not_given_leaves_the_session_free(how: str) -> None:
    async def check() -> None:
        sessions, store = elsewhere()
        session = await create(sessions)
        before = held(sessions)
        store.refuses = how == "refused"
        asked = asyncio.create_task(sessions.change(session.id, Stub(work=LONG)))
        await turns(2)
        assert sessions.is_busy(session.id)
        if how == "cancelled":
            asked.cancel()
        with pytest.raises((Full, asyncio.CancelledError)):
            await asked
        assert not sessions.is_busy(session.id)
        assert held(sessions) == before
        store.refuses = False
        assert (await sessions.change(session.id, Change(name="second"))).session.name == "second"
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
        for session in await sessions.store.list("", 10):
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
            past = (await sessions.store.history(session.id)).nbytes
            session, _ = await sessions.change(session.id, operation)
            assert held(sessions)[0] <= past + job.nbytes

    run(check())


def test_a_server_that_stops_ends_a_long_training_after_a_whole_step() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions)
        task = asyncio.create_task(sessions.change(session.id, Train(epochs=1_000_000, report_every=100)))
        await asyncio.sleep(0.02)
        assert sessions.is_busy(session.id)
        sessions.stop()
        changed, history = await task
        stopped = history.stopped
        assert stopped["reason"] == "cancelled"
        assert 0 < stopped["epoch"] == stopped["step"] == changed.state.steps < 1_000_000
        assert changed.state.phase == "ready"
        assert not sessions.is_busy(session.id)
        sessions.close()
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


def test_a_session_made_from_a_state_goes_on_from_it() -> None:
    async def check() -> None:
        sessions = make()
        first = await create(sessions)
        first, _ = await sessions.change(first.id, Train(epochs=3))
        draft = sessions.draft(make_config(), first.trace_count)
        second = await sessions.create(draft, first.state)
        assert second.state is first.state
        (revision,) = (await sessions.store.history(second.id)).revisions
        assert (revision.number, revision.operation, revision.arguments) == (0, "import", b"{}")
        assert (await sessions.past.at(second, epoch=3)).state.epochs == 3

    run(check())


def test_a_draft_makes_nothing() -> None:
    sessions = make()
    draft = sessions.draft(make_config())
    assert draft.full_config["network"] == make_config().model_dump(mode="json")["network"]
    assert draft.data is not None
    assert draft.nbytes > 0
    assert held(sessions) == (0, 0, set())
    with pytest.raises(InvalidInput):
        sessions.draft(make_config(data={"inputs": [[1.0]], "targets": [[1.0]]}))


def test_a_rewind_is_a_change_like_any_other() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions)
        for _ in range(2):
            await sessions.change(session.id, Train(epochs=3))
        sessions.clock.now += 60  # type: ignore[attr-defined]
        with pytest.raises(RevisionMismatch):
            await sessions.rewind(session.id, 1, None, {1})
        there = await sessions.rewind(session.id, 1, None, {2, 7})
        assert (there.revision, there.latest_revision, there.version) == (1, 2, 3)
        assert (there.updated_at, there.expires_at) == (START + 60, START + 60 + TTL)
        there = await sessions.rewind(session.id, None, 5)
        assert (there.revision, there.latest_revision, there.version) == (3, 3, 4)
        assert await sessions.load(session.id) is there
        hold, task = await begin(sessions, session)
        with pytest.raises(Busy):
            await sessions.rewind(session.id, 1, None)
        hold.go.set()
        await task
        total, really, reserved = held(sessions)
        assert (total, reserved) == (really, set())
        sessions.close()

    run(check())


def test_a_session_is_busy_while_its_past_is_computed_again() -> None:
    async def check() -> None:
        sessions = make(inline_work=1)
        session = await create(sessions)
        await sessions.change(session.id, Train(epochs=50))
        task = asyncio.create_task(sessions.rewind(session.id, None, 40))
        await asyncio.sleep(0)
        assert sessions.is_busy(session.id)
        with pytest.raises(Busy):
            await sessions.change(session.id, Forward())
        assert (await task).state.epochs == 40
        assert not sessions.is_busy(session.id)
        sessions.close()

    run(check())


def test_a_rewind_that_loses_a_race_is_done_again_or_refused() -> None:
    async def check() -> None:
        sessions = racing()
        session = await create(sessions)
        there = await sessions.rewind(session.id, 0, None)
        assert (there.revision, there.latest_revision, there.version) == (0, 2, 3)
        sessions = racing()
        session = await create(sessions)
        with pytest.raises(RevisionMismatch):
            await sessions.rewind(session.id, 0, None, {0})
        total, really, reserved = held(sessions)
        assert (total, reserved) == (really, set())

    run(check())


def test_a_rewind_without_room_changes_nothing() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions)
        changed, _ = await sessions.change(session.id, Train(epochs=300))
        (await sessions.store.history(session.id)).shrink(0, changed.revision)
        await sessions.store.release(session.id)  # which counts again
        before = held(sessions)
        tight = Sessions(sessions.store, Settings(max_work=1), sessions.clock)
        with pytest.raises(RevisionGone):
            await tight.rewind(session.id, None, 200)
        sessions.lane.closing.set()
        with pytest.raises(Full):
            await sessions.rewind(session.id, None, 299)
        assert held(sessions) == before
        assert await sessions.load(session.id) == changed
        assert not sessions.is_busy(session.id)

    run(check())


def test_a_fork_is_a_session_of_its_own() -> None:
    async def check() -> None:
        sessions = make()
        parent = await create(sessions)
        parent, _ = await sessions.change(parent.id, Train(epochs=3))
        sessions.clock.now += 60  # type: ignore[attr-defined]
        fork = await sessions.fork(await sessions.past.at(parent, epoch=2), "fork")
        assert fork.id != parent.id
        assert (fork.name, fork.forked_from) == ("fork", (parent.id, 1, 2))
        assert (fork.revision, fork.latest_revision, fork.version, fork.epoch) == (0, 0, 0, None)
        assert (fork.created_at, fork.updated_at, fork.expires_at) == (START + 60, START + 60, START + 60 + TTL)
        assert (fork.config_json, fork.init_json, fork.data) == (parent.config_json, parent.init_json, parent.data)
        await sessions.delete(parent.id)
        fork, _ = await sessions.change(fork.id, Train())
        assert fork.state.epochs == 3
        assert fork.state.parameters.tobytes() == parent.state.parameters.tobytes()
        await sessions.delete(fork.id)
        assert held(sessions) == (0, 0, set())

    run(check())


def test_a_fork_without_room_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        sessions = make(max_sessions=1)
        session = await create(sessions)
        before = held(sessions)
        with pytest.raises(Full):
            await sessions.fork(session, None)
        sessions = make()
        session = await create(sessions, data=None)
        before = held(sessions)
        monkeypatch.setattr(sessions.store, "create", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            await sessions.fork(session, None)
        assert held(sessions) == before

    run(check())


def test_a_large_state_is_hashed_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        monkeypatch.setattr("app.sessions.service.LARGE_STATE", 100)
        sessions = make()
        session = await create(sessions)
        changed, _ = await sessions.change(session.id, Forward())
        first, second = (await sessions.store.history(session.id)).revisions
        assert (first.digest, first.hashed_bytes) == (None, session.state.nbytes)
        assert second.digest == second.state_hash == state_hash(changed.config, changed.state)
        assert second.hashed_bytes == 0
        sessions.close()

    run(check())


# Large states are hashed outside the event loop: the session is busy until they are

LARGE: dict[str, Any] = {
    "network": {"inputs": 256, "layers": [{"units": 512}, {"units": 1}]},
    "loss": "mse",
    "data": {"inputs": [[0.5] * 256], "targets": [[0.25]]},
}


async def all_is_given_back(sessions: Sessions, session_id: str) -> None:
    total, really, reserved = held(sessions)
    assert (total, reserved) == (really, set())
    assert not sessions.is_busy(session_id)
    sessions.close()


def test_of_two_changes_of_a_large_session_one_is_refused_and_neither_is_done_twice() -> None:
    async def check() -> None:
        sessions = make(inline_work=LONG)
        session, reads = await create(sessions, **LARGE), gate_reads(sessions)
        reads.gate.clear()
        ran: list[int] = []

        def once(_: Callable[[], bool]) -> Outcome:
            ran.append(1)
            return Outcome({"state": session.state._replace(steps=1)})

        one = asyncio.create_task(sessions.change(session.id, Stub(nbytes=1 << 22, does=once)))
        await turns()
        assert (ran, reads.count, sessions.is_busy(session.id)) == ([1], 1, True)
        assert await sessions.load(session.id) is session  # it can be read as it was
        for refused in (
            sessions.change(session.id, Stub(nbytes=1 << 22, does=once)), sessions.change(session.id, Forward()),
            sessions.rewind(session.id, 0, None), sessions.delete(session.id),
        ):  # fmt: skip
            with pytest.raises(Busy):
                await refused
        reads.gate.set()
        changed = (await one).session
        assert (ran, changed.revision, changed.version) == ([1], 1, 1)
        assert await sessions.load(session.id) is changed
        revisions = (await sessions.store.history(session.id)).revisions
        assert revisions[1].digest == state_hash(changed.config, changed.state)
        await all_is_given_back(sessions, session.id)

    run(check())


def test_many_changes_of_a_large_session_at_once() -> None:
    async def check() -> None:
        sessions = make(inline_work=LONG)
        session, reads = await create(sessions, **LARGE), gate_reads(sessions)
        changes = [sessions.change(session.id, Train()) for _ in range(8)]
        results = await asyncio.gather(*changes, return_exceptions=True)
        done = [result for result in results if not isinstance(result, BaseException)]
        assert all(isinstance(result, Busy) for result in results if isinstance(result, BaseException))
        now = await sessions.load(session.id)
        assert now.revision == now.state.steps == len(done) == reads.count == 1
        await sessions.change(session.id, Train())
        await all_is_given_back(sessions, session.id)

    run(check())


def test_a_large_state_that_is_the_same_is_not_hashed_again() -> None:
    async def check() -> None:
        sessions = make(inline_work=LONG)
        session, reads = await create(sessions, **LARGE), gate_reads(sessions)
        for name in ("one", "two"):
            await sessions.change(session.id, Change(name=name))
        assert reads.count == 0
        fork = await sessions.fork(await sessions.load(session.id), "fork")
        assert reads.count == 0
        revisions = (await sessions.store.history(session.id)).revisions
        assert len({revision.digest for revision in revisions}) == 1
        assert (await sessions.store.history(fork.id)).revisions[0].digest == revisions[0].digest
        await sessions.change(session.id, Forward())
        assert reads.count == 1
        inside = await sessions.past.at((await sessions.change(session.id, Train(epochs=3))).session, epoch=2)
        before = reads.count
        await sessions.fork(inside, "inside")
        assert reads.count == before + 1  # nobody has its hash
        await all_is_given_back(sessions, session.id)

    run(check())


def test_a_change_that_is_given_up_while_it_is_hashed_leaves_nothing() -> None:
    async def check() -> None:
        sessions = make(inline_work=LONG)
        session, reads = await create(sessions, **LARGE), gate_reads(sessions)
        reads.gate.clear()
        one = asyncio.create_task(sessions.change(session.id, Train()))
        await turns()
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        reads.gate.set()
        assert await sessions.load(session.id) is session
        assert (await sessions.change(session.id, Train())).session.revision == 1
        await all_is_given_back(sessions, session.id)

    run(check())


def test_a_large_session_is_busy_while_it_is_made_and_while_it_goes_back_to_an_epoch() -> None:
    async def check() -> None:
        sessions = make(inline_work=LONG)
        session, reads = await create(sessions, **LARGE), gate_reads(sessions)
        await sessions.change(session.id, Train(epochs=3))
        reads.gate.clear()
        back = asyncio.create_task(sessions.rewind(session.id, None, 2))
        making = asyncio.create_task(create(sessions, **LARGE))
        await turns()
        with pytest.raises(Busy):
            await sessions.change(session.id, Change(name="new"))
        assert await sessions.store.count() == 1  # half a session is none
        reads.gate.set()
        assert (await back).state.epochs == 2
        assert (await making).revision == 0
        await all_is_given_back(sessions, session.id)

    run(check())


# What is computed again while the session goes on


def test_a_revision_that_is_cut_off_while_it_is_computed_again() -> None:
    """Its reader has it all the same; the next one does not."""

    async def check() -> None:
        sessions = make(inline_work=1_000_000, max_history=1)
        session = await create(sessions, data={"inputs": [[0.5, 0.25]] * 9, "targets": [[0.5]] * 9})
        for _ in range(3):
            session = (await sessions.change(session.id, Train(epochs=100))).session
        lane = gate_lane(sessions)
        lane.gate.clear()
        reading = asyncio.create_task(sessions.past.at(session, 2))
        inside = asyncio.create_task(sessions.past.at(session, epoch=150))
        forked = asyncio.create_task(sessions.past.before_update(session, 2, 150))
        await turns()
        assert lane.count == 3
        assert not sessions.is_busy(session.id)  # a reader stands in nobody's way
        await sessions.rewind(session.id, 0, None)
        await sessions.change(session.id, Change(name="new"))
        with pytest.raises(RevisionGone):
            await sessions.past.at(session, 2)
        lane.gate.set()
        assert (await reading).state.epochs == 200
        assert ((await inside).state.epochs, (await inside).tag) == (150, "2-epoch150")
        assert (await forked).steps == 149
        await sessions.store.remember(session.id, 2, "too late")
        assert [revision.digest for revision in (await sessions.store.history(session.id)).revisions] == [None, None]
        await all_is_given_back(sessions, session.id)

    run(check())


def test_a_session_that_is_deleted_while_its_past_is_computed_again() -> None:
    async def check() -> None:
        sessions = make(inline_work=1_000_000, max_history=1)
        session = await create(sessions, data={"inputs": [[0.5, 0.25]] * 9, "targets": [[0.5]] * 9})
        for _ in range(3):
            session = (await sessions.change(session.id, Train(epochs=100))).session
        lane = gate_lane(sessions)
        lane.gate.clear()
        reading = asyncio.create_task(sessions.past.at(session, 1))
        before = asyncio.create_task(sessions.past.before_update(session, 3, None))
        await turns()
        await sessions.delete(session.id)
        lane.gate.set()
        there = await reading
        assert there.state.epochs == 100
        assert (await before).steps == 299
        for late in (sessions.past.at(session, 2), sessions.fork(there, "late")):
            with pytest.raises(SessionNotFound):
                await late
        await sessions.store.remember(session.id, 1, "too late")
        assert held(sessions) == (0, 0, set())
        sessions.close()

    run(check())


def test_a_session_that_goes_back_in_the_lane_is_not_to_be_changed_meanwhile() -> None:
    async def check() -> None:
        sessions = make(inline_work=1_000_000, max_history=1)
        session = await create(sessions, data={"inputs": [[0.5, 0.25]] * 9, "targets": [[0.5]] * 9})
        for _ in range(3):
            session = (await sessions.change(session.id, Train(epochs=100))).session
        lane = gate_lane(sessions)
        lane.gate.clear()
        back = asyncio.create_task(sessions.rewind(session.id, 2, None))
        await turns()
        for refused in (sessions.change(session.id, Change(name="new")), sessions.delete(session.id)):
            with pytest.raises(Busy):
                await refused
        lane.gate.set()
        assert ((await back).revision, (await back).state.epochs) == (2, 200)
        await all_is_given_back(sessions, session.id)

    run(check())
