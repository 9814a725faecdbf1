"""Health: what is counted, and each warning on a network that has the condition and on one that has not."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine import health as engine_health
from app.engine import names, passes, straight, tensors
from app.engine.activations import Sigmoid, Tanh
from app.engine.health import Health, health
from app.engine.network import Config
from app.engine.spec import read_only
from app.engine.state import State

from .networks import assert_close, forward, gradients, make, start, step, there
from .random_configs import random_configs

DOCS = Path(__file__).parents[2] / "docs" / "health.md"
ALL_WELL: dict[str, Any] = {"layers": [{"name": "hidden", "units": 2, "activation": "tanh"}, {"units": 1}]}


def deep(activation: Any, scale: float, count: int = 8, units: int = 6) -> Config:
    """A deep network whose weights are drawn from a normal distribution of this standard deviation."""
    init = {"weight": {"type": "normal", "std": scale}}
    layers = [{"name": f"h{i}", "units": units, "activation": activation, "init": init} for i in range(count)]
    return make(layers=[*layers, {"name": "output", "units": 1, "init": init}], seed=3)


def after_backward(config: Config) -> Health:
    state, data = start(config)
    return health(config, gradients(config, state, data.train))


def kinds(found: Health) -> list[tuple[str | None, str]]:
    return [(warning["layer"], warning["kind"]) for warning in found["warnings"]]


def hidden(weight: float, bias: float, activation: Any, units: int = 4) -> list[dict[str, Any]]:
    """A first layer of equal units below a linear one."""
    init = {"weight": weight, "bias": bias}
    return [{"name": "hidden", "units": units, "activation": activation, "init": init}, {"name": "output", "units": 1}]


# ----- fields


def test_nothing_has_been_computed_yet() -> None:
    config = make()
    assert health(config, start(config)[0]) == {
        "gradient_norm": None,
        "layers": [
            {"name": "hidden", "gradient_norm": None, "update_ratio": None, "units": 3,
             "saturated_units": None, "dead_units": None},
            {"name": "output", "gradient_norm": None, "update_ratio": None, "units": 1,
             "saturated_units": None, "dead_units": None},
        ],
        "warnings": [],
    }  # fmt: skip


@pytest.mark.parametrize("tiny", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_each_field_is_what_it_says(monkeypatch: pytest.MonkeyPatch, tiny: bool, dtype: str) -> None:
    monkeypatch.setattr(engine_health, "TINY", 256 if tiny else 0)
    config = make(dtype=dtype)
    state, data = start(config)
    backward = gradients(config, state, data.train)
    after = passes.update(config, backward)
    found = health(config, after)
    norm = names.entry(config, backward, names.find(config, "gradient_norm", ""), "")
    assert found["gradient_norm"] == norm
    for layer, (weight, bias) in zip(found["layers"], config.network.layer_parameters, strict=True):
        place = slice(weight.place.start, there(bias).place.stop)
        assert layer["gradient_norm"] == pytest.approx(np.linalg.norm(there(after.gradients)[place]), rel=1e-6)
        change = np.linalg.norm(after.parameters[place] - after.used[place])
        assert layer["update_ratio"] == pytest.approx(change / np.linalg.norm(after.used[place]), rel=1e-4)
        assert layer["saturated_units"] == layer["dead_units"] == 0
    assert [layer["update_ratio"] for layer in health(config, backward)["layers"]] == [None, None]


def test_passes_that_stop_on_the_way() -> None:
    config = make()
    state, data = start(config)
    begun = passes.begin(state, data.train.inputs, data.train.targets, own_rows=True)
    partly = health(config, passes.forward(config, begun, "hidden"))
    assert [layer["dead_units"] for layer in partly["layers"]] == [0, None]
    whole = forward(config, state, data.train)
    partly = health(config, passes.backward(config, whole, "output"))
    assert partly["gradient_norm"] is None
    assert [layer["gradient_norm"] is None for layer in partly["layers"]] == [True, False]


def test_a_partial_step_changes_some_layers_and_a_frozen_one_has_no_ratio() -> None:
    layers = [{"name": "frozen", "units": 2, "trainable": False}, {"name": "a", "units": 2}, {"name": "b", "units": 1}]
    config = make(layers=layers)
    state, data = start(config)
    backward = gradients(config, state, data.train)
    found = health(config, passes.update(config, backward, ["a.weight"]))
    ratios = [layer["update_ratio"] for layer in found["layers"]]
    assert ratios[0] is None
    assert there(ratios[1]) > 0
    assert ratios[2] == 0
    assert there(found["layers"][0]["gradient_norm"]) > 0
    assert found["gradient_norm"] == passes.Norm(config, there(backward.gradients))()


def test_weights_of_length_0_have_no_ratio() -> None:
    config = make(layers=[{"units": 1, "init": {"weight": 0.0, "bias": 0.0}}])
    state, data = start(config)
    assert health(config, step(config, state, data.train))["layers"][0]["update_ratio"] is None


@pytest.mark.parametrize("raw", list(random_configs(5))[::6], ids=str)
def test_plain_python_and_numpy_come_to_the_same(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any]) -> None:
    config = make(**raw)
    state, data = start(config)
    backward = gradients(config, state, data.train)
    for at in (state, forward(config, state, data.train), backward, passes.update(config, backward)):
        monkeypatch.setattr(engine_health, "TINY", 256)
        tiny = health(config, at)
        monkeypatch.setattr(engine_health, "TINY", 0)
        large = health(config, at)
        assert kinds(tiny) == kinds(large)
        assert tiny["gradient_norm"] == large["gradient_norm"]
        for one, other in zip(tiny["layers"], large["layers"], strict=True):
            assert one.keys() == other.keys()
            for key in one:
                assert one[key] == other[key] or one[key] == pytest.approx(other[key], rel=1e-5)  # type: ignore[literal-required]


@pytest.mark.parametrize("tiny", [True, False])
def test_units_are_counted_over_all_samples(monkeypatch: pytest.MonkeyPatch, tiny: bool) -> None:
    monkeypatch.setattr(engine_health, "TINY", 256 if tiny else 0)
    layers = [
        {"units": 4, "activation": "relu", "init": {"weight": [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]],
                                                    "bias": [0.0, 0.0, -1.0, -9.0]}},
        {"units": 3, "activation": "sigmoid", "init": {"weight": 0.0, "bias": [9.0, -4.0, -9.0]}},
        {"units": 3, "activation": "tanh", "init": {"weight": 0.0, "bias": [2.0, 3.0, -3.0]}},
        {"units": 2, "activation": "identity", "init": {"weight": 0.0, "bias": 0.0}},
    ]  # fmt: skip
    config = make(layers=layers, loss="half_squared_error", data={"inputs": [[1.0, 2.0]], "targets": [[1.0, 1.0]]})
    state, _ = start(config)
    inputs = read_only(np.array([[1.0, -1.0], [-1.0, 1.0], [0.5, 3.0]]))
    found = health(config, passes.forward(config, passes.begin(state, inputs, None, own_rows=False)))
    assert [layer["dead_units"] for layer in found["layers"]] == [2, 0, 0, 2]
    assert [layer["saturated_units"] for layer in found["layers"]] == [0, 2, 2, 0]


@pytest.mark.parametrize(
    ("activation", "dead", "told"),
    [("relu", 4, True), ("leaky_relu", 0, False), ({"type": "leaky_relu", "negative_slope": 0.0}, 4, True),
     ("elu", 0, False), ({"type": "elu", "alpha": 0.0}, 4, True), ("sigmoid", 4, True), ("tanh", 4, False),
     ("softplus", 4, True), ("identity", 4, False)],
    ids=str,
)  # fmt: skip
def test_a_warning_of_dead_units_is_for_activations_that_are_flat_at_0(activation: Any, dead: int, told: bool) -> None:
    bias = 0.0 if activation in ("tanh", "identity") else -2000.0
    found = after_backward(make(layers=hidden(0.0, bias, activation)))
    assert found["layers"][0]["dead_units"] == dead
    assert (("hidden", "dead_units") in kinds(found)) is told


def test_flat_is_a_twentieth_of_the_largest_slope() -> None:
    for a in there(Sigmoid().flat):
        assert a * (1 - a) == pytest.approx(0.05 * 0.25)
    for a in there(Tanh().flat):
        assert 1 - a**2 == pytest.approx(0.05)


def test_a_softmax_that_never_names_a_class() -> None:
    layers = [{"units": 2, "activation": "softmax", "init": {"weight": 0.0, "bias": [0.0, -2000.0]}}]
    data = {"inputs": [[1.0, 2.0]], "targets": [[1.0, 0.0]]}
    found = after_backward(make(layers=layers, data=data))["layers"][0]
    assert (found["dead_units"], found["saturated_units"]) == (1, 0)


def test_sums_do_not_overflow() -> None:
    config = make(layers=[{"name": "only", "units": 1, "init": {"weight": 1e200, "bias": 0.0}}])
    for tiny in (True, False):
        state, data = start(config)
        state = forward(config, state, data.train)
        layout = config.network.layout(7)
        state = state._replace(
            gradients=np.full(3, 1e300), backward=np.full(layout.backward_size, 1e300), backwarded=1, phase="backward",
            parameters=state.parameters if tiny else state.parameters * 2,
        )  # fmt: skip
        found = health(config, state)
        assert found["gradient_norm"] == pytest.approx(1e300 * math.sqrt(3))
        assert found["layers"][0]["gradient_norm"] == pytest.approx(1e300 * math.sqrt(3))


# ----- warnings


def test_a_network_that_is_well_has_no_warnings() -> None:
    for activation in ("tanh", "relu", "sigmoid"):
        config = make(layers=[{"units": 8, "activation": activation}, {"units": 1}], seed=1)
        state, data = start(config)
        for _ in range(5):
            found = health(config, gradients(config, state, data.train))
            assert found["warnings"] == []
            state = step(config, state, data.train)
            assert health(config, state)["warnings"] == []


def test_the_gradient_vanishes_in_deep_sigmoid_layers() -> None:
    found = after_backward(deep("sigmoid", 0.5))
    assert kinds(found) == [("h0", "vanishing_gradient")]
    (warning,) = found["warnings"]
    assert 0 < there(warning["value"]) < 1e-3
    assert warning["text"].startswith("The gradient vanishes on its way back: at h0 it is ")
    assert f"{warning['value']:.2g}" in warning["text"]


def test_it_does_not_in_as_many_layers_of_tanh() -> None:
    assert kinds(after_backward(deep("tanh", math.sqrt(1 / 6)))) == []


def test_the_gradient_explodes_under_large_weights() -> None:
    config = deep("identity", 3.0)
    found = after_backward(config)
    assert ("h0", "exploding_gradient") in kinds(found)
    assert (None, "exploding_gradient") in kinds(found)
    assert kinds(after_backward(deep("identity", 0.4))) == []


def test_a_gradient_may_be_too_large_altogether() -> None:
    data = {"inputs": [[200.0, 150.0], [100.0, 250.0]], "targets": [[1.0], [0.0]]}
    layers = [{"units": 1, "init": {"weight": 1.0, "bias": 0.0}}]
    assert kinds(after_backward(make(layers=layers, data=data))) == [(None, "exploding_gradient")]


def test_a_gradient_that_is_0_at_the_last_layer_is_no_warning() -> None:
    layers = [*hidden(0.5, 0.0, "tanh")[:1], {"name": "output", "units": 1, "init": {"weight": 0.0, "bias": 0.0}}]
    data = {"inputs": [[1.0, 1.0]], "targets": [[0.0]]}
    assert kinds(after_backward(make(layers=layers, data=data))) == []


def test_dead_units() -> None:
    found = after_backward(make(layers=hidden(0.0, -1.0, "relu")))
    assert kinds(found) == [("hidden", "vanishing_gradient"), ("hidden", "dead_units")]
    assert found["warnings"][1]["value"] == 1
    assert found["warnings"][1]["text"] == (
        "4 of 4 units of hidden are dead: a is 0 for each of the 7 samples, and no gradient gets past it. A smaller "
        "learning rate, other first weights, or an activation such as leaky_relu help."
    )
    assert kinds(after_backward(make(layers=hidden(0.0, -1.0, "leaky_relu")))) == []


def test_some_dead_units_are_told_of_only_over_enough_samples() -> None:
    init = {"weight": [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [0.0, 0.0]], "bias": [1.0, 2.0, 2.0, -1.0]}
    layers = [{"name": "hidden", "units": 4, "activation": "relu", "init": init}, {"units": 1}]
    config = make(layers=layers)
    found = after_backward(config)
    assert kinds(found) == [("hidden", "dead_units")]
    assert found["warnings"][0]["text"].startswith("1 of 4 units of hidden is dead")
    state, data = start(config)
    assert kinds(health(config, gradients(config, state, data.train.take(slice(3))))) == []
    all_dead = make(layers=hidden(0.0, -1.0, "relu"), data={"inputs": [[1.0, 1.0]], "targets": [[1.0]]})
    assert "a is 0 for the sample" in after_backward(all_dead)["warnings"][1]["text"]


def test_few_dead_units_are_normal() -> None:
    init = {"weight": 0.1, "bias": [*[0.5] * 9, -1.0]}
    layers = [{"name": "hidden", "units": 10, "activation": "relu", "init": init}, {"units": 1}]
    found = after_backward(make(layers=layers))
    assert found["layers"][0]["dead_units"] == 1
    assert kinds(found) == []


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_saturated_units(activation: str) -> None:
    found = after_backward(make(layers=hidden(0.0, 5.0, activation)))
    assert ("hidden", "saturated_units") in kinds(found)
    warning = found["warnings"][-1]
    assert warning["value"] == 1
    assert warning["text"].startswith("4 of 4 units of hidden are saturated: for each of the 7 samples")
    assert kinds(after_backward(make(layers=hidden(0.0, 1.0, activation)))) == []


@pytest.mark.parametrize(("target", "warned"), [(0.0, True), (0.99, False)])
def test_an_output_may_be_saturated_when_it_is_right(target: float, warned: bool) -> None:
    layers = [{"name": "output", "units": 1, "activation": "sigmoid", "init": {"weight": 0.0, "bias": 6.0}}]
    config = make(layers=layers, data={"inputs": [[1.0, 1.0]], "targets": [[target]]})
    found = after_backward(config)
    assert found["layers"][0]["saturated_units"] == 1
    assert kinds(found) == ([("output", "saturated_units")] if warned else [])
    state, data = start(config)
    without = passes.forward(config, passes.begin(state, data.train.inputs, None, own_rows=False))
    assert kinds(health(config, without)) == []


def test_outputs_for_classes_are_not_held_against_them() -> None:
    layers = [{"units": 2, "activation": "sigmoid", "init": {"weight": 0.0, "bias": 6.0}}]
    config = make(layers=layers, loss="cross_entropy", data={"inputs": [[1.0, 1.0]], "targets": [1]})
    found = after_backward(config)
    assert found["layers"][0]["saturated_units"] == 2
    assert kinds(found) == []


def test_a_learning_rate_that_is_too_large() -> None:
    def after(rate: float, tensor: str | None = None) -> tuple[Config, State]:
        config = make(optimizer={"type": "sgd", "learning_rate": rate})
        state, data = start(config)
        backward = gradients(config, state, data.train)
        return config, passes.update(config, backward, None if tensor is None else [tensor])

    found = health(*after(50.0))
    assert ("output", "learning_rate_too_large") in kinds(found)
    assert there(found["warnings"][-1]["value"]) > 0.5
    assert "where about 0.001 is usual" in found["warnings"][-1]["text"]
    assert kinds(health(*after(0.1))) == []
    partly = health(*after(50.0, "output.weight"))
    assert kinds(partly) == [("output", "learning_rate_too_large")]


def test_an_edit_is_no_step() -> None:
    config = make()
    state, data = start(config)
    backward = gradients(config, state, data.train)
    stepped = passes.update(config, backward, ["hidden.bias"])
    for before in (state, backward, stepped, passes.update(config, stepped)):
        edited = before._replace(parameters=read_only(before.used * 9), used=before.used, edited=True)
        found = health(config, edited)
        assert there(found["layers"][0]["update_ratio"]) == pytest.approx(8)
        assert kinds(found) == []


def test_after_an_edit_the_next_pass_and_step_count_as_ever() -> None:
    config = make(optimizer={"type": "sgd", "learning_rate": 50.0})
    state, data = start(config)
    edited = step(config, state, data.train)._replace(parameters=read_only(state.parameters * 1.5), edited=True)
    assert edited.edited
    assert kinds(health(config, edited)) == []
    stepped = step(config, edited, data.train)
    assert not stepped.edited
    assert ("output", "learning_rate_too_large") in kinds(health(config, stepped))


@pytest.mark.parametrize("tiny", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite(monkeypatch: pytest.MonkeyPatch, value: float, tiny: bool) -> None:
    monkeypatch.setattr(engine_health, "TINY", 256 if tiny else 0)
    config = make()
    state, data = start(config)
    parameters = state.parameters.copy()
    parameters[0] = value
    broken = state._replace(parameters=read_only(parameters))
    for at in (broken, gradients(config, broken, data.train), step(config, broken, data.train)):
        found = health(config, at)
        assert found["warnings"][0]["kind"] == "nonfinite"
        assert found["warnings"][0]["layer"] == "hidden"
        assert found["warnings"][0]["value"] is None
        assert found["warnings"][0]["text"].startswith("hidden.weight has a number that is not finite")
        assert all(warning["value"] is None or math.isfinite(warning["value"]) for warning in found["warnings"])


def test_a_loss_that_is_not_finite_belongs_to_no_layer() -> None:
    layers = [{"name": "output", "units": 1, "init": {"weight": 1e160, "bias": 0.0}}]
    config = make(layers=layers, data={"inputs": [[1e10, 1.0]], "targets": [[0.0]]})
    state, data = start(config)
    state = forward(config, state, data.train)
    assert math.isinf(there(state.loss))
    assert kinds(health(config, state)) == [(None, "nonfinite")]


def test_large_numbers_are_not_taken_for_infinite() -> None:
    config = make(layers=[{"units": 1, "init": {"weight": 1.7e308, "bias": 0.0}}])
    assert kinds(health(config, start(config)[0])) == []


# ----- what it keeps, and the page about it


def test_the_plans_of_a_few_batch_sizes_are_kept() -> None:
    config = make()
    state, data = start(config)
    for n in range(1, 8):
        for _ in range(2):
            found = health(config, forward(config, state, data.train.take(slice(n))))
            assert_close(there(found["layers"][0]["dead_units"]), 0)
    assert len(config.network.templates["health"]) <= 4
    assert tensors.outputs(config, state) is None


def test_the_code_for_some_places_is_kept() -> None:
    config = make(inputs=1, layers=[{"units": 1}], data={"inputs": [[0.5]] * 70, "targets": [[0.0]] * 70})
    state, data = start(config)
    for n in range(1, 71):
        health(config, forward(config, state, data.train.take(slice(n))))
        assert 1 <= len(config.network.templates["measures"]) <= 64
    assert len(config.network.templates["measures"]) == 70 - 64


def test_the_norm_of_a_tiny_network_that_is_not_stepped_in_plain_python() -> None:
    config = make(layers=[{"units": 20}, {"units": 1}])
    assert config.network.parameter_count > straight.MOST
    state, data = start(config)
    after = gradients(config, state, data.train.take([0]))
    assert health(config, after)["gradient_norm"] == passes.Norm(config, there(after.gradients))()


def test_the_page_has_every_threshold_and_warning() -> None:
    page = DOCS.read_text("utf-8")
    for kind in engine_health.Kind.__args__:  # type: ignore[attr-defined]
        assert f"`{kind}`" in page
    for constant in ("VANISHING", "EXPLODING", "EXPLODING_NORM", "SHARE", "DEAD_SAMPLES", "WRONG_BY", "LARGE_UPDATE"):
        assert f"{getattr(engine_health, constant):g}" in page, constant
