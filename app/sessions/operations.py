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
from app.engine.optimizers import SGD, AnyOptimizer
from app.engine.passes import Using
from app.engine.spec import MAX_FIELDS, Array, Model
from app.engine.state import State, carry_slots
from app.engine.stops import AnyStop
from app.engine.training import Entry, Plan, Stopped
from app.engine.work import Work
from app.errors import FieldError, InvalidInput, field_errors
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


def _advance(session: Session, settings: Settings, work: int, n: int, step: Callable[[], State]) -> Job:
    """The job of a pass or an update with a trace over n samples."""
    nbytes = session.text_bytes + cost.state_bytes(session.config, n, session.row_count)
    limits.check_work(settings, work)
    limits.check_bytes(settings, nbytes)
    return Job(work, nbytes, lambda _: Outcome({"state": step()}))


def _inputs(session: Session, settings: Settings, given: list[list[float]] | None) -> Array:
    """The rows of a call, or else the session's own."""
    if given is not None:
        limits.check_rows(settings, len(given))
        return build_inputs(session.config, given)
    if session.data is None:
        raise InvalidInput([FieldError("/inputs", "is needed, as this session has no data")])
    return session.data.train.inputs


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
        stop = passes.check_forward(config, state, until)
        assert state.inputs is not None
        n = len(state.inputs)
        return _advance(
            session, settings, cost.forward_work(config, n), n, lambda: passes.forward_to(config, state, stop)
        )

    def samples(self, session: Session) -> int | None:
        """How many samples the trace will have; None where the call is going to be refused."""
        if self.inputs is not None:
            return len(self.inputs)
        if passes.forward_under_way(session.config, session.state) and self.targets is None:
            return session.trace_count
        return None if session.data is None else len(session.data.train)

    def _rows(self, session: Session, settings: Settings) -> tuple[Array, Targets | None]:
        inputs = _inputs(session, settings, self.inputs)
        if self.targets is not None:
            return inputs, build_targets(session.config, self.targets, len(inputs))
        return inputs, session.data.train.targets if session.data is not None and self.inputs is None else None


class _OnTrace(Model):
    """An operation that goes on with the trace that there is."""

    def samples(self, session: Session) -> int | None:
        """How many samples the trace has; None without."""
        return session.trace_count or None


class Backward(_OnTrace):
    """Run the backward pass, or go on with it, down to and including a layer.

    `using: "forward"` takes the weights that the forward pass used; `"current"` takes today's, updates made in between
    included.
    """

    until: LayerName | None = None
    using: Using = "forward"

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state = session.config, session.state
        layers = passes.check_backward(config, state, self.until)
        assert state.inputs is not None
        n = len(state.inputs)
        return _advance(
            session, settings, cost.backward_work(config, n), n,
            lambda: passes.backward_over(config, state, layers, self.using),
        )  # fmt: skip


class Step(_OnTrace):
    """Let the optimizer update the named parameters (default: all trainable ones not yet stepped)."""

    parameters: Annotated[list[str], Field(min_length=1, max_length=2000)] | None = None

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state = session.config, session.state
        chosen = passes.check_update(config, state, self.parameters)
        assert state.inputs is not None
        return _advance(
            session, settings, cost.update_work(config), len(state.inputs),
            lambda: passes.update_these(config, state, chosen),
        )  # fmt: skip


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
        plan = Plan(self.epochs, self.batch_size, self.shuffle, self.report_every)
        limits.check_epochs(settings, plan.epochs)
        limits.check_entries(settings, training.entries_of(plan, state.epochs))
        if rows is None:
            raise InvalidInput([FieldError("", "this session has no data to train on; PUT …/data gives it some")])
        n, test_n = len(rows.train), len(rows.test) if rows.test else 0
        work = cost.training_work(config, plan, n, test_n, state.epochs)
        limits.check_work(settings, work)
        nbytes = session.text_bytes + cost.training_bytes(config, plan, n, test_n)
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
        name = self.name if "name" in self.model_fields_set else session.name
        if "optimizer" not in self.model_fields_set:
            return Job(0, session.nbytes, lambda _: Outcome({"name": name}))
        before, state, values = session.config, session.state, orjson.loads(session.config_json)
        values["optimizer"] = _merge_optimizer(values["optimizer"], self.optimizer)
        config_json = to_json(values)
        after = live_config(config_json)
        nbytes = session.text_bytes + cost.state_bytes(after, session.trace_count, session.row_count)
        limits.check_bytes(settings, nbytes)

        def run(_: Callable[[], bool]) -> Outcome:
            return Outcome({"name": name, "config_json": config_json, "state": carry_slots(before, after, state)})

        return Job(cost.update_work(after), nbytes, run)


def _merge_optimizer(current: dict[str, Any], patch: dict[str, Any] | str | None) -> dict[str, Any]:
    """The completed optimizer with a patch merged in; raises InvalidInput where that makes none."""
    given: Any = {"type": patch} if isinstance(patch, str) else patch
    merged = {"type": SGD.type_name()} if given is None else _merge(current, given)
    try:
        optimizer = TypeAdapter[Any](AnyOptimizer).validate_python(merged)
    except ValidationError as error:
        raise InvalidInput(field_errors(error, merged, "/optimizer")) from None
    values: dict[str, Any] = optimizer.model_dump(mode="json")
    return values


def _merge(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """An object with another merged in, as RFC 7396 has it; one of another `type` starts from nothing."""
    merged = dict(value) if patch.get("type", value.get("type")) == value.get("type") else {}
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
        nbytes = session.text_bytes + cost.state_bytes(config, len(self.rows.inputs), n)
        limits.check_bytes(settings, nbytes)
        rows = build_data(config, self.rows, "")
        state = session.state.without_trace()._replace(epoch_position=0)
        return Job(0, nbytes, lambda _: Outcome({"data": rows, "state": state}))


def row_count(rows: Inline) -> int:
    """The rows to train and to test on."""
    return len(rows.inputs) + (len(rows.test.inputs) if rows.test else 0)


class Predict(Model):
    """Rows to run the network on (default: the session's own)."""

    inputs: Matrix | None = None

    def prepare(self, session: Session, settings: Settings, *, activations: bool) -> tuple[int, Callable[[], Work]]:
        """What a prediction costs, and the prediction; raises InvalidInput.

        `activations` says whether each layer's z and a will be shown too.
        """
        config, parameters = session.config, session.state.parameters
        inputs = _inputs(session, settings, self.inputs)
        n, work = len(inputs), cost.forward_work(session.config, len(inputs))
        limits.check_work(settings, work)
        limits.check_bytes(settings, cost.predict_bytes(config, n), "/inputs")
        limits.check_numbers(settings, n * (2 * config.network.unit_count if activations else config.network.sizes[-1]))
        return work, lambda: passes.predict(config, parameters, inputs)
