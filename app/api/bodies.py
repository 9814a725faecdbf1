"""Request bodies: how they are read, bounded and validated."""

import gc
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import jiter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.api.negotiation import CSV, JSON
from app.api.problems import BodyTooLarge, MalformedBody, UnsupportedMediaType
from app.errors import InvalidInput, field_errors
from app.exports.npz import TooLarge, from_npz
from app.sessions.service import Sessions
from app.settings import Settings

LARGE_BODY = 64 * 1024


class JsonBody:
    """Reads JSON into a type; where it `takes` npz or CSV too, these are read into named arrays, or into text."""

    def __init__(self, annotation: Any, takes: Collection[str] = ()) -> None:
        self.takes = takes
        self.adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        try:
            self.default = self.adapter.validate_python({})
        except ValidationError:
            self.default = None

    async def receive(self, headers: dict[str, str], receive: Receive, settings: Settings) -> bytes:
        """The bytes of the body; none where it is left out. Raises UnsupportedMediaType or BodyTooLarge."""
        length = headers.get("content-length")
        if length == "0":
            return b""
        other = self._other(headers) is not None
        announced = length is not None or "transfer-encoding" in headers
        if announced:
            _check_type(headers, other=other)
        if length is not None and length.isdecimal() and (len(length) > 18 or int(length) > settings.max_body):
            raise _too_large(settings)
        text = await _read(receive, settings)
        if text and not announced:  # as HTTP/2 may leave it
            _check_type(headers, other=other)
        return text

    async def parse(self, headers: dict[str, str], text: bytes, sessions: Sessions) -> Any:
        """The validated body; one that is left out counts as an empty object. Large ones are parsed in a thread.

        Raises:
            BodyTooLarge, MalformedBody, InvalidInput: in this order.
            Full: too many large bodies are waiting to be parsed.
        """
        settings, other = sessions.settings, self._other(headers)
        if other == CSV:
            return _decode(text)
        if other:
            return await sessions.parsing.run(lambda: _parse_npz(text, settings))
        if len(text) <= LARGE_BODY:
            return self._parse(text)
        _check_lists(text, settings)
        return await sessions.parsing.run(lambda: self._parse_large(text))

    def _other(self, headers: dict[str, str]) -> str | None:
        """The media type of a body that is taken here beside JSON."""
        media_type = _media_type(headers) if self.takes else ""
        return media_type if media_type in self.takes else None

    def _parse_large(self, text: bytes) -> Any:
        with _collector_at_rest():
            return self._parse(text)

    def _parse(self, text: bytes) -> Any:
        value: Any = {}
        if text and text != b"{}":
            try:
                value = jiter.from_json(text, allow_inf_nan=False, catch_duplicate_keys=True)
            except ValueError as error:
                raise MalformedBody(f"the body is no JSON: {_safely(str(error))}") from None
        if not value and isinstance(value, dict) and self.default is not None:
            return self.default
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            raise InvalidInput(field_errors(error, value)) from None


def _media_type(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").split(";")[0].strip().lower()


def _parse_npz(content: bytes, settings: Settings) -> dict[str, Any]:
    try:
        return from_npz(content, settings.max_body)
    except TooLarge as error:
        limit = settings.max_body
        detail = f"takes an npz that unpacks to at most {limit:,} bytes (GRADSTEP_MAX_BODY)"
        raise BodyTooLarge(detail, limit=limit, estimate=error.size, setting="GRADSTEP_MAX_BODY") from None
    except ValueError as error:
        raise MalformedBody(f"the body is no npz that is taken here: {error}") from None


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is no UTF-8: its byte {error.start} is out of place") from None


def _check_type(headers: dict[str, str], *, other: bool = False) -> None:
    content_type = headers.get("content-type")
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("takes a body without a content coding")
    if content_type == JSON or other:
        return
    media_type = _media_type(headers)
    if media_type != JSON and not (media_type.startswith("application/") and media_type.endswith("+json")):
        raise UnsupportedMediaType("takes application/json (with curl: -H 'Content-Type: application/json', or --json)")


async def _read(receive: Receive, settings: Settings) -> bytes:
    """The whole body, as long as it is within the limit."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > settings.max_body:
            raise _too_large(settings)
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk))
        chunks.append(chunk)


def _too_large(settings: Settings) -> BodyTooLarge:
    limit = settings.max_body
    detail = f"takes a body of at most {limit:,} bytes (GRADSTEP_MAX_BODY)"
    return BodyTooLarge(detail, limit=limit, setting="GRADSTEP_MAX_BODY")


def _check_lists(text: bytes, settings: Settings) -> None:
    """Refuse a body of too many lists, objects and members before any is made: each takes as long as fifty numbers."""
    count, limit = text.count(b"[") + text.count(b"{") + text.count(b":"), settings.max_lists
    if count > limit:
        detail = f"takes a body of at most {limit:,} lists, objects and members of these (GRADSTEP_MAX_LISTS)"
        raise BodyTooLarge(detail, limit=limit, estimate=count, setting="GRADSTEP_MAX_LISTS")


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """No garbage collections while a body becomes lists, none of them garbage: they would take most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _safely(message: str) -> str:
    """A parser's message without the key that a duplicate repeats."""
    place = message[message.rfind(" at line ") :] if " at line " in message else ""
    return f"a duplicate key{place}" if message.startswith("Detected duplicate key") else message
