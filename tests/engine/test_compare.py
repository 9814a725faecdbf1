"""Two sides' tensors, number against number."""

import json
import math
from typing import Any

import numpy as np
import pytest

from app.engine.compare import compare

NAN, INF = math.nan, math.inf


def one(value: Any, against: Any, **tolerance: float) -> Any:
    """How one tensor differs; None where it does not."""
    found = compare([("t", np.array(value))], {"t": np.array(against)}, **tolerance)
    json.dumps(found, allow_nan=False)
    assert found["equal"] == (found["first"] is None) == (not found["tensors"])
    return found["tensors"].get("t")


def test_equal_sides() -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(NAN), "c": np.array([INF, -INF])}
    assert compare(arrays.items(), arrays) == {"equal": True, "first": None, "tensors": {}}


def test_what_differs_and_where_by_most() -> None:
    assert one([[1.0, 2.0], [3.0, -4.0]], [[1.0, 2.5], [3.0, -8.0]]) == {
        "max_absolute": 4.0, "max_relative": 0.5, "index": [1, 1], "value": -4.0, "against": -8.0,
    }  # fmt: skip


def test_the_largest_relative_difference_may_lie_elsewhere() -> None:
    found = one([1.0, 110.0], [0.5, 100.0])
    assert (found["index"], found["max_absolute"], found["max_relative"]) == ([1], 10.0, 1.0)


def test_the_first_goes_by_my_order_and_what_one_side_lacks_is_left_out() -> None:
    mine = [("only mine", np.ones(1)), ("z", np.ones(2)), ("same", np.ones(1)), ("a", np.ones(2))]
    theirs = {"a": np.zeros(2), "only theirs": np.ones(1), "z": np.array([1.0, 2.0]), "same": np.ones(1)}
    found = compare(mine, theirs)
    assert found["first"] == "z"
    assert list(found["tensors"]) == ["z", "a"]
    assert not found["equal"]


def test_tolerances() -> None:
    assert one([1.0], [1.1], atol=0.11) is None
    assert one([1.0], [1.1], atol=0.09) is not None
    assert one([1.0], [1.1], rtol=0.1) is None
    assert one([1.0], [1.1], rtol=0.09) is not None
    assert one([1.0, 5.0], [1.1, 6.0], atol=0.2)["index"] == [1]
    assert one([1.0, 50.0], [1.2, 51.0], rtol=0.1)["index"] == [0]  # the other differs by more, within the tolerance


@pytest.mark.parametrize(
    ("value", "against", "same"),
    [(NAN, NAN, True), (INF, INF, True), (-INF, -INF, True), (0.0, -0.0, True), (INF, -INF, False), (NAN, 1.0, False),
     (1.0, NAN, False), (INF, NAN, False), (1.0, INF, False), (INF, 1.0, False)],
)  # fmt: skip
@pytest.mark.parametrize("rtol", [0.0, 0.5])
def test_numbers_that_are_not_finite(value: float, against: float, same: bool, rtol: float) -> None:
    found = one([1.0, value], [1.0, against], rtol=rtol)
    assert (found is None) == same
    if not same:
        assert found["index"] == [1]
        assert found["max_absolute"] is None
        assert found["max_relative"] is None
        assert found["value"] == (value if math.isfinite(value) else None)
        assert found["against"] == (against if math.isfinite(against) else None)


def test_nan_is_the_furthest_from_a_number() -> None:
    assert one([1e300, NAN], [0.0, 0.0])["index"] == [1]


def test_beside_0_there_is_no_relative_difference() -> None:
    found = one([1.0, 1.0], [0.0, 2.0])
    assert (found["max_absolute"], found["max_relative"]) == (1.0, None)


def test_scalars_and_classes() -> None:
    assert one(1.0, 3.0) == {
        "max_absolute": 2.0, "max_relative": pytest.approx(2 / 3), "index": [], "value": 1.0, "against": 3.0,
    }  # fmt: skip
    assert one([1, 2], [1, 0])["max_absolute"] == 2


def test_other_shapes_differ_whatever_is_in_them() -> None:
    assert one([1.0, 2.0], [[1.0, 2.0]]) == {
        "max_absolute": None, "max_relative": None, "index": None, "value": None, "against": None,
        "shape": [2], "against_shape": [1, 2],
    }  # fmt: skip


def test_empty_tensors_are_equal() -> None:
    assert one([], []) is None


def test_float32_is_compared_as_the_number_that_it_is() -> None:
    assert one(np.float32(0.1), 0.1)["max_absolute"] == pytest.approx(1.49e-9, rel=1e-2)


def test_a_difference_too_large_for_a_number() -> None:
    found = one([1e308], [-1e308])
    assert (found["max_absolute"], found["value"]) == (None, 1e308)
