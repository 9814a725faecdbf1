"""Worker processes, real ones: they do what would be done here, end when they are to, and leave nothing behind."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest
from engine.networks import assert_same, make, start
from engine.networks import train as train_here

from app.engine.curves import pack
from app.engine.network import Config
from app.engine.plan import Ending, Plan, Trained
from app.sessions import workers as module
from app.sessions.session import config_to_json
from app.sessions.workers import Told, Training, WorkerGone, Workers

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
PATIENCE = 0.3
LONG = 10**6
ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="NOT TESTED: Windows has no such signal")


@pytest.fixture(scope="module")
def run() -> Iterator[Run[Any]]:
    """Runs a coroutine, all of them in one loop, in which nothing may go wrong unseen."""
    wrong: list[Any] = []
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: wrong.append(context))
        yield runner.run
        gc.collect()
    assert not wrong


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    """Two processes, which the tests share."""
    workers = Workers(2, PATIENCE)
    yield workers
    workers.close()


@pytest.fixture(scope="module")
def one() -> Iterator[Workers]:
    """A single process, and two places to wait for it."""
    workers = Workers(1, PATIENCE)
    yield workers
    workers.close()


def training(config: Config | None = None, **plan: Any) -> Training:
    config = config or make()
    state, data = start(config)
    return Training(config_to_json(config)[0], state, data, Plan(**plan))


class Watched:
    """A training at the workers, and what it has told."""

    def __init__(self, workers: Workers, job: Training | None = None) -> None:
        self.tolds: list[Told] = []
        self.endings: asyncio.Queue[Ending] = asyncio.Queue()
        self.began, self.told = asyncio.Event(), asyncio.Event()
        job = job or training(epochs=LONG, report_every=100)
        self.task = asyncio.create_task(workers.train(job, self._take, self.endings, self.began.set))

    async def _take(self, told: Told) -> None:
        self.tolds.append(told)
        self.told.set()

    async def under_way(self) -> None:
        """Wait until it tells something."""
        await asyncio.wait_for(self.told.wait(), 20)

    async def end(self, reason: Any = "cancelled") -> Trained:
        self.endings.put_nowait(Ending(reason))
        return await self.task


def pids(workers: Workers) -> list[int]:
    """Of all processes that there are."""
    return [process._popen.pid for process in workers._processes if process._popen]


def busy(workers: Workers) -> set[int]:
    """Of the processes that are at a training."""
    return set(pids(workers)) - {process._popen.pid for process in workers._idle if process._popen}


def columns(tolds: list[Told]) -> list[list[float]]:
    """All entries, without the last column, the time."""
    return [row for told in tolds if told.curve for row in told.curve.rows[:, :-1].tolist()]


@pytest.mark.parametrize(
    ("fields", "plan"),
    [
        ({}, {"epochs": 50}),
        ({"optimizer": "adam"}, {"epochs": 3000, "batch_size": 3, "shuffle": True}),
        ({"dtype": "float32", "optimizer": {"type": "sgd", "momentum": 0.9}}, {"epochs": 1, "batch_size": 2}),
        ({"optimizer": {"type": "sgd", "learning_rate": 1e6}, "layers": [{"units": 1}]}, {"epochs": 900}),
    ],
)
def test_it_is_the_same_as_a_training_here(run: Run[Any], two: Workers, fields: Any, plan: Any) -> None:
    async def check() -> None:
        config = make(**fields)
        job = training(config, **plan)
        watched = Watched(two, job)
        state, stopped = await watched.task
        expected = train_here(config, job.state, job.data, **plan)
        assert_same(state, expected.state)
        assert stopped == expected.stopped
        packed = pack(expected.entries)
        assert columns(watched.tolds) == ([] if packed is None else packed.rows[:, :-1].tolist())

    run(check())


def test_what_comes_back_is_read_only_and_shares_what_was_there(run: Run[Any], two: Workers) -> None:
    async def check() -> None:
        job = training(epochs=20)
        state, _ = await Watched(two, job).task
        assert state.own_rows
        assert state.inputs is job.data.train.inputs
        assert state.targets is job.data.train.targets
        assert state.backward_used is state.used
        arrays = [value for value in state if isinstance(value, np.ndarray)]
        assert len(arrays) == 9
        assert not any(array.flags.writeable for array in arrays)

    run(check())


def test_frames_come_with_their_entries(run: Run[Any], two: Workers) -> None:
    async def check() -> None:
        config = make()
        job = training(config, epochs=5, frames=True, probe=start(config)[1].train.inputs[:2])
        watched = Watched(two, job)
        await watched.task
        frames = [frame for told in watched.tolds for frame in told.frames]
        assert len(frames) == 5
        for epoch, frame in enumerate(frames, 1):
            assert frame.state is not None
            assert frame.probe is not None
            assert_same(frame.state, train_here(config, job.state, job.data, epochs=epoch).state)

    run(check())


@pytest.mark.parametrize("at_epoch", [False, True])
def test_cancelling(run: Run[Any], two: Workers, at_epoch: bool, report: Callable[[str], None]) -> None:
    async def check() -> None:
        config = make()
        job = training(config, epochs=LONG, batch_size=1)
        watched = Watched(two, job)
        await watched.under_way()
        before = time.perf_counter()
        watched.endings.put_nowait(Ending("disconnected", at_epoch))
        state, stopped = await watched.task
        report(f"a training at a worker is cancelled in {1e3 * (time.perf_counter() - before):.1f} ms")
        assert stopped["reason"] == "disconnected"
        assert (stopped["epoch"], stopped["step"]) == (state.epochs, state.steps)
        assert not (at_epoch and state.epoch_position)
        assert_same(state, train_here(config, job.state, job.data, epochs=LONG, batch_size=1, steps=state.steps).state)
        assert [row[0] for row in columns(watched.tolds)] == list(range(1, state.epochs + 1))

    run(check())


def test_an_ending_at_once_after_one_at_the_epoch(run: Run[Any], two: Workers) -> None:
    async def check() -> None:
        watched = Watched(two)
        watched.endings.put_nowait(Ending("time_limit", at_epoch=True))  # so early that it has not begun there
        _, stopped = await watched.end()
        assert stopped["reason"] in ("time_limit", "cancelled")
        assert stopped["step"] < 10**5

    run(check())


def test_a_fault_in_a_training(run: Run[Any], one: Workers) -> None:
    async def check() -> None:
        with pytest.raises(RuntimeError, match="ValidationError"):
            await Watched(one, training()._replace(config_json=b"{}")).task
        process = pids(one)
        await Watched(one, training()).task
        assert pids(one) == process

    run(check())


def test_a_fault_in_what_it_is_told_to(run: Run[Any], one: Workers) -> None:
    async def check() -> None:
        async def told(message: Told) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await one.train(training(epochs=LONG), told, asyncio.Queue(), lambda: None)
        await Watched(one, training()).task

    run(check())


def test_the_queue(run: Run[Any], one: Workers) -> None:
    async def check() -> None:
        order: list[str] = []

        def follow(name: str, watched: Watched) -> Watched:
            watched.task.add_done_callback(lambda _: order.append(name))
            return watched

        first = follow("first", Watched(one))
        await first.under_way()
        second = follow("second", Watched(one, training()))
        await asyncio.sleep(0)
        third = follow("third", Watched(one, training()))
        await asyncio.sleep(0)
        assert not any(watched.began.is_set() for watched in (second, third))
        await first.end()
        await asyncio.gather(second.task, third.task)
        assert order == ["first", "second", "third"]

    run(check())


def test_endings_and_cancels_in_the_queue(run: Run[Any], one: Workers) -> None:
    async def check() -> None:
        first = Watched(one)
        await first.under_way()
        job = training(epochs=LONG)
        ended, cancelled, last = Watched(one, job), Watched(one, job), Watched(one, training())
        await asyncio.sleep(0)
        trained = await ended.end("time_limit")
        assert trained.state is job.state
        assert trained.stopped["reason"] == "time_limit"
        cancelled.task.cancel()
        await asyncio.wait([cancelled.task])
        assert cancelled.task.cancelled()
        assert not any(watched.began.is_set() for watched in (ended, cancelled))
        await first.end()
        assert (await last.task).stopped["reason"] == "epochs"

    run(check())


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_ending_that_comes_with_the_place(run: Run[Any], one: Workers, cancelled: bool) -> None:
    async def check() -> None:
        first = Watched(one)
        await first.under_way()
        waiting = Watched(one)
        await asyncio.sleep(0)
        one._turns[0].add_done_callback(
            lambda _: waiting.task.cancel() if cancelled else waiting.endings.put_nowait(Ending("cancelled"))
        )
        await first.end()
        await asyncio.wait([waiting.task])
        assert waiting.task.cancelled() == cancelled
        await Watched(one, training()).task

    run(check())


@posix
def test_one_that_does_not_end_is_killed(run: Run[Any], one: Workers, report: Callable[[str], None]) -> None:
    async def check() -> None:
        config = make()
        watched = Watched(one, job := training(config, epochs=LONG, report_every=1000))
        while not any(told.state for told in watched.tolds):
            watched.told.clear()
            await watched.under_way()
        os.kill(pids(one)[0], signal.SIGSTOP)
        before = time.perf_counter()
        with pytest.raises(WorkerGone):
            await watched.end()
        late = time.perf_counter() - before - PATIENCE
        report(f"a worker that does not end is killed {1e3 * late:.1f} ms after its time")
        assert late > -0.001
        state = [told.state for told in watched.tolds if told.state][-1]
        assert_same(state, train_here(config, job.state, job.data, epochs=state.steps).state)
        assert (await Watched(one, training()).task).stopped["reason"] == "epochs"

    run(check())


@posix
def test_a_large_training_for_one_that_does_not_read(run: Run[Any], one: Workers) -> None:
    async def check() -> None:
        layers = [{"name": "hidden", "units": 100_000, "activation": "tanh"}, {"name": "output", "units": 1}]
        job = training(make(layers=layers, optimizer="adam"), epochs=LONG)
        await Watched(one, training()).task
        os.kill(pids(one)[0], signal.SIGSTOP)
        watched = Watched(one, job)
        await asyncio.sleep(0.1)
        before = time.perf_counter()
        with pytest.raises(WorkerGone):
            await watched.end()
        assert time.perf_counter() - before > PATIENCE - 0.001

    run(check())


@posix
def test_a_process_that_dies(run: Run[Any], two: Workers) -> None:
    async def check() -> None:
        dying = Watched(two)
        await dying.under_way()
        [process] = busy(two)
        other = Watched(two)
        await other.under_way()
        os.kill(process, signal.SIGKILL)
        with pytest.raises(WorkerGone):
            await dying.task
        await Watched(two, training()).task
        assert process not in pids(two)
        assert not other.task.done()
        assert (await other.end()).stopped["reason"] == "cancelled"

    run(check())


def test_a_process_that_dies_while_it_has_nothing_to_do(run: Run[Any], one: Workers) -> None:
    async def check() -> None:
        await Watched(one, training()).task
        [process] = pids(one)
        popen = one._idle[0]._popen
        assert popen is not None
        popen.kill()
        popen.wait()
        await Watched(one, training()).task
        assert pids(one) != [process]

    run(check())


@posix
def test_ctrl_c_in_a_terminal_is_for_the_server(run: Run[Any], one: Workers) -> None:
    async def check() -> None:
        watched = Watched(one)
        await watched.under_way()
        os.kill(pids(one)[0], signal.SIGINT)
        watched.told.clear()
        await watched.under_way()
        assert (await watched.end()).stopped["reason"] == "cancelled"

    run(check())


def test_started_where_another_application_lies(run: Run[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        await Watched(workers, training()).task

    tmp_path.joinpath("app.py").write_text("raise SystemExit('another application')")
    monkeypatch.chdir(tmp_path)
    workers = Workers(1, PATIENCE)
    run(check())
    workers.close()


def test_a_cancelled_coroutine_kills_its_process(run: Run[Any], one: Workers) -> None:
    async def check() -> None:
        watched = Watched(one)
        await watched.under_way()
        [process] = one._processes
        watched.task.cancel()
        await asyncio.wait([watched.task])
        assert watched.task.cancelled()
        assert (await Watched(one, training()).task).stopped["reason"] == "epochs"
        assert process not in one._processes
        assert not process.is_running()

    run(check())


def test_cancelled_when_it_was_over(run: Run[Any], one: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        finish, watched = one._finish, Watched(one, training())

        def cancelled_before(*args: Any) -> None:
            watched.task.cancel()
            asyncio.get_running_loop().call_later(0.01, finish, *args)

        monkeypatch.setattr(one, "_finish", cancelled_before)
        await asyncio.wait([watched.task])
        assert watched.task.cancelled()
        monkeypatch.undo()
        await Watched(one, training()).task

    run(check())


def test_cancelled_while_its_process_is_started(run: Run[Any], one: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        one.close()
        one._closed = False
        started = threading.Event()
        popen = subprocess.Popen

        def slow(*args: Any, **options: Any) -> Any:
            assert started.wait(10)
            return popen(*args, **options)

        monkeypatch.setattr(subprocess, "Popen", slow)
        watched = Watched(one)
        await watched.began.wait()
        watched.task.cancel()
        await asyncio.wait([watched.task])
        started.set()
        await Watched(one, training()).task

    run(check())


@pytest.mark.parametrize("where", ["subprocess.Popen", "threading.Thread.start"])
def test_no_process_or_thread_can_be_started(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch, one: Workers, where: str
) -> None:
    async def check() -> None:
        def refuse(*args: Any, **options: Any) -> None:
            raise OSError if where == "subprocess.Popen" else RuntimeError

        await Watched(one, training()).task
        for process in list(one._processes):
            process.end()
        monkeypatch.setattr(where, refuse)
        with pytest.raises(WorkerGone):
            await Watched(one, training()).task
        monkeypatch.undo()
        await Watched(one, training()).task

    run(check())


def test_closing_what_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(WorkerGone):
            await Watched(workers).task

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError

    workers = Workers(1, PATIENCE)
    asyncio.run(check())
    workers.close()


def test_closing() -> None:
    async def check() -> None:
        under_way, waiting = Watched(workers), Watched(workers, training())
        await under_way.under_way()
        workers.close()
        for watched in (under_way, waiting, Watched(workers, training())):
            with pytest.raises(WorkerGone):
                await watched.task

    workers = Workers(1, PATIENCE)
    asyncio.run(check())
    workers.close()
    assert not any(process.is_running() for process in workers._processes)


def test_closing_when_the_loop_is_gone() -> None:
    async def check() -> None:
        watched = Watched(workers)
        await watched.under_way()
        processes.extend(workers._processes)
        raise KeyboardInterrupt

    workers, processes = Workers(1, PATIENCE), list[Any]()
    loop = asyncio.new_event_loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(check())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    workers.close()
    assert len(processes) == 1
    assert not any(process.is_running() for process in processes)


PARENT = """
import asyncio, sys
sys.path.insert(0, "tests")
from sessions.test_workers import Watched, Workers

