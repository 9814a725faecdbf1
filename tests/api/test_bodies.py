"""Bodies: left out, typed in many ways, in pieces, too large, cut off."""

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

from .calls import JSON, ROWS, config, create, places, problem, read


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/json", "nonsense"])
def test_a_body_may_be_left_out(client: TestClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    url = create(client)
    for call in ("forward", "backward", "step", "train", "predict"):
        assert client.post(f"{url}/{call}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/merge-patch+json",
        "application/vnd.api+json",
    ],
)
def test_types_of_json(client: TestClient, content_type: str) -> None:
    url = create(client)
    answer = client.patch(url, content=b'{"name": "new"}', headers={"Content-Type": content_type})
    assert answer.json()["name"] == "new"


@pytest.mark.parametrize(
    "content_type", ["text/json", "application/jsonx", "application/xml", "json", "multipart/form-data"]
)
def test_other_types(client: TestClient, content_type: str) -> None:
    answer = client.post(f"{create(client)}/forward", content=b"{}", headers={"Content-Type": content_type})
    assert "application/json" in problem(answer, 415)["detail"]


def test_a_body_of_identity_coding(client: TestClient) -> None:
    headers = {**JSON, "Content-Encoding": "identity"}
    assert client.post(f"{create(client)}/forward", content=b"{}", headers=headers).status_code == 200


def test_a_chunked_body(client: TestClient) -> None:
    url = create(client)
    answer = client.patch(url, content=iter([b'{"na', b'me": ', b'"new"}']), headers=JSON)
    assert answer.json()["name"] == "new"
    assert client.post(f"{url}/forward", content=iter([b""]), headers=JSON).status_code == 200
    problem(client.post(f"{url}/forward", content=iter([b"{", b"}"])), 415)


NAMELESS = {"input_names": None, "class_names": None}
LARGE = {"inputs": [[i / 7, i / 3] for i in range(5000)], "targets": [[0.5]] * 5000}


def test_a_large_body_comes_to_the_same(client: TestClient) -> None:
    url = create(client)
    assert client.put(f"{url}/data", json=LARGE).status_code == 200
    assert read(client, f"{url}/data") == {**LARGE, "test": None, **NAMELESS}
    wrong = {**LARGE, "targets": [[0.5]] * 4999 + [["x"]]}
    assert places(problem(client.put(f"{url}/data", json=wrong), 422)) == ["/targets/4999/0"]
    problem(client.put(f"{url}/data", content=b"[" + b" " * 10**6, headers=JSON), 400)


def test_lists_are_counted_before_they_are_made(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_lists=10_001)
    url = create(client)
    body = problem(client.put(f"{url}/data", json=LARGE), 413, "body-too-large")
    assert (body["limit"], body["estimate"]) == (10_001, 10_005)
    assert client.put(f"{url}/data", json=ROWS).status_code == 200
    assert make_client(max_lists=10_040).post("/v1/sessions", json=config(data=LARGE)).status_code == 201


def test_members_count_as_lists(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_lists=30_000)
    many = {f"hidden.weight[{i}][0]": 0 for i in range(10_000)}
    body = problem(client.patch(f"{create(client)}/parameters", json=many), 413, "body-too-large")
    assert body["estimate"] == 30_001


def call(messages: list[Any], headers: list[tuple[bytes, bytes]]) -> list[Any]:
    """What an application of its own sends for a request as a server hands it on."""
    app, sent = create_app(Settings()), []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/sessions", "raw_path": b"/v1/sessions", "query_string": b"",
        "headers": headers, "scheme": "http", "server": ("test", 80), "http_version": "2", "root_path": "",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    app.state.sessions.close()
    return sent


def test_a_client_that_goes_away_while_it_sends(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for an answer, and nothing is wrong with the server."""
    messages = [{"type": "http.request", "body": b'{"seed"', "more_body": True}, {"type": "http.disconnect"}]
    headers = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
    assert call(messages, headers) == []
    assert not caplog.records


def test_a_body_that_is_not_announced() -> None:
    """As HTTP/2 has it."""
    body = json.dumps(config()).encode()
    typed = [(b"content-type", b"application/json")]
    assert call([{"type": "http.request", "body": body}], typed)[0]["status"] == 201
    assert call([{"type": "http.request", "body": body}], [])[0]["status"] == 415
    assert call([{"type": "http.request", "body": b""}], [])[0]["status"] == 422


def test_a_collector_at_rest_stays_so(client: TestClient) -> None:
    url = create(client)
    for work in (gc.disable, gc.enable):
        work()
        before = gc.isenabled()
        assert client.put(f"{url}/data", json=LARGE).status_code == 200
        assert gc.isenabled() is before
