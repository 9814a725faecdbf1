"""The past against the present: an old snapshot, a rewind, a fork, an explanation; and what many revisions cost."""

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import numpy as np

from app.api.contents import View
from app.api.snapshots import dumps, snapshot_json
from app.engine.network import Config
from app.engine.presets import NOTEBOOK
from app.exports.explanations import to_json
from app.main import create_app
from app.sessions.explaining import Explaining
from app.sessions.operations import Backward, Forward, Step
from app.sessions.service import Sessions
from app.sessions.session import Session

from .measure import Target, cost, figure, repeated, take_turns
from .memory import STATM, resident_bytes

T = TypeVar("T")
_LOOP = asyncio.new_event_loop()
ROUNDS, SECONDS = 9, 0.2
REVISIONS, LIVE = 10_000, 100_000
AS_NOW, MEMORY, PAUSE = Target(1.0), Target(16, "MiB"), Target(50, "ms")
DIGITS = 784, 128, 10
ROWS = 64


def run() -> Iterator[str]:
    for named, config in (("2-2-1, batch 1", NOTEBOOK), ("784-128-10, batch 64", _digits())):
        sessions, session = _after_steps(config, 10)
        yield from _against_a_snapshot(named, sessions, session)
    yield from _many()


def _against_a_snapshot(named: str, sessions: Sessions, session: Session) -> Iterator[str]:
    view, old = View(), session.revision - 9

    def present() -> bytes:
        return snapshot_json(_now(sessions.load(session.id)), view)

    def past() -> bytes:
        return snapshot_json(_now(sessions.past.at(_now(sessions.load(session.id)), old)), view)

    def rewind() -> None:
        _now(sessions.rewind(session.id, old, None))

    def fork() -> None:
        fork = _now(sessions.fork(_now(sessions.past.at(_now(sessions.load(session.id)), old)), None))
        _now(sessions.delete(fork.id))

    def explain() -> bytes:
        revisions = _now(sessions.store.history(session.id)).revisions
        explaining = Explaining(sessions, _now(sessions.load(session.id)), revisions)
        explained = _LOOP.run_until_complete(explaining.explain("layer1.weight.gradient[0][1]", 8, 64))
        return dumps(to_json(explained))

    whats: list[tuple[str, Callable[[], object]]] = [
        ("snapshot of an old revision", past),
        ("fork from one, and its end", fork),
        ("explanation of a gradient, with its ledger", explain),
        ("rewind to one, without its answer", rewind),
    ]
    for what, contender in whats:
        ours, present_times = take_turns([repeated(contender), repeated(present)], ROUNDS, SECONDS)
        yield cost(f"{named}: {what}, against a snapshot of the present", ours, present_times, AS_NOW)


def _many() -> Iterator[str]:
    """The memory of revisions, and the longest that the garbage collector stops everything with many of them."""
    sessions, session = _after_steps(NOTEBOOK, 10)
    if STATM.exists():
        before = resident_bytes()
        _step(sessions, session.id, REVISIONS // 3)
        yield figure(f"memory of {REVISIONS:,} revisions of 2-2-1", (resident_bytes() - before) / 2**20, MEMORY)
    gc.collect()
    gc.freeze()
    _step(sessions, session.id, LIVE // 3)
    pauses = []
    for _ in range(5):
        started = time.perf_counter()
        gc.collect()
        pauses.append(time.perf_counter() - started)
    yield figure(f"longest full garbage collection with {LIVE:,} revisions", max(pauses) * 1e3, PAUSE)


def _after_steps(config: dict[str, Any], steps: int) -> tuple[Sessions, Session]:
    sessions: Sessions = create_app().state.sessions
    named = {**config, "network": {**config["network"], "layers": [
        {**layer, "name": f"layer{index}"} for index, layer in enumerate(config["network"]["layers"], 1)
    ]}}  # fmt: skip
    session = _LOOP.run_until_complete(sessions.create(sessions.draft(Config.model_validate(named))))
    _step(sessions, session.id, steps)
    for operation in (Forward(), Backward()):
        session = _LOOP.run_until_complete(sessions.change(session.id, operation)).session
    return sessions, session


def _step(sessions: Sessions, session_id: str, steps: int) -> None:
    operations = Forward(), Backward(), Step()
    for _ in range(steps):
        for operation in operations:
            _LOOP.run_until_complete(sessions.change(session_id, operation))


def _digits() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        "network": {
            "inputs": DIGITS[0],
            "layers": [{"units": DIGITS[1], "activation": "relu"}, {"units": DIGITS[2]}],
        },
        "loss": "cross_entropy",
        "data": {
            "inputs": rng.uniform(0, 1, (ROWS, DIGITS[0])).tolist(),
            "targets": rng.integers(0, DIGITS[2], ROWS).tolist(),
        },
    }  # fmt: skip


def _now(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine comes to that never waits, as those of reads do not: without the time that a loop takes."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise RuntimeError("it waits")
