"""Networks: names and shapes of their tensors, and where each lies in the packed vectors."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.engine.network import MAX_LAYERS, Config, Network

from .networks import (
    make,
)


def network(*layers: dict[str, Any], inputs: int = 2) -> Network:
    return make(inputs=inputs, layers=list(layers), data=None).network


def test_parameters_lie_side_by_side_in_the_order_of_layers() -> None:
    net = network(
        {"name": "a", "units": 3},
        {"name": "b", "units": 2, "bias": "shared", "trainable": False},
        {"name": "c", "units": 4, "bias": "none"},
    )
    assert [(p.index, p.name, p.layer, p.kind, p.shape, p.place) for p in net.parameters] == [
        (0, "a.weight", 0, "weight", (3, 2), slice(0, 6)),
        (1, "a.bias", 0, "bias", (3,), slice(6, 9)),
        (2, "b.weight", 1, "weight", (2, 3), slice(9, 15)),
        (3, "b.bias", 1, "bias", (1,), slice(15, 16)),
        (4, "c.weight", 2, "weight", (4, 2), slice(16, 24)),
    ]
    assert net.trainable == ("a.weight", "a.bias", "c.weight")
    assert net.by_name["b.bias"] == 3
    assert net.layer_parameters[2] == (net.parameters[4], None)
    assert (net.sizes, net.parameter_count) == ((2, 3, 2, 4), 24)
    assert (net.products, net.unit_count) == (2 * 3 + 3 * 2 + 2 * 4, 9)


def test_a_parameter_is_a_view() -> None:
    vector = np.arange(9.0)
    weight, bias = network({"units": 3}).layer_parameters[0]
    assert bias is not None
    assert weight.view(vector).tolist() == [[0, 1], [2, 3], [4, 5]]
    bias.view(vector)[:] = 0
    assert vector.tolist() == [0, 1, 2, 3, 4, 5, 0, 0, 0]
    assert bias.row == (1, 3)
    shared = network({"units": 3, "bias": "shared"}).parameters[1]
    assert shared.row == ()


def test_the_trace_of_a_batch_lies_side_by_side() -> None:
    net = network({"units": 3}, {"units": 2, "activation": "softmax"})
    layout = net.layout(5)
    first, last = layout.traces
    assert (first.shape, last.shape) == ((5, 3), (5, 2))
    assert [(s.start, s.stop) for s in (first.z, first.a, last.z, last.a)] == [(0, 15), (15, 30), (30, 40), (40, 50)]
    assert layout.forward_size == 50
    assert first.da_dz is not None
    assert [(s.start, s.stop) for s in (first.dL_da, first.dL_dz, first.da_dz)] == [(0, 15), (15, 30), (30, 45)]
    assert last.da_dz is None
    assert [(s.start, s.stop) for s in (last.dL_da, last.dL_dz)] == [(45, 55), (55, 65)]
    assert layout.backward_size == 65


def test_only_a_few_layouts_are_kept() -> None:
    deep = network(*[{"units": 1}] * 500)
    assert deep.layout(3) is deep.layout(3)
    for n in range(1, 10):
        kept = deep.layout(n)
        assert kept is deep.layout(n)
    assert len(deep._layouts) <= 2
    net = network({"units": 1})
    for n in range(1, 100):
        assert net.layout(n).forward_size == 2 * n
    assert net.layout(3).forward_size == 6


def test_names_by_default() -> None:
    assert network({"units": 1}, {"units": 1, "name": "mine"}, {"units": 1}).names == ("layer1", "mine", "layer3")


@pytest.mark.parametrize("names", [["a", "b", "a"], ["layer2", None], [None, "layer1"]], ids=str)
def test_names_are_distinct(names: list[str | None]) -> None:
    with pytest.raises(ValidationError, match="has the name of an earlier layer; takes distinct names"):
        network(*({"units": 1, "name": name} for name in names))


@pytest.mark.parametrize("name", ["a", "_", "a-b_9", "A" * 64])
def test_names_that_will_do(name: str) -> None:
    assert network({"units": 1, "name": name}).names == (name,)


@pytest.mark.parametrize("name", ["", "1a", "a.b", "a b", "é", "A" * 65, "a\n", 5], ids=repr)
def test_names_that_will_not(name: Any) -> None:
    with pytest.raises(ValidationError):
        network({"units": 1, "name": name})


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": 0},
        {"inputs": 2.5},
        {"layers": []},
        {"layers": [{}]},
        {"layers": [{"units": 0}]},
        {"layers": [{"units": 2**31}]},
        {"layers": [{"units": 1, "type": "conv"}]},
        {"layers": [{"units": 1, "bias": True}]},
        {"layers": [{"units": 1, "activation": "unheard_of"}]},
        {"layers": [{"units": 1, "activation": {"type": "relu", "negative_slope": 0.1}}]},
        {"layers": [{"units": 1, "trainable": "yes"}]},
        {"layers": [{"units": 1}] * (MAX_LAYERS + 1)},
        {"loss": "unheard_of"},
        {"seed": -1},
        {"seed": 2**53},
        {"dtype": "float16"},
        {"name": "x" * 201},
        {"unheard_of": 1},
    ],
    ids=lambda fields: str(fields)[:60],
)
def test_what_is_no_config(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**fields)


def test_a_thousand_layers() -> None:
    net = network(*[{"units": 1}] * MAX_LAYERS)
    assert len(net.names) == MAX_LAYERS
    assert net.parameter_count == 2 * MAX_LAYERS + 1


def test_the_smallest_config() -> None:
    config = Config.model_validate({"network": {"inputs": 1, "layers": [{"units": 1}]}, "loss": "mse"})
    assert (config.optimizer.type_name(), config.seed, config.dtype, config.data) == ("sgd", 0, "float64", None)
    assert config.network.layers[0].activation.type_name() == "identity"


def test_a_config_comes_back_from_json() -> None:
    config = make(optimizer={"type": "adam", "schedule": {"type": "step", "step_size": 2}}, seed=3)
    again = Config.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.network.parameters == config.network.parameters
