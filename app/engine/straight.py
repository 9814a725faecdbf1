"""Tiny networks as straight-line Python, written from the same formulas that explain them.

For a network of a few numbers, numpy spends its time on being called. Here each layer's pass is a function of plain
assignments on floats, several times as fast, that reads and writes the same packed vectors; and a run of whole steps
over the same batch is one function, of the same lines and those of the optimizer's rule. Whether it is used depends on
the network, the loss and the batch alone, so that stepping and training have the same bits. Where Python raises what
numpy would call infinity or NaN, that layer's pass, the loss, or that step is done by numpy.

In the lines, P3 is entry 3 of the packed parameters; X are the inputs, T the targets, F and B the traces of the two
passes, G the gradients, and S the slots, one after the other.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

from app.engine.losses import Targets
from app.engine.network import Config
from app.engine.notation import to_python
from app.engine.rule_lines import rule_lines
from app.engine.spec import Array
from app.engine.work import Work

_KEPT = 8  # pieces of code that a network keeps
MOST = 64  # parameters × samples, up to which this is used

_NAMES = {name: getattr(math, name) for name in ("exp", "tanh", "isfinite", "sqrt", "hypot")}
TOO_LARGE = (ArithmeticError, ValueError)
_QUIET = nullcontext()  # Python's floats do not warn
_ENTRY = re.compile(r"\b([A-Z])(\d+)\b")


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
    network = config.network
    if network.parameter_count * n > MOST or config.dtype != "float64":
        return None
    loss, code = network.straight_code.get(n, (None, None))
    if loss is not config.loss:
        exact = config.loss.term is not None and all(layer.activation.exact_formula for layer in network.layers)
        code = _passes(config, n) if exact else None
        _keep(network.straight_code, n, (config.loss, code))
    kept: Code | None = code
    return kept


def steps_for(config: Config, n: int) -> Callable[..., int] | None:
    """Whole steps over n samples as one function, as `_write_steps` says; None where `code_for` gives none."""
    return _optimizing(config, n, "steps", lambda: _write_steps(config, n))


def update_for(config: Config, n: int) -> Callable[..., None] | None:
    """An update of all trainable parameters after their first, as `_write_update` says; None as for `steps_for`."""
    return _optimizing(config, n, "update", lambda: _write_update(config))


def _optimizing(config: Config, n: int, name: str, write: Callable[[], Iterable[str]]) -> Callable[..., Any] | None:
    """A function that depends on the optimizer too."""
    if code_for(config, n) is None:
        return None
    cached: dict[Any, Any] = config.network.straight_code
    loss, optimizer, made = cached.get((name, n), (None, None, None))
    if loss is not config.loss or optimizer is not config.optimizer:
        made = _compile("\n".join(write()))[name]
        _keep(cached, (name, n), (config.loss, config.optimizer, made))
    kept: Callable[..., Any] = made
    return kept


def _keep(cached: dict[Any, Any], key: Any, made: Any) -> None:
    if len(cached) >= _KEPT:
        cached.clear()
    cached[key] = made


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
            except TOO_LARGE:
                with super().quiet():
                    super().forward(index, index + 1)

    def loss(self) -> float:
        try:
            return self.code.loss(self.F, self.T)
        except TOO_LARGE:
            with super().quiet():
                return super().loss()

    def backward(self, first: int, stop: int) -> None:
        for index in range(stop - 1, first - 1, -1):
            try:
                self.code.backward[index](self.P, self.X, self.T, self.F, self.B, self.G)
            except TOO_LARGE:
                with super().quiet():
                    super().backward(index, index + 1)


@lru_cache(maxsize=128)
def _compile(source: str) -> dict[str, Any]:
    names: dict[str, Any] = dict(_NAMES)
    exec(source, names)  # written below, from our own formulas and the network's sizes
    return names


def _passes(config: Config, n: int) -> Code:
    layers = range(len(config.network.layers))
    names = _compile("\n".join(_write_passes(config, n)))
    return Code(
        tuple(names[f"forward_{index}"] for index in layers),
        tuple(names[f"backward_{index}"] for index in layers),
        names["loss"],
    )


def _write_passes(config: Config, n: int) -> Iterator[str]:
    for index in range(len(config.network.layers)):
        z = " + ".join(_pre_activations(config, n, index))
        checked = f"if not isfinite({z}): raise OverflowError"
        forward = (*_forward(config, n, index), checked, *_activate(config, n, index))
        yield from _function(f"def forward_{index}(P, X, F):", forward)
        yield from _function(f"def backward_{index}(P, X, T, F, B, G):", _backward(config, n, index))
    yield from _function("def loss(F, T):", [f"return {_loss(config, n)}"])


def _function(head: str, lines: Iterable[str]) -> Iterator[str]:
    """A function of the lines, which reads from the vectors what they need, and leaves there what they set."""
    body = list(lines)
    made = {line.partition(" = ")[0]: None for line in body if " = " in line}
    yield head
    for line in (*_reads(body, made), *body, *(f"{_place(name)} = {name}" for name in made)):
        yield f"    {line}"


def _reads(lines: Iterable[str], made: Iterable[str]) -> list[str]:
    """Lines that read the entries which these need and do not make."""
    needed = dict.fromkeys(match.group() for line in lines for match in _ENTRY.finditer(line))
    return [f"{name} = {_place(name)}" for name in needed if name not in made]


def _place(name: str) -> str:
    """Where the entry of this name is: P[3] for P3."""
    return _ENTRY.sub(r"\1[\2]", name)


def _pre_activations(config: Config, n: int, index: int) -> list[str]:
    z = config.network.layout(n).traces[index].z
    return [f"F{at}" for at in range(z.start, z.stop)]


def _forward(config: Config, n: int, index: int) -> Iterator[str]:
    """z of a layer."""
    network = config.network
    (weight, bias), z = network.layer_parameters[index], iter(_pre_activations(config, n, index))
    units, inputs = weight.shape
    for s in range(n):
        for j in range(units):
            first = weight.place.start + j * inputs
            terms = [f"P{first + i} * {_input(config, n, index, s, i)}" for i in range(inputs)]
            if bias is not None:
                terms.append(f"P{bias.place.start + j % bias.shape[0]}")
            yield f"{next(z)} = {' + '.join(terms)}"


def _activate(config: Config, n: int, index: int) -> Iterator[str]:
    """a of a layer."""
    activation = config.network.layers[index].activation
    assert activation.formula is not None
    first = config.network.layout(n).traces[index].a.start
    for at, z in enumerate(_pre_activations(config, n, index), first):
        yield f"F{at} = {to_python(activation.formula, {'z': z, **_options(activation)})}"


def _backward(config: Config, n: int, index: int) -> Iterator[str]:
    """The derivatives of a layer, and the gradients of its parameters."""
    network = config.network
    trace, (weight, bias) = network.layout(n).traces[index], network.layer_parameters[index]
    units, inputs = weight.shape
    assert trace.da_dz is not None
    activation = network.layers[index].activation
    assert activation.derivative is not None
    for at in range(n * units):
        letters = {"z": f"F{trace.z.start + at}", "a": f"F{trace.a.start + at}", **_options(activation)}
        g, h = f"B{trace.dL_da.start + at}", f"B{trace.da_dz.start + at}"
        yield f"{g} = {_dL_da(config, n, index, *divmod(at, units))}"
        yield f"{h} = {to_python(activation.derivative, letters)}"
        yield f"B{trace.dL_dz.start + at} = {g} * {h}"
    deltas = [[f"B{trace.dL_dz.start + s * units + j}" for s in range(n)] for j in range(units)]
    for j in range(units):
        for i in range(inputs):
            terms = (f"{d} * {_input(config, n, index, s, i)}" for s, d in enumerate(deltas[j]))
            yield f"G{weight.place.start + j * inputs + i} = {' + '.join(terms)}"
    if bias is not None:
        shared = bias.shape == (1,)
        for k in range(bias.shape[0]):
            mine = range(units) if shared else (k,)
            terms = (deltas[j][s] for s in range(n) for j in mine)
            yield f"G{bias.place.start + k} = {' + '.join(terms)}"


def _dL_da(config: Config, n: int, index: int, s: int, j: int) -> str:
    network = config.network
    if index == len(network.layers) - 1:
        assert config.loss.slope is not None
        at = s * network.sizes[-1] + j
        y = f"F{network.layout(n).traces[-1].a.start + at}"
        slope = to_python(config.loss.slope, {"y": y, "t": f"T{at}", **_options(config.loss)})
        return f"{_scale(config, n)}({slope})"
    above, (weight, _) = network.layout(n).traces[index + 1], network.layer_parameters[index + 1]
    units, inputs = weight.shape
    terms = (f"P{weight.place.start + k * inputs + j} * B{above.dL_dz.start + s * units + k}" for k in range(units))
    return " + ".join(terms)


def _loss(config: Config, n: int) -> str:
    trace = config.network.layout(n).traces[-1]
    assert config.loss.term is not None
    terms = []
    for at in range(n * trace.shape[1]):
        values = {"y": f"F{trace.a.start + at}", "t": f"T{at}", **_options(config.loss)}
        terms.append(f"({to_python(config.loss.term, values)})")
    return f"{_scale(config, n)}({' + '.join(terms)})"


def _scale(config: Config, n: int) -> str:
    scale = config.loss.scale(n, config.network.sizes[-1])
    return "" if scale == 1 else f"{scale!r} * "


def _input(config: Config, n: int, index: int, s: int, i: int) -> str:
    """The input i of a layer for sample s."""
    at = s * config.network.sizes[index] + i
    return f"X{at}" if index == 0 else f"F{config.network.layout(n).traces[index - 1].a.start + at}"


def _options(spec: Any) -> dict[str, float | str]:
    """A spec's numbers by the names that its formulas have for them."""
    return {name: value for name, value in spec if isinstance(value, float)}


