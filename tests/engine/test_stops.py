"""Each condition stops a training before the very update that a plain check, done step by step, would not let pass."""

import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from app.engine import passes, tensors
from app.engine.network import Config
from app.engine.plan import Plan
from app.engine.spec import kinds
from app.engine.state import State
from app.engine.stops import AnyStop, breakpoint_of, watch
from app.engine.watch import Moment
from app.errors import InvalidInput, field_errors

from .networks import (
    COUNTED_BY_TRAININGS,
    DATA,
    Training,
    assert_same,
    batches,
    gradients,
    make,
    no_time,
    slow_clock,
    start,
    train,
)

ADAPTER: TypeAdapter[Any] = TypeAdapter(AnyStop)

RELU = [
    {"name": "hidden", "units": 4, "activation": "relu", "init": {"bias": "zeros"}},
    {"name": "output", "units": 1, "activation": "sigmoid"},
]
LINEAR = [{"name": "hidden", "units": 3}, {"name": "output", "units": 1}]
FAST = {"type": "sgd", "learning_rate": 3.0}
WARM_UP = {"type": "constant", "warmup": {"start_factor": 0.01, "total_iters": 40}}
TOO_FAST = {"type": "sgd", "learning_rate": 1.6, "schedule": WARM_UP}
SLOW = {"type": "sgd", "learning_rate": 0.05}
CLASSES = {
    **DATA,
    "targets": [0, 1, 0, 1, 0, 1, 1],
    "test": {"inputs": DATA["inputs"][:3], "targets": [1, 1, 0]},
}
CLASSIFIER = {"loss": "cross_entropy", "data": CLASSES, "layers": [{"name": "hidden", "units": 3, "activation": "tanh"},
                                                                   {"name": "output", "units": 2}]}  # fmt: skip


def stop(*conditions: Any) -> tuple[Any, ...]:
    return tuple(ADAPTER.validate_python(condition) for condition in conditions)


@dataclass
class Now:
    """A step that is about to be made, as single passes have it, and what the epoch came to if this is its last."""

    config: Config
    before: State
    backward: State
    after: State
    epoch: int
    loss: float | None
    earlier: list[float]
    accuracy: float | None
    test: Any

    @property
    def norm(self) -> float:
        named = dict(tensors.tensors(self.config, self.backward))
        squares = [(named[f"{name}.gradient"].astype(float) ** 2).sum() for name in self.config.network.trainable]
        return math.sqrt(sum(squares))

    def a(self, layer: str) -> Any:
        return dict(tensors.tensors(self.config, self.backward))[f"{layer}.a"]

    def parameters(self, state: State, layer: str) -> list[float]:
        named = dict(tensors.tensors(self.config, state))
        return [v for k in ("weight", "bias") for v in np.ravel(named.get(f"{layer}.{k}", [])).tolist()]

    def on_test_rows(self) -> tuple[float, float]:
        """Loss and accuracy over the rows to test on of a cross-entropy, with the parameters before the update."""
        z = passes.predict(self.config, self.before.parameters, self.test.inputs).outputs
        right = z[np.arange(len(z)), self.test.targets]
        losses = np.log(np.exp(z).sum(axis=1)) - right
        return float(losses.mean()), float((z.argmax(axis=1) == self.test.targets).mean())


class Found(NamedTuple):
    tensor: str | None
    threshold: float | None
    actual: float


Check = Callable[[Now], Found | None]


def walk(config: Config, state: State, data: Any, epochs: int, **plan: Any) -> Iterator[Now]:
    """Every step of a training by single passes, its epochs' losses added up by hand."""
    earlier: list[float] = []
    for epoch in range(epochs):
        losses: list[tuple[float, int]] = []
        hits = 0
        picks = batches(config, len(data.train), epoch, **plan)
        for number, picked in enumerate(picks, 1):
            backward = gradients(config, state, data.train.take(picked))
            after = passes.update(config, backward)
            losses.append((backward.loss or 0.0, len(picked)))
            loss = accuracy = None
            if config.loss.classifies:
                outputs = tensors.outputs(config, backward)
                assert outputs is not None
                hits += int((outputs.argmax(axis=1) == backward.targets).sum())
            if number == len(picks):
                rows = sum(size for _, size in losses)
                loss = sum(one * size for one, size in losses) / rows
                accuracy = hits / rows
            yield Now(config, state, backward, after, epoch, loss, list(earlier), accuracy, data.test)
            if loss is not None:
                earlier.append(loss)
            state = after


