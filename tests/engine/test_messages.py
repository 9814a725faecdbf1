"""Messages between a server and its workers: what arrives is what was sent, and what is known is not sent again."""

import io
from typing import Any

import numpy as np
import pytest

from app.engine import messages
from app.engine.messages import SMALL_BYTES, Ended, Failed, Message, Told, Training, held_by
from app.engine.plan import Ending, Frame, Plan, Trained, stopped
from app.engine.stops import Expression

from .networks import assert_same, gradients, make, start, step, there

LARGE = SMALL_BYTES // 8 + 1
WIDE = [{"name": "hidden", "units": 2000, "activation": "tanh"}, {"name": "output", "units": 1}]


def sent(message: Message, held: Any = ()) -> Any:
    """A message, written and read."""
    stream = io.BytesIO()
    messages.write(stream, message, held)
    stream.seek(0)
    return messages.read(stream, held)


def training(**fields: Any) -> Training:
    config = make(**fields)
    state, data = start(config)
    return Training(b"{}", gradients(config, step(config, state, data.train), data.train), data, Plan(epochs=3))


@pytest.mark.parametrize("message", [Failed("why"), Ending("time_limit", at_epoch=True), Told(None, [], None)])
def test_small_messages(message: Message) -> None:
    assert sent(message) == message


@pytest.mark.parametrize("layers", [WIDE, WIDE[1:]], ids=["large arrays", "small arrays"])
def test_a_training(layers: Any) -> None:
    there = training(layers=layers)
    here = sent(there)
    assert (here.config_json, here.plan) == (there.config_json, there.plan)
    assert_same(here.state, there.state)
    for one, other in zip(held_by(here), held_by(there), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
        assert not one.flags.writeable
    assert here.data.nbytes == there.data.nbytes


def test_what_is_the_same_array_stays_so() -> None:
    here = sent(training(layers=WIDE))
    assert here.state.used is here.state.parameters
    assert here.state.backward_used is here.state.used
    assert here.state.inputs is here.data.train.inputs is here.data.arrays[0]
    assert here.state.targets is here.data.train.targets


def test_what_both_have_is_not_sent_and_stays_the_very_same() -> None:
    there = training(layers=WIDE)
    stream = io.BytesIO()
    ended = Ended(Told(None, [], None), Trained(there.state._replace(steps=9), stopped("epochs", there.state)))
    messages.write(stream, ended, held_by(there))
    assert stream.tell() < 2000
    stream.seek(0)
    state = messages.read(stream, held_by(there)).trained.state
    assert state.steps == 9
    assert state.parameters is there.state.parameters
    assert state.inputs is there.data.train.inputs


@pytest.mark.parametrize("size", [0, 1, LARGE - 1, LARGE, 10 * LARGE])
def test_arrays_of_any_size(size: int) -> None:
    probe = np.arange(float(size)).reshape(size, 1)
    probe.setflags(write=False)
    array = there(sent(Told(None, [Frame(None, probe)], None)).frames[0].probe)
    assert array.shape == (size, 1)
    assert array.tobytes() == probe.tobytes()
    assert not array.flags.writeable


def test_numbers_that_are_none() -> None:
    odd = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0])
    assert sent(Told(None, [Frame(None, odd)], None)).frames[0].probe.tobytes() == odd.tobytes()


def test_a_condition_that_has_worked_out_something_for_itself() -> None:
    condition = Expression(value="loss < 0.1")
    assert callable(condition.condition.holds)
    plan = sent(training()._replace(plan=Plan(stop=(condition,)))).plan
    assert plan.stop == (Expression(value="loss < 0.1"),)


class Drops(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may."""

    def readinto(self, buffer: Any, /) -> int:
        return super().readinto(memoryview(buffer)[:1000])


def test_what_comes_in_drops() -> None:
    stream = io.BytesIO()
    for message in (Failed("x" * 5000), Told(None, [Frame(None, np.arange(float(LARGE)))], None)):
        messages.write(stream, message)
    source = Drops(stream.getvalue())
    assert messages.read(source) == Failed("x" * 5000)
    assert messages.read(source).frames[0].probe[-1] == LARGE - 1


@pytest.mark.parametrize("cut", [0, 4, 9, -1])
def test_a_stream_that_ends(cut: int) -> None:
    stream = io.BytesIO()
    messages.write(stream, Told(None, [Frame(None, np.arange(float(LARGE)))], None))
    with pytest.raises(EOFError):
        messages.read(io.BytesIO(stream.getvalue()[:cut]))
