"""Trainings over several processes: wherever each part of one is done, it comes to the same, and once."""

import asyncio
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from engine.networks import slow_clock, there

from app.engine.plan import Ending, Frame
from app.errors import Busy, Full, NotFound, Stopping, StoreAway, TrainingFailed
from app.sessions.edits import Change
from app.sessions.operations import Train
from app.sessions.runs import Run
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.sessions.store import Conflict
from app.sessions.trainings import Parts
from app.sessions.valkey.jobs import LONG, SMALL, Job

from ..making import Here, create, run, run_of
from ..test_sweep import FIELDS as SWEPT
from ..test_sweep import sweep
from ..test_trainings import EPOCHS, FIELDS, at_once, hash_of, training
from .services import Services, queued


@pytest.fixture(scope="module")
def expected() -> str:
    return hash_of(run(at_once()))


async def ends_well(sessions: Sessions, session: Session, one: Run, expected: str, epochs: int = EPOCHS) -> None:
    """A run comes to what it comes to undisturbed, as one revision, with each entry once."""
    await one.end()
    assert (one.failure, one.status, one.revision, one.epochs_done) == (None, "finished", 1, epochs)
    assert [entry["epoch"] for entry in one.entries()] == list(range(1, epochs + 1))
    now = await sessions.store.load(session.id)
    assert (hash_of(now), now.run, now.revision) == (expected, None, 1)
    revision = (await sessions.store.history(session.id)).revisions[-1]
    assert revision.run == one.id
    assert there(revision.curve).entries() == one.entries()
    again = await sessions.runs.follow(session.id, one.id)
    assert (again.status, again.stopped, again.entries()) == (one.status, one.stopped, one.entries())


@pytest.mark.parametrize("inline_work", [1, 10**15])
def test_begun_here_done_there(services: Services, inline_work: int, expected: str) -> None:
    async def check(services: Services) -> None:
        here, other = await services.make(works=False, inline_work=inline_work), await services.make()
        session = await create(here, **FIELDS)
        one = await here.begin(session.id, training())
        await ends_well(other, session, one, expected)
        assert [found.id for found in await other.runs.of(session.id)] == [one.id]
        changed = await here.change(session.id, training())
        assert (changed.session.revision, len(changed.result.history)) == (2, EPOCHS)
        assert changed.session.state.epochs == 2 * EPOCHS
        jobs = f"gradstep:{{gradstep}}:jobs:{LONG if inline_work == 1 else SMALL}"
        await queued(here).jobs.add(Job(SMALL if inline_work > 1 else LONG, session.id, one.id))  # once more
        while await queued(here).client.call("XLEN", jobs):
            await asyncio.sleep(0.01)
        assert (await other.store.load(session.id)).revision == 2
        with pytest.raises(NotFound):
            await here.runs.find(session.id, "zebra")
        with pytest.raises(NotFound):
            await here.runs.follow(session.id, "zebra")

    services.run(check)


def test_the_session_is_taken_for_all(services: Services) -> None:
    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.pauses_at = 4
        one, two = await services.make(here), await services.make(works=False)
        session = await create(one, **FIELDS)
        begun = await two.begin(session.id, training())
        await here.reached.wait()
        for refused in (
            one.change(session.id, Change(name="x")),
            two.begin(session.id, training()),
            two.delete(session.id),
        ):
            with pytest.raises(Busy):
                await refused
        assert there(await run_of(two, session.id)).id == begun.id
        while begun.status != "running":
            await begun.change()
        await two.runs.end(begun, Ending("cancelled"))
        here.go.set()
        await begun.end()
        assert there(begun.stopped)["reason"] == "cancelled"
        await two.runs.end(begun, Ending("cancelled"))  # it is over
        assert (await one.change(session.id, Change(name="x"))).session.revision == 2

    services.run(check)


@pytest.mark.parametrize(
    ("tells_at", "dies_at"),
    [pytest.param(None, 9, marks=pytest.mark.long), (1, 9), (8, 15), pytest.param(39, 39, marks=pytest.mark.long)],
)
def test_its_process_dies(services: Services, tells_at: int | None, dies_at: int, expected: str) -> None:
    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.tells_at, here.pauses_at = tells_at, dies_at
        dying, other = await services.make(here), await services.make(works=False)
        session = await create(other, **FIELDS)
        one = await other.begin(session.id, training())
        await here.reached.wait()
        await other.open()
        await services.kill(dying)
        await ends_well(other, session, one, expected)

    services.run(check)


