"""Trainings, at once, by a worker process, and cut short in every way: one and the same state, and one revision."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest
from engine.networks import slow_clock, there

from app.engine import passes
from app.engine.hashing import state_hash
from app.engine.plan import Ending, Frame
from app.errors import (
    Busy,
    Full,
    InvalidInput,
    LimitExceeded,
    RevisionMismatch,
    SessionNotFound,
    TrainingFailed,
    WrongPhase,
)
from app.sessions.edits import Change
from app.sessions.memory import MemoryStore
from app.sessions.operations import Backward, Forward, Step, Train
from app.sessions.runs import Run
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.sessions.trainings import Parts
from app.settings import Settings

from .making import ROWS, Clock, Here, create, held, run, run_of, train_here

T = TypeVar("T")
EPOCHS, BATCH = 20, 2  # two steps for each epoch of three rows
FIELDS: dict[str, Any] = {"data": ROWS, "optimizer": {"type": "adam", "learning_rate": 0.1}}
PLAN: dict[str, Any] = {"batch_size": BATCH, "shuffle": True}
LONG = 10**6
posix = pytest.mark.skipif(os.name == "nt", reason="NOT TESTED: Windows has no such signal")


DIVERGES = {
    "network": {"inputs": 2, "layers": [{"units": 1}]},
    "loss": "mse",
    "optimizer": {"type": "sgd", "learning_rate": 1e6},
}


def make(here: Here | None = None, **settings: Any) -> Sessions:
    """A server whose trainings are all long, and done a step at a time in place of worker processes."""
    values, clock = Settings(**{"inline_work": 1, **settings}), Clock()
    sessions = Sessions(MemoryStore(values, clock), values, clock)
    train_here(sessions, here or Here(slow_clock))
    return sessions


def training(epochs: int = EPOCHS, **fields: Any) -> Train:
    return Train.model_validate({"epochs": epochs, **PLAN, **fields})


def hash_of(session: Session) -> str:
    return state_hash(session.config, session.state)


async def at_once(epochs: int = EPOCHS, **fields: Any) -> Session:
    """The session after a training that is done in one go, without any run."""
    sessions = make(inline_work=10**15)
    session = await create(sessions, **FIELDS)
    return (await sessions.change(session.id, training(epochs, **fields))).session


@pytest.fixture(scope="module")
def expected() -> str:
    """The hash of the state that each training here comes to."""
    return hash_of(run(at_once()))


async def finished(sessions: Sessions, session: Session, operation: Train, **more: Any) -> Run:
    """A run of a training, over."""
    one = await sessions.begin(session.id, operation, **more)
    await one.end()
    return one


async def go_on(sessions: Sessions, session: Session, epochs: int = EPOCHS) -> str:
    """Train on until so many epochs are done in all; the hash of the state there."""
    now = await sessions.load(session.id)
    return hash_of((await sessions.change(session.id, training(epochs - now.state.epochs))).session)


def at_workers(sessions: Sessions) -> int:
    """How many trainings are at a worker, or wait for one."""
    trainings: Any = sessions.trainings
    count: int = trainings._at_workers
    return count


async def all_is_given_back(sessions: Sessions, session: Session) -> None:
    total, really, reserved = held(sessions)
    assert (total, reserved) == (really, set())
    assert not sessions.is_busy(session.id)
    assert await run_of(sessions, session.id) is None
    assert at_workers(sessions) == 0


# One and the same state


def test_as_a_run() -> None:
    """At once or a piece at a time: the same state, and the same entries but for their times."""

    async def check() -> None:
        expected = await at_once()
        for inline_work in (1, 10**15):
            sessions = make(inline_work=inline_work)
            session = await create(sessions, **FIELDS)
            one = await sessions.begin(session.id, training())
            assert (one.epochs_done, one.epochs_total, one.is_over) == (0, EPOCHS, False)
            assert await run_of(sessions, session.id) is one
            assert await sessions.runs.of(session.id) == [one]
            await one.end()
            now = await sessions.load(session.id)
            assert hash_of(now) == hash_of(expected)
            assert (one.status, one.revision, one.epochs_done, one.failure) == ("finished", 1, EPOCHS, None)
            assert one.stopped == {
                "reason": "epochs", "epoch": EPOCHS, "step": 2 * EPOCHS,
                "tensor": None, "threshold": None, "actual": None,
            }  # fmt: skip
            entries = one.entries()
            assert [entry["epoch"] for entry in entries] == list(range(1, EPOCHS + 1))
            assert entries[-1]["loss"] == one.loss
            await all_is_given_back(sessions, session)

    run(check())


def test_as_passes_by_hand() -> None:
    async def check() -> None:
        by_hand, by_run = make(), make()
        session, other = await create(by_hand, **FIELDS), await create(by_run, **FIELDS)
        for _ in range(7):
            for operation in (Forward(), Backward(), Step()):
                session = (await by_hand.change(session.id, operation)).session
        await finished(by_run, other, Train(epochs=7))
        assert hash_of(await by_run.load(other.id)) == hash_of(session)

    run(check())


@pytest.mark.parametrize("halves", [(12, 8), (1, 18, 1)])
def test_in_parts(halves: tuple[int, ...], expected: str) -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions, **FIELDS)
        for epochs in halves:
            await finished(sessions, session, training(epochs))
        assert hash_of(await sessions.load(session.id)) == expected
        assert (await sessions.load(session.id)).revision == len(halves)

    run(check())


@pytest.mark.parametrize(
    ("reason", "status"), [("cancelled", "cancelled"), ("disconnected", "cancelled"), ("time_limit", "stopped")]
)
@pytest.mark.parametrize(("pauses_at", "at_epoch"), [(8, False), (9, False), (9, True), (10, True)])
def test_ended_early_and_gone_on_with(reason: Any, status: str, pauses_at: int, at_epoch: bool, expected: str) -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = pauses_at
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training())
        await here.reached.wait()
        one.end_early(Ending(reason, at_epoch))
        assert not one.is_over
        here.go.set()
        await one.end()
        now = await sessions.load(session.id)
        assert one.stopped is not None
        assert (one.status, one.stopped["reason"], one.stopped["step"]) == (status, reason, now.state.steps)
        assert pauses_at <= now.state.steps <= pauses_at + 2
        assert now.state.epoch_position == (0 if now.state.steps % 2 == 0 else BATCH)
        assert (now.state.epoch_position == 0) or not at_epoch
        assert (now.revision, one.revision, one.epochs_done) == (1, 1, now.state.epochs)
        assert len(one.entries()) == now.state.epochs
        await all_is_given_back(sessions, session)
        assert await go_on(sessions, session) == expected

    run(check())


def test_a_later_ending_that_is_to_be_at_once_counts(expected: str) -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 8
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training())
        await here.reached.wait()
        one.end_early(Ending("cancelled", at_epoch=True))
        one.end_early(Ending("time_limit"))
        here.go.set()
        await one.end()
        assert one.stopped is not None
        assert one.stopped["step"] <= 10
        assert await go_on(sessions, session) == expected

    run(check())


@pytest.mark.parametrize("tells_at", [8, 9])
def test_after_its_worker_is_gone(tells_at: int, expected: str) -> None:
    """It stands where the last checkpoint was; what came after is lost, and is done again."""

    async def check() -> None:
        here = Here(slow_clock)
        here.tells_at, here.dies_at = tells_at, 15
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        one = await finished(sessions, session, training())
        now = await sessions.load(session.id)
        assert now.state is here.told
        assert tells_at <= now.state.steps < 12
        epochs = now.state.steps // 2
        assert (now.revision, now.state.epochs) == (1, epochs)
        assert (one.status, one.revision, one.stopped, one.epochs_done) == ("failed", 1, None, epochs)
        assert isinstance(one.failure, TrainingFailed)
        assert one.failure.retry_after > 0
        assert [entry["epoch"] for entry in one.entries()] == list(range(1, epochs + 1))
        assert one.loss == one.entries()[-1]["loss"]
        assert one.since(epochs) is None
        revision = (await sessions.store.history(session.id)).revisions[-1]
        assert revision.curve is not None
        assert revision.curve.entries() == one.entries()
        await all_is_given_back(sessions, session)
        here.dies_at = None
        assert await go_on(sessions, session) == expected

    run(check())


def test_after_its_worker_is_gone_before_a_checkpoint(expected: str) -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.dies_at = 15
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        one = await finished(sessions, session, training())
        assert (await sessions.load(session.id)).state is session.state
        assert (one.status, one.revision, one.stopped, one.epochs_done) == ("failed", None, None, 0)
        assert isinstance(one.failure, TrainingFailed)
        assert (one.entries(), one.loss) == ([], None)
        await all_is_given_back(sessions, session)
        with pytest.raises(TrainingFailed):
            await sessions.change(session.id, training())
        here.dies_at = None
        assert await go_on(sessions, session) == expected

    run(check())


@pytest.mark.parametrize("tells_at", [9, None])
def test_a_worker_that_is_killed_since_it_did_not_end(tells_at: int | None, expected: str) -> None:
    """That is an end like any other."""

    async def check() -> None:
        here = Here(slow_clock)
        here.tells_at, here.pauses_at, here.dies_at = tells_at, 12, 12
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training())
        await here.reached.wait()
        one.end_early(Ending("time_limit"))
        here.go.set()
        await one.end()
        now = await sessions.load(session.id)
        assert now.state is (session.state if here.told is None else here.told)
        assert now.revision == 1
        assert (one.status, one.failure, one.revision) == ("stopped", None, 1)
        assert one.stopped is not None
        assert (one.stopped["reason"], one.stopped["step"]) == ("time_limit", now.state.steps)
        await all_is_given_back(sessions, session)
        here.dies_at = None
        assert await go_on(sessions, session) == expected

    run(check())


@pytest.mark.parametrize("inline_work", [1, 10**15])
@pytest.mark.parametrize("report_every", [1, 3])
def test_with_frames_and_a_probe(inline_work: int, report_every: int, expected: str) -> None:
    """What each entry shows is the session as it stood there, and what the network answered."""

    async def check() -> None:
        sessions, probe = make(inline_work=inline_work), np.array([[0.5, 0.25], [0.0, 1.0]])
        session = await create(sessions, **FIELDS)

        def write(session: Session, frame: Frame) -> bytes:
            return state_hash(session.config, there(frame.state)).encode() + there(frame.probe).tobytes()

        parts = Parts(True, probe, 100, write)
        one = await finished(sessions, session, training(report_every=report_every), parts=parts)
        now = await sessions.load(session.id)
        assert hash_of(now) == expected
        piece = there(one.since(0))
        epochs = [entry["epoch"] for entry in one.entries()]
        assert epochs == [*range(report_every, EPOCHS + 1, report_every), *([EPOCHS] if report_every > 1 else [])]
        assert len(piece.parts) == len(epochs)
        for epoch, shown in zip(epochs, piece.parts, strict=True):
            then = await sessions.past.at(now, epoch=epoch)
            answers = passes.predict(then.config, then.state.parameters, probe).vector
            assert shown == hash_of(then).encode() + answers.tobytes()
        await all_is_given_back(sessions, session)

    run(check())


@pytest.mark.parametrize(
    ("stop", "fields", "reason", "tensor"),
    [
        ({"type": "loss_below", "value": 0.04}, {}, "loss_below", None),
        ({"type": "epoch", "value": 5}, {}, "epoch", None),
        ({"type": "gradient_norm_above", "value": 0}, {}, "gradient_norm_above", "gradient_norm"),
        (None, DIVERGES, "nonfinite", None),
    ],
)
def test_until_something_happens(stop: Any, fields: Any, reason: str, tensor: str | None) -> None:
    """The same as at once; and it can go on from there, or back to where it was."""

    async def check() -> None:
        sessions, reference = make(), make(inline_work=10**15)
        operation = training(300, **({"stop": [stop]} if stop else {}))
        session, other = [await create(one, **{**FIELDS, **fields}) for one in (sessions, reference)]
        one = await finished(sessions, session, operation)
        same, result = await reference.change(other.id, operation)
        now = await sessions.load(session.id)
        assert hash_of(now) == hash_of(same)
        assert (one.status, one.stopped, one.revision) == ("stopped", result.stopped, 1)
        assert one.stopped is not None
        assert one.stopped["reason"] == reason
        assert tensor in (None, one.stopped["tensor"])
        assert now.state.steps == one.stopped["step"] < 600
        assert [entry["loss"] for entry in one.entries()] == [entry["loss"] for entry in result.history]
        await sessions.change(session.id, Change(name="later"))
        (await sessions.store.history(session.id)).shrink(0, 2)
        assert hash_of(await sessions.rewind(session.id, 1, None)) == hash_of(same)

    run(check())


def test_a_condition_that_makes_no_sense_is_refused_before_anything_begins() -> None:
    async def check() -> None:
        operation = training(stop=["nonfinite", {"type": "parameter_outside", "parameter": "zebra.weight", "low": 0}])
        for inline_work in (1, 10**15):
            sessions = make(inline_work=inline_work)
            session = await create(sessions, **FIELDS)
            for refused in (sessions.begin(session.id, operation), sessions.change(session.id, operation)):
                with pytest.raises(InvalidInput) as caught:
                    await refused
                assert [error.pointer for error in caught.value.errors] == ["/stop/1/parameter"]
            assert await sessions.runs.of(session.id) == []
            assert (await sessions.load(session.id)).state is session.state
            await all_is_given_back(sessions, session)

    run(check())


# The history


def test_its_revision() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions, **FIELDS)
        one = await finished(sessions, session, training(probe={"inputs": [[0.5, 0.25]]}))
        _, result = await sessions.change(session.id, training(3))
        second = (await sessions.runs.of(session.id))[1]
        assert (len(result.history), result.stopped) == (3, second.stopped)
        assert [entry["epoch"] for entry in result.history] == [21, 22, 23]
        inline = make(inline_work=10**15)
        other = await create(inline, **FIELDS)
        await inline.change(other.id, training())
        revisions = (await sessions.store.history(session.id)).revisions
        at_once = (await inline.store.history(other.id)).revisions[1]
        assert [revision.run for revision in revisions] == [None, one.id, second.id]
        assert (at_once.run, await inline.runs.of(other.id)) == (None, [])
        assert revisions[1].state_hash == at_once.state_hash
        assert revisions[1].arguments == at_once.arguments  # a probe is only shown
        assert [revision.operation for revision in revisions] == ["create", "train", "train"]
        assert revisions[1].curve is not None
        assert revisions[1].curve.entries() == one.entries()

    run(check())


@pytest.mark.parametrize("epoch", [1, 7, 11])
def test_an_epoch_inside_it(epoch: int) -> None:
    """It is computed again exactly, though the training was cut short; and gone on from."""

    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 23
        sessions = make(here, inline_work=LONG)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training(1000))
        await here.reached.wait()
        one.end_early(Ending("cancelled"))
        here.go.set()
        await one.end()
        back = await sessions.rewind(session.id, None, epoch)
        assert hash_of(back) == hash_of(await at_once(epoch))
        assert (back.revision, back.state.epochs, back.state.epoch_position) == (2, epoch, 0)
        assert await go_on(sessions, session) == hash_of(await at_once())

    run(check())


def test_what_was_let_go_is_computed_again() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.tells_at, here.dies_at = 9, 12
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        await finished(sessions, session, training())
        cut = await sessions.load(session.id)
        await sessions.change(session.id, Change(name="later"))
        history = await sessions.store.history(session.id)
        history.shrink(0, 2)
        assert not history.revisions.is_kept(1)
        assert hash_of(await sessions.past.at(await sessions.load(session.id), 1)) == hash_of(cut)

    run(check())


def test_a_run_that_ended_before_it_began_is_a_revision_without_steps() -> None:
    """It can be gone back to as any other."""

    async def check() -> None:
        here = Here(slow_clock)
        here.dies_at = 1
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training())
        one.end_early(Ending("cancelled"))
        await one.end()
        await sessions.change(session.id, Change(name="later"))
        (await sessions.store.history(session.id)).shrink(0, 2)
        assert hash_of(await sessions.rewind(session.id, 1, None)) == hash_of(session)

    run(check())


# While it is under way


def test_nothing_else_changes_the_session_meanwhile() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 4
        sessions = make(here)
        session, other = await create(sessions, **FIELDS), await create(sessions, **FIELDS)
        session = (await sessions.change(session.id, Change(name="named"))).session
        one = await sessions.begin(session.id, training(), {1})
        await here.reached.wait()
        assert (one.status, one.epochs_total, one.started_at) == ("running", EPOCHS, one.created_at)
        assert 2 <= one.epochs_done < EPOCHS
        assert sessions.is_busy(session.id)
        now = await sessions.load(session.id)  # reads answer the state before
        assert (now.state, now.revision, now.run) == (session.state, 1, one.id)
        assert held(sessions)[2] == {session.id}
        for refused in (
            sessions.change(session.id, Change(name="new")), sessions.change(session.id, training()),
            sessions.begin(session.id, training()), sessions.rewind(session.id, 0, None), sessions.delete(session.id),
            sessions.change(session.id, Step()),
        ):  # fmt: skip
            with pytest.raises(Busy):
                await refused
        with pytest.raises(RevisionMismatch):
            await sessions.begin(session.id, training(), {0})
        with pytest.raises(SessionNotFound):
            await sessions.begin("zebra", training())
        assert await sessions.runs.of(session.id) == [one]
        with pytest.raises(WrongPhase):
            await sessions.change(other.id, Step())
        fork = await sessions.fork(session, "fork")  # nobody's state is in another's way
        assert (await sessions.change(fork.id, Change(name="free"))).session.name == "free"
        sessions.clock.now += 10**6  # type: ignore[attr-defined]
        assert (await sessions.load(session.id)).run == one.id  # what is at work does not expire
        here.go.set()
        await one.end()
        now = await sessions.load(session.id)
        assert (now.revision, now.name) == (2, "named")
        assert one.ended_at == one.created_at + 10**6
        await all_is_given_back(sessions, session)
        await sessions.delete(session.id)
        assert await sessions.runs.of(session.id) == []

    run(check())


def test_a_caller_that_goes_away_leaves_it_going_on(expected: str) -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 4
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        asked = asyncio.create_task(sessions.change(session.id, training()))
        await here.reached.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        here.go.set()
        (one,) = await sessions.runs.of(session.id)
        await one.end()
        assert hash_of(await sessions.load(session.id)) == expected

    run(check())


@pytest.mark.parametrize("somebody", ["changes", "rewinds", "deletes"])
def test_it_is_answered_as_it_ended_though_somebody_was_quicker(
    somebody: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the end of a long training and its answer."""

    async def check() -> None:
        sessions = make()
        session = await create(sessions, **FIELDS)
        runs: Any = sessions.runs
        did, ended = list[int](), runs.ended

        def then(one: Run) -> None:
            ended(one)
            changes: Any = {
                "changes": lambda: sessions.change(session.id, Change(name="quicker")),
                "rewinds": lambda: sessions.rewind(session.id, 0, None),
                "deletes": lambda: sessions.delete(session.id),
            }
            with pytest.raises(StopIteration):  # it does not suspend
                changes[somebody]().send(None)
            did.append(1)

        monkeypatch.setattr(sessions.runs, "ended", then)
        changed, result = await sessions.change(session.id, training())
        assert did == [1]
        assert hash_of(changed) == expected
        assert (changed.revision, changed.name, len(result.history)) == (1, session.name, EPOCHS)
        assert result.stopped["reason"] == "epochs"
        for one in await sessions.runs.of(session.id):
            assert (one.session, one.is_awaited) == (None, False)

    run(check())


