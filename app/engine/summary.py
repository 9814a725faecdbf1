"""What can be said of a tensor in a few numbers. Sums are safe from overflow; what is not finite is counted apart."""

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

BINS = 20
LARGEST = 10
_EQUAL = 1e-12
_SAFE = 1e-30, 1e30  # sums of squares that have neither overflowed nor lost what is small, in float32 too


class Histogram(TypedDict):
    """Counts between neighbouring edges; the last bin includes its upper edge."""

    edges: list[float]
    counts: list[int]


class Extreme(TypedDict):
    """A number of a tensor and where it stands."""

    index: list[int]
    value: float


class Summary(TypedDict):
    """A tensor in a few numbers, over its finite entries; None for what cannot be said where there are none.

    `std` is that of the entries themselves (divided by their count, not by one less). `largest` are the largest by
    absolute value, largest first. A number too large for a double is the largest double.
    """

    shape: list[int]
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    norm: float | None
    zeros: int
    nonfinite: int
    histogram: Histogram | None
    largest: list[Extreme]


def norm(values: NDArray[Any]) -> float:
    """The root of the sum of squares, finite where the values are; it is scaled where it would overflow or vanish."""
    flat = values.reshape(-1)
    with np.errstate(all="ignore"):
        total = float(flat.dot(flat))
        if _SAFE[0] < total < _SAFE[1] or math.isnan(total):
            return math.sqrt(total)
        largest = float(np.abs(flat).max(initial=0))
        if largest == 0 or math.isinf(largest):
            return largest
        scaled = flat.astype(np.float64) / largest
        return _bounded(largest * math.sqrt(float(scaled.dot(scaled))))


def summarize(array: NDArray[Any]) -> Summary:
    """The shape, the extremes, the moments, the spread and the largest entries of a tensor."""
    finite = np.isfinite(array)
    values = array[finite].astype(np.float64)
    summary: Summary = {
        "shape": list(array.shape),
        "min": None, "max": None, "mean": None, "std": None, "norm": None,
        "zeros": int(np.count_nonzero(values == 0)),
        "nonfinite": array.size - values.size,
        "histogram": None,
        "largest": _largest(array, finite),
    }  # fmt: skip
    if values.size:
        low, high = float(values.min()), float(values.max())
        scale = _power_of_two(max(-low, high))
        scaled = values / scale  # from -2 to 2: the same digits, and sums of them are safe
        mean = min(max(float(scaled.mean()), low / scale), high / scale)
        summary["min"], summary["max"], summary["mean"] = low, high, mean * scale
        summary["std"] = norm(scaled - mean) / math.sqrt(values.size) * scale
        summary["norm"] = norm(values)
        summary["histogram"] = _histogram(scaled, scale)
    return summary


def _histogram(scaled: NDArray[np.float64], scale: float) -> Histogram:
    """Of values given as parts of `scale`; where all are as good as equal, with bins around them."""
    low, high = float(scaled.min()), float(scaled.max())
    if high - low < _EQUAL:
        low, high = low - 0.5, low + 0.5
    counts, edges = np.histogram(scaled, BINS, (low, high))
    with np.errstate(over="ignore"):
        return {"edges": [_bounded(edge) for edge in (edges * scale).tolist()], "counts": counts.tolist()}


def _largest(array: NDArray[Any], finite: NDArray[np.bool_]) -> list[Extreme]:
    """The finite entries of the largest absolute values; of equal ones the first come first."""
    size = np.where(finite, np.abs(array), -1).reshape(-1)
    count = min(LARGEST, int(np.count_nonzero(finite)))
    if count == 0:
        return []
    least = np.partition(size, size.size - count)[size.size - count]
    candidates = np.flatnonzero(size >= least)
    chosen = candidates[np.argsort(-size[candidates], kind="stable")[:count]]
    return [
        {"index": [int(i) for i in np.unravel_index(at, array.shape)], "value": float(array.reshape(-1)[at])}
        for at in chosen.tolist()
    ]


def _power_of_two(value: float) -> float:
    """The largest power of two that is not above the value; 1 for 0."""
    return math.ldexp(1.0, math.frexp(value)[1] - 1) if value else 1.0


def _bounded(value: float) -> float:
    """The number, or the largest of its sign where it is infinite."""
    return min(max(value, -sys.float_info.max), sys.float_info.max)
