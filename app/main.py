"""The application: the only place where its parts are put together."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.telemetry import TelemetryConfig
from pydantic import TypeAdapter
from starlette.types import Receive, Scope, Send

from app import __version__
from app.api import about, advance, catalog, debug, examples, past, problems, runs, sessions
from app.api.about import DESCRIPTION
from app.api.hosts import AllowedHosts
from app.api.keys import Keys
from app.api.parts import parts_again
from app.api.schemas import Problem
from app.drain import Drain, closing, refuse
from app.observing import Observing
from app.page import Page, find_page, page_router
from app.sessions.memory import MemoryStore
from app.sessions.service import Sessions
from app.sessions.store import SessionStore
from app.settings import Settings

if TYPE_CHECKING:
    from app.metrics import Metrics
    from app.sessions.rates import Rates

EXPOSED_HEADERS = [
    "ETag", "Location", "Content-Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id",
]  # fmt: skip
PAGE = find_page()

GC_THRESHOLDS = (50_000, 20, 100)

log = logging.getLogger("gradstep")


class Gradstep(FastAPI):
    """FastAPI, with HEAD, an end in order, and the schema that our problems share in its OpenAPI document."""

    drain: Drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HEAD is GET without the body, which the server leaves out."""
        if scope["type"] != "http":
            return await super().__call__(scope, receive, send)
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", "asked": "HEAD"}
        drain, task = self.drain, asyncio.current_task()
        assert task is not None
        drain.requests.add(task)
        try:
            await super().__call__(scope, receive, closing(send) if drain.begun else send)
        except asyncio.CancelledError:
            if not drain.begun:
                raise
            await refuse(scope, receive, send)
        finally:
            drain.requests.discard(task)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        problem = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
        if self.state.keys.needed:
            examples.need_key(document)
        return document


def _telemetry() -> TelemetryConfig:
    """FastAPI's own, when it is told to export; otherwise it looks for providers at each request, for 5 % of a step."""
    wanted = os.getenv("FASTAPI_OTEL_AUTO_CONFIGURE", "").lower() == "true"
    return {"tracing": wanted, "metrics": wanted, "logs": wanted}


def _metrics() -> "Metrics":
    from app.metrics import Metrics  # an extra: prometheus-client may not be there

    return Metrics()


def _rates(settings: Settings) -> "Rates":
    """What counts the work of each owner; `limits` takes a tenth of a second to import."""
    from app.sessions.rates import Rates

    return Rates(settings)


def _store(settings: Settings, clock: Callable[[], float]) -> SessionStore:
    """Where sessions are kept."""
    if settings.store == "memory":
        return MemoryStore(settings, clock)
    from app.sessions.valkey.store import ValkeyStore  # of an extra, that few need

    return ValkeyStore(settings.store, settings, clock)


def create_app(
    settings: Settings | None = None, clock: Callable[[], float] = time.time, page: Page | None = PAGE
) -> FastAPI:
    """An application with sessions of its own. `clock` gives seconds since 1970; tests bring theirs."""
    settings = settings or Settings()
    metrics = _metrics() if settings.metrics else None

    @asynccontextmanager
    async def lifespan(app: Gradstep) -> AsyncIterator[None]:
        if page is None or page.unbuilt:
            log.warning("there is no page to serve: %s", page.unbuilt if page else "Gradstep is not installed")
        thresholds = gc.get_threshold()
        gc.collect()
        gc.freeze()  # what is there for good is not looked at again, and the rest less often: collections set the p99
        gc.set_threshold(*GC_THRESHOLDS)
        sampling = metrics and asyncio.create_task(metrics.sample())
        await app.state.sessions.open()
        with app.drain.at_signals():
            yield
            await app.state.sessions.leave()
            app.state.sessions.close()
            if rates:
                await rates.close()
        if sampling:
            sampling.cancel()
        gc.set_threshold(*thresholds)
        gc.unfreeze()

    # Routes of the application itself, in the order in which they are tried: FastAPI looks through the routes of an
    # included router twice for each request, which here would cost a third of a small step.
    routers = (advance.router, debug.router, past.router, runs.router, sessions.router, catalog.router, about.router)
    app = Gradstep(
        routes=[route for router in routers for route in router.routes],
        title="Gradstep",
        summary=DESCRIPTION,
        version=__version__,
        license_info={"name": "MIT", "identifier": "MIT"},
        lifespan=lifespan,
        docs_url=None if page and not page.unbuilt else "/docs",  # the page brings its own, which need no CDN
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_telemetry(),
    )
    app.state.keys = Keys(settings.api_keys)
    store = _store(settings, clock)
    rates = _rates(settings) if settings.owner_rate else None
    app.state.sessions = Sessions(metrics.watched(store) if metrics else store, settings, clock, rates)
    app.state.sessions.trainings.remake = parts_again
    app.drain = Drain(app.state.sessions, settings.drain_seconds)
    problems.install(app)
    if metrics:
        app.add_route("/metrics", metrics.answer, include_in_schema=False)
    if page:
        app.include_router(page_router(page))
    if rates:
        from app.api.rates import RateHeaders

        app.add_middleware(RateHeaders, calls=rates.calls)
    if settings.allowed_hosts and "*" not in settings.allowed_hosts:
        app.add_middleware(AllowedHosts, hosts=settings.allowed_hosts)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )  # fmt: skip
    if metrics or settings.slow_seconds is not None or settings.log_format == "json":
        app.add_middleware(Observing, observe=metrics.request if metrics else None, slow_seconds=settings.slow_seconds)
    return app


app = create_app()
