"""Training: forward, backward, update, over and over, on private memory.

It leaves the same state, bit for bit, as the same passes called one by one: the same arithmetic runs on arrays of the
same shapes, and the last step is done by the passes themselves, so that the state carries its trace. It is a generator:
about every 5 ms it yields what it has come to since, and an `Ending` sent back ends it early.
"""

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import cached_property
from math import isfinite
from typing import NamedTuple, cast

import numpy as np

from app.engine import passes
from app.engine.batches import Batches, steps_of
from app.engine.entries import Entry, Sums, add_test, entry_of_step
from app.engine.network import Config
from app.engine.passes import Norm, Update
from app.engine.plan import FRAME_BYTES, Ending, Frame, Plan, Progress, Reason, Trained, stopped
from app.engine.rows import Data
from app.engine.spec import Array, read_only
from app.engine.state import Begun, State
from app.engine.stepping import nonfinite, step
from app.engine.stops import breakpoint_of, watch
from app.engine.straight import work_for
from app.engine.stretches import Stretches, stretches_for
from app.engine.tally import Tally
from app.engine.tensors import all_finite
from app.engine.watch import Met, Moment, Watch
from app.engine.work import Work

CHUNK_SECONDS = 0.005
CHECKPOINT_STEPS = 64
CHECKPOINT_SECONDS = 1.0


class _Eve(NamedTuple):
    """A training before the last of several batches of an epoch: should that be its last whole one, it makes an entry.

    `sums` are of all batches of the epoch, `elapsed` is when that one began.
    """

    state: State
    sums: Sums
    elapsed: float


def train(
    config: Config, state: State, data: Data, plan: Plan, clock: Callable[[], float]
) -> Generator[Progress, Ending | None, Trained]:
    """Train until `plan.epochs` more epochs have ended, one of the plan's conditions is met, or it is told to end.

    A loss, gradient, parameter or slot that is not finite stops it before the update that it would spoil. An epoch
    that an earlier training left unfinished does its remaining rows first. An `Ending` ends it after one more step at
    most, or, `at_epoch`, when the epoch under way is done; a later one takes its place. Whatever ends it, at least
    one step is done, unless that step itself must not be.

    Args:
        clock: seconds, for `elapsed` and for the length of the chunks.

    Raises:
        InvalidInput: a condition makes no sense for this network or these rows, with a pointer below `/stop`.
    """
    return (yield from _Training(config, state, data, plan, clock).run())


