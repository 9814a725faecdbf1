"""What one session answers to one client at a time; and whether what many got of it at once could be that.

The calls of many clients are linearisable where there is an order of them in which each begins before no other has
ended that comes earlier, and in which a single client would have got the same answers. (Herlihy and Wing, 1990; the
search is Wing and Gong's, 1993.)
"""

import math
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx2
import orjson

from app.api.contents import View
from app.api.sessions import describe
from app.api.snapshots import snapshot
from app.errors import WrongPhase
from app.sessions.edits import Change
from app.sessions.operations import Operation
from app.sessions.session import Session
from app.settings import Settings

SETTINGS = Settings()
MOST_TRIES = 50  # for each call: where orders are as hard to find as that, something is wrong
_BEGAN = attrgetter("began")
TIMES = ("created_at", "updated_at", "expires_at")


@dataclass(frozen=True)
class Ask:
    """A request: a change, to stand at an earlier revision, or, with neither, to read the snapshot."""

    method: str = "GET"
    path: str = "/snapshot"
    body: Any = None
    operation: Operation | None = None
    rewind: int | None = None
    if_match: int | None = None


@dataclass(eq=False)
class Call:
    """What was asked from when to when, and what was answered."""

    began: float
    ended: float
    ask: Ask
    status: int
    headers: httpx2.Headers
    body: Any


class Place(NamedTuple):
    """A session as it stood at a revision, and the revision before."""

    session: Session
    before: "Place | None"

    def is_from(self, parents: Mapping[int, int]) -> bool:
        """Whether that is the revision before, as far as it is known."""
        assert self.before is not None
        parent = self.before.session.revision
        return parents.get(self.session.revision, parent) == parent


class Model(NamedTuple):
    """A session: its latest revision, from which the earlier ones are reached, and the one where it stands."""

    latest: Place
    here: Place

    def after(self, ask: Ask) -> tuple["Model", int]:
        """The session after a request, and the status of the answer."""
        session = self.here.session
        if ask.rewind is not None:
            place: Place | None = self.latest
            while place is not None and place.session.revision != ask.rewind:
                place = place.before
            if place is None:
                return self, 410 if ask.rewind < self.latest.session.revision else 422
        job = None
        if ask.operation is not None:
            try:
                job = ask.operation.prepare(session, SETTINGS)
            except WrongPhase:
                return self, 409 if ask.if_match in (None, session.revision) else 412
        if ask.if_match not in (None, session.revision):
            return self, 412
        if ask.rewind is not None:
            assert place is not None
            return Model(self.latest, place._replace(session=place.session._replace(name=session.name))), 200
        if job is None:
            return self, 200
        number = self.latest.session.revision + 1
        changed = session._replace(**job.run(lambda: False).changes, revision=number, latest_revision=number)
        there = Place(changed, self.here)
        return Model(there, there), 200

    def answers(self, call: Call) -> bool:
        """Whether this, once a call is done, is what its answer shows."""
        session = self.here.session
        if call.headers["etag"] != f'"{session.revision}"':
            return False
        if isinstance(call.ask.operation, Change):
            session = session._replace(latest_revision=self.latest.session.revision)
            return _without_times(call.body) == _without_times(_plain(describe(session)))
        shown = call.body["snapshot"] if call.ask.path == "/train" else call.body
        return bool(shown == _plain(snapshot(session, View())))

    @property
    def past(self) -> Iterator[Session]:
        """The session at each of its revisions, the latest first."""
        place: Place | None = self.latest
        while place is not None:
            yield place.session
            place = place.before


def order_of(
    calls: Sequence[Call], start: Model, parents: Mapping[int, int] = MappingProxyType({})
) -> tuple[list[Call], Model]:
    """An order in which one client would have got these answers, and the session in the end.

    `parents` says, as far as it is known, from which revision another was made.

    Raises:
        AssertionError: there is none.
    """
    todo, tries = sorted(calls, key=_BEGAN), 0
    path: list[tuple[Call, Model, list[tuple[Call, Model]]]] = []
    model, choices, furthest = start, _next(todo, start, parents), len(todo)
    while todo:
        assert tries < MOST_TRIES * len(calls), f"no order was found, and at least {furthest} calls fit in none"
        tries += 1
        if choices:
            call, after = choices.pop()
            path.append((call, model, choices))
            todo.remove(call)
            model, choices = after, _next(todo, after, parents)
            furthest = min(furthest, len(todo))
        else:
            assert path, f"there is no order: at least {furthest} calls fit in none"
            call, model, choices = path.pop()
            insort(todo, call, key=_BEGAN)
    return [call for call, _, _ in path], model


def _next(todo: list[Call], model: Model, parents: Mapping[int, int]) -> list[tuple[Call, Model]]:
    """The calls that may come next, and the session after each; only the one, where one changes nothing."""
    fitting, ended = list[tuple[Call, Model]](), math.inf
    for call in todo:
        if call.began > ended:
            break
        ended = min(ended, call.ended)
        after, status = model.after(call.ask)
        if status == call.status and (status != 200 or after.answers(call)):
            if after is model:
                return [(call, model)]
            if after.latest is model.latest or after.latest.is_from(parents):
                fitting.append((call, after))
    return fitting


def _plain(body: dict[str, Any]) -> Any:
    return orjson.loads(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))


def _without_times(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in TIMES}
