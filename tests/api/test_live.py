"""Streams from a real server: clients that vanish, one that takes nothing, and the server's own end."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import servers
import uvicorn
from servers import Server

from app.api import streams
from app.main import create_app
from app.settings import Settings

from .calls import config
from .streaming import EVENTS, LINES, LONG, Event, events

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="NOT TESTED: this system does not list threads and open files"
)
GENEROUS_SECONDS = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.gradstep(tmp_path_factory.mktemp("server")) as server:
        yield server


@contextmanager
def calling(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=GENEROUS_SECONDS) as client:
        yield client


def create(client: httpx.Client) -> str:
    answer = client.post("/v1/sessions", json=config())
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


class Reader:
    """A client with a socket of its own, which it may close at any time."""

    def __init__(self, address: str, path: str, body: Any = None, **headers: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=GENEROUS_SECONDS)
        method = "GET" if body is None else "POST"
        headers = {"Accept": EVENTS, "Content-Type": "application/json", **headers}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self.text = ""

    def read(self, count: int) -> list[Event]:
        """The first events, so many at least."""
        while self.text.count("\n\n") < count:
            line = self.answer.readline()
            assert line, "the stream has ended"
            self.text += line.decode()
        return events(self.text[: self.text.rindex("\n\n") + 2])

    def rest(self) -> list[Event]:
        """All events, now that the stream has ended."""
        self.text += self.answer.read().decode()
        return events(self.text)

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to be so; what it is."""
    deadline = time.perf_counter() + GENEROUS_SECONDS
    while not (found := condition()):
        assert time.perf_counter() < deadline, "it has not come to that"
        time.sleep(0.001)
    return found


def abandon(client: httpx.Client, address: str, url: str) -> float:
    """Begin a long training, go away in the middle of it, and wait for its end; the seconds that this took."""
    reader = Reader(address, f"{url}/train", LONG)
    reader.read(2)
    path = reader.answer.headers["Location"]
    left = time.perf_counter()
    reader.close()
    run = until(lambda: (run := client.get(path).json())["ended_at"] and run)
    seconds = time.perf_counter() - left
    assert run["stopped"]["reason"] == "disconnected"
    assert client.get(url).json()["run"] is None
    return seconds


class Held:
    """What a process holds: its threads, its open files, its children."""

    def __init__(self, process: int) -> None:
        here = Path(f"/proc/{process}")
        self.threads, self.files = (len(list((here / kind).iterdir())) for kind in ("task", "fd"))
        self.children = children(process)

    def __le__(self, other: "Held") -> bool:
        return self.threads <= other.threads and self.files <= other.files and self.children <= other.children


