"""Estimates of cost hold what is really taken, and never shrink when more is asked for."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.engine import cost, passes, training
from app.engine.plan import Ending, Plan
from app.engine.stops import DeadUnitsAbove, Expression, ParameterOutside, SaturatedUnitsAbove, UpdateRatioAbove

from .networks import (
    gradients,
    make,
    no_time,
    slow_clock,
    start,
    step,
    train,
)
from .random_configs import random_configs

CONFIGS = [(make(**fields), len(fields["data"]["inputs"])) for fields in random_configs(30)]


def test_a_session_fits_its_estimate() -> None:
    for config, n in CONFIGS:
        state, data = start(config)
        whole = step(config, state, data.train)
        half = passes.update(config, gradients(config, whole, data.train), config.network.trainable[:1])
        held = data.nbytes + half.nbytes + whole.nbytes
        assert held <= cost.state_bytes(config, n, n)
        assert half.nbytes <= cost.state_bytes(config, n)


def big(**fields: Any) -> Any:
    """A network and data of some megabytes, so that all else is small beside them."""
    layers = [
        {"units": 300, "activation": fields.pop("activation", "tanh")},
        {"units": 200, "activation": "silu"},
        {"units": 10},
    ]
    n = 400
    rows = {"type": "inline", "inputs": [[0.01 * (i % 7)] * 100 for i in range(n)], "targets": [[0.5] * 10] * n}
    return make(inputs=100, layers=layers, data=rows, **fields)


def peak(work: Callable[[], Any]) -> int:
    """The most memory that is newly held at any time during the work."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", ["sgd", {"type": "adam", "amsgrad": True}])
@pytest.mark.parametrize("activation", ["tanh", "gelu", "softmax"])
def test_what_is_taken_at_work_fits_too(activation: str, optimizer: Any, dtype: str) -> None:
    config = big(activation=activation, optimizer=optimizer, dtype=dtype)
    state, data = start(config)
    state = step(config, state, data.train)
    n = len(data.train)
    assert peak(lambda: step(config, state, data.train)) <= 1.2 * cost.state_bytes(config, n)
    assert peak(lambda: passes.predict(config, state.parameters, data.train.inputs)) <= 1.2 * cost.predict_bytes(
        config, n
    )
    taken = peak(lambda: train(config, state, data, epochs=3))
    assert taken <= 1.2 * cost.training_bytes(config, Plan(epochs=3), n, 0)
    taken = peak(lambda: train(config, state, data, epochs=3, batch_size=150, shuffle=True))
    assert taken <= 1.2 * cost.training_bytes(config, Plan(epochs=3, batch_size=150, shuffle=True), n, 0)
    taken = peak(lambda: train(config, state, data, epochs=3, stop=WATCHED))
    assert taken <= 1.2 * cost.training_bytes(config, Plan(epochs=3, stop=WATCHED), n, 0)


@pytest.mark.parametrize("optimizer", ["sgd", {"type": "adam", "amsgrad": True}])
@pytest.mark.parametrize("loss", ["mse", "bce_with_logits"])
def test_what_is_kept_for_the_entry_of_a_last_epoch_fits_too(optimizer: Any, loss: str) -> None:
    config = big(optimizer=optimizer, loss=loss)
    state, data = start(config)
    state = step(config, state, data.train)
    plan: dict[str, Any] = {"epochs": 40, "batch_size": 150, "report_every": 50, "endings": {3: Ending("cancelled")}}
    taken = peak(lambda: train(config, state, data, slow_clock(0.002), **plan))
    allowed = cost.training_bytes(config, Plan(batch_size=150, report_every=50), len(data.train), 0)
    assert taken <= 1.2 * allowed


WATCHED = (
    UpdateRatioAbove(value=1e9),
    ParameterOutside(parameter="layer1.weight", high=1e9),
    SaturatedUnitsAbove(value=1.0),
    DeadUnitsAbove(value=1.0),
)


