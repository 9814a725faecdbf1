"""Training: forward, backward, update, over and over, on private memory.

It leaves the same state, bit for bit, as the same passes called one by one: the same arithmetic runs on arrays of the
same shapes, and the last step is done by the passes themselves, so that the state carries its trace. It is a generator:
about every 5 ms it yields the entries of the epochs that have ended since, and a true value sent back ends it after one
more step.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Literal, NamedTuple, NotRequired

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from app.engine import passes, random, tensors
from app.engine.data import Data, Rows
from app.engine.losses import Targets
from app.engine.network import Config
from app.engine.passes import Norm, Update
from app.engine.spec import Array, read_only
from app.engine.state import State
from app.engine.straight import work_for
from app.engine.tensors import all_finite, first_nonfinite
from app.engine.work import Work

CHUNK_SECONDS = 0.005
CHECKPOINT_STEPS = 64

Reason = Literal["epochs", "cancelled", "nonfinite"]


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


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to train, and in what batches.

    `batch_size` None is all rows at once. With `steps`, it ends after so many of them: a part of a training, done
    again, comes to what the whole one had there.
    """

    epochs: int = 1
    batch_size: int | None = None
    shuffle: bool = False
    report_every: int = 1
    steps: int | None = None


class Trained(NamedTuple):
    """What a training came to."""

    state: State
    stopped: Stopped


def steps_of(plan: Plan, n: int, position: int = 0) -> int:
    """How many optimizer steps a plan comes to over n rows, `position` of which are done in the first epoch."""
    size = min(plan.batch_size or n, n)
    whole = (plan.epochs - 1) * math.ceil(n / size) + math.ceil((n - position) / size)
    return whole if plan.steps is None else min(whole, plan.steps)


def entries_of(plan: Plan, epochs: int) -> int:
    """How many entries a plan makes in a session that has had so many epochs."""
    last = epochs + plan.epochs
    return last // plan.report_every - epochs // plan.report_every + (last % plan.report_every != 0)


def entry_of_step(config: Config, state: State, test: Rows | None) -> Entry:
    """The entry of an epoch that the last step of `state` ended by hand."""
    assert state.gradients is not None
    with np.errstate(all="ignore"):
        norm = Norm(config, state.gradients)()
    entry: Entry = {
        "epoch": state.epochs, "steps": state.steps, "loss": state.loss, "gradient_norm": norm,
        "learning_rate": config.optimizer.rate(state.steps - 1),
    }  # fmt: skip
    if config.loss.classifies:
        outputs = tensors.outputs(config, state)
        assert outputs is not None
        assert state.targets is not None
        entry["accuracy"] = config.loss.hits(outputs, state.targets) / config.loss.answers(outputs)
    if test is not None:
        _add_test(entry, config, state.parameters, test)
    return entry


def _add_test(entry: Entry, config: Config, parameters: Array, test: Rows) -> None:
    loss, accuracy = passes.evaluate(config, parameters, test)
    entry["test_loss"] = loss
    if accuracy is not None:
        entry["test_accuracy"] = accuracy


def train(
    config: Config, state: State, data: Data, plan: Plan, clock: Callable[[], float]
) -> Generator[list[Entry], bool | None, Trained]:
    """Train until `plan.epochs` more epochs have ended, or something is not finite.

    A loss, gradient, parameter or slot that is not finite stops it before the update that it would spoil. An epoch
    that an earlier training left unfinished does its remaining rows first.

    Args:
        clock: seconds, for `elapsed` and for the length of the chunks.
    """
    return (yield from _Training(config, state, data, plan, clock).run())


def before_update(config: Config, state: State, data: Data, plan: Plan) -> State:
    """The state after the backward pass of the next step of a training, its update still to come."""
    return _Training(config, state, data, plan, lambda: 0.0).next_passes(state)[0]


