"""Optimizers: how a parameter moves along its gradient. Rules, options and defaults are those of `torch.optim`.

An optimizer works on whole packed vectors, entry by entry, so that a network of any depth costs a few numpy calls a
step. What it remembers from step to step lies in slots, vectors like the parameters' own, under PyTorch's names.

Its `update` works in the order of its `rule`, so that both come to the same bits in double precision.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from app.engine.expressions import Add, Equation, Expression, Number, Symbol, max_, min_, sqrt
from app.engine.schedules import AnySchedule
from app.engine.spec import Array, BareName, Model, Spec

w, g, v, m, s, b, t = (Symbol(name) for name in "wgvmsbt")
_next, _u = Symbol("w", sub="next"), Symbol("u")
_eta, _eps, _lambda = Symbol("eta"), Symbol("epsilon"), Symbol("lambda")
_b1, _b2 = Symbol("beta", sub="1"), Symbol("beta", sub="2")
_mu, _tau, _alpha, _lr_decay, _c = Symbol("mu"), Symbol("tau"), Symbol("alpha"), Symbol("lr_decay"), Symbol("c")

Rate = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[float, Field(ge=0)]


class Before(NamedTuple):
    """What an update starts from, as formulas: a parameter, its clipped gradient, its slots, the learning rate."""

    p: Expression
    g: Expression
    slots: Mapping[str, Expression]
    rate: Expression


class After(NamedTuple):
    """What an update comes to, as formulas over those: the parameter, and each of its slots."""

    p: Expression
    slots: dict[str, Expression]


class Clip(Model):
    """Gradients held back before the update: all scaled to a norm of at most `value`, or each to ±`value`.

    As `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_`; the norm is over all trainable parameters.
    """

    type: Literal["norm", "value"]
    value: float = Field(1.0, gt=0)

    def apply(self, gradients: Array, norm: float) -> Array:
        """New gradients, clipped; `norm` is the norm of those of all trainable parameters."""
        if self.type == "value":
            return np.clip(gradients, -self.value, self.value)
        return gradients * min(1.0, self.value / (norm + 1e-6))

    def rule(self, g: Expression, norm: Expression) -> Expression:
        """The same as a formula; `c` stands for the value."""
        if self.type == "value":
            return max_(-_c, min_(_c, g))
        return min_(1, _c / (norm + Number(10) ** -6)) * g


class Optimizer(Spec):
    """A rule for the update of parameters.

    `slot_letters` are those of its slots in formulas; without one, a slot goes by its name.
    """

    counts_steps: ClassVar[bool] = True
    slot_letters: ClassVar[Mapping[str, Symbol]] = {}
    learning_rate: Rate
    weight_decay: Decay = 0.0
    clip: Clip | None = None
    schedule: AnySchedule | None = None

    def rate(self, steps: int) -> float:
        """The learning rate of the next step, after `steps` of them."""
        return self.schedule.rate(self.learning_rate, steps) if self.schedule else self.learning_rate

    def slot_names(self) -> tuple[str, ...]:
        """The slots that these options need."""
        raise NotImplementedError

    def initial(self, slot: str) -> float | None:
        """What a slot holds before the first update; None where it does not exist before."""
        return 0.0

    def update(self, p: Array, g: Array, slots: Array, t: int, rate: Array, scratch: Array) -> None:
        """Move `p`, and the slots with it, in place.

        Args:
            p, g: parameters and their clipped gradients (count,).
            slots: the slots, in their order (slots, count).
            t: which update of these parameters this is, from 1.
            rate: the learning rate, as an array of no axes.
            scratch: (count,), free to use.
        """
        raise NotImplementedError

    def rule(self, before: Before, first: bool) -> After:
        """The same as formulas, with what these options put in; `first` says that no update went before."""
        raise NotImplementedError

    def letters(self, t: int) -> dict[Symbol, float]:
        """What the letters of the rule stand for, at the update t, counted from 1."""
        letters = {_eta: self.learning_rate, _lambda: self.weight_decay, Symbol("t"): t}
        return letters if self.clip is None else {**letters, _c: self.clip.value}

    def decayed(self, p: Array, g: Array) -> Array:
        """The gradient with that of ½ λ p² added (L2 regularisation)."""
        return g + self.weight_decay * p if self.weight_decay else g

    def decayed_rule(self, before: Before) -> Expression:
        """The same as a formula."""
        return before.g + _lambda * before.p if self.weight_decay else before.g


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted."""

    type: Literal["sgd"] = "sgd"
    counts_steps: ClassVar[bool] = False
    slot_letters: ClassVar[Mapping[str, Symbol]] = {"momentum_buffer": _u}
    learning_rate: Rate = 1e-3
    momentum: float = Field(0.0, ge=0)
    dampening: float = 0.0
    nesterov: bool = False
    formula = Equation(_next, w - _eta * g)

    @model_validator(mode="after")
    def _check_nesterov(self) -> "SGD":
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise PydanticCustomError("nesterov", "nesterov takes a momentum above 0 and a dampening of 0")
        return self

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def initial(self, slot: str) -> float | None:
        return None

    def update(self, p: Array, g: Array, slots: Array, t: int, rate: Array, scratch: Array) -> None:
        if self.weight_decay:
            g = self.decayed(p, g)
        if self.momentum:
            (buffer,) = slots
            if t == 1:
                buffer[...] = g
            else:
                buffer *= self.momentum
                buffer += (1 - self.dampening) * g
            g = g + self.momentum * buffer if self.nesterov else buffer
        np.multiply(g, rate, scratch)
        np.subtract(p, scratch, p)

    def rule(self, before: Before, first: bool) -> After:
        g, slots = self.decayed_rule(before), {}
        if self.momentum:
            fresh = (1 - _tau) * g if self.dampening else g
            carried = _mu * before.slots["momentum_buffer"]
            buffer = slots["momentum_buffer"] = g if first else Add((carried, fresh))  # `fresh` may be a sum itself
            g = g + _mu * buffer if self.nesterov else buffer
        return After(before.p - before.rate * g, slots)

    def letters(self, t: int) -> dict[Symbol, float]:
        return {**super().letters(t), _mu: self.momentum, _tau: self.dampening}


