"""What a training tells on its way: entries, frames and checkpoints; and how it ends when it is told to."""

from itertools import islice
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from app.engine import passes, tensors, training
from app.engine.batches import steps_of
from app.engine.plan import Ending, Plan
from app.engine.state import State
from app.engine.stops import AnyStop
from app.engine.training import CHECKPOINT_STEPS

from .networks import (
    COUNTED_BY_TRAININGS,
    DATA,
    assert_equal,
    assert_same,
    make,
    no_time,
    slow_clock,
    start,
    step,
    steps_by_hand,
    there,
    train,
)

ADAM = {"type": "adam", "learning_rate": 0.1}
PLANS: dict[str, dict[str, Any]] = {
    "all at once": {},
    "shuffled": {"shuffle": True},
    "batches of 3": {"batch_size": 3},
    "shuffled batches of 2": {"batch_size": 2, "shuffle": True},
    "whole batches of 2": {"batch_size": 2, "shuffle": True, "drop_last": True},
}
QUICK, LONG = 0.006, 1.0  # a chunk, a checkpoint
NOW, AT_EPOCH = Ending("cancelled"), Ending("time_limit", at_epoch=True)


@pytest.fixture(params=list(PLANS.values()), ids=list(PLANS))
def plan(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def after(count: int, plan: dict[str, Any], **fields: Any) -> State:
    """The state after so many steps by hand."""
    config = make(**fields)
    state, data = start(config)
    *_, last = islice(steps_by_hand(config, state, data.train, count, **plan), count)
    return last


def untimed(entries: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "elapsed"} for entry in entries]


# ----- endings


@pytest.mark.parametrize("seconds", [QUICK, LONG])
@pytest.mark.parametrize("yields", [1, 2, 3, 5, 20, 21, 22])
@pytest.mark.parametrize("ending", [NOW, Ending("disconnected"), AT_EPOCH, Ending("cancelled", at_epoch=True)])
def test_it_ends_as_it_is_told_and_goes_on_as_if_it_never_had(
    plan: dict[str, Any], yields: int, ending: Ending, seconds: float
) -> None:
    config = make(optimizer=ADAM)
    state, data = start(config)
    cut = train(config, state, data, slow_clock(seconds), epochs=60, endings={yields: ending}, **plan)
    steps = cut.state.steps
    assert cut.stopped == {
        "reason": ending.reason, "epoch": cut.state.epochs, "step": steps,
        "tensor": None, "threshold": None, "actual": None,
    }  # fmt: skip
    assert_same(cut.state, after(steps, plan, optimizer=ADAM), but=COUNTED_BY_TRAININGS)
    in_epoch = steps_of(Plan(**plan), len(data.train))
    if ending.at_epoch:
        assert cut.state.epoch_position == 0
        assert yields <= steps < yields + 2 + in_epoch
    else:
        assert yields <= steps <= yields + 2
    assert [entry["epoch"] for entry in cut.entries] == list(range(1, cut.state.epochs + 1))

    rest = train(config, cut.state, data, epochs=60 - cut.state.epochs, **plan)
    whole = train(config, state, data, epochs=60, **plan)
    assert_same(rest.state, whole.state)
    assert untimed(cut.entries + rest.entries) == untimed(whole.entries)


