"""The history: which revisions there are, which states are kept of them, and what they hold."""

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from engine.networks import assert_same, there

from app.errors import RevisionGone
from app.sessions.edits import Change, NewData
from app.sessions.history import AT_ONCE
from app.sessions.operations import Backward, Forward, Step, Train
from app.settings import Settings

from .making import Walk, edit, long_walk, recount, rows

STEP = (Forward(), Backward(), Step())


def walk(states: float, **fields: Any) -> Walk:
    """A session whose budget is so many states, each the size of one after a training."""
    measured = Walk(**fields)
    before = measured.history.state_bytes
    measured.do(Train(epochs=2))
    size = measured.history.state_bytes - before
    return Walk(Settings(max_history=int(before + states * size)), **fields)


def test_each_change_is_a_revision() -> None:
    session = Walk()
    session.do(*STEP, Change(name="new"))
    assert session.numbers == session.kept == [0, 1, 2, 3, 4]
    assert [revision.operation for revision in session.revisions] == ["create", "forward", "backward", "step", "change"]
    assert [revision.arguments for revision in session.revisions] == [b"{}"] * 4 + [b'{"name":"new"}']
    assert [revision.state.phase for revision in session.revisions] == [
        "ready",
        "forward",
        "backward",
        "ready",
        "ready",
    ]
    assert session.revisions[-1].state is not session.revisions[-2].state
    recount(session.history)


def test_a_change_at_an_earlier_revision_cuts_the_later_ones_off() -> None:
    session = Walk()
    session.do(*STEP)
    there = session.rewind(1)
    assert (there.revision, there.latest_revision) == (1, 3)
    assert session.numbers == [0, 1, 2, 3]  # until the next change
    session.rewind(3)
    session.rewind(1)
    session.do(Train())
    assert session.numbers == [0, 1, 4]
    recount(session.history)
    session.rewind(0)
    session.do(Forward())
    assert session.numbers == [0, 5]
    recount(session.history)


def test_a_budget_lets_every_other_state_go_then_three_of_four() -> None:
    session = walk(6)
    seen = []
    for _ in range(16):
        session.do(Train(epochs=2))
        seen.append(session.kept)
        assert session.history.state_bytes <= session.settings.max_history
        recount(session.history)
    assert seen[5] == [0, 1, 2, 3, 4, 5, 6]
    assert seen[6] == [0, 2, 3, 4, 5, 6, 7]
    assert seen[9] == [0, 2, 4, 6, 8, 9, 10]
    assert seen[11] == [0, 2, 4, 6, 8, 10, 12]
    assert seen[12] == [0, 4, 6, 8, 10, 12, 13]
    assert seen[15] == [0, 4, 8, 12, 14, 15, 16]


def test_a_budget_smaller_than_a_state_keeps_the_one_where_the_session_stands() -> None:
    session = Walk(Settings(max_history=1))
    for count in range(1, 40):
        session.do(Forward())
        assert session.kept == [count]
    session.rewind(7)
    assert session.kept == [7]
    session.rewind(epoch=0)
    assert session.kept == [40]
    recount(session.history)


def test_going_to_and_fro_stays_within_the_budget() -> None:
    session = walk(3)
    session.do(*([Train(epochs=2)] * 9))
    for number in (*range(9), *range(8, -1, -1)):
        session.rewind(number)
        assert number in session.kept
        assert session.history.state_bytes <= session.settings.max_history
        recount(session.history)


def test_after_a_cut_the_budget_thins_out_as_from_the_start() -> None:
    session = walk(6)
    session.do(*([Train(epochs=2)] * 60))
    session.rewind(2)
    session.do(*([Train(epochs=2)] * 18))
    assert [session.numbers.index(number) for number in session.kept] == [0, 2, 4, 8, 12, 16, 20]
    assert session.history.state_bytes <= session.settings.max_history
    recount(session.history)


def test_what_cannot_be_done_again_goes_last() -> None:
    session = Walk()
    many = edit({f"hidden.weight[{i // 2 % 2}][{i % 2}]": 0.5 for i in range(4)} | {"output.weight": [[0.25, 0.5]]})
    session.do(
        Train(), NewData(rows(2)), Train(), Forward(inputs=[[0.5, 0.5]] * 900), Forward(), Train(), many, Train()
    )
    assert not session.revisions[4].complete
    session.let_go(session.history.state_bytes - 1)
    assert session.kept == [0, 2, 3, 4, 5, 6, 7, 8]
    held = session.history.state_bytes
    for _ in range(20):
        held -= 1
        session.let_go(held)
        held = min(held, session.history.state_bytes)
        if session.kept == [2, 4, 8]:
            break
    assert session.kept == [2, 4, 8]
    for revision in (3, 5, 6, 7):
        session.at(revision)


