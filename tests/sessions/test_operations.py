"""What each operation takes, and what it leaves."""

from typing import Any

import pytest
from engine.networks import there
from pydantic import ValidationError

from app.engine.plan import Plan
from app.engine.state import State
from app.engine.stops import LossBelow, Nonfinite
from app.errors import InvalidInput, LimitExceeded, WrongPhase
from app.sessions.edits import Change, NewData
from app.sessions.operations import NO_ARGUMENTS, Backward, Forward, Operation, Predict, Probe, Step, Train
from app.sessions.service import Sessions
from app.sessions.session import Session

from .making import create, make_config, run
from .making import rows as rows_of
from .test_service import make

ROWS = make_config(data={"inputs": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "targets": [[0.0], [1.0], [0.0]]}).data


def after(*operations: Operation, **fields: Any) -> Session:
    """A session after these operations."""

    async def do() -> Session:
        sessions = make()
        session = await create(sessions, **fields)
        for operation in operations:
            session, _ = await sessions.change(session.id, operation)
        return session

    return run(do())


def refusal(session: Session, operation: Operation) -> Any:
    with pytest.raises((InvalidInput, WrongPhase)) as caught:
        operation.prepare(session, make().settings)
    return caught.value


def slots(session: Session) -> list[float]:
    values: list[float] = session.state.slots.ravel().tolist()
    return values


def optimizer(session: Session) -> Any:
    return session.config.optimizer


MOMENTUM = {"type": "sgd", "learning_rate": 0.5, "momentum": 0.9}


def test_a_name() -> None:
    session = after(Change(name="new"))
    assert session.name == "new"
    assert after(Change.model_validate({"name": None})).name is None
    assert after(Change()).name == "notebook"


def test_the_same_type_keeps_its_options_and_slots() -> None:
    trained = after(Train(epochs=2), optimizer=MOMENTUM)
    changed = after(Train(epochs=2), Change(optimizer={"learning_rate": 0.1}), optimizer=MOMENTUM)
    assert (optimizer(changed).learning_rate, optimizer(changed).momentum) == (0.1, 0.9)
    assert slots(changed) == slots(trained) != [0.0] * 8
    assert changed.state.updates == trained.state.updates
    named = after(Train(epochs=2), Change(optimizer={"type": "sgd", "learning_rate": 0.1}), optimizer=MOMENTUM)
    assert optimizer(named) == optimizer(changed)


def test_null_is_the_default() -> None:
    session = after(Change(optimizer={"learning_rate": None, "momentum": None}), optimizer=MOMENTUM)
    assert (optimizer(session).learning_rate, optimizer(session).momentum) == (1e-3, 0.0)
    for before in ("adam", MOMENTUM):
        session = after(Change.model_validate({"optimizer": None}), optimizer=before)
        assert (optimizer(session).type, optimizer(session).momentum) == ("sgd", 0.0)


def test_a_slot_that_is_no_longer_needed_is_gone_and_a_new_one_empty() -> None:
    session = after(Train(epochs=2), Change(optimizer={"amsgrad": True}), optimizer="adam")
    assert session.state.slots.shape == (3, 8)
    assert session.state.slots[0].any()
    assert not session.state.slots[2].any()
    session = after(Train(epochs=2), Change(optimizer={"momentum": 0}), optimizer=MOMENTUM)
    assert session.state.slots.shape == (0, 8)


def test_another_type_starts_afresh() -> None:
    for patch in ("adam", {"type": "adam"}):
        session = after(Train(epochs=2), Change(optimizer=patch), optimizer=MOMENTUM)
        assert optimizer(session).type == "adam"
        assert optimizer(session).learning_rate == 1e-3
        assert slots(session) == [0.0] * 16
        assert session.state.updates == (0, 0, 0, 0)
    same = after(Train(epochs=2), Change(optimizer="sgd"), optimizer=MOMENTUM)
    assert optimizer(same).momentum == 0.9  # a bare name is an object with that type, and merges as one


def test_patches_merge_to_any_depth() -> None:
    schedule = {"type": "cosine", "T_max": 10, "warmup": {"total_iters": 4}}
    before = {"type": "sgd", "schedule": schedule}
    session = after(Change(optimizer={"schedule": {"warmup": {"start_factor": 0.5}}}), optimizer=before)
    assert optimizer(session).schedule.model_dump() == {
        "type": "cosine", "T_max": 10, "eta_min": 0.0, "warmup": {"start_factor": 0.5, "total_iters": 4},
    }  # fmt: skip
    session = after(Change(optimizer={"schedule": {"warmup": None}}), optimizer=before)
    assert optimizer(session).schedule.warmup is None
    session = after(Change(optimizer={"clip": {"type": "value"}}), optimizer=before)
    assert optimizer(session).clip.value == 1.0


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"learning_rate": -1}, "/optimizer/learning_rate"),
        ({"zebra": 1}, "/optimizer/zebra"),
        ({"type": "zebra"}, "/optimizer"),
        ("zebra", "/optimizer"),
        ({"type": "adam", "momentum": 0.9}, "/optimizer/momentum"),
        ({"schedule": {"type": "exponential"}}, "/optimizer/schedule/gamma"),
        ({"schedule": {"gamma": 0.9}}, "/optimizer/schedule"),
    ],
)
def test_a_patch_that_does_not_fit(patch: Any, pointer: str) -> None:
    error = refusal(after(), Change(optimizer=patch))
    assert [field.pointer for field in error.errors] == [pointer]


