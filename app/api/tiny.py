"""Snapshots of tiny sessions, by templates.

What a snapshot of a small network takes is not its numbers but the many small arrays that they are cut into. So where a
session stands at a place that one has stood at before, its snapshot is filled into a template: a Python expression that
cuts lists. A template is what `write` makes of a session of symbols, so that it cannot say anything else.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np

from app.api.contents import View, write
from app.engine.health import tiny_health
from app.sessions.session import Session

MOST = 256  # numbers
_KEPT = 64  # templates of one network
_PLAIN = View()


class _Symbol:
    """Stands for a value in a template: it is written as code, and so is a part cut out of it."""

    def __init__(self, code: str, length: int = 0) -> None:
        self.code = code
        self.length = length

    def __repr__(self) -> str:
        return self.code

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, place: slice) -> "_Part":
        return _Part(self.code, place)


class _Part:
    """A slice of a vector, to be cut into rows."""

    def __init__(self, code: str, place: slice) -> None:
        self.code = code
        self.place = place

    def reshape(self, shape: tuple[int, ...]) -> _Symbol:
        step = shape[-1]
        rows = [f"{self.code}[{at}:{at + step}]" for at in range(self.place.start, self.place.stop, step)]
        return _Symbol(f"[{', '.join(rows)}]" if len(shape) == 2 else rows[0])


def tiny_snapshot(session: Session, view: View) -> dict[str, Any] | None:
    """The snapshot of a tiny session, plain and whole; None for any other."""
    state = session.state
    P, G, F, B = state.parameters, state.gradients, state.forward, state.backward
    size = P.size + (0 if F is None else F.size) + (0 if B is None else B.size)
    if view[:-1] != _PLAIN[:-1] or size > min(MOST, view.limit // 2) or len(state.slots) or P.dtype != np.float64:
        return None
    vectors = [[] if vector is None else vector.tolist() for vector in (P, G, F, B)]
    if not isfinite(sum(map(sum, vectors)) + (state.loss or 0.0)):
        return None
    judged = tiny_health(session.config, state, *vectors)
    return _template(session)(session, state.inputs, state.targets, *vectors, judged)


def _template(session: Session) -> Callable[..., dict[str, Any]]:
    """The template for where a session stands."""
    state = session.state
    n = None if state.inputs is None else len(state.inputs)
    place = (
        n, state.forwarded, state.backwarded, state.phase, state.stepped,
        state.gradients is None, state.targets is None, session.data is None,
    )  # fmt: skip
    kept: dict[Any, Any] = session.config.network.templates
    template: Callable[..., dict[str, Any]] | None = kept.get(place)
    if template is None:
        if len(kept) >= _KEPT:
            kept.clear()
        template = kept[place] = _make(session)
    return template


def _make(session: Session) -> Callable[..., dict[str, Any]]:
    state = session.state
    vectors = {"parameters": "P", "gradients": "G", "forward": "F", "backward": "B", "targets": "T"}
    symbols: dict[str, Any] = {
        field: _Symbol(code) for field, code in vectors.items() if getattr(state, field) is not None
    }
    if state.inputs is not None:
        symbols["inputs"] = _Symbol("X", len(state.inputs))
    symbols |= {field: _Symbol(f"s.state.{field}") for field in ("steps", "epochs", "loss")}
    own: dict[str, Any] = {field: _Symbol(f"s.{field}") for field in ("id", "revision")}
    written = write(session._replace(state=state._replace(**symbols), **own), _PLAIN)
    body = {**written, "health": _Symbol("H"), "nonfinite": [], "omitted": []}
    template: Callable[..., dict[str, Any]] = eval(f"lambda s, X, T, P, G, F, B, H: {body!r}", {})
    return template