class _Training:
    """A training under way: the last state made by passes, and private memory that has run ahead of it.

    `steps`, `epochs` and `position` say where the private memory stands, as the fields of `State` do.
    """

    def __init__(self, config: Config, state: State, data: Data, plan: Plan, clock: Callable[[], float]) -> None:
        at = breakpoint_of(plan.stop, state.epochs)
        self.breaks = at is not None and at <= state.epochs + plan.epochs
        if at is not None and self.breaks:
            plan = replace(plan, epochs=at - state.epochs)  # the breakpoint's epoch is the last
        self.config, self.rows, self.test, self.plan = config, data.train, data.test, plan
        self.watch = watch(plan.stop, config, data.test)
        self.clock, self.started = clock, clock()
        self.batches = Batches(plan, len(data.train), config.seed)
        self.last_epoch = state.epochs + plan.epochs
        self.first_epoch, self.remaining = state.epochs, steps_of(plan, len(data.train), state.epoch_position)
        self.entries: list[Entry] = []
        self.frames: list[Frame] = []
        self.frame_bytes = 0
        self.ending: Ending | None = None
        self.met: tuple[str, Met] | None = None

        self.state, self.state_made, self.step_seconds = state, self.started, 0.0
        self.steps, self.epochs, self.position = state.steps, state.epochs, state.epoch_position
        self.memory = np.concatenate([state.parameters, state.slots.reshape(-1)])
        self.parameters, self.slots = self._parts(self.memory)
        self.keeps_before = self.watch is not None and "update" in self.watch.needs
        self.before = np.empty_like(self.parameters) if self.keeps_before else self.parameters
        self.eve: _Eve | None = None  # of the last whole epoch before `state`
        self.later_eve: tuple[int, int, int, Tally, float] | None = None  # of a later one: see `_last_eve`
        shape = (len(data.train), config.network.sizes[-1]) if config.loss.classifies else None
        self.tally, self.other_tally = (Tally(np.empty(shape, config.dtype) if shape else None) for _ in range(2))
        self.tally.start(state.epoch_position, state.begun)
        self.gradients = np.empty_like(self.parameters)
        trainable = config.network.trainable_indices
        self.update = Update(config, self.parameters, self.slots, self.gradients, state.updates, trainable)
        self.norm = Norm(config, self.gradients)
        self.works: dict[int, Work] = {}

    def run(self) -> Generator[Progress, Ending | None, Trained]:
        while self.remaining:
            if not self._run_chunk():
                return (yield from self._stop())
            self.ending = (yield self._progress()) or self.ending
            if self.remaining and self.ending is not None and (self.position == 0 or not self.ending.at_epoch):
                return (yield from self._end(self.ending))
        if self.breaks and self.epochs == self.last_epoch:
            return Trained(self.state, stopped("epoch", self.state, None, self.last_epoch, self.last_epoch))
        return Trained(self.state, stopped("epochs", self.state))

    def _run_chunk(self) -> bool:
        """Steps for about a chunk of time, and at least one; false where one must not be done."""
        until = self.clock() + CHUNK_SECONDS
        while True:
            in_place = self.step_seconds < CHECKPOINT_SECONDS
            if in_place and not self._goes_by_passes() and not self._run_in_place(until):
                return False
            if (self._goes_by_passes() or not in_place or self._wants_checkpoint()) and not self._step_by_passes():
                return False
            ended = not self.remaining or (self.ending is not None and self.position == 0)
            if ended or self.clock() > until or self.frame_bytes > FRAME_BYTES:
                return True

    def _goes_by_passes(self) -> bool:
        """Whether the next step is to be done by the passes, so that the state there carries its trace."""
        if self.remaining == 1:
            return True
        ends = self.batches.end(self.position) > self.batches.last_above
        return ends and (self.ending is not None or (self.plan.frames and self._is_reported(self.epochs + 1)))

    def _wants_checkpoint(self) -> bool:
        """Whether the private memory has run so far ahead that it is time for a state made by the passes."""
        ahead = self.steps - self.state.steps
        return ahead >= CHECKPOINT_STEPS or (ahead > 0 and self.clock() - self.state_made >= CHECKPOINT_SECONDS)

    def _run_in_place(self, until: float) -> bool:
        """At least one step on the private memory, up to a time or to one that goes by the passes.

        False where a step must not be done.

        The norm is worked out where an entry, a condition or the clipping wants it, and for the chunk's last step: what
        is not finite stays in the parameters or slots, except where the clipping holds it back. The loss is always: it
        may be infinite where its gradient is not.
        """
        config, clock, update, watch = self.config, self.clock, self.update, self.watch
        count, n = len(config.network.layers), len(self.rows)
        size, last_above = self.batches.size, self.batches.last_above
        every, last_epoch = self.plan.report_every, self.last_epoch
        needs_norm = config.optimizer.clip is not None or (watch is not None and "norm" in watch.needs)
        keeps_before, rate_of = self.keeps_before, config.optimizer.rate
        states, stretches = self.plan.frames or self.ending is not None, self.stretches
        tally, sums, norm = self.tally, Sums(), 0.0
        with np.errstate(all="ignore"):
            while self.remaining > 1 and not (states and self._goes_by_passes()):
                if stretches is not None and self.position == 0 and self._run_stretches(stretches, until):
                    break
                start, epoch = self.position, self.epochs + 1  # then what `Batches.end` and `_is_reported` say
                stop = start + size if start + size < n else n
                ends, reported = stop > last_above, epoch % every == 0 or epoch == last_epoch
                work = self._work(start, stop)
                work.forward(0, count)
                loss = work.loss()
                work.backward(0, count)
                if needs_norm or (reported and ends):
                    norm = self.norm()
                if not (isfinite(loss) and isfinite(norm)):
                    return False
                if start or not ends or reported or watch is not None:  # otherwise the epoch's one step tells all
                    tally.losses.append(loss)
                    if tally.outputs is not None:
                        tally.outputs[start:stop] = work.outputs
                    if ends:
                        if reported or watch is not None:
                            sums = self._sums(tally, self.epochs)
                        if start and not reported:
                            np.copyto(self.eve_memory, self.memory)
                            self.later_eve = self.steps, self.epochs, start, tally, clock()
                rate = rate_of(self.steps)
                if keeps_before:
                    np.copyto(self.before, self.parameters)
                update(rate, norm)
                if watch is not None and self._meets(
                    watch, sums if ends else None, norm, rate, work.vector, stop - start, self.before, self.parameters
                ):
                    return False
                self.steps += 1
                self.remaining -= 1
                self.position = stop
                if ends:
                    self._end_epoch(sums if reported else None, norm, rate)
                    tally = self.tally
                if clock() > until or (reported and self.frame_bytes > FRAME_BYTES):
                    break
            return isfinite(self.norm()) and all_finite(self.parameters, self.slots)

    @cached_property
    def stretches(self) -> Stretches | None:
        """Plain epochs, many at a time; None where they are not plain, or the network is not tiny."""
        rows = self.rows
        if self.watch is not None or not self.batches.is_whole(0, self.batches.end(0)):
            return None
        return stretches_for(
            self.config, self.parameters, self.slots, rows.inputs, rows.targets, self.update, self.plan.report_every,
            self.remaining,
        )  # fmt: skip

    def _run_stretches(self, stretches: Stretches, until: float) -> bool:
        """Plain epochs, as far as they go; whether that is all for now, and no step by itself comes next."""
        every, limit = self.plan.report_every, self.remaining - 1
        if self.test is not None or self.plan.frames or self.plan.probe is not None:
            limit = min(limit, every - 1 - self.epochs % every)  # up to an epoch that tells more than its step does
        run = stretches.run(self.epochs, self.steps, limit, self.clock, self.started, until)
        self.epochs += run.done
        self.steps += run.done
        self.remaining -= run.done
        self.entries += run.entries
        return run.over or 0 < limit == run.done

    def _meets(
        self, watch: Watch, sums: Sums | None, norm: float, rate: float, forward: Array, samples: int, before: Array,
        after: Array,
    ) -> bool:  # fmt: skip
        """Whether a step meets a condition, which `met` then says; `sums` are the epoch's, if this is its last step."""
        loss, accuracy = (sums.loss, sums.accuracy) if sums else (None, None)
        self.met = watch(
            Moment(
                self.epochs + 1, self.steps + 1, loss, accuracy, norm, rate, self._elapsed, forward, samples, before,
                after,
            )
        )  # fmt: skip
        return self.met is not None

    def _work(self, start: int, stop: int) -> Work:
        """The work for a batch on the private memory, its rows put in place."""
        work = self.works.get(stop - start)
        whole = self.batches.is_whole(start, stop)
        if work is None:
            layout = self.config.network.layout(stop - start)
            rows = self.rows if whole else self.rows.take(np.arange(stop - start))  # a copy to write to
            work = self.works[stop - start] = work_for(
                self.config, self.parameters, rows.inputs, rows.targets,
                np.empty(layout.forward_size, self.config.dtype),
                np.empty(layout.backward_size, self.config.dtype), self.gradients,
            )  # fmt: skip
        if not whole:
            picked = self.batches.picked(self.epochs, start, stop)
            work.inputs[...] = self.rows.inputs[picked]
            work.targets[...] = self.rows.targets[picked]
        return work

    def _step_by_passes(self) -> bool:
        """One step by the pure passes, which brings `state` to where the training is; false where it must not be."""
        began, state, config = self.clock(), self.state, self.config
        if self.steps > state.steps:
            begun = self._sums(self.tally, self.epochs).begun
            state = self._state_at(self.steps, self.epochs, self.position, begun, self.memory)
        backward, after, sums = step(config, self.rows, self.batches, state)
        if nonfinite(config, backward, after) is not None:
            return False
        assert backward.gradients is not None
        assert backward.forward is not None
        start, stop = self.position, self.batches.end(self.position)
        ends, reported = after.epochs > state.epochs, self._is_reported(state.epochs + 1)
        rate = config.optimizer.rate(state.steps)
        with np.errstate(all="ignore"):
            norm = Norm(config, backward.gradients)()
            if self.watch is not None and self._meets(
                self.watch, sums if ends else None, norm, rate, backward.forward, stop - start, state.parameters,
                after.parameters,
            ):  # fmt: skip
                return False
        if start and ends:
            self.eve = _Eve(state.without_trace(), sums, began - self.started)
        else:
            self.eve = self._last_eve()
        self.later_eve = None
        self.state = after
        self.parameters[...], self.slots[...] = after.parameters, after.slots
        self.gradients[...] = backward.gradients
        self.update.rounds += 1
        self.steps += 1
        self.remaining -= 1
        self.position = stop
        if ends:
            self._end_epoch(sums if reported else None, norm, rate)
        self.tally.start(self.position, after.begun)
        self.state_made = self.clock()
        self.step_seconds = self.state_made - began
        return True

    def _end(self, ending: Ending) -> Generator[Progress, Ending | None, Trained]:
        """End it here, in a state that carries its trace: with one more step, or, at an epoch's end, the last again."""
        one_step_an_epoch = self.batches.end(0) > self.batches.last_above
        if self.steps > self.state.steps:
            if ending.at_epoch and not one_step_an_epoch:
                self._go_again()
            elif not self._step_by_passes():
                return (yield from self._stop())
        self._add_last_entry()
        yield self._progress()
        return Trained(self.state, stopped(ending.reason, self.state))

    def _stop(self) -> Generator[Progress, Ending | None, Trained]:
        """Stop before the step that must not be done, with the state that the passes come to there."""
        found = self._go_again()
        if found is None:
            found = nonfinite(self.config, *step(self.config, self.rows, self.batches, self.state)[:2])
        if found is None and self.met is None:
            raise RuntimeError("training and stepping have come to different numbers")
        done = sum(entry["steps"] <= self.state.steps for entry in self.entries)
        self.entries, self.frames = self.entries[:done], self.frames[:done]
        self._add_last_entry()
        yield self._progress()
        if found is not None:
            tensor, value = found
            tensor_or_loss = None if tensor == "loss" else tensor
            return Trained(self.state, stopped("nonfinite", self.state, tensor_or_loss, None, value))
        assert self.met is not None
        name, met = self.met
        return Trained(self.state, stopped(cast(Reason, name), self.state, *met))

    def _go_again(self) -> tuple[str, float] | None:
        """Bring `state` by single passes to where the private memory stands.

        Or to the last good state before it: then it answers the first tensor, and its value, that is not finite after.
        """
        self.later_eve = None
        while self.state.steps < self.steps:
            backward, after, sums = step(self.config, self.rows, self.batches, self.state)
            found = nonfinite(self.config, backward, after)
            if found is not None:
                return found
            if after.epochs > self.state.epochs:
                self.eve = _Eve(self.state.without_trace(), sums, self._elapsed())
            self.state = after
        return None

    @cached_property
    def eve_memory(self) -> Array:
        """What `memory` was at the later eve."""
        return np.empty_like(self.memory)

    def _last_eve(self) -> _Eve | None:
        if self.later_eve is None:
            return self.eve
        steps, epochs, position, tally, time = self.later_eve
        state = self._state_at(steps, epochs, position, None, self.eve_memory)
        return _Eve(state, self._sums(tally, epochs), time - self.started)

    def _state_at(self, steps: int, epochs: int, position: int, begun: Begun | None, memory: Array) -> State:
        """A state of the private memory as it is or was, without a trace."""
        updates = list(self.update.counts())
        for index in self.config.network.trainable_indices:
            updates[index] -= self.steps - steps
        parameters, slots = map(read_only, self._parts(memory.copy()))
        return State(
            parameters, parameters, slots, tuple(updates), steps=steps, epochs=epochs, epoch_position=position,
            begun=begun,
        )  # fmt: skip

    def _parts(self, memory: Array) -> tuple[Array, Array]:
        """The parameters and slots that lie in one piece of memory."""
        count = self.config.network.parameter_count
        return memory[:count], memory[count:].reshape(-1, count)

    def _sums(self, tally: Tally, epoch: int) -> Sums:
        with np.errstate(all="ignore"):
            return tally.sums(self.config, self.rows, self.batches, epoch)

    def _is_reported(self, epoch: int) -> bool:
        """Whether an epoch, counted from 1, makes an entry."""
        return epoch % self.plan.report_every == 0 or epoch == self.last_epoch

    def _elapsed(self) -> float:
        return self.clock() - self.started

    def _end_epoch(self, sums: Sums | None, norm: float, rate: float) -> None:
        """Go on to the next epoch; what its batches came to makes an entry."""
        self.epochs += 1
        self.position = 0
        if self.tally.losses:
            self.tally, self.other_tally = self.other_tally, self.tally  # the later eve may need this one
            self.tally.start()
        if sums is None:
            return
        self.later_eve = None
        entry: Entry = {
            "epoch": self.epochs,
            "steps": self.steps,
            "loss": sums.loss,
            "gradient_norm": norm,
            "learning_rate": rate,
            "elapsed": self._elapsed(),
        }
        if sums.accuracy is not None:
            entry["accuracy"] = sums.accuracy
        if self.test is not None:
            add_test(entry, self.config, self.parameters, self.test)
        self._add(entry, self.state, self.parameters)

    def _add_last_entry(self) -> None:
        """The entry of the last whole epoch, where that turns out to be one that was to make none."""
        last, eve, sums, elapsed = self.state, self.eve, None, self._elapsed()
        if last.epochs == self.first_epoch or self._is_reported(last.epochs):
            return
        if eve is not None and eve.state.epochs == last.epochs - 1:  # otherwise that epoch was one step, the last
            sums, elapsed = eve.sums, eve.elapsed
            if last.steps > eve.state.steps + 1:
                last = step(self.config, self.rows, self.batches, eve.state)[1]
        entry = entry_of_step(self.config, last, self.test, sums)
        self._add({**entry, "elapsed": elapsed}, last, last.parameters)

    def _add(self, entry: Entry, state_there: State, parameters: Array) -> None:
        self.entries.append(entry)
        if not self.plan.frames and self.plan.probe is None:
            return
        state, probe = state_there if self.plan.frames else None, None
        if self.plan.probe is not None:
            probe = read_only(passes.predict(self.config, parameters, self.plan.probe).vector)
        self.frames.append(Frame(state, probe))
        self.frame_bytes += (state.nbytes if state else 0) + (0 if probe is None else probe.nbytes)

    def _progress(self) -> Progress:
        told = Progress(self.entries, self.frames, self.state)
        self.entries, self.frames, self.frame_bytes = [], [], 0
        return told
