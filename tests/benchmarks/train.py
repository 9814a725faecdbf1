"""A training epoch, against PyTorch's eager mode, and against what it cannot do without.

That is the matrix products of a large network, and of the notebook's network a loop as the notebook has it, in plain
Python.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import exp
from typing import Any

import numpy as np

from app.engine import training
from app.engine.data import build_data
from app.engine.network import Config
from app.engine.plan import Plan, Trained
from app.engine.state import State, initial_state

from .measure import Skip, Target, cost, speed, take_turns

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise Skip("torch is not installed") from None

ROUNDS, SECONDS = 9, 0.15
LEARNING_RATE = 0.5
MANY = 1_000_000
AGREEMENT = 1e-9
REPORTS = (("no reports", MANY), ("a report each epoch", 1))

Contender = Callable[[int], object]


@dataclass(frozen=True)
class Case:
    """A network of sigmoid layers, its batch, and how many times faster than PyTorch an epoch should be.

    `loop` and `products` are how many times longer at most it should take than those.
    """

    sizes: tuple[int, ...]
    batch: int
    loss: str
    target: float
    products: float | None = None
    loop: float | None = None

    @property
    def name(self) -> str:
        return f"train {'-'.join(map(str, self.sizes))}, batch {self.batch}, {self.loss}"


CASES = (
    Case((2, 2, 1), 1, "half_squared_error", 50, loop=1.5),
    Case((2, 2, 1), 1, "mse", 50),
    Case((2, 8, 8, 1), 200, "mse", 5),
    Case((64, 32, 10), 256, "mse", 2),
    Case((784, 128, 10), 64, "mse", 1.1, products=1.25),
    Case((784, 512, 512, 10), 256, "mse", 1.05),
)


def run() -> Iterator[str]:
    torch.set_num_threads(1)
    for case in CASES:
        config, state, eager = _set_up(case)
        for report, every in REPORTS:
            contenders = [_ours(config, state, every), eager]
            if case.products:
                contenders.append(_products(case))
            looped = case.loop if every == MANY else None  # the loop tells nothing
            if looped:
                contenders.append(_loop(config, state))
            ours, theirs, *others = take_turns(contenders, ROUNDS, SECONDS)
            name = f"{case.name}, {report}"
            yield speed(f"{name}: faster than PyTorch", ours, theirs, Target(case.target, at_least=True))
            if case.products:
                yield cost(f"{name}: against its matrix products", ours, others[0], Target(case.products))
            if looped:
                yield cost(f"{name}: against the loop in plain Python", ours, others[0], Target(looped))


def _set_up(case: Case) -> tuple[Config, State, Contender]:
    """A config with its rows, the state that it starts from, and the same in PyTorch."""
    rng = np.random.default_rng(7)
    inputs, targets = rng.uniform(-1, 1, (case.batch, case.sizes[0])), rng.uniform(0, 1, (case.batch, case.sizes[-1]))
    config = Config.model_validate({
        "network": {
            "inputs": case.sizes[0],
            "layers": [{"units": units, "activation": "sigmoid"} for units in case.sizes[1:]],
        },
        "loss": case.loss,
        "optimizer": {"type": "sgd", "learning_rate": LEARNING_RATE},
        "data": {"inputs": inputs.tolist(), "targets": targets.tolist()},
    })  # fmt: skip
    state = initial_state(config)
    model = _model(case, state.parameters.copy())
    eager = _eager(case, model, torch.from_numpy(inputs), torch.from_numpy(targets))
    _check_agreement(config, state, model, eager)
    return config, state, eager


def _ours(config: Config, state: State, report_every: int) -> Contender:
    def train(epochs: int) -> State:
        assert config.data is not None
        steps = training.train(config, state, rows, Plan(epochs, report_every=report_every), time.perf_counter)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                trained: Trained = stop.value
                return trained.state

    assert config.data is not None
    rows = build_data(config, config.data)
    return train


def _model(case: Case, parameters: Any) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, units in pairwise(case.sizes):
        layers += [nn.Linear(inputs, units, dtype=torch.float64), nn.Sigmoid()]
    model = nn.Sequential(*layers)
    nn.utils.vector_to_parameters(torch.from_numpy(parameters), model.parameters())
    return model


def _half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * ((outputs - targets) ** 2).sum(1).mean()


def _eager(case: Case, model: nn.Module, inputs: Tensor, targets: Tensor) -> Contender:
    loss_function = nn.MSELoss() if case.loss == "mse" else _half_squared_error
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def train(epochs: int) -> None:
        for _ in range(epochs):
            optimizer.zero_grad()
            loss = loss_function(model(inputs), targets)
            loss.backward()
            optimizer.step()

    return train


def _check_agreement(config: Config, state: State, model: nn.Module, eager: Contender) -> None:
    """Both must have done the same work: after as many epochs their parameters are equal."""
    eager(20)
    theirs = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    ours = _ours(config, state, MANY)(20)
    assert isinstance(ours, State)
    difference = float(np.abs(ours.parameters - theirs).max())
    assert difference < AGREEMENT, f"PyTorch comes to other parameters, by {difference}"


def _products(case: Case) -> Contender:
    """The products alone: x·Wᵀ and ∂L/∂zᵀ·x of each layer, and ∂L/∂z·W of each but the first."""
    rng = np.random.default_rng(7)
    values = [rng.uniform(-1, 1, (case.batch, units)) for units in case.sizes]
    weights = [rng.uniform(-1, 1, (units, inputs)) for inputs, units in pairwise(case.sizes)]
    outs = [np.empty((case.batch, units)) for units in case.sizes]
    gradients = [np.empty_like(weight) for weight in weights]
    triples = []
    for index, weight in enumerate(weights):
        x, dz = values[index], values[index + 1]
        triples += [(x, weight.T, outs[index + 1]), (dz.T, x, gradients[index])]
        if index:
            triples.append((dz, weight, outs[index]))

    def multiply(epochs: int) -> None:
        for _ in range(epochs):
            for left, right, out in triples:
                left.dot(right, out)

    return multiply


def _loop(config: Config, state: State) -> Contender:
    """One sample's epochs by hand: 2 inputs, 2 sigmoid units and 1, half the squared error, plain SGD."""
    assert config.data is not None
    rows = build_data(config, config.data).train
    (x1, x2), (t,) = rows.inputs[0].tolist(), rows.targets[0].tolist()
    parameters = state.parameters.tolist()

    def train(epochs: int) -> list[float]:
        w11, w12, w21, w22, b1, b2, v1, v2, c = parameters
        for _ in range(epochs):
            a1 = 1 / (1 + exp(-(w11 * x1 + w12 * x2 + b1)))
            a2 = 1 / (1 + exp(-(w21 * x1 + w22 * x2 + b2)))
            y = 1 / (1 + exp(-(v1 * a1 + v2 * a2 + c)))
            d = (y - t) * y * (1 - y)
            d1 = d * v1 * a1 * (1 - a1)
            d2 = d * v2 * a2 * (1 - a2)
            v1 -= LEARNING_RATE * d * a1
            v2 -= LEARNING_RATE * d * a2
            c -= LEARNING_RATE * d
            w11 -= LEARNING_RATE * d1 * x1
            w12 -= LEARNING_RATE * d1 * x2
            b1 -= LEARNING_RATE * d1
            w21 -= LEARNING_RATE * d2 * x1
            w22 -= LEARNING_RATE * d2 * x2
            b2 -= LEARNING_RATE * d2
        return [w11, w12, w21, w22, b1, b2, v1, v2, c]

    ours = _ours(config, state, MANY)(20)
    assert isinstance(ours, State)
    difference = float(np.abs(ours.parameters - train(20)).max())
    assert difference < AGREEMENT, f"the loop comes to other parameters, by {difference}"
    return train