def children(process: int) -> set[int]:
    """The processes that one has started and that have not ended."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


@needs_proc
@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.long)])
def test_clients_that_go_away_leave_nothing_behind(
    server: Server, report: Callable[[str], None], count: int
) -> None:  # fmt: skip
    with calling(server.address) as client:
        url = create(client)
        for _ in range(3):
            abandon(client, server.address, url)
        time.sleep(0.1)
        before = Held(server.process.pid)
        assert before.children
        seconds = sorted(abandon(client, server.address, url) for _ in range(count))
        until(lambda: Held(server.process.pid) <= before)
        median, most = (1e3 * seconds[int(share * (count - 1))] for share in (0.5, 1))
        report(f"from a client's end to that of its training, {count} times: median {median:.0f}, most {most:.0f} ms")
        session = client.get(url).json()
        assert session["revision"] == count + 3
        if count == 50:  # whose epochs one call may do, and whose last revision the first page of the history has
            plain = create(client)
            client.post(f"{plain}/train?include=", json={"epochs": session["epochs"], "report_every": 100_000})
            states = [client.get(f"{one}/history").json()["items"][-1] for one in (url, plain)]
            assert states[0]["steps"] == states[1]["steps"] == session["steps"]
            assert states[0]["state_hash"] == states[1]["state_hash"]


def test_two_readers_of_a_run_and_one_that_comes_back(server: Server) -> None:
    with calling(server.address) as client, ExitStack() as stack:
        url = create(client)
        path = client.post(f"{url}/train", json=LONG, headers={"Prefer": "respond-async"}).headers["Location"]
        one, other = (stack.enter_context(closing(Reader(server.address, path))) for _ in range(2))
        seen = one.read(20)
        one.close()
        other.read(len(seen) + 50)
        with closing(Reader(server.address, path, **{"Last-Event-ID": seen[-1].id})) as back:
            back.read(10)
            assert client.delete(f"{path}?at=epoch").status_code == 202
            again = back.rest()
        assert seen + again == other.rest()
        assert again[-1].data["stopped"]["reason"] == "cancelled"
        told = client.get(path, headers={"Accept": EVENTS, "Last-Event-ID": again[-1].id})
        assert (told.status_code, told.content) == (204, b"")


def test_the_head_of_a_run_that_goes_on(server: Server) -> None:
    """It has no body to wait for, and the connection is free for what comes next."""
    with calling(server.address) as client:
        url = create(client)
        path = client.post(f"{url}/train", json=LONG, headers={"Prefer": "respond-async"}).headers["Location"]
        with closing(http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=GENEROUS_SECONDS)) as caller:
            for accept in (EVENTS, LINES, "application/json"):
                caller.request("HEAD", path, headers={"Accept": accept})
                answer = caller.getresponse()
                assert (answer.status, answer.read()) == (200, b"")
                assert answer.headers["Content-Type"].partition(";")[0] == accept
            caller.request("GET", path)
            assert json.loads(caller.getresponse().read())["ended_at"] is None
        assert client.delete(path).status_code == 202


class Thereabouts(uvicorn.Server):
    """A server in a thread of this process."""

    def __init__(self) -> None:
        self.app = create_app(Settings())
        super().__init__(uvicorn.Config(self.app, port=0, log_level="critical", timeout_graceful_shutdown=1))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = Thread(target=self.run, args=([self.listener],))

    def __enter__(self) -> "Thereabouts":
        self.thread.start()
        until(lambda: self.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.should_exit = True
        self.thread.join()
        self.listener.close()


def test_a_reader_that_takes_nothing(monkeypatch: pytest.MonkeyPatch, report: Callable[[str], None]) -> None:
    """The training does not wait for it, it is given up, and comes back to where it was."""
    monkeypatch.setattr(streams, "PATIENCE_SECONDS", 0.5)
    with Thereabouts() as server, calling(server.address) as client, ExitStack() as stack:
        url = create(client)
        body = {"epochs": 2000, "probe": {"inputs": [[0.1, 0.2]] * 400}}  # more than all buffers take in
        path = client.post(f"{url}/train", json=body, headers={"Prefer": "respond-async"}).headers["Location"]
        slow = stack.enter_context(closing(socket.socket()))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(server.listener.getsockname())
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {EVENTS}\r\n\r\n".encode())
        until(lambda: len(server.server_state.tasks) == 1)
        began = time.perf_counter()
        run = until(lambda: (run := client.get(path).json())["ended_at"] and run)
        assert (run["status"], run["epochs_done"]) == ("finished", 2000)
        until(lambda: not server.server_state.tasks)
        report(f"a reader that takes nothing: given up after {time.perf_counter() - began:.1f} s")
        slow.settimeout(GENEROUS_SECONDS)
        taken = b""
        while piece := slow.recv(1 << 20):  # what had been sent by then
            taken += piece
        text = b"".join(_chunks(taken.partition(b"\r\n\r\n")[2])).decode()
        seen = events(text[: text.rindex("\n\n") + 2])
        assert 0 < len(seen) < 2000
        with closing(Reader(server.address, path, **{"Last-Event-ID": seen[-1].id})) as back:
            ids = [event.id for event in seen + back.rest()]
        assert ids == [*map(str, range(1, 2001)), "2000"]


def _chunks(body: bytes) -> Iterator[bytes]:
    """The chunks of a body of which the end is missing."""
    while b"\r\n" in body:
        size, _, body = body.partition(b"\r\n")
        yield body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]


@pytest.mark.long
def test_the_server_is_told_to_end_while_a_reader_takes_nothing(tmp_path: Path) -> None:
    """It waits for such a one no longer than its own patience."""
    with servers.gradstep(tmp_path) as server, calling(server.address) as client, closing(socket.socket()) as slow:
        url = create(client)
        body = {**LONG, "report_every": 200, "probe": {"inputs": [[0.1, 0.2]] * 400}}
        path = client.post(f"{url}/train", json=body, headers={"Prefer": "respond-async"}).headers["Location"]
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", urlsplit(server.address).port))
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {EVENTS}\r\n\r\n".encode())
        until(lambda: client.get(path).json()["ended_at"])
        server.process.terminate()
        assert server.process.wait(GENEROUS_SECONDS) == 0


@pytest.mark.parametrize("end", ["SIGTERM", pytest.param("SIGINT", marks=[needs_proc, pytest.mark.long])])
def test_the_server_is_told_to_end(tmp_path: Path, end: str) -> None:
    """Trainings under way end after a whole step, and whoever follows them is told so; no process stays."""
    with servers.gradstep(tmp_path) as server, calling(server.address) as client, ExitStack() as stack:
        trained, run = create(client), create(client)
        owner = stack.enter_context(closing(Reader(server.address, f"{trained}/train", LONG)))
        path = client.post(f"{run}/train", json=LONG, headers={"Prefer": "respond-async"}).headers["Location"]
        watcher = stack.enter_context(closing(Reader(server.address, path)))
        sweep = {"vary": {"seed": [1, 2, 3]}, "train": LONG}
        assert client.post(f"{create(client)}/sweep", json=sweep).status_code == 202
        owner.read(1)
        watcher.read(1)
        workers = children(server.process.pid) if Path("/proc/self/task").exists() else set()
        if end == "SIGTERM":
            server.process.terminate()
        else:  # Ctrl-C in a terminal goes to all of its processes
            for process in (server.process.pid, *workers):
                os.kill(process, signal.SIGINT)
        for reader in (owner, watcher):
            *entries, last = reader.rest()
            assert last.data["stopped"]["reason"] == "cancelled"
            assert 0 < int(entries[-1].id) <= last.data["snapshot"]["epochs"] < LONG["epochs"]
        assert server.process.wait(GENEROUS_SECONDS) == 0
        until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log
