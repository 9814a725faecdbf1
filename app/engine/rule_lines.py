"""An optimizer's rule as lines of Python on floats, in which no part of a formula is worked out twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from app.engine.expressions import Add, Call, Div, Expression, Mul, Neg, Number, Pow, Symbol
from app.engine.notation import plain_name, symbol_names, to_python
from app.engine.optimizers import Before, Optimizer

_SHARED = ("t", "rate", "norm")


class RuleLines(NamedTuple):
    """Lines over `t`, `rate` and `norm`: first those for all entries together, then those for each.

    In these an entry stands as {P}, its gradient as {G} and its slots as {S0}, {S1} …; what they become as new_{P} and
    so on. An update went before.
    """

    shared: list[str]
    own: list[str]


def rule_lines(optimizer: Optimizer) -> RuleLines:
    """The rule, with its clipping and options, in the order of operations that `Optimizer.update` has, too."""
    slots = {name: Symbol(f"S{k}") for k, name in enumerate(optimizer.slot_names())}
    writer = _Writer(optimizer, ["P", "G", *(slot.name for slot in slots.values())])
    g = Symbol("G")
    if optimizer.clip is not None:
        writer.write({"g": optimizer.clip.rule(g, Symbol("norm"))})
        g = Symbol("g")
    after = optimizer.rule(Before(Symbol("P"), g, slots, Symbol("rate")), first=False)
    writer.write({"new_{P}": after.p, **{f"new_{{{slots[name].name}}}": e for name, e in after.slots.items()}})
    return writer.lines


class _Writer:
    """Writes formulas, with a name for each part that stands in them again, or in which no entry is."""

    def __init__(self, optimizer: Optimizer, own: Sequence[str]) -> None:
        self.own = {*own, "g"}
        self.values: dict[str, float | str] = {plain_name(s): value for s, value in optimizer.letters(0).items()}
        self.values |= {name: name for name in (*_SHARED, "g")} | {name: f"{{{name}}}" for name in own}
        self.times: Counter[Expression] = Counter()
        self.named: dict[Expression, Symbol] = {}
        self.lines = RuleLines([], [])

    def write(self, results: dict[str, Expression]) -> None:
        formulas = {name: _with_products(e) for name, e in results.items()}
        for e in formulas.values():
            self._count(e)
        for name, e in formulas.items():
            self.lines.own.append(f"{name} = {to_python(self._shortened(e), self.values)}")

    def _count(self, e: Expression) -> None:
        self.times[e] += 1
        if self.times[e] == 1:
            for part in _parts(e):
                self._count(part)

    def _shortened(self, e: Expression) -> Expression:
        shared = self.own.isdisjoint(symbol_names(e))
        if isinstance(e, Number | Symbol) or not (shared or self.times[e] > 1):
            return _rebuilt(e, self._shortened)
        if e not in self.named:
            written = to_python(e if shared else _rebuilt(e, self._shortened), self.values)
            name = f"e{len(self.named)}"
            self.named[e], self.values[name] = Symbol(name), name
            (self.lines.shared if shared else self.lines.own).append(f"{name} = {written}")
        return self.named[e]


def _parts(e: Expression) -> Iterator[Expression]:
    """The operands of a node."""
    found: list[Expression] = []
    _rebuilt(e, lambda part: found.append(part) or part)  # type: ignore[func-returns-value]
    return iter(found)


def _rebuilt(e: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The node with other operands; a number or a letter has none."""
    match e:
        case Add(parts):
            return Add(tuple(map(change, parts)))
        case Mul(parts):
            return Mul(tuple(map(change, parts)))
        case Call(function, parts):
            return Call(function, tuple(map(change, parts)))
        case Div(left, right):
            return Div(change(left), change(right))
        case Pow(base, exponent):
            return Pow(change(base), change(exponent))
        case Neg(operand):
            return Neg(change(operand))
    return e


def _with_products(e: Expression) -> Expression:
    """The tree with x * x for each square of x."""
    if isinstance(e, Pow) and e.exponent == Number(2.0):
        return Mul((_with_products(e.base),) * 2)
    return _rebuilt(e, _with_products)
