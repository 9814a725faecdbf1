"""A session as one self-contained document, and back: it goes on exactly where it stood, on any server.

Tensors are little-endian bytes in base64, so that NaN, infinities and -0 survive.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from math import prod
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from app.engine import tensors
from app.engine.network import Config
from app.engine.rows import Data, check_probabilities
from app.engine.spec import Model, read_only
from app.engine.state import Phase, State, fresh_slots
from app.errors import FieldError, InvalidInput
from app.sessions.session import Session

MAX_TENSORS = 20_000

Count = Annotated[int, Field(ge=0, le=2**53)]


FORMAT: Literal["gradstep-session"] = "gradstep-session"
VERSION: Literal[1] = 1


class Tensor(Model):
    """An array as bytes."""

    dtype: Literal["float64", "float32", "int64"]
    shape: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=2)]
    base64: str


class Begun(Model):
    """What the batches done of an epoch under way came to: rows, mean loss, right answers, and of how many."""

    rows: Annotated[int, Field(ge=1, le=2**53)]
    loss: float
    hits: Count
    answers: Count


class Counters(Model):
    """How far the session had come: whole steps and epochs, the passes, and each parameter's updates.

    Where an epoch under way has no `begun`, its entry is over what is left of it.
    """

    steps: Count
    epochs: Count
    epoch_position: Count
    forwarded: Count
    backwarded: Count
    updates: Annotated[list[Count], Field(max_length=MAX_TENSORS)]
    stepped: Annotated[list[str], Field(max_length=MAX_TENSORS)]
    own_rows: bool
    edited: bool = False
    begun: Begun | None = None


def _to_first_wrong(tensors: Any) -> Any:
    """Tensors, or the first wrong one of them alone: a million would take long to report."""
    if not isinstance(tensors, dict):
        return tensors
    if len(tensors) > MAX_TENSORS:
        raise PydanticCustomError("too_many_tensors", "takes at most {limit} tensors", {"limit": MAX_TENSORS})
    for name, tensor in tensors.items():
        try:
            Tensor.model_validate(tensor)
        except ValidationError:
            return {name: tensor}
    return tensors


class Document(Model):
    """A session to be made as another one was."""

    format: Literal["gradstep-session"]
    version: Literal[1]
    config: Config
    counters: Counters
    phase: Phase
    tensors: Annotated[dict[str, Tensor], BeforeValidator(_to_first_wrong)]


def export(session: Session) -> dict[str, Any]:
    """The document of a session, as JSON data with its rows as arrays."""
    state = session.state
    return {
        "format": FORMAT,
        "version": VERSION,
        "config": session.full_config,
        "counters": {
            "steps": state.steps,
            "epochs": state.epochs,
            "epoch_position": state.epoch_position,
            "forwarded": state.forwarded,
            "backwarded": state.backwarded,
            "updates": list(state.updates),
            "stepped": sorted(state.stepped),
            "own_rows": state.own_rows,
            "edited": state.edited,
            "begun": dict(zip(Begun.model_fields, state.begun, strict=True)) if state.begun else None,
        },
        "phase": state.phase,
        "tensors": {name: _encode(array) for name, array in _state_tensors(session.config, state)},
    }


def rows_in_use(document: Document) -> int:
    """How many rows the last forward pass was over, where they are not the config's."""
    inputs = document.tensors.get("inputs")
    return inputs.shape[0] if inputs and inputs.shape else 0


