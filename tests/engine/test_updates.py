"""Where a parameter's value comes from: every optimizer's update, as a formula and in numbers."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from app.engine import names, passes, updates
from app.engine.explanation import Explanation, by_plain_name, put_in
from app.engine.expressions import Number
from app.engine.layers import Init
from app.engine.network import Config
from app.engine.notation import plain_name, symbol_names, to_latex, to_python, to_text
from app.engine.optimizers import SGD, AnyOptimizer
from app.engine.presets import NOTEBOOK
from app.engine.spec import kinds, read_only
from app.engine.state import State
from app.errors import WrongPhase

from .arithmetic import worth
from .networks import forward, gradients, make, start, step
from .random_configs import CLIPS, OPTIMIZERS, SCHEDULES, WARMUPS

LAYERS = [
    {"name": "hidden", "units": 3, "activation": "tanh", "bias": "shared"},
    {"name": "output", "units": 1, "activation": "sigmoid"},
]
ENTRIES = ["hidden.weight{}[2][1]", "hidden.bias{}[0]", "output.bias{}[0]"]
RATES = [
    None if schedule is None else {**schedule, "warmup": warmup}
    for schedule, warmup in product(SCHEDULES, WARMUPS)
    if schedule is not None or warmup is None
]  # fmt: skip
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}


def python_of(explained: Explanation) -> str:
    return to_python(put_in(explained.computed, by_plain_name(explained.terms)))


def next_of(config: Config, state: State, entry: str) -> Explanation:
    return updates.explain_next(config, state, names.find(config, entry, ""))


def slot_of(config: Config, state: State, entry: str) -> Explanation:
    return updates.explain_slot(config, state, names.find(config, entry, ""))


def check(config: Config, state: State, explained: Explanation, after: State, of: str) -> None:
    """The formula, with the numbers of this state put in, gives the number after the update."""
    address = names.find(config, of, "")
    value = float(names.read(config, after, address)[address.index])
    assert explained.value == value
    largest = max(abs(value), *(abs(term.value) for term in explained.terms if term.of is not None))
    assert abs(worth(python_of(explained)) - value) <= TOLERANCE[config.dtype] * largest
    assert not explained.stable or symbol_names(explained.stable), "nothing but its value says where it comes from"
    letters = [plain_name(term.symbol) for term in explained.terms]
    assert sorted(letters) == sorted(symbol_names(explained.formula))
    for term in explained.terms:
        if term.of is not None:
            found = names.find(config, term.of, "")
            assert term.value == float(names.read(config, state, found)[found.index])


def check_all(config: Config, state: State, of: list[str]) -> None:
    for pattern in of:
        parameter = pattern.split("{")[0]
        after = passes.update(config, state, [parameter])
        explained = next_of(config, state, pattern.format(".next"))
        assert explained.kind == "update"
        check(config, state, explained, after, pattern.format(""))
        for slot in names.slot_names(config):
            entry = f"{parameter}.state.step" if slot == "step" else pattern.format(f".state.{slot}")
            explained = slot_of(config, state, entry)
            assert explained.kind == "slot"
            check(config, state, explained, after, entry)


def options(chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for schedule, clip in product(RATES, CLIPS[1:]):
        yield {**chosen, "schedule": schedule, "clip": clip}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("chosen", OPTIMIZERS, ids=str)
def test_every_update_is_its_formula(chosen: dict[str, Any], dtype: str) -> None:
    if dtype == "float32" and chosen["type"] != "sgd":
        chosen = {**chosen, "eps": 1e-3}
    for turn, tried in enumerate(options(chosen)):
        if dtype == "float32" and turn % 3:
            continue
        config = make(layers=LAYERS, optimizer=tried, dtype=dtype)
        state, data = start(config)
        for number in range(7):
            backward = gradients(config, state, data.train)
            if number in (0, 1, 6):  # each time another entry
                check_all(config, backward, [ENTRIES[(turn + number) % 3]])
            state = passes.update(config, backward)


@pytest.mark.parametrize("chosen", OPTIMIZERS, ids=str)
def test_partial_steps_count_each_tensor_by_itself(chosen: dict[str, Any]) -> None:
    clip = {"type": "norm", "value": 0.05}
    config = make(layers=LAYERS, optimizer={**chosen, "clip": clip})
    state, data = start(config)
    backward = gradients(config, step(config, state, data.train), data.train)
    for _ in range(2):
        backward = passes.update(config, backward, ["hidden.weight", "output.bias"])
        check_all(config, backward, ENTRIES[1:2])
        backward = passes.backward(config, backward)
    check_all(config, backward, ENTRIES)
    assert "after update 4 by" in next_of(config, backward, "hidden.weight.next[0][0]").title
    assert "after update 2 by" in next_of(config, backward, "hidden.bias.next[0]").title


# ----- as it reads


def notebook(**fields: Any) -> tuple[Config, State, State]:
    """The notebook's network with its gradients, at the first step and at the second."""
    raw = NOTEBOOK if isinstance(NOTEBOOK, dict) else NOTEBOOK.model_dump()
    config = make(**{**raw, **fields})
    state, data = start(config)
    first = gradients(config, state, data.train)
    return config, first, gradients(config, passes.update(config, first), data.train)


