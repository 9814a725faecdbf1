"""How the rows that a session trains on are given, and what is to become of them.

Named sets are in `app.engine.datasets`, and in `app.engine.rows` what rows are once they are there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from app.engine import arrange
from app.engine.layers import Matrix
from app.engine.rows import Data, build_rows
from app.engine.spec import Model, Spec, read_only
from app.errors import FieldError, InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from app.engine.network import Config

Classes = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, fail_fast=True)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


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


class DataSpec(Spec):
    """Where rows come from, and what is to become of them.

    `input_names`, `class_names` and `input_shape` are None where nobody knows them, or, the classes, where there are
    none; `counted_at` is the field that their number comes from, `option_mark` what stands before an option's name in
    a pointer to it.
    """

    input_names: ClassVar[tuple[str, ...] | None] = None
    class_names: ClassVar[tuple[str, ...] | None] = None
    input_shape: ClassVar[tuple[int, ...] | None] = None
    counted_at: ClassVar[str] = ""
    option_mark: ClassVar[str] = "/"
    test_fraction: Fraction | None = None
    standardize: bool = False
    shuffle: bool = False

    @property
    def count(self) -> int:
        """How many rows there are, known before any of them is made."""
        raise NotImplementedError

    @property
    def train_count(self) -> int:
        """How many of them there may be to train on."""
        return self.count

    def seed_in(self, config: "Config") -> int:
        """The seed of what is drawn."""
        raise NotImplementedError

    def rows(self, config: "Config", pointer: str) -> Data:
        """The rows as they are given or drawn; raises InvalidInput where they do not fit."""
        raise NotImplementedError


class _HasRows(Protocol):
    @property
    def inputs(self) -> Any: ...
    @property
    def targets(self) -> Any: ...
    @property
    def test(self) -> Any: ...
    @property
    def labelled(self) -> bool: ...


class _Given:
    """Rows that are there, and not to be made: some to train on, and maybe some to test on."""

    counted_at: ClassVar[str] = "/inputs"

    @property
    def count(self: _HasRows) -> int:
        """How many rows there are."""
        return len(self.inputs) + (len(self.test.inputs) if self.test else 0)

    @property
    def train_count(self: _HasRows) -> int:
        """How many of them there may be to train on."""
        return len(self.inputs)

    def seed_in(self, config: "Config") -> int:
        """The seed of what is drawn."""
        return config.seed

    def rows(self: _HasRows, config: "Config", pointer: str) -> Data:
        """The rows in the session's dtype; raises InvalidInput where they do not fit."""
        train, test = build_rows(config, self.inputs, self.targets, pointer, labelled=self.labelled), None
        if self.test:
            test = build_rows(config, self.test.inputs, self.test.targets, f"{pointer}/test")
        return Data(train, test)


class Inline(_Given, DataSpec, RowsSpec):
    """Rows given in the config itself, with rows to test on, or a fraction of these to set aside for it.

    A session keeps the rows as they have become, and not these options.
    """

    labelled: ClassVar[bool] = False
    type: Literal["inline"] = "inline"
    test: RowsSpec | None = None

    @model_validator(mode="after")
    def _check_one_test(self) -> "Inline":
        if self.test and self.test_fraction:
            raise PydanticCustomError("test", "takes either test or test_fraction")
        return self


@dataclass(frozen=True, slots=True)
class Arrays(_Given):
    """Rows given as arrays, such as those of a table, with the options of a `DataSpec` from the query beside them.

    Inputs are finite numbers (n, inputs), targets as many finite numbers (n, units), or class indices from 0 (n,).

    Attributes:
        labelled: whether indices stand for labels, so that with one output they cannot be meant as values.
        told: says of an error where it is in what the arrays were read from.
    """

    option_mark: ClassVar[str] = "?"
    inputs: NDArray[Any]
    targets: NDArray[Any]
    test: "Arrays | None" = None
    test_fraction: float | None = None
    standardize: bool = False
    shuffle: bool = False
    labelled: bool = False
    told: Callable[[FieldError], FieldError] = lambda error: error

    def rows(self, config: "Config", pointer: str) -> Data:
        try:
            return _Given.rows(self, config, pointer)
        except LimitExceeded:
            raise
        except InvalidInput as error:
            raise InvalidInput([self.told(one) for one in error.errors]) from None


def build_data(config: "Config", spec: DataSpec | Arrays, pointer: str = "/data") -> Data:
    """The arrays of a config's rows, read-only: put in order, then split, then standardized, as their spec says.

    Raises:
        InvalidInput: rows that do not fit the network or the loss, with pointers below `pointer`.
    """
    data, seed = spec.rows(config, pointer), spec.seed_in(config)
    if spec.shuffle:
        data = arrange.shuffled(data, seed)
    if spec.test_fraction is not None:
        data = arrange.split(data.train, spec.test_fraction, seed, f"{pointer}{spec.option_mark}test_fraction")
    if spec.standardize:
        data = arrange.standardized(data, f"{pointer}{spec.option_mark}standardize")
    for array in data.arrays:
        read_only(array)
    return data
