"""An optimizer's rule as lines of Python: the bits of the update by numpy, with nothing worked out twice."""

import math
from typing import Any

import numpy as np
import pytest

from app.engine.network import Config
from app.engine.passes import Norm, Update
from app.engine.random import Purpose, uniform
from app.engine.rule_lines import rule_lines
from app.engine.spec import Array

from .networks import assert_equal, make
from .random_configs import CLIPS, OPTIMIZERS

MORE: list[dict[str, Any]] = [
    {"type": "sgd", "momentum": 0.8, "weight_decay": 0.05},
    {"type": "sgd", "momentum": 0.8, "weight_decay": 0.05, "nesterov": True},
    {"type": "rmsprop", "centered": True, "weight_decay": 0.05},
]
NAMES: dict[str, Any] = {"sqrt": math.sqrt}


def lines_of(optimizer: Any) -> tuple[list[str], list[str]]:
    return rule_lines(make(optimizer=optimizer).optimizer)


def numbers(count: int, round_: int) -> Array:
    return uniform(3, Purpose.WEIGHT, round_, count) * 2 - 1


def by_lines(config: Config, p: Array, g: Array, slots: Array, t: int, norm: float) -> None:
    """One update, entry by entry, in place."""
    rule = rule_lines(config.optimizer)
    for at in range(len(p)):
        names = {"t": t, "rate": config.optimizer.rate(t - 1), "norm": norm, "P": float(p[at]), "G": float(g[at])}
        names |= {f"S{k}": float(slot[at]) for k, slot in enumerate(slots)}
        letters = {name: name for name in names}
        exec("\n".join(line.format(**letters) for line in (*rule.shared, *rule.own)), NAMES, names)
        p[at] = names["new_P"]
        for k in range(len(slots)):
            slots[k, at] = names[f"new_S{k}"]


@pytest.mark.parametrize("clip", CLIPS[1:], ids=str)
@pytest.mark.parametrize("chosen", [*OPTIMIZERS, *MORE], ids=str)
def test_it_has_the_bits_of_the_update_by_numpy(chosen: dict[str, Any], clip: Any) -> None:
    config = make(optimizer={**chosen, "clip": clip, "schedule": {"type": "exponential", "gamma": 0.9}})
    count, optimizer = config.network.parameter_count, config.optimizer
    p, g = numbers(count, 0), np.empty(count)
    slots = np.array([np.full(count, optimizer.initial(name) or 0.0) for name in optimizer.slot_names()])
    slots = slots.reshape(-1, count)
    update = Update(config, p, slots, g, [0] * 4, config.network.trainable_indices)
    for t in range(1, 8):
        g[...] = numbers(count, t)
        norm = Norm(config, g)()
        ours, our_slots = p.copy(), slots.copy()
        update(optimizer.rate(t - 1), norm)
        if t > 1:
            by_lines(config, ours, g, our_slots, t, norm)
            assert_equal(ours, p)
            assert_equal(our_slots, slots)


def test_what_all_entries_share_is_worked_out_for_all() -> None:
    shared, own = lines_of({"type": "adam", "clip": {"type": "norm", "value": 0.5}})
    assert shared == [
        "e0 = min(1.0, 0.5 / (norm + 10.0 ** (-6.0)))",
        "e1 = 1.0 - 0.9",
        "e3 = 1.0 - 0.9 ** t",
        "e4 = 1.0 - 0.999",
        "e6 = 1.0 - 0.999 ** t",
    ]
    assert own == [
        "g = e0 * {G}",
        "e2 = 0.9 * {S0} + e1 * g",
        "e5 = 0.999 * {S1} + e4 * (g * g)",
        "new_{P} = {P} - rate * (e2 / e3) / (sqrt(e5 / e6) + 1e-08)",
        "new_{S0} = e2",
        "new_{S1} = e5",
    ]


def test_what_stands_in_a_rule_again_is_worked_out_once() -> None:
    _, own = lines_of({"type": "adam", "betas": [0.5, 0.75], "weight_decay": 0.1})
    assert own[:3] == ["e1 = {G} + 0.1 * {P}", "e2 = 0.5 * {S0} + e0 * e1", "e5 = 0.75 * {S1} + e4 * (e1 * e1)"]
