"""Writers of formulas: text, LaTeX, MathML and Python.

>>> from app.engine.expressions import exp
>>> z = Symbol("z")
>>> to_text(1 / (1 + exp(-z)))
'1 / (1 + exp(-z))'
"""

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from html import escape
from itertools import count, pairwise
from typing import ClassVar

from typing_extensions import TypedDict

from app.engine.expressions import (
    Add,
    Call,
    Cases,
    Compare,
    Div,
    Equation,
    Expression,
    Formula,
    Function,
    Mul,
    Neg,
    Number,
    Partial,
    Pow,
    Relation,
    Sum,
    Symbol,
)

MANY = 50  # terms; more are written as a list, or left out for reading


def plain_name(symbol: Symbol | Partial, indices: Mapping[str, str] = {}) -> str:
    """The name `to_python` looks a symbol up by: `z`, `z_2_1` (name, sup, sub), `dL_dz_2_1`.

    A superscript or subscript found in `indices` is replaced by what it is mapped to there.
    """
    if isinstance(symbol, Partial):
        return f"d{plain_name(_top(symbol), indices)}_d{plain_name(symbol.by, indices)}"
    if not indices:
        return "_".join(filter(None, (symbol.name, symbol.sup, symbol.sub))).replace(",", "_")
    scripts = (part for script in (symbol.sup, symbol.sub) if script for part in script.split(","))
    return "_".join((symbol.name, *(indices.get(part, part) for part in scripts)))


class Written(TypedDict):
    """A formula in every notation meant for reading."""

    text: str
    latex: str
    mathml: str


def written(e: Formula, decimals: int | None = None) -> Written:
    """The formula as text, LaTeX and MathML."""
    return {
        "text": to_text(e, decimals),
        "latex": to_latex(e, decimals),
        "mathml": to_mathml(e, decimals),
    }


def to_text(e: Formula, decimals: int | None = None) -> str:
    """The formula in Unicode text: a raised number is a layer, and `^` a power.

    With `decimals`, numbers are written with so many, but whole constants (no `of`) and counts (`int`) stay whole, and
    what is not 0 but would seem so, with two digits and an exponent.
    """
    return _Text(decimals).write(e)


def to_latex(e: Formula, decimals: int | None = None) -> str:
    """The formula in LaTeX, for math mode; `decimals` as in `to_text`."""
    return _Latex(decimals).write(e)


def to_mathml(e: Formula, decimals: int | None = None) -> str:
    """The formula as a `<math>` element; `data-of` holds each `of`. `decimals` as in `to_text`."""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{_MathML(decimals).write(e)}</math>'


def to_python(e: Formula, values: Mapping[str, float | str] = {}) -> str:
    """The formula as Python at full precision, over `math`'s bare names and max, min, abs and sum.

    Symbols become the numbers, or the expressions given as strings, that `values` has for their `plain_name`;
    KeyError names a missing one. A `Sum` is written out for an index of 1, 2, ... up to its `upper`, or without
    one for as long as `values` has symbols of that index. An equation is worth its right side.
    """
    return _Python(values, {}).write(e)


def elided(e: Expression) -> Expression:
    """The tree for reading, with … for the middle of long sums."""
    match e:
        case Add(parts) if len(parts) > MANY:
            return Add((*map(elided, parts[:3]), Symbol("…"), elided(parts[-1])))
        case Add(parts):
            return Add(tuple(map(elided, parts)))
        case Mul(parts):
            return Mul(tuple(map(elided, parts)))
        case Call(function, parts):
            return Call(function, tuple(map(elided, parts)))
        case Neg(operand):
            return Neg(elided(operand))
        case Div(left, right):
            return Div(elided(left), elided(right))
    return e


def symbol_names(e: Expression) -> set[str]:
    """The plain names of the symbols in it."""
    return set(_names(e))


def _top(partial: Partial) -> Symbol:
    return Symbol(partial.top) if isinstance(partial.top, str) else partial.top


