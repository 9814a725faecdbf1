import doctest
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine import notation
from app.engine.expressions import (
    Add,
    Call,
    Cases,
    Compare,
    Div,
    Equation,
    Expression,
    Formula,
    Mul,
    Neg,
    Number,
    Partial,
    Pow,
    Sum,
    Symbol,
    abs_,
    cos,
    erf,
    exp,
    expm1,
    log,
    log1p,
    max_,
    min_,
    sign,
    sin,
    sqrt,
    tanh,
)
from app.engine.notation import plain_name, to_latex, to_mathml, to_python, to_text, written

MATHML = "{http://www.w3.org/1998/Math/MathML}"
NAMES = {name: getattr(math, name) for name in ("exp", "log", "log1p", "expm1", "tanh", "sqrt", "erf", "cos", "sin")}
NAMES |= {"max": max, "min": min, "abs": abs, "sum": sum, "__builtins__": {}}

z, a, b, w, y = map(Symbol, "zabwy")
alpha = Symbol("alpha")
n_in = Symbol("n", sub="in")
z_i, z_j, a_i, y_i = Symbol("z", sub="i"), Symbol("z", sub="j"), Symbol("a", sub="i"), Symbol("y", sub="i")
z21 = Symbol("z", sup="2", sub="1")
weighted = Number(0.15, "w[0]") * Number(0.05, "x[0]") + Number(-0.2, "w[1]") * Number(0.1, "x[1]") + Number(-0.35, "b")


