"""Data sets that are made by a rule, small enough to see what a network makes of them; and all there are, by name."""

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Discriminator, Field

from app.engine import random
from app.engine.collected import Digits, Iris
from app.engine.data import Inline
from app.engine.expressions import Equation, Symbol, sin
from app.engine.named import Drawn, NamedSet
from app.engine.random import Purpose
from app.engine.spec import BareName

MAX_SAMPLES = 10_000
_NOISE, _PLACE = 0, 1  # which draw: the places of a class's points are drawn at 1 + the class

Points = NDArray[np.float64]
Samples = Annotated[int, Field(ge=2, le=MAX_SAMPLES)]
Noise = Annotated[float, Field(ge=0, le=10)]

t, x, k, r, pi, theta = Symbol("t"), Symbol("x"), Symbol("k"), Symbol("r"), Symbol("pi"), Symbol("theta")
x_1, x_2 = Symbol("x", sub="1"), Symbol("x", sub="2")


class Made(NamedSet):
    """Rows by a rule: `samples` of them, test rows included, with noise of a standard deviation added."""

    counted_at: ClassVar[str] = "/samples"
    samples: Samples = 200
    noise: Noise = 0.1

    @property
    def count(self) -> int:
        return self.samples

    def noisy(self, exact: Points, seed: int) -> Points:
        """Numbers with the noise added."""
        if self.noise == 0:
            return exact
        return exact + self.noise * random.normal(seed, Purpose.DATA, _NOISE, exact.size).reshape(exact.shape)