def _write_steps(config: Config, n: int) -> Iterator[str]:
    """Steps at each of the rates, which end before one that raises or is not finite; the next update's t is returned.

    Nothing of a step is kept before all of it is known.
    """
    network = config.network
    layers = range(len(network.layers))
    entries = _trainable_entries(config)
    every = [z for index in layers for z in _pre_activations(config, n, index)]
    norm = [f"norm = hypot({', '.join(f'G{at}' for at in entries)})", "if not isfinite(norm): break"]
    clips = config.optimizer.clip is not None
    step = [line for index in layers for line in (*_forward(config, n, index), *_activate(config, n, index))]
    step += [f"loss = {_loss(config, n)}", f"every = {' + '.join(every)} + loss"]
    step.append("if every - every: break")  # an infinity less itself is NaN, which is as good as true
    step += [line for index in reversed(layers) for line in _backward(config, n, index)]
    step += norm if clips else ["if norms is not None:", *(f"    {line}" for line in norm)]
    rule, made = _rule(config)
    step += [*rule, *(f"{name} = new_{name}" for name in made)]
    step += ["t += 1", "if norms is not None:", "    losses.append(loss)", "    norms.append(norm)"]
    yield "def steps(P, S, X, T, rates, t, losses, norms):"
    for line in _reads(step, ()):
        if line[0] in "PSXT":
            yield f"    {line}"
    yield "    try:"
    yield "        for rate in rates:"
    for line in step:
        yield f"            {line}"
    yield "    except (ArithmeticError, ValueError): pass"
    for name in made:
        yield f"    {_place(name)} = {name}"
    yield "    return t"


