"""What can be done to a session: the bodies of the calls, and what each does.

An operation is prepared first: everything about it that could be wrong is found (InvalidInput, then WrongPhase), and
its cost is known, before it is run. Running it is a pure function from a session to the next one.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from app.engine import cost, passes, training
from app.engine.data import Inline, TargetRows, build_data, build_inputs, build_targets
from app.engine.layers import LayerName, Matrix
from app.engine.losses import Targets
from app.engine.network import Config
from app.engine.optimizers import AnyOptimizer
from app.engine.passes import Using
from app.engine.spec import MAX_FIELDS, Array, Model
from app.engine.state import State, carry_slots
from app.engine.stops import AnyStop
from app.engine.training import Entry, Plan, Stopped
from app.errors import FieldError, InvalidInput, WrongPhase, field_errors
from app.sessions import limits
from app.sessions.session import Session, live_config, to_json
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Job:
    """A prepared operation: what it costs, and how to run it.

    Attributes:
        work: in the units of `app.engine.cost`.
        nbytes: the most that the session may hold after it.
        run: the work itself. It is given a function that says whether to end early.
    """

    work: int
    nbytes: int
    run: Callable[[Callable[[], bool]], "Outcome"]


class Operation(Protocol):
    """What the service can do to a session."""

    def prepare(self, session: Session, settings: Settings) -> Job:
        """Check everything and price it; raises InvalidInput (422), then WrongPhase (409)."""


class Outcome(NamedTuple):
    """The fields of the session that an operation changed, and what else it answers."""

    changes: dict[str, Any]
    result: Any = None


def _advance(session: Session, work: int, n: int, step: Callable[[], State]) -> Job:
    config, rows = session.config, len(session.data.train) if session.data else 0
    nbytes = cost.state_bytes(config, n, rows) + len(session.config_json) + len(session.init_json)
    return Job(work, nbytes, lambda _: Outcome({"state": step()}))


class Forward(Model):
    """Run the forward pass, or go on with it, up to and including a layer.

    With `inputs` or `targets`, or when the last layer was reached, it starts anew. `inputs` alone have no targets;
    `targets` alone go with the session's inputs.
    """

    inputs: Matrix | None = None
    targets: TargetRows | None = None
    until: LayerName | None = None

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state, until = session.config, session.state, self.until
        if until is not None:
            passes.layer_index(config, until)
        anew = self.inputs is not None or self.targets is not None or not passes.forward_under_way(config, state)
        if anew:
            inputs, targets = self._rows(session, settings)
            own_rows = session.data is not None and inputs is session.data.train.inputs and self.targets is None
            state = passes.begin(state, inputs, targets, own_rows=own_rows)
        passes.check_forward(config, state, until)
        assert state.inputs is not None
        n = len(state.inputs)
        work = cost.forward_work(config, n)
        limits.check_work(settings, work)
        return _advance(session, work, n, lambda: passes.forward(config, state, until))

    def _rows(self, session: Session, settings: Settings) -> tuple[Array, Targets | None]:
        config, own = session.config, session.data.train if session.data else None
        if self.inputs is not None:
            limits.check_rows(settings, len(self.inputs))
            inputs = build_inputs(config, self.inputs)
        elif own is None:
            raise InvalidInput([FieldError("/inputs", "this session has no data, so a forward pass takes inputs")])
        else:
            inputs = own.inputs
        if self.targets is not None:
            return inputs, build_targets(config, self.targets, len(inputs))
        return inputs, own.targets if own is not None and self.inputs is None else None


class Backward(Model):
    """Run the backward pass, or go on with it, down to and including a layer.

    `using: "forward"` takes the weights that the forward pass used; `"current"` takes today's, updates made in between
    included.
    """

    until: LayerName | None = None
    using: Using = "forward"

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state = session.config, session.state
        passes.check_backward(config, state, self.until)
        assert state.inputs is not None
        work = cost.backward_work(config, len(state.inputs))
        limits.check_work(settings, work)
        return _advance(
            session, work, len(state.inputs), lambda: passes.backward(config, state, self.until, self.using)
        )


class Step(Model):
    """Let the optimizer update the named parameters (default: all trainable ones not yet stepped)."""

    parameters: Annotated[list[str], Field(min_length=1, max_length=2000)] | None = None

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state = session.config, session.state
        passes.to_update(config, state, self.parameters)
        assert state.inputs is not None
        return _advance(
            session, cost.update_work(config), len(state.inputs), lambda: passes.update(config, state, self.parameters)
        )


class History(NamedTuple):
    """What a training answers beside the session."""

    history: list[Entry]
    stopped: Stopped


class Train(Model):
    """Repeat forward (anew), backward and step until so many more epochs of the session's data have ended."""

    epochs: Annotated[int, Field(ge=1)] = 1
    batch_size: Annotated[int, Field(ge=1)] | None = None
    shuffle: bool = False
    report_every: Annotated[int, Field(ge=1)] = 1
    stop: Annotated[list[AnyStop], Field(max_length=20)] = Field(default_factory=list)

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state, rows = session.config, session.state, session.data
        limits.check_epochs(settings, self.epochs)
        limits.check_entries(settings, self.epochs // self.report_every + 1)
        if rows is None:
            raise WrongPhase("this session has no data to train on", "data")
        plan = Plan(self.epochs, self.batch_size, self.shuffle, self.report_every)
        n, test_n = len(rows.train), len(rows.test) if rows.test else 0
        work = cost.training_work(config, plan, n, test_n)
        limits.check_work(settings, work)
        nbytes = cost.training_bytes(config, plan, n, test_n) + len(session.config_json) + len(session.init_json)
        limits.check_bytes(settings, nbytes)

        def run(ended: Callable[[], bool]) -> Outcome:
            steps = training.train(config, state, rows, plan, time.perf_counter)
            history, trained = _run_to_end(steps, ended)
            return Outcome({"state": trained.state}, History(history, trained.stopped))

        return Job(work, nbytes, run)


def _run_to_end(
    steps: Generator[list[Entry], bool | None, training.Trained], ended: Callable[[], bool]
) -> tuple[list[Entry], training.Trained]:
    history = next(steps)
    while True:
        try:
            history += steps.send(ended())
        except StopIteration as stop:
            return history, stop.value


class Change(Model):
    """Rename a session, or change its optimizer: options that are not named stay as they are, null is the default.

    Another `type` starts from that optimizer's defaults and with empty slots. (RFC 7396, JSON Merge Patch.)
    """

    name: Annotated[str, Field(max_length=200)] | None = None
    optimizer: Annotated[dict[str, Any], Field(max_length=MAX_FIELDS)] | str | None = None

    def prepare(self, session: Session, settings: Settings) -> Job:
        changes: dict[str, Any] = {}
        if "name" in self.model_fields_set:
            changes["name"] = self.name
        if "optimizer" in self.model_fields_set:
            changes |= _with_optimizer(session, self.optimizer)
        return Job(0, session.nbytes, lambda _: Outcome(changes))


def _with_optimizer(session: Session, patch: Any) -> dict[str, Any]:
    """What changes in a session when the patch is merged into its optimizer."""
    values = orjson.loads(session.config_json)
    current = values["optimizer"]
    given = {"type": patch} if isinstance(patch, str) else patch
    if patch is None:
        given = Config.model_fields["optimizer"].default
    elif isinstance(patch, dict) and patch.get("type", current["type"]) == current["type"]:
        given = _merge(current, patch)
    try:
        optimizer = TypeAdapter[Any](AnyOptimizer).validate_python(given)
    except ValidationError as error:
        raise InvalidInput(field_errors(error, given, "/optimizer")) from None
    values["optimizer"] = optimizer.model_dump(mode="json")
    config_json = to_json(values)
    state = carry_slots(session.config, live_config(config_json), session.state)
    return {"config_json": config_json, "state": state}


def _merge(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """An object with another merged in, as RFC 7396 has it."""
    merged = dict(value)
    for key, item in patch.items():
        if item is None:
            merged.pop(key, None)
        elif isinstance(item, dict):
            before = merged.get(key)
            merged[key] = _merge(before if isinstance(before, dict) else {}, item)
        else:
            merged[key] = item
    return merged


@dataclass(frozen=True, slots=True)
class NewData:
    """Other rows to train on; trace and gradients become null, and an epoch under way starts anew."""

    rows: Inline

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, n = session.config, row_count(self.rows)
        limits.check_rows(settings, n)
        nbytes = cost.state_bytes(config, 0, n) + len(session.config_json) + len(session.init_json)
        limits.check_bytes(settings, nbytes)
        rows = build_data(config, self.rows, "")
        state = session.state.without_trace()._replace(epoch_position=0)
        return Job(0, nbytes, lambda _: Outcome({"data": rows, "state": state}))


def row_count(rows: Inline) -> int:
    """The rows to train and to test on."""
    return len(rows.inputs) + (len(rows.test.inputs) if rows.test else 0)
