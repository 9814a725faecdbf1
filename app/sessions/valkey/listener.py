"""Notices from other processes that something is new: one connection for all of them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from valkey.exceptions import ValkeyError

from app.sessions.valkey.client import Client

LOOK_SECONDS = 1.0  # a notice may be lost: then it takes so long
_AGAIN_SECONDS = 0.25
_SILENT = "gradstep:silent"  # a channel that nobody uses: there must be one
# The store is away, nothing is subscribed to at present, or the connection is just being made anew.
_FAULTS = (ValkeyError, OSError, RuntimeError, AttributeError)


async def break_off(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks until they have ended: a client that is just giving up on an answer may take no notice of it."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_AGAIN_SECONDS)


class Listener:
    """Calls whoever listens to a channel when something is published there, and now and then in any case."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._listening: dict[str, set[Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._pubsub: Any = None

    async def listen(self, channel: str, notice: Callable[[], None]) -> None:
        """Call `notice` from now on."""
        listening = self._listening.setdefault(channel, set())
        listening.add(notice)
        if self._pubsub is None:
            self._pubsub = self._client.valkey.pubsub(ignore_subscribe_messages=True)
        if len(listening) == 1:
            with suppress(*_FAULTS):
                await self._pubsub.subscribe(channel)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def leave(self, channel: str, notice: Callable[[], None]) -> None:
        """Call it no more."""
        listening = self._listening[channel]
        listening.discard(notice)
        if not listening:
            del self._listening[channel]
            with suppress(*_FAULTS):
                await self._pubsub.unsubscribe(channel)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._task is not None:
            await break_off(self._task)
            await self._pubsub.aclose()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        look_at = clock() + LOOK_SECONDS
        while True:
            try:
                message = await self._pubsub.get_message(timeout=LOOK_SECONDS)
            except _FAULTS:
                message = None
                await asyncio.sleep(_AGAIN_SECONDS)
                with suppress(*_FAULTS):
                    await self._pubsub.subscribe(_SILENT, *self._listening)
            if message is not None:
                for notice in [*self._listening.get(message["channel"].decode(), ())]:
                    notice()
            if clock() >= look_at:
                look_at = clock() + LOOK_SECONDS
                for notices in [*self._listening.values()]:
                    for notice in [*notices]:
                        notice()
