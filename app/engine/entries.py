"""The entries of the history: what each epoch of a training came to."""

from typing import NotRequired

import numpy as np
from typing_extensions import TypedDict

from app.engine import passes, tensors
from app.engine.losses import Loss, Targets
from app.engine.network import Config
from app.engine.passes import Norm
from app.engine.rows import Rows
from app.engine.spec import Array
from app.engine.state import Begun, State


class Entry(TypedDict):
    """One epoch of a training, as the history lists it; what does not apply is left out.

    `epoch` and `steps` are the session's counts when it had ended; `loss` and `accuracy` are from before its updates
    (over mini-batches, weighted by size), `test_loss` and `test_accuracy` from after them. `learning_rate` and
    `gradient_norm` (before clipping) belong to its last update. `elapsed` counts seconds from the training's start.
    """

    epoch: int
    steps: int
    loss: float | None
    test_loss: NotRequired[float | None]
    accuracy: NotRequired[float]
    test_accuracy: NotRequired[float]
    gradient_norm: float | None
    learning_rate: float
    elapsed: NotRequired[float]


def entry_of_step(config: Config, state: State, test: Rows | None, sums: "Sums | None" = None) -> Entry:
    """The entry of an epoch that the last step of `state` ended; `sums` are of all its batches, if it had several."""
    assert state.gradients is not None
    if sums is None:
        sums = Sums()
        sums.add_step(config, state)
    with np.errstate(all="ignore"):
        norm = Norm(config, state.gradients)()
    entry: Entry = {
        "epoch": state.epochs, "steps": state.steps, "loss": sums.loss, "gradient_norm": norm,
        "learning_rate": config.optimizer.rate(state.steps - 1),
    }  # fmt: skip
    if sums.accuracy is not None:
        entry["accuracy"] = sums.accuracy
    if test is not None:
        add_test(entry, config, state.parameters, test)
    return entry


def add_test(entry: Entry, config: Config, parameters: Array, test: Rows) -> None:
    """Put what these parameters come to over the rows to test on into an entry."""
    loss, accuracy = passes.evaluate(config, parameters, test)
    entry["test_loss"] = loss
    if accuracy is not None:
        entry["test_accuracy"] = accuracy


class Sums:
    """What an epoch's entry is made of, added up over its batches: at first, what those of an earlier training were."""

    __slots__ = ("answers", "hits", "loss", "rows")

    def __init__(self, begun: Begun | None = None) -> None:
        self.rows, self.loss, self.hits, self.answers = begun or (0, 0.0, 0, 0)

    def add(self, rows: int, loss: float) -> None:
        """Take a batch of so many rows into account."""
        self.rows += rows
        self.loss += (loss - self.loss) * (rows / self.rows)  # the mean so far; exact for a single batch

    def count(self, loss: Loss, outputs: Array, targets: Targets) -> None:
        """Count the right answers of a batch, for a loss that classifies."""
        self.hits += loss.hits(outputs, targets)
        self.answers += loss.answers(outputs)

    def add_step(self, config: Config, state: State) -> None:
        """Take the batch of a state's last step into account."""
        assert state.loss is not None
        assert state.inputs is not None
        self.add(len(state.inputs), state.loss)
        if config.loss.classifies:
            outputs = tensors.outputs(config, state)
            assert outputs is not None
            assert state.targets is not None
            self.count(config.loss, outputs, state.targets)

    @property
    def begun(self) -> Begun | None:
        """What a state keeps of an epoch under way."""
        return (self.rows, self.loss, self.hits, self.answers) if self.rows else None

    @property
    def accuracy(self) -> float | None:
        """The share of right answers; None for a loss that does not classify."""
        return self.hits / self.answers if self.answers else None
