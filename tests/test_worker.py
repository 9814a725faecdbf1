"""The worker, run in this process: what it takes in, what it tells, and when."""

import io
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

import pytest
from engine.networks import assert_same, make, slow_clock, start
from engine.networks import train as train_here

from app import worker
from app.engine import messages
from app.engine.curves import pack
from app.engine.messages import Ended, Failed, Told, Training, held_by
from app.engine.network import Config
from app.engine.plan import Ending, Plan
from app.sessions.session import config_to_json
from app.worker import CHECKPOINT_SECONDS, CHECKPOINT_SHARE, PROGRESS_SECONDS, Inbox, listen, serve, take_pipes, train


def training(config: Config | None = None, **plan: Any) -> Training:
    config = config or make()
    state, data = start(config)
    return Training(config_to_json(config)[0], state, data, Plan(**plan))


def inbox_of(*items: Training | Ending) -> Inbox:
    inbox: Inbox = SimpleQueue()
    for item in items:
        inbox.put(item)
    return inbox


class Clock:
    """Every time it is asked, so many seconds have passed; telling something may take more."""

    def __init__(self, seconds: float, to_send: float = 0) -> None:
        self.now, self.seconds, self.to_send = 0.0, seconds, to_send
        self.sent: list[tuple[float, Told]] = []

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now

    def send(self, told: Told) -> None:
        self.sent.append((self.now, told))
        if told.state is not None:
            self.now += self.to_send


def test_a_training_is_the_same_as_anywhere() -> None:
    config = make(optimizer="adam")
    job, clock = training(config, epochs=500, batch_size=3), Clock(1e-4)
    ended = train(job, inbox_of(), clock.send, clock)
    expected = train_here(config, job.state, job.data, epochs=500, batch_size=3)
    assert_same(ended.trained.state, expected.state)
    assert ended.trained.stopped == expected.stopped
    tolds = [told for _, told in clock.sent] + [ended.told]
    rows = [row for told in tolds if told.curve for row in told.curve.rows[:, :-1].tolist()]
    packed = pack(expected.entries)
    assert packed is not None
    assert rows == packed.rows[:, :-1].tolist()  # the last column is the time


def test_it_tells_now_and_then() -> None:
    job, clock = training(epochs=2000), Clock(1e-4)
    ended = train(job, inbox_of(), clock.send, clock)
    times = [time for time, _ in clock.sent]
    assert len(times) > 5
    assert all(PROGRESS_SECONDS <= b - a < 2 * PROGRESS_SECONDS for a, b in pairwise(times))
    tolds = [told for _, told in clock.sent] + [ended.told]
    assert [row[0] for told in tolds if told.curve for row in told.curve.rows] == list(range(1, 2001))


@pytest.mark.parametrize(("to_send", "epochs"), [(0.0, 5000), (0.2, 12_000)], ids=["cheap", "dear"])
def test_checkpoints_come_in_proportion_to_what_they_cost(to_send: float, epochs: int) -> None:
    job, clock = training(epochs=epochs, report_every=epochs), Clock(1e-3, to_send)
    train(job, inbox_of(), clock.send, clock)
    states = [(time, told.state) for time, told in clock.sent if told.state is not None]
    assert len(states) >= 2
    assert all(told.state for _, told in clock.sent[:-1])  # there is nothing else to tell until the end
    assert CHECKPOINT_SECONDS <= states[0][0] < CHECKPOINT_SECONDS + 0.5
    apart = to_send + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * to_send)
    assert all(apart <= b[0] - a[0] < apart + 0.5 for a, b in pairwise(states))
    steps = [state.steps for _, state in states]
    assert steps == sorted(set(steps))


def test_a_checkpoint_is_a_state_of_its_training() -> None:
    config = make()
    job, clock = training(config, epochs=2000, report_every=2000), Clock(1e-3)
    train(job, inbox_of(), clock.send, clock)
    state = clock.sent[0][1].state
    assert state is not None
    assert_same(state, train_here(config, job.state, job.data, epochs=state.steps).state)


def test_frames_go_with_their_entries() -> None:
    job, clock = training(epochs=9, report_every=2, probe=start(make())[1].train.inputs), slow_clock()
    tolds: list[Told] = []
    tolds.append(train(job, inbox_of(), tolds.append, clock).told)
    counts = [(len(told.frames), len(told.curve.rows)) for told in tolds if told.curve]
    assert all(frames == rows for frames, rows in counts)
    assert sum(rows for _, rows in counts) == 5
    probes = [frame.probe for told in tolds for frame in told.frames]
    assert all(probe is not None and not probe.flags.writeable for probe in probes)


