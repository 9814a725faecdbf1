"""Networks and whole configurations, and where each of their numbers lies in the packed vectors."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from app.engine.datasets import AnyData
from app.engine.layers import AnyLayer, Dense, Units
from app.engine.losses import AnyLoss
from app.engine.optimizers import SGD, AnyOptimizer
from app.engine.random import Seed
from app.engine.spec import Array, Model

MAX_LAYERS = 1000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter tensor: `hidden.weight` or `hidden.bias`, its place in the packed vector and among its like."""

    name: str
    layer: int
    kind: Literal["weight", "bias"]
    shape: tuple[int, ...]
    place: slice
    index: int
    trainable: bool

    @property
    def row(self) -> tuple[int, ...]:
        """The shape in which a bias is quickest to add to (n, units): a row, or no axes when it is one number."""
        return () if self.shape == (1,) else (1, *self.shape)

    def view(self, vector: Array) -> Array:
        """This parameter's part of a packed vector, in its shape."""
        return vector[self.place].reshape(self.shape)


class Place(NamedTuple):
    """Where a layer's numbers lie in the packed vectors of a batch of n samples, each n × units.

    `z` and `a` lie in the forward vector, `da_dz` (a softmax has none), `dL_da` and `dL_dz` in the backward vector.
    """

    shape: tuple[int, int]
    z: slice
    a: slice
    da_dz: slice | None
    dL_da: slice
    dL_dz: slice


@dataclass(frozen=True, slots=True)
class Layout:
    """Where all layers' numbers lie for a batch of n samples, and how long the two vectors are."""

    traces: tuple[Place, ...]
    forward_size: int
    backward_size: int


class Network(Model):
    """Layers in a row; each one's outputs are the next one's inputs."""

    inputs: Units
    layers: Annotated[tuple[AnyLayer, ...], Field(min_length=1, max_length=MAX_LAYERS, strict=False, fail_fast=True)]

    @field_validator("layers")
    @classmethod
    def _name_layers(cls, layers: tuple[Dense, ...]) -> tuple[Dense, ...]:
        """Give nameless layers their default names, and refuse a name that is given twice."""
        named = tuple(
            layer if layer.name else layer.model_copy(update={"name": f"layer{index}"})
            for index, layer in enumerate(layers, 1)
        )
        seen: set[str | None] = set()
        for index, layer in enumerate(named):
            if layer.name in seen:
                raise PydanticCustomError(
                    "layer_name",
                    "layer {index} has the name of an earlier layer; takes distinct names",
                    {"index": index},
                )
            seen.add(layer.name)
        return named

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of inputs, then of each layer's units."""
        return (self.inputs, *(layer.units for layer in self.layers))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The layers' names."""
        return tuple(str(layer.name) for layer in self.layers)

    @cached_property
    def places(self) -> dict[str, int]:
        """The position of each layer."""
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameter tensors, in the order of the packed vector: each layer's weight, then its bias."""
        return tuple(self._lay_out_parameters())

    def _lay_out_parameters(self) -> Iterator[Parameter]:
        start = count = 0
        for index, layer in enumerate(self.layers):
            shapes: list[tuple[Literal["weight", "bias"], tuple[int, ...]]]
            shapes = [("weight", (layer.units, self.sizes[index]))]
            if layer.bias != "none":
                shapes.append(("bias", (1 if layer.bias == "shared" else layer.units,)))
            for kind, shape in shapes:
                place = slice(start, start + math.prod(shape))
                yield Parameter(f"{layer.name}.{kind}", index, kind, shape, place, count, layer.trainable)
                start, count = place.stop, count + 1

    @cached_property
    def layer_parameters(self) -> tuple[tuple[Parameter, Parameter | None], ...]:
        """The weight and the bias, if there is one, of each layer."""
        tensors = {(parameter.layer, parameter.kind): parameter for parameter in self.parameters}
        return tuple((tensors[i, "weight"], tensors.get((i, "bias"))) for i in range(len(self.layers)))

    @cached_property
    def by_name(self) -> dict[str, int]:
        """The index of each parameter tensor."""
        return {parameter.name: index for index, parameter in enumerate(self.parameters)}

    @cached_property
    def trainable(self) -> tuple[str, ...]:
        """The names of the parameters that `step` updates."""
        return tuple(parameter.name for parameter in self.parameters if parameter.trainable)

    @cached_property
    def trainable_indices(self) -> tuple[int, ...]:
        """The positions of the parameters that `step` updates."""
        return tuple(parameter.index for parameter in self.parameters if parameter.trainable)

    @cached_property
    def trainable_runs(self) -> list[tuple[int, slice]]:
        """The runs of all trainable parameters."""
        return self.runs(self.trainable_indices)

    def runs(self, chosen: Sequence[int], counts: Sequence[int] | None = None) -> list[tuple[int, slice]]:
        """The parts of the packed vector that chosen parameters fill, each with the position of its first parameter.

        Neighbours are one part, unless they have different counts.
        """
        runs: list[tuple[int, slice]] = []
        for index in chosen:
            place = self.parameters[index].place
            first, run = runs[-1] if runs else (index, slice(-1, -1))
            if run.stop == place.start and (counts is None or counts[first] == counts[index]):
                runs[-1] = (first, slice(run.start, place.stop))
            else:
                runs.append((index, place))
        return runs

    @cached_property
    def parameter_count(self) -> int:
        """How many numbers the network learns or could learn."""
        return int(self.parameters[-1].place.stop)

    @cached_property
    def products(self) -> int:
        """The multiply-adds of one sample's forward pass."""
        return sum(inputs * units for inputs, units in pairwise(self.sizes))

    @cached_property
    def unit_count(self) -> int:
        """The units of all layers together."""
        return sum(self.sizes[1:])

    @cached_property
    def straight_code(self) -> dict[int, Any]:
        """What `app.engine.straight` keeps of its work."""
        return {}

    @cached_property
    def templates(self) -> dict[Any, Any]:
        """What whoever writes the network's numbers out keeps of that."""
        return {}

    @cached_property
    def _layouts(self) -> "dict[int, Layout]":
        return {}

    def layout(self, n: int) -> Layout:
        """Where the numbers of a batch of n samples lie."""
        layout = self._layouts.get(n)
        if layout is None:
            if len(self._layouts) * len(self.layers) >= MAX_LAYERS:  # a few batch sizes are in use at a time
                self._layouts.clear()
            layout = self._layouts[n] = _lay_out(self, n)
        return layout


def _lay_out(network: Network, n: int) -> Layout:
    forward = backward = 0
    traces = []
    for layer in network.layers:
        size = n * layer.units
        z, a = (slice(forward + k * size, forward + (k + 1) * size) for k in range(2))
        forward = a.stop
        parts = [slice(backward + k * size, backward + (k + 1) * size) for k in range(3)]
        da_dz: slice | None = parts.pop()
        if not layer.activation.elementwise:
            da_dz = None
        backward = parts[-1].stop if da_dz is None else da_dz.stop
        traces.append(Place((n, layer.units), z, a, da_dz, *parts))
    return Layout(tuple(traces), forward, backward)


class Config(Model):
    """All that a session is made from; equal configs with equal seeds start from equal numbers."""

    name: Annotated[str, Field(max_length=200)] | None = None
    network: Network
    loss: AnyLoss
    optimizer: AnyOptimizer = SGD()
    data: AnyData | None = None
    seed: Seed = 0
    dtype: Literal["float64", "float32"] = "float64"
