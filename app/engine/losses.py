"""Losses: how far the outputs are from the targets, and the gradient with respect to the outputs.

Each gives `dL_da` alone; the activation below does its own part of the chain rule, so that every loss goes with every
activation. Formulas, options and reductions are PyTorch's, but for `half_squared_error`. Everywhere, y is what the
network answers (n, units) and t what it should have answered.
"""

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
    sign,
)
from app.engine.spec import Array, BareName, Spec

Targets = NDArray[Any]
Kind = Literal["values", "probabilities", "classes", "classes_or_probabilities"]

L, y, t, n, m = Symbol("L"), Symbol("y"), Symbol("t"), Symbol("n"), Symbol("m")
_dL_dy = Partial("L", y)


class Loss(Spec):
    """A number to make small.

    `targets` says what it compares with: `values` (n, units), `probabilities` from 0 to 1 (n, units), `classes` as
    indices (n,), or either of `classes` and `probabilities` that sum to 1. Where the formula is good enough to compute
    with, `term` is what each output adds to the sum, and `slope` its derivative.
    """

    targets: ClassVar[Kind] = "values"
    per_sample: ClassVar[bool] = False
    classifies: ClassVar[bool] = False
    term: ClassVar[Expression | None] = None
    slope: ClassVar[Expression | None] = None
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

    def hits(self, y: Array, targets: Targets) -> int:
        """How many answers are right (for the losses that classify)."""
        raise NotImplementedError

    def answers(self, y: Array) -> int:
        """How many answers there are to be right."""
        return len(y)


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


class MAE(Loss):
    """The mean (or sum) of the absolute errors; the derivative at 0 is taken as 0."""

    type: Literal["mae"] = "mae"
    term = abs_(y - t)
    slope = sign(y - t)
    formula = Equation(L, Sum(term, "i") / m)
    derivative = Equation(_dL_dy, slope / m)

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
    formula = Equation(L, Sum(Cases((((y - t) ** 2 / 2, _near),), _delta * (abs_(y - t) - _delta / 2)), "i") / m)
    derivative = Equation(_dL_dy, Cases((((y - t) / m, _near),), _delta * sign(y - t) / m))

    def total(self, y: Array, targets: Targets, scratch: Array) -> float:
        error = np.abs(np.subtract(y, targets, scratch))
        near = np.minimum(error, self.delta)  # error is finite where its square may not be
        return float((near * (error - near / 2)).sum())

    def gradient(self, y: Array, targets: Targets, scale: Array, dL_da: Array, scratch: Array) -> None:
        np.subtract(y, targets, scratch)
        np.multiply(np.clip(scratch, -self.delta, self.delta), scale, dL_da)


_LOG_FLOOR = -100.0
_PRODUCT_FLOOR = 1e-12


class BCE(Loss):
    """Binary cross-entropy of probabilities.

    As in PyTorch, logarithms are at least -100 and a (1 - a) at least 1e-12, which keeps both finite at 0 and 1. An
    output outside [0, 1] is no probability: loss and gradient are NaN.
    """

    type: Literal["bce"] = "bce"
    targets: ClassVar[Kind] = "probabilities"
    classifies: ClassVar[bool] = True
    formula = Equation(L, -Sum(t * log(y) + (1 - t) * log(1 - y), "i") / m)
    derivative = Equation(_dL_dy, (y - t) / (y * (1 - y)) / m)

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
    formula = Equation(L, Sum(log(1 + exp(y)) - t * y, "i") / m)
    derivative = Equation(_dL_dy, (1 / (1 + exp(-y)) - t) / m)

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


class CrossEntropy(Loss):
    """Cross-entropy of the softmax of the outputs, over classes given as indices or as probabilities."""

    type: Literal["cross_entropy"] = "cross_entropy"
    targets: ClassVar[Kind] = "classes_or_probabilities"
    per_sample: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    formula = Equation(L, -Sum(_t_k * log(exp(_y_k) / Sum(exp(Symbol("y", sub="j")), "j")), "k") / n)
    derivative = Equation(Partial("L", _y_k), (exp(_y_k) / Sum(exp(Symbol("y", sub="j")), "j") - _t_k) / n)

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
