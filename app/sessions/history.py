"""The history of a session: its revisions in a row, and the states that are kept of them.

Each change appends a revision. Standing at an earlier one and changing something cuts the later ones off, so that each
revision but the first was made from the one before it in the row. Only a rewind to an epoch, which may lie inside a
training, stands for itself: it names the revision that has the epoch in it, and cuts nothing off.

States share what did not change, and have a budget of memory. Beyond it old states are let go, every other one of them,
then three of four and so on; a state that was let go can be computed again from the nearest one before it that is kept
(`app.sessions.replay`). What cannot be done again (other data, or a change whose arguments were too large to keep)
keeps its state for as long as there is any other to let go.
"""

from collections.abc import Sequence
from typing import Any

from app.engine.curves import ARRAY_BYTES, Curve
from app.engine.rows import Data
from app.engine.state import State
from app.sessions.lineage import curve_of
from app.sessions.revisions import Outline, Revision, Revisions

_STATE_BYTES = 450
_COUNT_BYTES = 40
AT_ONCE = 1_000  # states to let go in one call, so that it does not take long


class History:
    """The revisions of one session, oldest first, and how much memory they hold."""

    __slots__ = (
        "_budget", "_hand", "_lost", "_oldest", "_stride", "_uses", "ancestors", "entry_bytes", "revisions",
        "state_bytes",
    )  # fmt: skip

    def __init__(self, first: Revision | None, budget: int, ancestors: Sequence[Curve] = ()) -> None:
        self.revisions = Revisions()
        self.ancestors = tuple(ancestors)
        self.entry_bytes = sum(curve.rows.nbytes for curve in ancestors)
        self.state_bytes = 0
        self._uses: dict[int, int] = {}  # by how many revisions an array is used
        self._budget = budget
        self._stride, self._hand = 2, 1
        self._oldest = 0  # no state before it is kept
        self._lost: set[int] = set()  # the revisions whose states are gone for good
        if first is not None:  # without one, it is still to be filled
            self._put(first)

    @property
    def nbytes(self) -> int:
        """The memory of it all."""
        return self.entry_bytes + self.state_bytes

    def append(self, revision: Revision, after: int) -> None:
        """Put in a change that was made at revision `after`; later ones are cut off."""
        if self.revisions.number(-1) != after:
            self._cut(after)
        self._put(revision)
        if self.state_bytes > self._budget:
            self.shrink(self._budget, revision.number)

    def revive(self, number: int, state: State) -> None:
        """Keep a state that was computed again: the session stands there."""
        index = self.revisions.find(number)
        if not self.revisions.is_kept(index):
            self._replace(index, self.revisions[index]._replace(state=state))
            self._oldest = min(self._oldest, index)
            if self.state_bytes > self._budget:
                self.shrink(self._budget, number)

    def remember(self, number: int, digest: str) -> None:
        """Keep the hash of a state, which was worked out."""
        index = self.revisions.find(number)
        self.revisions[index] = self.revisions[index]._replace(digest=digest)

    def shrink(self, budget: int, standing: int) -> None:
        """Let states go until the rest are within a budget, but never the one where the session stands.

        So many at most as can go at once: the next change goes on with it. When all have gone, the rows that the
        session began with go too, unless it still has them.
        """
        left = AT_ONCE
        while self.state_bytes > budget and left and self._stride <= 2 * len(self.revisions):
            if self._hand >= len(self.revisions):
                self._hand, self._stride = 1, 2 * self._stride
                continue
            if self._hand % self._stride and self._may_go(self._hand, standing) and self._comes_back(self._hand):
                self._let_go(self._hand)
                left -= 1
            self._hand += 1
        while self._oldest < len(self.revisions) and not self.revisions.is_kept(self._oldest):
            self._oldest += 1
        for for_good in (False, True):
            for index in range(self._oldest, len(self.revisions)):
                if self.state_bytes <= budget or not left:
                    return
                if self._may_go(index, standing) and (for_good or self._comes_back(index)):
                    self._let_go(index)
                    left -= 1
        rows = self.revisions[self.revisions.find(standing)].data
        if self.state_bytes > budget and self._has_other_rows(0, rows):
            self._lose(0, self.revisions[0])

    def _has_other_rows(self, index: int, rows: Data | None) -> bool:
        """Whether there are rows at a position, where no state is kept, that are not these."""
        data = self.revisions[index].data
        return data is not None and data is not rows and not self.revisions.is_kept(index)

    def _put(self, revision: Revision) -> None:
        self.revisions.append(revision)
        self._hold(revision)

    def _cut(self, after: int) -> None:
        last = self.revisions.find(after)
        while len(self.revisions) - 1 > last:
            self._drop(self.revisions.pop())
        self._hand = min(self._hand, len(self.revisions))
        self._stride = min(self._stride, 1 << len(self.revisions).bit_length())
        self._oldest = min(self._oldest, last)

    def _may_go(self, index: int, standing: int) -> bool:
        return self.revisions.is_kept(index) and self.revisions.number(index) != standing

    def _comes_back(self, index: int) -> bool:
        """Whether the state at a position can be computed again, from another that is kept or from the config."""
        revision = self.revisions[index]
        if index == 0:
            return revision.can_come_back
        before = self.revisions.number(index - 1) if revision.source is None else revision.source
        return revision.can_come_back and before not in self._lost

    def _let_go(self, index: int) -> None:
        revision = self.revisions[index]
        state = revision.state
        assert isinstance(state, State)
        curve = curve_of(revision, self.revisions[index - 1] if index else None)
        outline = Outline(
            state.phase, state.steps, state.epochs, state.epoch_position, state.forwarded, state.backwarded,
            state.loss, state.updates, state.nbytes, revision.state_hash,
        )  # fmt: skip
        gone = revision._replace(state=outline, curve=curve)
        if self._comes_back(index):
            self._replace(index, gone)
        else:
            self._lose(index, gone)

    def _lose(self, index: int, revision: Revision) -> None:
        """A state is gone for good, and so are those that start from it: nothing needs their rows any more."""
        while True:
            self._lost.add(revision.number)
            self._replace(index, revision._replace(data=None, complete=False))
            index += 1
            if index == len(self.revisions) or self.revisions.is_kept(index) or self._comes_back(index):
                return
            revision = self.revisions[index]

    def _replace(self, index: int, revision: Revision) -> None:
        self._drop(self.revisions[index])
        self.revisions[index] = revision
        self._hold(revision)

    def _hold(self, revision: Revision) -> None:
        """Count the memory of a revision; an array that several use counts once."""
        self.entry_bytes += revision.nbytes
        self.state_bytes += _STATE_BYTES * revision.is_kept
        uses = self._uses
        for part in _parts(revision):
            key = id(part)
            if key in uses:
                uses[key] += 1
            else:
                uses[key] = 1
                self._count(part, 1)

    def _drop(self, revision: Revision) -> None:
        self.entry_bytes -= revision.nbytes
        uses = self._uses
        for part in _parts(revision):
            key = id(part)
            uses[key] -= 1
            if not uses[key]:
                del uses[key]
                self._count(part, -1)
        self.state_bytes -= _STATE_BYTES * revision.is_kept

    def _count(self, part: Any, sign: int) -> None:
        """Count what a state is made of; the counts of updates stay when it goes, and are its entry's."""
        if isinstance(part, tuple):
            self.entry_bytes += sign * _COUNT_BYTES * len(part)
        elif part is not None:
            self.state_bytes += sign * (ARRAY_BYTES + int(part.nbytes))


def _parts(revision: Revision) -> tuple[Any, ...]:
    """Everything large that a revision holds, some of it more than once; None where it has no such thing."""
    state = revision.state
    rows = () if revision.data is None else revision.data.arrays
    if isinstance(state, Outline):
        return (state.updates, *rows)
    return (
        state.updates, state.parameters, state.used, state.backward_used, state.slots, state.gradients, state.forward,
        state.backward, state.inputs, state.targets, *rows,
    )  # fmt: skip
