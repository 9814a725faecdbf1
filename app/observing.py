"""A look at each request as it goes by: how long it took, how it went, and what it is called in the log.

It is only there when something wants to know: metrics, a log of slow requests, or a log as JSON.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.tracing import request_id

CLIENT_GONE = 499  # nginx's name for a request that nobody waited for

log = logging.getLogger("gradstep")


class Seen(NamedTuple):
    """How a request went. `route` is its path with names in place of values, or what it was that no route took."""

    method: str
    route: str
    status: int
    seconds: float


class Observing:
    """Middleware that names each answer (`X-Request-Id`), tells `observe` of it, and logs those that took long."""

    def __init__(self, app: ASGIApp, observe: Callable[[Seen], None] | None, slow_seconds: float | None) -> None:
        self.app, self._observe, self._slow_seconds = app, observe, slow_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status, name = time.perf_counter(), CLIENT_GONE, request_id(scope)

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = [header for header in message["headers"] if header[0] != b"x-request-id"]
                message["headers"] = [*named, (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_named)
        except Exception:
            status = 500
            raise
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._tell(scope, name, Seen(scope["method"], route, status, time.perf_counter() - began))

    def _tell(self, scope: Scope, name: str, seen: Seen) -> None:
        if self._observe is not None:
            self._observe(seen)
        if self._slow_seconds is not None and seen.seconds >= self._slow_seconds:
            told = f"{seen.method} {scope['path']!r}: {seen.status} after {seen.seconds:.3f} s"
            log.warning("%s (request %s)", told, name, extra={"fields": {"request_id": name, **seen._asdict()}})
