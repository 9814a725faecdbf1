"""Conditions on which a training stops before the update that it would spoil.

Each is tested before the update, on what the step has come to by then, or on what the update would give: the session is
left standing after the last step that was whole. Conditions on a loss look at a whole epoch's, in its last batch.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from app.engine import names, passes
from app.engine.condition_language import MAX_LENGTH, Condition, read
from app.engine.health import DEAD_SAMPLES, dead_units, saturated_units, update_ratio
from app.engine.network import Config
from app.engine.rows import Rows
from app.engine.spec import Array, BareName, Spec
from app.engine.watch import Met, Moment, Need, Test, Watch
from app.errors import FieldError, InvalidInput

Count = Annotated[int, Field(ge=1, le=2**53)]


class StopCondition(Spec):
    """One condition, with its options."""

    def needs(self) -> frozenset[Need]:
        """What of a moment it looks at that costs something."""
        return frozenset()

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test | None:
        """What tests it, anew for each training: it is asked once for each step. None where the training sees to it.

        Raises:
            InvalidInput: it makes no sense for this network or these rows; `pointer` is where it stands.
        """
        raise NotImplementedError


class Nonfinite(StopCondition):
    """A loss, gradient, parameter or optimizer slot would be NaN or infinite. Always on, asked for or not."""

    type: Literal["nonfinite"] = "nonfinite"

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> None:
        return None


class AtEpoch(StopCondition):
    """A breakpoint: stops once the session has had so many epochs; not where it has had them already."""

    type: Literal["epoch"] = "epoch"
    value: Count

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> None:
        return None


class LossBelow(StopCondition):
    """An epoch's loss is below the value; over mini-batches, the mean of theirs, weighted by size."""

    type: Literal["loss_below"] = "loss_below"
    value: float

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test:
        def test(moment: Moment) -> Met | None:
            met = moment.loss is not None and moment.loss < self.value
            return Met(None, self.value, moment.loss) if met else None

        return test


class Plateau(StopCondition):
    """The loss has not come below the best so far by `min_delta` for `patience` epochs in a row.

    The best is the least loss of an epoch of this training that was better by so much than the best before it, as in
    PyTorch's `ReduceLROnPlateau` with `threshold_mode="abs"`; but it acts in the epoch in which patience ends, as early
    stopping does, and not in the one after.
    """

    type: Literal["plateau"] = "plateau"
    patience: Count = 10
    min_delta: float = Field(1e-4, ge=0)

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test:
        best, waited = math.inf, 0

        def test(moment: Moment) -> Met | None:
            nonlocal best, waited
            loss = moment.loss
            if loss is None:
                return None
            if loss < best - self.min_delta:
                best, waited = loss, 0
                return None
            waited += 1
            return Met(None, best - self.min_delta, loss) if waited >= self.patience else None

        return test


class GradientNormAbove(StopCondition):
    """The norm of the gradients of all trainable parameters, before clipping, is larger than the value."""

    type: Literal["gradient_norm_above"] = "gradient_norm_above"
    value: float = Field(ge=0)

    def needs(self) -> frozenset[Need]:
        return frozenset({"norm"})

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test:
        return lambda moment: Met("gradient_norm", self.value, moment.norm) if moment.norm > self.value else None


class GradientNormBelow(StopCondition):
    """The norm of the gradients of all trainable parameters, before clipping, is smaller than the value."""

    type: Literal["gradient_norm_below"] = "gradient_norm_below"
    value: float = Field(ge=0)

    def needs(self) -> frozenset[Need]:
        return frozenset({"norm"})

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test:
        return lambda moment: Met("gradient_norm", self.value, moment.norm) if moment.norm < self.value else None


class _UnitsAbove(StopCondition):
    """The share of a layer's units that are in a bad way for every sample of the batch is larger than the value."""

    value: float = Field(ge=0, le=1)

    def count(self, config: Config, layer: int, a: Array) -> int:
        """How many units of a layer are, from its activations (n, units)."""
        raise NotImplementedError

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test:
        network = config.network

        def test(moment: Moment) -> Met | None:
            worst, where = 0.0, ""
            for layer, place in enumerate(network.layout(moment.samples).traces):
                units = place.shape[1]
                share = self.count(config, layer, moment.forward[place.a].reshape(place.shape)) / units
                if share > worst:
                    worst, where = share, f"{network.names[layer]}.a"
            return Met(where, self.value, worst) if worst > self.value else None

        return test


