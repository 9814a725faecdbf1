"""Gradients held against central differences."""

import json
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.engine import gradcheck as engine_gradcheck
from app.engine import passes, tensors
from app.engine.activations import GELU, Sigmoid, Softmax, Tanh
from app.engine.cost import forward_work, gradcheck_work
from app.engine.gradcheck import Checked, Gradcheck, Report, count, gradcheck
from app.engine.losses import BCE, MAE, Huber
from app.engine.network import Config
from app.engine.presets import NOTEBOOK
from app.engine.rows import Rows
from app.engine.spec import Array, read_only
from app.engine.state import State
from app.errors import InvalidInput

from .networks import assert_same, forward, gradients, make, start, step, there
from .random_configs import random_configs


def check(config: Config, **body: Any) -> Report:
    state, data = start(config)
    found = gradcheck(config, state, data.train, Gradcheck(**body))
    json.dumps(found, allow_nan=False)
    return found


def statuses(found: Report) -> list[str]:
    return [entry["status"] for entry in found["entries"]]


def single(activation: Any, z: float, loss: Any = "half_squared_error", target: Any = 0.3, **fields: Any) -> Config:
    """One weight of 0.5 and a bias that brings z to a value."""
    layers = [{"name": "only", "units": 1, "activation": activation, "init": {"weight": 0.5, "bias": z - 0.5}}]
    data = {"inputs": [[1.0]], "targets": [[target]]}
    return make(layers=layers, inputs=1, loss=loss, data=data, **fields)


# ----- what passes


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_all_that_a_network_can_be_made_of(seed: int, dtype: str) -> None:
    for raw in random_configs(seed + 1000):
        config = make(**{**raw, "dtype": dtype})
        state, data = start(config)
        if seed % 2:
            state = step(config, state, data.train)
        found = gradcheck(config, state, data.train, Gradcheck())
        assert found["passed"], [entry for entry in found["entries"] if entry["status"] == "failed"]
        assert len(found["entries"]) == config.network.parameter_count
        for entry in found["entries"]:
            if entry["status"] == "kink":
                assert kink_is_there(config, state, data.train, entry), (raw, entry)


def kink_is_there(config: Config, state: State, rows: Rows, entry: Checked) -> bool:
    """Whether a z, or an output, has a kink on its way, by passes of its own with the entry moved up and down."""
    double = config.model_copy(update={"dtype": "float64"})
    parameter = config.network.parameters[config.network.by_name[entry["parameter"]]]
    found = [forward(config, state, rows)]
    for step_by in (-engine_gradcheck.EPS[config.dtype], engine_gradcheck.EPS[config.dtype]):
        parameters = state.parameters.astype(np.float64)
        parameter.view(parameters)[tuple(entry["index"])] += step_by
        moved = state._replace(parameters=read_only(parameters), used=parameters)
        found.append(forward(double, moved, Rows(rows.inputs.astype(float), rows.targets)))

    def crosses(term: str, layer: int, values: Any) -> bool:
        below, at, above = (getattr(tensors.traces(config, state)[layer], term) - values for state in found)
        sides = np.sign([below, at, above])
        return bool((sides.min(axis=0) < sides.max(axis=0)).any() or (sides == 0).any())

    layers = config.network.layers
    if any(crosses("z", at, kink) for at, layer in enumerate(layers) for kink in layer.activation.kinks):
        return True
    match config.loss:
        case MAE():
            return crosses("a", len(layers) - 1, rows.targets)
        case Huber(delta=delta):
            return any(crosses("a", len(layers) - 1, rows.targets + side * delta) for side in (1, -1))
        case BCE():
            outputs = there(tensors.outputs(config, found[0]))
            return float(np.minimum(outputs, 1 - outputs).min()) < 0.01
    return False


@pytest.mark.parametrize("eps", [1e-2, 1e-3, 1e-5, 1e-8])
def test_other_steps(eps: float) -> None:
    for raw in random_configs(7):
        found = check(make(**raw), eps=eps)
        assert found["passed"], [entry for entry in found["entries"] if entry["status"] == "failed"]
        assert found["tolerance"] == max(1e-5, eps)


