"""The entries of a session's epochs, packed: as columns of numbers, which may be many."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, cast, get_type_hints

import numpy as np
from numpy.typing import NDArray

from app.engine.entries import Entry

COLUMNS: tuple[str, ...] = (
    "epoch", "steps", "loss", "test_loss", "accuracy", "test_accuracy", "gradient_norm", "learning_rate", "elapsed",
)  # fmt: skip
assert set(COLUMNS) == set(get_type_hints(Entry))
ARRAY_BYTES = 130  # of an array beside its numbers
ENTRY_BYTES = 8 * len(COLUMNS)
_COUNTS = ("epoch", "steps")


class Curve(NamedTuple):
    """Entries that have the same columns: `rows` is (entries, columns)."""

    columns: tuple[str, ...]
    rows: NDArray[np.float64]

    def entries(self) -> list[Entry]:
        """The entries one by one."""
        return [
            cast(Entry, dict(zip(self.columns, (int(row[0]), int(row[1]), *row[2:]), strict=True)))
            for row in self.rows.tolist()
        ]

    def thinned(self, most: int) -> "Curve":
        """At most so many of the entries, evenly, the last one among them."""
        return self._replace(rows=self.rows[_evenly(len(self.rows), most)])

    def until(self, epoch: int) -> "Curve":
        """The entries up to an epoch."""
        return self._replace(rows=self.rows[self.rows[:, 0] <= epoch])


def pack(entries: Sequence[Entry]) -> Curve | None:
    """The entries of one training, or of one step, as a curve; None without any."""
    if not entries:
        return None
    columns = tuple(name for name in COLUMNS if name in entries[0])
    values: list[list[Any]] = [[entry.get(name) for name in columns] for entry in entries]
    return Curve(columns, np.array(values, np.float64))


def joined(curves: Sequence[Curve]) -> list[Curve]:
    """The same entries in as few curves as their columns allow: steps by hand make one each."""
    return [
        Curve(columns, np.concatenate([curve.rows for curve in alike]))
        for columns, alike in groupby(curves, key=lambda curve: curve.columns)
    ]


class Columns(NamedTuple):
    """Whole curves put together: a list for each column, with None where an entry has no such number."""

    names: tuple[str, ...]
    values: tuple[list[Any], ...]


def put_together(curves: Iterable[Curve], max_points: int) -> Columns:
    """The entries of several curves in their order, evenly thinned to at most so many, the last one among them.

    The columns that no entry has are left out, but for those of every entry.
    """
    curves = list(curves)
    names = tuple(name for name in COLUMNS if any(name in curve.columns for curve in curves)) or COLUMNS[:3]
    total = sum(len(curve.rows) for curve in curves)
    chosen = _evenly(total, max_points)
    table = np.full((len(chosen), len(names)), np.nan)
    there = np.zeros(table.shape, bool)
    start = 0
    for curve in curves:
        first, stop = np.searchsorted(chosen, (start, start + len(curve.rows)))
        picked = curve.rows[chosen[first:stop] - start]
        for index, name in enumerate(curve.columns):
            table[first:stop, names.index(name)] = picked[:, index]
            there[first:stop, names.index(name)] = True
        start += len(curve.rows)
    return Columns(names, tuple(_column(name, table[:, i], there[:, i]) for i, name in enumerate(names)))


def _evenly(total: int, most: int) -> NDArray[np.intp]:
    """Which of so many to take, to have at most so many, evenly, the last one among them."""
    if total <= most:
        return np.arange(total)
    return np.linspace(total - 1, 0, most).round().astype(np.intp)[::-1]


def _column(name: str, values: NDArray[np.float64], there: NDArray[np.bool_]) -> list[Any]:
    numbers: list[Any] = values.astype(np.int64).tolist() if name in _COUNTS else values.tolist()
    return [number if known else None for number, known in zip(numbers, there.tolist(), strict=True)]
