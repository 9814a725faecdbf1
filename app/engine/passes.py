"""Forward, backward, update: a state in, a state out.

For layer l, with a₀ the inputs and y the last layer's activations:

    forward     z_l = a_{l-1} W_lᵀ + b_l          a_l = f_l(z_l)                      L = loss(y, t)
    backward    ∂L/∂a of the last from the loss   ∂L/∂a_l = ∂L/∂z_{l+1} W_{l+1}
                ∂L/∂z_l = ∂L/∂a_l ∂a_l/∂z_l       ∂L/∂W_l = (∂L/∂z_l)ᵀ a_{l-1}        ∂L/∂b_l = Σ ∂L/∂z_l
    update      each parameter by the optimizer's rule

(Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986). The sum for a bias is
over samples; for a shared one, over units too. `Work` does this arithmetic in place, and so does `Update` for the
optimizer's. The functions below run them on fresh memory, so that no state ever changes; a training runs them over and
over on the same.
"""

import math
import sys
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from app.engine.losses import Targets
from app.engine.network import Config
from app.engine.rows import Rows
from app.engine.spec import Array, read_only
from app.engine.state import State
from app.engine.straight import MOST, TOO_LARGE, update_for, work_for
from app.engine.work import Work
from app.errors import FieldError, InvalidInput, WrongPhase

Using = Literal["forward", "current"]
BLOCK = 16_384  # entries that stay in a core's cache while a rule goes over them


class Update:
    """The optimizer's rule for chosen parameters, in place on packed vectors.

    Neighbouring parameters are one piece of the vector, unless the rule counts updates and theirs differ; a large piece
    goes block by block.
    """

    def __init__(
        self,
        config: Config,
        parameters: Array,
        slots: Array,
        gradients: Array,
        updates: Sequence[int],
        chosen: Sequence[int],
    ) -> None:
        network = config.network
        self.optimizer = config.optimizer
        self.dtype = config.dtype
        self.updates = updates
        self.chosen = chosen
        self.rate = -1.0
        self.rate_array: Array
        counts = updates if len(slots) and len(set(updates)) > 1 else None
        all_alike = counts is None and chosen == network.trainable_indices
        runs = network.trainable_runs if all_alike else network.runs(chosen, counts)
        blocks = [
            (first, slice(start, min(start + BLOCK, run.stop)))
            for first, run in runs
            for start in range(run.start, run.stop, BLOCK)
        ]
        scratch = np.empty(max((block.stop - block.start for _, block in blocks), default=0), config.dtype)
        self.pieces = [
            (
                parameters[block],
                gradients[block],
                slots[:, block],
                scratch[: block.stop - block.start],
                updates[first],
            )
            for first, block in blocks
        ]
        self.rounds = 0

    def __call__(self, rate: float, norm: float) -> None:
        """Update once at a learning rate; `norm` is that of all trainable parameters' gradients, for clipping."""
        if rate != self.rate:
            self.rate, self.rate_array = rate, np.array(rate, self.dtype)
        self.rounds += 1
        clip = self.optimizer.clip
        update = self.optimizer.update
        for p, g, slots, scratch, updates in self.pieces:
            if clip is not None:
                g = clip.apply(g, norm)
            update(p, g, slots, updates + self.rounds, self.rate_array, scratch)

    @property
    def t(self) -> int | None:
        """Which update of the parameters comes next, from 1; None where that is not the same for all."""
        counts = {self.updates[index] for index in self.chosen}
        return counts.pop() + self.rounds + 1 if len(counts) == 1 else None

    def counts(self) -> tuple[int, ...]:
        """How often each parameter tensor has been updated by now."""
        return _counted(self.updates, self.chosen, self.rounds)


def _counted(updates: Sequence[int], chosen: Sequence[int], rounds: int = 1) -> tuple[int, ...]:
    counts = list(updates)
    for index in chosen:
        counts[index] += rounds
    return tuple(counts)