def test_conditions_that_look_back_are_asked_anew(services: Services) -> None:
    """What a plateau has seen is in no checkpoint."""

    async def check(services: Services) -> None:
        stop = [{"type": "plateau", "patience": 3, "min_delta": 1.0}, {"type": "epoch", "value": 300}]
        undisturbed = hash_of(await at_once(50, stop=stop))
        here = Here(slow_clock)
        here.tells_at, here.pauses_at = 3, 5
        dying, other = await services.make(here), await services.make(works=False)
        session = await create(other, **FIELDS)
        one = await other.begin(session.id, training(50, stop=stop))
        await here.reached.wait()
        await other.open()
        await services.kill(dying)
        await one.end()
        assert (one.status, there(one.stopped)["reason"]) == ("stopped", "plateau")
        assert hash_of(await other.store.load(session.id)) == undisturbed

    services.run(check)


@pytest.mark.parametrize("has_checkpoint", [pytest.param(False, marks=pytest.mark.long), True])
def test_one_that_ends_its_process_each_time(services: Services, has_checkpoint: bool, expected: str) -> None:
    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.tells_at, here.dies_at = 8 if has_checkpoint else None, 10
        sessions = await services.make(here)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training())
        await one.end()
        now = await sessions.store.load(session.id)
        assert isinstance(one.failure, TrainingFailed)
        assert (one.status, one.stopped, now.run) == ("failed", None, None)
        assert (now.state.epochs > 0, now.revision, one.revision) == (
            (True, 1, 1) if has_checkpoint else (False, 0, None)
        )
        assert [entry["epoch"] for entry in one.entries()] == list(range(1, now.state.epochs + 1))
        assert (one.was_cut is None) == (one.count == 20)
        here.dies_at = None
        rest = (await sessions.change(session.id, training(EPOCHS - now.state.epochs))).session
        assert hash_of(rest) == expected

    services.run(check)


def test_ended_when_its_worker_is_gone(services: Services) -> None:
    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.pauses_at, here.dies_at = 4, 5
        sessions = await services.make(here)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training())
        await here.reached.wait()
        sessions.runs.end_soon(one, Ending("disconnected"))
        while not all(held.ending for held in sessions.runs.all()):
            await asyncio.sleep(0.01)
        here.go.set()
        await one.end()
        assert (one.status, there(one.stopped)["reason"]) == ("cancelled", "disconnected")

    services.run(check)


@pytest.mark.parametrize("report_every", [pytest.param(1, marks=pytest.mark.long), 3])
def test_a_server_that_stops_gives_its_trainings_back(services: Services, report_every: int, expected: str) -> None:
    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.pauses_at = 9
        stopping, other = await services.make(here), await services.make(works=False)
        session = await create(other, **FIELDS)
        one = await other.begin(session.id, training(report_every=report_every))
        mirror = await stopping.runs.follow(session.id, one.id)
        await here.reached.wait()
        stopping.stop()
        here.go.set()
        await mirror.end()
        assert isinstance(mirror.failure, Stopping)
        await stopping.leave()
        assert not one.is_over
        await other.open()
        await one.end()
        assert (one.status, one.failure) == ("finished", None)
        epochs = [entry["epoch"] for entry in one.entries()]
        assert epochs == [*range(report_every, EPOCHS + 1, report_every), *([EPOCHS] if report_every > 1 else [])]
        assert hash_of(await other.store.load(session.id)) == expected

    services.run(check)


def test_what_is_too_slow_to_stop_is_broken_off(services: Services, expected: str) -> None:
    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.pauses_at = 9
        stopping, other = await services.make(here, cancel_seconds=0.05), await services.make(works=False)
        session = await create(other, **FIELDS)
        one = await other.begin(session.id, training())
        await here.reached.wait()
        await stopping.leave()
        await other.open()
        await ends_well(other, session, one, expected)

    services.run(check)


