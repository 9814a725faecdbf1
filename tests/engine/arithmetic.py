"""A reader of the Python that explanations are written in: numbers, math's functions, and nothing else."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Eq: operator.eq,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., float]] = {
    **{name: function for name, function in vars(math).items() if callable(function)},
    "max": max, "min": min, "abs": abs, "sum": sum,
}  # fmt: skip


def worth(python: str) -> float:
    """What an expression comes to."""
    return float(_worth(ast.parse(python, mode="eval").body))


def _worth(node: ast.AST) -> Any:
    match node:
        case ast.Constant(float() as value):
            return value
        case ast.UnaryOp(operation, operand):
            return OPERATORS[type(operation)](_worth(operand))
        case ast.BinOp(left, operation, right):
            return OPERATORS[type(operation)](_worth(left), _worth(right))
        case ast.Compare(left, [operation], [right]):
            return OPERATORS[type(operation)](_worth(left), _worth(right))
        case ast.IfExp(test, body, orelse):
            return _worth(body if _worth(test) else orelse)
        case ast.List(parts):
            return [_worth(part) for part in parts]
        case ast.Call(ast.Name(function), args, []):
            return FUNCTIONS[function](*map(_worth, args))
    raise AssertionError(ast.dump(node))
