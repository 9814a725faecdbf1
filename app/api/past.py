"""The calls that move through a session's history: list it, go back, fork, compare."""

from bisect import bisect_right
from math import isfinite
from types import NoneType
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np
import orjson
from fastapi import APIRouter, Body, Query, Response
from pydantic import Field, JsonValue

from app.api import examples, negotiation
from app.api.changes import snapshot_answer
from app.api.once import answered
from app.api.problems import timestamp
from app.api.responses import Answer, check_size, json_response, view_of
from app.api.routing import AsOf, ChangeCall, ForkCall, Parameters, ReadCall, Route, offers, takes_npz
from app.api.schemas import (
    ComparisonSchema,
    CurvesSchema,
    HistorySchema,
    SessionSchema,
    SnapshotSchema,
)
from app.api.sessions import made
from app.api.snapshots import SnapshotQuery, nonfinite_word
from app.engine import names, tensors
from app.engine.compare import compare
from app.engine.curves import Columns, put_together
from app.engine.spec import Model
from app.errors import FieldError, InvalidInput, pointer_to
from app.sessions.lineage import curves_of, curves_work
from app.sessions.once import Changed, Once
from app.sessions.operations import Train
from app.sessions.revisions import Revision
from app.sessions.session import Session

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["Debug"], route_class=Route)

ROW_WORK = 500  # to put a row of the curves in its place, in the units of `app.engine.cost`
HASH_WORK = 1  # to hash a byte
REMEMBERED_BYTES = 16_384  # from which a hash is worth keeping
COMPARE_WORK = 20  # to compare a number
BYTE_WORK = 20  # to make an array of a byte of a body
LABEL_LENGTH = 80


