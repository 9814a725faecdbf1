"""Explanations as JSON data, and as a page to read, in Markdown that a terminal shows as well as a browser."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NotRequired

from typing_extensions import TypedDict

from app.engine.explanation import (
    DECIMALS,
    Chain,
    Explanation,
    Letter,
    Path,
    SetBy,
    Substituted,
    Term,
    TermJson,
    by_plain_name,
    put_in,
)
from app.engine.expressions import Equation, Number
from app.engine.notation import Written, elided, to_python, to_text, written

GROUPS = {
    "input": "Forward",
    "pre_activation": "Forward",
    "activation": "Forward",
    "output": "Forward",
    "target": "Loss",
    "loss": "Loss",
    "derivative": "Backward",
    "activation_gradient": "Backward",
    "pre_activation_gradient": "Backward",
    "parameter_gradient": "Backward",
}
LAST_GROUP = "Update"


class FactorJson(TypedDict):
    """A factor of the chain rule as JSON data."""

    of: str | None
    symbol: Written
    formula: Written
    substituted: Substituted
    value: float


class PathJson(TypedDict):
    """One way from a parameter to the loss as JSON data."""

    value: float
    through: list[str]
    factors: list[FactorJson]


class ShareJson(TypedDict):
    """What a sample adds to a gradient as JSON data."""

    sample: int
    value: float
    paths: list[PathJson]


class MoreJson(TypedDict):
    """The samples that are not shown as JSON data."""

    count: int
    value: float


class ChainJson(TypedDict):
    """The chain-rule ledger as JSON data."""

    samples: list[ShareJson]
    more_samples: MoreJson


class SetByJson(TypedDict):
    """The change that a value comes from as JSON data."""

    revision: int
    operation: str


class ExplanationJson(FactorJson):
    """An explanation as JSON data."""

    kind: str
    title: str
    terms: list[TermJson]
    set_by: SetByJson | None
    chain: NotRequired[ChainJson]


def to_json(explanation: Explanation, decimals: int = DECIMALS) -> ExplanationJson:
    """The explanation as JSON data; numbers inside of formulas have so many decimals, others are full."""
    factor = _factor(explanation, decimals)
    data: ExplanationJson = {
        "of": factor["of"],
        "kind": explanation.kind,
        "title": explanation.title,
        "symbol": factor["symbol"],
        "formula": factor["formula"],
        "substituted": factor["substituted"],
        "value": factor["value"],
        "terms": [_term(term) for term in explanation.terms],
        "set_by": _set_by(explanation.set_by),
    }
    if explanation.chain is not None:
        data["chain"] = _chain(explanation.chain, decimals)
    return data


def to_markdown(explanations: Sequence[Explanation], heading: str, decimals: int = DECIMALS) -> str:
    """A page: one number with all that belongs to it, or many as the numbered steps of a computation by hand."""
    if len(explanations) == 1:
        lines = [f"# {heading}", "", *_one(explanations[0], decimals)]
    else:
        lines = [f"# {heading}", *_many(explanations, decimals)]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=4096)
def _letter(symbol: Letter) -> Written:
    return written(symbol)


def _factor(explanation: Explanation, decimals: int) -> FactorJson:
    terms = by_plain_name(explanation.terms)
    numbers = elided(put_in(explanation.full, terms))
    python = to_python(put_in(explanation.computed, terms))
    return {
        "of": explanation.of or None,
        "symbol": _letter(explanation.symbol),
        "formula": written(Equation(explanation.symbol, explanation.formula), decimals),
        "substituted": {**written(Equation(explanation.symbol, numbers), decimals), "python": python},
        "value": explanation.value,
    }


def _term(term: Term) -> TermJson:
    data: TermJson = {"of": term.of, "symbol": _letter(term.symbol), "value": term.value}
    if term.revision is not None:
        data["revision"] = term.revision
    if term.epoch is not None:
        data["epoch"] = term.epoch
    return data


def _set_by(change: SetBy | None) -> SetByJson | None:
    return None if change is None else {"revision": change.revision, "operation": change.operation}


def _chain(chain: Chain, decimals: int) -> ChainJson:
    written_factors: dict[int, FactorJson] = {}  # several paths have factors in common

    def factor(explanation: Explanation) -> FactorJson:
        if id(explanation) not in written_factors:
            written_factors[id(explanation)] = _factor(explanation, decimals)
        return written_factors[id(explanation)]

    def path(of: Path) -> PathJson:
        return {"value": of.value, "through": list(of.through), "factors": [factor(f) for f in of.factors]}

    return {
        "samples": [
            {"sample": share.sample, "value": share.value, "paths": [path(p) for p in share.paths]}
            for share in chain.samples
        ],
        "more_samples": {"count": chain.more_count, "value": chain.more_value},
    }


def _one(explanation: Explanation, decimals: int) -> Iterator[str]:
    """All that belongs to a number."""
    yield _sentence(explanation.title)
    yield ""
    yield from _indented(_equations(explanation, decimals), 4)
    if explanation.set_by is not None:
        yield ""
        yield f"Set by {explanation.set_by.operation}, revision {explanation.set_by.revision}."
    if explanation.terms:
        yield from ("", "## Terms", "")
        yield from _table(explanation.terms, decimals)
    if explanation.chain is not None:
        yield from ("", "## Chain rule")
        yield from _ledger(explanation.chain, decimals)


def _sentence(title: str) -> str:
    """A title as a sentence. A name that it begins with, such as hidden.weight[0][1], stays as it is."""
    begins_with_name = "." in title.partition(" ")[0]
    return (title if begins_with_name else title[:1].upper() + title[1:]) + "."


def _many(explanations: Sequence[Explanation], decimals: int) -> Iterator[str]:
    """Numbered steps, under the name of the pass that they belong to."""
    group = ""
    for number, explanation in enumerate(explanations, 1):
        own = GROUPS.get(explanation.kind, LAST_GROUP)
        if own != group:
            yield from ("", f"## {own}")
            group = own
        mark = f"{number}. "
        yield ""
        yield f"{mark}{explanation.title}: `{explanation.of}`"
        yield ""
        yield from _indented(_equations(explanation, decimals), len(mark) + 4)


def _equations(explanation: Explanation, decimals: int) -> Iterator[str]:
    """The formula, the numbers put in, and the value, below each other."""
    symbol = to_text(explanation.symbol)
    formula = to_text(explanation.formula, decimals)
    numbers = to_text(elided(put_in(explanation.full, by_plain_name(explanation.terms))), decimals)
    value = _number(explanation.value, decimals)
    yield f"{symbol} = {formula}"
    last = formula
    for line in (numbers, value):
        if line != last:
            yield f"{' ' * len(symbol)} = {line}"
        last = line


def _table(terms: Sequence[Term], decimals: int) -> Iterator[str]:
    rows = [("term", "symbol", "value")]
    for term in terms:
        name = term.of or ""
        if term.revision is not None:
            name += f" (revision {term.revision}{'' if term.epoch is None else f', epoch {term.epoch}'})"
        rows.append((name, to_text(term.symbol), _number(term.value, decimals)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for position, row in enumerate(rows):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if position == 0:
            yield "| " + " | ".join("-" * width for width in widths) + " |"


def _ledger(chain: Chain, decimals: int) -> Iterator[str]:
    for share in chain.samples:
        ways = "" if len(share.paths) == 1 else f", by {len(share.paths)} ways"
        yield from ("", f"Sample {share.sample + 1} adds {_number(share.value, decimals)}{ways}:")
        for path in share.paths:
            yield ""
            yield from _indented(_product(path, decimals), 4)
    if chain.more_count:
        yield from ("", f"The other samples, {chain.more_count}, add {_number(chain.more_value, decimals)}.")


def _product(path: Path, decimals: int) -> Iterator[str]:
    yield " × ".join(to_text(factor.symbol) for factor in path.factors)
    yield "= " + " × ".join(_in_parentheses(_number(factor.value, decimals)) for factor in path.factors)
    yield f"= {_number(path.value, decimals)}"


def _in_parentheses(number: str) -> str:
    return f"({number})" if number.startswith("-") else number


def _number(value: float, decimals: int) -> str:
    return to_text(Number(value, ""), decimals)  # a quantity: unlike a constant, it shows all its decimals


def _indented(lines: Iterator[str], by: int) -> Iterator[str]:
    return (" " * by + line for line in lines)
