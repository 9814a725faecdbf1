"""Straight-line code for tiny networks: the same numbers as numpy's, and the same behaviour where numbers end."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.engine import passes, straight
from app.engine.network import Config
from app.engine.state import State

from .networks import assert_close, gradients, make, start, there, train
from .random_configs import CLIPS, OPTIMIZERS, random_configs


def tiny_configs() -> Iterator[Config]:
    """The random configs that are tiny enough, with a row or two each."""
    for seed in range(40, 44):
        for fields in random_configs(seed):
            data = {**fields["data"], "inputs": fields["data"]["inputs"][:2], "targets": fields["data"]["targets"][:2]}
            config = make(**{**fields, "data": data, "dtype": "float64"})
            if straight.code_for(config, len(data["inputs"])) is not None:
                yield config


def by_numpy(monkeypatch: pytest.MonkeyPatch, config: Config) -> State:
    """What the passes come to without straight-line code."""
    state, data = start(config)
    with monkeypatch.context() as patched:
        patched.setattr(straight, "MOST", 0)
        return gradients(config, state, data.train)


def test_it_comes_to_what_numpy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    for config in tiny_configs():
        state, data = start(config)
        ours, theirs = gradients(config, state, data.train), by_numpy(monkeypatch, config)
        assert_close(ours.forward, theirs.forward, rtol=1e-12, atol=1e-15)
        assert_close(ours.backward, theirs.backward, rtol=1e-12, atol=1e-14)
        assert_close(ours.gradients, theirs.gradients, rtol=1e-12, atol=1e-14)
        assert ours.loss == pytest.approx(there(theirs.loss), rel=1e-13)
        seen |= {layer.activation.type for layer in config.network.layers} | {config.loss.type}
        seen |= {f"{layer.bias} bias" for layer in config.network.layers}
    assert seen >= {"sigmoid", "tanh", "identity", "relu", "mse", "half_squared_error"}
    assert seen >= {"per_unit bias", "shared bias", "none bias"}


@pytest.mark.parametrize(
    ("fields", "n", "used"),
    [
        ({}, 1, True),
        ({}, straight.MOST // 13, True),  # the network has 13 parameters
        ({}, straight.MOST // 13 + 1, False),
        ({"dtype": "float32"}, 1, False),
        ({"layers": [{"units": 2, "activation": "softmax"}], "data": None}, 1, False),
        ({"loss": "cross_entropy", "layers": [{"units": 2}], "data": None}, 1, False),
    ],
)
def test_which_networks_it_is_for(fields: dict[str, Any], n: int, used: bool) -> None:
    assert (straight.code_for(make(**fields), n) is not None) == used


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu"])
@pytest.mark.parametrize("z", [0.0, 30.0, -800.0, 800.0, 1e200, -1e200, 1.7e308])
def test_where_python_would_raise_numpy_takes_over(monkeypatch: pytest.MonkeyPatch, activation: str, z: float) -> None:
    layer = {"units": 1, "activation": activation, "bias": "none", "init": {"weight": z}}
    for x in (1.0, 10.0):
        config = make(inputs=1, layers=[layer, layer], data={"type": "inline", "inputs": [[x]], "targets": [[0.5]]})
        state, data = start(config)
        ours, theirs = gradients(config, state, data.train), by_numpy(monkeypatch, config)
        assert_close(ours.forward, theirs.forward, rtol=1e-14)
        assert_close(ours.gradients, theirs.gradients, rtol=1e-12)
        assert ours.loss == theirs.loss or math.isnan(there(ours.loss))


def test_parameters_that_are_no_numbers() -> None:
    config = make()
    state, data = start(config)
    spoiled = np.full_like(state.parameters, np.nan)
    ours = gradients(config, state._replace(parameters=spoiled), data.train)
    assert math.isnan(there(ours.loss))
    assert np.isnan(there(ours.gradients)).all()


def test_the_code_is_written_once_for_a_size_of_batch() -> None:
    config = make()
    assert straight.code_for(config, 2) is straight.code_for(config, 2)
    assert straight.code_for(config, 2) is not straight.code_for(config, 3)


def test_a_network_keeps_a_few_pieces_of_code() -> None:
    config = make(inputs=1, layers=[{"units": 1}], data=None)
    kept = config.network.straight_code
    for n in range(1, 30):
        assert straight.code_for(config, n) is not None
        assert straight.steps_for(config, n) is straight.steps_for(config, n)
        assert n in kept
        assert len(kept) <= 9
    assert 1 not in kept


def test_another_optimizer_has_other_steps() -> None:
    config = make()
    other = config.model_copy(update={"optimizer": make(optimizer="adam").optimizer})
    assert straight.steps_for(config, 2) is not straight.steps_for(other, 2)
    assert straight.steps_for(config, 8) is None


def test_another_loss_has_another_code() -> None:
    config = make()
    other = config.model_copy(update={"loss": make(loss="mae").loss})
    state, data = start(config)
    rows = data.train.take([0, 1])
    for each in (config, other, config):
        expected, _ = passes.evaluate(each, state.parameters, rows)
        assert gradients(each, state, rows).loss == expected
    assert passes.evaluate(config, state.parameters, rows) != passes.evaluate(other, state.parameters, rows)


def both_updates(monkeypatch: pytest.MonkeyPatch, config: Config, state: State) -> tuple[State, State]:
    """What an update comes to by straight-line code, where it is used, and by numpy."""
    with monkeypatch.context() as patched:
        patched.setattr(passes, "update_for", lambda *_: None)
        theirs = passes.update(config, state)
    return passes.update(config, state), theirs


def assert_same_bits(ours: State, theirs: State) -> None:
    assert ours.parameters.tobytes() == theirs.parameters.tobytes()
    assert ours.slots.tobytes() == theirs.slots.tobytes()
    assert ours._replace(parameters=theirs.parameters, slots=theirs.slots) == theirs


@pytest.mark.parametrize("clip", CLIPS, ids=str)
@pytest.mark.parametrize("chosen", OPTIMIZERS, ids=str)
def test_an_update_has_the_bits_that_numpy_gives(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], clip: dict[str, Any] | None
) -> None:
    layers = [{"units": 2}, {"units": 2, "trainable": False}, {"units": 1, "activation": "sigmoid"}]
    config = make(optimizer={**chosen, "clip": clip}, layers=layers)
    state, data = start(config)
    used = [False] * 4
    made = straight.update_for(config, 2)
    assert made is not None

    def watched(*arguments: Any) -> None:
        used[number] = True
        made(*arguments)

    monkeypatch.setattr(passes, "update_for", lambda *_: watched)
    for number in range(4):
        before = gradients(config, state, data.train.take([number, number + 1]))
        ours, theirs = both_updates(monkeypatch, config, before)
        assert_same_bits(ours, theirs)
        state = ours
    assert used == [not len(state.slots), True, True, True]  # a first update may go by another rule


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200, 1.7e308])
@pytest.mark.parametrize("clip", [None, {"type": "value", "value": 0.1}, {"type": "norm", "value": 0.1}], ids=str)
@pytest.mark.parametrize(
    "chosen",
    [{"type": "sgd", "momentum": 0.9}, {"type": "adam", "amsgrad": True}, {"type": "rmsprop", "centered": True}],
    ids=str,
)
def test_an_update_from_large_gradients(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], clip: dict[str, Any] | None, value: float
) -> None:
    config = make(optimizer={**chosen, "clip": clip})
    state, data = start(config)
    before = gradients(
        config, passes.update(config, gradients(config, state, data.train.take([0]))), data.train.take([0])
    )
    spoiled = there(before.gradients).copy()
    spoiled[2] = value
    ours, theirs = both_updates(monkeypatch, config, before._replace(gradients=spoiled))
    assert_close(ours.parameters, theirs.parameters)
    assert_close(ours.slots, theirs.slots)


def test_an_update_of_some_parameters_is_for_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    config = make(optimizer="adam")
    state, data = start(config)
    for names in (["hidden.weight"], ["output.bias"], None, None):
        before = state if state.stepped else gradients(config, state, data.train.take([0]))
        state = passes.update(config, before, names)
    ours, theirs = both_updates(monkeypatch, config, gradients(config, state, data.train.take([0])))
    assert_same_bits(ours, theirs)


def test_batches_of_different_sizes_in_one_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows are tiny, four are not: a training whose last batch is smaller goes through both."""
    config = make(optimizer={"type": "sgd", "learning_rate": 0.3})
    ours = train(config, *start(config), epochs=10, batch_size=5)
    monkeypatch.setattr(straight, "MOST", 0)
    theirs = train(config, *start(config), epochs=10, batch_size=5)
    assert_close(ours.state.parameters, theirs.state.parameters, rtol=1e-12)


def test_a_trace_that_no_pass_could_leave_goes_back_by_numpy() -> None:
    config = make(layers=[{"units": 1, "activation": "tanh"}], data={"inputs": [[0.5]], "targets": [[0.0]]}, inputs=1)
    state, data = start(config)
    assert straight.code_for(config, 1) is not None
    forward = passes.forward(config, passes.begin(state, data.train.inputs, data.train.targets, own_rows=True))
    odd = forward._replace(forward=np.array([0.5, 1e200]))
    assert there(passes.backward(config, odd).backward)[2] == -math.inf
