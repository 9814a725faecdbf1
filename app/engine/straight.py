"""Tiny networks as straight-line Python, written from the same formulas that explain them.

For a network of a few numbers, numpy spends its time on being called. Here each layer's pass is a function of plain
assignments on floats, several times as fast, that reads and writes the same packed vectors. Whether it is used depends
on the network, the loss and the batch alone, so that stepping and training have the same bits. Where Python raises what
numpy would call infinity or NaN, that layer's pass, or the loss, is done by numpy.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

from app.engine.losses import Targets
from app.engine.network import Config
from app.engine.notation import to_python
from app.engine.spec import Array
from app.engine.work import Work

_SIZES = 4  # of batches whose code a network keeps
MOST = 64  # parameters × samples, up to which this is used

_NAMES = {name: getattr(math, name) for name in ("exp", "tanh", "isfinite")}
_TOO_LARGE = (ArithmeticError, ValueError)
_QUIET = nullcontext()  # Python's floats do not warn


class Code(NamedTuple):
    """The passes of each layer, and the sum of the loss's terms, for one size of batch."""

    forward: tuple[Callable[..., None], ...]
    backward: tuple[Callable[..., None], ...]
    loss: Callable[..., float]


def work_for(
    config: Config,
    parameters: Array,
    inputs: Array,
    targets: Targets | None,
    forward: Array,
    backward: Array | None = None,
    gradients: Array | None = None,
) -> Work:
    """The work over a batch, as straight-line Python where the network is tiny."""
    code = code_for(config, len(inputs))
    if code is None:
        return Work(config, parameters, inputs, targets, forward, backward, gradients)
    return StraightWork(code, config, parameters, inputs, targets, forward, backward, gradients)


def code_for(config: Config, n: int) -> Code | None:
    """The straight-line passes of a network over n samples; None where it is not tiny, or has other formulas."""
    tiny = (
        config.network.parameter_count * n <= MOST
        and config.dtype == "float64"
        and config.loss.term is not None
        and all(layer.activation.exact_formula for layer in config.network.layers)
    )
    if not tiny:
        return None
    cached: dict[int, tuple[Any, Code]] = config.network.straight_code
    loss, code = cached.get(n, (None, None))
    if loss is not config.loss or code is None:
        if len(cached) >= _SIZES:
            cached.clear()
        code = _compile("\n".join(_write(config, n)), len(config.network.layers))
        cached[n] = config.loss, code
    return code


