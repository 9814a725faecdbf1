"""Configs to start from, each ready to post."""

from typing import Any, NamedTuple


class Preset(NamedTuple):
    """A config with a name for programs and a title for people."""

    name: str
    title: str
    config: dict[str, Any]


NOTEBOOK = {
    "name": "notebook",
    "network": {
        "inputs": 2,
        "layers": [
            {
                "name": "hidden", "units": 2, "activation": "sigmoid", "bias": "shared",
                "init": {"weight": [[0.15, 0.20], [0.25, 0.30]], "bias": 0.35},
            },
            {
                "name": "output", "units": 1, "activation": "sigmoid",
                "init": {"weight": [[0.40, 0.45]], "bias": [0.60]},
            },
        ],
    },
    "loss": "half_squared_error",
    "optimizer": {"type": "sgd", "learning_rate": 0.5},
    "data": {"inputs": [[0.05, 0.10]], "targets": [[0.01]]},
}  # fmt: skip

PYTORCH = {
    "name": "pytorch",
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden", "units": 2, "activation": "sigmoid"},
            {"name": "output", "units": 1, "activation": "sigmoid"},
        ],
    },
    "loss": "mse",
    "optimizer": {"type": "sgd", "learning_rate": 0.5},
    "data": {"inputs": [[0.05, 0.10]], "targets": [[0.6]]},
    "dtype": "float32",
}

XOR = {
    "name": "xor",
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden", "units": 4, "activation": "tanh"},
            {"name": "output", "units": 1, "activation": "sigmoid"},
        ],
    },
    "loss": "bce",
    "optimizer": {"type": "adam", "learning_rate": 0.05},
    "data": {"inputs": [[0, 0], [0, 1], [1, 0], [1, 1]], "targets": [[0], [1], [1], [0]]},
}

THREE_CLASSES = {
    "name": "three-classes",
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden", "units": 6, "activation": "relu", "init": {"weight": "kaiming_uniform"}},
            {"name": "scores", "units": 3},
        ],
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    "data": {
        "inputs": [
            [0.1, 0.9], [0.2, 0.8], [0.0, 0.7],
            [0.9, 0.9], [0.8, 1.0], [1.0, 0.8],
            [0.5, 0.1], [0.4, 0.0], [0.6, 0.2],
        ],
        "targets": [0, 0, 0, 1, 1, 1, 2, 2, 2],
    },
}  # fmt: skip

MOONS = {
    "name": "moons",
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden", "units": 8, "activation": "tanh"},
            {"name": "output", "units": 1, "activation": "sigmoid"},
        ],
    },
    "loss": "bce",
    "optimizer": {"type": "adam", "learning_rate": 0.03},
    "data": {"type": "moons", "test_fraction": 0.2},
}

CIRCLES = {
    "name": "circles",
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden", "units": 4, "activation": "tanh"},
            {"name": "output", "units": 1, "activation": "sigmoid"},
        ],
    },
    "loss": "bce",
    "optimizer": {"type": "adam", "learning_rate": 0.1},
    "data": {"type": "circles", "test_fraction": 0.2},
}

SPIRAL = {
    "name": "spiral",
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden", "units": 16, "activation": "tanh"},
            {"name": "second", "units": 16, "activation": "tanh"},
            {"name": "output", "units": 1, "activation": "sigmoid"},
        ],
    },
    "loss": "bce",
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "data": "spiral",
}

IRIS = {
    "name": "iris",
    "network": {
        "inputs": 4,
        "layers": [{"name": "hidden", "units": 8, "activation": "tanh"}, {"name": "scores", "units": 3}],
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    "data": {"type": "iris", "standardize": True, "test_fraction": 0.2},
}

DIGITS = {
    "name": "digits",
    "network": {
        "inputs": 64,
        "layers": [{"name": "hidden", "units": 64, "activation": "relu"}, {"name": "scores", "units": 10}],
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.001},
    "data": {"type": "digits", "test_fraction": 0.2},
}

SINE = {
    "name": "sine",
    "network": {
        "inputs": 1,
        "layers": [{"name": "hidden", "units": 16, "activation": "tanh"}, {"name": "output", "units": 1}],
    },
    "loss": "mse",
    "optimizer": {"type": "adam", "learning_rate": 0.02},
    "data": {"type": "sine", "test_fraction": 0.2},
}

PRESETS = (
    Preset("notebook", "The notebook's network, to be taken through backpropagation by hand", NOTEBOOK),
    Preset("pytorch", "The notebook's PyTorch half: nn.Linear's own start, MSE, float32", PYTORCH),
    Preset("xor", "Exclusive or, which no single layer can learn", XOR),
    Preset("three-classes", "Three classes of points, by cross-entropy on logits", THREE_CLASSES),
    Preset("moons", "Two half moons, with points set aside to test on", MOONS),
    Preset("circles", "A ring around another, which a closed boundary tells apart", CIRCLES),
    Preset("spiral", "Two arms of a spiral, which take two hidden layers", SPIRAL),
    Preset("iris", "Three species of iris by the sizes of their flowers", IRIS),
    Preset("digits", "Handwritten digits; train it in batches of 32, shuffled", DIGITS),
    Preset("sine", "A wave through noisy points: regression", SINE),
)