class Norm:
    """The norm of the gradients of all trainable parameters, before clipping."""

    def __init__(self, config: Config, gradients: Array) -> None:
        self.pieces = [gradients[run] for _, run in config.network.trainable_runs]
        self.few = config.network.parameter_count <= MOST

    def __call__(self) -> float:
        """The norm, finite where the gradients are; its sum of squares is scaled where it would overflow or vanish."""
        if self.few:
            return norm_of_few([value for piece in self.pieces for value in piece.tolist()])
        total = 0.0
        for piece in self.pieces:
            total += float(piece.dot(piece))
        if 1e-30 < total < 1e30 or math.isnan(total):
            return math.sqrt(total)
        largest = max((float(np.abs(piece).max()) for piece in self.pieces), default=0.0)
        if largest == 0 or not math.isfinite(largest):
            return largest
        scaled = [(piece / largest).astype(np.float64) for piece in self.pieces]
        return min(largest * math.sqrt(sum(float(piece.dot(piece)) for piece in scaled)), sys.float_info.max)


def norm_of_few(values: list[float]) -> float:
    """The norm of a few numbers, as the straight-line code has it; finite where they are."""
    norm = math.hypot(*values)
    return sys.float_info.max if norm == math.inf and all(map(math.isfinite, values)) else norm


def begin(state: State, inputs: Array, targets: Targets | None, *, own_rows: bool) -> State:
    """A forward pass about to start over these rows; what an earlier pass left is gone."""
    return State(
        state.parameters, state.parameters, state.slots, state.updates, inputs=inputs, targets=targets,
        own_rows=own_rows, phase="forward", steps=state.steps, epochs=state.epochs, epoch_position=state.epoch_position,
        begun=state.begun,
    )  # fmt: skip


def forward_under_way(config: Config, state: State) -> bool:
    """Whether `forward` goes on with a pass; otherwise `begin` comes first."""
    return state.phase == "forward" and state.forwarded < len(config.network.layers)


def check_forward(config: Config, state: State, until: str | None = None) -> int:
    """How far `forward` will come: the number of layers passed after it. Raises what it raises."""
    network = config.network
    stop = len(network.layers) if until is None else layer_index(config, until) + 1
    if not forward_under_way(config, state):
        raise WrongPhase("no forward pass is under way")
    if stop <= state.forwarded:
        raise WrongPhase(f"the forward pass has already passed the layer {network.names[stop - 1]}")
    return stop


def forward(config: Config, state: State, until: str | None = None) -> State:
    """Go on with the forward pass that `begin` started, up to and including layer `until` (default: the last).

    With targets, reaching the last layer gives the loss. A layer uses the parameters as they are when it is passed.

    Raises:
        InvalidInput: no layer is called `until`.
        WrongPhase: it is already passed, or no pass is under way.
    """
    return forward_to(config, state, check_forward(config, state, until))


def forward_to(config: Config, state: State, stop: int) -> State:
    """What `forward` does, as far as `check_forward` has found that it will come."""
    network = config.network
    assert state.inputs is not None
    if state.forward is None:
        vector = np.zeros(network.layout(len(state.inputs)).forward_size, config.dtype)
    else:
        vector = state.forward.copy()
    used = state.parameters
    if state.used is not used:  # changed since the pass began: the layers passed before keep what they used
        start = network.layer_parameters[state.forwarded][0].place.start
        used = read_only(np.concatenate([state.used[:start], state.parameters[start:]]))
    work = work_for(config, used, state.inputs, state.targets, vector)
    loss = None
    with work.quiet():
        work.forward(state.forwarded, stop)
        if stop == len(network.layers) and state.targets is not None:
            loss = work.loss()
    return state._replace(used=used, forward=read_only(vector), forwarded=stop, loss=loss)


def check_backward(config: Config, state: State, until: str | None = None) -> range:
    """The layers that `backward` will go over. Raises what it raises."""
    network = config.network
    count = len(network.layers)
    first = 0 if until is None else layer_index(config, until)
    if state.phase == "ready" or state.forwarded < count:
        raise WrongPhase("a backward pass needs a complete forward pass before it", "forward")
    if state.targets is None:
        raise WrongPhase("the last forward pass had no targets, so there is no loss to go back from", "forward")
    stop = count if state.backwarded == count else count - state.backwarded
    if first >= stop:
        raise WrongPhase(f"the backward pass has already passed the layer {network.names[first]}")
    return range(first, stop)


