"""Initialisers: how the numbers that they draw are spread, and what may be given in their place."""

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.engine import tensors
from app.engine.initializers import AnyInitializer, Initializer
from app.engine.spec import Array, kinds
from app.engine.state import initial_state
from app.errors import InvalidInput

from .networks import (
    assert_equal,
    make,
    start,
)

FAN_IN, FAN_OUT = 300, 200


def draw(init: Any, kind: str = "weight", seed: int = 0) -> Array:
    """A large layer's weight or bias, drawn."""
    layer = {"name": "layer", "units": FAN_OUT, "init": {kind: init}}
    row = {"type": "inline", "inputs": [[0.0] * FAN_IN], "targets": [[0.0] * FAN_OUT]}
    config = make(inputs=FAN_IN, layers=[layer], data=row, seed=seed)
    state, _ = start(config)
    return dict(tensors.tensors(config, state))[f"layer.{kind}"]


UNIFORM = {
    "default": 1 / math.sqrt(FAN_IN),
    "xavier_uniform": math.sqrt(6 / (FAN_IN + FAN_OUT)),
    "kaiming_uniform": math.sqrt(2) * math.sqrt(3 / FAN_IN),
}
NORMAL = {
    "xavier_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "kaiming_normal": math.sqrt(2) / math.sqrt(FAN_IN),
    "normal": 1.0,
}


@pytest.mark.parametrize(("name", "bound"), UNIFORM.items())
def test_uniform_between_bounds(name: str, bound: float) -> None:
    w = draw(name)
    assert np.abs(w).max() <= bound
    assert np.abs(w).max() == pytest.approx(bound, rel=1e-3)
    assert w.mean() == pytest.approx(0, abs=bound / 100)
    assert w.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)


@pytest.mark.parametrize(("name", "std"), NORMAL.items())
def test_normal_with_a_standard_deviation(name: str, std: float) -> None:
    w = draw(name)
    assert w.mean() == pytest.approx(0, abs=std / 100)
    assert w.std() == pytest.approx(std, rel=0.01)


def test_options() -> None:
    assert draw({"type": "uniform", "a": 3, "b": 5}).mean() == pytest.approx(4, abs=0.01)
    assert draw("uniform").min() >= 0
    assert draw({"type": "normal", "mean": -2, "std": 0.5}).mean() == pytest.approx(-2, abs=0.01)
    assert np.abs(draw({"type": "xavier_uniform", "gain": 10.0})).max() == pytest.approx(
        10 * UNIFORM["xavier_uniform"], rel=1e-3
    )
    assert (draw({"type": "constant", "val": 0.25}) == 0.25).all()
    assert (draw("zeros") == 0).all()


@pytest.mark.parametrize(
    ("nonlinearity", "gain"),
    [
        ("linear", 1),
        ("sigmoid", 1),
        ("tanh", 5 / 3),
        ("relu", math.sqrt(2)),
        ("leaky_relu", math.sqrt(2 / 1.25)),
        ("selu", 3 / 4),
    ],
)
@pytest.mark.parametrize(("mode", "fan"), [("fan_in", FAN_IN), ("fan_out", FAN_OUT)])
def test_kaiming_has_the_gain_of_the_nonlinearity(nonlinearity: str, gain: float, mode: str, fan: int) -> None:
    options = {"a": 0.5, "nonlinearity": nonlinearity, "mode": mode}
    bound = gain * math.sqrt(3 / fan)
    assert np.abs(draw({"type": "kaiming_uniform", **options})).max() == pytest.approx(bound, rel=1e-3)
    assert draw({"type": "kaiming_normal", **options}).std() == pytest.approx(gain / math.sqrt(fan), rel=0.01)


def test_a_bias_is_spread_by_its_layers_inputs() -> None:
    assert np.abs(draw("default", "bias")).max() == pytest.approx(1 / math.sqrt(FAN_IN), rel=0.05)


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_the_same_seed_draws_the_same(kind: str) -> None:
    assert_equal(draw("normal", kind, seed=5), draw("normal", kind, seed=5))
    assert not np.array_equal(draw("normal", kind, seed=5), draw("normal", kind, seed=6))


