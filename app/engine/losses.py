"""Losses: how far the outputs are from the targets, and the gradient with respect to the outputs.

Each gives `dL_da` alone; the activation below does its own part of the chain rule, so that every loss goes with every
activation. Formulas, options and reductions are PyTorch's, but for `half_squared_error`. Everywhere, y is what the
network answers (n, units) and t what it should have answered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
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
    exp,
    log,
    log1p,
    mapped,
    max_,
    sign,
)
from app.engine.notation import plain_name
from app.engine.spec import Array, BareName, Spec

Targets = NDArray[Any]
Kind = Literal["values", "probabilities", "classes", "classes_or_probabilities"]

L, y, t, n, m = Symbol("L"), Symbol("y"), Symbol("t"), Symbol("n"), Symbol("m")
_dL_dy = Partial("L", y)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample's numbers as letters, for the formula of what it adds to the sum.

    Attributes:
        y, t: the letters of the output and the target of the unit of an index, "1" or "k".
        units: how many outputs there are.
        add: the sum over them of an expression in the index: written out, or as a Σ over the letter given.
        target: the index of the right output, for targets that are classes.
        largest: the index of the largest output, for a form to compute with; None for the textbook's.
    """

    y: Callable[[str], Symbol]
    t: Callable[[str], Symbol]
    units: int
    add: Callable[[int, str, Callable[[str], Expression]], Expression]
    target: str | None
    largest: str | None = None

    def over(self, index: str, term: Callable[[str], Expression]) -> Expression:
        """The sum over the outputs."""
        return self.add(self.units, index, term)


class Loss(Spec):
    """A number to make small.

    `targets` says what it compares with: `values` (n, units), `probabilities` from 0 to 1 (n, units), `classes` as
    indices (n,), or either of `classes` and `probabilities` that sum to 1. Where the formula is good enough to compute
    with, `term` is what each output adds to the sum, and `slope` its derivative. `entry` and `entry_slope` are the
    same for every loss whose outputs add to it one by one, and `stable_…` the forms of them to compute with.
    """

    targets: ClassVar[Kind] = "values"
    per_sample: ClassVar[bool] = False
    classifies: ClassVar[bool] = False
    term: ClassVar[Expression | None] = None
    slope: ClassVar[Expression | None] = None
    entry: ClassVar[Expression | None] = None
    entry_slope: ClassVar[Expression | None] = None
    stable_entry: ClassVar[Expression | None] = None
    stable_entry_slope: ClassVar[Expression | None] = None
    reduction: Literal["mean", "sum"] = "mean"

    def scale(self, n: int, units: int) -> float:
        """What the sum of all terms is multiplied with: 1, or 1 over the count that the mean is taken over."""
        if self.reduction == "sum":
            return 1.0
        return 1.0 / (n if self.per_sample else n * units)

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        """The sum of all terms, to be scaled; `scratch` has the shape of `y`."""
        raise NotImplementedError

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        """Set `dL_da`, the 1/n of a mean in it: `scale` is an array of no axes."""
        raise NotImplementedError

    @property
    def by_entry(self) -> bool:
        """Whether its outputs add to it one by one."""
        return bool(self.entry or self.term)

    def of_sample(self, sample: Sample) -> Expression:
        """What a sample adds to the sum, over its letters."""
        entry = self.entry or self.term
        if sample.largest is not None:
            entry = self.stable_entry or entry
        return sample.over("k", lambda k: _lettered(entry, sample, k))

    def slope_of_sample(self, sample: Sample, k: str) -> Expression:
        """The derivative of that with respect to the output of index k."""
        slope = self.entry_slope or self.slope
        if sample.largest is not None:
            slope = self.stable_entry_slope or slope
        return _lettered(slope, sample, k)

    def probabilities(self, y: Array) -> Array | None:
        """What a derivative that has every output in it is short over (n, units); None where there is nothing such."""
        return None

    def slope_of_class(self, sample: Sample, k: str, probability: Expression) -> Expression:
        """The derivative for targets that are classes, over the one of the `probabilities` that is output k's."""
        raise NotImplementedError

    def kinked(self, low: Array, high: Array, targets: Targets) -> NDArray[np.bool_]:
        """For each output that goes from `low` to `high`, whether its term has a kink on the way, or is cut off."""
        return np.zeros(low.shape, np.bool_)

    def hits(self, y: Array, targets: Targets) -> int:
        """How many answers are right (for the losses that classify)."""
        raise NotImplementedError

    def answers(self, y: Array) -> int:
        """How many answers there are to be right."""
        return len(y)


