"""A session as one document: whole, exact, and refused where it does not go together."""

import asyncio
import base64
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

from app.engine import training
from app.engine.data import build_data
from app.engine.plan import Plan
from app.errors import InvalidInput, field_errors
from app.exports.document import FORMAT, VERSION, Document, export, restore, rows_in_use
from app.sessions.edits import Edit as ByHand
from app.sessions.memory import MemoryStore
from app.sessions.operations import Backward, Forward, Operation, Step, Train
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.settings import Settings

CONFIG: dict[str, Any] = {
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden", "units": 3, "activation": "tanh"},
            {"name": "output", "units": 2, "activation": "softmax"},
        ],
    },
    "loss": "mse",
    "optimizer": "adam",
    "data": {"inputs": [[1.0, 2.0], [3.0, 4.0]], "targets": [[0.0, 1.0], [1.0, 0.0]]},
}
CLASSES = {**CONFIG, "loss": "cross_entropy", "data": {"inputs": [[1.0, 2.0], [3.0, 4.0]], "targets": [0, 1]}}
OTHER_ROWS = Forward(inputs=[[5.0, 6.0]], targets=[[0.5, 0.5]])
PART: list[Operation] = [Forward(), Backward(until="output"), Step(parameters=["output.bias"])]


def after(*operations: Operation, **fields: Any) -> Session:
    async def do() -> Session:
        settings = Settings()
        sessions = Sessions(MemoryStore(settings, lambda: 0.0), settings, lambda: 0.0)
        document = Document.model_validate({**EMPTY, "config": {**CONFIG, **fields}})
        session = await sessions.create(sessions.draft(document.config))
        for operation in operations:
            session, _ = await sessions.change(session.id, operation)
        return session

    return asyncio.run(do())


EMPTY: dict[str, Any] = {
    "format": FORMAT,
    "version": VERSION,
    "counters": {
        "steps": 0, "epochs": 0, "epoch_position": 0, "forwarded": 0, "backwarded": 0, "updates": [], "stepped": [],
        "own_rows": False,
    },
    "phase": "ready",
    "tensors": {},
}  # fmt: skip


def document_of(session: Session) -> dict[str, Any]:
    """As it goes over the wire."""
    document: dict[str, Any] = orjson.loads(orjson.dumps(export(session), option=orjson.OPT_SERIALIZE_NUMPY))
    return document


def restored(value: dict[str, Any]) -> Any:
    document = Document.model_validate(value)
    config = document.config
    return restore(document, build_data(config, config.data) if config.data else None)


@pytest.mark.parametrize(
    "operations",
    [
        [],
        [Forward(until="hidden")],
        [Forward()],
        [Forward(inputs=[[5.0, 6.0]])],
        [OTHER_ROWS],
        [Forward(), Backward(until="output")],
        [Forward(), Backward(until="output"), Step(parameters=["output.weight", "output.bias"])],
        PART,
        [*PART, Backward(using="current")],
        [Forward(), Backward(), Step()],
        [Train(epochs=3, batch_size=1)],
        [Train(epochs=3), OTHER_ROWS, Backward(), Step()],
        [Forward(), Backward(), Step(), ByHand.model_validate({"hidden.weight[0][0]": 0.5})],
    ],
)
@pytest.mark.parametrize("fields", [{}, {"dtype": "float32"}, CLASSES, {"optimizer": {"type": "sgd", "momentum": 0.9}}])
def test_round_trip(operations: list[Operation], fields: dict[str, Any]) -> None:
    session = after(*operations, **fields)
    state, back = session.state, restored(document_of(session))
    for name, value in state._asdict().items():
        again = getattr(back, name)
        if isinstance(value, np.ndarray):
            assert (again.dtype, again.shape, again.tobytes()) == (value.dtype, value.shape, value.tobytes()), name
            assert not again.flags.writeable
        else:
            assert again == value, name
    assert (back.used is back.parameters) == (state.used is state.parameters)


def test_a_document() -> None:
    document = document_of(after(Forward(), Backward()))
    assert (document["format"], document["version"]) == ("gradstep-session", 1)
    assert set(document) == {"format", "version", "config", "counters", "phase", "tensors"}
    tensor = document["tensors"]["hidden.weight"]
    assert (tensor["dtype"], tensor["shape"]) == ("float64", [3, 2])
    assert len(base64.b64decode(tensor["base64"])) == 48
    for name in ("hidden.z", "output.a", "output.dL_dz", "hidden.bias.gradient", "hidden.bias.state.exp_avg", "loss"):
        assert name in document["tensors"]
    assert "inputs" not in document["tensors"]  # they are the config's own


def test_a_document_from_before_edits_were_told_from_steps() -> None:
    document = document_of(after(Forward(), ByHand.model_validate({"hidden.weight[0][0]": 0.5})))
    assert document["counters"]["edited"]
    assert restored(document).edited
    del document["counters"]["edited"]
    assert not restored(document).edited


def cut(**fields: Any) -> Session:
    """A session that stands in the middle of an epoch."""
    session = after(**fields)
    plan = Plan(batch_size=1, steps=1)
    assert session.data is not None
    running = training.train(session.config, session.state, session.data, plan, lambda: 0.0)
    try:
        while True:
            next(running)
    except StopIteration as end:
        return session._replace(state=end.value.state)


