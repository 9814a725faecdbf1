"""What watches over a training: its conditions, asked before each update about what the step has come to."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from app.engine.spec import Array


class Met(NamedTuple):
    """What met a condition: the tensor's name (None for a loss), the bound, and the number found."""

    tensor: str | None
    threshold: float | None
    actual: float | None


class Moment(NamedTuple):
    """A step before its update.

    Attributes:
        epoch, steps: as the epoch's entry would have them, this step and the epoch under way counted.
        loss: the epoch's, where this is its last batch; otherwise None.
        accuracy: likewise, for a loss that classifies.
        norm: of the gradients, before clipping.
        rate: the learning rate of the update.
        elapsed: seconds since the training began.
        forward: the packed trace of the batch.
        samples: how many are in the batch.
        before, after: the parameters now, and as the update would leave them.
    """

    epoch: int
    steps: int
    loss: float | None
    accuracy: float | None
    norm: float
    rate: float
    elapsed: Callable[[], float]
    forward: Array
    samples: int
    before: Array
    after: Array


Test = Callable[[Moment], Met | None]
Need = Literal["norm", "update"]  # the norm, and `before` beside `after`, which are right only where asked for


class Watch:
    """The tests of a training's conditions, to be asked once for each of its steps; `needs` are those of all."""

    def __init__(self, tests: Sequence[tuple[str, Test]], needs: frozenset[Need]) -> None:
        """Ask these tests, each under the type of its condition."""
        self._tests, self.needs = tests, needs

    def __call__(self, moment: Moment) -> tuple[str, Met] | None:
        """The first condition that is met, by its type, and what met it. Every one of them is asked."""
        found = [(name, met) for name, test in self._tests if (met := test(moment)) is not None]
        return found[0] if found else None