def test_an_ending_in_the_inbox_ends_it() -> None:
    ended = train(training(epochs=1000), inbox_of(Ending("time_limit")), lambda told: None, slow_clock())
    assert ended.trained.stopped["reason"] == "time_limit"
    assert ended.trained.state.steps < 10


def test_a_training_while_another_is_under_way_is_a_fault() -> None:
    with pytest.raises(AssertionError, match="under way"):
        train(training(epochs=1000), inbox_of(training()), lambda told: None, slow_clock())


class Waits(SimpleQueue[Training | Ending]):
    """What comes in next waits for the end of the training under way."""

    def get(self, block: bool = True, timeout: float | None = None) -> Training | Ending:
        return super().get(block=False)

    def get_nowait(self) -> Training | Ending:
        raise Empty


class Sink(io.BytesIO):
    """Takes messages; nobody is there any more after so many."""

    def __init__(self, messages: int) -> None:
        super().__init__()
        self.messages = messages

    def flush(self) -> None:
        if not self.messages:
            raise BrokenPipeError
        self.messages -= 1


def said(sink: io.BytesIO, *jobs: Training) -> Iterator[Any]:
    """The last message about each job."""
    sink.seek(0)
    for job in jobs:
        while isinstance(message := messages.read(sink, held_by(job)), Told):
            pass
        yield message


def test_trainings_are_done_one_after_the_other() -> None:
    bad = training()._replace(config_json=b'{"network": 1}')
    jobs = [training(epochs=2), bad, training(epochs=3)]
    inbox, sink = Waits(), io.BytesIO()
    late = Ending("cancelled")  # its training had just ended
    for item in (jobs[0], late, jobs[1], late, late, jobs[2]):
        inbox.put(item)
    with pytest.raises(Empty):
        serve(inbox, sink)
    first, failed, last = said(sink, *jobs)
    assert (first.trained.state.epochs, last.trained.state.epochs) == (2, 3)
    assert isinstance(failed, Failed)
    assert "ValidationError" in failed.text
    assert isinstance(first, Ended)


def test_nobody_takes_what_a_training_tells() -> None:
    with pytest.raises(BrokenPipeError):
        serve(inbox_of(training(epochs=10**6)), Sink(1))


def written(*items: Training | Ending) -> bytes:
    stream = io.BytesIO()
    for item in items:
        messages.write(stream, item)
    return stream.getvalue()


def test_listening() -> None:
    inbox, gone = inbox_of(), Event()
    listen(io.BytesIO(written(Ending("cancelled"), Ending("disconnected"))), inbox, gone.set)
    assert [inbox.get_nowait() for _ in range(2)] == [Ending("cancelled"), Ending("disconnected")]
    assert inbox.empty()
    assert gone.is_set()


@pytest.mark.parametrize("content", [b"", b"\1", b"\1" + bytes(7) + b"\3" + bytes(7) + b"abc", b"\xff" * 16])
def test_what_cannot_be_read_ends_the_worker(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Rather than that it goes on, deaf: the server sees that it is gone."""
    inbox, gone = inbox_of(), Event()
    listen(io.BytesIO(written(Ending("cancelled")) + content), inbox, gone.set)
    assert gone.is_set()
    assert inbox.get_nowait() == Ending("cancelled")
    assert ("Traceback" in capsys.readouterr().err) is (len(content) > 1)


@pytest.fixture
def pipe() -> Iterator[Callable[[], tuple[int, int]]]:
    """Makes pipes, which are closed in the end."""
    ends: list[int] = []

    def make() -> tuple[int, int]:
        ends.extend(os.pipe())
        return ends[-2], ends[-1]

    yield make
    for end in ends:
        os.close(end)


def test_nothing_else_reads_or_writes_the_pipes(pipe: Callable[[], tuple[int, int]]) -> None:
    (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = pipe(), pipe(), pipe()
    source, sink = take_pipes(stdin, stdout, stderr)
    with source, sink:
        os.write(to_stdin, b"job")
        assert os.read(stdin, 10) == b""
        assert source.read(3) == b"job"
        os.write(stdout, b"printed")
        sink.write(b"message")
        sink.flush()
    assert os.read(from_stderr, 100) == b"printed"
    assert os.read(from_stdout, 100) == b"message"


def test_the_whole_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    job, sink, gone, nice = training(), Sink(1), Event(), list[int]()
    source = io.BytesIO(written(job))
    monkeypatch.setattr(worker, "take_pipes", lambda: (source, sink))
    monkeypatch.setattr(os, "nice", nice.append, raising=False)
    monkeypatch.setattr(os, "_exit", lambda status: gone.set())
    worker.main()
    assert gone.wait(10)
    [ended] = said(sink, job)
    assert ended.trained.state.epochs == 1
    assert nice == [worker.NICENESS]
