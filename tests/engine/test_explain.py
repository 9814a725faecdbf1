"""Every number of the passes is explained: its formula gives it, from terms that are explained in turn."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.engine import names, passes
from app.engine.activations import Activation, SiLU
from app.engine.explain import MAX_TERMS, count, everything, explain
from app.engine.explanation import Explanation, by_plain_name, put_in
from app.engine.expressions import Equation, Partial, Symbol, abs_
from app.engine.losses import MSE, CrossEntropy
from app.engine.network import Config
from app.engine.notation import elided, to_python, to_text
from app.engine.presets import NOTEBOOK
from app.engine.state import State
from app.errors import InvalidInput, LimitExceeded, WrongPhase

from .arithmetic import worth
from .networks import forward, gradients, make, start
from .random_configs import ACTIVATIONS, LOSSES, random_configs

CLOSE = {"float64": 1e-12, "float32": 1e-6}
WHOLE = ("gradient_norm", "inputs[0][0]", "outputs[0][0]")


def of(config: Config, state: State, name: str) -> Explanation:
    return explain(config, state, names.find(config, name, "?of"), "?of")


def python(explanation: Explanation) -> str:
    return to_python(put_in(explanation.computed, by_plain_name(explanation.terms)))


def shown(explanation: Explanation) -> tuple[str, str, str, str]:
    """Title, formula, numbers and value, as a page has them."""
    numbers = elided(put_in(explanation.full, by_plain_name(explanation.terms)))
    left = to_text(explanation.symbol)
    return (
        explanation.title,
        f"{left} = {to_text(explanation.formula)}",
        f"{left} = {to_text(numbers, 5)}",
        f"{explanation.value:.5f}",
    )


def explained(config: Config, state: State) -> Iterator[Explanation]:
    for address in everything(config, state):
        yield explain(config, state, address, "?of")
    for name in WHOLE:
        yield of(config, state, name)


def assert_gives_its_value(config: Config, explanation: Explanation) -> None:
    value, code = explanation.value, python(explanation)
    computed = worth(code)
    if not math.isfinite(value):
        assert computed == value or (math.isnan(computed) and math.isnan(value)), (explanation.of, code, value)
        return
    scale = max(abs(number) for number in (value, *(term.value for term in explanation.terms)) if math.isfinite(number))
    assert abs(computed - value) <= CLOSE[config.dtype] * scale, (explanation.of, code, value)


def assert_terms_are_the_numbers(config: Config, state: State, explanation: Explanation, known: set[str]) -> None:
    """Each term has a symbol of its own, is what it is said to be, and can be explained without going in circles."""
    assert len(by_plain_name(explanation.terms)) == len(explanation.terms)
    for term in explanation.terms:
        if term.of is None:
            continue
        address = names.find(config, term.of, "?of")
        value = names.entry(config, state, address, "?of")
        assert term.value == value or (math.isnan(term.value) and math.isnan(value))
        if address.term not in ("weight", "bias") or address.part:
            assert term.of in known or address.term in ("inputs", "targets") or "da_dz" in term.of


@pytest.mark.parametrize("config", [*random_configs(seed=7)], ids=lambda config: str(config["loss"]["type"]))
def test_every_number_of_random_networks(config: dict[str, Any]) -> None:
    made = make(**config)
    state, data = start(made)
    state = gradients(made, state, data.train)
    known: set[str] = set()
    for explanation in explained(made, state):
        assert_gives_its_value(made, explanation)
        assert_terms_are_the_numbers(made, state, explanation, known)
        known.add(explanation.of)
        value = names.entry(made, state, names.find(made, explanation.of, "?of"), "?of")
        assert explanation.value == value
    assert count(made, state) == len(known) - len(WHOLE)


AS_MADE = [
    layer.activation for layer in make(layers=[{"units": 2, "activation": one} for one in ACTIVATIONS]).network.layers
]
POINTS = {
    "float64": [-1000.0, -700.5, -40.0, -1e-9, 0.0, 1e-9, 40.0, 700.5, 1000.0, 1e160, -1e200, 1.7e308, -1.7e308],
    "float32": [-1000.0, -90.0, -20.0, -1e-9, 0.0, 1e-9, 20.0, 90.0, 1000.0, 1e20, -1e30, 3e38, -3e38],
}


def extreme(loss: dict[str, Any], activation: dict[str, Any], points: list[float], dtype: str) -> tuple[Config, State]:
    """The passes of a unit for each of the points, with and without an infinity and a NaN among them."""
    kind = loss["type"]
    inputs = [[1.0, 0.0], [-1.0, 0.0], [10.0, 10.0]]  # as pre-activations: the points, their negatives, overflows
    units = len(points)
    targets: list[Any] = [[k % 3 / 2 for k in range(units)] for _ in inputs]
    if kind == "nll" or (kind == "cross_entropy" and activation["type"] == "identity"):
        targets = [0, 4, units - 1]
    elif kind == "cross_entropy":
        targets = [[float(k == s) for k in range(units)] for s, _ in enumerate(inputs)]
    weight = [[point, -point if k % 2 else 0.0] for k, point in enumerate(points)]
    layer = {"units": units, "activation": activation, "bias": "none", "init": {"weight": weight}}
    data = {"type": "inline", "inputs": inputs, "targets": targets}
    config = make(inputs=2, layers=[layer], data=data, loss=loss, dtype=dtype)
    state, rows = start(config)
    return config, gradients(config, state, rows.train)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        *((LOSSES[0], activation) for activation in ACTIVATIONS),
        *((loss, activation) for loss in LOSSES[1:] for activation in ({"type": "identity"}, {"type": "softmax"})),
        ({"type": "bce", "reduction": "sum"}, {"type": "sigmoid"}),
    ],
    ids=lambda spec: str(spec["type"]),
)
def test_extreme_numbers(loss: dict[str, Any], activation: dict[str, Any], dtype: str) -> None:
    for points in (POINTS[dtype][:9], POINTS[dtype]):
        config, state = extreme(loss, activation, points, dtype)
        for explanation in explained(config, state):
            assert_gives_its_value(config, explanation)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", [one for one in ACTIVATIONS if one["type"] != "softmax"], ids=str)
def test_an_activation_needs_no_stable_form(
    monkeypatch: pytest.MonkeyPatch, activation: dict[str, Any], dtype: str
) -> None:
    for kind in {*map(type, AS_MADE), Activation}:
        monkeypatch.setattr(kind, "stable_sides", (None, None))
    config, state = extreme(LOSSES[0], activation, POINTS[dtype], dtype)
    for explanation in explained(config, state):
        assert_gives_its_value(config, explanation)


@pytest.mark.parametrize("point", [2e199, -2e199, 1e154, 40.0, 0.0, -1e-9])
def test_a_new_activation(monkeypatch: pytest.MonkeyPatch, point: float) -> None:
    """Its formulas alone, of which Python raises at large numbers, as in CONTRIBUTING.md."""
    z, a = Symbol("z"), Symbol("a")
    new = {
        "formula": Equation(a, z / (1 + abs_(z))),
        "derivative": Equation(Partial("a", z), 1 / (1 + abs_(z)) ** 2),
        "stable_sides": (None, None),
        "forward": lambda _, layer: np.copyto(layer.a, layer.z / (1 + np.abs(layer.z))),
        "slope": lambda _, layer: np.copyto(layer.da_dz, (1 + np.abs(layer.z)) ** -2.0),
    }
    for name, value in new.items():
        monkeypatch.setattr(SiLU, name, value)
    config, state = extreme({"type": "mse"}, {"type": "silu"}, [point, 1.0], "float64")
    for explanation in explained(config, state):
        assert_gives_its_value(config, explanation)
    assert python(of(config, state, "layer1.a[0][1]")) == "1.0 / (1.0 + abs(1.0))"


def test_the_stable_form_keeps_what_the_textbooks_loses() -> None:
    """The textbook's exp(z) - 1, log(1 + exp(z)) and the like lose the digits of these, or overflow."""
    points = [-1e-9, -40.0, -1000.0]
    for name, activation in (("layer1.a[0][0]", "elu"), ("layer1.a[0][1]", "softplus"), ("layer1.a[0][2]", "sigmoid")):
        config, state = extreme({"type": "mse"}, {"type": activation}, points, "float64")
        explanation = of(config, state, name)
        assert explanation.stable is not None
        assert explanation.formula == explanation.full
        assert worth(python(explanation)) == pytest.approx(explanation.value, rel=1e-14, abs=0)
    assert python(explanation) == (
        "1.0 / (1.0 + exp(-(-1000.0))) if -1000.0 > 0.0 else exp(-1000.0) / (1.0 + exp(-1000.0))"
    )


