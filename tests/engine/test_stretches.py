"""Plain epochs of a tiny network, many at a time: the same bits, the same entries, and the same end of them."""

import itertools
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from app.engine import passes, straight, stretches
from app.engine.network import Config
from app.engine.passes import Update
from app.engine.state import State
from app.engine.stops import GradientNormAbove
from app.engine.stretches import GROWTH, LONG, WORTH, Stretches, stretches_for

from .networks import (
    DATA,
    assert_close,
    assert_equal,
    assert_same,
    gradients,
    make,
    no_time,
    slow_clock,
    start,
    step,
    steps_by_hand,
    there,
    train,
)
from .random_configs import CLIPS, OPTIMIZERS, SCHEDULES

TWO_ROWS = {"inputs": DATA["inputs"][:2], "targets": DATA["targets"][:2]}
ONE = {"inputs": 1, "layers": [{"name": "only", "units": 1, "bias": "none", "init": {"weight": 1.0}}]}
PLAIN = {"type": "sgd", "learning_rate": 0.5}


def tiny(**fields: Any) -> Config:
    """The tests' usual network over two rows, which is tiny."""
    return make(**{"data": TWO_ROWS, "optimizer": PLAIN, **fields})


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each stretch did, however few there are to do."""
    lengths: list[int] = []
    stretch = Stretches.stretch

    def counted(self: Stretches, *arguments: Any, **named: Any) -> stretches.Stretch:
        found = stretch(self, *arguments, **named)
        lengths.append(found.done)
        return found

    monkeypatch.setattr(Stretches, "stretch", counted)
    monkeypatch.setattr(stretches, "WORTH", 1)
    return lengths


def last(states: Iterator[State]) -> State:
    *_, state = states
    return state


# ----- the same numbers


@pytest.mark.parametrize("clip", CLIPS[1:], ids=str)
@pytest.mark.parametrize("chosen", OPTIMIZERS, ids=str)
def test_it_is_stepping_by_hand(done: list[int], chosen: dict[str, Any], clip: Any) -> None:
    layers = [
        {"units": 2, "activation": "tanh", "trainable": clip is None},
        {"units": 2, "activation": "leaky_relu", "bias": "shared"},
        {"units": 1, "activation": "sigmoid"},
    ]
    for schedule in SCHEDULES:
        config = tiny(layers=layers, optimizer={**chosen, "clip": clip, "schedule": schedule})
        state, data = start(config)
        trained = train(config, state, data, epochs=30)
        assert_same(trained.state, last(steps_by_hand(config, state, data.train, 30)), but=("epochs", "own_rows"))
        assert sum(done) == 28  # but for the first and the last
        done.clear()


def test_both_ways_agree_after_fifty_epochs(monkeypatch: pytest.MonkeyPatch, done: list[int]) -> None:
    for chosen in OPTIMIZERS:
        config = tiny(optimizer=chosen)
        ours = train(config, *start(config), epochs=50)
        with monkeypatch.context() as patched:
            patched.setattr(straight, "MOST", 0)
            theirs = train(config, *start(config), epochs=50)
        assert sum(done) == 48
        done.clear()
        assert_close(ours.state.parameters, theirs.state.parameters, rtol=1e-12)
        for one, other in zip(ours.entries, theirs.entries, strict=True):
            assert one["loss"] == pytest.approx(there(other["loss"]), rel=1e-12)
            assert one["gradient_norm"] == pytest.approx(there(other["gradient_norm"]), rel=1e-11)


def test_two_trainings_are_one(done: list[int]) -> None:
    config = tiny(optimizer={"type": "adam", "schedule": {"type": "cosine", "T_max": 20}})
    state, data = start(config)
    first = train(config, state, data, epochs=11)
    second = train(config, first.state, data, epochs=19)
    assert_same(second.state, train(config, state, data, epochs=30).state)
    assert sum(done[:-1]) > 0


# ----- what it tells


def untimed(entries: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "elapsed"} for entry in entries]


@pytest.mark.parametrize("every", [1, 3, 10, 100])
@pytest.mark.parametrize(
    ("fields", "plan"),
    [
        ({}, {}),
        ({"optimizer": {**PLAIN, "clip": {"type": "norm", "value": 0.1}}}, {}),
        ({"optimizer": {**PLAIN, "schedule": {"type": "exponential", "gamma": 0.9}}}, {}),
        ({"data": {**TWO_ROWS, "test": {"inputs": DATA["inputs"][2:4], "targets": DATA["targets"][2:4]}}}, {}),
        ({}, {"frames": True}),
        ({}, {"probe": np.array([[0.5, -0.5]])}),
    ],
    ids=str,
)
def test_the_entries_are_those_of_single_steps(
    monkeypatch: pytest.MonkeyPatch, done: list[int], every: int, fields: dict[str, Any], plan: dict[str, Any]
) -> None:
    config = tiny(**fields)
    state, data = start(config)
    state = train(config, state, data, epochs=5).state
    done.clear()
    many = train(config, state, data, epochs=40, report_every=every, **plan)
    used = sum(done)
    monkeypatch.setattr(stretches, "WORTH", math.inf)
    single = train(config, state, data, epochs=40, report_every=every, **plan)
    assert many.entries == single.entries
    assert_same(many.state, single.state)
    for one, other in zip(many.frames, single.frames, strict=True):
        if "frames" in plan:
            assert_same(there(one.state), there(other.state))
        else:
            assert_equal(one.probe, other.probe)
    assert sum(done) == used  # the second did none
    asks = bool(plan) or data.test is not None
    assert used == 0 if asks and every == 1 else used > 20


def test_the_time_of_a_stretch_is_shared_out_evenly(done: list[int]) -> None:
    config = tiny()
    entries = train(config, *start(config), slow_clock(1e-6), epochs=50).entries
    elapsed = [there(entry.get("elapsed")) for entry in entries]
    assert all(one < other for one, other in itertools.pairwise(elapsed))
    assert max(done) > 8
    shares = np.diff(elapsed[-9:-1])
    assert_close(shares, np.full(7, shares[0]), rtol=1e-6)


# ----- when it ends


class Clock:
    """A clock that goes on with each step, for a function of steps that does nothing but that."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0
        self.counts: list[int] = []

    def __call__(self) -> float:
        return self.now

    def steps(self, P: Any, S: Any, X: Any, T: Any, rates: list[float], t: int, losses: Any, norms: Any) -> int:
        self.now += self.seconds * len(rates)
        self.counts.append(len(rates))
        return t + len(rates)


