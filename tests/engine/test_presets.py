"""The presets learn what they are there to learn, in seconds."""

from typing import Any

import pytest

from app.engine.network import Config
from app.engine.presets import PRESETS

from .networks import start, there, train

NAMES = [preset.name for preset in PRESETS]


def last_entry(name: str, seed: int, **plan: Any) -> Any:
    """The last entry of a training of a preset."""
    config = Config.model_validate({**PRESETS[NAMES.index(name)].config, "seed": seed})
    state, data = start(config)
    return train(config, state, data, report_every=plan["epochs"], **plan).entries[-1]


def test_each_has_its_own_name() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(preset.config["name"] == preset.name and preset.title for preset in PRESETS)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "plan", "figure", "least"),
    [
        ("xor", {"epochs": 500}, "accuracy", 1),
        ("three-classes", {"epochs": 300}, "accuracy", 1),
        ("moons", {"epochs": 500}, "test_accuracy", 1),
        ("circles", {"epochs": 200}, "test_accuracy", 1),
        ("spiral", {"epochs": 1000}, "accuracy", 0.99),
        ("iris", {"epochs": 200}, "test_accuracy", 0.96),
        ("digits", {"epochs": 30, "batch_size": 32, "shuffle": True}, "test_accuracy", 0.97),
    ],
)
def test_classes_are_learnt(name: str, plan: dict[str, Any], figure: str, least: float, seed: int) -> None:
    assert last_entry(name, seed, **plan)[figure] >= least


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_values_are_learnt_down_to_their_noise(seed: int) -> None:
    """Whose variance is 0.1 squared."""
    assert there(last_entry("sine", seed, epochs=1000)["test_loss"]) < 0.02
    assert last_entry("notebook", seed, epochs=1000)["loss"] < 0.002