def loss_below(value: float) -> Check:
    return lambda now: Found(None, value, now.loss) if now.loss is not None and now.loss < value else None


def plateau(patience: int, min_delta: float) -> Check:
    def check(now: Now) -> Found | None:
        if now.loss is None:
            return None
        best, bad = math.inf, 0
        for loss in [*now.earlier, now.loss]:
            better = loss < best - min_delta
            best, bad = (loss, 0) if better else (best, bad + 1)
        return Found(None, best - min_delta, now.loss) if bad >= patience else None

    return check


def norm(compare: Callable[[float, float], bool], value: float) -> Check:
    return lambda now: Found("gradient_norm", value, now.norm) if compare(now.norm, value) else None


def units(value: float, layers: dict[str, Callable[[Any], Any]], few: int = 0) -> Check:
    """Shares of units; on `few` samples, one below 1 may be chance."""

    def check(now: Now) -> Found | None:
        shares = {f"{layer}.a": float(np.all(bad(now.a(layer)), axis=0).mean()) for layer, bad in layers.items()}
        shares = {name: share if share == 1 or len(now.a("hidden")) > few else 0.0 for name, share in shares.items()}
        worst = max(shares, key=lambda name: shares[name])
        return Found(worst, value, shares[worst]) if shares[worst] > value else None

    return check


def update_ratio(value: float, *layers: str) -> Check:
    def check(now: Now) -> Found | None:
        ratios = {}
        for layer in layers:
            before, after = now.parameters(now.before, layer), now.parameters(now.after, layer)
            ratios[f"{layer}.weight"] = math.dist(before, after) / math.hypot(*before)
        worst = max(ratios, key=lambda name: ratios[name])
        return Found(worst, value, ratios[worst]) if ratios[worst] > value else None

    return check


def outside(name: str, low: float, high: float, *index: int) -> Check:
    def check(now: Now) -> Found | None:
        values = dict(tensors.tensors(now.config, now.after))[name]
        beyond = {
            at: max(low - value, value - high) for at, value in np.ndenumerate(values) if not index or at == index
        }
        at = max(beyond, key=lambda at: beyond[at])
        if beyond[at] <= 0:
            return None
        actual = float(values[at])
        return Found(name + "".join(f"[{i}]" for i in at), low if actual < low else high, actual)

    return check


def expression(holds: Callable[[Now], bool]) -> Check:
    return lambda now: Found(None, None, now.loss) if now.loss is not None and holds(now) else None


class Case(NamedTuple):
    fields: dict[str, Any]
    condition: dict[str, Any]
    check: Check


