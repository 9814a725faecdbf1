"""How a training fares, as a practitioner would judge it: gradients, dead and saturated units, the size of updates.

What each field and warning means, and why its threshold is where it is: docs/health.md.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from math import dist, hypot, isfinite
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from app.engine import tensors
from app.engine.network import Config
from app.engine.passes import Norm, norm_of_few
from app.engine.spec import Array
from app.engine.state import State
from app.engine.straight import MOST
from app.engine.summary import norm as length

Kind = Literal[
    "vanishing_gradient", "exploding_gradient", "dead_units", "saturated_units", "learning_rate_too_large", "nonfinite"
]

VANISHING = 1e-3  # of the gradient at the last layer's z
EXPLODING = 1e3  # times it
EXPLODING_NORM = 1e3
SHARE = 0.25  # of a layer's units
DEAD_SAMPLES = 4  # on fewer, a healthy unit may answer 0 to all of them by chance
WRONG_BY = 0.5  # a saturated output's distance from its target
LARGE_UPDATE = 0.5  # of the length of the weights

_SIZES = 4  # of batches whose plan a network keeps
_KEPT = 64  # measures of one network
TINY = 256  # numbers, up to which plain Python is quicker than numpy


class LayerHealth(TypedDict):
    """A layer's part; None for what has not been computed yet, or makes no sense here."""

    name: str
    gradient_norm: float | None
    update_ratio: float | None
    units: int
    saturated_units: int | None
    dead_units: int | None


class Warned(TypedDict):
    """What is wrong: where (None: everywhere), what, the number that says so (None: it is not finite), and in words."""

    layer: str | None
    kind: Kind
    value: float | None
    text: str


class Health(TypedDict):
    """What `health` answers."""

    gradient_norm: float | None
    layers: list[LayerHealth]
    warnings: list[Warned]


class _Plan(NamedTuple):
    """Where a layer's numbers lie, and what may go wrong with its units."""

    name: str
    units: int
    trainable: bool
    parameters: slice
    a: slice
    dL_dz: slice
    root: float  # of how many numbers dL_dz has
    flat: tuple[float, float] | None


def health(config: Config, state: State) -> Health:
    """How the training fares in this state."""
    P, G, F, B = state.parameters, state.gradients, state.forward, state.backward
    size = P.size + (0 if F is None else F.size) + (0 if B is None else B.size)
    if size <= TINY:
        lists = [[] if vector is None else vector.tolist() for vector in (P, G, F, B)]
        return tiny_health(config, state, *lists, finite=isfinite(sum(map(sum, lists))))
    layers: list[LayerHealth] = []
    signals: list[float] = []
    used = None if state.used is P else state.used
    reached = len(config.network.layers) - state.backwarded
    for at, plan in enumerate(_plans(config, state)):
        layer: LayerHealth = {
            "name": plan.name, "gradient_norm": None, "update_ratio": None, "units": plan.units,
            "saturated_units": None, "dead_units": None,
        }  # fmt: skip
        if G is not None and B is not None and at >= reached:
            layer["gradient_norm"] = length(G[plan.parameters])
            signals.append(length(B[plan.dL_dz]) / plan.root)
        if used is not None and plan.trainable:
            layer["update_ratio"] = update_ratio(used[plan.parameters], P[plan.parameters])
        if F is not None and at < state.forwarded:
            a = F[plan.a].reshape(-1, plan.units)
            layer["saturated_units"] = 0 if plan.flat is None else saturated_units(a, plan.flat)
            layer["dead_units"] = dead_units(a)
        layers.append(layer)
    finite = tensors.all_finite(*(vector for vector in (P, G, F, B) if vector is not None))
    norm = _gradient_norm(config, G) if G is not None and not reached else None
    return _judge(config, state, layers, signals, norm, finite)


def tiny_health(
    config: Config, state: State, P: list[float], G: list[float], F: list[float], B: list[float], *, finite: bool
) -> Health:
    """What `health` answers, from parameters, gradients and both traces as lists; [] for what is not there.

    `finite` says whether all of their numbers are.
    """
    U = None if state.used is state.parameters else state.used.tolist()
    layers, signals, norm = _measures(config, state)(P, U, G, F, B)
    if norm is None and state.gradients is not None and len(signals) == len(layers):
        norm = _gradient_norm(config, state.gradients)
    return _judge(config, state, layers, signals, norm, finite)


def _measures(config: Config, state: State) -> Callable[..., tuple[list[LayerHealth], list[float], float | None]]:
    """What `_judge` goes by, as straight-line code over the lists: for so few numbers, loops take longer than they."""
    n = None if state.inputs is None else len(state.inputs)
    place = n, state.forwarded, state.backwarded, state.used is state.parameters
    kept: dict[Any, Any] = config.network.templates.setdefault("measures", {})
    measures: Callable[..., Any] | None = kept.get(place)
    if measures is None:
        if len(kept) >= _KEPT:
            kept.clear()
        measures = kept[place] = eval(_write_measures(config, state), _NAMES)
    return measures


