"""Streams read as they come, from an application in this process: by clients that may go away, or take nothing."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx
import numpy as np
import orjson
from fastapi import FastAPI

from app.engine.curves import Curve
from app.engine.plan import Stopped
from app.main import create_app
from app.sessions.runs import Run
from app.settings import Settings

T = TypeVar("T")
EVENTS, LINES = "text/event-stream", "application/jsonl"
LONG = {"epochs": 900_000, "report_every": 10}  # some ten seconds, unless something ends it


class Event(NamedTuple):
    """A server-sent event; a comment has an empty name and is its own data."""

    name: str
    id: str
    data: Any


def events(text: str) -> list[Event]:
    """The events of a stream, which must end with a whole one, and be written as the standard has it."""
    *blocks, rest = text.split("\n\n")
    assert rest == ""
    return [_event(block) for block in blocks]


def _event(block: str) -> Event:
    if block.startswith(":"):
        return Event("", "", block)
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    assert set(fields) == {"event", "id", "data"}
    event = Event(fields["event"], fields["id"], orjson.loads(fields["data"]))
    assert event.data["event"] == event.name
    return event


def lines(text: str) -> list[Any]:
    """The values of JSON lines, the last of which must be whole."""
    *values, rest = text.split("\n")
    assert rest == ""
    return [orjson.loads(value) for value in values]


def untimed(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry without how long it took, and without what only a stream says."""
    return {name: value for name, value in entry.items() if name not in ("elapsed", "event")}


class Here:
    """An application in this process, with an event loop of its own that goes on from one call to the next."""

    def __init__(self, **settings: Any) -> None:
        self.app = create_app(Settings(**settings))
        self.sessions = self.app.state.sessions
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test", timeout=60)
        self.runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sessions.stop()
        self.run(self.settle())
        self.sessions.close()
        self.runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the event loop, and do not wait for ever."""

        async def in_time() -> T:
            async with asyncio.timeout(60):
                return await work

        return self.runner.run(in_time())

    async def settle(self) -> None:
        """Wait until all that goes on by itself is over."""
        while (others := asyncio.all_tasks() - {asyncio.current_task()}) and self.sessions.trainings._tasks:
            await asyncio.wait(others, timeout=0.01)

    async def create(self, body: Any) -> str:
        """A new session; its URL."""
        answer = await self.client.post("/v1/sessions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    async def begin(self, url: str, body: Any, query: str = "") -> str:
        """A training that goes on by itself; its URL."""
        answer = await self.client.post(f"{url}/train{query}", json=body, headers={"Prefer": "respond-async"})
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    async def read(self, url: str) -> Any:
        answer = await self.client.get(url)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ended(self, url: str) -> Any:
        """A run, once it is over."""
        while (run := await self.read(url))["ended_at"] is None:
            await asyncio.sleep(0.005)
        return run

    async def hash(self, url: str) -> str:
        """The hash of the state where a session stands."""
        return str((await self.read(f"{url}/history?limit=1000"))["items"][-1]["state_hash"])

    def run_by_hand(self, url: str, total: int) -> Run:
        """A run of a session that nobody carries out but the test."""
        run = Run(url.rpartition("/")[2], 0, total, 0.0)
        self.sessions.runs.add(run)
        return run

    def watch(
        self, url: str, body: Any = None, spec: str = "2.3", method: str | None = None, **headers: str
    ) -> "Stream":
        """A stream of a run, or, with a body, of a training."""
        return Stream(self.app, method or ("GET" if body is None else "POST"), url, body, spec, headers)


async def turns(count: int = 20) -> None:
    """Let others go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def finish(run: Run, epoch: int) -> None:
    """Let a run that is carried out by hand end, with so many epochs done."""
    stopped: Stopped = {
        "reason": "epochs", "epoch": epoch, "step": epoch, "tensor": None, "threshold": None, "actual": None,
    }  # fmt: skip
    run.finish(stopped, None, 1.0)


def curve(first: int, last: int) -> Curve:
    """Entries of epochs, one step each, with a loss of 1/epoch."""
    epochs = np.arange(first, last + 1, dtype=float)
    return Curve(("epoch", "steps", "loss"), np.stack([epochs, epochs, 1 / epochs], 1))


class Stream:
    """An answer as it comes. `spec` is the version of ASGI that the server would tell: it sets how a client's end is
    seen.

    Attributes:
        writes: how many pieces have come.
        task: what makes the answer.
    """

    def __init__(
        self, app: FastAPI, method: str, url: str, body: Any, spec: str, headers: dict[str, str]
    ) -> None:  # fmt: skip
        path, _, query = url.partition("?")
        given = {"accept": EVENTS, **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
        if body is not None:
            given["content-type"] = "application/json"
        self.scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": spec}, "http_version": "1.1",
            "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "root_path": "", "server": ("test", 80), "client": ("test", 1),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }  # fmt: skip
        self.raises = spec >= "2.4"
        self.app, self.body = app, b"" if body is None else orjson.dumps(body)
        self.taking, self.gone = asyncio.Event(), asyncio.Event()
        self.taking.set()
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.text, self.writes, self.status = "", 0, 0
        self.headers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": self.body, "more_body": False}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            await self.taking.wait()
            if self.gone.is_set():
                if self.raises:
                    raise OSError
                return
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                if message["body"]:
                    self.pieces.put_nowait(message["body"])
                if not message.get("more_body"):
                    self.pieces.put_nowait(None)

        async def answer() -> None:
            try:
                await self.app(self.scope, receive, send)
            finally:
                self.pieces.put_nowait(None)

        self.task = asyncio.create_task(answer())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Go away, and wait until the server has seen it."""
        self.gone.set()
        self.taking.set()
        await self.task

    async def more(self) -> bool:
        """Wait for the next piece; false at the end."""
        piece = await self.pieces.get()
        if piece is not None:
            self.text += piece.decode()
            self.writes += 1
        return piece is not None

    async def read(self, count: int) -> list[Event]:
        """The first events, so many at least."""
        while self.text.count("\n\n") < count:
            assert await self.more(), "the stream has ended"
        return events(self.text)

    async def rest(self) -> list[Event]:
        """All events, now that the stream has ended."""
        while await self.more():
            pass
        return events(self.text)
