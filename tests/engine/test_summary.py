"""Summaries of tensors."""

import math
import sys
from typing import Any

import numpy as np
import pytest

from app.engine.summary import norm, summarize

from .networks import there

HUGE = sys.float_info.max


def test_all_that_is_said() -> None:
    array = np.array([[3.0, -4.0, 0.0], [0.0, 1.0, 0.5]])
    found = summarize(array)
    assert found["shape"] == [2, 3]
    assert (found["min"], found["max"]) == (-4, 3)
    assert found["mean"] == pytest.approx(array.mean())
    assert found["std"] == pytest.approx(array.std())
    assert found["norm"] == pytest.approx(np.linalg.norm(array))
    assert (found["zeros"], found["nonfinite"]) == (2, 0)
    assert [entry["value"] for entry in found["largest"]] == [-4, 3, 1, 0.5, 0, 0]
    assert [entry["index"] for entry in found["largest"]] == [[0, 1], [0, 0], [1, 1], [1, 2], [0, 2], [1, 0]]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_a_histogram_of_20_bins(dtype: str) -> None:
    array = (np.random.default_rng(0).normal(size=(40, 50)) * 10).astype(dtype)
    found = there(summarize(array)["histogram"])
    counts, edges = np.histogram(array.astype(float), 20)
    assert found["counts"] == counts.tolist()
    assert found["edges"] == pytest.approx(edges.tolist())


def test_the_ten_largest_and_of_equal_ones_the_first() -> None:
    array = np.tile([1.0, -2.0, 2.0], (6, 1)).T  # (3, 6)
    found = summarize(array)["largest"]
    assert [entry["index"] for entry in found] == [[1, i] for i in range(6)] + [[2, i] for i in range(4)]
    assert [entry["value"] for entry in found] == [-2.0] * 6 + [2.0] * 4


def test_a_scalar() -> None:
    found = summarize(np.array(2.5))
    assert found["shape"] == []
    assert found["largest"] == [{"index": [], "value": 2.5}]
    assert (found["min"], found["max"], found["mean"], found["std"], found["norm"]) == (2.5, 2.5, 2.5, 0, 2.5)


@pytest.mark.parametrize("value", [0.0, 3.0, -0.1, 1e-320, HUGE])
def test_all_equal(value: float) -> None:
    found = summarize(np.full((4, 5), value))
    assert (found["min"], found["max"], found["mean"], found["std"]) == (value, value, value, 0)
    histogram = there(found["histogram"])
    assert len(histogram["edges"]) == 21
    assert sorted(histogram["counts"]) == [*[0] * 19, 20]
    assert all(map(math.isfinite, histogram["edges"]))


def test_as_good_as_equal() -> None:
    found = summarize(np.array([1.0, np.nextafter(1.0, 2.0)]))
    assert sum(there(found["histogram"])["counts"]) == 2


@pytest.mark.parametrize("array", [np.zeros(0), np.zeros((0, 3)), np.full((2, 2), math.nan), np.array(-math.inf)])
def test_nothing_that_is_finite(array: Any) -> None:
    assert summarize(array) == {
        "shape": list(array.shape), "min": None, "max": None, "mean": None, "std": None, "norm": None, "zeros": 0,
        "nonfinite": array.size, "histogram": None, "largest": [],
    }  # fmt: skip


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    found = summarize(np.array([1.0, math.nan, -3.0, math.inf, -math.inf]))
    assert found["nonfinite"] == 3
    assert (found["min"], found["max"], found["mean"]) == (-3, 1, -1)
    assert [entry["index"] for entry in found["largest"]] == [[2], [0]]
    assert sum(there(found["histogram"])["counts"]) == 2


def test_sums_do_not_overflow() -> None:
    found = summarize(np.array([HUGE, -HUGE, HUGE / 2]))
    assert found["mean"] == pytest.approx(HUGE / 6)
    assert found["norm"] == HUGE
    assert there(found["std"]) < HUGE
    assert there(found["histogram"])["edges"][0] == -HUGE
    found = summarize(np.full(3, 1e-200))
    assert found["norm"] == pytest.approx(1e-200 * math.sqrt(3))


def test_float32_sums_are_those_of_doubles() -> None:
    array = np.array([3e38, 3e38], np.float32)
    found = summarize(array)
    assert found["norm"] == pytest.approx(float(array[0]) * math.sqrt(2))
    assert found["mean"] == float(array[0])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_norms(dtype: str) -> None:
    small, large = (1e-300, 1e300) if dtype == "float64" else (1e-37, 1e37)
    for scale in (small, 1.0, large):
        assert norm(np.full((2, 2), scale, dtype)) == pytest.approx(2 * scale, rel=1e-6)
    assert norm(np.zeros(3, dtype)) == norm(np.zeros(0, dtype)) == 0
    assert norm(np.array([1, math.inf], dtype)) == math.inf
    assert math.isnan(norm(np.array([1, math.nan], dtype)))
