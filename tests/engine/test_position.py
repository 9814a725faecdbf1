"""Where a training stands: following what comes next is a debugger's "step", all the way round."""

from typing import Any

import pytest

from app.engine import passes
from app.engine.network import Config
from app.engine.position import allowed_operations, next_operation
from app.engine.state import State
from app.errors import WrongPhase

from .networks import (
    DATA,
    assert_same,
    make,
    start,
    step,
)

DEEP = [{"name": "a", "units": 2}, {"name": "b", "units": 2, "trainable": False}, {"name": "c", "units": 1}]
CONFIG = make(layers=DEEP)
STATE, ROWS = start(CONFIG)


def do(config: Config, state: State, targets: bool = True) -> State:
    """Do what comes next."""
    coming = next_operation(config, state)
    if coming["operation"] == "forward":
        if state.phase != "forward" or state.forwarded == len(config.network.layers):
            rows = ROWS.train
            state = passes.begin(state, rows.inputs, rows.targets if targets else None, own_rows=True)
        return passes.forward(config, state, coming["layer"])
    if coming["operation"] == "backward":
        return passes.backward(config, state, coming["layer"])
    return passes.update(config, state, coming["parameters"])


def test_a_step_in_the_smallest_steps() -> None:
    state, seen = STATE, []
    for _ in range(7):
        seen.append(next_operation(CONFIG, state))
        state = do(CONFIG, state)
    assert seen == [
        {"operation": "forward", "layer": "a"},
        {"operation": "forward", "layer": "b"},
        {"operation": "forward", "layer": "c"},
        {"operation": "backward", "layer": "c"},
        {"operation": "backward", "layer": "b"},
        {"operation": "backward", "layer": "a"},
        {"operation": "step", "parameters": ["a.weight", "a.bias", "c.weight", "c.bias"]},
    ]
    assert_same(state, step(CONFIG, STATE, ROWS.train))
    assert next_operation(CONFIG, state) == {"operation": "forward", "layer": "a"}


def test_what_has_been_stepped_is_not_stepped_again() -> None:
    state = STATE
    for _ in range(6):
        state = do(CONFIG, state)
    state = passes.update(CONFIG, state, ["c.weight"])
    assert next_operation(CONFIG, state)["parameters"] == ["a.weight", "a.bias", "c.bias"]


def test_without_targets_the_next_pass_comes_next() -> None:
    state = STATE
    for _ in range(3):
        state = do(CONFIG, state, targets=False)
    assert next_operation(CONFIG, state) == {"operation": "forward", "layer": "a"}


def refused(call: Any) -> bool:
    try:
        call()
    except WrongPhase:
        return True
    return False


@pytest.mark.parametrize("targets", [True, False])
def test_what_is_allowed_is_what_is_not_refused(targets: bool) -> None:
    state = STATE
    for _ in range(10):
        for has_data in (True, False):
            allowed = allowed_operations(CONFIG, state, has_data=has_data)
            under_way = passes.forward_under_way(CONFIG, state)
            assert ("forward" in allowed) == (has_data or under_way)
            assert ("train" in allowed) == has_data
            assert ("backward" in allowed) == (not refused(lambda state=state: passes.backward(CONFIG, state)))
            assert ("step" in allowed) == (not refused(lambda state=state: passes.update(CONFIG, state)))
        state = do(CONFIG, state, targets)


def test_allowed_by_phase() -> None:
    assert allowed_operations(CONFIG, STATE, has_data=False) == []
    assert allowed_operations(CONFIG, STATE, has_data=True) == ["forward", "train"]
    state = step(CONFIG, STATE, ROWS.train)
    assert allowed_operations(CONFIG, state, has_data=True) == ["forward", "train"]
    assert len(DATA["inputs"]) == len(ROWS.train)
