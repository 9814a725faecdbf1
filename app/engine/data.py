"""The rows that a session trains on: how they are configured, checked and split."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from app.engine import random
from app.engine.layers import Matrix
from app.engine.losses import Loss, Targets
from app.engine.spec import Array, Model, Spec, read_only
from app.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from app.engine.network import Config

Classes = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, fail_fast=True)]


def _form(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else None
    return "classes" if isinstance(first, int) else "rows"


TargetRows = Annotated[
    Annotated[Matrix, Tag("rows")] | Annotated[Classes, Tag("classes")],
    Discriminator(_form),
]


class RowsSpec(Model):
    """Rows as JSON: inputs (n × inputs), and targets (n × units, or n class indices)."""

    inputs: Matrix
    targets: TargetRows


class Inline(Spec, RowsSpec):
    """Rows given in the config itself, with rows to test on, or a fraction of these to set aside for it."""

    type: Literal["inline"] = "inline"
    test: RowsSpec | None = None
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _check_one_test(self) -> "Inline":
        if self.test and self.test_fraction:
            raise PydanticCustomError("test", "takes either test or test_fraction")
        return self


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


def build_data(config: "Config", spec: Inline, pointer: str = "/data") -> Data:
    """The arrays of a config's rows, read-only.

    A `test_fraction` sets aside that share of the rows, at least one, chosen by the seed; both parts keep their order.

    Raises:
        InvalidInput: rows that do not fit the network or the loss, with pointers below `pointer`.
    """
    rows = build_rows(config, spec.inputs, spec.targets, pointer)
    if spec.test:
        return Data(rows, build_rows(config, spec.test.inputs, spec.test.targets, f"{pointer}/test"))
    if spec.test_fraction is None:
        return Data(rows)
    count = max(1, round(len(rows) * spec.test_fraction))
    if count >= len(rows):
        raise InvalidInput([FieldError(f"{pointer}/test_fraction", f"leaves none of {len(rows)} rows to train on")])
    order = random.permutation(config.seed, random.Purpose.SPLIT, 0, len(rows))
    test, train = np.sort(order[:count]), np.sort(order[count:])
    return Data(_freeze(rows.take(train)), _freeze(rows.take(test)))


def build_rows(config: "Config", inputs: Sequence[Any], targets: Sequence[Any], pointer: str = "") -> Rows:
    """Inputs with as many targets, read-only; raises InvalidInput where they do not fit."""
    return Rows(build_inputs(config, inputs, pointer), build_targets(config, targets, len(inputs), pointer))


def build_inputs(config: "Config", inputs: Sequence[Sequence[float]], pointer: str = "") -> Array:
    """Rows of `inputs` numbers each as a read-only array (n, inputs); raises InvalidInput where they do not fit."""
    return _matrix(inputs, config.network.inputs, config.dtype, f"{pointer}/inputs")


def build_targets(config: "Config", targets: Sequence[Any], n: int, pointer: str = "") -> Targets:
    """Targets of n samples as the loss takes them, read-only: (n, units), or (n,) class indices."""
    pointer = f"{pointer}/targets"
    if len(targets) != n:
        raise InvalidInput([FieldError(pointer, f"got {len(targets)} targets for {n} rows of inputs; takes as many")])
    units, kind = config.network.layers[-1].units, config.loss.targets
    by_class = isinstance(targets[0], int)
    if by_class and kind in ("classes", "classes_or_probabilities"):
        if max(targets) >= units:
            index = next(i for i, target in enumerate(targets) if target >= units)
            detail = f"got class {targets[index]}; takes 0 to {units - 1}, one for each output"
            raise InvalidInput([FieldError(f"{pointer}/{index}", detail)])
        return read_only(np.array(targets, dtype=np.int64))
    if by_class or kind == "classes":
        takes = "a flat list of class indices" if kind == "classes" else f"rows of {units} numbers"
        raise InvalidInput([FieldError(pointer, f"the loss {config.loss.type_name()} takes {takes}")])
    out = _matrix(targets, units, config.dtype, pointer)
    check_probabilities(config.loss, out, pointer)
    return out


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


def _matrix(rows: Sequence[Sequence[float]], width: int, dtype: str, pointer: str) -> Array:
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
        array = np.asarray(numbers, dtype)
    if not np.isfinite(array).all():
        raise InvalidInput([FieldError(pointer, f"has a number that is too large for {dtype}")])
    return array


def _freeze(rows: Rows) -> Rows:
    return Rows(read_only(rows.inputs), read_only(rows.targets))
