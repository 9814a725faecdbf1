"""A session as a PyTorch script: run as it is, it takes the same step to the same numbers."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.engine.activations import AnyActivation
from app.engine.losses import AnyLoss
from app.engine.network import Config
from app.engine.optimizers import AnyOptimizer
from app.engine.schedules import AnySchedule
from app.engine.spec import kinds
from app.exports.pytorch import MAX_LITERAL, to_pytorch
from app.sessions.edits import Edit
from app.sessions.memory import MemoryStore
from app.sessions.operations import Backward, Forward, Operation, Step, Train
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.settings import Settings

VALUES: dict[str, Any] = {
    "inputs": [[1.0, -2.0], [0.3, 0.4], [-0.5, 0.9]], "targets": [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
}  # fmt: skip
CLASSES = {**VALUES, "targets": [0, 1, 1]}


def config(activation: Any = "tanh", last: str = "sigmoid", **fields: Any) -> dict[str, Any]:
    hidden = {"name": "hidden", "units": 3, "activation": activation, **fields.pop("hidden", {})}
    layers = [hidden, {"name": "output", "units": 2, "activation": last}]
    return {"network": {"inputs": 2, "layers": layers}, "loss": "mse", "data": VALUES, **fields}


def steps(made: dict[str, Any], *before: Any, then: Operation | None = None) -> tuple[Session, Session]:
    """A session after some operations, and after one more step."""

    async def do() -> tuple[Session, Session]:
        settings = Settings()
        sessions = Sessions(MemoryStore(settings, lambda: 0.0), settings, lambda: 0.0)
        session = await sessions.create(sessions.draft(Config.model_validate(made)))
        for operation in before:
            session, _ = await sessions.change(session.id, operation)
        after = session
        for operation in (then,) if then else (Forward(), Backward(), Step()):
            after, _ = await sessions.change(session.id, operation)
        return session, after

    return asyncio.run(do())


def run(script: str) -> dict[str, Any]:
    """What the script's names stand for at its end."""
    pytest.importorskip("torch", reason="NOT TESTED: PyTorch is not installed")
    from torch import get_default_dtype, set_default_dtype

    names: dict[str, Any] = {}
    kept = get_default_dtype()
    try:
        exec(compile(script, "script.py", "exec"), names)
    finally:
        set_default_dtype(kept)
    return names


def check(before: Session, after: Session, tolerance: float = 1e-12) -> dict[str, Any]:
    names = run(to_pytorch(before))
    state, network = after.state, after.config.network
    assert names["loss"].item() == pytest.approx(state.loss, rel=tolerance, abs=tolerance)
    for parameter in network.parameters:
        found = getattr(names["layers"][network.names[parameter.layer]], parameter.kind)
        theirs = found.detach().numpy()
        np.testing.assert_allclose(theirs, parameter.view(state.parameters), rtol=tolerance, atol=tolerance)
    return names


OPTIONS: dict[str, dict[str, Any]] = {
    "leaky_relu": {"negative_slope": 0.3},
    "elu": {"alpha": 0.7},
    "gelu": {"approximate": "tanh"},
}


def activations() -> Iterator[Any]:
    for kind in kinds(AnyActivation):
        yield kind.type_name()
        if options := OPTIONS.get(kind.type_name()):
            yield {"type": kind.type_name(), **options}


@pytest.mark.parametrize("activation", [*activations()], ids=str)
def test_every_activation(activation: Any) -> None:
    check(*steps(config(activation)))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", [kind.type_name() for kind in kinds(AnyLoss)])
def test_every_loss(loss: str, reduction: str) -> None:
    flat = loss in ("cross_entropy", "nll")
    check(*steps(config(loss={"type": loss, "reduction": reduction}, data=CLASSES if flat else VALUES)))


def optimizers() -> Iterator[dict[str, Any]]:
    for kind in kinds(AnyOptimizer):
        yield {"type": kind.type_name()}
        yield {"type": kind.type_name(), "weight_decay": 0.1}
    yield {"type": "sgd", "momentum": 0.9, "nesterov": True}
    yield {"type": "sgd", "momentum": 0.9, "dampening": 0.3}
    yield {"type": "adam", "amsgrad": True, "betas": [0.8, 0.95], "eps": 1e-3}
    yield {"type": "rmsprop", "centered": True, "momentum": 0.5}
    yield {"type": "adagrad", "lr_decay": 0.1, "initial_accumulator_value": 0.2}
    yield {"type": "sgd", "clip": {"type": "norm", "value": 0.01}}
    yield {"type": "sgd", "clip": {"type": "value", "value": 0.01}}