def test_the_report() -> None:
    config = make()
    state, data = start(config)
    found = gradcheck(config, state, data.train, Gradcheck())
    assert found["passed"]
    assert found["tolerance"] == 1e-5
    vector = there(gradients(config, state, data.train).gradients)
    assert [entry["analytic"] for entry in found["entries"]] == vector.tolist()
    assert [entry["parameter"] for entry in found["entries"][5:8]] == ["hidden.weight", "hidden.bias", "hidden.bias"]
    assert [entry["index"] for entry in found["entries"][4:8]] == [[2, 0], [2, 1], [0], [1]]
    for entry in found["entries"]:
        assert entry["numeric"] == pytest.approx(entry["analytic"], rel=1e-6)
        assert there(entry["relative_error"]) < 1e-6


def test_chosen_parameters_in_their_order_each_once() -> None:
    config = make()
    found = check(config, parameters=["output.bias", "hidden.weight[1][0]", "output.bias[0]", "hidden.bias"])
    assert [(entry["parameter"], entry["index"]) for entry in found["entries"]] == [
        ("output.bias", [0]), ("hidden.weight", [1, 0]), ("hidden.bias", [0]), ("hidden.bias", [1]),
        ("hidden.bias", [2]),
    ]  # fmt: skip
    whole = check(config)["entries"]
    assert [entry for entry in whole if entry in found["entries"]] == sorted(found["entries"], key=whole.index)


@pytest.mark.parametrize("phase", ["ready", "forward", "backward"])
def test_it_changes_nothing_and_looks_at_the_present_parameters(phase: str) -> None:
    config = make()
    state, data = start(config)
    state = step(config, state, data.train)
    state = state if phase == "ready" else gradients(config, state, data.train)
    edited = state._replace(parameters=read_only(state.parameters * 1.5))
    before = edited._replace(parameters=edited.parameters.copy())
    found = gradcheck(config, edited, data.train, Gradcheck())
    assert_same(edited, before)
    fresh = there(gradients(config, edited, data.train).gradients)
    assert [entry["analytic"] for entry in found["entries"]] == fresh.tolist()


def test_a_frozen_layer_has_gradients_to_check() -> None:
    config = make(layers=[{"units": 2, "trainable": False}, {"units": 1}])
    assert statuses(check(config)) == ["passed"] * 9


@pytest.mark.parametrize("scale", [1e-6, 1e3, 1e6])
def test_inputs_of_other_sizes(scale: float) -> None:
    data = {"inputs": [[0.3 * scale, -0.2 * scale], [0.1 * scale, 0.25 * scale]], "targets": [[0.1], [0.4]]}
    init = {"weight": {"type": "normal", "std": 1 / scale}}
    for dtype in ("float64", "float32"):
        layers = [{"units": 3, "activation": "tanh", "init": init}, {"units": 1, "activation": "sigmoid"}]
        found = check(make(layers=layers, data=data, dtype=dtype))
        assert found["passed"]


def test_a_gradient_of_0_and_one_lost_in_rounding() -> None:
    assert statuses(check(single("identity", 0.3))) == ["passed"] * 2
    assert statuses(check(single("sigmoid", 40.0, target=1.0))) == ["passed"] * 2
    assert statuses(check(single("relu", -1.0))) == ["passed"] * 2  # nothing moves, and there is nothing to move


def test_float32_is_held_against_differences_in_double_precision() -> None:
    config = make(dtype="float32")
    found = check(config)
    assert found["tolerance"] == 1e-4
    for entry in found["entries"]:
        assert entry["numeric"] == pytest.approx(entry["analytic"], rel=1e-5)


# ----- kinks

KINKS: list[tuple[Any, float]] = [
    ("relu", 0.0), ({"type": "leaky_relu", "negative_slope": 0.2}, 0.0), ({"type": "elu", "alpha": 0.5}, 0.0),
    ({"type": "softplus", "beta": 2.0, "threshold": 1.0}, 0.5),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("activation", "kink"), KINKS, ids=str)
def test_a_kink_of_an_activation(activation: Any, kink: float, dtype: str) -> None:
    for z in (kink, kink + 5e-7, kink - 5e-7):
        found = check(single(activation, z, dtype=dtype), eps=1e-6)
        assert statuses(found) == ["kink"] * 2
        assert found["passed"]
    for z in (kink + 2e-5, kink - 2e-5):
        assert statuses(check(single(activation, z, dtype=dtype), eps=1e-6)) == ["passed"] * 2


