"""The chain-rule ledger: a parameter's gradient as a sum, over samples and over ways to the loss, of products.

    ∂L/∂w = Σ over samples, Σ over ways   ∂L/∂a ∂a/∂z ∂z/∂a … ∂a/∂z ∂z/∂w

A way is the activations and pre-activations that the parameter acts on the loss through. Only those of the samples that
are shown are gone; the shares of all samples come from what the backward pass has left.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np

from app.engine.activations import Activation
from app.engine.explain import Explainer
from app.engine.explanation import Chain, Explanation, Path, Share, Term
from app.engine.expressions import Number, Partial, Symbol
from app.engine.letters import one
from app.engine.names import Address
from app.engine.network import Config
from app.engine.spec import Array
from app.engine.state import State
from app.errors import LimitExceeded

MAX_SAMPLES = 8
MAX_PATHS = 64
MAX_NUMBERS = 20_000
_FACTOR = 5  # what a factor takes to be written, counted in terms

Spot = tuple[int, int, int]  # a layer, the unit of its activation, and that of its pre-activation


def ledger(
    config: Config, state: State, address: Address, max_samples: int = MAX_SAMPLES, max_paths: int = MAX_PATHS
) -> Chain:
    """The ledger of an entry of a parameter's gradient, which must have been computed.

    The `max_samples` samples with the largest shares are shown. Where the ways of a sample are more than `max_paths`,
    they start at the layer's own `dL_da`, or, should these be too many as well, at its `dL_dz`.

    Raises:
        LimitExceeded: it would have more than `MAX_NUMBERS`.
    """
    ledger = _Ledger(config, state, address, max_paths)
    with np.errstate(all="ignore"):
        shares = ledger.shares()
        order = np.argsort(-np.where(np.isnan(shares), np.inf, np.abs(shares)), kind="stable")
        shown, others = order[:max_samples].tolist(), order[max_samples:]
        rest = float(shares[others].sum())
    numbers = len(shown) * ledger.numbers_of_sample()
    if numbers > MAX_NUMBERS:
        raise LimitExceeded("?max_samples", "the count of numbers in the ledger", limit=MAX_NUMBERS, estimate=numbers)
    samples = [Share(s, float(shares[s]), tuple(ledger.paths(s))) for s in shown]
    return Chain(tuple(samples), len(others), rest)


class _Ledger:
    """The ways of one entry of a parameter; factors that several ways have in common are explained once."""

    def __init__(self, config: Config, state: State, address: Address, max_paths: int) -> None:
        assert address.parameter is not None
        self.network = config.network
        self.state = state
        self.explainer = Explainer(config, state)
        self.numbers = self.explainer.numbers
        self.parameter = address.parameter
        self.index = address.index
        self.layer = address.parameter.layer
        self.shared = address.parameter.kind == "bias" and config.network.layers[self.layer].bias == "shared"
        self.units = range(config.network.layers[self.layer].units) if self.shared else [address.index[0]]
        self.top = self._top(max_paths)
        self.explained: dict[tuple[str, tuple[int, ...]], Explanation] = {}

    def shares(self) -> Array:
        """What each sample adds to the gradient (n,), in double precision."""
        layer, trace = self.layer, self.numbers.traces[self.layer]
        assert trace.dL_dz is not None
        deltas: Array = trace.dL_dz.astype(np.float64)
        if self.shared:
            return np.asarray(deltas.sum(axis=1))
        own: Array = deltas[:, self.index[0]]
        if self.parameter.kind == "bias":
            return own
        below = self.numbers.traces[layer - 1].a if layer else self.state.inputs
        assert below is not None
        return own * below[:, self.index[1]]

    def paths(self, s: int) -> Iterator[Path]:
        """Every way of a sample."""
        for j in self.units:
            for way in self._ways(j):
                factors = tuple(self._factors(s, j, way))
                yield Path(math.prod(factor.value for factor in factors), tuple(self._through(s, j, way)), factors)

    def numbers_of_sample(self) -> int:
        """About how many numbers the ways of a sample have, with those that their first factors are made of."""
        own = len(self.units) * self._branches(self.layer)
        above = range(self.layer + 1, self.top + 1)
        ways = own * math.prod(self._size(layer) * self._branches(layer) for layer in above)
        first, starts = "dL_da", own if not above else self._size(self.top)
        if self.top < self.layer:
            first, ways, starts = "dL_dz", len(self.units), len(self.units)
        terms = self.explainer.most_terms(Address(first, first, max(self.top, self.layer)))
        return ways * (2 * (len(above) + 1)) * _FACTOR + starts * terms

    def _top(self, max_paths: int) -> int:
        """The layer at whose `dL_da` the ways start; the layer before the parameter's own for its `dL_dz`."""
        own = len(self.units) * self._branches(self.layer)
        above = range(self.layer + 1, len(self.network.layers))
        if own * math.prod(self._size(layer) * self._branches(layer) for layer in above) <= max_paths:
            return len(self.network.layers) - 1
        return self.layer if own <= max_paths else self.layer - 1

    def _branches(self, layer: int) -> int:
        """How many activations a pre-activation of the layer acts on."""
        return 1 if self._activation(layer).elementwise else self._size(layer)

    def _ways(self, j: int) -> Iterator[tuple[Spot, ...]]:
        """The spots of each way, from the loss down to pre-activation j of the parameter's layer."""
        layers = range(self.top, self.layer - 1, -1)
        yield from product(*(self._spots(layer, j) for layer in layers))

    def _spots(self, layer: int, j: int) -> list[Spot]:
        units = range(self._size(layer))
        into = [j] if layer == self.layer else units
        if self._activation(layer).elementwise:
            return [(layer, k, k) for k in into]
        return [(layer, unit, k) for unit in units for k in into]

    def _through(self, s: int, j: int, way: Sequence[Spot]) -> Iterator[str]:
        """The names of what the way leads through, in the order of its factors."""
        if not way:
            yield f"{self.network.names[self.layer]}.z[{s}][{j}]"
        for layer, unit, k in way:
            name = self.network.names[layer]
            yield f"{name}.a[{s}][{unit}]"
            yield f"{name}.z[{s}][{k}]"

    def _factors(self, s: int, j: int, way: Sequence[Spot]) -> Iterator[Explanation]:
        explainer = self.explainer
        if not way:
            yield explainer.by_pre_activation(self.layer, s, j)
        for position, (layer, unit, k) in enumerate(way):
            if position == 0 and layer == explainer.last:
                yield self._once(explainer.by_output, s, unit)
            elif position == 0:
                yield self._once(explainer.by_activation, layer, s, unit)
            else:
                above, _, into = way[position - 1]
                yield self._once(self._by_activation, above, s, into, unit)
            other = () if self._activation(layer).elementwise else (k,)
            yield self._once(explainer.derivative, layer, s, unit, *other)
        yield self._by_parameter(s, j)

    def _once(self, explain: Callable[..., Explanation], *of: int) -> Explanation:
        key = explain.__name__, of
        if key not in self.explained:
            self.explained[key] = explain(*of)
        return self.explained[key]

    def _by_activation(self, layer: int, s: int, j: int, i: int) -> Explanation:
        """∂z/∂a by an activation of the layer below: the weight, as the backward pass used it."""
        assert self.state.backward_used is not None
        weight = self.network.layer_parameters[layer][0]
        number = self.numbers.of_parameter(weight, self.state.backward_used, j, i)
        return self._other_factor(layer, s, j, self.numbers.x(layer, one(s), one(i)), number)

    def _by_parameter(self, s: int, j: int) -> Explanation:
        """∂z/∂w, which is what comes in, or ∂z/∂b = 1."""
        letter = self.numbers.parameter(self.parameter, self.index)
        if self.parameter.kind == "weight":
            return self._other_factor(self.layer, s, j, letter, self.numbers.of_x(self.layer, s, self.index[1]))
        return self._other_factor(self.layer, s, j, letter)

    def _other_factor(self, layer: int, s: int, j: int, by: Symbol, number: Term | None = None) -> Explanation:
        """The derivative of z by what stands in a product of its formula: the number beside it, or 1."""
        return Explanation(
            of=str(number.of) if number else "",
            kind="derivative",
            title=f"derivative of a pre-activation of {self.network.names[layer]}",
            symbol=Partial(self.numbers.z(layer, one(s), one(j)), by),
            formula=number.symbol if number else Number(1.0),
            terms=(number,) if number else (),
            value=number.value if number else 1.0,
        )

    def _activation(self, layer: int) -> Activation:
        activation: Activation = self.network.layers[layer].activation
        return activation

    def _size(self, layer: int) -> int:
        return self.network.layers[layer].units
