"""How the rows of an epoch are cut into batches, the same way in any training that has the same plan."""

import math

import numpy as np
from numpy.typing import NDArray

from app.engine import random
from app.engine.plan import Plan


def steps_of(plan: Plan, n: int, position: int = 0) -> int:
    """How many optimizer steps a plan comes to over n rows, `position` of which are done in the first epoch."""
    size = plan.size_of_batch(n)
    first = _batches(plan, n - position, size)
    whole = first + (plan.epochs - 1) * _batches(plan, n, size)
    return whole if plan.steps is None else min(whole, plan.steps)


def _batches(plan: Plan, rows: int, size: int) -> int:
    """How many batches an epoch, or the rest of one, is cut into."""
    return max(1, rows // size) if plan.drop_last else math.ceil(rows / size)


class Batches:
    """The batches of a training over n rows.

    `size` is that of a whole one. A batch that ends above row `last_above` is its epoch's last.
    """

    def __init__(self, plan: Plan, n: int, seed: int) -> None:
        self.n, self.seed, self.shuffle = n, seed, plan.shuffle
        self.size = plan.size_of_batch(n)
        self.last_above = n - self.size if plan.drop_last else n - 1
        self._orders: dict[int, NDArray[np.intp]] = {}  # of the last two epochs

    def end(self, start: int) -> int:
        """One past the last row of the batch that begins at a row."""
        return min(start + self.size, self.n)

    def is_whole(self, start: int, stop: int) -> bool:
        """Whether a batch is all rows in their own order."""
        return stop - start == self.n and not self.shuffle

    def picked(self, epoch: int, start: int, stop: int) -> slice | NDArray[np.intp]:
        """Which rows are in a batch of the epoch of an index, counted from 0."""
        if not self.shuffle:
            return slice(start, stop)
        order = self._orders.get(epoch)
        if order is None:
            if len(self._orders) == 2:
                del self._orders[min(self._orders)]
            order = self._orders[epoch] = random.permutation(self.seed, random.Purpose.SHUFFLE, epoch, self.n)
        return order[start:stop]
