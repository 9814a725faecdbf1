"""Sweeps, carried out: some at once, each as well as it can; and what goes on until all have ended."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from engine.networks import slow_clock, there

from app.engine.plan import Ending
from app.errors import (
    Busy,
    FieldError,
    Full,
    GradstepError,
    InvalidInput,
    NotFound,
    SessionExpired,
    SessionNotFound,
    TrainingFailed,
)
from app.sessions.memory import MemoryStore
from app.sessions.operations import Forward, Train
from app.sessions.runs import Run, Runs
from app.sessions.service import Sessions
from app.sessions.sweeping import Item, SweepRun, carry_out
from app.settings import Settings

from .making import TTL, Clock, Here, create, gate_lane, held, run, run_of, turns
from .test_service import make as make_server
from .test_sweep import FIELDS, TRAIN, reason, sweep, swept
from .test_trainings import at_workers, make

END = Runs(1).end


def test_without_room_for_all_none_is_made() -> None:
    async def check() -> None:
        for sessions in (make(max_sessions=4), make(max_bytes=60_000)):
            session = await create(sessions, **FIELDS)
            before = held(sessions)
            with pytest.raises(Full):
                await sessions.sweep(session, sweep({"seed": list(range(20))}))
            assert await sessions.store.count() == 1
            assert held(sessions) == before
            assert await sessions.runs.of(session.id) == []

    run(check())


def test_what_is_large_is_made_in_the_lane() -> None:
    async def check() -> None:
        sessions = make(lane_workers=1, lane_queue=1)
        session = await create(sessions, **FIELDS)
        one, items = await swept(sessions, session, sweep({"seed": [1, 2]}))
        assert (one.status, len(items)) == ("finished", 2)
        lane, count = gate_lane(sessions), await sessions.store.count()
        await swept(sessions, session, sweep({"seed": [1, 2]}))
        assert lane.count == 3  # all configs, and each state to start from
        assert await sessions.store.count() == count + 2
        sessions.close()

    run(check())


def test_no_more_at_once_than_there_are_workers() -> None:
    """They wait for no place in the queue, and leave it to others."""

    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 1
        sessions = make(here, train_workers=2, train_queue=1)
        session = await create(sessions, **FIELDS)
        one = await sessions.sweep(session, sweep({"seed": list(range(6))}))
        await here.reached.wait()
        await turns()
        busy = [sessions.is_busy(item.session) for item in one.items]
        assert busy == [True, True, False, False, False, False]
        assert (one.status, one.epochs_total) == ("running", 18)
        alone = await sessions.begin(session.id, Train(**TRAIN))
        with pytest.raises(Full):
            await sessions.begin(one.items[5].session, Train(**TRAIN))
        here.go.set()
        await one.end()
        await alone.end()
        assert (one.status, one.epochs_done) == ("finished", 18)
        assert all(reason(item) == "epochs" for item in one.items)
        assert at_workers(sessions) == 0

    run(check())


@pytest.mark.parametrize("by", ["cancel", "delete", "stop"])
def test_it_is_ended_early(by: str) -> None:
    """Those under way end; the rest do not begin. What was made is kept."""

    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 2
        sessions = make(here, train_workers=2)
        session = await create(sessions, **FIELDS)
        one = await sessions.sweep(session, sweep({"seed": list(range(4))}, epochs=100))
        await here.reached.wait()
        await turns()
        if by == "cancel":
            one.end_early(Ending("cancelled"))
        elif by == "delete":
            await sessions.delete(session.id)
        else:
            sessions.stop()
        here.go.set()
        await one.end()
        assert (one.status, one.ending) == ("cancelled", Ending("cancelled"))
        assert list(map(reason, one.items)) == ["cancelled", "cancelled", None, None]
        assert 0 < one.epochs_done < 100
        assert (one.items[3].stopped, one.items[3].failure, one.items[3].curve) == (None, None, None)
        assert (await sessions.load(one.items[3].session)).revision == 0
        await turns()
        assert all(run.is_over for run in sessions.runs.all())

    run(check())


def test_one_that_cannot_be_trained_does_not_end_the_rest() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 1
        sessions = make(here, train_workers=1)
        session = await create(sessions, **FIELDS)
        one = await sessions.sweep(session, sweep({"seed": [1, 2, 3]}))
        await here.reached.wait()
        await sessions.delete(one.items[1].session)
        with pytest.raises(Busy):
            await sessions.delete(one.items[0].session)
        here.go.set()
        await one.end()
        first, second, third = one.items
        assert one.status == "finished"
        assert first.stopped == third.stopped != second.stopped is None
        assert isinstance(second.failure, SessionNotFound)
        with pytest.raises(SessionNotFound):
            await sessions.load(second.session)
        assert one.epochs_done == 6

    run(check())


def test_one_whose_worker_is_gone_says_so() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.tells_at, here.dies_at = 2, 4
        sessions = make(here, train_workers=1)
        session = await create(sessions, **FIELDS)
        one, items = await swept(sessions, session, sweep({"seed": [1, 2]}))
        assert one.status == "finished"
        for item in items:
            assert isinstance(item.failure, TrainingFailed)
            assert "process" in item.failure.detail
            assert item.stopped is None
        assert [entry["epoch"] for entry in there(items[0].curve).entries()] == [1]  # up to its checkpoint
        assert items[1].curve is None  # it had none
        assert one.epochs_done == 1

    run(check())


class Slow:
    """Begins trainings of a single session, each when it is let."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions, self.begun, self.go = sessions, asyncio.Event(), asyncio.Event()

    async def begin(self, session_id: str, operation: Train, *, patient: bool, key: str | None = None) -> Run:
        self.begun.set()
        await self.go.wait()
        return await self.sessions.begin(session_id, operation, patient=patient)