def test_where_python_would_raise_the_value_is_written() -> None:
    config, state = extreme({"type": "mse"}, {"type": "identity"}, [1e308, 1e200], "float64")
    assert python(of(config, state, "layer1.z[2][0]")) == "1e+308 * 10.0 + 0.0 * 10.0"  # infinite, without raising
    assert python(of(config, state, "loss")) == "1e999"
    assert python(of(config, state, "layer1.z[2][1]")) == "1e+200 * 10.0 + (-1e+200) * 10.0"


NOTEBOOK_CONFIG = make(**NOTEBOOK)


def notebook() -> State:
    state, data = start(NOTEBOOK_CONFIG)
    return gradients(NOTEBOOK_CONFIG, state, data.train)


@pytest.mark.parametrize(
    ("name", "title", "formula", "numbers", "value"),
    [
        ("inputs[0][1]", "input 2", "x₂ = 0.1", "x₂ = 0.10000", "0.10000"),
        ("targets[0][0]", "target 1", "t₁ = 0.01", "t₁ = 0.01000", "0.01000"),
        (
            "hidden.z[0][1]",
            "pre-activation of hidden, unit 2",
            "z¹₂ = w¹₂₁ x₁ + w¹₂₂ x₂ + b¹",
            "z¹₂ = 0.25000 × 0.05000 + 0.30000 × 0.10000 + 0.35000",
            "0.39250",
        ),
        (
            "hidden.a[0][0]",
            "activation of hidden, unit 1 (sigmoid)",
            "a¹₁ = 1 / (1 + exp(-z¹₁))",
            "a¹₁ = 1 / (1 + exp(-0.37750))",
            "0.59327",
        ),
        (
            "output.z[0][0]",
            "pre-activation of output, unit 1",
            "z²₁ = w²₁₁ a¹₁ + w²₁₂ a¹₂ + b²₁",
            "z²₁ = 0.40000 × 0.59327 + 0.45000 × 0.59688 + 0.60000",
            "1.10591",
        ),
        ("outputs[0][0]", "output 1: the activation of output", "y₁ = a²₁", "y₁ = 0.75137", "0.75137"),
        ("loss", "loss, half squared error", "L = (t₁ - a²₁)^2 / 2", "L = (0.01000 - 0.75137)^2 / 2", "0.27481"),
        (
            "output.dL_da[0][0]",
            "gradient of the loss with respect to the activation of output, unit 1",
            "∂L/∂a²₁ = a²₁ - t₁",
            "∂L/∂a²₁ = 0.75137 - 0.01000",
            "0.74137",
        ),
        (
            "output.da_dz[0][0]",
            "derivative of the activation of output, unit 1 (sigmoid)",
            "∂a²₁/∂z²₁ = a²₁ (1 - a²₁)",
            "∂a²₁/∂z²₁ = 0.75137 × (1 - 0.75137)",
            "0.18682",
        ),
        (
            "output.dL_dz[0][0]",
            "gradient of the loss with respect to the pre-activation of output, unit 1 (delta)",
            "∂L/∂z²₁ = ∂L/∂a²₁ × ∂a²₁/∂z²₁",
            "∂L/∂z²₁ = 0.74137 × 0.18682",
            "0.13850",
        ),
        (
            "hidden.dL_da[0][1]",
            "gradient of the loss with respect to the activation of hidden, unit 2",
            "∂L/∂a¹₂ = ∂L/∂z²₁ × w²₁₂",
            "∂L/∂a¹₂ = 0.13850 × 0.45000",
            "0.06232",
        ),
        (
            "hidden.weight.gradient[0][1]",
            "gradient of hidden.weight, from input 2 to unit 1",
            "∂L/∂w¹₁₂ = ∂L/∂z¹₁ × x₂",
            "∂L/∂w¹₁₂ = 0.01337 × 0.10000",
            "0.00134",
        ),
        (
            "hidden.bias.gradient[0]",
            "gradient of hidden.bias, shared by 2 units",
            "∂L/∂b¹ = ∂L/∂z¹₁ + ∂L/∂z¹₂",
            "∂L/∂b¹ = 0.01337 + 0.01500",
            "0.02836",
        ),
        (
            "output.bias.gradient[0]",
            "gradient of output.bias, of unit 1",
            "∂L/∂b²₁ = ∂L/∂z²₁",
            "∂L/∂b²₁ = 0.13850",
            "0.13850",
        ),
    ],
)
def test_the_notebook(name: str, title: str, formula: str, numbers: str, value: str) -> None:
    assert shown(of(NOTEBOOK_CONFIG, notebook(), name)) == (title, formula, numbers, value)


