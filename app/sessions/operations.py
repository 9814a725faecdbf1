"""What can be done to a session: the bodies of the calls, and what each does.

An operation is prepared first: everything about it that could be wrong is found (InvalidInput, then WrongPhase), and
its cost is known, before it is run. Running it is a pure function from a session to the next one.
"""

import time
from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol

from pydantic import Field

from app.engine import cost, passes, training
from app.engine.curves import ENTRY_BYTES, Curve, pack
from app.engine.data import TargetRows
from app.engine.entries import Entry, entry_of_step
from app.engine.layers import LayerName, Matrix
from app.engine.losses import Targets
from app.engine.messages import Training
from app.engine.passes import Using
from app.engine.plan import Ending, Plan, Progress, Stopped, entries_of
from app.engine.plan import Trained as TrainedState
from app.engine.rows import Data, build_inputs, build_targets
from app.engine.spec import Array, Model
from app.engine.state import State
from app.engine.stops import AnyStop, watch
from app.engine.work import Work
from app.errors import FieldError, InvalidInput
from app.sessions import limits
from app.sessions.session import Session, live_config, to_json
from app.settings import Settings

Count = Annotated[int, Field(ge=1, le=2**53)]
MAX_ARGUMENTS, MAX_NAMES = 2_000, 20_000  # bytes

Ended = Callable[[], bool]
MaybeCurve = Curve | None  # named once: what annotates a function inside another is made at each call


class Job(NamedTuple):
    """A prepared operation: what it costs, and how to run it.

    Attributes:
        work: in the units of `app.engine.cost`.
        nbytes: the most that the session may hold after it.
        run: the work itself. It is given a function that says whether to end early.
        training: the same, for a worker process, where it is a training.
    """

    work: int
    nbytes: int
    run: Callable[[Ended], "Outcome"]
    training: Training | None = None


class Operation(Protocol):
    """What the service can do to a session.

    Attributes:
        operation: its name in the history.
    """

    operation: ClassVar[str]

    def arguments(self) -> "Arguments":
        """What the history keeps of its arguments."""

    def prepare(self, session: Session, settings: Settings) -> Job:
        """Check everything and price it; raises InvalidInput (422), then WrongPhase (409)."""


class Outcome(NamedTuple):
    """The fields of the session that an operation changed, what else it answers, and the epochs that it ended."""

    changes: dict[str, Any]
    result: Any = None
    curve: Curve | None = None


class Arguments(NamedTuple):
    """Arguments as JSON, null where they are too large to keep, and whether all of them are there."""

    text: bytes = b"{}"
    complete: bool = True


NO_ARGUMENTS = Arguments()


def kept(values: dict[str, Any]) -> Arguments:
    """All of some arguments, or, where that is too much, their names; or nothing, should these be too many as well."""
    text = to_json(values)
    if len(text) <= MAX_ARGUMENTS:
        return Arguments(text)
    names = to_json(dict.fromkeys(values))
    return Arguments(names if len(names) <= MAX_NAMES else b"{}", complete=False)


class Request(Model):
    """The body of a call that changes a session: an operation with its arguments."""

    operation: ClassVar[str]

    def arguments(self) -> Arguments:
        """The fields that were given, but for nulls, which stand for the default."""
        if not self.model_fields_set:
            return NO_ARGUMENTS
        return kept(self.model_dump(mode="json", exclude_unset=True, exclude_none=True))


def _no_curve(_: State) -> MaybeCurve:
    return None


@lru_cache(maxsize=64)
def _state_bytes(config_json: bytes, n: int, rows: int) -> int:
    """As `cost.state_bytes` has it: most calls of a session ask for the same."""
    return cost.state_bytes(live_config(config_json), n, rows)


def _advance(
    session: Session,
    settings: Settings,
    work: int,
    n: int,
    step: Callable[[], State],
    curve: Callable[[State], MaybeCurve] = _no_curve,
) -> Job:
    """The job of a pass or an update with a trace over n samples, and of the curve of what it came to."""
    nbytes = session.text_bytes + _state_bytes(session.config_json, n, session.row_count)
    limits.check_work(settings, work)
    limits.check_bytes(settings, nbytes)

    def run(_: Ended) -> Outcome:
        state = step()
        return Outcome({"state": state}, None, curve(state))

    return Job(work, nbytes, run)


def _inputs(session: Session, settings: Settings, given: list[list[float]] | None) -> Array:
    """The rows of a call, or else the session's own."""
    if given is not None:
        limits.check_rows(settings, len(given))
        return build_inputs(session.config, given)
    if session.data is None:
        raise InvalidInput([FieldError("/inputs", "is needed, as this session has no data")])
    return session.data.train.inputs


