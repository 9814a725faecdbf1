"""The letter of every number of a step, and the number as a term of a formula.

A layer counts from 1 and stands above; below stand the sample, where there are several, and the unit: `z²₁`, `z²₃,₁`.
A weight has the unit and the input that it leads from, `w²₁₂`; what comes into the first layer is `x`, and the targets
are `t`.
"""

from app.engine import tensors
from app.engine.explanation import Letter, Term
from app.engine.expressions import Partial, Symbol
from app.engine.network import Config, Parameter
from app.engine.spec import Array
from app.engine.state import State

L, NORM = Symbol("L"), Symbol("‖∇L‖")
DIGITS = 9  # up to which two indices are written without a comma


def one(index: int) -> str:
    """An index as mathematics counts, from 1."""
    return str(index + 1)


class Letters:
    """The letters of a network's numbers; each index is a number from 1, or a letter for a Σ.

    `several` says that there is more than one sample, and `classes` that the targets are classes.
    """

    def __init__(self, config: Config, several: bool = False, classes: bool = False) -> None:
        self.config = config
        self.several = several
        self.classes = classes

    def x(self, layer: int, s: str, i: str) -> Symbol:
        """What comes into a layer."""
        return self.a(layer - 1, s, i) if layer else Symbol("x", sub=self._below(s, i))

    def z(self, layer: int, s: str, j: str) -> Symbol:
        """A pre-activation."""
        return Symbol("z", one(layer), self._below(s, j))

    def a(self, layer: int, s: str, j: str) -> Symbol:
        """An activation."""
        return Symbol("a", one(layer), self._below(s, j))

    def y(self, s: str, j: str) -> Symbol:
        """An output, as the answer of the network rather than its last activation."""
        return Symbol("y", sub=self._below(s, j))

    def t(self, s: str, j: str) -> Symbol:
        """A target; a class belongs to a sample alone."""
        if self.classes:
            return Symbol("t", sub=s if self.several else None)
        return Symbol("t", sub=self._below(s, j))

    def w(self, layer: int, j: str, i: str) -> Symbol:
        """A weight."""
        units, inputs = self.config.network.layers[layer].units, self.config.network.sizes[layer]
        return Symbol("w", one(layer), f"{j}{i}" if max(units, inputs) <= DIGITS else f"{j},{i}")

    def b(self, layer: int, j: str) -> Symbol:
        """A bias; a shared one is its layer's."""
        return Symbol("b", one(layer), None if self.config.network.layers[layer].bias == "shared" else j)

    def parameter(self, parameter: Parameter, index: tuple[int, ...]) -> Symbol:
        """An entry of a weight or a bias."""
        letter = self.w if parameter.kind == "weight" else self.b
        return letter(parameter.layer, *map(one, index))

    def dL_dz(self, layer: int, s: str, j: str) -> Partial:
        """The gradient with respect to a pre-activation."""
        return Partial("L", self.z(layer, s, j))

    def dL_da(self, layer: int, s: str, j: str) -> Partial:
        """The gradient with respect to an activation."""
        return Partial("L", self.a(layer, s, j))

    def da_dz(self, layer: int, s: str, j: str, k: str) -> Partial:
        """The derivative of activation j with respect to pre-activation k of the layer."""
        return Partial(self.a(layer, s, j), self.z(layer, s, k))

    def _below(self, s: str, unit: str) -> str:
        return f"{s},{unit}" if self.several else unit


class Numbers(Letters):
    """The numbers of a state as terms; here indices count from 0."""

    def __init__(self, config: Config, state: State) -> None:
        self.n = 0 if state.inputs is None else len(state.inputs)
        super().__init__(config, self.n > 1, state.targets is not None and state.targets.ndim == 1)
        self.state = state
        self.traces = tensors.traces(config, state)
        self.names = config.network.names

    def of_x(self, layer: int, s: int, i: int) -> Term:
        """What comes into a layer."""
        if layer:
            return self.of_a(layer - 1, s, i)
        return _term(f"inputs[{s}][{i}]", self.x(0, one(s), one(i)), self.state.inputs, s, i)

    def of_z(self, layer: int, s: int, j: int) -> Term:
        """A pre-activation."""
        return self._traced(layer, "z", self.z(layer, one(s), one(j)), s, j)

    def of_a(self, layer: int, s: int, j: int) -> Term:
        """An activation."""
        return self._traced(layer, "a", self.a(layer, one(s), one(j)), s, j)

    def of_t(self, s: int, j: int) -> Term:
        """A target; a class counts from 0."""
        letter, targets = self.t(one(s), one(j)), self.state.targets
        if self.classes and targets is not None:
            return Term(f"targets[{s}]", letter, int(targets[s]))
        return _term(f"targets[{s}][{j}]", letter, targets, s, j)

    def of_dL_da(self, layer: int, s: int, j: int) -> Term:
        """The gradient with respect to an activation."""
        return self._traced(layer, "dL_da", self.dL_da(layer, one(s), one(j)), s, j)

    def of_dL_dz(self, layer: int, s: int, j: int) -> Term:
        """The gradient with respect to a pre-activation."""
        return self._traced(layer, "dL_dz", self.dL_dz(layer, one(s), one(j)), s, j)

    def of_da_dz(self, layer: int, s: int, j: int) -> Term:
        """The derivative of an activation that depends on its own pre-activation alone."""
        return self._traced(layer, "da_dz", self.da_dz(layer, one(s), one(j), one(j)), s, j)

    def of_jacobian(self, layer: int, s: int, j: int, k: int, value: float) -> Term:
        """An entry of a softmax's derivative, whose value is in no trace."""
        letter = self.da_dz(layer, one(s), one(j), one(k))
        return Term(f"{self.names[layer]}.da_dz[{s}][{j}][{k}]", letter, value)

    def of_parameter(self, parameter: Parameter, vector: Array, *index: int) -> Term:
        """An entry of a parameter, as it is in this packed vector."""
        name = parameter.name + "".join(f"[{i}]" for i in index)
        return _term(name, self.parameter(parameter, index), parameter.view(vector), *index)

    def of_gradient(self, parameter: Parameter, *index: int) -> Term:
        """An entry of a parameter's gradient."""
        assert self.state.gradients is not None
        name = f"{parameter.name}.gradient" + "".join(f"[{i}]" for i in index)
        letter = Partial("L", self.parameter(parameter, index))
        return _term(name, letter, parameter.view(self.state.gradients), *index)

    def _traced(self, layer: int, term: str, letter: Letter, s: int, j: int) -> Term:
        return _term(f"{self.names[layer]}.{term}[{s}][{j}]", letter, getattr(self.traces[layer], term), s, j)


def _term(name: str, letter: Letter, array: Array | None, *index: int) -> Term:
    assert array is not None
    return Term(name, letter, float(array[index]))
