"""Numbers drawn at random, the same everywhere and at any time.

Every draw is a pure function of (seed, purpose, index): nothing is kept between draws, so that going back and forking
replay exactly. The bits are Philox-4x64's raw output (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
2011), which is fixed by its definition; numpy promises no such thing for the streams of its `Generator`.
"""

from enum import IntEnum
from statistics import NormalDist
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

Seed = Annotated[int, Field(ge=0, le=2**53 - 1)]
_BLOCK = 1 << 16


class Purpose(IntEnum):
    """What a draw is for. Values are part of every result: never change one."""

    WEIGHT = 1
    BIAS = 2
    SHUFFLE = 3
    SPLIT = 4
    DATA = 5
    ORDER = 6


def raw(seed: int, purpose: Purpose, index: int, count: int) -> NDArray[np.uint64]:
    """`count` words of 64 random bits for a seed, a purpose, and the layer's or epoch's index."""
    key = np.array([seed, (purpose << 48) + index], dtype=np.uint64)
    words: NDArray[np.uint64] = np.random.Philox(key=key).random_raw(count)
    return words


def uniform(seed: int, purpose: Purpose, index: int, count: int) -> NDArray[np.float64]:
    """`count` numbers from [0, 1), multiples of 2⁻⁵³."""
    return (raw(seed, purpose, index, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, purpose: Purpose, index: int, count: int) -> NDArray[np.float64]:
    """`count` numbers of mean 0 and standard deviation 1, by inverting the normal distribution function."""
    inverse = NormalDist().inv_cdf
    words = raw(seed, purpose, index, count) >> np.uint64(12)
    out = (words.astype(np.float64) + 0.5) * 2.0**-52  # never 0 or 1
    for start in range(0, count, _BLOCK):
        out[start : start + _BLOCK] = [inverse(p) for p in out[start : start + _BLOCK].tolist()]
    return out


def permutation(seed: int, purpose: Purpose, index: int, count: int) -> NDArray[np.intp]:
    """The numbers 0 … `count` - 1 in random order."""
    return np.argsort(raw(seed, purpose, index, count), kind="stable")
