"""Snapshots: what a query asks to see, and what JSON needs of it: samples, rounding, bounds, what is not finite."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Annotated, Any, NamedTuple

import numpy as np
import orjson
from pydantic import Field

from app.api.contents import DEFAULT_PARTS, PARTS, View, write
from app.api.routing import Parameters
from app.api.tiny import tiny_snapshot
from app.engine import tensors
from app.engine.activations import Softmax
from app.engine.entries import Entry
from app.engine.health import health
from app.engine.network import Config
from app.engine.passes import layer_index
from app.engine.spec import Array
from app.engine.work import Work
from app.errors import FieldError, InvalidInput
from app.sessions.session import Session

MAX_JACOBIAN = 100_000
MAX_NONFINITE = 10_000
PIECE = 200_000  # numbers


class SnapshotQuery(Parameters):
    """What a snapshot shows, and how."""

    include: Annotated[
        str | None,
        Field(
            max_length=200,
            description="A comma list of `activations`, `gradients`, `parameters`, `optimizer`, `health` (all of these "
            "unless told) and `jacobians`.",
        ),
    ] = None
    layers: Annotated[
        str | None, Field(max_length=10_000, description="A comma list of the layers to show (all unless told).")
    ] = None
    samples: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9]{1,9}(:[0-9]{1,9})?$",
            description="The samples to show: one, `3`, or `0:64` for the first 64.",
        ),
    ] = None
    decimals: Annotated[
        int | None, Field(ge=0, le=17, description="Round numbers to so many decimals, for reading.")
    ] = None

    def view(self, session: Session, limit: int, n: int | None) -> View:
        """This query as it applies to a session whose trace will have n samples (None: none, or not known yet).

        Raises:
            InvalidInput: there are no such layers or samples.
        """
        if not self.model_fields_set:
            return View(limit=limit)
        return View(self._parts(), self._layers(session), self._samples(n), self.decimals, limit)

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

    def _samples(self, n: int | None) -> slice | None:
        if self.samples is None:
            return None
        first, _, stop = self.samples.partition(":")
        chosen = slice(int(first), int(stop) if stop else int(first) + 1)
        if chosen.start >= chosen.stop or (n is not None and chosen.stop > n):
            there = "" if n is None else f"; there are {n} samples"
            raise InvalidInput([FieldError("?samples", f"takes a range such as 0:64{there}")])
        return chosen


class _Place(NamedTuple):
    """Where an array is in a snapshot."""

    name: str
    holder: dict[str, Any]
    key: str
    by_sample: bool


def snapshot(session: Session, view: View) -> dict[str, Any]:
    """The snapshot of a session as JSON data, its numbers as arrays."""
    body = write(session, view)
    if "health" in view.parts:
        body["health"] = _health(session, view)
    body["nonfinite"], body["omitted"] = [], []
    if not _is_plain(session, view):
        _take_samples(body, view)
        body["omitted"] = _add_jacobians(session, view, body) + _omit_largest(body, view.limit)
        body["nonfinite"] = nonfinite(body, view)
        _round(body, view.decimals)
    return body


def snapshot_json(session: Session, view: View, *, large: bool = False) -> bytes:
    """The same, written as `dumps` does."""
    return tiny_snapshot(session, view) or dumps(snapshot(session, view), large=large)


def _health(session: Session, view: View) -> dict[str, Any]:
    """How the training fares, of the layers that are shown."""
    judged = health(session.config, session.state)
    layers, warnings = judged["layers"], judged["warnings"]
    if view.layers is not None:
        layers = [layers[index] for index in view.layers]
        shown = {layer["name"] for layer in layers} | {None}
        warnings = [warning for warning in warnings if warning["layer"] in shown]
    if view.decimals is None:
        return {**judged, "layers": layers, "warnings": warnings}
    return {
        "gradient_norm": _shortened(judged["gradient_norm"], view.decimals),
        "layers": [{key: _shortened(value, view.decimals) for key, value in layer.items()} for layer in layers],
        "warnings": [{**warning, "value": _shortened(warning["value"], view.decimals)} for warning in warnings],
    }


def _shortened(value: Any, decimals: int) -> Any:
    return round(value, decimals) if isinstance(value, float) and isfinite(value) else value


def arrays(session: Session, view: View) -> dict[str, Any]:
    """The numbers of a snapshot by their names, none left out for its size but jacobians beyond their bound."""
    body = write(session, view)
    _take_samples(body, view)
    _add_jacobians(session, view, body)
    named = {place.name: place.holder[place.key] for place in _places(body)}
    if session.state.loss is not None:
        named["loss"] = np.array(session.state.loss)
    return named


def _is_plain(session: Session, view: View) -> bool:
    """Whether every number of a snapshot is to be written just as it is, as it mostly is."""
    state = session.state
    if (
        view.samples is not None
        or view.decimals is not None
        or "jacobians" in view.parts
        or state.parameters.dtype != np.float64
        or not (state.loss is None or isfinite(state.loss))
    ):
        return False
    packed = (state.parameters, state.gradients, state.slots, state.forward, state.backward)
    vectors = [vector for vector in packed if vector is not None]
    size = sum([vector.size for vector in vectors])
    if state.inputs is not None:  # inputs; targets, and the outputs a second time
        size += state.inputs.size + 2 * len(state.inputs) * session.config.network.sizes[-1]
    return size <= view.limit and tensors.all_finite(*vectors)


_TERMS = ("z", "a", "da_dz", "dL_da", "dL_dz")


def _places(body: dict[str, Any]) -> Iterator[_Place]:
    """The places of a snapshot that hold an array, in order."""
    for key in ("inputs", "targets", "outputs"):
        if body.get(key) is not None:
            yield _Place(key, body, key, True)
    for layer in body.get("layers", ()):
        for term in _TERMS:
            if layer.get(term) is not None:
                yield _Place(f"{layer['name']}.{term}", layer, term, True)
        for kind, numbers in layer.get("parameters", {}).items():
            name = f"{layer['name']}.{kind}"
            if numbers.get("value") is not None:
                yield _Place(name, numbers, "value", False)
            if numbers.get("gradient") is not None:
                yield _Place(f"{name}.gradient", numbers, "gradient", False)
            for slot, value in numbers.get("state", {}).items():
                if value is not None:
                    yield _Place(f"{name}.state.{slot}", numbers["state"], slot, False)


def _take_samples(body: dict[str, Any], view: View) -> None:
    if view.samples is not None:
        for place in _places(body):
            if place.by_sample:
                place.holder[place.key] = place.holder[place.key][view.samples]


def _add_jacobians(session: Session, view: View, body: dict[str, Any]) -> list[str]:
    """Put in each softmax's derivatives (n, units, units) if asked for; the names of those that are too large."""
    if "jacobians" not in view.parts:
        return []
    config, omitted, total = session.config, [], 0
    traces = tensors.traces(config, session.state)
    for layer in body["layers"]:
        index = config.network.names.index(layer["name"])
        activation = config.network.layers[index].activation
        _, a, _, _, dL_dz = traces[index]
        if not isinstance(activation, Softmax):
            continue
        layer["da_dz"] = None
        if a is None or dL_dz is None:
            continue
        if view.samples is not None:
            a = a[view.samples]
        size = a.size * a.shape[1]
        if size > MAX_JACOBIAN or total + size > view.limit:
            omitted.append(f"{layer['name']}.da_dz")
        else:
            layer["da_dz"] = activation.jacobian(a)
            total += size
    return omitted


