"""Conditions mean what they mean in Python, and nothing but what is listed can be written."""

import ast
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.engine.condition_language import MAX_DEPTH, MAX_LENGTH, read

NAMES = ("loss", "epoch", "best_loss")
VALUES = {"loss": 0.25, "epoch": 7.0, "best_loss": math.inf}


def holds(text: str, **values: float) -> bool:
    return read(text, NAMES).holds({**VALUES, **values})


@pytest.mark.parametrize(
    "text",
    [
        "loss < 0.3",
        "loss <= .25 and epoch >= 7",
        "not loss > 1",
        "loss == 0.25 or 1 / 0 > 1",
        "0 < loss < 1 < epoch",
        "epoch != 8 != epoch",
        "-loss < 0",
        "abs(-loss) == loss",
        "2 ** 3 == 8 and -2 ** 2 == -4 and 2 ** -1 == 0.5",
        "(1 + 2) * 3 - 4 / 2 == 7",
        "min(loss, 3, 4) == 0.25 and max(loss, 3) == 3",
        "sqrt(16) == 4 and exp(0) == 1 and log(1) == 0",
        "best_loss > 1e300",
        "isnan(best_loss - best_loss) and not isnan(loss)",
        "  loss\t< 1.5e+0 ",
        "isnan(sqrt(-1)) and isnan(log(0)) and isnan(1 / 0) and isnan((-2) ** 0.5) and isnan(0 ** -1)",
        "exp(1000) > 1e300 and 10 ** 400 > 1e300 and (-10) ** 309 < -1e300 and (-10) ** 310 > 1e300",
        "1e999 > 1 and " + "9" * 400 + " > 1",
    ],
)
def test_what_holds(text: str) -> None:
    assert holds(text)
    assert not holds(f"not ({text})")


def test_nothing_holds_of_what_is_no_number() -> None:
    for comparison in ("<", "<=", ">", ">=", "=="):
        assert not holds(f"loss {comparison} 1", loss=math.nan)
    assert holds("loss != 1", loss=math.nan)


@pytest.mark.parametrize("choice", ["min(loss, 1)", "min(1, loss)", "max(loss, 1)", "max(0, 1, loss)"])
def test_a_choice_among_what_is_no_number_is_none(choice: str) -> None:
    assert holds(f"isnan({choice})", loss=math.nan)
    assert not holds(f"isnan({choice})", loss=math.inf)


def test_it_says_which_names_it_needs() -> None:
    assert read("loss < 1 and max(loss, epoch) > 2", NAMES).names == {"loss", "epoch"}


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("loss", 1, "no comparison"),
        ("1", 1, "no comparison"),
        ("True", 1, "no comparison"),
        ("  loss + 1", 3, "no comparison"),
        ("loss < True", 8, "no number"),
        ("(loss < 1) < 2", 2, "no number"),
        ("loss and epoch < 1", 1, "no comparison"),
        ("not epoch", 5, "no comparison"),
        ("zebra < 1", 1, "none of loss, epoch, best_loss"),
        ("loss < zebra", 8, "none of"),
        ("loss < sin(1)", 8, "no number"),
        ("abs(1, 2) < 1", 1, "no number"),
        ("max(1) < 1", 1, "no number"),
        ("isnan(1, 2)", 1, "no comparison"),
        ("isnan(loss) < 1", 1, "no number"),
        ("loss % 2 < 1", 6, "no meaning"),
        ("loss // 2 < 1", 1, "no number"),
        ("loss < 1 if epoch < 1 else epoch < 2", 1, "no comparison"),
        ("loss in epoch", 1, "no comparison"),
        ("loss is epoch", 1, "no comparison"),
        ("(loss, 1) < 2", 1, "no number"),
        ("abs(*loss) < 1", 5, "no number"),
        ("loss.real < 1", 5, "no meaning"),
        ("'a' < 1", 1, "no meaning"),
        ("loss < 1; loss", 9, "no meaning"),
        ("loss := 1", 6, "no meaning"),
        ("__import__ < 1", 1, "none of"),
        ("loss < 1or epoch < 1", 8, "no meaning"),
        ("loss < 1_000", 8, "no meaning"),
        ("loss < 0x10", 8, "no meaning"),
        ("loss < 1\nand epoch < 1", 9, "no meaning"),
        ("löss < 1", 2, "no meaning"),
        ("loss < 1\x00", 9, "no meaning"),
    ],
)
def test_what_is_refused_and_where(text: str, at: int, why: str) -> None:
    with pytest.raises(ValueError, match="takes a comparison") as caught:
        read(text, NAMES)
    assert str(caught.value).startswith(f"at character {at}: ")
    assert why in str(caught.value)


