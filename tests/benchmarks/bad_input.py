"""Bodies, queries and headers that nobody should send: how long one holds the event loop, and what it gets back."""

import asyncio
import copy
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import jiter
import orjson
from fastapi import FastAPI

from app.engine.presets import NOTEBOOK
from app.main import create_app

from .asgi import call
from .measure import Target, figure, row, seconds, verdict

ROUNDS, SHOWN = 3, 5
TIME, SIZE, OVER = Target(20, "ms"), Target(16, "KiB"), Target(0, "kinds")
MB, LIMIT = 1_000_000, 8 * 2**20


@dataclass(frozen=True)
class Bad:
    """A request that must be refused; `{}` in its target is the path of a session."""

    what: str
    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def run() -> Iterator[str]:
    return iter(asyncio.run(_measure()))


async def _measure() -> list[str]:
    app = create_app()
    async with app.router.lifespan_context(app):
        return await _measure_in(app)


async def _measure_in(app: FastAPI) -> list[str]:
    answer = await call(app, "POST", "/v1/sessions", orjson.dumps(NOTEBOOK))
    session = answer.headers[b"location"].decode()
    await call(app, "POST", f"{session}/forward", b"{}")
    await call(app, "POST", f"{session}/backward", b"{}")
    kinds = _kinds()
    times: list[list[float]] = [[] for _ in kinds]
    sizes = [0] * len(kinds)
    for _ in range(ROUNDS):
        for index, bad in enumerate(kinds):
            started = time.perf_counter()
            answer = await call(app, bad.method, bad.target.replace("{}", session), bad.body, bad.headers)
            times[index].append(time.perf_counter() - started)
            sizes[index] = max(sizes[index], len(answer.body))
            assert 400 <= answer.status < 500, f"{bad.what}: {answer.status} {answer.body[:300]!r}"
    waits = [await _wait_of_others(app, bad, session) for bad in kinds]
    longest, index = max((wait, index) for index, wait in enumerate(waits))
    what = f"bad input, the longest that others wait meanwhile: {kinds[index].what}"
    return [*_rows(kinds, times, sizes), figure(what, 1e3 * longest, TIME)]


async def _wait_of_others(app: FastAPI, bad: Bad, session: str) -> float:
    """The longest, in seconds, that the event loop has no turn for anybody else; of some rounds the shortest."""
    waits = []
    for _ in range(ROUNDS):
        request = asyncio.create_task(call(app, bad.method, bad.target.replace("{}", session), bad.body, bad.headers))
        longest, before = 0.0, time.perf_counter()
        while not request.done():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, before = max(longest, now - before - 0.001), now
        waits.append(longest)
    print(f"{1e3 * min(waits):17.3g} ms  {bad.what}: the wait of others", file=sys.stderr)
    return min(waits)


def _rows(kinds: Sequence[Bad], times: list[list[float]], sizes: list[int]) -> list[str]:
    """The slowest in the table; all of them, for whoever wants to know, on standard error."""
    rows = []
    slowest = sorted(range(len(kinds)), key=lambda index: -median(times[index]))
    for place, index in enumerate(slowest, 1):
        bad, values = kinds[index], (median(times[index]) * 1e3, min(times[index]) * 1e3)
        print(f"{seconds(times[index]):>20} {sizes[index]:>6} bytes  {bad.what}", file=sys.stderr)
        if place <= SHOWN:
            what = f"bad input, slowest {place} of {len(kinds)}: {bad.what}"
            parsing = f"parsing alone: {seconds(_parsing(bad.body))}"
            rows.append(row(what, seconds(times[index]), parsing, "", "", str(TIME), verdict(TIME, *values)))
    over = sum(not TIME.reached(median(taken) * 1e3) for taken in times)
    rows.append(figure(f"bad input, kinds that take more than {TIME.bound:g} {TIME.unit}", over, OVER))
    size, largest = max((size, index) for index, size in enumerate(sizes))
    rows.append(figure(f"bad input, largest answer: {kinds[largest].what}", size / 1024, SIZE))
    return rows


def _parsing(body: bytes) -> list[float]:
    """How long it takes to find out what JSON a body is, or that it is none."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with suppress(ValueError):
            jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
        times.append(time.perf_counter() - started)
    return times


def _many(item: str, size: int = 4 * MB) -> bytes:
    """A JSON list of about `size` bytes."""
    return b"[" + ",".join([item] * (size // (len(item) + 1))).encode() + b"]"


def _config(pointer: str, value: bytes) -> bytes:
    """The notebook's config with JSON put in at one place."""
    config: Any = copy.deepcopy(NOTEBOOK)
    *way, last = (int(part) if part.isdecimal() else part for part in pointer.split("/"))
    place = config
    for part in way:
        place = place[part]
    place[last] = orjson.Fragment(value)
    return orjson.dumps(config)


def _keys(count: int, value: str = "1") -> bytes:
    return b"{" + ",".join(f'"key{index}":{value}' for index in range(count)).encode() + b"}"