@pytest.mark.parametrize(
    "activation",
    ["tanh", {"type": "leaky_relu", "negative_slope": 1.0}, {"type": "elu", "alpha": 1.0}, "gelu", "silu"],
    ids=str,
)
def test_no_kink(activation: Any) -> None:
    assert statuses(check(single(activation, 0.0))) == ["passed"] * 2


def test_a_kink_above_the_layer_counts_only_where_the_parameter_reaches_it() -> None:
    init = {"weight": [[0.0, 1.0]], "bias": -0.5}
    layers = [
        {"name": "below", "units": 2, "init": {"weight": 0.0, "bias": [3.0, 0.5]}},
        {"name": "relu", "units": 1, "activation": "relu", "init": init},
    ]
    found = check(make(layers=layers))
    by_name = {(entry["parameter"], *entry["index"]): entry["status"] for entry in found["entries"]}
    assert by_name["below.bias", 0] == by_name["below.weight", 0, 1] == "passed"
    assert by_name["below.bias", 1] == by_name["relu.bias", 0] == "kink"


def test_a_kink_of_mae() -> None:
    for dtype in ("float64", "float32"):
        assert statuses(check(single("identity", 0.3, "mae", dtype=dtype))) == ["kink"] * 2
        assert statuses(check(single("identity", 0.4, "mae", dtype=dtype))) == ["passed"] * 2
    data = {"inputs": [[1.0], [0.0]], "targets": [[9.0], [0.0]]}  # the second output meets its target, and stays there
    layers = [{"name": "only", "units": 1, "bias": "none", "init": {"weight": 0.5}}]
    assert statuses(check(make(layers=layers, inputs=1, loss="mae", data=data))) == ["passed"]


@pytest.mark.parametrize("side", [1, -1])
def test_a_kink_of_huber(side: int) -> None:
    loss = {"type": "huber", "delta": 0.25}
    assert statuses(check(single("identity", 0.25 * side, loss, target=0.0))) == ["kink"] * 2
    assert statuses(check(single("identity", 0.0, loss, target=0.0))) == ["passed"] * 2


@pytest.mark.parametrize(("z", "status"), [(0.0, "passed"), (20.0, "passed"), (30.0, "kink"), (-30.0, "kink")])
def test_where_the_binary_cross_entropy_is_cut_off(z: float, status: str) -> None:
    assert statuses(check(single("sigmoid", z, "bce", target=1.0))) == [status] * 2


def test_an_output_next_to_0_where_the_logarithm_is_steep() -> None:
    assert statuses(check(single("identity", 1e-5, "bce", target=1.0))) == ["kink"] * 2
    assert statuses(check(single("identity", 0.1, "bce", target=1.0))) == ["passed"] * 2


# ----- what fails


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("factor", [2.0, 1.01])
def test_broken_gradients_fail_however_they_came_about(
    monkeypatch: pytest.MonkeyPatch, factor: float, dtype: str
) -> None:
    """What is allowed for does not come from the gradients that are checked."""
    right = passes.backward

    def broken(config: Config, state: State) -> State:
        after = right(config, state)
        return after._replace(gradients=read_only(there(after.gradients) * factor))

    monkeypatch.setattr(passes, "backward", broken)
    for raw in (NOTEBOOK, *list(random_configs(3))[::4]):
        config = make(**{**raw, "dtype": dtype})
        found = check(config)
        large = max(abs(there(entry["numeric"])) for entry in found["entries"])
        for entry in found["entries"]:
            if abs(there(entry["numeric"])) > 0.05 * large:
                assert entry["status"] in ("failed", "kink"), (raw, entry)
        assert found["passed"] == (large == 0)
    assert statuses(check(make(dtype=dtype))) == ["failed"] * 13


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("factor", [0.0, 0.99, 1.001, -1.0])
def test_a_broken_derivative_fails(monkeypatch: pytest.MonkeyPatch, factor: float, dtype: str) -> None:
    right = Tanh.slope

    def broken(self: Tanh, layer: Any) -> None:
        right(self, layer)
        layer.da_dz *= factor

    monkeypatch.setattr(Tanh, "slope", broken)
    for units in (3, 30):  # as straight-line Python it has another derivative, which is right
        layers = [{"name": "hidden", "units": units, "activation": "tanh"}, {"name": "output", "units": 1}]
        found = check(make(layers=layers, dtype=dtype))
        assert not found["passed"]
        failed = {entry["parameter"] for entry in found["entries"] if entry["status"] == "failed"}
        assert failed == {"hidden.weight", "hidden.bias"}


