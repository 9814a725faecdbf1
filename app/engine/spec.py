"""What every configurable part of a network is made of.

A spec is configuration and behaviour in one class: a frozen pydantic model whose `type` tags it, whose other fields
are its options, and whose methods compute. The request schema, the catalogue, the engine and the explanations all
come from it, so that a new activation, loss or optimizer is one class, and its name in the union below it.
"""

from typing import Any, ClassVar, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from app.engine.expressions import Equation, Symbol

Array = NDArray[np.floating[Any]]
AnyArray = TypeVar("AnyArray", bound=NDArray[Any])


def read_only(array: AnyArray) -> AnyArray:
    """The same array, that nothing can write to any more."""
    array.setflags(write=False)
    return array


MAX_FIELDS = 50


class Model(BaseModel):
    """Values from outside: strict, frozen, finite, and with no fields but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_many_fields(cls, value: Any) -> Any:
        """Unknown fields are reported one by one, which must not take long."""
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise PydanticCustomError("too_many_fields", "takes an object with no fields but its own")
        return value


class Spec(Model):
    """One named kind of something, with its options."""

    formula: ClassVar[Equation | None] = None
    derivative: ClassVar[Equation | None] = None

    def option_letters(self) -> dict[Symbol, float]:
        """What stands for its options in its formulas: each that is a number has its own name as its letter."""
        return {Symbol(name): value for name, value in self if isinstance(value, float)}

    @classmethod
    def type_name(cls) -> str:
        """The tag that names this kind in JSON."""
        return str(cls.model_fields["type"].default)


def kinds(union: Any) -> tuple[type[Spec], ...]:
    """The spec classes of an annotated union, in its order."""
    inner = get_args(union)[0]
    members: tuple[type[Spec], ...] = get_args(inner) or (inner,)
    return members


class BareName:
    """Lets a bare name stand for the object with that `type` and no options: `"sgd"` for `{"type": "sgd"}`."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Turn a string into the object before the union looks at its tag."""
        members: tuple[type[Spec], ...] = get_args(source) or (source,)
        self.names = [m.type_name() for m in members if not any(f.is_required() for f in m.model_fields.values())]
        return core_schema.no_info_before_validator_function(
            lambda value: {"type": value} if isinstance(value, str) else value, handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Show both forms; only kinds whose options all have defaults can go by their bare name."""
        return {"anyOf": [{"type": "string", "enum": self.names}, handler(schema)]}
