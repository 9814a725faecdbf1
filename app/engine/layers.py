"""Layers: what a network is built of."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from app.engine.activations import AnyActivation, Identity
from app.engine.initializers import AnyInitializer, Default
from app.engine.spec import Model, Spec

MAX_UNITS = 2**31 - 1
LayerName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
Units = Annotated[int, Field(ge=1, le=MAX_UNITS)]

# The first wrong entry is enough: a million of them would take long to report.
Vector = Annotated[list[float], Field(min_length=1, fail_fast=True)]
Matrix = Annotated[list[Vector], Field(min_length=1, fail_fast=True)]


def _form(value: Any) -> str:
    """Which of the forms of an initial value this is; an unfit one is judged as an initialiser."""
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, list) else "initializer"


_Number = Annotated[float, Tag("number")]
_Initializer = Annotated[AnyInitializer, Tag("initializer")]
InitialWeight = Annotated[
    _Number | Annotated[Matrix, Tag("array")] | _Initializer,
    Discriminator(_form),
]
InitialBias = Annotated[
    _Number | Annotated[Vector, Tag("array")] | _Initializer,
    Discriminator(_form),
]


class Init(Model):
    """What a layer's parameters start from: an initialiser, one number for all entries, or every number."""

    weight: InitialWeight = Default()
    bias: InitialBias = Default()


class Dense(Spec):
    """A fully connected layer: z = x · Wᵀ + b, a = f(z)."""

    type: Literal["dense"] = "dense"
    name: LayerName | None = None
    units: Units
    activation: AnyActivation = Identity()
    bias: Literal["per_unit", "shared", "none"] = "per_unit"
    trainable: bool = True
    init: Init = Init()


AnyLayer = Annotated[Dense, Field()]
