"""A session as a PyTorch script: its network, loss, optimizer and rows as they stand, and one training step from there.

The spec classes have the names, options and defaults of PyTorch's own; the few that differ are written out here.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np

from app.engine import tensors
from app.engine.layers import Dense
from app.engine.network import Config
from app.engine.optimizers import Optimizer
from app.engine.schedules import Schedule
from app.engine.spec import Spec
from app.sessions.session import Session

MAX_LITERAL = 1_000  # numbers of an array that are written out; more are bytes
_WIDTH = 100

_SHARED_BIAS = '''
class SharedBias(nn.Module):
    """A linear layer with one bias for all of its units."""

    def __init__(self, inputs, units):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(units, inputs))
        self.bias = nn.Parameter(torch.empty(1))

    def forward(self, x):
        return x @ self.weight.T + self.bias

'''
_FROM_BYTES = '''
def from_bytes(shape, dtype, content):
    """An array from its bytes, which are little-endian."""
    return torch.frombuffer(bytearray(b64decode(content)), dtype=dtype).reshape(shape)

'''
_HALF_SQUARED_ERROR = """
def loss_function(outputs, targets):
    return (0.5 * (outputs - targets) ** 2).sum(dim=1).{reduction}()
"""
_SCHEDULES = {
    "constant": "ConstantLR", "step": "StepLR", "exponential": "ExponentialLR", "cosine": "CosineAnnealingLR"
}  # fmt: skip


def to_pytorch(session: Session) -> str:
    """A script that needs PyTorch alone. It takes one whole step, whatever pass the session is in."""
    body = "\n".join(_body(session))
    return "\n".join([*_head(session, body), body, ""])


def _head(session: Session, body: str) -> Iterator[str]:
    """What it is, and what the body needs."""
    name = "".join(letter for letter in session.name or session.id if letter.isprintable() and letter not in '"\\')
    yield f'"""{name}, revision {session.revision}, epoch {session.state.epochs}: in PyTorch."""'
    yield ""
    if "from_bytes(" in body:
        yield "from base64 import b64decode"
    if odd := sorted(set(re.findall(r"\b(?:inf|nan)\b", body))):
        yield f"from math import {', '.join(odd)}"
    yield from ("import torch", "from torch import nn", "")
    if session.config.dtype == "float64":
        yield from ("torch.set_default_dtype(torch.float64)", "")
    if "from_bytes(" in body:
        yield _FROM_BYTES
    if "SharedBias(" in body:
        yield _SHARED_BIAS


def _body(session: Session) -> Iterator[str]:
    config = session.config
    yield from _model(config)
    yield ""
    yield from _parameters(session)
    yield from _loss(config)
    yield ""
    if config.network.trainable:
        yield from _optimizer(session)
    yield from _step(session)


def _model(config: Config) -> Iterator[str]:
    sizes, layers = config.network.sizes, config.network.layers
    yield "layers = {"
    for layer, inputs in zip(layers, sizes, strict=False):
        yield f'    "{layer.name}": {_linear(layer, inputs)},'
    yield from ("}", "model = nn.Sequential(")
    for layer in layers:
        options = {"dim": 1} if layer.activation.type == "softmax" else _options(layer.activation)
        yield f'    layers["{layer.name}"], nn.{_call(type(layer.activation).__name__, options)},'
    yield ")"
    for layer in layers:
        if not layer.trainable:
            yield f'layers["{layer.name}"].requires_grad_(False)'


def _linear(layer: Dense, inputs: int) -> str:
    if layer.bias == "shared":
        return f"SharedBias({inputs}, {layer.units})"
    return f"nn.Linear({inputs}, {layer.units}{', bias=False' if layer.bias == 'none' else ''})"


def _parameters(session: Session) -> Iterator[str]:
    yield "with torch.no_grad():"
    for parameter in session.config.network.parameters:
        values = _array(parameter.view(session.state.parameters), 4)
        yield f"    {_place(session.config, parameter.index)}.copy_({values})"
    yield ""


def _place(config: Config, index: int) -> str:
    parameter = config.network.parameters[index]
    return f'layers["{config.network.names[parameter.layer]}"].{parameter.kind}'


def _loss(config: Config) -> Iterator[str]:
    loss = config.loss
    if loss.type == "half_squared_error":
        yield _HALF_SQUARED_ERROR.format(reduction=loss.reduction)
        return
    name = {"MAE": "L1"}.get(type(loss).__name__, type(loss).__name__)
    yield f"loss_function = nn.{_call(f'{name}Loss', _options(loss))}"


def _optimizer(session: Session) -> Iterator[str]:
    config, state = session.config, session.state
    optimizer: Optimizer = config.optimizer
    options = {"lr": optimizer.learning_rate, **_options(optimizer, {"learning_rate", "clip", "schedule"})}
    yield "trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]"
    yield f"optimizer = torch.optim.{_call(type(optimizer).__name__, options, 'trainable')}"
    for parameter in config.network.parameters:
        if not parameter.trainable or not state.updates[parameter.index]:
            continue
        slots = tensors.slots(config, state, parameter)
        if slots:
            yield f"optimizer.state[{_place(config, parameter.index)}] = {{"
            for name, value in slots.items():
                written = f"torch.tensor({float(value)})" if isinstance(value, int) else _array(value, 4)
                yield f'    "{name}": {written},'
            yield "}"
    if optimizer.schedule:
        yield from _schedule(optimizer.schedule, state.steps)
    yield ""


def _schedule(schedule: Schedule, steps: int) -> Iterator[str]:
    options = _options(schedule, {"warmup"})
    if schedule.type_name() == "constant":
        options = {"factor": 1.0}
    after = f"torch.optim.lr_scheduler.{_call(_SCHEDULES[schedule.type_name()], options, 'optimizer')}"
    if schedule.warmup:
        iters = schedule.warmup.total_iters
        rise = {"start_factor": schedule.warmup.start_factor, "total_iters": iters}
        yield f"rise = torch.optim.lr_scheduler.{_call('LinearLR', rise, 'optimizer')}"
        yield f"then = {after}"
        yield f"schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, then], milestones=[{iters}])"
    else:
        yield f"schedule = {after}"
    if steps:
        yield "optimizer.step()  # without gradients it changes nothing, and the schedule wants one before its own"
        yield f"for _ in range({steps}):"
        yield "    schedule.step()"


def _step(session: Session) -> Iterator[str]:
    """One training step, in the order of the calls that a person would write."""
    config, optimizer = session.config, session.config.optimizer
    inputs, targets = session.state.inputs, session.state.targets
    if session.data is not None:
        inputs, targets = session.data.train.inputs, session.data.train.targets
    if inputs is None:
        yield "# The session has no rows: give it inputs of your own."
        yield f"inputs = torch.zeros(1, {config.network.inputs})"
    else:
        yield f"inputs = {_array(inputs)}"
    if targets is not None:
        yield f"targets = {_array(targets)}"
    yield from ("", "outputs = model(inputs)")
    if targets is None:
        yield "print(outputs)"
        return
    yield from ("loss = loss_function(outputs, targets)", 'print("loss", loss.item())')
    if not config.network.trainable:
        return
    yield from ("optimizer.zero_grad()", "loss.backward()")
    if optimizer.clip:
        how = "clip_grad_norm_" if optimizer.clip.type == "norm" else "clip_grad_value_"
        yield f"nn.utils.{how}(trainable, {optimizer.clip.value})"
    yield "optimizer.step()"
    if optimizer.schedule:
        yield "schedule.step()"
    yield from ("for name, layer in layers.items():", "    print(name, dict(layer.named_parameters()))")


def _options(spec: Spec, without: set[str] | None = None) -> dict[str, Any]:
    """The options that are not at their defaults, which are PyTorch's as well."""
    return spec.model_dump(exclude={"type", *(without or ())}, exclude_defaults=True)


def _call(name: str, options: dict[str, Any], *arguments: str) -> str:
    return f"{name}({', '.join([*arguments, *(f'{key}={value!r}' for key, value in options.items())])})"


def _array(array: Any, indent: int = 0) -> str:
    """An array exactly: its numbers written out, or, where they are many, its bytes."""
    if array.size > MAX_LITERAL:
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        content = b64encode(little.tobytes()).decode()
        return f'from_bytes({array.shape}, torch.{array.dtype.name}, "{content}")'
    values = array.tolist()
    text = f"torch.tensor({values})"
    if array.ndim == 1 or len(text) <= _WIDTH:
        return text
    rows = "".join(f"\n{' ' * (indent + 4)}{row}," for row in values)
    return f"torch.tensor([{rows}\n{' ' * indent}])"
