"""The state of a training: every number of it, immutable."""

from typing import Any, Literal, NamedTuple

import numpy as np

from app.engine.initializers import Initializer
from app.engine.losses import Targets
from app.engine.network import Config, Parameter
from app.engine.optimizers import Optimizer
from app.engine.random import Purpose
from app.engine.rows import finite_array
from app.engine.spec import Array, read_only
from app.errors import FieldError, InvalidInput

Phase = Literal["ready", "forward", "backward"]
Begun = tuple[int, float, int, int]  # a plain tuple, which the garbage collector need not look at


class State(NamedTuple):
    """All numbers of a training between two operations. Arrays are read-only and shared by states that agree on them.

    (A named tuple: with so many fields, one is made and replaced in a fifth of the time of a frozen dataclass.)

    Attributes:
        parameters: all parameters now (count,).
        used: those that the last forward pass used (count,); the same array until one changes.
        slots: what the optimizer remembers (slots, count), in the order of its `slot_names`.
        updates: how often each parameter tensor has been updated by this optimizer.
        gradients: of the loss with respect to each parameter (count,); None before a backward pass.
        forward, backward: the packed trace, laid out by `Network.layout`; None before each pass.
        backward_used: all parameters as the backward pass used them: `used`, or a later mixture where it was told to.
        inputs, targets: of the last forward pass.
        own_rows: whether these are all of the session's own rows.
        forwarded: how many layers the forward pass has done, from the first.
        backwarded: how many layers the backward pass has done, from the last.
        stepped: the parameters that were updated from these gradients.
        phase: the pass under way, or `ready` for the next one.
        loss: of the last complete forward pass with targets.
        steps, epochs: whole optimizer steps, and whole epochs.
        epoch_position: how many samples of the epoch under way are done.
        edited: whether a parameter has been changed by hand since the last forward pass began.
        begun: what the batches done of the epoch under way came to, for its entry: their rows, their mean loss, how
            many answers were right, and of how many; None before the first, or where it is not known.
    """

    parameters: Array
    used: Array
    slots: Array
    updates: tuple[int, ...]
    gradients: Array | None = None
    forward: Array | None = None
    backward: Array | None = None
    backward_used: Array | None = None
    inputs: Array | None = None
    targets: Targets | None = None
    own_rows: bool = False
    forwarded: int = 0
    backwarded: int = 0
    stepped: frozenset[str] = frozenset()
    phase: Phase = "ready"
    loss: float | None = None
    steps: int = 0
    epochs: int = 0
    epoch_position: int = 0
    edited: bool = False
    begun: Begun | None = None

    @property
    def nbytes(self) -> int:
        """The memory of the numbers that belong to this state alone (its inputs and targets may be the session's)."""
        total = self.parameters.nbytes + self.slots.nbytes
        if self.used is not self.parameters:
            total += self.used.nbytes
        if self.backward_used is not None and not any(self.backward_used is v for v in (self.used, self.parameters)):
            total += self.backward_used.nbytes
        for vector in (self.gradients, self.forward, self.backward):
            if vector is not None:
                total += vector.nbytes
        if not self.own_rows and self.inputs is not None:
            total += self.inputs.nbytes + (0 if self.targets is None else self.targets.nbytes)
        return total

    def without_trace(self) -> "State":
        """The same parameters, slots and counters, ready for a first forward pass."""
        return State(
            self.parameters, self.parameters, self.slots, self.updates,
            steps=self.steps, epochs=self.epochs, epoch_position=self.epoch_position, begun=self.begun,
        )  # fmt: skip


def fresh_slots(config: Config) -> Array:
    """The optimizer's slots before the first update (slots, count), read-only."""
    optimizer: Optimizer = config.optimizer
    names = optimizer.slot_names()
    slots = np.zeros((len(names), config.network.parameter_count), config.dtype)
    for slot, name in zip(slots, names, strict=True):
        if initial := optimizer.initial(name):
            with np.errstate(over="ignore"):
                slot.fill(initial)
    return read_only(slots)


def carry_slots(before: Config, after: Config, state: State) -> State:
    """The state under a changed optimizer: the same type keeps the slots that it still has, another starts afresh."""
    slots = fresh_slots(after)
    old, new = before.optimizer.slot_names(), after.optimizer.slot_names()
    if before.optimizer.type_name() != after.optimizer.type_name() or (new and not old):
        return state._replace(slots=slots, updates=(0,) * len(after.network.parameters))
    slots.setflags(write=True)
    for index, name in enumerate(new):
        if name in old:
            slots[index] = state.slots[old.index(name)]
    return state._replace(slots=read_only(slots))


def initial_state(config: Config) -> State:
    """The state that a config starts from. Explicit numbers must have passed `check_initial_numbers`.

    Raises:
        InvalidInput: an initialiser draws numbers that do not fit the dtype.
    """
    parameters = np.empty(config.network.parameter_count, config.dtype)
    for parameter, given in _initial_numbers(config):
        if isinstance(given, Initializer):
            purpose = Purpose.WEIGHT if parameter.kind == "weight" else Purpose.BIAS
            fan_in = config.network.sizes[parameter.layer]
            with np.errstate(all="ignore"):
                drawn = given.draw(parameter.shape, fan_in, config.seed, purpose, parameter.layer)
            given = finite_array(drawn, config.dtype, _pointer(parameter))
        parameter.view(parameters)[...] = given
    read_only(parameters)
    return State(parameters, parameters, fresh_slots(config), (0,) * len(config.network.parameters))


def check_initial_numbers(config: Config) -> None:
    """Refuse explicit numbers that do not fit their parameter, and initialisers that do not fit a bias.

    Raises:
        InvalidInput: with a pointer to the number, row or initialiser.
    """
    for parameter, given in _initial_numbers(config):
        pointer = _pointer(parameter)
        if isinstance(given, Initializer):
            if parameter.kind not in given.fills:
                detail = f"the initialiser {given.type_name()} is for weights; a bias has no fan"
                raise InvalidInput([FieldError(pointer, detail)])
            continue
        if isinstance(given, list):
            _check_shape(given, parameter.shape, pointer)
        finite_array(given, config.dtype, pointer)
    for index, layer in enumerate(config.network.layers):
        if layer.bias == "none" and not isinstance(layer.init.bias, Initializer):
            detail = "got numbers for a bias, and the layer has none"
            raise InvalidInput([FieldError(f"/network/layers/{index}/init/bias", detail)])


def _initial_numbers(config: Config) -> list[tuple[Parameter, Any]]:
    inits = [layer.init for layer in config.network.layers]
    return [(p, getattr(inits[p.layer], p.kind)) for p in config.network.parameters]


def _pointer(parameter: Parameter) -> str:
    return f"/network/layers/{parameter.layer}/init/{parameter.kind}"


def _check_shape(given: list[Any], shape: tuple[int, ...], pointer: str) -> None:
    if len(given) != shape[0]:
        what = "rows, one for each unit" if len(shape) == 2 else "numbers"
        raise InvalidInput([FieldError(pointer, f"got {len(given)}; takes {shape[0]} {what}")])
    for index, row in enumerate(given):
        if len(shape) == 2:
            _check_shape(row, shape[1:], f"{pointer}/{index}")
