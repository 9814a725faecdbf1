"""The order of rows, and their scale."""

from typing import Any

import numpy as np
import pytest

from app.engine.rows import Data
from app.errors import InvalidInput

from .networks import assert_close, assert_equal, make, start

ROWS = [[float(i), 7.0] for i in range(10)]


def build(inputs: Any, seed: int = 0, dtype: str = "float64", **more: Any) -> Data:
    """Rows of two inputs, whose targets are their inputs."""
    data = {"inputs": inputs, "targets": inputs, **more}
    return start(make(layers=[{"units": 2}], loss="mse", data=data, seed=seed, dtype=dtype))[1]


def test_shuffled_rows_keep_their_targets() -> None:
    rows = build(ROWS, shuffle=True).train
    assert rows.inputs.tolist() != ROWS
    assert sorted(rows.inputs.tolist()) == ROWS
    assert_equal(rows.inputs, rows.targets)


def test_the_seed_gives_the_order() -> None:
    orders = [build(ROWS, seed, shuffle=True).train.inputs[:, 0].tolist() for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1] == [0, 7, 5, 2, 4, 6, 9, 3, 8, 1]
    assert orders[1] != orders[2] != orders[3]


def test_rows_to_test_on_are_not_shuffled() -> None:
    data = build(ROWS, shuffle=True, test={"inputs": ROWS, "targets": ROWS})
    assert data.test is not None
    assert data.test.inputs.tolist() == ROWS


def test_standardized_inputs() -> None:
    """By hand: 1, 3 and 8 are 4 on average, and √(26/3) from that."""
    data = build([[1, 5], [3, 5], [8, 5]], standardize=True, test={"inputs": [[4, 6]], "targets": [[0, 0]]})
    expected = [[-3 / (26 / 3) ** 0.5, 0], [-1 / (26 / 3) ** 0.5, 0], [4 / (26 / 3) ** 0.5, 0]]
    assert_close(data.train.inputs, expected, rtol=1e-15)
    assert data.train.targets.tolist() == [[1, 5], [3, 5], [8, 5]]
    assert data.test is not None
    assert_close(data.test.inputs, [[0, 1]], atol=1e-15)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_set_aside_do_not_count_in_the_scale(dtype: str) -> None:
    inputs = np.random.default_rng(1).normal(3, 20, (50, 2))
    data = build(inputs.tolist(), dtype=dtype, standardize=True, test_fraction=0.3)
    assert data.test is not None
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert_close(data.train.inputs.mean(axis=0), [0, 0], atol=tolerance)
    assert_close(data.train.inputs.std(axis=0), [1, 1], rtol=tolerance)
    assert np.abs(data.test.inputs.mean(axis=0)).max() > 0.01
    assert data.test.inputs.dtype == data.train.inputs.dtype == dtype


@pytest.mark.parametrize("value", [0.1, -0.0, 1e300, 5e-324])
def test_an_input_that_is_always_the_same_stays_at_0(value: float) -> None:
    data = build([[value, i] for i in range(7)], standardize=True)
    assert data.train.inputs[:, 0].tolist() == [0] * 7


def test_inputs_of_almost_no_spread() -> None:
    """Their squares are too small to tell from 0."""
    assert np.isfinite(build([[0, i * 1e-300] for i in range(3)], standardize=True).train.inputs).all()


@pytest.mark.parametrize("inputs", [[[1e308, 1], [-1e308, 1]], [[1.7e308, 1], [1.6e308, 1], [0, 1]]])
def test_inputs_that_are_too_large(inputs: Any) -> None:
    with pytest.raises(InvalidInput, match="/data/standardize: the inputs are too large to standardize"):
        build(inputs, standardize=True)


def test_all_of_it_in_order() -> None:
    """Shuffled first, so that the same rows are set aside whatever order that gives; then scaled."""
    plain, both = (build(ROWS, test_fraction=0.2, standardize=flag) for flag in (False, True))
    mixed = build(ROWS, test_fraction=0.2, shuffle=True)
    assert plain.test is not None
    assert both.test is not None
    assert mixed.test is not None
    mean, deviation = plain.train.inputs.mean(axis=0), plain.train.inputs.std(axis=0)
    assert_close(both.test.inputs[:, 0], (plain.test.inputs[:, 0] - mean[0]) / deviation[0])
    assert both.test.inputs[:, 1].tolist() == [0, 0]
    assert sorted([*mixed.train.inputs.tolist(), *mixed.test.inputs.tolist()]) == ROWS
    assert mixed.test.inputs.tolist() != plain.test.inputs.tolist()