def test_a_run_holds_no_session_for_nobody() -> None:
    """Neither where none asked for it, nor where the one who did is gone."""

    async def check() -> None:
        here = Here(slow_clock)
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        one = await finished(sessions, session, training(1))
        assert (one.session, one.is_awaited) == (None, False)
        here.pauses_at = 1
        asked = asyncio.create_task(sessions.change(session.id, training()))
        await here.reached.wait()
        other = there(await run_of(sessions, session.id))
        assert other.is_awaited
        asked.cancel()
        await asyncio.wait([asked])
        here.go.set()
        await other.end()
        assert (other.status, other.session, other.is_awaited) == ("finished", None, False)

    run(check())


# What it takes


def test_room_is_held_from_its_begin_to_its_end() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 2
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        before = held(sessions)[0]
        job = training().prepare(session, sessions.settings)
        parts = Parts(False, None, 1000, lambda session, frame: b"")
        one = await sessions.begin(session.id, training(), parts=parts)
        total, really, reserved = held(sessions)
        past = (await sessions.store.history(session.id)).nbytes
        assert (total, reserved) == (job.nbytes + EPOCHS * 1000 + past, {session.id})
        assert really == before
        here.go.set()
        await one.end()
        await all_is_given_back(sessions, session)
        assert held(sessions)[0] <= job.nbytes + past

    run(check())


