"""The application: the only place where its parts are put together."""

import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.telemetry import TelemetryConfig
from pydantic import TypeAdapter
from starlette.types import Receive, Scope, Send

from app import __version__
from app.api import about, advance, catalog, debug, past, problems, runs, sessions
from app.api.about import DESCRIPTION
from app.api.schemas import Problem
from app.page import Page, find_page, page_router
from app.sessions.memory import MemoryStore
from app.sessions.service import Sessions
from app.settings import Settings

EXPOSED_HEADERS = ["ETag", "Location", "Content-Location", "Retry-After"]
PAGE = find_page()

GC_THRESHOLDS = (50_000, 20, 100)

log = logging.getLogger("gradstep")


class Gradstep(FastAPI):
    """FastAPI, with HEAD, and the schema that our problems share in its OpenAPI document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HEAD is GET without the body, which the server leaves out."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", "asked": "HEAD"}
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        problem = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
        return document


def _telemetry() -> TelemetryConfig:
    """FastAPI's own, when it is told to export; otherwise it looks for providers at each request, for 5 % of a step."""
    wanted = os.getenv("FASTAPI_OTEL_AUTO_CONFIGURE", "").lower() == "true"
    return {"tracing": wanted, "metrics": wanted, "logs": wanted}


def create_app(
    settings: Settings | None = None, clock: Callable[[], float] = time.time, page: Page | None = PAGE
) -> FastAPI:
    """An application with sessions of its own. `clock` gives seconds since 1970; tests bring theirs."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if page is None or page.unbuilt:
            log.warning("there is no page to serve: %s", page.unbuilt if page else "Gradstep is not installed")
        thresholds = gc.get_threshold()
        gc.collect()
        gc.freeze()  # what is there for good is not looked at again, and the rest less often: collections set the p99
        gc.set_threshold(*GC_THRESHOLDS)
        yield
        app.state.sessions.close()
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
    app.state.sessions = Sessions(MemoryStore(settings, clock), settings, clock)
    problems.install(app)
    if page:
        app.include_router(page_router(page))
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )  # fmt: skip
    return app


app = create_app()