@pytest.mark.parametrize("fields", [{}, CLASSES, {"loss": "bce"}])
def test_a_cut_epoch_goes_on_with_what_it_had_come_to(fields: dict[str, Any]) -> None:
    session = cut(**fields)
    document = document_of(session)
    assert document["counters"]["begun"]["rows"] == document["counters"]["epoch_position"] == 1
    assert restored(document).begun == session.state.begun is not None
    del document["counters"]["begun"]  # as in a document from before these were in it
    assert restored(document).begun is None


@pytest.mark.parametrize(
    ("fields", "begun", "pointer"),
    [
        (CLASSES, {"rows": 2}, "/counters/begun"),
        (CLASSES, {"rows": 2**53, "answers": 2**53}, "/counters/begun"),
        (CLASSES, {"hits": 2}, "/counters/begun"),
        (CLASSES, {"answers": 2}, "/counters/begun"),
        ({}, {"answers": 1}, "/counters/begun"),
        ({"loss": "bce"}, {"answers": 1}, "/counters/begun"),
    ],
)
def test_what_no_part_of_an_epoch_comes_to(fields: dict[str, Any], begun: dict[str, int], pointer: str) -> None:
    document = document_of(cut(**fields))
    document["counters"]["begun"].update(begun)
    with pytest.raises(InvalidInput) as caught:
        restored(document)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_rows_in_use() -> None:
    assert rows_in_use(Document.model_validate(document_of(after(Forward())))) == 0
    assert rows_in_use(Document.model_validate(document_of(after(OTHER_ROWS)))) == 1
    scalar = {"dtype": "float64", "shape": [], "base64": ""}
    assert rows_in_use(Document.model_validate({**EMPTY, "config": CONFIG, "tensors": {"inputs": scalar}})) == 0


def tensor(shape: list[int], dtype: str = "float64", fill: float = 1) -> dict[str, Any]:
    content = np.full(shape, fill, dtype).tobytes()
    return {"dtype": dtype, "shape": shape, "base64": base64.b64encode(content).decode()}


Edit = Callable[[dict[str, Any]], Any]


def with_tensor(name: str, value: Any) -> Edit:
    return lambda document: document["tensors"].update({name: value})


def without(name: str) -> Edit:
    return lambda document: document["tensors"].pop(name)


def with_counters(**counters: Any) -> Edit:
    return lambda document: document["counters"].update(counters)


def with_phase(phase: str) -> Edit:
    return lambda document: document.update(phase=phase)


BACKWARD: list[Operation] = [Forward(), Backward()]
CASES: list[tuple[str, list[Operation], Edit, str]] = [
    ("a parameter is missing", [], without("hidden.bias"), "/tensors/hidden.bias"),
    ("a slot is missing", [], without("hidden.bias.state.exp_avg"), "/tensors/hidden.bias.state.exp_avg"),
    ("an activation is missing", [Forward()], without("hidden.a"), "/tensors/hidden.a"),
    ("a derivative is missing", BACKWARD, without("hidden.dL_dz"), "/tensors/hidden.dL_dz"),
    ("a gradient is missing", BACKWARD, without("output.bias.gradient"), "/tensors/output.bias.gradient"),
    ("the loss is missing", [Forward()], without("loss"), "/tensors/loss"),
    ("inputs are missing", [OTHER_ROWS], without("inputs"), "/tensors/inputs"),
    ("used ones are missing", PART, without("hidden.weight.used"), "/tensors/hidden.weight.used"),
    ("an unknown tensor", [], with_tensor("zebra", tensor([1])), "/tensors/zebra"),
    ("inputs beside own rows", [Forward()], with_tensor("inputs", tensor([1, 2])), "/tensors/inputs"),
    ("a loss without targets", [Forward(inputs=[[1.0, 2.0]])], with_tensor("loss", tensor([])), "/tensors/loss"),
    ("a loss before the end", [Forward(until="hidden")], with_tensor("loss", tensor([])), "/tensors/loss"),
    ("a trace before a pass", [], with_tensor("hidden.z", tensor([1, 3])), "/tensors/hidden.z"),
    ("a shape", [], with_tensor("hidden.weight", tensor([2, 3])), "/tensors/hidden.weight"),
    ("too few axes", [], with_tensor("hidden.weight", tensor([6])), "/tensors/hidden.weight"),
    ("a dtype", [], with_tensor("hidden.weight", tensor([3, 2], "float32")), "/tensors/hidden.weight"),
    ("no base64", [], with_tensor("hidden.bias", {**tensor([3]), "base64": "zebra!"}), "/tensors/hidden.bias"),
    ("no ascii", [], with_tensor("hidden.bias", {**tensor([3]), "base64": "ü" * 8}), "/tensors/hidden.bias"),
    ("too few bytes", [], with_tensor("hidden.bias", {**tensor([3]), "base64": "AAAA"}), "/tensors/hidden.bias"),
    ("inputs that are not finite", [OTHER_ROWS], with_tensor("inputs", tensor([1, 2], fill=np.nan)), "/tensors/inputs"),
    ("no targets to go back from", [OTHER_ROWS, Backward()], without("targets"), "/tensors/targets"),
    ("no rows", [OTHER_ROWS], with_tensor("inputs", tensor([0, 2])), "/tensors/inputs"),
    ("rows of another width", [OTHER_ROWS], with_tensor("inputs", tensor([1, 3])), "/tensors/inputs"),
    ("other rows of targets", [OTHER_ROWS], with_tensor("targets", tensor([2, 2])), "/tensors/targets"),
    ("classes for mse", [OTHER_ROWS], with_tensor("targets", tensor([1], "int64")), "/tensors/targets"),
    ("updates", [], with_counters(updates=[0]), "/counters/updates"),
    ("forwarded too far", [Forward()], with_counters(forwarded=3), "/counters/forwarded"),
    ("not forwarded", [], with_phase("forward"), "/counters/forwarded"),
    ("backwarded too far", BACKWARD, with_counters(backwarded=3), "/counters/backwarded"),
    ("backwarded before forward", [Forward(until="hidden")], with_counters(backwarded=1), "/counters/backwarded"),
    ("not backwarded", [Forward()], with_phase("backward"), "/counters/backwarded"),
    ("backwarded within forward", BACKWARD, with_phase("forward"), "/counters/backwarded"),
    ("stepped before backward", [Forward()], with_counters(stepped=["hidden.bias"]), "/counters/stepped"),
    ("stepped what is not there", BACKWARD, with_counters(stepped=["zebra"]), "/counters/stepped"),
    (
        "stepped them all",
        BACKWARD,
        with_counters(stepped=["hidden.weight", "hidden.bias", "output.weight", "output.bias"]),
        "/counters/stepped",
    ),
    ("own rows without a pass", [], with_counters(own_rows=True), "/counters/own_rows"),
    ("a place beyond the epoch", [], with_counters(epoch_position=2), "/counters/epoch_position"),
]


