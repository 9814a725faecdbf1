"""Forward, backward and update: how far each comes, what it needs before it, and that no state ever changes."""

import warnings
from typing import Any

import numpy as np
import pytest

from app.engine import passes, tensors
from app.engine.activations import AnyActivation
from app.engine.network import Config
from app.engine.spec import kinds
from app.engine.state import State
from app.errors import InvalidInput, WrongPhase

from .networks import (
    assert_equal,
    assert_same,
    forward,
    gradients,
    make,
    start,
    step,
)
from .random_configs import random_configs

DEEP = [
    {"name": "first", "units": 3, "activation": "tanh"},
    {"name": "second", "units": 2, "activation": "softmax", "bias": "shared"},
    {"name": "third", "units": 1, "activation": "sigmoid", "bias": "none"},
]
CONFIG = make(layers=DEEP, optimizer={"type": "sgd", "learning_rate": 0.5, "momentum": 0.9})
STATE, DATA = start(CONFIG)
BEGUN = passes.begin(STATE, DATA.train.inputs, DATA.train.targets, own_rows=True)
PASSED = passes.forward(CONFIG, BEGUN)
BACK = passes.backward(CONFIG, PASSED)


# ----- a pass in pieces


def test_a_pass_that_stops_at_every_layer_is_one_pass() -> None:
    for fields in random_configs(20):
        config = make(**fields)
        state, data = start(config)
        once = gradients(config, state, data.train)

        state = passes.begin(state, data.train.inputs, data.train.targets, own_rows=True)
        for count, name in enumerate(config.network.names, 1):
            state = passes.forward(config, state, until=name)
            assert state.forwarded == count
        for count, name in enumerate(reversed(config.network.names), 1):
            state = passes.backward(config, state, until=name)
            assert state.backwarded == count
        assert_same(state, once)


def test_what_is_not_passed_yet_is_not_there() -> None:
    half = passes.forward(CONFIG, BEGUN, until="second")
    assert half.loss is None
    assert tensors.outputs(CONFIG, half) is None
    assert tensors.traces(CONFIG, half)[1].a is not None
    assert tensors.traces(CONFIG, half)[2].z is None

    half = passes.backward(CONFIG, PASSED, until="second")
    assert tensors.traces(CONFIG, half)[1].dL_dz is not None
    assert tensors.traces(CONFIG, half)[0].dL_dz is None


def test_updates_in_pieces_are_one_update() -> None:
    state = BACK
    for name in reversed(CONFIG.network.trainable):
        state = passes.update(CONFIG, state, [name])
    assert_same(state, passes.update(CONFIG, BACK))


def test_the_rest_is_updated_by_default() -> None:
    state = passes.update(CONFIG, BACK, ["third.weight", "first.bias"])
    assert (state.phase, sorted(state.stepped), state.steps) == ("backward", ["first.bias", "third.weight"], 0)
    assert state.updates == (0, 1, 0, 0, 1)
    assert_same(passes.update(CONFIG, state), passes.update(CONFIG, BACK))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", {"type": "sgd", "clip": {"type": "value", "value": 0.01}}])
def test_only_what_is_named_is_updated(optimizer: Any) -> None:
    config = make(optimizer=optimizer)
    state, data = start(config)
    before = gradients(config, state, data.train)
    after = passes.update(config, before, ["output.weight"])
    for parameter in config.network.parameters:
        moved = not np.array_equal(parameter.view(after.parameters), parameter.view(before.parameters))
        assert moved == (parameter.name == "output.weight")


def test_neighbours_that_were_updated_less_often_count_their_own_updates() -> None:
    """Adam corrects by the number of updates: a parameter that was left out once is one behind for ever."""
    config = make(optimizer={"type": "adam", "learning_rate": 0.1})
    state, data = start(config)
    state = passes.update(config, gradients(config, state, data.train), ["hidden.bias"])
    state = gradients(config, state, data.train)
    together = passes.update(config, state)
    assert together.updates == (1, 2, 1, 1)
    apart = state
    for name in config.network.trainable:
        apart = passes.update(config, apart, [name])
    assert_same(apart, together)


# ----- what counts


def test_a_whole_step_over_the_own_rows_is_an_epoch() -> None:
    state = step(CONFIG, STATE, DATA.train)
    assert (state.phase, state.steps, state.epochs, state.epoch_position) == ("ready", 1, 1, 0)


def test_a_whole_step_over_other_rows_is_no_epoch() -> None:
    begun = passes.begin(STATE, DATA.train.inputs[:2], DATA.train.targets[:2], own_rows=False)
    state = passes.update(CONFIG, passes.backward(CONFIG, passes.forward(CONFIG, begun)))
    assert (state.phase, state.steps, state.epochs) == ("ready", 1, 0)