class _Training:
    """A training under way: the last state made by passes, and private memory that has run ahead of it.

    `steps`, `epochs` and `position` say where the private memory stands, as the fields of `State` do.
    """

    def __init__(self, config: Config, state: State, data: Data, plan: Plan, clock: Callable[[], float]) -> None:
        self.config, self.rows, self.test, self.plan = config, data.train, data.test, plan
        self.clock, self.started = clock, clock()
        self.batch_size = min(plan.batch_size or len(data.train), len(data.train))
        self.last_epoch = state.epochs + plan.epochs
        self.remaining = steps_of(plan, len(data.train), state.epoch_position)
        self.order = -1, np.arange(0)
        self.entries: list[Entry] = []
        self.sums = _Sums()

        self.state = state
        self.steps, self.epochs, self.position = state.steps, state.epochs, state.epoch_position
        self.parameters, self.slots = state.parameters.copy(), state.slots.copy()
        self.gradients = np.empty_like(self.parameters)
        trainable = config.network.trainable_indices
        self.update = Update(config, self.parameters, self.slots, self.gradients, state.updates, trainable)
        self.norm = Norm(config, self.gradients)
        self.works: dict[int, Work] = {}

    def run(self) -> Generator[list[Entry], bool | None, Trained]:
        reason: Literal["epochs", "cancelled"] = "epochs"
        while self.remaining > 1:
            if not self._run_in_place():
                return (yield from self._stop_before_nonfinite())
            if (yield self._take_entries()):
                reason = "cancelled"
                break
            if self.remaining > 1 and self.steps - self.state.steps >= CHECKPOINT_STEPS and not self._step_by_passes():
                return (yield from self._stop_before_nonfinite())
        if not self._step_by_passes():
            return (yield from self._stop_before_nonfinite())
        yield self._take_entries()
        return Trained(self.state, _stopped(reason if self.remaining else "epochs", self.state))

    def _run_in_place(self) -> bool:
        """Steps on the private memory for about a chunk of time, never the last; false where one is not finite.

        The norm is worked out where an entry or the clipping wants it, and for the chunk's last step: what is not
        finite stays in the parameters or slots, except where the clipping holds it back. The loss is always: it may be
        infinite where its gradient is not.
        """
        config, clock, update = self.config, self.clock, self.update
        count, n = len(config.network.layers), len(self.rows)
        clips, rate_of = config.optimizer.clip, config.optimizer.rate
        until = clock() + CHUNK_SECONDS
        norm = 0.0
        with np.errstate(all="ignore"):
            while self.remaining > 1:
                start, ended = self.position, self.epochs + 1
                stop, reported = self._batch_end(start), self._is_reported(ended)
                work = self._work(start, stop)
                work.forward(0, count)
                loss = work.loss()
                work.backward(0, count)
                if clips or (reported and stop == n):
                    norm = self.norm()
                if not (isfinite(loss) and isfinite(norm)):
                    return False
                rate = rate_of(self.steps)
                update(rate, norm)
                self.steps += 1
                self.remaining -= 1
                self.position = stop
                if reported:
                    self.sums.add(config, work.outputs, work.targets, loss, stop - start)
                if stop == n:
                    self._end_epoch(reported, norm, rate)
                if clock() > until:
                    break
            return isfinite(self.norm()) and all_finite(self.parameters, self.slots)

    def _work(self, start: int, stop: int) -> Work:
        """The work for a batch on the private memory, its rows put in place."""
        work = self.works.get(stop - start)
        whole = stop - start == len(self.rows) and not self.plan.shuffle
        if work is None:
            layout = self.config.network.layout(stop - start)
            rows = self.rows if whole else self.rows.take(np.arange(stop - start))  # a copy to write to
            work = self.works[stop - start] = work_for(
                self.config, self.parameters, rows.inputs, rows.targets,
                np.empty(layout.forward_size, self.config.dtype),
                np.empty(layout.backward_size, self.config.dtype), self.gradients,
            )  # fmt: skip
        if not whole:
            picked = self._picked(self.epochs, start, stop)
            work.inputs[...] = self.rows.inputs[picked]
            work.targets[...] = self.rows.targets[picked]
        return work

    def _step_by_passes(self) -> bool:
        """One step by the pure passes, which brings `state` to where the training is; false where it is not finite."""
        state = self.state
        if self.steps > state.steps:
            state = state._replace(
                parameters=read_only(self.parameters.copy()), slots=read_only(self.slots.copy()),
                updates=self.update.counts(), steps=self.steps, epochs=self.epochs, epoch_position=self.position,
            )  # fmt: skip
        backward, after = self.next_passes(state)
        if _nonfinite(self.config, backward, after) is not None:
            return False
        outputs = tensors.outputs(self.config, backward)
        assert backward.loss is not None
        assert backward.gradients is not None
        assert backward.targets is not None
        assert outputs is not None
        stop, reported = self._batch_end(self.position), self._is_reported(state.epochs + 1)
        if reported:
            self.sums.add(self.config, outputs, backward.targets, backward.loss, stop - self.position)
        self.state = after
        self.parameters[...], self.slots[...] = after.parameters, after.slots
        self.update.rounds += 1
        self.steps += 1
        self.remaining -= 1
        self.position = stop
        if stop == len(self.rows):
            with np.errstate(all="ignore"):
                norm = Norm(self.config, backward.gradients)()
            self._end_epoch(reported, norm, self.config.optimizer.rate(state.steps))
        return True

    def next_passes(self, state: State) -> tuple[State, State]:
        """The states after the backward pass over the next batch and after its update."""
        n, start = len(self.rows), state.epoch_position
        stop = self._batch_end(start)
        own_rows = stop - start == n and not self.plan.shuffle
        rows = self.rows if own_rows else self.rows.take(self._picked(state.epochs, start, stop))
        begun = passes.begin(state, read_only(rows.inputs), read_only(rows.targets), own_rows=own_rows)
        backward = passes.backward(self.config, passes.forward(self.config, begun))
        epochs, position = (state.epochs + 1, 0) if stop == n else (state.epochs, stop)
        after = passes.update(self.config, backward)
        return backward, after._replace(epochs=epochs, epoch_position=position)

    def _stop_before_nonfinite(self) -> Generator[list[Entry], bool | None, Trained]:
        """Go again from the last state made by passes, a step at a time, up to the one that is not finite."""
        good = self.state
        while True:
            if good.steps > self.steps:  # it would go on for ever
                raise RuntimeError("training and stepping have come to different numbers")
            backward, after = self.next_passes(good)
            found = _nonfinite(self.config, backward, after)
            if found is not None:
                break
            good = after
        self.entries = [entry for entry in self.entries if entry["steps"] <= good.steps]
        yield self._take_entries()
        name, value = found
        return Trained(good, _stopped("nonfinite", good, None if name == "loss" else name, value))

    def _batch_end(self, start: int) -> int:
        """One past the last row of the batch that begins at a row."""
        return min(start + self.batch_size, len(self.rows))

    def _is_reported(self, epoch: int) -> bool:
        """Whether an epoch, counted from 1, makes an entry."""
        return epoch % self.plan.report_every == 0 or epoch == self.last_epoch

    def _picked(self, epoch: int, start: int, stop: int) -> slice | NDArray[np.intp]:
        """Which rows are in a batch, as any training has them."""
        if not self.plan.shuffle:
            return slice(start, stop)
        if self.order[0] != epoch:
            self.order = (
                epoch,
                random.permutation(self.config.seed, random.Purpose.SHUFFLE, epoch, len(self.rows)),
            )
        return self.order[1][start:stop]

    def _end_epoch(self, reported: bool, norm: float, rate: float) -> None:
        self.epochs += 1
        self.position = 0
        if not reported:
            return
        sums, self.sums = self.sums, _Sums()
        entry: Entry = {
            "epoch": self.epochs,
            "steps": self.steps,
            "loss": sums.loss,
            "gradient_norm": norm,
            "learning_rate": rate,
            "elapsed": self.clock() - self.started,
        }
        if sums.answers:
            entry["accuracy"] = sums.hits / sums.answers
        if self.test is not None:
            _add_test(entry, self.config, self.parameters, self.test)
        self.entries.append(entry)

    def _take_entries(self) -> list[Entry]:
        entries, self.entries = self.entries, []
        return entries


