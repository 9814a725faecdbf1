"""Revisions, packed and unpacked, and what they tell without being unpacked."""

import gc
from typing import Any

import pytest
from engine.networks import assert_same

from app.engine.hashing import state_hash
from app.engine.rows import Data
from app.engine.state import State
from app.errors import InvalidInput, RevisionGone
from app.sessions.edits import Change, NewData
from app.sessions.operations import Backward, Forward, Step, Train
from app.sessions.revisions import Outline, Revision, Revisions
from app.settings import Settings

from .making import Walk, edit, rows, run

STEP = (Forward(), Backward(), Step())


def walk() -> Walk:
    """All sorts of revisions, some of them let go."""
    session = Walk(optimizer="adam")
    session.do(Train(epochs=3), Forward(), Backward(), Step(parameters=["output.bias"]), NewData(rows(2)), Train())
    session.rewind(epoch=2)
    session.do(Forward(inputs=[[0.5, 0.5]] * 900), edit({"output.bias[0]": 0.5}), Change(name="new"), Train())
    session.let_go(session.history.state_bytes // 2)
    assert 0 < len(session.kept) < len(session.numbers)
    return session


def test_what_is_packed_comes_back() -> None:
    revisions = walk().revisions
    again = Revisions(list(revisions))
    assert len(again) == len(revisions)
    for one, other in zip(again, revisions, strict=True):
        assert type(one.state) is type(other.state)
        if isinstance(one.state, State) and isinstance(other.state, State):
            assert_same(one.state, other.state)
            assert isinstance(one.state.stepped, frozenset)
        else:
            assert one.state == other.state
        assert (one.data is None) is (other.data is None)
        if one.data is not None and other.data is not None:
            assert one.data.arrays is other.data.arrays
        for field in ("number", "operation", "arguments", "complete", "at", "config_json", "source", "digest", "run"):
            assert getattr(one, field) == getattr(other, field)


def test_what_is_told_without_unpacking() -> None:
    revisions = walk().revisions
    for index, revision in enumerate(revisions):
        assert revisions.number(index) == revision.number == revisions[index].number
        assert revisions.operation(index) == revision.operation
        assert revisions.source(index) == revision.source
        assert revisions.is_kept(index) is revision.is_kept
        assert revisions.epochs(index) == (revision.state.epochs, revision.state.epoch_position)
        assert revisions.updates(index) == revision.state.updates
    assert revisions.number(-1) == len(revisions) - 1
    assert {revisions.source(index) for index in range(len(revisions))} == {None, 1}


def test_a_row() -> None:
    revisions = walk().revisions
    part = revisions[2:5]
    assert isinstance(part, Revisions)
    assert [revision.number for revision in part] == [2, 3, 4]
    copied = revisions[:]
    last = copied.pop()
    assert (last.number, len(copied), len(revisions)) == (len(revisions) - 1, len(revisions) - 1, last.number + 1)
    copied.append(last)
    copied[0] = copied[0]._replace(number=7)
    assert (copied[0].number, revisions[0].number, copied[-1].number) == (7, 0, last.number)
    assert len(Revisions()) == 0
    with pytest.raises(IndexError):
        revisions[len(revisions)]


def test_the_run_that_made_it() -> None:
    session = Walk(Settings(inline_work=1))
    session.do(*STEP, Train())
    one, other = session.revisions[0], session.revisions[-1]
    (one_run,) = run(session.sessions.runs.of(session.id))
    assert (one.run, other.run) == (None, one_run.id)
    session.rewind(0)
    session.rewind(4)
    session.do(Forward())
    session.let_go()
    assert [revision.run for revision in session.revisions] == [None] * 4 + [one_run.id, None]


def test_rows_that_are_the_same_are_made_once() -> None:
    session = Walk()
    session.do(*STEP)
    data = {id(revision.data) for revision in session.revisions}
    assert len(data) == 1
    assert isinstance(session.revisions[0].data, Data)


def test_find() -> None:
    session = Walk()
    session.do(*STEP)
    session.rewind(1)
    session.do(Train())
    revisions = session.revisions
    assert [revisions.find(number) for number in (0, 1, 4)] == [0, 1, 2]
    for number in (2, 3):
        with pytest.raises(RevisionGone):
            revisions.find(number)
    with pytest.raises(InvalidInput) as caught:
        revisions.find(5, "/revision")
    assert [error.pointer for error in caught.value.errors] == ["/revision"]


def test_find_after_much_was_cut_off() -> None:
    session = Walk()
    for _ in range(5):
        session.do(*STEP)
        session.rewind(session.numbers[-3])
    session.do(Forward())
    revisions = session.revisions
    for index, number in enumerate(session.numbers):
        assert revisions.find(number) == index
    for number in set(range(session.numbers[-1])) - set(session.numbers):
        with pytest.raises(RevisionGone):
            revisions.find(number)
    with pytest.raises(InvalidInput) as caught:
        revisions.find(session.numbers[-1] + 1)
    assert [error.pointer for error in caught.value.errors] == ["?revision"]
    assert f"is {session.numbers[-1]}" in caught.value.errors[0].detail


def test_an_outline_keeps_what_lists_need_and_the_hash() -> None:
    session = Walk(optimizer="adam")
    session.do(*STEP, Train(epochs=2), Forward(until="hidden"), Train())
    before = list(session.revisions)
    session.let_go()
    for one, other in zip(session.revisions, before, strict=True):
        state, was = one.state, other.state
        assert isinstance(was, State)
        assert one.state_hash == other.state_hash == state_hash(session.now.config, was)
        if one.is_kept:
            continue
        assert isinstance(state, Outline)
        for field in Outline._fields[:-1]:
            assert getattr(state, field) == getattr(was, field)


def revision(**fields: Any) -> Revision:
    return Walk().revisions[0]._replace(**fields)


def test_the_hash_is_worked_out_once() -> None:
    one = revision()
    assert one.hashed_bytes == one.state.nbytes > 0
    known = revision(digest="abc")
    assert (known.state_hash, known.hashed_bytes) == ("abc", 0)
    gone = revision(state=Outline("ready", 0, 0, 0, 0, 0, None, (), 0, "def"))
    assert (gone.state_hash, gone.hashed_bytes, gone.is_kept) == ("def", 0, False)


def test_what_can_come_back() -> None:
    assert revision().can_come_back
    assert not revision(complete=False).can_come_back
    assert not any(revision(operation=name).can_come_back for name in ("data", "fork", "import"))
    assert revision(arguments=b"x" * 100).nbytes == revision(arguments=b"").nbytes + 100


def test_the_collector_of_garbage_leaves_them_alone() -> None:
    """They are plain tuples of numbers, bytes and arrays, which it looks at once."""
    session = Walk(optimizer="adam")
    session.do(*(STEP * 20), Train())
    revisions: Any = session.revisions
    for _ in range(4):  # a tuple after those in it
        gc.collect()
    assert not any(map(gc.is_tracked, revisions._packed))