class SaturatedUnitsAbove(_UnitsAbove):
    """The share of a layer's units that are saturated for every sample of the batch is larger than the value.

    They are counted as health counts them: in the last layer too, where to be sure of an answer may be right.
    """

    type: Literal["saturated_units_above"] = "saturated_units_above"

    def count(self, config: Config, layer: int, a: Array) -> int:
        flat = config.network.layers[layer].activation.flat
        return 0 if flat is None else saturated_units(a, flat)


class DeadUnitsAbove(_UnitsAbove):
    """The share of a layer's units whose a is 0 for every sample of the batch is larger than the value.

    Only of layers whose activation passes no gradient there, such as a relu's; and on batches of fewer than 4 samples
    only where all units of the layer are, as a healthy unit may answer 0 to so few by chance.
    """

    type: Literal["dead_units_above"] = "dead_units_above"

    def count(self, config: Config, layer: int, a: Array) -> int:
        if not config.network.layers[layer].activation.dies:
            return 0
        dead = dead_units(a)
        return dead if len(a) >= DEAD_SAMPLES or dead == a.shape[1] else 0


class UpdateRatioAbove(StopCondition):
    """The update would change a layer's parameters by more than this share of their size, ‖after - before‖ / ‖before‖.

    Weight and bias are taken together; the tensor that it names, the layer's weight, stands for both.
    """

    type: Literal["update_ratio_above"] = "update_ratio_above"
    value: float = Field(ge=0)

    def needs(self) -> frozenset[Need]:
        return frozenset({"update"})

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test:
        layers = [
            (weight.name, slice(weight.place.start, (bias or weight).place.stop))
            for weight, bias in config.network.layer_parameters
            if weight.trainable
        ]

        def test(moment: Moment) -> Met | None:
            ratios = [(update_ratio(moment.before[own], moment.after[own]) or 0.0, name) for name, own in layers]
            worst, where = max(ratios, key=lambda ratio: ratio[0], default=(0.0, ""))
            return Met(where, self.value, worst) if worst > self.value else None

        return test


