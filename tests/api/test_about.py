"""What this server is, how it does, and what its problems mean."""

import pytest
from starlette.testclient import TestClient

from app import __version__
from app.errors import StoreAway

from .calls import problem, read


def test_about(client: TestClient) -> None:
    body = read(client, "/v1")
    assert (body["name"], body["version"]) == ("Gradstep", __version__)
    for url in body["links"].values():
        assert client.get(url).status_code == 200


def test_health(client: TestClient) -> None:
    assert read(client, "/healthz") == {"status": "ok"}
    assert read(client, "/readyz") == {"status": "ready"}


def test_not_ready_while_stopping(client: TestClient) -> None:
    client.app.app.drain.begun = True  # type: ignore[attr-defined]
    answer = client.get("/readyz")
    problem(answer, 503, "server-stopping")
    assert answer.headers["Retry-After"] == "5"
    assert client.get("/healthz").status_code == 200


def test_not_ready_without_its_store(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        raise StoreAway("the store does not answer", retry_after=1)

    monkeypatch.setattr(client.app.app.state.sessions.store, "ready", away)  # type: ignore[attr-defined]
    problem(client.get("/readyz"), 503, "store-away")
    assert client.get("/healthz").status_code == 200


def test_problems(client: TestClient) -> None:
    assert read(client, "/v1/problems/wrong-phase") == {
        "type": "/v1/problems/wrong-phase",
        "title": "Wrong phase",
        "status": 409,
        "description": "An operation that the session is not ready for; `call_first` names the one that makes it so.",
    }
    problem(client.get("/v1/problems/zebra"), 404, "not-found")
