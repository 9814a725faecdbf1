"""A preview tells what a step would do, and does nothing."""

import math
from typing import Any

import pytest
from engine.networks import assert_equal

from app.errors import InvalidInput, WrongPhase
from app.sessions.edits import Change
from app.sessions.operations import Backward, Forward, Step, Train
from app.sessions.preview import Preview

from .making import Walk

ALL = ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]


def on_the_way(**fields: Any) -> Walk:
    """A session with gradients to step from."""
    session = Walk(**fields)
    session.do(Train(), Forward(), Backward())
    return session


def preview(session: Walk, **fields: Any) -> dict[str, Any]:
    moved, _ = Preview.model_validate(fields).run(session.now)
    return dict(moved)


@pytest.mark.parametrize("optimizer", [{"type": "sgd", "learning_rate": 0.5, "momentum": 0.9}, "adam"])
def test_it_tells_what_a_step_does(optimizer: Any) -> None:
    session = on_the_way(optimizer=optimizer)
    before = session.now
    moved, norm = Preview().run(before)
    assert session.now is before
    after = session.do(Step())
    assert list(moved) == ALL
    for parameter in before.config.network.parameters:
        found = moved[parameter.name]
        assert_equal(found.before, parameter.view(before.state.parameters))
        assert_equal(found.after, parameter.view(after.state.parameters))
        assert_equal(found.update, found.after - found.before)
        assert found.after.shape == parameter.shape
    assert before.state.gradients is not None
    assert norm == pytest.approx(float((before.state.gradients**2).sum() ** 0.5))


def test_under_another_optimizer() -> None:
    session = on_the_way(optimizer="adam")
    for patch in ({"learning_rate": 0.25}, {"type": "sgd", "learning_rate": 0.25}, "sgd", None):
        found = preview(session, optimizer=patch)
        session.do(Change.model_validate({"optimizer": patch}), Step())
        after = session.now
        for parameter in after.config.network.parameters:
            assert_equal(found[parameter.name].after, parameter.view(after.state.parameters))
        session.rewind(3)


def test_of_some_parameters() -> None:
    session = on_the_way()
    assert list(preview(session, parameters=["output.bias", "hidden.weight"])) == ["hidden.weight", "output.bias"]
    session.do(Step(parameters=["output.bias"]))
    assert list(preview(session)) == ALL[:-1]
    with pytest.raises(WrongPhase):
        preview(session, parameters=["output.bias"])


def test_refusals() -> None:
    session = on_the_way()
    for fields, pointer in (
        ({"parameters": ["zebra.bias"]}, "/parameters/0"),
        ({"optimizer": {"zebra": 1}}, "/optimizer/zebra"),
        ({"optimizer": "zebra"}, "/optimizer"),
    ):
        with pytest.raises(InvalidInput) as caught:
            preview(session, **fields)
        assert [error.pointer for error in caught.value.errors] == [pointer]
    session.do(Step())
    with pytest.raises(WrongPhase):
        preview(session)


def test_numbers_that_are_not_finite_are_no_fault() -> None:
    layers = [{"name": "output", "units": 1, "bias": "none", "init": {"weight": 0.5}}]
    optimizer = {"type": "sgd", "learning_rate": 1e300}
    session = Walk(network={"inputs": 2, "layers": layers}, loss="mse", optimizer=optimizer)
    session.do(Forward(inputs=[[1e100, 1.0]], targets=[[0.0]]), Backward(), Step())
    assert session.now.state.parameters[0] == float("-inf")
    session.do(Forward(inputs=[[1.0, 1.0]], targets=[[0.0]]), Backward())
    moved, norm = Preview().run(session.now)
    assert math.isnan(moved["output.weight"].update[0][0])
    assert not math.isfinite(norm)