def by_hand(*items: Item) -> SweepRun:
    """A sweep that nobody carries out but the test."""
    return SweepRun("s", items, 3, 0.0)


def test_an_end_that_comes_while_one_begins() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions, **FIELDS)
        item = Item(session.id, {}, Train(epochs=100))
        slow, one = Slow(sessions), by_hand(item)
        sweeping = asyncio.create_task(carry_out(one, slow.begin, END, 1, Clock()))
        await slow.begun.wait()
        one.end_early(Ending("cancelled", at_epoch=True))
        await turns()
        slow.go.set()
        await sweeping
        assert one.status == "cancelled"
        assert item.stopped is not None
        assert item.stopped["reason"] == "cancelled"
        assert item.stopped["epoch"] < 10

    run(check())


class Refusing:
    """Begins the trainings of a server, but refuses the first ones with these errors."""

    def __init__(self, sessions: Sessions, *errors: Exception) -> None:
        self.sessions, self.errors, self.asked = sessions, list(errors), list[str]()

    async def begin(self, session_id: str, operation: Train, *, patient: bool, key: str | None = None) -> Run:
        assert patient
        self.asked.append(session_id)
        if self.errors:
            raise self.errors.pop(0)
        return await self.sessions.begin(session_id, operation, patient=patient)


async def two_items(sessions: Sessions) -> tuple[Item, Item]:
    """Two sessions to be trained alike."""
    first, second = [(await create(sessions, **FIELDS)).id for _ in range(2)]
    return Item(first, {}, Train(**TRAIN)), Item(second, {}, Train(**TRAIN))


def test_one_without_room_for_a_moment_is_tried_again() -> None:
    async def check() -> None:
        sessions = make()
        items = await two_items(sessions)
        full = Full("no room", retry_after=0)
        refusing, one = Refusing(sessions, full, full, full), by_hand(*items)
        await carry_out(one, refusing.begin, END, 1, Clock())
        assert one.status == "finished"
        assert refusing.asked == [items[0].session] * 4 + [items[1].session]
        assert [(item.failure, reason(item)) for item in items] == [(None, "epochs")] * 2

    run(check())


def test_an_end_that_comes_while_one_waits_for_room() -> None:
    """It waits no longer, however long it was told to."""

    async def check() -> None:
        sessions = make()
        items = await two_items(sessions)
        refusing, one = Refusing(sessions, *[Full("no room", retry_after=10**6)] * 9), by_hand(*items)
        sweeping = asyncio.create_task(carry_out(one, refusing.begin, END, 1, Clock()))
        while not refusing.asked:
            await turns()
        assert not one.is_over
        one.end_early(Ending("cancelled"))
        await sweeping
        assert one.status == "cancelled"
        assert refusing.asked == [items[0].session]
        assert [(item.failure, item.stopped) for item in items] == [(None, None)] * 2

    run(check())