def _names(e: Formula, indices: Mapping[str, str] = {}) -> Iterator[str]:
    """The plain names of the symbols in it, those under a Σ for its first term."""
    match e:
        case Symbol() | Partial():
            yield plain_name(e, indices)
        case Sum(body, index):
            yield from _names(body, {**indices, index: "1"})
        case Neg(operand):
            yield from _names(operand, indices)
        case Div(left, right) | Pow(left, right) | Compare(left, _, right) | Equation(left, right):
            yield from _names(left, indices)
            yield from _names(right, indices)
        case Add(parts) | Mul(parts) | Call(_, parts):
            for part in parts:
                yield from _names(part, indices)
        case Cases(branches, otherwise):
            for value, when in branches:
                yield from _names(value, indices)
                yield from _names(when, indices)
            yield from _names(otherwise, indices)


def _is_numeric(e: Expression) -> bool:
    return next(_names(e), None) is None


def _starts_with_number(e: Expression) -> bool:
    match e:
        case Mul((first, *_)) | Div(first) | Pow(first):
            return _starts_with_number(first)
    return isinstance(e, Number)


def _ends_in_sum(e: Expression) -> bool:
    """Whether what is written after it would seem to be under its Σ."""
    match e:
        case Mul((*_, last)) | Div(_, last):
            return _ends_in_sum(last)
    return isinstance(e, Sum)


def _is_word(e: Expression) -> bool:
    return isinstance(e, Symbol) and len(e.name) > 1 and e.name not in _GREEK


_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon "
    "phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_GREEK = dict(zip(_LETTERS.split(), "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", strict=True))
_RAISED = str.maketrans("0123456789abcdefghijklmnoprstuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ")
_LOWERED = str.maketrans("0123456789=aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₌ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")

# How tightly an expression holds together; below what its place asks for, it is put in parentheses.
_LOOSE, _SUM, _NEGATIVE, _PRODUCT, _POWER, _ATOM = range(6)
_LEVELS: dict[type, int] = {
    Compare: _LOOSE, Equation: _LOOSE, Add: _SUM, Neg: _NEGATIVE, Mul: _PRODUCT, Sum: _PRODUCT, Pow: _POWER,
    Partial: _POWER, Call: _ATOM,
}  # fmt: skip


