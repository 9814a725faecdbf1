"""How an epoch is cut into batches; the last one is left out where it is asked for, as PyTorch's `DataLoader` does."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.batches import Batches, steps_of
from app.engine.plan import Plan
from app.engine.stepping import before_update

from .networks import COUNTED_BY_TRAININGS, assert_same, batches, make, slow_clock, start, step, train


@pytest.mark.parametrize(
    ("plan", "n", "position", "steps"),
    [
        (Plan(), 7, 0, 1),
        (Plan(epochs=3), 7, 0, 3),
        (Plan(epochs=3, batch_size=3), 7, 0, 9),
        (Plan(epochs=3, batch_size=3), 7, 6, 7),
        (Plan(epochs=2, batch_size=100), 7, 0, 2),
        (Plan(epochs=2, batch_size=3, steps=5), 7, 0, 5),
        (Plan(epochs=2, batch_size=3, steps=50), 7, 0, 6),
        (Plan(epochs=3, batch_size=3, drop_last=True), 7, 0, 6),
        (Plan(epochs=3, batch_size=3, drop_last=True), 6, 0, 6),
        (Plan(epochs=3, batch_size=3, drop_last=True), 7, 3, 5),
        (Plan(epochs=3, batch_size=3, drop_last=True), 7, 4, 5),
        (Plan(epochs=3, batch_size=3, drop_last=True), 7, 5, 5),  # what is left is one batch
        (Plan(epochs=2, batch_size=100, drop_last=True), 7, 0, 2),
        (Plan(epochs=2, drop_last=True), 7, 0, 2),
        (Plan(epochs=2, drop_last=True), 7, 6, 2),
    ],
)
def test_steps_of(plan: Plan, n: int, position: int, steps: int) -> None:
    assert steps_of(plan, n, position) == steps


@given(st.integers(1, 40), st.integers(1, 45) | st.none(), st.booleans(), st.data())
def test_an_epoch_goes_over_its_rows_once_in_as_many_steps_as_said(
    n: int, size: int | None, drop_last: bool, data: st.DataObject
) -> None:
    plan = Plan(batch_size=size, drop_last=drop_last)
    position = data.draw(st.integers(0, n - 1))
    cut, start, steps = Batches(plan, n, seed=0), position, 0
    while True:
        stop = cut.end(start)
        assert start < stop <= n
        assert stop - start == cut.size or stop == n
        steps, start = steps + 1, stop
        if stop > cut.last_above:
            break
        assert steps_of(plan, n, stop) == steps_of(plan, n, position) - steps  # cut there, it has as many to go
    assert steps == steps_of(plan, n, position)
    left = n - stop
    assert left < cut.size if drop_last else left == 0


def test_pytorch_cuts_alike() -> None:
    data = pytest.importorskip("torch.utils.data", reason="PyTorch is not installed")
    for n in range(1, 12):
        for size in range(1, 14):
            for drop_last in (False, True):
                if size > n and drop_last:  # there it has no batch at all, and here a batch is never more than all rows
                    continue
                theirs = [len(batch) for batch in data.DataLoader(range(n), batch_size=size, drop_last=drop_last)]
                ours = [len(batch) for batch in batches(make(), n, 0, size, drop_last=drop_last)]
                assert ours == theirs
                assert steps_of(Plan(batch_size=size, drop_last=drop_last), n) == len(theirs)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_rows_left_out_are_others_in_each_epoch_where_they_are_shuffled(shuffle: bool) -> None:
    cut = Batches(Plan(batch_size=3, shuffle=shuffle, drop_last=True), 7, seed=3)
    rows = np.arange(7)
    left = {int(np.setdiff1d(rows, rows[np.r_[cut_rows(cut, epoch)]])[0]) for epoch in range(20)}
    assert (len(left) > 1) is shuffle


def cut_rows(cut: Batches, epoch: int) -> Any:
    return np.concatenate([np.arange(7)[cut.picked(epoch, 0, 3)], np.arange(7)[cut.picked(epoch, 3, 6)]])


@pytest.mark.parametrize("seconds", [1e-9, 0.006, 1.0])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", {"type": "adam", "amsgrad": True}])
def test_training_without_the_last_batch_is_stepping_without_it(optimizer: Any, shuffle: bool, seconds: float) -> None:
    config = make(optimizer=optimizer)
    state, data = start(config)
    plan: dict[str, Any] = {"batch_size": 3, "shuffle": shuffle, "drop_last": True}
    trained = train(config, state, data, slow_clock(seconds), epochs=40, **plan)
    for epoch in range(40):
        for picked in batches(config, 7, epoch, 3, shuffle, drop_last=True):
            assert len(picked) == 3
            state = step(config, state, data.train.take(picked))
    assert_same(trained.state, state, but=COUNTED_BY_TRAININGS)
    assert (trained.state.epochs, trained.state.epoch_position, trained.state.steps) == (40, 0, 80)
    assert [entry["steps"] for entry in trained.entries] == list(range(2, 82, 2))


def test_the_loss_of_an_epoch_is_that_of_the_rows_that_were_in_it() -> None:
    config = make()
    state, data = start(config)
    (entry,) = train(config, state, data, batch_size=3, drop_last=True).entries
    losses = []
    for picked in batches(config, 7, 0, 3, drop_last=True):
        state = step(config, state, data.train.take(picked))
        losses.append(state.loss or 0.0)
    assert entry["loss"] == pytest.approx(np.mean(losses))


def test_an_epoch_gone_on_with_in_other_batches_is_not_empty() -> None:
    config = make()
    state, data = start(config)
    cut = train(config, state, data, batch_size=1, steps=5).state
    assert cut.epoch_position == 5
    trained = train(config, cut, data, batch_size=3, drop_last=True)
    assert (trained.state.epochs, trained.state.epoch_position, trained.state.steps) == (1, 0, 6)
    assert_same(trained.state, step(config, cut, data.train.take(np.arange(5, 7))), but=COUNTED_BY_TRAININGS)
    again = train(config, trained.state, data, batch_size=3, drop_last=True)
    assert (again.state.epochs, again.state.steps) == (2, 8)


def test_the_step_to_come_is_the_one_that_training_does() -> None:
    config = make()
    state, data = start(config)
    plan = Plan(epochs=3, batch_size=3, shuffle=True, drop_last=True)
    cut = train(config, state, data, epochs=3, batch_size=3, shuffle=True, drop_last=True, steps=3).state
    before = before_update(config, cut, data, plan)
    after = train(config, cut, data, epochs=3, batch_size=3, shuffle=True, drop_last=True, steps=1).state
    assert before.gradients is not None
    assert after.gradients is not None
    assert before.gradients.tobytes() == after.gradients.tobytes()
    assert before.phase == "backward"