def texts(explained: Explanation) -> tuple[str, str]:
    numbers = put_in(explained.full, by_plain_name(explained.terms))
    return f"{to_text(explained.symbol)} = {to_text(explained.formula)}", to_text(numbers, 5)


def test_the_notebooks_update() -> None:
    config, state, _ = notebook()
    explained = next_of(config, state, "output.weight.next[0][1]")
    assert explained.title == "output.weight[0][1] after update 1 by sgd"
    assert explained.of == "output.weight.next[0][1]"
    assert texts(explained) == ("w²₁₂,ₙₑₓₜ = w²₁₂ - η ∂L/∂w²₁₂", "0.45000 - 0.50000 × 0.08267")
    assert to_latex(explained.formula) == r"w^{(2)}_{12} - \eta \frac{\partial L}{\partial w^{(2)}_{12}}"
    assert [(term.of, to_text(term.symbol)) for term in explained.terms] == [
        ("output.weight[0][1]", "w²₁₂"), ("output.weight.gradient[0][1]", "∂L/∂w²₁₂"), (None, "η"),
    ]  # fmt: skip
    assert explained.stable is None
    assert worth(python_of(explained)) == explained.value


def test_a_shared_bias() -> None:
    config, state, _ = notebook()
    explained = next_of(config, state, "hidden.bias.next[0]")
    assert explained.title == "hidden.bias[0] after update 1 by sgd, shared by 2 units"
    assert texts(explained)[0] == "b¹ₙₑₓₜ = b¹ - η ∂L/∂b¹"


def assert_whole(explained: Explanation, value: str | None = None, **counts: str) -> None:
    """These of its letters are counts, written without decimals, and so may be its value."""
    written = {to_text(term.symbol): to_text(Number(term.value, ""), 5) for term in explained.terms}
    assert written.items() >= counts.items()
    assert value is None or to_text(Number(explained.value, ""), 5) == value


def test_counts_are_whole() -> None:
    warming = {"type": "step", "step_size": 2, "warmup": {"total_iters": 3}}
    config, _, state = notebook(optimizer={"type": "adam", "schedule": warming})
    assert_whole(next_of(config, state, "output.bias.next[0]"), t="2", steps="1", total_iters="3")
    decayed = next_of(config, state._replace(steps=8), "output.bias.next[0]")
    assert_whole(decayed, **{"floor((steps - total_iters) / step_size)": "2"})
    config, _, state = notebook(optimizer={"type": "sgd", "schedule": {"type": "cosine", "T_max": 5}})
    assert_whole(next_of(config, state, "output.bias.next[0]"), **{"Tₘₐₓ": "5", "steps": "1"})


def test_adam() -> None:
    config, _, state = notebook(optimizer="adam")
    explained = next_of(config, state, "output.bias.next[0]")
    assert explained.title == "output.bias[0] after update 2 by adam"
    formula, numbers = texts(explained)
    assert formula == (
        "b²₁,ₙₑₓₜ = b²₁ - η (β₁ m²₁ + (1 - β₁) ∂L/∂b²₁) / (1 - β₁^t)"
        " / (sqrt((β₂ v²₁ + (1 - β₂) (∂L/∂b²₁)^2) / (1 - β₂^t)) + ε)"
    )
    assert numbers == (
        "0.59900 - 0.00100 × (0.90000 × 0.01385 + (1 - 0.90000) × 0.13858) / (1 - 0.90000^2)"
        " / (sqrt((0.99900 × 0.00002 + (1 - 0.99900) × 0.13858^2) / (1 - 0.99900^2)) + 1.0e-8)"
    )
    assert [(term.of, to_text(term.symbol)) for term in explained.terms] == [
        ("output.bias[0]", "b²₁"), ("output.bias.gradient[0]", "∂L/∂b²₁"),
        ("output.bias.state.exp_avg[0]", "m²₁"), ("output.bias.state.exp_avg_sq[0]", "v²₁"),
        (None, "η"), (None, "t"), (None, "β₁"), (None, "β₂"), (None, "ε"),
    ]  # fmt: skip