class _Writer:
    """Writes a formula into the templates of a notation; those here are of plain lines of characters."""

    plus, minus, negative, times, beside, comma = " + ", " - ", "-", " × ", " ", ", "
    relations: ClassVar[dict[Relation, str]] = {op: f" {op} " for op in (">", ">=", "<", "<=", "=")}
    row, parens, partial, div, pow, sum = "%s", "(%s)", "∂%s/∂%s", "%s / %s", "%s^%s", "Σ%s %s"
    call = "%s(%s)"
    calls: ClassVar[dict[Function, str]] = {}  # the functions that have a template of their own
    case, cases = "%s if %s; ", "{ %s%s otherwise }"
    flat = True  # fractions and exponents do not show by their position what belongs to them
    cases_level = _LOOSE
    exponent_level = _ATOM  # of a number such as 1e-8
    last_factor_level = _PRODUCT

    def __init__(self, decimals: int | None = None) -> None:
        self.decimals = decimals

    def write(self, e: Formula, at_least: int = _LOOSE) -> str:
        body = self.body(e)
        return self.parens % body if at_least and self.level(e) < at_least else body

    def level(self, e: Formula) -> int:
        if isinstance(e, Number):
            figures = self.figures(e)
            return _NEGATIVE if figures.startswith("-") else self.exponent_level if "e" in figures else _ATOM
        if isinstance(e, Symbol):  # a raised layer leaves no place for an exponent
            return _ATOM if e.sup is None else _POWER
        if isinstance(e, Div):
            return _PRODUCT if self.flat else _POWER
        return self.cases_level if isinstance(e, Cases) else _LEVELS[type(e)]

    def body(self, e: Formula) -> str:
        match e:
            case Number(_, of):
                return self.number(self.figures(e), of)
            case Symbol(name, sup, sub, of):
                return self.tag(self.scripted(name, sup, sub), of)
            case Partial(_, by, of):
                return self.tag(self.partial % (self.write(_top(e)), self.write(by)), of)
            case Add(terms):
                return self.row % "".join(self.signed(terms))
            case Mul(factors):
                return self.row % "".join(self.multiplied(factors))
            case Neg(operand):
                return self.row % (self.negative + self.write(operand, _PRODUCT))
            case Div(left, right) if self.flat:
                above = _ATOM if _ends_in_sum(left) else _PRODUCT
                below = {Sum: _PRODUCT, Partial: _ATOM}.get(type(right), _POWER)
                return self.div % (self.write(left, above), self.write(right, below))
            case Div(left, right):
                return self.div % (self.write(left), self.write(right))
            case Pow(base, exponent):
                return self.pow % (
                    self.write(base, _ATOM),
                    self.write(exponent, _POWER if self.flat else _LOOSE),
                )
            case Call(function, args):
                inside = self.comma.join(map(self.write, args))
                return self.calls[function] % inside if function in self.calls else self.call % (function, inside)
            case Sum(body, index, upper):
                return self.sum % (self.bounds(index, upper), self.write(body, _PRODUCT))
            case Cases(branches, otherwise):
                parts = [self.case % (self.write(value, _SUM), self.write(when)) for value, when in branches]
                return self.cases % ("".join(parts), self.write(otherwise))
            case Compare(left, op, right):
                return self.row % (self.write(left, _SUM) + self.relations[op] + self.write(right, _SUM))
            case Equation(left, right):
                return self.row % (self.write(left) + self.relations["="] + self.write(right))
        raise TypeError(f"not a formula: {e!r}")

    def signed(self, terms: tuple[Expression, ...]) -> Iterator[str]:
        yield self.write(terms[0], _NEGATIVE)
        for term in terms[1:]:
            if isinstance(term, Neg):
                yield self.minus + self.write(term.operand, _PRODUCT)
            else:
                yield self.plus + self.write(term, _PRODUCT)

    def multiplied(self, factors: tuple[Expression, ...]) -> Iterator[str]:
        for left, right in pairwise(factors):
            yield self.write(left, _POWER) + self.joint(left, right)
        yield self.write(factors[-1], self.last_factor_level)

    def joint(self, left: Expression, right: Expression) -> str:
        if self.flat and isinstance(left, Partial):  # the right factor would seem to be under its stroke
            return self.times
        numbers_meet = _starts_with_number(right) or (_is_numeric(left) and _is_numeric(right))
        return self.times if numbers_meet else self.beside

    def figures(self, e: Number) -> str:
        value = float(e.value)
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
        if self.decimals is None or isinstance(e.value, int) or (e.of is None and value.is_integer()):
            return _short_exponent(repr(value).removesuffix(".0"))
        if round(value, self.decimals) == 0 != value:
            return _short_exponent(f"{value:.1e}")
        return f"{value:z.{self.decimals}f}"

    def number(self, figures: str, of: str | None) -> str:
        return figures

    def scripted(self, name: str, sup: str | None, sub: str | None) -> str:
        return _GREEK.get(name, name) + _raised(sup or "") + _lowered(sub or "")

    def bounds(self, index: str, upper: str | None) -> str:
        return _lowered(f"{index}=1") + _raised(upper) if upper else _lowered(index)

    def tag(self, written: str, of: str | None) -> str:
        return written


class _Text(_Writer):
    relations: ClassVar[dict[Relation, str]] = {**_Writer.relations, ">=": " ≥ ", "<=": " ≤ "}
    calls: ClassVar[dict[Function, str]] = {"abs": "|%s|"}
    cases_level = _ATOM


