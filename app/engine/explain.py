"""Where every number of the forward and backward passes comes from, in the textbook's formulas.

Each formula is built once, over a way to add up: written out term by term, to put the numbers in, and, where that is
long, with a Σ, to be read.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from app.engine import names
from app.engine.activations import Activation, pi
from app.engine.explanation import Explanation, Letter, Term, computable
from app.engine.expressions import (
    Expression,
    Number,
    Partial,
    Sum,
    Symbol,
    abs_,
    add_up,
    exp,
    mapped,
    sqrt,
)
from app.engine.letters import NORM, L, Numbers, one
from app.engine.losses import Sample
from app.engine.losses import m as all_entries
from app.engine.losses import n as all_samples
from app.engine.names import Address
from app.engine.network import Config, Parameter
from app.engine.notation import plain_name, symbol_names
from app.engine.spec import Array, Spec
from app.engine.state import State
from app.errors import LimitExceeded

MAX_TERMS = 20_000
SHORT = 9  # terms that a sum shows one by one
FEW = 64  # entries of a softmax's derivatives that a worked example goes through

Adding = Callable[[int, str, Callable[[str], Expression]], Expression]
_CLOSE = {"float64": (1e-13, 1e-12), "float32": (1e-7, 1e-6)}  # parts of the value, and of its largest term


def explain(config: Config, state: State, address: Address, pointer: str) -> Explanation:
    """Where a number of the forward or the backward pass comes from; `pointer` is where its name was given.

    Raises:
        InvalidInput: the index does not fit the shape.
        LimitExceeded: it is made of more than `MAX_TERMS` numbers.
        WrongPhase: it has not been computed yet.
    """
    explainer = Explainer(config, state)
    if not explainer.has_jacobian(address):  # which would be made only to be thrown away
        names.read(config, state, address)
    names.check_index(names.shape(config, address, state), address, pointer)
    terms = explainer.most_terms(address)
    if terms > MAX_TERMS:
        raise LimitExceeded(pointer, f"the terms of {address}", limit=MAX_TERMS, estimate=terms)
    return explainer.explain(address)


def everything(config: Config, state: State) -> Iterator[Address]:
    """The address of every number of the passes so far, in the order of computation, for a worked example."""
    for address, shape in _computed(config, state):
        yield from (address.at(*index) for index in np.ndindex(shape))


def count(config: Config, state: State) -> int:
    """How many `everything` has."""
    return sum(math.prod(shape) for _, shape in _computed(config, state))


class Explainer:
    """Explains the numbers that the passes of one state have left; indices count from 0."""

    def __init__(self, config: Config, state: State) -> None:
        self.config = config
        self.state = state
        self.network = config.network
        self.numbers = Numbers(config, state)
        self.last = len(config.network.layers) - 1

    def has_jacobian(self, address: Address) -> bool:
        """Whether it lies in a softmax's derivatives, and they can be had."""
        if address.term != "da_dz" or address.layer is None or self._activation(address.layer).elementwise:
            return False
        return self.numbers.traces[address.layer].dL_dz is not None

    def most_terms(self, address: Address) -> int:
        """How many terms its formula can have."""
        n, outputs = self.numbers.n, self.network.sizes[-1]
        if address.layer is None:
            every = sum(math.prod(parameter.shape) for parameter in self._trainable)
            return {"loss": 2 * n * outputs, "gradient_norm": every}.get(address.term, 1)
        units = self.network.layers[address.layer].units
        match address.term:
            case "z":
                return 2 * self.network.sizes[address.layer] + 1
            case "weight":
                return 2 * n
            case "bias":
                return n * units if address.parameter and address.parameter.shape == (1,) else n
            case "dL_da" if address.layer < self.last:
                return 2 * self.network.sizes[address.layer + 2]
            case "dL_da" if self.config.loss.by_entry:
                return 4
        return 4 if self._activation(address.layer).elementwise and address.term != "dL_da" else 2 * units + 3

    def explain(self, address: Address) -> Explanation:
        """The explanation of a number that is there."""
        at, index = address.layer, address.index
        if address.parameter is not None:
            assert address.part == "gradient"
            return self.gradient(address.parameter, *index)
        match address.term:
            case "inputs":
                return self._given("input", self.numbers.of_x(0, *index), f"input {one(index[1])}", index[0])
            case "targets":
                term = self.numbers.of_t(index[0], index[-1])
                what = "target: the right class, counted from 0" if len(index) == 1 else f"target {one(index[1])}"
                return self._given("target", term, what, index[0])
            case "outputs":
                return self.output(*index)
            case "loss":
                return self.loss()
            case "gradient_norm":
                return self.gradient_norm()
        assert at is not None
        match address.term:
            case "z":
                return self.pre_activation(at, *index)
            case "a":
                return self.activation(at, *index)
            case "da_dz":
                return self.derivative(at, *index)
            case "dL_da":
                return self.by_activation(at, *index)
        return self.by_pre_activation(at, *index)

    def output(self, s: int, k: int) -> Explanation:
        """An output is the last layer's activation."""
        a = self.numbers.of_a(self.last, s, k)
        title = f"output {one(k)}{self._of_sample(s)}: the activation of {self.network.names[-1]}"
        letter = self.numbers.y(one(s), one(k))
        return Explanation(f"outputs[{s}][{k}]", "output", title, letter, a.symbol, (a,), a.value)

    def pre_activation(self, layer: int, s: int, j: int) -> Explanation:
        """z = Σᵢ wⱼᵢ xᵢ + b, with the parameters that the forward pass used."""
        numbers, row, unit = self.numbers, one(s), one(j)
        weight, bias = self.network.layer_parameters[layer]
        inputs = range(self.network.sizes[layer])
        terms = [numbers.of_parameter(weight, self.state.used, j, i) for i in inputs]
        terms += [numbers.of_x(layer, s, i) for i in inputs]
        if bias is not None:
            terms.append(numbers.of_parameter(bias, self.state.used, 0 if bias.shape == (1,) else j))

        def right(add: Adding) -> Expression:
            products = add(len(inputs), "i", lambda i: numbers.w(layer, unit, i) * numbers.x(layer, row, i))
            return products if bias is None else products + numbers.b(layer, unit)

        title = f"pre-activation of {self._unit(layer, s, j)}"
        return self._made("pre_activation", title, numbers.of_z(layer, s, j), right, terms, size=len(inputs))

    def activation(self, layer: int, s: int, j: int) -> Explanation:
        """a = f(z)."""
        numbers, activation = self.numbers, self._activation(layer)
        number = numbers.of_a(layer, s, j)
        title = f"activation of {self._unit(layer, s, j)} ({activation.type_name()})"
        if activation.elementwise:
            z = numbers.of_z(layer, s, j)
            sides = activation.right_sides[0], activation.stable_sides[0]
            return self._applied("activation", title, number, *sides, {"z": z}, activation)
        units, row = self.network.layers[layer].units, one(s)
        terms = [numbers.of_z(layer, s, k) for k in range(units)]
        largest = max(terms, key=lambda term: term.value).symbol

        def right(add: Adding) -> Expression:
            return exp(numbers.z(layer, row, one(j))) / add(units, "k", lambda k: exp(numbers.z(layer, row, k)))

        def stable() -> Expression:
            of_all = add_up(exp(term.symbol - largest) for term in terms)
            return exp(numbers.z(layer, row, one(j)) - largest) / of_all

        return self._made("activation", title, number, right, terms, stable, size=units)

    def derivative(self, layer: int, s: int, j: int, k: int | None = None) -> Explanation:
        """∂a/∂z; of a softmax ∂aⱼ/∂zₖ = aⱼ (δⱼₖ - aₖ)."""
        numbers, activation = self.numbers, self._activation(layer)
        a = numbers.of_a(layer, s, j)
        if k is None:
            title = f"derivative of the activation of {self._unit(layer, s, j)} ({activation.type_name()})"
            letters = {"z": numbers.of_z(layer, s, j), "a": a}
            sides = activation.right_sides[1], activation.stable_sides[1]
            return self._applied("derivative", title, numbers.of_da_dz(layer, s, j), *sides, letters, activation)
        title = f"derivative of the activation of {self._unit(layer, s, j)} (softmax) by z of unit {one(k)}"
        number = numbers.of_jacobian(layer, s, j, k, float(self.jacobian_column(layer, s, k)[j]))
        if j == k:
            return self._made("derivative", title, number, lambda _: a.symbol * (1 - a.symbol), [a])
        other = numbers.of_a(layer, s, k)
        return self._made("derivative", title, number, lambda _: -(a.symbol * other.symbol), [a, other])

    def jacobian_column(self, layer: int, s: int, k: int) -> Array:
        """A softmax's ∂aⱼ/∂zₖ for all j (units,), the same numbers as in the whole."""
        a = self.numbers.traces[layer].a
        assert a is not None
        with np.errstate(all="ignore"):
            column: Array = -a[s] * a[s, k]
            column[k] += a[s, k]
        return column

    def loss(self) -> Explanation:
        """The loss over all outputs and targets."""
        numbers, loss = self.numbers, self.config.loss
        n, outputs = numbers.n, self.network.sizes[-1]

        def right(add: Adding, largest: bool = False) -> Expression:
            return self._scaled(add(n, "s", lambda s: loss.of_sample(self._sample(s, add, largest))))

        terms = [numbers.of_a(self.last, s, k) for s in range(n) for k in range(outputs)]
        terms += [*self._targets(range(n), range(outputs)), *self._options(loss)]
        over = self._scale()
        title = f"loss, {loss.type_name().replace('_', ' ')}"
        if over is not None:
            title += f", the mean over {int(over.value)} {'samples' if loss.per_sample else 'outputs'}"
        number = Term("loss", L, _there(self.state.loss))
        nested = not loss.by_entry and not numbers.classes and outputs > SHORT
        return self._made("loss", title, number, right, terms, lambda: right(_written, True), n * outputs, nested)

    def by_activation(self, layer: int, s: int, k: int) -> Explanation:
        """∂L/∂a: of the last layer from the loss, of one below through the layer above it."""
        numbers = self.numbers
        number = numbers.of_dL_da(layer, s, k)
        title = f"gradient of the loss with respect to the activation of {self._unit(layer, s, k)}"
        if layer == self.last:
            loss = self.config.loss

            def slope(add: Adding, largest: bool = False) -> Expression:
                return self._scaled(loss.slope_of_sample(self._sample(one(s), add, largest), one(k)))

            outputs = range(k, k + 1) if loss.by_entry else range(self.network.sizes[-1])
            terms = [numbers.of_a(layer, s, j) for j in outputs]
            terms += [*self._targets(range(s, s + 1), outputs), *self._options(loss)]
            stable = partial(slope, _written, True)
            return self._made("activation_gradient", title, number, slope, terms, stable, size=len(outputs))
        above, units = layer + 1, range(self.network.layers[layer + 1].units)
        weight, used = self.network.layer_parameters[above][0], _there(self.state.backward_used)
        terms = [numbers.of_dL_dz(above, s, j) for j in units]
        terms += [numbers.of_parameter(weight, used, j, k) for j in units]

        def right(add: Adding) -> Expression:
            return add(len(units), "j", lambda j: numbers.dL_dz(above, one(s), j) * numbers.w(above, j, one(k)))

        return self._made("activation_gradient", title, number, right, terms, size=len(units))

    def by_output(self, s: int, k: int) -> Explanation:
        """∂L/∂a of the last layer in brief: where every output is in it, as a cross-entropy's, from its softmax."""
        loss, numbers = self.config.loss, self.numbers
        with np.errstate(all="ignore"):
            answers = loss.probabilities(_there(numbers.traces[self.last].a)[s : s + 1].astype(np.float64))
        if answers is None or not numbers.classes:
            return self.by_activation(self.last, s, k)
        a = numbers.of_a(self.last, s, k)
        p = Term(None, Symbol("p", sub=a.symbol.sub if isinstance(a.symbol, Symbol) else None), float(answers[0, k]))

        def slope(add: Adding) -> Expression:
            return self._scaled(loss.slope_of_class(self._sample(one(s), add, False), one(k), p.symbol))

        title = f"gradient of the loss with respect to the activation of {self._unit(self.last, s, k)}, p its softmax"
        terms = [p, *self._targets(range(s, s + 1), range(k, k + 1)), *self._options(loss)]
        return self._made("activation_gradient", title, numbers.of_dL_da(self.last, s, k), slope, terms)

    def by_pre_activation(self, layer: int, s: int, k: int) -> Explanation:
        """∂L/∂z = ∂L/∂a ∂a/∂z, of a softmax the sum over its activations."""
        numbers = self.numbers
        number = numbers.of_dL_dz(layer, s, k)
        title = f"gradient of the loss with respect to the pre-activation of {self._unit(layer, s, k)} (delta)"
        if self._activation(layer).elementwise:
            by_a, slope = numbers.of_dL_da(layer, s, k), numbers.of_da_dz(layer, s, k)
            product = by_a.symbol * slope.symbol
            return self._made("pre_activation_gradient", title, number, lambda _: product, [by_a, slope])
        units, row, column = self.network.layers[layer].units, one(s), self.jacobian_column(layer, s, k)
        terms = [numbers.of_dL_da(layer, s, j) for j in range(units)]
        terms += [numbers.of_jacobian(layer, s, j, k, float(column[j])) for j in range(units)]

        def right(add: Adding) -> Expression:
            return add(units, "j", lambda j: numbers.dL_da(layer, row, j) * numbers.da_dz(layer, row, j, one(k)))

        return self._made("pre_activation_gradient", title, number, right, terms, size=units)

    def gradient(self, parameter: Parameter, *index: int) -> Explanation:
        """∂L/∂w = Σ ∂L/∂z x over samples, and ∂L/∂b = Σ ∂L/∂z, of a shared bias over units too."""
        numbers, n, layer = self.numbers, self.numbers.n, parameter.layer
        number = numbers.of_gradient(parameter, *index)
        title = f"gradient of {parameter.name}"
        units = [index[0]]
        if parameter.kind == "weight":
            i = index[1]
            inputs = [numbers.of_x(layer, s, i) for s in range(n)]
            title += f", from input {one(i)} to unit {one(index[0])}"

            def right(add: Adding) -> Expression:
                return add(n, "s", lambda s: numbers.dL_dz(layer, s, one(index[0])) * numbers.x(layer, s, one(i)))
        elif self.network.layers[layer].bias == "shared":
            inputs, units = [], list(range(self.network.layers[layer].units))
            title += f", shared by {len(units)} units"

            def right(add: Adding) -> Expression:
                return add(n, "s", lambda s: add(len(units), "j", lambda j: numbers.dL_dz(layer, s, j)))
        else:
            inputs = []
            title += f", of unit {one(index[0])}"

            def right(add: Adding) -> Expression:
                return add(n, "s", lambda s: numbers.dL_dz(layer, s, one(index[0])))

        deltas = [numbers.of_dL_dz(layer, s, j) for s in range(n) for j in units]
        if n > 1:
            title += f", over {n} samples"
        return self._made("parameter_gradient", title, number, right, [*deltas, *inputs], size=len(deltas))

    def gradient_norm(self) -> Explanation:
        """The norm of the gradients of all trainable parameters, before clipping."""
        numbers = self.numbers
        terms = [
            numbers.of_gradient(parameter, *index)
            for parameter in self._trainable
            for index in np.ndindex(parameter.shape)
        ]

        def letter(i: str) -> Letter:
            return terms[int(i) - 1].symbol if i.isdecimal() else Partial("L", Symbol("theta", sub=i))

        def right(add: Adding) -> Expression:
            return sqrt(add(len(terms), "i", lambda i: letter(i) ** 2))

        largest = max(terms, key=lambda term: abs(term.value)).symbol if terms else L

        def stable() -> Expression:
            return abs_(largest) * sqrt(add_up((term.symbol / largest) ** 2 for term in terms))

        address = Address("gradient_norm", "gradient_norm")
        number = Term("gradient_norm", NORM, float(names.read(self.config, self.state, address)))
        title = "norm of all gradients, before clipping"
        return self._made("gradient_norm", title, number, right, terms, stable, size=len(terms))

    @property
    def _trainable(self) -> list[Parameter]:
        return [parameter for parameter in self.network.parameters if parameter.trainable]

    def _activation(self, layer: int) -> Activation:
        activation: Activation = self.network.layers[layer].activation
        return activation

    def _unit(self, layer: int, s: int, j: int) -> str:
        return f"{self.network.names[layer]}, unit {one(j)}{self._of_sample(s)}"

    def _of_sample(self, s: int) -> str:
        return f", sample {one(s)}" if self.numbers.several else ""

    def _given(self, kind: str, term: Term, title: str, s: int) -> Explanation:
        """A number from outside, which has no terms."""
        of = str(term.of)
        return Explanation(of, kind, title + self._of_sample(s), term.symbol, Number(term.value, of), (), term.value)

    def _sample(self, s: str, add: Adding, largest: bool) -> Sample:
        """The letters of a sample, by its number from 1, or by a letter under a Σ."""
        numbers, targets = self.numbers, self.state.targets
        target = top = None
        if targets is not None and numbers.classes:
            target = one(int(targets[int(s) - 1])) if s.isdecimal() else "t"
        if largest:
            top = one(int(_there(self.numbers.traces[self.last].a)[int(s) - 1].argmax()))
        return Sample(
            y=lambda k: numbers.a(self.last, s, k),
            t=lambda k: numbers.t(s, k),
            units=self.network.sizes[-1],
            add=add,
            target=target,
            largest=top,
        )

    def _targets(self, samples: Sequence[int], outputs: Sequence[int]) -> list[Term]:
        units = [0] if self.numbers.classes else outputs
        return [self.numbers.of_t(s, k) for s in samples for k in units]

    def _scale(self) -> Term | None:
        """What the sum of the loss is divided by; None where that is 1."""
        loss = self.config.loss
        divisor = round(1 / loss.scale(self.numbers.n, self.network.sizes[-1]))
        return None if divisor == 1 else Term(None, all_samples if loss.per_sample else all_entries, divisor)

    def _scaled(self, e: Expression) -> Expression:
        over = self._scale()
        return e if over is None else e / over.symbol

    def _options(self, spec: Spec) -> list[Term]:
        """The numbers that a spec's formulas have letters for, besides those of the network."""
        options = [Term(None, letter, value) for letter, value in spec.option_letters().items()]
        over = self._scale()
        return [*options, Term(None, pi, math.pi), *([over] if over else [])]

    def _applied(
        self,
        kind: str,
        title: str,
        number: Term,
        formula: Expression,
        stable: Expression | None,
        letters: dict[str, Term],
        activation: Activation,
    ) -> Explanation:
        """An activation's formula, over the letters of a unit."""

        def lettered(e: Expression) -> Expression:
            return mapped(e, lambda s: letters[plain_name(s)].symbol if plain_name(s) in letters else s)

        terms = [*letters.values(), *self._options(activation)]
        safe = None if stable is None else partial(lettered, stable)
        return self._made(kind, title, number, lambda _: lettered(formula), terms, safe)

    def _made(
        self,
        kind: str,
        title: str,
        number: Term,
        right: Callable[[Adding], Expression],
        terms: Sequence[Term],
        stable: Callable[[], Expression] | None = None,
        size: int = 1,
        nested: bool = False,
    ) -> Explanation:
        """The explanation, with those of the terms that are in its formulas, and the classes that pick among them.

        `size` is how much its sums come to; a long one is written with a Σ. Of nested long sums the stable form alone
        is written out.
        """
        full = stable() if stable and nested else right(_written)
        formula = right(_sigma) if size > SHORT else full
        used = symbol_names(full)
        largest = max(abs(term.value) for term in (number, *terms) if term is number or plain_name(term.symbol) in used)
        tight, loose = _CLOSE[self.config.dtype]
        safer = computable(_forms(full, stable), terms, number.value, tight * abs(number.value), loose * largest)
        used |= symbol_names(safer)
        return Explanation(
            of=str(number.of),
            kind=kind,
            title=title,
            symbol=number.symbol,
            formula=formula,
            terms=tuple(term for term in terms if plain_name(term.symbol) in used or self._is_class(term)),
            value=number.value,
            stable=None if safer is full else safer,
            written_out=None if formula is full else full,
        )

    def _is_class(self, term: Term) -> bool:
        return self.numbers.classes and isinstance(term.symbol, Symbol) and term.symbol.name == "t"