@pytest.mark.parametrize(
    ("formula", "text", "latex"),
    [
        (1 / (1 + exp(-z)), "1 / (1 + exp(-z))", r"\frac{1}{1 + \exp\left(-z\right)}"),
        (
            exp(z_i) / Sum(exp(z_j), "j"),
            "exp(zᵢ) / Σⱼ exp(zⱼ)",
            r"\frac{\exp\left(z_{i}\right)}{\sum_{j} \exp\left(z_{j}\right)}",
        ),
        (
            0.5 * z * (1 + erf(z / sqrt(2))),
            "0.5 z (1 + erf(z / sqrt(2)))",
            r"0.5 z \left(1 + \operatorname{erf}\left(\frac{z}{\sqrt{2}}\right)\right)",
        ),
        (
            Cases(((z, Compare(z, ">", 0)),), alpha * expm1(z)),
            "{ z if z > 0; α expm1(z) otherwise }",
            r"\begin{cases} z & \text{if } z > 0 \\ "
            r"\alpha \operatorname{expm1}\left(z\right) & \text{otherwise} \end{cases}",
        ),
        (
            0.5 * Sum((a_i - y_i) ** 2, "i"),
            "0.5 Σᵢ (aᵢ - yᵢ)^2",
            r"0.5 \sum_{i} \left(a_{i} - y_{i}\right)^{2}",
        ),
        (
            -y * log(a) - (1 - y) * log1p(-a),
            "-y log(a) - (1 - y) log1p(-a)",
            r"-y \log\left(a\right) - \left(1 - y\right) \operatorname{log1p}\left(-a\right)",
        ),
        (
            weighted,
            "0.15 × 0.05 + (-0.2) × 0.1 + (-0.35)",
            r"0.15 \times 0.05 + \left(-0.2\right) \times 0.1 + \left(-0.35\right)",
        ),
        (Partial("L", z21), "∂L/∂z²₁", r"\frac{\partial L}{\partial z^{(2)}_{1}}"),
        (
            Equation(Partial("L", w), Partial("L", a) * Partial(a, z) * a),
            "∂L/∂w = ∂L/∂a × ∂a/∂z × a",
            r"\frac{\partial L}{\partial w} = \frac{\partial L}{\partial a} \frac{\partial a}{\partial z} a",
        ),
        (
            1 / Partial("L", z) ** 2,
            "1 / (∂L/∂z)^2",
            r"\frac{1}{\left(\frac{\partial L}{\partial z}\right)^{2}}",
        ),
        (1 / Partial("L", z), "1 / (∂L/∂z)", r"\frac{1}{\frac{\partial L}{\partial z}}"),
        (z21**2, "(z²₁)^2", r"\left(z^{(2)}_{1}\right)^{2}"),
        (w * a + b, "w a + b", "w a + b"),
        (a - (b + z) + -w - y * z, "a - (b + z) - w - y z", r"a - \left(b + z\right) - w - y z"),
        (a * -b - -z, "a (-b) - (-z)", r"a \left(-b\right) - \left(-z\right)"),
        (w * 0.5 * z, "w × 0.5 z", r"w \times 0.5 z"),
        (Number(0.6) * (1 - Number(0.6)), "0.6 × (1 - 0.6)", r"0.6 \times \left(1 - 0.6\right)"),
        (a / b / z, "a / b / z", r"\frac{\frac{a}{b}}{z}"),
        (a / (b / z), "a / (b / z)", r"\frac{a}{\frac{b}{z}}"),
        (a / (b * z) * (w / y), "(a / (b z)) w / y", r"\frac{a}{b z} \frac{w}{y}"),
        (-z / 2, "-z / 2", r"-\frac{z}{2}"),
        ((-a) ** 2 + -(a**2), "(-a)^2 - a^2", r"\left(-a\right)^{2} - a^{2}"),
        (
            2**a**b + (2**a) ** b + a**-1,
            "2^a^b + (2^a)^b + a^(-1)",
            r"2^{a^{b}} + \left(2^{a}\right)^{b} + a^{-1}",
        ),
        (
            Sum(z_j, "j", "n") / Symbol("n") - Sum(z_j, "j") * w,
            "(Σⱼ₌₁ⁿ zⱼ) / n - (Σⱼ zⱼ) w",
            r"\frac{\sum_{j=1}^{n} z_{j}}{n} - \left(\sum_{j} z_{j}\right) w",
        ),
        (a * Sum(w + z_j, "j") / b, "(a Σⱼ (w + zⱼ)) / b", r"\frac{a \sum_{j} \left(w + z_{j}\right)}{b}"),
        (abs_(z) + sign(z) + max_(0, z, b), "|z| + sign(z) + max(0, z, b)", None),
        (
            2 * Cases(((1, Compare(z, ">=", 0)), (a, Compare(z, "<=", -1))), 0),
            "2 { 1 if z ≥ 0; a if z ≤ -1; 0 otherwise }",
            r"2 \left(\begin{cases} 1 & \text{if } z \ge 0 \\ a & \text{if } z \le -1 \\ "
            r"0 & \text{otherwise} \end{cases}\right)",
        ),
        (Symbol("w_hh", sup="l", sub="j,i"), "w_hhˡⱼ,ᵢ", r"\mathrm{w\_hh}^{(l)}_{j,i}"),
        (Sum(Symbol("Phi", sup="Q", sub="b"), "b"), "Σ_b Φ^(Q)_b", r"\sum_{b} \Phi^{(Q)}_{b}"),
        (Symbol("rate") * z / n_in, "rate z / nᵢₙ", r"\frac{\mathrm{rate} \, z}{n_{\mathrm{in}}}"),
        (Symbol("z", sub="max"), "zₘₐₓ", r"z_{\mathrm{max}}"),
        (Symbol("z", sub="i-1"), "z_(i-1)", r"z_{\mathrm{i-1}}"),
    ],
)
def test_text_and_latex(formula: Formula, text: str, latex: str | None) -> None:
    assert to_text(formula) == text
    assert latex is None or to_latex(formula) == latex
    assert written(formula) == {"text": text, "latex": to_latex(formula), "mathml": to_mathml(formula)}


