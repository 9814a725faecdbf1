"""Notices from other processes that something is new: one connection for all of them."""

import asyncio
from collections.abc import Callable
from typing import Any

from valkey.exceptions import ValkeyError

from app.sessions.valkey.client import Client

LOOK_SECONDS = 1.0  # a notice may be lost: then it takes so long
_AGAIN_SECONDS = 0.25


async def break_off(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks until they have ended: a client that is just giving up on an answer may take no notice of it."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_AGAIN_SECONDS)


class Listener:
    """Calls whoever listens to a channel when something is published there, and now and then in any case.

    One task alone uses the connection: the client would open it twice for two.
    """

    def __init__(self, client: Client) -> None:
        self._pubsub: Any = client.valkey.pubsub()
        self._listening: dict[str, set[Callable[[], None]]] = {}
        self._subscribed: set[str] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def listen(self, channel: str, notice: Callable[[], None]) -> None:
        """Call `notice` from now on, and for the first time as soon as nothing can be missed any more."""
        self._listening.setdefault(channel, set()).add(notice)
        self._changed.set()
        if channel in self._subscribed:
            notice()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def leave(self, channel: str, notice: Callable[[], None]) -> None:
        """Call it no more."""
        self._listening[channel].discard(notice)
        if not self._listening[channel]:
            del self._listening[channel]
            self._changed.set()

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
                message = await self._next()
            except (ValkeyError, OSError):  # the store is away
                message = None
                await asyncio.sleep(_AGAIN_SECONDS)
            if message is not None:  # something was published, or is listened to from now on
                self._notify(message["channel"].decode())
            if clock() >= look_at:
                look_at = clock() + LOOK_SECONDS
                for channel in [*self._listening]:
                    self._notify(channel)

    def _notify(self, channel: str) -> None:
        for notice in [*self._listening.get(channel, ())]:
            notice()

    async def _next(self) -> Any:
        """The next message; None after a while, or where there is something else to listen to."""
        self._changed.clear()
        wanted = set(self._listening)
        if new := wanted - self._subscribed:
            await self._pubsub.subscribe(*new)
        if old := self._subscribed - wanted:
            await self._pubsub.unsubscribe(*old)
        self._subscribed = wanted
        changed = asyncio.create_task(self._changed.wait())
        reading = asyncio.create_task(self._pubsub.get_message(timeout=LOOK_SECONDS)) if wanted else changed
        try:
            await asyncio.wait((reading, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await break_off(changed, reading)
        return None if reading is changed or reading.cancelled() else reading.result()