def stretches_by(steps: Callable[..., int]) -> Stretches:
    """Stretches of these steps, on memory of their own, after a first update."""
    config = tiny()
    state, data = start(config)
    parameters, slots = state.parameters.copy(), state.slots.copy()
    update = Update(config, parameters, slots, parameters, state.updates, config.network.trainable_indices)
    update.rounds = 1
    return Stretches(steps, config, parameters, slots, data.train.inputs, data.train.targets, update, 10**9)


@pytest.mark.parametrize("seconds", [1e-7, 1e-6, 1e-5, 1e-4])
def test_stretches_are_as_long_as_time_allows(seconds: float) -> None:
    clock = Clock(seconds)
    found = stretches_by(clock.steps)
    for _ in range(3):
        until = clock.now + 0.005
        run = found.run(0, 0, 10**9, clock, 0.0, until)
        assert run.over
        assert until < clock.now < until + LONG + seconds
    assert clock.counts[:2] == [1, GROWTH]
    assert sum(clock.counts) / len(clock.counts) > 0.2 * 0.00016 / seconds


def test_a_stretch_that_was_too_long_is_followed_by_a_shorter_one() -> None:
    clock = Clock(1e-6)
    found = stretches_by(clock.steps)
    found.run(0, 0, 10**9, clock, 0.0, 0.005)
    clock.counts.clear()
    clock.seconds = 1e-2
    for _ in range(6):
        assert found.run(0, 0, 10**9, clock, 0.0, clock.now).over
    assert clock.counts == [512, 64, 8, 1, 1, 1]


