"""A training whose process is killed goes on in another, with real processes."""

import http.client
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import servers

from app.engine.presets import NOTEBOOK

from ..making import run
from ..test_trainings import FIELDS, at_once, hash_of

LEASE = 0.5
Event = dict[str, Any]
EVERY, ENTRIES = 200, 100
PLAN: dict[str, Any] = {"epochs": EVERY * ENTRIES, "batch_size": 2, "shuffle": True, "report_every": EVERY}

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="NOT TESTED: it needs Linux")


class Server:
    """A server with the shared store, which may be killed."""

    def __init__(self, url: str, log: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADSTEP_")}
        environment |= {"GRADSTEP_STORE": url, "GRADSTEP_LEASE_SECONDS": str(LEASE)}
        with log.open("w") as out:
            self.process = subprocess.Popen(servers.COMMAND, stdout=out, stderr=out, cwd=servers.ROOT, env=environment)
        self.log = log
        self._address: str | None = None

    @property
    def address(self) -> str:
        if self._address is None:
            self._address = servers.when_up(self.process, self.log)
        return self._address

    @contextmanager
    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(str(urlsplit(self.address).netloc), timeout=30)
        sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            with connection.getresponse() as answer:
                yield answer

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        with self.call(method, path, body, **headers) as answer:
            text = answer.read()
            assert answer.status < 300, text
            return json.loads(text)

    @property
    def has_worker(self) -> bool:
        """Whether it has begun a worker process, which it keeps."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return any((thread / "children").read_text() for thread in threads)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def ended(*all_servers: Server) -> Iterator[None]:
    try:
        yield
    finally:
        for server in all_servers:
            server.process.kill()
            server.process.wait()


def events(server: Server, path: str, last: int | None) -> Generator[Event, None, None]:
    """The events of a run as long as they come, after the one that was seen last."""
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last_Event_ID": str(last)})
    try:
        with server.call("GET", path, **headers) as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))
    except (OSError, http.client.HTTPException):
        return


def survives(url: str, folder: Path, kills: int, report: Callable[[str], None]) -> None:
    """Kill, so many times, the process that is at a run, and go on watching at the other, where the run goes on."""
    chance, longest, under_way = random.Random(kills), 0.0, 0
    old = Server(url, folder / "first")
    with ExitStack() as stack:
        stack.enter_context(ended(old))
        expected = hash_of(run(at_once(**PLAN)))
        for number in range(kills):
            new = Server(url, folder / str(number))
            stack.enter_context(ended(new))
            assert old.address
            assert new.address
            session = new.json("POST", "/v1/sessions", {**NOTEBOOK, **FIELDS})
            path, had_worker = f"/v1/sessions/{session['id']}", old.has_worker
            begun = new.json("POST", f"{path}/train", PLAN, Prefer="respond-async")
            watched = f"{path}/runs/{begun['id']}"
            while not (new.has_worker or (old.has_worker and not had_worker)):
                if had_worker and new.json("GET", watched)["epochs_done"]:
                    break
            doomed, other = (new, old) if new.has_worker else (old, new)
            seen, enough = list[Event](), chance.randint(1, ENTRIES // 2)
            with closing(events(doomed, watched, None)) as watching:
                seen += islice(watching, enough)
            assert seen[-1]["event"] == "epoch"
            doomed.kill()
            killed = time.monotonic()
            under_way += other.json("GET", watched)["ended_at"] is None
            with closing(events(other, watched, seen[-1]["epoch"])) as watching:
                seen.append(next(watching))
            while seen[-1]["event"] == "epoch":
                seen += events(other, watched, seen[-1]["epoch"])
            longest = max(longest, time.monotonic() - killed)
            *entries, end = seen
            assert (end["event"], end["stopped"]["reason"]) == ("end", "epochs"), end
            assert [entry["epoch"] for entry in entries] == [EVERY * at for at in range(1, ENTRIES + 1)]
            [*_, last] = other.json("GET", f"{path}/history")["items"]
            assert (last["revision"], last["run"], last["state_hash"]) == (1, begun["id"], expected)
            old = other
    report(f"a run whose process was killed, {under_way} times: over elsewhere {longest:.1f} s later at most")
    assert under_way >= kills // 2, "most had ended before"


def test_a_run_survives(valkey_url: str, tmp_path: Path, report: Callable[[str], None]) -> None:
    survives(valkey_url, tmp_path, 1, report)


@pytest.mark.long
def test_runs_survive(valkey_url: str, tmp_path: Path, report: Callable[[str], None]) -> None:
    survives(valkey_url, tmp_path, 20, report)