def _lettered(entry: Expression | None, sample: Sample, k: str) -> Expression:
    assert entry is not None
    letters = {"y": sample.y(k), "t": sample.t(k)}
    return mapped(entry, lambda symbol: letters.get(plain_name(symbol), symbol))


class HalfSquaredError(Loss):
    """Half the squared error, summed over the outputs; the mean or the sum over samples."""

    type: Literal["half_squared_error"] = "half_squared_error"
    per_sample: ClassVar[bool] = True
    term = (t - y) ** 2 / 2
    slope = y - t
    formula = Equation(L, Sum(term, "outputs") / n)
    derivative = Equation(_dL_dy, slope / n)

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        np.subtract(y, targets, scratch)
        flat = scratch.ravel()
        return float(flat.dot(flat)) / 2

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        np.subtract(y, targets, scratch)
        np.multiply(scratch, scale, dL_da)


class MSE(Loss):
    """The mean (or sum) of the squared errors."""

    type: Literal["mse"] = "mse"
    term = (y - t) ** 2
    slope = 2 * (y - t)
    formula = Equation(L, Sum(term, "i") / m)
    derivative = Equation(_dL_dy, slope / m)

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        np.subtract(y, targets, scratch)
        flat = scratch.ravel()
        return float(flat.dot(flat))

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        np.subtract(y, targets, dL_da)
        np.add(dL_da, dL_da, scratch)
        np.multiply(scratch, scale, dL_da)


