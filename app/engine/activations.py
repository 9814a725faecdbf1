"""Activations: a = f(z), and each one's own part of the chain rule.

Formulas, options and defaults are PyTorch's. None overflows or turns NaN for |z| up to 1e4.
"""

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from app.engine.expressions import (
    Cases,
    Compare,
    Equation,
    Expression,
    Partial,
    Sum,
    Symbol,
    abs_,
    erf,
    exp,
    expm1,
    log,
    log1p,
    mapped,
    max_,
    sqrt,
    tanh,
)
from app.engine.spec import Array, BareName, Spec

if TYPE_CHECKING:
    from app.engine.work import LayerArrays

z, a, pi = Symbol("z"), Symbol("a"), Symbol("pi")
da_dz = Partial("a", z)
above_zero = Compare(z, ">", 0)
_stable_sigmoid = Cases(((1 / (1 + exp(-z)), above_zero),), exp(z) / (1 + exp(z)))


def _right(equation: Equation) -> Expression:
    assert isinstance(equation.right, Expression)
    return equation.right


FLAT = 0.05
_FLAT_FROM = math.sqrt(1 - FLAT)  # of 1, for the slope 1 - a²


class Activation(Spec):
    """A function from z to a, entry by entry unless it says otherwise.

    `exact_formula` says that its formulas lose no precision when they are computed as they are written. `stable` and
    `stable_slope` are the right sides to compute with where the textbook's overflow or lose precision. Below and above
    `flat`, in terms of a, its slope is less than `FLAT` of the largest; None where it is not bounded on both sides.
    """

    elementwise: ClassVar[bool] = True
    exact_formula: ClassVar[bool] = False
    flat: ClassVar[tuple[float, float] | None] = None
    stable: ClassVar[Expression | None] = None
    stable_slope: ClassVar[Expression | None] = None

    @property
    def dies(self) -> bool:
        """Whether a unit can have a = 0 and no slope over a whole range of z."""
        return False

    @property
    def kinks(self) -> tuple[float, ...]:
        """The values of z at which its slope jumps."""
        return ()

    @property
    def stable_sides(self) -> tuple[Expression | None, Expression | None]:
        """`stable` and `stable_slope` with these options."""
        return self.stable, self.stable_slope

    @property
    def right_sides(self) -> tuple[Expression, Expression]:
        """What the formula and the derivative, with these options, say that a and ∂a/∂z are."""
        assert self.formula is not None
        assert self.derivative is not None
        return _right(self.formula), _right(self.derivative)

    def forward(self, layer: "LayerArrays") -> None:
        """Set `a` from `z`; `t` is free to use."""
        raise NotImplementedError

    def slope(self, layer: "LayerArrays") -> None:
        """Set `da_dz` from `z` and `a`; `t` and `dL_dz` are free to use."""
        raise NotImplementedError

    def jacobian(self, a: Array) -> Array:
        """∂aⱼ/∂zₖ of each sample: (n, units) to (n, units, units). Only for what is not `elementwise`."""
        raise NotImplementedError

    def backward(self, layer: "LayerArrays") -> None:
        """Set `dL_dz`, and `da_dz` on the way, from `dL_da`."""
        self.slope(layer)
        np.multiply(layer.dL_da, layer.da_dz, layer.dL_dz)


class Identity(Activation):
    """No activation: a linear layer."""

    type: Literal["identity"] = "identity"
    exact_formula: ClassVar[bool] = True
    formula = Equation(a, z)
    derivative = Equation(da_dz, 1)

    def forward(self, layer: "LayerArrays") -> None:
        np.copyto(layer.a, layer.z)

    def slope(self, layer: "LayerArrays") -> None:
        layer.da_dz.fill(1)


