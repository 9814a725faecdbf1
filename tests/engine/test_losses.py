"""Losses compute what their formulas say, reduce as they are told, and count right answers."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

from app.engine import passes, tensors
from app.engine.losses import AnyLoss, Loss
from app.engine.spec import Array, kinds

from .networks import (
    assert_close,
    forward,
    gradients,
    make,
    start,
    worth,
)

NAMES = [kind.type_name() for kind in kinds(AnyLoss)]
ANSWERS = [[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]
TARGETS: dict[str, list[Any]] = {
    "values": [[0.5, -1.0, 0.25], [1.5, 0.0, 0.75]],
    "probabilities": [[0.0, 1.0, 0.25], [0.5, 0.125, 1.0]],
    "classes": [1, 0],
    "classes_or_probabilities": [[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]],
}


def run(loss: Any, targets: Any = None, answers: Any = ANSWERS, dtype: str = "float64") -> tuple[Loss, float, Array]:
    """The loss, what it comes to, and its gradient, where the network answers this."""
    kind = {"type": loss} if isinstance(loss, str) else loss
    if targets is None:
        targets = TARGETS[next(each for each in kinds(AnyLoss) if each.type_name() == kind["type"]).targets]  # type: ignore[attr-defined]
    n, units = len(answers), len(answers[0])
    weight = np.array(answers).T.tolist()  # row i of the identity picks answer i
    layer = {"units": units, "bias": "none", "init": {"weight": weight}}
    rows = {"type": "inline", "inputs": np.eye(n).tolist(), "targets": targets}
    config = make(inputs=n, layers=[layer], loss=kind, data=rows, dtype=dtype)
    state, data = start(config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = gradients(config, state, data.train)
    dL_da = tensors.traces(config, state)[0].dL_da
    assert state.loss is not None
    assert dL_da is not None
    return config.loss, state.loss, dL_da


@pytest.mark.parametrize("name", ["half_squared_error", "mse", "mae", "huber", "bce", "bce_with_logits"])
def test_it_computes_its_formula_and_derivative(name: str) -> None:
    loss, value, dL_da = run({"type": name, "delta": 0.6} if name == "huber" else name)
    targets = TARGETS[loss.targets]
    pairs = [(y, t) for ys, ts in zip(ANSWERS, targets, strict=True) for y, t in zip(ys, ts, strict=True)]
    values = {"n": 2.0, "m": 6.0, **({"delta": 0.6} if name == "huber" else {})}
    for (y, t), slope in zip(pairs, dL_da.ravel(), strict=True):
        assert slope == pytest.approx(worth(loss.derivative, y=y, t=t, **values))

    bodies = {
        "half_squared_error": lambda y, t: (y - t) ** 2 / 2 / 2,
        "mse": lambda y, t: (y - t) ** 2 / 6,
        "mae": lambda y, t: abs(y - t) / 6,
        "huber": lambda y, t: ((y - t) ** 2 / 2 if abs(y - t) < 0.6 else 0.6 * (abs(y - t) - 0.3)) / 6,
        "bce": lambda y, t: -(t * math.log(y) + (1 - t) * math.log(1 - y)) / 6,
        "bce_with_logits": lambda y, t: (math.log(1 + math.exp(y)) - t * y) / 6,
    }
    assert value == pytest.approx(sum(bodies[name](y, t) for y, t in pairs))


@pytest.mark.parametrize("targets", [[1, 0], [[0, 1, 0], [1, 0, 0]], TARGETS["classes_or_probabilities"]], ids=str)
def test_cross_entropy(targets: list[Any]) -> None:
    loss, value, dL_da = run("cross_entropy", targets)
    total = 0.0
    for sample, ys in enumerate(ANSWERS):
        ts = targets[sample]
        if isinstance(ts, int):
            ts = [float(k == ts) for k in range(3)]
        units = {f"y_{k}": y for k, y in enumerate(ys, 1)}
        total += worth(loss.formula, **units, **{f"t_{k}": t for k, t in enumerate(ts, 1)}, n=2)
        for k in range(3):
            slope = worth(loss.derivative, **units, y_k=ys[k], t_k=ts[k], n=2)
            assert dL_da[sample, k] == pytest.approx(slope)
    assert value == pytest.approx(total)


def test_nll() -> None:
    loss, value, dL_da = run("nll", [1, 2])
    assert value == pytest.approx(-(0.5 + 0.8) / 2)
    assert dL_da.tolist() == [[worth(loss.derivative, k=k, t=t, n=2) for k in range(3)] for t in (1, 2)]


@pytest.mark.parametrize("name", NAMES)
def test_a_sum_is_a_mean_times_what_it_is_over(name: str) -> None:
    loss, mean, mean_slope = run({"type": name, "reduction": "mean"})
    _, total, total_slope = run({"type": name, "reduction": "sum"})
    count = 2 if loss.per_sample else 6
    assert total == pytest.approx(count * mean)
    assert_close(total_slope, count * mean_slope, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_gradient_is_of_the_dtype(name: str, dtype: str) -> None:
    _, value, dL_da = run(name, dtype=dtype)
    assert type(value) is float
    assert dL_da.dtype == dtype


def test_derivatives_at_the_kinks_are_zero_or_the_bound() -> None:
    _, _, slope = run("mae", targets=[[0.2, 0.0, 0.0]], answers=[[0.2, 0.5, -0.5]])
    assert_close(slope, [[0, 1 / 3, -1 / 3]])
    _, value, slope = run({"type": "huber", "delta": 0.5}, targets=[[0.0, 0.0]], answers=[[0.5, -0.5]])
    assert value == pytest.approx(0.125)
    assert_close(slope, [[0.25, -0.25]])


def test_bce_is_finite_at_0_and_1() -> None:
    """As in PyTorch: logarithms are at least -100, the gradient's divisor at least 1e-12."""
    _, value, slope = run("bce", targets=[[0.0, 1.0, 1.0, 0.0]], answers=[[0.0, 1.0, 0.0, 1.0]])
    assert value == pytest.approx(50)
    assert_close(slope, [[0, 0, -0.25e12, 0.25e12]])


