"""Rows as arrays: built from what was given, checked against the network and the loss, and kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.engine.losses import Loss, Targets
from app.engine.spec import Array, read_only
from app.errors import FieldError, InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from app.engine.network import Config

MAX_ONE_HOT = 4_000_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Inputs (n, inputs) and their targets (n, units), or (n,) class indices."""

    inputs: Array
    targets: Targets

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: Any) -> "Rows":
        """Some of the rows, copied."""
        return Rows(self.inputs[indices], self.targets[indices])


@dataclass(frozen=True, slots=True)
class Data:
    """The rows to train on and those to test on; `count` is how many they are together, `nbytes` their memory.

    `arrays` are all of them: inputs and targets to train on, and, if there are any, those to test on.
    """

    train: Rows
    test: Rows | None = None
    count: int = field(init=False)
    nbytes: int = field(init=False)
    arrays: tuple[NDArray[Any], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        parts = [self.train, *([self.test] if self.test else [])]
        arrays = tuple(array for rows in parts for array in (rows.inputs, rows.targets))
        object.__setattr__(self, "count", sum(map(len, parts)))
        object.__setattr__(self, "nbytes", sum(array.nbytes for array in arrays))
        object.__setattr__(self, "arrays", arrays)

    @classmethod
    def of(cls, arrays: tuple[NDArray[Any], ...]) -> "Data":
        """The rows that have these `arrays`."""
        data = cls(Rows(*arrays[:2]), Rows(*arrays[2:]) if len(arrays) > 2 else None)
        object.__setattr__(data, "arrays", arrays)  # the very tuple, which says whose they are
        return data


def build_rows(config: "Config", inputs: Any, targets: Any, pointer: str = "", *, labelled: bool = False) -> Rows:
    """Inputs with as many targets, read-only; raises InvalidInput where they do not fit.

    `labelled` targets are classes beyond doubt, for one output too, and as many as there are inputs.
    """
    made = build_inputs(config, inputs, pointer)
    if labelled:
        return Rows(made, build_classes(config, targets, f"{pointer}/targets"))
    return Rows(made, build_targets(config, targets, len(inputs), pointer))


def build_inputs(config: "Config", inputs: Sequence[Sequence[float]] | Array, pointer: str = "") -> Array:
    """Rows of `inputs` numbers each as a read-only array (n, inputs); raises InvalidInput where they do not fit."""
    return _matrix(inputs, config.network.inputs, config.dtype, f"{pointer}/inputs")


def build_targets(config: "Config", targets: Sequence[Any] | NDArray[Any], n: int, pointer: str = "") -> Targets:
    """Targets of n samples as the loss takes them, read-only: (n, units), or (n,) class indices.

    With two outputs or more, a loss of values or probabilities takes classes too, as `build_classes` has them. One
    output alone may stand for a value as well, so that there a flat list is refused, and an array is one of values.
    """
    pointer, units, loss = f"{pointer}/targets", config.network.sizes[-1], config.loss
    if len(targets) != n:
        raise InvalidInput([FieldError(pointer, f"got {len(targets)} targets for {n} rows of inputs; takes as many")])
    by_class = targets.ndim == 1 if isinstance(targets, np.ndarray) else isinstance(targets[0], int)
    if isinstance(targets, np.ndarray) and by_class and units == 1 and "classes" not in loss.targets:
        targets, by_class = targets.reshape(-1, 1), False  # whole numbers in an array are values as well as any
    if by_class and (units > 1 or "classes" in loss.targets):
        return build_classes(config, targets, pointer)
    if by_class or loss.targets == "classes":
        takes = "rows of 1 numbers" if by_class else "a flat list of class indices"
        raise InvalidInput([FieldError(pointer, f"the loss {loss.type_name()} takes {takes}")])
    out = _matrix(targets, units, config.dtype, pointer)
    check_probabilities(loss, out, pointer)
    return out


def build_classes(config: "Config", classes: Sequence[int] | NDArray[Any], pointer: str) -> Targets:
    """Targets for class indices as the loss takes them, read-only.

    For a loss of values or probabilities, a row for each with a 1 at its class and 0 elsewhere ("one-hot"), or, with
    one output, 0 and 1.

    Raises:
        InvalidInput: there is a class that has no output.
        LimitExceeded: the rows would be too large.
    """
    units, loss = config.network.sizes[-1], config.loss
    indexed = "classes" in loss.targets
    takes = units if indexed else max(units, 2)
    if (classes.max() if isinstance(classes, np.ndarray) else max(classes)) >= takes:
        if not indexed:
            detail = f"the loss {loss.type_name()} takes rows of {units} numbers, or classes from 0 to {takes - 1}"
            raise InvalidInput([FieldError(pointer, detail)])
        index = next(i for i, target in enumerate(classes) if target >= units)
        detail = f"got class {classes[index]}; takes 0 to {units - 1}, one for each output"
        raise InvalidInput([FieldError(f"{pointer}/{index}", detail)])
    indices = np.array(classes, dtype=np.int64, order="C")
    if indexed:
        return read_only(indices)
    if units == 1:
        return read_only(indices.astype(config.dtype).reshape(-1, 1))
    if len(indices) * units > MAX_ONE_HOT:
        what = "the numbers of classes written out as rows"
        raise LimitExceeded(pointer, what, limit=MAX_ONE_HOT, estimate=len(indices) * units)
    rows = np.zeros((len(indices), units), config.dtype)
    rows[np.arange(len(indices)), indices] = 1
    return read_only(rows)


def check_probabilities(loss: Loss, targets: Array, pointer: str) -> None:
    """Refuse targets (n, units) that are no probabilities, where the loss takes these."""
    if loss.targets == "values":
        return
    outside = ((targets < 0) | (targets > 1)).any(axis=1)
    if outside.any():
        detail = f"the loss {loss.type_name()} takes probabilities, from 0 to 1"
        raise InvalidInput([FieldError(f"{pointer}/{int(outside.argmax())}", detail)])
    if loss.targets == "classes_or_probabilities":
        sums = targets.sum(axis=1)
        off = np.abs(sums - 1) > 1e-6
        if off.any():
            index = int(off.argmax())
            detail = f"the probabilities sum to {float(sums[index]):.6g}; takes a sum of 1"
            raise InvalidInput([FieldError(f"{pointer}/{index}", detail)])


def _matrix(rows: Sequence[Sequence[float]] | Array, width: int, dtype: str, pointer: str) -> Array:
    if isinstance(rows, np.ndarray):
        if rows.shape[1] != width:
            raise InvalidInput([FieldError(pointer, f"got rows of {rows.shape[1]} numbers; takes {width}")])
        return read_only(finite_array(rows, dtype, pointer))
    for index, row in enumerate(rows):
        if not isinstance(row, (list, tuple)):
            raise InvalidInput([FieldError(f"{pointer}/{index}", f"got a number; takes a row of {width} numbers")])
        if len(row) != width:
            detail = f"got a row of {len(row)} numbers; takes {width}"
            raise InvalidInput([FieldError(f"{pointer}/{index}", detail)])
    return read_only(finite_array(rows, dtype, pointer))


def finite_array(numbers: Any, dtype: str, pointer: str) -> Array:
    """The numbers as an array of the dtype; refuses those that do not fit it (float32 ends at 3.4e38)."""
    with np.errstate(over="ignore"):
        array = np.asarray(numbers, dtype, order="C")  # as the packed vectors lie, whatever an npz has
    if not np.isfinite(array).all():
        raise InvalidInput([FieldError(pointer, f"has a number that is too large for {dtype}")])
    return array
