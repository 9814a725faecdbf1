"""One step of a training by the pure passes: its batch forward and backward, its update, and whether that may be."""

from itertools import chain
from math import isfinite

import numpy as np

from app.engine import passes, tensors
from app.engine.batches import Batches
from app.engine.entries import Sums
from app.engine.network import Config
from app.engine.passes import Norm
from app.engine.plan import Plan
from app.engine.rows import Data, Rows
from app.engine.spec import read_only
from app.engine.state import State
from app.engine.tensors import all_finite, first_nonfinite


def step(config: Config, rows: Rows, batches: Batches, state: State) -> tuple[State, State, Sums]:
    """The states after the backward pass over the next batch and after its update, and what its epoch has come to."""
    start = state.epoch_position
    stop = batches.end(start)
    own_rows = batches.is_whole(start, stop)
    batch = rows if own_rows else rows.take(batches.picked(state.epochs, start, stop))
    begun = passes.begin(state, read_only(batch.inputs), read_only(batch.targets), own_rows=own_rows)
    backward = passes.backward(config, passes.forward(config, begun))
    sums = Sums(state.begun)
    sums.add_step(config, backward)
    after = passes.update(config, backward)
    if stop > batches.last_above:
        return backward, after._replace(epochs=state.epochs + 1, epoch_position=0, begun=None), sums
    return backward, after._replace(epochs=state.epochs, epoch_position=stop, begun=sums.begun), sums


def before_update(config: Config, state: State, data: Data, plan: Plan) -> State:
    """The state after the backward pass of the next step of a training, its update still to come."""
    return step(config, data.train, Batches(plan, len(data.train), config.seed), state)[0]


def nonfinite(config: Config, backward: State, after: State) -> tuple[str, float] | None:
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
