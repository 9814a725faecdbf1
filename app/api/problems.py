"""Errors as problems: RFC 9457's `application/problem+json`, in one place.

Each kind of `GradstepError` has a status here; FastAPI's own errors (an unknown path, a method that a path does not
take, a bug of ours) go the same way.
"""

import logging
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from app.api.headers import SECURITY
from app.api.tracing import request_id
from app.errors import (
    MAX_FIELD_ERRORS,
    Busy,
    FieldError,
    Full,
    GradstepError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    QuotaExceeded,
    RequestUnderWay,
    RevisionGone,
    RevisionMismatch,
    SessionCorrupt,
    SessionExpired,
    SessionNotFound,
    Stopping,
    StoreAway,
    TooManyRequests,
    TrainingFailed,
    Unauthorized,
    Unavailable,
    WrongPhase,
)

MEDIA_TYPE = "application/problem+json"
MAX_BYTES = 16 * 1024
_MAX_TEXT = 600

log = logging.getLogger("gradstep")


class MalformedBody(GradstepError):
    """The body is no JSON: a syntax error, bytes that are no UTF-8, a duplicate key, too deep a nesting."""

    slug = "malformed-body"
    title = "Malformed body"


class KeyReused(GradstepError):
    """The `Idempotency-Key` was used for something else within the last day: what was sent then was not the same."""

    slug = "idempotency-key-reused"
    title = "Idempotency-Key used before"


class MalformedRequest(GradstepError):
    """What was sent is no HTTP/1.1."""

    slug = "malformed-request"
    title = "Malformed request"


class RequestTimeout(GradstepError):
    """The rest of the request did not come in time. Nothing has been changed."""

    slug = "request-timeout"
    title = "Request took too long"


class Misdirected(GradstepError):
    """The request's `Host` is none that this server answers for."""

    slug = "misdirected"
    title = "Another server's request"


class HeadersTooLarge(GradstepError):
    """Headers of more bytes than this server takes."""

    slug = "headers-too-large"
    title = "Headers too large"


class NotAcceptable(GradstepError):
    """None of the media types that the client accepts can be had here."""

    slug = "not-acceptable"
    title = "Not acceptable"


class UnsupportedMediaType(GradstepError):
    """A body of a type or with a content coding that is not taken here."""

    slug = "unsupported-media-type"
    title = "Unsupported media type"


class BodyTooLarge(GradstepError):
    """A body of more bytes, or with more lists and objects in it, than this server takes."""

    slug = "body-too-large"
    title = "Body too large"


class MethodNotAllowed(GradstepError):
    """The path exists, but not with this method; `Allow` lists those that do."""

    slug = "method-not-allowed"
    title = "Method not allowed"


class InternalError(GradstepError):
    """A fault of the server. Nothing has been changed."""

    slug = "internal-error"
    title = "Internal error"


STATUS: dict[type[GradstepError], int] = {
    MalformedBody: 400,
    MalformedRequest: 400,
    Unauthorized: 401,
    NotFound: 404,
    SessionNotFound: 404,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    RequestTimeout: 408,
    WrongPhase: 409,
    Busy: 409,
    RequestUnderWay: 409,
    SessionExpired: 410,
    RevisionGone: 410,
    SessionCorrupt: 410,
    RevisionMismatch: 412,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    Misdirected: 421,
    InvalidInput: 422,
    KeyReused: 422,
    LimitExceeded: 422,
    QuotaExceeded: 429,
    TooManyRequests: 429,
    HeadersTooLarge: 431,
    InternalError: 500,
    Full: 503,
    StoreAway: 503,
    Stopping: 503,
    TrainingFailed: 503,
}
KINDS = {kind.slug: kind for kind in STATUS}


def problem_type(kind: type[GradstepError]) -> str:
    """The URI that names a kind of problem; it answers what the kind means."""
    return f"/v1/problems/{kind.slug}"


def problem(error: GradstepError, instance: str) -> dict[str, Any]:
    """The members of a problem; `instance` is the path of the request."""
    body: dict[str, Any] = {
        "type": problem_type(type(error)),
        "title": error.title,
        "status": STATUS[type(error)],
        "detail": error.detail[:_MAX_TEXT],
        "instance": instance[:_MAX_TEXT],
    }
    if isinstance(error, InvalidInput):
        body["errors"] = [_field(field) for field in error.errors[:MAX_FIELD_ERRORS]]
    for name, value in error.extra.items():
        body[name] = timestamp(value) if name.endswith("_at") else value
    return body


def _field(error: FieldError) -> dict[str, str]:
    place, detail = error.pointer[:200], error.detail[:300]
    if place.startswith("?"):
        return {"parameter": place[1:], "detail": detail}
    return {"pointer": place, "detail": detail}


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 writes them, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def respond(request: Request, error: GradstepError, headers: dict[str, str] | None = None) -> Response:
    """The answer that tells a client of an error."""
    body = problem(error, quote(request.url.path[:_MAX_TEXT], safe="/:@!$&'()*+,;=~"))
    headers = {**SECURITY, **(headers or {})}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if body["status"] >= 500:
        body["request_id"] = headers["X-Request-Id"] = request_id(request.scope)
    return Response(orjson.dumps(body), body["status"], headers, media_type=MEDIA_TYPE)


def _methods(request: Request) -> list[str]:
    """The methods that the path of a request takes; a file's, where it is no route's."""
    here = [route for route in iter_route_contexts(request.app.routes) if route.path_regex.match(request.url.path)]
    methods = {method for route in here for method in route.methods or ()} or {"GET"}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem."""

    async def on_gradstep_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, GradstepError)
        return respond(request, error)

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allow = ", ".join(_methods(request))
            refusal = MethodNotAllowed(f"this path does not take this method; it takes {allow}")
            return respond(request, refusal, {"Allow": allow})
        return respond(request, NotFound("nothing is at this path; /docs lists what there is"))

    async def on_fault(request: Request, error: Exception) -> Response:
        name = request_id(request.scope)
        told = {"request_id": name, "method": request.method, "path": request.url.path}
        log.error(
            "a fault while answering %s %r (request %s)", request.method, request.url.path, name, exc_info=error,
            extra={"fields": told},
        )  # fmt: skip
        return respond(request, InternalError("something went wrong here; the server's log says what"))

    app.add_exception_handler(GradstepError, on_gradstep_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(Exception, on_fault)
