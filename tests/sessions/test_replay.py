"""The past computed again is what it was, bit for bit."""

from typing import Any

import pytest
from engine.networks import assert_same, slow_clock

from app.engine.hashing import state_hash
from app.engine.state import State
from app.errors import Full, InvalidInput, RevisionGone
from app.sessions.edits import Change, NewData
from app.sessions.operations import Backward, Forward, Operation, Step, Train
from app.sessions.replay import recipe, replay, work_of
from app.settings import Settings

from .making import Cut, Walk, edit, rows, run

MOMENTUM = {"type": "sgd", "learning_rate": 0.5, "momentum": 0.9, "nesterov": True}
SCHEDULE = {"type": "cosine", "T_max": 20, "warmup": {"total_iters": 4}}
OPTIMIZERS: list[dict[str, Any]] = [
    {"type": "sgd", "learning_rate": 0.5},
    MOMENTUM,
    {**MOMENTUM, "schedule": SCHEDULE, "clip": {"type": "value", "value": 0.01}},
    {"type": "adam", "amsgrad": True, "schedule": {"type": "exponential", "gamma": 0.9}},
]
STEP = (Forward(), Backward(), Step())


def states(walk: Walk) -> dict[int, State]:
    """Every state of a session's history, by its revision."""
    return {number: walk.at(number).state for number in walk.numbers}


def check_same_after_letting_go(walk: Walk, *, but: tuple[int, ...] = ()) -> None:
    """Let all states go that can be computed again, but for the last, and compare those computed again."""
    before, hashes = states(walk), [revision.state_hash for revision in walk.revisions]
    walk.let_go()
    assert walk.kept == [walk.now.revision]
    assert [revision.state_hash for revision in walk.revisions] == hashes
    for number, expected in zip(walk.numbers, hashes, strict=True):
        if number in but:
            continue
        there = walk.at(number)
        assert_same(there.state, before[number])
        assert state_hash(there.config, there.state) == expected


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_operation(optimizer: dict[str, Any], dtype: str) -> None:
    session = Walk(optimizer=optimizer, dtype=dtype)
    session.do(
        Forward(until="hidden"), Forward(), Backward(until="output"), Step(parameters=["output.weight"]),
        Backward(using="current"), Step(parameters=["hidden.bias"]), edit({"hidden.weight[0][1]": 1e-17}), Step(),
        Forward(inputs=[[0.1, 0.2]]), Forward(targets=[[1.0], [0.1], [0.3]]), Backward(),
        Change(optimizer={"learning_rate": 0.1, "clip": None}), Step(), Train(epochs=5, batch_size=2, shuffle=True),
        Change(name="new"), *STEP, Change.model_validate({"optimizer": None}), Train(epochs=2), Train(report_every=3),
    )  # fmt: skip
    check_same_after_letting_go(session)


def test_from_the_nearest_state_that_is_kept() -> None:
    session = Walk(optimizer="adam")
    session.do(Train(), Change(optimizer=MOMENTUM), Train(), Train(), Train())
    expected = session.at(4).state
    session.let_go()
    assert len(recipe(session.revisions, 4).parts) == 4
    session.rewind(3)
    found = recipe(session.revisions, 4)
    assert (found.base is not None, len(found.parts), found.end.number) == (True, 1, 4)
    assert_same(session.at(4).state, expected)
    assert recipe(session.revisions, 3).parts == []
    there = session.at(1)
    assert (there.config.optimizer.type, there.revision, there.epoch) == ("adam", 1, None)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "plan", [{}, {"batch_size": 2}, {"batch_size": 2, "shuffle": True}, {"batch_size": 9, "shuffle": True}]
)
def test_epochs_inside_a_training(optimizer: dict[str, Any], plan: dict[str, Any]) -> None:
    session, single = Walk(optimizer=optimizer), Walk(optimizer=optimizer)
    session.do(*STEP, Train(epochs=6, **plan), Train(epochs=2))
    single.do(*STEP)
    for epoch in range(2, 8):
        expected = single.do(Train(**plan)).state
        there = session.at(epoch=epoch)
        assert_same(there.state, expected)
        assert (there.revision, there.epoch) == (4, epoch if epoch < 7 else None)
        assert there.tag == ("4" if epoch == 7 else f"4-epoch{epoch}")
    session.let_go()
    assert_same(session.at(epoch=7).state, expected)


def test_a_rewind_to_an_epoch_is_a_revision() -> None:
    session = Walk(optimizer="adam")
    session.do(Train(epochs=6), Change(optimizer="sgd"))
    expected = session.at(epoch=4)
    there = session.rewind(epoch=4)
    assert (there.revision, there.latest_revision, there.epoch) == (3, 3, None)
    assert there.config.optimizer.type == "adam"
    assert_same(there.state, expected.state)
    session.do(Train(epochs=3), *STEP)
    there = session.rewind(epoch=6)
    assert there.revision == 8
    session.do(Train())
    assert session.rewind(epoch=6).revision == 10
    session.rewind(9)
    check_same_after_letting_go(session)


def test_an_epoch_cut_by_the_end_of_a_training_is_gone_on_with() -> None:
    plans: list[dict[str, Any]] = [{"batch_size": 1}, {"batch_size": 2, "shuffle": True}]
    for plan in plans:
        session = Walk(optimizer="adam")
        session.do(Cut(Train(epochs=5, **plan), 5))
        assert session.now.state.epoch_position > 0
        session.do(Train(epochs=3, **plan), Forward())
        there, whole = session.at(epoch=3), Walk(optimizer="adam").do(Train(epochs=3, **plan))
        assert_same(there.state, whole.state)
        check_same_after_letting_go(session)
        assert_same(session.at(epoch=3).state, whole.state)
        assert_same(session.at(epoch=1).state, Walk(optimizer="adam").do(Train(**plan)).state)


