"""The ledger of a gradient multiplies and adds up, one path for each way to the loss."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.engine import names, passes, tensors
from app.engine.chain import ledger
from app.engine.explanation import Chain, Path, by_plain_name, put_in
from app.engine.names import Address
from app.engine.network import Config
from app.engine.notation import plain_name, to_python, to_text
from app.engine.presets import NOTEBOOK
from app.engine.state import State
from app.errors import LimitExceeded

from .arithmetic import worth
from .networks import forward, gradients, make, start, there
from .random_configs import random_configs

CLOSE = {"float64": 1e-12, "float32": 1e-6}


def gradient_entries(config: Config) -> Iterator[Address]:
    for parameter in config.network.parameters:
        address = names.find(config, f"{parameter.name}.gradient", "")
        yield from (address.at(*index) for index in np.ndindex(parameter.shape))


def of(config: Config, state: State, name: str, **bounds: int) -> Chain:
    return ledger(config, state, names.find(config, name, ""), **bounds)


def largest(*values: float) -> float:
    return max(map(abs, values), default=0.0)


def largest_product(config: Config, state: State, address: Address) -> float:
    """The largest |∂L/∂z x|, of which a gradient is the sum: they may cancel, within a share and between them."""
    assert address.parameter is not None
    layer, kind = address.parameter.layer, address.parameter.kind
    traces = tensors.traces(config, state)
    deltas = np.abs(there(traces[layer].dL_dz)).astype(np.float64)
    if kind == "bias":
        return float(deltas.max() if address.parameter.shape == (1,) else deltas[:, address.index[0]].max())
    below = there(traces[layer - 1].a if layer else state.inputs)
    return float((deltas[:, address.index[0]] * np.abs(below[:, address.index[1]])).max())


def scale(path: Path) -> float:
    """A path's value, with the a of an entry of a softmax's Jacobian, a (1 - a), for the entry."""
    return math.prod(
        largest(factor.value, *(term.value for term in factor.terms)) if factor.of.count("[") == 3 else factor.value
        for factor in path.factors
    )


def assert_adds_up(config: Config, state: State, address: Address, chain: Chain) -> None:
    close = CLOSE[config.dtype]
    shares = [share.value for share in chain.samples]
    gradient = names.entry(config, state, address, "")
    assert abs(sum(shares) + chain.more_value - gradient) <= close * largest_product(config, state, address)
    assert shares == sorted(shares, key=abs, reverse=True)
    for share in chain.samples:
        paths = [path.value for path in share.paths]
        assert abs(sum(paths) - share.value) <= close * largest(*map(scale, share.paths))
        for path in share.paths:
            factors = [factor.value for factor in path.factors]
            assert path.value == math.prod(factors)
            assert len(path.factors) == len(path.through) + 1


def assert_factors_are_the_numbers(config: Config, state: State, chain: Chain) -> None:
    for factor in {id(f): f for share in chain.samples for path in share.paths for f in path.factors}.values():
        assert factor.of or factor.value == 1
        if factor.of:
            assert factor.value == names.entry(config, state, names.find(config, factor.of, ""), "")
        computed = worth(to_python(put_in(factor.computed, by_plain_name(factor.terms))))
        assert abs(computed - factor.value) <= CLOSE[config.dtype] * largest(
            factor.value, *(term.value for term in factor.terms)
        )


@pytest.mark.parametrize("fields", [*random_configs(seed=11)], ids=lambda fields: str(fields["loss"]["type"]))
def test_every_gradient_of_random_networks(fields: dict[str, Any]) -> None:
    config = make(**fields)
    state, data = start(config)
    state = gradients(config, state, data.train)
    addresses = [*gradient_entries(config)]
    for address in addresses[:: len(addresses) // 8 or 1]:
        for max_paths in (64, 5, 1):
            chain = ledger(config, state, address, max_samples=2, max_paths=max_paths)
            assert_adds_up(config, state, address, chain)
            assert len(chain.samples) + chain.more_count == len(data.train)
            assert_factors_are_the_numbers(config, state, chain)


def test_the_notebooks_path() -> None:
    config = make(**NOTEBOOK)
    state, data = start(config)
    state = gradients(config, state, data.train)
    chain = of(config, state, "hidden.weight.gradient[0][1]")
    (share,) = chain.samples
    (path,) = share.paths
    assert (share.sample, chain.more_count, chain.more_value) == (0, 0, 0)
    assert path.through == ("output.a[0][0]", "output.z[0][0]", "hidden.a[0][0]", "hidden.z[0][0]")
    assert [(factor.of, to_text(factor.symbol), to_text(factor.formula)) for factor in path.factors] == [
        ("output.dL_da[0][0]", "∂L/∂a²₁", "a²₁ - t₁"),
        ("output.da_dz[0][0]", "∂a²₁/∂z²₁", "a²₁ (1 - a²₁)"),
        ("output.weight[0][0]", "∂z²₁/∂a¹₁", "w²₁₁"),
        ("hidden.da_dz[0][0]", "∂a¹₁/∂z¹₁", "a¹₁ (1 - a¹₁)"),
        ("inputs[0][1]", "∂z¹₁/∂w¹₁₂", "x₂"),
    ]
    assert [round(factor.value, 5) for factor in path.factors] == [0.74137, 0.18682, 0.4, 0.24130, 0.1]
    assert round(path.value, 5) == 0.00134


def test_a_shared_bias_has_a_path_for_each_unit() -> None:
    config = make(**NOTEBOOK)
    state, data = start(config)
    state = gradients(config, state, data.train)
    (share,) = of(config, state, "hidden.bias.gradient[0]").samples
    assert [path.through[-1] for path in share.paths] == ["hidden.z[0][0]", "hidden.z[0][1]"]
    assert [round(path.value, 5) for path in share.paths] == [0.01337, 0.01500]
    last = share.paths[1].factors[-1]
    assert (last.of, to_text(last.symbol), to_text(last.formula), last.value) == ("", "∂z¹₂/∂b¹", "1", 1)


def deep(activation: str = "softmax", bias: str = "per_unit", n: int = 3) -> tuple[Config, State]:
    """Two inputs, two tanh units, then three units of an activation twice."""
    rng = np.random.default_rng(1)
    layers = [
        {"units": 2, "activation": "tanh", "bias": bias},
        {"units": 3, "activation": activation, "bias": bias},
        {"units": 3, "activation": activation},
    ]
    data = {"inputs": rng.normal(size=(n, 2)).tolist(), "targets": rng.normal(size=(n, 3)).tolist()}
    config = make(layers=layers, data=data)
    state, rows = start(config)
    return config, gradients(config, state, rows.train)


@pytest.mark.parametrize(
    ("activation", "bias", "name", "max_paths", "count", "first"),
    [
        ("sigmoid", "per_unit", "layer1.weight.gradient[1][0]", 9, 9, "layer3.dL_da"),
        ("sigmoid", "per_unit", "layer1.weight.gradient[1][0]", 8, 1, "layer1.dL_da"),
        ("softmax", "per_unit", "layer1.weight.gradient[1][0]", 81, 81, "layer3.dL_da"),
        ("softmax", "per_unit", "layer1.weight.gradient[1][0]", 64, 1, "layer1.dL_da"),
        ("softmax", "per_unit", "layer2.bias.gradient[1]", 27, 27, "layer3.dL_da"),
        ("softmax", "per_unit", "layer2.bias.gradient[1]", 26, 3, "layer2.dL_da"),
        ("softmax", "per_unit", "layer2.bias.gradient[1]", 2, 1, "layer2.dL_dz"),
        ("softmax", "shared", "layer2.bias.gradient[0]", 81, 81, "layer3.dL_da"),
        ("softmax", "shared", "layer2.bias.gradient[0]", 9, 9, "layer2.dL_da"),
        ("softmax", "shared", "layer2.bias.gradient[0]", 8, 3, "layer2.dL_dz"),
        ("sigmoid", "shared", "layer1.bias.gradient[0]", 17, 2, "layer1.dL_da"),
        ("softmax", "per_unit", "layer3.weight.gradient[2][1]", 64, 3, "layer3.dL_da"),
    ],
)
def test_paths_are_as_long_as_they_are_few(
    activation: str, bias: str, name: str, max_paths: int, count: int, first: str
) -> None:
    config, state = deep(activation, bias)
    chain = of(config, state, name, max_paths=max_paths)
    assert_adds_up(config, state, names.find(config, name, ""), chain)
    for share in chain.samples:
        assert len(share.paths) == len({path.through for path in share.paths}) == count
        assert all(path.factors[0].of.startswith(first) for path in share.paths)
        for path in share.paths:
            letters = [plain_name(factor.symbol) for factor in path.factors]
            below = [letter.rpartition("_d")[2] for letter in letters]
            above = [letter[1:].partition("_d")[0] for letter in letters]
            assert above == ["L", *below[:-1]]  # each factor goes on where the one before it ends


def test_the_largest_shares_come_first() -> None:
    config, state = deep("sigmoid", n=20)
    everything = of(config, state, "layer1.weight.gradient[0][0]", max_samples=20)
    chain = of(config, state, "layer1.weight.gradient[0][0]")
    assert [share.sample for share in chain.samples] == [share.sample for share in everything.samples[:8]]
    assert (len(everything.samples), everything.more_count, everything.more_value) == (20, 0, 0)
    assert chain.more_count == 12
    assert chain.more_value == pytest.approx(sum(share.value for share in everything.samples[8:]))
    nothing = of(config, state, "layer1.weight.gradient[0][0]", max_samples=0)
    assert (nothing.samples, nothing.more_count) == ((), 20)


def test_the_bound_of_numbers() -> None:
    """A bias shared by many units of a softmax: each of them is a sum over all."""
    data = {"inputs": [[0.5]] * 3, "targets": [0, 1, 2]}
    layers = [{"units": 80, "activation": "softmax", "bias": "shared"}]
    config = make(inputs=1, layers=layers, loss="nll", data=data)
    state, rows = start(config)
    state = gradients(config, state, rows.train)
    with pytest.raises(LimitExceeded) as caught:
        of(config, state, "layer1.bias.gradient[0]")
    assert caught.value.errors[0].pointer == "?max_samples"
    assert len(of(config, state, "layer1.bias.gradient[0]", max_samples=1).samples[0].paths) == 80


def test_a_sample_that_is_no_number_comes_first() -> None:
    data = {"inputs": [[1.0], [1e200], [2.0]], "targets": [[0.0], [0.0], [-1e200]]}
    config = make(inputs=1, layers=[{"units": 1, "init": {"weight": 1e200}}], loss="half_squared_error", data=data)
    state, rows = start(config)
    state = gradients(config, state, rows.train)
    chain = of(config, state, "layer1.weight.gradient[0][0]", max_samples=1)
    assert [(share.sample, share.value) for share in chain.samples] == [(1, math.inf)]


def test_the_weights_that_the_backward_pass_used_are_the_factors() -> None:
    config = make(**NOTEBOOK)
    state, data = start(config)
    state = passes.backward(config, forward(config, state, data.train), until="output")
    state = passes.update(config, state, ["output.weight"])
    modes: list[passes.Using] = ["forward", "current"]
    for using in modes:
        after = passes.backward(config, state, using=using)
        address = names.find(config, "hidden.weight.gradient[0][1]", "")
        chain = ledger(config, after, address)
        assert_adds_up(config, after, address, chain)
        used = (
            0.4 if using == "forward" else names.entry(config, after, names.find(config, "output.weight[0][0]", ""), "")
        )
        assert chain.samples[0].paths[0].factors[2].value == used
