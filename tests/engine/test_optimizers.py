"""Optimizers: the rules, what they remember, and the clipping before them."""

import math
import sys
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from app.engine import passes, tensors
from app.engine.network import Config
from app.engine.optimizers import AnyOptimizer, Clip, Optimizer
from app.engine.spec import Array, kinds
from app.engine.state import carry_slots

from .networks import (
    assert_close,
    assert_equal,
    forward,
    gradients,
    make,
    start,
    step,
    worth,
)

NAMES = [kind.type_name() for kind in kinds(AnyOptimizer)]


def optimizer(**options: Any) -> Optimizer:
    built: Optimizer = TypeAdapter(AnyOptimizer).validate_python(options)
    return built


def follow(options: dict[str, Any], slopes: list[float], start_at: float = 1.0) -> tuple[list[float], Array]:
    """Where one parameter goes along these gradients, and its slots at the end."""
    built = optimizer(**options)
    p = np.array([start_at])
    slots = np.array([[built.initial(name) or 0.0] for name in built.slot_names()]).reshape(-1, 1)
    path = []
    for t, slope in enumerate(slopes, 1):
        rate = np.array(built.rate(t - 1))
        built.update(p, np.array([slope]), slots, t, rate, np.empty(1))
        path.append(float(p[0]))
    return path, slots


# ----- rules


def test_sgd_is_its_formula() -> None:
    (w,), _ = follow({"type": "sgd", "learning_rate": 0.1}, [3.0])
    assert w == pytest.approx(worth(optimizer(type="sgd").formula, w=1, eta=0.1, g=3))


def test_sgd_with_momentum() -> None:
    path, (buffer,) = follow({"type": "sgd", "learning_rate": 0.1, "momentum": 0.5}, [1, 1, 1])
    assert path == pytest.approx([1 - 0.1, 1 - 0.1 - 0.15, 1 - 0.1 - 0.15 - 0.175])
    assert buffer == pytest.approx(1.75)


def test_dampening_spares_the_first_gradient() -> None:
    _, (buffer,) = follow({"type": "sgd", "momentum": 0.5, "dampening": 0.75}, [1, 1])
    assert buffer == pytest.approx(1 * 0.5 + 0.25)


def test_nesterov_looks_ahead() -> None:
    path, _ = follow({"type": "sgd", "learning_rate": 0.1, "momentum": 0.5, "nesterov": True}, [1])
    assert path == pytest.approx([1 - 0.1 * (1 + 0.5)])


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_is_its_formula(name: str) -> None:
    options = {"type": name, "learning_rate": 0.1, "betas": [0.8, 0.9], "eps": 0.01, "weight_decay": 0.0}
    path, (m, v) = follow(options, [2.0, -1.0])
    assert m == pytest.approx(0.2 * 2 * 0.8 - 0.2)
    assert v == pytest.approx(0.1 * 4 * 0.9 + 0.1)
    values = {"w": path[0], "eta": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.01, "t": 2, "lambda": 0.0}
    assert path[1] == pytest.approx(worth(optimizer(**options).formula, **values, m=m[0], v=v[0]))


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient() -> None:
    for slope in (1e-3, 1.0, 1e6):
        assert follow({"type": "adam", "learning_rate": 0.1}, [slope])[0] == pytest.approx([0.9], rel=1e-4)


def test_amsgrad_never_forgets_the_largest() -> None:
    _, slots = follow({"type": "adam", "amsgrad": True}, [10.0, *[0.1] * 50])
    assert slots[2] == pytest.approx(0.1, rel=1e-2)  # what the first gradient left: 0.001 · 10²
    assert slots[1] < slots[2]


def test_rmsprop_is_its_formula() -> None:
    options = {"type": "rmsprop", "learning_rate": 0.1, "alpha": 0.75, "eps": 0.01}
    path, (square,) = follow(options, [2.0, -1.0])
    assert square == pytest.approx(0.25 * 4 * 0.75 + 0.25)
    expected = worth(optimizer(**options).formula, w=path[0], eta=0.1, g=-1, v=square[0], epsilon=0.01)
    assert path[1] == pytest.approx(expected)


def test_centered_rmsprop_divides_by_the_deviation_from_the_mean() -> None:
    path, (square, mean) = follow({"type": "rmsprop", "learning_rate": 0.1, "alpha": 0.75, "centered": True}, [2.0])
    assert (square, mean) == (pytest.approx(1), pytest.approx(0.5))
    assert path == pytest.approx([1 - 0.1 * 2 / math.sqrt(1 - 0.25)])


def test_rmsprop_with_momentum() -> None:
    _, (_, buffer) = follow({"type": "rmsprop", "alpha": 0.75, "momentum": 0.5, "eps": 0}, [1.0, 0.0])
    assert buffer == pytest.approx(2 * 0.5)


