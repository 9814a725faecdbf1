"""A step worked by hand: every term computed from the ones before it, as somebody has them.

    z = x Wᵀ + b        a = f(z)        L, ∂L/∂a from the loss        ∂L/∂z = ∂L/∂a ∂a/∂z
    ∂L/∂a = ∂L/∂z W     ∂L/∂W = (∂L/∂z)ᵀ x     ∂L/∂b = Σ ∂L/∂z       the optimizer's update

What somebody has is a sheet: the terms that were written down as they are, and the others as they follow from those,
with all their digits or rounded like what is written. There are a few ways to do that, and a page for each.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine import names, passes, tensors
from app.engine.activations import Activation
from app.engine.network import Config, Parameter
from app.engine.spec import Array
from app.engine.state import State, fresh_slots
from app.engine.work import LayerArrays

Kind = Literal[
    "fact", "z", "a", "outputs", "loss", "dL_da", "da_dz", "dL_dz", "weight", "bias", "gradient_norm", "next"
]  # fmt: skip

MOST_BY_HAND = 10_000  # products in a forward pass, above which nobody rounds what is not written
_WRITTEN_OUT = 8  # units of a softmax, up to which its Jacobian may have been written out
_MOST_ROUNDED = 12  # decimals, beyond which rounding is lost in the last bits


class Key(NamedTuple):
    """A tensor on a sheet; a parameter is there three times, as each pass and the update take it."""

    name: str
    when: Literal["", "backward", "before"] = ""


Sheet = dict[Key, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Term:
    """One tensor of a step.

    Attributes:
        name: its name.
        kind: what it is; `weight` and `bias` are gradients.
        layer: the position of its layer; -1 without one.
        parents: what it is computed from, in the order in which `compute` takes them.
        parameter: of a fact, a gradient or an updated value.
    """

    name: str
    kind: Kind
    layer: int
    parents: tuple[Key, ...] = ()
    parameter: Parameter | None = None


class Step:
    """A step to be worked: the facts that it starts from, and the right numbers.

    Attributes:
        config: the session's.
        done: the state with its passes done, and the parameters as they are now.
        decimals: how many are written.
        unit: the last of them.
        rate: the learning rate of the update.
    """

    def __init__(self, config: Config, done: State, decimals: int) -> None:
        self.config, self.done, self.decimals = config, done, decimals
        self.unit = 10.0**-decimals
        self.rate = config.optimizer.rate(done.steps)
        self.right = dict(tensors.tensors(config, done))

    def exact(self, name: str) -> NDArray[Any]:
        """The right numbers of a tensor; a softmax's Jacobian and the norm are made when they are asked for."""
        parameter, _, part = name.rpartition(".")
        if part == "next":
            return self.config.network.parameters[self.config.network.by_name[parameter]].view(self._after)
        found = self.right.get(name)
        return names.read(self.config, self.done, names.find(self.config, name, "")) if found is None else found

    @cached_property
    def _after(self) -> Array:
        """All parameters after the update."""
        return passes.update(self.config, self.done).parameters

    def facts(self) -> Sheet:
        """What a worker is given: the rows and the parameters, as each pass takes them."""
        done = self.done
        assert done.inputs is not None
        sheet: Sheet = {Key("inputs"): done.inputs}
        if done.targets is not None:
            sheet[Key("targets")] = done.targets
        back = done.used if done.backward_used is None else done.backward_used
        for parameter in self.config.network.parameters:
            before = done.used if parameter.name in done.stepped else done.parameters
            sheet[Key(parameter.name)] = parameter.view(done.used)
            sheet[Key(parameter.name, "backward")] = parameter.view(back)
            sheet[Key(parameter.name, "before")] = parameter.view(before)
        return sheet


