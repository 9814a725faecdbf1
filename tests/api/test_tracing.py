"""What a request is called in the log."""

import re

import pytest
from opentelemetry.sdk.trace import TracerProvider

from app.api.tracing import request_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def named(*traceparents: str) -> str:
    scope = {"headers": [(b"host", b"x"), *((b"traceparent", value.encode()) for value in traceparents)]}
    name = request_id(scope)
    assert request_id(scope) == name
    assert re.fullmatch("[0-9a-f]{32}", name)
    return name


def test_a_trace_is_kept() -> None:
    assert named(PARENT) == TRACE
    assert named(f"cc{PARENT[2:]}-what.the-future-will-be-like") == TRACE


@pytest.mark.parametrize(
    "parents",
    [
        [], [PARENT, PARENT], ["zebra"], [f"ff{PARENT[2:]}"], [PARENT.upper()], [PARENT + "\n"],
        [f"00-{'0' * 32}-00f067aa0ba902b7-01"], [f"00-{TRACE}-{'0' * 16}-01"],
    ],
)  # fmt: skip
def test_otherwise_a_name_is_made(parents: list[str]) -> None:
    assert named(*parents) != named(*parents)


def test_with_opentelemetry_it_is_the_trace_of_the_span() -> None:
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("request") as span:
        assert named() == f"{span.get_span_context().trace_id:032x}"
