"""The application as a whole: put together once for each call of `create_app`, and shut down in order."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app import main
from app.main import EXPOSED_HEADERS, create_app
from app.settings import Settings


def test_applications_are_apart(make_client: Callable[..., TestClient], notebook: dict[str, Any]) -> None:
    one, other = make_client(), make_client()
    url = one.post("/v1/sessions", json=notebook).headers["Location"]
    assert one.get(url).status_code == 200
    assert other.get(url).status_code == 404


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, notebook: dict[str, Any]) -> None:
    monkeypatch.setenv("GRADSTEP_MAX_SESSIONS", "1")
    with TestClient(create_app()) as client:
        assert client.post("/v1/sessions", json=notebook).status_code == 201
        assert client.post("/v1/sessions", json=notebook).status_code == 503


def test_there_is_one_to_serve() -> None:
    assert isinstance(main.app, FastAPI)


def test_stopping_waits_for_the_lane() -> None:
    app = create_app(Settings())
    with TestClient(app):
        assert not app.state.sessions.lane.closing.is_set()
    assert app.state.sessions.lane.closing.is_set()


def test_cors(make_client: Callable[..., TestClient], notebook: dict[str, Any]) -> None:
    origin = "https://page.example"
    client = make_client(cors_origins=(origin,))
    preflight = client.options(
        "/v1/sessions",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "if-match",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == origin
    answer = client.post("/v1/sessions", json=notebook, headers={"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    named = {"ETag", "Location", "Content-Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"}
    assert set(exposed) == set(EXPOSED_HEADERS) == named
    refused = client.post("/v1/sessions", json={}, headers={"Origin": origin})
    assert refused.headers["Access-Control-Allow-Origin"] == origin
    stranger = client.get("/v1", headers={"Origin": "https://stranger.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_no_cors_unless_told(client: TestClient) -> None:
    answer = client.get("/v1", headers={"Origin": "https://page.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_one_blas_thread_whatever_the_host_has() -> None:
    """Set before numpy is imported: the order of a sum, so its last bits, would follow the number of cores."""
    code = (
        "import os, sys; import app; assert 'numpy' not in sys.modules;"
        "print([os.environ[f'{name}_NUM_THREADS'] for name in ('OPENBLAS', 'MKL', 'OMP', 'BLIS')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
    assert done.stdout == "['1', '1', '1', '1']\n"


def test_head_is_get_without_the_body(client: TestClient) -> None:
    for path in ("/v1", "/v1/catalog", "/v1/sessions"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert client.head("/v1/sessions/none").status_code == 404
    refused = client.head("/v1/sessions/none/forward")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    assert client.put("/v1/catalog").headers["Allow"] == "GET, HEAD"
