"""Small networks, and short ways to run them, that the tests share."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from app.engine import data as engine_data
from app.engine import passes, random, training
from app.engine.entries import Entry
from app.engine.expressions import Equation
from app.engine.network import Config
from app.engine.notation import to_python
from app.engine.plan import Ending, Frame, Plan, Stopped
from app.engine.rows import Data, Rows
from app.engine.state import State, check_initial_numbers, initial_state

T = TypeVar("T")

DATA: dict[str, Any] = {
    "type": "inline",
    "inputs": [[0.3, -0.2], [0.9, 0.4], [-0.5, 0.8], [0.1, 0.7], [-0.6, -0.9], [0.2, 0.5], [0.8, -0.7]],
    "targets": [[0.2], [0.9], [0.4], [0.6], [0.1], [0.7], [0.3]],
}
LAYERS = [
    {"name": "hidden", "units": 3, "activation": "tanh"},
    {"name": "output", "units": 1, "activation": "sigmoid"},
]


def make(**fields: Any) -> Config:
    """A config of 2 inputs, 3 tanh units and 1 sigmoid unit over seven rows, but for the fields that are given."""
    layers = fields.pop("layers", LAYERS)
    fields.setdefault("network", {"inputs": fields.pop("inputs", 2), "layers": layers})
    fields.setdefault("loss", "mse")
    fields.setdefault("data", DATA)
    config = Config.model_validate(fields)
    check_initial_numbers(config)
    return config


def start(config: Config) -> tuple[State, Data]:
    """The state that a config starts from, and its data."""
    assert config.data is not None
    return initial_state(config), engine_data.build_data(config, config.data)


def forward(config: Config, state: State, rows: Rows) -> State:
    """A whole forward pass over the session's own rows."""
    return passes.forward(config, passes.begin(state, rows.inputs, rows.targets, own_rows=True))


def gradients(config: Config, state: State, rows: Rows) -> State:
    """A forward and a backward pass."""
    return passes.backward(config, forward(config, state, rows))


def step(config: Config, state: State, rows: Rows) -> State:
    """A forward pass, a backward pass, and an update."""
    return passes.update(config, gradients(config, state, rows))


@dataclass
class Training:
    """What a training came to, and the entries that it gave on the way."""

    entries: list[Entry]
    state: State
    stopped: Stopped
    frames: list[Frame] = field(default_factory=list)
    checkpoints: list[State] = field(default_factory=list)


def no_time() -> float:
    """A clock that stands still: a training under it is never interrupted."""
    return 0.0


def slow_clock(seconds: float = 1.0) -> Callable[[], float]:
    """A clock that goes on by so many seconds each time it is looked at, so that a training yields after each step."""
    ticks = iter(range(10**9))
    return lambda: next(ticks) * seconds


def train(
    config: Config,
    state: State,
    data: Data,
    clock: Callable[[], float] = no_time,
    cancel_after: int | None = None,
    endings: Mapping[int, Ending] | None = None,
    **plan: Any,
) -> Training:
    """Train to the end.

    `cancel_after` cancels it at the so many-th of the times it yields; `endings` are sent in at theirs.
    """
    running = training.train(config, state, data, Plan(**plan), clock)
    sent = dict(endings or {}) | ({cancel_after: Ending("cancelled")} if cancel_after else {})
    entries: list[Entry] = []
    frames: list[Frame] = []
    checkpoints: list[State] = []
    answer = None
    while True:
        try:
            progress = running.send(answer)
        except StopIteration as end:
            return Training(entries, end.value.state, end.value.stopped, frames, checkpoints)
        entries += progress.entries
        frames += progress.frames
        checkpoints.append(progress.state)
        answer = sent.get(len(checkpoints))


def batches(
    config: Config, n: int, epoch: int, batch_size: int | None = None, shuffle: bool = False, drop_last: bool = False
) -> list[Any]:
    """The indices of the rows of each batch of an epoch, worked out anew."""
    order = random.permutation(config.seed, random.Purpose.SHUFFLE, epoch, n) if shuffle else np.arange(n)
    size = min(batch_size or n, n)
    cut = [order[first : first + size] for first in range(0, n, size)]
    return [batch for batch in cut if len(batch) == size or not drop_last]


def steps_by_hand(config: Config, state: State, rows: Rows, epochs: int, **plan: Any) -> Iterator[State]:
    """The states after each step of a training, done by single passes over rows picked by hand."""
    for epoch in range(epochs):
        for picked in batches(config, len(rows), epoch, **plan):
            state = step(config, state, rows.take(picked))
            yield state


def there(value: T | None) -> T:
    """The value, which must be there."""
    assert value is not None
    return value


def assert_close(actual: Any, expected: Any, rtol: float = 1e-7, atol: float = 0, message: str = "") -> None:
    """Both arrays are there, and agree within the tolerance."""
    assert actual is not None
    assert expected is not None
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, err_msg=message)


def assert_equal(actual: Any, expected: Any) -> None:
    """Both arrays are there, and the same number for number."""
    assert actual is not None
    assert expected is not None
    np.testing.assert_array_equal(actual, expected)


COUNTED_BY_TRAININGS = ("epochs", "epoch_position", "own_rows", "begun")


def assert_same(one: State, other: State, *, but: tuple[str, ...] = ()) -> None:
    """Both states are the same, bit for bit."""
    for name in State._fields:
        if name in but:
            continue
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, np.ndarray):
            assert isinstance(b, np.ndarray), name
            assert (a.dtype, a.shape) == (b.dtype, b.shape), name
            assert a.tobytes() == b.tobytes(), name
        else:
            assert a == b, name


def worth(formula: Equation | None, **values: float) -> float:
    """What a formula comes to for these values of its symbols."""
    assert formula is not None
    names = {name: getattr(math, name) for name in dir(math)}
    return float(eval(to_python(formula, {"pi": math.pi, **values}), {**names, "max": max, "min": min, "sum": sum}))
