"""Services that share a store, as several processes do, and what may happen to one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from engine.networks import slow_clock

from app.sessions.service import Sessions
from app.sessions.valkey.listener import break_off
from app.sessions.valkey.store import ValkeyStore
from app.sessions.valkey.trainings import QueuedTrainings
from app.settings import Settings

from ..making import Clock, Here, train_here

LEASE = 0.3


class Services:
    """Makes services whose trainings are done a step at a time in place of worker processes, and lets go of them."""

    def __init__(self, url: str) -> None:
        self.url, self.clock = url, Clock()
        self._made: list[Sessions] = []

    async def make(self, here: Here | None = None, *, works: bool = True, **settings: Any) -> Sessions:
        """One that takes jobs, if it `works`."""
        values = Settings(**{"store": self.url, "lease_seconds": LEASE, "inline_work": 1, **settings})
        sessions = Sessions(ValkeyStore(self.url, values, self.clock), values, self.clock)
        train_here(sessions, here or Here(slow_clock))
        self._made.append(sessions)
        if works:
            await sessions.open()
        return sessions

    async def kill(self, sessions: Sessions) -> None:
        """End a service as its process may end: at once, without a word to anybody."""
        self._made.remove(sessions)
        trainings = queued(sessions)
        await break_off(*trainings._taking, *trainings._tasks, *trainings.runs._tasks)
        await trainings.listener.close()
        await trainings.client.close()
        await sessions.store.close()
        sessions.close()

    def run(self, work: Callable[["Services"], Coroutine[Any, Any, None]]) -> None:
        async def do() -> None:
            try:
                async with asyncio.timeout(30):
                    await work(self)
            finally:
                for sessions in self._made:
                    await sessions.leave()
                    sessions.close()

        asyncio.run(do())


def queued(sessions: Sessions) -> QueuedTrainings:
    """The trainings of such a service."""
    assert isinstance(sessions.trainings, QueuedTrainings)
    return sessions.trainings
