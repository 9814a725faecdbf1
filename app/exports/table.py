"""Rows to train on from other programs: a table as CSV (RFC 4180), or named arrays."""

import csv
import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.data import Arrays
from app.engine.network import Config
from app.errors import FieldError, InvalidInput, LimitExceeded

MAX_CELLS = 2_000_000
_KEYS = ("inputs", "targets", "test_inputs", "test_targets")
_MAX_CLASS = 2**53


def read_csv(text: str, targets: Sequence[str], config: Config, max_rows: int) -> Arrays:
    """The rows of a table whose first line names its columns: some are targets, the others inputs, in their order.

    One column of targets may hold classes: whole numbers are their indices, and labels, of which none is a number, are
    numbered from 0 in sorted order. For one output and a loss of values, numbers are values. All else are numbers.

    Raises:
        InvalidInput: what is wrong at which line and column, counted from 1, or with a name in `targets`.
        LimitExceeded: there are too many cells or rows; no more is read.
    """
    cells = text.count(",") + text.count("\n")
    if cells > MAX_CELLS:
        raise LimitExceeded("", "the number of cells of the table", limit=MAX_CELLS, estimate=cells)
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        return _read(reader, targets, config, max_rows)
    except csv.Error:
        detail = "is no CSV: a quote is left open or out of place, or a cell is too long"
        raise _wrong(f"line {reader.line_num} {detail}") from None


def _read(reader: Any, targets: Sequence[str], config: Config, max_rows: int) -> Arrays:
    header, loss = [name.strip() for name in next(reader, [])], config.loss
    chosen = _columns(header, targets)
    rest = [column for column in range(len(header)) if column not in set(chosen)]
    if not rest:
        raise InvalidInput([FieldError("?targets", "names every column; takes some, so that there are inputs too")])
    one = len(chosen) == 1
    if loss.targets == "classes" and not one:
        detail = f"got {len(chosen)} columns; the loss {loss.type_name()} takes one, of classes"
        raise InvalidInput([FieldError("?targets", detail)])
    inputs, values, labels, lines = array("d"), array("d"), list[str](), array("q")
    for line, cells in _rows(reader, len(header)):
        if len(lines) == max_rows:
            what, setting = "the number of rows", "GRADSTEP_MAX_BATCH"
            raise LimitExceeded("", what, limit=max_rows, estimate=max_rows + 1, setting=setting)
        lines.append(line)
        inputs.extend(_number(cells[column], line, column) for column in rest)
        if one:
            labels.append(cells[chosen[0]].strip())
        else:
            values.extend(_number(cells[column], line, column) for column in chosen)
    n = len(lines)
    if n == 0:
        raise _wrong("got no rows; takes a line that names the columns, then a line for each row")
    rows = np.frombuffer(inputs).reshape(n, len(rest))
    told = _by_line(lines)
    if not one:
        return Arrays(rows, np.frombuffer(values).reshape(n, len(chosen)), told=told)
    if not _is_number(labels[0]):
        return Arrays(rows, _numbered(labels, lines, chosen[0]), labelled=True, told=told)
    if "classes" in loss.targets or config.network.sizes[-1] > 1:
        return Arrays(rows, _indices(labels, lines, chosen[0]), told=told)
    column = [_number(label, line, chosen[0]) for label, line in zip(labels, lines, strict=True)]
    return Arrays(rows, np.array(column).reshape(n, 1), told=told)


def _rows(reader: Any, width: int) -> Iterator[tuple[int, list[str]]]:
    for cells in reader:
        if cells and len(cells) != width:
            raise _wrong(f"line {reader.line_num} has {len(cells)} cells; takes {width}, as many as the first line")
        if cells:
            yield reader.line_num, cells


def _columns(header: Sequence[str], targets: Sequence[str]) -> list[int]:
    """Where the columns of these names are."""
    places: dict[str, list[int]] = {}
    for column, name in enumerate(header):
        places.setdefault(name, []).append(column)
    for number, name in enumerate(targets, 1):
        if not name:
            detail = f"number {number} is empty; takes names in the first line, with commas between them"
            raise InvalidInput([FieldError("?targets", detail)])
        if len(found := places.get(name, [])) != 1:
            what = f"the name of {len(found)} columns" if found else "the name of no column"
            raise InvalidInput([FieldError("?targets", f"number {number} is {what}; takes names in the first line")])
    if len(set(targets)) < len(targets):
        raise InvalidInput([FieldError("?targets", "names a column twice")])
    return [places[name][0] for name in targets]