def test_slots() -> None:
    config, _, state = notebook(optimizer={"type": "adam", "amsgrad": True})
    assert texts(slot_of(config, state, "output.weight.state.exp_avg[0][0]")) == (
        "m²₁₁,ₙₑₓₜ = β₁ m²₁₁ + (1 - β₁) ∂L/∂w²₁₁", "0.90000 × 0.00822 + (1 - 0.90000) × 0.08218"
    )  # fmt: skip
    largest = slot_of(config, state, "output.weight.state.max_exp_avg_sq[0][0]")
    assert texts(largest)[0] == "v²ₘₐₓ,₁₁,ₙₑₓₜ = max(v²ₘₐₓ,₁₁, β₂ v²₁₁ + (1 - β₂) (∂L/∂w²₁₁)^2)"
    counted = slot_of(config, state, "output.weight.state.step")
    assert counted.title == "output.weight.state.step after update 2 by adam"
    assert texts(counted) == ("stepₙₑₓₜ = step + 1", "1 + 1")
    assert_whole(counted, "2", step="1")


def sgd(**chosen: Any) -> dict[str, Any]:
    return {"type": "sgd", **chosen}


WARMING = "w - η (start_factor + (1 - start_factor) steps / total_iters) ∂L/∂w"
READS: list[tuple[dict[str, Any], str, str | None]] = [
    (sgd(weight_decay=0.1), "w - η (∂L/∂w + λ w)", None),
    (sgd(momentum=0.9), "w - η ∂L/∂w", "w - η (μ u + ∂L/∂w)"),
    (sgd(momentum=0.9, dampening=0.5), "w - η ∂L/∂w", "w - η (μ u + (1 - τ) ∂L/∂w)"),
    (sgd(momentum=0.9, nesterov=True), "w - η (∂L/∂w + μ ∂L/∂w)", "w - η (∂L/∂w + μ (μ u + ∂L/∂w))"),
    (sgd(clip={"type": "value", "value": 0.01}), "w - η max(-c, min(c, ∂L/∂w))", None),
    (sgd(clip={"type": "norm", "value": 0.01}), "w - η min(1, c / (‖∇L‖ + 10^(-6))) ∂L/∂w", None),
    (sgd(schedule="constant"), "w - η ∂L/∂w", None),
    (sgd(schedule={"type": "exponential", "gamma": 0.9}), "w - η γ^steps ∂L/∂w", None),
    (
        sgd(schedule={"type": "exponential", "gamma": 0.9, "warmup": {"total_iters": 1}}),
        WARMING,
        "w - η γ^(steps - total_iters) ∂L/∂w",
    ),
    (sgd(schedule={"type": "step", "step_size": 2}), "w - η γ^floor(steps / step_size) ∂L/∂w", None),
    (
        sgd(schedule={"type": "step", "step_size": 2, "warmup": {"total_iters": 1}}),
        WARMING,
        "w - η γ^floor((steps - total_iters) / step_size) ∂L/∂w",
    ),
    (
        sgd(schedule={"type": "cosine", "T_max": 5}),
        "w - (ηₘᵢₙ + (η - ηₘᵢₙ) (1 + cos(π steps / Tₘₐₓ)) / 2) ∂L/∂w",
        None,
    ),
    (
        {"type": "adamw", "betas": [0.0, 0.9]},
        "w - η λ w - η (β₁ m + (1 - β₁) ∂L/∂w) / (1 - β₁^t) / (sqrt((β₂ v + (1 - β₂) (∂L/∂w)^2) / (1 - β₂^t)) + ε)",
        None,
    ),
    (
        {"type": "adamw", "weight_decay": 0.0, "amsgrad": True},
        "w - η (β₁ m + (1 - β₁) ∂L/∂w) / (1 - β₁^t) / (sqrt(max(vₘₐₓ,₁₁, β₂ v + (1 - β₂) (∂L/∂w)^2) / (1 - β₂^t)) + ε)",
        None,
    ),
    ({"type": "rmsprop"}, "w - η ∂L/∂w / (sqrt(α v + (1 - α) (∂L/∂w)^2) + ε)", None),
    (
        {"type": "rmsprop", "momentum": 0.5, "centered": True},
        "w - η (μ u + ∂L/∂w / (sqrt(α v + (1 - α) (∂L/∂w)^2 - (m + (1 - α) (∂L/∂w - m))^2) + ε))",
        None,
    ),
    ({"type": "adagrad"}, "w - η ∂L/∂w / (sqrt(s + (∂L/∂w)^2) + ε)", None),
    ({"type": "adagrad", "lr_decay": 0.1}, "w - (η / (1 + (t - 1) lr_decay)) ∂L/∂w / (sqrt(s + (∂L/∂w)^2) + ε)", None),
]


