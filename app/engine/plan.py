"""What a training is asked to do, and what it tells: its plan, its progress, and why it ended."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from typing_extensions import TypedDict

from app.engine.entries import Entry
from app.engine.spec import Array
from app.engine.state import State
from app.engine.stops import AnyStop

Reason = Literal[  # all epochs are done, a condition is met, or an `Ending` came
    "epochs",
    "loss_below", "plateau", "gradient_norm_above", "gradient_norm_below", "saturated_units_above", "dead_units_above",
    "update_ratio_above", "parameter_outside", "nonfinite", "epoch", "expression",
    "cancelled", "disconnected", "time_limit",
]  # fmt: skip
FRAME_BYTES = 1 << 20  # of frames, after which a training tells


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to train, in what batches, until when, and what to tell on the way.

    Attributes:
        batch_size: None is all rows at once, and so is more than there are.
        steps: it ends after so many at most: a part of a training, done again, comes to what the whole one had there.
        drop_last: an epoch's last batch is left out where it is smaller than the others, as by PyTorch's `DataLoader`.
            What an earlier training left of an epoch is never empty: fewer rows than a batch are one.
        stop: the conditions that end it before its epochs are done; `nonfinite` always does.
        frames: whether each entry comes with the state where its epoch ended.
        probe: rows (m, inputs) that the network is tried on after each epoch that is reported.
    """

    epochs: int = 1
    batch_size: int | None = None
    shuffle: bool = False
    report_every: int = 1
    steps: int | None = None
    drop_last: bool = False
    stop: tuple[AnyStop, ...] = ()
    frames: bool = False
    probe: Array | None = None

    def size_of_batch(self, n: int) -> int:
        """How many of n rows a whole batch has."""
        return min(self.batch_size or n, n)


def entries_of(plan: Plan, epochs: int) -> int:
    """How many entries a plan makes in a session that has had so many epochs."""
    last = epochs + plan.epochs
    return last // plan.report_every - epochs // plan.report_every + (last % plan.report_every != 0)


class Frame(NamedTuple):
    """What goes with an entry where the plan asks for it.

    Attributes:
        state: the session's state where that epoch ended, with its trace.
        probe: the packed forward vector over the plan's probe, after that epoch.
    """

    state: State | None
    probe: Array | None


class Progress(NamedTuple):
    """What a training has come to since it last told.

    Attributes:
        entries: of the epochs that have ended since.
        frames: one for each entry, or none at all where the plan asks for none.
        state: after the last whole step made by the passes: what a checkpoint keeps.
    """

    entries: list[Entry]
    frames: list[Frame]
    state: State


class Ending(NamedTuple):
    """Sent into a training to end it early: after one more step at most, or when the epoch under way is done."""

    reason: Literal["cancelled", "disconnected", "time_limit"]
    at_epoch: bool = False


class Stopped(TypedDict):
    """Why a training ended; `epoch` and `step` are the last done.

    For a condition, `tensor` names what met it (null for the loss), `threshold` is its bound, `actual` what was found.
    """

    reason: Reason
    epoch: int
    step: int
    tensor: str | None
    threshold: float | None
    actual: float | None


class Trained(NamedTuple):
    """What a training came to."""

    state: State
    stopped: Stopped


def stopped(
    reason: Reason,
    state: State,
    tensor: str | None = None,
    threshold: float | None = None,
    actual: float | None = None,
) -> Stopped:
    """Why a training ended that has come to a state."""
    return {
        "reason": reason, "epoch": state.epochs, "step": state.steps,
        "tensor": tensor, "threshold": threshold, "actual": actual,
    }  # fmt: skip
