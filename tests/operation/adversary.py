"""Clients that want a server's memory and time: `python -m tests.operation.adversary PORT SECONDS`.

Each attack is made again and again, whatever it is answered. At the end, prints how often each status was.
"""

import asyncio
import json
import random
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

WIDE = {"inputs": 200, "layers": [{"units": 400, "activation": "tanh"}, {"units": 150}]}  # 140,550 parameters
DEEP = {
    "inputs": 20,
    "layers": [{"units": 64, "activation": "tanh"}, {"units": 64}, {"units": 1}],
}
HUGE = {"inputs": 100_000, "layers": [{"units": 100_000}]}
STREAM = {"Accept": "text/event-stream"}


class Target:
    """A server to attack."""

    def __init__(self, port: int) -> None:
        self.port, self.draw = port, random.Random(0)
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.statuses: Counter[str] = Counter()

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """What is answered, if anything is."""
        with suppress(httpx.HTTPError):
            answer = await self.client.request(method, path, **options)
            self.statuses[f"{method} {path.rpartition('/')[2] if '/' in path[13:] else ''} {answer.status_code}"] += 1
            return answer
        return None

    async def create(self, network: Any, n: int) -> str | None:
        """A session of its own, if it may have one."""
        rows = {"inputs": [[0.5] * network["inputs"]] * n, "targets": [[0.5] * network["layers"][-1]["units"]] * n}
        config = {"network": network, "loss": "mse", "optimizer": "adam", "data": rows}
        answer = await self.ask("POST", "/v1/sessions", json=config)
        return answer.headers["Location"] if answer is not None and answer.status_code == 201 else None


async def huge_configs(target: Target) -> None:
    """Networks far above any ceiling, and the largest that are below it."""
    await target.ask("POST", "/v1/sessions", json={"network": HUGE, "loss": "mse"})
    if url := await target.create(WIDE, 100):
        await target.ask("DELETE", url)


async def many_sessions(target: Target) -> None:
    """As many sessions as there may be, each with a past."""
    if url := await target.create({"inputs": 50, "layers": [{"units": 50}, {"units": 1}]}, 50):
        for operation in ("forward", "backward", "step"):
            await target.ask("POST", f"{url}/{operation}")
        if target.draw.random() < 0.9:
            await target.ask("DELETE", url)


async def long_pasts(target: Target) -> None:
    """The past of a wide network, and its largest answers."""
    if url := await target.create(WIDE, 200):
        for operation in 5 * ("forward", "backward", "step"):
            await target.ask("POST", f"{url}/{operation}")
        await target.ask("GET", f"{url}/snapshot", headers={"Accept": "application/x-npz"})
        await target.ask("GET", f"{url}/export")
        await target.ask("POST", f"{url}/gradcheck", json={})
        await target.ask("GET", f"{url}/explain?of=all")
        await target.ask("DELETE", url)


async def poison(target: Target) -> None:
    """Bodies that take as long to refuse as any."""
    for body in (b"[" * 1_000_000, b'{"a":' * 200_000, b"[" + b"{}," * 300_000, b"1" * 1_000_000):
        await target.ask("POST", "/v1/sessions", content=body, headers={"Content-Type": "application/json"})


async def aborted_trainings(target: Target) -> None:
    """Trainings whose client goes away, at once or in the middle."""
    if not (url := await target.create(target.draw.choice((WIDE, DEEP)), 200)):
        return
    for headers in (STREAM, {}, {"Prefer": "respond-async"}):
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(target.draw.uniform(0.05, 1)):
                await target.client.post(f"{url}/train", json={"epochs": 50_000}, headers=headers)
    sweep = {"vary": {"learning_rate": [0.1] * 20}, "train": {"epochs": 1000}}
    await target.ask("POST", f"{url}/sweep", json=sweep)
    await target.ask("DELETE", url)


async def half_requests(target: Target) -> None:
    """A body of which the last byte does not come."""
    head = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with _socket(target.port) as connection:
        await _send(connection, head + b"Content-Length: 1000000\r\n\r\n" + b" " * 999_999)
        await asyncio.sleep(target.draw.uniform(1, 15))


async def slow_readers(target: Target) -> None:
    """Large answers, asked for again and again, of which nothing is read."""
    if not (url := await target.create(WIDE, 100)):
        return
    ask = f"GET {url}/snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    async with _socket(target.port) as connection:
        await _send(connection, ask * 10)
        await asyncio.sleep(target.draw.uniform(1, 10))
    await target.ask("DELETE", url)


ATTACKS = {
    huge_configs: 2, many_sessions: 2, long_pasts: 3, poison: 2, aborted_trainings: 3,
    half_requests: 30, slow_readers: 10,
}  # fmt: skip


async def attack(port: int, seconds: float) -> Counter[str]:
    """All of it at once, for so long; how often there was each answer."""
    target = Target(port)

    async def again(one: Callable[[Target], Awaitable[None]]) -> None:
        while True:
            await one(target)
            await asyncio.sleep(0.01)

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for one, count in ATTACKS.items():
                for _ in range(count):
                    group.create_task(again(one))
    await target.client.aclose()
    return target.statuses


@asynccontextmanager
async def _socket(port: int) -> AsyncIterator[socket.socket]:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        with suppress(OSError):
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        yield connection


async def _send(connection: socket.socket, text: bytes) -> None:
    with suppress(OSError):
        await asyncio.get_running_loop().sock_sendall(connection, text)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(attack(int(sys.argv[1]), float(sys.argv[2])))))
