"""Training is stepping by hand, only faster: the same numbers, bit for bit, however it is run and cut up."""

import math
from itertools import islice
from typing import Any

import numpy as np
import pytest

from app.engine import passes, tensors, training
from app.engine.network import Config
from app.engine.optimizers import AnyOptimizer
from app.engine.spec import kinds
from app.engine.state import State
from app.engine.training import CHECKPOINT_STEPS

from .networks import (
    COUNTED_BY_TRAININGS,
    DATA,
    Training,
    assert_same,
    batches,
    gradients,
    make,
    no_time,
    slow_clock,
    start,
    step,
    steps_by_hand,
    train,
)

ADAM = {"type": "adam", "learning_rate": 0.1}
CLIPPED = {"type": "sgd", "learning_rate": 0.5, "clip": {"type": "norm", "value": 0.1}}
SCHEDULED = {"type": "sgd", "learning_rate": 0.5, "schedule": {"type": "step", "step_size": 3, "warmup": {}}}
CLASSES = {**DATA, "targets": [0, 1, 2, 1, 0, 1, 2]}
CLASSIFIER = [{"name": "hidden", "units": 4, "activation": "relu"}, {"name": "output", "units": 3}]
FROZEN = [
    {"name": "first", "units": 3, "activation": "tanh"},
    {"name": "frozen", "units": 3, "activation": "softmax", "trainable": False},
    {"name": "output", "units": 1, "activation": "gelu", "bias": "shared"},
]

CONFIGS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": {"type": "sgd", "learning_rate": 0.3}},
    "momentum": {"optimizer": {"type": "sgd", "learning_rate": 0.3, "momentum": 0.9, "nesterov": True}},
    "adam": {"optimizer": {**ADAM, "amsgrad": True, "weight_decay": 0.1}},
    "adamw": {"optimizer": "adamw", "layers": FROZEN},
    "rmsprop": {"optimizer": {"type": "rmsprop", "momentum": 0.5, "centered": True}},
    "adagrad": {"optimizer": {"type": "adagrad", "lr_decay": 0.1}},
    "float32": {"optimizer": ADAM, "dtype": "float32"},
    "frozen": {"optimizer": ADAM, "layers": FROZEN},
    "clip by norm": {"optimizer": CLIPPED, "layers": FROZEN},
    "clip by value": {"optimizer": {**ADAM, "clip": {"type": "value", "value": 0.01}}, "dtype": "float32"},
    "schedule": {"optimizer": SCHEDULED},
    "classes": {"loss": "cross_entropy", "layers": CLASSIFIER, "data": CLASSES, "optimizer": ADAM},
}
PLANS: dict[str, dict[str, Any]] = {
    "all at once": {},
    "shuffled": {"shuffle": True},
    "batches of 3": {"batch_size": 3},
    "shuffled batches of 2": {"batch_size": 2, "shuffle": True},
    "batches of 1": {"batch_size": 1},
    "more than there are": {"batch_size": 100},
}


