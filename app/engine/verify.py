"""Grading values that were worked by hand, and finding the slip behind the first wrong one.

A value is right when it is the exact one, to half a unit of the last decimal that is written, or when it follows from
the values before it as they are written, to one unit: who works with rounded numbers comes to others in the last
decimals. What follows is worked out in each of the few ways in which what was not written may have been carried along
(`handwork.pages`), and the nearest counts; there is no allowance beyond that.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from app.engine import names
from app.engine.cost import backward_work, forward_work, state_bytes, update_work
from app.engine.handwork import (
    Key,
    Page,
    Step,
    Term,
    ancestors,
    begun,
    compute,
    from_z,
    most_ways,
    pages,
    passed,
    same_objects,
    terms,
    update_noise,
)
from app.engine.network import Config
from app.engine.rows import Rows
from app.engine.slip_words import Words, words
from app.engine.slips import Made, most_open, open_terms, search
from app.engine.spec import Array, Model
from app.engine.state import State
from app.errors import MAX_FIELD_ERRORS, FieldError, InvalidInput, WrongPhase

MAX_VALUES = 10_000
MAX_DECIMALS = 20
MAX_JACOBIAN = 100_000
_LOOK, _ITEM = 100_000, 2_000  # the work of looking for a slip in one term, and of reading and writing a number
_ITEM_BYTES, _MOST_SENT = 600, 1_000_000  # what a number takes that is sent, and how many a request has room for
STATUSES: tuple["Status", ...] = ("correct", "rounded", "follows_from_earlier_mistake", "wrong")
CORRECT, ROUNDED, FOLLOWS, WRONG = range(4)
Status = Literal["correct", "rounded", "follows_from_earlier_mistake", "wrong"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]{1,3}))?")
_VALUE_SCHEMA = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": MAX_VALUES,
    "additionalProperties": {
        "anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}, {"type": "array", "items": {}}]
    },
}


class Verify(Model):
    """Values to be graded, by name: numbers, arrays of them, null for what is left out.

    A number as a string keeps its zeros, which count as decimals. `reveal` is how many expected values are given away.
    """

    values: Annotated[dict[str, Any], Field(min_length=1, max_length=MAX_VALUES), WithJsonSchema(_VALUE_SCHEMA)]
    decimals: Annotated[int, Field(ge=0, le=MAX_DECIMALS)] | None = None
    reveal: Literal["all", "first_wrong", "none"] = "all"


class Item(TypedDict):
    """One graded number; `expected` is null where it is not given away, or is not finite."""

    name: str
    index: list[int]
    given: float
    expected: float | None
    status: Status


class Place(TypedDict):
    """Where a number is."""

    name: str
    index: list[int]


class Cause(TypedDict):
    """The slip that explains the first wrong term: in which term it was made, which numbers it explains, and how."""

    slip: str
    name: str
    items: list[Place]
    explanation: Words
    value: float | None


class Score(TypedDict):
    """How many numbers are correct or rounded, of how many."""

    correct: int
    of: int


class Verified(TypedDict):
    """What came of it."""

    items: list[Item]
    first_wrong: Item | None
    likely_cause: Cause | None
    score: Score


class Graded(NamedTuple):
    """A term that was given: its numbers (NaN where there is none), the exact ones, and the statuses."""

    term: Term
    given: Array
    exact: NDArray[Any]
    status: NDArray[np.int8]


def verify(config: Config, state: State, rows: Rows | None, body: Verify) -> Verified:
    """Grade values of the step under way; in `ready` that is the next one, over the session's rows.

    After a step over rows of their own, in a session without any, the next one is over these again. What the passes
    have not come to is computed ahead; parameters that were already stepped have their next value.

    Raises:
        InvalidInput: a name or a value is none, with a pointer to it.
        WrongPhase: there is nothing to compute with, or no targets for what needs them.
    """
    inputs, targets = (rows.inputs, rows.targets) if rows else (state.inputs, state.targets)
    if inputs is None and state.phase == "ready":
        raise WrongPhase("there are no rows to compute with: the session has no data", "forward")
    state = begun(state, inputs, targets)
    reader = _Reader(config, state)
    reader.read(body.values)
    decimals = reader.decimals if body.decimals is None else body.decimals
    with np.errstate(all="ignore"):
        step = Step(config, passed(config, state, backward=reader.backward), decimals)
        return _Grading(step, reader.found).result(body.reveal)


class _Grading:
    """The grading of one step: the worker's pages are filled in term by term, in the order of computation.

    Attributes:
        right: every term as it is; what is computed from the same arrays as these is the same.
        found: the terms so far; up to the first wrong one, which is `wrong`, with the slip behind it in `cause`.
    """

    def __init__(self, step: Step, given: Mapping[str, Array]) -> None:
        self.step, self.given = step, given
        self.right = step.facts()
        self.written = {name: ~np.isnan(numbers) for name, numbers in given.items()}
        self.pages = pages(step, self.right, self.written)
        self.graded: list[Graded] = []
        self.found: list[Term] = []
        self.wrong: Graded | None = None
        self.cause: tuple[Made, Array] | None = None
        for term in ancestors(terms(step.config, given), given):
            if term.kind != "fact" or term.name in given:
                self._add(term)

    def _add(self, term: Term) -> None:
        """Work out a term, grade what is written of it, and put it on the pages."""
        exact = self.step.exact(term.name)
        computed = self._computed(term, exact)
        if self.wrong is None:
            self.found.append(term)
        if term.kind != "fact":
            self.right[Key(term.name)] = exact
            for page, numbers in zip(self.pages, computed, strict=True):
                page.sheet[Key(term.name)] = numbers
        if term.name in self.given:
            computed = self._grade(term, exact, computed)
        else:
            own = [page.unwritten(term, numbers) for page, numbers in zip(self.pages, computed, strict=True)]
            computed = _shared(own, computed[0])
        for key in self._keys(term, exact):
            for page, numbers in zip(self.pages, computed, strict=True):
                page.sheet[key] = numbers

    def _computed(self, term: Term, exact: NDArray[Any]) -> list[NDArray[Any]]:
        """What a term comes to on each page."""
        if term.kind == "fact":
            return [exact] * len(self.pages)
        known = {same_objects(self.right, term.parents): exact}
        for page in self.pages:
            parents = same_objects(page.sheet, term.parents)
            if parents not in known:
                known[parents] = compute(self.step, term, page.sheet)
        return [known[same_objects(page.sheet, term.parents)] for page in self.pages]

    def _grade(self, term: Term, exact: NDArray[Any], computed: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Grade what is written of a term; what the worker goes on with from it, on each page."""
        given, written, close = self.given[term.name], self.written[term.name], _close(exact)
        if term.kind == "next":
            close += update_noise(self.step, term, self.right)
        off = np.abs(given - exact)
        near = [page.near(given, numbers, close) for page, numbers in zip(self.pages, computed, strict=True)]
        half, follows = off <= self.step.unit / 2 * (1 + 1e-9) + close, np.zeros(given.shape, np.bool_)
        if term.kind != "fact":
            follows = np.logical_or.reduce(near)
            follows |= np.isnan(computed[1]) & np.isfinite(exact)  # what follows is not known
        if term.kind == "da_dz":
            for page in self.pages:
                follows |= page.near(given, from_z(self.step, term, page.sheet), close)
        status = np.full(given.shape, WRONG, np.int8)
        status[follows] = ROUNDED if self.wrong is None else FOLLOWS
        status[half] = ROUNDED
        status[off <= close] = CORRECT
        graded = Graded(term, given, exact, status)
        self.graded.append(graded)
        kept = np.where(written & ~near[0], given, computed[0])
        if self.wrong is None and (explained := written & (status == WRONG)).any():
            self.wrong = graded
            self.cause = self._explained(term, given, explained, close)
            if self.cause is not None:
                slipped = self.cause[1]
                kept = np.where(written & self.pages[0].near(given, slipped, close), slipped, kept)
        own = (page.unwritten(term, numbers) for page, numbers in zip(self.pages[1:], computed[1:], strict=True))
        return _shared([kept, *(np.where(written, given, numbers) for numbers in own)], computed[0])

    def _keys(self, term: Term, exact: NDArray[Any]) -> list[Key]:
        """Where a term stands on a sheet: of what is given, where the passes took it as it is now, and no classes."""
        if term.kind != "fact":
            return [Key(term.name)]
        keys = (Key(term.name), Key(term.name, "backward"), Key(term.name, "before"))
        return [key for key in keys if exact.dtype.kind != "i" and np.array_equal(self.right.get(key, ()), exact)]

    def _explained(
        self, term: Term, given: Array, explained: NDArray[np.bool_], close: Array
    ) -> tuple[Made, Array] | None:
        """The slip that explains these numbers of the first wrong term, and what that comes to with it.

        A number that is wrong alone must be what the slip gives to half a unit: some slip comes near to almost any.
        """
        half = self.step.unit / 2 * (1 + 1e-9) + close
        alone = np.count_nonzero(explained) == 1

        def explains(page: Page, result: Array) -> bool:
            near = (np.abs(given - result) <= half if alone else page.near(given, result, close))[explained]
            same = page.near(result, page.sheet[Key(term.name)], close)[explained]
            return bool(near.all() and not same.all())

        assert self.step.done.inputs is not None
        most = most_open(self.step.config, len(self.step.done.inputs))
        return search(self.pages, open_terms(self.found, self.written, most), explains)

    def _cause(self, *, hint: bool) -> Cause | None:
        """That slip as JSON data; as a hint without numbers where nothing is to be given away."""
        if self.cause is None or self.wrong is None:
            return None
        made, result = self.cause
        term, _, _, status = self.wrong
        explained = [tuple(index) for index in np.argwhere(self.written[term.name] & (status == WRONG)).tolist()]
        name = _made_in(made.term, self.written)
        return {
            "slip": made.slip,
            "name": name,
            "items": [{"name": term.name, "index": list(index)} for index in explained],
            "explanation": words(self.step.config, made, name, self.step.rate, self.step.decimals, hint=hint),
            "value": None if hint else json_number(result[explained[0]]),
        }

    def result(self, reveal: str) -> Verified:
        """What came of it, as JSON data."""
        items: list[Item] = []
        first_wrong: Item | None = None
        for term, given, exact, status in self.graded:
            for index in map(tuple, np.argwhere(self.written[term.name]).tolist()):
                item: Item = {
                    "name": term.name,
                    "index": list(index),
                    "given": float(given[index]),
                    "expected": json_number(exact[index]) if reveal == "all" else None,
                    "status": STATUSES[status[index]],
                }
                items.append(item)
                if first_wrong is None and status[index] == WRONG:
                    first_wrong = item
                    if reveal == "first_wrong":
                        item["expected"] = json_number(exact[index])
        right = sum(item["status"] in ("correct", "rounded") for item in items)
        return {
            "items": items,
            "first_wrong": first_wrong,
            "likely_cause": self._cause(hint=reveal == "none"),
            "score": {"correct": right, "of": len(items)},
        }


