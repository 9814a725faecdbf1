"""Answers: bodies in the form that the client asked for, with their entity tags."""

import gzip
from collections.abc import Callable
from math import prod
from typing import Any

from fastapi import Response

from app.api import negotiation
from app.api.contents import View
from app.api.headers import RAW_SECURITY
from app.api.routing import Call, SessionCall
from app.api.snapshots import PIECE, SnapshotQuery, arrays, dumps, snapshot_json
from app.engine import names
from app.engine.names import Address
from app.exports.npz import to_npz
from app.sessions import limits
from app.sessions.session import Session

GZIP_BYTES = 32 * 1024
GZIP_LEVEL = 3
NUMBER_WORK = 40  # to write a number as JSON, in the units of `app.engine.cost`
NUMPY_WORK = 10  # to copy one into an npz


class Answer(Response):
    """Bytes, with headers that are taken as they are; Starlette's own would look at each of them again."""

    def __init__(self, content: bytes, status: int, media_type: str, headers: dict[str, str]) -> None:
        self.status_code, self.body, self.background = status, content, None
        headers |= {"Content-Type": media_type, "Content-Length": str(len(content))}
        self.raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self.raw_headers += RAW_SECURITY


async def json_response(
    call: Call,
    body: Callable[[], Any],
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    tag: str | None = None,
    numbers: int = 0,
) -> Response:
    """A JSON answer, compressed where it is large and the client takes that.

    `body` makes what is to be written; `tag` is its entity tag without its form; `numbers` is about how many it holds,
    when they may be many.
    """
    content = await call.sessions.read(numbers * NUMBER_WORK, lambda: dumps(body(), large=numbers > PIECE))
    return await _finish(call, content, status, headers or {}, tag)


async def _finish(call: Call, content: bytes, status: int, headers: dict[str, str], tag: str | None) -> Response:
    if len(content) >= GZIP_BYTES:
        headers["Vary"] = "Accept, Accept-Encoding"
        if negotiation.takes_gzip(call.headers.get("accept-encoding")):
            content = await call.sessions.reads.run(lambda: gzip.compress(content, GZIP_LEVEL, mtime=0))
            headers["Content-Encoding"] = "gzip"
            tag = tag and f"{tag}-gzip"
    if tag:
        headers["ETag"] = f'"{tag}"'
    return Answer(content, status, negotiation.JSON, headers)


def view_of(call: SessionCall, query: SnapshotQuery, n: int | None) -> View:
    """What a query asks to see of a session whose trace will have n samples (None: none, or not known yet)."""
    return query.view(call.session, call.sessions.settings.max_numbers, n)


def check_size(call: SessionCall, address: Address, pointer: str) -> None:
    """Refuse a softmax's derivatives (n, units, units) that are too many to be made; other tensors are there already.

    Raises LimitExceeded.
    """
    if address.term == "da_dz":
        shape = names.shape(call.session.config, address, call.session.state)
        limits.check_numbers(call.sessions.settings, prod(shape), pointer)


async def snapshot_response(
    call: Call, session: Session, view: View, headers: dict[str, str] | None = None
) -> Response:
    """A session's snapshot, as JSON or npz."""
    headers, tag = headers or {}, session.tag
    headers["Vary"] = "Accept, Accept-Encoding"
    size = size_of(session)
    if call.accept == negotiation.NPZ:
        content = await call.sessions.read(size * NUMPY_WORK, lambda: to_npz(arrays(session, view)))
        headers["ETag"] = f'"{tag}-npz"'
        return Answer(content, 200, negotiation.NPZ, headers)
    size = min(size, view.limit)
    content = await call.sessions.read(size * NUMBER_WORK, lambda: snapshot_json(session, view, large=size > PIECE))
    return await _finish(call, content, 200, headers, tag)


def size_of(session: Session) -> int:
    """About how many numbers a snapshot has."""
    state = session.state
    return 3 * state.parameters.size + state.slots.size + (0 if state.forward is None else 3 * state.forward.size)


def changed_headers(session: Session) -> dict[str, str]:
    """Where the state after a change can be read."""
    return {"Content-Location": f"/v1/sessions/{session.id}/snapshot?revision={session.revision}"}