def test_what_entries_show_goes_along(services: Services) -> None:
    async def check(services: Services) -> None:
        def parts(session: Session, train: Train, spec: bytes) -> Parts:
            def write(session: Session, frame: Frame) -> bytes:
                return spec + str(there(frame.state).epochs).encode()

            return Parts(True, np.ones((1, 2)), 100, write, spec)

        here = Here(slow_clock)
        here.tells_at, here.pauses_at = 5, 9
        dying, other = await services.make(here), await services.make(works=False)
        for sessions in (dying, other):
            sessions.trainings.remake = parts
        session = await create(other, **FIELDS)
        one = await other.begin(session.id, training(), parts=parts(session, training(), b"epoch "))
        await here.reached.wait()
        await other.open()
        await services.kill(dying)
        await one.end()
        assert there(one.since(0)).parts == [b"epoch %d" % epoch for epoch in range(1, EPOCHS + 1)]

    services.run(check)


def test_no_more_wait_than_the_queue_takes(services: Services) -> None:
    async def check(services: Services) -> None:
        sessions = await services.make(works=False, train_queue=1)
        many = [await create(sessions, **FIELDS) for _ in range(3)]
        await queued(sessions).jobs.open()
        one = await sessions.begin(many[0].id, training())
        with pytest.raises(Full):
            await sessions.begin(many[1].id, training())
        patient = await sessions.begin(many[2].id, training(), patient=True)
        await sessions.open()
        await one.end()
        await patient.end()
        assert (await sessions.store.load(many[1].id)).run is None

    services.run(check)


