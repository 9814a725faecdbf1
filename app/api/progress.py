"""How far a run is, and how it ended, as JSON data."""

from math import isfinite
from typing import Any

from app.api.problems import problem, timestamp
from app.api.snapshots import nonfinite_word
from app.engine.curves import COLUMNS, put_together
from app.engine.plan import Stopped
from app.sessions.runs import Run
from app.sessions.sweeping import POINTS, Item, SweepRun


def describe_run(run: Run, *, result: bool = True) -> dict[str, Any]:
    """A run as JSON data, with the result that a sweep has."""
    body: dict[str, Any] = {
        "id": run.id,
        "session": run.session_id,
        "status": run.status,
        "epochs_done": run.epochs_done,
        "epochs_total": run.epochs_total,
        "loss": run.loss,
        "created_at": timestamp(run.created_at),
        "started_at": None if run.started_at is None else timestamp(run.started_at),
        "ended_at": None if run.ended_at is None else timestamp(run.ended_at),
        "stopped": stopped_to_json(run.stopped),
        "revision": run.revision,
    }
    if run.failure is not None:
        body["problem"] = problem(run.failure, location(run))
    if result and isinstance(run, SweepRun):
        body["result"] = result_to_json(run)
    return body


def location(run: Run) -> str:
    """The URL of a run."""
    return f"/v1/sessions/{run.session_id}/runs/{run.id}"


def stopped_to_json(stopped: Stopped | None) -> dict[str, Any] | None:
    """Why a training ended, with words for numbers that JSON has none for."""
    if stopped is None:
        return None
    actual = stopped["actual"]
    if actual is not None and not isfinite(actual):
        return {**stopped, "actual": nonfinite_word(actual)}
    return {**stopped}


def result_to_json(run: SweepRun) -> dict[str, Any]:
    """What a sweep has come to, so far."""
    return {"items": [_item(item) for item in run.items]}


def result_numbers(run: Run) -> int:
    """About how many numbers there are to write of what a run describes."""
    return len(run.items) * POINTS * len(COLUMNS) if isinstance(run, SweepRun) else 0


def _item(item: Item) -> dict[str, Any]:
    body: dict[str, Any] = {
        "session": item.session, "settings": item.settings, "loss": None, "test_loss": None,
        "stopped": stopped_to_json(item.stopped),
    }  # fmt: skip
    if item.curve is not None:
        body["curve"] = curve = dict(zip(*put_together([item.curve], POINTS), strict=True))
        body |= {name: curve[name][-1] for name in ("loss", "test_loss") if name in curve}
    if item.failure is not None:
        body["problem"] = problem(item.failure, f"/v1/sessions/{item.session}/train")
    return body