def _omit_largest(body: dict[str, Any], limit: int) -> list[str]:
    """Set the largest arrays to null until the rest are within the limit; their names in order."""
    places = [(np.size(place.holder[place.key]), place) for place in _places(body)]
    total, omitted = sum(size for size, _ in places), set()
    for size, place in sorted(places, key=lambda sized: -sized[0]):
        if total <= limit:
            break
        place.holder[place.key] = None
        omitted.add(place.name)
        total -= size
    return [place.name for _, place in places if place.name in omitted]


def nonfinite(body: dict[str, Any], view: View) -> list[dict[str, Any]]:
    """The entries that JSON cannot say, up to a bound; `index` counts from the first of all samples."""
    offset = view.samples.start if view.samples else 0
    found: list[dict[str, Any]] = []
    if body.get("loss") is not None and not isfinite(body["loss"]):
        found.append({"name": "loss", "index": [], "value": nonfinite_word(body["loss"])})
    for place in _places(body):
        array = np.asarray(place.holder[place.key])
        for index in np.argwhere(~np.isfinite(array))[: MAX_NONFINITE - len(found)].tolist():
            value = nonfinite_word(float(array[tuple(index)]))
            if place.by_sample:
                index[0] += offset
            found.append({"name": place.name, "index": index, "value": value})
    return found


