"""A config's network, loss and optimizer built from PyTorch's own parts, and what they come to.

This is the other side of the parity tests. It takes nothing from the engine but the config, where each parameter lies
in the packed vector, and the numbers to start from.
"""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import lr_scheduler

from app.engine.network import Config
from app.engine.rows import Rows
from app.engine.spec import Array

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
LOSSES = {
    "mse": nn.MSELoss,
    "mae": nn.L1Loss,
    "huber": nn.HuberLoss,
    "bce": nn.BCELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
    "cross_entropy": nn.CrossEntropyLoss,
    "nll": nn.NLLLoss,
}


class Epoch(NamedTuple):
    """What one step found, and the parameters and slots that it left."""

    outputs: Array
    loss: float
    gradients: Array
    parameters: Array
    slots: Array


def epochs(config: Config, parameters: Array, rows: Rows, count: int) -> Iterator[Epoch]:
    """The first `count` steps from these parameters, each over all rows."""
    return steps(config, parameters, repeat(rows, count))


def steps(config: Config, parameters: Array, batches: Iterable[Rows]) -> Iterator[Epoch]:
    """The steps from these parameters over these batches, one after the other."""
    network = config.network
    leaves = [
        torch.tensor(parameter.view(parameters).copy(), requires_grad=parameter.trainable)
        for parameter in network.parameters
    ]
    trainable = [leaf for leaf in leaves if leaf.requires_grad]
    optimizer = OPTIMIZERS[config.optimizer.type](trainable, **optimizer_options(config))
    schedule = build_schedule(config, optimizer)
    for rows in batches:
        inputs, targets = torch.tensor(rows.inputs), torch.tensor(rows.targets)
        optimizer.zero_grad()
        outputs = run_forward(config, leaves, inputs)
        loss = run_loss(config, outputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = packed(config, [leaf.grad for leaf in leaves])
        clip = config.optimizer.clip
        if clip and clip.type == "norm":
            nn.utils.clip_grad_norm_(trainable, clip.value)
        elif clip:
            nn.utils.clip_grad_value_(trainable, clip.value)
        optimizer.step()
        if schedule:
            schedule.step()
        slots = [
            packed(config, [optimizer.state.get(leaf, {}).get(name) for leaf in leaves])
            for name in config.optimizer.slot_names()
        ]
        yield Epoch(
            outputs.detach().numpy().copy(),
            loss.item(),
            gradients,
            packed(config, [leaf.detach() for leaf in leaves]),
            np.array(slots, config.dtype).reshape(len(slots), network.parameter_count),
        )


def packed(config: Config, tensors: list[Tensor | None]) -> Array:
    """A tensor for each parameter in one vector, with NaN for the missing."""
    vector = np.full(config.network.parameter_count, np.nan, config.dtype)
    for parameter, tensor in zip(config.network.parameters, tensors, strict=True):
        if tensor is not None:
            parameter.view(vector)[...] = tensor.numpy()
    return vector


def run_forward(config: Config, leaves: list[Tensor], inputs: Tensor) -> Tensor:
    """The outputs; a shared bias is one number, spread over the units."""
    remaining = iter(leaves)
    for layer in config.network.layers:
        weight = next(remaining)
        bias = None if layer.bias == "none" else next(remaining).expand(layer.units)
        inputs = activation(layer.activation)(functional.linear(inputs, weight, bias))
    return inputs


def activation(spec: Any) -> nn.Module:
    """PyTorch's module for an activation."""
    options = spec.model_dump(exclude={"type"})
    modules: dict[str, Any] = {
        "identity": nn.Identity,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "leaky_relu": nn.LeakyReLU,
        "elu": nn.ELU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "softplus": nn.Softplus,
        "softmax": lambda: nn.Softmax(dim=1),
    }
    module: nn.Module = modules[spec.type](**options)
    return module


def run_loss(config: Config, outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss; only half the squared error is not PyTorch's own."""
    if config.loss.type == "half_squared_error":
        each = 0.5 * ((outputs - targets) ** 2).sum(dim=1)
        return each.mean() if config.loss.reduction == "mean" else each.sum()
    loss: Tensor = LOSSES[config.loss.type](**config.loss.model_dump(exclude={"type"}))(outputs, targets)
    return loss


def optimizer_options(config: Config) -> dict[str, Any]:
    """The optimizer's options under PyTorch's names: ours, with `lr` for the learning rate."""
    options = config.optimizer.model_dump(exclude={"type", "clip", "schedule"})
    return {"lr": options.pop("learning_rate"), **options}


def build_schedule(config: Config, optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler | None:
    """The schedule, behind a linear warm-up if there is one."""
    schedule = config.optimizer.schedule
    if schedule is None:
        return None
    options = schedule.model_dump(exclude={"type", "warmup"})
    schedulers: dict[str, Any] = {
        "constant": lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0),
        "step": lr_scheduler.StepLR,
        "exponential": lr_scheduler.ExponentialLR,
        "cosine": lr_scheduler.CosineAnnealingLR,
    }
    build = schedulers[schedule.type]
    warmup = schedule.warmup
    if warmup is None:
        built: lr_scheduler.LRScheduler = build(optimizer, **options)
        return built
    rise = lr_scheduler.LinearLR(optimizer, warmup.start_factor, total_iters=warmup.total_iters)
    return lr_scheduler.SequentialLR(optimizer, [rise, build(optimizer, **options)], [warmup.total_iters])
