"""How the files of the page are served, whatever is in them; `tests/page/` looks at the real ones in a browser."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.api.headers import SECURITY
from app.main import create_app
from app.page import CONTENT_SECURITY_POLICY, Page, find_page
from app.settings import Settings

FILES = {
    "index.html": "<title>the page</title>",
    "docs/index.html": "<title>the documentation</title>",
    "assets/page-Ab1_.js": "1",
    "icon.svg": "<svg/>",
}
LASTING = "public, max-age=31536000, immutable"

Serve = Callable[..., TestClient]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Serves a small page, or none; `unbuilt` says why it is not the real one."""
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def serve(unbuilt: str = "", installed: bool = True) -> TestClient:
        return TestClient(create_app(Settings(), page=Page(tmp_path, unbuilt) if installed else None))

    return serve


@pytest.mark.parametrize(
    ("path", "file", "media_type", "caching"),
    [
        ("/", "index.html", "text/html; charset=utf-8", "no-cache"),
        ("/docs/", "docs/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/assets/page-Ab1_.js", "assets/page-Ab1_.js", "text/javascript; charset=utf-8", LASTING),
        ("/icon.svg", "icon.svg", "image/svg+xml", "no-cache"),
    ],
)
def test_files(path: str, file: str, media_type: str, caching: str, serve: Serve) -> None:
    client = serve()
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, FILES[file])
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Cache-Control"] == caching
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    for about in ("Opener", "Resource"):
        assert answer.headers[f"Cross-Origin-{about}-Policy"] == "same-origin"
    head = client.head(path)
    assert (head.status_code, head.content, head.headers) == (200, b"", answer.headers)
    again = client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == caching


def test_a_file_is_had_whole(serve: Serve) -> None:
    for ranges in ("bytes=0-1", "zebra", "bytes=9-1"):
        answer = serve().get("/", headers={"Range": ranges})
        assert (answer.status_code, answer.text) == (200, FILES["index.html"])


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert not [word for word in ("unsafe", "http", "*") if word in CONTENT_SECURITY_POLICY]


def test_docs_without_the_slash(serve: Serve) -> None:
    answer = serve().get("/docs")
    assert (answer.status_code, answer.text, answer.url.path) == (200, FILES["docs/index.html"], "/docs/")


@pytest.mark.parametrize(
    "path", ["/zebra", "/v1/zebra", "/v1/", "/assets/zebra.js", "/..%2Fsettings.py", "/%00", "/redoc"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_there(method: str, path: str, serve: Serve) -> None:
    answer = serve().request(method, path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["type"] == "/v1/problems/not-found"


@pytest.mark.parametrize("path", ["/", "/assets/page-Ab1_.js"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_files_are_only_read(method: str, path: str, serve: Serve) -> None:
    answer = serve().request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/problem+json")
    assert answer.headers["Allow"] == "GET, HEAD"


def test_the_api_comes_first(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "healthz").write_text("a file")
    client = serve()
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/healthz").headers["Content-Security-Policy"] == SECURITY["Content-Security-Policy"]
    assert client.put("/v1/catalog").status_code == 405
    assert "/" not in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(("unbuilt", "installed"), [("npm: no network", True), ("Gradstep is not installed", False)])
def test_a_missing_page_is_told(unbuilt: str, installed: bool, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "gradstep"), serve(unbuilt, installed) as client:
        assert client.get("/").status_code == (200 if installed else 404)
        assert "swagger-ui" in client.get("/docs").text  # FastAPI's own
    assert [record.getMessage() for record in caplog.records] == [f"there is no page to serve: {unbuilt}"]


def test_a_built_page_needs_no_word(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "gradstep"), serve():
        pass
    assert not caplog.records


def test_the_page_is_found_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gradstep_page"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(sys.modules, "gradstep_page", raising=False)
    assert find_page() is None
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert find_page() == Page(package / "site")
    (package / "unbuilt").write_text("npm: no network")
    assert find_page() == Page(package / "site", "npm: no network")