def test_terms_of_the_notebook() -> None:
    state = notebook()
    terms = of(NOTEBOOK_CONFIG, state, "output.z[0][0]").terms
    assert [(term.of, to_text(term.symbol)) for term in terms] == [
        ("output.weight[0][0]", "w²₁₁"),
        ("output.weight[0][1]", "w²₁₂"),
        ("hidden.a[0][0]", "a¹₁"),
        ("hidden.a[0][1]", "a¹₂"),
        ("output.bias[0]", "b²₁"),
    ]
    assert of(NOTEBOOK_CONFIG, state, "inputs[0][0]").terms == ()
    assert of(NOTEBOOK_CONFIG, state, "output.dL_dz[0][0]").values == pytest.approx(
        {"dL_da_2_1": 0.74137, "da_2_1_dz_2_1": 0.18682}, abs=1e-5
    )
    order = [str(address) for address in everything(NOTEBOOK_CONFIG, state)]
    assert order[:7] == [
        *("hidden.z[0][0]", "hidden.z[0][1]", "hidden.a[0][0]", "hidden.a[0][1]", "output.z[0][0]", "output.a[0][0]"),
        "loss",
    ]
    assert order[-1] == "hidden.bias.gradient[0]"
    assert (len(order), count(NOTEBOOK_CONFIG, state)) == (24, 24)