def test_a_large_probe_is_no_work_for_the_event_loop() -> None:
    async def check() -> None:
        sessions = make(Here(), inline_work=2_000_000)
        session = await create(sessions, **FIELDS)
        for rows, count in ((1, 0), (20_000, 1)):
            parts = Parts(False, np.zeros((rows, 2)), 1, lambda session, frame: b"")
            run = await sessions.begin(session.id, training(epochs=1), parts=parts)
            assert at_workers(sessions) == count
            await run.end()

    run(check())


@pytest.mark.parametrize(("others", "refusal"), [(0, LimitExceeded), (5, Full)])
def test_without_room_none_begins(others: int, refusal: type[Exception]) -> None:
    async def check() -> None:
        sessions = make(max_bytes=100_000)
        for _ in range(others):
            await create(sessions, **FIELDS)
        session = await create(sessions, **FIELDS)
        before, shown = held(sessions), (100_000 if others == 0 else 40_000) // EPOCHS
        with pytest.raises(refusal):
            await sessions.begin(session.id, training(), parts=Parts(False, None, shown, lambda session, frame: b""))
        assert held(sessions) == before
        assert await sessions.runs.of(session.id) == []
        await all_is_given_back(sessions, session)
        await finished(sessions, session, training())

    run(check())


@pytest.mark.parametrize(("report_every", "entries"), [(1, 20), (6, 4), (100, 1)])
def test_what_its_entries_show_is_bounded(report_every: int, entries: int) -> None:
    async def check() -> None:
        operation, parts = training(report_every=report_every), Parts(False, None, 100, lambda session, frame: b"")
        sessions = make(max_stream=entries * 100 - 1)
        session = await create(sessions, **FIELDS)
        with pytest.raises(LimitExceeded) as caught:
            await sessions.begin(session.id, operation, parts=parts)
        assert [error.pointer for error in caught.value.errors] == ["/report_every"]
        assert caught.value.extra == {
            "limit": entries * 100 - 1, "estimate": entries * 100, "setting": "GRADSTEP_MAX_STREAM",
        }  # fmt: skip
        await all_is_given_back(sessions, session)
        sessions = make(max_stream=entries * 100)
        session = await create(sessions, **FIELDS)
        await finished(sessions, session, operation, parts=parts)

    run(check())


