"""What becomes of a session's rows once they are there: their order, those set aside to test on, their scale."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine import random
from app.engine.random import Purpose
from app.engine.rows import Data, Rows
from app.errors import FieldError, InvalidInput


def shuffled(data: Data, seed: int) -> Data:
    """The rows to train on in an order drawn from the seed."""
    order = random.permutation(seed, Purpose.ORDER, 0, len(data.train))
    return Data(data.train.take(order), data.test)


def split(rows: Rows, fraction: float, seed: int, pointer: str) -> Data:
    """A share of the rows set aside, at least one, chosen by the seed; both parts keep their order.

    Raises:
        InvalidInput: that would leave none; `pointer` is where the share is given.
    """
    count = max(1, round(len(rows) * fraction))
    if count >= len(rows):
        raise InvalidInput([FieldError(pointer, f"leaves none of {len(rows)} rows to train on")])
    order = random.permutation(seed, Purpose.SPLIT, 0, len(rows))
    return Data(rows.take(np.sort(order[count:])), rows.take(np.sort(order[:count])))


def standardized(data: Data, pointer: str) -> Data:
    """Each input less its mean, over its standard deviation (that of all rows to train on: divided by n).

    The rows to test on by the same numbers; an input that is the same in all rows becomes 0 in them.

    Raises:
        InvalidInput: the inputs are too large for this; `pointer` is where it is asked for.
    """
    train = data.train.inputs.astype(np.float64)  # (n, inputs)
    with np.errstate(all="ignore"):
        mean, deviation = train.mean(axis=0), train.std(axis=0)  # (inputs,)
        same = (train == train[0]).all(axis=0)
        mean[same], deviation[same | (deviation == 0)] = train[0, same], 1.0
        deviation[~np.isfinite(deviation)] = np.nan  # over infinity, all would be 0

        def scaled(rows: Rows) -> Rows:
            inputs: NDArray[Any] = ((rows.inputs - mean) / deviation).astype(rows.inputs.dtype)
            if not np.isfinite(inputs).all():
                raise InvalidInput([FieldError(pointer, "the inputs are too large to standardize")])
            return replace(rows, inputs=inputs)

        return Data(scaled(data.train), scaled(data.test) if data.test else None)