def test_a_training_that_ended_early_is_done_again_to_its_last_step() -> None:
    huge = {"type": "sgd", "learning_rate": 1e200, "momentum": 0.9}
    session = Walk(network=LINEAR, loss="mse", optimizer=huge)
    session.do(Train(epochs=50, batch_size=1), Forward(), Train(epochs=50), Forward())
    steps = [revision.state.steps for revision in session.revisions]
    assert 0 < steps[1] < 150
    assert steps[3] == steps[1]  # not a step more is possible
    check_same_after_letting_go(session)


LINEAR = {"inputs": 2, "layers": [{"name": "hidden", "units": 2}, {"name": "output", "units": 1}]}


def test_a_training_that_was_told_to_end_is_done_again_to_its_last_step() -> None:
    session = Walk(optimizer="adam")
    session.do(Cut(Train(epochs=9, batch_size=2), 7), Train(batch_size=2))
    check_same_after_letting_go(session)


def test_rows_that_were_replaced_are_those_of_their_time() -> None:
    session = Walk(optimizer="adam")
    session.do(Train(epochs=3), NewData(rows(5)), Train(epochs=3, batch_size=2))
    expected = session.at(epoch=5).state
    session.let_go(session.history.state_bytes - 1)
    assert session.kept == [0, 2, 3]
    there = session.at(epoch=2)
    assert there.data is not None
    assert len(there.data.train) == 3
    assert_same(there.state, Walk(optimizer="adam").do(Train(epochs=2)).state)
    assert_same(session.at(epoch=5).state, expected)
    assert session.rewind(epoch=2).data is not None
    assert session.now.row_count == 3


def test_large_arguments_cannot_be_done_again() -> None:
    session = Walk()
    session.do(Forward(inputs=[[0.5, 0.5]] * 900), Forward(), Forward(), Train())
    assert not session.revisions[1].complete
    session.let_go()
    for revision in (1, 2, 3):
        with pytest.raises(RevisionGone):
            session.rewind(revision)
    assert session.now.revision == 4
    assert session.at(0).state.steps == 0


def test_too_much_work_is_gone() -> None:
    session = Walk(Settings(max_work=10_000_000))
    trains: list[Operation] = [Train(epochs=300)] * 4
    session.do(*trains)
    assert work_of(session.now, recipe(session.revisions, 2)) == 0
    session.let_go()
    works = [work_of(session.now, recipe(session.revisions, index)) for index in range(4)]
    assert 0 < works[0] < works[1] < works[2] < works[3]  # the first state is made from the config again
    assert works[1] < 10_000_000 < works[3]
    session.at(1)
    with pytest.raises(RevisionGone, match="too much work"):
        session.at(3)
    with pytest.raises(RevisionGone):
        session.rewind(3)
    assert session.now.revision == 4


def test_work_counts_rows_given_by_hand() -> None:
    """As many as arguments that are kept can have; those of a trace that is kept are there to be counted."""
    walks = [Walk(), Walk()]
    for session, n in zip(walks, (1, 2000), strict=True):
        session.do(Forward(inputs=[[1.0, 2.0]] * n, targets=[[0.5]] * n), Backward(), Forward())
        session.rewind(1)
        session.let_go()
        session.rewind(1)
        assert session.kept == [1]
    few, many = (work_of(session.now, recipe(session.revisions, 2)) for session in walks)
    assert many > 2 * few > 0
    bare = Walk(data=None)
    bare.do(Forward(inputs=[[1.0, 2.0]]), Forward(inputs=[[1.0, 2.0]]))
    check_same_after_letting_go(bare)


def test_long_work_is_done_in_the_lane() -> None:
    session = Walk(Settings(inline_work=1_000_000))
    session.do(Train(epochs=100), Train())
    expected = session.at(epoch=60)
    run_again = Walk(Settings(inline_work=1))
    run_again.do(Train(epochs=100), Train())
    assert_same(run_again.at(epoch=60).state, expected.state)
    assert_same(run_again.rewind(epoch=60).state, expected.state)
    assert not run_again.sessions.is_busy(run_again.id)
    run_again.sessions.close()


def test_a_server_that_stops_does_not_finish() -> None:
    session = Walk()
    session.do(Train(epochs=50))
    session.do(Train(epochs=50))
    session.let_go()
    with pytest.raises(Full) as caught:
        replay(session.now, recipe(session.revisions, 1), session.settings, lambda: True)
    assert caught.value.retry_after > 0
    found = replay(session.now, recipe(session.revisions, 1), session.settings, lambda: False)
    assert found.epochs == 50


def test_a_server_that_stops_ends_a_training_in_its_midst(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Walk()
    session.do(Train(epochs=50), Train())
    found, asked = recipe(session.revisions, 1, 40), iter([False, False, True])
    monkeypatch.setattr("app.sessions.replay.time.perf_counter", slow_clock())
    with pytest.raises(Full):
        replay(session.now, found, session.settings, lambda: next(asked))
    assert next(asked, None) is None


def test_a_refused_rewind_leaves_the_session_as_it_was() -> None:
    session = Walk()
    session.do(Train(epochs=3))
    before = session.now
    for revision, epoch, pointer in ((7, None, "/revision"), (None, 7, "/epoch")):
        with pytest.raises(InvalidInput) as caught:
            session.rewind(revision, epoch)
        assert [error.pointer for error in caught.value.errors] == [pointer]
    assert session.now is before
    assert run(session.sessions.past.at(before)) is before
