"""Runs: how far a training is, its entries kept once for whoever reads them, and what is forgotten."""

import asyncio
import math
from typing import Any

import pytest

from app.engine.curves import Curve, pack
from app.engine.entries import Entry
from app.engine.plan import Ending, Reason, stopped
from app.errors import NotFound, TrainingFailed
from app.sessions import runs
from app.sessions.operations import Train
from app.sessions.runs import Run, Runs
from app.sessions.sweeping import POINTS, Item, SweepRun

from .making import make_session, run, turns

ROW_BYTES = 5 * 8  # epoch, steps, loss, gradient_norm, learning_rate


def entry(epoch: int) -> Entry:
    return {"epoch": epoch, "steps": 3 * epoch, "loss": 1 / epoch, "gradient_norm": 0.5, "learning_rate": 0.1}


def curve(first: int, last: int) -> Curve:
    packed = pack([entry(epoch) for epoch in range(first, last + 1)])
    assert packed is not None
    return packed


def make(epochs: int = 0, total: int = 10) -> Run:
    return Run("s", epochs, total, 100.0)


def sweep_of(session_id: str = "s", settings: Any = None, count: int = 1) -> SweepRun:
    """A sweep of so many forks."""
    return SweepRun(session_id, [Item("fork", settings or {}, Train()) for _ in range(count)], 1, 100.0)


def epochs(of: Run, *arguments: int) -> list[int] | None:
    piece = of.since(*arguments)
    return None if piece is None else [entry["epoch"] for entry in piece.curve.entries()]


def stop(reason: Reason, done: int) -> Any:
    """Why a run ended in a session that has had so many epochs."""
    return stopped(reason, make_session("s").state._replace(epochs=done, steps=3 * done))


# One run


def test_a_run_that_waits_begins_and_goes_on() -> None:
    one = make(epochs=4)
    assert (one.status, one.created_at, one.started_at, one.ended_at) == ("queued", 100.0, None, None)
    assert (one.epochs_done, one.epochs_total, one.loss, one.stopped, one.revision) == (0, 10, None, None, None)
    one.begin(101.0)
    assert (one.status, one.started_at, one.is_over) == ("running", 101.0, False)
    one.add(curve(5, 6))
    assert (one.epochs_done, one.loss, one.count) == (2, 1 / 6, 2)
    one.advance(9)  # a checkpoint tells of epochs that are not reported
    assert one.epochs_done == 5
    one.advance(8)
    assert one.epochs_done == 5
    assert make().id != one.id


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("epochs", "finished"), ("cancelled", "cancelled"), ("disconnected", "cancelled"), ("time_limit", "stopped"),
        ("nonfinite", "stopped"), ("loss_below", "stopped"),
    ],
)  # fmt: skip
def test_how_it_ended(reason: Reason, status: str) -> None:
    one = make(epochs=4)
    one.begin(101.0)
    one.add(curve(5, 9))
    one.finish(stop(reason, 7), 3, 102.0)
    assert (one.status, one.ended_at, one.is_over, one.revision) == (status, 102.0, True, 3)
    assert one.stopped == stop(reason, 7)
    assert one.epochs_done == 3  # what it stands at, however far it had been told to be


def test_how_it_failed() -> None:
    one, failure = make(), TrainingFailed("gone", retry_after=1)
    one.fail(failure, None, 102.0)
    assert (one.status, one.failure, one.revision, one.stopped) == ("failed", failure, None, None)
    sweep = sweep_of()
    sweep.complete("cancelled", 103.0)
    assert (sweep.status, sweep.ended_at, sweep.stopped, sweep.revision) == ("cancelled", 103.0, None, None)