@pytest.mark.parametrize(
    ("number", "decimals", "text", "latex", "python"),
    [
        (Number(3), None, "3", "3", "3.0"),
        (Number(0.1 + 0.2), None, "0.30000000000000004", "0.30000000000000004", "0.30000000000000004"),
        (Number(0.593269992), 5, "0.59327", "0.59327", "0.593269992"),
        (Number(1), 5, "1", "1", "1.0"),
        (Number(1.0, "hidden.a[0]"), 5, "1.00000", "1.00000", "1.0"),
        (Number(-1e-9), 2, "-1.0e-9", r"-1.0 \times 10^{-9}", "-1e-09"),
        (Number(-1e-9), None, "-1e-9", r"-1 \times 10^{-9}", "-1e-09"),
        (Number(math.inf), 2, "∞", r"\infty", "1e999"),
        (Number(-math.inf), None, "-∞", r"-\infty", "-1e999"),
        (Number(math.nan), 2, "NaN", r"\mathrm{NaN}", "(1e999 - 1e999)"),
    ],
)
def test_numbers(number: Number, decimals: int | None, text: str, latex: str, python: str) -> None:
    assert to_text(number, decimals) == text
    assert to_latex(number, decimals) == latex
    assert to_python(number) == python
    inside = "".join(ET.fromstring(to_mathml(number, decimals)).itertext())
    assert inside == latex.replace(r" \times 10^{-", "×10−").strip("}") or inside == text


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.0006, 5, "0.00060"), (0.00001, 5, "0.00001"), (0.0000051, 5, "0.00001"), (0.0000049, 5, "4.9e-6"),
        (-0.0000049, 5, "-4.9e-6"), (0.0, 5, "0.00000"), (-0.0, 5, "0.00000"), (1e-8, 5, "1.0e-8"),
        (0.4, 0, "4.0e-1"), (0.6, 0, "1"), (5e-324, 12, "4.9e-324"), (0.0049, 2, "4.9e-3"),
    ],
)  # fmt: skip
def test_what_is_not_0_does_not_read_as_0(value: float, decimals: int, text: str) -> None:
    assert to_text(Number(value, "w"), decimals) == text
    assert (r"\times 10^{" in to_latex(Number(value, "w"), decimals)) is ("e" in text)


def test_powers_of_ten_in_a_formula() -> None:
    """They hold together as a power does: as a base they stand in parentheses, as a factor they need none."""
    small, w = Number(5e-9, "small"), Number(0.5, "w")
    assert to_text(small**2 + w * small, 5) == "5.0e-9^2 + 0.50000 × 5.0e-9"
    assert to_latex(small**2, 5) == r"\left(5.0 \times 10^{-9}\right)^{2}"
    assert to_latex(small * w - -small, 5) == r"5.0 \times 10^{-9} \times 0.50000 - \left(-5.0 \times 10^{-9}\right)"
    assert to_latex(w / (1 + Number(1e20)), 5) == r"\frac{0.50000}{1 + 1 \times 10^{20}}"
    assert to_python(small * w) == "5e-09 * 0.5"
    root = ET.fromstring(to_mathml(w / small + Number(1e20), 5))
    assert [(e.text, e.get("data-of")) for e in root.iter(f"{MATHML}mn")] == [
        ("0.50000", "w"), ("5.0", "small"), ("10", None), ("9", None), ("1", None), ("10", None), ("20", None),
    ]  # fmt: skip
    assert "".join(root.itertext()) == "0.500005.0×10−9+1×1020"
    assert [len(e) for e in root.iter(f"{MATHML}msup")] == [2, 2]
    assert [len(e) for e in root.iter(f"{MATHML}mfrac")] == [2]


def test_signs_that_are_no_letters() -> None:
    norm = Symbol("‖∇L‖")
    assert to_text(norm + Symbol("…")) == "‖∇L‖ + …"
    assert to_latex(norm + Symbol("…")) == r"\lVert \nabla L \rVert + \cdots"
    root = ET.fromstring(to_mathml(norm + Symbol("…")))
    assert [(e.tag.removeprefix(MATHML), e.text) for e in root.iter() if e.text] == [
        ("mo", "‖"), ("mo", "∇"), ("mi", "L"), ("mo", "‖"), ("mo", "+"), ("mo", "⋯"),
    ]  # fmt: skip


