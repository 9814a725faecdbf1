"""How much memory many idle sessions take, each time in a fresh process."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from .measure import Skip, Target, figure

SESSIONS, WARM_UP = 10_000, 20
TARGET = Target(60, "MB")
WAYS = {"service": "the service", "http": "HTTP, in process"}
STATM = Path("/proc/self/statm")

CONFIG: dict[str, Any] = {
    "network": {
        "inputs": 4,
        "layers": [{"name": "hidden", "units": 16, "activation": "tanh"}, {"name": "scores", "units": 3}],
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "sgd", "learning_rate": 0.1},
    "data": {
        "inputs": [[5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]],
        "targets": [0, 0, 1, 2],
    },
}


def run() -> Iterator[str]:
    if not STATM.exists():
        raise Skip("the memory of a process is read from Linux' /proc")
    for way, named in WAYS.items():
        command = [sys.executable, "-m", "tests.benchmarks.memory", way]
        grown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
        yield figure(f"memory of {SESSIONS:,} idle sessions of 4-16-3, made through {named}", float(grown), TARGET)


async def _grown(way: str) -> float:
    """By how many MB the process grows with the sessions."""
    from app.main import create_app

    app = create_app()
    store = app.state.sessions.store
    create = _through_service(app) if way == "service" else _through_http(app)
    for number in range(WARM_UP):
        await create(number)
    for session in await store.list(WARM_UP):
        await app.state.sessions.delete(session.id)
    before = resident_bytes()
    for number in range(SESSIONS):
        await create(number)
    grown = resident_bytes() - before
    assert await store.count() == SESSIONS
    app.state.sessions.close()
    return grown / 1e6


def _through_service(app: Any) -> Callable[[int], Awaitable[Any]]:
    from app.engine.network import Config

    sessions = app.state.sessions

    def create(number: int) -> Awaitable[Any]:
        made: Awaitable[Any] = sessions.create(sessions.draft(Config.model_validate({**CONFIG, "seed": number})))
        return made

    return create


def _through_http(app: Any) -> Callable[[int], Awaitable[Any]]:
    import orjson

    from .asgi import call

    async def create(number: int) -> None:
        answer = await call(app, "POST", "/v1/sessions", orjson.dumps({**CONFIG, "seed": number}))
        assert answer.status == 201, answer

    return create


def resident_bytes() -> int:
    """The memory of this process."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(asyncio.run(_grown(sys.argv[1])))
