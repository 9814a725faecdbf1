"""The tables are as their sources have them: figures that are published, or were taken from scikit-learn's copies."""

from importlib.resources import files

import numpy as np
import pytest

from app.engine.collected import Digits, Iris

from .networks import assert_close


def test_iris() -> None:
    inputs, targets = Iris().draw(0)
    assert inputs.shape == (Iris().count, 4)
    assert targets.tolist() == [0] * 50 + [1] * 50 + [2] * 50
    assert inputs[[0, 50, 149]].tolist() == [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [5.9, 3.0, 5.1, 1.8]]
    assert inputs[[34, 37]].tolist() == [[4.9, 3.1, 1.5, 0.2], [4.9, 3.6, 1.4, 0.1]]
    assert_close(inputs.sum(axis=0), [876.5, 458.6, 563.7, 179.9], rtol=1e-14)
    means = [inputs[targets == kind].mean(axis=0).round(3).tolist() for kind in range(3)]
    assert means == [[5.006, 3.428, 1.462, 0.246], [5.936, 2.77, 4.26, 1.326], [6.588, 2.974, 5.552, 2.026]]


ZERO = [
    [0, 0, 5, 13, 9, 1, 0, 0],
    [0, 0, 13, 15, 10, 15, 5, 0],
    [0, 3, 15, 2, 0, 11, 8, 0],
    [0, 4, 12, 0, 0, 8, 8, 0],
    [0, 5, 8, 0, 0, 9, 8, 0],
    [0, 4, 11, 0, 1, 12, 7, 0],
    [0, 2, 14, 5, 10, 12, 0, 0],
    [0, 0, 6, 13, 10, 0, 0, 0],
]


def test_digits() -> None:
    inputs, targets = Digits().draw(0)
    assert inputs.shape == (Digits().count, 64)
    assert np.bincount(targets).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert targets[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert inputs[0].reshape(Digits.input_shape).tolist() == ZERO
    assert (inputs.min(), inputs.max(), inputs.sum()) == (0, 16, 561_718)
    assert Digits.input_names[8] == "pixel 1,0"


@pytest.mark.parametrize("kind", [Iris, Digits])
def test_what_is_the_same_for_all_sessions_is_not_written_to(kind: type[Iris]) -> None:
    inputs, targets = kind().draw(0)
    assert not inputs.flags.writeable
    assert not targets.flags.writeable
    assert kind().draw(1).inputs is inputs


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_each_table_says_where_it_is_from(name: str) -> None:
    note = files("app.engine").joinpath("tables", f"{name}.txt").read_text("utf-8")
    for word in ("Source:", "Citation:", "Licence: Creative Commons Attribution 4.0", "doi:10.24432/"):
        assert word in note
