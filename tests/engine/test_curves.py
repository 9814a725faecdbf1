"""Curves: entries packed, and put together again."""

from typing import Any

import numpy as np
import pytest

from app.engine.curves import COLUMNS, Curve, joined, pack, put_together
from app.engine.entries import Entry


def entry(epoch: int, **more: Any) -> Entry:
    numbers: Any = {"epoch": epoch, "steps": 2 * epoch, "loss": 1 / epoch, "gradient_norm": 0.5, "learning_rate": 0.1}
    entry: Entry = numbers | more
    return entry


def curve(first: int, last: int, **more: Any) -> Curve:
    """The curve of these epochs."""
    packed = pack([entry(epoch, **more) for epoch in range(first, last + 1)])
    assert packed is not None
    return packed


def test_entries_are_packed_as_columns() -> None:
    assert pack([]) is None
    packed = curve(1, 2, accuracy=1.0, elapsed=0.25)
    assert packed.columns == ("epoch", "steps", "loss", "accuracy", "gradient_norm", "learning_rate", "elapsed")
    assert packed.rows.tolist() == [[1, 2, 1, 1, 0.5, 0.1, 0.25], [2, 4, 0.5, 1, 0.5, 0.1, 0.25]]


@pytest.mark.parametrize("more", [{}, {"accuracy": 1.0, "test_loss": 0.5, "test_accuracy": 0.0, "elapsed": 0.25}])
def test_entries_come_back(more: dict[str, float]) -> None:
    entries = curve(3, 7, **more).entries()
    assert entries == [entry(epoch, **more) for epoch in range(3, 8)]
    assert [list(found) for found in entries] == [[name for name in COLUMNS if name in entries[0]]] * 5
    assert {type(number) for found in entries for number in (found["epoch"], found["steps"])} == {int}
    assert curve(3, 7).until(2).entries() == []


def test_a_loss_that_is_no_number_stays_one() -> None:
    packed = curve(1, 1, loss=float("inf"), test_loss=float("nan"))
    columns = dict(zip(*put_together([packed], 10), strict=True))
    assert columns["loss"] == [float("inf")]
    assert np.isnan(columns["test_loss"]).all()


def test_until_an_epoch() -> None:
    packed = curve(3, 7)
    assert packed.until(5).rows[:, 0].tolist() == [3, 4, 5]
    assert packed.until(2).rows.shape == (0, 5)
    assert packed.until(9).rows.tolist() == packed.rows.tolist()


def test_curves_are_joined_where_their_columns_are_the_same() -> None:
    assert joined([]) == []
    found = joined([curve(1, 2), curve(3, 3), curve(4, 5, accuracy=0.5), curve(6, 6)])
    assert [one.rows[:, 0].tolist() for one in found] == [[1, 2, 3], [4, 5], [6]]
    assert found[1].columns == curve(1, 1, accuracy=0.5).columns


def test_curves_are_put_together() -> None:
    columns = put_together([curve(1, 2), curve(3, 3, accuracy=0.5), curve(4, 4).until(3)], 100)
    assert columns.names == ("epoch", "steps", "loss", "accuracy", "gradient_norm", "learning_rate")
    assert columns.values == (
        [1, 2, 3], [2, 4, 6], [1.0, 0.5, 1 / 3], [None, None, 0.5], [0.5] * 3, [0.1] * 3
    )  # fmt: skip
    assert [type(number) for number in (columns.values[0][0], columns.values[2][0])] == [int, float]


def test_without_entries_the_first_columns_are_empty() -> None:
    assert put_together([], 10) == (COLUMNS[:3], ([], [], []))


@pytest.mark.parametrize(
    ("total", "max_points", "expected"),
    [
        (5, 5, [1, 2, 3, 4, 5]),
        (5, 2, [1, 5]),
        (5, 3, [1, 3, 5]),
        (100, 4, [1, 34, 67, 100]),
        (7, 1, [7]),
    ],
)
def test_thinned_evenly_with_the_last_among_them(total: int, max_points: int, expected: list[int]) -> None:
    for cut in range(1, total):
        columns = put_together([curve(1, cut), curve(cut + 1, total)], max_points)
        assert columns.values[0] == expected


@pytest.mark.parametrize(("most", "expected"), [(9, [3, 4, 5, 6, 7]), (5, [3, 4, 5, 6, 7]), (3, [3, 5, 7]), (1, [7])])
def test_a_curve_by_itself_is_thinned_alike(most: int, expected: list[int]) -> None:
    """Its entries are whole ones, and it does not hold on to those that are left out."""
    whole = curve(3, 7, accuracy=0.5)
    thinned = whole.thinned(most)
    assert thinned.entries() == [entry(epoch, accuracy=0.5) for epoch in expected]
    assert thinned.rows.base is not whole.rows
    assert [row[0] for row in thinned.rows] == put_together([whole], most).values[0]


def test_no_epoch_comes_twice() -> None:
    for total in range(2, 60):
        for max_points in range(2, total + 1):
            epochs = put_together([curve(1, total)], max_points).values[0]
            assert len(epochs) == max_points == len(set(epochs))
            assert epochs == sorted(epochs)
            assert (epochs[0], epochs[-1]) == (1, total)
