"""What this server is, how it does, and what its problems mean."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from app import __version__
from app.api import examples
from app.api.problems import KINDS, STATUS, problem_type
from app.api.responses import json_response
from app.api.routing import AnyCall, Call, Route
from app.api.schemas import AboutSchema, HealthSchema, ProblemKindSchema
from app.errors import NotFound, Stopping

router = APIRouter(route_class=Route, tags=["About"])

DESCRIPTION = "A step debugger for neural-network training, over HTTP"


def _named(name: Annotated[str, Path(description="The last part of the `type` of a problem.")]) -> None:
    """Documents what the path takes."""


@router.get("/v1", response_model=AboutSchema, summary="What this is", responses=examples.problems())
async def about(call: AnyCall) -> Response:
    """What this is, and where to go from here."""
    links = {"documentation": "/docs", "openapi": "/openapi.json", "catalog": "/v1/catalog", "sessions": "/v1/sessions"}
    body = {"name": "Gradstep", "description": DESCRIPTION, "version": __version__, "links": links}
    return await json_response(call, lambda: body)


@router.get("/healthz", response_model=HealthSchema, summary="Is the server up?", responses=examples.problems())
async def healthz(call: AnyCall) -> Response:
    """Answers as long as the process can."""
    return await json_response(call, lambda: {"status": "ok"})


@router.get("/readyz", response_model=HealthSchema, summary="Does it take work?", responses=examples.problems())
async def readyz(call: AnyCall) -> Response:
    """Answers 200 while the store can be reached, and 503 once the server is stopping."""
    if call.request.app.drain.begun:
        raise Stopping("this server is stopping", retry_after=5)
    await call.sessions.store.ready()
    return await json_response(call, lambda: {"status": "ready"})


@router.get(
    "/v1/problems/{name}", response_model=ProblemKindSchema, summary="What a problem means",
    responses=examples.problems("unknown"),
)  # fmt: skip
async def describe_problem(call: Annotated[Call, Depends(_named)]) -> Response:
    """What the `type` of a problem stands for."""
    kind = KINDS.get(call.request.path_params["name"])
    if kind is None:
        raise NotFound("no kind of problem has this name")
    description = " ".join((kind.__doc__ or "").split())
    body = {"type": problem_type(kind), "title": kind.title, "status": STATUS[kind], "description": description}
    return await json_response(call, lambda: body)
