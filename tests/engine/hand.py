"""A step worked by hand: textbook formulas on lists of numbers, every term rounded as it is written, slips at will.

It knows nothing of the engine.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Numbers: TypeAlias = Any  # arrays


def _phi(z: Numbers) -> Numbers:
    return np.vectorize(lambda x: (1 + math.erf(x / math.sqrt(2))) / 2)(z)


def _sigmoid(z: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-z))


def activation(kind: dict[str, Any], z: Numbers) -> Numbers:
    match kind["type"]:
        case "identity":
            return z
        case "sigmoid":
            return _sigmoid(z)
        case "tanh":
            return np.tanh(z)
        case "relu":
            return np.where(z > 0, z, 0)
        case "leaky_relu":
            return np.where(z > 0, z, kind["negative_slope"] * z)
        case "elu":
            return np.where(z > 0, z, kind["alpha"] * (np.exp(z) - 1))
        case "gelu":
            if kind.get("approximate") == "tanh":
                return z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
            return z * _phi(z)
        case "silu":
            return z * _sigmoid(z)
        case "softplus":
            beta = kind["beta"]
            return np.where(beta * z > kind["threshold"], z, np.log(1 + np.exp(beta * z)) / beta)
        case "softmax":
            e = np.exp(z)
            return e / e.sum(axis=1, keepdims=True)
    raise ValueError(kind["type"])


def derivative(kind: dict[str, Any], z: Numbers, a: Numbers) -> Numbers:
    match kind["type"]:
        case "identity":
            return np.ones_like(z)
        case "sigmoid":
            return a * (1 - a)
        case "tanh":
            return 1 - a**2
        case "relu":
            return np.where(z > 0, 1.0, 0.0)
        case "leaky_relu":
            return np.where(z > 0, 1.0, kind["negative_slope"])
        case "elu":
            return np.where(z > 0, 1.0, kind["alpha"] * np.exp(z))
        case "gelu":
            if kind.get("approximate") == "tanh":
                u = np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))
                return (1 + u) / 2 + z / 2 * (1 - u**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)
            return _phi(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        case "silu":
            return _sigmoid(z) + z * _sigmoid(z) * (1 - _sigmoid(z))
        case "softplus":
            return np.where(kind["beta"] * z > kind["threshold"], 1.0, _sigmoid(kind["beta"] * z))
        case "softmax":
            return np.array([np.diag(row) - np.outer(row, row) for row in a])
    raise ValueError(kind["type"])


def _softmax(y: Numbers) -> Numbers:
    return activation({"type": "softmax"}, y)


def _one_hot(t: Numbers, units: int) -> Numbers:
    return np.eye(units)[t] if t.ndim == 1 else t


def _count(loss: dict[str, Any], y: Numbers) -> float:
    if loss.get("reduction", "mean") == "sum":
        return 1
    return len(y) if loss["type"] in ("half_squared_error", "cross_entropy", "nll") else y.size


def loss_value(loss: dict[str, Any], y: Numbers, t: Numbers) -> float:
    match loss["type"]:
        case "half_squared_error":
            total = ((t - y) ** 2 / 2).sum()
        case "mse":
            total = ((t - y) ** 2).sum()
        case "mae":
            total = np.abs(t - y).sum()
        case "huber":
            e, d = np.abs(t - y), loss["delta"]
            total = np.where(e < d, e**2 / 2, d * (e - d / 2)).sum()
        case "bce":
            total = -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum()
        case "bce_with_logits":
            total = -(t * np.log(_sigmoid(y)) + (1 - t) * np.log(1 - _sigmoid(y))).sum()
        case "cross_entropy":
            total = -(_one_hot(t, y.shape[1]) * np.log(_softmax(y))).sum()
        case "nll":
            total = -(_one_hot(t, y.shape[1]) * y).sum()
        case kind:
            raise ValueError(kind)
    return float(total / _count(loss, y))


def loss_gradient(loss: dict[str, Any], y: Numbers, t: Numbers) -> Numbers:
    match loss["type"]:
        case "half_squared_error":
            g = y - t
        case "mse":
            g = 2 * (y - t)
        case "mae":
            g = np.sign(y - t)
        case "huber":
            g = np.clip(y - t, -loss["delta"], loss["delta"])
        case "bce":
            g = (y - t) / (y * (1 - y))
        case "bce_with_logits":
            g = _sigmoid(y) - t
        case "cross_entropy":
            g = _softmax(y) - _one_hot(t, y.shape[1])
        case "nll":
            g = -_one_hot(t, y.shape[1])
        case kind:
            raise ValueError(kind)
    return g / _count(loss, y)


def first_update(optimizer: dict[str, Any], p: Numbers, g: Numbers, norm: float, rate: float) -> Numbers:
    """A parameter after its first update."""
    clip, decay = optimizer.get("clip"), optimizer.get("weight_decay", 0.01 if optimizer["type"] == "adamw" else 0.0)
    if clip:
        limit = clip["value"]
        g = np.clip(g, -limit, limit) if clip["type"] == "value" else g * min(1, limit / (norm + 1e-6))
    kind, eps = optimizer["type"], optimizer.get("eps", 1e-10 if optimizer["type"] == "adagrad" else 1e-8)
    if kind == "adamw":
        p = p - rate * decay * p
    else:
        g = g + decay * p
    match kind:
        case "sgd":
            return p - rate * (g + optimizer["momentum"] * g if optimizer.get("nesterov") else g)
        case "adam" | "adamw":  # the corrected moments are g and g² themselves
            return p - rate * g / (np.sqrt(g**2) + eps)
        case "rmsprop":
            alpha = optimizer.get("alpha", 0.99)
            square = (1 - alpha) * g**2 - (((1 - alpha) * g) ** 2 if optimizer.get("centered") else 0)
            return p - rate * g / (np.sqrt(square) + eps)
    return p - rate * g / (np.sqrt(optimizer.get("initial_accumulator_value", 0.0) + g**2) + eps)


@dataclass(frozen=True)
class Mistake:
    """A slip in one term; `factor` is that of a wrong factor, `share` which sample's or unit's share was taken."""

    slip: str
    term: str
    factor: float = 1.0
    share: tuple[str, int] = ("sample", 0)


NONE = Mistake("", "")


@dataclass
class Hand:
    """A worker.

    `decimals` are those that are written, None for all. `carries` says with what the worker goes on: the `rounded`
    numbers, all `digits`, or numbers rounded as at school, with a last 5 away from 0 (`school`).
    """

    config: dict[str, Any]
    decimals: int | None
    carries: str = "rounded"
    mistake: Mistake = NONE
    written: dict[str, Numbers] = field(default_factory=dict)
    values: dict[str, Numbers] = field(default_factory=dict)
    unrounded: dict[str, Numbers] = field(default_factory=dict)

    def round(self, numbers: Any) -> Numbers:
        numbers = np.asarray(numbers, float)
        if self.decimals is None:
            return numbers
        if self.carries != "school":
            return np.round(numbers, self.decimals)
        return np.copysign(np.floor(np.abs(numbers) * 10**self.decimals + 0.5 + 1e-7), numbers) / 10**self.decimals

    def put(self, name: str, numbers: Any) -> Numbers:
        """Write a term down, spoilt by the mistake if it is one that spoils the result."""
        numbers = np.asarray(numbers, float)
        if self.mistake.term == name:
            numbers = self._spoilt(name, numbers)
        self.unrounded[name], self.written[name] = numbers, self.round(numbers)
        self.values[name] = numbers if self.carries == "digits" else self.written[name]
        return self.values[name]

    def _spoilt(self, name: str, numbers: Numbers) -> Numbers:
        before = self.values.get(name.removesuffix(".next")) if name.endswith(".next") else None
        match self.mistake.slip:
            case "sign_flipped":
                return -numbers
            case "update_added":
                assert before is not None
                return 2 * before - numbers
            case "wrong_factor" if before is not None:
                return before + self.mistake.factor * (numbers - before)
            case "wrong_factor":
                return numbers * self.mistake.factor
        return numbers

    def made(self, slip: str, term: str) -> bool:
        return (self.mistake.slip, self.mistake.term) == (slip, term)

    def weights(self, layer: dict[str, Any], term: str) -> Numbers:
        weight = self.values[f"{layer['name']}.weight"]
        return weight.T if self.made("weight_transposed", term) else weight

    def work(self) -> "Hand":
        layers, data = self.config["network"]["layers"], self.config["data"]
        x, t = np.array(data["inputs"], float), np.array(data["targets"])
        for layer in layers:
            self.values[f"{layer['name']}.weight"] = np.array(layer["init"]["weight"], float)
            if layer["bias"] != "none":
                self.values[f"{layer['name']}.bias"] = np.array(layer["init"]["bias"], float)
        a = x
        for index, layer in enumerate(layers):
            name = layer["name"]
            if self.made("activation_omitted", f"{name}.z"):
                a = self.values[f"{layers[index - 1]['name']}.z"]
            z = a @ self.weights(layer, f"{name}.z").T
            if layer["bias"] != "none" and not self.made("bias_omitted", f"{name}.z"):
                z = z + self.values[f"{name}.bias"]
            z = self.put(f"{name}.z", z)
            omitted = self.made("activation_omitted", f"{name}.a")
            a = self.put(f"{name}.a", z if omitted else activation(layer["activation"], z))
        y = self.put("outputs", a)
        self.put("loss", loss_value(self.config["loss"], y, t))
        for index in range(len(layers) - 1, -1, -1):
            self._backward(layers, index, x, y, t)
        self._update(layers)
        return self

    def _backward(self, layers: list[dict[str, Any]], index: int, x: Numbers, y: Numbers, t: Numbers) -> None:
        layer, name = layers[index], layers[index]["name"]
        z, a = self.values[f"{name}.z"], self.values[f"{name}.a"]
        if index == len(layers) - 1:
            g = loss_gradient(self.config["loss"], y, t)
        else:
            above = layers[index + 1]
            weight = self.weights(above, f"{name}.dL_da")
            if self.made("weight_updated_before_use", f"{name}.dL_da"):
                weight = self.round(self.updated(layers, above, "weight"))
            g = self.values[f"{above['name']}.dL_dz"] @ weight
        g = self.put(f"{name}.dL_da", g)
        used = z if self.made("activation_omitted", f"{name}.da_dz") else a
        slope = self.put(f"{name}.da_dz", derivative(layer["activation"], z, used))
        if self.made("activation_derivative_omitted", f"{name}.dL_dz"):
            delta = g
        elif slope.ndim == 3:
            delta = (g[:, :, None] * slope).sum(axis=1)
        else:
            delta = g * slope
        delta = self.put(f"{name}.dL_dz", delta)
        below = x if index == 0 else self.values[f"{layers[index - 1]['name']}.a"]
        if self.made("activation_omitted", f"{name}.weight.gradient"):
            below = self.values[f"{layers[index - 1]['name']}.z"]
        through = g if self.made("activation_derivative_omitted", f"{name}.weight.gradient") else delta
        self.put(f"{name}.weight.gradient", through.T @ below)
        if layer["bias"] != "none":
            kind, which = self.mistake.share
            if self.made("bias_gradient_not_summed", f"{name}.bias.gradient"):
                delta = delta[which : which + 1] if kind == "sample" else delta[:, which : which + 1]
            summed = delta.sum(axis=0)
            self.put(f"{name}.bias.gradient", summed.sum().reshape(1) if layer["bias"] == "shared" else summed)

    def _update(self, layers: list[dict[str, Any]]) -> None:
        trainable = [layer for layer in layers if layer.get("trainable", True)]
        gradients = [v for layer in trainable for v in self.gradients(layer)]
        norm = self.put("gradient_norm", math.sqrt(sum(float((g**2).sum()) for g in gradients)))
        for layer in layers:
            for kind in ("weight", "bias") if layer["bias"] != "none" else ("weight",):
                term = f"{layer['name']}.{kind}.next"
                self.put(
                    term, self.updated(layers, layer, kind, float(norm), whole=self.made("learning_rate_omitted", term))
                )

    def gradients(self, layer: dict[str, Any]) -> Iterator[Numbers]:
        for kind in ("weight", "bias") if layer["bias"] != "none" else ("weight",):
            yield self.values[f"{layer['name']}.{kind}.gradient"]

    def updated(
        self, layers: list[dict[str, Any]], layer: dict[str, Any], kind: str, norm: float = 0.0, whole: bool = False
    ) -> Numbers:
        before, g = self.values[f"{layer['name']}.{kind}"], self.values[f"{layer['name']}.{kind}.gradient"]
        if not layer.get("trainable", True):
            return before
        optimizer = self.config["optimizer"]
        return first_update(optimizer, before, g, norm, 1.0 if whole else optimizer["learning_rate"])


def mistakes(config: dict[str, Any]) -> Iterator[Mistake]:
    """Every mistake that can be made in a step."""
    layers, n = config["network"]["layers"], len(config["data"]["inputs"])
    sizes = [config["network"]["inputs"], *(layer["units"] for layer in layers)]
    for index, layer in enumerate(layers):
        name, last, biased = layer["name"], index == len(layers) - 1, layer["bias"] != "none"
        parameters = ["weight", "bias"] if biased else ["weight"]
        yield Mistake("activation_derivative_omitted", f"{name}.dL_dz")
        yield Mistake("activation_derivative_omitted", f"{name}.weight.gradient")
        yield Mistake("activation_omitted", f"{name}.a")
        if layer["activation"]["type"] in ("sigmoid", "tanh"):
            yield Mistake("activation_omitted", f"{name}.da_dz")
        if index:
            yield Mistake("activation_omitted", f"{name}.z")
            yield Mistake("activation_omitted", f"{name}.weight.gradient")
        if biased:
            yield Mistake("bias_omitted", f"{name}.z")
        if not last:
            yield Mistake("weight_updated_before_use", f"{name}.dL_da")
            if sizes[index + 1] == sizes[index + 2] > 1:
                yield Mistake("weight_transposed", f"{name}.dL_da")
        if sizes[index] == sizes[index + 1] > 1:
            yield Mistake("weight_transposed", f"{name}.z")
        if biased and n > 1:
            yield Mistake("bias_gradient_not_summed", f"{name}.bias.gradient", share=("sample", n - 1))
        if layer["bias"] == "shared" and layer["units"] > 1:
            yield Mistake("bias_gradient_not_summed", f"{name}.bias.gradient", share=("unit", layer["units"] - 1))
        if layer.get("trainable", True):
            for parameter in parameters:
                yield Mistake("learning_rate_omitted", f"{name}.{parameter}.next")
                yield Mistake("update_added", f"{name}.{parameter}.next")
                yield Mistake("wrong_factor", f"{name}.{parameter}.next", 2.0)
        terms = [f"{name}.{term}" for term in ("z", "a", "dL_da", "da_dz", "dL_dz")]
        for term in [*terms, *(f"{name}.{parameter}.gradient" for parameter in parameters)]:
            yield Mistake("sign_flipped", term)
            yield from (Mistake("wrong_factor", term, f) for f in {2.0, 0.5, float(n), 1 / n} - {1.0})
    yield Mistake("sign_flipped", "loss")
    yield Mistake("wrong_factor", "loss", 2.0)
    yield Mistake("wrong_factor", "gradient_norm", 0.5)
