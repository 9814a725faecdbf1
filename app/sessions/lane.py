"""A bounded lane for work that is too long for the event loop: a few threads, and a short queue before them.

Small work never enters it, so it never waits behind large.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from app.errors import Full

T = TypeVar("T")
RETRY_AFTER_SECONDS = 2


class Lane:
    """`closing` is set when the server stops, for work that can end early."""

    def __init__(self, workers: int, queue: int) -> None:
        self.closing = Event()
        self._limit = workers + queue
        self._pending = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="lane")

    @property
    def pending(self) -> int:
        """How many calls are at work, or wait for it."""
        return self._pending

    def check_room(self) -> None:
        """Raise Full where the queue is."""
        if self._pending >= self._limit:
            raise Full("as much work as this server takes is already waiting", retry_after=RETRY_AFTER_SECONDS)

    async def run(self, work: Callable[[], T]) -> T:
        """Do work in a thread. Raises Full where the queue is."""
        self.check_room()
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Let work that watches `closing` end, drop what has not begun, and wait for the rest."""
        self.closing.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
