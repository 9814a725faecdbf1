"""The past computed again: states that were let go, and epochs inside a training.

Every operation is a pure function of the state before it, the session's config and rows, and its arguments, so that
doing it again gives the same state, bit for bit.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from app.engine import cost, training
from app.engine.batches import steps_of
from app.engine.plan import Plan, Trained
from app.engine.rows import Data
from app.engine.state import State, initial_state
from app.engine.stepping import before_update
from app.errors import Full, RevisionGone
from app.sessions.edits import Change, Edit
from app.sessions.lane import RETRY_AFTER_SECONDS
from app.sessions.operations import MAX_ARGUMENTS, Backward, Forward, Request, Step, Train
from app.sessions.revisions import Revision, Revisions
from app.sessions.session import Session, live_config, with_init
from app.settings import Settings

INIT_BYTE_WORK = 100  # to read a byte of a config, in the units of `app.engine.cost`
_OPERATIONS: dict[str, type[Request] | type[Edit]] = {
    kind.operation: kind for kind in (Forward, Backward, Step, Train, Change, Edit)
}


class Part(NamedTuple):
    """A change to do again, from the revision before it; of a training, maybe only so far."""

    before: Revision
    revision: Revision
    epoch: int | None

    @property
    def plan(self) -> Plan:
        """How much of the training is to be done."""
        plan: Plan = _operation(self.revision).plan
        before, after = self.before.state, self.revision.state
        if self.epoch is None:
            return replace(plan, steps=after.steps - before.steps)
        return replace(plan, epochs=self.epoch - before.epochs)


class Recipe(NamedTuple):
    """How to come to a state of the past: from one that is kept (None: the config's own start), some changes again.

    `end` is the revision that it stands at, or in: its config and rows are those of the state.
    """

    base: State | None
    parts: Sequence[Part]
    end: Revision


def recipe(revisions: Revisions, index: int, epoch: int | None = None) -> Recipe:
    """How to come to the revision at a position, or to the end of an epoch in it.

    Raises:
        RevisionGone: what lies between cannot be done again.
    """
    parts: list[Part] = []
    end = revisions[index]
    while True:
        revision = revisions[index]
        ends_there = epoch is None or (revision.state.epochs == epoch and revision.state.epoch_position == 0)
        if ends_there and isinstance(revision.state, State):
            return Recipe(revision.state, parts[::-1], end)
        if revision.source is not None:
            index, epoch = revisions.find(revision.source), revision.state.epochs
            continue
        if not revision.can_come_back:
            raise RevisionGone("this state is no longer kept, and what led to it cannot be done again")
        if index == 0:
            return Recipe(None, parts[::-1], end)
        parts.append(Part(revisions[index - 1], revision, None if ends_there else epoch))
        index, epoch = index - 1, None


def work_of(session: Session, recipe: Recipe) -> int:
    """About what it costs, in the units of `app.engine.cost`."""
    start, base = 0, recipe.base
    if base is None:
        start = cost.update_work(session.config) + INIT_BYTE_WORK * len(session.init_json)
    rows = 0 if base is None or base.inputs is None else len(base.inputs)
    return start + sum(part_work(part, rows) for part in recipe.parts)


def part_work(part: Part, rows: int = 0) -> int:
    """About what a part of it costs; `rows` are those of the trace that it starts from."""
    config, data = live_config(part.before.config_json), part.before.data
    n = len(data.train) if data else 1
    if part.revision.operation == Train.operation:
        return cost.training_work(config, part.plan, n, 0, part.before.state.epochs)
    given = MAX_ARGUMENTS // 4  # as many rows as arguments that are kept can have
    return cost.backward_work(config, max(n, rows, given))


def replay(session: Session, recipe: Recipe, settings: Settings, ended: Callable[[], bool]) -> State:
    """Do what a recipe says. Raises Full where the server has `ended` before the replay has."""
    state = recipe.base
    if state is None:
        first = recipe.parts[0].before if recipe.parts else recipe.end
        state = initial_state(with_init(session._replace(config_json=first.config_json)))
    for part in recipe.parts:
        _check_running(ended)
        before, revision = part.before, part.revision
        there = session._replace(config_json=before.config_json, data=before.data, state=state)
        if revision.operation == Train.operation:
            state = _train(there, part.plan, ended)
        else:
            state = _operation(revision).prepare(there, settings).run(ended).changes.get("state", state)
    return state


def before_last_update(base: Session, part: Part, ended: Callable[[], bool]) -> State:
    """The state from which the last step of a training was made, which starts at `base`."""
    assert base.data is not None
    plan, state = part.plan, base.state
    steps = steps_of(plan, len(base.data.train), state.epoch_position)
    if steps > 1:
        state = _train(base, replace(plan, steps=steps - 1), ended)
    return before_update(base.config, state, base.data, plan)


def undone(session: Session) -> State:
    """The state before the last step of a training, where the optimizer remembers nothing from step to step."""
    state, parameters = session.state, session.config.network.parameters
    updates = tuple(count - one.trainable for count, one in zip(state.updates, parameters, strict=True))
    return state._replace(parameters=state.used, phase="backward", steps=state.steps - 1, updates=updates)


def _operation(revision: Revision) -> Any:
    """The operation of a revision, with its arguments."""
    return _OPERATIONS[revision.operation].model_validate_json(revision.arguments)


def _train(session: Session, plan: Plan, ended: Callable[[], bool]) -> State:
    assert session.data is not None
    rows = Data(session.data.train)
    quiet = replace(plan, report_every=plan.epochs + session.state.epochs, stop=(), frames=False, probe=None)
    steps = training.train(session.config, session.state, rows, quiet, time.perf_counter)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            trained: Trained = end.value
            return trained.state
        _check_running(ended)


def _check_running(ended: Callable[[], bool]) -> None:
    if ended():
        raise Full("the server is stopping", retry_after=RETRY_AFTER_SECONDS)
