"""Edits of single numbers and of whole tensors. (Those of the optimizer are in test_operations.)"""

from typing import Any

import orjson
import pytest
from engine.networks import assert_equal, assert_same
from pydantic import ValidationError

from app.engine.collected import Iris
from app.engine.datasets import Moons, Xor
from app.engine.state import State
from app.errors import InvalidInput, LimitExceeded
from app.sessions.edits import Edit, NewData
from app.sessions.operations import (
    MAX_ARGUMENTS,
    MAX_NAMES,
    NO_ARGUMENTS,
    Arguments,
    Backward,
    Forward,
    Step,
    Train,
)
from app.settings import Settings

from .making import Walk, edit, rows

NAMES = {
    "hidden.weight": slice(0, 4),
    "hidden.bias": slice(4, 5),
    "output.weight": slice(5, 7),
    "output.bias": slice(7, 8),
}


def parameters(state: State) -> dict[str, list[float]]:
    return {name: state.parameters[place].tolist() for name, place in NAMES.items()}


def refused(session: Walk, values: Any) -> str:
    """Where an edit is refused."""
    before = session.now
    with pytest.raises(InvalidInput) as caught:
        session.do(edit(values))
    assert session.now is before
    (error,) = caught.value.errors
    return error.pointer


def test_a_single_number() -> None:
    session = Walk()
    before = parameters(session.now.state)
    after = parameters(session.do(edit({"hidden.weight[1][0]": 0.5})).state)
    assert after == {**before, "hidden.weight": [0.15, 0.2, 0.5, 0.3]}
    assert session.now.revision == 1
    assert session.revisions[1].operation == "edit"
    assert session.revisions[1].arguments == b'{"hidden.weight[1][0]":0.5}'


def test_an_edit_is_known_until_the_next_pass_begins() -> None:
    session = Walk()
    assert not session.now.state.edited
    assert session.do(Forward(), edit({"hidden.weight[1][0]": 0.5})).state.edited
    assert session.do(Backward(), Step()).state.edited
    assert not session.do(Forward()).state.edited
    session.do(edit({"hidden.weight[1][0]": 0.5}))
    assert not session.do(Train()).state.edited
    session.do(edit({"hidden.weight[1][0]": 0.5}))
    assert not session.do(NewData(rows(2))).state.edited


def test_whole_tensors_and_several_at_once() -> None:
    session = Walk()
    values = {"hidden.weight": [[1, 2], [3, 4]], "output.bias": [5], "hidden.weight[0][1]": -2.5}
    after = parameters(session.do(edit(values)).state)
    assert after["hidden.weight"] == [1, -2.5, 3, 4]
    assert after["output.bias"] == [5]
    assert session.numbers == [0, 1]


def test_a_shared_bias_is_one_number() -> None:
    session = Walk()
    assert parameters(session.do(edit({"hidden.bias[0]": 0.5})).state)["hidden.bias"] == [0.5]
    assert parameters(session.do(edit({"hidden.bias": [0.25]})).state)["hidden.bias"] == [0.25]
    assert refused(session, {"hidden.bias": [0.25, 0.25]}) == "/hidden.bias"
    assert refused(session, {"hidden.bias[1]": 0.25}) == "/hidden.bias[1]"


def test_a_frozen_layer_can_be_edited() -> None:
    layers = [{"name": "hidden", "units": 2, "trainable": False}, {"name": "output", "units": 1}]
    session = Walk(network={"inputs": 2, "layers": layers}, loss="mse")
    state = session.do(edit({"hidden.weight": [[1, 2], [3, 4]]}), Train()).state
    assert state.parameters[:4].tolist() == [1, 2, 3, 4]


def test_float32() -> None:
    session = Walk(dtype="float32")
    state = session.do(edit({"output.bias[0]": 0.1, "output.weight": [[1e-50, 16777217]]})).state
    assert str(state.parameters.dtype) == "float32"
    assert state.parameters[5:].tolist() == [0, 16777216, 0.10000000149011612]
    assert refused(session, {"output.bias": [1e39]}) == "/output.bias"


def test_trace_gradients_and_slots_stay() -> None:
    session = Walk(optimizer="adam")
    before = session.do(Train(), Forward(), Backward(), Step(parameters=["hidden.bias"])).state
    after = session.do(edit({"output.weight[0][0]": 9})).state
    assert_same(after, before, but=("parameters", "edited"))
    assert after.used is before.used
    assert before.parameters[5] != 9
    with pytest.raises(ValueError, match="read-only"):
        after.parameters[0] = 1


def test_the_next_pass_takes_what_was_edited() -> None:
    session = Walk()
    session.do(Forward(until="hidden"), edit({"output.weight": [[0, 0]], "hidden.weight": [[9, 9], [9, 9]]}))
    state = session.do(Forward()).state
    assert state.used[5:7].tolist() == [0, 0]
    assert state.used[:4].tolist() == [0.15, 0.2, 0.25, 0.3]  # the layer was passed already


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("zebra.weight", [[1]]),
        ("hidden.zebra", 1),
        ("hidden", 1),
        ("hidden.z[0][0]", 1),
        ("loss", 1),
        ("hidden.weight.gradient[0][0]", 1),
        ("hidden.weight.next[0][0]", 1),
        ("hidden.weight[0]", [1, 2]),
        ("hidden.weight[0][2]", 1),
        ("hidden.weight[0][0][0]", 1),
        ("hidden.weight[0][0]", [1]),
        ("hidden.weight", 1),
        ("hidden.weight", [1, 2, 3, 4]),
        ("hidden.weight", [[1, 2, 3], [4, 5, 6]]),
        ("output.bias", [[1]]),
        ("output.bias", 1),
        ("", 1),
        ("hidden.weight[-1][0]", 1),
    ],
)
def test_what_is_no_parameter_or_has_another_shape(name: str, value: Any) -> None:
    assert refused(Walk(optimizer="adam"), {"output.weight": [[1, 1]], name: value}) == "/" + name


