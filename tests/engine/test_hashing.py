"""The hash of a state."""

import hashlib
import tracemalloc
from typing import Any

import numpy as np
import pytest

from app.engine import hashing, passes
from app.engine.hashing import state_hash
from app.engine.network import Config
from app.engine.state import State

from .networks import forward, gradients, make, start, step

ADAM = {"type": "adam", "amsgrad": True}


def stages(config: Config) -> list[State]:
    """A state of each kind on the way through two steps."""
    state, data = start(config)
    begun = passes.begin(state, data.train.inputs, data.train.targets, own_rows=True)
    backward = gradients(config, state, data.train)
    partly = passes.update(config, backward, [config.network.trainable[0]])
    after = step(config, state, data.train)
    names = config.network.names
    return [
        state, begun, passes.forward(config, begun, names[0]), forward(config, state, data.train),
        passes.backward(config, forward(config, state, data.train), names[-1]), backward, partly,
        passes.backward(config, partly, using="current"), after, gradients(config, after, data.train),
    ]  # fmt: skip


def copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_equal_states_hash_alike_whatever_they_share(dtype: str) -> None:
    config = make(dtype=dtype, optimizer=ADAM)
    for state in stages(config):
        other = State(*map(copied, state))
        assert other.used is not other.parameters
        assert state_hash(config, other) == state_hash(config, state)


def test_states_that_differ_hash_differently() -> None:
    config = make(optimizer=ADAM)
    hashes = [state_hash(config, state) for state in stages(config)]
    assert len(set(hashes)) == len(hashes)
    assert all(len(found) == 64 and int(found, 16) >= 0 for found in hashes)


def test_what_a_cut_epoch_came_to_has_no_part_in_it() -> None:
    """No number of the training depends on it."""
    config = make(optimizer=ADAM)
    state = stages(config)[6]
    assert state_hash(config, state._replace(begun=(1, 0.5, 0, 0))) == state_hash(config, state)


@pytest.mark.parametrize("field", [name for name in State._fields if name != "begun"])
def test_every_field_counts(field: str) -> None:
    config = make(optimizer=ADAM)
    state = stages(config)[6]
    value = getattr(state, field)
    others: list[Any]
    if isinstance(value, np.ndarray):
        changed = value.copy()
        changed.reshape(-1)[-1] += 1
        minus_zero, zero = np.zeros_like(value), np.zeros_like(value)
        minus_zero.reshape(-1)[0] = -0.0
        others = [changed, minus_zero, zero, value.reshape(1, -1), value[:0], value.astype(np.float32)]
        if field not in ("parameters", "used", "slots"):
            others.append(None)
    elif field == "updates":
        others = [(0, 1, 0, 0), (0, 0, 0, 1), (1, 0, 0, 0, 0)]
    elif field == "stepped":
        others = [frozenset(), frozenset({"output.bias"}), frozenset({"hidden.weight", "output.bias"})]
    elif field == "phase":
        others = ["ready", "forward"]
    elif field == "loss":
        others = [None, 0.0, -0.0, float("nan"), float("inf")]
    else:
        others = [not value] if field in ("own_rows", "edited") else [value + 1]
    hashes = {state_hash(config, state._replace(**{field: other})) for other in [value, *others]}
    assert len(hashes) == 1 + len(others)


def test_nothing_moves_from_one_array_to_the_next_unseen() -> None:
    config = make()
    state, _ = start(config)
    one, two = np.arange(3.0), np.arange(5.0)
    state = state._replace(gradients=one, forward=two)
    shifted = state._replace(gradients=two[:4], forward=np.array([0.0, 1.0, 2.0, 3.0]))
    assert state_hash(config, state) != state_hash(config, shifted)
    absent = state._replace(gradients=None, forward=None)
    hashes = {
        state_hash(config, other)
        for other in (
            absent,
            absent._replace(gradients=one),
            absent._replace(forward=one),
            absent._replace(backward=one),
        )
    }
    assert len(hashes) == 4


def test_it_is_what_is_documented() -> None:
    layers = [{"name": "a", "units": 1, "bias": "none"}]
    data = {"type": "inline", "inputs": [[2.0]], "targets": [0]}
    config = make(layers=layers, inputs=1, loss="nll", dtype="float32", data=data)
    state, rows = start(config)
    state = gradients(config, state._replace(parameters=np.array([0.5], "f4")), rows.train)

    def little(kind: str, *numbers: float) -> bytes:
        return np.array(numbers, kind).tobytes()

    expected = (
        b"parameters <f4 (1,)\n" + little("<f4", 0.5)
        + b"used <f4 (1,)\n" + little("<f4", 0.5)
        + b"backward_used <f4 (1,)\n" + little("<f4", 0.5)
        + b"slots <f4 (0, 1)\n"
        + b"gradients <f4 (1,)\n" + little("<f4", -2)
        + b"forward <f4 (2,)\n" + little("<f4", 1, 1)
        + b"backward <f4 (3,)\n" + little("<f4", -1, -1, 1)
        + b"inputs <f4 (1, 1)\n" + little("<f4", 2)
        + b"targets <i8 (1,)\n" + little("<i8", 0)
        + b"loss <f8 ()\n" + little("<f8", -1)
        + b"updates <i8 (1,)\n" + little("<i8", 0)
        + b"stepped <i8 (0,)\n"
        + b"counters <i8 (8,)\n" + little("<i8", 2, 1, 1, 1, 0, 0, 0, 0)
    )  # fmt: skip
    assert state_hash(config, state) == hashlib.sha256(expected).hexdigest()


def test_names_and_layout_in_memory_do_not_count() -> None:
    config = make()
    renamed = make(layers=[{"name": "one", "units": 3, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}])
    state, data = start(config)
    state = passes.update(config, gradients(config, state, data.train), ["hidden.bias"])
    assert state.inputs is not None
    turned = state._replace(inputs=np.asfortranarray(state.inputs), stepped=frozenset({"one.bias"}))
    assert state_hash(renamed, turned) == state_hash(config, state)


def test_large_states_hash_as_small_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    config = make(optimizer=ADAM)
    state = stages(config)[-1]
    assert state.inputs is not None
    state = state._replace(inputs=np.asfortranarray(state.inputs))
    small = state_hash(config, state)
    monkeypatch.setattr(hashing, "_FEW", 0)
    assert state_hash(config, state) == small


def test_a_large_state_is_not_copied() -> None:
    config = make(layers=[{"units": 1000}, {"units": 1}])
    state, data = start(config)
    state = gradients(config, state, data.train)
    tracemalloc.start()
    state_hash(config, state)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert state.nbytes > 300_000
    assert peak < 30_000
