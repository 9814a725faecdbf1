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
from .random_configs import random_configs


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


def test_another_loss_has_another_code() -> None:
    config = make()
    other = config.model_copy(update={"loss": make(loss="mae").loss})
    state, data = start(config)
    rows = data.train.take([0, 1])
    for each in (config, other, config):
        expected, _ = passes.evaluate(each, state.parameters, rows)
        assert gradients(each, state, rows).loss == expected
    assert passes.evaluate(config, state.parameters, rows) != passes.evaluate(other, state.parameters, rows)


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
