"""What a request is called in the log: its trace id (W3C's `traceparent`), or else an id made for it."""

import re
import secrets

from opentelemetry import trace
from starlette.types import Scope

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_KEPT = "gradstep.request_id"


def request_id(scope: Scope) -> str:
    """32 hexadecimal digits, the same as often as it is asked."""
    if _KEPT not in scope:
        scope[_KEPT] = _traced() or _sent(scope) or secrets.token_hex(16)
    return str(scope[_KEPT])


def _traced() -> str:
    """The trace that OpenTelemetry is at, where it is at work."""
    span = trace.get_current_span().get_span_context()
    return f"{span.trace_id:032x}" if span.is_valid else ""


def _sent(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"traceparent"]
    found = _TRACEPARENT.fullmatch(values[0]) if len(values) == 1 else None
    return found[1].decode() if found else ""
