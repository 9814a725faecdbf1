"""What is seen of requests as they go by."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from api.test_tracing import PARENT, TRACE
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from app.observing import CLIENT_GONE, Observing, Seen


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello", int(request.path_params["status"]))


async def fault(request: Request) -> PlainTextResponse:
    raise ZeroDivisionError


def observed(slow_seconds: float | None = None) -> tuple[TestClient, list[Seen]]:
    seen: list[Seen] = []
    app = Starlette(routes=[Route("/hello/{status}", hello), Route("/fault", fault)])
    app.add_middleware(Observing, observe=seen.append, slow_seconds=slow_seconds)
    return TestClient(app, raise_server_exceptions=False), seen


def test_each_request_is_seen() -> None:
    client, seen = observed()
    for path in ("/hello/200", "/hello/503", "/zebra", "/fault"):
        client.get(path)
    assert [(one.method, one.route, one.status) for one in seen] == [
        ("GET", "/hello/{status}", 200),
        ("GET", "/hello/{status}", 503),
        ("GET", "other", 404),
        ("GET", "/fault", 500),
    ]
    assert all(one.seconds >= 0 for one in seen)


def test_each_answer_has_a_name() -> None:
    client, _ = observed()
    assert client.get("/hello/200", headers={"traceparent": PARENT}).headers["X-Request-Id"] == TRACE
    names = {client.get("/hello/200").headers["X-Request-Id"] for _ in range(3)}
    assert len(names) == 3


def test_a_client_that_is_gone() -> None:
    seen: list[Seen] = []

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        """Answers nothing."""

    async def receive() -> Message:
        raise AssertionError

    observing = Observing(silent, seen.append, None)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(StopIteration):
        observing(scope, receive, lambda message: None).send(None)  # type: ignore[arg-type, return-value]
    assert [one.status for one in seen] == [CLIENT_GONE]


def test_slow_ones_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    client, _ = observed(slow_seconds=0)
    client.get("/hello/404?zebra", headers={"traceparent": PARENT})
    (record,) = [record for record in caplog.records if record.name == "gradstep"]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("GET '/hello/404': 404 after ")
    assert record.getMessage().endswith(f" s (request {TRACE})")
    fields: dict[str, Any] = vars(record)["fields"]
    seconds = fields.pop("seconds")
    assert seconds >= 0
    assert fields == {"request_id": TRACE, "method": "GET", "route": "/hello/{status}", "status": 404}


def test_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    observed(slow_seconds=3600)[0].get("/hello/200")
    observed(slow_seconds=None)[0].get("/hello/200")
    assert not [record for record in caplog.records if record.name == "gradstep"]


@pytest.mark.parametrize("settings", [{"log_format": "json"}, {"slow_seconds": 3600}, {"metrics": True}])
def test_it_is_there_when_it_is_wanted(make_client: Callable[..., TestClient], settings: dict[str, Any]) -> None:
    client = make_client(**settings)
    assert client.get("/v1").headers["X-Request-Id"]
    assert len(client.post("/v1").headers.get_list("X-Request-Id")) == 1
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1"):
        pass


def test_and_not_otherwise(client: TestClient) -> None:
    assert "X-Request-Id" not in client.get("/v1").headers