def test_entries_are_kept_once_and_read_from_anywhere() -> None:
    one = make(total=1000)
    assert (one.since(0), one.entries(), one.after(3)) == (None, [], 0)
    told = [curve(1, 1), curve(2, 60), curve(61, 500), curve(501, 502)]
    for part in told:
        one.add(part)
    assert one.entries() == [entry(epoch) for epoch in range(1, 503)]
    assert epochs(one, 0, 3) == [1, 2, 3]
    assert epochs(one, 3, 2) == [4, 5]
    assert epochs(one, 500, 10) == [501, 502]
    assert epochs(one, 500) == [501, 502]
    assert epochs(one, 502) is epochs(one, 9999) is None
    first, again = one.since(5, 9), one.since(5, 9)
    assert first is not None
    assert again is not None
    assert first.curve.rows.base is again.curve.rows.base is not None  # no copies
    assert not first.parts


def test_what_a_reader_has_stays_what_it_was() -> None:
    one = make(total=1000)
    one.add(curve(1, 10))
    before = one.since(0)
    one.add(curve(11, 900))
    one.cut(3 * 4, 4)
    assert before is not None
    assert before.curve.entries() == [entry(epoch) for epoch in range(1, 11)]


def test_what_entries_show_goes_with_them() -> None:
    one = make()
    one.add(curve(1, 2), [b"aa", b"bb"])
    one.add(curve(3, 4), [b"cc", b"dd"])
    piece = one.since(1, 2)
    assert piece is not None
    assert (piece.parts, len(piece.curve.rows)) == ([b"bb", b"cc"], 2)
    assert one.nbytes == 64 * ROW_BYTES + 8


@pytest.mark.parametrize(
    ("position", "most", "nbytes", "expected"),
    [(0, 9, 0, 1), (0, 9, 1, 1), (0, 9, 10, 1), (0, 9, 11, 2), (0, 9, 30, 2), (0, 9, 31, 3), (0, 9, 999, 4),
     (0, 3, 999, 3), (2, 9, 31, 2), (3, 9, 0, 1), (1, 1, 999, 1)],
)  # fmt: skip
def test_a_piece_is_bounded_by_what_its_entries_show(position: int, most: int, nbytes: int, expected: int) -> None:
    one = make()
    one.add(curve(1, 4), [b"x" * 10, b"x" * 20, b"x" * 30, b"x" * 40])
    piece = one.since(position, most, nbytes)
    assert piece is not None
    assert (len(piece.parts), len(piece.curve.rows)) == (expected, expected)
    assert [len(part) for part in piece.parts] == [10, 20, 30, 40][position : position + expected]


def test_entries_alone_have_no_such_bound() -> None:
    one = make()
    one.add(curve(1, 4))
    assert epochs(one, 0, 9, 0) == [1, 2, 3, 4]


def test_readers_at_the_same_place_share_one_text() -> None:
    one, made = make(), list[int]()

    def text(position: int) -> bytes:
        def write() -> bytes:
            made.append(position)
            return b"%d" % position

        return one.written((position, 1), write)

    assert [text(position) for position in (0, 1, 0, 1, 1)] == [b"0", b"1", b"0", b"1", b"1"]
    assert made == [0, 1]
    assert text(0) is text(0)
    for position in range(2, runs._TEXTS_KEPT + 1):  # the last of them takes the place of the first
        text(position)
    assert len(one._written) == runs._TEXTS_KEPT
    assert [text(1), text(0)] == [b"1", b"0"]
    assert made == [*range(runs._TEXTS_KEPT + 1), 0]
    assert len(one._written) == runs._TEXTS_KEPT
    one.finish(stop("epochs", 1), 1, 1.0)
    assert not one._written
    assert text(0) == b"0"
    assert not one._written  # it holds no more than is counted


def test_after_an_epoch() -> None:
    one = make()
    one.add(curve(5, 9))
    assert [one.after(epoch) for epoch in (0, 4, 5, 6, 9, 10**17)] == [0, 0, 1, 2, 5, 5]


