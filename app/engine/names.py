"""Names: how every tensor, and every number in it, is addressed.

    LAYER.(z|a|da_dz|dL_da|dL_dz)        LAYER.(weight|bias)        LAYER.(weight|bias).(gradient|next|state.SLOT)
    inputs  targets  outputs  loss  gradient_norm

and then `[i]` for each axis: `hidden.weight.gradient[0][1]`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from app.engine import passes, tensors
from app.engine.activations import Activation
from app.engine.network import Config, Parameter
from app.engine.passes import Norm
from app.engine.state import State
from app.errors import FieldError, InvalidInput, WrongPhase

Part = Literal["", "gradient", "next", "state"]

TERMS = ("z", "a", "da_dz", "dL_da", "dL_dz")
WHOLE = ("inputs", "targets", "outputs", "loss", "gradient_norm")
MAX_LENGTH = 200
_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)((?:\[(?:0|[1-9][0-9]{0,9})\])*)")


@dataclass(frozen=True, slots=True)
class Address:
    """A name taken apart.

    Attributes:
        tensor: the name without indices.
        term: what is asked for: one of `TERMS` or `WHOLE`, `weight` or `bias`.
        layer: the position of its layer; None for what belongs to no layer.
        parameter: of a weight or a bias.
        part: of a parameter; "" for its value.
        slot: the optimizer's name for a `state`.
        index: where in the tensor; () for all of it.
    """

    tensor: str
    term: str
    layer: int | None = None
    parameter: Parameter | None = None
    part: Part = ""
    slot: str = ""
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.tensor + "".join(f"[{i}]" for i in self.index)

    def at(self, *index: int) -> "Address":
        """The address of an entry of this tensor."""
        return replace(self, index=index)


def find(config: Config, name: str, pointer: str) -> Address:
    """What a name addresses; it need not have been computed yet. An index is not held against the shape.

    Raises:
        InvalidInput: nothing has this name; `pointer` is where it stands in the request.
    """
    form = _FORM.fullmatch(name) if len(name) <= MAX_LENGTH else None
    if form is None:
        raise InvalidInput([FieldError(pointer, "takes a name such as hidden.z[0][1] or hidden.weight.gradient")])
    tensor, index = form[1], tuple(int(i) for i in re.findall(r"\d+", form[2]))
    layer, *rest = tensor.split(".")
    if not rest and layer in WHOLE:
        return Address(tensor, layer, index=index)
    at = config.network.places.get(layer)
    if at is None:
        what = f"takes {', '.join(WHOLE)} or a layer's name and a term, such as {config.network.names[0]}.z"
        raise InvalidInput([FieldError(pointer, f"nothing has this name; {what}")])
    if len(rest) == 1 and rest[0] in TERMS:
        return Address(tensor, rest[0], at, index=index)
    parameter = _parameter(config, f"{layer}.{rest[0]}") if rest else None
    if parameter is None:
        raise InvalidInput([FieldError(pointer, f"this layer has no such term; takes {_takes(config, at)}")])
    address = Address(tensor, parameter.kind, at, parameter, index=index)
    match rest[1:]:
        case []:
            return address
        case ["gradient" | "next" as part]:
            return replace(address, part=part)
        case ["state", slot] if slot in slot_names(config):
            return replace(address, part="state", slot=slot)
    slots = "".join(f", state.{slot}" for slot in slot_names(config))
    raise InvalidInput([FieldError(pointer, f"a parameter has no such part; takes gradient, next{slots}")])


def slot_names(config: Config) -> tuple[str, ...]:
    """The optimizer's own values for each parameter, by PyTorch's names."""
    names = config.optimizer.slot_names()
    return (*names, "step") if names and config.optimizer.counts_steps else names


def shape(config: Config, address: Address, state: State) -> tuple[int, ...]:
    """The shape of the tensor. A trace that is not there yet counts as one over the state's inputs, or none."""
    n = 0 if state.inputs is None else len(state.inputs)
    if address.parameter is not None:
        return () if address.slot == "step" else address.parameter.shape
    if address.layer is not None:
        layer = config.network.layers[address.layer]
        jacobian = address.term == "da_dz" and not layer.activation.elementwise
        return (n, layer.units, layer.units) if jacobian else (n, layer.units)
    match address.term:
        case "inputs":
            return (n, config.network.inputs)
        case "targets" if state.targets is not None:
            return state.targets.shape
        case "outputs" | "targets":
            return (n, config.network.sizes[-1])
    return ()


