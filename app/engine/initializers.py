"""Initialisers: the numbers that parameters start from, drawn as `torch.nn.init` spreads them."""

import math
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.engine import random
from app.engine.expressions import Equation, Symbol, sqrt
from app.engine.random import Purpose
from app.engine.spec import BareName, Spec

Shape = tuple[int, ...]

w, n_in, n_out = Symbol("w"), Symbol("n", sub="in"), Symbol("n", sub="out")
_bound, _std, _gain = Symbol("bound"), Symbol("std"), Symbol("gain")


class Even(NamedTuple):
    """Evenly between two bounds."""

    low: float
    high: float


class Bell(NamedTuple):
    """The normal distribution."""

    mean: float
    std: float


class Initializer(Spec):
    """A way to fill a weight (units, inputs) or a bias (units,)."""

    fills: ClassVar[frozenset[str]] = frozenset({"weight", "bias"})

    def draw(self, shape: Shape, fan_in: int, seed: int, purpose: Purpose, layer: int) -> NDArray[np.float64]:
        """Numbers of this shape for a layer with `fan_in` inputs; the same for the same arguments, everywhere."""
        raise NotImplementedError

    def spread(self, shape: Shape, fan_in: int) -> Even | Bell | None:
        """How a draw is spread; None where nothing is drawn."""
        return None


class _Uniform(Initializer):
    def bounds(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        raise NotImplementedError

    def spread(self, shape: Shape, fan_in: int) -> Even:
        return Even(*self.bounds(shape, fan_in))

    def draw(self, shape: Shape, fan_in: int, seed: int, purpose: Purpose, layer: int) -> NDArray[np.float64]:
        low, high = self.bounds(shape, fan_in)
        return low + (high - low) * random.uniform(seed, purpose, layer, math.prod(shape)).reshape(shape)


class _Normal(Initializer):
    def mean_and_std(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        raise NotImplementedError

    def spread(self, shape: Shape, fan_in: int) -> Bell:
        return Bell(*self.mean_and_std(shape, fan_in))

    def draw(self, shape: Shape, fan_in: int, seed: int, purpose: Purpose, layer: int) -> NDArray[np.float64]:
        mean, std = self.mean_and_std(shape, fan_in)
        return mean + std * random.normal(seed, purpose, layer, math.prod(shape)).reshape(shape)


class Default(_Uniform):
    """PyTorch's default for `nn.Linear`, weight and bias alike."""

    type: Literal["default"] = "default"
    formula = Equation(_bound, 1 / sqrt(n_in))

    def bounds(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        bound = 1 / math.sqrt(fan_in)
        return -bound, bound


class XavierUniform(_Uniform):
    """Glorot and Bengio, 2010."""

    type: Literal["xavier_uniform"] = "xavier_uniform"
    fills: ClassVar[frozenset[str]] = frozenset({"weight"})
    gain: float = 1.0
    formula = Equation(_bound, _gain * sqrt(6 / (n_in + n_out)))

    def bounds(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        bound = self.gain * math.sqrt(6 / (fan_in + shape[0]))
        return -bound, bound


class XavierNormal(_Normal):
    """Glorot and Bengio, 2010."""

    type: Literal["xavier_normal"] = "xavier_normal"
    fills: ClassVar[frozenset[str]] = frozenset({"weight"})
    gain: float = 1.0
    formula = Equation(_std, _gain * sqrt(2 / (n_in + n_out)))

    def mean_and_std(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        return 0.0, self.gain * math.sqrt(2 / (fan_in + shape[0]))


class _Kaiming(Initializer):
    a: float = 0.0
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    nonlinearity: Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"] = "leaky_relu"

    def std(self, shape: Shape, fan_in: int) -> float:
        """The gain of the nonlinearity over the root of the fan."""
        gains = {
            "linear": 1.0,
            "sigmoid": 1.0,
            "tanh": 5 / 3,
            "relu": math.sqrt(2),
            "leaky_relu": math.sqrt(2) / math.hypot(1, self.a),
            "selu": 3 / 4,
        }
        return gains[self.nonlinearity] / math.sqrt(fan_in if self.mode == "fan_in" else shape[0])


class KaimingUniform(_Kaiming, _Uniform):
    """He et al., 2015; `a` is the negative slope of the leaky_relu that follows."""

    type: Literal["kaiming_uniform"] = "kaiming_uniform"
    fills: ClassVar[frozenset[str]] = frozenset({"weight"})
    formula = Equation(_bound, _gain * sqrt(3 / n_in))

    def bounds(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        bound = math.sqrt(3) * self.std(shape, fan_in)
        return -bound, bound


class KaimingNormal(_Kaiming, _Normal):
    """He et al., 2015; `a` is the negative slope of the leaky_relu that follows."""

    type: Literal["kaiming_normal"] = "kaiming_normal"
    fills: ClassVar[frozenset[str]] = frozenset({"weight"})
    formula = Equation(_std, _gain / sqrt(n_in))

    def mean_and_std(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        return 0.0, self.std(shape, fan_in)


class Uniform(_Uniform):
    """Evenly between `a` and `b`."""

    type: Literal["uniform"] = "uniform"
    a: float = 0.0
    b: float = 1.0

    def bounds(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        return self.a, self.b


class Normal(_Normal):
    """The normal distribution."""

    type: Literal["normal"] = "normal"
    mean: float = 0.0
    std: float = Field(1.0, ge=0)

    def mean_and_std(self, shape: Shape, fan_in: int) -> tuple[float, float]:
        return self.mean, self.std


class Constant(Initializer):
    """Every entry the same."""

    type: Literal["constant"] = "constant"
    val: float
    formula = Equation(w, Symbol("val"))

    def draw(self, shape: Shape, fan_in: int, seed: int, purpose: Purpose, layer: int) -> NDArray[np.float64]:
        return np.full(shape, self.val)


class Zeros(Initializer):
    """Every entry 0."""

    type: Literal["zeros"] = "zeros"
    formula = Equation(w, 0)

    def draw(self, shape: Shape, fan_in: int, seed: int, purpose: Purpose, layer: int) -> NDArray[np.float64]:
        return np.zeros(shape)


AnyInitializer = Annotated[
    Default | XavierUniform | XavierNormal | KaimingUniform | KaimingNormal | Uniform | Normal | Constant | Zeros,
    Field(discriminator="type"),
    BareName(),
]
