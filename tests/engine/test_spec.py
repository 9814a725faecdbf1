"""The contract of everything that goes by a name and takes options."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from app.engine.activations import GELU, AnyActivation, Softplus
from app.engine.expressions import Equation, Symbol
from app.engine.initializers import AnyInitializer
from app.engine.layers import AnyLayer
from app.engine.losses import AnyLoss
from app.engine.optimizers import AnyOptimizer
from app.engine.schedules import AnySchedule
from app.engine.spec import MAX_FIELDS, Spec, kinds, read_only

UNIONS = {
    "activation": AnyActivation,
    "initializer": AnyInitializer,
    "loss": AnyLoss,
    "optimizer": AnyOptimizer,
    "schedule": AnySchedule,
}
KINDS = [(union, kind) for union in UNIONS.values() for kind in kinds(union)]
NEEDED: dict[str, Any] = {"constant": {"val": 2.0}, "step": {"step_size": 3}, "exponential": {"gamma": 0.9}}
NEEDED["cosine"] = {"T_max": 10}

every_kind = pytest.mark.parametrize(("union", "kind"), KINDS, ids=lambda value: getattr(value, "__name__", ""))


def validate(union: Any, value: Any) -> Spec:
    spec: Spec = TypeAdapter(union).validate_python(value)
    return spec


def smallest(kind: type[Spec]) -> dict[str, Any]:
    """The kind as JSON, with no more than the options that it must have."""
    needed = [name for name, field in kind.model_fields.items() if field.is_required()]
    return {"type": kind.type_name(), **{name: NEEDED[kind.type_name()][name] for name in needed}}


@every_kind
def test_the_type_names_the_kind(union: Any, kind: type[Spec]) -> None:
    spec = validate(union, smallest(kind))
    assert type(spec) is kind
    assert spec.model_dump()["type"] == kind.type_name()
    assert kind.__doc__


@every_kind
def test_the_bare_name_is_the_kind_without_options(union: Any, kind: type[Spec]) -> None:
    if smallest(kind) == {"type": kind.type_name()}:
        assert validate(union, kind.type_name()) == validate(union, smallest(kind))
    else:
        with pytest.raises(ValidationError, match="Field required"):
            validate(union, kind.type_name())


@every_kind
def test_the_schema_shows_the_bare_names_that_will_do(union: Any, kind: type[Spec]) -> None:
    bare, objects = TypeAdapter(union).json_schema()["anyOf"]
    assert (kind.type_name() in bare["enum"]) == (smallest(kind) == {"type": kind.type_name()})
    assert kind.type_name() in objects["discriminator"]["mapping"]


@every_kind
def test_unknown_options_are_refused(union: Any, kind: type[Spec]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        validate(union, {**smallest(kind), "unheard_of": 1})


@every_kind
def test_a_round_trip_through_json(union: Any, kind: type[Spec]) -> None:
    spec = validate(union, smallest(kind))
    adapter = TypeAdapter[Any](union)
    assert adapter.validate_json(adapter.dump_json(spec)) == spec


@every_kind
def test_it_cannot_be_changed(union: Any, kind: type[Spec]) -> None:
    spec = validate(union, smallest(kind))
    with pytest.raises(ValidationError, match="frozen"):
        spec.type = "other"  # type: ignore[attr-defined]


@every_kind
def test_it_has_a_formula_unless_it_is_a_plain_distribution(union: Any, kind: type[Spec]) -> None:
    if kind.type_name() in ("uniform", "normal"):
        assert kind.formula is None
    else:
        assert isinstance(kind.formula, Equation)
    assert isinstance(kind.derivative, Equation) == (union in (AnyActivation, AnyLoss))


@pytest.mark.parametrize("union", UNIONS.values(), ids=UNIONS)
@pytest.mark.parametrize(
    "value", ["unheard_of", {"type": "unheard_of"}, {}, {"type": 1}, None, 5, ["sgd"], True], ids=str
)
def test_what_names_no_kind(union: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        validate(union, value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.1", True, None], ids=str)
def test_options_are_not_guessed_at(value: Any) -> None:
    with pytest.raises(ValidationError):
        validate(AnyOptimizer, {"type": "sgd", "learning_rate": value})


def test_whole_numbers_are_numbers() -> None:
    assert validate(AnyOptimizer, {"type": "sgd", "learning_rate": 1}).learning_rate == 1.0  # type: ignore[attr-defined]


def test_a_thousand_unknown_fields_are_one_error() -> None:
    with pytest.raises(ValidationError) as refused:
        validate(AnyActivation, {"type": "relu", **{f"field{i}": 0 for i in range(MAX_FIELDS)}})
    assert refused.value.error_count() == 1


def test_a_union_of_one() -> None:
    assert [kind.type_name() for kind in kinds(AnyLayer)] == ["dense"]


def test_the_letters_of_options_are_their_names() -> None:
    assert Softplus(beta=2.0).option_letters() == {Symbol("beta"): 2.0, Symbol("threshold"): 20.0}
    assert GELU().option_letters() == {}  # which option it is, no formula has a letter for


def test_read_only() -> None:
    array = read_only(np.zeros(2))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