@pytest.mark.parametrize(("steps", "left"), [(0, 0), (14, 0), (15, 1), (20, 2), (21, 3), (27, 5), (10**9, 5)])
def test_what_is_lost_is_cut(steps: int, left: int) -> None:
    one = make(epochs=4)
    one.cut(12, 4)
    assert (one.settle(), one.was_cut) == (None, None)  # there was nothing that a reader could have had
    one.add(curve(5, 9), [b"5", b"6", b"7", b"8", b"9"])
    one.cut(steps, 4 + left)
    assert one.entries() == [entry(epoch) for epoch in range(5, 5 + left)]
    assert (one.loss, one.epochs_done) == (1 / (4 + left) if left else None, left)
    assert one.was_cut == ((steps, 4 + left) if left < 5 else None)
    settled = one.settle()
    assert (settled is None) is (left == 0)
    if settled is not None:
        assert settled.entries() == one.entries()
    assert one.nbytes == left * (ROW_BYTES + 1)


def test_a_loss_that_is_no_number_stays_one() -> None:
    one = make()
    packed = pack([{**entry(1), "loss": math.nan}])
    assert packed is not None
    one.add(packed)
    assert one.loss is not None
    assert math.isnan(one.loss)


def test_it_is_asked_to_end() -> None:
    async def check() -> None:
        one = make()
        for ending in (Ending("cancelled", at_epoch=True), Ending("time_limit")):
            one.end_early(ending)
            assert one.ending is ending
        assert [one.endings.get_nowait() for _ in range(2)] == [Ending("cancelled", True), Ending("time_limit")]
        one.finish(stop("cancelled", 1), 1, 1.0)
        one.end_early(Ending("disconnected"))
        assert (one.ending, one.endings.empty()) == (Ending("time_limit"), True)

    run(check())


def test_readers_wait_for_what_is_new() -> None:
    """Each at its own pace; one that is late is told at once that it is over."""

    async def check() -> None:
        one = make()
        seen: list[list[int]] = [[], []]

        async def read(who: int) -> None:
            position = 0
            while True:
                piece = one.since(position, 1 + who)
                if piece is not None:
                    position += len(piece.curve.rows)
                    seen[who] += [entry["epoch"] for entry in piece.curve.entries()]
                elif one.is_over:
                    return
                else:
                    await one.change()

        readers = [asyncio.create_task(read(who)) for who in range(2)]
        end = asyncio.create_task(one.end())
        await turns()
        one.begin(1.0)
        one.add(curve(1, 3))
        await turns()
        assert seen == [[1, 2, 3]] * 2
        assert not end.done()
        one.add(curve(4, 4))
        one.finish(stop("epochs", 4), 1, 2.0)
        await asyncio.gather(*readers, end)
        assert seen == [[1, 2, 3, 4]] * 2
        await one.end()

    run(check())


# All of them


def ended(of: Runs, session_id: str = "s", count: int = 1, *, parts: int = 0) -> Run:
    """A run with so many entries, over."""
    one = Run(session_id, 0, count, 0.0)
    of.add(one)
    one.add(curve(1, count), [b"x" * parts] * count if parts else [])
    one.settle()
    one.finish(stop("epochs", count), 1, 1.0)
    of.ended(one)
    return one


def begun(of: Runs, session_id: str, epochs: int, total: int) -> Run:
    """A run under way."""
    one = Run(session_id, epochs, total, 0.0)
    of.add(one)
    return one


def test_the_runs_of_sessions() -> None:
    all_runs = Runs(10**6)
    assert run(all_runs.of("s")) == []
    first, other, second = begun(all_runs, "s", 3, 9), begun(all_runs, "t", 0, 1), sweep_of()
    all_runs.add(second)
    assert run(all_runs.of("s")) == [first, second]
    assert run(all_runs.find("s", first.id)) is first
    for session_id, run_id in (("s", other.id), ("zebra", first.id), ("s", "zebra")):
        with pytest.raises(NotFound):
            run(all_runs.find(session_id, run_id))
    assert list(all_runs.under_way()) == [first, second, other]
    second.complete("cancelled", 1.0)
    all_runs.ended(second)
    first.finish(stop("epochs", 12), 1, 1.0)
    all_runs.ended(first)
    assert list(all_runs.under_way()) == [other]
    assert run(all_runs.of("s")) == [first, second]  # they can still be looked at