def read(config: Config, state: State, address: Address) -> np.ndarray[Any, Any]:
    """The tensor, whole.

    Raises:
        WrongPhase: it has not been computed yet; `call_first` says what computes it.
    """
    found = _read(config, state, address)
    if found is None:
        backward = address.term.startswith(("da_", "dL_", "gradient")) or bool(address.part)
        complete = state.forwarded == len(config.network.layers) and state.targets is not None
        first = "backward" if backward and complete and state.phase != "ready" else "forward"
        raise WrongPhase(f"{address.tensor} has not been computed yet", first)
    return found


def entry(config: Config, state: State, address: Address, pointer: str) -> float:
    """The number at an address.

    Raises:
        InvalidInput: the index does not fit the shape.
        WrongPhase: it has not been computed yet.
    """
    array = read(config, state, address)
    check_index(array.shape, address, pointer)
    return float(array[address.index])


def check_index(shape: tuple[int, ...], address: Address, pointer: str) -> None:
    """Refuse an index that is not of one number of a tensor of this shape."""
    fits = len(address.index) == len(shape) and all(i < size for i, size in zip(address.index, shape, strict=True))
    if not fits:
        takes = " and ".join(f"[0] to [{size - 1}]" for size in shape) or "no index"
        raise InvalidInput([FieldError(pointer, f"{address.tensor} takes {takes}, for one of its numbers")])


def order(config: Config) -> Iterator[str]:
    """The names of all tensors in the order of computation."""
    network = config.network
    yield "inputs"
    for layer, parameters in zip(network.names, network.layer_parameters, strict=True):
        yield from (parameter.name for parameter in parameters if parameter)
        yield from (f"{layer}.z", f"{layer}.a")
    yield from ("outputs", "targets", "loss")
    for layer, parameters in reversed(list(zip(network.names, network.layer_parameters, strict=True))):
        yield from (f"{layer}.dL_da", f"{layer}.da_dz", f"{layer}.dL_dz")
        yield from (f"{parameter.name}.gradient" for parameter in parameters if parameter)
    yield "gradient_norm"
    for parameter in network.parameters:
        yield from (f"{parameter.name}.state.{slot}" for slot in slot_names(config))
    yield from (f"{parameter.name}.next" for parameter in network.parameters)


def _read(config: Config, state: State, address: Address) -> np.ndarray[Any, Any] | None:
    parameter = address.parameter
    if parameter is not None:
        return _read_parameter(config, state, address, parameter)
    if address.layer is not None:
        trace = tensors.traces(config, state)[address.layer]
        activation: Activation = config.network.layers[address.layer].activation
        if address.term == "da_dz" and not activation.elementwise:
            return None if trace.a is None or trace.dL_dz is None else activation.jacobian(trace.a)
        found: np.ndarray[Any, Any] | None = getattr(trace, address.term)
        return found
    match address.term:
        case "inputs":
            return state.inputs
        case "targets":
            return state.targets
        case "outputs":
            return tensors.outputs(config, state)
        case "loss":
            return None if state.loss is None else np.array(state.loss)
    if state.gradients is None or state.backwarded < len(config.network.layers):
        return None
    with np.errstate(all="ignore"):
        return np.array(Norm(config, state.gradients)())


def _read_parameter(
    config: Config, state: State, address: Address, parameter: Parameter
) -> np.ndarray[Any, Any] | None:
    match address.part:
        case "":
            return parameter.view(state.parameters)
        case "gradient":
            reached = parameter.layer >= len(config.network.layers) - state.backwarded
            return parameter.view(state.gradients) if state.gradients is not None and reached else None
        case "state":
            value = tensors.slots(config, state, parameter)[address.slot]
            return None if value is None else np.asarray(value)
    if not parameter.trainable or parameter.name in state.stepped:
        return parameter.view(state.parameters)  # the next step leaves it as it is
    return parameter.view(passes.update(config, state, [parameter.name]).parameters)


def _parameter(config: Config, name: str) -> Parameter | None:
    index = config.network.by_name.get(name)
    return None if index is None else config.network.parameters[index]


def _takes(config: Config, layer: int) -> str:
    kinds = [parameter.kind for parameter in config.network.layer_parameters[layer] if parameter]
    return ", ".join((*TERMS, *kinds))