def _write_update(config: Config) -> Iterator[str]:
    """The update `t` of all trainable parameters, at a rate; `norm` is that of their gradients, for clipping.

    It raises before anything is kept where a gradient or what comes of it is not finite: `min` and `max` lose a NaN.
    """
    rule, made = _rule(config)
    every = [*(f"G{at}" for at in _trainable_entries(config)), *(f"new_{name}" for name in made)]
    rule += [f"every = {' + '.join(every)}", "if every - every: raise ArithmeticError"]
    yield "def update(P, S, G, rate, t, norm):"
    for line in (*_reads(rule, ()), *rule, *(f"{_place(name)} = new_{name}" for name in made)):
        yield f"    {line}"


def _rule(config: Config) -> tuple[list[str], list[str]]:
    """The lines of the optimizer's rule for all trainable parameters, and the entries whose new values they make."""
    rule, count = rule_lines(config.optimizer), config.network.parameter_count
    lines, made = list(rule.shared), list[str]()
    for at in _trainable_entries(config):
        slots = {f"S{k}": f"S{k * count + at}" for k in range(len(config.optimizer.slot_names()))}
        lines += [line.format(P=f"P{at}", G=f"G{at}", **slots) for line in rule.own]
        made += [f"P{at}", *slots.values()]
    return lines, made


def _trainable_entries(config: Config) -> list[int]:
    return [at for _, run in config.network.trainable_runs for at in range(run.start, run.stop)]
