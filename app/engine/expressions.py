"""Formulas as small immutable trees, built with ordinary operators and the functions below.

>>> z = Symbol("z")
>>> sigmoid = 1 / (1 + exp(-z))

`app.engine.notation` writes them.
"""

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Function = Literal[
    "exp", "log", "log1p", "expm1", "tanh", "sqrt", "erf", "cos", "sin", "abs", "max", "min", "sign"
]  # fmt: skip
Relation = Literal[">", ">=", "<", "<=", "="]


class Expression:
    """A node of a formula; operators on it build larger ones and lift plain numbers to `Number`."""

    __slots__ = ()

    def __add__(self, other: "Operand") -> "Add":
        return Add((*terms(self), *terms(lift(other))))

    def __radd__(self, other: float) -> "Add":
        return lift(other) + self

    def __sub__(self, other: "Operand") -> "Add":
        return Add((*terms(self), -lift(other)))

    def __rsub__(self, other: float) -> "Add":
        return lift(other) - self

    def __mul__(self, other: "Operand") -> "Expression":
        if isinstance(self, Neg):  # -y * x is written, and worth, -(y * x)
            return -(self.operand * other)
        return Mul((*factors(self), *factors(lift(other))))

    def __rmul__(self, other: float) -> "Expression":
        return lift(other) * self

    def __truediv__(self, other: "Operand") -> "Expression":
        if isinstance(self, Neg):
            return -(self.operand / other)
        return Div(self, lift(other))

    def __rtruediv__(self, other: float) -> "Expression":
        return lift(other) / self

    def __pow__(self, other: "Operand") -> "Pow":
        return Pow(self, lift(other))

    def __rpow__(self, other: float) -> "Pow":
        return lift(other) ** self

    def __neg__(self) -> "Neg":
        return Neg(self)


Operand: TypeAlias = Expression | float


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A number; `of` names the quantity it is the value of, such as `hidden.z[0][1]`."""

    value: float
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Symbol(Expression):
    """A letter or word with an optional layer above (`sup`) and index below (`sub`).

    Greek letters go by name ("alpha", "Phi"); commas part several indices ("j,i").
    """

    name: str
    sup: str | None = None
    sub: str | None = None
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Partial(Expression):
    """The partial derivative of `top` by `by`."""

    top: str | Symbol
    by: Symbol
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Add(Expression):
    """The sum of the terms, in order; a `Neg` among them is a subtraction."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Mul(Expression):
    """The product of the factors, in order."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Div(Expression):
    """A quotient."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Pow(Expression):
    """A power."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True, slots=True)
class Neg(Expression):
    """The operand with the opposite sign."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A function of its arguments."""

    function: Function
    args: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Sum(Expression):
    """The sum of `body` over `index`, from 1 to `upper` (a numeral or a symbol's name) when given."""

    body: Expression
    index: str
    upper: str | None = None


@dataclass(frozen=True, slots=True, init=False)
class Compare:
    """A condition."""

    left: Expression
    op: Relation
    right: Expression

    def __init__(self, left: Operand, op: Relation, right: Operand) -> None:
        _set(self, left=lift(left), op=op, right=lift(right))


@dataclass(frozen=True, slots=True, init=False)
class Cases(Expression):
    """The value of the first branch (value, condition) whose condition holds, or else `otherwise`."""

    branches: tuple[tuple[Expression, Compare], ...]
    otherwise: Expression

    def __init__(self, branches: Iterable[tuple[Operand, Compare]], otherwise: Operand) -> None:
        _set(self, branches=tuple((lift(v), when) for v, when in branches), otherwise=lift(otherwise))


@dataclass(frozen=True, slots=True, init=False)
class Equation:
    """The statement that both sides are equal; the right side may go on, as in a = b = c."""

    left: Expression
    right: "Expression | Equation"

    def __init__(self, left: Operand, right: "Operand | Equation") -> None:
        _set(self, left=lift(left), right=right if isinstance(right, Equation) else lift(right))


Formula: TypeAlias = Expression | Compare | Equation


def lift(operand: Operand) -> Expression:
    """The operand as an expression."""
    return operand if isinstance(operand, Expression) else Number(float(operand))


def terms(e: Expression) -> tuple[Expression, ...]:
    """What is added up in it: itself, if it is no sum."""
    return e.terms if isinstance(e, Add) else (e,)


