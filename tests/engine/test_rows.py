"""Rows as arrays: what fits a network and a loss, and what is wrong with the rest."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.engine import rows as engine_rows
from app.engine.rows import MAX_ONE_HOT, Data
from app.errors import InvalidInput, LimitExceeded

from .networks import make, start

TWO = [{"units": 2}]


def build(inputs: Any, targets: Any, loss: str = "mse", dtype: str = "float64") -> Data:
    """The data of a network of two inputs and two outputs."""
    spec = {"type": "inline", "inputs": inputs, "targets": targets}
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
        (X, [0, 2], "mse", "/data/targets", "the loss mse takes rows of 2 numbers, or classes from 0 to 1"),
        (X, [0, 10**30], "bce", "/data/targets", "the loss bce takes rows of 2 numbers, or classes from 0 to 1"),
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
        engine_rows.build_inputs(config, [[1.0, 2.0], 3.0], "/rows")  # type: ignore[list-item]


# ----- classes for losses of values


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "half_squared_error", "bce", "bce_with_logits"])
def test_classes_become_rows_with_a_1_at_their_class(loss: str) -> None:
    targets = build(X, [1, 0], loss, dtype="float32").train.targets
    assert targets.dtype == np.float32
    assert targets.tolist() == [[0, 1], [1, 0]]
    assert not targets.flags.writeable


def test_with_one_output_a_flat_list_may_be_meant_either_way() -> None:
    for loss in ("mse", "bce"):
        config = make(layers=[{"units": 1}], data={"inputs": X, "targets": [1, 0]}, loss=loss)
        with pytest.raises(InvalidInput, match=f"/data/targets: the loss {loss} takes rows of 1 numbers"):
            start(config)
    config = make(layers=[{"units": 1}], data={"inputs": X, "targets": [0, 0]}, loss="nll")
    assert start(config)[1].train.targets.tolist() == [0, 0]


def test_classes_are_written_out_within_bounds() -> None:
    config = make(layers=[{"units": MAX_ONE_HOT // 2 + 1}], data=None)
    with pytest.raises(LimitExceeded) as refused:
        engine_rows.build_targets(config, [0, 1], 2)
    assert refused.value.extra == {"limit": MAX_ONE_HOT, "estimate": MAX_ONE_HOT + 2}


# ----- arrays in any order of their numbers


def orders(array: Any) -> list[Any]:
    """The same numbers, lying in memory in other ways."""
    other = array.dtype.newbyteorder(">")
    padded = np.repeat(array, 2, axis=0)[::2]
    backwards = np.ascontiguousarray(array[::-1])[::-1]
    return [np.asfortranarray(array), backwards, padded, array.astype(other), np.asfortranarray(array.astype(other))]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_arrays_lie_as_the_packed_vectors_do(dtype: str) -> None:
    config = make(layers=TWO, data=None, dtype=dtype)
    numbers = np.arange(6.0).reshape(3, 2)
    for inputs, targets in zip(orders(numbers), orders(numbers + 6), strict=True):
        rows = engine_rows.build_rows(config, inputs, targets)
        for array, expected in ((rows.inputs, numbers), (rows.targets, numbers + 6)):
            assert array.flags.c_contiguous
            assert array.dtype == dtype
            assert array.dtype.isnative
            assert array.tolist() == expected.tolist()


def test_so_do_classes() -> None:
    config = make(layers=TWO, loss="nll", data=None)
    for classes in orders(np.array([1, 0, 1])):
        targets = engine_rows.build_targets(config, classes, 3)
        assert targets.flags.c_contiguous
        assert targets.dtype == np.int64
        assert targets.dtype.isnative
        assert targets.tolist() == [1, 0, 1]


def test_one_number_stays_one() -> None:
    assert engine_rows.finite_array(0.5, "float32", "").shape == ()