def test_a_change_of_optimizer_keeps_the_pass_under_way() -> None:
    session = after(Forward(), Backward(), Change(optimizer="adam"), Step())
    assert session.state.phase == "ready"
    assert session.state.steps == 1


def test_new_data_leaves_parameters_and_counters() -> None:
    assert ROWS is not None
    trained = after(Train(epochs=2), optimizer="adam")
    session = after(Train(epochs=2), Forward(), Backward(until="output"), NewData(ROWS), optimizer="adam")
    state = session.state
    assert session.data is not None
    assert session.data.train.inputs.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert state.parameters.tobytes() == trained.state.parameters.tobytes()
    assert slots(session) == slots(trained)
    assert (state.steps, state.epochs, state.updates) == (2, 2, (2, 2, 2, 2))
    assert {getattr(state, name) for name in EMPTIED} == {None}
    assert (state.phase, state.forwarded, state.backwarded, state.stepped) == ("ready", 0, 0, frozenset())


EMPTIED = ("gradients", "forward", "backward", "inputs", "targets", "loss")


def test_new_data_starts_an_epoch_anew() -> None:
    assert ROWS is not None
    session = after(NewData(ROWS))
    begun = session._replace(state=session.state._replace(epoch_position=2))
    changes = NewData(ROWS).prepare(begun, make().settings).run(lambda: False).changes
    assert changes["state"].epoch_position == 0


def test_a_training_goes_on_within_an_epoch() -> None:
    assert ROWS is not None
    begun = after(NewData(ROWS))
    state: State = begun.state._replace(epoch_position=2)
    job = Train(batch_size=1).prepare(begun._replace(state=state), make().settings)
    outcome = job.run(lambda: False)
    assert (outcome.changes["state"].steps, outcome.changes["state"].epochs) == (1, 1)
    assert outcome.result.stopped["reason"] == "epochs"


def test_a_training_that_is_told_to_end_stands_after_a_whole_step() -> None:
    job = Train(epochs=1_000_000, report_every=1000).prepare(after(), make(max_work=10**15).settings)
    outcome = job.run(lambda: True)
    assert outcome.result.stopped["reason"] == "cancelled"
    assert 1 <= outcome.changes["state"].steps < 1_000_000


def test_what_a_training_is_asked_to_do() -> None:
    stop = [{"type": "loss_below", "value": 0.1}, "nonfinite"]
    asked = {"epochs": 3, "batch_size": 2, "shuffle": True, "report_every": 2, "drop_last": True, "stop": stop}
    train = Train.model_validate(asked)
    assert train.plan == Plan(3, 2, True, 2, drop_last=True, stop=(LossBelow(value=0.1), Nonfinite()))
    assert Train().plan == Plan()
    session, settings = after(), make().settings
    assert there(train.prepare(session, settings).training) == (
        session.config_json, session.state, session.data, train.plan,
    )  # fmt: skip


def test_what_is_only_shown_is_not_kept() -> None:
    """All else is, so that it can be done again."""
    asked: dict[str, Any] = {"epochs": 3, "stop": [{"type": "epoch", "value": 7}], "report_every": 2}
    train = Train.model_validate({**asked, "probe": {"inputs": [[1.0, 2.0]]}})
    kept = train.arguments()
    assert kept.complete
    again = Train.model_validate_json(kept.text)
    assert (again.plan, again.probe) == (train.plan, None)
    assert Train().arguments() == Train.model_validate({"probe": {"inputs": [[1.0]]}}).arguments() == NO_ARGUMENTS


def test_conditions_that_are_too_long_are_not_kept() -> None:
    """It is done again by its steps, and needs none."""
    stop = [{"type": "expression", "value": "loss < " + " + ".join(["0.001"] * 50)}] * 10
    kept = Train.model_validate({"epochs": 3, "batch_size": 2, "stop": stop}).arguments()
    assert kept.complete
    assert Train.model_validate_json(kept.text) == Train(epochs=3, batch_size=2)


def test_a_probe() -> None:
    assert Probe.model_validate({"inputs": [[1.0, 2.0]]}).include == []
    assert Probe.model_validate({"inputs": [[1.0]], "include": ["activations"]}).include == ["activations"]
    for wrong in ({}, {"inputs": [[1.0]], "include": ["zebra"]}, {"inputs": [[1.0]], "include": ["activations"] * 2}):
        with pytest.raises(ValidationError):
            Probe.model_validate(wrong)