def _write_measures(config: Config, state: State) -> str:
    """A function of lists, as an expression; for parts of layers that have not been computed yet it has None."""
    network, norm, layers, signals = config.network, "None", [], []
    reached = len(network.layers) - state.backwarded
    for at, plan in enumerate(_plans(config, state)):
        gradient = ratio = saturated = dead = "None"
        if at >= reached:
            gradient = f"hypot({_entries('G', plan.parameters)})"
            signals.append(f"hypot({_entries('B', plan.dL_dz)}) / {plan.root!r}")
        if state.used is not state.parameters and plan.trainable:
            P, U = (_entries(vector, plan.parameters) for vector in "PU")
            ratio = f"_ratio(dist(({P},), ({U},)), hypot({U}))"
        if at < state.forwarded:
            units = [range(plan.a.start + unit, plan.a.stop, plan.units) for unit in range(plan.units)]
            dead = _count("not (" + " or ".join(f"F[{k}]" for k in unit) + ")" for unit in units)
            saturated = "0"
            if plan.flat is not None:
                low, high = plan.flat
                flat = f"(F[{{k}}] < {low!r} or F[{{k}}] > {high!r})"
                saturated = _count(" and ".join(flat.format(k=k) for k in unit) for unit in units)
        layers.append(
            f"{{'name': {plan.name!r}, 'gradient_norm': {gradient}, 'update_ratio': {ratio}, 'units': {plan.units}, "
            f"'saturated_units': {saturated}, 'dead_units': {dead}}}"
        )
    if not reached and network.parameter_count <= MOST:
        norm = f"norm_of_few([{', '.join(_entries('G', run) for _, run in network.trainable_runs)}])"
    return f"lambda P, U, G, F, B: ([{', '.join(layers)}], [{', '.join(signals)}], {norm})"


def _entries(vector: str, place: slice) -> str:
    return ", ".join(f"{vector}[{k}]" for k in range(place.start, place.stop))


def _count(conditions: Iterable[str]) -> str:
    return " + ".join(["0", *(f"({condition})" for condition in conditions)])


def _plans(config: Config, state: State) -> tuple[_Plan, ...]:
    """What depends on the network and the number of samples alone."""
    n = 1 if state.inputs is None else len(state.inputs)
    kept: dict[int, tuple[_Plan, ...]] = config.network.templates.setdefault("health", {})
    plans = kept.get(n)
    if plans is None:
        if len(kept) >= _SIZES:
            kept.clear()
        plans = kept[n] = tuple(_lay_out(config, n))
    return plans


def _lay_out(config: Config, n: int) -> Iterator[_Plan]:
    network = config.network
    for name, spec, place, (weight, bias) in zip(
        network.names, network.layers, network.layout(n).traces, network.layer_parameters, strict=True
    ):
        own = slice(weight.place.start, (bias or weight).place.stop)
        root = math.sqrt(n * spec.units)
        yield _Plan(name, spec.units, spec.trainable, own, place.a, place.dL_dz, root, spec.activation.flat)


def update_ratio(before: Array, after: Array) -> float | None:
    """How much parameters have changed, as a share of their size, ‖after - before‖ / ‖before‖; None where that is 0."""
    with np.errstate(all="ignore"):
        return _ratio(length(after - before), length(before))


def saturated_units(a: Array, flat: tuple[float, float]) -> int:
    """How many units lie where their activation is flat for every sample, from activations (n, units)."""
    return int(_is_flat(a, flat).all(axis=0).sum())


def dead_units(a: Array) -> int:
    """How many units answer 0 to every sample, from activations (n, units)."""
    return int(a.shape[1] - a.any(axis=0).sum())


def _ratio(change: float, size: float) -> float | None:
    return change / size if size else None


_NAMES = {"dist": dist, "hypot": hypot, "norm_of_few": norm_of_few, "_ratio": _ratio}


def _is_flat(a: Array, flat: tuple[float, float]) -> NDArray[np.bool_]:
    """Which activations lie where the slope is next to none."""
    return (a < flat[0]) | (a > flat[1])


def _judge(
    config: Config, state: State, layers: list[LayerHealth], signals: list[float], norm: float | None, finite: bool
) -> Health:
    """The whole answer; `signals` are the root mean squares of dL_dz where the backward pass has come.

    `norm` is the gradient's, once there is all of it.
    """
    warnings: list[Warned] = []
    if not (finite and (state.loss is None or isfinite(state.loss))):
        warnings += _nonfinite(config, state)
    if norm is not None and EXPLODING_NORM < norm < math.inf:
        warnings.append(_warned(None, "exploding_gradient", norm, _LARGE_NORM))
    if len(signals) > 1:
        warnings += _gradients(layers[-len(signals) :], signals)
    for at, layer in enumerate(layers):
        if layer["dead_units"] or layer["saturated_units"]:
            warnings += _units(config, state, at, layer)
        ratio = layer["update_ratio"]
        if ratio is not None and LARGE_UPDATE < ratio < math.inf and not state.edited:  # by steps alone
            warnings.append(_warned(layer["name"], "learning_rate_too_large", ratio, _LARGE_UPDATE))
    return {"gradient_norm": norm, "layers": layers, "warnings": warnings}