@pytest.mark.parametrize("kind", [Sigmoid, GELU, Softmax, Huber], ids=lambda kind: kind.__name__)
def test_every_entry_that_goes_through_it_fails(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    method = {Softmax: "backward", Huber: "gradient"}.get(kind, "slope")
    right = getattr(kind, method)

    def broken(self: Any, layer: Any, *others: Any) -> None:
        right(self, layer, *others)
        target: Array = others[2] if kind is Huber else layer.dL_dz if kind is Softmax else layer.da_dz
        target *= 1.001

    monkeypatch.setattr(kind, method, broken)
    activation = "tanh" if kind is Huber else kind.type_name()
    data = {"inputs": [[0.3, -0.2]] * 30, "targets": [[0.2, 0.7]] * 30}
    found = check(make(layers=[{"units": 2, "activation": activation}], loss="huber", data=data))
    assert statuses(found) == ["failed"] * 6


def test_what_is_not_finite_cannot_pass() -> None:
    found = check(single("identity", 1.5, "bce", target=1.0))
    assert statuses(found) == ["failed"] * 2
    assert [entry["numeric"] for entry in found["entries"]] == [None] * 2
    assert [entry["relative_error"] for entry in found["entries"]] == [None] * 2
    assert not found["passed"]


@pytest.mark.parametrize("weight", [1e200, 0.0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numbers_that_overflow_do_not_raise(weight: float, dtype: str) -> None:
    weight = min(weight, 3e38) if dtype == "float32" else weight
    layers = [{"units": 1, "init": {"weight": 1e30, "bias": 0.0}}, {"units": 1, "init": {"weight": weight, "bias": 0}}]
    data = {"inputs": [[1e30, 1e30]], "targets": [[0.0]]}
    found = check(make(layers=layers, data=data, dtype=dtype))
    assert set(statuses(found)) <= {"failed", "passed"}


# ----- requests


@pytest.mark.parametrize(
    "name", ["hidden", "hidden.z", "hidden.weight.gradient", "inputs", "hidden.weight[0]", "hidden.weight[3][0]", ""]
)
def test_names_that_are_no_parameters(name: str) -> None:
    config = make()
    body = Gradcheck(parameters=["hidden.bias", name])
    state, data = start(config)
    for refused in (lambda: count(config, body), lambda: gradcheck(config, state, data.train, body)):
        with pytest.raises(InvalidInput) as raised:
            refused()
        assert raised.value.errors[0].pointer == "/parameters/1"


@pytest.mark.parametrize(
    "body", [{"parameters": []}, {"eps": 0.0}, {"eps": 1.0}, {"eps": math.nan}, {"parameters": ["x"] * 10_001}], ids=len
)
def test_bodies_that_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Gradcheck.model_validate(body)


def test_what_it_costs() -> None:
    config = make()
    assert count(config, Gradcheck()) == config.network.parameter_count == 13
    assert count(config, Gradcheck(parameters=["hidden.weight", "output.bias[0]"])) == 7
    one, two = (gradcheck_work(config, 7, entries) for entries in (1, 2))
    assert two - one == 2 * forward_work(config, 7)


def test_a_step_that_a_large_parameter_can_take() -> None:
    layers = [{"name": "only", "units": 1, "init": {"weight": 1e12, "bias": 1.0}}]
    found = check(make(layers=layers, data={"inputs": [[1e-12, 0.0]], "targets": [[0.5]]}))
    checked: Checked = found["entries"][0]
    assert checked["numeric"] == pytest.approx(checked["analytic"])
    assert found["passed"]
    assert engine_gradcheck.EPS["float64"] == 1e-6
