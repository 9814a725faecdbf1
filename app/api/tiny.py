"""Snapshots of tiny sessions, by templates.

What a snapshot of a small network takes is not its numbers but the many small arrays that they are cut into. So where a
session stands at a place that one has stood at before, its numbers are written in a row, and then put into a template:
JSON with a gap for each. A template is what `write` makes of a session of gaps, so that it cannot say anything else.
"""

from collections.abc import Callable, Iterator
from itertools import count
from math import isfinite
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import orjson

from app.api.contents import View, write
from app.engine.health import tiny_health
from app.sessions.session import Session

MOST = 256  # numbers
_KEPT = 64  # templates of one network
_PLAIN = View()


class _Template(NamedTuple):
    """JSON with gaps, and which of the words goes into each."""

    text: bytes
    words: Callable[[list[bytes]], tuple[bytes, ...]]


def tiny_snapshot(session: Session, view: View) -> bytes | None:
    """The snapshot of a tiny session, plain and whole, as JSON; None for any other."""
    state = session.state
    P, G, F, B = state.parameters, state.gradients, state.forward, state.backward
    size = P.size + (0 if F is None else F.size) + (0 if B is None else B.size)
    if view[:-1] != _PLAIN[:-1] or size > min(MOST, view.limit // 2) or len(state.slots) or P.dtype != np.float64:
        return None
    p, g, f, b = [[] if vector is None else vector.tolist() for vector in (P, G, F, B)]
    numbers = [*p, *g, *f, *b]
    if not isfinite(sum(numbers) + (state.loss or 0.0)):
        return None
    numbers += (session.revision, state.steps, state.epochs, state.loss)
    words = orjson.dumps(numbers)[1:-1].split(b",")
    health = tiny_health(session.config, state, p, g, f, b, finite=True)
    words += [
        orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)
        for part in (session.id, state.inputs, state.targets, health)
    ]
    text, chosen = _template(session)
    return text % chosen(words)


def _template(session: Session) -> _Template:
    """The template for where a session stands."""
    state = session.state
    n = None if state.inputs is None else len(state.inputs)
    place = (
        n, state.forwarded, state.backwarded, state.phase, state.stepped,
        state.gradients is None, state.forward is None, state.backward is None, state.targets is None,
        session.data is None,
    )  # fmt: skip
    kept: dict[Any, Any] = session.config.network.templates
    template: _Template | None = kept.get(place)
    if template is None:
        if len(kept) >= _KEPT:
            kept.clear()
        template = kept[place] = _make(session)
    return template


def _make(session: Session) -> _Template:
    """The template, its gaps in the order of the words that `tiny_snapshot` has for them."""
    state, gaps = session.state, map(_gap, count())
    vectors = ("parameters", "gradients", "forward", "backward")
    filled = [field for field in vectors if getattr(state, field) is not None]
    symbols: dict[str, Any] = {field: _gaps(gaps, getattr(state, field).size) for field in filled}
    own: dict[str, Any] = {"revision": next(gaps)}
    symbols |= {field: next(gaps) for field in ("steps", "epochs", "loss")}
    written = write(session._replace(**own, state=state._replace(**symbols)), _PLAIN)
    written |= {field: next(gaps) for field in ("session", "inputs", "targets", "health")}
    body = {**written, "nonfinite": [], "omitted": []}
    # No JSON that is not a gap has a NUL in it.
    pieces = orjson.dumps(body, default=np.ndarray.tolist).split(b"\0")
    text = b"%b".join(piece.replace(b"%", b"%%") for piece in pieces[::2])
    return _Template(text, itemgetter(*map(int, pieces[1::2])))


def _gap(at: int) -> orjson.Fragment:
    """A place for the word `at`."""
    return orjson.Fragment(b"\0%d\0" % at)


def _gaps(gaps: Iterator[orjson.Fragment], size: int) -> np.ndarray:
    vector = np.empty(size, object)
    vector[:] = [next(gaps) for _ in range(size)]
    return vector