def backward(config: Config, state: State, until: str | None = None, using: Using = "forward") -> State:
    """Run the backward pass, or go on with it, down to and including layer `until` (default: the first).

    `using="forward"` takes the weights that the forward pass used, as the chain rule has it; `"current"` takes today's,
    updates made in between included.

    Raises:
        InvalidInput: no layer is called `until`.
        WrongPhase: the last forward pass is not complete, had no targets, or `until` is already passed.
    """
    return backward_over(config, state, check_backward(config, state, until), using)


def backward_over(config: Config, state: State, layers: range, using: Using) -> State:
    """What `backward` does, over the layers that `check_backward` has found."""
    network = config.network
    count = len(network.layers)
    assert state.inputs is not None
    assert state.forward is not None
    anew = layers.stop == count
    if anew or state.backward is None or state.gradients is None:
        vector = np.zeros(network.layout(len(state.inputs)).backward_size, config.dtype)
        gradients = np.zeros(network.parameter_count, config.dtype)
    else:
        vector, gradients = state.backward.copy(), state.gradients.copy()
    used = state.used if using == "forward" else state.parameters
    work = work_for(config, used, state.inputs, state.targets, state.forward, vector, gradients)
    with work.quiet():
        work.backward(layers.start, layers.stop)
    if not anew and state.backward_used is not None and state.backward_used is not used:
        # a layer's `dL_da` comes through the weights of the layer above, passed before or not
        start = network.layer_parameters[layers.stop][0].place.stop
        used = read_only(np.concatenate([used[:start], state.backward_used[start:]]))
    return state._replace(
        phase="backward", backward=read_only(vector), backward_used=used, gradients=read_only(gradients),
        backwarded=count - layers.start, stepped=frozenset() if anew else state.stepped,
    )  # fmt: skip


def update(config: Config, state: State, names: Sequence[str] | None = None) -> State:
    """Let the optimizer update the named parameters from their gradients (default: all that it has not yet).

    Once every trainable parameter has been updated since the backward pass, the step is whole: `steps` grows by one,
    and `epochs` too where the forward pass was over all of the session's own rows.

    Raises:
        InvalidInput: no parameter has this name, or one is named twice.
        WrongPhase: there is no gradient yet, the parameter is frozen, or it was already updated from this gradient.
    """
    return update_these(config, state, check_update(config, state, names))


def update_these(config: Config, state: State, chosen: tuple[int, ...]) -> State:
    """What `update` does, to the parameters that `check_update` has found."""
    network = config.network
    assert state.gradients is not None
    parameters, slots = state.parameters.copy(), state.slots.copy()
    rate = config.optimizer.rate(state.steps)
    if not _update_straight(config, state, chosen, parameters, slots, rate):
        with np.errstate(all="ignore"):
            norm = Norm(config, state.gradients)() if config.optimizer.clip else 0.0
            Update(config, parameters, slots, state.gradients, state.updates, chosen)(rate, norm)
    changed: dict[str, Any]
    if len(state.stepped) + len(chosen) < len(network.trainable):
        changed = {"stepped": state.stepped.union(network.parameters[index].name for index in chosen)}
    else:
        changed = {"phase": "ready", "stepped": frozenset(), "steps": state.steps + 1}
        if state.own_rows:
            changed |= {"epochs": state.epochs + 1, "epoch_position": 0, "begun": None}
    updates = _counted(state.updates, chosen)
    return state._replace(parameters=read_only(parameters), slots=read_only(slots), updates=updates, **changed)


