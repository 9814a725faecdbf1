"""Names: what they address, and what is none."""

from typing import Any

import numpy as np
import pytest

from app.engine import names
from app.errors import InvalidInput, WrongPhase

from .networks import forward, gradients, make, start, step

CONFIG = make(optimizer={"type": "adam"})
SOFTMAX = make(
    layers=[{"name": "a-b_1", "units": 3, "activation": "softmax", "bias": "none"}, {"name": "output", "units": 1}],
    optimizer={"type": "sgd", "momentum": 0.9},
)


def found(name: str, config: Any = CONFIG) -> names.Address:
    return names.find(config, name, "?of")


@pytest.mark.parametrize(
    "name",
    [
        "inputs", "targets[0]", "outputs[3][0]", "loss", "gradient_norm", "hidden.z", "hidden.a[0]",
        "output.da_dz[6][0]", "hidden.dL_da", "hidden.dL_dz[1][2]", "hidden.weight", "hidden.bias[10]",
        "hidden.weight[0][1]", "hidden.weight.gradient[0][1]", "output.bias.next[0]",
        "hidden.weight.state.exp_avg[2][1]", "hidden.weight.state.step", "loss[9999999999]",
    ],
)  # fmt: skip
def test_a_name_is_written_as_it_was_read(name: str) -> None:
    address = found(name)
    assert str(address) == name
    assert address.tensor == name.partition("[")[0]
    assert str(address.at(3, 4)) == f"{address.tensor}[3][4]"


def test_the_parts_of_an_address() -> None:
    one = found("output.weight.gradient[0][2]")
    assert (one.layer, one.term, one.part, one.slot, one.index) == (1, "weight", "gradient", "", (0, 2))
    assert one.parameter is CONFIG.network.parameters[2]
    slot = found("hidden.bias.state.exp_avg_sq")
    assert (slot.layer, slot.term, slot.part, slot.slot, slot.index) == (0, "bias", "state", "exp_avg_sq", ())
    z = found("hidden.z[1]")
    assert (z.layer, z.term, z.parameter, z.part, z.index) == (0, "z", None, "", (1,))
    assert found("a-b_1.z", SOFTMAX).layer == 0


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "hidden", "hidden.", ".weight", "zebra.z", "hidden.zebra", "hidden.weight.", "hidden.weight.zebra",
        "hidden.weight.state", "hidden.weight.state.zebra", "hidden.weight.state.momentum_buffer",
        "hidden.z.gradient", "hidden.weight.gradient.next", "loss.z", "weight", "hidden.weight[00]",
        "hidden.weight[0][00]", "hidden.z[01][0]", "hidden.weight[-1][0]", "hidden.weight[+1]", "hidden.weight[ 0]",
        "hidden.weight[]", "hidden.weight[0", "hidden[0].z", "hidden.weight[0]x", "hidden.weight[0] [1]",
        "hidden.weight[1_0]", "hidden.weight[٣]", "hidden.weight[1.0]", "hidden.weight[99999999999]", "hidden.z\n",
        "HIDDEN.z", "hidden.Z", "x" * 300, "hidden.z" + "[0]" * 80,
    ],
)  # fmt: skip
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        found(name)
    assert [error.pointer for error in caught.value.errors] == ["?of"]


def test_what_is_refused_says_what_would_be_taken() -> None:
    takes_instead = {"zebra.z": "hidden.z", "hidden.zebra": "weight, bias", "hidden.weight.x": "state.exp_avg"}
    for name, takes in takes_instead.items():
        with pytest.raises(InvalidInput) as caught:
            found(name)
        assert takes in caught.value.errors[0].detail
    with pytest.raises(InvalidInput) as caught:
        found("a-b_1.bias", SOFTMAX)
    assert "bias" not in caught.value.errors[0].detail


@pytest.mark.parametrize("config", [CONFIG, SOFTMAX], ids=["adam", "softmax"])
def test_every_name_reads_a_tensor_of_its_shape(config: Any) -> None:
    state, data = start(config)
    state = gradients(config, step(config, state, data.train), data.train)
    listed = list(names.order(config))
    assert len(listed) == len(set(listed))
    for name in listed:
        address = found(name, config)
        array = names.read(config, state, address)
        assert np.shape(array) == names.shape(config, address, state), name
        first = address.at(*([0] * len(np.shape(array))))
        assert names.entry(config, state, first, "") == np.ravel(array)[0]


def test_the_order_is_that_of_computation() -> None:
    listed = list(names.order(CONFIG))
    places = [listed.index(name) for name in (
        "inputs", "hidden.weight", "hidden.z", "hidden.a", "output.z", "outputs", "loss", "output.dL_da",
        "output.weight.gradient", "hidden.dL_da", "hidden.weight.gradient", "gradient_norm", "hidden.weight.state.step",
        "hidden.weight.next",
    )]  # fmt: skip
    assert places == sorted(places)


def test_what_is_not_there_yet() -> None:
    """Refused with what has to be called first."""
    state, data = start(CONFIG)
    passed = forward(CONFIG, state, data.train)
    for then, name, first in (
        (state, "hidden.z", "forward"), (state, "loss", "forward"), (state, "inputs", "forward"),
        (state, "hidden.weight.gradient", "forward"), (state, "gradient_norm", "forward"),
        (passed, "hidden.dL_dz", "backward"), (passed, "output.bias.gradient", "backward"),
        (passed, "gradient_norm", "backward"), (passed, "hidden.da_dz", "backward"),
    ):  # fmt: skip
        with pytest.raises(WrongPhase) as caught:
            names.read(CONFIG, then, found(name))
        assert caught.value.extra == {"call_first": first}, name
    fresh, _ = start(SOFTMAX)
    with pytest.raises(WrongPhase):
        names.read(SOFTMAX, fresh, found("a-b_1.da_dz", SOFTMAX))


def test_the_shape_of_a_trace_that_is_not_there_is_over_no_rows() -> None:
    state, _ = start(SOFTMAX)
    shapes = {"inputs": (0, 2), "targets": (0, 1), "outputs": (0, 1), "a-b_1.da_dz": (0, 3, 3), "output.da_dz": (0, 1)}
    for name, shape in shapes.items():
        assert names.shape(SOFTMAX, found(name, SOFTMAX), state) == shape
    assert names.shape(CONFIG, found("hidden.weight.state.step"), state) == ()


@pytest.mark.parametrize(
    "name", ["hidden.weight[0]", "hidden.weight[3][0]", "hidden.weight[0][2]", "hidden.weight", "loss[0]"]
)
def test_an_index_that_does_not_fit(name: str) -> None:
    state, data = start(CONFIG)
    state = forward(CONFIG, state, data.train)
    with pytest.raises(InvalidInput) as caught:
        names.entry(CONFIG, state, found(name), "/here")
    assert [error.pointer for error in caught.value.errors] == ["/here"]
    takes = "no index" if name.startswith("loss") else "[0] to [2] and [0] to [1]"
    assert takes in caught.value.errors[0].detail


def test_slots_by_name() -> None:
    assert names.slot_names(CONFIG) == ("exp_avg", "exp_avg_sq", "step")
    assert names.slot_names(SOFTMAX) == ("momentum_buffer",)
    assert names.slot_names(make(optimizer="sgd")) == ()
    state, _ = start(CONFIG)
    assert names.entry(CONFIG, state, found("hidden.bias.state.step"), "") == 0