class Sigmoid(Activation):
    """The logistic function."""

    type: Literal["sigmoid"] = "sigmoid"
    exact_formula: ClassVar[bool] = True
    flat = (1 - _FLAT_FROM) / 2, (1 + _FLAT_FROM) / 2
    formula = Equation(a, 1 / (1 + exp(-z)))
    derivative = Equation(da_dz, a * (1 - a))
    stable = _stable_sigmoid

    @property
    def dies(self) -> bool:
        return True

    def forward(self, layer: "LayerArrays") -> None:
        # exp may overflow to infinity, whose reciprocal is the right answer, 0.
        a, t = layer.a, layer.t
        np.negative(layer.z, t)
        np.exp(t, a)
        np.add(a, layer.one, t)
        np.reciprocal(t, a)

    def slope(self, layer: "LayerArrays") -> None:
        np.subtract(layer.one, layer.a, layer.t)
        np.multiply(layer.t, layer.a, layer.da_dz)


class Tanh(Activation):
    """The hyperbolic tangent."""

    type: Literal["tanh"] = "tanh"
    exact_formula: ClassVar[bool] = True
    flat = -_FLAT_FROM, _FLAT_FROM
    formula = Equation(a, tanh(z))
    derivative = Equation(da_dz, 1 - a**2)

    def forward(self, layer: "LayerArrays") -> None:
        np.tanh(layer.z, layer.a)

    def slope(self, layer: "LayerArrays") -> None:
        np.multiply(layer.a, layer.a, layer.t)
        np.subtract(layer.one, layer.t, layer.da_dz)


class ReLU(Activation):
    """The rectifier; its derivative at 0 is taken as 0."""

    type: Literal["relu"] = "relu"
    exact_formula: ClassVar[bool] = True
    formula = Equation(a, max_(0, z))
    derivative = Equation(da_dz, Cases(((1, above_zero),), 0))

    @property
    def dies(self) -> bool:
        return True

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

    def forward(self, layer: "LayerArrays") -> None:
        np.maximum(layer.z, 0, out=layer.a)

    def slope(self, layer: "LayerArrays") -> None:
        np.greater(layer.z, 0, layer.da_dz)


class LeakyReLU(Activation):
    """The rectifier with a small slope below 0; at 0 it is taken from below."""

    type: Literal["leaky_relu"] = "leaky_relu"
    exact_formula: ClassVar[bool] = True
    negative_slope: float = 0.01
    formula = Equation(a, Cases(((z, above_zero),), Symbol("negative_slope") * z))
    derivative = Equation(da_dz, Cases(((1, above_zero),), Symbol("negative_slope")))

    @property
    def dies(self) -> bool:
        return self.negative_slope == 0

    @property
    def kinks(self) -> tuple[float, ...]:
        return () if self.negative_slope == 1 else (0.0,)

    def forward(self, layer: "LayerArrays") -> None:
        np.multiply(layer.z, self.negative_slope, layer.a)
        np.copyto(layer.a, layer.z, where=layer.z > 0)

    def slope(self, layer: "LayerArrays") -> None:
        layer.da_dz.fill(self.negative_slope)
        np.copyto(layer.da_dz, 1, where=layer.z > 0)


class ELU(Activation):
    """The exponential linear unit (Clevert et al., 2016); the derivative at 0 is taken from below."""

    type: Literal["elu"] = "elu"
    alpha: float = 1.0
    formula = Equation(a, Cases(((z, above_zero),), Symbol("alpha") * (exp(z) - 1)))
    derivative = Equation(da_dz, Cases(((1, above_zero),), Symbol("alpha") * exp(z)))
    stable = Cases(((z, above_zero),), Symbol("alpha") * expm1(z))

    @property
    def dies(self) -> bool:
        return self.alpha == 0

    @property
    def kinks(self) -> tuple[float, ...]:
        return () if self.alpha == 1 else (0.0,)

    def forward(self, layer: "LayerArrays") -> None:
        np.minimum(layer.z, 0, out=layer.t)
        np.expm1(layer.t, layer.a)
        np.multiply(layer.a, self.alpha, layer.a)
        np.copyto(layer.a, layer.z, where=layer.z > 0)

    def slope(self, layer: "LayerArrays") -> None:
        np.minimum(layer.z, 0, out=layer.t)
        np.exp(layer.t, layer.da_dz)
        np.multiply(layer.da_dz, self.alpha, layer.da_dz)
        np.copyto(layer.da_dz, 1, where=layer.z > 0)