def _update_straight(
    config: Config, state: State, chosen: tuple[int, ...], parameters: Array, slots: Array, rate: float
) -> bool:
    """Update copies of the parameters and slots as straight-line Python; False where it is for numpy to do."""
    counts = {state.updates[index] for index in chosen}
    if chosen != config.network.trainable_indices or len(counts) != 1 or (len(slots) and 0 in counts):
        return False
    assert state.inputs is not None
    assert state.gradients is not None
    update = update_for(config, len(state.inputs))
    if update is None:
        return False
    norm = Norm(config, state.gradients)() if config.optimizer.clip else 0.0
    try:
        update(parameters.data, slots.reshape(-1).data, state.gradients.data, rate, counts.pop() + 1, norm)
    except TOO_LARGE:
        return False
    return True


def check_update(config: Config, state: State, names: Sequence[str] | None = None) -> tuple[int, ...]:
    """The positions of the parameters that `update` will change. Raises what it raises."""
    network = config.network
    if names is not None:
        _check_names(config, names)
    if state.phase != "backward":
        needs = "backward" if state.phase == "forward" and state.forwarded == len(network.layers) else "forward"
        raise WrongPhase("there are no gradients to step from", needs)
    for name in names or ():
        if not network.parameters[network.by_name[name]].trainable:
            raise WrongPhase(f"{name} is frozen: its layer is not trainable")
        if name in state.stepped:
            raise WrongPhase(f"{name} has already been stepped from this gradient", "backward")
    if names is not None:
        chosen = tuple(sorted(network.by_name[name] for name in names))
    elif state.stepped:
        chosen = _left(config, state)
    else:
        chosen = network.trainable_indices
    if not _has_gradients(config, state, chosen):
        reached = network.names[len(network.layers) - state.backwarded]
        raise WrongPhase(f"the backward pass has only come down to {reached}", "backward")
    return chosen


def can_update(config: Config, state: State) -> bool:
    """Whether `update` of all that is left would do something."""
    if state.phase != "backward":
        return False
    return _has_gradients(config, state, _left(config, state))


def _left(config: Config, state: State) -> tuple[int, ...]:
    """The trainable parameters that have not been updated from these gradients."""
    parameters = config.network.parameters
    return tuple(index for index in config.network.trainable_indices if parameters[index].name not in state.stepped)


def _has_gradients(config: Config, state: State, chosen: Sequence[int]) -> bool:
    """Whether the backward pass has come as far as an update of these needs; clipping by norm needs all of it."""
    reached = len(config.network.layers) - state.backwarded
    if reached == 0:
        return True
    clip = config.optimizer.clip
    if clip is not None and clip.type == "norm":
        return False
    return all(config.network.parameters[index].layer >= reached for index in chosen)


def _check_names(config: Config, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name not in config.network.by_name:
            raise InvalidInput([FieldError(f"/parameters/{index}", "no parameter has this name")])
        if name in seen:
            raise InvalidInput([FieldError(f"/parameters/{index}", "names a parameter a second time")])
        seen.add(name)


def layer_index(config: Config, name: str, pointer: str = "/until") -> int:
    """The position of the layer of this name; raises InvalidInput where there is none."""
    at = config.network.places.get(name)
    if at is None:
        names = ", ".join(config.network.names[:20])
        raise InvalidInput([FieldError(pointer, f"no layer has this name; takes one of {names}")])
    return at


def predict(config: Config, parameters: Array, inputs: Array, targets: Targets | None = None) -> Work:
    """A forward pass that leaves no state: the work, with every layer's `z` and `a`."""
    vector = np.empty(config.network.layout(len(inputs)).forward_size, config.dtype)
    work = work_for(config, parameters, inputs, targets, vector)
    with work.quiet():
        work.forward(0, len(config.network.layers))
    return work


def evaluate(config: Config, parameters: Array, rows: Rows) -> tuple[float, float | None]:
    """The loss over rows, and for the losses that classify the share of right answers."""
    work = predict(config, parameters, rows.inputs, rows.targets)
    loss = config.loss
    with work.quiet():
        value = work.loss()
    if not loss.classifies:
        return value, None
    return value, loss.hits(work.outputs, rows.targets) / loss.answers(work.outputs)
