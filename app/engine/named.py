"""What every named data set has: the same rows for the same options and seed, in the form that the loss takes."""

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.data import DataSpec
from app.engine.random import Seed
from app.engine.rows import Data, Rows, build_classes
from app.engine.spec import read_only
from app.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from app.engine.network import Config


class Drawn(NamedTuple):
    """Inputs (n, inputs), and as many targets: class indices (n,), or values (n, 1)."""

    inputs: NDArray[np.float64]
    targets: NDArray[Any]


class NamedSet(DataSpec):
    """Rows by name. Without a `seed` of its own, a set draws by the session's.

    Targets follow the loss. Classes are indices where it takes these; otherwise one column of 0 and 1, for two classes
    and one output, or a row for each with a 1 at its class, for as many outputs as classes. Values are one column.
    """

    input_names: ClassVar[tuple[str, ...]] = ("x1", "x2")
    input_shape: ClassVar[tuple[int, ...]] = (2,)
    seed: Seed | None = None

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the classes with these options; None where targets are values."""
        return self.class_names

    def seed_in(self, config: "Config") -> int:
        return config.seed if self.seed is None else self.seed

    def draw(self, seed: int) -> Drawn:
        """The rows in their natural order."""
        raise NotImplementedError

    def rows(self, config: "Config", pointer: str) -> Data:
        if misfit := self._misfit(config):
            raise InvalidInput([FieldError(pointer, f"the set {self.type_name()} has {misfit}")])
        drawn = self.draw(self.seed_in(config))
        inputs = read_only(drawn.inputs.astype(config.dtype))
        if self.labels is not None:
            return Data(Rows(inputs, build_classes(config, drawn.targets, pointer)))
        if config.loss.targets != "values" and ((drawn.targets < 0) | (drawn.targets > 1)).any():
            detail = f"the set {self.type_name()} has values below 0 or above 1"
            raise InvalidInput([FieldError(pointer, f"{detail}; the loss {config.loss.type} takes probabilities")])
        return Data(Rows(inputs, read_only(drawn.targets.astype(config.dtype))))

    def _misfit(self, config: "Config") -> str | None:
        """What it has that the network or the loss does not take."""
        network, loss = config.network, config.loss
        units, by_class = network.sizes[-1], "classes" in loss.targets
        if network.inputs != len(self.input_names):
            return f"{len(self.input_names)} inputs; the network takes {network.inputs}"
        if self.labels is None:
            if by_class:
                return f"values; the loss {loss.type} takes classes"
            return None if units == 1 else f"one value in a row; the network has {units} outputs"
        count = len(self.labels)
        if units >= count if by_class else units == count or (units, count) == (1, 2):
            return None
        takes = f"at least {count}" if by_class else "1 or 2" if count == 2 else str(count)
        return f"{count} classes, for which the loss {loss.type} takes {takes} outputs; the network has {units}"