def test_so_many_wait_at_most() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 1
        sessions = make(here, train_workers=1, train_queue=1)
        many = [await create(sessions, **FIELDS) for _ in range(4)]
        under_way = [await sessions.begin(session.id, training()) for session in many[:2]]
        before = held(sessions)
        for refused in (sessions.begin(many[2].id, training()), sessions.change(many[2].id, training())):
            with pytest.raises(Full) as caught:
                await refused
            assert caught.value.retry_after > 0
        assert held(sessions) == before
        assert not sessions.is_busy(many[2].id)
        assert await sessions.runs.of(many[2].id) == []
        under_way.append(await sessions.begin(many[3].id, training(), patient=True))  # as part of a sweep
        assert (await sessions.change(many[2].id, Change(name="small"))).session.name == "small"
        here.go.set()
        for one in under_way:
            await one.end()
            assert one.status == "finished"
        await finished(sessions, many[2], training())
        await all_is_given_back(sessions, many[2])

    run(check())


def test_a_small_one_waits_for_no_worker() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 1
        sessions = make(here, train_workers=1, train_queue=1, inline_work=LONG)
        many = [await create(sessions, **FIELDS) for _ in range(3)]
        under_way = [await sessions.begin(session.id, training(1000)) for session in many[:2]]
        one = await finished(sessions, many[2], training(2))
        assert one.status == "finished"
        here.go.set()
        for other in under_way:
            other.end_early(Ending("cancelled"))
            await other.end()

    run(check())


