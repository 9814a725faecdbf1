"""Entries as they happen, against the same training without a stream; and a hundred readers that never read."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from app.engine.presets import NOTEBOOK

from .latency import large
from .measure import Target, figure, row, seconds, take_turns, verdict
from .servers import Client, serve_gradstep

ROUNDS, EPOCHS, EVERY = 9, 100_000, 10
SHARE, EACH = Target(20, "%"), Target(2, "µs")
READERS, LONG_SECONDS, PAIRS, PILOT = 100, 45, 2, 2_000
GROWTH, SLOWER, LEFT = Target(25, "MiB"), Target(2, "%"), Target(0, "connections")
MIB = 2**20
EVENTS = {"Accept": "text/event-stream"}


def run() -> Iterator[str]:
    with serve_gradstep() as (port, process):
        yield from _cost_of_entries(port)
        yield from _readers_that_never_read(port, process)


def _cost_of_entries(port: int) -> Iterator[str]:
    client = Client(port)
    session = client.create(NOTEBOOK)
    path, body = f"{session}/train?include=", {"epochs": EPOCHS, "report_every": EVERY}

    def train(headers: dict[str, str]) -> Any:
        def contender(count: int) -> None:
            for _ in range(count):
                answer = client.call("POST", path, body, headers)
                assert answer.count(b'"elapsed"') >= EPOCHS // EVERY

        return contender

    plain, streamed = take_turns((train({}), train(EVENTS)), ROUNDS, 0.0)
    extra = min(streamed) - min(plain)
    share, each = 100 * extra / min(plain), 1e6 * extra / (EPOCHS // EVERY)
    reached = "yes" if SHARE.reached(share) or EACH.reached(each) else "no"
    yield row(
        f"streaming {EPOCHS // EVERY:,} entries of {EPOCHS:,} epochs of 2-2-1, against the same in one answer",
        seconds(streamed), seconds(plain), f"{share:+.1f} %", f"{each:+.2f} µs an entry", f"{SHARE} or {EACH}", reached,
    )  # fmt: skip


def _readers_that_never_read(port: int, process: int) -> Iterator[str]:
    client = Client(port)
    session = client.create(large((784, 128, 10), 64))
    epochs = min(100_000, int(LONG_SECONDS * PILOT / _train(client, session, PILOT)))
    alone, watched, grown, held = [], [], [], READERS
    for _ in range(PAIRS):
        alone.append(_train(client, session, epochs))
        before, connections = _memory(process), _sockets(process)
        with ExitStack() as readers:
            watched.append(_train(client, session, epochs, lambda run: _attach(port, run, readers)))
            grown.append((_memory(process) - before) / MIB)
            held = _sockets(process) - connections
    slower = 100 * (min(watched) / min(alone) - 1)
    named = f"{READERS} readers that never read a training of {epochs:,} entries, {LONG_SECONDS} s"
    yield figure(f"{named}: by how much the server grows", max(grown), GROWTH)
    yield row(
        f"{named}: how much longer it takes", seconds(watched), seconds(alone), f"{slower:+.1f} %", "", str(SLOWER),
        verdict(SLOWER, slower),
    )  # fmt: skip
    yield figure(f"{named}: connections that are left at its end", held, LEFT)


def _train(client: Client, session: str, epochs: int, attach: Callable[[str], None] = lambda _: None) -> float:
    """The seconds that a run takes at its worker."""
    answer = client.call("POST", f"{session}/train", {"epochs": epochs}, {"Prefer": "respond-async"})
    run = f"{session}/runs/{orjson.loads(answer)['id']}"
    attach(run)
    while True:
        described = orjson.loads(client.call("GET", run))
        if described["ended_at"] is not None:
            began, ended = (datetime.fromisoformat(described[name]) for name in ("started_at", "ended_at"))
            return (ended - began).total_seconds()
        time.sleep(0.1)


def _attach(port: int, run: str, readers: ExitStack) -> None:
    """Ask for a run's entries over many connections, and never read."""
    for _ in range(READERS):
        reader = readers.enter_context(socket.create_connection(("127.0.0.1", port)))
        request = f"GET {run} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        reader.sendall(request.encode())


def _memory(process: int) -> int:
    """What a process holds, its workers left out."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _sockets(process: int) -> int:
    """How many sockets a process has."""
    links = (os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir())
    return sum(link.startswith("socket:") for link in links)
