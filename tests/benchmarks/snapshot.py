"""A large snapshot as JSON and npz, against orjson and numpy writing the same arrays."""

import asyncio
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import orjson

from app.api.contents import DEFAULT_PARTS, View
from app.api.snapshots import arrays, dumps, snapshot
from app.engine import passes
from app.engine.network import Config
from app.exports.npz import to_npz
from app.main import create_app
from app.sessions.session import Session

from .measure import Target, cost, repeated, take_turns

ROUNDS, SECONDS = 9, 0.2
SIZES, ROWS = (999, 99, 10), 8  # 100,000 parameters
JSON_TARGET, NPZ_TARGET = Target(1.3), Target(3)


def run() -> Iterator[str]:
    session = asyncio.run(_session())
    parameters = session.config.network.parameter_count
    for parts, named in ((frozenset({"parameters"}), "parameters"), (DEFAULT_PARTS, "all parts")):
        view = View(parts)
        bare = [array if np.ndim(array) else float(array) for array in arrays(session, view).values()]
        numbers = sum(np.size(array) for array in bare)
        what = f"snapshot of {parameters:,} parameters, {named} ({numbers:,} numbers)"
        ours, theirs = _json(session, view, bare)
        yield cost(f"{what}: JSON against orjson", ours, theirs, JSON_TARGET)
        ours, theirs = _npz(session, view)
        yield cost(f"{what}: npz against np.savez", ours, theirs, NPZ_TARGET)


async def _session() -> Session:
    """A session after a forward and a backward pass."""
    rng = np.random.default_rng(7)
    config = Config.model_validate({
        "network": {
            "inputs": SIZES[0],
            "layers": [{"units": units, "activation": "sigmoid"} for units in SIZES[1:]],
        },
        "loss": "mse",
        "data": {
            "inputs": rng.uniform(-1, 1, (ROWS, SIZES[0])).tolist(),
            "targets": rng.uniform(0, 1, (ROWS, SIZES[-1])).tolist(),
        },
    })  # fmt: skip
    sessions = create_app().state.sessions
    session: Session = await sessions.create(sessions.draft(config))
    sessions.close()
    assert session.data is not None
    rows = session.data.train
    begun = passes.begin(session.state, rows.inputs, rows.targets, own_rows=True)
    state = passes.backward(session.config, passes.forward(session.config, begun))
    return session._replace(state=state)


def _json(session: Session, view: View, bare: list[Any]) -> list[list[float]]:
    ours = repeated(lambda: dumps(snapshot(session, view)))
    theirs = repeated(lambda: orjson.dumps(bare, option=orjson.OPT_SERIALIZE_NUMPY))
    return take_turns([ours, theirs], ROUNDS, SECONDS)


def _npz(session: Session, view: View) -> list[list[float]]:
    named = arrays(session, view)
    ours = repeated(lambda: to_npz(arrays(session, view)))
    theirs = repeated(lambda: np.savez(BytesIO(), **named))
    return take_turns([ours, theirs], ROUNDS, SECONDS)
