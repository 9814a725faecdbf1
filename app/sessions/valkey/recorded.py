"""A history that knows what has changed in it, so that only this is written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.engine.curves import Curve
from app.sessions.history import History
from app.sessions.revisions import Revision
from app.sessions.session import Session
from app.sessions.valkey.parts import Parts
from app.sessions.valkey.records import (
    Damaged,
    Head,
    Kept,
    pack_head,
    pack_part,
    pack_revision,
    parts_of_state,
    unpack_head,
    unpack_part,
    unpack_revision,
)

Fields = dict[str, tuple[Any, ...]]


class Recorded(History):
    """A history whose revisions and parts are fields of a stored session: `r:NUMBER` and `b:NUMBER`, and `head`."""

    __slots__ = ("_changed", "_headed", "_parts")

    def __init__(self, first: Revision | None, budget: int, ancestors: Sequence[Curve] = ()) -> None:
        self._parts = Parts()
        self._changed: dict[int, Revision | None] = {}
        self._headed: tuple[Any, ...] = ()  # the parts of the head
        super().__init__(first, budget, ancestors)

    def remember(self, number: int, digest: str) -> None:
        super().remember(number, digest)
        self._changed[number] = self.revisions[self.revisions.find(number)]

    def changes(self, session: Session, room: int, kept: Kept) -> tuple[Fields, list[str]]:
        """The fields to set, each as the pieces of its content, and those to delete, since the last time."""
        self._head(session)
        new, gone = self._parts.settle()
        fields: Fields = {f"b:{name}": pack_part(part) for name, part in new.items()}
        deleted = [f"b:{name}" for name in gone]
        for number, revision in self._changed.items():
            if revision is None:
                deleted.append(f"r:{number}")
            else:
                fields[f"r:{number}"] = (pack_revision(revision, number in self._lost, self._parts),)
        self._changed = {}
        standing = (self._stride, self._hand, self._oldest)
        head = Head(session, self.ancestors, standing, len(self.revisions), room, kept, self._parts.next)
        fields["head"] = (pack_head(head, self._parts),)
        return fields, deleted

    def follow(self, fields: Mapping[str, memoryview], deleted: Iterable[str] = ()) -> Head:
        """Do what was done elsewhere, by the contents of what it set. Raises Damaged: then this is of no use any more.

        A history without revisions becomes one that was stored whole.
        """
        for number in sorted(_numbers(deleted), reverse=True):
            if self.revisions.number(-1) == number:  # it may have come and gone
                self._drop(self.revisions.pop())
        self._parts.fetch = lambda name: unpack_part(fields[f"b:{name}"])
        if "head" not in fields:
            raise Damaged("there is no head")
        head = unpack_head(fields["head"], self._parts)
        if not self.ancestors:
            self.ancestors = head.ancestors
            self.entry_bytes += sum(curve.rows.nbytes for curve in head.ancestors)
        for number in sorted(_numbers(fields)):
            revision, lost = unpack_revision(fields[f"r:{number}"], self._parts)
            if lost:
                self._lost.add(number)
            self._take(revision)
        if len(self.revisions) != head.revisions:
            raise Damaged("revisions are missing")
        self._stride, self._hand, self._oldest = head.standing
        self._head(head.session)
        self._parts.settle()
        self._parts.fetch = None
        self._changed = {}
        return head

    def _take(self, revision: Revision) -> None:
        if len(self.revisions) and revision.number <= self.revisions.number(-1):
            self._replace(self.revisions.find(revision.number), revision)
        else:
            self._put(revision)

    def _head(self, session: Session) -> None:
        """The session has these parts now."""
        before = self._headed
        rows = () if session.data is None else session.data.arrays
        curves = (curve.rows for curve in self.ancestors)
        self._headed = (session.config_json, session.init_json, *rows, *parts_of_state(session.state), *curves)
        self._parts.hold(self._headed)
        self._parts.drop(before)

    def _hold(self, revision: Revision) -> None:
        super()._hold(revision)
        self._parts.hold(_parts_of(revision))
        self._changed[revision.number] = revision

    def _drop(self, revision: Revision) -> None:
        super()._drop(revision)
        self._parts.drop(_parts_of(revision))
        self._changed[revision.number] = None


def _parts_of(revision: Revision) -> tuple[Any, ...]:
    rows = () if revision.data is None else revision.data.arrays
    curve = None if revision.curve is None else revision.curve.rows
    return (revision.config_json, curve, *rows, *parts_of_state(revision.state))


def _numbers(fields: Iterable[str]) -> Iterator[int]:
    """The revisions among some fields."""
    return (int(field[2:]) for field in fields if field.startswith("r:"))
