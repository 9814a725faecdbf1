"""The calls about sessions: make, read, change, end."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Query, Response
from pydantic import Discriminator, Field, Tag

from app.api import examples, negotiation
from app.api.changes import changed
from app.api.once import answered
from app.api.problems import timestamp
from app.api.progress import describe_run
from app.api.responses import NUMBER_WORK, Answer, changed_headers, json_response, snapshot_response, view_of
from app.api.routing import AnyCall, AsOf, Call, ChangeCall, NewCall, Parameters, ReadCall, Route, offers, takes_tables
from app.api.schemas import (
    DataSchema,
    DryRunSchema,
    SessionListSchema,
    SessionSchema,
    SnapshotSchema,
)
from app.api.snapshots import SnapshotQuery
from app.api.tables import DataQuery, rows_of
from app.engine import cost, position
from app.engine.datasets import AnyData
from app.engine.named import NamedSet
from app.engine.network import Config
from app.errors import FieldError, InvalidInput
from app.exports.document import Document, export, restore, rows_in_use
from app.exports.pytorch import to_pytorch
from app.sessions.edits import Change, NewData
from app.sessions.once import Changed, Once
from app.sessions.runs import Run
from app.sessions.session import Session, rows_to_json

router = APIRouter(prefix="/v1/sessions", route_class=Route)

MERGE_PATCH = {
    "requestBody": {
        "content": {"application/merge-patch+json": {"schema": {"$ref": "#/components/schemas/Change"}}},
    }
}
IF_NONE_MATCH = examples.header("If-None-Match", "Answer 304 where the client has this revision already.", '"7"')
CONFIG_BYTE_WORK = 100  # to validate a byte of a config that is not in use, in the units of `app.engine.cost`


def _form(value: Any) -> str:
    return "document" if isinstance(value, dict) and "format" in value else "config"


NewSession = Annotated[
    Annotated[Config, Tag("config")] | Annotated[Document, Tag("document")],
    Discriminator(_form),
]


class CreateQuery(Parameters):
    """How to take a new session's config."""

    dry_run: Annotated[bool, Field(description="Make nothing; answer the completed config and what it would cost.")] = (
        False
    )


class ListQuery(Parameters):
    """Which page of the sessions to list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="How many to list.")] = 100
    after: Annotated[str | None, Field(max_length=100, description="Where the page before ended.")] = None


class ReadQuery(SnapshotQuery, AsOf):
    """What a snapshot shows, and as of when."""


def describe(session: Session, run: Run | None = None, *, config: bool = True) -> dict[str, Any]:
    """A session as JSON data; `run` is the one that trains it at present."""
    state, live = session.state, session.config
    body: dict[str, Any] = {
        "id": session.id,
        "name": session.name,
        "created_at": timestamp(session.created_at),
        "updated_at": timestamp(session.updated_at),
        "expires_at": timestamp(session.expires_at),
        "revision": session.revision,
        "latest_revision": session.latest_revision,
        "phase": state.phase,
        "next": position.next_operation(live, state),
        "allowed": position.allowed_operations(live, state, has_data=session.data is not None),
        "steps": state.steps,
        "epochs": state.epochs,
        "epoch_position": state.epoch_position,
        "loss": state.loss,
        "parameter_count": live.network.parameter_count,
        "forked_from": session.forked_from._asdict() if session.forked_from else None,
        "run": None if run is None else describe_run(run),
    }
    if config:
        body["config"] = session.full_config
    return body


def _numbers(session: Session) -> int:
    """About how many numbers a session's config has in it."""
    return session.text_bytes // 20 + (session.data.nbytes // 8 if session.data else 0)


