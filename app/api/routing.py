"""The way of a request: what is checked, in which order, before a call is made.

FastAPI reads and validates a body before anything else is looked at, and spends 60 µs on it; the contract answers 404
for an unknown session before it looks at the body. So each route here binds its own arguments, from the same signature
that FastAPI makes the OpenAPI document of:

    unknown path 404 · method 405 · session 404, 410 · Accept 406 · Content-Type 415 · size 413 · syntax 400 ·
    body, then query, then headers 422 · as of when 410 · If-Match 412 · busy, then wrong phase 409 · room 503 · act

The API key (401) and the rate (429) come before the session. A request with an `Idempotency-Key` has its body received,
and its answer looked for, before all that is about the session. The routers do the first two, this module those up to
422, and `Sessions` the rest.
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
from app.api.keys import Keys
from app.api.once import MAX_LENGTH, Key, key_of, response_of
from app.errors import FieldError, GradstepError, InvalidInput, field_errors
from app.sessions.once import Replayed
from app.sessions.service import Sessions
from app.sessions.session import Session

MAX_PARAMETERS = 100  # of a query, before any is looked at
BODY_BYTE_WORK = 30  # to read and check a byte of a body, in the units of `app.engine.cost`


class Parameters(BaseModel):
    """The query parameters of a call; others are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AsOf(Parameters):
    """As of when a read is to answer (default: as the session stands now); with both, at that revision's epoch."""

    revision: Annotated[int | None, Field(ge=0, le=2**53, description="Answer as of this revision.")] = None
    epoch: Annotated[int | None, Field(ge=0, le=2**53, description="Answer as of where this epoch ended.")] = None


@dataclass(slots=True)
class Call:
    """What every endpoint may need: the request, whose it is, the sessions, and what the headers ask for.

    `key` is what it is to be done once by, where it has such a thing.
    """

    request: Request
    headers: dict[str, str]
    sessions: Sessions
    owner: str
    accept: str
    if_match: frozenset[int] | None
    key: Key | None


@dataclass(slots=True)
class SessionCall(Call):
    """A call about one session, as it was when the request came, or as of when the query asks for."""

    session: Session


def _call() -> None:
    """Stands in the signature of an endpoint for what `Route` gives it."""


SessionId = Annotated[str, Path(description="The session's id.")]
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=MAX_LENGTH, description="Do this once, however often it is sent with this key within a day."),
]


def _session_call(
    session_id: SessionId,
    if_match: Annotated[str | None, Header(description='Refuse (412) unless at this revision: `"7"`.')] = None,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Documents what a call that changes a session takes."""


def _session_read(session_id: SessionId) -> None:
    """Documents what a read of a session takes."""


def _new_call(idempotency_key: IdempotencyKey = None) -> None:
    """Documents what a call that makes a session takes."""


def _fork_call(session_id: SessionId, idempotency_key: IdempotencyKey = None) -> None:
    """Documents what a call that makes sessions of another takes."""


AnyCall = Annotated[Call, Depends(_call)]
NewCall = Annotated[Call, Depends(_new_call)]
ReadCall = Annotated[SessionCall, Depends(_session_read)]
ForkCall = Annotated[SessionCall, Depends(_fork_call)]
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
        about_session, guarded = "{session_id}" in self.path, self.path.startswith("/v1/sessions")
        hints = endpoint.__annotations__
        conditional, makes = hints["call"] is ChangeCall, hints["call"] in (NewCall, ForkCall)
        takes = endpoint.__dict__.get("takes", ())
        body = JsonBody(_type_of(hints["body"], BodyParam), takes) if "body" in hints else None
        query = _Query(hints["query"]) if "query" in hints else _NO_QUERY

        async def handle(request: Request) -> Response:
            sessions: Sessions = request.app.state.sessions
            headers, owner = _headers(request.scope["headers"]), ""
            if guarded:
                keys: Keys = request.app.state.keys
                owner = keys.owner_of(headers.get("authorization"))
                if sessions.rates is not None:  # what ends work, or frees room, is never refused
                    await sessions.rates.enter(owner, refuse=request.method != "DELETE")
            if "idempotency-key" in headers and (conditional or makes):
                return await once(request, headers, sessions, owner)
            return await act(request, headers, sessions, owner)

        async def act(
            request: Request,
            headers: dict[str, str],
            sessions: Sessions,
            owner: str,
            key: Key | None = None,
            text: bytes | None = None,
        ) -> Response:
            if about_session:
                session = await sessions.load(request.path_params["session_id"], owner)
            accept = negotiation.choose(headers.get("accept"), media_types)
            arguments = {}
            if body is not None:
                if text is None:
                    text = await body.receive(headers, request.receive, sessions.settings)
                if sessions.rates is not None:
                    await sessions.rates.pay(BODY_BYTE_WORK * len(text))
                arguments["body"] = await body.parse(headers, text, sessions)
            if (asked := query.read(request)) is not None:
                arguments["query"] = asked
                if about_session and isinstance(asked, AsOf):
                    session = await sessions.past.at(session, asked.revision, asked.epoch)
            if_match = negotiation.revisions(headers.get("if-match")) if conditional else None
            if about_session:
                call = SessionCall(request, headers, sessions, owner, accept, if_match, key, session)
                return await endpoint(call, **arguments)
            return await endpoint(Call(request, headers, sessions, owner, accept, if_match, key), **arguments)

        async def once(request: Request, headers: dict[str, str], sessions: Sessions, owner: str) -> Response:
            text = b"" if body is None else await body.receive(headers, request.receive, sessions.settings)
            place = sessions.id_for if makes else lambda _: str(request.path_params["session_id"])
            key = key_of(request, headers, owner, text, place)
            with sessions.at_work(key.digest):
                reply = await sessions.store.reply(key.place, key.digest)
                if reply is None or reply.run is not None:
                    try:
                        if reply is not None:
                            key.check(reply)
                        return await act(request, headers, sessions, owner, key, text)
                    except Replayed as replayed:
                        reply = replayed.reply
                    except GradstepError:  # it may be refused because another process has done it since
                        reply = await sessions.store.reply(key.place, key.digest)
                        if reply is None or reply.run is not None:
                            raise
                key.check(reply)
                return response_of(reply)

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
        if request.scope["query_string"].count(b"&") >= MAX_PARAMETERS:
            raise InvalidInput([FieldError("?", f"takes at most {MAX_PARAMETERS} parameters")])
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