def test_layers_draw_different_numbers_and_a_new_last_layer_leaves_the_others() -> None:
    two = [{"name": "a", "units": 2}, {"name": "b", "units": 2}]
    rows = {"type": "inline", "inputs": [[0, 0]], "targets": [[0, 0]]}
    config = make(layers=two, data=rows)
    state, _ = start(config)
    named = dict(tensors.tensors(config, state))
    assert not np.array_equal(named["a.weight"], named["b.weight"])
    longer = make(layers=[*two, {"name": "c", "units": 2}], data=rows)
    assert_equal(start(longer)[0].parameters[:12], state.parameters)


def test_pinned() -> None:
    assert start(make(seed=42))[0].parameters[:3].tolist() == [
        -0.6686878193835062, 0.170676333586823, 0.35886979867019764,
    ]  # fmt: skip


def test_float32_has_the_same_numbers_rounded() -> None:
    wide, narrow = start(make())[0].parameters, start(make(dtype="float32"))[0].parameters
    assert_equal(narrow, wide.astype(np.float32))


@pytest.mark.parametrize("kind", kinds(AnyInitializer), ids=lambda kind: kind.type_name())
def test_which_may_fill_a_bias(kind: type[Initializer]) -> None:
    name = kind.type_name()
    init = {"type": name, "val": 1.0} if name == "constant" else {"type": name}
    if "bias" in kind.fills:
        assert draw(init, "bias").shape == (FAN_OUT,)
    else:
        with pytest.raises(InvalidInput, match=f"/network/layers/0/init/bias: the initialiser {name} is for weights"):
            draw(init, "bias")


def layer(**init: Any) -> dict[str, Any]:
    return {"units": 3, "init": init}


def test_numbers_in_place_of_an_initialiser() -> None:
    given = layer(weight=[[1, 2], [3, 4], [5, 6]], bias=7)
    config = make(layers=[given], data=None)
    assert initial_state(config).parameters.tolist() == [1, 2, 3, 4, 5, 6, 7, 7, 7]


@pytest.mark.parametrize(
    ("init", "pointer", "detail"),
    [
        ({"weight": [[1, 2], [3, 4]]}, "weight", "got 2; takes 3 rows, one for each unit"),
        ({"weight": [[1, 2], [3, 4, 5], [6, 7]]}, "weight/1", "got 3; takes 2 numbers"),
        ({"weight": [[1, 2], [3, 4], [5, 6], [7, 8]]}, "weight", "got 4; takes 3 rows, one for each unit"),
        ({"bias": [1, 2]}, "bias", "got 2; takes 3 numbers"),
        ({"weight": 1e39}, "weight", "has a number that is too large for float32"),
        ({"bias": [0, -1e39, 0]}, "bias", "has a number that is too large for float32"),
        ({"weight": [[1, 2], [3, 4], [5, 1e300]]}, "weight", "has a number that is too large for float32"),
    ],
)
def test_numbers_that_do_not_fit(init: dict[str, Any], pointer: str, detail: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        make(layers=[{"units": 3}, {"units": 2}, {"units": 3, "init": init}], dtype="float32", data=None)
    assert [tuple(error) for error in refused.value.errors] == [(f"/network/layers/2/init/{pointer}", detail)]


@pytest.mark.parametrize(
    "init",
    [{"type": "constant", "val": 1e39}, {"type": "normal", "std": 1e39}, {"type": "uniform", "a": -1e308, "b": 1e308}],
    ids=str,
)
def test_draws_that_do_not_fit(init: dict[str, Any]) -> None:
    config = make(layers=[{"units": 3, "init": {"bias": init}}], dtype="float32", data=None)
    with pytest.raises(InvalidInput, match="/network/layers/0/init/bias: has a number that is too large for float32"):
        initial_state(config)


def test_a_shared_bias_takes_one_number() -> None:
    assert make(layers=[{**layer(bias=[1.5]), "bias": "shared"}], data=None).network.parameter_count == 7
    with pytest.raises(InvalidInput, match="got 3; takes 1 numbers"):
        make(layers=[{**layer(bias=[1, 2, 3]), "bias": "shared"}], data=None)


@pytest.mark.parametrize(
    "init",
    [
        {"weight": [1, 2]},
        {"bias": [[1]]},
        {"weight": []},
        {"weight": None},
        {"weight": "many"},
        {"weight": "constant"},
        {"weight": [["1", 2]]},
        {"weight": [[math.nan]]},
        {"bias": {"type": "normal", "std": -1}},
        {"other": 0},
    ],
    ids=str,
)
def test_what_is_no_initial_value(init: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(layers=[layer(**init)], data=None)