CASES = {
    "loss_below": Case({"optimizer": FAST}, {"value": 0.045}, loss_below(0.045)),
    "plateau": Case(
        {"optimizer": FAST}, {"patience": 3, "min_delta": 1.2e-3}, plateau(3, 1.2e-3)
    ),
    "plateau of 1": Case(
        {"optimizer": {**FAST, "learning_rate": 40.0}}, {"patience": 1, "min_delta": 0.0}, plateau(1, 0.0)
    ),
    "gradient_norm_above": Case({"optimizer": TOO_FAST, "layers": LINEAR}, {"value": 50}, norm(float.__gt__, 50.0)),
    "gradient_norm_below": Case({"optimizer": FAST}, {"value": 0.03}, norm(float.__lt__, 0.03)),
    "gradient_norm_above where some is frozen": Case(
        {"optimizer": TOO_FAST, "layers": [{**LINEAR[0], "trainable": False}, LINEAR[1]]},
        {"value": 20},
        norm(float.__gt__, 20.0),
    ),
    "saturated_units_above": Case(
        {"optimizer": {"type": "adam", "learning_rate": 0.9}},
        {"value": 0.5},
        units(0.5, {"hidden": lambda a: 1 - a**2 < 0.05, "output": lambda a: 4 * a * (1 - a) < 0.05}),
    ),
    "dead_units_above": Case(
        {"optimizer": {"type": "adam", "learning_rate": 0.8}, "layers": RELU},
        {"value": 0.4},
        units(0.4, {"hidden": lambda a: a == 0}, few=3),
    ),
    "update_ratio_above": Case(
        {"optimizer": {"type": "sgd", "learning_rate": 2.0, "momentum": 0.9, "schedule": WARM_UP}},
        {"value": 0.12},
        update_ratio(0.12, "hidden", "output"),
    ),
    "parameter_outside": Case(
        {"optimizer": FAST},
        {"parameter": "hidden.weight", "low": -0.9, "high": 0.9},
        outside("hidden.weight", -0.9, 0.9),
    ),
    "parameter_outside, one entry": Case(
        {"optimizer": FAST},
        {"parameter": "output.bias[0]", "low": -0.4},
        outside("output.bias", -0.4, math.inf, 0),
    ),
    "parameter_outside, one weight": Case(
        {"optimizer": FAST, "dtype": "float32"},
        {"parameter": "output.weight[0][2]", "high": 1.2},
        outside("output.weight", -math.inf, 1.2, 0, 2),
    ),
    "expression": Case(
        {"optimizer": FAST},
        {"value": "epoch > 2 and loss > 1.02 * best_loss or steps >= 60"},
        expression(lambda now: (now.epoch > 1 and now.loss > 1.02 * min([*now.earlier, math.inf]))  # type: ignore[operator]
                   or now.before.steps + 1 >= 60),
    ),
    "expression of the norm": Case(
        {"optimizer": {**FAST, "schedule": {"type": "exponential", "gamma": 0.99}}},
        {"value": "gradient_norm < 0.006 or learning_rate < 1.8"},
        expression(lambda now: now.norm < 0.006 or 3.0 * 0.99**now.before.steps < 1.8),
    ),
    "expression of the rows to test on": Case(
        {**CLASSIFIER, "optimizer": {"type": "sgd", "learning_rate": 0.1}},
        {"value": "test_loss < 0.55 or accuracy > 0.9 and test_accuracy < 0.4"},
        expression(lambda now: now.on_test_rows()[0] < 0.55
                   or ((now.accuracy or 0) > 0.9 and now.on_test_rows()[1] < 0.4)),
    ),
}  # fmt: skip
PLANS: dict[str, dict[str, Any]] = {
    "all at once": {},
    "batches of 4": {"batch_size": 4},
    "shuffled batches of 2": {"batch_size": 2, "shuffle": True},
    "whole batches of 2": {"batch_size": 2, "shuffle": True, "drop_last": True},
}
EPOCHS = 150


def condition_of(name: str) -> dict[str, Any]:
    return {"type": name.partition(",")[0].split(" ")[0], **CASES[name].condition}