_SQRT_2 = math.sqrt(2)
_SQRT_2_PI = math.sqrt(2 * math.pi)
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715
_tanh_u = tanh(sqrt(2 / pi) * (z + _CUBIC * z**3))
_stable_tanh_u = tanh(sqrt(2 / pi) * (z + _CUBIC * z * z * z))  # which grows to infinity where z³ would raise


def _tanh_sides(tanh_u: Expression, square: Expression) -> tuple[Expression, Expression]:
    slope = (1 + tanh_u) / 2 + z * (1 - tanh_u**2) * sqrt(2 / pi) * (1 + 3 * _CUBIC * square) / 2
    return z * ((1 + tanh_u) / 2), slope


class GELU(Activation):
    """The Gaussian error linear unit (Hendrycks and Gimpel, 2016), exact or by its tanh approximation."""

    type: Literal["gelu"] = "gelu"
    approximate: Literal["none", "tanh"] = "none"
    formula = Equation(a, z * (1 + erf(z / sqrt(2))) / 2)
    derivative = Equation(da_dz, (1 + erf(z / sqrt(2))) / 2 + z * exp(-(z**2) / 2) / sqrt(2 * pi))
    stable = z * ((1 + erf(z / sqrt(2))) / 2)
    stable_slope = (1 + erf(z / sqrt(2))) / 2 + z * exp(-(z * z) / 2) / sqrt(2 * pi)

    @property
    def right_sides(self) -> tuple[Expression, Expression]:
        return super().right_sides if self.approximate == "none" else _tanh_sides(_tanh_u, z**2)

    @property
    def stable_sides(self) -> tuple[Expression | None, Expression | None]:
        return super().stable_sides if self.approximate == "none" else _tanh_sides(_stable_tanh_u, z * z)

    def _normal_cdf(self, layer: "LayerArrays") -> Array:
        """Φ(z), the standard normal distribution function; numpy has no erf, the standard library has."""
        values = map(math.erf, (layer.z / _SQRT_2).ravel().data)  # one Python number at a time
        return (1 + np.fromiter(values, layer.z.dtype, layer.z.size).reshape(layer.z.shape)) / 2

    def _tanh(self, layer: "LayerArrays") -> Array:
        return np.tanh(_SQRT_2_OVER_PI * (layer.z + _CUBIC * layer.z**3))

    def forward(self, layer: "LayerArrays") -> None:
        gate = self._normal_cdf(layer) if self.approximate == "none" else (1 + self._tanh(layer)) / 2
        np.multiply(layer.z, gate, layer.a)

    def slope(self, layer: "LayerArrays") -> None:
        z = layer.z
        if self.approximate == "none":
            layer.da_dz[...] = self._normal_cdf(layer) + z * np.exp(z**2 / -2) / _SQRT_2_PI
        else:
            u = self._tanh(layer)
            inner = _SQRT_2_OVER_PI * (1 + 3 * _CUBIC * z**2)
            layer.da_dz[...] = (1 + u) / 2 + z * (1 - u**2) * inner / 2


class SiLU(Activation):
    """The sigmoid linear unit, also called swish."""

    type: Literal["silu"] = "silu"
    formula = Equation(a, z / (1 + exp(-z)))
    derivative = Equation(da_dz, (1 + z * (1 - 1 / (1 + exp(-z)))) / (1 + exp(-z)))
    stable = z * _stable_sigmoid
    stable_slope = (1 + z * (1 - _stable_sigmoid)) * _stable_sigmoid

    def _sigmoid(self, layer: "LayerArrays") -> Array:
        return 1 / (1 + np.exp(-layer.z))

    def forward(self, layer: "LayerArrays") -> None:
        np.multiply(layer.z, self._sigmoid(layer), layer.a)

    def slope(self, layer: "LayerArrays") -> None:
        sigmoid = self._sigmoid(layer)
        layer.da_dz[...] = sigmoid * (1 + layer.z * (1 - sigmoid))