@pytest.mark.parametrize("outside", [-0.01, 1.01, -1e4, 1e4])
def test_bce_of_what_is_no_probability_is_nan(outside: float) -> None:
    _, value, slope = run("bce", targets=[[0.5, 0.5]], answers=[[outside, 0.25]])
    assert math.isnan(value)
    assert np.isnan(slope).tolist() == [[True, False]]


def test_bce_of_logits_is_bce_of_their_sigmoid() -> None:
    logits = np.array(ANSWERS)
    _, one, _ = run("bce_with_logits", targets=TARGETS["probabilities"])
    _, other, _ = run("bce", targets=TARGETS["probabilities"], answers=(1 / (1 + np.exp(-logits))).tolist())
    assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("loss", "answers", "targets", "accuracy"),
    [
        ("bce", [[0.9, 0.2], [0.4, 0.6]], [[1, 0], [1, 0]], 2 / 4),
        ("bce_with_logits", [[3, -2], [0.1, 6]], [[1, 0], [1, 0]], 3 / 4),
        ("cross_entropy", [[3, 4, 2], [9, 1, 1]], [1, 2], 1 / 2),
        ("cross_entropy", [[3, 4, 2], [9, 1, 1]], [[0, 0.75, 0.25], [1, 0, 0]], 1),
        ("nll", [[-3, -1], [-1, -2]], [1, 1], 1 / 2),
    ],
)
def test_accuracy(loss: str, answers: Any, targets: Any, accuracy: float) -> None:
    units, n = len(answers[0]), len(answers)
    layer = {"units": units, "bias": "none", "init": {"weight": np.array(answers, float).T.tolist()}}
    data_spec = {"type": "inline", "inputs": np.eye(n).tolist(), "targets": targets}
    config = make(inputs=n, layers=[layer], loss=loss, data=data_spec)
    state, data = start(config)
    value, share = passes.evaluate(config, state.parameters, data.train)
    assert share == accuracy
    assert value == forward(config, state, data.train).loss


def test_which_losses_classify() -> None:
    classify = {kind.type_name() for kind in kinds(AnyLoss) if kind.classifies}  # type: ignore[attr-defined]
    assert classify == {"bce", "bce_with_logits", "cross_entropy", "nll"}