def run(name: str, plan: dict[str, Any], clock: Any = no_time, **more: Any) -> tuple[Config, State, Any, Training]:
    config = make(**CASES[name].fields)
    state, data = start(config)
    return config, state, data, train(
        config, state, data, clock, epochs=EPOCHS, stop=stop(condition_of(name)), **plan, **more
    )  # fmt: skip


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("name", CASES)
def test_it_stops_before_the_very_update_that_meets_it(name: str, plan: dict[str, Any]) -> None:
    config, state, data, trained = run(name, plan)
    for now in walk(config, state, data, EPOCHS, **plan):
        found = CASES[name].check(now)
        if found is not None:
            break
    else:
        raise AssertionError("the case is made to meet its condition")
    assert_same(trained.state, now.before, but=COUNTED_BY_TRAININGS)
    stopped = trained.stopped
    assert (stopped["reason"], stopped["tensor"]) == (condition_of(name)["type"], found.tensor)
    assert stopped["threshold"] == (None if found.threshold is None else pytest.approx(found.threshold, rel=1e-12))
    assert stopped["actual"] == pytest.approx(found.actual, rel=1e-12)
    assert (stopped["epoch"], stopped["step"]) == (now.epoch, now.before.steps)
    assert (trained.state.epochs, trained.state.steps) == (now.epoch, now.before.steps)
    assert [entry["epoch"] for entry in trained.entries] == list(range(1, now.epoch + 1))


def test_the_cases_meet_their_conditions_neither_at_once_nor_at_the_end() -> None:
    steps = [run(name, plan)[3].state.steps for name in CASES for plan in PLANS.values()]
    assert sum(3 < count < 140 for count in steps) > 0.8 * len(steps)
    assert len({count for count in steps if count > 3}) > 25


@pytest.mark.parametrize("seconds", [1.0, 0.006])
@pytest.mark.parametrize("name", CASES)
def test_neither_the_clock_nor_what_is_told_changes_where_it_stops(name: str, seconds: float) -> None:
    plan = {"batch_size": 3, "shuffle": True}
    _, _, data, once = run(name, plan)
    probe = data.train.inputs[:2]
    *_, other = run(name, plan, slow_clock(seconds), report_every=7, frames=True, probe=probe)
    assert_same(other.state, once.state)
    assert other.stopped == once.stopped


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("name", CASES)
def test_going_on_after_a_stop_is_as_if_there_had_been_none(name: str, plan: dict[str, Any]) -> None:
    config, state, data, trained = run(name, plan)
    whole = train(config, state, data, epochs=EPOCHS, **plan)
    rest = train(config, trained.state, data, epochs=EPOCHS - trained.state.epochs, **plan)
    assert_same(rest.state, whole.state)
    assert trained.entries + rest.entries == whole.entries


NEVER: list[dict[str, Any]] = [
    {"type": "loss_below", "value": 1e-9},
    {"type": "plateau", "patience": 200},
    {"type": "gradient_norm_above", "value": 1e6},
    {"type": "gradient_norm_below", "value": 1e-12},
    {"type": "saturated_units_above", "value": 1.0},
    {"type": "dead_units_above", "value": 1.0},
    {"type": "update_ratio_above", "value": 1e3},
    {"type": "nonfinite"},
    {"type": "epoch", "value": 10_000},
    {"type": "parameter_outside", "parameter": "hidden.weight", "low": -1e3, "high": 1e3},
    {"type": "expression", "value": "loss < 0 or isnan(gradient_norm) or elapsed > 3"},
]


def test_every_condition_is_among_those_that_are_never_met() -> None:
    assert [one["type"] for one in NEVER] == [
        "loss_below", "plateau", "gradient_norm_above", "gradient_norm_below", "saturated_units_above",
        "dead_units_above", "update_ratio_above", "nonfinite", "epoch", "parameter_outside", "expression",
    ]  # fmt: skip
    assert {one["type"] for one in NEVER} == {kind.type_name() for kind in kinds(AnyStop)}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("conditions", [*([one] for one in NEVER), NEVER], ids=lambda these: these[0]["type"])
def test_a_condition_that_is_never_met_changes_nothing(conditions: list[Any], plan: dict[str, Any]) -> None:
    config = make(layers=RELU, optimizer=FAST)
    state, data = start(config)
    watched = train(config, state, data, epochs=20, stop=stop(*conditions), **plan)
    free = train(config, state, data, epochs=20, **plan)
    assert_same(watched.state, free.state)
    assert watched.stopped == free.stopped
    assert watched.entries == free.entries