class Gate(Made):
    """The four corners of the unit square in turn, and what a logic gate answers there."""

    samples: Samples = 4
    noise: Noise = 0.0
    class_names: ClassVar[tuple[str, ...]] = ("false", "true")
    answers: ClassVar[tuple[int, ...]]

    def draw(self, seed: int) -> Drawn:
        corner = np.arange(self.samples) % 4
        exact = np.stack([corner // 2, corner % 2], axis=1).astype(np.float64)
        return Drawn(self.noisy(exact, seed), np.array(self.answers)[corner])


class Xor(Gate):
    """Exclusive or: true where one input is 1 and the other 0. No straight line parts the classes."""

    type: Literal["xor"] = "xor"
    answers: ClassVar[tuple[int, ...]] = (0, 1, 1, 0)
    formula = Equation(t, x_1 + x_2 - 2 * x_1 * x_2)


class And(Gate):
    """True where both inputs are 1."""

    type: Literal["and"] = "and"
    answers: ClassVar[tuple[int, ...]] = (0, 0, 0, 1)
    formula = Equation(t, x_1 * x_2)


class Or(Gate):
    """True where any input is 1."""

    type: Literal["or"] = "or"
    answers: ClassVar[tuple[int, ...]] = (0, 1, 1, 1)
    formula = Equation(t, x_1 + x_2 - x_1 * x_2)


class Groups(Made):
    """Points in the plane, as many of each class but for one; the noise moves them."""

    shuffle: bool = True

    def place(self, group: int, n: int, seed: int) -> Points:
        """The points of a class before the noise (n, 2)."""
        raise NotImplementedError

    def draw(self, seed: int) -> Drawn:
        classes = len(self.labels or ())
        counts = [self.samples // classes + (group < self.samples % classes) for group in range(classes)]
        exact = np.concatenate([self.place(group, n, seed) for group, n in enumerate(counts)])
        return Drawn(self.noisy(exact, seed), np.repeat(np.arange(classes), counts))


def _uniform(seed: int, group: int, n: int) -> Points:
    return random.uniform(seed, Purpose.DATA, _PLACE + group, 2 * n).reshape(n, 2)


def _polar(radius: Any, angle: Any) -> Points:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


class Linear(Groups):
    """Two classes on both sides of a straight line, at least `margin` and at most 1 away from it."""

    type: Literal["linear"] = "linear"
    noise: Noise = 0.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.1
    class_names: ClassVar[tuple[str, ...]] = ("below", "above")
    formula = Equation(x_1 + x_2, 0)

    def place(self, group: int, n: int, seed: int) -> Points:
        u = _uniform(seed, group, n)
        along, away = 2 * u[:, 0] - 1, self.margin + (1 - self.margin) * u[:, 1]
        away = away if group else -away
        return np.stack([away + along, away - along], axis=1) / math.sqrt(2)


class Circles(Groups):
    """A circle of radius 1, and one of radius `factor` inside it, each evenly spaced."""

    type: Literal["circles"] = "circles"
    noise: Noise = 0.05
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    class_names: ClassVar[tuple[str, ...]] = ("outer", "inner")
    formula = Equation(x_1**2 + x_2**2, r**2)

    def place(self, group: int, n: int, seed: int) -> Points:
        return _polar(self.factor if group else 1.0, 2 * np.pi * np.arange(n) / max(n, 1))


class Moons(Groups):
    """Two half circles of radius 1, each reaching into the other: round (0, 0), and below (1, 0.5)."""

    type: Literal["moons"] = "moons"
    class_names: ClassVar[tuple[str, ...]] = ("upper", "lower")

    def place(self, group: int, n: int, seed: int) -> Points:
        upper = _polar(1.0, np.linspace(0, np.pi, n))
        return np.array([1, 0.5]) - upper if group else upper


class Gaussians(Groups):
    """A cloud for each class, normally spread by the noise round centres evenly on a circle of radius `distance`."""

    type: Literal["gaussians"] = "gaussians"
    noise: Noise = 0.5
    classes: Annotated[int, Field(ge=2, le=10)] = 2
    distance: Annotated[float, Field(ge=0, le=100)] = 2.0
    class_names: ClassVar[tuple[str, ...]] = ("cloud 1", "cloud 2")

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"cloud {number}" for number in range(1, self.classes + 1))

    def place(self, group: int, n: int, seed: int) -> Points:
        return _polar(np.full(n, self.distance), 2 * np.pi * group / self.classes + np.pi / 4)


class Spiral(Groups):
    """Spiral arms, one for each class, from radius 0.1 to 1, which go round `turns` times for a radius of 1."""

    type: Literal["spiral"] = "spiral"
    noise: Noise = 0.02
    arms: Annotated[int, Field(ge=2, le=10)] = 2
    turns: Annotated[float, Field(gt=0, le=5)] = 1.0
    class_names: ClassVar[tuple[str, ...]] = ("arm 1", "arm 2")
    formula = Equation(theta, 2 * pi * (Symbol("turns") * r + k / Symbol("arms")))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"arm {number}" for number in range(1, self.arms + 1))

    def place(self, group: int, n: int, seed: int) -> Points:
        radius = np.linspace(0.1, 1, n)
        return _polar(radius, 2 * np.pi * (self.turns * radius + group / self.arms))


class Checkerboard(Groups):
    """A board from -1 to 1 of `size` x `size` squares, its points spread evenly over the squares of their class."""

    type: Literal["checkerboard"] = "checkerboard"
    samples: Samples = 400
    noise: Noise = 0.0
    size: Annotated[int, Field(ge=2, le=16)] = 4
    class_names: ClassVar[tuple[str, ...]] = ("dark", "light")

    def place(self, group: int, n: int, seed: int) -> Points:
        squares = np.array([(i, j) for i in range(self.size) for j in range(self.size) if (i + j) % 2 == group])
        corners = squares[np.arange(n) % len(squares)]
        return 2 * (corners + _uniform(seed, group, n)) / self.size - 1


class Sine(Made):
    """`periods` waves of a sine over evenly spaced x from -1 to 1; the noise is the values'."""

    type: Literal["sine"] = "sine"
    shuffle: bool = True
    periods: Annotated[float, Field(gt=0, le=10)] = 1.0
    input_names: ClassVar[tuple[str, ...]] = ("x",)
    input_shape: ClassVar[tuple[int, ...]] = (1,)
    formula = Equation(t, sin(pi * Symbol("periods") * x))

    def draw(self, seed: int) -> Drawn:
        inputs = np.linspace(-1, 1, self.samples).reshape(-1, 1)
        return Drawn(inputs, self.noisy(np.sin(np.pi * self.periods * inputs), seed))


class Plane(Made):
    """A plane over points anywhere from -1 to 1: what one linear unit can learn; the noise is the values'."""

    type: Literal["plane"] = "plane"
    formula = Equation(t, 2 * x_1 - x_2 + 0.5)

    def draw(self, seed: int) -> Drawn:
        inputs = 2 * _uniform(seed, 0, self.samples) - 1
        return Drawn(inputs, self.noisy(inputs @ np.array([[2.0], [-1.0]]) + 0.5, seed))


class Notebook(NamedSet):
    """The one row of the notebook's worked example."""

    type: Literal["notebook"] = "notebook"

    @property
    def count(self) -> int:
        return 1

    def draw(self, seed: int) -> Drawn:
        return Drawn(np.array([[0.05, 0.10]]), np.array([[0.01]]))


def _inline_unless_named(value: Any) -> Any:
    """Data without a type are inline rows."""
    return {"type": Inline.type_name(), **value} if isinstance(value, dict) and "type" not in value else value


AnyData = Annotated[
    Inline
    | Xor
    | And
    | Or
    | Linear
    | Circles
    | Moons
    | Gaussians
    | Spiral
    | Checkerboard
    | Sine
    | Plane
    | Notebook
    | Iris
    | Digits,
    Discriminator("type"),
    BareName(),
    BeforeValidator(_inline_unless_named),
]
