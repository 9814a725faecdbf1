"""Learning-rate schedules: the factor on the learning rate, counted in optimizer steps, as `torch.optim.lr_scheduler`.

Each may begin with a linear warm-up: `{"warmup": {"total_iters": 100}}` raises the rate from `start_factor` of it to
all of it over so many steps, and the schedule counts from there (PyTorch's `SequentialLR` of a `LinearLR` and it).
"""

import math
from typing import Annotated, Literal

from pydantic import Field

from app.engine.expressions import Equation, Symbol, cos
from app.engine.spec import BareName, Model, Spec

_rate, _base, _gamma = Symbol("eta", sub="t"), Symbol("eta"), Symbol("gamma")
_t = Symbol("t")


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


class ConstantRate(Schedule):
    """Always the same rate (after the warm-up)."""

    type: Literal["constant"] = "constant"
    formula = Equation(_rate, _base)

    def after_warmup(self, base: float, steps: int) -> float:
        return base


class StepDecay(Schedule):
    """Multiplied by `gamma` every `step_size` steps."""

    type: Literal["step"] = "step"
    step_size: Steps
    gamma: float = Field(0.1, ge=0)
    formula = Equation(_rate, _base * _gamma ** Symbol("floor(t / step_size)"))

    def after_warmup(self, base: float, steps: int) -> float:
        try:
            return base * self.gamma ** (steps // self.step_size)
        except OverflowError:
            return math.inf


class Exponential(Schedule):
    """Multiplied by `gamma` every step."""

    type: Literal["exponential"] = "exponential"
    gamma: float = Field(ge=0, le=1)
    formula = Equation(_rate, _base * _gamma**_t)

    def after_warmup(self, base: float, steps: int) -> float:
        return base * self.gamma**steps


_low, _period = Symbol("eta", sub="min"), Symbol("T", sub="max")


class Cosine(Schedule):
    """Half a cosine from the rate to `eta_min` in `T_max` steps, and back up beyond (Loshchilov and Hutter, 2017)."""

    type: Literal["cosine"] = "cosine"
    T_max: Steps
    eta_min: float = Field(0.0, ge=0)
    formula = Equation(_rate, _low + (_base - _low) * (1 + cos(Symbol("pi") * _t / _period)) / 2)

    def after_warmup(self, base: float, steps: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * steps / self.T_max)) / 2


AnySchedule = Annotated[
    ConstantRate | StepDecay | Exponential | Cosine,
    Field(discriminator="type"),
    BareName(),
]