@pytest.mark.parametrize("text", ["", "   ", "lambda < 1", "loss < 007", "loss <", "  loss < (1", "loss epoch"])
def test_what_python_cannot_read_is_refused_about_where_python_says(text: str) -> None:
    with pytest.raises(ValueError, match="it cannot be read from here on; takes a comparison") as caught:
        read(text, NAMES)
    at = int(str(caught.value).split()[2].rstrip(":"))
    assert 1 <= at <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "at"),
    [("", 1), ("loss <", 7), ("  loss <  ", 9), ("loss < 1 and", 13), ("not", 4), ("loss epoch", 6), (" 1 < 2 )", 8)],
)
def test_where_a_text_ends_too_early_or_goes_on_too_long(text: str, at: int) -> None:
    with pytest.raises(ValueError, match=f"at character {at}: it cannot be read from here on"):
        read(text, NAMES)


def test_it_is_bounded() -> None:
    with pytest.raises(ValueError, match=f"takes at most {MAX_LENGTH} characters, got {MAX_LENGTH + 1}"):
        read("loss < 1".ljust(MAX_LENGTH + 1), NAMES)
    assert holds(f"{'not ' * (MAX_DEPTH - 2)}loss < 1")
    for deep in ("not " * 61 + "loss < 1", "loss < " + "-" * 90 + "1", "loss < 1" + "+1" * 100, "(" * 240 + "1 < 2"):
        with pytest.raises(ValueError, match=r"it goes deeper than 60|cannot be read"):
            read(deep, NAMES)


def test_a_parser_that_gives_up_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(ast, "parse", give_up)
    with pytest.raises(ValueError, match="cannot be read"):
        read("loss < 1", NAMES)


@given(st.text(max_size=60) | st.text("loseph<>=!+-*/(). 1e,andortminxbsq", max_size=40))
@example("((((((((((1<2")
def test_any_text_at_all_is_read_or_refused(text: str) -> None:
    try:
        condition = read(text, NAMES)
    except ValueError:
        return
    assert condition.holds(VALUES) in (True, False)


_numbers: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.floats(0, 1e6).map(repr)
        | st.integers(0, 99).map(lambda value: f"{value}.0")
        | st.sampled_from(NAMES)
        | st.tuples(_numbers, st.sampled_from("+-*/"), _numbers).map(lambda parts: f"({' '.join(parts)})")
        | st.tuples(_numbers, st.integers(0, 4)).map(lambda parts: f"({parts[0]} ** {parts[1]}.0)")
        | _numbers.map(lambda inner: f"-{inner}")
        | _numbers.map(lambda inner: f"abs({inner})")
        | st.tuples(st.sampled_from(["min", "max"]), _numbers, _numbers).map(lambda p: f"{p[0]}({p[1]}, {p[2]})")
    )
)
_comparisons = st.tuples(_numbers, st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), _numbers),
                                            min_size=1, max_size=2)).map(
    lambda parts: parts[0] + "".join(f" {op} {side}" for op, side in parts[1])
)  # fmt: skip
_truths: st.SearchStrategy[str] = st.deferred(
    lambda: (
        _comparisons
        | st.tuples(_truths, st.sampled_from(["and", "or"]), _truths).map(lambda parts: f"({' '.join(parts)})")
        | _truths.map(lambda inner: f"(not {inner})")
    )
)


def _nan_or(choose: Any) -> Any:
    """Python's own choice goes by the order of its arguments where one is NaN."""
    return lambda *numbers: math.nan if math.nan in numbers or any(x != x for x in numbers) else choose(numbers)


@given(_truths, st.floats(-10, 10), st.integers(1, 1000))
def test_it_agrees_with_python(text: str, loss: float, epoch: int) -> None:
    values = {"loss": loss, "epoch": float(epoch), "best_loss": 0.5}
    if len(text) > MAX_LENGTH:
        return
    try:
        expected = eval(text, {"__builtins__": {}, "abs": abs, "min": _nan_or(min), "max": _nan_or(max)}, values)
    except (ZeroDivisionError, OverflowError):  # which are NaN and infinity here
        return
    assert read(text, NAMES).holds(values) is expected
