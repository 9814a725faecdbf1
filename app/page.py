"""The page at `/`, and the API's documentation at `/docs/`: files that the package's build has made of `app/web/`.

They are the package `gradstep_page`, which an installer lays beside `app`; see `hatch_build.py`.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Depends, Request, Response

# Nothing is loaded from elsewhere, or sent there, and nothing that is written into the page can run.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Vite puts a hash of their content into the names of what lies there.
ASSETS = "/assets/"


class Page(NamedTuple):
    """The files to serve, and why they are not the real page (nothing if they are)."""

    directory: Path
    unbuilt: str = ""


def find_page() -> Page | None:
    """The page that is installed; None where the application runs without being installed."""
    spec = find_spec("gradstep_page")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    note = package / "unbuilt"
    return Page(package / "site", note.read_text("utf-8") if note.exists() else "")


def page_router(page: Page) -> APIRouter:
    """Serves what no other route takes; what is not there either is not found."""
    serving = APIRouter(dependencies=[Depends(_set_headers)])
    serving.frontend("/", directory=page.directory, fallback=None)
    return serving


def _set_headers(request: Request, response: Response) -> None:
    # Starlette's answers to a wrong Range are no problems of ours; these files are small enough to be had whole.
    request.scope["headers"] = [header for header in request.scope["headers"] if header[0] != b"range"]
    response.headers.update(HEADERS)
    lasting = request.url.path.startswith(ASSETS)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if lasting else "no-cache"
