"""What Prometheus is told of a server, in the extra `gradstep[metrics]`.

Each process answers for itself. Where several share a port (`gradstep --workers`), each scrape reaches one of them: its
series have a label `worker`, so that those of different processes stay apart.
"""

import asyncio
import multiprocessing
import os
import time
from collections import Counter as Tally
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import Any, cast, get_args

from fastapi import Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric

from app.api.headers import SECURITY
from app.observing import Seen
from app.sessions.runs import Status
from app.sessions.service import Sessions
from app.sessions.store import SessionStore

SAMPLE_SECONDS = 0.1
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_STORE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)


class Metrics:
    """Counts of one process."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def gauge(name: str, documentation: str, *labels: str) -> Gauge:
            return Gauge(f"gradstep_{name}", documentation, labels, registry=registry)

        self._requests = Histogram(
            "gradstep_request_seconds", "Seconds from a request to the end of its answer, streams too.",
            ("method", "route", "status"), buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        self._store = Histogram(
            "gradstep_store_seconds", "Seconds that the store took, whether it failed or not.", ("operation",),
            buckets=_STORE_BUCKETS, registry=registry,
        )  # fmt: skip
        self._failures = Counter(
            "gradstep_store_failures", "What the store refused or failed at.", ("operation", "error"), registry=registry
        )
        self._revisions = Counter("gradstep_revisions", "Changes of sessions.", registry=registry)
        self._sessions = gauge("sessions", "Sessions in the store.")
        self._runs = gauge("runs", "Runs that are remembered.", "status")
        self._queued = gauge("queued", "Calls that are at work outside the event loop, or wait for it.", "queue")
        self._stall = gauge("loop_stall_seconds", "The longest that the event loop was late, since the last scrape.")
        self._late = 0.0

    def request(self, seen: Seen) -> None:
        """A request was answered."""
        self._requests.labels(seen.method, seen.route, seen.status).observe(seen.seconds)

    def watched(self, store: SessionStore) -> SessionStore:
        """A store, whose calls are timed."""
        return cast(SessionStore, _Watched(store, self._called))

    def _called(self, operation: str, seconds: float, arguments: tuple[Any, ...], error: Exception | None) -> None:
        self._store.labels(operation).observe(seconds)
        if error is not None:
            self._failures.labels(operation, type(error).__name__).inc()
        elif operation == "commit" and arguments[1] is not None:  # without a revision, a session only stands elsewhere
            self._revisions.inc()

    async def sample(self) -> None:
        """See, for ever, how late the event loop is."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            self._late = max(self._late, clock() - due)

    async def answer(self, request: Request) -> Response:
        """What Prometheus asks for."""
        return Response(await self._text(request.app.state.sessions), headers=SECURITY, media_type=CONTENT_TYPE_LATEST)

    async def _text(self, sessions: Sessions) -> bytes:
        """All of it, as Prometheus reads it. What the store cannot say now is left at what it said last."""
        with suppress(Exception):
            self._sessions.set(await sessions.store.count())
        tally = Tally(run.status for run in sessions.runs.all())
        for status in get_args(Status):
            self._runs.labels(status).set(tally[status])
        queues = {"lane": sessions.lane, "parse": sessions.parsing, "read": sessions.reads}
        for name, queue in queues.items():
            self._queued.labels(name).set(queue.pending)
        self._stall.set(self._late)
        self._late = 0.0
        return generate_latest(_Labelled(self._registry))


class _Labelled:
    """A registry, whose samples name the process where it is one of several."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            if multiprocessing.parent_process() is not None:
                own = {"worker": str(os.getpid())}
                metric.samples = [sample._replace(labels={**sample.labels, **own}) for sample in metric.samples]
            yield metric


class _Watched:
    """Calls a store, and tells how long it took."""

    def __init__(self, store: SessionStore, called: Callable[..., None]) -> None:
        self._store, self._called = store, called

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            began, error = time.perf_counter(), None
            try:
                return await cast(Callable[..., Coroutine[Any, Any, Any]], found)(*arguments, **named)
            except Exception as raised:
                error = raised
                raise
            finally:
                self._called(name, time.perf_counter() - began, arguments, error)

        self.__dict__[name] = call
        return call