class _Sums:
    """What an epoch's entry is made of, added up over its batches."""

    __slots__ = ("answers", "hits", "loss", "rows")

    def __init__(self) -> None:
        self.rows = self.hits = self.answers = 0
        self.loss = 0.0

    def add(self, config: Config, outputs: Array, targets: Targets, loss: float, rows: int) -> None:
        self.rows += rows
        self.loss += (loss - self.loss) * (rows / self.rows)  # the mean so far; exact for a single batch
        if config.loss.classifies:
            self.hits += config.loss.hits(outputs, targets)
            self.answers += config.loss.answers(outputs)


def _nonfinite(config: Config, backward: State, after: State) -> tuple[str, float] | None:
    """The first tensor, and its value, for which a step must not be taken; None where all is well.

    The gradients of what is frozen do not count: nobody steps along them.
    """
    assert backward.loss is not None
    assert backward.gradients is not None
    with np.errstate(all="ignore"):
        norm = Norm(config, backward.gradients)()
    if isfinite(backward.loss) and isfinite(norm) and all(map(all_finite, (after.parameters, after.slots))):
        return None
    network = config.network
    frozen = {f"{p.name}.gradient" for p in network.parameters if not p.trainable}
    passed = (named for named in tensors.tensors(config, backward) if named[0] not in frozen)
    next_values = ((f"{p.name}.next", p.view(after.parameters)) for p in network.parameters)
    next_slots = (named for named in tensors.tensors(config, after) if ".state." in named[0])
    return first_nonfinite(chain(passed, next_values, next_slots))


def _stopped(
    reason: Literal["epochs", "cancelled", "nonfinite"],
    state: State,
    tensor: str | None = None,
    actual: float | None = None,
) -> Stopped:
    return {
        "reason": reason, "epoch": state.epochs, "step": state.steps,
        "tensor": tensor, "threshold": None, "actual": actual,
    }  # fmt: skip