def three_classes(n: int = 4, units: int = 3, **fields: Any) -> tuple[Config, State]:
    """Four samples of twelve inputs, through a softmax, to a loss of classes."""
    rng = np.random.default_rng(0)
    data = {"inputs": rng.normal(size=(n, 12)).tolist(), "targets": [s % units for s in range(n)]}
    layers = [
        {"units": 2, "activation": {"type": "leaky_relu", "negative_slope": 0.5}},
        {"units": units, "activation": "softmax", "bias": "shared"},
    ]
    config = make(**{"inputs": 12, "layers": layers, "loss": "cross_entropy", "data": data, **fields})
    state, rows = start(config)
    return config, gradients(config, state, rows.train)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("targets[2]", "t₃ = 2"),
        ("layer1.z[1][0]", "z¹₂,₁ = Σᵢ₌₁¹² w¹₁,ᵢ x₂,ᵢ + b¹₁"),
        ("layer1.a[1][0]", "a¹₂,₁ = { z¹₂,₁ if z¹₂,₁ > 0; negative_slope z¹₂,₁ otherwise }"),
        ("layer2.z[0][0]", "z²₁,₁ = w²₁₁ a¹₁,₁ + w²₁₂ a¹₁,₂ + b²"),
        ("layer2.a[0][1]", "a²₁,₂ = exp(z²₁,₂) / (exp(z²₁,₁) + exp(z²₁,₂) + exp(z²₁,₃))"),
        ("loss", "L = (Σₛ₌₁⁴ (-log(exp(a²ₛ,ₜ) / Σⱼ₌₁³ exp(a²ₛ,ⱼ)))) / n"),
        (
            "layer2.dL_da[0][1]",
            "∂L/∂a²₁,₂ = (exp(a²₁,₂) / (exp(a²₁,₁) + exp(a²₁,₂) + exp(a²₁,₃)) - { 1 if t₁ = 1; 0 otherwise }) / n",
        ),
        ("layer2.da_dz[0][1][1]", "∂a²₁,₂/∂z²₁,₂ = a²₁,₂ (1 - a²₁,₂)"),
        ("layer2.da_dz[0][1][2]", "∂a²₁,₂/∂z²₁,₃ = -a²₁,₂ a²₁,₃"),
        (
            "layer2.dL_dz[0][1]",
            "∂L/∂z²₁,₂ = ∂L/∂a²₁,₁ × ∂a²₁,₁/∂z²₁,₂ + ∂L/∂a²₁,₂ × ∂a²₁,₂/∂z²₁,₂ + ∂L/∂a²₁,₃ × ∂a²₁,₃/∂z²₁,₂",
        ),
        ("layer2.bias.gradient[0]", "∂L/∂b² = Σₛ₌₁⁴ Σⱼ₌₁³ ∂L/∂z²ₛ,ⱼ"),
        (
            "layer1.dL_da[0][1]",
            "∂L/∂a¹₁,₂ = ∂L/∂z²₁,₁ × w²₁₂ + ∂L/∂z²₁,₂ × w²₂₂ + ∂L/∂z²₁,₃ × w²₃₂",
        ),
        (
            "layer1.weight.gradient[0][10]",
            "∂L/∂w¹₁,₁₁ = ∂L/∂z¹₁,₁ × x₁,₁₁ + ∂L/∂z¹₂,₁ × x₂,₁₁ + ∂L/∂z¹₃,₁ × x₃,₁₁ + ∂L/∂z¹₄,₁ × x₄,₁₁",
        ),
        ("layer1.bias.gradient[1]", "∂L/∂b¹₂ = ∂L/∂z¹₁,₂ + ∂L/∂z¹₂,₂ + ∂L/∂z¹₃,₂ + ∂L/∂z¹₄,₂"),
        ("gradient_norm", "‖∇L‖ = sqrt(Σᵢ₌₁³³ (∂L/∂θᵢ)^2)"),
    ],
)
def test_several_samples(name: str, formula: str) -> None:
    config, state = three_classes()
    assert shown(of(config, state, name))[1] == formula