@pytest.mark.parametrize(("chosen", "first", "later"), READS, ids=str)
def test_only_what_the_options_put_in_is_there(chosen: dict[str, Any], first: str, later: str | None) -> None:
    config, one, two = notebook(optimizer=chosen)
    for state, expected in ((one, first), (two, later or first)):
        found = to_text(next_of(config, state, "output.weight.next[0][0]").formula)
        assert found.replace("²₁₁", "").replace("²ₘₐₓ", "ₘₐₓ") == expected


def test_a_slot_without_a_letter_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SGD, "slot_letters", {})
    config, _, state = notebook(optimizer={"type": "sgd", "momentum": 0.9})
    formula = to_text(next_of(config, state, "output.weight.next[0][0]").formula)
    assert formula == "w²₁₁ - η (μ momentum_buffer²₁₁ + ∂L/∂w²₁₁)"
    check_all(config, state, ["output.weight{}[0][0]"])


@pytest.mark.parametrize("kind", kinds(AnyOptimizer))
def test_every_slot_has_a_letter_of_its_own(kind: Any) -> None:
    names_of_slots = {slot for chosen in OPTIMIZERS for slot in make(optimizer=chosen).optimizer.slot_names()
                      if chosen["type"] == kind.type_name()}  # fmt: skip
    assert set(kind.slot_letters) >= names_of_slots
    assert len(set(kind.slot_letters.values())) == len(kind.slot_letters)


# ----- what stays as it is


def test_a_frozen_parameter() -> None:
    layers = [{**LAYERS[0], "trainable": False}, LAYERS[1]]
    config = make(layers=layers, optimizer="adam")
    state, data = start(config)
    state = gradients(config, state, data.train)
    explained = next_of(config, state, "hidden.weight.next[1][0]")
    assert explained.title == "hidden.weight[1][0] stays as it is: its layer is frozen"
    assert texts(explained)[0] == "w¹₂₁,ₙₑₓₜ = w¹₂₁"
    check(config, state, explained, passes.update(config, state), "hidden.weight[1][0]")
    for slot in ("exp_avg[0][0]", "step"):
        kept = slot_of(config, state, f"hidden.weight.state.{slot}")
        assert kept.title == f"hidden.weight.state.{slot} stays as it is: its layer is frozen"
        assert_whole(kept, "0" if slot == "step" else "0.00000")


def test_a_parameter_that_was_already_stepped() -> None:
    config = make(optimizer={"type": "sgd", "momentum": 0.9})
    state, data = start(config)
    state = passes.update(config, gradients(config, state, data.train), ["output.bias"])
    explained = next_of(config, state, "output.bias.next[0]")
    assert explained.title == "output.bias[0] stays as it is: it has already been stepped from this gradient"
    assert explained.value == state.parameters[-1]
    kept = slot_of(config, state, "output.bias.state.momentum_buffer[0]")
    assert kept.value == state.slots[0, -1] != 0


# ----- phases


def test_there_must_be_gradients() -> None:
    config = make(optimizer="adam")
    state, data = start(config)
    for at in (state, forward(config, state, data.train), step(config, state, data.train)):
        with pytest.raises(WrongPhase):
            next_of(config, at, "hidden.weight.next[0][0]")
        with pytest.raises(WrongPhase):
            slot_of(config, at, "hidden.weight.state.exp_avg[0][0]")


# ----- where the formula as it is written does not do


def test_a_square_that_overflows() -> None:
    config, state, _ = notebook(optimizer="adagrad")
    state = state._replace(gradients=read_only(np.full(9, 1e200)))
    explained = slot_of(config, state, "output.weight.state.sum[0][0]")
    assert explained.value == math.inf
    assert python_of(explained).endswith("* 1e+200")
    assert worth(python_of(explained)) == math.inf
    assert worth(python_of(next_of(config, state, "output.weight.next[0][0]"))) == 0.4


def test_a_divisor_of_0() -> None:
    config, state, _ = notebook(optimizer={"type": "adagrad", "eps": 0.0})
    state = state._replace(gradients=read_only(np.zeros(9)))
    explained = next_of(config, state, "output.weight.next[0][0]")
    assert math.isnan(explained.value)
    assert math.isnan(worth(python_of(explained)))