def test_it_is_ended_when_it_takes_too_long(expected: str) -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 8
        sessions = make(here)
        sessions.trainings.settings = sessions.settings.model_copy(update={"max_run_seconds": 0.1})
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training())
        await here.reached.wait()
        while one.ending is None:
            await asyncio.sleep(0.01)
        assert not one.is_over
        here.go.set()
        await one.end()
        assert one.stopped is not None
        assert (one.status, one.stopped["reason"], one.ending) == ("stopped", "time_limit", Ending("time_limit"))
        here.pauses_at = None
        other = await finished(sessions, session, training(1))
        await asyncio.sleep(0.15)
        assert (other.status, other.ending) == ("finished", None)  # its time was up when it had long ended
        sessions.trainings.settings = sessions.settings
        assert await go_on(sessions, session) == expected

    run(check())


# Faults


async def all_is_as_before(sessions: Sessions, session: Session, one: Run) -> None:
    assert (one.status, one.revision, one.stopped) == ("failed", None, None)
    assert await sessions.runs.of(session.id) == [one]
    await all_is_given_back(sessions, session)


def test_a_fault_in_a_training(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        for inline_work in (1, 10**15):
            sessions = make(inline_work=inline_work)
            session = await create(sessions, **FIELDS)
            monkeypatch.setattr("app.engine.training.train", lambda *_: 1 // 0)
            one = await finished(sessions, session, training())
            monkeypatch.undo()
            assert isinstance(one.failure, TrainingFailed)
            assert "log" in one.failure.detail
            assert "ZeroDivisionError" in caplog.text
            assert (await sessions.load(session.id)).state is session.state
            await all_is_as_before(sessions, session, one)
            caplog.clear()

    run(check())


def test_a_fault_while_something_is_written(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        for inline_work in (1, 10**15):
            sessions = make(inline_work=inline_work)
            session = await create(sessions, **FIELDS)
            parts = Parts(False, np.ones((1, 2)), 10, lambda session, frame: bytes(1 // 0))
            one = await finished(sessions, session, training(), parts=parts)
            assert isinstance(one.failure, TrainingFailed)
            assert "ZeroDivisionError" in caplog.text
            await all_is_as_before(sessions, session, one)
            sessions.close()

    run(check())


def test_a_session_that_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        sessions, full = make(), Full("no room", retry_after=1)
        session = await create(sessions, **FIELDS)

        commit = sessions.store.commit

        async def refuse(session: Session, revision: Any, *rest: Any) -> None:
            if revision is not None:
                raise full
            await commit(session, revision, *rest)

        monkeypatch.setattr(sessions.store, "commit", refuse)
        with pytest.raises(Full):
            await sessions.change(session.id, training())
        (one,) = await sessions.runs.of(session.id)
        assert one.failure is full
        await all_is_as_before(sessions, session, one)
        assert (await sessions.load(session.id)).state is session.state

    run(check())


@pytest.mark.parametrize("saving", [False, True])
def test_a_server_that_is_torn_down(saving: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it trains, or while what it came to is put into the store: either way, nothing was kept."""

    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = None if saving else 2
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        commits: list[int] = []

        commit = sessions.store.commit

        async def wait(session: Session, revision: Any, *rest: Any) -> None:
            if revision is None:
                return await commit(session, revision, *rest)
            commits.append(1)
            await asyncio.Event().wait()

        monkeypatch.setattr(sessions.store, "commit", wait)
        one = await sessions.begin(session.id, training())
        while not (commits or here.reached.is_set()):
            await asyncio.sleep(0)
        (task,) = sessions.trainings._tasks
        task.cancel()
        await asyncio.wait([task])
        assert len(commits) == saving
        assert isinstance(one.failure, TrainingFailed)
        assert "stopped" in one.failure.detail
        await all_is_as_before(sessions, session, one)

    run(check())


def test_a_server_that_stops_ends_them_all() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 4
        sessions = make(here)
        many = [await create(sessions, **FIELDS) for _ in range(2)]
        under_way = [await sessions.begin(session.id, training()) for session in many]
        over = await finished(sessions, await create(sessions, **FIELDS), training(1))
        sessions.stop()
        here.go.set()
        for one in under_way:
            await one.end()
            assert (one.status, one.revision) == ("cancelled", 1)
        assert over.status == "finished"
        sessions.close()

    run(check())


# Worker processes, real ones


@pytest.fixture(scope="module")
def do() -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Runs coroutines, all of them in one loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def real() -> Iterator[Sessions]:
    """A server with worker processes, all of whose trainings go to them."""
    values, clock = Settings(inline_work=1), Clock()
    sessions = Sessions(MemoryStore(values, clock), values, clock)
    yield sessions
    sessions.close()


def processes(sessions: Sessions) -> set[int]:
    """The ids of the worker processes that are at a training."""
    workers = sessions.trainings.workers
    running = (process._popen.pid for process in workers._processes - set(workers._idle) if process._popen)
    return set(running)


def test_a_process_comes_to_the_same(do: Any, real: Sessions, expected: str) -> None:
    async def check() -> None:
        session, other = await create(real, **FIELDS), await create(real, **FIELDS)
        probe = np.array([[0.5, 0.25]])

        def write(session: Session, frame: Frame) -> bytes:
            return state_hash(session.config, there(frame.state)).encode()

        parts = Parts(True, probe, 100, write)
        one, two = await real.begin(session.id, training()), await real.begin(other.id, training(), parts=parts)
        for each in (one, two):
            await each.end()
            assert (each.status, each.failure, len(each.entries())) == ("finished", None, EPOCHS)
        now = await real.load(session.id)
        assert hash_of(now) == hash_of(await real.load(other.id)) == expected
        piece = there(two.since(0))
        epochs = [hash_of(await real.past.at(now, epoch=epoch)).encode() for epoch in range(1, EPOCHS + 1)]
        assert piece.parts == epochs
        await all_is_given_back(real, session)

    do(check())


@pytest.mark.parametrize("at_epoch", [False, True])
def test_a_process_ends_early(do: Any, real: Sessions, at_epoch: bool) -> None:
    async def check() -> None:
        session = await create(real, **FIELDS)
        one = await real.begin(session.id, training(LONG, report_every=100))
        while not one.count:
            await one.change()
        asked_at = one.entries()[-1]["steps"]
        one.end_early(Ending("cancelled", at_epoch))
        await one.end()
        now = await real.load(session.id)
        assert (one.status, one.revision) == ("cancelled", 1)
        assert asked_at <= now.state.steps < asked_at + LONG // 2  # of 2 * LONG
        assert at_epoch <= (now.state.epoch_position == 0)
        epochs = now.state.epochs + 3
        assert await go_on(real, session, epochs) == hash_of(await at_once(epochs, report_every=1000))
        await all_is_given_back(real, session)

    do(check())


@posix
def test_a_process_that_is_killed_after_a_checkpoint(do: Any, real: Sessions) -> None:
    async def check() -> None:
        session = await create(real, **FIELDS)
        one = await real.begin(session.id, training(LONG, report_every=LONG))
        while not one.epochs_done:  # the first checkpoint
            await one.change()
        (process,) = processes(real)
        os.kill(process, signal.SIGKILL)
        await one.end()
        now = await real.load(session.id)
        assert (one.status, one.revision, one.epochs_done) == ("failed", 1, now.state.epochs)
        assert isinstance(one.failure, TrainingFailed)
        assert 0 < now.state.steps < 2 * LONG
        epochs = now.state.epochs + 3
        assert await go_on(real, session, epochs) == hash_of(await at_once(epochs, report_every=LONG))
        await all_is_given_back(real, session)

    do(check())


def test_a_server_that_closes_kills_what_does_not_end() -> None:
    async def check() -> None:
        values, clock = Settings(inline_work=1), Clock()
        sessions = Sessions(MemoryStore(values, clock), values, clock)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training(LONG, report_every=LONG))
        while one.started_at is None:
            await one.change()
        sessions.close()
        await one.end()
        assert (one.status, one.revision) == ("cancelled", 1)
        await all_is_given_back(sessions, session)

    run(check())
