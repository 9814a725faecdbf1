"""Every ceiling, with what it says."""

from typing import Any

import pytest

from app.engine.collected import Digits
from app.engine.datasets import Moons
from app.errors import LimitExceeded
from app.sessions import limits
from app.sessions.edits import NewData
from app.sessions.memory import MemoryStore
from app.sessions.operations import Forward, Operation, Train
from app.sessions.service import Sessions
from app.settings import Settings

from .making import Clock, create, make_config, run

ROW = {"inputs": [[1.0, 2.0]], "targets": [[1.0]]}


def make(**settings: Any) -> Sessions:
    values, clock = Settings(**settings), Clock()
    return Sessions(MemoryStore(values, clock), values, clock)


def rows(n: int) -> Any:
    return make_config(data={"inputs": [[1.0, 2.0]] * n, "targets": [[1.0]] * n}).data


def check(error: LimitExceeded, pointer: str, setting: str, limit: int, estimate: int) -> None:
    assert [field.pointer for field in error.errors] == [pointer]
    assert error.extra == {"limit": limit, "estimate": estimate, "setting": f"GRADSTEP_{setting.upper()}"}
    assert f"{limit:,}" in error.detail
    assert f"{estimate:,}" in error.detail


@pytest.mark.parametrize(
    ("setting", "limit", "fields", "pointer", "estimate"),
    [
        ("max_parameters", 7, {}, "/network/layers", 8),
        ("max_batch", 2, {"data": rows(3)}, "/data/inputs", 3),
        ("max_batch", 49, {"data": {"type": "moons", "samples": 50}}, "/data/samples", 50),
        (
            "max_batch",
            2,
            {"data": {"test": ROW, **rows(2).model_dump(include={"inputs", "targets"})}},
            "/data/inputs",
            3,
        ),
    ],
)
def test_of_a_config(setting: str, limit: int, fields: dict[str, Any], pointer: str, estimate: int) -> None:
    with pytest.raises(LimitExceeded) as caught:
        make(**{setting: limit}).draft(make_config(**fields))
    check(caught.value, pointer, setting, limit, estimate)
    make(**{setting: estimate}).draft(make_config(**fields))


def test_the_memory_of_a_config() -> None:
    needed = make().draft(make_config()).nbytes
    with pytest.raises(LimitExceeded) as caught:
        make(max_bytes=needed - 1).draft(make_config())
    check(caught.value, "", "max_bytes", needed - 1, needed)
    make(max_bytes=needed).draft(make_config())


@pytest.mark.parametrize(
    ("setting", "limit", "operation", "pointer", "estimate"),
    [
        ("max_batch", 2, Forward(inputs=[[1.0, 2.0]] * 3), "/inputs", 3),
        ("max_batch", 2, NewData(rows(3)), "/inputs", 3),
        ("max_batch", 49, NewData(Moons(samples=50)), "/samples", 50),
        ("max_batch", 1796, NewData(Digits()), "", 1797),
        ("max_epochs", 9, Train(epochs=10), "/epochs", 10),
        ("max_entries", 9, Train(epochs=10), "/report_every", 10),
        ("max_entries", 9, Train(epochs=95, report_every=10), "/report_every", 10),
        ("max_epochs", 10**6, Train(epochs=2**53), "/epochs", 2**53),
    ],
)
def test_of_an_operation(setting: str, limit: int, operation: Operation, pointer: str, estimate: int) -> None:
    async def refuse(sessions: Sessions) -> LimitExceeded:
        session = await create(sessions)
        with pytest.raises(LimitExceeded) as caught:
            await sessions.change(session.id, operation)
        assert await sessions.load(session.id) == session
        return caught.value

    check(run(refuse(make(**{setting: limit}))), pointer, setting, limit, estimate)


@pytest.mark.parametrize(
    ("setting", "operation"),
    [
        ("max_work", Forward(inputs=[[1.0, 2.0]] * 99)),
        ("max_bytes", Train(epochs=99)),
        ("max_bytes", NewData(rows(999))),
    ],
)
def test_work_and_memory(setting: str, operation: Operation) -> None:
    async def refuse() -> None:
        measuring = make()
        session = await create(measuring)
        job = operation.prepare(session, measuring.settings)
        needed = job.work if setting == "max_work" else job.nbytes
        operation.prepare(session, make(**{setting: needed}).settings)
        with pytest.raises(LimitExceeded) as caught:
            operation.prepare(session, make(**{setting: needed - 1}).settings)
        assert caught.value.extra["setting"] == f"GRADSTEP_{setting.upper()}"

    run(refuse())


def test_the_work_of_a_training_is_bounded_by_its_time() -> None:
    async def check() -> None:
        sessions = make(max_work=1)
        session = await create(sessions)
        assert Train(epochs=99).prepare(session, sessions.settings).work > 1

    run(check())


@pytest.mark.parametrize(
    ("setting", "refuse", "pointer"),
    [("max_stream", limits.check_stream, "/report_every"), ("max_sweep", limits.check_sweep, "/vary")],
)
def test_what_is_shown_and_what_is_tried(setting: str, refuse: Any, pointer: str) -> None:
    settings = Settings(**{setting: 7})  # type: ignore[arg-type]
    refuse(settings, 7)
    with pytest.raises(LimitExceeded) as caught:
        refuse(settings, 8)
    check(caught.value, pointer, setting, 7, 8)
