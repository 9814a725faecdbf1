"""Schedules: the learning rate of each step."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from app.engine.schedules import AnySchedule, Schedule

from .networks import (
    assert_close,
    make,
    start,
    step,
    train,
    worth,
)


def rates(schedule: Any, count: int, base: float = 0.8) -> list[float]:
    built: Schedule = TypeAdapter(AnySchedule).validate_python(schedule)
    return [built.rate(base, steps) for steps in range(count)]


def test_constant() -> None:
    assert rates("constant", 3) == [0.8, 0.8, 0.8]


def test_step() -> None:
    assert rates({"type": "step", "step_size": 2}, 5) == pytest.approx([0.8, 0.8, 0.08, 0.08, 0.008])


def test_exponential() -> None:
    assert rates({"type": "exponential", "gamma": 0.5}, 4) == [0.8, 0.4, 0.2, 0.1]


def test_cosine_comes_back_up() -> None:
    found = rates({"type": "cosine", "T_max": 4, "eta_min": 0.2}, 9)
    assert found[::2] == pytest.approx([0.8, 0.5, 0.2, 0.5, 0.8])
    assert found[1] == pytest.approx(0.2 + 0.3 * (1 + 0.5**0.5))


@pytest.mark.parametrize(
    "options",
    [
        {"type": "constant"},
        {"type": "step", "step_size": 3, "gamma": 0.5},
        {"type": "exponential", "gamma": 0.9},
        {"type": "cosine", "T_max": 7, "eta_min": 0.01},
    ],
    ids=str,
)
def test_each_is_its_formula(options: dict[str, Any]) -> None:
    built: Any = TypeAdapter(AnySchedule).validate_python(options)
    for t, rate in enumerate(rates(options, 20)):
        values = {
            "eta": 0.8,
            "t": t,
            "gamma": getattr(built, "gamma", 0),
            "floor(t / step_size)": t // 3,
            "eta_min": getattr(built, "eta_min", 0),
            "T_max": getattr(built, "T_max", 0),
        }
        assert rate == pytest.approx(worth(built.formula, **values))


@pytest.mark.parametrize("options", [{"type": "constant"}, {"type": "exponential", "gamma": 0.5}], ids=str)
def test_a_warm_up_comes_before_it(options: dict[str, Any]) -> None:
    warm = rates({**options, "warmup": {"start_factor": 0.2, "total_iters": 4}}, 8)
    assert warm[:4] == pytest.approx([0.16, 0.32, 0.48, 0.64])
    assert warm[4:] == pytest.approx(rates(options, 4))


def test_the_warm_up_by_default() -> None:
    third = 0.8 / 3
    assert rates({"type": "constant", "warmup": {}}, 6) == pytest.approx(np.linspace(third, 0.8, 6))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_training_steps_by_it(dtype: str) -> None:
    schedule = {"type": "exponential", "gamma": 0.5, "warmup": {"total_iters": 2}}
    config = make(optimizer={"type": "sgd", "learning_rate": 0.4, "schedule": schedule}, dtype=dtype)
    state, data = start(config)
    trained = train(config, state, data, epochs=4)
    assert [entry["learning_rate"] for entry in trained.entries] == rates(schedule, 4, 0.4)
    moved = []
    for _ in range(4):
        after = step(config, state, data.train)
        assert after.gradients is not None
        moved.append(np.linalg.norm(after.parameters - state.parameters) / np.linalg.norm(after.gradients))
        state = after
    assert_close(moved, rates(schedule, 4, 0.4), rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"type": "step"},
        {"type": "step", "step_size": 0},
        {"type": "exponential"},
        {"type": "exponential", "gamma": 1.5},
        {"type": "cosine", "T_max": 0},
        {"type": "constant", "warmup": {"start_factor": 0}},
        {"type": "constant", "warmup": {"total_iters": 0}},
        {"type": "constant", "warmup": {"other": 1}},
    ],
    ids=str,
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rates(options, 1)


def test_far_ahead_nothing_overflows() -> None:
    for options in ({"type": "step", "step_size": 1}, {"type": "exponential", "gamma": 0.5}):
        built: Schedule = TypeAdapter(AnySchedule).validate_python(options)
        assert built.rate(1.0, 10**6) == 0
