"""What an error says, and where."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import (
    MAX_FIELD_ERRORS,
    FieldError,
    Full,
    GradstepError,
    InvalidInput,
    LimitExceeded,
    SessionExpired,
    WrongPhase,
    field_errors,
)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    number: int = Field(1, ge=0)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    inner: Inner = Inner()
    many: list[Inner] = Field(default=[], min_length=1)
    text: str = Field("", pattern="^a")
    either: int | str = 1


def errors(value: Any, pointer: str = "") -> list[FieldError]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    return field_errors(caught.value, value, pointer)


@pytest.mark.parametrize(
    ("value", "pointer", "detail"),
    [
        ({"inner": {"number": -1}}, "/inner/number", "got -1; it should be greater than or equal to 0"),
        ({"inner": {"number": 1.5}}, "/inner/number", "got 1.5; takes a whole number"),
        ({"inner": {"number": True}}, "/inner/number", "got true; takes a whole number"),
        ({"inner": {"number": None}}, "/inner/number", "got null; takes a whole number"),
        ({"inner": {"number": "secret"}}, "/inner/number", "got a string of 6 characters; takes a whole number"),
        ({"inner": {"number": [1, 2]}}, "/inner/number", "got a list of 2; takes a whole number"),
        ({"inner": {"number": {}}}, "/inner/number", "got an object; takes a whole number"),
        (
            {"inner": {"number": -(10**40)}},
            "/inner/number",
            "got a long number; it should be greater than or equal to 0",
        ),
        ({"inner": 5}, "/inner", "got 5; takes an object"),
        ({"many": [{}, {"number": "x"}]}, "/many/1/number", "got a string of 1 characters; takes a whole number"),
        ({"many": []}, "/many", "got a list of 0; it should have at least 1 item"),
        ({"many": [{"a/b~c": 1}]}, "/many/0/a~1b~0c", "no field has this name here"),
        ({"text": "secret"}, "/text", "got a string of 6 characters; it should match pattern '^a'"),
        ([], "", "got a list of 0; takes an object"),
    ],
)
def test_field_errors(value: Any, pointer: str, detail: str) -> None:
    assert errors(value) == [FieldError(pointer, detail)]
    assert errors(value, "/body") == [FieldError(f"/body{pointer}", detail)]


def test_members_of_a_union_are_no_places() -> None:
    assert {error.pointer for error in errors({"either": 1.5})} == {"/either"}


def test_there_are_not_too_many() -> None:
    assert len(errors({f"key{i}": i for i in range(100)})) == MAX_FIELD_ERRORS


def test_what_an_error_says() -> None:
    error = InvalidInput([FieldError(f"/{i}", "wrong") for i in range(5)])
    assert error.detail == "/0: wrong; /1: wrong; /2: wrong"
    assert len(error.errors) == 5
    assert str(GradstepError("detail", member=1)) == "detail"
    assert SessionExpired("gone", expired_at=1.0).extra == {"expired_at": 1.0}
    assert WrongPhase("no").extra == {}
    assert WrongPhase("no", "forward").extra == {"call_first": "forward"}
    assert Full("no", retry_after=3, limit=1).retry_after == 3


def test_a_limit_can_be_read_by_every_reader_of_json() -> None:
    error = LimitExceeded("/a", "the size", limit=5, estimate=10**5000, setting="GRADSTEP_MAX_A")
    assert error.extra == {"limit": 5, "estimate": 2**53, "setting": "GRADSTEP_MAX_A"}
    assert error.detail == "/a: the size comes to 9,007,199,254,740,992; this server takes at most 5 (GRADSTEP_MAX_A)"
