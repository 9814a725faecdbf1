"""The engine does what PyTorch does: outputs, loss and gradients of one step, parameters and slots after twenty.

The first half compares with numbers that PyTorch gave once and that are kept in `reference.npz`. The second half runs
PyTorch itself, on more random configs, where it is installed.
"""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine import tensors
from app.engine.network import Config
from app.engine.spec import Array

from .networks import (
    assert_close,
    batches,
    gradients,
    make,
    start,
    train,
)
from .random_configs import ACTIVATIONS, CLIPS, LOSSES, OPTIMIZERS, SCHEDULES, WARMUPS, pairs, random_configs

STEPS = 20
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
ROUNDING = {"float64": 1e-13, "float32": 1e-5}
ORDINARY = 0.01

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
REFERENCE_CONFIGS: list[dict[str, Any]] = json.loads(REFERENCE["configs"].item())


def assert_parity(config: Config, theirs: dict[str, Array]) -> None:
    state, data = start(config)
    state = state._replace(parameters=theirs["initial"], used=theirs["initial"])

    first = gradients(config, state, data.train)
    assert first.gradients is not None
    tolerance = TOLERANCE[config.dtype]
    assert_close(tensors.outputs(config, first), theirs["outputs"], rtol=tolerance, atol=tolerance)
    assert_close(first.loss, theirs["loss"], rtol=tolerance)
    everything = np.full(len(first.gradients), True)
    assert_vectors(config, first.gradients, theirs["gradients"], everything, at_least=ORDINARY)

    trained = train(config, state, data, epochs=STEPS).state
    counted = np.logical_not(is_residue(config, first.gradients, theirs["gradients"]))
    assert_vectors(config, trained.parameters, theirs["parameters"], counted)
    for ours, their_slot in zip(trained.slots, theirs["slots"], strict=True):
        assert_vectors(config, ours, their_slot, counted)


def assert_vectors(config: Config, ours: Array, theirs: Array, counted: Array, at_least: float = 0) -> None:
    """No entry is off by more than so much of its tensor's largest, and what rounding does to the vector's largest."""
    theirs = np.where(counted, theirs, 0)
    largest = np.nanmax(np.abs(theirs), initial=at_least)
    for parameter in config.network.parameters:
        if parameter.trainable:  # PyTorch has neither gradients nor slots for the others
            wanted = parameter.view(theirs)
            atol = TOLERANCE[config.dtype] * np.abs(wanted).max() + ROUNDING[config.dtype] * largest
            actual = np.where(parameter.view(counted), parameter.view(ours), 0)
            assert_close(actual, wanted, rtol=0, atol=atol, message=parameter.name)


def is_residue(config: Config, ours: Array, theirs: Array) -> Array:
    """Where the gradient is nothing but a residue of rounding, so that the steps along it cannot be compared.

    The exact gradient of a bias shared by a softmax is 0, for one. What either side has there is next to nothing, but
    optimizers that divide by the gradient's own size blow it up to a step like any other. So those are left out whose
    first gradient vanishes beside the network's largest, or beside ordinary numbers where all of them vanish.
    """
    size = np.fmax(np.abs(ours), np.nan_to_num(np.abs(theirs)))
    return size < ROUNDING[config.dtype] * max(ORDINARY, size.max())  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", range(len(REFERENCE_CONFIGS)))
def test_the_numbers_that_are_kept(case: int) -> None:
    names = ("initial", "outputs", "loss", "gradients", "parameters", "slots")
    assert_parity(make(**REFERENCE_CONFIGS[case]), {name: REFERENCE[f"{case}.{name}"] for name in names})


def test_every_kind_of_everything_is_among_them() -> None:
    def values(part: str, *but: str) -> list[Any]:
        return [{key: value for key, value in fields[part].items() if key not in but} for fields in REFERENCE_CONFIGS]

    networks = [network["layers"] for network in values("network")]
    hidden = [layer["activation"] for layers in networks for layer in layers[:-1]]
    assert all(hidden.count(activation) >= 5 for activation in ACTIVATIONS)
    biases = [layer["bias"] for layers in networks for layer in layers]
    assert all(biases.count(bias) >= 20 for bias in ("per_unit", "shared", "none"))

    met = [(loss, layers[-1]["activation"]) for loss, layers in zip(values("loss", "reduction"), networks, strict=True)]
    assert all(pair in met for pair in pairs())
    for reduction in ("mean", "sum"):
        assert all({**loss, "reduction": reduction} in values("loss") for loss in LOSSES)

    optimizers = values("optimizer", "clip", "schedule", "eps")
    for optimizer in OPTIMIZERS:
        assert optimizers.count({key: value for key, value in optimizer.items() if key != "eps"}) >= 5
    for clip in CLIPS:
        assert sum(optimizer["clip"] == clip for optimizer in values("optimizer")) >= 15
    for schedule, warmup in product(SCHEDULES[1:], WARMUPS):
        assert {**schedule, "warmup": warmup} in [optimizer.get("schedule") for optimizer in values("optimizer")]
    assert {fields["dtype"] for fields in REFERENCE_CONFIGS} == {"float64", "float32"}


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule["type"] if schedule else "none")
@pytest.mark.parametrize("optimizer", range(len(OPTIMIZERS)), ids=lambda index: f"{index} {OPTIMIZERS[index]['type']}")
def test_mini_batches_are_those_of_pytorch(optimizer: int, schedule: Any, drop_last: bool) -> None:
    """Both are fed with the same batches, in the order that the seed gives."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from . import torch_reference

    clip = CLIPS[optimizer % len(CLIPS)]
    config = make(optimizer={**OPTIMIZERS[optimizer], "clip": clip, "schedule": schedule}, seed=5)
    state, data = start(config)
    plan: dict[str, Any] = {"batch_size": 3, "shuffle": True, "drop_last": drop_last}
    fed = [data.train.take(picked) for epoch in range(5) for picked in batches(config, 7, epoch, **plan)]
    assert len(fed) == (10 if drop_last else 15)
    theirs = list(torch_reference.steps(config, state.parameters, fed))
    trained = train(config, state, data, epochs=5, **plan)
    assert_close(trained.state.parameters, theirs[-1].parameters, rtol=1e-9, atol=1e-12)
    assert_close(trained.state.slots, theirs[-1].slots, rtol=1e-9, atol=1e-15)
    assert_close(trained.state.loss, theirs[-1].loss, rtol=1e-9)
    sizes = [len(rows) for rows in fed]
    for number, entry in enumerate(trained.entries):
        own = slice(number * len(fed) // 5, (number + 1) * len(fed) // 5)
        losses = [step.loss for step in theirs[own]]
        assert entry["loss"] == pytest.approx(np.average(losses, weights=sizes[own]), rel=1e-9)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_pytorch_itself(seed: int) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: only the numbers that are kept were compared")
    from . import torch_reference

    for fields in random_configs(seed):
        config = make(**fields)
        state, data = start(config)
        first, *_, last = torch_reference.epochs(config, state.parameters, data.train, STEPS)
        theirs = {
            **first._asdict(),
            "initial": state.parameters,
            "loss": np.array(first.loss),
            "parameters": last.parameters,
            "slots": last.slots,
        }
        assert_parity(config, theirs)