def restore(document: Document, data: Data | None) -> State:
    """The state in a document; `data` are the rows of its config.

    Raises:
        InvalidInput: a tensor is missing, unknown or of another shape, or the counters do not go together.
    """
    config, counters, phase = document.config, document.counters, document.phase
    network = config.network
    _check_counters(document, data)
    source = _Source(document)
    parameters = _vector(config, source, "")
    used = _vector(config, source, ".used", parameters)
    slots = fresh_slots(config).copy()
    for slot, name in zip(slots, config.optimizer.slot_names(), strict=True):
        slot[...] = _vector(config, source, f".state.{name}")
    inputs = targets = None
    if counters.own_rows:
        assert data is not None
        inputs, targets = data.train.inputs, data.train.targets
    elif counters.forwarded:
        inputs = source.take("inputs", (None, network.inputs))
        n, targets = len(inputs), None
        if "targets" in document.tensors:
            by_class = document.tensors["targets"].dtype == "int64"
            if (config.loss.targets == "classes") > by_class or (by_class and "classes" not in config.loss.targets):
                raise source.error("targets", f"the loss {config.loss.type_name()} takes others")
            targets = source.take(
                "targets", (n,) if by_class else (n, network.sizes[-1]), "int64" if by_class else None
            )
            if by_class and ((targets < 0) | (targets >= network.sizes[-1])).any():
                raise source.error("targets", "has a class that no output stands for")
            if not by_class:
                check_probabilities(config.loss, targets, "/tensors/targets")
        if not tensors.all_finite(inputs, *([] if targets is None else [targets])):
            raise source.error("inputs", "inputs and targets take finite numbers")
        if targets is None and counters.backwarded:
            raise source.error("targets", "is needed")
    state = State(
        parameters, used, read_only(slots), tuple(counters.updates), inputs=inputs, targets=targets,
        own_rows=counters.own_rows, forwarded=counters.forwarded, backwarded=counters.backwarded,
        stepped=frozenset(counters.stepped), phase=phase, steps=counters.steps, epochs=counters.epochs,
        epoch_position=counters.epoch_position, edited=counters.edited, begun=_begun(counters),
    )  # fmt: skip
    state = _with_trace(config, state, source)
    source.check_all_taken()
    return state


def _check_counters(document: Document, data: Data | None) -> None:
    config, counters, phase = document.config, document.counters, document.phase
    network = config.network
    count, rows = len(network.layers), len(data.train) if data else 0
    with_gradients = {p.name for p in network.parameters if p.trainable and p.layer >= count - counters.backwarded}
    with_all_stepped = set(counters.stepped) == set(network.trainable)
    rules = {
        "updates": len(counters.updates) == len(network.parameters),
        "forwarded": counters.forwarded in ((0, count) if phase == "ready" else range(1, count + 1)),
        "backwarded": counters.backwarded <= (count if counters.forwarded == count else 0)
        and (counters.backwarded > 0 or phase != "backward")
        and (counters.backwarded == 0 or phase != "forward"),
        "stepped": not counters.stepped
        or (phase == "backward" and set(counters.stepped) <= with_gradients and not with_all_stepped),
        "own_rows": not counters.own_rows or (data is not None and counters.forwarded > 0),
        "epoch_position": counters.epoch_position < max(rows, 1),
        "begun": counters.begun is None or _is_possible(config, counters.begun, min(counters.epoch_position, rows)),
    }
    wrong = [FieldError(f"/counters/{name}", "does not go with the rest") for name, right in rules.items() if not right]
    if wrong:
        raise InvalidInput(wrong)


def _is_possible(config: Config, begun: Begun, position: int) -> bool:
    """Whether a part of an epoch, up to a position, can have come to this."""
    if begun.rows > position:
        return False
    outputs = np.broadcast_to(0.0, (begun.rows, config.network.sizes[-1]))  # which takes no memory
    answers = config.loss.answers(outputs) if config.loss.classifies else 0
    return begun.hits <= begun.answers == answers


def _begun(counters: Counters) -> tuple[int, float, int, int] | None:
    begun = counters.begun
    return None if begun is None else (begun.rows, begun.loss, begun.hits, begun.answers)


