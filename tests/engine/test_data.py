"""Rows: how they are given, and how they are split."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.engine import data as engine_data
from app.engine.data import Arrays, Inline
from app.engine.rows import Data
from app.errors import InvalidInput

from .networks import (
    DATA,
    assert_equal,
    make,
    start,
    there,
)

TWO = [{"units": 2}]


def build(inputs: Any, targets: Any, loss: str = "mse", dtype: str = "float64", **more: Any) -> Data:
    """The data of a network of two inputs and two outputs."""
    spec = {"type": "inline", "inputs": inputs, "targets": targets, **more}
    return start(make(layers=TWO, loss=loss, data=spec, dtype=dtype))[1]


X, T = [[1, 2], [3, 4]], [[0.5, 0.5], [0.25, 0.75]]


# ----- rows as arrays


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "bce", "nll"])
@pytest.mark.parametrize("more", [{}, {"test_fraction": 0.5}, {"shuffle": True, "standardize": True}], ids=str)
def test_arrays_come_to_the_same_as_lists(loss: str, more: dict[str, Any]) -> None:
    config = make(layers=TWO, loss=loss, data=None, seed=5)
    inputs: Any = [[1.5, 2], [3, 4], [0, -1]]
    targets = [0, 1, 1]
    rows = engine_data.build_data(config, Arrays(np.array(inputs), np.array(targets, np.uint8), **more))
    lists = engine_data.build_data(config, Inline(inputs=inputs, targets=targets, **more))
    for array, expected in zip(rows.arrays, lists.arrays, strict=True):
        assert_equal(array, expected)
    assert rows.train.inputs.dtype == "float64"
    assert not any(array.flags.writeable for array in rows.arrays)


def test_arrays_to_test_on() -> None:
    config = make(layers=TWO, loss="mse", data=None)
    rows, test = Arrays(np.array(X), np.array(T)), Arrays(np.array(X[:1]), np.array(T[:1]))
    spec = replace(rows, test=test)
    assert (spec.count, spec.train_count, rows.count) == (3, 2, 2)
    data = engine_data.build_data(config, spec)
    assert data.test is not None
    assert data.test.targets.tolist() == T[:1]


@pytest.mark.parametrize(
    ("inputs", "targets", "loss", "pointer", "detail"),
    [
        ([[1, 2, 3]], [0], "nll", "/inputs", "got rows of 3 numbers; takes 2"),
        (X, [0, 7], "nll", "/targets/1", "got class 7; takes 0 to 1, one for each output"),
        (X, [0], "nll", "/targets", "got 1 targets for 2 rows of inputs; takes as many"),
        (X, [[1.0], [2.0]], "mse", "/targets", "got rows of 1 numbers; takes 2"),
        (X, T, "nll", "/targets", "the loss nll takes a flat list of class indices"),
        (X, [[1, 2], [0, 1]], "bce", "/targets/0", "the loss bce takes probabilities, from 0 to 1"),
    ],
)
def test_arrays_that_do_not_fit(inputs: Any, targets: Any, loss: str, pointer: str, detail: str) -> None:
    config = make(layers=TWO, loss=loss, data=None)
    with pytest.raises(InvalidInput) as refused:
        engine_data.build_data(config, Arrays(np.array(inputs), np.array(targets)), "")
    assert [tuple(error) for error in refused.value.errors] == [(pointer, detail)]


# ----- rows to test on


def test_rows_to_test_on() -> None:
    data = build(X, T, test={"inputs": [[5, 6]], "targets": [[7, 8]]})
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (2, 1)
    assert data.test.inputs.tolist() == [[5, 6]]
    assert data.nbytes == 3 * (2 + 2) * 8
    assert build(X, T).nbytes == 2 * (2 + 2) * 8


def test_rows_to_test_on_are_checked_too() -> None:
    with pytest.raises(InvalidInput, match="/data/test/targets: got 2 targets for 1 rows of inputs"):
        build(X, T, test={"inputs": [[5, 6]], "targets": T})
    test = {"inputs": [[5]], "targets": [[1, 2]]}
    config = make(layers=TWO, data={"type": "inline", "inputs": X, "targets": T, "test": test})
    with pytest.raises(InvalidInput, match="/elsewhere/test/inputs/0: got a row of 1 numbers"):
        engine_data.build_data(config, there(config.data), "/elsewhere")


def test_either_rows_to_test_on_or_a_fraction() -> None:
    with pytest.raises(ValidationError, match="takes either test or test_fraction"):
        build(X, T, test={"inputs": [[5, 6]], "targets": [[7, 8]]}, test_fraction=0.5)


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 1), (0.2, 2), (0.25, 2), (0.5, 5), (0.9, 9)])
def test_a_fraction_to_test_on(fraction: float, count: int) -> None:
    rows = [[float(i), -float(i)] for i in range(10)]
    data = build(rows, rows, test_fraction=fraction)
    assert data.test is not None
    assert len(data.test) == count
    train, test = data.train.inputs[:, 0].tolist(), data.test.inputs[:, 0].tolist()
    assert sorted(train + test) == list(range(10))
    assert train == sorted(train)
    assert test == sorted(test)
    assert_equal(data.train.inputs, data.train.targets)
    assert not data.test.inputs.flags.writeable


def test_the_seed_chooses_what_is_tested_on() -> None:
    def chosen(seed: int) -> list[Any]:
        config = make(data={**DATA, "test_fraction": 0.3}, seed=seed)
        test = start(config)[1].test
        assert test is not None
        return list(test.inputs.ravel())

    assert chosen(1) == chosen(1)
    assert len({str(chosen(seed)) for seed in range(10)}) > 3


@pytest.mark.parametrize(("n", "fraction"), [(1, 0.1), (2, 0.9)])
def test_a_fraction_must_leave_something_to_train_on(n: int, fraction: float) -> None:
    with pytest.raises(InvalidInput, match=f"/data/test_fraction: leaves none of {n} rows to train on"):
        build([[1, 2]] * n, [[3, 4]] * n, test_fraction=fraction)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5])
def test_a_fraction_is_between_0_and_1(fraction: float) -> None:
    with pytest.raises(ValidationError):
        build(X, T, test_fraction=fraction)
