"""Plain epochs of a tiny network, many at a time: the steps of a training that need nothing but to be done."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.engine.entries import Entry
from app.engine.losses import Targets
from app.engine.network import Config
from app.engine.passes import Update
from app.engine.spec import Array
from app.engine.straight import steps_for
from app.engine.tensors import all_finite

WORTH = 256  # steps, from which a function for whole steps is worth making
SHORT, LONG = 0.00016, 0.00125  # seconds: a shorter stretch is followed by a longer one, and the other way round
GROWTH, LONGEST = 8, 8**5  # steps


class Stretch(NamedTuple):
    """Steps done one after the other: how many, and where asked for the loss and the gradient norm of each.

    `spoiled` says that numbers which are not finite lie ahead.
    """

    done: int
    losses: list[float]
    norms: list[float]
    spoiled: bool


class Run(NamedTuple):
    """Stretches done one after the other: how many epochs, what they came to, and whether it is time to stop."""

    done: int
    entries: list[Entry]
    over: bool


class Stretches:
    """Whole steps over the same rows, in place on parameters and slots, with the bits of the passes and `Update`."""

    def __init__(
        self, steps: Callable[..., int], config: Config, parameters: Array, slots: Array, inputs: Array,
        targets: Targets, update: Update, every: int,
    ) -> None:  # fmt: skip
        self.steps, self.optimizer, self.update, self.every = steps, config.optimizer, update, every
        self.arrays = parameters, slots
        self.flat = parameters.data, slots.reshape(-1).data, inputs.reshape(-1).data, targets.reshape(-1).data
        self.size = 1

    def run(self, epochs: int, steps: int, limit: int, clock: Callable[[], float], since: float, until: float) -> Run:
        """As many epochs as go, up to a limit or a time, after so many epochs and steps.

        It does none before the update has gone its first round, and ends where numpy has to do a step, or where
        numbers that are not finite lie ahead. An epoch's `elapsed`, from `since`, is an even share of its stretch's.
        """
        done, entries, over = 0, list[Entry](), not all_finite(*self.arrays)
        while done < limit and self.update.rounds and self.update.t is not None and not over:
            began, count = clock(), min(self.size, limit - done)
            rates = self._rates(steps + done, count)
            first = self.every - 1 - (epochs + done) % self.every  # of these, to be reported
            stretch = self.stretch(rates, self.update.t, recorded=first < count)
            ended = clock()
            each = (ended - began) / max(1, stretch.done)
            entries += [
                {
                    "epoch": epochs + done + at + 1, "steps": steps + done + at + 1, "loss": stretch.losses[at],
                    "gradient_norm": stretch.norms[at], "learning_rate": rates[at],
                    "elapsed": began - since + (at + 1) * each,
                }
                for at in range(first, stretch.done, self.every)
            ]  # fmt: skip
            done += stretch.done
            self.update.rounds += stretch.done
            if stretch.done < count:
                return Run(done, entries, stretch.spoiled and stretch.done > 0)
            if ended - began < SHORT:
                self.size = min(self.size * GROWTH, LONGEST)
            elif ended - began > LONG:
                self.size = max(1, self.size // GROWTH)
            over = ended > until
        return Run(done, entries, over)

    def stretch(self, rates: Sequence[float], t: int, recorded: bool) -> Stretch:
        """A step at each learning rate, or as many as Python's floats can do; all numbers at its end are finite.

        Where they would not be, it ends earlier, so that the last good step is still to come.

        Args:
            t: which update of the parameters the first is, from 2.
            recorded: whether to keep each step's loss and gradient norm.
        """
        before = [array.copy() for array in self.arrays]
        count, spoiled = len(rates), False
        while count > 0:
            losses, norms = list[float](), list[float]()
            kept = (losses, norms) if recorded else (None, None)
            done = self.steps(*self.flat, rates[:count], t, *kept) - t
            if all_finite(*self.arrays):
                return Stretch(done, losses, norms, spoiled)
            for array, old in zip(self.arrays, before, strict=True):
                array[...] = old
            spoiled = True
            count = done - 2 if done < count else done // 2  # a NaN ends it at the next step, an infinite slot may not
        return Stretch(0, [], [], spoiled)

    def _rates(self, steps: int, count: int) -> list[float]:
        if self.optimizer.schedule is None:
            return [self.optimizer.learning_rate] * count
        return [self.optimizer.rate(step) for step in range(steps, steps + count)]


def stretches_for(
    config: Config, parameters: Array, slots: Array, inputs: Array, targets: Targets, update: Update, every: int,
    steps: int,
) -> Stretches | None:  # fmt: skip
    """What does steps many at a time, where the network is tiny and there are enough of them.

    Args:
        update: that of the same parameters and slots.
        every: the epochs, a step each, between two that are reported.
        steps: how many there are to be done.
    """
    made = steps_for(config, len(inputs)) if steps >= WORTH else None
    return None if made is None else Stretches(made, config, parameters, slots, inputs, targets, update, every)