def test_without_room_nothing_is_begun(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(services: Services) -> None:
        sessions = await services.make()
        session = await create(sessions, **FIELDS)

        async def refuse(*_: Any) -> None:
            raise Full("no room", retry_after=1)

        monkeypatch.setattr(sessions.store, "reserve", refuse)
        with pytest.raises(Full):
            await sessions.begin(session.id, training())
        monkeypatch.undo()
        now = await sessions.store.load(session.id)
        assert (now.run, now.revision) == (None, 0)
        assert await sessions.runs.of(session.id) == []

    services.run(check)


@pytest.mark.parametrize("point", ["taken", "put in"])
def test_a_beginning_that_is_broken_off(services: Services, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session is free again a lease later, or the run is done."""

    async def check(services: Services) -> None:
        dying, other = await services.make(works=False), await services.make(works=False)
        session = await create(other, **FIELDS)

        async def die(*_: Any) -> None:
            raise RuntimeError

        part = queued(dying).runs if point == "taken" else queued(dying).jobs
        monkeypatch.setattr(part, "begin" if point == "taken" else "add", die)
        with pytest.raises(RuntimeError):
            await dying.begin(session.id, training())
        assert (await other.store.load(session.id)).run is not None
        await other.open()
        while (now := await other.store.load(session.id)).run is not None:
            await asyncio.sleep(0.02)
        assert now.revision == (0 if point == "taken" else 1)

    services.run(check)


def test_the_end_is_put_down_by_another(services: Services, monkeypatch: pytest.MonkeyPatch, expected: str) -> None:
    """The process dies between the change of the session and the end of the run."""

    async def check(services: Services) -> None:
        dying, other = await services.make(), await services.make(works=False)
        session, tell, over = await create(other, **FIELDS), queued(dying).runs.tell, asyncio.Event()

        async def tell_not(*arguments: Any, **more: Any) -> None:
            if more.get("over"):
                over.set()
                await asyncio.Event().wait()
            await tell(*arguments, **more)

        monkeypatch.setattr(queued(dying).runs, "tell", tell_not)
        one = await other.begin(session.id, training())
        await over.wait()
        assert (await other.store.load(session.id)).revision == 1
        await services.kill(dying)
        await other.open()
        await ends_well(other, session, one, expected)

    services.run(check)


def test_a_session_that_is_gone_while_it_waits(services: Services) -> None:
    async def check(services: Services) -> None:
        sessions = await services.make(works=False)
        session = await create(sessions, **FIELDS)
        one = await sessions.begin(session.id, training())
        now = await sessions.store.load(session.id)
        await sessions.store.delete(session.id, now.version)
        await sessions.open()
        await one.end()
        assert isinstance(one.failure, TrainingFailed)

    services.run(check)


@pytest.mark.parametrize("error", [StoreAway("away", retry_after=1), Conflict()])
@pytest.mark.parametrize("is_done", [False, True])
def test_a_change_whose_answer_is_lost(
    services: Services, error: Exception, is_done: bool, monkeypatch: pytest.MonkeyPatch, expected: str
) -> None:
    async def check(services: Services) -> None:
        sessions = await services.make()
        session, commit, failed = await create(sessions, **FIELDS), sessions.store.commit, list[int]()

        async def lose(session: Session, revision: Any, *rest: Any) -> None:
            if revision is not None and not failed:
                failed.append(1)
                if is_done:
                    await commit(session, revision, *rest)
                raise error
            await commit(session, revision, *rest)

        monkeypatch.setattr(sessions.store, "commit", lose)
        one = await sessions.begin(session.id, training())
        await ends_well(sessions, session, one, expected)
        assert failed

    services.run(check)


@pytest.mark.parametrize("error", [StoreAway("away", retry_after=1), Conflict()])
def test_a_fault_in_it(
    services: Services, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def check(services: Services) -> None:
        sessions = await services.make()
        session, commit, refused = await create(sessions, **FIELDS), sessions.store.commit, list[int]()

        async def refuse(session: Session, revision: Any, *rest: Any) -> None:
            if session.run is None and not refused:
                refused.append(1)
                raise error
            await commit(session, revision, *rest)

        async def fail(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(sessions.trainings.workers, "train", fail)
        monkeypatch.setattr(sessions.store, "commit", refuse)
        one = await sessions.begin(session.id, training())
        await one.end()
        assert isinstance(one.failure, TrainingFailed)
        assert "ZeroDivisionError" in caplog.text
        now = await sessions.store.load(session.id)
        assert (now.run, now.revision, one.revision, bool(refused)) == (None, 0, None, True)

    services.run(check)


def test_who_has_lost_it_lets_it_be(services: Services, caplog: pytest.LogCaptureFixture, expected: str) -> None:
    """A process that was held up for longer than its lease, and goes on when another has taken over."""

    async def check(services: Services) -> None:
        slow, quick = Here(slow_clock), Here(slow_clock)
        slow.pauses_at = 5
        _, other = await services.make(slow), await services.make(quick, works=False)
        session = await create(other, **FIELDS)
        one = await other.begin(session.id, training())
        await slow.reached.wait()
        held = await queued(other).runs.take(session.id, one.id, "another")
        assert held is not None
        slow.go.set()
        while "another process" not in caplog.text:
            await asyncio.sleep(0.01)
        await other.open()
        await ends_well(other, session, one, expected)

    services.run(check)


async def ended(sessions: Sessions, one: Run) -> Any:
    await one.end()
    found: Any = await sessions.runs.find(one.session_id, one.id)
    return found


@pytest.mark.parametrize("dies", [False, True])
def test_a_sweep(services: Services, dies: bool) -> None:
    """Seen through by whoever has a place for it; where that dies, another goes on with the rest."""

    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.pauses_at = 2 if dies else None
        one, two = await services.make(here), await services.make(works=False)
        session = await create(two, **SWEPT)
        begun = await two.sweep(session, sweep({"seed": [1, 2, 3]}))
        if dies:
            await here.reached.wait()
            await two.open()
            await services.kill(one)
        over = await ended(two, begun)
        assert (over.status, over.epochs_done, over.failure) == ("finished", begun.epochs_total, None)
        for item in over.items:
            assert there(item.stopped)["reason"] == "epochs"
            assert item.curve is not None
            assert (await two.store.load(item.session)).revision == 1
        followed: Any = await two.runs.follow(session.id, begun.id)
        assert [item.stopped for item in followed.items] == [item.stopped for item in over.items]

    services.run(check)


@pytest.mark.parametrize("by", ["cancel", pytest.param("delete", marks=pytest.mark.long)])
def test_a_sweep_is_ended_from_elsewhere(services: Services, by: str) -> None:
    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.pauses_at = 2
        one, two = await services.make(here, train_workers=1), await services.make(works=False)
        session = await create(two, **SWEPT)
        begun = await two.sweep(session, sweep({"seed": [1, 2]}, epochs=100))
        await here.reached.wait()
        if by == "cancel":
            await two.runs.end(begun, Ending("cancelled"))
        else:
            await two.delete(session.id)
        while not all(run.ending for run in one.runs.all()):
            await asyncio.sleep(0.01)
        here.go.set()
        await begun.end()
        assert begun.status == "cancelled"

    services.run(check)


def test_a_sweep_of_a_server_that_stops(services: Services) -> None:
    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.pauses_at = 2
        stopping, other = await services.make(here), await services.make(works=False)
        session = await create(other, **SWEPT)
        begun = await other.sweep(session, sweep({"seed": [1, 2]}))
        await here.reached.wait()
        stopping.stop()
        here.go.set()
        await stopping.leave()
        assert not begun.is_over
        await other.open()
        over = await ended(other, begun)
        assert [there(item.stopped)["reason"] for item in over.items] == ["epochs", "epochs"]

    services.run(check)


def test_a_fault_that_nobody_thought_of(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, expected: str
) -> None:
    """The job is done again a lease later."""

    async def check(services: Services) -> None:
        sessions = await services.make()
        session, take, faults = await create(sessions, **FIELDS), queued(sessions).runs.take, [1]

        async def fail(*arguments: Any) -> Any:
            return await take(*arguments) if not faults else faults.pop() // 0

        monkeypatch.setattr(queued(sessions).runs, "take", fail)
        one = await sessions.begin(session.id, training())
        await ends_well(sessions, session, one, expected)
        assert "ZeroDivisionError" in caplog.text

    services.run(check)


def test_a_server_that_stops_while_the_store_is_away(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(services: Services) -> None:
        stopping, other = await services.make(), await services.make(works=False)
        session, asked = await create(other, **FIELDS), asyncio.Event()

        async def fail(*_: Any) -> Any:
            asked.set()
            raise StoreAway("away", retry_after=1)

        monkeypatch.setattr(queued(stopping).runs, "take", fail)
        one = await other.begin(session.id, training())
        await asked.wait()
        await stopping.leave()
        await other.open()
        await one.end()
        assert one.status == "finished"

    services.run(check)


def test_let_go_though_the_answer_is_lost(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(services: Services) -> None:
        sessions = await services.make()
        session, commit = await create(sessions, **FIELDS), sessions.store.commit

        async def lose(session: Session, revision: Any, *rest: Any) -> None:
            await commit(session, revision, *rest)
            if session.run is None:
                raise StoreAway("away", retry_after=1)

        async def fail(*_: Any) -> None:
            raise TrainingFailed("too bad", retry_after=1)

        monkeypatch.setattr(sessions.trainings.workers, "train", fail)
        monkeypatch.setattr(sessions.store, "commit", lose)
        one = await sessions.begin(session.id, training())
        await one.end()
        now = await sessions.store.load(session.id)
        assert (now.run, now.version, now.revision) == (None, 2, 0)
        assert there(one.failure).detail == "too bad"

    services.run(check)


@pytest.mark.parametrize("by_another", [False, True])
def test_a_fork_that_is_taken_when_its_turn_comes(
    services: Services, by_another: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a beginning that was broken off: it is waited for. By another training: that is a problem."""

    async def check(services: Services) -> None:
        here = Here(slow_clock)
        here.pauses_at = 2
        sessions, dying = await services.make(here, works=False), await services.make(works=False)
        session = await create(sessions, **SWEPT)
        begun: Any = await sessions.sweep(session, sweep({"seed": [1]}))
        [item] = begun.items
        if not by_another:

            async def die(*_: Any) -> None:
                raise RuntimeError

            monkeypatch.setattr(queued(dying).runs, "begin", die)
        with suppress(RuntimeError):
            await dying.begin(item.session, item.training)
        await sessions.open()
        if not by_another:
            here.go.set()
        over = await ended(sessions, begun)
        here.go.set()
        assert isinstance(over.items[0].failure, Busy) is by_another
        assert (over.items[0].stopped is None) is by_another

    services.run(check)