@pytest.fixture(params=list(CONFIGS.values()), ids=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> Config:
    return make(**request.param)


@pytest.fixture(params=list(PLANS.values()), ids=list(PLANS))
def plan(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def last(states: Any) -> State:
    *_, state = states
    return state  # type: ignore[no-any-return]


def test_training_is_stepping_by_hand(config: Config, plan: dict[str, Any]) -> None:
    state, data = start(config)
    trained = train(config, state, data, epochs=25, **plan)  # with batches, long enough for a checkpoint
    by_hand = last(steps_by_hand(config, state, data.train, 25, **plan))
    assert_same(trained.state, by_hand, but=COUNTED_BY_TRAININGS)
    assert (trained.state.epochs, trained.state.epoch_position) == (25, 0)
    assert trained.stopped == {
        "reason": "epochs", "epoch": 25, "step": by_hand.steps, "tensor": None, "threshold": None, "actual": None,
    }  # fmt: skip


def test_training_on_all_rows_counts_as_stepping_does(config: Config) -> None:
    state, data = start(config)
    trained = train(config, state, data, epochs=5)
    assert_same(trained.state, last(steps_by_hand(config, state, data.train, 5)))


def test_one_epoch_is_one_step() -> None:
    config = make()
    state, data = start(config)
    assert_same(train(config, state, data).state, step(config, state, data.train))


def test_two_trainings_in_a_row_are_one(config: Config, plan: dict[str, Any]) -> None:
    state, data = start(config)
    once = train(config, state, data, epochs=7, **plan)
    first = train(config, state, data, epochs=3, **plan)
    second = train(config, first.state, data, epochs=4, **plan)
    assert_same(second.state, once.state)
    assert first.entries + second.entries == once.entries


@pytest.mark.parametrize("seconds", [0.006, 1.0])
def test_the_clock_changes_nothing_but_when_the_entries_come(
    config: Config, plan: dict[str, Any], seconds: float
) -> None:
    state, data = start(config)
    straight = train(config, state, data, epochs=30, **plan)
    chopped = train(config, state, data, slow_clock(seconds), epochs=30, **plan)
    assert_same(straight.state, chopped.state)
    for entry in chopped.entries:
        assert entry["elapsed"] > 0
        entry["elapsed"] = 0
    assert straight.entries == chopped.entries


def test_the_state_it_starts_from_is_left_alone() -> None:
    config = make()
    state, data = start(config)
    before = state.parameters.tobytes()
    train(config, state, data, epochs=3)
    assert state.parameters.tobytes() == before
    assert state.steps == 0


# ----- entries


def test_an_entry_tells_of_the_last_update_of_its_epoch() -> None:
    config = make(optimizer=SCHEDULED)
    state, data = start(config)
    entries = train(config, state, data, epochs=12).entries
    for number, entry in enumerate(entries, 1):
        backward = gradients(config, state, data.train)
        assert backward.gradients is not None
        assert entry == {
            "epoch": number,
            "steps": number,
            "loss": backward.loss,
            "gradient_norm": pytest.approx(np.linalg.norm(backward.gradients)),
            "learning_rate": config.optimizer.rate(number - 1),
            "elapsed": 0.0,
        }
        state = passes.update(config, backward)


def test_an_entry_over_batches_weighs_their_losses_by_size() -> None:
    config = make(**CONFIGS["classes"])
    state, data = start(config)
    (entry,) = train(config, state, data, batch_size=3).entries
    losses: list[float] = []
    hits = 0
    for picked in batches(config, 7, 0, batch_size=3):
        state = step(config, state, data.train.take(picked))
        outputs = tensors.outputs(config, state)
        assert state.loss is not None
        assert outputs is not None
        losses.append(state.loss)
        hits += int(np.count_nonzero(outputs.argmax(axis=1) == state.targets))
    assert entry["loss"] == pytest.approx((3 * losses[0] + 3 * losses[1] + losses[2]) / 7)
    assert entry["accuracy"] == hits / 7


def test_the_gradient_norm_is_from_before_clipping_and_of_what_is_trained() -> None:
    config = make(optimizer=CLIPPED, layers=FROZEN)
    state, data = start(config)
    (entry,) = train(config, state, data).entries
    named = dict(tensors.tensors(config, gradients(config, state, data.train)))
    squares = [(named[f"{name}.gradient"] ** 2).sum() for name in config.network.trainable]
    assert entry["gradient_norm"] == pytest.approx(math.sqrt(sum(squares)))


def test_nothing_to_train_has_no_gradient() -> None:
    config = make(layers=[{"units": 1, "trainable": False}])
    state, data = start(config)
    trained = train(config, state, data, epochs=2)
    assert [entry["gradient_norm"] for entry in trained.entries] == [0, 0]
    assert trained.state.steps == 2
    assert_same(trained.state, last(steps_by_hand(config, state, data.train, 2)))


@pytest.mark.parametrize("clock", [no_time, slow_clock(), slow_clock(0.006)])
@pytest.mark.parametrize(
    ("epochs", "every", "reported"),
    [(5, 1, [1, 2, 3, 4, 5]), (5, 2, [2, 4, 5]), (6, 3, [3, 6]), (4, 10, [4]), (100, 60, [60, 100])],
)
def test_report_every(clock: Any, epochs: int, every: int, reported: list[int]) -> None:
    config = make()
    trained = train(config, *start(config), clock, epochs=epochs, report_every=every, batch_size=3)
    assert [entry["epoch"] for entry in trained.entries] == reported
    assert_same(trained.state, train(config, *start(config), epochs=epochs, batch_size=3).state)


def test_report_every_counts_the_sessions_epochs() -> None:
    config = make()
    state, data = start(config)
    state = train(config, state, data).state
    assert [entry["epoch"] for entry in train(config, state, data, epochs=4, report_every=2).entries] == [2, 4, 5]


def test_rows_to_test_on_are_tried_after_each_epochs_updates() -> None:
    test = {"inputs": DATA["inputs"][:2], "targets": [0, 1]}
    config = make(**{**CONFIGS["classes"], "data": {**CLASSES, "test": test}})
    state, data = start(config)
    assert data.test is not None
    for entry in train(config, state, data, epochs=3).entries:
        state = step(config, state, data.train)
        loss, accuracy = passes.evaluate(config, state.parameters, data.test)
        assert (entry["test_loss"], entry["test_accuracy"]) == (loss, accuracy)


def test_a_loss_that_does_not_classify_gives_no_accuracy() -> None:
    config = make(data={**DATA, "test_fraction": 0.3})
    (entry,) = train(config, *start(config)).entries
    assert "test_loss" in entry
    assert "accuracy" not in entry
    assert "test_accuracy" not in entry


# ----- cancelling


@pytest.mark.parametrize("seconds", [0.006, 1.0])
@pytest.mark.parametrize("after", [1, 2, 9, 32, 33, 34, 60])
def test_a_training_that_is_cut_short_goes_on_as_if_it_never_had_been(
    plan: dict[str, Any], after: int, seconds: float
) -> None:
    config = make(optimizer=ADAM)
    state, data = start(config)
    whole = train(config, state, data, epochs=80, **plan)
    cut = train(config, state, data, slow_clock(seconds), cancel_after=after, epochs=80, **plan)
    assert cut.stopped["reason"] == "cancelled"
    assert cut.state.steps < whole.state.steps
    by_hand = islice(steps_by_hand(config, state, data.train, 80, **plan), cut.state.steps)
    assert_same(cut.state, last(by_hand), but=COUNTED_BY_TRAININGS)

    rest = train(config, cut.state, data, epochs=80 - cut.state.epochs, **plan)
    assert_same(rest.state, whole.state)
    assert rest.stopped == whole.stopped


def test_cancelling_ends_it_after_one_more_step() -> None:
    config = make()
    trained = train(config, *start(config), slow_clock(0.006), cancel_after=1, epochs=100)
    assert trained.state.steps == trained.stopped["step"] == 2  # one in the first chunk, and one more
    assert trained.state.loss is not None
    assert len(trained.entries) == 2


def test_cancelling_before_the_last_step_changes_nothing() -> None:
    config = make()
    trained = train(config, *start(config), no_time, cancel_after=1, epochs=5)
    assert trained.stopped["reason"] == "epochs"
    assert trained.state.epochs == 5


def test_an_epoch_left_unfinished_counts_as_the_first() -> None:
    config = make()
    state, data = start(config)
    cut = train(config, state, data, slow_clock(0.006), cancel_after=1, epochs=9, batch_size=1).state
    assert (cut.epochs, cut.epoch_position) == (0, 2)
    trained = train(config, cut, data, epochs=1, batch_size=3)
    assert (trained.state.epochs, trained.state.steps) == (1, 2 + 2)


# ----- numbers that are not finite

LINEAR = [{"name": "hidden", "units": 3}, {"name": "output", "units": 1}]
DIVERGING: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": {"type": "sgd", "learning_rate": 1e6}},
    "float32": {"optimizer": {"type": "sgd", "learning_rate": 1e6}, "dtype": "float32"},
    "momentum": {"optimizer": {"type": "sgd", "learning_rate": 1e6, "momentum": 0.9}},
    "half_squared_error": {"optimizer": {"type": "sgd", "learning_rate": 1e6}, "loss": "half_squared_error"},
    "clip by value": {
        "optimizer": {"type": "sgd", "learning_rate": 1e6, "momentum": 5.0, "clip": {"type": "value", "value": 1.0}}
    },
    "clip by norm": {"optimizer": {"type": "sgd", "learning_rate": 1e6, "momentum": 5.0, "clip": {"type": "norm"}}},
    "adam": {"optimizer": {"type": "adam", "learning_rate": 1e6}, "dtype": "float32"},
    "adamw": {"optimizer": {"type": "adamw", "learning_rate": 1e6, "weight_decay": 1e6}},
    "rmsprop": {"optimizer": {"type": "rmsprop", "learning_rate": 1e6, "momentum": 20.0}},
    "adagrad": {"optimizer": {"type": "adagrad", "learning_rate": 1e6, "weight_decay": 1e30}, "dtype": "float32"},
}


def first_bad_step(config: Config, state: State, rows: Any, **plan: Any) -> tuple[State, State, State]:
    """The last good state, and what the passes make of it next: their gradients, and the update."""
    for epoch in range(1000):
        for picked in batches(config, len(rows), epoch, **plan):
            backward = gradients(config, state, rows.take(picked))
            after = passes.update(config, backward)
            assert backward.loss is not None
            assert backward.gradients is not None
            numbers = [np.array(backward.loss), backward.gradients, after.parameters, after.slots]
            if not all(np.isfinite(array).all() for array in numbers):
                return state, backward, after
            state = after
    raise AssertionError("it never diverges")


@pytest.mark.parametrize("every", [1, 7, 1000])
@pytest.mark.parametrize("plan", [{}, {"batch_size": 3}, {"batch_size": 2, "shuffle": True}])
@pytest.mark.parametrize("fields", DIVERGING.values(), ids=DIVERGING)
def test_a_training_stops_at_the_last_step_that_is_finite(
    fields: dict[str, Any], plan: dict[str, Any], every: int
) -> None:
    config = make(layers=LINEAR, **fields)
    state, data = start(config)
    good, backward, after = first_bad_step(config, state, data.train, **plan)
    trained = train(config, state, data, epochs=1000, report_every=every, **plan)
    assert_same(trained.state, good, but=COUNTED_BY_TRAININGS)
    epoch = trained.state.epochs
    whole = train(config, state, data, epochs=epoch, **plan).entries if epoch else []
    assert trained.entries == [entry for entry in whole if entry["epoch"] % every == 0 or entry["epoch"] == epoch]

    stopped = trained.stopped
    assert stopped["reason"] == "nonfinite"
    assert (stopped["epoch"], stopped["step"]) == (trained.state.epochs, trained.state.steps)
    assert stopped["actual"] is not None
    assert not math.isfinite(stopped["actual"])
    if stopped["tensor"] is None:
        assert stopped["actual"] == backward.loss or math.isnan(stopped["actual"])
    else:
        name = stopped["tensor"].removesuffix(".next")
        named = dict(tensors.tensors(config, after if name != stopped["tensor"] or ".state." in name else backward))
        assert stopped["actual"] in named[name] or math.isnan(stopped["actual"])


def stop(**fields: Any) -> Training:
    config = make(**fields)
    return train(config, *start(config), epochs=100)


def test_it_names_the_first_tensor_in_the_order_of_computation() -> None:
    wide = {"type": "inline", "inputs": [[1e200]], "targets": [[0]]}
    one = [{"name": "only", "units": 1, "init": {"weight": 1.0, "bias": 0}}]

    found = stop(inputs=1, layers=one, data=wide).stopped
    assert (found["tensor"], found["actual"]) == (None, math.inf)

    small = [{"name": "only", "units": 1, "init": {"weight": 1e-50, "bias": 0}}]
    found = stop(inputs=1, layers=small, data=wide).stopped
    assert (found["tensor"], found["actual"]) == ("only.weight.gradient", math.inf)

    fast = {"type": "sgd", "learning_rate": 1e200}
    small = [{"name": "only", "units": 1, "init": {"weight": 1e-100, "bias": 0}}]
    found = stop(inputs=1, layers=small, data=wide, optimizer=fast).stopped
    assert (found["tensor"], found["actual"]) == ("only.weight.next", -math.inf)

    found = stop(inputs=1, layers=small, data=wide, optimizer="adam").stopped
    assert (found["tensor"], found["actual"]) == ("only.weight.state.exp_avg_sq", math.inf)


def test_a_pre_activation_that_is_not_finite_is_named_before_the_loss() -> None:
    steep = [{"name": "only", "units": 1, "init": {"weight": 1e300, "bias": 0}}]
    wide = {"type": "inline", "inputs": [[1e200]], "targets": [[0]]}
    found = stop(inputs=1, layers=steep, data=wide).stopped
    assert (found["tensor"], found["actual"]) == ("only.z", math.inf)


def test_the_first_step_of_all_may_be_the_bad_one() -> None:
    fast = {"type": "sgd", "learning_rate": 1e308}
    far = {"type": "inline", "inputs": [[1e3, 1e3]], "targets": [[1e3]]}
    trained = stop(layers=[{"name": "only", "units": 1}], data=far, optimizer=fast)
    assert trained.stopped["step"] == 0
    assert trained.entries == []
    assert trained.state.phase == "ready"
    assert trained.state.forward is None


def test_entries_end_where_the_training_does() -> None:
    config = make(layers=LINEAR, **DIVERGING["sgd"])
    trained = train(config, *start(config), epochs=1000)
    assert [entry["epoch"] for entry in trained.entries] == list(range(1, trained.state.epochs + 1))


@pytest.mark.parametrize("good_steps", [1, 2, *range(CHECKPOINT_STEPS - 2, CHECKPOINT_STEPS + 3)])
@pytest.mark.parametrize("at_the_end", [True, False])
@pytest.mark.parametrize("clock", [no_time, slow_clock(), slow_clock(0.006)])
def test_whichever_step_is_the_bad_one(good_steps: int, at_the_end: bool, clock: Any) -> None:
    """The weight grows by the learning rate with every step, and one step more than these would be beyond float32."""
    config = make(
        inputs=1,
        layers=[{"name": "only", "units": 1, "bias": "none", "init": {"weight": 0.0}}],
        loss="nll",
        data={"type": "inline", "inputs": [[1.0]], "targets": [0]},
        optimizer={"type": "sgd", "learning_rate": float(np.finfo("float32").max) / (good_steps + 0.5)},
        dtype="float32",
    )
    state, data = start(config)
    epochs = good_steps + 1 if at_the_end else 1000
    trained = train(config, state, data, clock, epochs=epochs)
    assert_same(trained.state, last(steps_by_hand(config, state, data.train, good_steps)))
    assert trained.stopped == {
        "reason": "nonfinite", "epoch": good_steps, "step": good_steps,
        "tensor": "only.weight.next", "threshold": None, "actual": math.inf,
    }  # fmt: skip
    assert [entry["epoch"] for entry in trained.entries] == list(range(1, good_steps + 1))


@pytest.mark.parametrize("every", [1, 1000])
def test_a_loss_that_would_come_back_from_infinity_stops_it_all_the_same(every: int) -> None:
    """Far off, the gradient of the absolute error is still ±1: the next step would undo the one that went too far."""
    config = make(
        inputs=1,
        layers=[{"name": "only", "units": 1, "bias": "none", "init": {"weight": 0.0}}],
        loss="mae",
        data={"type": "inline", "inputs": [[4.0]], "targets": [[1.0]]},
        optimizer={"type": "sgd", "learning_rate": 5e37, "schedule": {"type": "step", "step_size": 2, "gamma": 0.0}},
        dtype="float32",
    )
    trained = train(config, *start(config), epochs=20, report_every=every)
    assert trained.stopped["reason"] == "nonfinite"
    assert trained.stopped["step"] == 1


@pytest.mark.parametrize("every", [1, 1000])
def test_a_gradient_of_what_is_frozen_spoils_nothing(every: int) -> None:
    """The second row's input is so large that the first weight's gradient overflows; but nobody steps along it."""
    config = make(
        inputs=1,
        layers=[{"units": 1, "trainable": False, "bias": "none", "init": {"weight": 1e-308}}, {"units": 1}],
        data={"type": "inline", "inputs": [[0.0], [1.7e308]], "targets": [[0.0], [20.0]]},
        optimizer={"type": "sgd", "learning_rate": 1e-3},
    )
    trained = train(config, *start(config), epochs=20, batch_size=1, report_every=every)
    assert trained.stopped["reason"] == "epochs"
    assert np.isinf(trained.state.gradients).any()  # type: ignore[arg-type]


@pytest.mark.parametrize("every", [1, 1000])
def test_a_norm_that_overflows_where_no_gradient_does_stops_nothing(every: int) -> None:
    config = make(
        layers=[{"name": "only", "units": 1, "bias": "none", "init": {"weight": 0.00325}}],
        data={"type": "inline", "inputs": [[1e155, 1e155]], "targets": [[0.0]]},
        optimizer={"type": "sgd", "learning_rate": 0.0},
    )
    trained = train(config, *start(config), epochs=20, report_every=every)
    assert trained.stopped["reason"] == "epochs"
    assert all(math.isfinite(entry["gradient_norm"] or 0) for entry in trained.entries)


def test_every_optimizer_is_among_those_that_diverge() -> None:
    tried = {fields["optimizer"]["type"] for fields in DIVERGING.values()}
    assert tried == {kind.type_name() for kind in kinds(AnyOptimizer)}


def test_a_disagreement_with_stepping_is_an_error_and_no_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    config = make()
    state, data = start(config)
    monkeypatch.setattr(training, "all_finite", lambda *arrays: False)
    with pytest.raises(RuntimeError, match="different numbers"):
        train(config, state, data, epochs=5)