def test_the_samples_and_counts_are_told() -> None:
    config, state = three_classes()
    assert of(config, state, "inputs[1][11]").title == "input 12, sample 2"
    assert of(config, state, "targets[2]").title == "target: the right class, counted from 0, sample 3"
    assert of(config, state, "loss").title == "loss, cross entropy, the mean over 4 samples"
    assert of(config, state, "layer1.bias.gradient[0]").title == "gradient of layer1.bias, of unit 1, over 4 samples"
    assert of(config, state, "layer2.da_dz[0][1][2]").title == (
        "derivative of the activation of layer2, unit 2, sample 1 (softmax) by z of unit 3"
    )
    slope = of(config, state, "layer1.a[1][0]").terms[-1]
    assert (slope.of, slope.value) == (None, 0.5)
    loss = of(config, state, "loss").terms
    assert [(term.of, term.value) for term in loss[12:]] == [
        *((f"targets[{s}]", s % 3) for s in range(4)),
        (None, 4),
    ]


def test_targets_of_many_classes_as_probabilities() -> None:
    """The sum of each logarithm is not written out for each output, whose number would be squared."""
    probabilities = np.eye(12)[:4] / 2 + 1 / 24
    data = {"inputs": np.eye(12)[:4].tolist(), "targets": probabilities.tolist()}
    config, state = three_classes(units=12, data=data)
    loss = of(config, state, "loss")
    assert to_text(loss.formula) == "(Σₛ₌₁⁴ (-Σₖ₌₁¹² tₛ,ₖ log(exp(a²ₛ,ₖ) / Σⱼ₌₁¹² exp(a²ₛ,ⱼ)))) / n"
    assert python(loss).count("exp") == 4 * 12
    assert_gives_its_value(config, loss)


