"""Every number of a state has a name, and names come in the order of computation."""

import math
from typing import Any

import numpy as np
import pytest

from app.engine import passes, tensors
from app.engine.state import State
from app.engine.tensors import all_finite, first_nonfinite

from .networks import (
    forward,
    gradients,
    make,
    start,
    step,
)

CONFIG = make(
    layers=[
        {"name": "hidden", "units": 3, "activation": "softmax", "bias": "none"},
        {"name": "output", "units": 1, "activation": "tanh"},
    ],
    optimizer={"type": "sgd", "momentum": 0.9},
)
STATE, DATA = start(CONFIG)

PARAMETERS = ["hidden.weight", "output.weight", "output.bias"]
FORWARD = [
    "inputs", "hidden.weight", "hidden.z", "hidden.a", "output.weight", "output.bias", "output.z", "output.a",
    "outputs", "targets", "loss",
]  # fmt: skip
LAST = ["output.dL_da", "output.da_dz", "output.dL_dz", "output.weight.gradient", "output.bias.gradient"]
FIRST = ["hidden.dL_da", "hidden.dL_dz", "hidden.weight.gradient"]
SLOTS = [f"{name}.state.momentum_buffer" for name in PARAMETERS]


def names(state: State) -> list[str]:
    return [name for name, _ in tensors.tensors(CONFIG, state)]


def test_names_in_the_order_of_computation() -> None:
    assert names(STATE) == PARAMETERS
    begun = passes.begin(STATE, DATA.train.inputs, DATA.train.targets, own_rows=True)
    assert names(begun) == ["inputs", *PARAMETERS, "targets"]
    state = passes.forward(CONFIG, begun, until="hidden")
    assert names(state) == ["inputs", "hidden.weight", "hidden.z", "hidden.a", *PARAMETERS[1:], "targets"]
    state = passes.forward(CONFIG, state)
    assert names(state) == FORWARD
    state = passes.backward(CONFIG, state, until="output")
    assert names(state) == FORWARD + LAST
    state = passes.backward(CONFIG, state)
    assert names(state) == FORWARD + LAST + FIRST
    state = passes.update(CONFIG, state, ["output.bias"])
    assert names(state) == FORWARD + LAST + FIRST + SLOTS[2:]
    assert names(passes.update(CONFIG, state)) == FORWARD + LAST + FIRST + SLOTS


def test_without_targets_there_is_no_loss() -> None:
    state = passes.forward(CONFIG, passes.begin(STATE, DATA.train.inputs, None, own_rows=False))
    assert names(state) == [name for name in FORWARD if name not in ("targets", "loss")]


def test_optimizers_that_count_have_their_count() -> None:
    config = make(optimizer="adam")
    state, data = start(config)
    named = dict(tensors.tensors(config, state))
    assert named["hidden.weight.state.step"] == 0
    assert named["hidden.weight.state.exp_avg"].shape == (3, 2)
    assert dict(tensors.tensors(config, step(config, state, data.train)))["hidden.weight.state.step"] == 1


def test_shapes() -> None:
    named = dict(tensors.tensors(CONFIG, step(CONFIG, STATE, DATA.train)))
    n = len(DATA.train)
    for name in ("hidden.z", "hidden.a", "hidden.dL_da", "hidden.dL_dz"):
        assert named[name].shape == (n, 3)
    for name in ("hidden.weight", "hidden.weight.gradient", "hidden.weight.state.momentum_buffer"):
        assert named[name].shape == (3, 2)
    assert named["outputs"].shape == named["targets"].shape == (n, 1)
    assert named["loss"].shape == ()


def test_tensors_are_views_not_copies() -> None:
    state = gradients(CONFIG, STATE, DATA.train)
    named = dict(tensors.tensors(CONFIG, state))
    assert named["inputs"] is state.inputs
    assert np.shares_memory(named["hidden.z"], state.forward)
    assert np.shares_memory(named["output.dL_dz"], state.backward)
    assert np.shares_memory(named["output.weight"], state.parameters)


def test_trace_and_outputs_before_and_after() -> None:
    assert tensors.outputs(CONFIG, STATE) is None
    assert tensors.traces(CONFIG, STATE)[0] == (None, None, None, None, None)
    state = forward(CONFIG, STATE, DATA.train)
    outputs = tensors.outputs(CONFIG, state)
    assert outputs is not None
    assert outputs.shape == (len(DATA.train), 1)


# ----- what is not finite


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_first_nonfinite(bad: float, dtype: type) -> None:
    good: Any = np.ones((2, 2), dtype)
    spoiled: Any = np.array([[0, bad], [1, math.nan]], dtype)
    assert first_nonfinite(iter([("a", good), ("b", np.array([1, 2]))])) is None
    found = first_nonfinite(iter([("a", good), ("b", spoiled), ("c", spoiled)]))
    assert found is not None
    assert found[0] == "b"
    assert found[1] == bad or math.isnan(bad)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_large_numbers_are_finite(dtype: type) -> None:
    largest: Any = np.full(5, np.finfo(dtype).max, dtype)
    assert all_finite(largest)
    assert all_finite(np.zeros((0, 3), dtype))
    assert not all_finite(np.append(largest, np.array(np.inf, dtype)))
