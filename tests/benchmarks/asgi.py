"""Calls of an application without a server or a client in between."""

from collections.abc import Iterator
from typing import NamedTuple

from starlette.types import ASGIApp, Message

CHUNK = 64 * 1024  # as a server hands on a large body


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def call(
    app: ASGIApp, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    """One request, its body in chunks as from a socket."""
    path, _, query = target.partition("?")
    sent = {"host": "testserver", **(headers or {})}
    if body:
        sent = {"content-type": "application/json", "content-length": str(len(body)), **sent}
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "http",
        "method": method, "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1), "server": ("testserver", 80),
    }  # fmt: skip
    parts = _messages(body)
    answered: list[Message] = []

    async def receive() -> Message:
        return next(parts)

    async def send(message: Message) -> None:
        answered.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in answered[1:])
    return Answer(answered[0]["status"], dict(answered[0]["headers"]), content)


def _messages(body: bytes) -> Iterator[Message]:
    for start in range(0, max(len(body), 1), CHUNK):
        more = start + CHUNK < len(body)
        yield {"type": "http.request", "body": body[start : start + CHUNK], "more_body": more}
    while True:
        yield {"type": "http.disconnect"}