def test_the_trace_stays_when_the_step_is_done_and_goes_with_the_next_pass() -> None:
    state = step(CONFIG, STATE, DATA.train)
    assert state.loss == PASSED.loss
    assert state.gradients is not None
    begun = passes.begin(state, DATA.train.inputs, DATA.train.targets, own_rows=True)
    assert (begun.loss, begun.gradients, begun.forward, begun.backward) == (None, None, None, None)
    assert begun.slots is state.slots
    without = state.without_trace()
    assert (without.phase, without.inputs, without.targets, without.loss) == ("ready", None, None, None)
    assert without.parameters is state.parameters


def test_a_second_backward_pass_starts_over() -> None:
    half = passes.update(CONFIG, BACK, ["third.weight"])
    again = passes.backward(CONFIG, half)
    assert again.stepped == frozenset()
    assert again.gradients is not None
    assert BACK.gradients is not None
    assert again.gradients.tobytes() == BACK.gradients.tobytes()


def test_an_update_in_the_middle_of_a_backward_pass_is_remembered() -> None:
    half = passes.update(CONFIG, passes.backward(CONFIG, PASSED, until="third"), ["third.weight"])
    assert passes.backward(CONFIG, half).stepped == {"third.weight"}


def test_layers_already_passed_keep_the_parameters_that_they_used() -> None:
    half = passes.forward(CONFIG, BEGUN, until="first")
    changed = half.parameters.copy()
    changed += 1
    changed.setflags(write=False)
    done = passes.forward(CONFIG, half._replace(parameters=changed))
    split = CONFIG.network.layer_parameters[1][0].place.start
    assert_equal(done.used[:split], half.parameters[:split])
    assert_equal(done.used[split:], changed[split:])
    assert not np.array_equal(tensors.outputs(CONFIG, done), tensors.outputs(CONFIG, PASSED))  # type: ignore[arg-type]


def test_predict_and_evaluate_leave_no_state() -> None:
    outputs = passes.predict(CONFIG, STATE.parameters, DATA.train.inputs).outputs
    assert_equal(outputs, tensors.outputs(CONFIG, PASSED))
    assert passes.evaluate(CONFIG, STATE.parameters, DATA.train) == (PASSED.loss, None)


# ----- frozen layers

FROZEN = make(layers=[{**DEEP[0], "trainable": False}, DEEP[1], DEEP[2]], optimizer="adam")


def test_a_frozen_layer_has_gradients_but_is_not_updated() -> None:
    state, data = start(FROZEN)
    assert FROZEN.network.trainable == ("second.weight", "second.bias", "third.weight")
    backward = gradients(FROZEN, state, data.train)
    after = passes.update(FROZEN, backward)
    assert (after.phase, after.steps) == ("ready", 1)
    assert after.updates == (0, 0, 1, 1, 1)
    weight = FROZEN.network.parameters[0]
    assert weight.view(backward.gradients).any()  # type: ignore[arg-type]
    assert_equal(weight.view(after.parameters), weight.view(state.parameters))


def test_a_frozen_layer_does_not_count_for_the_clipping() -> None:
    clip = {"type": "sgd", "learning_rate": 1.0, "clip": {"type": "norm", "value": 1e-3}}
    config = make(layers=[{**DEEP[0], "trainable": False}, DEEP[1], DEEP[2]], optimizer=clip)
    state, data = start(config)
    after = step(config, state, data.train)
    assert np.linalg.norm(after.parameters - state.parameters) == pytest.approx(1e-3, rel=1e-2)


def test_a_network_that_is_frozen_throughout_still_steps() -> None:
    config = make(layers=[{"units": 1, "trainable": False}])
    state, data = start(config)
    after = step(config, state, data.train)
    assert (after.phase, after.steps) == ("ready", 1)
    assert_equal(after.parameters, state.parameters)


# ----- refusals

BY_NORM = make(layers=DEEP, optimizer={"type": "sgd", "clip": {"type": "norm"}})
UNTIL_THIRD = passes.backward(CONFIG, PASSED, until="third")
NO_TARGETS = passes.forward(CONFIG, passes.begin(STATE, DATA.train.inputs, None, own_rows=False))
HALF = passes.forward(CONFIG, BEGUN, until="second")