@pytest.mark.parametrize("told", [{"frames": True}, {"probe": np.ones((300, 100))}, {"probe": np.ones((2000, 100))}])
def test_what_goes_with_an_entry_fits_too_until_it_is_told(told: dict[str, Any]) -> None:
    config = big()
    state, data = start(config)
    state = step(config, state, data.train)
    plan = Plan(epochs=6, **told)

    def run() -> None:
        for progress in training.train(config, state, data, plan, no_time):
            del progress

    assert peak(run) <= 1.2 * cost.training_bytes(config, plan, len(data.train), 0)


def test_estimates_are_not_absurd() -> None:
    config = big()
    state, data = start(config)
    n = len(data.train)
    taken = peak(lambda: step(config, state, data.train))
    assert cost.state_bytes(config, n) <= 5 * taken


def test_work_grows_with_everything() -> None:
    for config, n in CONFIGS:
        assert cost.forward_work(config, n) < cost.forward_work(config, n + 1)
        assert cost.backward_work(config, n) < cost.backward_work(config, n + 1)
        assert cost.backward_work(config, n) == 2 * cost.forward_work(config, n)
        assert cost.update_work(config) > 0
        assert cost.state_bytes(config, n) < cost.state_bytes(config, n + 1)
        assert cost.state_bytes(config, n) < cost.state_bytes(config, n, 1)
        assert cost.predict_bytes(config, n) < cost.predict_bytes(config, n + 1)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"epochs": 3}, {"epochs": 4}),
        ({"epochs": 3, "batch_size": 4}, {"epochs": 3, "batch_size": 2}),
        ({"epochs": 9, "report_every": 3}, {"epochs": 9, "report_every": 1}),
        ({"epochs": 3, "batch_size": 3, "drop_last": True}, {"epochs": 3, "batch_size": 3}),
        ({"epochs": 3}, {"epochs": 3, "stop": (UpdateRatioAbove(value=1.0),)}),
        ({"epochs": 3, "probe": np.ones((3, 2))}, {"epochs": 3, "probe": np.ones((4, 2))}),
        ({"epochs": 9, "probe": np.ones((3, 2)), "report_every": 3}, {"epochs": 9, "probe": np.ones((3, 2))}),
        ({"stop": (Expression(value="loss < 1"),)}, {"stop": (Expression(value="test_loss < 1"),)}),
    ],
)
def test_a_training_costs_by_its_plan(less: dict[str, Any], more: dict[str, Any]) -> None:
    for config, _ in CONFIGS:
        assert cost.training_work(config, Plan(**less), 8, 2) < cost.training_work(config, Plan(**more), 8, 2)
        assert cost.training_work(config, Plan(**less), 8, 0) < cost.training_work(config, Plan(**less), 8, 1)


def test_more_layers_and_units_cost_more() -> None:
    small, wide, deep = (
        make(layers=layers, data=None) for layers in ([{"units": 3}], [{"units": 4}], [{"units": 3}, {"units": 3}])
    )
    for config in (wide, deep):
        assert cost.forward_work(small, 5) < cost.forward_work(config, 5)
        assert cost.update_work(small) < cost.update_work(config)
        assert cost.state_bytes(small, 5) < cost.state_bytes(config, 5)


def test_float32_is_half_as_large() -> None:
    wide, narrow = big(), big(dtype="float32")
    assert cost.state_bytes(narrow, 400) == pytest.approx(cost.state_bytes(wide, 400) / 2, rel=0.01)


def test_sizes_far_beyond_any_memory_are_worked_out_at_once() -> None:
    config = make(inputs=2**31 - 1, layers=[{"units": 2**31 - 1}] * 1000, data=None)
    assert cost.state_bytes(config, 10**6) > 10**21
    assert cost.training_work(config, Plan(epochs=10**9), 10**6, 10**6) > 10**30
