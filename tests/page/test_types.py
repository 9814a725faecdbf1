"""The types that the page knows the API by are those of the API: `npm run types` writes them anew."""

import json
from pathlib import Path

from app.main import app

from .node import WEB, node


def test_they_are_the_apis(modules: Path, tmp_path: Path) -> None:
    document, types = tmp_path / "openapi.json", tmp_path / "api.d.ts"
    document.write_text(json.dumps(app.openapi()), "utf-8")
    done = node(modules / "openapi-typescript" / "bin" / "cli.js", document, "-o", types)
    assert done.returncode == 0, done.stdout
    assert types.read_text("utf-8") == (WEB / "src" / "api.d.ts").read_text("utf-8"), "see CONTRIBUTING.md"
