"""Every tensor of a state by its name, in the order of computation."""

from collections.abc import Iterator
from math import isfinite
from typing import NamedTuple

import numpy as np

from app.engine.losses import Targets
from app.engine.network import Config, Parameter
from app.engine.spec import Array
from app.engine.state import State


class Trace(NamedTuple):
    """The terms of the chain rule at one layer, n × units each; None where a pass has not come yet.

    A softmax has no `da_dz` here: it is a matrix for each sample, `Softmax.jacobian`.
    """

    z: Array | None
    a: Array | None
    da_dz: Array | None
    dL_da: Array | None
    dL_dz: Array | None


_FEW = 64
_NOTHING = Trace(None, None, None, None, None)


def traces(config: Config, state: State) -> list[Trace]:
    """What the passes have left at each layer, as views into the packed vectors."""
    layers = config.network.layers
    if state.inputs is None or state.forward is None:
        return [_NOTHING] * len(layers)
    forward, backward, passed = state.forward, state.backward, state.forwarded
    reached = len(layers) - state.backwarded
    found = []
    for index, (shape, z, a, da_dz, dL_da, dL_dz) in enumerate(config.network.layout(len(state.inputs)).traces):
        if index >= passed:
            found.append(_NOTHING)
        elif backward is None or index < reached:
            found.append(Trace(forward[z].reshape(shape), forward[a].reshape(shape), None, None, None))
        else:
            found.append(
                Trace(
                    forward[z].reshape(shape),
                    forward[a].reshape(shape),
                    None if da_dz is None else backward[da_dz].reshape(shape),
                    backward[dL_da].reshape(shape),
                    backward[dL_dz].reshape(shape),
                )
            )
    return found


def outputs(config: Config, state: State) -> Array | None:
    """What the network answers: the last layer's activations, once the forward pass is complete."""
    return traces(config, state)[-1].a


def slots(config: Config, state: State, parameter: Parameter) -> dict[str, Array | int | None]:
    """The optimizer's own values for a parameter tensor, by PyTorch's names; None for what does not exist yet."""
    optimizer = config.optimizer
    values: dict[str, Array | int | None] = {}
    if not len(state.slots):
        return values
    updated = state.updates[parameter.index] > 0
    for slot, name in zip(state.slots, optimizer.slot_names(), strict=True):
        exists = updated or optimizer.initial(name) is not None
        values[name] = parameter.view(slot) if exists else None
    if optimizer.counts_steps:
        values["step"] = state.updates[parameter.index]
    return values


def tensors(config: Config, state: State) -> Iterator[tuple[str, Array | Targets]]:
    """The name and array of all that has been computed, forward first, then backward, then the optimizer's slots."""
    layers = list(range(len(config.network.layers)))
    passed = traces(config, state)
    names = config.network.names
    if state.inputs is not None:
        yield "inputs", state.inputs
    for index in layers:
        for parameter in config.network.layer_parameters[index]:
            if parameter is not None:
                yield parameter.name, parameter.view(state.parameters)
        z, a = passed[index][:2]
        if z is not None and a is not None:
            yield f"{names[index]}.z", z
            yield f"{names[index]}.a", a
    if passed[-1].a is not None:
        yield "outputs", passed[-1].a
    if state.targets is not None:
        yield "targets", state.targets
    if state.loss is not None:
        yield "loss", np.array(state.loss)
    for index in reversed(layers):
        for term in ("dL_da", "da_dz", "dL_dz"):
            array: Array | None = getattr(passed[index], term)
            if array is not None:
                yield f"{names[index]}.{term}", array
        if state.gradients is None or passed[index].dL_dz is None:
            continue
        for parameter in config.network.layer_parameters[index]:
            if parameter is not None:
                yield f"{parameter.name}.gradient", parameter.view(state.gradients)
    for parameter in config.network.parameters:
        for slot, value in slots(config, state, parameter).items():
            if value is not None:
                yield f"{parameter.name}.state.{slot}", np.asarray(value)


def first_nonfinite(named: Iterator[tuple[str, Array | Targets]]) -> tuple[str, float] | None:
    """The first tensor that has a NaN or an infinity, and the first such value in it."""
    for name, array in named:
        if not all_finite(array):
            return name, float(array[~np.isfinite(array)][0])
    return None


def all_finite(*arrays: Array | Targets) -> bool:
    """Whether no entry is NaN or infinite; a sum of floats, or a dot product, says so of most arrays at once."""
    for array in arrays:
        flat = array.reshape(-1)
        if flat.size <= _FEW:
            seems = isfinite(sum(flat.tolist()))
        else:
            with np.errstate(all="ignore"):
                seems = isfinite(flat.dot(flat))
        if not seems and not np.isfinite(flat).all():
            return False
    return True
