"""The end of a server, begun by SIGTERM or Ctrl+C, whichever server the application runs under.

At once, `/readyz` answers 503 and every answer closes its connection: a proxy goes elsewhere. Some seconds later,
trainings end after the step that they are at, and the server hears of the signal: it listens no more. What is still
under way `PATIENCE_SECONDS` after that (a body half sent, work in the lane) is given up, and answered 503. Nothing
unfinished is kept, so a process that even then has not ended is ended as it is.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer, current_thread, main_thread
from types import FrameType
from typing import Any

from starlette.requests import Request
from starlette.types import Message, Scope, Send

from app.api.problems import respond
from app.errors import Stopping
from app.sessions.service import Sessions

PATIENCE_SECONDS = 2.5
LAST_SECONDS = 4.0  # after which the process is ended
SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CLOSE = (b"connection", b"close")


class Drain:
    """Lets a server run dry.

    Attributes:
        begun: whether the server is being stopped.
        requests: the tasks that answer requests.
    """

    def __init__(self, sessions: Sessions, seconds: float) -> None:
        self.begun = False
        self.requests: set[asyncio.Task[Any]] = set()
        self._sessions, self._seconds = sessions, seconds

    @contextmanager
    def at_signals(self) -> Iterator[None]:
        """Begin at a signal, before the server that handles it hears of it; a second one it hears of at once.

        Signals come to the main thread alone: elsewhere, this does nothing.
        """
        handlers = {}
        if current_thread() is main_thread():
            handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
        loop, timers = asyncio.get_running_loop(), list[Timer]()

        def told(number: int, frame: FrameType | None) -> None:
            number = signal.Signals(number)
            if self.begun:
                handlers[number](number, frame)
                return
            seconds = self._seconds if number == signal.SIGTERM else 0
            timers.append(_end_process_after(seconds + LAST_SECONDS))
            loop.call_soon_threadsafe(self.begin, seconds, lambda: handlers[number](number, None))

        for number in handlers:
            signal.signal(number, told)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for timer in timers:
                timer.cancel()

    def begin(self, seconds: float, tell_server: Callable[[], None]) -> None:
        """Take requests for some seconds more, then tell the server to take none, then give up those under way."""

        def end() -> None:
            self._sessions.stop()
            tell_server()

        self.begun = True
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, end)
        loop.call_later(seconds + PATIENCE_SECONDS, self.give_up)

    def give_up(self) -> None:
        """End the requests under way; those that have not begun to answer answer 503."""
        for task in self.requests:
            task.cancel()


async def refuse(scope: Scope, receive: Any, send: Send) -> None:
    """Answer that the server is stopping, unless an answer has begun."""
    refusal = Stopping("this server is stopping, and did not get to the end of this request", retry_after=1)
    with suppress(RuntimeError):  # so servers take a second answer
        await respond(Request(scope), refusal, {"Connection": "close"})(scope, receive, send)


def closing(send: Send) -> Send:
    """Sends answers that are the last of their connection."""

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], _CLOSE]
        await send(message)

    return send_and_close


def _end_process_after(seconds: float) -> Timer:
    timer = Timer(seconds, os._exit, [0])
    timer.daemon = True
    timer.start()
    return timer
