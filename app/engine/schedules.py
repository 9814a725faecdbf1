"""Learning-rate schedules: the factor on the learning rate, counted in optimizer steps, as `torch.optim.lr_scheduler`.

Each may begin with a linear warm-up: `{"warmup": {"total_iters": 100}}` raises the rate from `start_factor` of it to
all of it over so many steps, and the schedule counts from there (PyTorch's `SequentialLR` of a `LinearLR` and it).
"""

import math
from typing import Annotated, Literal

from pydantic import Field

from app.engine.expressions import Equation, Expression, Symbol, cos, mapped
from app.engine.spec import BareName, Model, Spec

_rate, _base, _gamma = Symbol("eta", sub="t"), Symbol("eta"), Symbol("gamma")
_t = Symbol("t")
_steps, _start, _iters = Symbol("steps"), Symbol("start_factor"), Symbol("total_iters")

Steps = Annotated[int, Field(ge=1, le=2**53)]


class Warmup(Model):
    """A linear rise from `start_factor` to 1 over `total_iters` steps."""

    start_factor: float = Field(1 / 3, gt=0, le=1)
    total_iters: Steps = 5


class Schedule(Spec):
    """How the learning rate changes from step to step."""

    warmup: Warmup | None = None

    def rate(self, base: float, steps: int) -> float:
        """The learning rate of the next step, after `steps` of them."""
        if self.warmup:
            if steps < self.warmup.total_iters:
                start = self.warmup.start_factor
                return base * (start + (1 - start) * steps / self.warmup.total_iters)
            steps -= self.warmup.total_iters
        return self.after_warmup(base, steps)

    def after_warmup(self, base: float, steps: int) -> float:
        """The learning rate `steps` after the warm-up."""
        raise NotImplementedError

    def rule(self, steps: int) -> Expression:
        """The same as a formula: the learning rate of the next step, over η, `steps` and the options."""
        if self.warmup and steps < self.warmup.total_iters:
            return _base * (_start + (1 - _start) * _steps / _iters)
        assert self.formula is not None
        assert isinstance(self.formula.right, Expression)
        return mapped(self.formula.right, lambda symbol: self.since_warmup() if symbol == _t else symbol)

    def since_warmup(self) -> Expression:
        """The t of the formulas: the steps after the warm-up."""
        return _steps - _iters if self.warmup else _steps

    def letters(self, steps: int) -> dict[Symbol, float]:
        """What the letters of the rule stand for, but for η."""
        letters: dict[Symbol, float] = {_steps: steps}
        if self.warmup:
            letters |= {_start: self.warmup.start_factor, _iters: self.warmup.total_iters}
        return letters


class ConstantRate(Schedule):
    """Always the same rate (after the warm-up)."""

    type: Literal["constant"] = "constant"
    formula = Equation(_rate, _base)

    def after_warmup(self, base: float, steps: int) -> float:
        return base


_decays = Symbol("floor(t / step_size)")


class StepDecay(Schedule):
    """Multiplied by `gamma` every `step_size` steps."""

    type: Literal["step"] = "step"
    step_size: Steps
    gamma: float = Field(0.1, ge=0)
    formula = Equation(_rate, _base * _gamma**_decays)

    def after_warmup(self, base: float, steps: int) -> float:
        try:
            return base * self.gamma ** (steps // self.step_size)
        except OverflowError:
            return math.inf

    def rule(self, steps: int) -> Expression:
        rule = super().rule(steps)
        return mapped(rule, lambda symbol: self._decays if symbol == _decays else symbol)

    @property
    def _decays(self) -> Symbol:
        return Symbol("floor((steps - total_iters) / step_size)" if self.warmup else "floor(steps / step_size)")

    def letters(self, steps: int) -> dict[Symbol, float]:
        since = steps - self.warmup.total_iters if self.warmup else steps
        decays = since // self.step_size
        return {**super().letters(steps), _gamma: self.gamma, self._decays: decays}


class Exponential(Schedule):
    """Multiplied by `gamma` every step."""

    type: Literal["exponential"] = "exponential"
    gamma: float = Field(ge=0, le=1)
    formula = Equation(_rate, _base * _gamma**_t)

    def after_warmup(self, base: float, steps: int) -> float:
        return base * self.gamma**steps

    def letters(self, steps: int) -> dict[Symbol, float]:
        return {**super().letters(steps), _gamma: self.gamma}


_low, _period, _pi = Symbol("eta", sub="min"), Symbol("T", sub="max"), Symbol("pi")


class Cosine(Schedule):
    """Half a cosine from the rate to `eta_min` in `T_max` steps, and back up beyond (Loshchilov and Hutter, 2017)."""

    type: Literal["cosine"] = "cosine"
    T_max: Steps
    eta_min: float = Field(0.0, ge=0)
    formula = Equation(_rate, _low + (_base - _low) * (1 + cos(_pi * _t / _period)) / 2)

    def after_warmup(self, base: float, steps: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * steps / self.T_max)) / 2

    def letters(self, steps: int) -> dict[Symbol, float]:
        return {**super().letters(steps), _low: self.eta_min, _period: self.T_max, _pi: math.pi}


AnySchedule = Annotated[
    ConstantRate | StepDecay | Exponential | Cosine,
    Field(discriminator="type"),
    BareName(),
]