class HistoryQuery(Parameters):
    """Which page of the history to list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="How many to list.")] = 100
    after: Annotated[int, Field(ge=-1, description="List the revisions after this one.")] = -1


@router.get(
    "/history", response_model=HistorySchema, summary="List the revisions", responses=examples.problems("session")
)
async def read_history(call: ReadCall, query: Annotated[HistoryQuery, Query()]) -> Response:
    """Every change of the session that was not cut off, newest last. `next` is the URL of the next page, or null.

    `kept` says whether the state is at hand; otherwise it is computed again when it is asked for.
    """
    revisions = (await call.sessions.store.history(call.session.id)).revisions
    first = bisect_right(range(len(revisions)), query.after, key=revisions.number)
    shown = list(revisions[max(first - 1, 0) : first + query.limit])
    following = None
    if first + query.limit < len(revisions):
        parameters = urlencode({"limit": query.limit, "after": shown[-1].number})
        following = f"/v1/sessions/{call.session.id}/history?{parameters}"
    before = [None, *shown] if first == 0 else shown
    items = list(zip(before, shown if first == 0 else shown[1:], strict=False))
    work = HASH_WORK * sum(revision.hashed_bytes for _, revision in items) + 5_000 * len(items)
    written = await call.sessions.read(work, lambda: [_revision(revision, earlier) for earlier, revision in items])
    for (_, revision), item in zip(items, written, strict=True):
        if revision.hashed_bytes > REMEMBERED_BYTES:
            await call.sessions.store.remember(call.session.id, revision.number, item["state_hash"])
    return await json_response(call, lambda: {"items": written, "next": following})


def _revision(revision: Revision, before: Revision | None) -> dict[str, Any]:
    state = revision.state
    arguments = orjson.loads(revision.arguments)
    item = {
        "revision": revision.number,
        "operation": revision.operation,
        "label": _label(revision.operation, arguments),
        "arguments": arguments,
        "phase": state.phase,
        "steps": state.steps,
        "epochs": state.epochs,
        "loss": state.loss,
        "state_hash": revision.state_hash,
        "at": timestamp(revision.at),
        "kept": revision.is_kept,
    }
    if revision.operation == Train.operation and before is not None:
        item["run"] = revision.run
        if state.steps > before.state.steps:
            last = state.epochs + (state.epoch_position > 0)  # the last one may be cut off in its middle
            item |= {"epoch_from": before.state.epochs + 1, "epoch_to": last}
    return item


def _label(operation: str, arguments: dict[str, Any]) -> str:
    """What was done, in words."""
    match operation, arguments:
        case "forward" | "backward", {"until": until}:
            label = f"{operation} to {until}"
        case "forward", {"inputs": _} | {"targets": _}:
            label = "forward over other rows"
        case "step", {"parameters": [*parameters]}:
            label = f"step {', '.join(parameters)}"
        case "train", _:
            epochs = arguments.get("epochs", 1)
            label = f"train {epochs} epoch{'s' * (epochs != 1)}"
        case "edit", _:
            label = f"edit {', '.join(arguments) or 'many numbers'}"
        case "change", {"optimizer": _, "name": _}:
            label = "rename, and change the optimizer"
        case "change", {"optimizer": _}:
            label = "change the optimizer"
        case "change", _:
            label = "rename"
        case "data", _:
            label = "replace the data"
        case "rewind", {"epoch": epoch}:
            label = f"back to the end of epoch {epoch}"
        case "fork", {"revision": _, "epoch": int(epoch)}:
            label = f"fork from the end of epoch {epoch}"
        case "fork", {"revision": revision}:
            label = f"fork from revision {revision}"
        case _:
            label = operation
    return label if len(label) <= LABEL_LENGTH else label[: LABEL_LENGTH - 1] + "…"


class CurvesQuery(AsOf):
    """How many entries to list at most."""

    max_points: Annotated[int, Field(ge=2, le=100_000, description="Thin the curves to at most so many points.")] = 1000


@router.get(
    "/curves", response_model=CurvesSchema, summary="Read the curves",
    responses=examples.problems("session", "past")
)  # fmt: skip
@offers(negotiation.JSON, negotiation.CSV)
async def read_curves(call: ReadCall, query: Annotated[CurvesQuery, Query()]) -> Response:
    """The entries of the session's whole life as columns, its ancestors' before a fork included; CSV by `Accept`."""
    session = call.session
    history = await call.sessions.store.history(session.id)
    revisions = history.revisions[:]
    index = revisions.find(session.revision)

    def columns_of() -> Columns:
        return put_together(curves_of(revisions, history.ancestors, index, session.epoch), query.max_points)

    columns = await call.sessions.read(curves_work(revisions) + ROW_WORK * query.max_points, columns_of)
    if call.accept == negotiation.CSV:
        return Answer(_csv(columns), 200, "text/csv; charset=utf-8", {"Vary": "Accept"})
    numbers = len(columns.names) * query.max_points
    return await json_response(call, lambda: dict(zip(columns.names, columns.values, strict=True)), numbers=numbers)


def _csv(columns: Columns) -> bytes:
    rows = [",".join(columns.names), *(",".join(map(_cell, row)) for row in zip(*columns.values, strict=True))]
    return "\r\n".join([*rows, ""]).encode()


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return repr(value) if isfinite(value) else nonfinite_word(value)


class Rewind(Model):
    """Where to stand again: at a revision, or where an epoch ended, though that lies inside a training.

    With both, it is the epoch on the way to that revision.
    """

    revision: Annotated[int, Field(ge=0)] | None = None
    epoch: Annotated[int, Field(ge=0)] | None = None


class Fork(Rewind):
    """Where the new session starts (default: where this one stands), and its name (default: this one's)."""

    name: Annotated[str, Field(max_length=200)] | None = None


@router.post(
    "/rewind", response_model=SnapshotSchema, summary="Go back",
    responses=examples.problems("session", "body", "change", "past", snapshot=True),
)  # fmt: skip
@offers(negotiation.JSON, negotiation.NPZ)
async def rewind(
    call: ChangeCall,
    query: Annotated[SnapshotQuery, Query()],
    body: Annotated[Rewind, Body(openapi_examples=examples.REWIND)],
) -> Response:
    """Stand at a revision again, with everything that it had; later ones can be gone to until the next change.

    An epoch is stood at as a new revision. Answers the snapshot.
    """
    if body.revision is None and body.epoch is None:
        raise InvalidInput([FieldError("", "takes a revision or an epoch to go to")])
    view = view_of(call, query, None)

    async def change(once: Once | None) -> Changed:
        to = body.revision, body.epoch
        return Changed(await call.sessions.rewind(call.session.id, *to, call.if_match, once), None)

    return await answered(call.key, change, lambda outcome: snapshot_answer(call, outcome, view))


@router.post(
    "/fork", status_code=201, response_model=SessionSchema, summary="Fork the session",
    responses=examples.forked(),
)  # fmt: skip
async def fork(call: ForkCall, body: Annotated[Fork, Body(openapi_examples=examples.FORK)] = Fork()) -> Response:  # noqa: B008
    """A new session that goes on from a revision, or from an epoch, of this one. Neither can change the other."""
    there = await call.sessions.past.at(call.session, body.revision, body.epoch, "/")
    name = body.name if "name" in body.model_fields_set else call.session.name

    async def change(once: Once | None) -> Changed:
        return Changed(await call.sessions.fork(there, name, once=once), None)

    return await answered(call.key, change, lambda outcome: made(call, outcome.session))


class Tolerance(AsOf):
    """How far two numbers may be apart that count as equal: `atol` plus `rtol` times the other side's size."""

    rtol: Annotated[float, Field(ge=0, allow_inf_nan=False, description="As a share of the other side's number.")] = 0.0
    atol: Annotated[float, Field(ge=0, allow_inf_nan=False, description="However small the number.")] = 0.0


class DiffQuery(Tolerance):
    """What to compare with."""

    against: Annotated[
        str | None, Field(max_length=100, description="Another session's id; this one, unless told.")
    ] = None
    against_revision: Annotated[int | None, Field(ge=0, description="A revision of that session.")] = None
    against_epoch: Annotated[int | None, Field(ge=0, description="Or the end of an epoch of it.")] = None


@router.get(
    "/diff", response_model=ComparisonSchema, summary="Compare with another state",
    responses=examples.problems("session", "past"),
)  # fmt: skip
async def diff(call: ReadCall, query: Annotated[DiffQuery, Query()]) -> Response:
    """How this session's numbers and config differ from another session's, or from its own at another revision.

    `tensors` holds those that differ beyond the tolerance; `only_here` and `only_there` name what one alone has.
    """
    if query.against is None and query.against_revision is None and query.against_epoch is None:
        raise InvalidInput(
            [FieldError("?against", "takes a session to compare with, or against_revision its revision")]
        )
    session = call.session
    other = await call.sessions.load(session.id if query.against is None else query.against, call.owner)
    there = await call.sessions.past.at(other, query.against_revision, query.against_epoch, "?against_")
    work = COMPARE_WORK * (session.state.nbytes + there.state.nbytes) // 8
    body = await call.sessions.read(work, lambda: _compare(session, there, query))
    return await json_response(call, lambda: body)


def _compare(session: Session, other: Session, query: Tolerance) -> dict[str, Any]:
    theirs = dict(tensors.tensors(other.config, other.state))
    mine = dict(tensors.tensors(session.config, session.state))
    compared = compare(mine.items(), theirs, query.rtol, query.atol)
    only_here = [name for name in mine if name not in theirs]
    only_there = [name for name in theirs if name not in mine]
    return {
        **compared, "equal": compared["equal"] and not (only_here or only_there),
        "only_here": only_here, "only_there": only_there,
        "config": _config_differences(_config(session), _config(other)),
    }  # fmt: skip


def _config(session: Session) -> dict[str, Any]:
    config = session.full_config
    del config["name"], config["data"]
    return config


MAX_CONFIG_DIFFERENCES = 1000


def _config_differences(mine: Any, theirs: Any) -> list[dict[str, Any]]:
    """Where two configs differ, at the innermost places."""
    found: list[dict[str, Any]] = []
    pairs: list[tuple[str, Any, Any]] = [("", mine, theirs)]
    while pairs and len(found) < MAX_CONFIG_DIFFERENCES:
        pointer, value, against = pairs.pop()
        if isinstance(value, dict) and isinstance(against, dict):
            keys = [*value, *(key for key in against if key not in value)]
            pairs += [(f"{pointer}/{key}", value.get(key), against.get(key)) for key in reversed(keys)]
        elif isinstance(value, list) and isinstance(against, list) and len(value) == len(against):
            both = list(zip(value, against, strict=True))
            pairs += [(f"{pointer}/{i}", both[i][0], both[i][1]) for i in reversed(range(len(both)))]
        elif value != against:
            found.append({"pointer": pointer, "value": value, "against": against})
    return found


Tensors = Annotated[dict[str, JsonValue], Field(min_length=1, max_length=20_000)]


@router.post(
    "/diff", response_model=ComparisonSchema, summary="Compare with numbers of your own",
    responses=examples.problems("session", "body", "past", "phase"), openapi_extra=examples.NPZ_BODY,
)  # fmt: skip
@takes_npz
async def diff_with(
    call: ReadCall,
    query: Annotated[Tolerance, Query()],
    body: Annotated[Tensors, Body(openapi_examples=examples.TENSORS)],
) -> Response:
    """How this session's numbers differ from those that another implementation got: tensors by name, as JSON or npz.

    `first` is the first one, in the order of computation, that differs beyond the tolerance.
    """
    session = call.session

    def arrays() -> dict[str, Any]:
        for name in body:
            check_size(call, names.find(session.config, name, pointer_to(name)), pointer_to(name))
        return {name: _numbers(name, value) for name, value in body.items()}

    length = call.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else call.sessions.settings.max_body
    theirs = await call.sessions.read(BYTE_WORK * size, arrays)
    work = COMPARE_WORK * (session.state.nbytes // 8 + sum(array.size for array in theirs.values()))
    found = await call.sessions.read(work, lambda: _compare_with(session, theirs, query))
    return await json_response(call, lambda: found)


def _compare_with(session: Session, theirs: dict[str, Any], query: Tolerance) -> dict[str, Any]:
    config, state, order = session.config, session.state, {}
    for name in theirs:
        address = names.find(config, name, pointer_to(name))
        if address.index:
            raise InvalidInput([FieldError(pointer_to(name), "takes whole tensors, without an index")])
        order[address.tensor] = names.read(config, state, address)
    ranks = {name: rank for rank, name in enumerate(names.order(config))}
    mine = sorted(order.items(), key=lambda named: ranks[named[0]])
    return {**compare(mine, theirs, query.rtol, query.atol), "only_here": [], "only_there": [], "config": []}


def _numbers(name: str, value: Any) -> Any:
    """A tensor from JSON, null for what is no finite number; one from an npz is one already."""
    if isinstance(value, np.ndarray):
        return value
    try:
        array = np.array(value)
        mixed = array.flat if array.dtype == object else ()  # there are nulls in it
        if array.dtype.kind in "bU" or any(type(item) not in (int, float, NoneType) for item in mixed):
            raise TypeError
        return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InvalidInput([FieldError(pointer_to(name), "takes numbers in rows of equal length")]) from None