class _Latex(_Writer):
    times = r" \times "
    relations: ClassVar[dict[Relation, str]] = {**_Writer.relations, ">=": r" \ge ", "<=": r" \le "}
    parens = r"\left(%s\right)"
    partial, div, pow = r"\frac{\partial %s}{\partial %s}", r"\frac{%s}{%s}", "%s^{%s}"
    sum = r"\sum_{%s} %s"
    call = r"\operatorname{%s}\left(%s\right)"
    calls: ClassVar[dict[Function, str]] = {
        "abs": r"\left|%s\right|",
        "sqrt": r"\sqrt{%s}",
        "exp": r"\exp\left(%s\right)",
        "log": r"\log\left(%s\right)",
        "tanh": r"\tanh\left(%s\right)",
        "cos": r"\cos\left(%s\right)",
        "sin": r"\sin\left(%s\right)",
        "max": r"\max\left(%s\right)",
        "min": r"\min\left(%s\right)",
    }
    signs: ClassVar[dict[str, str]] = {"‖∇L‖": r"\lVert \nabla L \rVert", "…": r"\cdots"}
    case = r"%s & \text{if } %s \\ "
    cases = r"\begin{cases} %s%s & \text{otherwise} \end{cases}"
    flat, exponent_level = False, _POWER

    def joint(self, left: Expression, right: Expression) -> str:
        joint = _Writer.joint(self, left, right)
        return r" \, " if joint == self.beside and (_is_word(left) or _is_word(right)) else joint

    def number(self, figures: str, of: str | None) -> str:
        mantissa, e, exponent = figures.partition("e")
        if e:
            return rf"{mantissa} \times 10^{{{exponent}}}"
        return mantissa.replace("∞", r"\infty").replace("NaN", r"\mathrm{NaN}")

    def names(self, script: str) -> str:
        return ",".join(map(self.name, script.split(",")))

    def name(self, name: str) -> str:
        if name in _GREEK:
            return f"\\{name}"
        if name in self.signs:
            return self.signs[name]
        if len(name) == 1 or name.isdecimal():
            return name
        escaped = re.sub(r"([_%&#$])", r"\\\1", name)
        return rf"\mathrm{{{escaped}}}"

    def scripted(self, name: str, sup: str | None, sub: str | None) -> str:
        raised = f"^{{({self.names(sup)})}}" if sup else ""
        return self.name(name) + raised + (f"_{{{self.names(sub)}}}" if sub else "")

    def bounds(self, index: str, upper: str | None) -> str:
        return f"{self.name(index)}=1}}^{{{self.name(upper)}" if upper else self.name(index)


class _MathML(_Writer):
    plus, minus, negative, times = "<mo>+</mo>", "<mo>−</mo>", "<mo>−</mo>", "<mo>×</mo>"
    beside, comma = '<mo rspace="0.167em">\u2062</mo>', "<mo>,</mo>"  # an invisible times, a thin space wide
    relations: ClassVar[dict[Relation, str]] = {
        ">": "<mo>&gt;</mo>",
        ">=": "<mo>≥</mo>",
        "<": "<mo>&lt;</mo>",
        "<=": "<mo>≤</mo>",
        "=": "<mo>=</mo>",
    }
    row, parens = "<mrow>%s</mrow>", "<mrow><mo>(</mo>%s<mo>)</mo></mrow>"
    partial = "<mfrac><mrow><mo>∂</mo>%s</mrow><mrow><mo>∂</mo>%s</mrow></mfrac>"
    div, pow, sum = "<mfrac>%s%s</mfrac>", "<msup>%s%s</msup>", "<mrow>%s%s</mrow>"
    call = "<mrow><mi>%s</mi><mo>\u2061</mo><mrow><mo>(</mo>%s<mo>)</mo></mrow></mrow>"
    calls: ClassVar[dict[Function, str]] = {
        "abs": "<mrow><mo>|</mo>%s<mo>|</mo></mrow>",
        "sqrt": "<msqrt>%s</msqrt>",
    }
    signs: ClassVar[dict[str, str]] = {
        "‖∇L‖": "<mrow><mo>‖</mo><mrow><mo>∇</mo><mi>L</mi></mrow><mo>‖</mo></mrow>",
        "…": "<mo>⋯</mo>",
    }
    case = "<mtr><mtd>%s</mtd><mtd><mtext>if </mtext>%s</mtd></mtr>"
    cases = "<mrow><mo>{</mo><mtable>%s<mtr><mtd>%s</mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable></mrow>"
    flat, exponent_level = False, _POWER

    def number(self, figures: str, of: str | None = None) -> str:
        mantissa, e, exponent = figures.partition("e")
        digits = self.tag(f"<mn>{mantissa}</mn>", of)
        if not e:
            return digits
        size = f"<mn>{exponent.removeprefix('-')}</mn>"
        power = self.pow % ("<mn>10</mn>", self.row % (self.negative + size) if exponent.startswith("-") else size)
        return self.row % (digits + self.times + power)

    def names(self, script: str) -> str:
        first, *others = map(self.name, script.split(","))
        return self.row % self.comma.join((first, *others)) if others else first

    def name(self, name: str) -> str:
        if name in self.signs:
            return self.signs[name]
        return self.number(name) if name.isdecimal() else f"<mi>{escape(_GREEK.get(name, name))}</mi>"

    def scripted(self, name: str, sup: str | None, sub: str | None) -> str:
        parts = self.name(name) + (self.names(sub) if sub else "")
        parts += self.parens % self.names(sup) if sup else ""
        tag = f"m{'sub' if sub else ''}{'sup' if sup else ''}"
        return f"<{tag}>{parts}</{tag}>" if sub or sup else parts

    def bounds(self, index: str, upper: str | None) -> str:
        if upper is None:
            return f"<munder><mo>∑</mo>{self.name(index)}</munder>"
        start = self.row % f"{self.name(index)}<mo>=</mo><mn>1</mn>"
        return f"<munderover><mo>∑</mo>{start}{self.name(upper)}</munderover>"

    def tag(self, written: str, of: str | None) -> str:
        return written if of is None else written.replace(">", f' data-of="{escape(of)}">', 1)