def _kinds() -> tuple[Bad, ...]:
    first = "network/layers/0"
    configs = (
        ("8 MB that never end", b"[" + b"1," * (LIMIT // 2 - 1)),
        ("8 MB of a string that never ends", b'"' + b"a" * (LIMIT - 2)),
        ("8 MB of JSON, wrong in its last byte", b"[" + b"1," * (LIMIT // 2 - 2) + b"1}"),
        ("8 MB of invalid UTF-8", b'"' + b"\xff" * (LIMIT - 3) + b'"'),
        ("8 MB of a list", _many("1", LIMIT - 10)),
        ("8 MB of empty objects", _many("{}", LIMIT - 10)),
        ("a body over the limit", b"[" + b"1," * (LIMIT // 2) + b"1]"),
        ("a million brackets", b"[" * 1_000_000),
        ("objects nested 500,000 deep", b'{"a":' * 500_000),
        ("100,000 keys, all the same", b"{" + b'"a":1,' * 99_999 + b'"a":1}'),
        ("100,000 unknown keys", _keys(100_000)),
        ("100,000 unknown keys in a layer", _config(first, _keys(100_000))),
        ("100,000 unknown keys in an optimizer", _config("optimizer", _keys(100_000))),
        ("49 unknown keys in each of 10,000 layers", _config("network/layers", _many(_keys(49).decode(), 5 * MB))),
        ("a million layers, each null", _config("network/layers", _many("null", 5 * MB))),
        ("a million layers, each {}", _config("network/layers", _many("{}", 3 * MB))),
        ("300,000 whole layers", _config("network/layers", _many('{"units":3}', 4 * MB))),
        ("1,000 layers with the same name", _config("network/layers", _many('{"name":"a","units":3}', 23_000))),
        ("20,000 units in each of 1,000 layers", _config("network/layers", _many('{"units":20000}', 16_000))),
        ("10⁹ units", _config(f"{first}/units", b"1000000000")),
        ("a unit count of 4 million digits", _config(f"{first}/units", b"9" * 4 * MB)),
        ("a learning rate of 1e400", _config("optimizer/learning_rate", b"1e400")),
        ("a learning rate of NaN", _config("optimizer/learning_rate", b"NaN")),
        ("a layer's name of 4 MB", _config(f"{first}/name", b'"' + b"n" * 4 * MB + b'"')),
        ("an activation's name of 4 MB", _config(f"{first}/activation", b'"' + b"n" * 4 * MB + b'"')),
        ("4 MB of wrong initial weights", _config(f"{first}/init/weight", _many('["x"]'))),
        ("4 MB of too many initial weights", _config(f"{first}/init/weight", _many("[1,2]"))),
        ("4 MB of inputs that are strings", _config("data/inputs", _many('"x"'))),
        ("4 MB of rows of strings", _config("data/inputs", _many('["x"]'))),
        ("4 MB of rows of 1e400", _config("data/inputs", _many("[1e400]"))),
        ("4 MB of rows, each of another length", _config("data/inputs", _many("[1],[1,2]"))),
        ("4 MB of one row", _config("data/inputs", b"[" + _many("1") + b"]")),
        ("4 MB of rows of integers, the last wrong", _config("data/inputs", _many("[1,2]")[:-1] + b',["x"]]')),
        ("4 MB of targets that are negative classes", _config("data/targets", _many("-1"))),
        ("a document of 100,000 wrong tensors", b'{"format":"gradstep-session","tensors":' + _keys(100_000) + b"}"),
    )
    session = (
        ("4 MB of rows to run forward", "POST", "{}/forward", b'{"inputs":' + _many("[1,2]") + b"}"),
        ("4 MB of wrong rows to run forward", "POST", "{}/forward", b'{"inputs":' + _many("[null]") + b"}"),
        ("4 MB of rows to predict", "POST", "{}/predict", b'{"inputs":' + _many("[1,2,3]") + b"}"),
        ("4 MB of parameters to step", "POST", "{}/step", b'{"parameters":' + _many('"x.weight"') + b"}"),
        ("2,000 unknown parameters to step", "POST", "{}/step", b'{"parameters":' + _many('"x"', 8_000) + b"}"),
        ("10³⁰⁰ epochs", "POST", "{}/train", b'{"epochs":1' + b"0" * 300 + b"}"),
        ("100,000 conditions to stop on", "POST", "{}/train", b'{"stop":' + _many('{"type":"x"}', 1_300_000) + b"}"),
        ("other data, 4 MB of it wrong", "PUT", "{}/data", b'{"inputs":' + _many('["x"]') + b',"targets":[[1]]}'),
        ("a change with 100,000 unknown options", "PATCH", "{}", b'{"optimizer":' + _keys(100_000) + b"}"),
        ("a change nested 150 deep", "PATCH", "{}", b'{"optimizer":' + b'{"a":' * 150 + b"1" + b"}" * 151),
    )
    garbage = "x" * 60_000
    return (
        *(Bad(what, "POST", "/v1/sessions", body) for what, body in configs),
        *(Bad(what, method, target, body) for what, method, target, body in session),
        Bad("a query of 60,000 letters", "GET", "{}/snapshot?include=" + garbage),
        Bad("10,000 unknown query parameters", "GET", "{}/snapshot?" + "&".join(f"k{i}=1" for i in range(10_000))),
        Bad("10,000 unknown layers to show", "GET", "{}/snapshot?layers=" + ",".join("x" * 5_000)),
        Bad("a path of 60,000 letters", "GET", "/" + garbage),
        Bad("a session id of 60,000 letters", "GET", "/v1/sessions/" + garbage),
        Bad("Accept of 20,000 media types", "GET", "{}/snapshot", headers={"accept": ",".join(["a/b"] * 15_000)}),
        Bad("If-Match of 60,000 letters", "POST", "{}/step", b"{}", {"if-match": garbage}),
        Bad("8 MB of text/plain", "POST", "/v1/sessions", b"x" * (LIMIT - 10), {"content-type": "text/plain"}),
    )