def test_the_oldest_are_forgotten_where_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT", 3)
    all_runs = Runs(10**6)
    under_way = begun(all_runs, "s", 0, 1)
    many = [ended(all_runs, "s" if number % 2 else "t") for number in range(6)]
    assert run(all_runs.of("s")) == [under_way, many[3], many[5]]
    assert run(all_runs.of("t")) == [many[4]]
    with pytest.raises(NotFound, match="forgotten"):
        run(all_runs.find("s", many[1].id))
    for _ in range(3):
        ended(all_runs, "u")
    assert (run(all_runs.of("t")), run(all_runs.of("s"))) == ([], [under_way])


def test_so_many_of_one_session_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those under way do not count, and another session's are not touched."""
    monkeypatch.setattr(runs, "KEPT_OF_SESSION", 2)
    all_runs = Runs(10**6)
    other, under_way = ended(all_runs, "t"), begun(all_runs, "s", 0, 1)
    many = [ended(all_runs) for _ in range(4)]
    assert run(all_runs.of("s")) == [under_way, *many[2:]]
    assert run(all_runs.of("t")) == [other]
    under_way.finish(stop("epochs", 1), 1, 1.0)
    all_runs.ended(under_way)
    assert run(all_runs.of("s")) == many[2:]  # it is the oldest
    with pytest.raises(NotFound, match="forgotten"):
        run(all_runs.find("s", under_way.id))


def test_what_a_sweep_holds() -> None:
    """Its items, with their settings and curves, count as entries do."""
    empty = sweep_of(count=0)
    one, two, varied = sweep_of(), sweep_of(count=2), sweep_of(settings={"optimizer": {"type": "x" * 1000}})
    assert (empty.nbytes, two.nbytes) == (0, 2 * one.nbytes)
    assert 1000 < varied.nbytes - one.nbytes < 1100
    two.items[1].curve = curve(1, POINTS)
    assert two.nbytes == 2 * one.nbytes + POINTS * ROW_BYTES
    all_runs = Runs(two.nbytes + one.nbytes)
    for sweep in (one, two, varied):
        all_runs.add(sweep)
        sweep.complete("finished", 1.0)
        all_runs.ended(sweep)
        assert all_runs._nbytes == sum(other.nbytes for other in run(all_runs.of("s")))
    assert run(all_runs.of("s")) == [varied]


def test_the_oldest_are_forgotten_where_they_hold_too_much() -> None:
    all_runs = Runs(10 * ROW_BYTES)
    small = [ended(all_runs, count=2) for _ in range(4)]
    assert run(all_runs.of("s")) == small
    fifth = ended(all_runs, count=4)
    assert run(all_runs.of("s")) == [*small[1:], fifth]
    shows = ended(all_runs, parts=9 * ROW_BYTES)
    assert run(all_runs.of("s")) == [shows]
    large = ended(all_runs, count=100)
    assert run(all_runs.of("s")) == [large]  # the last one is kept however large it is
    assert run(all_runs.of("s")) == [large]
    last = ended(all_runs)
    assert run(all_runs.of("s")) == [last]


def test_the_runs_of_a_session_that_is_gone_are_forgotten() -> None:
    all_runs = Runs(10 * ROW_BYTES)
    other = ended(all_runs, "t", 5)
    ended(all_runs, count=5)
    sweep = sweep_of()
    all_runs.add(sweep)
    run(all_runs.forget("s"))
    run(all_runs.forget("zebra"))
    assert run(all_runs.of("s")) == all_runs.under_way() == []
    assert sweep.ending == Ending("cancelled")
    assert run(all_runs.of("t")) == [other]
    again = ended(all_runs, "t", 5)
    assert run(all_runs.of("t")) == [other, again]  # what is forgotten holds nothing
    sweep.complete("cancelled", 1.0)
    all_runs.ended(sweep)  # which nobody counts any more
    assert run(all_runs.of("s")) == []
    third = ended(all_runs, "t", 1)
    assert run(all_runs.of("t")) == [again, third]
    run(all_runs.forget("t"))
    assert (all_runs._runs, all_runs._ended, all_runs._nbytes) == ({}, {}, 0)