def test_mathml_tells_what_each_number_stands_for() -> None:
    root = ET.fromstring(to_mathml(weighted, decimals=3))
    assert root.tag == f"{MATHML}math"
    assert {number.get("data-of"): number.text for number in root.iter(f"{MATHML}mn")} == {
        "w[0]": "0.150",
        "x[0]": "0.050",
        "w[1]": "-0.200",
        "x[1]": "0.100",
        "b": "-0.350",
    }


def test_mathml_escapes() -> None:
    formula = Equation(Partial("L", Symbol("<&>", of="s"), of="p"), Number(1, "\"a\" & '<b>'"))
    root = ET.fromstring(to_mathml(formula))
    assert [e.get("data-of") for e in root.iter() if e.get("data-of")] == ["p", "s", "\"a\" & '<b>'"]
    assert "∂<&>" in "".join(root.itertext())


@pytest.mark.parametrize(
    ("formula", "mathml"),
    [
        (
            z21,
            "<msubsup><mi>z</mi><mn>1</mn><mrow><mo>(</mo><mn>2</mn><mo>)</mo></mrow></msubsup>",
        ),
        (Symbol("lambda", sub="j,1"), "<msub><mi>λ</mi><mrow><mi>j</mi><mo>,</mo><mn>1</mn></mrow></msub>"),
        (w * a, '<mrow><mi>w</mi><mo rspace="0.167em">\u2062</mo><mi>a</mi></mrow>'),
        (
            Sum(z, "j", "3"),
            "<mrow><munderover><mo>∑</mo><mrow><mi>j</mi><mo>=</mo><mn>1</mn></mrow><mn>3</mn></munderover>"
            "<mi>z</mi></mrow>",
        ),
        (
            abs_(-(sqrt(z) ** 2)) / 2,
            "<mfrac><mrow><mo>|</mo><mrow><mo>−</mo><msup><msqrt><mi>z</mi></msqrt><mn>2</mn></msup></mrow>"
            "<mo>|</mo></mrow><mn>2</mn></mfrac>",
        ),
        (
            Cases(((min_(z, 1), Compare(z, "<", 0)),), 0),
            "<mrow><mo>{</mo><mtable><mtr><mtd><mrow><mi>min</mi><mo>\u2061</mo><mrow><mo>(</mo>"
            "<mi>z</mi><mo>,</mo><mn>1</mn><mo>)</mo></mrow></mrow></mtd><mtd><mtext>if </mtext>"
            "<mrow><mi>z</mi><mo>&lt;</mo><mn>0</mn></mrow></mtd></mtr>"
            "<mtr><mtd><mn>0</mn></mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable></mrow>",
        ),
    ],
)
def test_mathml(formula: Formula, mathml: str) -> None:
    assert to_mathml(formula) == f'<math xmlns="http://www.w3.org/1998/Math/MathML">{mathml}</math>'


def test_python_looks_symbols_up_by_plain_name() -> None:
    assert plain_name(z21) == "z_2_1"
    assert plain_name(Partial(a, z21)) == "da_dz_2_1"
    formula = Equation(w, Partial("L", z21) * z21 - alpha)
    assert to_python(formula, {"dL_dz_2_1": -0.5, "z_2_1": 2, "alpha": 1e-3}) == "(-0.5) * 2.0 - 0.001"
    with pytest.raises(KeyError, match="dL_dz_2_1"):
        to_python(formula)