class _Python(_Writer):
    times = beside = " * "
    relations: ClassVar[dict[Relation, str]] = {**_Writer.relations, "=": " == "}
    pow, case, cases = "%s ** %s", "%s if %s else ", "%s%s"
    last_factor_level = _POWER  # a * (b / c) is not rounded as a * b / c is

    def __init__(self, values: Mapping[str, float | str], indices: Mapping[str, str]) -> None:
        super().__init__()
        self.values = values
        self.indices = indices

    def write(self, e: Formula, at_least: int = _LOOSE) -> str:
        """Write what has no notation in Python by what it amounts to."""
        if isinstance(e, Number):
            return _Writer.write(self, e, at_least)
        match e:
            case Symbol() | Partial():
                name = plain_name(e, self.indices)
                value = self.indices[name] if name in self.indices else self.values[name]
                if isinstance(value, str) and name not in self.indices:
                    return value
                e = Number(float(value))
            case Call("sign", (x,)):  # otherwise it is a zero, or not a number
                e = Cases(((1, Compare(x, ">", 0)), (-1, Compare(x, "<", 0))), x)
            case Sum(body, index, upper):
                return f"sum([{', '.join(self.unrolled(body, index, upper))}])"
            case Add(terms) if len(terms) > MANY:  # a chain of operators would be nested too deep for Python
                return f"sum([{', '.join(map(self.write, terms))}])"
            case Equation(_, right):
                return self.write(right, at_least)
        return _Writer.write(self, e, at_least)

    def figures(self, e: Number) -> str:
        value = float(e.value)  # an infinity is written as a literal too large for a float
        return "(1e999 - 1e999)" if math.isnan(value) else repr(value).replace("inf", "1e999")

    def unrolled(self, body: Expression, index: str, upper: str | None) -> Iterator[str]:
        names = list(_names(body, {**self.indices, index: index}))
        last = None if upper is None else int(upper if upper.isdecimal() else self.values[upper])
        for i in count(1) if last is None else range(1, last + 1):
            indices = {**self.indices, index: str(i)}
            if last is None:
                own = {new for old, new in zip(names, _names(body, indices), strict=True) if new != old}
                if not own:
                    raise ValueError(f"the sum over {index} needs an upper limit: no symbol has that index")
                if i > 1 and own.isdisjoint(self.values):
                    return
            yield _Python(self.values, indices).write(body)


def _short_exponent(figures: str) -> str:
    """Python's 1e-08 and 1e+16 as 1e-8 and 1e16."""
    mantissa, e, exponent = figures.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else figures


@lru_cache(maxsize=4096)
def _raised(script: str) -> str:
    raised = script.translate(_RAISED)
    return raised if _all_found(script, raised) else f"^({script})"


@lru_cache(maxsize=4096)
def _lowered(script: str) -> str:
    lowered = script.translate(_LOWERED)
    if _all_found(script, lowered):
        return lowered
    return f"_{script}" if script.isalnum() else f"_({script})"


def _all_found(script: str, translated: str) -> bool:
    return all(old != new or old == "," for old, new in zip(script, translated, strict=True))