@dataclass(slots=True)
class Page:
    """One way in which somebody may have worked.

    Attributes:
        step: the step.
        tolerance: how far what is written may be from what it comes to.
        sheet: every term so far; of the last one what it should have come to.
        written: where a term was written down, for those that were.
        rounds: what becomes of a number that was not written down; None where it keeps all digits.
        jacobians: whether a softmax's derivative is rounded as well.
    """

    step: Step
    tolerance: float
    sheet: Sheet
    written: dict[str, NDArray[np.bool_]]
    rounds: Callable[[Array], Array] | None = None
    jacobians: bool = True

    def unwritten(self, term: Term, numbers: Array) -> Array:
        """A term's numbers as they are gone on with where they were not written down."""
        if self.rounds is None or (numbers.ndim == 3 and not self.jacobians):
            return numbers
        return self.rounds(numbers)

    def near(self, numbers: Array, result: Array, close: Array) -> NDArray[np.bool_]:
        """Where numbers are as near to what a term comes to as work on this page is."""
        near: NDArray[np.bool_] = np.abs(numbers - result) <= self.tolerance * (1 + 1e-9) + close
        return near


def pages(step: Step, facts: Sheet, written: dict[str, NDArray[np.bool_]]) -> list[Page]:
    """The ways to work a step, all with these facts.

    Every digit is kept, and written numbers are rounded from these, by half a unit at most; or the written numbers are
    gone on with, and those between them have all digits, or are rounded too: with ties to even as a computer's numbers
    happen to lie, with ties away from 0 or towards it, and with a softmax's derivative as it is.
    """
    unit, scale = step.unit, 10.0**step.decimals
    found = [Page(step, unit / 2, dict(facts), written), Page(step, unit, dict(facts), written)]
    if not by_hand(step.config, _rows(step.done)) or step.decimals > _MOST_ROUNDED:
        return found

    def nearest(numbers: Array) -> Array:
        return np.round(numbers, step.decimals)

    def tied(numbers: Array, tie: float) -> Array:
        rounded: Array = np.copysign(np.floor(np.abs(numbers) * scale + 0.5 + tie), numbers) / scale
        return rounded

    ways = (nearest, lambda numbers: tied(numbers, 1e-6), lambda numbers: tied(numbers, -1e-6))
    found += [Page(step, unit, dict(facts), written, way) for way in ways]
    if any(not layer.activation.elementwise for layer in step.config.network.layers):
        found.append(Page(step, unit, dict(facts), written, nearest, jacobians=False))
    return found


def by_hand(config: Config, n: int) -> bool:
    """Whether a step over n samples is small enough that somebody may round all of its numbers."""
    return n * config.network.products <= MOST_BY_HAND


def most_ways(config: Config, n: int) -> int:
    """How many pages there may be."""
    return 6 if by_hand(config, n) else 2


def _rows(state: State) -> int:
    assert state.inputs is not None
    return len(state.inputs)


def begun(state: State, inputs: Array | None, targets: NDArray[Any] | None) -> State:
    """The step under way, or a fresh one over these rows in `ready`."""
    if state.phase != "ready":
        return state
    assert inputs is not None
    return passes.begin(state, inputs, targets, own_rows=False)


def passed(config: Config, state: State, *, backward: bool) -> State:
    """The step with what is left of its forward pass done, and of the backward pass where that is wanted."""
    if passes.forward_under_way(config, state):
        state = passes.forward(config, state)
    return passes.backward(config, state) if backward and state.backwarded < len(config.network.layers) else state


def terms(config: Config, jacobians: Collection[str] = ()) -> Iterator[Term]:
    """All terms of a step, in the order of computation; of the large softmaxes' `da_dz` only those named."""
    network = config.network
    last, layers = len(network.layers) - 1, list(zip(network.names, network.layer_parameters, strict=True))
    yield Term("inputs", "fact", -1)
    for at, (layer, parameters) in enumerate(layers):
        given = [parameter for parameter in parameters if parameter]
        yield from (Term(parameter.name, "fact", at, parameter=parameter) for parameter in given)
        yield Term(f"{layer}.z", "z", at, (_below(config, at), *(Key(p.name) for p in given)))
        yield Term(f"{layer}.a", "a", at, (Key(f"{layer}.z"),))
    outputs, targets = Key("outputs"), Key("targets")
    yield Term("outputs", "outputs", last, (Key(f"{network.names[-1]}.a"),))
    yield Term("targets", "fact", -1)
    yield Term("loss", "loss", last, (outputs, targets))
    for at, (layer, parameters) in reversed(list(enumerate(layers))):
        if at == last:
            yield Term(f"{layer}.dL_da", "dL_da", at, (outputs, targets))
        else:
            above, (weight, _) = layers[at + 1]
            yield Term(f"{layer}.dL_da", "dL_da", at, (Key(f"{above}.dL_dz"), Key(weight.name, "backward")))
        z, a, da_dz = Key(f"{layer}.z"), outputs if at == last else Key(f"{layer}.a"), Key(f"{layer}.da_dz")
        spec, g = network.layers[at], Key(f"{layer}.dL_da")
        if spec.activation.elementwise or spec.units <= _WRITTEN_OUT or da_dz.name in jacobians:
            yield Term(da_dz.name, "da_dz", at, (z, a))
            yield Term(f"{layer}.dL_dz", "dL_dz", at, (g, da_dz))
        else:
            yield Term(f"{layer}.dL_dz", "dL_dz", at, (g, z, a))
        yield from (gradient_term(config, parameter) for parameter in parameters if parameter)
    yield Term("gradient_norm", "gradient_norm", -1, tuple(Key(f"{name}.gradient") for name in network.trainable))
    yield from (update_term(config, parameter) for parameter in network.parameters)