def test_it_goes_to_the_limit() -> None:
    clock = Clock(0.0)
    found = stretches_by(clock.steps)
    assert found.run(0, 0, 100, clock, 0.0, 1.0) == (100, [], False)
    assert clock.counts == [1, 8, 64, 27]
    assert found.run(0, 0, 0, clock, 0.0, 1.0) == (0, [], False)


def test_a_training_can_be_cancelled_between_stretches(done: list[int]) -> None:
    config = tiny(optimizer={"type": "sgd", "momentum": 0.9})
    state, data = start(config)
    cut = train(config, state, data, slow_clock(2e-4), cancel_after=2, epochs=10**6)
    assert cut.stopped["reason"] == "cancelled"
    assert sum(done) > 10
    by_hand = last(steps_by_hand(config, state, data.train, cut.state.steps))
    assert_same(cut.state, by_hand, but=("epochs", "own_rows"))


# ----- where it is not used


@pytest.mark.parametrize(
    ("fields", "plan"),
    [
        ({}, {"shuffle": True}),
        ({}, {"batch_size": 1}),
        ({}, {"stop": (GradientNormAbove(value=1e9),)}),
        ({"dtype": "float32"}, {}),
        ({"layers": [{"units": 1, "activation": "gelu"}]}, {}),
        ({"data": DATA}, {}),
    ],
    ids=str,
)
def test_which_trainings_go_step_by_step(done: list[int], fields: dict[str, Any], plan: dict[str, Any]) -> None:
    config = tiny(**fields)
    train(config, *start(config), epochs=20, **plan)
    assert done == []


def test_there_must_be_enough_steps() -> None:
    config = tiny()
    state, data = start(config)
    update = Update(config, state.parameters, state.slots, state.parameters, state.updates, (0, 1))
    given = (config, state.parameters, state.slots, data.train.inputs, data.train.targets, update, 1)
    assert stretches_for(*given, WORTH - 1) is None
    assert stretches_for(*given, WORTH) is not None


def test_parameters_that_differ_in_their_updates_go_step_by_step(done: list[int]) -> None:
    config = tiny(optimizer="adam")
    state, data = start(config)
    partly = passes.update(config, gradients(config, state, data.train), ["output.bias"])
    state = passes.begin(partly, data.train.inputs, data.train.targets, own_rows=True)
    trained = train(config, state, data, epochs=20)
    assert_same(trained.state, last(steps_by_hand(config, state, data.train, 20)), but=("epochs", "own_rows"))
    assert sum(done) == 0


def test_nothing_to_train(done: list[int]) -> None:
    config = tiny(layers=[{"units": 1, "trainable": False}])
    state, data = start(config)
    trained = train(config, state, data, epochs=20)
    assert_same(trained.state, last(steps_by_hand(config, state, data.train, 20)), but=("epochs", "own_rows"))
    assert sum(done) == 0


# ----- where numbers end


def first_bad_step(config: Config, state: State, rows: Any) -> State:
    """The last state, of single passes, before one whose numbers are not finite."""
    for _ in range(10_000):
        after = step(config, state, rows)
        numbers = [np.array(after.loss), there(after.gradients), after.parameters, after.slots]
        if not all(np.isfinite(array).all() for array in numbers):
            return state
        state = after
    raise AssertionError("it never diverges")


