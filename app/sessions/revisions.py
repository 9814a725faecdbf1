"""Revisions: each change of a session, and how the session stood after it. And a row of them, packed.

A history may have a hundred thousand of them, each with a state of many fields. Python's garbage collector looks at
every named tuple that there is, and at all that is in it, time and again; plain tuples of numbers, bytes and arrays it
looks at once and then leaves alone. So they lie in the row as such, and are made into what they are when asked for.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

from app.engine.curves import ARRAY_BYTES, Curve
from app.engine.hashing import state_hash
from app.engine.rows import Data
from app.engine.state import Phase, State
from app.errors import FieldError, InvalidInput, RevisionGone
from app.sessions.session import live_config

_ENTRY_BYTES = 350


class Outline(NamedTuple):
    """What stays of a state that was let go; `nbytes` is the memory that it took."""

    phase: Phase
    steps: int
    epochs: int
    epoch_position: int
    forwarded: int
    backwarded: int
    loss: float | None
    updates: tuple[int, ...]
    nbytes: int
    state_hash: str


class Revision(NamedTuple):
    """One change of a session, and how the session stood after it.

    Attributes:
        operation: what was done; `create` for the first.
        arguments: of the operation, as JSON; what is too large to keep is null in it.
        complete: whether the arguments and rows are all there, to do it again.
        at: when, in seconds since 1970.
        config_json, data: the session's, after it.
        state: the session's after it, or what is left of that.
        curve: the epochs that ended in it; those of a step by hand are worked out when they are asked for.
        source: for a rewind to an epoch: the revision that has the epoch in it.
        digest: the hash of the state, where it was worked out already.
        run: the id of the run that made it.
    """

    number: int
    operation: str
    arguments: bytes
    complete: bool
    at: float
    config_json: bytes
    data: Data | None
    state: State | Outline
    curve: Curve | None = None
    source: int | None = None
    digest: str | None = None
    run: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the state is still there."""
        return isinstance(self.state, State)

    @property
    def can_come_back(self) -> bool:
        """Whether the state can be computed again, from the one before it or, for the first, from the config."""
        return self.complete and self.operation not in ("data", "fork", "import")

    @property
    def state_hash(self) -> str:
        """The hash of the state."""
        if isinstance(self.state, Outline):
            return self.state.state_hash
        return self.digest or state_hash(live_config(self.config_json), self.state)

    @property
    def hashed_bytes(self) -> int:
        """How much there is to read for the hash."""
        return self.state.nbytes if isinstance(self.state, State) and self.digest is None else 0

    @property
    def nbytes(self) -> int:
        """The memory of the entry itself."""
        curve = 0 if self.curve is None else ARRAY_BYTES + int(self.curve.rows.nbytes)
        return _ENTRY_BYTES + len(self.arguments) + curve


class Revisions(Sequence[Revision]):
    """A row of revisions, packed as plain tuples."""

    __slots__ = ("_data", "_packed")

    def __init__(self, revisions: Iterable[Revision] = ()) -> None:
        self._data: Data | None = None  # the rows that were last made of their arrays: most revisions have the same
        self._packed: list[tuple[Any, ...]] = [_pack(revision) for revision in revisions]

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Revision: ...
    @overload
    def __getitem__(self, index: slice) -> "Revisions": ...
    def __getitem__(self, index: int | slice) -> "Revision | Revisions":
        if isinstance(index, int):
            return self._unpack(self._packed[index])
        part = Revisions()
        part._packed = self._packed[index]
        return part

    def __setitem__(self, index: int, revision: Revision) -> None:
        self._packed[index] = _pack(revision)

    def __iter__(self) -> Iterator[Revision]:
        return map(self._unpack, self._packed)

    def append(self, revision: Revision) -> None:
        """Put one in at the end."""
        self._packed.append(_pack(revision))

    def pop(self) -> Revision:
        """Take the last one out."""
        return self._unpack(self._packed.pop())

    def find(self, number: int, pointer: str = "?revision") -> int:
        """The position of the revision of this number.

        Raises:
            InvalidInput: there has been no such revision yet.
            RevisionGone: it was cut off.
        """
        index = number - self.number(0)  # where it is unless some before it were cut off
        if not 0 <= index < len(self) or self.number(index) != number:
            index = bisect_left(range(len(self)), number, key=self.number)
        if index < len(self) and self.number(index) == number:
            return index
        if number > self.number(-1):
            detail = f"the session has no such revision; the latest that it has is {self.number(-1)}"
            raise InvalidInput([FieldError(pointer, detail)])
        raise RevisionGone("the session went back to before this revision and on from there, which cut it off")

    # What follows looks at one field of the revision at a position, without making all of it.

    def number(self, index: int) -> int:
        """Its number."""
        number: int = self._packed[index][0]
        return number

    def operation(self, index: int) -> str:
        """What was done."""
        operation: str = self._packed[index][1]
        return operation

    def source(self, index: int) -> int | None:
        """The revision that it came from, for a rewind to an epoch."""
        source: int | None = self._packed[index][_SOURCE]
        return source

    def is_kept(self, index: int) -> bool:
        """Whether its state is still there."""
        return len(self._packed[index][_STATE]) == len(State._fields)

    def epochs(self, index: int) -> tuple[int, int]:
        """The epochs done after it, and the position in the next one."""
        values = self._packed[index][_STATE]
        epochs, position, _ = _PLACES[len(values)]
        return values[epochs], values[position]

    def updates(self, index: int) -> tuple[int, ...]:
        """How often each parameter tensor had been updated after it."""
        values = self._packed[index][_STATE]
        updates: tuple[int, ...] = values[_PLACES[len(values)][2]]
        return updates

    def _unpack(self, packed: tuple[Any, ...]) -> Revision:
        *before, rows, values, curve, source, digest, run = packed
        state: State | Outline
        if len(values) == len(State._fields):
            state = State._make((*values[:_STEPPED], frozenset(values[_STEPPED]), *values[_STEPPED + 1 :]))
        else:
            state = Outline._make(values)
        data = self._data
        if rows is None:
            data = None
        elif data is None or data.arrays is not rows:
            self._data = data = Data.of(rows)
        curve = None if curve is None else Curve._make(curve)
        return Revision._make((*before, data, state, curve, source, digest, run))


_STATE, _SOURCE = Revision._fields.index("state"), Revision._fields.index("source")
_STEPPED = State._fields.index("stepped")
_PLACES = {
    len(kind._fields): tuple(kind._fields.index(name) for name in ("epochs", "epoch_position", "updates"))
    for kind in (State, Outline)
}


def _pack(revision: Revision) -> tuple[Any, ...]:
    *before, data, state, curve, source, digest, run = revision
    values: tuple[Any, ...]
    if isinstance(state, State):
        values = (*state[:_STEPPED], tuple(state.stepped), *state[_STEPPED + 1 :])
    else:
        values = tuple(state)
    rows = None if data is None else data.arrays
    return (*before, rows, values, None if curve is None else tuple(curve), source, digest, run)
