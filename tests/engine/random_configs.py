"""Random configs that cross everything a network can be made of.

Each part is dealt from a shuffled pack of all its values, and the pack is dealt anew when it is used up: every value of
every part comes equally often, beside ever new values of the others. The losses and last activations come in all pairs.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

CLIPS: list[Any] = [None, None, {"type": "norm", "value": 0.5}, {"type": "value", "value": 0.05}]
WARMUPS: list[Any] = [None, {}, {"start_factor": 0.25, "total_iters": 7}]

ACTIVATIONS: list[dict[str, Any]] = [
    {"type": "identity"},
    {"type": "sigmoid"},
    {"type": "tanh"},
    {"type": "relu"},
    {"type": "leaky_relu", "negative_slope": 0.2},
    {"type": "elu", "alpha": 0.7},
    {"type": "gelu"},
    {"type": "gelu", "approximate": "tanh"},
    {"type": "silu"},
    {"type": "softplus", "beta": 2.0, "threshold": 1.5},
    {"type": "softmax"},
]
LOSSES: list[dict[str, Any]] = [
    {"type": "half_squared_error"},
    {"type": "mse"},
    {"type": "mae"},
    {"type": "huber", "delta": 0.4},
    {"type": "bce"},
    {"type": "bce_with_logits"},
    {"type": "cross_entropy"},
    {"type": "nll"},
]
OPTIMIZERS: list[dict[str, Any]] = [
    {"type": "sgd", "learning_rate": 0.02},
    {"type": "sgd", "learning_rate": 0.02, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.05},
    {"type": "sgd", "learning_rate": 0.02, "momentum": 0.8, "nesterov": True},
    {"type": "adam"},
    {"type": "adam", "learning_rate": 0.02, "betas": [0.8, 0.95], "eps": 1e-6, "weight_decay": 0.05},
    {"type": "adam", "learning_rate": 0.02, "amsgrad": True},
    {"type": "adamw", "learning_rate": 0.02},
    {"type": "adamw", "learning_rate": 0.02, "betas": [0.7, 0.9], "weight_decay": 0.3, "amsgrad": True},
    {"type": "rmsprop", "eps": 1e-5},
    {"type": "rmsprop", "learning_rate": 0.005, "alpha": 0.9, "momentum": 0.6, "weight_decay": 0.05, "eps": 1e-4},
    {"type": "rmsprop", "learning_rate": 0.005, "alpha": 0.8, "centered": True, "eps": 1e-2},
    {"type": "rmsprop", "learning_rate": 0.005, "alpha": 0.8, "centered": True, "momentum": 0.5, "eps": 1e-2},
    {"type": "adagrad", "learning_rate": 0.05},
    {"type": "adagrad", "lr_decay": 0.2, "weight_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-6},
]
SCHEDULES: list[Any] = [
    None,
    {"type": "constant"},
    {"type": "step", "step_size": 4, "gamma": 0.6},
    {"type": "exponential", "gamma": 0.93},
    {"type": "cosine", "T_max": 9, "eta_min": 0.001},
]


def pairs() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every loss with every last activation, but for the binary cross-entropy of what is no probability."""
    probabilities = ("sigmoid", "softmax")
    return [(loss, last) for loss, last in product(LOSSES, ACTIVATIONS)
            if loss["type"] != "bce" or last["type"] in probabilities]  # fmt: skip


class _Packs:
    """A pack of cards for each part."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.left: dict[str, list[Any]] = {}

    def deal(self, part: str, values: list[Any]) -> Any:
        pack = self.left.setdefault(part, [])
        if not pack:
            pack += [values[i] for i in self.rng.permutation(len(values))]
        return pack.pop()


def random_configs(seed: int) -> Iterator[dict[str, Any]]:
    """A config as JSON for every pair of loss and last activation, their inner layers, bias kinds and so on dealt."""
    rng = np.random.default_rng(seed)
    packs = _Packs(rng)
    for loss, last in pairs():
        outputs = packs.deal("outputs", [2, 3]) if last["type"] == "softmax" else packs.deal("outputs", [1, 2, 3])
        activations = [packs.deal("activation", ACTIVATIONS) for _ in range(packs.deal("depth", [1, 1, 2]))]
        units = [*(packs.deal("units", [2, 3, 4]) for _ in activations), outputs]
        layers = [
            {"units": width, "activation": activation, "bias": packs.deal("bias", ["per_unit", "shared", "none"])}
            for width, activation in zip(units, [*activations, last], strict=True)
        ]
        layers[0]["trainable"] = packs.deal("first trainable", [True, True, False])
        optimizer = {**packs.deal("optimizer", OPTIMIZERS), "clip": packs.deal("clip", CLIPS)}
        dtype = packs.deal("dtype", ["float64", "float32"])
        if dtype == "float32" and optimizer["type"] != "sgd":
            optimizer["eps"] = 1e-3  # or a small gradient's rounding would become a step like any other
        schedule = packs.deal("schedule", SCHEDULES)
        if schedule:
            optimizer["schedule"] = {**schedule, "warmup": packs.deal("warmup", WARMUPS)}
        inputs, n = packs.deal("inputs", [1, 2, 3]), packs.deal("rows", [1, 3, 5])
        yield {
            "network": {"inputs": inputs, "layers": layers},
            "loss": {**loss, "reduction": packs.deal("reduction", ["mean", "sum"])},
            "optimizer": optimizer,
            "data": {
                "type": "inline",
                "inputs": rng.normal(size=(n, inputs)).round(3).tolist(),
                "targets": targets(loss["type"], rng, n, outputs, packs.deal("targets", ["classes", "probabilities"])),
            },
            "seed": int(rng.integers(1000)),
            "dtype": dtype,
        }


def targets(loss: str, rng: np.random.Generator, n: int, units: int, kind: str) -> list[Any]:
    """Targets such as a loss takes."""
    if loss == "nll" or (loss == "cross_entropy" and kind == "classes"):
        return rng.integers(units, size=n).tolist()  # type: ignore[no-any-return]
    if loss == "cross_entropy":
        cuts = np.sort(rng.integers(0, 9, size=(n, units - 1)) / 8, axis=1)  # eighths add up to 1 exactly
        return np.diff(cuts, axis=1, prepend=0, append=1).tolist()  # type: ignore[no-any-return]
    if loss in ("bce", "bce_with_logits"):
        return rng.uniform(size=(n, units)).round(3).tolist()  # type: ignore[no-any-return]
    return rng.normal(size=(n, units)).round(3).tolist()  # type: ignore[no-any-return]
