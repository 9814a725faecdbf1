"""The calls that move a training on: a pass or a part of one, an update, whole epochs. And what it predicts."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from pydantic import Field
from starlette.types import Receive

from app.api import examples, negotiation
from app.api.changes import changed, kept, snapshot_answer
from app.api.contents import View
from app.api.parts import parts_of
from app.api.progress import describe_run, location, stopped_to_json
from app.api.responses import changed_headers, json_response, view_of
from app.api.routing import AsOf, ChangeCall, ReadCall, Route, SessionCall, offers
from app.api.schemas import PredictionSchema, RunSchema, SnapshotSchema, TrainedSchema
from app.api.snapshots import SnapshotQuery, predicted, rounded, snapshot
from app.api.streams import stream
from app.engine.plan import Ending
from app.errors import FieldError, GradstepError, InvalidInput
from app.sessions.once import Changed
from app.sessions.operations import Backward, Forward, Predict, Step, Train, Trained

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["Advance"], route_class=Route)


async def _advance(call: SessionCall, operation: Forward | Backward | Step, query: SnapshotQuery) -> Response:
    view = view_of(call, query, operation.samples(call.session))
    return await changed(call, operation, lambda outcome: snapshot_answer(call, outcome, view))


_advancing: dict[str, Any] = {
    "response_model": SnapshotSchema,
    "responses": examples.problems("session", "body", "change", snapshot=True),
}


@router.post("/forward", summary="Run the forward pass, or a part of it", **_advancing)
@offers(negotiation.JSON, negotiation.NPZ)
async def forward(
    call: ChangeCall,
    query: Annotated[SnapshotQuery, Query()],
    body: Annotated[Forward, Body(openapi_examples=examples.FORWARD)] = Forward(),  # noqa: B008
) -> Response:
    """From the inputs to the outputs and the loss, up to and including layer `until`; answers the snapshot after it."""
    return await _advance(call, body, query)


@router.post("/backward", summary="Run the backward pass, or a part of it", **_advancing)
@offers(negotiation.JSON, negotiation.NPZ)
async def backward(
    call: ChangeCall,
    query: Annotated[SnapshotQuery, Query()],
    body: Annotated[Backward, Body(openapi_examples=examples.BACKWARD)] = Backward(),  # noqa: B008
) -> Response:
    """From the loss to every gradient, down to and including layer `until`. Gradients never add up over calls."""
    return await _advance(call, body, query)


@router.post("/step", summary="Update parameters", **_advancing)
@offers(negotiation.JSON, negotiation.NPZ)
async def step(
    call: ChangeCall,
    query: Annotated[SnapshotQuery, Query()],
    body: Annotated[Step, Body(openapi_examples=examples.STEP)] = Step(),  # noqa: B008
) -> Response:
    """Let the optimizer update the named parameters (default: all trainable ones not yet stepped)."""
    return await _advance(call, body, query)


PREFER = examples.header(
    "Prefer",
    "`respond-async`: answer at once with a run, which goes on by itself (RFC 7240). Others are ignored.",
    "respond-async",
)


@router.post(
    "/train", summary="Train for some epochs", response_model=TrainedSchema,
    responses=examples.trained(RunSchema), openapi_extra=PREFER,
)  # fmt: skip
@offers(negotiation.JSON, negotiation.EVENTS, negotiation.LINES)
async def train(
    call: ChangeCall,
    query: Annotated[SnapshotQuery, Query()],
    body: Annotated[Train, Body(openapi_examples=examples.TRAIN)] = Train(),  # noqa: B008
) -> Response:
    """Repeat forward, backward and step over the session's data, until so many epochs are done or something happens.

    As `text/event-stream` or `application/jsonl`, each entry is sent as it happens. A client that goes away ends it;
    but with `Prefer: respond-async` it goes on by itself, as a run.
    """
    view = view_of(call, query, body.samples(call.session))
    deferred = negotiation.prefers(call.headers.get("prefer"), "respond-async")
    if deferred or call.accept != negotiation.JSON:
        shown = query.include is not None and bool(view.parts)
        session = await call.sessions.load(call.session.id, call.owner)  # its rows may be others by now
        parts = parts_of(session, body, view, with_snapshot=shown)
        key = call.key and call.key.digest
        run = await call.sessions.begin(call.session.id, body, call.if_match, parts, key=key)
        if not deferred:
            return await kept(call, stream(call, run, view, ends_run=True), run.id)
        headers = {"Location": location(run), "Preference-Applied": "respond-async"}
        return await kept(call, await json_response(call, lambda: describe_run(run), 202, headers))
    if body.probe is not None:
        raise InvalidInput([FieldError("/probe", "goes with entries that are streamed: ask for text/event-stream")])
    return await _unless_left(call, changed(call, body, lambda outcome: _trained(call, outcome, view)))


async def _trained(call: SessionCall, outcome: Changed, view: View) -> Response:
    session, result = outcome
    assert isinstance(result, Trained)
    stopped, history = stopped_to_json(result.stopped), rounded(result.history, view.decimals)
    numbers = 7 * len(result.history) + 3 * session.state.nbytes // 8
    return await json_response(
        call, lambda: {"history": history, "stopped": stopped, "snapshot": snapshot(session, view)},
        headers={**changed_headers(session), "Vary": "Accept"}, tag=str(session.revision), numbers=numbers,
    )  # fmt: skip


async def _unless_left(call: SessionCall, training: Coroutine[Any, Any, Response]) -> Response:
    """What a training comes to; where its client goes away before, it is told to end."""
    task, leaving = asyncio.create_task(training), asyncio.create_task(_left(call.request.receive))
    await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not task.done():
        with suppress(GradstepError):
            session = await call.sessions.load(call.session.id, call.owner)
            if (run := await call.sessions.run_of(session)) is not None:
                await call.sessions.runs.end(run, Ending("disconnected"))
    return await task


async def _left(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":  # a body of no length has not been taken yet
        pass


class PredictQuery(AsOf):
    """What a prediction answers beside the outputs."""

    include: Annotated[
        str | None, Field(pattern=r"^activations$", description="`activations`: each layer's `z` and `a` too.")
    ] = None


@router.post(
    "/predict", summary="Run the network on rows", response_model=PredictionSchema,
    responses=examples.problems("session", "body", "past"),
)  # fmt: skip
async def predict(
    call: ReadCall,
    query: Annotated[PredictQuery, Query()],
    body: Annotated[Predict, Body(openapi_examples=examples.PREDICT)] = Predict(),  # noqa: B008
) -> Response:
    """The outputs for these inputs (default: the session's). Changes nothing."""
    session, activations = call.session, query.include is not None
    work, run = body.prepare(session, call.sessions.settings, activations=activations)
    result = await call.sessions.run(work, run)
    numbers = result.vector.size if activations else result.outputs.size
    return await json_response(
        call, lambda: predicted(session.config, result, activations=activations), numbers=numbers
    )