def factors(e: Expression) -> tuple[Expression, ...]:
    """What is multiplied in it: itself, if it is no product."""
    return e.factors if isinstance(e, Mul) else (e,)


def add_up(parts: Iterable[Expression]) -> Expression:
    """The sum of the parts: the part itself where there is one, and 0 where there is none."""
    added = tuple(term for part in parts for term in terms(part))
    if len(added) == 1:
        return added[0]
    return Add(added) if added else Number(0.0)


def mapped(e: Expression, leaf: Callable[[Symbol | Partial], Expression]) -> Expression:
    """The tree with every symbol replaced by what `leaf` makes of it."""
    match e:
        case Symbol() | Partial():
            return leaf(e)
        case Neg(operand):
            return Neg(mapped(operand, leaf))
        case Add(parts):
            return Add(tuple(mapped(part, leaf) for part in parts))
        case Mul(parts):
            return Mul(tuple(mapped(part, leaf) for part in parts))
        case Call(function, parts):
            return Call(function, tuple(mapped(part, leaf) for part in parts))
        case Div(left, right):
            return Div(mapped(left, leaf), mapped(right, leaf))
        case Pow(base, exponent):
            return Pow(mapped(base, leaf), mapped(exponent, leaf))
        case Sum(body, index, upper):
            return Sum(mapped(body, leaf), index, upper)
        case Cases(branches, otherwise):
            conditions = [Compare(mapped(when.left, leaf), when.op, mapped(when.right, leaf)) for _, when in branches]
            values = [mapped(value, leaf) for value, _ in branches]
            return Cases(zip(values, conditions, strict=True), mapped(otherwise, leaf))
    return e


def evaluate(e: Expression) -> float:
    """What a tree over numbers comes to, in the arithmetic of Python's floats, as `to_python` writes it.

    Raises:
        ArithmeticError, ValueError: where that arithmetic does.
        TypeError: there is a symbol, or a Σ, in it.
    """
    match e:
        case Number(value):
            return float(value)
        case Neg(operand):
            return -evaluate(operand)
        case Add(parts):
            return sum(map(evaluate, parts))
        case Mul(parts):
            return math.prod(map(evaluate, parts))
        case Div(left, right):
            return evaluate(left) / evaluate(right)
        case Pow(base, exponent):
            return float(evaluate(base) ** evaluate(exponent))
        case Call("sign", (x,)):
            of = evaluate(x)
            return (of > 0) - (of < 0) or of
        case Call(function, parts):
            return float(_PYTHON[function](*map(evaluate, parts)))
        case Cases(branches, otherwise):
            return evaluate(next((branch for branch, when in branches if _holds(when)), otherwise))
    raise TypeError(f"not a tree over numbers: {e!r}")


_PYTHON: dict[Function, Callable[..., float]] = {
    "exp": math.exp, "log": math.log, "log1p": math.log1p, "expm1": math.expm1, "tanh": math.tanh, "sqrt": math.sqrt,
    "erf": math.erf, "cos": math.cos, "sin": math.sin, "abs": abs, "max": max, "min": min,
}  # fmt: skip
_RELATIONS: dict[Relation, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "=": operator.eq
}  # fmt: skip


def _holds(when: Compare) -> bool:
    return _RELATIONS[when.op](evaluate(when.left), evaluate(when.right))


def max_(first: Operand, *others: Operand) -> Call:
    """The largest of the operands."""
    return Call("max", tuple(map(lift, (first, *others))))


def min_(first: Operand, *others: Operand) -> Call:
    """The smallest of the operands."""
    return Call("min", tuple(map(lift, (first, *others))))


def _set(node: object, **fields: object) -> None:
    for name, value in fields.items():
        object.__setattr__(node, name, value)


def _unary(function: Function) -> Callable[[Operand], Call]:
    return lambda operand: Call(function, (lift(operand),))


exp, log, log1p, expm1 = _unary("exp"), _unary("log"), _unary("log1p"), _unary("expm1")
tanh, sqrt, erf = _unary("tanh"), _unary("sqrt"), _unary("erf")
cos, sin = _unary("cos"), _unary("sin")
abs_, sign = _unary("abs"), _unary("sign")
