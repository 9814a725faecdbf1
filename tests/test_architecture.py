"""Imports go one way: each part knows only what is to its left.

{errors, settings} ← engine ← {sessions, exports, worker} ← api ← {drain, observing, metrics} ← main ← cli,
page ← main, and {logs, protocol} ← cli

The worker is a process of its own: sessions start it by its name, and nothing imports it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "app").rglob("*.py"))

ALLOWED = {
    "__init__": set[str](),
    "errors": {"errors"},
    "settings": {"settings"},
    "engine": {"errors", "engine"},
    "sessions": {"errors", "settings", "engine", "sessions"},
    "exports": {"errors", "settings", "engine", "sessions", "exports"},
    "worker": {"errors", "engine"},
    "api": {"__init__", "errors", "settings", "engine", "sessions", "exports", "api"},
    "page": set[str](),
    "logs": set[str](),
    "drain": {"errors", "sessions", "api"},
    "observing": {"api"},
    "metrics": {"sessions", "api", "observing"},
    "protocol": {"errors", "settings", "api"},
    "main": {
        "__init__",
        "errors",
        "settings",
        "engine",
        "sessions",
        "exports",
        "api",
        "page",
        "drain",
        "observing",
        "metrics",
    },
    "cli": {"__init__", "errors", "settings", "engine", "sessions", "exports", "api", "logs", "protocol", "main"},
}
FOREIGN = {
    "__init__": {"numpy", "fastapi", "starlette"},
    "errors": {"fastapi", "starlette", "numpy", "asyncio", "time", "os"},
    "settings": {"fastapi", "starlette", "numpy", "asyncio", "time", "os"},
    "engine": {"fastapi", "starlette", "asyncio", "time", "os", "pathlib", "threading", "datetime", "random"},
    "sessions": {"fastapi", "starlette", "os", "pathlib"},
    "exports": {"fastapi", "starlette", "asyncio", "time", "os", "pathlib"},
    "worker": {"fastapi", "starlette", "asyncio", "pathlib", "datetime", "random"},
    "api": {"uvicorn", "os", "pathlib", "time", "threading"},
    "page": {"uvicorn", "numpy", "asyncio", "time", "os"},
    "logs": {"fastapi", "starlette", "numpy", "os"},
    "drain": {"uvicorn", "numpy"},
    "observing": {"uvicorn", "numpy", "os"},
    "metrics": {"uvicorn", "numpy"},
    "protocol": {"numpy", "os", "time"},
    "main": {"uvicorn", "numpy"},
    "cli": {"fastapi", "starlette", "numpy"},
}


def part_of(name: str) -> str:
    """The part of the application that a dotted name below `app` belongs to."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> Iterator[str]:
    """The dotted name of everything that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = str(node.module)
            for alias in node.names:
                inside = ROOT.joinpath(*module.split("."), f"{alias.name}.py")
                package = ROOT.joinpath(*module.split("."), alias.name)
                yield f"{module}.{alias.name}" if inside.exists() or package.is_dir() else module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_left_only(path: Path) -> None:
    part = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    for name in imports(path):
        top = name.split(".")[0]
        if top == "app":
            assert part_of(name) in ALLOWED[part], f"{part} may not import {name}"
        else:
            assert top not in FOREIGN[part], f"{part} may not import {name}"
            assert top != "tests"


def test_nothing_of_ours_is_left_out() -> None:
    assert {part_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in MODULES} == set(ALLOWED)


def test_every_module_says_what_it_is_for() -> None:
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


@pytest.mark.parametrize("word", ["utils", "helpers", "core", "common", "misc"])
def test_no_module_is_for_whatever_is_left(word: str) -> None:
    assert not [path for path in MODULES if word in path.parts or path.stem == word]


def test_no_global_random_state() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random":
                assert node.attr == "Philox", path