def _between(low: Array, value: Targets, high: Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (low <= value) & (value <= high)
    return found


class MAE(Loss):
    """The mean (or sum) of the absolute errors; the derivative at 0 is taken as 0."""

    type: Literal["mae"] = "mae"
    term = abs_(y - t)
    slope = sign(y - t)
    formula = Equation(L, Sum(term, "i") / m)
    derivative = Equation(_dL_dy, slope / m)

    def kinked(self, low: Array, high: Array, targets: Targets) -> NDArray[np.bool_]:
        return _between(low, targets, high)

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        np.subtract(y, targets, scratch)
        return float(np.abs(scratch).sum())

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        np.subtract(y, targets, scratch)
        np.multiply(np.sign(scratch), scale, dL_da)


_delta = Symbol("delta")
_near = Compare(abs_(y - t), "<", _delta)


class Huber(Loss):
    """Squared near 0, absolute beyond `delta`."""

    type: Literal["huber"] = "huber"
    delta: float = Field(1.0, gt=0)
    entry = Cases((((y - t) ** 2 / 2, _near),), _delta * (abs_(y - t) - _delta / 2))
    entry_slope = Cases(((y - t, _near),), _delta * sign(y - t))
    formula = Equation(L, Sum(entry, "i") / m)
    derivative = Equation(_dL_dy, Cases((((y - t) / m, _near),), _delta * sign(y - t) / m))

    def kinked(self, low: Array, high: Array, targets: Targets) -> NDArray[np.bool_]:
        return _between(low, targets - self.delta, high) | _between(low, targets + self.delta, high)

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        error = np.abs(np.subtract(y, targets, scratch))
        near = np.minimum(error, self.delta)  # error is finite where its square may not be
        return float((near * (error - near / 2)).sum())

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        np.subtract(y, targets, scratch)
        np.multiply(np.clip(scratch, -self.delta, self.delta), scale, dL_da)


_LOG_FLOOR = -100.0
_PRODUCT_FLOOR = 1e-12
_STEEP = 1e-3
_log_y = Cases(((max_(log(y), _LOG_FLOOR), Compare(y, ">", 0)),), _LOG_FLOOR)
_log_not_y = Cases(((max_(log1p(-y), _LOG_FLOOR), Compare(y, "<", 1)),), _LOG_FLOOR)
_sigmoid_y = Cases(((1 / (1 + exp(-y)), Compare(y, ">", 0)),), exp(y) / (1 + exp(y)))


class BCE(Loss):
    """Binary cross-entropy of probabilities.

    As in PyTorch, logarithms are at least -100 and a (1 - a) at least 1e-12, which keeps both finite at 0 and 1. An
    output outside [0, 1] is no probability: loss and gradient are NaN.
    """

    type: Literal["bce"] = "bce"
    targets: ClassVar[Kind] = "probabilities"
    classifies: ClassVar[bool] = True
    entry = -(t * log(y) + (1 - t) * log(1 - y))
    entry_slope = (y - t) / (y * (1 - y))
    stable_entry = -(t * _log_y + (1 - t) * _log_not_y)
    stable_entry_slope = (y - t) / max_(y * (1 - y), _PRODUCT_FLOOR)
    formula = Equation(L, -Sum(t * log(y) + (1 - t) * log(1 - y), "i") / m)
    derivative = Equation(_dL_dy, entry_slope / m)

    def kinked(self, low: Array, high: Array, targets: Targets) -> NDArray[np.bool_]:
        room = np.minimum(low, 1 - high)  # at 0 and 1 it is steep without end, and cut off close to them
        cut_off: NDArray[np.bool_] = (room <= 2 * _PRODUCT_FLOOR) | (high - low > _STEEP * room)
        return cut_off

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        log_y = np.maximum(np.log(y), _LOG_FLOOR)
        log_not_y = np.maximum(np.log1p(-y), _LOG_FLOOR)
        return -float((targets * log_y + (1 - targets) * log_not_y).sum())

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        np.multiply(1 - y, y, scratch)
        np.divide(y - targets, np.maximum(scratch, _PRODUCT_FLOOR), dL_da)
        np.multiply(dL_da, scale, dL_da)
        np.copyto(dL_da, np.nan, where=scratch < 0)

    def hits(self, y: Array, targets: Targets) -> int:
        return int(np.count_nonzero((y > 0.5) == (targets > 0.5)))

    def answers(self, y: Array) -> int:
        return y.size


class BCEWithLogits(Loss):
    """Binary cross-entropy of the sigmoid of the outputs, in one stable step."""

    type: Literal["bce_with_logits"] = "bce_with_logits"
    targets: ClassVar[Kind] = "probabilities"
    classifies: ClassVar[bool] = True
    entry = log(1 + exp(y)) - t * y
    entry_slope = 1 / (1 + exp(-y)) - t
    stable_entry = max_(y, 0) - t * y + log1p(exp(-abs_(y)))
    stable_entry_slope = _sigmoid_y - t
    formula = Equation(L, Sum(entry, "i") / m)
    derivative = Equation(_dL_dy, entry_slope / m)

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        # log(1 + eʸ) - t y, with the large parts of y > 0 taken from each other first.
        softplus = np.log1p(np.exp(-np.abs(y)))
        return float((np.maximum(y, 0) - y * targets + softplus).sum())

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        np.subtract(1 / (1 + np.exp(-y)), targets, scratch)
        np.multiply(scratch, scale, dL_da)

    def hits(self, y: Array, targets: Targets) -> int:
        return int(np.count_nonzero((y > 0) == (targets > 0.5)))

    def answers(self, y: Array) -> int:
        return y.size


def _log_softmax(y: Array) -> Array:
    shifted = y - y.max(axis=1, keepdims=True)
    out: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out


def _correct_classes(y: Array, targets: Targets) -> int:
    wanted = targets if targets.ndim == 1 else targets.argmax(axis=1)
    return int(np.count_nonzero(y.argmax(axis=1) == wanted))


_y_k, _t_k = Symbol("y", sub="k"), Symbol("t", sub="k")


def _raised(sample: Sample, k: str) -> Expression:
    """The exponential of an output, less the largest of them where that is safer."""
    return exp(sample.y(k) if sample.largest is None else sample.y(k) - sample.y(sample.largest))


def _total(sample: Sample) -> Expression:
    return sample.over("j", lambda j: _raised(sample, j))


def _is_class(sample: Sample, k: str, value: float) -> Expression:
    """The value where output k is that of the class, which counts from 0, and otherwise 0."""
    return Cases(((value, Compare(sample.t(k), "=", int(k) - 1)),), 0)


class CrossEntropy(Loss):
    """Cross-entropy of the softmax of the outputs, over classes given as indices or as probabilities."""

    type: Literal["cross_entropy"] = "cross_entropy"
    targets: ClassVar[Kind] = "classes_or_probabilities"
    per_sample: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    formula = Equation(L, -Sum(_t_k * log(exp(_y_k) / Sum(exp(Symbol("y", sub="j")), "j")), "k") / n)
    derivative = Equation(Partial("L", _y_k), (exp(_y_k) / Sum(exp(Symbol("y", sub="j")), "j") - _t_k) / n)

    def of_sample(self, sample: Sample) -> Expression:
        y, t, target = sample.y, sample.t, sample.target
        total = _total(sample)
        if sample.largest is None:
            if target is not None:
                return -log(exp(y(target)) / total)
            return -sample.over("k", lambda k: t(k) * log(exp(y(k)) / total))
        largest = y(sample.largest)
        if target is not None:
            return log(total) - (y(target) - largest)
        return sample.over("k", t) * log(total) - sample.over("k", lambda k: t(k) * (y(k) - largest))

    def slope_of_sample(self, sample: Sample, k: str) -> Expression:
        probability = _raised(sample, k) / _total(sample)
        if sample.target is not None:
            return self.slope_of_class(sample, k, probability)
        if sample.largest is not None:
            probability = probability * sample.over("k", sample.t)
        return probability - sample.t(k)

    def slope_of_class(self, sample: Sample, k: str, probability: Expression) -> Expression:
        return probability - _is_class(sample, k, 1)

    def probabilities(self, y: Array) -> Array:
        return np.exp(_log_softmax(y))

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        log_p = _log_softmax(y)
        picked = log_p[np.arange(len(y)), targets] if targets.ndim == 1 else targets * log_p
        return -float(picked.sum())

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        np.exp(_log_softmax(y), scratch)
        if targets.ndim == 1:
            scratch[np.arange(len(y)), targets] -= 1
        else:
            scratch *= targets.sum(axis=1, keepdims=True)
            scratch -= targets
        np.multiply(scratch, scale, dL_da)

    def hits(self, y: Array, targets: Targets) -> int:
        return _correct_classes(y, targets)


class NLL(Loss):
    """Negative log-likelihood: the outputs are taken as log-probabilities of classes given as indices."""

    type: Literal["nll"] = "nll"
    targets: ClassVar[Kind] = "classes"
    per_sample: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    formula = Equation(L, -Sum(Symbol("y", sub="t"), "samples") / n)
    derivative = Equation(Partial("L", _y_k), Cases(((-1 / n, Compare(Symbol("k"), "=", t)),), 0))

    def of_sample(self, sample: Sample) -> Expression:
        assert sample.target is not None
        return -sample.y(sample.target)

    def slope_of_sample(self, sample: Sample, k: str) -> Expression:
        return _is_class(sample, k, -1)

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        return -float(y[np.arange(len(y)), targets].sum())

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        dL_da.fill(0)
        dL_da[np.arange(len(y)), targets] = -scale

    def hits(self, y: Array, targets: Targets) -> int:
        return _correct_classes(y, targets)


AnyLoss = Annotated[
    HalfSquaredError | MSE | MAE | Huber | BCE | BCEWithLogits | CrossEntropy | NLL,
    Field(discriminator="type"),
    BareName(),
]
