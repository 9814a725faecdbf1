"""Traces, by FastAPI's own support for OpenTelemetry: on when the environment asks for it."""

from collections.abc import Iterator

import pytest
from conftest import WithoutLifespan
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported, in place of a collector."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def call() -> None:
    app = create_app(Settings())
    with TestClient(WithoutLifespan(app)) as client:
        assert client.get("/v1/sessions/zebra", headers={"traceparent": PARENT}).status_code == 404
    app.state.sessions.close()


def test_a_span_goes_on_with_the_trace_of_the_request(
    monkeypatch: pytest.MonkeyPatch, exported: InMemorySpanExporter
) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    call()
    (span,) = [span for span in exported.get_finished_spans() if span.kind is trace.SpanKind.SERVER]
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 404


def test_no_spans_unless_told(exported: InMemorySpanExporter) -> None:
    call()
    assert exported.get_finished_spans() == ()
