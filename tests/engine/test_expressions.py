"""Trees are added up, mapped and evaluated."""

import math

import pytest

from app.engine.expressions import (
    Cases,
    Compare,
    Expression,
    Number,
    Partial,
    Sum,
    Symbol,
    abs_,
    add_up,
    cos,
    erf,
    evaluate,
    exp,
    log,
    mapped,
    max_,
    min_,
    sign,
    sin,
    sqrt,
    tanh,
)
from app.engine.notation import MANY, elided, symbol_names, to_latex, to_mathml, to_python, to_text

x, y = Symbol("x"), Symbol("y", sub="i")
one, two = Number(1.0), Number(2.0)


def test_add_up() -> None:
    assert add_up([]) == Number(0.0)
    assert add_up([x]) == x
    assert add_up([x + y, x]) == x + y + x


def test_mapped_replaces_symbols_alone() -> None:
    tree = Sum(x**2 / y - abs_(-x) * 3, "i", "4") + Cases(((x, Compare(x, ">", y)),), Partial("L", x))
    letters = {x: Symbol("u"), y: Symbol("v"), Partial("L", x): one}
    u, v = Symbol("u"), Symbol("v")
    assert mapped(tree, letters.__getitem__) == (
        Sum(u**2 / v - abs_(-u) * 3, "i", "4") + Cases(((u, Compare(u, ">", v)),), one)
    )


@pytest.mark.parametrize(
    ("tree", "value"),
    [
        (one + two - two * two / (one + one) ** two, 2.0),
        (-exp(two) + log(two) + tanh(two) + sqrt(two) + erf(two) + cos(two) * sin(two),
         -math.exp(2) + math.log(2) + math.tanh(2) + math.sqrt(2) + math.erf(2)
         + math.cos(2) * math.sin(2)),
        (max_(one, two) - min_(one, two), 1.0),
        (sign(-two) + sign(Number(0.0)) * 10 + sign(two) * 100, 99.0),
        (Cases(((one, Compare(two, "<", one)), (two, Compare(two, "=", two))), log(-one)), 2.0),
        (Cases(((log(-one), Compare(two, "<=", one)),), abs_(-two)), 2.0),
    ],
)  # fmt: skip
def test_evaluate(tree: Expression, value: float) -> None:
    assert evaluate(tree) == pytest.approx(value, abs=0)


def test_a_symbol_has_no_value() -> None:
    with pytest.raises(TypeError):
        evaluate(x + one)


def test_what_is_not_a_number_stays_so() -> None:
    assert math.isnan(evaluate(sign(Number(math.nan))))


def test_long_sums() -> None:
    terms = [Number(float(k), f"x[{k}]") for k in range(MANY + 1)]
    tree = sqrt(-(add_up(terms) * two / (add_up(terms) + one)))
    assert to_text(elided(tree)) == "sqrt(-(0 + 1 + 2 + … + 50) × 2 / (0 + 1 + 2 + … + 1))"
    assert r"2 + \cdots + 50" in to_latex(elided(tree))
    assert "<mo>⋯</mo>" in to_mathml(elided(tree))
    assert elided(add_up(terms[:-1])) == add_up(terms[:-1])
    assert to_python(add_up(terms)) == f"sum([{', '.join(f'{float(k)}' for k in range(MANY + 1))}])"


def test_counts_are_written_without_decimals() -> None:
    assert to_text(Number(2, "targets[0]") + Number(2.0, "loss") + two, 3) == "2 + 2.000 + 2"


def test_the_symbols_of_a_tree() -> None:
    assert symbol_names(x + Partial("L", y) * x) == {"x", "dL_dy_i"}
