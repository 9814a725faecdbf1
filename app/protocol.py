"""HTTP/1.1 as uvicorn speaks it, with an end to patience: deadlines, and bounds on headers and connections.

uvicorn waits for ever for the rest of a request, and answers its own errors in plain text. A request that comes whole
in one piece, as small ones do, costs this module one look at five attributes. (`limit_concurrency` is uvicorn's own.)
"""

from asyncio import BaseTransport, TimerHandle
from typing import Any, cast
from urllib.parse import quote

import orjson
import uvicorn
from fastapi import Request
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.api.headers import SECURITY
from app.api.problems import (
    MEDIA_TYPE,
    STATUS,
    HeadersTooLarge,
    MalformedRequest,
    RequestTimeout,
    problem,
    respond,
)
from app.errors import Full, GradstepError
from app.settings import Settings

MAX_HEADERS = 64 * 1024  # bytes, of headers, or of what follows a body, that come in pieces
MAX_PIPELINED = 100  # requests of a connection that wait for the one before them
BODY_RATE = 8 * 1024  # bytes a second that a body may take its time for
SPARE_CONNECTIONS = 50  # are answered that there are too many; beyond them, none is


class Config(uvicorn.Config):
    """How uvicorn is to serve the application, by our settings."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.settings = settings
        super().__init__(
            "app.main:app", http=Protocol, ws="none", limit_concurrency=settings.max_connections + 1, **options
        )


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: Config, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self._settings = config.settings
        self._running: RequestResponseCycle | None = None  # what is being answered; uvicorn knows the latest alone
        self._timer: TimerHandle | None = None
        self._message: object = self  # the scope of the request whose rest is being waited for
        self._since, self._received = 0.0, 0
        self._headers, self._has_body = 0, False  # bytes since the last piece that brought some of a body

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._settings.max_connections + SPARE_CONNECTIONS:
            self.transport.abort()
        self._wait(0)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()
        self._disconnect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete or cycle.scope is not self.scope:
            self._wait(len(data))
        elif self._timer is not None:  # it came
            self._stop_waiting()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError  # to the parser, which takes it for a fault of the request

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._has_body = True

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, after the requests before it, which may have been done already."""
        many = len(self.pipeline) >= MAX_PIPELINED
        error = MalformedRequest("too many requests at once" if many else "what was sent is no HTTP/1.1 request")
        if self.pipeline and self.pipeline[0][0] is self.cycle and self.cycle.more_body:
            self.pipeline.popleft()  # it is in this one's body
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is None or last.more_body or last.response_complete:
            self._end(error)
        else:
            last.on_response = lambda: self._end(error)

    def _unsupported_upgrade_warning(self) -> None:
        """Answer in HTTP/1.1 who would rather have another protocol; the parser reads nothing after that."""
        self.cycle.keep_alive = False

    @property
    def _has_headers(self) -> bool:
        """Whether the headers of the latest request are there."""
        return self.cycle is not None and self.cycle.scope is self.scope

    def _wait(self, size: int) -> None:
        """There is more to come: so many bytes came just now."""
        if self.transport.is_closing():
            return
        if self._message is not self.scope:
            self._message, self._since, self._received = self.scope, self.loop.time(), 0
            self._headers = 0
        self._received += size
        self._headers, self._has_body = 0 if self._has_body else self._headers + size, False
        if self._headers > MAX_HEADERS:
            self._end(HeadersTooLarge(f"takes headers of at most {MAX_HEADERS:,} bytes"))
        elif self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._look)

    @property
    def _seconds(self) -> float:
        """How long the rest may take, from when the first of it came."""
        if self._has_headers and not self.cycle.response_complete:
            return self._settings.body_seconds + self._received / BODY_RATE
        return self._settings.header_seconds

    def _look(self) -> None:
        """Give up what has taken too long."""
        self._timer, cycle, now = None, self.cycle, self.loop.time()
        earlier = cycle is not None and not self._has_headers and not cycle.response_complete
        if earlier or self.flow.read_paused:  # it is us who do not read on
            self._since = now
        left = self._since + self._seconds - now
        if left > 0:
            self._timer = self.loop.call_later(left, self._look)
        else:
            self._end(RequestTimeout("the rest of this request did not come in time"))

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, error: GradstepError) -> None:
        """Close the connection; tell why, where a request has begun to which nothing has been answered yet."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        under_way = self.cycle is not None and not self.cycle.response_complete
        begun = self.scope is not None and not (self._has_headers and self.cycle.response_started)
        if begun and not (under_way and self.cycle.response_started):
            path = self.scope["path"] if self._has_headers else ""
            content = orjson.dumps(problem(error, quote(path)))
            headers = {**SECURITY, "Content-Type": MEDIA_TYPE, "Content-Length": str(len(content))}
            lines = [f"{name.lower()}: {value}\r\n".encode() for name, value in headers.items()]
            lines += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
            head = STATUS_LINE[STATUS[type(error)]] + b"".join(lines)
            self.transport.write(head + b"connection: close\r\n\r\n" + content)
        self.transport.close()
        self._disconnect()

    def _disconnect(self) -> None:
        """Tell who is at an answer that nobody will read it."""
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, cast(Any, _too_many) if app is service_unavailable else app)


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:
    refusal = Full("as many connections as this server takes are open", retry_after=2)
    await respond(Request(scope), refusal, {"Connection": "close"})(scope, receive, send)
