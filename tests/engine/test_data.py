"""Rows: how they are given, what is wrong with them, and how they are split."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.engine import data as engine_data
from app.engine.data import Data
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


def test_rows_are_arrays_of_the_dtype_that_nobody_can_write_to() -> None:
    for dtype in ("float64", "float32"):
        rows = build([[1, 2], [3, 4.5]], [[5, 6], [7, 8]], dtype=dtype).train
        assert rows.inputs.dtype == rows.targets.dtype == dtype
        assert rows.inputs.tolist() == [[1, 2], [3, 4.5]]
        assert not rows.inputs.flags.writeable
        assert not rows.targets.flags.writeable
        assert len(rows) == 2


def test_classes_are_indices() -> None:
    targets = build([[1, 2], [3, 4]], [1, 0], loss="cross_entropy").train.targets
    assert targets.dtype == np.int64
    assert targets.tolist() == [1, 0]
    assert not targets.flags.writeable


def test_take_copies_rows() -> None:
    rows = build([[1, 2], [3, 4]], [[5, 6], [7, 8]]).train
    taken = rows.take([1])
    assert (taken.inputs.tolist(), taken.targets.tolist()) == ([[3, 4]], [[7, 8]])


X, T = [[1, 2], [3, 4]], [[0.5, 0.5], [0.25, 0.75]]


@pytest.mark.parametrize(
    ("inputs", "targets", "loss", "pointer", "detail"),
    [
        ([[1, 2], [3]], T, "mse", "/data/inputs/1", "got a row of 1 numbers; takes 2"),
        ([[1, 2, 3], [4, 5, 6]], T, "mse", "/data/inputs/0", "got a row of 3 numbers; takes 2"),
        (X, [[1, 2]], "mse", "/data/targets", "got 1 targets for 2 rows of inputs; takes as many"),
        (X, [[1, 2], [3]], "mse", "/data/targets/1", "got a row of 1 numbers; takes 2"),
        (X, [0, 1], "mse", "/data/targets", "the loss mse takes rows of 2 numbers"),
        (X, [0, 1], "bce", "/data/targets", "the loss bce takes rows of 2 numbers"),
        (X, T, "nll", "/data/targets", "the loss nll takes a flat list of class indices"),
        (X, [0, 2], "nll", "/data/targets/1", "got class 2; takes 0 to 1, one for each output"),
        (X, [5, 0], "cross_entropy", "/data/targets/0", "got class 5; takes 0 to 1, one for each output"),
        (X, [0], "cross_entropy", "/data/targets", "got 1 targets for 2 rows of inputs; takes as many"),
        (X, [[0, 1], [0.5, -0.1]], "bce", "/data/targets/1", "the loss bce takes probabilities, from 0 to 1"),
        (X, [[0, 1.5], [0, 1]], "bce_with_logits", "/data/targets/0",
         "the loss bce_with_logits takes probabilities, from 0 to 1"),
        (X, [[1.5, -0.5], [0, 1]], "cross_entropy", "/data/targets/0",
         "the loss cross_entropy takes probabilities, from 0 to 1"),
        (X, [[0, 1], [0.5, 0.25]], "cross_entropy", "/data/targets/1",
         "the probabilities sum to 0.75; takes a sum of 1"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit(inputs: Any, targets: Any, loss: str, pointer: str, detail: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        build(inputs, targets, loss)
    assert [tuple(error) for error in refused.value.errors] == [(pointer, detail)]


@pytest.mark.parametrize("part", ["inputs", "targets"])
def test_numbers_that_do_not_fit_the_dtype(part: str) -> None:
    rows: dict[str, Any] = {"inputs": [[1, 2]], "targets": [[3, 4]]}
    rows[part] = [[1, 1e39]]
    assert build(**rows)
    with pytest.raises(InvalidInput, match=f"/data/{part}: has a number that is too large for float32"):
        build(**rows, dtype="float32")


def test_probabilities_may_be_off_by_rounding() -> None:
    assert build(X, [[0.1, 0.9], [1 / 3, 2 / 3]], "cross_entropy", dtype="float32")


@pytest.mark.parametrize(
    "targets",
    [[1, [2, 3]], [[1, 2], 3], [], [[]], [-1, 0], [0.5, 1], None, "many", [True, False], [["1", 2]]],
    ids=str,
)
def test_what_are_no_rows(targets: Any) -> None:
    with pytest.raises(ValidationError):
        build([[1, 2], [3, 4]], targets, "cross_entropy")


def test_rows_from_elsewhere_may_be_mixed_up() -> None:
    """Rows that have not been through a model, such as a request's own inputs."""
    config = make(layers=TWO, data=None)
    with pytest.raises(InvalidInput, match="/rows/inputs/1: got a number; takes a row of 2 numbers"):
        engine_data.build_inputs(config, [[1.0, 2.0], 3.0], "/rows")  # type: ignore[list-item]


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
