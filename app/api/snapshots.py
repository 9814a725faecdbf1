"""A state as JSON: the one place where its numbers are written out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

import numpy as np
import orjson
from pydantic import Field

from app.api.routing import Parameters
from app.engine import position, tensors
from app.engine.activations import Softmax
from app.engine.network import Config, Parameter
from app.engine.passes import Work, layer_index
from app.engine.spec import Array
from app.engine.state import State
from app.errors import FieldError, InvalidInput
from app.sessions.session import Session

PARTS = ("activations", "gradients", "parameters", "optimizer", "jacobians")
DEFAULT_PARTS = frozenset(PARTS[:4])
MAX_JACOBIAN = 100_000
MAX_NONFINITE = 10_000


class SnapshotQuery(Parameters):
    """What a snapshot shows, and how."""

    include: Annotated[
        str | None,
        Field(
            max_length=200,
            description="A comma list of `activations`, `gradients`, `parameters`, `optimizer` (all of these unless "
            "told) and `jacobians`.",
        ),
    ] = None
    layers: Annotated[
        str | None, Field(max_length=10_000, description="A comma list of the layers to show (all unless told).")
    ] = None
    samples: Annotated[
        str | None,
        Field(
            pattern=r"^\d{1,9}(:\d{1,9})?$", description="The samples to show: one, `3`, or `0:64` for the first 64."
        ),
    ] = None
    decimals: Annotated[
        int | None, Field(ge=0, le=17, description="Round numbers to so many decimals, for reading.")
    ] = None

    def view(self, session: Session, limit: int) -> "View":
        """This query as it applies to a session; raises InvalidInput for layers or samples that it does not have."""
        return View(self._parts(), self._layers(session), self._samples(session), self.decimals, limit)

    def _parts(self) -> frozenset[str]:
        if self.include is None:
            return DEFAULT_PARTS
        parts = frozenset(part.strip() for part in self.include.split(",") if part.strip())
        if not parts <= frozenset(PARTS):
            raise InvalidInput(
                [FieldError("?include", f"has an unknown part; takes a comma list of {', '.join(PARTS)}")]
            )
        return parts

    def _layers(self, session: Session) -> Sequence[int] | None:
        if self.layers is None:
            return None
        return sorted({layer_index(session.config, name.strip(), "?layers") for name in self.layers.split(",")})

    def _samples(self, session: Session) -> slice | None:
        if self.samples is None:
            return None
        first, _, stop = self.samples.partition(":")
        chosen = slice(int(first), int(stop) if stop else int(first) + 1)
        inputs = session.state.inputs
        if chosen.start >= chosen.stop or (inputs is not None and chosen.stop > len(inputs)):
            there = "" if inputs is None else f"; there are {len(inputs)} samples"
            raise InvalidInput([FieldError("?samples", f"takes a range such as 0:64{there}")])
        return chosen


@dataclass(frozen=True, slots=True)
class View:
    """Which parts, layers and samples to show, and how many numbers at most."""

    parts: frozenset[str] = DEFAULT_PARTS
    layers: Sequence[int] | None = None
    samples: slice | None = None
    decimals: int | None = None
    limit: int = 1_000_000


class _Writer:
    """Collects a snapshot's arrays under their names, and stands null for what is not there or left out."""

    def __init__(self, view: View, too_large: Collection[str] = ()) -> None:
        self.view = view
        self.too_large = too_large
        self.arrays: dict[str, Any] = {}
        self.omitted: list[str] = []
        self.by_sample: set[str] = set()

    def rows(self, name: str, array: Any) -> Any:
        """An array with a row for each sample."""
        if array is not None and self.view.samples is not None:
            array = array[self.view.samples]
        self.by_sample.add(name)
        return self.whole(name, array)

    def whole(self, name: str, array: Any) -> Any:
        """An array without samples."""
        if array is None:
            return None
        if name in self.too_large:
            return self.omit(name)
        self.arrays[name] = array
        if array.dtype == np.float32:
            array = array.astype(np.float64)  # its exact value, not the shortest that rounds to it
        return array if self.view.decimals is None else np.round(array, self.view.decimals)

    def omit(self, name: str) -> None:
        """Leave an array out, and say so."""
        self.omitted.append(name)


def snapshot(session: Session, view: View) -> dict[str, Any]:
    """The snapshot of a session as JSON data, its numbers as arrays."""
    writer = _Writer(view)
    body = _write(session, writer)
    if sum(array.size for array in writer.arrays.values()) > view.limit:
        writer = _Writer(view, _largest(writer.arrays, view.limit))
        body = _write(session, writer)
    body["nonfinite"] = _nonfinite(session, writer)
    body["omitted"] = writer.omitted
    return body


def arrays(session: Session, view: View) -> dict[str, Any]:
    """The numbers of a snapshot by their names, none left out for its size."""
    writer = _Writer(view)
    _write(session, writer)
    for name, array in tensors.tensors(session.config, session.state):
        if name == "loss" or (name.endswith(".state.step") and "optimizer" in view.parts):
            writer.arrays[name] = array
    return writer.arrays


