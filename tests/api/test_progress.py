"""How far a run is, in words: each way that it may go."""

from typing import Any

import numpy as np
import orjson
import pytest

from app.api.progress import describe_run, location, result_numbers, result_to_json, stopped_to_json
from app.api.snapshots import dumps
from app.engine.curves import COLUMNS, Curve
from app.engine.plan import Reason, Stopped
from app.errors import TrainingFailed
from app.sessions.operations import Train
from app.sessions.runs import Run
from app.sessions.sweeping import POINTS, Item, SweepRun

from .streaming import curve


def stopped(reason: Reason = "epochs", actual: Any = None) -> Stopped:
    return {"reason": reason, "epoch": 4, "step": 4, "tensor": None, "threshold": None, "actual": actual}


def test_from_its_beginning_to_its_end() -> None:
    run = Run("abc", 2, 10, 1_795_000_000.0)
    first = {
        "id": run.id, "session": "abc", "status": "queued", "epochs_done": 0, "epochs_total": 10, "loss": None,
        "created_at": "2026-11-18T11:06:40.000Z", "started_at": None, "ended_at": None, "stopped": None,
        "revision": None,
    }  # fmt: skip
    assert describe_run(run) == first
    assert location(run) == f"/v1/sessions/abc/runs/{run.id}"
    run.begin(1_795_000_001.0)
    run.add(curve(3, 4))
    under_way = {
        **first, "status": "running", "epochs_done": 2, "loss": 0.25, "started_at": "2026-11-18T11:06:41.000Z",
    }  # fmt: skip
    assert describe_run(run) == under_way
    run.finish(stopped(), 7, 1_795_000_002.5)
    assert describe_run(run) == {
        **under_way, "status": "finished", "ended_at": "2026-11-18T11:06:42.500Z", "stopped": stopped(), "revision": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("epochs", "finished"),
        ("cancelled", "cancelled"),
        ("disconnected", "cancelled"),
        ("time_limit", "stopped"),
        ("nonfinite", "stopped"),
        ("loss_below", "stopped"),
    ],
)
def test_the_status_of_each_ending(reason: Reason, status: str) -> None:
    run = Run("abc", 0, 10, 0.0)
    run.finish(stopped(reason), 1, 1.0)
    assert describe_run(run)["status"] == status


def test_a_failure() -> None:
    run = Run("abc", 0, 10, 0.0)
    run.fail(TrainingFailed("it is gone", retry_after=2), None, 1.0)
    told = describe_run(run)
    assert (told["status"], told["stopped"], told["revision"]) == ("failed", None, None)
    assert told["problem"] == {
        "type": "/v1/problems/training-failed", "title": "Training failed", "status": 503, "detail": "it is gone",
        "instance": location(run),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("actual", "told"),
    [
        (None, None),
        (0.5, 0.5),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_numbers_that_json_has_not(actual: float | None, told: Any) -> None:
    assert stopped_to_json(stopped("nonfinite", actual=actual)) == {**stopped("nonfinite"), "actual": told}
    assert stopped_to_json(None) is None


def test_a_sweep() -> None:
    done, waiting, refused = (Item(session, {"seed": 1}, Train()) for session in ("one", "two", "three"))
    run = SweepRun("abc", [done, waiting, refused], 5, 0.0)
    done.stopped, done.curve = stopped("nonfinite", actual=float("inf")), curve(1, 4)
    refused.failure = TrainingFailed("it is gone", retry_after=2)
    nothing: dict[str, Any] = {"loss": None, "test_loss": None, "stopped": None}
    items = [
        {
            "session": "one", "settings": {"seed": 1}, "loss": 0.25, "test_loss": None,
            "stopped": stopped("nonfinite", actual="Infinity"),
            "curve": {"epoch": [1, 2, 3, 4], "steps": [1, 2, 3, 4], "loss": [1, 1 / 2, 1 / 3, 1 / 4]},
        },
        {"session": "two", "settings": {"seed": 1}, **nothing},
        {
            "session": "three", "settings": {"seed": 1}, **nothing,
            "problem": {
                "type": "/v1/problems/training-failed", "title": "Training failed", "status": 503,
                "detail": "it is gone", "instance": "/v1/sessions/three/train",
            },
        },
    ]  # fmt: skip
    told = describe_run(run)
    assert orjson.loads(dumps(told))["result"] == orjson.loads(dumps(result_to_json(run))) == {"items": items}
    assert told["epochs_total"] == 15
    assert "result" not in describe_run(run, result=False)


def test_the_last_losses_of_an_item() -> None:
    item = Item("one", {}, Train())
    item.curve = Curve(("epoch", "steps", "loss", "test_loss"), np.array([[1, 1, 0.5, 0.75], [2, 2, 0.25, np.nan]]))
    [told] = orjson.loads(dumps(result_to_json(SweepRun("abc", [item], 2, 0.0))))["items"]
    assert (told["loss"], told["test_loss"], told["curve"]["test_loss"]) == (0.25, None, [0.75, None])


def test_how_many_numbers_there_are_to_write() -> None:
    """No fewer than there are, so that many are not written in the event loop."""
    full = Item("one", {}, Train())
    full.curve = Curve(COLUMNS, np.zeros((POINTS, len(COLUMNS))))
    sweep = SweepRun("abc", [full] * 3, 1, 0.0)
    written = [len(values) for item in result_to_json(sweep)["items"] for values in item["curve"].values()]
    assert result_numbers(sweep) == sum(written) == 3 * POINTS * len(COLUMNS)
    assert result_numbers(Run("abc", 0, 10, 0.0)) == 0
