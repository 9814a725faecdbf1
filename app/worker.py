"""A worker: a process that does trainings for a server, one after the other.

They come in on its standard input, and what they tell goes out on its standard output, as `app.engine.messages`. The
server starts it, ends it, and may do so at any moment; where the input ends, the server is gone, and so is the worker.
"""

import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO

import orjson

from app.engine import messages, training
from app.engine.curves import pack
from app.engine.entries import Entry
from app.engine.messages import Ended, Failed, Told, Training
from app.engine.network import Config
from app.engine.plan import Ending, Frame, Trained
from app.engine.state import State

NICENESS = 10
PROGRESS_SECONDS = 0.02
CHECKPOINT_SECONDS = 1.0
CHECKPOINT_SHARE = 20  # a checkpoint comes no sooner than so many times as long as the last one took to send

Inbox = SimpleQueue[Training | Ending]
Clock = Callable[[], float]


def main() -> None:
    """Do trainings until the server ends."""
    source, sink = take_pipes()
    with suppress(AttributeError):  # Windows has no such thing: there the server starts it with a lower priority
        os.nice(NICENESS)
    inbox: Inbox = SimpleQueue()
    Thread(target=listen, args=(source, inbox, lambda: os._exit(0)), daemon=True).start()
    with suppress(BrokenPipeError):
        serve(inbox, sink)


def take_pipes(stdin: int = 0, stdout: int = 1, stderr: int = 2) -> tuple[IO[bytes], IO[bytes]]:
    """The two pipes under numbers of their own: whatever else reads has nothing to read, and prints go to `stderr`."""
    source, sink = os.fdopen(os.dup(stdin), "rb"), os.fdopen(os.dup(stdout), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, stdin)
    os.close(nothing)
    os.dup2(stderr, stdout)
    return source, sink


def listen(source: IO[bytes], inbox: Inbox, gone: Callable[[], None]) -> None:
    """Take in what the server says while a training is under way; `gone` is called when it says no more.

    So it is when what it says makes no sense: nobody would hear the rest, and the server sees that the worker is gone.
    """
    try:
        while True:
            inbox.put(messages.read(source))
    except EOFError:
        pass
    except Exception:
        traceback.print_exc()
    finally:
        gone()


def serve(inbox: Inbox, sink: IO[bytes]) -> None:
    """Do each training in the inbox; raises BrokenPipeError when nobody takes what they tell."""
    while True:
        _do(inbox.get(), inbox, sink)


def _do(job: Training | Ending, inbox: Inbox, sink: IO[bytes]) -> None:
    """Do a training, and say how it ended. An ending here comes too late: its training is over."""
    if isinstance(job, Training):
        held = messages.held_by(job)
        try:
            end: Ended | Failed = train(job, inbox, lambda told: messages.write(sink, told, held), time.perf_counter)
        except BrokenPipeError:
            raise
        except Exception:
            end = Failed(traceback.format_exc())
        messages.write(sink, end, held)


@lru_cache(maxsize=8)
def _config(config_json: bytes) -> Config:
    return Config.model_validate(orjson.loads(config_json))


def train(job: Training, inbox: Inbox, send: Callable[[Told], None], clock: Clock) -> Ended:
    """Do a training, ending early where the inbox says so. `clock` gives seconds."""
    teller = _Teller(job.state, send, clock)
    steps = training.train(_config(job.config_json), job.state, job.data, job.plan, clock)
    ending: Ending | None = None
    while True:
        try:
            progress = steps.send(ending)
        except StopIteration as end:
            trained: Trained = end.value
            return Ended(teller.take(None), trained)
        teller.tell(progress.entries, progress.frames, progress.state)
        ending = _next_ending(inbox)


def _next_ending(inbox: Inbox) -> Ending | None:
    try:
        message = inbox.get_nowait()
    except Empty:
        return None
    assert isinstance(message, Ending), "a training came while another was under way"
    return message


class _Teller:
    """Gathers what a training tells, and sends it now and then."""

    def __init__(self, state: State, send: Callable[[Told], None], clock: Clock) -> None:
        self._send, self._clock = send, clock
        self._entries: list[Entry] = []
        self._frames: list[Frame] = []
        self._state = state  # the last that the server has
        self._next = clock()
        self._next_checkpoint = self._next + CHECKPOINT_SECONDS

    def tell(self, entries: list[Entry], frames: list[Frame], state: State) -> None:
        """Take in what there is to tell, and send it if it is time."""
        self._entries += entries
        self._frames += frames
        now = self._clock()
        checkpoint = state if now >= self._next_checkpoint and state is not self._state else None
        if checkpoint is None and (not self._entries or now < self._next):
            return
        self._send(self.take(checkpoint))
        self._next = now + PROGRESS_SECONDS
        if checkpoint is not None:
            self._state = checkpoint
            took = self._clock() - now
            self._next_checkpoint = now + took + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * took)

    def take(self, checkpoint: State | None) -> Told:
        """What has been gathered, together with a checkpoint."""
        told = Told(pack(self._entries), self._frames, checkpoint)
        self._entries, self._frames = [], []
        return told
