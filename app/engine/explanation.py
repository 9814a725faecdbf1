"""What an explanation of a number is made of, and how it is written out.

A formula is a tree over symbols. Putting the numbers in makes the same tree over numbers, each of which names the
quantity that it is the value of, so that both forms, and the Python that computes it, come from one tree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired

from typing_extensions import TypedDict

from app.engine.expressions import (
    Add,
    Call,
    Cases,
    Compare,
    Div,
    Expression,
    Mul,
    Neg,
    Number,
    Partial,
    Pow,
    Symbol,
)
from app.engine.notation import Written, plain_name

DECIMALS = 5
Letter = Symbol | Partial


@dataclass(frozen=True, slots=True)
class Term:
    """A number that a formula is made of.

    `of` names it where it is a number of the snapshot, `symbol` is its letter in the formula. `revision` and `epoch`
    say when it had this value, where that is not now.
    """

    of: str | None
    symbol: Letter
    value: float
    revision: int | None = None
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class SetBy:
    """The change that gave a parameter, or an optimizer's slot, its value."""

    revision: int
    operation: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a number comes from.

    Attributes:
        of: its name.
        kind: what sort of number it is, for programs: `pre_activation`, `activation`, `derivative`, `loss` …
        title: what it is, in words.
        symbol: its letter.
        formula: the textbook's right side, over symbols.
        terms: the numbers to put in; each symbol of the formulas is that of one term, by its `plain_name`.
        value: the number.
        stable: the right side to compute with, over the same symbols, where the textbook's would overflow or lose
            precision at these numbers; the same as `formula` unless given.
        set_by: the change that a parameter's value comes from.
        chain: the chain-rule ledger of a parameter's gradient.
    """

    of: str
    kind: str
    title: str
    symbol: Letter
    formula: Expression
    terms: tuple[Term, ...]
    value: float
    stable: Expression | None = None
    set_by: SetBy | None = None
    chain: "Chain | None" = None

    @property
    def values(self) -> dict[str, float]:
        """The terms' numbers by the plain names of their symbols."""
        return {plain_name(term.symbol): term.value for term in self.terms}


@dataclass(frozen=True, slots=True)
class Path:
    """One way from a parameter to the loss: the factors of the chain rule along it, which multiply to `value`."""

    value: float
    through: tuple[str, ...]
    factors: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """What one sample adds to a gradient."""

    sample: int
    value: float
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain-rule ledger of a parameter's gradient; the samples that are not shown add up to `more_value`."""

    samples: tuple[Share, ...] = field(default=())
    more_count: int = 0
    more_value: float = 0.0


class Substituted(Written):
    """A formula with the numbers put in, and as Python at full precision."""

    python: str


class TermJson(TypedDict):
    """A term as JSON data."""

    of: str | None
    symbol: Written
    value: float
    revision: NotRequired[int]
    epoch: NotRequired[int]


def put_in(e: Expression, terms: Mapping[str, Term]) -> Expression:
    """The tree with each symbol replaced by the number of the term of that plain name."""
    match e:
        case Symbol() | Partial():
            term = terms[plain_name(e)]
            return Number(term.value, term.of)
        case Neg(operand):
            return Neg(put_in(operand, terms))
        case Add(parts):
            return Add(tuple(put_in(part, terms) for part in parts))
        case Mul(parts):
            return Mul(tuple(put_in(part, terms) for part in parts))
        case Call(function, parts):
            return Call(function, tuple(put_in(part, terms) for part in parts))
        case Div(left, right):
            return Div(put_in(left, terms), put_in(right, terms))
        case Pow(left, right):
            return Pow(put_in(left, terms), put_in(right, terms))
        case Cases(branches, otherwise):
            return Cases(
                [
                    (put_in(value, terms), Compare(put_in(w.left, terms), w.op, put_in(w.right, terms)))
                    for value, w in branches
                ],
                put_in(otherwise, terms),
            )
    return e


def by_plain_name(terms: Sequence[Term]) -> dict[str, Term]:
    """Terms by the plain names of their symbols."""
    return {plain_name(term.symbol): term for term in terms}