def _with_trace(config: Config, state: State, source: "_Source") -> State:
    """The state with what its passes had left."""
    network = config.network
    if state.inputs is None:
        return state
    layout, first = network.layout(len(state.inputs)), len(network.layers) - state.backwarded
    forward, backward = np.zeros(layout.forward_size, config.dtype), None
    gradients = None
    for name, trace in zip(network.names[: state.forwarded], layout.traces, strict=False):
        forward[trace.z] = source.take(f"{name}.z", trace.shape).reshape(-1)
        forward[trace.a] = source.take(f"{name}.a", trace.shape).reshape(-1)
    if state.backwarded:
        backward = np.zeros(layout.backward_size, config.dtype)
        gradients = np.zeros(network.parameter_count, config.dtype)
        for index in range(first, len(network.layers)):
            name, trace = network.names[index], layout.traces[index]
            for term in ("da_dz", "dL_da", "dL_dz"):
                where = getattr(trace, term)
                if where is not None:
                    backward[where] = source.take(f"{name}.{term}", trace.shape).reshape(-1)
            for parameter in filter(None, network.layer_parameters[index]):
                parameter.view(gradients)[...] = source.take(f"{parameter.name}.gradient", parameter.shape)
        read_only(backward)
        read_only(gradients)
    loss = None
    if state.targets is not None and state.forwarded == len(network.layers):
        loss = float(source.take("loss", (), "float64"))
    backward_used = _vector(config, source, ".backward_used", state.used) if state.backwarded else None
    return state._replace(
        forward=read_only(forward), backward=backward, backward_used=backward_used, gradients=gradients, loss=loss
    )


def _vector(config: Config, source: "_Source", suffix: str, otherwise: Any = None) -> Any:
    """All parameters' tensors of one kind, packed; `otherwise` where none of them is there."""
    names = [parameter.name + suffix for parameter in config.network.parameters]
    if otherwise is not None and not any(name in source.tensors for name in names):
        return otherwise
    vector = np.empty(config.network.parameter_count, config.dtype)
    for name, parameter in zip(names, config.network.parameters, strict=True):
        parameter.view(vector)[...] = source.take(name, parameter.shape)
    return read_only(vector)


class _Source:
    """The tensors of a document, taken one by one."""

    def __init__(self, document: Document) -> None:
        self.tensors = document.tensors
        self.dtype = document.config.dtype
        self.taken: set[str] = set()

    def take(self, name: str, shape: tuple[int | None, ...], dtype: str | None = None) -> Any:
        """The tensor of this name, which must have this shape (None: any length) and dtype (the config's)."""
        tensor, dtype = self.tensors.get(name), dtype or self.dtype
        if tensor is None:
            raise self.error(name, "is needed")
        self.taken.add(name)
        fits = len(shape) == len(tensor.shape) and all(
            size > 0 if want is None else size == want for want, size in zip(shape, tensor.shape, strict=True)
        )
        if not fits or tensor.dtype != dtype:
            wanted = ", ".join("n" if size is None else str(size) for size in shape)
            raise self.error(name, f"takes {dtype} of the shape [{wanted}]")
        little = np.dtype(dtype).newbyteorder("<")
        try:
            content = b64decode(tensor.base64, validate=True)
        except (Base64Error, ValueError):
            raise self.error(name, "is no base64") from None
        if len(content) != prod(tensor.shape) * little.itemsize:
            raise self.error(name, f"has {len(content)} bytes; takes {prod(tensor.shape) * little.itemsize}")
        return read_only(np.frombuffer(content, little).reshape(tensor.shape).astype(dtype))

    def check_all_taken(self) -> None:
        """Refuse tensors that belong to no such state."""
        for name in self.tensors:
            if name not in self.taken:
                raise self.error(name, "belongs to nothing here")

    def error(self, name: str, detail: str) -> InvalidInput:
        """What is wrong with a tensor."""
        return InvalidInput([FieldError(f"/tensors/{name[:100]}", detail)])


def _state_tensors(config: Config, state: State) -> Iterator[tuple[str, Any]]:
    """The state's tensors by name, without what the config's own rows say already."""
    for name, array in tensors.tensors(config, state):
        own = state.own_rows and name in ("inputs", "targets")
        if not own and name != "outputs" and ".state." not in name:
            yield name, array
    for parameter in config.network.parameters:
        if state.used is not state.parameters:
            yield f"{parameter.name}.used", parameter.view(state.used)
        if state.backward_used is not None and state.backward_used is not state.used:
            yield f"{parameter.name}.backward_used", parameter.view(state.backward_used)
        for slot, name in zip(state.slots, config.optimizer.slot_names(), strict=True):
            yield f"{parameter.name}.state.{name}", parameter.view(slot)


def _encode(array: Any) -> dict[str, Any]:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    text = b64encode(little.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": text}