def test_a_server_that_is_torn_down_while_one_waits_for_room() -> None:
    async def check() -> None:
        sessions = make()
        refusing = Refusing(sessions, Full("no room", retry_after=10**6))
        one = by_hand(*await two_items(sessions))
        sweeping = asyncio.create_task(carry_out(one, refusing.begin, END, 1, Clock()))
        while not refusing.asked:
            await turns()
        sweeping.cancel()
        await asyncio.wait([sweeping])
        assert sweeping.cancelled()
        assert (one.status, one.is_over) == ("cancelled", True)  # it has not finished

    run(check())


def test_a_server_that_is_torn_down_ends_those_under_way() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 2
        sessions = make(here)
        items = await two_items(sessions)
        one = by_hand(*items)
        sweeping = asyncio.create_task(carry_out(one, sessions.begin, END, 2, Clock()))
        await here.reached.wait()
        children = [there(await run_of(sessions, item.session)) for item in items]
        sweeping.cancel()
        await asyncio.wait([sweeping])
        assert one.status == "cancelled"
        assert [child.ending for child in children] == [Ending("cancelled")] * 2
        here.go.set()
        for child in children:
            await child.end()
            assert child.status == "cancelled"

    run(check())


@pytest.mark.parametrize("error", [InvalidInput([FieldError("/epochs", "takes less")]), ZeroDivisionError("a fault")])
def test_what_is_wrong_with_one_is_not_the_end_of_the_others(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is told as it is; a fault goes to the log."""

    async def check() -> None:
        sessions = make()
        items = await two_items(sessions)
        refusing, one = Refusing(sessions, error), by_hand(*items)
        await carry_out(one, refusing.begin, END, 1, Clock())
        assert one.status == "finished"
        assert [reason(item) for item in items] == [None, "epochs"]
        assert items[1].failure is None
        if isinstance(error, InvalidInput):
            assert items[0].failure is error
            assert not caplog.records
        else:
            assert isinstance(items[0].failure, TrainingFailed)
            assert "a fault" not in items[0].failure.detail
            [record] = caplog.records
            assert record.exc_info is not None
            assert record.exc_info[1] is error
            assert items[0].session in record.getMessage()

    run(check())


# While it goes on, none of its sessions expires


def pins(sessions: Sessions) -> dict[str, int]:
    store: Any = sessions.store
    return dict(store._pins)


def clock_of(sessions: Sessions) -> Clock:
    clock = sessions.clock
    assert isinstance(clock, Clock)
    return clock


@pytest.mark.parametrize("ends_early", [False, True])
def test_its_sessions_do_not_expire_while_it_goes_on(ends_early: bool) -> None:
    """Neither those that wait for their turn, nor those that have had it, nor where it went out from."""

    async def check() -> None:
        here = Here(slow_clock)
        sessions = make(here, train_workers=1)
        session, other = await create(sessions, **FIELDS), await create(sessions, **FIELDS)
        here.pauses_at = 1
        one = await sessions.sweep(session, sweep({"seed": [1, 2, 3]}))
        forks = [item.session for item in one.items]
        assert pins(sessions) == dict.fromkeys((session.id, *forks), 1)
        await here.reached.wait()
        clock_of(sessions).now += 2 * TTL
        with pytest.raises(SessionExpired):
            await sessions.load(other.id)
        for session_id in (session.id, *forks):
            await sessions.load(session_id)
        if ends_early:
            one.end_early(Ending("cancelled"))
        here.go.set()
        await one.end()
        assert [reason(item) for item in one.items] == (["cancelled", None, None] if ends_early else ["epochs"] * 3)
        await turns()
        assert pins(sessions) == {}
        with pytest.raises(SessionExpired):
            await sessions.load(session.id)
        trained = [await kept(sessions, fork) for fork in forks]
        assert trained == [True, not ends_early, not ends_early]  # a training prolongs its session's life
        clock_of(sessions).now += TTL
        assert await sessions.store.count() == 0

    run(check())


async def kept(sessions: Sessions, session_id: str) -> bool:
    try:
        await sessions.load(session_id)
    except SessionExpired:
        return False
    return True


def test_two_sweeps_of_one_session_pin_it_twice() -> None:
    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 1
        sessions = make(here)
        session = await create(sessions, **FIELDS)
        first, second = [await sessions.sweep(session, sweep({"seed": [1]})) for _ in range(2)]
        assert pins(sessions)[session.id] == 2
        await here.reached.wait()
        first.end_early(Ending("cancelled"))
        here.go.set()
        await first.end()
        await second.end()
        await turns()
        assert pins(sessions) == {}

    run(check())


class Interrupted(MemoryStore):
    """A store that has room for so many more sessions; then something happens, and there is none for the next."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.room_for = 1
        self.happens: Callable[[], Awaitable[None]] = turns

    async def reserve(self, session_id: str, nbytes: int, owner: str = "") -> None:
        self.room_for -= 1
        if self.room_for < 0:
            await self.happens()
            raise Full("no room", retry_after=1)
        await super().reserve(session_id, nbytes, owner)


@pytest.mark.parametrize("somebody_deletes", [False, True])
@pytest.mark.parametrize("cancelled", [False, True])
def test_one_that_is_ended_half_way_leaves_nothing(somebody_deletes: bool, cancelled: bool) -> None:
    """Refused, or cancelled: no fork, no memory, no pin and no run; though one was found and deleted meanwhile."""

    async def check() -> None:
        clock = Clock()
        store = Interrupted(Settings(), clock)
        sessions = Sessions(store, Settings(), clock)
        session = await create(sessions, **FIELDS)
        before, store.room_for = held(sessions), 3

        async def interrupt() -> None:
            forks = [one.id for one in await store.list("", 100) if one.id != session.id]
            assert pins(sessions) == dict.fromkeys((session.id, *forks), 1)
            assert len(forks) == 3
            if somebody_deletes:
                await sessions.delete(forks[1])
            if cancelled:
                raise asyncio.CancelledError

        store.happens = interrupt
        with pytest.raises(asyncio.CancelledError if cancelled else Full):
            await sessions.sweep(session, sweep({"seed": list(range(9))}))
        assert [one.id for one in await store.list("", 100)] == [session.id]
        assert held(sessions) == before
        assert pins(sessions) == {}
        assert await sessions.runs.of(session.id) == [*sessions.runs.all()] == []
        sessions.close()

    run(check())


def test_a_session_that_is_deleted_takes_its_sweep_along() -> None:
    """The forks stay, and nothing else does."""

    async def check() -> None:
        here = Here(slow_clock)
        here.pauses_at = 1
        sessions = make(here, train_workers=1)
        session = await create(sessions, **FIELDS)
        one = await sessions.sweep(session, sweep({"seed": [1, 2]}))
        await here.reached.wait()
        await sessions.delete(session.id)
        assert await sessions.runs.of(session.id) == []
        with pytest.raises(NotFound):
            await sessions.runs.find(session.id, one.id)
        here.go.set()
        await one.end()
        await turns()
        assert (one.status, list(map(reason, one.items))) == ("cancelled", ["cancelled", None])
        assert pins(sessions) == {}
        forks = [item.session for item in one.items]
        assert [fork.id for fork in await sessions.store.list("", 9)] == sorted(forks)
        for fork in forks:
            await sessions.delete(fork)
        runs: Any = sessions.runs
        assert (runs._runs, runs._ended, runs._nbytes) == ({}, {}, 0)
        assert held(sessions) == (0, 0, set())

    run(check())


def test_the_settings_of_a_fork_do_not_touch_its_source() -> None:
    async def check() -> None:
        sessions = make_server()
        session = await create(sessions, **FIELDS)
        session = (await sessions.change(session.id, Forward())).session
        one, items = await swept(sessions, session, sweep({"optimizer": ["adam"]}))
        assert one.status == "finished"
        assert (await sessions.load(session.id)) is session
        fork = await sessions.load(items[0].session)
        assert fork.config.optimizer.type == "adam"
        assert session.config.optimizer.type == "sgd"
        with pytest.raises(GradstepError):
            await sessions.sweep(await sessions.load("zebra"), sweep({"seed": [1]}))

    run(check())


def test_what_is_over_is_not_begun_again() -> None:
    """Where another process goes on with a sweep."""

    async def check() -> None:
        sessions = make()
        session = await create(sessions, **FIELDS)
        items = [Item(session.id, {}, Train(**TRAIN)), Item("zebra", {}, Train(**TRAIN))]
        items[1].failure = failure = NotFound("gone")
        one = SweepRun(session.id, items, 3, 0.0)
        await carry_out(one, sessions.begin, END, 1, Clock())
        assert (one.status, reason(items[0]), items[1].failure) == ("finished", "epochs", failure)

    run(check())
