"""Tables and named arrays as rows, and what is said of those that are none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.data import Arrays, build_data
from app.engine.network import Config
from app.errors import FieldError, InvalidInput, LimitExceeded
from app.exports.table import MAX_CELLS, from_arrays, read_csv

VALUES, CLASSES, EITHER = "mse", "nll", "cross_entropy"
PLAIN = "a,b,t\n1,2,0\n3.5,-4e2,1\n"


def config_of(loss: str, inputs: int = 2, units: int = 1) -> Config:
    return Config.model_validate({"network": {"inputs": inputs, "layers": [{"units": units}]}, "loss": loss})


def read(text: str, *targets: str, loss: str = VALUES, units: int = 1, max_rows: int = 1000) -> Arrays:
    return read_csv(text, targets, config_of(loss, units=units), max_rows)


def refusal(text: str, *targets: str, loss: str = VALUES, units: int = 1) -> FieldError:
    """Where something is wrong, and what."""
    with pytest.raises(InvalidInput) as refused:
        read(text, *targets, loss=loss, units=units)
    [error] = refused.value.errors
    return error


def test_targets_go_by_name_and_inputs_are_the_rest() -> None:
    table = read(PLAIN, "t")
    assert (table.inputs.tolist(), table.targets.tolist()) == ([[1, 2], [3.5, -400]], [[0], [1]])
    table = read(PLAIN, "b", "a")
    assert (table.inputs.tolist(), table.targets.tolist()) == ([[0], [1]], [[2, 1], [-400, 3.5]])


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.removesuffix("\n"),
        PLAIN.replace(",", " , ").replace("\n", "\n\n"),
        '"a","b","t"\n"1","2","0"\n"3.5","-4e2","1"\n',
    ],
    ids=["plain", "crlf", "cr", "no end", "spaces and empty lines", "quotes"],
)
def test_ways_to_write_a_table(text: str) -> None:
    table = read(text, "t")
    assert (table.inputs.tolist(), table.targets.tolist()) == ([[1, 2], [3.5, -400]], [[0], [1]])


@pytest.mark.parametrize("loss", [CLASSES, EITHER])
@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["0", "2", "1"], [0, 2, 1]),
        (["7", "07", "12"], [7, 7, 12]),
        (["0.0", "2.0", "1e0"], [0, 2, 1]),
        (["setosa", "virginica", " setosa "], [0, 1, 0]),
        (["b10", "b9", "a"], [1, 2, 0]),
        (["²", "x", "x"], [1, 0, 0]),
        (['"a, b"', '"say ""no"""', '"a, b"'], [0, 1, 0]),
    ],
)
def test_a_column_of_classes(loss: str, cells: list[str], classes: list[int]) -> None:
    table = read(column(cells), "kind", loss=loss)
    assert table.targets.dtype == np.int64
    assert table.targets.tolist() == classes
    assert table.inputs.tolist() == [[1]] * 3


def column(cells: list[str]) -> str:
    return "kind,x\n" + "".join(f"{cell},1\n" for cell in cells)


INDEX = "a class: a whole number from 0, or in all lines labels that are no numbers"


@pytest.mark.parametrize(
    ("cells", "line", "got", "takes"),
    [
        (["1", "0", "b"], 4, "a cell of 1 characters", INDEX),
        (["1", "", "0"], 3, "an empty cell", INDEX),
        (["1", "-1", "1"], 3, "a cell of 2 characters", INDEX),
        (["0.5", "1", "2"], 2, "a cell of 3 characters", INDEX),
        (["1", "1" * 30, "2"], 3, "a cell of 30 characters", INDEX),
        (["1", "nan", "2"], 3, "a cell of 3 characters", "a finite number"),
        (["1", "١", "2"], 3, "a cell of 1 characters", "a finite number"),
        (["a", "b", "1"], 4, "a cell of 1 characters", "a label that is no number, as in line 2"),
        (["a", "NaN", "b"], 3, "a cell of 3 characters", "a label that is no number, as in line 2"),
        (["a", "", "b"], 3, "an empty cell", "a label that is no number, as in line 2"),
        (["", "a", "b"], 2, "an empty cell", "a number or a label"),
    ],
)
def test_classes_are_all_numbers_or_none_of_them_is(cells: list[str], line: int, got: str, takes: str) -> None:
    wrong = ("", f"line {line}, column 1: got {got}; takes {takes}")
    assert refusal(column(cells), "kind", loss=CLASSES) == wrong
    assert refusal(column(cells), "kind", units=3) == wrong  # one column for several outputs