@pytest.mark.parametrize(
    ("call", "detail", "call_first"),
    [
        (lambda: passes.forward(CONFIG, STATE), "no forward pass is under way", None),
        (lambda: passes.forward(CONFIG, BACK), "no forward pass is under way", None),
        (lambda: passes.forward(CONFIG, PASSED), "no forward pass is under way", None),
        (lambda: passes.forward(CONFIG, HALF, "second"), "the forward pass has already passed the layer second", None),
        (lambda: passes.forward(CONFIG, HALF, "first"), "the forward pass has already passed the layer first", None),
        (lambda: passes.backward(CONFIG, STATE), "a backward pass needs a complete forward pass before it", "forward"),
        (lambda: passes.backward(CONFIG, HALF), "a backward pass needs a complete forward pass before it", "forward"),
        (
            lambda: passes.backward(CONFIG, NO_TARGETS),
            "the last forward pass had no targets, so there is no loss to go back from",
            "forward",
        ),
        (
            lambda: passes.backward(CONFIG, UNTIL_THIRD, "third"),
            "the backward pass has already passed the layer third",
            None,
        ),
        (lambda: passes.update(CONFIG, STATE), "there are no gradients to step from", "forward"),
        (lambda: passes.update(CONFIG, HALF), "there are no gradients to step from", "forward"),
        (lambda: passes.update(CONFIG, PASSED), "there are no gradients to step from", "backward"),
        (
            lambda: passes.update(CONFIG, UNTIL_THIRD),
            "the backward pass has only come down to third",
            "backward",
        ),
        (
            lambda: passes.update(CONFIG, UNTIL_THIRD, ["third.weight", "second.bias"]),
            "the backward pass has only come down to third",
            "backward",
        ),
        (
            lambda: passes.update(BY_NORM, UNTIL_THIRD, ["third.weight"]),
            "the backward pass has only come down to third",
            "backward",
        ),
        (
            lambda: passes.update(CONFIG, passes.update(CONFIG, BACK, ["first.bias"]), ["first.bias"]),
            "first.bias has already been stepped from this gradient",
            "backward",
        ),
        (
            lambda: passes.update(FROZEN, gradients(FROZEN, STATE, DATA.train), ["first.weight"]),
            "first.weight is frozen: its layer is not trainable",
            None,
        ),
    ],
)
def test_wrong_phase(call: Any, detail: str, call_first: str | None) -> None:
    with pytest.raises(WrongPhase) as refused:
        call()
    assert refused.value.detail == detail
    assert refused.value.extra == ({"call_first": call_first} if call_first else {})