def test_a_new_loss_that_mixes_outputs_needs_no_more_than_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cross-entropy over probabilities under another name."""
    monkeypatch.setattr(MSE, "term", None)
    for method in ("of_sample", "slope_of_sample", "total", "gradient"):
        monkeypatch.setattr(MSE, method, getattr(CrossEntropy, method))
    data = {"inputs": np.eye(12)[:4].tolist(), "targets": (np.eye(12)[:4] / 2 + 1 / 24).tolist()}
    config, state = three_classes(units=12, data=data, loss="mse")
    loss = of(config, state, "loss")
    assert python(loss).count("exp") == 4 * 12
    for explanation in (loss, of(config, state, "layer2.dL_da[1][2]")):
        assert_gives_its_value(config, explanation)


def test_long_sums_are_cut_for_reading_and_whole_in_python() -> None:
    config, state = three_classes(n=60)
    explanation = of(config, state, "layer1.weight.gradient[0][0]")
    _, formula, numbers, _ = shown(explanation)
    assert formula == "∂L/∂w¹₁,₁ = Σₛ₌₁⁶⁰ ∂L/∂z¹ₛ,₁ × xₛ,₁"
    assert numbers.count("×") == 4
    assert " + … + " in numbers
    assert python(explanation).startswith("sum([")
    assert python(explanation).count("*") == 60
    loss = of(config, state, "loss")
    assert shown(loss)[2].count("log") == 4
    for each in (explanation, loss):
        assert_gives_its_value(config, each)


def test_an_entry_of_a_large_softmax_is_had_without_the_whole() -> None:
    config, state = three_classes(n=8, units=3000)
    for name in ("layer2.da_dz[7][0][2999]", "layer2.dL_dz[3][2999]"):
        assert_gives_its_value(config, of(config, state, name))
    assert not any(address.term == "da_dz" and address.layer == 1 for address in everything(config, state))


def test_a_network_without_trainable_parameters_has_no_norm() -> None:
    config, state = three_classes(layers=[{"units": 3, "trainable": False}])
    assert shown(of(config, state, "gradient_norm"))[1:] == ("‖∇L‖ = sqrt(0)", "‖∇L‖ = sqrt(0)", "0.00000")


def test_the_parameters_that_were_used_are_the_terms() -> None:
    """After the output's weights are updated, what the passes did with them stays as it was."""
    state, data = start(NOTEBOOK_CONFIG)
    before = passes.backward(NOTEBOOK_CONFIG, forward(NOTEBOOK_CONFIG, state, data.train), until="output")
    between = passes.update(NOTEBOOK_CONFIG, before, ["output.weight"])
    modes: list[passes.Using] = ["forward", "current"]
    for using in modes:
        after = passes.backward(NOTEBOOK_CONFIG, between, using=using)
        new = names.entry(NOTEBOOK_CONFIG, after, names.find(NOTEBOOK_CONFIG, "output.weight[0][0]", ""), "")
        z, by_a = (of(NOTEBOOK_CONFIG, after, name) for name in ("output.z[0][0]", "hidden.dL_da[0][0]"))
        assert z.terms[0].value == 0.40
        assert by_a.terms[1].of == "output.weight[0][0]"
        assert by_a.terms[1].value == (0.40 if using == "forward" else new)
        assert new != 0.40
        for explanation in explained(NOTEBOOK_CONFIG, after):
            assert_gives_its_value(NOTEBOOK_CONFIG, explanation)