class ParameterOutside(StopCondition):
    """The update would bring a parameter, or any entry of it without an index, below `low` or above `high`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["low"]}, {"required": ["high"]}]})
    type: Literal["parameter_outside"] = "parameter_outside"
    parameter: str = Field(max_length=names.MAX_LENGTH)
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _check_bounds(self) -> "ParameterOutside":
        if self.low is None and self.high is None:
            raise PydanticCustomError("bounds", "takes low, high or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise PydanticCustomError("bounds", "low is above high; takes a low that is not")
        return self

    def needs(self) -> frozenset[Need]:
        return frozenset({"update"})

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test:
        pointer = f"{pointer}/parameter"
        address = names.find(config, self.parameter, pointer)
        parameter = address.parameter
        if parameter is None or address.part:
            takes = ", ".join(one.name for one in config.network.parameters[:20])
            raise InvalidInput([FieldError(pointer, f"this is no parameter; takes one of {takes}, or an entry of one")])
        if address.index:
            names.check_index(parameter.shape, address, pointer)
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high

        def test(moment: Moment) -> Met | None:
            values = parameter.view(moment.after)[address.index]
            if low <= float(values.min()) and float(values.max()) <= high:
                return None
            values = values.astype(np.float64)
            beyond = np.maximum(low - values, values - high)
            at = np.unravel_index(int(np.argmax(beyond)), values.shape)
            actual = float(values[at])
            place = address.index or tuple(int(i) for i in at)
            return Met(str(address.at(*place)), low if actual < low else high, actual)

        return test


EXPRESSION_NAMES = (
    "epoch", "steps", "loss", "best_loss", "accuracy", "gradient_norm", "learning_rate", "elapsed", "test_loss",
    "test_accuracy",
)  # fmt: skip


@lru_cache(maxsize=64)
def _read(text: str) -> Condition:
    """Kept here and not in the spec, which goes to another process: what is read cannot."""
    return read(text, EXPRESSION_NAMES)


class Expression(StopCondition):
    """A condition of your own holds, such as `loss > 1.2 * best_loss and epoch > 20`, as written in Python.

    It is over the numbers of the epoch's entry, and `best_loss`, the least loss of an epoch before it in this training:
    a condition that names it is not asked in the first epoch, which has none before it. `test_loss` and `test_accuracy`
    are those before the update, where the session would stand.
    """

    type: Literal["expression"] = "expression"
    value: str = Field(min_length=1, max_length=MAX_LENGTH)

    @field_validator("value")
    @classmethod
    def _check(cls, value: str) -> str:
        try:
            _read(value)
        except ValueError as error:
            raise PydanticCustomError("expression", "{error}", {"error": str(error)}) from None
        return value

    @property
    def condition(self) -> Condition:
        """The condition as it was read."""
        return _read(self.value)

    @property
    def tries_test_rows(self) -> bool:
        """Whether the network is tried on the rows to test on, each epoch."""
        return not self.condition.names.isdisjoint(("test_loss", "test_accuracy"))

    def needs(self) -> frozenset[Need]:
        norm: list[Need] = ["norm"] if "gradient_norm" in self.condition.names else []
        update: list[Need] = ["update"] if self.tries_test_rows else []
        return frozenset(norm + update)

    def test(self, config: Config, test_rows: Rows | None, pointer: str) -> Test:
        self._check_names(config, test_rows, f"{pointer}/value")
        condition, tries_test_rows = self.condition, self.tries_test_rows
        compares, best = "best_loss" in condition.names, math.inf

        def test(moment: Moment) -> Met | None:
            nonlocal best
            if moment.loss is None:
                return None
            best_before, best = best, min(best, moment.loss)
            if compares and best_before == math.inf:
                return None
            values = {
                "epoch": moment.epoch, "steps": moment.steps, "loss": moment.loss, "best_loss": best_before,
                "gradient_norm": moment.norm, "learning_rate": moment.rate,
            }  # fmt: skip
            if "elapsed" in condition.names:
                values["elapsed"] = moment.elapsed()
            if moment.accuracy is not None:
                values["accuracy"] = moment.accuracy
            if test_rows is not None and tries_test_rows:
                loss, accuracy = passes.evaluate(config, moment.before, test_rows)
                values |= {"test_loss": loss} if accuracy is None else {"test_loss": loss, "test_accuracy": accuracy}
            return Met(None, None, moment.loss) if condition.holds(values) else None

        return test

    def _check_names(self, config: Config, test_rows: Rows | None, pointer: str) -> None:
        for name in sorted(self.condition.names):
            if name.endswith("accuracy") and not config.loss.classifies:
                detail = f"got {name}, which the loss {config.loss.type_name()} does not have: it does not classify"
                raise InvalidInput([FieldError(pointer, detail)])
            if name.startswith("test_") and test_rows is None:
                raise InvalidInput([FieldError(pointer, f"got {name}, and the session has no rows to test on")])


AnyStop = Annotated[
    LossBelow
    | Plateau
    | GradientNormAbove
    | GradientNormBelow
    | SaturatedUnitsAbove
    | DeadUnitsAbove
    | UpdateRatioAbove
    | ParameterOutside
    | Nonfinite
    | AtEpoch
    | Expression,
    Field(discriminator="type"),
    BareName(),
]


def breakpoint_of(conditions: Sequence[StopCondition], epochs: int) -> int | None:
    """The epoch at whose end a session that has had so many stops; None where no breakpoint is to come."""
    values = [one.value for one in conditions if isinstance(one, AtEpoch) and one.value > epochs]
    return min(values, default=None)


def watch(conditions: Sequence[StopCondition], config: Config, test_rows: Rows | None) -> Watch | None:
    """What watches over a training under these conditions; None where there is nothing to watch.

    Raises:
        InvalidInput: one makes no sense for this network or these rows, with a pointer below `/stop`.
    """
    tests, needs = [], frozenset[Need]()
    for index, condition in enumerate(conditions):
        test = condition.test(config, test_rows, f"/stop/{index}")
        if test is not None:
            tests.append((condition.type_name(), test))
            needs |= condition.needs()
    return Watch(tests, needs) if tests else None