def test_adagrad_is_its_formula() -> None:
    options = {"type": "adagrad", "learning_rate": 0.1, "initial_accumulator_value": 5.0, "eps": 0.01}
    path, (total,) = follow(options, [2.0, -1.0])
    assert total == pytest.approx(5 + 4 + 1)
    expected = worth(optimizer(**options).formula, w=path[0], eta=0.1, g=-1, s=total[0], epsilon=0.01)
    assert path[1] == pytest.approx(expected)


def test_adagrads_learning_rate_decays_by_updates() -> None:
    path, _ = follow({"type": "adagrad", "learning_rate": 0.1, "lr_decay": 1.0, "eps": 0}, [3.0, 0.0, 4.0])
    assert path == pytest.approx([0.9, 0.9, 0.9 - 0.1 / 3 * 4 / 5])


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "adagrad"])
def test_weight_decay_is_part_of_the_gradient(name: str) -> None:
    with_decay, _ = follow({"type": name, "weight_decay": 0.5}, [1.0], start_at=2.0)
    by_hand, _ = follow({"type": name}, [1.0 + 0.5 * 2.0], start_at=2.0)
    assert with_decay == pytest.approx(by_hand)


def test_adamw_decays_the_parameter_itself() -> None:
    assert follow({"type": "adamw", "learning_rate": 0.1, "weight_decay": 0.5}, [0.0])[0] == pytest.approx([0.95])
    assert optimizer(type="adamw").weight_decay == 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_learning_rate_of_0_moves_nothing(name: str) -> None:
    config = make(optimizer={"type": name, "learning_rate": 0.0})
    state, data = start(config)
    assert_equal(step(config, state, data.train).parameters, state.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_brings_the_loss_down(name: str) -> None:
    config = make(optimizer={"type": name, "learning_rate": 0.05})
    state, data = start(config)
    before = forward(config, state, data.train).loss
    for _ in range(100):
        state = step(config, state, data.train)
    assert state.loss is not None
    assert before is not None
    assert state.loss < 0.9 * before


# ----- clipping


def test_clip_by_norm_scales_to_it_and_never_up() -> None:
    clip = Clip(type="norm", value=1.0)
    assert_close(clip.apply(np.array([3.0, 4.0]), 5.0), [0.6, 0.8], rtol=1e-6)
    assert_equal(clip.apply(np.array([0.3, 0.4]), 0.5), [0.3, 0.4])


def test_clip_by_value_is_entry_by_entry() -> None:
    clip = Clip(type="value", value=1.0)
    assert_equal(clip.apply(np.array([3.0, -0.5, -4.0]), math.inf), [1, -0.5, -1])


def test_the_norm_is_of_all_parameters_even_if_one_is_updated() -> None:
    config = make(optimizer={"type": "sgd", "learning_rate": 1.0, "clip": {"type": "norm", "value": 1e-3}})
    state, data = start(config)
    backward = gradients(config, state, data.train)
    apart = backward
    for name in config.network.trainable:
        apart = passes.update(config, apart, [name])
    assert_equal(apart.parameters, passes.update(config, backward).parameters)
    assert np.linalg.norm(apart.parameters - state.parameters) == pytest.approx(1e-3, rel=0.05)


NORMS = [("float64", 10.0**e) for e in (-300, -25, -12, 0, 12, 25, 300)]
NORMS += [("float32", 10.0**e) for e in (-37, -25, 0, 25, 37)]


def with_units(units: int, dtype: str = "float64") -> tuple[Config, Array]:
    """A network of one layer, and a vector for its gradients."""
    config = make(layers=[{"units": units}], dtype=dtype, data=None)
    return config, np.zeros(config.network.parameter_count, dtype)


@pytest.mark.parametrize("units", [3, 30])
@pytest.mark.parametrize(("dtype", "scale"), NORMS)
def test_the_norm_neither_overflows_nor_vanishes(dtype: str, scale: float, units: int) -> None:
    config, vector = with_units(units, dtype)
    vector.fill(scale)
    with np.errstate(all="ignore"):
        assert passes.Norm(config, vector)() == pytest.approx(scale * math.sqrt(len(vector)), rel=1e-6)


@pytest.mark.parametrize("units", [3, 30])
def test_a_norm_that_no_float_can_hold_is_the_largest_float(units: int) -> None:
    config, vector = with_units(units)
    vector.fill(-1.7e308)
    with np.errstate(all="ignore"):
        assert passes.Norm(config, vector)() == sys.float_info.max


@pytest.mark.parametrize("units", [3, 30])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_the_norm_of_what_is_not_finite_is_not(value: float, units: int) -> None:
    config, vector = with_units(units)
    assert passes.Norm(config, vector)() == 0
    vector[1] = value
    with np.errstate(all="ignore"):
        assert not math.isfinite(passes.Norm(config, vector)())


# ----- slots

SLOTS: list[tuple[dict[str, Any], dict[str, float | None], list[str]]] = [
    ({"type": "sgd"}, {}, []),
    ({"type": "sgd", "momentum": 0.9}, {"momentum_buffer": None}, ["momentum_buffer"]),
    ({"type": "adam"}, {"exp_avg": 0, "exp_avg_sq": 0, "step": 0}, ["exp_avg", "exp_avg_sq"]),
    (
        {"type": "adamw", "amsgrad": True},
        {"exp_avg": 0, "exp_avg_sq": 0, "max_exp_avg_sq": 0, "step": 0},
        ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    ),
    ({"type": "rmsprop"}, {"square_avg": 0, "step": 0}, ["square_avg"]),
    (
        {"type": "rmsprop", "momentum": 0.9, "centered": True},
        {"square_avg": 0, "momentum_buffer": 0, "grad_avg": 0, "step": 0},
        ["square_avg", "momentum_buffer", "grad_avg"],
    ),
    ({"type": "adagrad", "initial_accumulator_value": 0.5}, {"sum": 0.5, "step": 0}, ["sum"]),
]


@pytest.mark.parametrize(("options", "before", "after"), SLOTS)
def test_slots_go_by_pytorchs_names(options: dict[str, Any], before: dict[str, Any], after: list[str]) -> None:
    config = make(optimizer=options)
    state, data = start(config)
    slots = tensors.slots(config, state, config.network.parameters[0])
    largest = {name: None if value is None else np.asarray(value).max() for name, value in slots.items()}
    assert largest == before
    slots = tensors.slots(config, step(config, state, data.train), config.network.parameters[0])
    assert [name for name, value in slots.items() if isinstance(value, np.ndarray)] == after
    assert all(np.asarray(slots[name]).shape == (3, 2) for name in after)
    assert slots.get("step", 1) == 1


def carried(before: dict[str, Any], after: dict[str, Any]) -> tuple[Any, Any, Any]:
    """A state after two steps, the same under another optimizer, and that optimizer's config."""
    one, other = make(optimizer=before), make(optimizer=after)
    state, data = start(one)
    state = step(one, step(one, state, data.train), data.train)
    return state, carry_slots(one, other, state), other


def test_a_changed_option_keeps_the_slots() -> None:
    state, after, _ = carried({"type": "adam"}, {"type": "adam", "learning_rate": 0.5})
    assert_equal(after.slots, state.slots)
    assert after.updates == state.updates


def test_a_new_slot_starts_empty_and_one_that_is_gone_goes() -> None:
    state, after, config = carried(
        {"type": "rmsprop", "momentum": 0.5}, {"type": "rmsprop", "momentum": 0.5, "centered": True}
    )
    assert_equal(after.slots[:2], state.slots)
    assert not after.slots[2].any()
    assert not after.slots.flags.writeable
    state, after, config = carried({"type": "rmsprop", "momentum": 0.5}, {"type": "rmsprop"})
    assert list(tensors.slots(config, after, config.network.parameters[0])) == ["square_avg", "step"]
    assert_equal(after.slots[0], state.slots[0])


@pytest.mark.parametrize(
    ("before", "after"), [({"type": "adam"}, {"type": "adamw"}), ({"type": "sgd"}, {"type": "sgd", "momentum": 0.9})]
)
def test_another_optimizer_starts_afresh(before: dict[str, Any], after: dict[str, Any]) -> None:
    state, fresh, config = carried(before, after)
    assert fresh.updates == (0, 0, 0, 0)
    assert not fresh.slots.any()
    assert fresh.steps == state.steps == 2
    assert np.isfinite(step(config, fresh, start(config)[1].train).parameters).all()


# ----- options


@pytest.mark.parametrize(
    "options",
    [
        {"type": "sgd", "nesterov": True},
        {"type": "sgd", "nesterov": True, "momentum": 0.9, "dampening": 0.1},
        {"type": "sgd", "learning_rate": -1},
        {"type": "sgd", "momentum": -1},
        {"type": "adam", "betas": [0.9]},
        {"type": "adam", "betas": [0.9, 1.0]},
        {"type": "adam", "betas": [-0.1, 0.9]},
        {"type": "adam", "eps": -1},
        {"type": "adam", "clip": "norm"},
        {"type": "adam", "clip": {"type": "norm", "value": 0}},
        {"type": "adam", "schedule": "step"},
        {"type": "adagrad", "initial_accumulator_value": -1},
    ],
    ids=str,
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        optimizer(**options)