def test_a_pass_under_way_is_explained_as_far_as_it_has_come() -> None:
    state, data = start(NOTEBOOK_CONFIG)
    assert count(NOTEBOOK_CONFIG, state) == 0
    begun = passes.begin(state, data.train.inputs, data.train.targets, own_rows=True)
    hidden = passes.forward(NOTEBOOK_CONFIG, begun, until="hidden")
    assert {address.tensor for address in everything(NOTEBOOK_CONFIG, hidden)} == {"hidden.z", "hidden.a"}
    output = passes.backward(NOTEBOOK_CONFIG, passes.forward(NOTEBOOK_CONFIG, hidden), until="output")
    assert str([*everything(NOTEBOOK_CONFIG, output)][-1]) == "output.bias.gradient[0]"


@pytest.mark.parametrize("name", ["hidden.z[0][0]", "loss", "inputs[0][0]", "targets[0][0]", "outputs[0][0]"])
def test_before_a_forward_pass(name: str) -> None:
    with pytest.raises(WrongPhase) as caught:
        of(NOTEBOOK_CONFIG, start(NOTEBOOK_CONFIG)[0], name)
    assert caught.value.extra == {"call_first": "forward"}


def test_before_a_backward_pass() -> None:
    config, state = three_classes()
    state = state._replace(backward=None, gradients=None, backwarded=0, phase="forward")
    for name in ("layer2.da_dz[0][0][0]", "layer1.dL_dz[0][0]", "layer1.bias.gradient[0]", "gradient_norm"):
        with pytest.raises(WrongPhase) as caught:
            of(config, state, name)
        assert caught.value.extra == {"call_first": "backward"}


@pytest.mark.parametrize(
    "name", ["hidden.z", "hidden.z[0]", "hidden.z[1][0]", "hidden.z[0][2]", "loss[0]", "hidden.weight.gradient[0][2]"]
)
def test_an_index_that_does_not_fit(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        of(NOTEBOOK_CONFIG, notebook(), name)
    assert caught.value.errors[0].pointer == "?of"


def test_the_bound_of_terms() -> None:
    n = MAX_TERMS // 2 + 1
    data = {"inputs": [[0.5]] * n, "targets": [[0.5]] * n}
    config = make(inputs=1, layers=[{"units": 1}], data=data)
    state, rows = start(config)
    state = gradients(config, state, rows.train)
    for name in ("loss", "layer1.weight.gradient[0][0]"):
        with pytest.raises(LimitExceeded) as caught:
            of(config, state, name)
        assert caught.value.extra == {"limit": MAX_TERMS, "estimate": MAX_TERMS + 2}
    assert len(of(config, state, "layer1.bias.gradient[0]").terms) == n


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("layer1.bias.gradient[0]", (MAX_TERMS // 2 + 1, 2)),
        ("gradient_norm", (2, MAX_TERMS // 2 + 1)),
        ("layer2.dL_dz[0][0]", (2, MAX_TERMS // 2 + 1)),
        ("layer1.dL_da[0][0]", (2, MAX_TERMS // 2 + 1)),
    ],
)
def test_the_bound_of_terms_over_units(name: str, units: tuple[int, int]) -> None:
    first, second = units
    layers = [{"units": first, "bias": "shared"}, {"units": second, "activation": "softmax"}]
    data = {"inputs": [[0.5, 0.5], [0.1, 0.2]], "targets": [0, 1]}
    config, state = three_classes(inputs=2, layers=layers, loss="nll", data=data)
    with pytest.raises(LimitExceeded):
        of(config, state, name)
