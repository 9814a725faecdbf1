"""The calls of a debugger: read one tensor, change numbers, ask where one comes from, check one's own working."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import Field

from app.api import examples, negotiation
from app.api.changes import changed, snapshot_answer
from app.api.responses import (
    NUMBER_WORK,
    NUMPY_WORK,
    Answer,
    check_size,
    json_response,
    view_of,
)
from app.api.routing import AsOf, ChangeCall, ReadCall, Route, SessionCall, offers
from app.api.schemas import PreviewSchema, SnapshotSchema, TensorSchema, WorkedExampleSchema
from app.api.snapshots import SnapshotQuery, tensor_json
from app.engine import chain, cost, names
from app.engine.explanation import DECIMALS, Explanation
from app.engine.gradcheck import Gradcheck, Report, count, gradcheck
from app.engine.rows import Rows
from app.engine.summary import Summary, summarize
from app.engine.verify import Verified, Verify, verify, verify_bytes, verify_work
from app.errors import InvalidInput, NotFound, WrongPhase
from app.exports import explanations
from app.exports.explanations import ExplanationJson
from app.exports.npz import to_npy
from app.sessions import limits
from app.sessions.edits import Edit
from app.sessions.explaining import Explaining
from app.sessions.preview import Preview

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["Debug"], route_class=Route)

WHOLE_STEP = "all"
EXPLAIN_WORK = 20_000  # to write out a term, in the units of `app.engine.cost`
TERM_NUMBERS = 30  # that are as long as a term


def _named(
    session_id: Annotated[str, Path(description="The session's id.")],
    name: Annotated[str, Path(description="A tensor, or a number of it: `hidden.z`, `hidden.weight[0][1]`.")],
) -> None:
    """Documents what a read of a tensor takes."""


NamedCall = Annotated[SessionCall, Depends(_named)]


class TensorQuery(AsOf):
    """How to show a tensor, and as of when."""

    decimals: Annotated[int | None, Field(ge=0, le=17, description="Round numbers to so many decimals.")] = None


@router.get(
    "/tensors/{name}", response_model=TensorSchema, summary="Read one tensor", tags=["Read"],
    responses=examples.tensor(),
)  # fmt: skip
@offers(negotiation.JSON, negotiation.NPY)
async def read_tensor(call: NamedCall, query: Annotated[TensorQuery, Query()]) -> Response:
    """One tensor by its name, or with indices one row or number of it. `Accept: application/x-npy` for numpy."""
    name, array = await _tensor(call)
    headers = {"Vary": "Accept, Accept-Encoding"}
    if call.accept == negotiation.NPY:
        content = await call.sessions.read(array.size * NUMPY_WORK, lambda: to_npy(array))
        return Answer(content, 200, negotiation.NPY, {**headers, "ETag": f'"{call.session.tag}-npy"'})
    limits.check_numbers(call.sessions.settings, array.size, "?Accept")
    return await json_response(
        call, lambda: tensor_json(name, array, query.decimals), headers=headers, tag=call.session.tag,
        numbers=array.size,
    )  # fmt: skip


@router.get(
    "/tensors/{name}/summary", response_model=Summary, summary="Summarize one tensor", tags=["Read"],
    responses=examples.problems("session", "past", "phase", "unknown"),
)  # fmt: skip
async def read_summary(call: NamedCall, query: Annotated[AsOf, Query()]) -> Response:
    """The extremes, the mean and spread, a histogram, and the largest entries of a tensor."""
    _, array = await _tensor(call)
    summary = await call.sessions.read(array.size * NUMBER_WORK, lambda: summarize(array))
    return await json_response(call, lambda: summary)


async def _tensor(call: SessionCall) -> tuple[str, np.ndarray[Any, Any]]:
    """The tensor that the path names, or the part of it. Raises NotFound, WrongPhase or LimitExceeded."""
    config, state = call.session.config, call.session.state
    try:
        address = names.find(config, call.request.path_params["name"], "")
    except InvalidInput as error:
        raise NotFound(f"no tensor has this name: {error.errors[0].detail}") from None
    check_size(call, address, "?name")
    work = cost.update_work(config) if address.part == "next" else 0
    array = await call.sessions.run(work, lambda: names.read(config, state, address))
    if len(address.index) > array.ndim or any(i >= n for i, n in zip(address.index, array.shape, strict=False)):
        raise NotFound(f"{address.tensor} has no such entry; its shape is {list(array.shape)}")
    return str(address), np.asarray(array[address.index])


@router.patch(
    "/parameters", response_model=SnapshotSchema, summary="Edit parameters",
    responses=examples.problems("session", "body", "change", snapshot=True),
)  # fmt: skip
@offers(negotiation.JSON, negotiation.NPZ)
async def edit(
    call: ChangeCall,
    query: Annotated[SnapshotQuery, Query()],
    body: Annotated[Edit, Body(openapi_examples=examples.EDITS)],
) -> Response:
    """Set numbers by name. Trace and gradients stay as they are; one revision. Answers the snapshot."""
    view = view_of(call, query, call.session.trace_count or None)
    return await changed(call, body, lambda outcome: snapshot_answer(call, outcome, view))


class ExplainQuery(AsOf):
    """What to explain, and how much of it to show."""

    of: Annotated[
        str, Field(max_length=names.MAX_LENGTH, description="The number's name, or `all` for the whole step.")
    ]
    decimals: Annotated[int, Field(ge=0, le=17, description="The decimals of the numbers inside of formulas.")] = (
        DECIMALS
    )
    max_samples: Annotated[
        int, Field(ge=1, le=1000, description="How many samples a gradient's ledger shows, the largest share first.")
    ] = chain.MAX_SAMPLES
    max_paths: Annotated[int, Field(ge=1, le=1000, description="How many ways to the loss it shows for a sample.")] = (
        chain.MAX_PATHS
    )


@router.get(
    "/explain", response_model=ExplanationJson | WorkedExampleSchema, summary="Explain a number",
    responses=examples.explanation(),
)  # fmt: skip
@offers(negotiation.JSON, negotiation.MARKDOWN)
async def explain(call: ReadCall, query: Annotated[ExplainQuery, Query()]) -> Response:
    """Where a number comes from: its formula, the same with the numbers put in, and its terms, to be asked for in turn.

    A parameter's gradient also has its chain-rule ledger. `Accept: text/markdown` gives a page to read, and `of=all`
    the whole step as a worked example.
    """
    revisions = (await call.sessions.store.history(call.session.id)).revisions
    explaining = Explaining(call.sessions, call.session, revisions)
    if query.of == WHOLE_STEP:
        found = await explaining.worked_example()
        heading = "The step, worked out"
    else:
        found = [await explaining.explain(query.of, query.max_samples, query.max_paths)]
        heading = query.of
    headers = {"Vary": "Accept, Accept-Encoding"}
    terms = sum(map(_size, found))
    work = EXPLAIN_WORK * terms
    if call.accept == negotiation.MARKDOWN:
        page = await call.sessions.read(work, lambda: explanations.to_markdown(found, heading, query.decimals))
        return Answer(page.encode(), 200, "text/markdown; charset=utf-8", headers)
    written = await call.sessions.read(work, lambda: [explanations.to_json(one, query.decimals) for one in found])
    return await json_response(
        call, lambda: {"items": written} if query.of == WHOLE_STEP else written[0], headers=headers,
        numbers=TERM_NUMBERS * terms,
    )  # fmt: skip


def _size(explained: Explanation) -> int:
    """How many terms an explanation has to be written out; a factor of its ledger takes as long as a few."""
    shares = explained.chain.samples if explained.chain else ()
    return 10 + len(explained.terms) + 4 * sum(len(path.factors) for share in shares for path in share.paths)


@router.post(
    "/verify", response_model=Verified, summary="Check a calculation made by hand",
    responses=examples.problems("session", "body", "past", "phase"),
)  # fmt: skip
async def check(
    call: ReadCall,
    query: Annotated[AsOf, Query()],
    body: Annotated[Verify, Body(openapi_examples=examples.VERIFY)],
) -> Response:
    """Grade values of the step under way, computed ahead where the session has not got there yet. Changes nothing.

    The first wrong one is computed again with one known slip at a time; a slip that gives what was sent is named.
    """
    session = call.session
    rows = session.data.train if session.data else None
    n = max(session.trace_count, len(rows) if rows else 0)
    work = verify_work(session.config, n)
    limits.check_work(call.sessions.settings, work)
    limits.check_bytes(call.sessions.settings, verify_bytes(session.config, n))
    verdict = await call.sessions.run(work, lambda: verify(session.config, session.state, rows, body))
    return await json_response(call, lambda: verdict, numbers=2 * verdict["score"]["of"])


@router.post(
    "/gradcheck", response_model=Report, summary="Check the gradients by finite differences",
    responses=examples.problems("session", "body", "past", "phase"),
)  # fmt: skip
async def check_gradients(
    call: ReadCall,
    query: Annotated[AsOf, Query()],
    body: Annotated[Gradcheck, Body(openapi_examples=examples.GRADCHECK)] = Gradcheck(),  # noqa: B008
) -> Response:
    """Central differences of the loss against backpropagation, entry by entry. Changes nothing.

    Over the session's rows (without any, over those of the last forward pass), at today's parameters.
    """
    session, state = call.session, call.session.state
    if session.data is not None:
        rows = session.data.train
    elif state.inputs is not None and state.targets is not None:
        rows = Rows(state.inputs, state.targets)
    else:
        raise WrongPhase("this session has neither data nor rows of a forward pass to check with", "forward")
    entries = count(session.config, body)
    work = cost.gradcheck_work(session.config, len(rows), entries)
    limits.check_work(call.sessions.settings, work)
    limits.check_bytes(call.sessions.settings, 2 * cost.state_bytes(session.config, len(rows)))
    limits.check_numbers(call.sessions.settings, 5 * entries, "/parameters")
    checked = await call.sessions.run(work, lambda: gradcheck(session.config, state, rows, body))
    return await json_response(call, lambda: checked, numbers=5 * entries)


@router.post(
    "/preview", response_model=PreviewSchema, summary="See what a step would do",
    responses=examples.problems("session", "body", "past", "phase"),
)  # fmt: skip
async def preview(
    call: ReadCall,
    query: Annotated[AsOf, Query()],
    body: Annotated[Preview, Body(openapi_examples=examples.PREVIEW)] = Preview(),  # noqa: B008
) -> Response:
    """What `step` would do to each parameter, under the session's optimizer or another one. Changes nothing."""
    session = call.session
    limits.check_numbers(call.sessions.settings, 3 * session.config.network.parameter_count, "")
    moved, norm = await call.sessions.run(cost.update_work(session.config), lambda: body.run(session))

    def written() -> dict[str, Any]:  # a float32 as the exact number that it is, as everywhere
        parameters = {
            name: {key: array.astype(np.float64) for key, array in one._asdict().items()} for name, one in moved.items()
        }
        return {"parameters": parameters, "gradient_norm": norm}

    return await json_response(call, written, numbers=3 * session.config.network.parameter_count)