class StraightWork(Work):
    """The same work by straight-line code, through flat views of the same memory."""

    def __init__(self, code: Code, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.code = code
        self.P, self.X, self.F = self.parameters.data, self.inputs.reshape(-1).data, self.vector.data
        self.T = None if self.targets is None else self.targets.reshape(-1).data
        if self.backward_vector is not None and self.gradients is not None:
            self.B, self.G = self.backward_vector.data, self.gradients.data

    def quiet(self) -> AbstractContextManager[object]:
        return _QUIET

    def forward(self, first: int, stop: int) -> None:
        for index in range(first, stop):
            try:
                self.code.forward[index](self.P, self.X, self.F)
            except _TOO_LARGE:
                with super().quiet():
                    super().forward(index, index + 1)

    def loss(self) -> float:
        try:
            return self.code.loss(self.F, self.T) * self.scale
        except _TOO_LARGE:
            with super().quiet():
                return super().loss()

    def backward(self, first: int, stop: int) -> None:
        for index in range(stop - 1, first - 1, -1):
            try:
                self.code.backward[index](self.P, self.X, self.T, self.F, self.B, self.G, self.scale)
            except _TOO_LARGE:
                with super().quiet():
                    super().backward(index, index + 1)


@lru_cache(maxsize=128)
def _compile(source: str, layers: int) -> Code:
    names: dict[str, Any] = dict(_NAMES)
    exec(source, names)  # written below, from our own formulas and the network's sizes
    forward = tuple(names[f"forward_{index}"] for index in range(layers))
    backward = tuple(names[f"backward_{index}"] for index in range(layers))
    return Code(forward, backward, names["loss"])


def _write(config: Config, n: int) -> Iterator[str]:
    """The source. P holds the parameters, X the inputs, T the targets, F and B the traces, G the gradients."""
    for index in range(len(config.network.layers)):
        yield from _write_forward(config, n, index)
        yield from _write_backward(config, n, index)
    yield from _write_loss(config, n)


def _write_forward(config: Config, n: int, index: int) -> Iterator[str]:
    network = config.network
    trace, (weight, bias) = network.layout(n).traces[index], network.layer_parameters[index]
    units, inputs = weight.shape
    yield f"def forward_{index}(P, X, F):"
    for j in range(units):
        for i in range(inputs):
            yield f"    w{j}_{i} = P[{weight.place.start + j * inputs + i}]"
        if bias is not None:
            yield f"    b{j} = P[{bias.place.start + j % bias.shape[0]}]"
    for s in range(n):
        for i in range(inputs):
            yield f"    x{i} = {_input(config, n, index, s, i)}"
        for j in range(units):
            terms = [f"w{j}_{i} * x{i}" for i in range(inputs)] + ([f"b{j}"] if bias is not None else [])
            yield f"    F[{trace.z.start + s * units + j}] = z{s}_{j} = {' + '.join(terms)}"
    every = [f"z{s}_{j}" for s in range(n) for j in range(units)]
    yield f"    if not isfinite({' + '.join(every)}): raise OverflowError"
    activation = network.layers[index].activation
    assert activation.formula is not None
    for position, z in enumerate(every):
        value = to_python(activation.formula, {"z": z, **_options(activation)})
        yield f"    F[{trace.a.start + position}] = {value}"


def _write_backward(config: Config, n: int, index: int) -> Iterator[str]:
    network = config.network
    traces, (weight, bias) = network.layout(n).traces, network.layer_parameters[index]
    trace, (units, inputs) = traces[index], weight.shape
    assert trace.da_dz is not None
    activation = network.layers[index].activation
    assert activation.derivative is not None
    yield f"def backward_{index}(P, X, T, F, B, G, scale):"
    for s in range(n):
        for j in range(units):
            at = s * units + j
            yield f"    z = F[{trace.z.start + at}]"
            yield f"    a = F[{trace.a.start + at}]"
            yield f"    B[{trace.dL_da.start + at}] = g = {_write_dL_da(config, n, index, s, j)}"
            slope = to_python(activation.derivative, {"z": "z", "a": "a", **_options(activation)})
            yield f"    B[{trace.da_dz.start + at}] = h = {slope}"
            yield f"    B[{trace.dL_dz.start + at}] = d{s}_{j} = g * h"
        for i in range(inputs):
            yield f"    x{s}_{i} = {_input(config, n, index, s, i)}"
    for j in range(units):
        for i in range(inputs):
            terms = " + ".join(f"d{s}_{j} * x{s}_{i}" for s in range(n))
            yield f"    G[{weight.place.start + j * inputs + i}] = {terms}"
    if bias is not None:
        shared = bias.shape == (1,)
        for k in range(bias.shape[0]):
            mine = range(units) if shared else (k,)
            terms = " + ".join(f"d{s}_{j}" for s in range(n) for j in mine)
            yield f"    G[{bias.place.start + k}] = {terms}"


def _write_dL_da(config: Config, n: int, index: int, s: int, j: int) -> str:
    network = config.network
    if index == len(network.layers) - 1:
        assert config.loss.slope is not None
        target = f"T[{s * network.sizes[-1] + j}]"
        slope = to_python(config.loss.slope, {"y": "a", "t": target, **_options(config.loss)})
        return f"scale * ({slope})"
    above, (weight, _) = network.layout(n).traces[index + 1], network.layer_parameters[index + 1]
    units, inputs = weight.shape
    terms = (f"P[{weight.place.start + k * inputs + j}] * B[{above.dL_dz.start + s * units + k}]" for k in range(units))
    return " + ".join(terms)


def _write_loss(config: Config, n: int) -> Iterator[str]:
    trace = config.network.layout(n).traces[-1]
    assert config.loss.term is not None
    yield "def loss(F, T):"
    terms = []
    for at in range(n * trace.shape[1]):
        values = {"y": f"F[{trace.a.start + at}]", "t": f"T[{at}]", **_options(config.loss)}
        terms.append(f"({to_python(config.loss.term, values)})")
    yield f"    return {' + '.join(terms)}"


def _input(config: Config, n: int, index: int, s: int, i: int) -> str:
    """Where the input i of a layer for sample s is."""
    inputs = config.network.sizes[index]
    if index == 0:
        return f"X[{s * inputs + i}]"
    return f"F[{config.network.layout(n).traces[index - 1].a.start + s * inputs + i}]"


def _options(spec: Any) -> dict[str, float | str]:
    """A spec's numbers by the names that its formulas have for them."""
    return {name: value for name, value in spec if isinstance(value, float)}