async def main():
    watched = Watched(Workers(1, 1.0))
    await watched.under_way()
    print("under way", flush=True)
    await watched.task

asyncio.run(main())
"""


def test_a_worker_ends_with_its_parent() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == b"under way"
        parent.kill()
        # Both have the other end of stderr, which is closed when both have ended.
        _, told = parent.communicate(timeout=10)
    assert told == b""


def resources() -> tuple[int, int, int]:
    """The threads, open files and children of this process."""
    files, children = Path("/proc/self/fd"), Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return (
        threading.active_count(),
        len(list(files.iterdir())) if files.exists() else 0,
        sum(len(path.read_text().split()) for path in children),
    )


async def cancel_many(workers: Workers, count: int) -> None:
    """Cancel a training that has begun, one that tells, one that waits: politely, or its coroutine."""
    for turn in range(count):
        watched, waiting = Watched(workers), Watched(workers)
        await watched.began.wait()
        if turn % 4 == 0:
            await watched.under_way()
        await waiting.end()
        if turn % 10 == 9:
            watched.task.cancel()
            await asyncio.wait([watched.task])
        else:
            await watched.end()


@pytest.mark.parametrize("count", [50, pytest.param(500, marks=pytest.mark.long)])
def test_cancels_leave_nothing_behind(run: Run[Any], count: int) -> None:
    async def check() -> None:
        gc.collect()
        before = resources()
        workers = Workers(1, 20.0)
        await cancel_many(workers, count)  # two each
        assert len(pids(workers)) <= 1
        await asyncio.to_thread(workers.close)
        await asyncio.sleep(0.05)
        gc.collect()
        after = resources()
        assert after[0] - 1 <= before[0]  # the loop has a thread for others now; those of tests before may have ended
        assert after[1:] == before[1:]

    run(check())


def test_what_is_left_of_a_killed_process_holds_nobody_up(run: Run[Any]) -> None:
    """More messages than may be ahead lie in its pipe, and nobody takes them in."""

    async def check() -> None:
        process: Any = SimpleNamespace(
            writing=Lock(), killed=False, start=lambda: None, write=lambda message: None, end=lambda: None
        )
        one = module._Run(process, training())
        left = iter([Told(None, [], None)] * (module.AHEAD + 5))

        def read(held: Any) -> Told:
            process.killed = True
            return next(left)

        process.read = read
        await asyncio.wait_for(asyncio.to_thread(one.talk, asyncio.get_running_loop(), lambda *_: None), 20)
        assert next(left, None) is None

    run(check())
