"""The arithmetic of forward and backward passes over one batch, by numpy, in place on packed vectors."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy import add

from app.engine.losses import Targets
from app.engine.network import Config
from app.engine.spec import Array, read_only

_ONE = {dtype: np.array(1, dtype) for dtype in ("float64", "float32")}


_FEW = 4096


def _ones(count: int, dtype: str) -> Array:
    return _few_ones(count, dtype) if count <= _FEW else np.ones(count, dtype)


@lru_cache(maxsize=64)
def _few_ones(count: int, dtype: str) -> Array:
    return read_only(np.ones(count, dtype))


class LayerArrays:
    """Views into the packed vectors, under the names of the chain rule, for a batch of n samples.

    A forward pass sets up the first group, a backward pass both.

    Attributes:
        activate, derive: the activation's `forward` and `backward`, looked up once.
        x: what comes in: the layer below's `a` (n, inputs).
        W, WT: weights (units, inputs), and the same memory transposed.
        b: biases (1, units), or () when shared; None without.
        z, a: pre-activation and activation (n, units).
        t: scratch (n, units). A ufunc onto its own one-element input is four times as slow as onto another array.
        one: 1 as an array of the dtype, which costs half of what a Python number does.

        dL_da, da_dz, dL_dz: derivatives (n, units); a softmax has no `da_dz` here.
        dL_dzT: the same memory as `dL_dz`, transposed (units, n).
        gW: gradient of W (units, inputs).
        gb: gradient of b, (units,) or () when shared; None without. It is `ones` times `summed`: `dL_dz` by samples,
            or all its entries when shared. (A dot product with ones is four times as fast as a small `sum`.)
    """

    __slots__ = (
        "W", "WT", "a", "activate", "b", "dL_da", "dL_dz", "dL_dzT", "da_dz", "derive", "gW", "gb", "one", "ones",
        "summed", "t", "x", "z",
    )  # fmt: skip

    activate: "Callable[[LayerArrays], None]"
    derive: "Callable[[LayerArrays], None]"
    x: Array
    W: Array
    WT: Array
    b: Array | None
    z: Array
    a: Array
    t: Array
    one: Array

    dL_da: Array
    da_dz: Array
    dL_dz: Array
    dL_dzT: Array
    gW: Array
    gb: Array | None
    ones: Array
    summed: Array


class Work:
    """Forward and backward over one batch; what a pass leaves lies in the vectors that it was given."""

    def __init__(
        self,
        config: Config,
        parameters: Array,
        inputs: Array,
        targets: Targets | None,
        forward: Array,
        backward: Array | None = None,
        gradients: Array | None = None,
    ) -> None:
        self.config = config
        self.parameters = parameters
        self.inputs = inputs
        self.targets: Any = targets
        self.vector = forward
        self.backward_vector = backward
        self.gradients = gradients
        self.scale = config.loss.scale(len(inputs), config.network.sizes[-1])

    @cached_property
    def scale_array(self) -> Array:
        """What the loss is scaled with, as an array of no axes."""
        return np.array(self.scale, self.config.dtype)

    @cached_property
    def layers(self) -> list[LayerArrays]:
        """Each layer's arrays; those of a backward pass only with its vectors given."""
        config, parameters, forward = self.config, self.parameters, self.vector
        backward, gradients = self.backward_vector, self.gradients
        network, below = config.network, self.inputs
        layers = []
        for spec, trace, (weight, bias) in zip(
            network.layers, network.layout(len(self.inputs)).traces, network.layer_parameters, strict=True
        ):
            layer = LayerArrays()
            layer.activate, layer.derive = spec.activation.forward, spec.activation.backward
            layer.x = below
            layer.W = weight.view(parameters)
            layer.WT = layer.W.T
            layer.b = None if bias is None else parameters[bias.place].reshape(bias.row)
            layer.z = forward[trace.z].reshape(trace.shape)
            layer.a = below = forward[trace.a].reshape(trace.shape)
            layer.t = np.empty(trace.shape, config.dtype)
            layer.one = _ONE[config.dtype]
            layers.append(layer)
            if backward is None or gradients is None:
                continue
            layer.dL_da = backward[trace.dL_da].reshape(trace.shape)
            layer.dL_dz = backward[trace.dL_dz].reshape(trace.shape)
            layer.dL_dzT = layer.dL_dz.T
            if trace.da_dz is not None:
                layer.da_dz = backward[trace.da_dz].reshape(trace.shape)
            layer.gW = weight.view(gradients)
            layer.gb = None
            if bias is not None:
                shared = bias.shape == (1,)
                layer.gb = gradients[bias.place].reshape(() if shared else bias.shape)
                layer.summed = layer.dL_dz.reshape(-1) if shared else layer.dL_dz
                layer.ones = _ones(len(layer.summed), config.dtype)
        return layers

    def quiet(self) -> AbstractContextManager[object]:
        """Overflows and the like are answers here, not warnings."""
        return np.errstate(all="ignore")

    @cached_property
    def outputs(self) -> Array:
        """The last layer's activations."""
        trace = self.config.network.layout(len(self.inputs)).traces[-1]
        return self.vector[trace.a].reshape(trace.shape)

    def forward(self, first: int, stop: int) -> None:
        """Set `z` and `a` of the layers `first` … `stop` - 1."""
        for layer in self.layers[first:stop]:
            if layer.b is None:
                layer.x.dot(layer.WT, layer.z)
            else:
                layer.x.dot(layer.WT, layer.t)
                add(layer.t, layer.b, layer.z)
            layer.activate(layer)

    def loss(self) -> float:
        """The loss of the outputs."""
        output = self.layers[-1]
        return self.config.loss.total(output.a, self.targets, output.t) * self.scale

    def backward(self, first: int, stop: int) -> None:
        """Set the derivatives and gradients of the layers `stop` - 1 down to `first`."""
        above = self.layers[stop] if stop < len(self.layers) else None
        for layer in self.layers[first:stop][::-1]:
            if above is None:
                self.config.loss.gradient(layer.a, self.targets, self.scale_array, layer.dL_da, layer.t)
            else:
                above.dL_dz.dot(above.W, layer.dL_da)
            layer.derive(layer)
            layer.dL_dzT.dot(layer.x, layer.gW)
            if layer.gb is not None:
                layer.ones.dot(layer.summed, layer.gb)
            above = layer
