"""Two sides' tensors, number against number."""

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

Tensor = NDArray[Any]


class Difference(TypedDict):
    """How a tensor differs: by how much at most, and where by most; `index` is [] for a scalar.

    `value` and `against` are the numbers there, `max_relative` is in parts of `against`. None stands for what is no
    finite number. Where the shapes differ, these are all None, and `shape` and `against_shape` are there.
    """

    max_absolute: float | None
    max_relative: float | None
    index: list[int] | None
    value: float | None
    against: float | None
    shape: NotRequired[list[int]]
    against_shape: NotRequired[list[int]]


class Comparison(TypedDict):
    """What differs beyond the tolerance; `first` is the first of them in the order of computation."""

    equal: bool
    first: str | None
    tensors: dict[str, Difference]


def compare(
    mine: Iterable[tuple[str, Tensor]], theirs: Mapping[str, Tensor], rtol: float = 0.0, atol: float = 0.0
) -> Comparison:
    """The tensors, of those that both sides have, that differ somewhere: by more than atol + rtol · |against|.

    NaN equals NaN, and an infinity itself. `first` goes by the order of `mine`.
    """
    found: dict[str, Difference] = {}
    for name, value in mine:
        against = theirs.get(name)
        if against is None:
            continue
        difference = _difference(value, against, rtol, atol)
        if difference is not None:
            found[name] = difference
    return {"equal": not found, "first": next(iter(found), None), "tensors": found}


def _difference(value: Tensor, against: Tensor, rtol: float, atol: float) -> Difference | None:
    if value.shape != against.shape:
        return {
            "max_absolute": None, "max_relative": None, "index": None, "value": None, "against": None,
            "shape": list(value.shape), "against_shape": list(against.shape),
        }  # fmt: skip
    if np.array_equal(value, against):
        return None
    value, against = value.astype(np.float64), against.astype(np.float64)
    with np.errstate(all="ignore"):
        apart = np.abs(value - against)  # NaN beside an infinity or a NaN
        same = (value == against) | (np.isnan(value) & np.isnan(against))
        beyond = ~same & ~((apart <= atol + rtol * np.abs(against)) & np.isfinite(against))
        if not beyond.any():
            return None
        # Beside a number, NaN and infinities are the furthest apart of all.
        distance = np.where(beyond, np.where(np.isnan(apart), np.inf, apart), -1)
        at = np.unravel_index(int(distance.argmax()), value.shape)
        relative = np.where(beyond, apart / np.abs(against), 0).max()
    return {
        "max_absolute": _finite(distance[at]),
        "max_relative": _finite(relative),
        "index": [int(i) for i in at],
        "value": _finite(value[at]),
        "against": _finite(against[at]),
    }


def _finite(number: Any) -> float | None:
    value = float(number)
    return value if np.isfinite(value) else None