@pytest.mark.parametrize("trained", [0, 3])
@pytest.mark.parametrize("optimizer", [*optimizers()], ids=str)
def test_every_optimizer_from_the_start_and_on_the_way(optimizer: dict[str, Any], trained: int) -> None:
    made = config(optimizer={"learning_rate": 0.1, **optimizer})
    check(*steps(made, *([Train(epochs=trained)] if trained else [])))


SCHEDULES = {
    "constant": {},
    "step": {"step_size": 2, "gamma": 0.5},
    "exponential": {"gamma": 0.8},
    "cosine": {"T_max": 5, "eta_min": 0.01},
}


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")  # of PyTorch's own SequentialLR
@pytest.mark.parametrize("trained", [0, 1, 4])
@pytest.mark.parametrize("warmup", [None, {"start_factor": 0.25, "total_iters": 3}], ids=["cold", "warm"])
@pytest.mark.parametrize("schedule", [kind.type_name() for kind in kinds(AnySchedule)])
def test_every_schedule(schedule: str, warmup: Any, trained: int) -> None:
    rate = {"type": schedule, "warmup": warmup, **SCHEDULES[schedule]}
    made = config(optimizer={"type": "sgd", "learning_rate": 0.3, "schedule": rate})
    names = check(*steps(made, *([Train(epochs=trained)] if trained else [])))
    after = steps(made, Train(epochs=trained + 1))[0]
    assert names["optimizer"].param_groups[0]["lr"] == pytest.approx(after.config.optimizer.rate(after.state.steps))


@pytest.mark.parametrize("bias", ["per_unit", "shared", "none"])
def test_biases(bias: str) -> None:
    check(*steps(config(hidden={"bias": bias})))


def test_a_frozen_layer_stays() -> None:
    check(*steps(config(hidden={"trainable": False}), Train(epochs=2)))


def test_nothing_to_train() -> None:
    made = config()
    for layer in made["network"]["layers"]:
        layer["trainable"] = False
    names = check(*steps(made, then=Forward()))
    assert "optimizer" not in names


def test_float32() -> None:
    names = check(*steps(config(dtype="float32"), Train(epochs=3)), 1e-6)
    assert str(names["outputs"].dtype) == "torch.float32"


def test_many_numbers_are_bytes_and_as_exact() -> None:
    many = 60
    assert many * many > MAX_LITERAL
    inputs = np.random.default_rng(0).normal(size=(many, many)).tolist()
    layers = [{"name": "wide", "units": many, "activation": "relu"}, {"name": "output", "units": 2}]
    made = {
        "network": {"inputs": many, "layers": layers}, "loss": "cross_entropy", "optimizer": "adam",
        "data": {"inputs": inputs, "targets": [i % 2 for i in range(many)]},
    }  # fmt: skip
    check(*steps(made, Train(epochs=1)))


def test_a_pass_under_way_begins_anew() -> None:
    before, _ = steps(config(), Forward(), Backward(until="output"), then=Backward())
    after = steps(config())[1]
    check(before, after)


def test_without_rows_or_targets() -> None:
    names = run(to_pytorch(steps(config(data=None), then=Forward(inputs=[[1.0, 2.0]]))[0]))
    assert names["outputs"].shape == (1, 2)
    assert "loss" not in names
    before, after = steps(config(data=None), Forward(inputs=[[1.0, 2.0]]), then=Forward(inputs=[[1.0, 2.0]]))
    assert after.state.forward is not None
    names = run(to_pytorch(before))
    np.testing.assert_allclose(names["outputs"].detach().numpy().reshape(-1), after.state.forward[-2:], rtol=1e-12)


def test_odd_numbers_and_names() -> None:
    hidden = {"name": "inf", "activation": "relu"}
    made = config(hidden=hidden, name='a "name"\\\n"""; import os')
    before = steps(made, Edit({"inf.weight[0][0]": 1e308}), then=Forward())[0]
    parameters = before.state.parameters.copy()
    parameters[:3] = np.inf, -np.inf, np.nan
    names = run(to_pytorch(before._replace(state=before.state._replace(parameters=parameters))))
    assert names["__doc__"] == "a name; import os, revision 1, epoch 0: in PyTorch."
    assert "os" not in names
