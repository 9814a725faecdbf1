"""Gradients held against central differences of the loss.

For each entry w of a parameter

    numeric = (L(w + h) - L(w - h)) / 2h

where h is `eps`; for a weight, over the largest |x| that comes into its layer, should that be above 1, so that no z is
moved by more than `eps`; and at least so much that w + h can be told from w.

The differences are taken in double precision, for float32 networks too (with the same numbers in their parameters): in
float32 they would have two or three correct digits, and say little. What they are held against is the gradient as the
network computes it, in its own precision.

An error counts by what it is a part of, the larger of both numbers, after what can be no fault is allowed for:

- the rounding of L, over h: a bound of it is the sum of what the rounding of each z, each a and each term of the loss
  can do to L, by its derivative;
- the term in h² that central differences leave out, with a third derivative taken to be as large as the largest
  gradient;
- for a float32 network, the rounding of the gradient itself: the same sum in float32's unit roundoff, times the largest
  |x| for a weight, with second derivatives taken to be no larger than the first ones, or than those of the loss.

Where a kink of an activation or of the loss lies between w - h and w + h, or at either, there is no slope to compare
with, and the entry is no failure. That is found out by looking at z, and at the outputs. What is not finite has failed.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from app.engine import names, passes
from app.engine.network import Config, Parameter
from app.engine.rows import Rows
from app.engine.spec import Array, Model
from app.engine.state import State
from app.engine.straight import work_for
from app.engine.work import Work
from app.errors import FieldError, InvalidInput

Status = Literal["passed", "failed", "kink"]

EPS = {"float64": 1e-6, "float32": 1e-4}
TOLERANCE = 1e-5  # at least; and not less than `eps`
_UNIT = 2.0**-53
_UNIT_OF_GRADIENT = {"float64": 0.0, "float32": 2.0**-24}  # in double precision it is nothing beside that of L over h
_LEAST = 2.0**-40  # of w
_ROUNDINGS = 4  # of each number, that its rounding counts as
_TOO_MANY = 10_000


class Gradcheck(Model):
    """Which gradients to check (default: all), tensors or single entries by name, and the step of the differences."""

    parameters: Annotated[list[str], Field(min_length=1, max_length=_TOO_MANY)] | None = None
    eps: Annotated[float, Field(ge=1e-10, le=1e-2)] | None = None


class Checked(TypedDict):
    """One entry; None stands for what is not finite."""

    parameter: str
    index: list[int]
    analytic: float | None
    numeric: float | None
    relative_error: float | None
    status: Status


class Report(TypedDict):
    """What `gradcheck` answers; `passed` is false only where an entry failed."""

    passed: bool
    tolerance: float
    entries: list[Checked]


class _Chosen(NamedTuple):
    """Entries of one parameter: all of them, or one."""

    parameter: Parameter
    only: tuple[int, ...] | None

    @property
    def size(self) -> int:
        """How many they are."""
        return math.prod(self.parameter.shape) if self.only is None else 1

    @property
    def entries(self) -> Iterator[tuple[int, ...]]:
        """Their indices, in the order of memory."""
        return iter(np.ndindex(self.parameter.shape) if self.only is None else (self.only,))


def count(config: Config, body: Gradcheck) -> int:
    """How many entries a check goes through, for its cost; raises what `gradcheck` raises."""
    return sum(chosen.size for chosen in _choose(config, body))


def gradcheck(config: Config, state: State, rows: Rows, body: Gradcheck) -> Report:
    """Check the gradients of the loss over these rows, at the parameters of this state.

    Raises:
        InvalidInput: a name is not that of a parameter, or of an entry of one.
    """
    chosen = _choose(config, body)
    eps = body.eps or EPS[config.dtype]
    seen: dict[tuple[str, tuple[int, ...]], Checked] = {}
    with np.errstate(all="ignore"):
        check = _Check(config, state, rows, eps)
        for parameter, index in ((one.parameter, index) for one in chosen for index in one.entries):
            if (parameter.name, index) not in seen:
                seen[parameter.name, index] = check.entry(parameter, index)
    entries = list(seen.values())
    passed = all(entry["status"] != "failed" for entry in entries)
    return {"passed": passed, "tolerance": check.tolerance, "entries": entries}


def _choose(config: Config, body: Gradcheck) -> list[_Chosen]:
    if body.parameters is None:
        return [_Chosen(parameter, None) for parameter in config.network.parameters]
    chosen = []
    for at, name in enumerate(body.parameters):
        pointer = f"/parameters/{at}"
        address = names.find(config, name, pointer)
        if address.parameter is None or address.part:
            takes = f"takes a parameter, such as {config.network.parameters[0].name}, or an entry of one"
            raise InvalidInput([FieldError(pointer, takes)])
        if address.index:
            names.check_index(address.parameter.shape, address, pointer)
        chosen.append(_Chosen(address.parameter, address.index or None))
    return chosen


class _Check:
    """The gradients to check, and private memory for the differences, in double precision."""

    def __init__(self, config: Config, state: State, rows: Rows, eps: float) -> None:
        self.config = config
        self.eps = eps
        self.tolerance = max(TOLERANCE, eps)
        begun = passes.begin(state, rows.inputs, rows.targets, own_rows=False)
        done = passes.backward(config, passes.forward(config, begun))
        assert done.gradients is not None
        assert done.forward is not None
        self.gradients, self.seen = done.gradients, done.forward.astype(np.float64)

        self.double = config if config.dtype == "float64" else config.model_copy(update={"dtype": "float64"})
        self.layout = config.network.layout(len(rows))
        self.parameters = state.parameters.astype(np.float64)
        targets = rows.targets if rows.targets.ndim == 1 else rows.targets.astype(np.float64)
        self.forward = np.empty(self.layout.forward_size)
        backward, exact = np.empty(self.layout.backward_size), np.empty(config.network.parameter_count)
        make = work_for if config.dtype == "float64" else Work  # what computes the gradient that is checked
        self.work = make(
            self.double, self.parameters, rows.inputs.astype(np.float64), targets, self.forward, backward, exact
        )
        count = len(config.network.layers)
        with self.work.quiet():
            self.work.forward(0, count)
            self.work.backward(0, count)
            self.rounding = self._rounding(backward, self.work.loss())
        self.start = self.forward.copy()
        self.gradient_rounding = _UNIT_OF_GRADIENT[config.dtype] * self.rounding
        self.largest = float(np.abs(exact).max())
        into = [self.work.inputs, *(self.start[place.a] for place in self.layout.traces)]
        self.reach = [min(max(1.0, float(np.abs(x).max())), 1 / _UNIT) for x in into]

    def entry(self, parameter: Parameter, index: tuple[int, ...]) -> Checked:
        """Compare one entry."""
        at = parameter.place.start + int(np.ravel_multi_index(index, parameter.shape))
        w, analytic = float(self.parameters[at]), float(self.gradients[at])
        reach = self.reach[parameter.layer] if parameter.kind == "weight" else 1.0
        h = max(self.eps / reach, _LEAST * abs(w))
        above, trace_above = self._loss_at(parameter, at, w + h)
        below, trace_below = self._loss_at(parameter, at, w - h)
        self.parameters[at] = w
        np.copyto(self.forward, self.start)
        numeric = (above - below) / ((w + h) - (w - h))
        allowed = _UNIT * self.rounding / h + h * h * self.largest + self.gradient_rounding * reach
        whole = max(abs(analytic), abs(numeric)) + allowed / self.tolerance
        error = abs(analytic - numeric) / whole if whole else 0.0
        status: Status = "passed" if error <= self.tolerance else "failed"
        if math.isfinite(error) and self._has_kink(parameter.layer, trace_above, trace_below):
            status = "kink"
        return {
            "parameter": parameter.name, "index": list(index), "analytic": _finite(analytic),
            "numeric": _finite(numeric), "relative_error": _finite(error), "status": status,
        }  # fmt: skip

    def _loss_at(self, parameter: Parameter, at: int, value: float) -> tuple[float, Array]:
        """The loss with one parameter changed, and a copy of the forward trace."""
        self.parameters[at] = value
        with self.work.quiet():
            self.work.forward(parameter.layer, len(self.config.network.layers))
            return self.work.loss(), self.forward.copy()

    def _has_kink(self, layer: int, above: Array, below: Array) -> bool:
        """Whether a kink lies where a z, or an output, has been on the way from one end to the other."""
        places = [above, below, self.start, self.seen]
        low, high = np.minimum.reduce(places), np.maximum.reduce(places)
        moved = above != below
        network = self.config.network
        for spec, place in zip(network.layers[layer:], self.layout.traces[layer:], strict=True):
            for kink in spec.activation.kinks:
                margin = _ROUNDINGS * _UNIT * abs(kink)
                crossed = (low[place.z] - margin <= kink) & (kink <= high[place.z] + margin)
                if (crossed & moved[place.z]).any():
                    return True
        last, shape = self.layout.traces[-1], self.layout.traces[-1].shape
        low, high = low[last.a].reshape(shape), high[last.a].reshape(shape)
        kinked = self.config.loss.kinked(low, high, self.work.targets)
        return bool((kinked & moved[last.z].reshape(shape)).any())

    def _rounding(self, backward: Array, loss: float) -> float:
        """How far rounding may put the loss off, in units of the rounding of 1."""
        network, below = self.config.network, np.abs(self.work.inputs)
        total = abs(loss) + self.work.scale * (len(below) if self.config.loss.per_sample else self.work.outputs.size)
        for place, (weight, bias) in zip(self.layout.traces, network.layer_parameters, strict=True):
            size = below.dot(np.abs(weight.view(self.parameters)).T)  # (n, units), of the terms of z
            if bias is not None:
                size += np.abs(self.parameters[bias.place])
            below = np.abs(self.forward[place.a].reshape(place.shape))
            total += float((np.abs(backward[place.dL_dz].reshape(place.shape)) * size).sum())
            total += float((np.abs(backward[place.dL_da].reshape(place.shape)) * below).sum())
        return _ROUNDINGS * total


def _finite(number: Any) -> float | None:
    return float(number) if math.isfinite(number) else None
