"""A worked example: two inputs, two hidden units, one output, every number known to five decimals.

It is worked twice as a teacher would on a blackboard, pass by pass, and then trained.
"""

from typing import Any

import pytest

from app.engine import passes, tensors
from app.engine.state import State

from .networks import (
    assert_close,
    forward,
    make,
    no_time,
    start,
    step,
    train,
)

NOTEBOOK = {
    "network": {
        "inputs": 2,
        "layers": [
            {
                "name": "hidden",
                "units": 2,
                "activation": "sigmoid",
                "bias": "shared",
                "init": {"weight": [[0.15, 0.20], [0.25, 0.30]], "bias": [0.35]},
            },
            {
                "name": "output",
                "units": 1,
                "activation": "sigmoid",
                "init": {"weight": [[0.40, 0.45]], "bias": [0.60]},
            },
        ],
    },
    "loss": "half_squared_error",
    "optimizer": {"type": "sgd", "learning_rate": 0.5},
    "data": {"type": "inline", "inputs": [[0.05, 0.10]], "targets": [[0.01]]},
}
CONFIG = make(**NOTEBOOK)
STATE, DATA = start(CONFIG)


def shown(state: State, name: str) -> list[float]:
    """A tensor's numbers, to five decimals as they would be written down."""
    values = dict(tensors.tensors(CONFIG, state))[name]
    return [round(float(value), 5) for value in values.ravel()]


def by_hand() -> State:
    """Both layers' weights updated, the hidden ones after the output's: the state that the example's steps leave."""
    state = passes.backward(CONFIG, forward(CONFIG, STATE, DATA.train), until="output")
    state = passes.update(CONFIG, state, ["output.weight"])
    state = passes.backward(CONFIG, state, using="current")
    return passes.update(CONFIG, state, ["hidden.weight"])


def test_forward() -> None:
    state = forward(CONFIG, STATE, DATA.train)
    assert shown(state, "hidden.z") == [0.37750, 0.39250]
    assert shown(state, "hidden.a") == [0.59327, 0.59688]
    assert shown(state, "output.z") == [1.10591]
    assert shown(state, "output.a") == [0.75137]
    assert shown(state, "outputs") == [0.75137]
    assert shown(state, "loss") == [0.27481]


def test_the_output_layer_updated_before_the_error_goes_on_down() -> None:
    state = passes.backward(CONFIG, forward(CONFIG, STATE, DATA.train), until="output")
    assert shown(state, "output.dL_dz") == [0.13850]
    assert shown(state, "output.weight.gradient") == [0.08217, 0.08267]

    state = passes.update(CONFIG, state, ["output.weight"])
    assert shown(state, "output.weight") == [0.35892, 0.40867]
    assert shown(state, "output.bias") == [0.6]

    state = passes.backward(CONFIG, state, using="current")
    assert shown(state, "hidden.dL_dz") == [0.01199, 0.01362]
    assert shown(state, "hidden.weight.gradient") == [0.00060, 0.00120, 0.00068, 0.00136]

    state = passes.update(CONFIG, state, ["hidden.weight"])
    assert shown(state, "hidden.weight") == [0.14970, 0.19940, 0.24966, 0.29932]
    assert shown(state, "hidden.bias") == [0.35]


def test_the_error_goes_down_through_the_weights_of_the_forward_pass() -> None:
    state = passes.backward(CONFIG, forward(CONFIG, STATE, DATA.train))
    assert shown(state, "hidden.dL_dz") == [0.01337, 0.01500]


def test_a_hundred_epochs_from_where_the_steps_by_hand_ended() -> None:
    seen = {}
    state = by_hand()
    for epoch in range(1, 101):
        state = step(CONFIG, state, DATA.train)
        outputs = tensors.outputs(CONFIG, state)
        assert state.loss is not None
        assert outputs is not None
        seen[epoch] = f"{state.loss:.5f} {outputs[0, 0]:.5f}"
    assert {epoch: line for epoch, line in seen.items() if epoch % 10 == 0} == {
        10: "0.11822 0.49624",
        20: "0.04518 0.31061",
        30: "0.02329 0.22584",
        40: "0.01463 0.18103",
        50: "0.01029 0.15349",
        60: "0.00778 0.13474",
        70: "0.00617 0.12108",
        80: "0.00506 0.11062",
        90: "0.00426 0.10232",
        100: "0.00366 0.09555",
    }
    trained = train(CONFIG, by_hand(), DATA, epochs=100)
    assert [f"{entry['loss']:.5f}" for entry in trained.entries] == [line.split()[0] for line in seen.values()]


PLAIN: dict[str, Any] = {
    "inputs": 2,
    "layers": [
        {"name": "hidden", "units": 2, "activation": "sigmoid"},
        {"name": "output", "units": 1, "activation": "sigmoid"},
    ],
    "loss": "mse",
    "optimizer": {"type": "sgd", "learning_rate": 0.5},
    "data": {"type": "inline", "inputs": [[0.05, 0.10]], "targets": [[0.6]]},
    "dtype": "float32",
}


@pytest.mark.parametrize("seed", [1, 3, 14])
def test_the_same_network_as_a_library_would_start_it(seed: int) -> None:
    config = make(**PLAIN, seed=seed)
    trained = train(config, *start(config), no_time, epochs=100)
    outputs = tensors.outputs(config, trained.state)
    assert outputs is not None
    assert f"{outputs[0, 0]:.5f}" == "0.60000"
    assert f"{trained.state.loss:.5f}" == "0.00000"


def test_the_same_network_in_pytorch() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: nothing here was compared with it")
    from . import torch_reference

    config = make(**PLAIN)
    state, data = start(config)
    for theirs in torch_reference.epochs(config, state.parameters, data.train, 100):
        state = step(config, state, data.train)
        assert_close(tensors.outputs(config, state), theirs.outputs, rtol=1e-5)
        assert_close(state.parameters, theirs.parameters, rtol=1e-5)
        assert state.loss == pytest.approx(theirs.loss, rel=1e-5, abs=1e-8)