class Forward(Request):
    """Run the forward pass, or go on with it, up to and including a layer.

    With `inputs` or `targets`, or when the last layer was reached, it starts anew. `inputs` alone have no targets;
    `targets` alone go with the session's inputs.
    """

    operation: ClassVar[str] = "forward"
    inputs: Matrix | None = None
    targets: TargetRows | None = None
    until: LayerName | None = None

    def arguments(self) -> Arguments:
        """As for every request; rows of thousands are not written out to find that they are too many."""
        numbers = len(self.inputs) * len(self.inputs[0]) if self.inputs else len(self.targets or ())
        if 2 * numbers <= MAX_ARGUMENTS:
            return super().arguments()
        given = {name: None for name in ("inputs", "targets") if getattr(self, name) is not None}
        return Arguments(to_json({**given, "until": self.until} if self.until else given), complete=False)

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


class _OnTrace(Request):
    """An operation that goes on with the trace that there is."""

    def samples(self, session: Session) -> int | None:
        """How many samples the trace has; None without."""
        return session.trace_count or None


class Backward(_OnTrace):
    """Run the backward pass, or go on with it, down to and including a layer.

    `using: "forward"` takes the weights that the forward pass used; `"current"` takes today's, updates made in between
    included.
    """

    operation: ClassVar[str] = "backward"
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

    operation: ClassVar[str] = "step"
    parameters: Annotated[list[str], Field(min_length=1, max_length=2000)] | None = None

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state = session.config, session.state
        chosen = passes.check_update(config, state, self.parameters)
        assert state.inputs is not None
        test, work = session.data.test if session.data else None, cost.update_work(config)
        if test is not None:
            work += cost.forward_work(config, len(test))

        def curve(after: State) -> MaybeCurve:
            """The entry of an epoch that ended; without rows to test on, it is worked out when it is asked for."""
            ended = test is not None and after.epochs > state.epochs
            return pack([entry_of_step(config, after, test)]) if ended else None

        return _advance(
            session, settings, work, len(state.inputs), lambda: passes.update_these(config, state, chosen), curve
        )


class Trained(NamedTuple):
    """What a training answers beside the session."""

    history: list[Entry]
    stopped: Stopped


class Probe(Model):
    """Inputs that the network answers to after each reported epoch, for a picture that lives."""

    inputs: Matrix
    include: Annotated[list[Literal["activations"]], Field(max_length=1)] = Field(default_factory=list)


class Train(Request):
    """Repeat forward (anew), backward and step until so many more epochs of the session's data have ended."""

    operation: ClassVar[str] = "train"
    epochs: Count = 1
    batch_size: Count | None = None
    shuffle: bool = False
    report_every: Count = 1
    drop_last: bool = False
    stop: Annotated[list[AnyStop], Field(max_length=20)] = Field(default_factory=list)
    probe: Probe | None = None

    def arguments(self) -> Arguments:
        """As for every request, but for what is only shown; and without conditions that are too long to keep.

        Neither is needed to do it again: that goes by the steps that were done.
        """
        values = self.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude={"probe"})
        arguments = kept(values)
        return arguments if arguments.complete else kept({**values, "stop": []})

    @property
    def plan(self) -> Plan:
        """How much to train, in what batches, and until what happens."""
        return Plan(
            self.epochs, self.batch_size, self.shuffle, self.report_every, drop_last=self.drop_last,
            stop=tuple(self.stop),
        )  # fmt: skip

    def samples(self, session: Session) -> int | None:
        """How many samples the trace will have: those of an epoch's last batch. None where the call will be refused."""
        if session.data is None:
            return None
        rows = len(session.data.train)
        size = self.plan.size_of_batch(rows)
        return size if self.drop_last or rows % size == 0 else rows % size

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state, rows, plan = session.config, session.state, session.data, self.plan
        limits.check_epochs(settings, plan.epochs)
        entries = entries_of(plan, state.epochs)
        limits.check_entries(settings, entries)
        if rows is None:
            raise InvalidInput([FieldError("", "this session has no data to train on; PUT …/data gives it some")])
        watch(plan.stop, config, rows.test)  # refuses what makes no sense
        work, nbytes = price(session, rows, plan)  # the work is bounded by `max_run_seconds`
        limits.check_bytes(settings, nbytes)

        def run(ended: Ended) -> Outcome:
            steps = training.train(config, state, rows, plan, time.perf_counter)
            history, trained = _run_to_end(steps, ended)
            return Outcome({"state": trained.state}, Trained(history, trained.stopped), pack(history))

        return Job(work, nbytes, run, Training(session.config_json, state, rows, plan))


def price(session: Session, rows: Data, plan: Plan) -> tuple[int, int]:
    """The work and the memory of a training by a plan."""
    config, n, test_n = session.config, len(rows.train), len(rows.test) if rows.test else 0
    work = cost.training_work(config, plan, n, test_n, session.state.epochs)
    entries = entries_of(plan, session.state.epochs)
    return work, session.text_bytes + cost.training_bytes(config, plan, n, test_n) + ENTRY_BYTES * entries


def _run_to_end(
    steps: Generator[Progress, Ending | None, TrainedState], ended: Ended
) -> tuple[list[Entry], TrainedState]:
    history = next(steps).entries
    while True:
        try:
            history += steps.send(Ending("cancelled") if ended() else None).entries
        except StopIteration as stop:
            return history, stop.value


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
