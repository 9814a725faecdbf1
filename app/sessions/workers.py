"""Worker processes for long trainings: a few at most, each at one training at a time, and a short queue before them.

A process is started when one is first needed, kept for the next training, and replaced when it has ended. Whatever may
take a while (starting it, writing to it, reading what it tells, waiting for its end) is done in a thread that lasts as
long as the training; the event loop only takes in what has been read.
"""

import asyncio
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from subprocess import PIPE
from threading import Lock, Semaphore, Thread
from typing import IO, Any

from numpy.typing import NDArray

from app.engine import messages
from app.engine.messages import Ended, Failed, Told, Training, held_by
from app.engine.plan import Ending, Trained, stopped

__all__ = ["Told", "Training", "WorkerGone", "Workers"]

# With the same modules as here, wherever it is started; and Ctrl-C in a terminal, which all processes get, is ours.
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.path[:] = sys.argv[1:]
from app.worker import main
main()
"""
AHEAD = 2  # messages that may have been read and not taken in yet: they may be large
LOW_PRIORITY: int = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)  # Windows; elsewhere it is nice by itself


class WorkerGone(Exception):
    """The process ended, or was ended, before its training did."""


class Workers:
    """At most `count` processes; trainings wait for one in the order in which they came.

    `patience` is in seconds: so long after an ending that is to be at once, a process that is still at it is killed.
    All of it is for one event loop, but for `close`.
    """

    def __init__(self, count: int, patience: float) -> None:
        self._patience = patience
        self._free = count
        self._turns: deque[asyncio.Future[None]] = deque()  # of those who wait: done when there is a place for it
        self._idle: list[_Process] = []
        self._processes: set[_Process] = set()
        self._closed = False

    async def train(
        self,
        job: Training,
        told: Callable[[Told], Awaitable[None]],
        endings: "asyncio.Queue[Ending]",
        began: Callable[[], None],
    ) -> Trained:
        """Do a training as soon as there is a process for it.

        Cancelling it kills the process, and its place is free when that has ended.

        Args:
            told: is given what the training tells, in its order. A training that is ahead of it waits.
            endings: each is passed on to the training; one that comes while it still waits ends it where it is.
            began: is called when it begins.

        Raises:
            WorkerGone: the process has ended before the training did.
            RuntimeError: a fault in the training; the text is the traceback.
        """
        ending = await self._wait_for_place(endings)
        if ending is not None:
            return Trained(job.state, stopped(ending.reason, job.state))
        run = self._begin(job)
        passing_on = asyncio.create_task(self._pass_on(endings, run))
        try:
            began()
            while isinstance(message := await run.inbox.get(), Told):
                await told(message)
                run.ahead.release()
            if isinstance(message, Ended) and (message.told.curve or message.told.frames):
                await told(message.told)
        finally:
            passing_on.cancel()
            run.kill()
        if isinstance(message, Ended):
            return message.trained
        if isinstance(message, Failed):
            raise RuntimeError(message.text)
        raise WorkerGone("the process ended before its training did") from message

    def close(self) -> None:
        """Kill all processes and wait for their ends; what they were at raises WorkerGone, as what comes later does."""
        self._closed = True
        processes = list(self._processes)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
            process.end()

    async def _wait_for_place(self, endings: "asyncio.Queue[Ending]") -> Ending | None:
        """Take a place, or an ending that comes before there is one."""
        if self._free:
            self._free -= 1
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        ending = asyncio.create_task(endings.get())
        taken = False
        try:
            await asyncio.wait((turn, ending), return_when=asyncio.FIRST_COMPLETED)
            taken = not ending.done()
            return None if taken else ending.result()
        finally:
            ending.cancel()
            if not taken:
                self._leave(turn)

    def _leave(self, turn: "asyncio.Future[None]") -> None:
        if turn.done():
            self._give_place()
        else:
            self._turns.remove(turn)

    def _give_place(self) -> None:
        if self._turns:
            self._turns.popleft().set_result(None)
        else:
            self._free += 1

    def _begin(self, job: Training) -> "_Run":
        """Begin a training in the place that was taken for it."""
        if self._closed:
            self._give_place()
            raise WorkerGone("the server is stopping")
        process = self._take_process()
        run = _Run(process, job)
        try:
            process.in_thread(run.talk, asyncio.get_running_loop(), self._finish)
        except RuntimeError as error:  # there can be no more threads
            self._finish(run, error)
        return run

    def _take_process(self) -> "_Process":
        while self._idle:
            process = self._idle.pop()
            if process.is_running():
                return process
            self._retire(process)
        process = _Process()
        self._processes.add(process)
        return process

    def _finish(self, run: "_Run", message: "Ended | Failed | Exception") -> None:
        """A training is over, and its process free for another."""
        run.over = True
        if run.process.killed:
            self._retire(run.process)
        else:
            self._idle.append(run.process)
        self._give_place()
        run.inbox.put_nowait(message)

    def _retire(self, process: "_Process") -> None:
        """Let a process go that is of no more use."""

        def end() -> None:
            process.end()
            self._processes.discard(process)

        with suppress(RuntimeError):  # there can be no more threads; `close` will do it
            process.in_thread(end)

    async def _pass_on(self, endings: "asyncio.Queue[Ending]", run: "_Run") -> None:
        """Pass endings on to a training; the process has `patience` seconds from one that is to be at once."""
        at_epoch = True
        while at_epoch:
            ending = await endings.get()
            run.pass_on(ending)
            at_epoch = ending.at_epoch
        await asyncio.sleep(self._patience)
        run.kill()


class _Run:
    """A training at a process. `inbox` is for what it tells, and, when it is `over`, for how it ended.

    `ahead` is held for each message that was read and not taken in yet.
    """

    def __init__(self, process: "_Process", job: Training) -> None:
        self.process = process
        self.inbox: asyncio.Queue[Told | Ended | Failed | Exception] = asyncio.Queue()
        self.over = False
        self.ahead = Semaphore(AHEAD)
        self._job = job
        self._endings: deque[Ending] = deque()
        self._is_written = False

    def talk(self, loop: asyncio.AbstractEventLoop, finish: Callable[..., None]) -> None:
        """Write the training to the process and read what this tells; in a thread. `finish` is called in the loop."""
        process, held = self.process, held_by(self._job)
        message: Ended | Failed | Exception
        try:
            with process.writing:
                process.start()
                process.write(self._job)
                self._is_written = True
            self._write_endings()
            while isinstance(told := process.read(held), Told):
                if not process.killed:  # then nobody takes it in
                    self.ahead.acquire()
                loop.call_soon_threadsafe(self.inbox.put_nowait, told)
                del told  # it may be large, and the next one a while to come
            message = told
        except Exception as error:  # the process has ended, or can be of no more use
            process.end()
            message = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(finish, self, message)

    def pass_on(self, ending: Ending) -> None:
        """Write an ending to the process; in a thread, for it would wait where the process does not read."""
        self._endings.append(ending)
        with suppress(RuntimeError):  # there can be no more threads; if it is to end at once, it will be killed
            Thread(target=self._write_endings, name="ending", daemon=True).start()

    def kill(self) -> None:
        """Kill the process, unless it may be at another training by now. Nothing more is taken in."""
        if not self.over:
            self.process.kill()
            self.ahead.release()

    def _write_endings(self) -> None:
        with suppress(OSError, ValueError), self.process.writing:  # it has ended; its pipe was closed
            while self._endings and self._is_written and not self.over:
                self.process.write(self._endings.popleft())


class _Process:
    """A worker process. `start`, `write`, `read` and `end` may take a while: they are for threads.

    Attributes:
        killed: whether it was killed, or is to be when it has started.
        writing: to be held while writing.
    """

    def __init__(self) -> None:
        self.killed = False
        self.writing = Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._stdin: IO[bytes]
        self._stdout: IO[bytes]
        self._thread: Thread | None = None

    def in_thread(self, function: Callable[..., None], *args: Any) -> None:
        """Do something in the thread of the process; there is one at a time."""
        thread = Thread(target=function, args=args, name="worker", daemon=True)
        thread.start()
        self._thread = thread

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()

    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start it, if it has not been started."""
        if self._popen is None:
            command = [sys.executable, "-c", START, *sys.path]
            self._popen = popen = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, creationflags=LOW_PRIORITY)
            assert popen.stdin is not None
            assert popen.stdout is not None
            self._stdin, self._stdout = popen.stdin, popen.stdout
            if self.killed:
                popen.kill()

    def write(self, message: messages.Message) -> None:
        """Write a message; raises OSError or ValueError where it has ended."""
        messages.write(self._stdin, message)

    def read(self, held: Sequence[NDArray[Any]]) -> Any:
        """Read the next message; raises EOFError where it has ended."""
        return messages.read(self._stdout, held)

    def kill(self) -> None:
        """Kill it at once, or, where it is just being started, as soon as it is."""
        self.killed = True
        if self._popen is not None:
            self._popen.kill()

    def end(self) -> None:
        """Kill it, wait for its end, and close its pipes."""
        self.kill()
        if self._popen is not None:
            self._popen.wait()
            for pipe in (self._stdin, self._stdout):
                with suppress(OSError):  # what was not written yet never will be
                    pipe.close()