def _is_number(cell: str) -> bool:
    """Whether a cell is written as a number, and be it NaN."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, line: int, column: int) -> float:
    if _is_number(cell) and cell.isascii() and "_" not in cell and math.isfinite(float(cell)):
        return float(cell)
    raise _wrong_cell(cell, line, column, "a finite number")


def _indices(cells: Sequence[str], lines: Sequence[int], column: int) -> NDArray[np.int64]:
    """Class indices as whole numbers, such as 2 or 2.0."""
    takes = "a class: a whole number from 0, or in all lines labels that are no numbers"
    indices = array("q")
    for cell, line in zip(cells, lines, strict=True):
        if not _is_number(cell):
            raise _wrong_cell(cell, line, column, takes)
        number = _number(cell, line, column)
        if not (0 <= number <= _MAX_CLASS and number.is_integer()):
            raise _wrong_cell(cell, line, column, takes)
        indices.append(int(number))
    return np.frombuffer(indices, np.int64)


def _numbered(labels: Sequence[str], lines: Sequence[int], column: int) -> NDArray[np.int64]:
    """Labels by their places in sorted order."""
    for label, line in zip(labels, lines, strict=True):
        if not label or _is_number(label):
            takes = f"a label that is no number, as in line {lines[0]}" if labels[0] else "a number or a label"
            raise _wrong_cell(label, line, column, takes)
    index = {label: number for number, label in enumerate(sorted(set(labels)))}
    return np.array([index[label] for label in labels], np.int64)


def _wrong_cell(cell: str, line: int, column: int, takes: str) -> InvalidInput:
    got = f"a cell of {len(cell)} characters" if cell.strip() else "an empty cell"
    return _wrong(f"line {line}, column {column + 1}: got {got}; takes {takes}")


def _wrong(detail: str) -> InvalidInput:
    return InvalidInput([FieldError("", detail)])


def _by_line(lines: Sequence[int]) -> Callable[[FieldError], FieldError]:
    """Says of an error in the rows of a table in which line it is: a pointer says nothing there."""

    def told(error: FieldError) -> FieldError:
        _, part, *row = error.pointer.split("/")
        where = f"line {lines[int(row[0])]}" if row else part
        return FieldError("", f"{where}: {error.detail}")

    return told


def _by_key(error: FieldError) -> FieldError:
    """Says of an error in named arrays in which it is."""
    return error._replace(pointer=error.pointer.replace("/test/", "/test_"))


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """The rows in the arrays `inputs` and `targets`, and maybe `test_inputs` and `test_targets`.

    Raises:
        InvalidInput: one is missing or unknown, or is not of finite numbers in as many axes as there should be.
    """
    for name in arrays:
        if name not in _KEYS:
            raise _wrong(f"takes arrays named {', '.join(_KEYS)}; got another")
    has_test = any(name.startswith("test_") for name in arrays)
    for name in _KEYS[: 4 if has_test else 2]:
        if name not in arrays:
            raise InvalidInput([FieldError(f"/{name}", "is needed")])
    checked = {name: _checked(name, given) for name, given in arrays.items()}
    test = Arrays(checked["test_inputs"], checked["test_targets"]) if has_test else None
    return Arrays(checked["inputs"], checked["targets"], test, told=_by_key)


def _checked(name: str, given: NDArray[Any]) -> NDArray[Any]:
    is_inputs = name.endswith("inputs")
    if given.ndim not in ((2,) if is_inputs else (1, 2)) or given.size == 0:
        takes = "two axes" if is_inputs else "one or two axes"
        raise InvalidInput([FieldError(f"/{name}", f"got {given.ndim} axes; takes {takes}, none of them of length 0")])
    if not np.isfinite(given).all():
        raise InvalidInput([FieldError(f"/{name}", "has a number that is not finite")])
    if given.ndim == 2:
        return given
    if given.dtype.kind == "f":  # values, of which each row has one
        return given.reshape(-1, 1)
    if given.min() < 0:
        raise InvalidInput([FieldError(f"/{name}", "has a class below 0; takes class indices from 0")])
    return given
