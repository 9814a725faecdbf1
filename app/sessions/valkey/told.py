"""What a run tells other processes, as bytes: how far it is, entries, a checkpoint, how items of a sweep went."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from app.engine.curves import Curve
from app.engine.plan import Ending
from app.engine.spec import read_only
from app.engine.state import State
from app.errors import FieldError, GradstepError, InvalidInput, TrainingFailed, Unavailable
from app.sessions.lane import RETRY_AFTER_SECONDS
from app.sessions.operations import Train
from app.sessions.runs import Piece, Run
from app.sessions.sweeping import Item, SweepRun
from app.sessions.valkey.records import Damaged, check, pack_part, seal, unpack_part

_STATUS = ("status", "started_at", "ended_at", "epochs_done", "loss", "stopped", "revision", "was_cut")
_COUNTERS = ("updates", "steps", "epochs", "epoch_position", "begun")


def new_run(about: dict[str, Any]) -> Run:
    """A run as it was begun."""
    run_id, created_at = about["id"], about["created_at"]
    if "items" not in about:
        return Run(about["session"], about["epochs"], about["total"], created_at, run_id)
    items = [Item(one["session"], one["settings"], Train.model_validate(one["train"])) for one in about["items"]]
    return SweepRun(about["session"], items, about["total"] // len(items), created_at, run_id)


def about(run: Run, **more: Any) -> dict[str, Any]:
    """What does not change of a run."""
    return {
        "id": run.id, "session": run.session_id, "created_at": run.created_at, "epochs": run.epochs_before,
        "total": run.epochs_total, **more,
    }  # fmt: skip


def about_items(run: SweepRun) -> list[dict[str, Any]]:
    """What does not change of a sweep's items."""
    return [
        {"session": item.session, "settings": item.settings, "train": train_to_json(item.training)}
        for item in run.items
    ]


def train_to_json(train: Train) -> dict[str, Any]:
    """A training as JSON data, from which the same is made again."""
    return train.model_dump(mode="json", exclude_unset=True)


def status_of(run: Run) -> bytes:
    """How far a run is."""
    values = {name: getattr(run, name) for name in _STATUS}
    return dumps({**values, "failure": _failure_to_json(run.failure)})


def bring_up(run: Run, status: bytes) -> None:
    """Let a run be as far as another process has told, once it has the entries."""
    values = json.loads(status)
    failure = values.pop("failure")
    if values["was_cut"] and run.count and values["ended_at"] is not None:
        run.cut(*values["was_cut"])
    for name, value in values.items():
        setattr(run, name, value)
    run.failure = None if failure is None else _failure_of(failure)
    run.tell()


def pack_piece(curve: Curve, texts: Sequence[bytes]) -> bytes:
    """Entries, and what each shows."""
    head = dumps({"columns": curve.columns, "count": len(curve.rows), "texts": [*map(len, texts)]})
    return b"".join((head, b"\n", np.ascontiguousarray(curve.rows, "<f8").tobytes(), *texts))


def unpack_piece(value: bytes) -> Piece:
    """What `pack_piece` has packed."""
    head, _, body = value.partition(b"\n")
    about = json.loads(head)
    columns, count = tuple(about["columns"]), about["count"]
    rows = np.frombuffer(body, "<f8", count * len(columns)).reshape(count, len(columns))
    places = accumulate(about["texts"], initial=rows.nbytes)
    return Piece(Curve(columns, rows), [body[start:stop] for start, stop in pairwise(places)])


def pack_checkpoint(run_id: str, state: State) -> dict[str, bytes]:
    """A state without its trace: from it a training goes on all the same."""
    counters = dumps([getattr(state, name) for name in _COUNTERS])
    return {
        "state": seal(run_id, "state", [counters]),
        "parameters": seal(run_id, "parameters", pack_part(state.parameters)),
        "slots": seal(run_id, "slots", pack_part(state.slots)),
    }


def unpack_checkpoint(run_id: str, fields: Mapping[str, bytes]) -> State | None:
    """The state; None where there is none that is whole: then a training begins anew."""
    try:
        counters = json.loads(bytes(check(run_id, "state", fields["state"])))
        parameters, slots = (
            read_only(unpack_part(check(run_id, name, fields[name]))) for name in ("parameters", "slots")
        )
    except (KeyError, Damaged):
        return None
    updates, steps, epochs, position, begun = counters
    return State(
        parameters, parameters, slots, tuple(updates), steps=steps, epochs=epochs, epoch_position=position,
        begun=None if begun is None else tuple(begun),
    )  # fmt: skip


def pack_item(item: Item) -> bytes:
    """How an item went."""
    values = {"stopped": item.stopped, "failure": _failure_to_json(item.failure)}
    curve = b"" if item.curve is None else pack_piece(item.curve, ())
    return dumps(values) + b"\n" + curve


def item_name(index: int) -> str:
    """The field of an item."""
    return f"item:{index}"


def read_item(item: Item, value: bytes) -> None:
    """Let an item be as far as another process has told."""
    head, _, curve = value.partition(b"\n")
    values = json.loads(head)
    item.stopped = values["stopped"]
    item.failure = None if values["failure"] is None else _failure_of(values["failure"])
    item.curve = unpack_piece(curve).curve if curve else None


def pack_ending(ending: Ending) -> bytes:
    """What is to end a run."""
    return dumps(ending)


def unpack_ending(value: bytes) -> Ending:
    """What `pack_ending` has packed."""
    return Ending(*json.loads(value))


def dumps(value: Any) -> bytes:
    """JSON with words for numbers that it has none for, which `json` reads again."""
    return json.dumps(value, separators=(",", ":")).encode()


def _failure_to_json(failure: GradstepError | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    values: dict[str, Any] = {"slug": failure.slug, "detail": failure.detail, "extra": failure.extra}
    if isinstance(failure, Unavailable):
        values["retry_after"] = failure.retry_after
    if isinstance(failure, InvalidInput):
        values["errors"] = failure.errors
    return values


def _failure_of(values: dict[str, Any]) -> GradstepError:
    kind = next((kind for kind in _kinds(GradstepError) if kind.slug == values["slug"]), None)
    if kind is None:  # of another version
        return TrainingFailed(values["detail"], retry_after=RETRY_AFTER_SECONDS)
    failure = kind.__new__(kind)
    GradstepError.__init__(failure, values["detail"], **values["extra"])
    if isinstance(failure, Unavailable):
        failure.retry_after = values["retry_after"]
    if isinstance(failure, InvalidInput):
        failure.errors = [FieldError(*error) for error in values["errors"]]
    return failure


def _kinds(kind: type[GradstepError]) -> Iterator[type[GradstepError]]:
    for one in kind.__subclasses__():
        if "slug" in one.__dict__:
            yield one
        yield from _kinds(one)
