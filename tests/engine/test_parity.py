"""The engine does what PyTorch does: outputs, loss and gradients of one step, parameters and slots after twenty.

The first half compares with numbers that PyTorch gave once and that are kept in `reference.npz`. The second half runs
PyTorch itself, on more random configs, where it is installed.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine import tensors
from app.engine.network import Config
from app.engine.spec import Array

from .networks import gradients, make, start, train
from .random_configs import ACTIVATIONS, LOSSES, OPTIMIZERS, pairs, random_configs

STEPS = 20
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
ROUNDING = {"float64": 1e-13, "float32": 1e-5}
ORDINARY = 0.01

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
REFERENCE_CONFIGS: list[dict[str, Any]] = json.loads(REFERENCE["configs"].item())


def assert_parity(config: Config, theirs: dict[str, Array]) -> None:
    state, data = start(config)
    state = replace(state, parameters=theirs["initial"], used=theirs["initial"])

    first = gradients(config, state, data.train)
    assert first.gradients is not None
    tolerance = TOLERANCE[config.dtype]
    np.testing.assert_allclose(tensors.outputs(config, first), theirs["outputs"], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(first.loss, theirs["loss"], rtol=tolerance)
    everything = np.full(len(first.gradients), True)
    assert_close(config, first.gradients, theirs["gradients"], everything, at_least=ORDINARY)

    trained = train(config, state, data, epochs=STEPS).state
    counted = ~is_residue(config, first.gradients, theirs["gradients"])
    assert_close(config, trained.parameters, theirs["parameters"], counted)
    for ours, their_slot in zip(trained.slots, theirs["slots"], strict=True):
        assert_close(config, ours, their_slot, counted)


def assert_close(config: Config, ours: Array, theirs: Array, counted: Array, at_least: float = 0) -> None:
    """No entry is off by more than so much of its tensor's largest, and what rounding does to the vector's largest."""
    theirs = np.where(counted, theirs, 0)
    largest = np.nanmax(np.abs(theirs), initial=at_least)
    for parameter in config.network.parameters:
        if parameter.trainable:  # PyTorch has neither gradients nor slots for the others
            wanted = parameter.view(theirs)
            atol = TOLERANCE[config.dtype] * np.abs(wanted).max() + ROUNDING[config.dtype] * largest
            actual = np.where(parameter.view(counted), parameter.view(ours), 0)
            np.testing.assert_allclose(actual, wanted, rtol=0, atol=atol, err_msg=parameter.name)


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
    def of(pick: Any) -> Iterator[str]:
        return (json.dumps(pick(fields), sort_keys=True) for fields in REFERENCE_CONFIGS)

    layers = [layer for fields in REFERENCE_CONFIGS for layer in fields["network"]["layers"]]
    hidden = [layer for fields in REFERENCE_CONFIGS for layer in fields["network"]["layers"][:-1]]
    for activation in ACTIVATIONS:
        assert sum(layer["activation"] == activation for layer in hidden) >= 5
    for bias in ("per_unit", "shared", "none"):
        assert sum(layer["bias"] == bias for layer in layers) >= 20
    assert {(fields["loss"]["type"], json.dumps(fields["network"]["layers"][-1]["activation"]))
            for fields in REFERENCE_CONFIGS} == {(loss["type"], json.dumps(last)) for loss, last in pairs()}  # fmt: skip
    assert len(set(of(lambda fields: fields["loss"]))) == 2 * len(LOSSES)
    plain = [{k: v for k, v in f["optimizer"].items() if k not in ("clip", "schedule")} for f in REFERENCE_CONFIGS]
    for optimizer in OPTIMIZERS:
        assert plain.count(optimizer) >= 5
    assert len(set(of(lambda fields: fields["optimizer"]["clip"]))) == 3
    assert len(set(of(lambda fields: fields["optimizer"].get("schedule")))) == 1 + 4 * 3
    assert set(of(lambda fields: fields["dtype"])) == {'"float32"', '"float64"'}


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