# ----- at once, and in which order


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_condition_met_before_any_step_leaves_the_state_as_it_was(batch_size: int | None) -> None:
    config = make()
    state, data = start(config)
    trained = train(
        config, state, data, epochs=9, batch_size=batch_size, stop=stop({"type": "gradient_norm_above", "value": 0})
    )
    assert trained.state is state
    assert (trained.stopped["step"], trained.stopped["epoch"], trained.entries) == (0, 0, [])


def test_the_first_in_the_list_is_named() -> None:
    config = make()
    two = {"type": "gradient_norm_above", "value": 0}, {"type": "loss_below", "value": 9}
    for conditions in (two, two[::-1]):
        assert train(config, *start(config), stop=stop(*conditions)).stopped["reason"] == conditions[0]["type"]


@pytest.mark.parametrize("batch_size", [None, 3])
def test_what_is_not_finite_comes_before_all(batch_size: int | None) -> None:
    config = make(
        layers=[{"name": "hidden", "units": 3}, {"name": "output", "units": 1}],
        optimizer={"type": "sgd", "learning_rate": 1e6},
    )
    conditions = stop(
        {"type": "expression", "value": "not loss < 1e300"},
        {"type": "update_ratio_above", "value": 1e300},
        {"type": "parameter_outside", "parameter": "output.weight", "high": 1.7e308, "low": -1.7e308},
        {"type": "nonfinite"},
    )
    trained = train(config, *start(config), epochs=1000, batch_size=batch_size, stop=conditions[1:])
    alone = train(config, *start(config), epochs=1000, batch_size=batch_size)
    assert trained.stopped == alone.stopped
    assert trained.stopped["reason"] == "nonfinite"
    assert trained.stopped["tensor"] is not None
    first = train(config, *start(config), epochs=1000, batch_size=batch_size, stop=conditions)
    assert first.stopped["step"] <= trained.stopped["step"]


def test_a_parameter_that_is_frozen_outside_stops_it_at_once() -> None:
    config = make(layers=[{"name": "only", "units": 1, "trainable": False, "init": {"weight": 2.0}}])
    condition = {"type": "parameter_outside", "parameter": "only.weight", "high": 1}
    found = train(config, *start(config), stop=stop(condition)).stopped
    assert (found["step"], found["tensor"], found["threshold"], found["actual"]) == (0, "only.weight[0][0]", 1, 2)


def test_a_layer_of_zeros_has_no_update_ratio() -> None:
    layers = [{"name": "only", "units": 1, "init": {"weight": 0.0, "bias": 0.0}}]
    config = make(layers=layers, optimizer=SLOW)
    condition = {"type": "update_ratio_above", "value": 0.2}
    assert train(config, *start(config), stop=stop(condition)).stopped["reason"] == "epochs"
    found = train(config, *start(config), epochs=2, stop=stop(condition)).stopped
    assert (found["step"], found["tensor"]) == (1, "only.weight")
    frozen = make(layers=[{**layers[0], "trainable": False}])
    assert train(frozen, *start(frozen), epochs=2, stop=stop(condition)).stopped["reason"] == "epochs"


def test_a_unit_of_a_layer_that_lets_the_gradient_through_is_not_dead() -> None:
    layers = [{"name": "hidden", "units": 2, "activation": "tanh", "init": {"weight": 0.0, "bias": 0.0}}, {"units": 1}]
    config = make(layers=layers)
    condition = {"type": "dead_units_above", "value": 0.0}
    assert train(config, *start(config), stop=stop(condition)).stopped["reason"] == "epochs"


def test_on_few_samples_only_a_layer_that_is_dead_as_a_whole_counts() -> None:
    """As health has it: a healthy unit may answer 0 to so few by chance."""
    units = [[0.0, 0.0, 1.0], [-1.0, -1.0, -1.0]]  # the biases of one layer that is dead in part, and one that is dead
    for biases, least in zip(units, (4, 1), strict=True):
        hidden = {"name": "hidden", "units": 3, "activation": "relu", "init": {"weight": 0.0, "bias": biases}}
        config = make(layers=[hidden, {"units": 1}])
        for n in (1, 3, 4, 7):
            condition = {"type": "dead_units_above", "value": 0.5}
            found = train(config, *start(config), batch_size=n, stop=stop(condition)).stopped
            assert (found["reason"] == "dead_units_above") is (n >= least)