def _shared(arrays: list[NDArray[Any]], first: NDArray[Any]) -> list[NDArray[Any]]:
    """The arrays, those that are the same as the first or one before them given up for it."""
    kept = [first]
    for array in arrays:
        kept.append(next((one for one in kept if one is array or np.array_equal(one, array)), array))
    return kept[1:]


def _close(exact: NDArray[Any]) -> Array:
    """How far numbers may be from the exact ones and be these, written with all digits and computed another way."""
    relative, eps = (1e-5, 2.0**-23) if exact.dtype == np.float32 else (1e-9, 2.0**-52)
    size = np.nan_to_num(np.abs(exact.astype(np.float64)), nan=0.0, posinf=0.0)
    close: Array = relative * size + eps * (64 * size.max(initial=0.0) + 4)
    return close


def _made_in(term: Term, written: Mapping[str, NDArray[np.bool_]]) -> str:
    """The name of the term in which a slip was made: a `dL_da` below another layer is but a part of its `dL_dz`."""
    if term.kind == "dL_da" and term.parents[1].when and term.name not in written:
        return term.name.removesuffix("a") + "z"
    return term.name


def json_number(number: Any) -> float | None:
    """A number of numpy's as JSON has it; None where it is not finite."""
    return float(number) if np.isfinite(number) else None


