"""The page's own checks: its types, and the tests beside its modules."""

from pathlib import Path

from .node import node


def test_types(modules: Path) -> None:
    done = node(modules / "typescript" / "bin" / "tsc", "--noEmit")
    assert done.returncode == 0, done.stdout


def test_units(modules: Path) -> None:
    done = node(modules / "vitest" / "vitest.mjs", "run")
    assert done.returncode == 0, done.stdout