_beta, _threshold = Symbol("beta"), Symbol("threshold")


class Softplus(Activation):
    """A smooth rectifier; linear where beta · z is above the threshold."""

    type: Literal["softplus"] = "softplus"
    beta: float = Field(1.0, gt=0)
    threshold: float = 20.0
    formula = Equation(a, Cases(((z, Compare(_beta * z, ">", _threshold)),), log(1 + exp(_beta * z)) / _beta))
    derivative = Equation(da_dz, Cases(((1, Compare(_beta * z, ">", _threshold)),), 1 / (1 + exp(-_beta * z))))
    stable = Cases(
        ((z, Compare(_beta * z, ">", _threshold)),),
        (max_(_beta * z, 0) + log1p(exp(-abs_(_beta * z)))) / _beta,
    )
    stable_slope = Cases(((1, Compare(_beta * z, ">", _threshold)),), mapped(_stable_sigmoid, lambda _: _beta * z))

    @property
    def dies(self) -> bool:
        return True

    @property
    def kinks(self) -> tuple[float, ...]:
        return (self.threshold / self.beta,)

    def forward(self, layer: "LayerArrays") -> None:
        np.multiply(layer.z, self.beta, layer.t)
        np.logaddexp(layer.t, 0, layer.a)
        np.divide(layer.a, self.beta, layer.a)
        np.copyto(layer.a, layer.z, where=layer.t > self.threshold)

    def slope(self, layer: "LayerArrays") -> None:
        np.multiply(layer.z, self.beta, layer.t)
        layer.da_dz[...] = 1 / (1 + np.exp(-layer.t))
        np.copyto(layer.da_dz, 1, where=layer.t > self.threshold)


_j, _k = Symbol("z", sub="j"), Symbol("z", sub="k")
_a_j, _a_k = Symbol("a", sub="j"), Symbol("a", sub="k")


class Softmax(Activation):
    """Exponentials over their sum, for each sample; every unit depends on all.

    Its derivative is a matrix, ∂aⱼ/∂zₖ = aⱼ (δⱼₖ - aₖ). The backward pass needs only its product with `dL_da`,
    aₖ (∂L/∂aₖ - Σⱼ aⱼ ∂L/∂aⱼ), so that the matrix itself is made when it is asked for.
    """

    type: Literal["softmax"] = "softmax"
    elementwise: ClassVar[bool] = False
    formula = Equation(_a_j, exp(_j) / Sum(exp(_k), "k"))
    derivative = Equation(Partial(_a_j, _k), _a_j * (Symbol("delta", sub="j,k") - _a_k))

    @property
    def dies(self) -> bool:
        return True

    def forward(self, layer: "LayerArrays") -> None:
        np.subtract(layer.z, layer.z.max(axis=1, keepdims=True), layer.t)
        np.exp(layer.t, layer.a)
        np.divide(layer.a, layer.a.sum(axis=1, keepdims=True), layer.a)

    def backward(self, layer: "LayerArrays") -> None:
        np.multiply(layer.a, layer.dL_da, layer.t)
        np.subtract(layer.dL_da, layer.t.sum(axis=1, keepdims=True), layer.dL_dz)
        np.multiply(layer.dL_dz, layer.a, layer.dL_dz)

    def jacobian(self, a: Array) -> Array:
        out: Array = -a[:, :, None] * a[:, None, :]
        diagonal = np.arange(a.shape[1])
        out[:, diagonal, diagonal] += a
        return out


AnyActivation = Annotated[
    Identity | Sigmoid | Tanh | ReLU | LeakyReLU | ELU | GELU | SiLU | Softplus | Softmax,
    Field(discriminator="type"),
    BareName(),
]