def test_best_loss_is_not_asked_for_before_there_is_one() -> None:
    """So that `loss < 0.5 * best_loss` does not stop a training at once."""
    config = make(optimizer=SLOW)
    state, data = start(config)
    for text in ("loss < 0.5 * best_loss", "best_loss > 1e300", "loss > 1.5 * best_loss"):
        condition = {"type": "expression", "value": text}
        assert train(config, state, data, epochs=9, stop=stop(condition)).stopped["reason"] == "epochs"
    found = train(config, state, data, epochs=9, stop=stop({"type": "expression", "value": "loss <= best_loss"}))
    assert (found.stopped["reason"], found.stopped["epoch"]) == ("expression", 1)


def test_seconds_can_be_a_condition() -> None:
    config = make()
    clock = slow_clock(0.01)
    trained = train(
        config, *start(config), clock, epochs=1000, stop=stop({"type": "expression", "value": "elapsed < 1"})
    )
    assert trained.stopped["step"] == 0
    late = stop({"type": "expression", "value": "elapsed > 1 and elapsed < 1.2"})
    trained = train(config, *start(config), slow_clock(0.01), epochs=1000, stop=late)
    assert 10 < trained.stopped["step"] < 100
    assert trained.stopped["reason"] == "expression"


def test_the_loss_of_an_epoch_gone_on_with_is_that_of_all_of_it() -> None:
    config = make(optimizer=SLOW)
    state, data = start(config)
    *_, last = walk(config, state, data, 1, batch_size=2)
    assert last.loss is not None
    for steps in (1, 2, 3):
        cut = train(config, state, data, batch_size=2, steps=steps).state
        for value, reason in ((last.loss * 1.0001, "loss_below"), (last.loss * 0.9999, "epochs")):
            condition = {"type": "loss_below", "value": value}
            assert train(config, cut, data, batch_size=2, stop=stop(condition)).stopped["reason"] == reason


