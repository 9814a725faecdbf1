"""What is large in a session (arrays, texts, counts of updates): each once, however many revisions have it.

Parts are told apart by identity: two equal arrays are two parts, and one that is used twice is one, here and wherever
it is read again.
"""

from collections.abc import Callable, Iterable
from typing import Any

from app.engine.rows import Data


class Parts:
    """The parts of a session by number, and how often each is used.

    Attributes:
        next: the number that the next one gets.
        fetch: brings a part that is not there yet, by its number.
    """

    __slots__ = ("_data", "_idle", "_names", "_new", "_parts", "_uses", "fetch", "next")

    def __init__(self) -> None:
        self.next = 0
        self.fetch: Callable[[int], Any] | None = None
        self._names: dict[int, int] = {}  # by id: `_parts` keeps them alive
        self._parts: dict[int, Any] = {}
        self._uses: dict[int, int] = {}
        self._new: set[int] = set()
        self._idle: set[int] = set()
        self._data: dict[tuple[int, ...], Data] = {}

    def hold(self, parts: Iterable[Any]) -> None:
        """Use these once more; None stands for nothing."""
        names, uses = self._names, self._uses
        for part in parts:
            if part is None:
                continue
            name = names.get(id(part))
            if name is None:
                name, self.next = self.next, self.next + 1
                self._new.add(name)
                self._put(name, part)
            uses[name] += 1

    def drop(self, parts: Iterable[Any]) -> None:
        """Use these once less."""
        names, uses = self._names, self._uses
        for part in parts:
            if part is not None:
                name = names[id(part)]
                uses[name] -= 1
                if not uses[name]:
                    self._idle.add(name)

    def settle(self) -> tuple[dict[int, Any], set[int]]:
        """What is new since the last time, and the numbers of what is used no more, which are forgotten."""
        gone = {name for name in self._idle if not self._uses[name]}
        new = {name: self._parts[name] for name in self._new - gone}
        for name in gone:
            del self._names[id(self._parts.pop(name))], self._uses[name]
        if gone:
            self._data = {key: data for key, data in self._data.items() if gone.isdisjoint(key)}
        gone -= self._new
        self._new, self._idle = set(), set()
        return new, gone

    def name(self, part: Any) -> Any:
        """The number of a part that is used."""
        return None if part is None else self._names[id(part)]

    def part(self, name: int | None) -> Any:
        """The part of a number; what is not there yet is fetched. Raises KeyError."""
        if name is None:
            return None
        if name not in self._parts:
            if self.fetch is None:
                raise KeyError(name)
            self._put(name, self.fetch(name))
        return self._parts[name]

    def rows_of(self, data: Data | None) -> Any:
        """The numbers of rows' arrays."""
        if data is None:
            return None
        key = tuple(self._names[id(array)] for array in data.arrays)
        self._data[key] = data
        return key

    def data(self, rows: Iterable[int] | None) -> Data | None:
        """The rows of these arrays: the same object for what has the same ones. Raises KeyError."""
        if rows is None:
            return None
        key = tuple(rows)
        if key not in self._data:
            self._data[key] = Data.of(tuple(map(self.part, key)))
        return self._data[key]

    def _put(self, name: int, part: Any) -> None:
        self._names[id(part)] = name
        self._parts[name] = part
        self._uses[name] = 0
