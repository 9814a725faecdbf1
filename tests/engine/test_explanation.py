"""What a number is computed with."""

import math

import pytest

from app.engine.explanation import Term, computable
from app.engine.expressions import Expression, Number, Symbol, exp

x, y = Symbol("x"), Symbol("y")
square, product, textbook = x**2, x * x, exp(x) - 1


def chosen(candidates: list[Expression], numbers: dict[Symbol, float], value: float, *close: float) -> Expression:
    terms = [Term(None, symbol, number) for symbol, number in numbers.items()]
    return computable(candidates, terms, value, *close)


def test_the_first_that_gives_the_value() -> None:
    assert chosen([square, product], {x: 3.0}, 9.0, 0.0) is square
    assert chosen([x + y, product], {x: 3.0, y: 0.0}, 9.0, 0.0) is product
    assert chosen([x + y, product], {x: 3.0, y: 5.9}, 9.0, 0.2) == x + y


def test_the_nearest_where_none_gives_it() -> None:
    candidates: list[Expression] = [x + y, x - y]
    assert chosen(candidates, {x: 1.0, y: 0.25}, 0.9, 0.0, 0.2) is candidates[1]
    assert chosen(candidates, {x: 1.0, y: 0.25}, 1.2, 0.0, 0.2) is candidates[0]
    assert chosen(candidates, {x: 1.0, y: 0.25}, 0.9, 0.0, 0.1) == Number(0.9)


@pytest.mark.parametrize("value", [math.inf, 0.0])
def test_what_raises_is_left_out(value: float) -> None:
    assert chosen([square], {x: 1e200}, value, 0.0) == Number(value)
    assert chosen([1 / x], {x: 0.0}, value, math.inf) == Number(value)
    assert chosen([exp(x)], {x: 1000.0}, value, 1.0, math.inf) == Number(value)
    assert chosen([square, product], {x: 1e200}, math.inf, math.inf) is product
    assert chosen([], {}, value, 0.0) == Number(value)


def test_what_is_not_a_number() -> None:
    assert chosen([x - y], {x: math.inf, y: math.inf}, math.nan, 0.0) == x - y
    assert chosen([x - y], {x: math.inf, y: math.inf}, 1.0, math.inf, math.inf) == Number(1.0)
    found = chosen([textbook], {x: 1.0}, math.nan, math.nan, math.nan)
    assert isinstance(found, Number)
    assert math.isnan(found.value)
