"""The way that led to a revision: its epochs, and their curves.

It goes from a revision to the one before it in the row, but for a rewind to an epoch, which leads to the revision that
has the epoch in it.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from app.engine.curves import Curve, joined, pack
from app.engine.entries import entry_of_step
from app.engine.state import State
from app.errors import FieldError, InvalidInput
from app.sessions.revisions import Revision, Revisions
from app.sessions.session import live_config

_CURVE_WORK = 20_000
_WITH_EPOCHS = ("step", "train", "rewind")


def way_to(revisions: Revisions, index: int) -> Iterator[int]:
    """The positions of the revisions on the way, the last one first."""
    while index >= 0:
        yield index
        source = revisions.source(index)
        index = index - 1 if source is None else revisions.find(source)


def find_epoch(
    revisions: Revisions, standing: int, epoch: int, pointer: str = "?epoch", *, anywhere: bool = True
) -> int:
    """The position of the revision in which an epoch ended: on the way to a position, or else wherever there is one.

    Raises:
        InvalidInput: no revision (or, but for `anywhere`, none on the way) has this epoch in it.
    """

    def has(index: int) -> bool:
        epochs, position = revisions.epochs(index)
        if index == 0 or revisions.source(index) is not None:
            return epochs == epoch and position == 0
        return revisions.epochs(index - 1)[0] < epoch <= epochs

    behind = way_to(revisions, standing) if epoch <= revisions.epochs(standing)[0] else iter(())
    elsewhere = chain(range(standing + 1, len(revisions)), range(standing - 1, -1, -1))
    for index in chain(behind, elsewhere if anywhere else ()):
        if has(index):
            return index
    if not anywhere:
        raise InvalidInput([FieldError(pointer, "this epoch is not on the way that led to this revision")])
    ends = [revisions.epochs(index)[0] for index in range(len(revisions))]
    detail = f"this epoch is not in the session's history, which has {min(ends)} to {max(ends)}"
    raise InvalidInput([FieldError(pointer, detail)])


def curve_of(revision: Revision, before: Revision | None) -> Curve | None:
    """The epochs that ended in a revision."""
    state = revision.state
    if revision.curve is not None or revision.operation != "step" or before is None or not isinstance(state, State):
        return revision.curve
    if state.epochs == before.state.epochs:
        return None
    return pack([entry_of_step(live_config(revision.config_json), state, None)])


def curves_of(revisions: Revisions, ancestors: Sequence[Curve], index: int, epoch: int | None = None) -> list[Curve]:
    """The curves of the session's whole life up to a revision, its ancestors' included, and up to an epoch."""
    curves: list[Curve] = []
    for at in way_to(revisions, index):
        if revisions.operation(at) not in _WITH_EPOCHS:
            continue
        if revisions.source(at) is not None:
            last = revisions.epochs(at)[0]
            epoch = last if epoch is None else min(epoch, last)
            continue
        curve = curve_of(revisions[at], revisions[at - 1] if at else None)
        if curve is not None:
            curves.append(curve if epoch is None else curve.until(epoch))
    before = ancestors if epoch is None else [curve.until(epoch) for curve in ancestors]
    return joined([*before, *reversed(curves)])


def curves_work(revisions: Revisions) -> int:
    """About what they cost to find, in the units of `app.engine.cost`."""
    return _CURVE_WORK * len(revisions)