def _write(session: Session, writer: _Writer) -> dict[str, Any]:
    config, state, parts = session.config, session.state, writer.view.parts
    body: dict[str, Any] = {
        "session": session.id,
        "revision": session.revision,
        "phase": state.phase,
        "next": position.next_operation(config, state),
        "allowed": position.allowed_operations(config, state, has_data=session.data is not None),
        "steps": state.steps,
        "epochs": state.epochs,
        "loss": _rounded(state.loss, writer.view.decimals),
    }
    if "activations" in parts:
        body["inputs"] = writer.rows("inputs", state.inputs)
        body["targets"] = writer.rows("targets", state.targets)
        body["outputs"] = writer.rows("outputs", tensors.outputs(config, state))
    shown = range(len(config.network.layers)) if writer.view.layers is None else writer.view.layers
    body["layers"] = [_layer(config, state, index, writer) for index in shown]
    return body


def _layer(config: Config, state: State, index: int, writer: _Writer) -> dict[str, Any]:
    parts, name = writer.view.parts, config.network.names[index]
    activation = config.network.layers[index].activation
    z, a, da_dz, dL_da, dL_dz = tensors.trace(config, state, index)
    layer: dict[str, Any] = {"name": name, "activation": activation.type}
    if "activations" in parts:
        layer["z"] = writer.rows(f"{name}.z", z)
        layer["a"] = writer.rows(f"{name}.a", a)
        layer["da_dz"] = writer.rows(f"{name}.da_dz", da_dz)
    if "jacobians" in parts and isinstance(activation, Softmax):
        layer["da_dz"] = None if a is None or dL_dz is None else _jacobian(activation, f"{name}.da_dz", a, writer)
    if "gradients" in parts:
        layer["dL_da"] = writer.rows(f"{name}.dL_da", dL_da)
        layer["dL_dz"] = writer.rows(f"{name}.dL_dz", dL_dz)
    if not parts.isdisjoint(("parameters", "gradients", "optimizer")):
        layer["parameters"] = {
            parameter.kind: _parameter(config, state, parameter, writer)
            for parameter in config.network.layer_parameters[index]
            if parameter is not None
        }
    return layer


def _parameter(config: Config, state: State, parameter: Parameter, writer: _Writer) -> dict[str, Any]:
    parts, name, numbers = writer.view.parts, parameter.name, dict[str, Any]()
    if "parameters" in parts:
        numbers["value"] = writer.whole(name, parameter.view(state.parameters))
    if "gradients" in parts:
        reached = state.gradients is not None and tensors.reached_backward(config, state, parameter.layer)
        gradient = parameter.view(state.gradients) if reached and state.gradients is not None else None
        numbers["gradient"] = writer.whole(f"{name}.gradient", gradient)
    if "optimizer" in parts:
        numbers["state"] = {
            slot: value if isinstance(value, int) else writer.whole(f"{name}.state.{slot}", value)
            for slot, value in tensors.slots(config, state, config.network.by_name[name]).items()
        }
    return numbers


def _jacobian(softmax: Softmax, name: str, a: Array, writer: _Writer) -> Any:
    """A softmax's derivatives (n, units, units), unless they would be too many."""
    samples = writer.view.samples
    shown = a if samples is None else a[samples]
    if shown.size * shown.shape[1] > MAX_JACOBIAN:
        return writer.omit(name)
    writer.by_sample.add(name)
    return writer.whole(name, softmax.jacobian(shown))


def _rounded(number: float | None, decimals: int | None) -> float | None:
    return number if number is None or decimals is None else round(number, decimals)


def _largest(arrays: Mapping[str, Any], limit: int) -> set[str]:
    """The names of the largest arrays, without which the rest are within the limit."""
    total = sum(array.size for array in arrays.values())
    largest = set()
    for name in sorted(arrays, key=lambda name: -arrays[name].size):
        if total <= limit:
            break
        largest.add(name)
        total -= arrays[name].size
    return largest


def _nonfinite(session: Session, writer: _Writer) -> list[dict[str, Any]]:
    """The entries that JSON cannot say, up to a bound; `index` counts from the first of all samples."""
    state = session.state
    vectors = (state.parameters, state.gradients, state.slots, state.forward, state.backward)
    if (state.loss is None or isfinite(state.loss)) and all(v is None or tensors.all_finite(v) for v in vectors):
        return []
    found: list[dict[str, Any]] = []
    if state.loss is not None and not isfinite(state.loss):
        found.append({"name": "loss", "index": [], "value": nonfinite_word(state.loss)})
    return found + _nonfinite_entries(writer)


def _nonfinite_entries(writer: _Writer) -> list[dict[str, Any]]:
    offset = writer.view.samples.start if writer.view.samples else 0
    found: list[dict[str, Any]] = []
    for name, array in writer.arrays.items():
        for index in np.argwhere(~np.isfinite(array))[: MAX_NONFINITE - len(found)].tolist():
            value = nonfinite_word(float(array[tuple(index)]))
            if name in writer.by_sample:
                index[0] += offset
            found.append({"name": name, "index": index, "value": value})
    return found


def nonfinite_word(value: float) -> str:
    """The name of a number that JSON has no literal for."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def dumps(body: Any) -> bytes:
    """JSON at full precision, arrays included; NaN and infinities are null."""
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def predicted(config: Config, work: Work, *, activations: bool) -> dict[str, Any]:
    """A prediction as JSON data: the outputs, and with `activations` each layer's z and a."""
    writer = _Writer(View())
    body: dict[str, Any] = {"outputs": writer.whole("outputs", work.outputs)}
    if activations:
        body["layers"] = [
            {"name": name, "z": writer.whole(f"{name}.z", layer.z), "a": writer.whole(f"{name}.a", layer.a)}
            for name, layer in zip(config.network.names, work.layers, strict=True)
        ]
    body["nonfinite"] = _nonfinite_entries(writer)
    return body