NO_LAYER = ("/until", "no layer has this name; takes one of first, second, third")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: passes.forward(CONFIG, BEGUN, "fourth"), NO_LAYER),
        (lambda: passes.backward(CONFIG, PASSED, "fourth"), NO_LAYER),
        (lambda: passes.update(CONFIG, STATE, ["first"]), ("/parameters/0", "no parameter has this name")),
        (
            lambda: passes.update(CONFIG, BACK, ["first.bias", "x"]),
            ("/parameters/1", "no parameter has this name"),
        ),
        (lambda: passes.update(CONFIG, BACK, ["first.bias"] * 2), ("/parameters/1", "names a parameter a second time")),
    ],
)
def test_invalid_input(call: Any, error: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        call()
    assert [tuple(each) for each in refused.value.errors] == [error]


def test_a_refusal_leaves_what_could_be_done_before_it() -> None:
    half = passes.update(CONFIG, UNTIL_THIRD, ["third.weight"])
    assert half.stepped == {"third.weight"}


# ----- states never change


def arrays(state: State) -> dict[str, Any]:
    return {name: value for name, value in state._asdict().items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad"])
def test_arrays_are_read_only_and_old_states_stay_as_they_were(optimizer: str, dtype: str) -> None:
    config = make(layers=DEEP, optimizer=optimizer, dtype=dtype)
    state, data = start(config)
    states = [state, passes.begin(state, data.train.inputs, data.train.targets, own_rows=True)]
    states.append(passes.forward(config, states[-1], until="first"))
    states.append(passes.forward(config, states[-1]))
    states.append(passes.backward(config, states[-1], until="second"))
    states.append(passes.backward(config, states[-1]))
    states.append(passes.update(config, states[-1], ["second.bias"]))
    states.append(passes.update(config, states[-1]))
    before = [{name: array.tobytes() for name, array in arrays(state).items()} for state in states]

    for state in states:
        for name, array in arrays(state).items():
            assert array.dtype == dtype
            assert not array.flags.writeable, name
        for name, tensor in tensors.tensors(config, state):
            assert name in ("loss",) or name.endswith(".step") or not tensor.flags.writeable, name
    for old in states[:1] + states[3:-1]:
        if old.phase == "ready":
            step(config, old, data.train)
        if old.forwarded == 3:
            passes.backward(config, old, until="third" if old.backwarded in (0, 3) else None)
    assert [{name: array.tobytes() for name, array in arrays(state).items()} for state in states] == before


def test_states_share_what_they_agree_on() -> None:
    assert BACK.parameters is PASSED.parameters is BEGUN.parameters is STATE.parameters
    assert BACK.forward is PASSED.forward
    assert BEGUN.used is BEGUN.parameters


def test_nbytes_is_the_memory_of_what_a_state_has_for_itself() -> None:
    own = [BACK.parameters, BACK.slots, BACK.gradients, BACK.forward, BACK.backward]
    assert BACK.nbytes == sum(array.nbytes for array in own if array is not None)
    half = passes.update(CONFIG, BACK, ["third.weight"])
    assert half.nbytes == BACK.nbytes + half.used.nbytes
    assert NO_TARGETS.nbytes == STATE.nbytes + NO_TARGETS.forward.nbytes + DATA.train.inputs.nbytes  # type: ignore[union-attr]
    given = passes.begin(STATE, DATA.train.inputs, DATA.train.targets, own_rows=False)
    assert given.nbytes == STATE.nbytes + DATA.train.inputs.nbytes + DATA.train.targets.nbytes


# ----- large numbers

EDGES = [-1e4, -1e3, -30.0, -1.0, 0.0, 1.0, 30.0, 1e3, 1e4]


def at(activation: Any, dtype: str) -> tuple[Config, State]:
    """A layer whose units have the pre-activations `EDGES`, after forward and backward."""
    layer = {"units": len(EDGES), "activation": activation, "init": {"weight": 0.0, "bias": EDGES}}
    row = {"type": "inline", "inputs": [[1.0]], "targets": [[0.5] * len(EDGES)]}
    config = make(inputs=1, layers=[layer], data=row, loss="mae", dtype=dtype)
    state, data = start(config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return config, gradients(config, state, data.train)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "activation",
    [kind.type_name() for kind in kinds(AnyActivation)] + [{"type": "gelu", "approximate": "tanh"}],
    ids=str,
)
def test_every_activation_is_stable_far_from_zero(activation: Any, dtype: str) -> None:
    config, state = at(activation, dtype)
    for name, tensor in tensors.tensors(config, state):
        assert np.isfinite(tensor).all(), name


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_they_come_to_far_from_zero(dtype: str) -> None:
    def a_and_slope(activation: Any, z: float) -> list[float]:
        config, state = at(activation, dtype)
        here = tensors.traces(config, state)[0]
        assert here.a is not None
        assert here.da_dz is not None
        return [float(here.a[0, EDGES.index(z)]), float(here.da_dz[0, EDGES.index(z)])]

    assert a_and_slope("sigmoid", -1e4) == [0, 0]
    assert a_and_slope("sigmoid", 1e4) == [1, 0]
    assert a_and_slope("tanh", -1e4) == [-1, 0]
    assert a_and_slope("elu", -1e4) == [-1, 0]
    for rectifier in ("relu", "leaky_relu", "elu", "gelu", {"type": "gelu", "approximate": "tanh"}, "silu", "softplus"):
        assert a_and_slope(rectifier, 1e4) == [1e4, 1]
    for flat in ("relu", "gelu", {"type": "gelu", "approximate": "tanh"}, "silu", "softplus"):
        assert a_and_slope(flat, -1e4) == [0, 0]
    assert a_and_slope("relu", 0) == [0, 0]
    assert a_and_slope("leaky_relu", 0) == pytest.approx([0, 0.01])
    assert a_and_slope("elu", 0) == [0, 1]


@pytest.mark.parametrize("loss", ["bce_with_logits", "cross_entropy"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_losses_of_logits_are_stable_far_from_zero(loss: str, dtype: str) -> None:
    row = {"type": "inline", "inputs": [[1.0]], "targets": [[1.0] + [0.0] * (len(EDGES) - 1)]}
    layer = {"units": len(EDGES), "init": {"weight": 0.0, "bias": EDGES}}
    config = make(inputs=1, layers=[layer], data=row, loss=loss, dtype=dtype)
    state, data = start(config)
    state = forward(config, state, data.train)
    assert state.loss is not None
    assert np.isfinite(state.loss)
    assert np.isfinite(passes.backward(config, state).gradients).all()  # type: ignore[arg-type]
    if loss == "cross_entropy":
        assert state.loss == pytest.approx(2e4)
