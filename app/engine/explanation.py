"""What an explanation of a number is made of, and how it is written out.

A formula is a tree over symbols. Putting the numbers in makes the same tree over numbers, each of which names the
quantity that it is the value of, so that both forms, and the Python that computes it, come from one tree.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired

from typing_extensions import TypedDict

from app.engine.expressions import Expression, Number, Partial, Symbol, evaluate, mapped
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
        of: its name; "" for what has none, as the 1 that a bias is multiplied with.
        kind: what sort of number it is, for programs: `pre_activation`, `activation`, `derivative`, `loss` …
        title: what it is, in words.
        symbol: its letter.
        formula: the textbook's right side, over symbols.
        terms: the numbers to put in; each symbol of the formulas is that of one term, by its `plain_name`.
        value: the number.
        stable: the right side to compute with, over the same symbols, where the textbook's would overflow or lose
            precision at these numbers; the same as `formula` unless given.
        written_out: `formula` with its sums written out, term by term, where it has a Σ. (A Σ is for reading only.)
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
    written_out: Expression | None = None

    @property
    def full(self) -> Expression:
        """The textbook's right side without a Σ, to put numbers in."""
        return self.written_out or self.formula

    @property
    def computed(self) -> Expression:
        """The right side to compute with."""
        return self.stable or self.full

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

    def number(symbol: Letter) -> Number:
        term = terms[plain_name(symbol)]
        return Number(term.value, term.of)

    return mapped(e, number)


def by_plain_name(terms: Sequence[Term]) -> dict[str, Term]:
    """Terms by the plain names of their symbols."""
    return {plain_name(term.symbol): term for term in terms}


def computable(
    candidates: Iterable[Expression], terms: Sequence[Term], value: float, close: float, at_most: float = 0.0
) -> Expression:
    """What to compute a number with: it neither raises, as Python does where others overflow, nor gives another number.

    It is the first of the trees that comes within `close` of the value; or else the nearest, within `at_most`; or else,
    as where a number is not finite or float32 has lost what double precision keeps, the value itself.
    """
    by_name = by_plain_name(terms)
    nearest, least = None, math.inf
    for candidate in candidates:
        error = _error(put_in(candidate, by_name), value)
        if error == 0 or error <= close < math.inf:
            return candidate
        if error < least:
            nearest, least = candidate, error
    return Number(value) if nearest is None or not least <= at_most < math.inf else nearest


def _error(e: Expression, value: float) -> float:
    """How far from a value a tree over numbers comes; infinitely far where Python raises."""
    try:
        found = evaluate(e)
    except (ArithmeticError, ValueError):
        return math.inf
    if found == value or (math.isnan(found) and math.isnan(value)):
        return 0.0
    error = abs(found - value)
    return math.inf if math.isnan(error) else error