async def described(call: Call, session: Session, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer that describes a session after a change, or a new one."""
    return await json_response(
        call, lambda: describe(session), status, {**(headers or {}), **changed_headers(session)},
        tag=session.tag, numbers=_numbers(session),
    )  # fmt: skip


@router.post(
    "",
    status_code=201,
    response_model=SessionSchema,
    summary="Create a session",
    tags=["Sessions"],
    responses=examples.create(DryRunSchema),
)
async def create(
    call: NewCall,
    body: Annotated[NewSession, Body(openapi_examples=examples.CONFIGS)],
    query: Annotated[CreateQuery, Query()],
) -> Response:
    """Make a training session from a config, or from a document that `export` gave."""
    sessions = call.sessions
    if isinstance(body, Document):
        config = body.config
        draft = sessions.draft(config, rows_in_use(body))
        state = restore(body, draft.data)
    else:
        config, state = body, None
        draft = sessions.draft(config)
    if query.dry_run:
        rows = len(draft.data.train) if draft.data else 0
        estimate = {
            "bytes": draft.nbytes,
            "forward": cost.forward_work(config, max(rows, 1)),
            "backward": cost.backward_work(config, max(rows, 1)),
            "step": cost.update_work(config),
        }
        count = config.network.parameter_count
        return await json_response(
            call, lambda: {"config": draft.full_config, "parameter_count": count, "estimate": estimate},
            numbers=count + (draft.data.nbytes // 8 if draft.data else 0),
        )  # fmt: skip

    async def change(once: Once | None) -> Changed:
        return Changed(await sessions.create(draft, state, owner=call.owner, once=once), None)

    return await answered(call.key, change, lambda outcome: made(call, outcome.session))


async def made(call: Call, session: Session) -> Response:
    """An answer that describes a new session."""
    return await described(call, session, 201, {"Location": f"/v1/sessions/{session.id}"})


@router.get(
    "", response_model=SessionListSchema, summary="List the sessions", tags=["Sessions"], responses=examples.problems()
)
async def list_sessions(call: AnyCall, query: Annotated[ListQuery, Query()]) -> Response:
    """The sessions, oldest first, without their configs. `next` is the URL of the next page, or null."""
    found = await call.sessions.store.list(call.owner, query.limit + 1, _place(query.after))
    shown, following = found[: query.limit], None
    if len(found) > query.limit:
        after = f"{shown[-1].created_at!r}~{shown[-1].id}"
        following = f"/v1/sessions?{urlencode({'limit': query.limit, 'after': after})}"
    work = CONFIG_BYTE_WORK * sum(len(session.config_json) for session in shown)
    runs = {session.id: await call.sessions.run_of(session) for session in shown if session.run is not None}
    items = await call.sessions.read(
        work, lambda: [describe(session, runs.get(session.id), config=False) for session in shown]
    )
    return await json_response(call, lambda: {"items": items, "next": following})


def _place(after: str | None) -> tuple[float, str] | None:
    if after is None:
        return None
    created_at, _, session_id = after.partition("~")
    try:
        return float(created_at), session_id
    except ValueError:
        raise InvalidInput([FieldError("?after", "takes what the `next` of a page says")]) from None


@router.get(
    "/{session_id}", response_model=SessionSchema, summary="Read a session", tags=["Sessions"],
    responses=examples.problems("session"),
)  # fmt: skip
async def read(call: ReadCall) -> Response:
    """A session with its completed config, which can be posted again. Reading does not prolong it."""
    session, run = call.session, await call.sessions.run_of(call.session)
    return await json_response(call, lambda: describe(session, run), numbers=_numbers(session))


@router.patch(
    "/{session_id}", response_model=SessionSchema, summary="Rename a session or change its optimizer",
    tags=["Sessions"], responses=examples.problems("session", "body", "change"), openapi_extra=MERGE_PATCH,
)  # fmt: skip
async def change(call: ChangeCall, body: Annotated[Change, Body(openapi_examples=examples.CHANGES)]) -> Response:
    """JSON Merge Patch (RFC 7396): what is not named stays as it is. One revision."""
    return await changed(call, body, lambda outcome: described(call, outcome.session))


@router.delete(
    "/{session_id}", status_code=204, summary="End a session", tags=["Sessions"],
    responses=examples.problems("session", "change"),
)  # fmt: skip
async def delete(call: ChangeCall) -> Response:
    """End a session and forget it."""

    async def change(once: Once | None) -> Changed:
        await call.sessions.delete(call.session.id, call.if_match, once)
        return Changed(call.session, None)

    return await answered(call.key, change, _deleted)


async def _deleted(outcome: Changed) -> Response:
    return Response(status_code=204)


@router.get(
    "/{session_id}/data", response_model=DataSchema, summary="Read the data", tags=["Data"],
    responses=examples.problems("session", "past"),
)  # fmt: skip
async def read_data(call: ReadCall, query: Annotated[AsOf, Query()]) -> Response:
    """The rows that the session trains and tests on; null without. A named set knows what they are called."""
    data, named = call.session.data, call.session.config.data
    body: dict[str, Any] = {"inputs": None, "targets": None, "test": None, "input_names": None, "class_names": None}
    if data is not None:
        body |= {**rows_to_json(data.train), "test": rows_to_json(data.test) if data.test else None}
    if isinstance(named, NamedSet):
        body |= {"input_names": named.input_names, "class_names": named.labels}
    return await json_response(call, lambda: body, numbers=_numbers(call.session))


@router.put(
    "/{session_id}/data", response_model=SessionSchema, summary="Replace the data", tags=["Data"],
    responses=examples.problems("session", "body", "change"), openapi_extra=examples.DATA_BODY,
)  # fmt: skip
@takes_tables
async def replace_data(
    call: ChangeCall,
    body: Annotated[AnyData, Body(openapi_examples=examples.DATA)],
    query: Annotated[DataQuery, Query()],
) -> Response:
    """Other rows to train on: a named set, rows as JSON, a table as CSV, or the arrays of an npz.

    In CSV, the first line names the columns; those in `targets` are targets, the others inputs. One column of targets
    may have class indices, or labels, which are numbered from 0 in sorted order; what columns and labels are called is
    not kept. An npz has `inputs` and `targets`, and maybe `test_inputs` and `test_targets`. Trace and gradients become
    null. One revision.
    """
    rows = await rows_of(call, body, query)
    return await changed(call, NewData(rows), lambda outcome: described(call, outcome.session))


@router.get(
    "/{session_id}/snapshot", response_model=SnapshotSchema, summary="Read every number", tags=["Read"],
    responses=examples.problems("session", "past", snapshot=True, not_modified=True), openapi_extra=IF_NONE_MATCH,
)  # fmt: skip
@offers(negotiation.JSON, negotiation.NPZ)
async def read_snapshot(call: ReadCall, query: Annotated[ReadQuery, Query()]) -> Response:
    """Every activation, gradient and weight, exactly. `Accept: application/x-npz` gives the arrays by name."""
    view, tag = view_of(call, query, call.session.trace_count or None), call.session.tag
    tags = [f'"{tag}-npz"'] if call.accept == negotiation.NPZ else [f'"{tag}"', f'"{tag}-gzip"']
    if held := negotiation.held(call.headers.get("if-none-match"), tags):
        return Response(status_code=304, headers={"ETag": held, "Vary": "Accept, Accept-Encoding"})
    return await snapshot_response(call, call.session, view)


class ExportQuery(AsOf):
    """As what to export a session, and as of when."""

    format: Annotated[
        Literal["session", "pytorch"], Field(description="A document to go on from, or a PyTorch script.")
    ] = "session"


@router.get(
    "/{session_id}/export", summary="Export the session", tags=["Read"], response_model=Document,
    responses=examples.exported(),
)  # fmt: skip
async def export_session(call: ReadCall, query: Annotated[ExportQuery, Query()]) -> Response:
    """The whole session as one document; posted to `/v1/sessions`, it makes one that goes on exactly as this would.

    `format=pytorch` gives a script that builds the same network, loss and optimizer in PyTorch, with the parameters,
    optimizer state and rows of now, and takes one whole training step from there.
    """
    session = call.session
    numbers = _numbers(session) + session.state.nbytes // 8
    if query.format == "pytorch":
        script = await call.sessions.read(numbers * NUMBER_WORK, lambda: to_pytorch(session).encode())
        return Answer(script, 200, "text/x-python; charset=utf-8", {})
    return await json_response(call, lambda: export(session), numbers=numbers)