def _forms(full: Expression, stable: Callable[[], Expression] | None) -> Iterator[Expression]:
    """The textbook's form, and then the one for where that overflows or loses precision."""
    yield full
    if stable is not None:
        yield stable()


def _written(size: int, index: str, term: Callable[[str], Expression]) -> Expression:
    """A sum term by term."""
    return add_up(term(one(i)) for i in range(size))


def _sigma(size: int, index: str, term: Callable[[str], Expression]) -> Expression:
    """A sum as it is read."""
    return Sum(term(index), index, str(size)) if size > 1 else term("1")


def _there(value: Any) -> Any:
    assert value is not None
    return value


def _computed(config: Config, state: State) -> Iterator[tuple[Address, tuple[int, ...]]]:
    """The tensors of the passes so far, and their shapes, in the order of computation."""
    network, numbers = config.network, Numbers(config, state)
    layers = range(len(network.layers))
    for at in layers:
        for term in ("z", "a"):
            if numbers.traces[at].z is not None:
                yield Address(f"{network.names[at]}.{term}", term, at), (numbers.n, network.layers[at].units)
    if state.loss is not None:
        yield Address("loss", "loss"), ()
    for at in reversed(layers):
        if numbers.traces[at].dL_dz is None:
            continue
        for term in ("dL_da", "da_dz", "dL_dz"):
            address = Address(f"{network.names[at]}.{term}", term, at)
            shape = names.shape(config, address, state)
            if len(shape) == 2 or math.prod(shape) <= FEW:
                yield address, shape
        for parameter in network.layer_parameters[at]:
            if parameter is not None:
                name = f"{parameter.name}.gradient"
                yield Address(name, parameter.kind, at, parameter, "gradient"), parameter.shape