@pytest.mark.parametrize("chosen", [{"type": "rmsprop", "centered": True, "alpha": 0.5, "eps": 1e-14}], ids=str)
def test_cancellation_is_that_of_the_update(chosen: dict[str, Any]) -> None:
    config, state, _ = notebook(optimizer=chosen)
    for _ in range(60):  # the same gradient over and over: its mean square is the square of its mean
        after = passes.update(config, state)
        state = after._replace(phase="backward")
        explained = next_of(config, state, "output.weight.next[0][0]")
        assert worth(python_of(explained)) == pytest.approx(explained.value, rel=1e-12)


def test_an_infinite_value_is_written() -> None:
    config, state, _ = notebook(optimizer={"type": "sgd", "learning_rate": 1e308})
    state = state._replace(gradients=read_only(np.full(9, 1e308)))
    explained = next_of(config, state, "output.weight.next[0][0]")
    assert worth(python_of(explained)) == explained.value == -math.inf


def test_a_schedule_that_overflows() -> None:
    schedule = {"type": "step", "step_size": 1, "gamma": 1e200}
    config, state, _ = notebook(optimizer={"type": "sgd", "learning_rate": 0.5, "schedule": schedule})
    state = state._replace(steps=3)
    explained = next_of(config, state, "output.weight.next[0][0]")
    assert math.isinf(explained.value)
    assert worth(python_of(explained)) == explained.value


# ----- without an update


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ("default", "uniform from -0.70711 to 0.70711"),
        ({"type": "uniform", "a": 0.25, "b": 0.25}, "uniform from 0.25 to 0.25"),
        ("xavier_normal", "normal with mean 0 and standard deviation 0.63246"),
        ({"type": "normal", "mean": 2.0, "std": 0.0}, "normal with mean 2 and standard deviation 0"),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_draw(init: Any, expected: str, dtype: str) -> None:
    config = make(layers=[{"name": "hidden", "units": 3, "init": {"weight": init}}, {"units": 1}], dtype=dtype)
    state, _ = start(config)
    address = names.find(config, "hidden.weight[0][1]", "")
    value = float(state.parameters[1])
    initializer = config.network.layers[0].init.weight
    explained = updates.explain_initial(config, address, value, initializer)
    kind = initializer.type_name()  # type: ignore[union-attr]
    assert explained.title == f"hidden.weight[0][1], drawn by the initialiser {kind}: {expected}"
    assert (explained.of, explained.kind, to_text(explained.symbol)) == ("hidden.weight[0][1]", "initial", "w¹₁₂")
    assert python_of(explained) == repr(value)
    assert all(term.of is None for term in explained.terms)
    formula = put_in(explained.formula, by_plain_name(explained.terms))
    assert worth(to_python(formula)) == pytest.approx(value)
    uniform = "uniform" in expected
    assert to_text(explained.formula) == ("low + (high - low) u" if uniform else "mean + std n")


def test_a_value_from_the_config() -> None:
    config, state, _ = notebook()
    address = names.find(config, "output.weight[0][0]", "")
    givens: list[Any] = [0.4, [[0.4, 0.45]]]
    for given in givens:
        explained = updates.explain_initial(config, address, 0.4, given)
        assert explained.title == "output.weight[0][0], given in the config"
        assert (explained.kind, explained.terms, python_of(explained)) == ("initial", (), "0.4")
    initializers: list[Any] = ["zeros", {"type": "constant", "val": 0.4}]
    for init in initializers:
        spec = Init.model_validate({"weight": init}).weight
        explained = updates.explain_initial(config, address, 0.4, spec)
        assert explained.title.startswith("output.weight[0][0], set by the initialiser ")
        assert explained.terms == ()
    assert state.phase == "backward"


def test_an_edit() -> None:
    config, _, _ = notebook()
    explained = updates.explain_edit(config, names.find(config, "hidden.bias[0]", ""), 0.3)
    assert (explained.kind, explained.title, explained.terms) == ("edit", "hidden.bias[0], set by hand", ())
    assert texts(explained) == ("b¹ = 0.3", "0.30000")


def test_a_slot_that_no_update_has_set() -> None:
    config, _, _ = notebook(optimizer={"type": "adagrad", "initial_accumulator_value": 0.1}, dtype="float32")
    explained = updates.explain_unset_slot(config, names.find(config, "output.weight.state.sum[0][1]", ""))
    assert explained.title == "output.weight.state.sum[0][1] as it starts, before any update"
    assert (explained.kind, to_text(explained.symbol), explained.terms) == ("slot", "s²₁₂", ())
    assert explained.value == float(np.float32(0.1))
    counted = updates.explain_unset_slot(config, names.find(config, "output.weight.state.step", ""))
    assert_whole(counted, "0")
    assert to_text(counted.symbol) == "step"
