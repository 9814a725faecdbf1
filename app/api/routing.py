"""The way of a request: what is checked, in which order, before a call is made.

FastAPI reads and validates a body before anything else is looked at, and spends 60 µs on it; the contract answers 404
for an unknown session before it looks at the body. So each route here binds its own arguments, from the same signature
that FastAPI makes the OpenAPI document of:

    unknown path 404 · method 405 · session 404, 410 · Accept 406 · Content-Type 415 · size 413 · syntax 400 ·
    body, then query, then headers 422 · as of when 410 · If-Match 412 · busy, then wrong phase 409 · room 503 · act

(Keys and rates belong between the method and the session, the replay of an answer before If-Match.) The routers do the
first two, this module those up to 422, and `Sessions` the rest.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_args

from fastapi import Depends, Header, Path, Request, Response
from fastapi.params import Body as BodyParam
from fastapi.params import Query as QueryParam
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api import negotiation
from app.api.bodies import JsonBody
from app.errors import FieldError, InvalidInput, field_errors
from app.sessions.service import Sessions
from app.sessions.session import Session


class Parameters(BaseModel):
    """The query parameters of a call; others are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AsOf(Parameters):
    """As of when a read is to answer (default: as the session stands now); with both, at that revision's epoch."""

    revision: Annotated[int | None, Field(ge=0, le=2**53, description="Answer as of this revision.")] = None
    epoch: Annotated[int | None, Field(ge=0, le=2**53, description="Answer as of where this epoch ended.")] = None


@dataclass(slots=True)
class Call:
    """What every endpoint may need: the request, the sessions, and what the headers ask for."""

    request: Request
    headers: dict[str, str]
    sessions: Sessions
    accept: str
    if_match: frozenset[int] | None


@dataclass(slots=True)
class SessionCall(Call):
    """A call about one session, as it was when the request came, or as of when the query asks for."""

    session: Session


def _call() -> None:
    """Stands in the signature of an endpoint for what `Route` gives it."""


def _session_call(
    session_id: Annotated[str, Path(description="The session's id.")],
    if_match: Annotated[str | None, Header(description='Refuse (412) unless at this revision: `"7"`.')] = None,
) -> None:
    """Documents what a call about a session takes."""


def _session_read(session_id: Annotated[str, Path(description="The session's id.")]) -> None:
    """Documents what a read of a session takes."""


AnyCall = Annotated[Call, Depends(_call)]
ReadCall = Annotated[SessionCall, Depends(_session_read)]
ChangeCall = Annotated[SessionCall, Depends(_session_call)]


def offers(*media_types: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say in which forms an endpoint can answer, the default first (JSON alone unless told)."""

    def mark(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        endpoint.__dict__["offers"] = media_types
        return endpoint

    return mark


def takes_npz(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Say that the body of an endpoint may be an npz of named arrays, in place of a JSON object of named lists."""
    endpoint.__dict__["takes"] = (negotiation.NPZ,)
    return endpoint


def takes_tables(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Say that the body of an endpoint may be a table as CSV, which it gets as text, or an npz of named arrays."""
    endpoint.__dict__["takes"] = (negotiation.NPZ, negotiation.CSV)
    return endpoint


class Route(APIRoute):
    """A route whose endpoint takes a `call`, and maybe a `body` and a `query`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        handle = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            # FastAPI's own way keeps exit stacks for dependencies and handles errors a second time.
            try:
                response = await handle(Request(scope, receive, send))
                await response(scope, receive, send)
            except ClientDisconnect:
                return

        self.app = app

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = cast(Callable[..., Coroutine[Any, Any, Response]], self.endpoint)
        media_types: Sequence[str] = endpoint.__dict__.get("offers", (negotiation.JSON,))
        about_session = "{session_id}" in self.path
        hints = endpoint.__annotations__
        conditional = hints["call"] is ChangeCall
        takes = endpoint.__dict__.get("takes", ())
        body = JsonBody(_type_of(hints["body"], BodyParam), takes) if "body" in hints else None
        query = _Query(hints["query"]) if "query" in hints else _NO_QUERY

        async def handle(request: Request) -> Response:
            sessions: Sessions = request.app.state.sessions
            headers = _headers(request.scope["headers"])
            if about_session:
                session = await sessions.load(request.path_params["session_id"])
            accept = negotiation.choose(headers.get("accept"), media_types)
            arguments = {}
            if body is not None:
                arguments["body"] = await body.read(headers, request.receive, sessions)
            if (asked := query.read(request)) is not None:
                arguments["query"] = asked
                if about_session and isinstance(asked, AsOf):
                    session = await sessions.past.at(session, asked.revision, asked.epoch)
            if_match = negotiation.revisions(headers.get("if-match")) if conditional else None
            if about_session:
                return await endpoint(SessionCall(request, headers, sessions, accept, if_match, session), **arguments)
            return await endpoint(Call(request, headers, sessions, accept, if_match), **arguments)

        return handle


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by their lower-case names; the values of one that is repeated joined, as RFC 9110 has it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    if len(headers) < len(raw):
        values: dict[str, list[str]] = {}
        for name, value in raw:
            values.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        headers = {name: ", ".join(parts) for name, parts in values.items()}
    return headers


class _Query:
    """Reads the query string into the model that the endpoint's annotation names."""

    def __init__(self, annotation: Any) -> None:
        self.adapter: TypeAdapter[Any] = TypeAdapter(_type_of(annotation, QueryParam))
        try:
            self.default = self.adapter.validate_python({})
        except ValidationError:  # there is one that is needed
            self.default = None

    def read(self, request: Request) -> Any:
        """The validated parameters; unknown ones are refused with the rest (InvalidInput)."""
        if not request.scope["query_string"] and self.default is not None:
            return self.default
        values = dict(request.query_params)
        try:
            return self.adapter.validate_python(values)
        except ValidationError as error:
            errors = [FieldError(f"?{pointer[1:]}", detail) for pointer, detail in field_errors(error, values)]
            raise InvalidInput(errors) from None


class _NoQuery:
    """For endpoints that take no parameters."""

    def read(self, request: Request) -> None:
        """Refuse any."""
        if request.scope["query_string"] and request.query_params:
            name = next(iter(request.query_params))
            raise InvalidInput([FieldError(f"?{name[:50]}", "no parameter has this name here")])


_NO_QUERY = _NoQuery()


def _type_of(annotation: Any, marker: type) -> Any:
    """The type in an annotation, without the marker that tells FastAPI where the value comes from."""
    base, *metadata = get_args(annotation)
    kept = tuple(item for item in metadata if not isinstance(item, marker))
    return Annotated[(base, *kept)] if kept else base
