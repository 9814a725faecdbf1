"""The calls about runs: how far they are, their entries as they happen, their end. And sweeps, which are runs too."""

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import Field

from app.api import examples, negotiation
from app.api.changes import kept
from app.api.progress import describe_run, location, result_numbers
from app.api.responses import json_response, view_of
from app.api.routing import ForkCall, Parameters, ReadCall, Route, SessionCall, offers
from app.api.schemas import RunListSchema, RunSchema
from app.api.snapshots import SnapshotQuery
from app.api.streams import has_seen_all, stream
from app.engine.plan import Ending
from app.errors import FieldError, InvalidInput
from app.sessions.runs import Run
from app.sessions.sweep import Sweep

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["Runs"], route_class=Route)

LAST_EVENT_ID = examples.header(
    "Last-Event-ID", "Send the entries after this epoch alone; 204 where a run that is over has no more.", "35"
)


def _one_run(
    session_id: Annotated[str, Path(description="The session's id.")],
    run: Annotated[str, Path(description="The run's id.")],
) -> None:
    """Documents what a call about a run takes."""


RunCall = Annotated[SessionCall, Depends(_one_run)]


class RunsQuery(Parameters):
    """Which page of the runs to list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="How many to list.")] = 100
    after: Annotated[str | None, Field(max_length=100, description="List the runs after this one.")] = None


class CancelQuery(Parameters):
    """When a run is to end."""

    at: Annotated[
        Literal["epoch"] | None, Field(description="`epoch`: when the epoch under way is done (default: at once).")
    ] = None


@router.get("/runs", response_model=RunListSchema, summary="List the runs", responses=examples.problems("session"))
async def list_runs(call: ReadCall, query: Annotated[RunsQuery, Query()]) -> Response:
    """The session's runs, newest last, without the results of sweeps; old ones may be forgotten.

    `next` is the URL of the next page, or null.
    """
    runs = await call.sessions.runs.of(call.session.id)
    first = next((at for at, run in enumerate(runs, 1) if run.id == query.after), None)
    if query.after is None:
        first = 0
    elif first is None:
        raise InvalidInput([FieldError("?after", "takes what the `next` of a page says, and that run was forgotten")])
    shown, following = runs[first : first + query.limit], None
    if first + query.limit < len(runs):
        parameters = urlencode({"limit": query.limit, "after": shown[-1].id})
        following = f"/v1/sessions/{call.session.id}/runs?{parameters}"
    return await json_response(
        call, lambda: {"items": [describe_run(run, result=False) for run in shown], "next": following}
    )


async def _find(call: SessionCall) -> Run:
    return await call.sessions.runs.find(call.session.id, call.request.path_params["run"])


@router.get(
    "/runs/{run}", response_model=RunSchema, summary="Follow a run", responses=examples.streamed("session", "unknown"),
    openapi_extra=LAST_EVENT_ID,
)  # fmt: skip
@offers(negotiation.JSON, negotiation.EVENTS, negotiation.LINES)
async def read_run(call: RunCall, query: Annotated[SnapshotQuery, Query()]) -> Response:
    """How far it is. As `text/event-stream` or `application/jsonl`: its entries, from the first on, as they happen.

    Any number of clients may watch, come and go; the run goes on without them.
    """
    run, view = await _find(call), view_of(call, query, None)
    if call.accept == negotiation.JSON:
        headers = {"Vary": "Accept"}
        return await json_response(call, lambda: describe_run(run), headers=headers, numbers=result_numbers(run))
    if has_seen_all(call, run):
        return Response(status_code=204)
    return stream(call, await call.sessions.runs.follow(call.session.id, run.id), view)


@router.delete(
    "/runs/{run}", status_code=202, response_model=RunSchema, summary="Cancel a run",
    responses=examples.problems("session", "unknown"),
)  # fmt: skip
async def cancel(call: RunCall, query: Annotated[CancelQuery, Query()]) -> Response:
    """Ask a run to end: after the step that it is at, or when its epoch is done. One that is over stays as it is."""
    run = await _find(call)
    await call.sessions.runs.end(run, Ending("cancelled", at_epoch=query.at == "epoch"))
    return await json_response(call, lambda: describe_run(run), 202, numbers=result_numbers(run))


@router.post(
    "/sweep", status_code=202, response_model=RunSchema, summary="Try several settings",
    responses=examples.accepted("session", "body", "once"),
)  # fmt: skip
async def sweep(call: ForkCall, body: Annotated[Sweep, Body(openapi_examples=examples.SWEEP)]) -> Response:
    """Fork the session once for each combination of these settings, and train each fork.

    Answers a run, whose result lists the forks. A `seed` makes its forks start anew, from numbers drawn with it.
    """
    if body.train.probe is not None:
        raise InvalidInput([FieldError("/train/probe", "goes with entries that are streamed, which a sweep has not")])
    run = await call.sessions.sweep(call.session, body, call.key and call.key.digest)
    return await kept(call, await json_response(call, lambda: describe_run(run), 202, {"Location": location(run)}))
