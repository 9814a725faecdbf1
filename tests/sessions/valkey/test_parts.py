"""Parts: by identity, with numbers that are never given twice."""

import numpy as np
import pytest

from app.engine.rows import Data, Rows
from app.sessions.valkey.parts import Parts


def test_parts_are_told_apart_by_identity() -> None:
    parts, one, alike = Parts(), np.zeros(2), np.zeros(2)
    parts.hold((one, alike, one, None))
    assert (parts.name(one), parts.name(alike), parts.name(None)) == (0, 1, None)
    assert parts.part(0) is one
    assert parts.part(None) is None


def test_what_is_new_and_what_is_used_no_more() -> None:
    parts, one, other = Parts(), np.zeros(2), np.ones(2)
    parts.hold((one, other, one))
    assert {name: part.sum() for name, part in parts.settle()[0].items()} == {0: 0, 1: 2}
    parts.drop((one, other))
    assert parts.settle() == ({}, {1})
    parts.drop((one,))
    parts.hold((one,))  # it was only put elsewhere
    assert parts.settle() == ({}, set())
    parts.hold((other,))
    assert list(parts.settle()[0]) == [2]


def test_what_has_come_and_gone_is_neither_new_nor_gone() -> None:
    parts, one = Parts(), np.zeros(2)
    parts.hold((one,))
    parts.drop((one,))
    assert parts.settle() == ({}, set())
    assert parts.next == 1


def test_rows_are_one_object_for_as_long_as_their_arrays_are_used() -> None:
    parts = Parts()
    data = Data(Rows(np.zeros((1, 2)), np.zeros((1, 1))))
    parts.hold(data.arrays)
    assert parts.rows_of(data) == (0, 1)
    assert parts.data([0, 1]) is data
    assert parts.rows_of(None) is parts.data(None) is None
    other = np.zeros(1)
    parts.hold((other,))
    parts.settle()
    parts.drop((other,))
    parts.settle()
    assert parts.data([0, 1]) is data
    parts.drop(data.arrays)
    parts.settle()
    with pytest.raises(KeyError):
        parts.data([0, 1])


def test_what_is_not_there_is_fetched_once() -> None:
    parts, asked = Parts(), list[int]()

    def fetch(name: int) -> bytes:
        asked.append(name)
        return b"text"

    with pytest.raises(KeyError):
        parts.part(5)
    parts.fetch = fetch
    assert parts.part(5) is parts.part(5)
    assert asked == [5]