def _warned(layer: str | None, kind: Kind, value: float | None, text: str, **words: str | int) -> Warned:
    number = "" if value is None else f"{value:.2g}"
    return {"layer": layer, "kind": kind, "value": value, "text": text.format(layer=layer, value=number, **words)}


def _gradient_norm(config: Config, gradients: Array) -> float:
    """As everywhere: of all trainable parameters, before clipping."""
    with np.errstate(all="ignore"):
        return Norm(config, gradients)()


def _gradients(layers: list[LayerHealth], signals: list[float]) -> Iterator[Warned]:
    """Whether what arrives at a layer's z has vanished or exploded on its way from the last layer's."""
    least, most, last = min(signals), max(signals), signals[-1]
    if not 0 < last < math.inf:
        return
    if least < VANISHING * last:
        name, ratio = layers[signals.index(least)]["name"], least / last
        yield _warned(name, "vanishing_gradient", ratio, _VANISHING, last=layers[-1]["name"])
    if EXPLODING * last < most < math.inf:
        name, ratio = layers[signals.index(most)]["name"], most / last
        yield _warned(name, "exploding_gradient", ratio, _EXPLODING, last=layers[-1]["name"])


def _units(config: Config, state: State, at: int, layer: LayerHealth) -> Iterator[Warned]:
    """Whether so many units of a layer are dead, or saturated, that it should be told."""
    name, units, dead, saturated = layer["name"], layer["units"], layer["dead_units"], layer["saturated_units"]
    assert state.inputs is not None
    n = len(state.inputs)
    dies = config.network.layers[at].activation.dies  # a 0 elsewhere, as a tanh's, lets the gradient through
    if dies and dead and (dead == units or (n >= DEAD_SAMPLES and dead >= SHARE * units)):
        text = _DEAD.format(what=_counted(dead, units, name, "dead"), which=_samples(n))
        yield _warned(name, "dead_units", dead / units, text)
    if saturated and at == len(config.network.layers) - 1:
        saturated = _wrong_outputs(config, state)  # elsewhere it is a sure answer, and may be the right one
    if saturated and saturated >= SHARE * units:
        text = _SATURATED.format(what=_counted(saturated, units, name, "saturated"), which=_samples(n))
        yield _warned(name, "saturated_units", saturated / units, text)


def _wrong_outputs(config: Config, state: State) -> int:
    """How many units of the last layer are saturated, and far from the target of a sample."""
    a, flat = tensors.outputs(config, state), config.network.layers[-1].activation.flat
    if state.targets is None or state.targets.ndim == 1 or a is None or flat is None:
        return 0
    stuck = _is_flat(a, flat).all(axis=0) & (np.abs(a - state.targets) > WRONG_BY).any(axis=0)
    return int(stuck.sum())


def _nonfinite(config: Config, state: State) -> Iterator[Warned]:
    found = tensors.first_nonfinite(tensors.tensors(config, state))
    if found is not None:
        tensor = found[0]
        layer = tensor.split(".")[0]
        yield _warned(layer if layer in config.network.names else None, "nonfinite", None, _NONFINITE, tensor=tensor)


def _counted(count: int, units: int, layer: str, what: str) -> str:
    return f"{count} of {units} units of {layer} {'is' if count == 1 else 'are'} {what}"


def _samples(n: int) -> str:
    return "the sample" if n == 1 else f"each of the {n} samples"


_VANISHING = (
    "The gradient vanishes on its way back: at {layer} it is {value} of what it is at {last}, so that {layer} hardly "
    "learns. An activation that does not saturate, such as relu, or larger first weights let more of it through."
)
_EXPLODING = (
    "The gradient explodes on its way back: at {layer} it is {value} times what it is at {last}. Smaller first weights "
    "keep it in bounds, and so does clip."
)
_LARGE_NORM = (
    "The gradient is very large, {value} over all parameters: a step along it goes far. Smaller inputs, targets or "
    "first weights, a smaller learning rate, or clip keep it in bounds."
)
_DEAD = (
    "{what}: a is 0 for {which}, and no gradient gets past it. A smaller learning rate, other first weights, or an "
    "activation such as leaky_relu help."
)
_SATURATED = (
    "{what}: for {which} it lies where the activation is flat, and hardly any gradient gets past it. Smaller weights "
    "or inputs bring it back to where the activation is steep."
)
_LARGE_UPDATE = (
    "The last step changed the parameters of {layer} by {value} of their size, where about 0.001 is usual: the "
    "learning rate is too large for them."
)
_NONFINITE = (
    "{tensor} has a number that is not finite, and so will all that is worked out from it. Go back to before it, and "
    "take a smaller learning rate or smaller inputs."
)
