"""The past of sessions, for readers: at a revision, where an epoch ended, before an update."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from app.engine.state import State
from app.errors import RevisionGone
from app.sessions.lane import Lane
from app.sessions.lineage import find_epoch
from app.sessions.operations import Train
from app.sessions.replay import Part, Recipe, before_last_update, part_work, recipe, replay, undone, work_of
from app.sessions.revisions import Revisions
from app.sessions.session import Session
from app.sessions.store import SessionStore
from app.settings import Settings

T = TypeVar("T")
_PART_WORK = 50_000  # to find out what is to be done again, for each change


class Run(Protocol):
    """Does work in the event loop or a lane, as its cost has it."""

    def __call__(self, work: int, function: Callable[[], T]) -> Awaitable[T]:
        """What the function comes to; `work` is in the units of `app.engine.cost`."""


class Place(NamedTuple):
    """A position in the row of revisions; `epoch` where an epoch inside it is meant, and not how it ends."""

    position: int
    epoch: int | None


class Past:
    """What knows how sessions stood. `read` is for looking through a history, `run` for computing again."""

    def __init__(self, store: SessionStore, settings: Settings, lane: Lane, read: Run, run: Run) -> None:
        self.store, self.settings, self.read, self.run = store, settings, read, run
        self.ended = lane.closing.is_set

    async def at(
        self, session: Session, revision: int | None = None, epoch: int | None = None, pointer: str = "?"
    ) -> Session:
        """The session as it stood at a revision, or where an epoch ended, for a reader (neither: as it is now).

        With both, the epoch is the one on the way to the revision. `pointer` is where the request names them.

        Raises:
            InvalidInput: there is no such revision or epoch.
            RevisionGone: it is no longer kept, and cannot be computed again.
            Full: it would be computed again in the lane, which has no room.
        """
        if revision is None and epoch is None:
            return session
        revisions = (await self.store.history(session.id)).revisions
        place = find(revisions, session.revision, revision, epoch, pointer)
        found = await self._recipe(revisions, place)
        state, end = found.base, found.end
        if found.parts or state is None:
            work = work_of(session, found)
            state = await self._do_again(work, partial(replay, session, found, self.settings, self.ended))
        return session._replace(
            state=state, config_json=end.config_json, data=end.data, revision=end.number, epoch=place.epoch
        )

    async def before_update(self, session: Session, number: int, epoch: int | None) -> State:
        """The state from which the last step of a revision was made, or of an epoch inside it.

        Raises RevisionGone or Full, as `at` does.
        """
        revisions = (await self.store.history(session.id)).revisions
        index = revisions.find(number)
        before, revision = revisions[index - 1], revisions[index]
        if revision.operation != Train.operation:
            return (await self.at(session, before.number)).state
        there = await self.at(session, number, epoch)
        if not len(there.state.slots):  # then the state after it still has all of the one before
            return undone(there)
        part = Part(before, revision, epoch)
        base = await self.at(session, before.number)
        return await self._do_again(part_work(part), partial(before_last_update, base, part, self.ended))

    async def _recipe(self, revisions: Revisions, place: Place) -> Recipe:
        """How to come there; a long way back to a state that is kept is looked for in a thread."""
        kept = place.position
        while kept > 0 and not revisions.is_kept(kept):
            kept -= 1
        work = _PART_WORK * (place.position - kept)
        return await self.read(work, partial(recipe, revisions[:] if work else revisions, *place))

    async def _do_again(self, work: int, function: Callable[[], State]) -> State:
        """Compute a state of the past. Raises RevisionGone where that is too much to ask."""
        if work > self.settings.max_work:
            raise RevisionGone("this state is no longer kept, and takes too much work to be computed again")
        return await self.run(work, function)


def find(revisions: Revisions, standing: int, revision: int | None, epoch: int | None, pointer: str) -> Place:
    """Where a revision is, or an epoch, or the epoch on the way to a revision; raises InvalidInput or RevisionGone."""
    index = revisions.find(standing if revision is None else revision, f"{pointer}revision")
    if epoch is None:
        return Place(index, None)
    index = find_epoch(revisions, index, epoch, f"{pointer}epoch", anywhere=revision is None)
    return Place(index, None if revisions.epochs(index) == (epoch, 0) else epoch)


def size_of(revisions: Revisions, place: Place) -> int:
    """About how large the state there is."""
    first = place.position if place.epoch is None else max(place.position - 1, 0)
    return max(revisions[index].state.nbytes for index in range(first, place.position + 1))