def gradient_term(config: Config, parameter: Parameter) -> Term:
    """The gradient of a parameter."""
    delta, below = Key(f"{config.network.names[parameter.layer]}.dL_dz"), _below(config, parameter.layer)
    return Term(
        f"{parameter.name}.gradient", parameter.kind, parameter.layer,
        (delta, below) if parameter.kind == "weight" else (delta,), parameter,
    )  # fmt: skip


def update_term(config: Config, parameter: Parameter) -> Term:
    """A parameter after its update."""
    name, clip = parameter.name, config.optimizer.clip
    norm = (Key("gradient_norm"),) if clip is not None and clip.type == "norm" else ()
    parents = (Key(name, "before"), Key(f"{name}.gradient"), *norm)
    return Term(f"{name}.next", "next", parameter.layer, parents, parameter)


def ancestors(found: Iterable[Term], wanted: Collection[str]) -> list[Term]:
    """The terms of these names and those that they are computed from, in the order of computation."""
    needed, kept = set(wanted), []
    for term in reversed(list(found)):
        if term.name in needed:
            needed.update(parent.name for parent in term.parents)
            kept.append(term)
    return kept[::-1]


def compute(step: Step, term: Term, sheet: Sheet, rate: float | None = None) -> Array:
    """A term, from what the sheet has for its parents, and at this learning rate where one is given."""
    config, parents = step.config, [_double(sheet[key]) for key in term.parents]
    match term.kind:
        case "fact":
            return step.exact(term.name).astype(np.float64)
        case "z":
            x, weight, *bias = parents
            return sum(bias, start=x @ weight.T)  # (n, units)
        case "a":
            return _activated(config.network.layers[term.layer].activation, *parents)
        case "outputs":
            return parents[0]
        case "loss":
            y, targets = parents
            return np.array(config.loss.total(y, targets, np.empty_like(y)) * config.loss.scale(*y.shape))
        case "dL_da" if not term.parents[1].when:
            y, targets = parents
            out, scale = np.empty_like(y), np.array(config.loss.scale(*y.shape))
            config.loss.gradient(y, targets, scale, out, np.empty_like(y))
            return out
        case "dL_da":
            delta, weight = parents
            back: Array = delta @ weight
            return back
        case "da_dz":
            return _slope(config.network.layers[term.layer].activation, *parents)
        case "dL_dz":
            return _delta(config.network.layers[term.layer].activation, *parents)
        case "weight":
            delta, below = parents
            gradient: Array = delta.T @ below
            return gradient
        case "bias":
            assert term.parameter is not None
            shape = term.parameter.shape
            summed: Array = parents[0].sum(axis=None if shape == (1,) else 0).reshape(shape)
            return summed
        case "gradient_norm":
            return np.array(math.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in parents)))
    return _next(step, term, *parents, rate=step.rate if rate is None else rate)


def from_z(step: Step, term: Term, sheet: Sheet) -> Array:
    """A `da_dz` for which a is had from z again."""
    z, a = term.parents
    anew = _activated(step.config.network.layers[term.layer].activation, _double(sheet[z]))
    return compute(step, term, {**sheet, a: anew})