def test_python_unrolls_sums() -> None:
    values = {"z_1": 1.0, "z_2": 2.0, "z_3": 3.0, "n": 2, "w": 5.0}
    assert to_python(Sum(z_j, "j", "0"), values) == "sum([])"
    assert to_python(Sum(z_j, "j"), values) == "sum([1.0, 2.0, 3.0])"
    assert to_python(Sum(z_j, "j", "n") / Symbol("n"), values) == "sum([1.0, 2.0]) / 2.0"
    assert to_python(Sum(w * Symbol("j"), "j", "2"), values) == "sum([5.0 * 1.0, 5.0 * 2.0])"
    z_1 = Symbol("z", sub="1")
    assert to_python(Sum(z_j - z_1, "j"), {"z_1": 1, "z_2": 2}) == "sum([1.0 - 1.0, 2.0 - 1.0])"
    w_ji, x_i = Symbol("w", sub="j,i"), Symbol("x", sub="i")
    grid = {"w_1_1": 1, "w_1_2": 2, "w_2_1": 3, "w_2_2": 4, "x_1": 5, "x_2": 6}
    nested = Sum(Sum(w_ji * x_i, "i"), "j")
    negated = Sum(Cases(((-x_i, Compare(x_i, ">", 5)),), x_i), "i")
    assert to_python(negated, grid) == "sum([-5.0 if 5.0 > 5.0 else 5.0, -6.0 if 6.0 > 5.0 else 6.0])"
    assert to_python(nested, grid) == "sum([sum([1.0 * 5.0, 2.0 * 6.0]), sum([3.0 * 5.0, 4.0 * 6.0])])"
    with pytest.raises(KeyError, match="w_2_2"):  # rather than a term too few
        to_python(nested, {name: value for name, value in grid.items() if name != "w_2_2"})
    with pytest.raises(KeyError, match="z_4"):
        to_python(Sum(z_j, "j", "4"), values)
    with pytest.raises(KeyError, match="b_1"):
        to_python(Sum(Symbol("b", sub="j"), "j"), values)
    with pytest.raises(ValueError, match="upper limit"):
        to_python(Sum(w, "j"), values)


def test_plain_numbers_are_lifted() -> None:
    assert 2 * z == Mul((Number(2), z))
    assert Compare(z, ">", 0) == Compare(z, ">", Number(0))
    assert Equation(z, 0) == Equation(z, Number(0))
    assert Cases([(1, Compare(z, ">", 0))], 0) == Cases([(Number(1), Compare(z, ">", 0))], Number(0))


def test_a_long_chain_is_no_deep_tree() -> None:
    total: Expression = Number(0)
    product: Expression = Number(1)
    for i in range(1, 1001):
        total, product = total - i, product * z
    assert eval(to_python(total), NAMES) == -500500
    assert to_text(total).startswith("0 - 1 - 2 - 3")
    assert to_text(product) == "1 " + " ".join("z" * 1000)
    assert len(ET.fromstring(to_mathml(total))[0]) == 2001


def test_only_formulas_are_written() -> None:
    with pytest.raises(TypeError, match="not a formula"):
        to_text("z")  # type: ignore[arg-type]


def test_docstring() -> None:
    assert doctest.testmod(notation).failed == 0


VALUES = {"z": -1.5, "alpha": 0.1, "z_2_1": 0.25, "dL_dz": 3.0, "x_1": -2.0, "x_2": 0.5, "x_3": math.inf}
FUNCTIONS = [exp, log, log1p, expm1, tanh, sqrt, erf, cos, sin, abs_, sign]


def evaluate(e: Expression, values: Mapping[str, float]) -> float:
    """The value of a tree, found without writing it."""

    def of(part: Expression) -> float:
        return evaluate(part, values)

    match e:
        case Number(number):
            return number
        case Symbol(sub="j"):
            return values[f"x_{int(values['j'])}"]
        case Symbol(sup="2"):
            return values["z_2_1"]
        case Symbol(name):
            return values[name]
        case Partial():
            return values["dL_dz"]
        case Add(terms):
            total, *others = map(of, terms)
            for other in others:
                total += other
            return total
        case Mul(factors):
            product, *others = map(of, factors)
            for other in others:
                product *= other
            return product
        case Div(left, right):
            return of(left) / of(right)
        case Pow(base, exponent):
            power: float = of(base) ** of(exponent)
            return power
        case Neg(operand):
            return -of(operand)
        case Call("sign", (arg,)):
            x = of(arg)
            return math.copysign(1.0, x) if abs(x) > 0 else x
        case Call(function, args):
            result: float = NAMES[function](*map(of, args))
            return result
        case Sum(body, _, upper):
            return sum([evaluate(body, {**values, "j": j}) for j in range(1, int(upper or 3) + 1)])
        case Cases(branches, otherwise):
            return of(next((value for value, when in branches if holds(when, values)), otherwise))
    raise AssertionError(e)