def test_what_a_fork_starts_from_is_kept_within_a_budget_for_little_more() -> None:
    forked = walk(1.5).fork()
    for _ in range(40):
        now = forked.do(Train(epochs=2)).revision
        assert forked.kept == [0, now]
    forked.let_go()
    assert forked.kept == [40]
    assert orjson.loads(forked.revisions[0].arguments)["revision"] == 0  # where it came from is still to be read


def test_what_cannot_be_done_again_is_gone_for_good_and_what_starts_from_it_too() -> None:
    session = Walk()
    session.do(Train(), NewData(rows(2)), Train(), Train())
    session.rewind(epoch=1)  # which does not start from the new rows
    session.do(Train())
    session.let_go()
    assert session.kept == [6]
    recount(session.history)
    for revision in (2, 3, 4):
        assert session.revisions[session.numbers.index(revision)].data is None
        with pytest.raises(RevisionGone):
            session.at(revision)


def test_what_is_ahead_of_where_the_session_stands_goes_too() -> None:
    session = Walk()
    session.do(Train(), NewData(rows(2)), Train(), Forward())
    session.rewind(1)
    session.let_go()
    assert session.kept == [1]
    assert [revision.data is None for revision in session.revisions] == [False, False, True, True, True]
    with pytest.raises(RevisionGone):
        session.rewind(4)
    recount(session.history)


def test_a_rewind_can_be_done_again_when_what_stands_before_it_cannot() -> None:
    session = Walk()
    session.do(Train(epochs=3), Forward(inputs=[[0.5, 0.5]] * 900), Train())
    states = [session.rewind(epoch=2).state, session.do(Train()).state]
    session.do(Train())
    session.let_go()
    assert session.kept == [6]
    for revision in (2, 3):
        with pytest.raises(RevisionGone):
            session.at(revision)
    for revision, state in zip((4, 5), states, strict=True):
        assert_same(session.at(revision).state, state)
        assert there(session.at(revision).data) is not None


def test_what_starts_from_what_is_gone_is_kept_as_long_as_possible() -> None:
    forked = walk(5, data={"inputs": [[0.5, 0.5]] * 3, "targets": [[0.5]] * 3}).fork()
    forked.do(*([Train(epochs=2)] * 3))
    forked.let_go()
    assert forked.kept == [3]
    forked.do(*([Train(epochs=2)] * 30))
    assert 3 in forked.kept
    forked.at(17)
    with pytest.raises(RevisionGone):
        forked.at(2)
    recount(forked.history)


def test_what_starts_from_what_is_gone_goes_after_what_can_be_done_again() -> None:
    forked = Walk().fork()
    forked.do(*([Train()] * 9))
    forked.let_go()
    forked.do(Train(), Train())
    assert forked.kept == [9, 10, 11]
    forked.let_go(forked.history.state_bytes - 1)
    assert forked.kept == [9, 11]
    forked.let_go(forked.history.state_bytes - 1)
    assert forked.kept == [11]


def test_the_first_rows_go_with_the_first_state() -> None:
    session = Walk(data={"inputs": [[0.5, 0.5]] * 300, "targets": [[0.5]] * 300})
    session.do(Forward(inputs=[[0.5, 0.5]]), NewData(rows(2)))
    session.let_go()
    assert session.kept == [2]
    assert session.history.state_bytes < 300 * 3 * 8
    assert session.revisions[0].data is None
    recount(session.history)
    with pytest.raises(RevisionGone):
        session.at(0)


def test_the_first_state_comes_back_from_the_config() -> None:
    session = Walk()
    first = session.now.state
    session.do(Train(), Change(optimizer="adam"), Train())
    session.let_go()
    assert session.kept == [3]
    assert_same(session.at(0).state, first)
    assert_same(session.at(epoch=0).state, first)


def test_a_state_that_was_computed_again_is_kept_while_the_session_stands_there() -> None:
    session = Walk()
    session.do(*STEP, Train(epochs=3))
    before = session.history.nbytes
    session.let_go()
    assert session.kept == [4]
    session.at(2)
    assert session.kept == [4]  # reading keeps nothing
    session.rewind(2)
    assert session.kept == [2, 4]
    recount(session.history)
    session.rewind(2)
    for revision in (0, 1, 3):
        session.rewind(revision)
    assert session.kept == [0, 1, 2, 3, 4]
    recount(session.history)
    assert session.history.entry_bytes + session.history.state_bytes >= before