def verify_work(config: Config, n: int) -> int:
    """The work of grading every number of a step over n samples, in the units of `app.engine.cost`."""
    network = config.network
    step = forward_work(config, n) + backward_work(config, n) + update_work(config)
    looked_at, ways = min(most_open(config, n), 5 * len(network.layers)), most_ways(config, n)
    return step * (3 + ways * (3 + looked_at)) + _LOOK * ways * looked_at**2 + _ITEM * _numbers(config, n)


def verify_bytes(config: Config, n: int) -> int:
    """The memory that this takes, its numbers and answer included."""
    numbers = _numbers(config, n)
    return state_bytes(config, n) + 8 * numbers * (2 + most_ways(config, n)) + _ITEM_BYTES * min(numbers, _MOST_SENT)


def _numbers(config: Config, n: int) -> int:
    """How many numbers of a step can be sent."""
    return 3 * config.network.parameter_count + 5 * n * config.network.unit_count


class _Reader:
    """Reads the numbers that were sent.

    Attributes:
        found: by name, in the tensor's shape; NaN where there is none.
        decimals: the most that any of them has.
        backward: whether one of them is of the backward pass or the update.
    """

    def __init__(self, config: Config, begun: State) -> None:
        self.config, self.begun = config, begun
        self.found: dict[str, Array] = {}
        self.decimals = 0
        self.backward = False
        self.errors: list[FieldError] = []

    def read(self, values: Mapping[str, Any]) -> None:
        """Read all; raises InvalidInput with the first 20 places that are wrong."""
        for name, value in values.items():
            known = len(name) <= names.MAX_LENGTH
            pointer = "/values/" + name.replace("~", "~0").replace("/", "~1") if known else "/values"
            try:
                self._read_tensor(name, value, pointer)
            except InvalidInput as error:
                self.errors += error.errors
            if len(self.errors) >= MAX_FIELD_ERRORS:
                break
        if self.errors:
            raise InvalidInput(self.errors[:MAX_FIELD_ERRORS])

    def _read_tensor(self, name: str, value: Any, pointer: str) -> None:
        address = names.find(self.config, name, pointer)
        if address.part == "state":
            raise InvalidInput([FieldError(pointer, "an optimizer's own values are not graded")])
        backward = address.term.startswith(("dL_", "da_")) or address.part != "" or address.term == "gradient_norm"
        if self.begun.targets is None and (backward or address.term in ("targets", "loss")):
            raise WrongPhase(f"the last forward pass had no targets, so {address.tensor} is not known", "forward")
        self.backward |= backward
        shape = names.shape(self.config, address, self.begun)
        if len(shape) > 2 and math.prod(shape) > MAX_JACOBIAN:
            detail = f"has {math.prod(shape)} numbers; Jacobians are graded up to {MAX_JACOBIAN}"
            raise InvalidInput([FieldError(pointer, detail)])
        if address.index:
            names.check_index(shape, address, pointer)
            shape = shape[len(address.index) :]
        if value is None:
            return
        if address.tensor not in self.found:
            self.found[address.tensor] = np.full(names.shape(self.config, address, self.begun), np.nan)
        self._fill(self.found[address.tensor], value, shape, address.index, pointer)

    def _fill(self, array: Array, value: Any, shape: tuple[int, ...], at: tuple[int, ...], pointer: str) -> None:
        if value is None:
            return
        if not shape:
            number = _number(value)
            if number is None:
                raise InvalidInput([FieldError(pointer, f"{_got(value)}takes a number such as 0.3775, or null")])
            if not np.isnan(array[at]):
                raise InvalidInput([FieldError(pointer, "is given a second time")])
            array[at], decimals = number
            self.decimals = max(self.decimals, decimals)
            return
        if not isinstance(value, list) or len(value) != shape[0]:
            raise InvalidInput([FieldError(pointer, f"{_got(value)}takes a list of {shape[0]}")])
        for index, item in enumerate(value):
            self._fill(array, item, shape[1:], (*at, index), f"{pointer}/{index}")


def _number(value: Any) -> tuple[float, int] | None:
    """A number, and the decimals that it is written with; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, int):
        return (float(value), 0) if abs(value) < 2**1023 else None
    form = _NUMBER.fullmatch(text) if len(text := value if isinstance(value, str) else repr(value)) <= 40 else None
    if form is None:
        return None
    decimals = len(form[1] or form[2] or "") - int(form[3] or 0)
    number = float(text)
    return (number, min(max(decimals, 0), MAX_DECIMALS)) if math.isfinite(number) else None


def _got(value: Any) -> str:
    """What was sent in words, never itself."""
    if isinstance(value, list):
        return f"got a list of {len(value)}; "
    if isinstance(value, str):
        return f"got a string of {len(value)} characters; "
    if isinstance(value, dict):
        return "got an object; "
    return "got true or false; " if isinstance(value, bool) else "got a number; "
