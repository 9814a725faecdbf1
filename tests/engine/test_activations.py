"""Activations compute what their formulas say."""

import math
from typing import Any

import numpy as np
import pytest

from app.engine import tensors
from app.engine.activations import AnyActivation, Softmax
from app.engine.spec import Array, kinds

from .networks import (
    assert_close,
    gradients,
    make,
    start,
    worth,
)

POINTS = [-3.0, -1.5, -0.5, 0.0, 0.25, 0.75, 1.0, 2.5]
OPTIONS: list[dict[str, Any]] = [
    *({"type": kind.type_name()} for kind in kinds(AnyActivation) if kind.type_name() != "softmax"),
    {"type": "leaky_relu", "negative_slope": 0.3},
    {"type": "elu", "alpha": 0.5},
    {"type": "softplus", "beta": 3.0, "threshold": 2.0},
]


def run(activation: Any, points: list[float] = POINTS) -> tuple[Any, tensors.Trace]:
    """The activation, and its trace at these pre-activations."""
    layer = {"units": len(points), "activation": activation, "init": {"weight": 0.0, "bias": points}}
    row = {"type": "inline", "inputs": [[1.0]], "targets": [[0.5] * len(points)]}
    config = make(inputs=1, layers=[layer], data=row)
    state, data = start(config)
    return config.network.layers[0].activation, tensors.traces(config, gradients(config, state, data.train))[0]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_computes_its_formula_and_its_derivative(options: dict[str, Any]) -> None:
    activation, trace = run(options)
    assert trace.a is not None
    assert trace.da_dz is not None
    values = {name: value for name, value in activation if isinstance(value, float)}
    for z, a, slope in zip(POINTS, trace.a[0].tolist(), trace.da_dz[0].tolist(), strict=True):
        assert a == pytest.approx(worth(activation.formula, z=z, **values), abs=1e-15)
        assert slope == pytest.approx(worth(activation.derivative, z=z, a=a, **values), abs=1e-15)


def test_gelu_by_its_approximation() -> None:
    _, trace = run({"type": "gelu", "approximate": "tanh"})
    _, exact = run("gelu")
    assert trace.a is not None
    for z, a in zip(POINTS, trace.a[0], strict=True):
        assert a == pytest.approx(z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))), abs=1e-15)
    assert_close(trace.a, exact.a, atol=1e-3)
    assert_close(trace.da_dz, exact.da_dz, atol=1e-3)


def test_softmax_computes_its_formula() -> None:
    softmax, trace = run("softmax")
    assert trace.a is not None
    assert trace.a.sum() == pytest.approx(1)
    units = {f"z_{k}": z for k, z in enumerate(POINTS, 1)}
    for z, a in zip(POINTS, trace.a[0], strict=True):
        assert a == pytest.approx(worth(softmax.formula, z_j=z, **units))


def test_softmax_has_a_matrix_for_each_sample() -> None:
    softmax, trace = run("softmax")
    assert isinstance(softmax, Softmax)
    assert trace.a is not None
    a: Array = np.concatenate([trace.a, trace.a[:, ::-1]])
    jacobian = softmax.jacobian(a)
    assert jacobian.shape == (2, len(POINTS), len(POINTS))
    for sample, j, k in np.ndindex(jacobian.shape):
        values = {"a_j": float(a[sample, j]), "a_k": float(a[sample, k]), "delta_j_k": float(j == k)}
        assert jacobian[sample, j, k] == pytest.approx(worth(softmax.derivative, **values))
    assert_close(jacobian.sum(axis=1), 0, atol=1e-16)


def test_a_softmax_of_one_unit_is_sure() -> None:
    _, trace = run("softmax", [3.0])
    assert trace.a is not None
    assert trace.dL_dz is not None
    assert (trace.a[0, 0], trace.dL_dz[0, 0]) == (1, 0)


def test_a_softmax_does_not_mind_a_shift() -> None:
    _, here = run("softmax")
    _, there = run("softmax", [z + 1e6 for z in POINTS])
    assert_close(here.a, there.a, rtol=1e-9)
