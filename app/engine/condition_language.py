"""A small language for conditions over numbers: `loss < 0.1 and epoch > 20`.

It is written as in Python, and read by Python's own parser; but only the parts listed here mean anything, and nothing
is ever run as Python. All numbers are floats. What cannot be worked out, as the root of -1 or 1 / 0, is NaN, as is all
that comes of it, and what is too large is infinite: no comparison holds with NaN but `!=`.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

MAX_LENGTH = 500
MAX_DEPTH = 60
TAKES = (
    "takes a comparison, such as loss < 0.1 and epoch > 20, of numbers and names, with + - * / **, and, or, not, "
    "parentheses, and the functions abs, min, max, sqrt, log, exp, isnan"
)

Values = Mapping[str, float]
Number = Callable[[Values], float]
Truth = Callable[[Values], bool]


class Condition(NamedTuple):
    """A condition that was read: the names in it, and whether it holds for values of them."""

    names: frozenset[str]
    holds: Truth


def read(text: str, names: Sequence[str]) -> Condition:
    """Read a condition over these names.

    Raises:
        ValueError: it is none; the message says where, and what it takes.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"takes at most {MAX_LENGTH} characters, got {len(text)}")
    end = 0
    while end < len(text):
        token = _TOKEN.match(text, end)
        if token is None:
            raise ValueError(_message(end, "this has no meaning here"))
        end = token.end()
    try:
        tree = ast.parse(text.strip(" \t"), mode="eval")
    except (SyntaxError, MemoryError, RecursionError) as error:
        at = _indent(text)
        if isinstance(error, SyntaxError):  # which has no offset, or 0, where the text ends too early
            at = at + error.offset - 1 if error.offset else len(text.rstrip(" \t"))
        raise ValueError(_message(at, "it cannot be read from here on")) from None
    reader = _Reader(names, _indent(text))
    return Condition(holds=reader.truth(tree.body), names=frozenset(reader.found))


_TOKEN = re.compile(
    r"[ \t]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![A-Za-z0-9_.])|[A-Za-z_][A-Za-z0-9_]*"
    r"|\*\*|[<>=!]=|[-+*/()<>,]"
)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" \t"))


def _message(at: int, what: str) -> str:
    return f"at character {at + 1}: {what}; {TAKES}"


def _divide(x: float, y: float) -> float:
    return x / y if y else math.nan


def _power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
    except ValueError:
        return math.nan


def _or_nan(function: Callable[[float], float]) -> Callable[[float], float]:
    def safe(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return safe


def _of_numbers(choose: Callable[[list[float]], float]) -> Callable[[list[float]], float]:
    return lambda numbers: math.nan if any(map(math.isnan, numbers)) else choose(numbers)


_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: _divide, ast.Pow: _power,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_OF_ONE: dict[str, Callable[[float], float]] = {
    "abs": abs, "sqrt": _or_nan(math.sqrt), "log": _or_nan(math.log), "exp": _or_nan(math.exp),
}  # fmt: skip
_OF_SOME: dict[str, Callable[[list[float]], float]] = {"min": _of_numbers(min), "max": _of_numbers(max)}


class _Reader:
    """Turns the parser's tree into closures, one for each node."""

    def __init__(self, names: Sequence[str], indent: int) -> None:
        self.names, self.indent = names, indent
        self.found: set[str] = set()

    def truth(self, node: ast.expr, depth: int = 0) -> Truth:
        """What is true or false."""
        self._go_down(node, depth)
        match node:
            case ast.BoolOp(op, values):
                parts = [self.truth(value, depth + 1) for value in values]
                every = isinstance(op, ast.And)
                return lambda v: all(part(v) for part in parts) if every else any(part(v) for part in parts)
            case ast.UnaryOp(ast.Not(), operand):
                inner = self.truth(operand, depth + 1)
                return lambda v: not inner(v)
            case ast.Compare(left, ops, others) if all(type(op) in _COMPARISONS for op in ops):
                sides = [self.number(side, depth + 1) for side in (left, *others)]
                compare = [_COMPARISONS[type(op)] for op in ops]

                def holds(v: Values) -> bool:
                    numbers = [side(v) for side in sides]
                    return all(test(x, y) for test, x, y in zip(compare, numbers, numbers[1:], strict=False))

                return holds
            case ast.Call(ast.Name("isnan"), [argument], []):
                number = self.number(argument, depth + 1)
                return lambda v: math.isnan(number(v))
        self._refuse(node, "this is no comparison")

    def number(self, node: ast.expr, depth: int) -> Number:
        """What is a number."""
        self._go_down(node, depth)
        match node:
            case ast.Constant(value) if isinstance(value, (int, float)) and not isinstance(value, bool):
                constant = _float(value)
                return lambda v: constant
            case ast.Name(name) if name in self.names:
                self.found.add(name)
                return lambda v: v[name]
            case ast.UnaryOp(ast.USub(), operand):
                inner = self.number(operand, depth + 1)
                return lambda v: -inner(v)
            case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
                do, x, y = _ARITHMETIC[type(op)], self.number(left, depth + 1), self.number(right, depth + 1)
                return lambda v: do(x(v), y(v))
            case ast.Call(ast.Name(name), [argument], []) if name in _OF_ONE:
                function, inner = _OF_ONE[name], self.number(argument, depth + 1)
                return lambda v: function(inner(v))
            case ast.Call(ast.Name(name), [_, _, *_] as arguments, []) if name in _OF_SOME:
                choose, parts = _OF_SOME[name], [self.number(argument, depth + 1) for argument in arguments]
                return lambda v: choose([part(v) for part in parts])
            case ast.Name():
                self._refuse(node, f"this name is none of {', '.join(self.names)}")
        self._refuse(node, "this is no number")

    def _go_down(self, node: ast.expr, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._refuse(node, f"it goes deeper than {MAX_DEPTH}")

    def _refuse(self, node: ast.expr, what: str) -> NoReturn:
        raise ValueError(_message(node.col_offset + self.indent, what))


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
