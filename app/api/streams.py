"""Runs as streams: server-sent events (WHATWG HTML, section 9.2) or JSON lines, each entry as it happens.

A reader is served from the entries that the run keeps, at its own pace: training waits for none.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, cast

import orjson
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.api import negotiation
from app.api.contents import View
from app.api.headers import SECURITY
from app.api.problems import problem
from app.api.progress import location, result_numbers, result_to_json, stopped_to_json
from app.api.responses import NUMBER_WORK, size_of
from app.api.routing import SessionCall
from app.api.snapshots import PIECE, dumps, rounded, snapshot
from app.engine.plan import Ending
from app.errors import GradstepError
from app.sessions.runs import Piece, Run
from app.sessions.sweeping import SweepRun

PATIENCE_SECONDS = 30  # with a reader that takes nothing
COMMENT_SECONDS = 15
AT_ONCE, AT_ONCE_BYTES = 200, 64 * 1024  # entries in one write, and the bytes of what they show


class Stream(StreamingResponse):
    """What an iterator of bytes gives, for as long as the client takes it; `at_end` is called when it takes no more."""

    def __init__(
        self, content: AsyncIterator[bytes], media_type: str, headers: dict[str, str], at_end: Callable[[], None]
    ) -> None:
        headers |= {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "Vary": "Accept", **SECURITY}
        super().__init__(content, headers=headers, media_type=media_type)
        self._at_end = at_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As Starlette does it; a client may be gone before the iterator has begun, which then could tell nobody."""
        try:
            if scope.get("asked") == "HEAD":
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._at_end()

    async def stream_response(self, send: Send) -> None:
        """As Starlette does it, but that it gives a client up that takes nothing, and always ends the iterator."""

        async def send_patiently(message: Message) -> None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await send(message)

        async with aclosing(cast(Any, self.body_iterator)):
            with suppress(TimeoutError):
                await super().stream_response(send_patiently)


def stream(call: SessionCall, run: Run, view: View, *, ends_run: bool = False) -> Stream:
    """A run from the entry after `Last-Event-ID` on (all, unless told), to its end.

    `ends_run` says that the run is this client's own, and ends when it goes away.
    """
    seen = _last_event_id(call)
    position = 0 if seen is None else run.after(seen)

    def leave() -> None:
        if ends_run:
            call.sessions.runs.end_soon(run, Ending("disconnected"))

    return Stream(_follow(call, run, view, position), call.accept, {"Location": location(run)}, leave)


def has_seen_all(call: SessionCall, run: Run) -> bool:
    """Whether a client that comes back has had everything of a run that is over."""
    seen = _last_event_id(call)
    if seen is None or not run.is_over:
        return False
    return seen == run.epochs or (seen > run.epochs and not run.was_cut)


def _last_event_id(call: SessionCall) -> int | None:
    """The epoch of the last event that a client has had; None where it names none."""
    text = call.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


async def _follow(call: SessionCall, run: Run, view: View, position: int) -> AsyncIterator[bytes]:
    events, clock = call.accept == negotiation.EVENTS, asyncio.get_running_loop().time
    comment_at = clock() + COMMENT_SECONDS
    while True:
        if (piece := run.since(position, AT_ONCE, AT_ONCE_BYTES)) is not None:
            count = len(piece.curve.rows)
            what = position, count, view.decimals, events
            yield run.written(what, partial(_entries, piece, view.decimals, events=events))
            position += count
            comment_at = clock() + COMMENT_SECONDS
            await asyncio.sleep(0)  # the piece may be one of many
        elif run.is_over:
            break
        else:
            try:
                async with asyncio.timeout_at(comment_at):  # a run may go on for long and have no entry to show
                    await run.change()
            except TimeoutError:
                if events:
                    yield KEEPALIVE_COMMENT
                comment_at = clock() + COMMENT_SECONDS
    name, text = await _last(call, run, view)
    yield _event(name, text, str(run.epochs)) if events else text + b"\n"


def _entries(piece: Piece, decimals: int | None, *, events: bool) -> bytes:
    """Entries as events or lines."""
    texts = []
    for index, entry in enumerate(rounded(piece.curve.entries(), decimals)):
        text = orjson.dumps({"event": "epoch", **entry})
        if piece.parts:
            text = b"%b,%b}" % (text[:-1], piece.parts[index])
        texts.append(_event("epoch", text, str(entry["epoch"])) if events else text + b"\n")
    return b"".join(texts)


def _event(name: str, text: bytes, event_id: str) -> bytes:
    return format_sse_event(data_str=text.decode(), event=name, id=event_id)


async def _last(call: SessionCall, run: Run, view: View) -> tuple[str, bytes]:
    """The event after all entries: its name and its text."""
    if run.failure is not None:
        return "failed", orjson.dumps({"event": "failed", "problem": problem(run.failure, call.request.url.path)})
    body: dict[str, Any] = {"event": "end", "stopped": stopped_to_json(run.stopped), "snapshot": None}
    if isinstance(run, SweepRun):
        numbers = result_numbers(run)
        return "end", await call.sessions.read(
            numbers * NUMBER_WORK, lambda: dumps({**body, "result": result_to_json(run)})
        )
    try:
        session = await call.sessions.past.at(await call.sessions.store.load(run.session_id), run.revision)
    except GradstepError:  # it went on, and back to before this
        return "end", orjson.dumps(body)
    size = min(size_of(session), view.limit)

    def write() -> bytes:
        return dumps({**body, "snapshot": snapshot(session, view)}, large=size > PIECE)

    return "end", await call.sessions.read(size * NUMBER_WORK, write)
