"""Anything done in any order: the past stays what it was, whether it is kept or computed again."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

import pytest
from engine.networks import assert_same, there, train
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.engine.hashing import state_hash
from app.engine.network import Config
from app.engine.state import State
from app.errors import InvalidInput, RevisionGone, WrongPhase
from app.sessions.edits import Change, Edit, NewData
from app.sessions.memory import MemoryStore
from app.sessions.operations import Backward, Forward, Step, Train
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.settings import Settings

from .making import TTL, Clock, Cut, held, plan_of, recount

T = TypeVar("T")

SIGMOIDS = Config.model_validate(
    {
        "network": {
            "inputs": 2,
            "layers": [
                {"name": "hidden", "units": 2, "activation": "sigmoid"},
                {"name": "output", "units": 1, "activation": "sigmoid"},
            ],
        },
        "loss": "half_squared_error",
        "optimizer": {"type": "sgd", "learning_rate": 0.5, "momentum": 0.9},
        "data": {"inputs": [[0.05, 0.1], [0.9, 0.4], [-0.5, 0.8]], "targets": [[0.01], [0.9], [0.4]]},
    }
)
SOFTMAX = Config.model_validate(
    {
        "network": {
            "inputs": 2,
            "layers": [
                {"name": "hidden", "units": 3, "activation": "tanh", "bias": "shared"},
                {"name": "output", "units": 2, "activation": "softmax"},
            ],
        },
        "loss": "half_squared_error",
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "data": {
            "inputs": [[0.3, -0.2], [0.9, 0.4], [-0.5, 0.8], [0.1, 0.7], [-0.6, -0.9]],
            "targets": [[1, 0], [0, 1], [1, 0], [0.5, 0.5], [0, 1]],
            "test": {"inputs": [[0.2, 0.2]], "targets": [[0, 1]]},
        },
        "seed": 7,
    }
)
OPTIMIZERS: list[Any] = [
    None,
    "adam",
    {"learning_rate": 0.1},
    {"type": "adam", "amsgrad": True},
    {"type": "sgd", "learning_rate": 0.2, "momentum": 0.9, "schedule": {"type": "exponential", "gamma": 0.9}},
    {"type": "sgd", "learning_rate": 0.2, "clip": {"type": "norm", "value": 0.1}},
    {"type": "sgd", "learning_rate": 1e308, "momentum": 0.9},  # which soon is not finite
]
LAYERS = st.sampled_from([None, "hidden", "output"])
PARAMETERS = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
NUMBERS = st.floats(-2, 2)


@dataclass
class Made:
    """A revision as it was when it was made.

    Attributes:
        session: how the session stood after it.
        done: what was done; None for the first.
        stood: at which position in the row.
        ended: the state at the end of each epoch that ended in it.
        source: for a rewind to an epoch: the position that it was found at.
    """

    session: Session
    done: Any
    stood: int
    ended: dict[int, State] = field(default_factory=dict)
    source: int | None = None
    hash: str = ""

    def __post_init__(self) -> None:
        self.hash = state_hash(self.session.config, self.session.state)


class Back(NamedTuple):
    """A rewind to the end of an epoch."""

    epoch: int


class TimeTravel(RuleBasedStateMachine):
    """Each session's revisions in a row as they were when they were made, and where it stands."""

    @initialize(
        config=st.sampled_from([SIGMOIDS, SOFTMAX]),
        budget=st.sampled_from([2_000, 4_000, 10_000, 30_000, 1_000_000]),
        dtype=st.sampled_from(["float64", "float32"]),
    )
    def create(self, config: Config, budget: int, dtype: Any) -> None:
        values, self.clock = Settings(max_history=budget, inline_work=10**9), Clock()
        self.budget = budget
        self.sessions = Sessions(MemoryStore(values, self.clock), values, self.clock)
        self.rows: dict[str, list[Made]] = {}
        self.ids: list[str] = []
        draft = self.sessions.draft(config.model_copy(update={"dtype": dtype}))
        self.add(self.wait(self.sessions.create(draft)))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What a call comes to, which never has to wait: the store is in memory, and all work is done at once."""
        with pytest.raises(StopIteration) as end:
            work.send(None)
        return cast(T, end.value.value)

    def add(self, session: Session) -> None:
        """Note a new session."""
        state = session.state
        self.ids.append(session.id)
        ended = {} if state.epoch_position else {state.epochs: state}
        self.rows[session.id] = [Made(session, None, 0, ended)]

    def now(self, session_id: str) -> Session:
        return self.wait(self.sessions.load(session_id))

    def standing(self, session_id: str) -> int:
        """The position in the row where a session stands."""
        number = self.now(session_id).revision
        return [made.session.revision for made in self.rows[session_id]].index(number)

    def do(self, session_id: str, operation: Any) -> bool:
        """Do an operation, and note what came of it; false where it is refused."""
        before, stood = self.now(session_id), self.standing(session_id)
        try:
            after, _ = self.wait(self.sessions.change(session_id, operation))
        except (WrongPhase, InvalidInput):
            assert self.now(session_id) is before
            return False
        assert after.revision == before.latest_revision + 1
        row = self.rows[session_id]
        del row[stood + 1 :]
        row.append(Made(after, operation, stood, self.epochs_in(before, after, operation)))
        return True

    def epochs_in(self, before: Session, after: Session, operation: Any) -> dict[int, State]:
        """The state at the end of each epoch of a training, by trainings of one epoch each."""
        ended, state = {}, before.state
        if isinstance(operation, (Train, Cut)):
            whole = operation.whole if isinstance(operation, Cut) else operation
            assert before.data is not None
            while state.epochs < after.state.epochs:
                plan = {**plan_of(whole), "epochs": 1}
                state = train(before.config, state, before.data, **plan).state
                ended[state.epochs] = state
        elif after.state.epochs > state.epochs:
            ended[after.state.epochs] = after.state
        return ended

    @rule(
        which=st.integers(0, 9),
        until=LAYERS,
        inputs=st.none() | st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=1, max_size=4),
        targeted=st.booleans(),
    )
    def forward(self, which: int, until: str | None, inputs: list[list[float]] | None, targeted: bool) -> None:
        session_id = self.pick(which)
        fields: dict[str, Any] = {} if until is None else {"until": until}
        if inputs is not None:
            fields["inputs"] = inputs
        if targeted:
            n = len(inputs or self.data_of(session_id).train.inputs)
            fields["targets"] = [[0.25] * self.now(session_id).config.network.sizes[-1]] * n
        self.do(session_id, Forward(**fields))

    @rule(which=st.integers(0, 9), until=LAYERS, using=st.sampled_from(["forward", "current"]))
    def backward(self, which: int, until: str | None, using: Any) -> None:
        self.do(self.pick(which), Backward(until=until, using=using))

    @rule(which=st.integers(0, 9), names=st.none() | st.sets(st.sampled_from(PARAMETERS), min_size=1))
    def step(self, which: int, names: set[str] | None) -> None:
        self.do(self.pick(which), Step() if names is None else Step(parameters=sorted(names)))

    @rule(which=st.integers(0, 9))
    def step_by_hand(self, which: int) -> None:
        for operation in (Forward(), Backward(), Step()):
            self.do(self.pick(which), operation)

    @rule(
        which=st.integers(0, 9),
        epochs=st.integers(1, 7),
        batch_size=st.none() | st.integers(1, 6),
        shuffle=st.booleans(),
        steps=st.none() | st.integers(1, 9),
    )
    def train(self, which: int, epochs: int, batch_size: int | None, shuffle: bool, steps: int | None) -> None:
        whole = Train(epochs=epochs, batch_size=batch_size, shuffle=shuffle)
        self.do(self.pick(which), whole if steps is None else Cut(whole, steps))

    @rule(which=st.integers(0, 9), name=st.sampled_from(PARAMETERS[:1] + PARAMETERS[2:3]), number=NUMBERS)
    def edit(self, which: int, name: str, number: float) -> None:
        assert self.do(self.pick(which), Edit.model_validate({f"{name}[0][1]": number}))

    @rule(which=st.integers(0, 9), optimizer=st.sampled_from(OPTIMIZERS))
    def change_optimizer(self, which: int, optimizer: Any) -> None:
        self.do(self.pick(which), Change(optimizer=optimizer))

    @rule(which=st.integers(0, 9), n=st.integers(1, 4), number=NUMBERS)
    def new_data(self, which: int, n: int, number: float) -> None:
        session_id = self.pick(which)
        rows = {"inputs": [[number, 0.5]] * n, "targets": [[0.5] * self.now(session_id).config.network.sizes[-1]] * n}
        assert self.do(session_id, NewData(there(Config.model_validate({**BARE, "data": rows}).data)))

    @rule(which=st.integers(0, 9), back=st.integers(0, 30))
    def rewind(self, which: int, back: int) -> None:
        session_id = self.pick(which)
        row = self.rows[session_id]
        self.rewind_to(session_id, len(row) - 1 - back % len(row))

    def rewind_to(self, session_id: str, position: int) -> bool:
        """Stand at a position in the row; false where that is gone."""
        before, made = self.now(session_id), self.rows[session_id][position]
        try:
            found = self.wait(self.sessions.rewind(session_id, made.session.revision, None))
        except RevisionGone:
            assert self.may_be_gone(session_id, position)
            assert self.now(session_id) is before
            return False
        self.check_is(found, made.session)
        assert (found.revision, found.latest_revision) == (made.session.revision, before.latest_revision)
        return True

    @rule(which=st.integers(0, 9), epoch=st.integers(0, 15))
    def rewind_to_epoch(self, which: int, epoch: int) -> None:
        self.back_to(self.pick(which), epoch)

    def back_to(self, session_id: str, epoch: int) -> None:
        before, stood, row = self.now(session_id), self.standing(session_id), self.rows[session_id]
        position = self.find_epoch(session_id, epoch)
        try:
            found = self.wait(self.sessions.rewind(session_id, None, epoch))
        except InvalidInput:
            assert position is None
        except RevisionGone:
            assert position is not None
            assert self.may_be_gone(session_id, position)
        else:
            assert position is not None
            assert found.revision == before.latest_revision + 1
            state = row[position].ended[epoch]
            self.check_is(found, row[position].session._replace(state=state))
            row.append(Made(found, Back(epoch), stood, {epoch: state}, position))
            return
        assert self.now(session_id) is before

    def find_epoch(self, session_id: str, epoch: int) -> int | None:
        """In which position of the row an epoch ended: on the way to where the session stands, after it, or before."""
        row, stood = self.rows[session_id], self.standing(session_id)
        way, at = [], stood
        while at >= 0:
            way.append(at)
            source = row[at].source
            at = at - 1 if source is None else source
        if epoch > row[stood].session.state.epochs:  # the last of a training that it came from the midst of
            way = []
        order = [*way, *range(stood + 1, len(row)), *range(stood - 1, -1, -1)]
        return next((position for position in order if epoch in row[position].ended), None)

    @precondition(lambda self: len(self.ids) < 3)
    @rule(which=st.integers(0, 9), back=st.integers(0, 30))
    def fork(self, which: int, back: int) -> None:
        session_id = self.pick(which)
        row = self.rows[session_id]
        position = len(row) - 1 - back % len(row)
        found = self.read(session_id, position)
        if found is not None:
            self.add(self.wait(self.sessions.fork(found, "fork")))

    @rule(which=st.integers(0, 9), epoch=st.integers(0, 15))
    def read_epoch(self, which: int, epoch: int) -> None:
        session_id = self.pick(which)
        position = self.find_epoch(session_id, epoch)
        try:
            found = self.wait(self.sessions.past.at(self.now(session_id), epoch=epoch))
        except InvalidInput:
            assert position is None
        except RevisionGone:
            assert position is not None
            assert self.may_be_gone(session_id, position)
        else:
            assert position is not None
            made = self.rows[session_id][position]
            self.check_is(found, made.session._replace(state=made.ended[epoch]))

    @rule(which=st.integers(0, 9), back=st.integers(1, 30))
    def do_all_again(self, which: int, back: int) -> None:
        """Go back, and do again what was done from found."""
        session_id = self.pick(which)
        row = list(self.rows[session_id])
        position = max(0, len(row) - 1 - back)
        if not self.rewind_to(session_id, position):
            return
        for made in row[position + 1 :]:
            if isinstance(made.done, Back):
                if not self.rewind_to(session_id, made.stood):
                    return
                if self.find_epoch(session_id, made.done.epoch) != made.source:
                    return  # it is on another branch too, which has not been cut off yet
                count = len(self.rows[session_id])
                self.back_to(session_id, made.done.epoch)
                if len(self.rows[session_id]) == count:
                    return
            else:
                if self.standing(session_id) != made.stood and not self.rewind_to(session_id, made.stood):
                    return
                assert self.do(session_id, made.done)
            again = self.rows[session_id][-1]
            assert again.hash == made.hash
            check_same(again.session.state, made.session.state)

    def pick(self, which: int) -> str:
        return self.ids[which % len(self.ids)]

    def data_of(self, session_id: str) -> Any:
        return self.now(session_id).data

    def read(self, session_id: str, position: int) -> Session | None:
        """A revision as a reader sees it, held against what it was; None where it is gone."""
        made = self.rows[session_id][position]
        try:
            found = self.wait(self.sessions.past.at(self.now(session_id), made.session.revision))
        except RevisionGone:
            assert self.may_be_gone(session_id, position)
            return None
        self.check_is(found, made.session)
        return found

    def check_is(self, found: Session, made: Session) -> None:
        check_same(found.state, made.state)
        assert state_hash(found.config, found.state) == state_hash(made.config, made.state)
        assert found.config_json == made.config_json
        assert found.data is not None
        assert made.data is not None
        assert found.data.train.inputs is made.data.train.inputs
        assert found.data.train.targets is made.data.train.targets

    def may_be_gone(self, session_id: str, position: int) -> bool:
        """Whether something up to here cannot be done again, and is not kept."""
        revisions = self.wait(self.sessions.store.history(session_id)).revisions
        return any(
            not revision.is_kept and (revision.operation in ("fork", "data") or not revision.complete)
            for revision in revisions[: position + 1]
        )

    @invariant()
    def every_revision_has_its_hash(self) -> None:
        for session_id, row in self.rows.items():
            revisions = self.wait(self.sessions.store.history(session_id)).revisions
            assert [revision.number for revision in revisions] == [made.session.revision for made in row]
            assert [revision.state_hash for revision in revisions] == [made.hash for made in row]
            now = self.now(session_id)
            check_same(now.state, row[self.standing(session_id)].session.state)

    @invariant()
    def memory_is_counted(self) -> None:
        total, really, reserved = held(self.sessions)
        assert (total, reserved) == (really, set())
        for session_id in self.ids:
            history = self.wait(self.sessions.store.history(session_id))
            recount(history)
            kept = [revision.number for revision in history.revisions if revision.is_kept]
            standing = self.now(session_id).revision
            assert standing in kept
            assert history.state_bytes <= self.budget or kept == [standing]

    def teardown(self) -> None:
        for session_id, row in self.rows.items():
            for position in range(len(row)):
                self.read(session_id, position)
            for epoch in range(16):
                self.read_epoch(self.ids.index(session_id), epoch)
        if len(self.ids) > 1:
            self.wait(self.sessions.delete(self.ids[0]))
        self.clock.now += TTL
        assert self.wait(self.sessions.store.count()) == 0
        assert held(self.sessions) == (0, 0, set())
        self.sessions.close()


def check_same(one: State, other: State) -> None:
    """Both are the same, bit for bit, be the loss no number in both."""
    assert_same(one, other, but=("loss",))
    assert repr(one.loss) == repr(other.loss)


BARE: dict[str, Any] = {"network": {"inputs": 2, "layers": [{"units": 1}]}, "loss": "mse"}
SHORT = settings(max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_past_stays_what_it_was() -> None:
    run_state_machine_as_test(TimeTravel, settings=SHORT)


@pytest.mark.long
def test_the_past_stays_what_it_was_for_long() -> None:
    run_state_machine_as_test(TimeTravel, settings=settings(SHORT, max_examples=600, stateful_step_count=60))