@pytest.mark.parametrize(
    ("loss", "units", "cells", "targets"),
    [
        ("mse", 1, ["0", "2.5", "1"], [[0], [2.5], [1]]),
        ("mse", 3, ["0", "2", "1"], [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        ("mse", 1, ["no", "yes", "no"], [[0], [1], [0]]),
        ("bce", 1, ["no", "yes", "no"], [[0], [1], [0]]),
        ("bce", 1, ["0", "1", "0.5"], [[0], [1], [0.5]]),
        ("bce", 2, ["no", "yes", "no"], [[1, 0], [0, 1], [1, 0]]),
        ("cross_entropy", 2, ["no", "yes", "no"], [0, 1, 0]),
    ],
)
def test_what_becomes_of_one_column(loss: str, units: int, cells: list[str], targets: list[Any]) -> None:
    """As with a named set: indices for a loss that takes these, otherwise rows of 0 and 1."""
    config = config_of(loss, 1, units)
    table = read_csv(column(cells), ["kind"], config, 10)
    assert build_data(config, table, "").train.targets.tolist() == targets


def test_probabilities_of_several_columns() -> None:
    table = read("x,p,q\n1,0.25,0.75\n", "p", "q", loss=EITHER, units=2)
    assert table.targets.tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize(
    ("text", "targets", "loss", "where", "what"),
    [
        ("", ["t"], VALUES, "?targets", "number 1 is the name of no column; takes names in the first line"),
        (PLAIN, ["t", "c"], VALUES, "?targets", "number 2 is the name of no column; takes names in the first line"),
        ("t,a,t\n1,2,3\n", ["t"], VALUES, "?targets",
         "number 1 is the name of 2 columns; takes names in the first line"),
        (PLAIN, ["t", ""], VALUES, "?targets",
         "number 2 is empty; takes names in the first line, with commas between them"),
        (PLAIN, ["t", "t"], VALUES, "?targets", "names a column twice"),
        (PLAIN, ["t", "a", "b"], VALUES, "?targets", "names every column; takes some, so that there are inputs too"),
        (PLAIN, ["t", "a"], CLASSES, "?targets", "got 2 columns; the loss nll takes one, of classes"),
        ("a,t\n", ["t"], VALUES, "", "got no rows; takes a line that names the columns, then a line for each row"),
        ("a,t\n\n", ["t"], VALUES, "", "got no rows; takes a line that names the columns, then a line for each row"),
        ("a,t\n1,2\n3\n", ["t"], VALUES, "", "line 3 has 1 cells; takes 2, as many as the first line"),
        ("a,t\n1,2,3\n", ["t"], VALUES, "", "line 2 has 3 cells; takes 2, as many as the first line"),
        ("a,t\n1,2\n\n3,secret\n", ["t"], VALUES, "",
         "line 4, column 2: got a cell of 6 characters; takes a finite number"),
        ("a,t\n,2\n", ["t"], VALUES, "", "line 2, column 1: got an empty cell; takes a finite number"),
        ("a,t\n nan,2\n", ["t"], VALUES, "", "line 2, column 1: got a cell of 4 characters; takes a finite number"),
        ("a,t\n1e999,2\n", ["t"], VALUES, "", "line 2, column 1: got a cell of 5 characters; takes a finite number"),
        ("a,t\n1_0,2\n", ["t"], VALUES, "", "line 2, column 1: got a cell of 3 characters; takes a finite number"),
        ("a,t\n٣,2\n", ["t"], VALUES, "", "line 2, column 1: got a cell of 1 characters; takes a finite number"),
        ("a,t\n1,２\n", ["t"], VALUES, "", "line 2, column 2: got a cell of 1 characters; takes a finite number"),
        ("a,t\n1,nan\n", ["t"], VALUES, "", "line 2, column 2: got a cell of 3 characters; takes a finite number"),
        ('a,t\n1,"2\n3,4\n', ["t"], VALUES, "",
         "line 3 is no CSV: a quote is left open or out of place, or a cell is too long"),
        ('a,t\n1,"2"3\n', ["t"], VALUES, "",
         "line 2 is no CSV: a quote is left open or out of place, or a cell is too long"),
        ("a,t\n1," + "2" * 200_000, ["t"], VALUES, "",
         "line 2 is no CSV: a quote is left open or out of place, or a cell is too long"),
    ],
)  # fmt: skip
def test_what_is_no_table(text: str, targets: list[str], loss: str, where: str, what: str) -> None:
    assert refusal(text, *targets, loss=loss) == (where, what)


def test_limits() -> None:
    assert len(read(PLAIN, "t", max_rows=2).inputs) == 2
    with pytest.raises(LimitExceeded) as refused:
        read(PLAIN, "t", max_rows=1)
    assert refused.value.extra == {"limit": 1, "estimate": 2, "setting": "GRADSTEP_MAX_BATCH"}
    with pytest.raises(LimitExceeded, match="the number of cells of the table"):
        read("a,b" + "," * MAX_CELLS, "a")


@given(
    st.text("a,t\n\r\"' 1.e-_\0é٣", max_size=40)
    | st.lists(st.sampled_from(["1,2\n", "1,a\n", "1,1.0\n"])).map("".join),
    st.sampled_from([VALUES, CLASSES, EITHER]),
    st.sampled_from([1, 3]),
)
def test_whatever_comes_is_rows_or_refused(text: str, loss: str, units: int) -> None:
    try:
        table = read("a,t\n" + text, "t", loss=loss, units=units)
    except InvalidInput as refused:
        assert len(refused.errors) == 1  # noqa: PT017
    else:
        assert len(table.inputs) == len(table.targets) > 0
        assert np.isfinite(table.inputs).all()


@pytest.mark.parametrize(
    ("text", "targets", "loss", "units", "detail"),
    [
        ("a,b,t\n1,2,0\n\n3,4,3\n", ["t"], CLASSES, 3, "line 4: got class 3; takes 0 to 2, one for each output"),
        ("a,b,t\n1,2,0\n3,4,1.5\n", ["t"], "bce", 1, "line 3: the loss bce takes probabilities, from 0 to 1"),
        ("a,b,p,q\n1,2,1,0\n3,4,1,1\n", ["p", "q"], EITHER, 2,
         "line 3: the probabilities sum to 2; takes a sum of 1"),
        ("a,b,t\n1,2,x\n3,4,y\n5,6,z\n", ["t"], "mse", 1,
         "targets: the loss mse takes rows of 1 numbers, or classes from 0 to 1"),
        ("a,b,t,u\n1,2,3,4\n", ["t", "u"], "mse", 1, "targets: got rows of 2 numbers; takes 1"),
        ("a,t\n1,2\n", ["t"], "mse", 1, "inputs: got rows of 1 numbers; takes 2"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_told_by_its_lines(
    text: str, targets: list[str], loss: str, units: int, detail: str
) -> None:
    config = config_of(loss, 2, units)
    with pytest.raises(InvalidInput) as refused:
        build_data(config, read_csv(text, targets, config, 10), "")
    assert refused.value.errors == [("", detail)]


def test_classes_that_would_take_too_much_room_are_a_matter_of_limits() -> None:
    config = config_of("mse", 1, 4_000_001)
    with pytest.raises(LimitExceeded) as refused:
        build_data(config, read_csv(column(["0"]), ["kind"], config, 10), "")
    assert refused.value.extra["limit"] == 4_000_000


# ----- named arrays


def test_arrays_by_name() -> None:
    x, t = np.arange(6).reshape(3, 2), np.array([0, 2, 1], np.int8)
    rows = from_arrays({"targets": t, "inputs": x})
    assert (rows.inputs is x, rows.targets is t, rows.test) == (True, True, None)
    rows = from_arrays({"inputs": x, "targets": t, "test_inputs": x[:1], "test_targets": t[:1]})
    assert isinstance(rows.test, Arrays)
    assert rows.test.targets.tolist() == [0]


def test_a_flat_array_of_values_is_a_column() -> None:
    rows = from_arrays({"inputs": np.ones((2, 1)), "targets": np.array([0.5, 1.5], np.float32)})
    assert rows.targets.tolist() == [[0.5], [1.5]]
    rows = from_arrays({"inputs": np.ones((2, 1)), "targets": np.array([True, False])})
    assert rows.targets.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("fields", "where", "what"),
    [
        ({"inputs": None}, "/inputs", "is needed"),
        ({"targets": None}, "/targets", "is needed"),
        ({"test_inputs": [[1]]}, "/test_targets", "is needed"),
        ({"labels": [1]}, "", "takes arrays named inputs, targets, test_inputs, test_targets; got another"),
        ({"inputs": [1, 2]}, "/inputs", "got 1 axes; takes two axes, none of them of length 0"),
        ({"targets": [[[1]]]}, "/targets", "got 3 axes; takes one or two axes, none of them of length 0"),
        ({"targets": 5}, "/targets", "got 0 axes; takes one or two axes, none of them of length 0"),
        ({"inputs": [[], []]}, "/inputs", "got 2 axes; takes two axes, none of them of length 0"),
        ({"inputs": [[1], [np.nan]]}, "/inputs", "has a number that is not finite"),
        ({"targets": [0, -1]}, "/targets", "has a class below 0; takes class indices from 0"),
    ],
)
def test_arrays_that_are_no_rows(fields: dict[str, Any], where: str, what: str) -> None:
    given = {"inputs": [[1], [2]], "targets": [[1], [2]], **fields}
    with pytest.raises(InvalidInput) as refused:
        from_arrays({name: np.array(value) for name, value in given.items() if value is not None})
    assert [tuple(error) for error in refused.value.errors] == [(where, what)]


@pytest.mark.parametrize("part", ["", "test_"])
def test_arrays_that_do_not_fit_go_by_their_keys(part: str) -> None:
    config = config_of(CLASSES, 2, 3)
    given = {f"{half}{name}": value for half in ("", "test_") for name, value in GOOD.items()}
    for name, value, where in (("inputs", [[1.0]], "inputs"), ("targets", [3], "targets/0")):
        with pytest.raises(InvalidInput) as refused:
            build_data(config, from_arrays({**given, f"{part}{name}": np.array(value)}), "")
        assert [error.pointer for error in refused.value.errors] == [f"/{part}{where}"]


GOOD = {"inputs": np.array([[1.0, 2.0]]), "targets": np.array([2])}