def test_a_slot_is_no_parameter_and_pointers_are_escaped() -> None:
    session = Walk(optimizer="adam")
    assert refused(session, {"hidden.weight.state.exp_avg[0][0]": 1}) == "/hidden.weight.state.exp_avg[0][0]"
    assert refused(session, {"a/b~c": 1}) == "/a~1b~0c"


@pytest.mark.parametrize(
    "text",
    [
        "{}", "[]", '{"hidden.bias": []}', '{"hidden.bias": [[]]}', '{"hidden.bias": [NaN]}', '{"hidden.bias": NaN}',
        '{"hidden.bias": "1"}', '{"hidden.bias": null}', '{"hidden.bias": true}', '{"hidden.bias": [[1], 2]}',
        '{"hidden.bias": [1, [2]]}', '{"hidden.weight": [[1, 2], [3]]}',
        '{"hidden.bias": {"a": 1}}', '{"hidden.bias": [Infinity]}',
    ],
)  # fmt: skip
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValidationError):
        Edit.model_validate_json(text)


def test_arguments_that_are_too_many_are_not_kept() -> None:
    """Of those their names alone, with null for the numbers; and nothing where the names are too many too."""
    few = edit({"hidden.weight": [[1 / 3, 0.5]] * 20, "output.bias[0]": 0.25})
    text = orjson.dumps({"hidden.weight": [[1 / 3, 0.5]] * 20, "output.bias[0]": 0.25})
    assert few.arguments() == Arguments(text, complete=True)
    long_text = edit({"hidden.weight": [[1 / 3, 2 / 3]] * 60})
    many = edit({"hidden.weight": [[0.5] * 40] * 50})
    assert long_text.arguments() == many.arguments() == Arguments(b'{"hidden.weight":null}', complete=False)
    assert MAX_ARGUMENTS < 2 * 40 * 50
    some = edit(dict.fromkeys([f"hidden.weight[{i}][0]" for i in range(MAX_NAMES // 40)], 1))
    assert not some.arguments().complete
    assert orjson.loads(some.arguments().text) == dict.fromkeys(some.root)
    most = edit(dict.fromkeys([f"hidden.weight[{i}][0]" for i in range(MAX_NAMES // 20)], 1))
    assert most.arguments() == Arguments(b"{}", complete=False)


def test_limits_hold_for_an_edit() -> None:
    session = Walk()
    job = edit({"output.bias": [1]}).prepare(session.now, session.settings)
    edit({"output.bias": [1]}).prepare(session.now, Settings(max_bytes=job.nbytes))
    with pytest.raises(LimitExceeded):
        edit({"output.bias": [1]}).prepare(session.now, Settings(max_bytes=job.nbytes - 1))


def test_new_data_is_a_revision_whose_rows_are_kept_as_arrays() -> None:
    session = Walk()
    operation = NewData(rows(2))
    assert operation.arguments() == NO_ARGUMENTS
    after = session.do(Train(), operation)
    assert after.data is not None
    assert_equal(after.data.train.inputs, [[1, 2], [1, 2]])
    assert session.at(1).row_count == 3
    assert session.rewind(1).row_count == 3


def test_a_named_set_goes_with_its_revision() -> None:
    session = Walk(data="xor", optimizer="adam")
    session.do(Train(epochs=3), NewData(Moons(samples=20, seed=3)), Train(epochs=2), NewData(rows(2)), Train(epochs=2))
    types = [session.at(revision).config.data for revision in range(6)]
    assert types == [Xor(seed=0), Xor(seed=0), Moons(samples=20, seed=3), Moons(samples=20, seed=3), None, None]
    assert [session.at(revision).row_count for revision in range(6)] == [4, 4, 20, 20, 2, 2]
    assert orjson.loads(session.revisions[2].arguments) == Moons(samples=20, seed=3).model_dump()
    expected = [session.at(epoch=epoch).state for epoch in (2, 4, 6)]
    session.let_go(session.history.state_bytes - 1)
    for epoch, state in zip((2, 4, 6), expected, strict=True):
        assert_same(session.at(epoch=epoch).state, state)
    assert session.rewind(epoch=4).config.data == Moons(samples=20, seed=3)
    assert session.fork(1).now.config.data == Xor(seed=0)


def test_what_does_not_fit_changes_nothing() -> None:
    session = Walk(data="xor")
    with pytest.raises(InvalidInput, match="the set iris has 4 inputs; the network takes 2"):
        session.do(NewData(Iris()))
    assert session.now.config.data == Xor(seed=0)
    assert session.now.row_count == 4
