"""The way that led to a revision: its epochs, and their curves."""

import pytest

from app.errors import InvalidInput
from app.sessions.edits import Change
from app.sessions.lineage import curves_of, curves_work, find_epoch, way_to
from app.sessions.operations import Backward, Forward, Step, Train

from .making import Cut, Walk, edit, recount

STEP = (Forward(), Backward(), Step())


def two_branches() -> Walk:
    """Epochs 3 to 5 twice, in revisions 1 and 4: the second time after an edit."""
    session = Walk()
    session.do(Train(epochs=5))
    session.rewind(epoch=2)
    session.do(edit({"output.bias": [0.5]}), Train(epochs=3))
    return session


def test_the_way_leads_through_a_rewind_to_the_training_that_it_lies_in() -> None:
    session = two_branches()
    assert list(way_to(session.revisions, 4)) == [4, 3, 2, 1, 0]
    session.rewind(epoch=1)  # in the first training
    session.do(Forward())
    assert list(way_to(session.revisions, 6)) == [6, 5, 1, 0]
    assert list(way_to(session.revisions, 0)) == [0]


def test_find_epoch() -> None:
    session = Walk()
    session.do(Train(epochs=5), *STEP, Change(name="six"), Train(epochs=2))
    assert [find_epoch(session.revisions, 6, epoch) for epoch in range(9)[:-1]] == [0, 1, 1, 1, 1, 1, 4, 6]
    with pytest.raises(InvalidInput) as caught:
        session.at(epoch=9)
    assert [error.pointer for error in caught.value.errors] == ["?epoch"]
    assert "0 to 8" in caught.value.errors[0].detail


def test_an_epoch_is_the_one_on_the_way_to_where_the_session_stands() -> None:
    session = Walk()
    session.do(Train(epochs=5))
    session.rewind(epoch=2)
    session.do(edit({"output.bias": [0.5]}), Train(epochs=5))  # 3 to 7 again, in another way
    assert session.numbers == [0, 1, 2, 3, 4]
    assert [find_epoch(session.revisions, 4, epoch) for epoch in (1, 2, 3, 7)] == [1, 2, 4, 4]
    assert [find_epoch(session.revisions, 1, epoch) for epoch in (1, 2, 3, 7)] == [1, 1, 1, 4]
    session.rewind(1)
    assert session.at(epoch=4).revision == 1
    assert session.at(epoch=7).revision == 4


def test_an_epoch_that_was_not_finished_is_none() -> None:
    session = Walk().fork(0)
    session.do(Train(batch_size=1))
    assert session.at(epoch=0).revision == 0
    assert session.at(epoch=1).revision == 1


def test_an_epoch_elsewhere_is_the_first_after_or_else_the_last_before() -> None:
    session = two_branches()
    assert find_epoch(session.revisions, 2, 4) == 4
    session.rewind(epoch=1)
    assert session.numbers == [0, 1, 2, 3, 4, 5]
    assert find_epoch(session.revisions, 5, 4) == 4
    assert find_epoch(session.revisions, 5, 1) == 5
    assert find_epoch(session.revisions, 0, 4) == 1


def test_on_the_way_alone() -> None:
    session = two_branches()
    found = [find_epoch(session.revisions, at, 2, anywhere=False) for at in (4, 3, 2, 1)]
    assert found == [2, 2, 2, 1]
    assert find_epoch(session.revisions, 4, 1, anywhere=False) == 1
    for at, epoch in ((3, 4), (0, 1), (2, 3), (4, 9)):
        with pytest.raises(InvalidInput) as caught:
            find_epoch(session.revisions, at, epoch, "/epoch", anywhere=False)
        assert [error.pointer for error in caught.value.errors] == ["/epoch"]


def test_an_epoch_in_whose_midst_a_training_ended_is_where_it_was_gone_on_with() -> None:
    session = Walk()
    session.do(Cut(Train(epochs=3, batch_size=1), 5), Forward(), Train())
    assert [find_epoch(session.revisions, 3, epoch) for epoch in (0, 1, 2)] == [0, 1, 3]
    forked = session.fork(1)
    with pytest.raises(InvalidInput):
        find_epoch(forked.revisions, 0, 1)  # it begins in the midst of the next


def epochs(walk: Walk, epoch: int | None = None) -> list[int]:
    """The epochs of a session's life, up to where it stands."""
    curves = curves_of(walk.revisions, walk.history.ancestors, walk.index, epoch)
    return [int(row[0]) for curve in curves for row in curve.rows]


def test_curves_of_a_life() -> None:
    session = Walk()
    assert epochs(session) == []
    session.do(Train(epochs=3), *STEP, Change(optimizer="adam"), Train(epochs=2))
    assert epochs(session) == [1, 2, 3, 4, 5, 6]
    assert epochs(session, 2) == [1, 2]
    assert curves_work(session.revisions) > 0
    session.let_go()
    assert epochs(session) == [1, 2, 3, 4, 5, 6]
    recount(session.history)


def test_curves_after_going_back() -> None:
    session = Walk()
    session.do(Train(epochs=5), Train(epochs=3))
    session.rewind(1)
    assert epochs(session) == [1, 2, 3, 4, 5]
    session.rewind(epoch=2)
    assert epochs(session) == [1, 2]
    session.do(Train(epochs=4))
    assert epochs(session) == [1, 2, 3, 4, 5, 6]
    session.rewind(epoch=4)
    session.do(*STEP)
    assert epochs(session) == [1, 2, 3, 4, 5]
    steps = [row for curve in curves_of(session.revisions, (), session.index) for row in curve.rows[:, 1]]
    assert steps == [1, 2, 3, 4, 5]


def test_curves_of_a_fork_begin_with_its_ancestors() -> None:
    session = Walk()
    session.do(Train(epochs=5))
    forked = session.fork(epoch=3)
    assert epochs(forked) == [1, 2, 3]
    forked.do(Train(epochs=2), *STEP)
    session.do(Train(epochs=9))
    assert epochs(forked) == [1, 2, 3, 4, 5, 6]
    again = forked.fork(epoch=4)
    assert epochs(again) == [1, 2, 3, 4]
    assert epochs(again, 2) == [1, 2]
    recount(again.history)


def test_curves_of_steps_are_written_as_they_were() -> None:
    session = Walk(data={"inputs": [[0.5, 0.5]], "targets": [[0.5]], "test": {"inputs": [[1, 1]], "targets": [[1]]}})
    session.do(*STEP, Forward(inputs=[[1.0, 2.0]], targets=[[0.0]]), Backward(), Step())
    before = [curve.rows.tolist() for curve in curves_of(session.revisions, (), session.index)]
    session.let_go()
    assert [curve.rows.tolist() for curve in curves_of(session.revisions, (), session.index)] == before
    assert epochs(session) == [1]  # over other rows it is no epoch


def test_curves_of_a_rewind_to_a_rewind() -> None:
    session = two_branches()
    session.rewind(epoch=1)
    session.rewind(epoch=1)
    session.do(Train(epochs=2))
    assert epochs(session) == [1, 2, 3]