def _round(body: dict[str, Any], decimals: int | None) -> None:
    """Round where it is asked for, and write a float32 as the exact number that it is, not the shortest near it."""
    for place in _places(body):
        value = place.holder[place.key]
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = value.astype(np.float64)
            place.holder[place.key] = value if decimals is None else rounded_array(value, decimals)
    if decimals is not None and body.get("loss") is not None:
        body["loss"] = round(body["loss"], decimals) if isfinite(body["loss"]) else None


def rounded_array(array: Array, decimals: int) -> Array:
    """Rounded to decimals; numbers so large that they have none stay as they are."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.round(array, decimals)
    return np.where(np.isfinite(rounded), rounded, array)


def nonfinite_word(value: float) -> str:
    """The name of a number that JSON has no literal for."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def dumps(body: Any, *, large: bool = False) -> bytes:
    """JSON at full precision, arrays included; NaN and infinities are null.

    `large` is for a thread: orjson lets no other run while it is at work, so large arrays are written in pieces.
    """
    return orjson.dumps(_in_pieces(body) if large else body, option=orjson.OPT_SERIALIZE_NUMPY)


def _in_pieces(value: Any) -> Any:
    """JSON data with its large arrays written out already, some rows at a time."""
    if isinstance(value, np.ndarray) and value.size > PIECE:
        rows = max(1, PIECE * len(value) // value.size)
        pieces = [
            orjson.dumps(value[start : start + rows], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
            for start in range(0, len(value), rows)
        ]
        return orjson.Fragment(b"[" + b",".join(pieces) + b"]")
    if isinstance(value, dict):
        return {key: _in_pieces(item) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_in_pieces(item) for item in value]
    return value


def tensor_json(name: str, array: Array, decimals: int | None) -> dict[str, Any]:
    """One tensor as JSON data."""
    body: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}
    bad = np.argwhere(~np.isfinite(array))[:MAX_NONFINITE].tolist() if array.dtype.kind == "f" else []
    word = nonfinite_word
    body["nonfinite"] = [{"name": name, "index": at, "value": word(float(array[tuple(at)]))} for at in bad]
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        array = array if decimals is None else rounded_array(array, decimals)
    return {**body, "value": array if array.ndim else array.item()}


def predicted(config: Config, work: Work, *, activations: bool) -> dict[str, Any]:
    """A prediction as JSON data: the outputs, and with `activations` each layer's z and a."""
    body: dict[str, Any] = {"outputs": work.outputs}
    if activations:
        body["layers"] = [
            {"name": name, "z": layer.z, "a": layer.a}
            for name, layer in zip(config.network.names, work.layers, strict=True)
        ]
    body["nonfinite"] = nonfinite(body, View())
    _round(body, None)
    return body


def rounded(entries: Sequence[Entry], decimals: int | None) -> list[dict[str, Any]]:
    """The entries of a history, their numbers rounded where it is asked for."""
    if decimals is None:
        return [{**entry} for entry in entries]
    return [{name: _shortened(value, decimals) for name, value in entry.items()} for entry in entries]