LINEAR = [{"name": "hidden", "units": 3}, {"name": "output", "units": 1}]
LARGE = {"inputs": [[1.0]], "targets": [[0.0]]}
DIVERGING: dict[str, dict[str, Any]] = {
    "slowly": {"layers": LINEAR, "optimizer": {"type": "sgd", "learning_rate": 1.9}},
    "at once": {"layers": LINEAR, "optimizer": {"type": "sgd", "learning_rate": 1e6}},
    "clip by value": {
        "layers": LINEAR,
        "optimizer": {"type": "sgd", "learning_rate": 1e3, "momentum": 2.0, "clip": {"type": "value", "value": 1.0}},
    },
    "clip by norm": {
        "layers": LINEAR,
        "optimizer": {"type": "sgd", "learning_rate": 1e3, "momentum": 2.0, "clip": {"type": "norm"}},
    },
    "the loss alone": {
        **ONE, "loss": "half_squared_error", "data": LARGE, "optimizer": {"type": "sgd", "learning_rate": 2.5},
    },
    "a slot alone": {
        **ONE, "loss": "mae", "data": {"inputs": [[1e153]], "targets": [[0.0]]},
        "optimizer": {"type": "adagrad", "learning_rate": 1e-3},
    },
    "a root of less than nothing": {
        **ONE, "data": LARGE, "optimizer": {"type": "rmsprop", "alpha": 1.5, "learning_rate": 1.0},
    },
    "a division by nothing": {
        **ONE, "data": {"inputs": [[1.0]], "targets": [[0.25]]}, "optimizer": {"type": "adagrad", "eps": 0.0},
        "layers": [{"name": "only", "units": 1, "bias": "none", "init": {"weight": 0.25}}],
    },
}  # fmt: skip


@pytest.mark.parametrize("every", [1, 10**6])
@pytest.mark.parametrize("clock", [no_time, slow_clock(1e-5)], ids=["at one go", "cut up"])
@pytest.mark.parametrize("fields", DIVERGING.values(), ids=DIVERGING)
def test_it_stops_at_the_last_step_that_is_finite(
    done: list[int], fields: dict[str, Any], clock: Callable[[], float], every: int
) -> None:
    config = tiny(**fields)
    state, data = start(config)
    good = first_bad_step(config, state, data.train)
    trained = train(config, state, data, clock, epochs=10**6, report_every=every)
    assert trained.stopped["reason"] == "nonfinite"
    assert_same(trained.state, good, but=("own_rows",) if good.steps == 0 else ())
    assert every > 1 or [entry["steps"] for entry in trained.entries] == list(range(1, good.steps + 1))


def test_most_of_a_long_way_to_the_end_is_not_gone_again_by_the_passes(
    monkeypatch: pytest.MonkeyPatch, done: list[int]
) -> None:
    calls: list[State] = []
    forward = passes.forward

    def counted(config: Config, state: State) -> State:
        calls.append(state)
        return forward(config, state)

    monkeypatch.setattr(passes, "forward", counted)
    config = tiny(**{**DIVERGING["a slot alone"], "data": {"inputs": [[1e152]], "targets": [[0.0]]}})
    stopped = train(config, *start(config), slow_clock(1e-5), epochs=10**6).stopped
    assert (stopped["reason"], stopped["tensor"]) == ("nonfinite", "only.weight.state.sum")
    assert stopped["step"] == int(sys.float_info.max / 1e304)
    assert len(calls) < 300


def test_a_step_that_only_numpy_can_do_is_done_by_numpy(done: list[int]) -> None:
    """An infinite z has an ordinary sigmoid; and on the way there is a z whose exponential is too large."""
    layers = [{"name": "only", "units": 1, "activation": "sigmoid", "bias": "none", "init": {"weight": 1e300}}]
    data = {"inputs": [[-1e10], [1e-300]], "targets": [[0.5], [0.1]]}
    config = tiny(inputs=1, layers=layers, data=data, optimizer={"type": "sgd", "learning_rate": 1e299})
    state, built = start(config)
    trained = train(config, state, built, epochs=20)
    assert trained.stopped["reason"] == "epochs"
    assert_same(trained.state, last(steps_by_hand(config, state, built.train, 20)), but=("epochs", "own_rows"))
    assert sum(done) < 18