class Adam(Optimizer):
    """Adaptive moment estimation (Kingma and Ba, 2015; amsgrad: Reddi et al., 2018)."""

    type: Literal["adam"] = "adam"
    slot_letters: ClassVar[Mapping[str, Symbol]] = {
        "exp_avg": m, "exp_avg_sq": v, "max_exp_avg_sq": Symbol("v", sub="max")
    }  # fmt: skip
    learning_rate: Rate = 1e-3
    betas: Annotated[tuple[Fraction, Fraction], Strict(False)] = (0.9, 0.999)
    eps: Epsilon = 1e-8
    amsgrad: bool = False
    formula = Equation(_next, w - _eta * (m / (1 - _b1**t)) / (sqrt(v / (1 - _b2**t)) + _eps))

    def slot_names(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if self.amsgrad else ()))

    def update(self, p: Array, g: Array, slots: Array, t: int, rate: Array, scratch: Array) -> None:
        g = self.decay(p, g, rate, scratch)
        beta1, beta2 = self.betas
        mean, square = slots[:2]
        mean *= beta1
        mean += np.multiply(g, 1 - beta1, scratch)
        square *= beta2
        np.multiply(g, g, scratch)
        scratch *= 1 - beta2
        square += scratch
        if self.amsgrad:
            square = np.maximum(slots[2], square, out=slots[2])
        np.divide(square, 1 - beta2**t, scratch)
        np.sqrt(scratch, scratch)
        scratch += self.eps
        step = mean / (1 - beta1**t)
        step *= rate
        step /= scratch
        np.subtract(p, step, p)

    def rule(self, before: Before, first: bool) -> After:
        p, g = self.decay_rule(before)
        mean = _b1 * before.slots["exp_avg"] + (1 - _b1) * g
        square: Expression = _b2 * before.slots["exp_avg_sq"] + (1 - _b2) * g**2
        slots = {"exp_avg": mean, "exp_avg_sq": square}
        if self.amsgrad:
            square = slots["max_exp_avg_sq"] = max_(before.slots["max_exp_avg_sq"], square)
        step = before.rate * (mean / (1 - _b1**t)) / (sqrt(square / (1 - _b2**t)) + _eps)
        return After(p - step, slots)

    def letters(self, t: int) -> dict[Symbol, float]:
        return {**super().letters(t), _b1: self.betas[0], _b2: self.betas[1], _eps: self.eps}

    def decay(self, p: Array, g: Array, rate: Array, scratch: Array) -> Array:
        """Apply the weight decay: here, to the gradient."""
        return self.decayed(p, g)

    def decay_rule(self, before: Before) -> tuple[Expression, Expression]:
        """The parameter and its gradient after the weight decay, as formulas."""
        return before.p, self.decayed_rule(before)