def holds(condition: Compare, values: Mapping[str, float]) -> bool:
    left, right = evaluate(condition.left, values), evaluate(condition.right, values)
    ordered = {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}
    return (ordered | {"=": left == right})[condition.op]


def several(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[tuple[Expression, ...]]:
    return st.lists(parts, min_size=1, max_size=4).map(tuple)


def arithmetic(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.one_of(
        st.builds(Add, several(parts)),
        st.builds(Mul, several(parts)),
        st.builds(Div, parts, parts),
        st.builds(Neg, parts),
        st.builds(Pow, parts, st.sampled_from([-2, -1, 0, 1, 2]).map(Number)),
    )


def anything(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    conditions = st.builds(Compare, parts, st.sampled_from([">", ">=", "<", "<=", "="]), parts)
    x_j = Symbol("x", sub="j")
    return st.one_of(
        arithmetic(parts),
        st.builds(Pow, parts.map(abs_), parts),
        st.builds(lambda function, x: function(x), st.sampled_from(FUNCTIONS), parts),
        st.builds(max_, parts, parts),
        st.builds(min_, parts, parts, parts),
        st.builds(lambda e, upper: Sum(e * x_j, "j", upper), parts, st.sampled_from([None, "2", "3"])),
        st.builds(Cases, st.lists(st.tuples(parts, conditions), max_size=2).map(tuple), parts),
    )


symbols = st.sampled_from([z, alpha, z21, Partial("L", z)])
trees = st.recursive(st.one_of(st.builds(Number, st.floats()), symbols), anything, max_leaves=12)


def outcome(compute: Callable[[], object]) -> str:
    try:
        return repr(compute())
    except Exception as error:
        return type(error).__name__


@given(trees)
def test_python_is_worth_what_the_tree_is(tree: Expression) -> None:
    written_out = to_python(tree, VALUES)
    assert outcome(lambda: eval(written_out, NAMES)) == outcome(lambda: evaluate(tree, VALUES))


def exactly(e: Expression) -> Fraction:
    match e:
        case Number(number):
            return Fraction(repr(number))
        case Add(terms):
            return sum(map(exactly, terms), Fraction(0))
        case Mul(factors):
            return math.prod(map(exactly, factors), start=Fraction(1))
        case Div(left, right):
            return exactly(left) / exactly(right)
        case Pow(base, Number(exponent)):
            return exactly(base) ** int(exponent)
        case Neg(operand):
            return -exactly(operand)
    raise AssertionError(e)


@given(st.recursive(st.integers(-300, 300).map(lambda n: Number(n / 100)), arithmetic, max_leaves=12))
def test_text_reads_as_what_the_tree_is(tree: Expression) -> None:
    code = re.sub(r"[\d.]+", r"Fraction('\g<0>')", to_text(tree)).replace("×", "*").replace("^", "**")
    names = {"Fraction": Fraction}
    assert outcome(lambda: eval(code, names)) == outcome(lambda: exactly(tree))


@given(trees)
def test_every_notation_is_well_formed(tree: Expression) -> None:
    latex = to_latex(tree, decimals=3)
    assert latex.count(r"\left") == latex.count(r"\right")
    assert latex.count("{") == latex.count("}")
    ET.fromstring(to_mathml(tree, decimals=3))
    text = to_text(tree)
    assert "+ -" not in text
    assert text.count("(") == text.count(")")
