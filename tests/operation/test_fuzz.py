"""Mutated requests over raw sockets: none is the server's fault, and none changes what it does not say it changed."""

import asyncio
import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from servers import PATIENCE_SECONDS

from app.engine.presets import NOTEBOOK
from app.main import create_app
from app.settings import Settings

from .mutations import KEY, RUN, SECRET, SESSION, mutated, request, seeds
from .raw import Answer, answers, exchange
from .replicas import replicas

SEED, CLIENTS = 1, 48
SETTINGS = {
    "max_work": "10000000", "max_parameters": "10000", "max_batch": "1000", "max_epochs": "200", "max_sweep": "3",
    "max_run_seconds": "2", "max_body": "100000", "header_seconds": "0.5", "body_seconds": "0.5",
}  # fmt: skip
KEYS = {"api_keys": f"{KEY},the-key-of-another"}
LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CHANGING = re.compile(b"POST|PUT|PATCH|DELETE")
# What may be answered before the path is known, or before anybody looks at it.
ANYWHERE = {"malformed-request", "request-timeout", "headers-too-large", "full", "unauthorized"}
MAX_PROBLEM = 16 * 1024


class Contract:
    """What an OpenAPI document says of answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._paths = [
            (
                re.compile(re.sub(r"\{\w+\}", "[^/]+", path)),
                {code for one in them.values() for code in one["responses"]},
            )
            for path, them in document["paths"].items()
        ]

    def check(self, answer: Answer) -> None:
        """Raise AssertionError where an answer is none that is documented."""
        if answer.status < 400:
            assert answer.status in (200, 201, 202, 204, 206, 304)
            if answer.whole and answer.body and answer.headers["content-type"] == "application/json":
                packed = answer.headers.get("content-encoding") == "gzip"
                orjson.loads(gzip.decompress(answer.body) if packed else answer.body)
            return
        assert answer.status < 500 or answer.status == 503
        assert (answer.status in (429, 503)) == ("retry-after" in answer.headers)
        assert answer.whole
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.body) <= MAX_PROBLEM
        if answer.body:  # HEAD has none
            self._check_problem(answer, orjson.loads(answer.body))

    def _check_problem(self, answer: Answer, problem: dict[str, Any]) -> None:
        assert problem["status"] == answer.status
        errors = problem.get("errors", [])
        assert SECRET not in " ".join(answer.headers.values())
        if SECRET not in json.dumps([error | {"detail": ""} for error in errors]):  # otherwise it is a field's name
            assert SECRET not in json.dumps([problem["title"], problem["detail"], errors])
        kind = problem["type"].removeprefix("/v1/problems/")
        if kind in ANYWHERE:
            return
        path = unquote(problem["instance"])
        documented = [statuses for pattern, statuses in self._paths if pattern.fullmatch(path)]
        if documented:
            assert str(answer.status) in {"405"}.union(*documented)
        else:
            assert kind in ("not-found", "method-not-allowed")


class Client:
    """Sends mutated requests about a session of its own, and looks at it after each."""

    def __init__(self, port: int, contract: Contract, tally: Counter[str]) -> None:
        self.port, self.contract, self.tally = port, contract, tally
        self.session, self.run, self.state = "", RUN, b""

    async def ask(self, *requests: bytes) -> list[Answer]:
        """What well-formed requests are answered."""
        found = await self.exchange(b"".join(requests))
        assert len(found) == len(requests) + 1
        return found[:-1]

    async def exchange(self, sent: bytes) -> list[Answer]:
        """What bytes are answered, and the request that follows them."""
        for _ in range(5):
            if found := list(answers(await exchange(self.port, sent + LAST))):
                return found
        raise AssertionError("no answer")  # once may be, where a busy machine lets the time for headers run out

    async def create(self) -> None:
        body = orjson.dumps(NOTEBOOK)
        self.state = b""
        (answer,) = await self.ask(request("POST", "/v1/sessions", "application/json", [], body))
        assert answer.status == 201, answer
        self.session = answer.headers["location"].rpartition("/")[2]
        self.state = await self.look()

    async def look(self) -> bytes:
        """The session and its history, with the hash of each state."""
        url = f"/v1/sessions/{self.session}"
        answered = await self.ask(request("GET", url), request("GET", f"{url}/history?limit=1000"))
        return b"\n".join(answer.body for answer in answered)

    async def send(self, case: bytes) -> None:
        sent = case.replace(SESSION.encode(), self.session.encode()).replace(RUN.encode(), self.run.encode())
        found = await self.exchange(sent)
        for answer in found:
            self.contract.check(answer)
            self.tally[str(answer.status)] += 1
        made = [answer.headers["location"] for answer in found if answer.status == 201 and "location" in answer.headers]
        if made:
            await self.ask(*(request("DELETE", url) for url in made))
        await self.compare(sent, found)

    async def compare(self, sent: bytes, found: list[Answer]) -> None:
        """Nothing has changed unless an answer says so, or one was lost with the connection."""
        in_order = found[-1].body == b'{"status":"ok"}'
        acknowledged = [answer for answer in found[: -1 if in_order else None] if answer.status < 300]
        changing = CHANGING.search(sent) is not None
        state = await self.look()
        if state != self.state:
            assert changing
            self.tally["changes"] += 1
            if not acknowledged:
                self.tally["changes without an answer"] += 1
                assert not in_order, "a change that was not acknowledged"
        runs = [
            answer.headers["location"]
            for answer in acknowledged
            if answer.status == 202 and "location" in answer.headers
        ]
        self.run = runs[-1].rpartition("/")[2] if runs else self.run
        if b'"run":null' not in state or runs or len(state) > 100_000:  # gone, in training, or long
            await self.ask(request("DELETE", f"/v1/sessions/{self.session}"))
            await self.create()
        else:
            self.state = state


async def fuzz(port: int, document: dict[str, Any], count: int) -> Counter[str]:
    """So many mutated requests by many clients at once; how often there was each status."""
    contract, tally, samples, numbers = Contract(document), Counter[str](), seeds(document), iter(range(count))

    async def work() -> None:
        client = Client(port, contract, tally)
        await client.create()
        for number in numbers:
            case = mutated(Random(f"{SEED}:{number}"), samples)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await client.send(case)
            except Exception as error:
                error.add_note(f"seed {SEED}, request {number}, to session {client.session}: {case!r}")
                raise

    bystander = Client(port, contract, tally)
    await bystander.create()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(work())
    assert await bystander.look() == bystander.state
    return tally


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        pytest.param(KEYS, 250, id="a few"),
        pytest.param(KEYS, 50_000, id="with keys", marks=pytest.mark.long),
        pytest.param({}, 50_000, id="without keys", marks=pytest.mark.long),
    ],
)
def test_mutated_requests(tmp_path: Path, report: Callable[[str], None], keys: dict[str, Any], count: int) -> None:
    settings = {f"GRADSTEP_{name.upper()}": value for name, value in (SETTINGS | keys).items()}
    with replicas(tmp_path, 1, **settings) as [one]:
        tally = asyncio.run(fuzz(one.port, create_app(Settings(**keys)).openapi(), count))
        assert one.process
        assert one.process.poll() is None
        assert "Traceback" not in (log := one.log.read_text()), log
    report(f"{count:,} mutated requests: {', '.join(f'{key} {tally[key]:,}' for key in sorted(tally))}")
    assert {"200", "400", "404", "405", "406", "409", "415", "422", "changes"} <= tally.keys()
