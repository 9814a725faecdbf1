"""A server with the ceilings of deploy/small.env, and clients that want all of its memory and time."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from servers import PATIENCE_SECONDS, ROOT

from app.engine.presets import NOTEBOOK
from app.settings import Settings

from .replicas import Replica, replicas

PROC = Path("/proc")
CEILING = 512 * 2**20  # bytes, of the server and its workers together
PAGE = 4096
SETTINGS = dict(
    line.split("=", 1) for line in (ROOT / "deploy" / "small.env").read_text("utf-8").splitlines() if line[0] != "#"
)
ROUND = ("forward", "backward", "step")

needs_proc = pytest.mark.skipif(not (PROC / "self" / "statm").exists(), reason="NOT TESTED: memory is read from /proc")


def test_the_file_holds_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    assert {f"GRADSTEP_{field.upper()}" for field in Settings().model_fields_set} == SETTINGS.keys()


def family(process: int) -> Iterator[int]:
    """A process and all that it has started."""
    yield process
    for task in (PROC / str(process) / "task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def resident(replica: Replica) -> int:
    """The bytes in memory of a server and its workers; what they share counts for each."""
    total = 0
    assert replica.process
    try:
        for process in family(replica.process.pid):
            total += PAGE * int((PROC / str(process) / "statm").read_text().split()[1])
    except FileNotFoundError:  # a worker has just ended
        pass
    return total


def open_files(replica: Replica) -> int:
    """The files and sockets that a server has open, without the pipes to workers, which stay."""
    assert replica.process
    count = 0
    for file in (PROC / str(replica.process.pid) / "fd").iterdir():
        with suppress(FileNotFoundError):  # it has just been closed
            count += not os.readlink(file).startswith("pipe:")
    return count


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    with replicas(tmp_path, 1, **SETTINGS) as [one]:
        yield one


@needs_proc
@pytest.mark.parametrize("seconds", [1, pytest.param(300, marks=pytest.mark.long)])
def test_an_adversary_gets_neither_the_memory_nor_the_server(
    replica: Replica, report: Callable[[str], None], seconds: int
) -> None:
    before, most, late, tally = open_files(replica), 0, list[float](), Counter[int]()
    command = [sys.executable, "-m", "operation.adversary", str(replica.port), str(seconds)]
    address = f"http://127.0.0.1:{replica.port}"
    with httpx.Client(base_url=address, timeout=PATIENCE_SECONDS) as client:
        url = client.post("/v1/sessions", json=NOTEBOOK).headers["Location"]
        with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE) as adversary:
            while adversary.poll() is None:
                most = max(most, resident(replica))
                for operation in ROUND:
                    began = time.perf_counter()
                    tally[client.post(f"{url}/{operation}").status_code] += 1
                    late.append(1e3 * (time.perf_counter() - began))
                    time.sleep(0.03)
            assert adversary.stdout
            answers = json.loads(adversary.stdout.read())
    assert adversary.returncode == 0
    assert replica.process
    assert replica.process.poll() is None
    assert tally.keys() == {200}
    assert answers
    assert not [answer for answer in answers if answer.endswith(" 500")]
    assert most <= CEILING
    deadline = time.monotonic() + PATIENCE_SECONDS
    while open_files(replica) > before:
        assert time.monotonic() < deadline, "files are left open"
        time.sleep(0.05)
    late.sort()
    median, p99 = (late[int(share * (len(late) - 1))] for share in (0.5, 0.99))
    report(
        f"an adversary for {seconds} s: at most {most / 2**20:.0f} MiB, {resident(replica) / 2**20:.0f} MiB after it; "
        f"small steps p50 {median:.1f} ms, p99 {p99:.1f} ms"
    )