@pytest.mark.parametrize(
    "change",
    [
        lambda walk: walk.do(Change(name="new")),
        lambda walk: walk.do(*STEP),
        lambda walk: walk.do(Forward(), Backward(), Step(parameters=["output.weight"]), Backward(using="current")),
        lambda walk: walk.do(Forward(inputs=[[1.0, 2.0]] * 30, targets=[[1.0]] * 30)),
        lambda walk: walk.do(Forward(targets=[[1.0]] * 3), Forward(targets=[[0.5]] * 3)),
        lambda walk: walk.do(NewData(rows(5)), Train(epochs=2)),
        lambda walk: walk.rewind(epoch=1),
        lambda walk: (walk.rewind(0), walk.rewind(epoch=1)),
        lambda walk: (walk.rewind(1), walk.do(Train())),
        lambda walk: (walk.let_go(), walk.rewind(0), walk.rewind(epoch=1), walk.rewind(1), walk.do(Forward())),
    ],
)
def test_memory_is_counted_to_the_last(change: Callable[[Walk], object]) -> None:
    for budget in (1, 3_000, 10**6):
        session = Walk(Settings(max_history=budget), optimizer="adam")
        session.do(Train(epochs=3), Train())
        change(session)
        recount(session.history)
        forked = session.fork()
        forked.do(Train())
        recount(forked.history)


def test_rows_of_targets_alone_are_counted() -> None:
    """What a pass adds is its trace and its targets; an array counts once, however many states have it."""
    session = Walk()
    session.do(Forward(targets=[[1.0]] * 3))
    before = session.history.state_bytes
    session.do(Forward(targets=[[0.5]] * 3))
    trace, targets = 3 * 6 * 8, 3 * 8
    assert session.history.state_bytes - before == 450 + (130 + trace) + (130 + targets)
    session.do(Change(name="new"))
    assert session.history.state_bytes - before == 2 * 450 + (130 + trace) + (130 + targets)


def test_counts_of_updates_stay_when_states_go() -> None:
    """They are the entry's, so that a long history leaves its budget to its states."""
    session = walk(2.5)
    session.do(*([Train()] * 60))
    assert len(session.kept) > 2
    before = session.history.entry_bytes
    session.let_go()
    assert session.kept == [60]
    assert session.history.state_bytes < 2_500
    assert session.history.entry_bytes > 60 * 4 * 40
    assert session.history.entry_bytes >= before
    recount(session.history)


LONG = 20_000


def test_a_long_history(report: Callable[[str], None]) -> None:
    """What it takes to let its states go, and to cut it off: told, not judged."""
    session = long_walk(LONG)
    recount(session.history)
    calls = 0
    worst = 0.0
    while len(session.kept) > 1 and calls < 100:
        before = len(session.kept)
        started = time.perf_counter()
        session.let_go()
        worst = max(worst, time.perf_counter() - started)
        calls += 1
        assert before - len(session.kept) <= AT_ONCE
    assert session.kept == [LONG]
    assert calls >= LONG / AT_ONCE
    recount(session.history)
    started = time.perf_counter()
    session.let_go()  # there is nothing to let go any more
    idle = time.perf_counter() - started
    session.rewind(0)
    started = time.perf_counter()
    session.do(Change(name="new"))
    cut = time.perf_counter() - started
    assert session.numbers == [0, LONG + 1]
    recount(session.history)
    report(
        f"a history of {LONG:,}: {AT_ONCE:,} states let go in {1e3 * worst:.0f} ms, none in {1e3 * idle:.1f} ms, "
        f"all of it cut off in {1e3 * cut:.0f} ms"
    )


def test_a_loss_is_passed_on_to_what_starts_from_it_and_no_further() -> None:
    session = Walk()
    session.do(Train(epochs=2), NewData(rows(2)), Train(), Change(name="new"))
    session.rewind(epoch=1)
    session.do(Train(), NewData(rows(3)), Train())
    session.let_go()
    assert session.kept == [8]
    assert [revision.data is None for revision in session.revisions] == [True] * 8 + [False]
    for number in range(8):
        with pytest.raises(RevisionGone):
            session.at(number)
    assert session.at(8) == session.now
    recount(session.history)


def test_the_rows_that_a_session_began_with_stay_while_there_is_room_for_them() -> None:
    session = Walk()
    session.do(Train(), NewData(rows(2)), Train())
    session.let_go(2_400)
    assert session.kept == [3]
    assert session.history.state_bytes <= 2_400
    assert session.at(1).row_count == 3
    session.let_go()
    with pytest.raises(RevisionGone):
        session.at(1)