class AdamW(Adam):
    """Adam with the weight decay taken from the parameters themselves (Loshchilov and Hutter, 2019)."""

    type: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    weight_decay: Decay = 1e-2
    formula = Equation(
        _next,
        w - _eta * _lambda * w - _eta * (m / (1 - _b1**t)) / (sqrt(v / (1 - _b2**t)) + _eps),
    )

    def decay(self, p: Array, g: Array, rate: Array, scratch: Array) -> Array:
        """Apply the weight decay: here, to the parameters."""
        if self.weight_decay:
            p -= np.multiply(p, rate * self.weight_decay, scratch)
        return g

    def decay_rule(self, before: Before) -> tuple[Expression, Expression]:
        """The parameter and its gradient after the weight decay, as formulas."""
        p = before.p - before.rate * _lambda * before.p if self.weight_decay else before.p
        return p, before.g


class RMSprop(Optimizer):
    """The gradient over the root of its running mean square (Hinton, 2012; centered: Graves, 2013)."""

    type: Literal["rmsprop"] = "rmsprop"
    slot_letters: ClassVar[Mapping[str, Symbol]] = {"square_avg": v, "momentum_buffer": _u, "grad_avg": m}
    learning_rate: Rate = 1e-2
    alpha: Annotated[float, Field(ge=0)] = 0.99
    eps: Epsilon = 1e-8
    momentum: float = Field(0.0, ge=0)
    centered: bool = False
    formula = Equation(_next, w - _eta * g / (sqrt(v) + _eps))

    def slot_names(self) -> tuple[str, ...]:
        return (
            "square_avg",
            *(("momentum_buffer",) if self.momentum else ()),
            *(("grad_avg",) if self.centered else ()),
        )

    def update(self, p: Array, g: Array, slots: Array, t: int, rate: Array, scratch: Array) -> None:
        g = self.decayed(p, g)
        square = slots[0]
        square *= self.alpha
        np.multiply(g, g, scratch)
        scratch *= 1 - self.alpha
        square += scratch
        if self.centered:
            mean = slots[-1]
            mean += (1 - self.alpha) * (g - mean)
            np.sqrt(square - mean * mean, scratch)
        else:
            np.sqrt(square, scratch)
        scratch += self.eps
        np.divide(g, scratch, scratch)
        if self.momentum:
            buffer = slots[1]
            buffer *= self.momentum
            buffer += scratch
            np.multiply(buffer, rate, scratch)
        else:
            scratch *= rate
        np.subtract(p, scratch, p)

    def rule(self, before: Before, first: bool) -> After:
        g = self.decayed_rule(before)
        square = _alpha * before.slots["square_avg"] + (1 - _alpha) * g**2
        slots: dict[str, Expression] = {"square_avg": square}
        if self.centered:
            mean = before.slots["grad_avg"]
            mean = slots["grad_avg"] = mean + (1 - _alpha) * (g - mean)
            square = square - mean**2
        step = g / (sqrt(square) + _eps)
        if self.momentum:
            step = slots["momentum_buffer"] = _mu * before.slots["momentum_buffer"] + step
        return After(before.p - before.rate * step, slots)

    def letters(self, t: int) -> dict[Symbol, float]:
        return {**super().letters(t), _mu: self.momentum, _alpha: self.alpha, _eps: self.eps}


class Adagrad(Optimizer):
    """The gradient over the root of the sum of its squares (Duchi et al., 2011)."""

    type: Literal["adagrad"] = "adagrad"
    slot_letters: ClassVar[Mapping[str, Symbol]] = {"sum": s}
    learning_rate: Rate = 1e-2
    lr_decay: float = Field(0.0, ge=0)
    initial_accumulator_value: float = Field(0.0, ge=0)
    eps: Epsilon = 1e-10
    formula = Equation(_next, w - _eta * g / (sqrt(s) + _eps))

    def slot_names(self) -> tuple[str, ...]:
        return ("sum",)

    def initial(self, slot: str) -> float | None:
        return self.initial_accumulator_value

    def update(self, p: Array, g: Array, slots: Array, t: int, rate: Array, scratch: Array) -> None:
        g = self.decayed(p, g)
        (total,) = slots
        total += np.multiply(g, g, scratch)
        np.sqrt(total, scratch)
        scratch += self.eps
        step = g * (rate / (1 + (t - 1) * self.lr_decay))
        step /= scratch
        np.subtract(p, step, p)

    def rule(self, before: Before, first: bool) -> After:
        g = self.decayed_rule(before)
        total = before.slots["sum"] + g**2
        rate = before.rate / (1 + (t - 1) * _lr_decay) if self.lr_decay else before.rate
        return After(before.p - rate * g / (sqrt(total) + _eps), {"sum": total})

    def letters(self, t: int) -> dict[Symbol, float]:
        return {**super().letters(t), _lr_decay: self.lr_decay, _eps: self.eps}


AnyOptimizer = Annotated[
    SGD | Adam | AdamW | RMSprop | Adagrad,
    Field(discriminator="type"),
    BareName(),
]