@pytest.mark.parametrize(("operations", "edit", "pointer"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_refused(operations: list[Operation], edit: Edit, pointer: str) -> None:
    document = document_of(after(*operations))
    restored(document)
    edit(document)
    with pytest.raises(InvalidInput) as caught:
        restored(document)
    assert [error.pointer for error in caught.value.errors] == [pointer]
    assert "zebra!" not in caught.value.detail


def test_own_rows_without_data() -> None:
    document = document_of(after(Forward()))
    document["config"]["data"] = None
    with pytest.raises(InvalidInput) as caught:
        restored(document)
    assert [error.pointer for error in caught.value.errors] == ["/counters/own_rows"]


@pytest.mark.parametrize("value", [-1, 2])
def test_a_class_that_is_not_there(value: int) -> None:
    document = document_of(after(Forward(inputs=[[5.0, 6.0]], targets=[1]), **CLASSES))
    restored(document)
    classes = base64.b64encode(np.array([value], "<i8").tobytes()).decode()
    document["tensors"]["targets"]["base64"] = classes
    with pytest.raises(InvalidInput, match="class"):
        restored(document)


def test_rows_of_targets_for_classes() -> None:
    document = document_of(after(Forward(inputs=[[5.0, 6.0]], targets=[1]), **{**CLASSES, "loss": "nll"}))
    restored(document)
    document["tensors"]["targets"] = tensor([1, 2])
    with pytest.raises(InvalidInput) as caught:
        restored(document)
    assert [error.pointer for error in caught.value.errors] == ["/tensors/targets"]


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        (("format",), "zebra", "/format"),
        (("version",), 2, "/version"),
        (("phase",), "zebra", "/phase"),
        (("zebra",), 1, "/zebra"),
        (("counters", "steps"), -1, "/counters/steps"),
        (("counters", "steps"), 2**53 + 1, "/counters/steps"),
        (("counters", "begun"), {"rows": 0, "loss": 0.5, "hits": 0, "answers": 0}, "/counters/begun/rows"),
        (("counters", "begun"), {"rows": 1, "loss": None, "hits": 0, "answers": 0}, "/counters/begun/loss"),
        (("counters", "updates"), [0.5], "/counters/updates/0"),
        (("tensors",), [], "/tensors"),
        (("tensors", "hidden.bias"), 5, "/tensors/hidden.bias"),
        (("tensors", "hidden.bias", "dtype"), "float16", "/tensors/hidden.bias/dtype"),
        (("tensors", "hidden.bias", "shape"), [1, 2, 3], "/tensors/hidden.bias/shape"),
        (("tensors", "hidden.bias", "shape"), [-1], "/tensors/hidden.bias/shape/0"),
        (("tensors", "hidden.bias", "base64"), None, "/tensors/hidden.bias/base64"),
        (("config", "seed"), -1, "/config/seed"),
    ],
)
def test_no_document(path: tuple[str, ...], value: Any, pointer: str) -> None:
    document = copy.deepcopy(document_of(after()))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError) as caught:
        Document.model_validate(document)
    assert [error.pointer for error in field_errors(caught.value, document)] == [pointer]
