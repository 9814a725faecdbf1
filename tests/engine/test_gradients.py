"""Backward gives the derivatives of the loss: measured by moving each parameter a little to either side."""

from typing import Any

import numpy as np
import pytest

from app.engine import passes, tensors
from app.engine.activations import Softmax
from app.engine.network import Config
from app.engine.spec import Array
from app.engine.state import State

from .networks import (
    assert_close,
    assert_equal,
    forward,
    gradients,
    make,
    start,
    there,
)
from .random_configs import pairs, random_configs, targets

STEP = 1e-5


def loss_at(config: Config, parameters: Array, rows: Any) -> float:
    loss, _ = passes.evaluate(config, parameters, rows)
    return loss


def measured(config: Config, parameters: Array, rows: Any) -> Array:
    """The gradient by central differences."""
    found = np.empty_like(parameters)
    for index in range(len(parameters)):
        moved = [parameters.copy(), parameters.copy()]
        moved[0][index] += STEP
        moved[1][index] -= STEP
        above, below = (loss_at(config, each, rows) for each in moved)
        found[index] = (above - below) / (2 * STEP)
    return found


def by_kinks(config: Config, state: State) -> bool:
    """Whether a difference could be taken across a kink: of an activation, of the losses, or of bce's limits."""
    trace = [tensors.traces(config, state)[index] for index in range(len(config.network.layers))]
    for layer, here in zip(config.network.layers, trace, strict=True):
        assert here.z is not None
        kink = {"relu": 0.0, "leaky_relu": 0.0, "elu": 0.0, "softplus": 0.75}.get(layer.activation.type)
        if kink is not None and np.abs(here.z - kink).min() < 1e-3:
            return True
    outputs = tensors.outputs(config, state)
    assert outputs is not None
    assert state.targets is not None
    kinks = {"mae": [0.0], "huber": [-0.4, 0.4]}.get(config.loss.type, [])
    return any(np.abs(outputs - state.targets - kink).min() < 1e-3 for kink in kinks)


@pytest.mark.parametrize("seed", [10, 11])
def test_backward_is_what_central_differences_measure(seed: int) -> None:
    checked = 0
    for fields in random_configs(seed):
        config = make(**{**fields, "dtype": "float64"})
        state, data = start(config)
        state = gradients(config, state, data.train)
        if by_kinks(config, state):
            continue
        assert state.gradients is not None
        atol = 1e-8 * max(1.0, np.abs(state.gradients).max())
        expected = measured(config, state.parameters, data.train)
        assert_close(state.gradients, expected, rtol=1e-6, atol=atol)
        checked += 1
    assert checked > 0.9 * len(pairs())


def test_the_derivatives_of_one_layer_by_the_next_are_the_chain_rules() -> None:
    config = make(layers=[{"units": 3, "activation": "softmax", "bias": "shared"}, {"units": 1, "activation": "silu"}])
    state, data = start(config)
    state = gradients(config, state, data.train)
    first, last = (tensors.traces(config, state)[index] for index in range(2))
    weight, _ = config.network.layer_parameters[1]
    assert_equal(last.dL_dz, there(last.dL_da) * there(last.da_dz))
    assert_close(first.dL_da, there(last.dL_dz) @ weight.view(state.parameters))
    assert first.da_dz is None
    softmax = config.network.layers[0].activation
    assert isinstance(softmax, Softmax)
    jacobian = softmax.jacobian(there(first.a))
    assert_close(first.dL_dz, (jacobian * there(first.dL_da)[:, :, None]).sum(axis=1))


SHARED = [
    {"name": "hidden", "units": 3, "activation": "tanh", "bias": "shared"},
    {"name": "output", "units": 2, "activation": "sigmoid", "bias": "shared"},
]


def test_the_gradient_of_a_shared_bias_is_the_sum_over_samples_and_units() -> None:
    rng = np.random.default_rng(0)
    rows = {"type": "inline", "inputs": rng.normal(size=(4, 2)).tolist(), "targets": targets("mse", rng, 4, 2, "")}
    config = make(layers=SHARED, data=rows)
    state, data = start(config)
    named = dict(tensors.tensors(config, gradients(config, state, data.train)))
    for name in config.network.names:
        assert named[f"{name}.bias"].shape == (1,)
        assert_close(named[f"{name}.bias.gradient"], [named[f"{name}.dL_dz"].sum()])


@pytest.mark.parametrize("seed", [12])
def test_using_the_current_weights_is_the_chain_rule_with_them_in_place(seed: int) -> None:
    """What the forward pass found stays as it was: only the way down goes through the weights as they are now."""
    for fields in random_configs(seed):
        config = make(**{**fields, "dtype": "float64"})
        state, data = start(config)
        state = gradients(config, state, data.train)
        state = passes.update(config, state, config.network.trainable[-1:])
        if state.phase == "ready":  # nothing else is trainable, so that the step is whole
            continue
        current = passes.backward(config, state, using="current")

        down: Any = None
        for index in reversed(range(len(config.network.layers))):
            here = tensors.traces(config, current)[index]
            if down is not None:
                assert_close(here.dL_da, down, rtol=1e-12, atol=1e-15)
            weight, _ = config.network.layer_parameters[index]
            down = there(here.dL_dz) @ weight.view(state.parameters)

        as_before = passes.backward(config, state)
        assert as_before.gradients is not None
        assert state.gradients is not None
        assert as_before.gradients.tobytes() == state.gradients.tobytes()


def test_without_an_update_in_between_current_and_forward_are_the_same() -> None:
    config = make()
    state, data = start(config)
    state = forward(config, state, data.train)
    one, other = passes.backward(config, state, using="current"), passes.backward(config, state, using="forward")
    assert one.gradients is not None
    assert other.gradients is not None
    assert one.gradients.tobytes() == other.gradients.tobytes()


def test_each_row_adds_its_own_part_to_a_summed_gradient() -> None:
    config = make(loss={"type": "mse", "reduction": "sum"})
    state, data = start(config)
    whole = gradients(config, state, data.train).gradients
    parts = [gradients(config, state, data.train.take([i])).gradients for i in range(len(data.train))]
    assert_close(whole, np.sum([there(part) for part in parts], axis=0))


def test_the_order_of_the_rows_does_not_matter() -> None:
    config = make()
    state, data = start(config)
    one = gradients(config, state, data.train)
    other = gradients(config, state, data.train.take(slice(None, None, -1)))
    assert_close(one.gradients, other.gradients)