@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize("min_delta", [0.0, 0.05])
def test_pytorch_sees_a_plateau_where_we_do(patience: int, min_delta: float) -> None:
    """Its scheduler acts when more epochs than its patience were bad; ours counts the one that it acts in too."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    config = make()
    moment = Moment(1, 1, None, None, 0, 0, no_time, np.zeros(1), 1, np.zeros(1), np.zeros(1))
    for seed in range(20):
        slope = np.maximum(np.linspace(0.5, -0.5, 60), 0)
        losses = (np.random.default_rng(seed).uniform(0, 0.2, 60) + slope).tolist()
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=patience - 1, threshold=min_delta, threshold_mode="abs"
        )
        theirs = []
        for loss in losses:
            scheduler.step(loss)
            theirs.append(optimizer.param_groups[0]["lr"] < 1)
        (condition,) = stop({"type": "plateau", "patience": patience, "min_delta": min_delta})
        test = condition.test(config, None, "")
        ours = [test(moment._replace(loss=loss)) is not None for loss in losses]
        assert ours.index(True) == theirs.index(True)


# ----- breakpoints


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("frames", [True, False])
def test_a_breakpoint_stops_once_its_epoch_is_done(plan: dict[str, Any], frames: bool) -> None:
    config = make(optimizer=FAST)
    state, data = start(config)
    conditions = stop({"type": "epoch", "value": 30}, {"type": "epoch", "value": 12})
    trained = train(config, state, data, epochs=20, report_every=5, stop=conditions, frames=frames, **plan)
    assert_same(trained.state, train(config, state, data, epochs=12, **plan).state)
    assert trained.stopped == {
        "reason": "epoch", "epoch": 12, "step": trained.state.steps, "tensor": None, "threshold": 12, "actual": 12,
    }  # fmt: skip
    assert [entry["epoch"] for entry in trained.entries] == [5, 10, 12]

    on = train(config, trained.state, data, epochs=18, report_every=5, stop=conditions, **plan)  # past 12: to 30
    assert (on.stopped["reason"], on.stopped["epoch"]) == ("epoch", 30)  # at which the training would have ended too
    assert_same(on.state, train(config, state, data, epochs=30, **plan).state)
    assert train(config, on.state, data, stop=conditions).stopped["reason"] == "epochs"


def test_a_breakpoint_beyond_the_training_is_not_come_to() -> None:
    config = make()
    assert (
        train(config, *start(config), epochs=5, stop=stop({"type": "epoch", "value": 6})).stopped["reason"] == "epochs"
    )


def test_what_happens_before_a_breakpoint_is_named() -> None:
    config = make()
    conditions = stop({"type": "epoch", "value": 3}, {"type": "loss_below", "value": 9})
    assert train(config, *start(config), epochs=5, stop=conditions).stopped["reason"] == "loss_below"


def test_a_part_of_a_training_does_not_come_to_its_breakpoint() -> None:
    config = make()
    trained = train(config, *start(config), epochs=5, steps=2, stop=stop({"type": "epoch", "value": 3}))
    assert (trained.stopped["reason"], trained.state.steps) == ("epochs", 2)


def test_the_next_breakpoint() -> None:
    conditions = stop({"type": "epoch", "value": 9}, "nonfinite", {"type": "epoch", "value": 4})
    assert [breakpoint_of(conditions, done) for done in (0, 3, 4, 8, 9)] == [4, 4, 9, 9, None]


# ----- what is refused


@pytest.mark.parametrize(
    ("condition", "place"),
    [
        ({"type": "loss_below"}, "value"),
        ({"type": "loss_below", "value": math.nan}, "value"),
        ({"type": "plateau", "patience": 0}, "patience"),
        ({"type": "plateau", "min_delta": -1.0}, "min_delta"),
        ({"type": "gradient_norm_above", "value": -1.0}, "value"),
        ({"type": "gradient_norm_below", "value": -1.0}, "value"),
        ({"type": "saturated_units_above", "value": 1.1}, "value"),
        ({"type": "dead_units_above", "value": -0.1}, "value"),
        ({"type": "update_ratio_above", "value": -0.1}, "value"),
        ({"type": "epoch", "value": 0}, "value"),
        ({"type": "epoch", "value": 2**53 + 1}, "value"),
        ({"type": "plateau", "patience": 2**53 + 1}, "patience"),
        ({"type": "epoch", "value": 1.5}, "value"),
        ({"type": "parameter_outside", "parameter": "hidden.weight"}, "parameter_outside"),
        ({"type": "parameter_outside", "parameter": "hidden.weight", "low": 2.0, "high": 1.0}, "parameter_outside"),
        ({"type": "expression", "value": "loss"}, "value"),
        ({"type": "expression", "value": ""}, "value"),
        ({"type": "expression", "value": "loss < 1".ljust(501)}, "value"),
        ({"type": "nonfinite", "value": 1}, "value"),
    ],
)
def test_options_have_bounds(condition: Any, place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        stop(condition)
    assert caught.value.errors()[0]["loc"][-1] == place


@pytest.mark.parametrize(
    ("condition", "pointer", "detail"),
    [
        (
            {"type": "expression", "value": "loss < zebra"},
            "/stop/1/value",
            "at character 8: this name is none of epoch",
        ),
        ({"type": "parameter_outside", "parameter": "w"}, "/stop/1", "takes low, high or both"),
        ({"type": "plateau", "patience": 0}, "/stop/1/patience", "got 0"),
        ({"type": "zebra"}, "/stop/1", "takes one of 'loss_below', 'plateau'"),
        ("loss_below", "/stop/1/value", "is needed"),
    ],
)
def test_a_client_is_told_where_and_why(condition: Any, pointer: str, detail: str) -> None:
    given = ["nonfinite", condition]
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[AnyStop]).validate_python(given)
    (error,) = field_errors(caught.value, given, "/stop")
    assert error.pointer == pointer
    assert detail in error.detail


def test_the_schema_says_that_a_bound_is_needed() -> None:
    (schema,) = [kind.model_json_schema() for kind in kinds(AnyStop) if kind.type_name() == "parameter_outside"]
    assert schema["anyOf"] == [{"required": ["low"]}, {"required": ["high"]}]
    assert schema["additionalProperties"] is False


def test_the_edges_of_the_bounds_are_in_them() -> None:
    stop(
        {"type": "epoch", "value": 2**53}, {"type": "plateau", "patience": 2**53},
        "nonfinite", "plateau", {"type": "plateau", "patience": 1, "min_delta": 0},
        {"type": "parameter_outside", "parameter": "hidden.weight", "low": 1, "high": 1},
        {"type": "saturated_units_above", "value": 1}, {"type": "dead_units_above", "value": 0},
        {"type": "expression", "value": "loss < 1".ljust(500)},
    )  # fmt: skip


TESTED = {**DATA, "test_fraction": 0.3}


@pytest.mark.parametrize(
    ("condition", "pointer", "detail"),
    [
        ({"type": "parameter_outside", "parameter": "zebra.weight", "low": 0}, "/stop/1/parameter", "nothing has this"),
        (
            {"type": "parameter_outside", "parameter": "hidden.z", "low": 0},
            "/stop/1/parameter",
            "no parameter; takes one of",
        ),
        (
            {"type": "parameter_outside", "parameter": "hidden.weight.next", "low": 0},
            "/stop/1/parameter",
            "takes one of hidden.weight, hidden.bias, output.weight, output.bias, or an entry",
        ),
        (
            {"type": "parameter_outside", "parameter": "hidden.weight[0]", "low": 0},
            "/stop/1/parameter",
            "takes [0] to [2]",
        ),
        (
            {"type": "parameter_outside", "parameter": "hidden.weight[3][0]", "low": 0},
            "/stop/1/parameter",
            "takes [0] to",
        ),
        ({"type": "expression", "value": "accuracy > 1"}, "/stop/1/value", "does not classify"),
        ({"type": "expression", "value": "test_accuracy > 1"}, "/stop/1/value", "does not classify"),
        ({"type": "expression", "value": "loss < 1 or test_loss > 1"}, "/stop/1/value", "no rows to test on"),
    ],
)
def test_what_makes_no_sense_for_this_network_is_refused(condition: Any, pointer: str, detail: str) -> None:
    config = make()
    conditions = stop("nonfinite", condition)
    with pytest.raises(InvalidInput) as caught:
        train(config, *start(config), stop=conditions)
    (error,) = caught.value.errors
    assert error.pointer == pointer
    assert detail in error.detail
    with pytest.raises(InvalidInput):
        watch(conditions, config, None)


def test_rows_to_test_on_make_their_names_known() -> None:
    config = make(data=TESTED)
    condition = {"type": "expression", "value": "test_loss < 9"}
    found = train(config, *start(config), stop=stop(condition)).stopped
    assert (found["reason"], found["step"]) == ("expression", 0)


def test_nothing_to_watch_is_no_watch() -> None:
    config = make()
    assert watch(stop("nonfinite", {"type": "epoch", "value": 3}), config, None) is None
    assert watch(stop({"type": "loss_below", "value": 3}), config, None) is not None


@pytest.mark.parametrize("condition", NEVER, ids=lambda one: one["type"])
def test_it_goes_to_another_process_and_back(condition: Any) -> None:
    conditions = stop(condition)
    watch(conditions, make(), None)  # what it has read by then does not go with it
    there = pickle.loads(pickle.dumps(Plan(stop=conditions)))
    assert there.stop == conditions
    assert stop(there.stop[0].model_dump()) == conditions