def update_noise(step: Step, term: Term, sheet: Sheet) -> Array:
    """How far an update may be off by the session's precision: what cancels out in a gradient may be divided by."""
    assert term.parameter is not None
    gradient = gradient_term(step.config, term.parameter)
    sizes = {key: np.abs(sheet[key]) for key in gradient.parents}
    noise = 4 * np.finfo(step.config.dtype).eps * compute(step, gradient, sizes)
    right, key = compute(step, term, sheet), term.parents[1]
    ways = (compute(step, term, {**sheet, key: sheet[key] + moved}) for moved in (noise, -noise))
    off: Array = np.nan_to_num(np.maximum(*(np.abs(way - right) for way in ways)), nan=0.0)
    return off


def _below(config: Config, layer: int) -> Key:
    return Key("inputs" if layer == 0 else f"{config.network.names[layer - 1]}.a")


def _double(numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers in double precision; indices as they are."""
    return numbers if numbers.dtype.kind == "i" else numbers.astype(np.float64, copy=False)


def _layer(z: Array, a: Array) -> LayerArrays:
    layer = LayerArrays()
    layer.z, layer.a, layer.one = z, a, np.ones(())
    layer.t, layer.da_dz, layer.dL_dz = np.empty_like(z), np.empty_like(z), np.empty_like(z)
    return layer


def _activated(activation: Activation, z: Array) -> Array:
    layer = _layer(z, np.empty_like(z))
    activation.forward(layer)
    return layer.a


def _slope(activation: Activation, z: Array, a: Array) -> Array:
    """da_dz: from a where the formula has it, or else from z; a Jacobian for each sample row by row."""
    if activation.elementwise:
        layer = _layer(z, a)
        activation.slope(layer)
        return layer.da_dz
    rows = np.eye(z.shape[1])
    return np.stack([_delta(activation, np.broadcast_to(row, z.shape), z, a) for row in rows], axis=1)


def _delta(activation: Activation, dL_da: Array, slope: Array, a: Array | None = None) -> Array:
    """dL_dz from `da_dz`: entry by entry or with a Jacobian; or in one from z and a, where that is not written out."""
    if a is not None:
        layer = _layer(slope, a)
        layer.dL_da = dL_da
        activation.backward(layer)
        return layer.dL_dz
    if slope.ndim == 2:
        return dL_da * slope
    product: Array = np.einsum("nj,njk->nk", dL_da, slope)
    return product


def _next(step: Step, term: Term, before: Array, gradient: Array, norm: Array | float = 0.0, *, rate: float) -> Array:
    """A parameter after its update; NaN where what the update began with is gone, and the gradient is another one."""
    parameter, optimizer = term.parameter, step.config.optimizer
    assert parameter is not None
    if not parameter.trainable:
        return before
    slots, count = _slots_before(step, parameter)

    def after(gradient: Array, norm: Array | float, rate: float) -> Array:
        clipped = gradient if optimizer.clip is None else optimizer.clip.apply(gradient, float(norm))
        p = before.flatten()
        optimizer.update(p, clipped.flatten(), slots.copy(), count, np.array(rate), np.empty_like(p))
        return p.reshape(gradient.shape)

    if parameter.name in step.done.stepped:
        right, exact = _double(step.exact(f"{parameter.name}.gradient")), _double(step.exact(term.name))
        again = after(right, step.exact("gradient_norm"), step.rate)
        if not np.allclose(again, exact, rtol=1e-4, atol=1e-6):
            return np.where(np.abs(gradient - right) > 2 * step.unit, np.nan, exact)
    return after(gradient, norm, rate)


def _slots_before(step: Step, parameter: Parameter) -> tuple[Array, int]:
    """What the optimizer remembered of a parameter before this update, and which of its updates this is."""
    done, stepped = step.done, parameter.name in step.done.stepped
    count = done.updates[parameter.index] + (not stepped)
    slots = fresh_slots(step.config) if stepped and count == 1 else done.slots
    return slots[:, parameter.place].astype(np.float64), count


def same_objects(sheet: Sheet, keys: Sequence[Key]) -> tuple[int, ...]:
    """Which arrays these are: what is computed from the same ones is the same."""
    return tuple(id(sheet[key]) for key in keys)