@pytest.mark.parametrize(
    ("stop", "pointer"),
    [
        ({"type": "parameter_outside", "parameter": "hidden.zebra", "low": 0}, "/stop/1/parameter"),
        ({"type": "expression", "value": "test_loss > 1"}, "/stop/1/value"),
    ],
)
def test_a_condition_that_makes_no_sense_here(stop: Any, pointer: str) -> None:
    error = refusal(after(), Train.model_validate({"stop": ["nonfinite", stop]}))
    assert [field.pointer for field in error.errors] == [pointer]


def test_a_training_needs_data() -> None:
    error = refusal(after(data=None), Train())
    assert [field.pointer for field in error.errors] == [""]


def test_forward_with_targets_alone_takes_the_session_s_inputs() -> None:
    session = after(Forward(targets=[[0.5]]))
    assert session.data is not None
    assert session.state.inputs is session.data.train.inputs
    assert not session.state.own_rows
    error = refusal(after(data=None), Forward(targets=[[0.5]]))
    assert [field.pointer for field in error.errors] == ["/inputs"]


def test_forward_goes_on_or_starts_anew() -> None:
    begun = Forward(until="hidden")
    assert after(begun, Forward()).state.forwarded == 2
    assert after(begun, Forward(inputs=[[1.0, 2.0]], until="hidden")).state.forwarded == 1
    assert after(Forward(), Forward()).state.loss == after(Forward()).state.loss
    assert isinstance(refusal(after(begun), begun), WrongPhase)
    # a wrong row is told of before a wrong phase
    both = refusal(after(begun), Forward(inputs=[[1.0]], until="hidden"))
    assert isinstance(both, InvalidInput)


@pytest.mark.parametrize(
    "operation", [Forward(until="zebra"), Backward(until="zebra"), Step(parameters=["zebra.bias"])]
)
def test_unknown_names(operation: Operation) -> None:
    error = refusal(after(Forward(), Backward()), operation)
    assert isinstance(error, InvalidInput)


def test_what_work_costs_grows_with_it() -> None:
    session, settings = after(Forward()), make().settings
    small = Forward(inputs=[[1.0, 2.0]]).prepare(session, settings)
    large = Forward(inputs=[[1.0, 2.0]] * 100).prepare(session, settings)
    assert 0 < small.work < large.work
    assert small.nbytes < large.nbytes
    assert Train(epochs=10).prepare(session, settings).work > Train().prepare(session, settings).work


def test_how_many_samples_a_trace_will_have() -> None:
    ready, begun, bare = after(), after(Forward(until="hidden", inputs=[[1.0, 2.0]] * 3)), after(data=None)
    assert Forward(inputs=[[1.0, 2.0]] * 5).samples(ready) == 5
    assert Forward().samples(ready) == Forward(targets=[[1.0]]).samples(begun) == 1
    assert Forward().samples(begun) == Backward().samples(begun) == 3
    assert Forward().samples(bare) is Backward().samples(ready) is Step().samples(ready) is None


@pytest.mark.parametrize(
    ("rows", "fields", "expected"),
    [
        (7, {}, 7),
        (7, {"batch_size": 7}, 7),
        (7, {"batch_size": 100}, 7),
        (7, {"batch_size": 3}, 1),
        (8, {"batch_size": 3}, 2),
        (9, {"batch_size": 3}, 3),
        (7, {"batch_size": 1}, 1),
        (7, {"batch_size": 3, "drop_last": True}, 3),
        (9, {"batch_size": 3, "drop_last": True}, 3),
        (7, {"batch_size": 100, "drop_last": True}, 7),
    ],
)
def test_how_many_samples_the_last_batch_of_a_training_will_have(
    rows: int, fields: dict[str, Any], expected: int
) -> None:
    session = after(NewData(rows_of(rows)))
    training = Train.model_validate(fields)
    assert training.samples(session) == expected
    changes = training.prepare(session, make().settings).run(lambda: False).changes
    assert session._replace(state=changes["state"]).trace_count == expected
    assert Train().samples(session._replace(data=None)) is None


def test_a_prediction_changes_nothing() -> None:
    session, settings = after(Forward()), make(max_numbers=2).settings
    _, own = Predict().prepare(session, settings, activations=False)
    work, given = Predict(inputs=[[0.05, 0.1], [0.0, 0.0]]).prepare(session, settings, activations=False)
    assert work > 0
    assert own().outputs.tolist() == given().outputs[:1].tolist() == session.state.forward[-1:].reshape(1, 1).tolist()  # type: ignore[index]
    with pytest.raises(LimitExceeded) as caught:
        Predict().prepare(session, settings, activations=True)
    assert caught.value.extra["setting"] == "GRADSTEP_MAX_NUMBERS"


def test_sessions_are_apart() -> None:
    async def check() -> None:
        sessions: Sessions = make()
        one, other = await create(sessions), await create(sessions)
        await sessions.change(one.id, Train(epochs=5))
        assert await sessions.load(other.id) == other

    run(check())