def test_at_an_epochs_end_it_ends_there_and_does_not_go_into_the_next() -> None:
    config = make(optimizer=ADAM)
    state, data = start(config)
    for yields in (3, 6, 9):
        cut = train(config, state, data, slow_clock(QUICK), epochs=60, batch_size=3, endings={yields: AT_EPOCH})
        assert (cut.state.steps, cut.state.epochs, cut.state.epoch_position) == (yields, yields // 3, 0)
        assert cut.state.forward is not None
        assert_same(cut.state, after(yields, {"batch_size": 3}, optimizer=ADAM), but=COUNTED_BY_TRAININGS)


def test_a_later_ending_takes_the_place_of_one_that_waits_for_the_epoch() -> None:
    config = make()
    endings = {1: AT_EPOCH, 2: NOW}
    cut = train(config, *start(config), slow_clock(QUICK), epochs=60, batch_size=1, endings=endings)
    assert cut.stopped["reason"] == "cancelled"
    assert 2 <= cut.state.steps <= 3
    endings = {1: AT_EPOCH, 2: Ending("cancelled", at_epoch=True)}
    waited = train(config, *start(config), slow_clock(QUICK), epochs=60, batch_size=1, endings=endings)
    assert (waited.stopped["reason"], waited.state.steps) == ("cancelled", 7)


@pytest.mark.parametrize("ending", [NOW, AT_EPOCH])
def test_an_ending_that_comes_when_all_is_done_changes_nothing(ending: Ending) -> None:
    config = make()
    for epochs in (1, 2):
        trained = train(config, *start(config), no_time, epochs=epochs, endings={1: ending})
        assert (trained.stopped["reason"], trained.state.epochs) == ("epochs", epochs)
    last = train(config, *start(config), slow_clock(QUICK), epochs=2, endings={1: ending})
    assert (last.stopped["reason"], last.state.epochs) == ("epochs", 2)  # its one more step was the last


@pytest.mark.parametrize("ending", [NOW, AT_EPOCH])
def test_the_step_that_would_end_it_may_be_the_bad_one(ending: Ending) -> None:
    config = make(
        inputs=1,
        layers=[{"name": "only", "units": 1, "bias": "none", "init": {"weight": 0.0}}],
        loss="nll",
        data={"type": "inline", "inputs": [[1.0]], "targets": [0]},
        optimizer={"type": "sgd", "learning_rate": float(np.finfo("float32").max) / 1.5},
        dtype="float32",
    )
    trained = train(config, *start(config), slow_clock(QUICK), epochs=9, endings={1: ending})
    assert (trained.stopped["reason"], trained.state.steps) == ("nonfinite", 1)


# ----- the entry of the last whole epoch, whatever ends the training

CLASSES = {**DATA, "targets": [0, 1, 0, 1, 0, 1, 1], "test": {"inputs": DATA["inputs"][:3], "targets": [1, 1, 0]}}
CLASSIFIER: dict[str, Any] = {"loss": "cross_entropy", "data": CLASSES, "layers": [{"units": 2}], "optimizer": ADAM}


@pytest.mark.parametrize("seconds", [QUICK, 0.001, 1e-4])
@pytest.mark.parametrize("yields", [1, 2, 7, 23])
@pytest.mark.parametrize("ending", [NOW, AT_EPOCH])
@pytest.mark.parametrize("frames", [True, False])
def test_the_epoch_that_turns_out_to_be_the_last_is_reported(
    plan: dict[str, Any], ending: Ending, frames: bool, yields: int, seconds: float
) -> None:
    config = make(**CLASSIFIER)
    state, data = start(config)
    probe = np.zeros((2, 2))
    cut = train(
        config, state, data, slow_clock(seconds), epochs=9000, report_every=5, endings={yields: ending}, frames=frames,
        probe=probe, **plan,
    )  # fmt: skip
    assert cut.stopped["reason"] == ending.reason
    epoch = cut.state.epochs
    each = train(config, state, data, epochs=epoch + 1, **plan).entries[:epoch]
    wanted = [entry for entry in each if entry["epoch"] % 5 == 0 or entry["epoch"] == epoch]
    assert untimed(cut.entries) == untimed(wanted)
    assert [entry["elapsed"] for entry in cut.entries] == sorted(entry["elapsed"] for entry in cut.entries)
    assert len(cut.frames) == len(cut.entries)
    if epoch == 0:
        return
    there_then = after(cut.entries[-1]["steps"], plan, **CLASSIFIER)
    assert_equal(cut.frames[-1].probe, passes.predict(config, there_then.parameters, probe).vector)
    assert (cut.frames[-1].state is not None) is frames
    if frames:
        assert_same(there(cut.frames[-1].state), there_then, but=COUNTED_BY_TRAININGS)


def test_its_entry_says_when_it_ended_and_not_when_the_training_did() -> None:
    config, clock = make(), slow_clock(0.001)
    cut = train(config, *start(config), clock, epochs=60, report_every=60, endings={20: NOW}, batch_size=3)
    assert cut.state.epoch_position > 0
    (entry,) = cut.entries
    times = [
        one["elapsed"] for one in train(config, *start(config), slow_clock(0.001), epochs=60, batch_size=3).entries
    ]
    assert times[cut.state.epochs - 2] < entry["elapsed"]
    assert entry["elapsed"] < clock() - 0.003


@pytest.mark.parametrize("every", [4, 1000])
@pytest.mark.parametrize(
    ("fields", "stop"),
    [
        ({"optimizer": {"type": "sgd", "learning_rate": 3.0}}, {"type": "loss_below", "value": 0.045}),
        ({**CLASSIFIER}, {"type": "gradient_norm_below", "value": 0.35}),
    ],
)
def test_so_it_is_where_a_condition_stops_the_training(
    plan: dict[str, Any], fields: dict[str, Any], stop: dict[str, Any], every: int
) -> None:
    config, conditions = make(**fields), (TypeAdapter[Any](AnyStop).validate_python(stop),)
    state, data = start(config)
    cut = train(config, state, data, epochs=300, report_every=every, stop=conditions, **plan)
    assert cut.stopped["reason"] == stop["type"]
    epoch = cut.state.epochs
    each = train(config, state, data, epochs=epoch + 1, **plan).entries[:epoch]
    assert untimed(cut.entries) == untimed(one for one in each if one["epoch"] % every == 0 or one["epoch"] == epoch)


# ----- epochs that are cut


@pytest.mark.parametrize("fields", [{"optimizer": ADAM}, CLASSIFIER, {**CLASSIFIER, "dtype": "float32"}], ids=str)
@pytest.mark.parametrize("sizes", [[2, 1, 2, 2], [2, 1, 1, 1, 2], [2, 2, 1, 1, 1]], ids=str)
def test_the_entry_of_a_cut_epoch_is_over_all_of_it(fields: dict[str, Any], sizes: list[int]) -> None:
    """Cut twice, and gone on with in batches of another size: worked out from single passes."""
    config = make(**fields)
    state, data = start(config)
    cut, cut_again = sizes.index(1), sizes.index(1) + sizes.count(1) - (sizes[-1] == 1)
    first = train(config, state, data, epochs=1, steps=cut, batch_size=2).state
    second = train(config, first, data, epochs=1, steps=cut_again - cut, batch_size=1)
    rest = train(config, second.state, data, epochs=1, batch_size=2)
    losses, hits, at = 0.0, 0, 0
    for size in sizes:
        batch = data.train.take(np.arange(at, at + size))
        state = step(config, state, batch)
        outputs = there(tensors.outputs(config, state))
        losses += there(state.loss) * size
        hits += int((outputs.argmax(axis=1) == batch.targets).sum())
        at += size
    assert second.entries == []
    (entry,) = rest.entries
    assert entry["loss"] == pytest.approx(losses / 7, rel=1e-6)
    assert entry.get("accuracy") == (hits / 7 if config.loss.classifies else None)
    assert there(first.begun)[0] == first.epoch_position == sum(sizes[:cut])
    assert rest.state.begun is None


def test_a_pass_by_hand_leaves_a_cut_epoch_as_it_is_and_an_epoch_by_hand_ends_it() -> None:
    config = make()
    state, data = start(config)
    whole = train(config, state, data, epochs=1, batch_size=2)
    cut = train(config, state, data, epochs=1, steps=2, batch_size=2).state
    looked = passes.forward(config, passes.begin(cut, data.train.inputs[:1], None, own_rows=False))
    assert untimed(train(config, looked, data, epochs=1, batch_size=2).entries) == untimed(whole.entries)
    assert step(config, cut, data.train).begun is None


def test_a_condition_on_a_loss_is_over_all_of_a_cut_epoch() -> None:
    config = make(optimizer={"type": "sgd", "learning_rate": 3.0})
    state, data = start(config)
    conditions = tuple(
        TypeAdapter[Any](AnyStop).validate_python(one)
        for one in ({"type": "loss_below", "value": 0.045}, {"type": "plateau", "patience": 300, "min_delta": 0})
    )
    whole = train(config, state, data, epochs=300, batch_size=2, stop=conditions)
    assert whole.stopped["reason"] == "loss_below"
    for back in (1, 2, 3, 4):  # cut in the last epoch, and before it
        cut = train(config, state, data, epochs=300, batch_size=2, steps=whole.state.steps + 1 - back).state
        rest = train(config, cut, data, epochs=300, batch_size=2, stop=conditions)
        assert rest.stopped == whole.stopped
        assert_same(rest.state, whole.state)


def test_where_it_is_not_known_how_an_epoch_began_the_rest_of_it_counts() -> None:
    config = make()
    state, data = start(config)
    cut = train(config, state, data, epochs=1, steps=2, batch_size=2).state._replace(begun=None)
    (entry,) = train(config, cut, data, epochs=1).entries
    last = step(config, cut, data.train.take(np.arange(4, 7)))
    assert entry["loss"] == last.loss


# ----- checkpoints


def test_where_steps_are_quick_there_is_a_checkpoint_each_so_many() -> None:
    config = make()
    trained = train(config, *start(config), slow_clock(1e-6), epochs=3000)
    assert len(trained.checkpoints) <= 3
    trained = train(config, *start(config), slow_clock(QUICK), epochs=300)
    steps = [state.steps for state in trained.checkpoints]
    assert max(np.diff([0, *steps])) <= CHECKPOINT_STEPS + 2


@pytest.mark.parametrize("seconds", [0.05, 0.2, LONG])
def test_there_is_a_checkpoint_each_second_however_long_a_step_takes(seconds: float) -> None:
    config = make()
    clock = slow_clock(seconds)
    state, data = start(config)
    running = training.train(config, state, data, Plan(epochs=100), clock)
    made, steps = 0.0, 0
    while True:
        try:
            progress = next(running)
        except StopIteration:
            break
        if progress.state.steps > steps:
            now = clock()
            assert now - made <= 1 + 12 * seconds  # and the few looks at the clock between
            made, steps = now, progress.state.steps
    assert steps == 100


def test_a_step_that_takes_longer_than_a_second_is_a_checkpoint_each() -> None:
    config = make()
    trained = train(config, *start(config), slow_clock(3.0), epochs=9)
    assert [state.steps for state in trained.checkpoints][1:] == list(range(3, 10))


def test_a_checkpoint_is_a_state_that_training_goes_on_from(plan: dict[str, Any]) -> None:
    config = make(optimizer=ADAM)
    state, data = start(config)
    whole = train(config, state, data, slow_clock(0.1), epochs=10, **plan)
    for checkpoint in whole.checkpoints:
        if checkpoint.steps not in (0, whole.state.steps):
            assert_same(checkpoint, after(checkpoint.steps, plan, optimizer=ADAM), but=COUNTED_BY_TRAININGS)
            rest = train(config, checkpoint, data, epochs=10 - checkpoint.epochs, **plan)
            assert_same(rest.state, whole.state)


# ----- frames


@pytest.mark.parametrize("clock", [no_time, slow_clock(QUICK), slow_clock(LONG)])
@pytest.mark.parametrize("every", [1, 4])
def test_a_frame_is_the_state_where_its_epoch_ended(plan: dict[str, Any], every: int, clock: Any) -> None:
    config = make(optimizer=ADAM)
    state, data = start(config)
    probe = np.array([[0.1, -0.4], [2.0, 1.0], [0.0, 0.5]])
    framed = train(config, state, data, clock, epochs=10, report_every=every, frames=True, probe=probe, **plan)
    free = train(config, state, data, epochs=10, report_every=every, **plan)
    assert_same(framed.state, free.state)
    told = [{**entry, "elapsed": 0.0} for entry in framed.entries]
    assert told == [{**entry, "elapsed": 0.0} for entry in free.entries]
    assert len(framed.frames) == len(framed.entries)
    for entry, frame in zip(framed.entries, framed.frames, strict=True):
        shown = there(frame.state)
        assert (shown.epochs, shown.steps, shown.epoch_position) == (entry["epoch"], entry["steps"], 0)
        assert_same(shown, after(entry["steps"], plan, optimizer=ADAM), but=COUNTED_BY_TRAININGS)
        fresh = passes.begin(shown, probe, None, own_rows=False)
        assert_equal(frame.probe, passes.forward(config, fresh).forward)
        assert not there(frame.probe).flags.writeable


def test_a_probe_alone_comes_without_states() -> None:
    config = make()
    probe = np.zeros((1, 2))
    trained = train(config, *start(config), epochs=4, probe=probe)
    assert [frame.state for frame in trained.frames] == [None] * 4
    last = passes.predict(config, trained.state.parameters, probe)
    assert_equal(there(trained.frames[-1].probe)[-1:], last.outputs[0])
    assert len({there(frame.probe).tobytes() for frame in trained.frames}) == 4


def test_without_them_there_are_none() -> None:
    config = make()
    assert train(config, *start(config), epochs=4).frames == []


@pytest.mark.parametrize("frames", [True, False])
def test_frames_do_not_pile_up(monkeypatch: pytest.MonkeyPatch, frames: bool) -> None:
    config = make()
    probe = np.zeros((5, 2))
    monkeypatch.setattr(training, "FRAME_BYTES", 500)
    running = training.train(config, *start(config), Plan(epochs=50, frames=frames, probe=probe), no_time)
    told = [progress.frames for progress in running]
    assert max(map(len, told)) <= 2
    assert sum(map(len, told)) == 50


def test_frames_that_are_never_told_go_with_the_epochs_that_were_not_done() -> None:
    linear = [{"name": "hidden", "units": 3}, {"name": "output", "units": 1}]
    config = make(layers=linear, optimizer={"type": "sgd", "learning_rate": 1e6})
    probe = np.zeros((1, 2))
    for every in (1, 2, 100):
        trained = train(config, *start(config), epochs=100, report_every=every, batch_size=7, probe=probe)
        assert trained.stopped["reason"] == "nonfinite"
        assert len(trained.frames) == len(trained.entries) > 0
        assert trained.entries[-1]["epoch"] == trained.state.epochs


def test_the_outputs_are_those_of_the_last_batch() -> None:
    config = make()
    state, data = start(config)
    trained = train(config, state, data, epochs=3, batch_size=3)
    assert len(there(tensors.outputs(config, trained.state))) == 1


def test_the_first_epoch_may_be_one_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What numpy hands out for gradients is anything at all before the first step."""
    config = make(data={"inputs": DATA["inputs"][:1], "targets": DATA["targets"][:1]})
    state, data = start(config)
    before = train(config, state, data, epochs=3).state
    monkeypatch.setattr(np, "empty_like", lambda like, *_: np.full(np.shape(like), np.nan, like.dtype))
    for clock in (no_time, slow_clock(QUICK)):
        framed = train(config, before, data, clock, epochs=600, report_every=4, frames=True)
        assert framed.stopped["reason"] == "epochs"
