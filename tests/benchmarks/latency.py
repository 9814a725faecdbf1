"""Small steps while two other sessions train large networks in the same server."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson

from app.engine.presets import NOTEBOOK

from .measure import Target, row, verdict
from .servers import Client, serve

SECONDS, IDLE_SECONDS, RATE, TRAININGS = 10, 3, 60, 2
CASES = (((784, 512, 512, 10), 256, 20_000), ((784, 4000, 4000, 10), 64, 1_000))  # the last: 19 million parameters
TARGET = Target(5, "ms")
TURN = ("forward", "backward", "step")


def run() -> Iterator[str]:
    for sizes, batch, epochs in CASES:
        with serve("app.main:app") as port:
            client = Client(port, timeout=120)
            small = client.create(NOTEBOOK)
            idle = _measure(port, small, IDLE_SECONDS)
            sessions = [client.create(large(sizes, batch)) for _ in range(TRAININGS)]
            runs = [_begin(client, session, epochs) for session in sessions]
            time.sleep(2)
            busy = _measure(port, small, SECONDS)
            client = Client(port, timeout=120)  # the other one was idle for too long
            statuses = [orjson.loads(client.call("GET", run))["status"] for run in runs]
            assert statuses == ["running"] * TRAININGS, statuses
            for run in runs:
                client.call("DELETE", run)
        named = f"while {TRAININGS} of {'-'.join(map(str, sizes))}, batch {batch}, train"
        for what, index in (("a pass or step of the notebook's network", 0), ("GET /healthz", 1)):
            (p50, p99, most), still = _percentiles(busy[index]), _percentiles(idle[index])
            name, reference = f"latency of {what} {named}, {{}}", "idle: {:.2f} ms"
            for part, value, before in (("p50", p50, still[0]), ("p99", p99, still[1]), ("max", most, still[2])):
                held = (str(TARGET), verdict(TARGET, value)) if part == "p99" and index == 0 else ("", "")
                cells = f"{value:.2f} ms", reference.format(before), f"{value / before:.2f}", ""
                yield row(name.format(part), *cells, *held)


def large(sizes: tuple[int, ...], batch: int) -> dict[str, Any]:
    """A config of a network of sigmoid layers, and random rows for it."""
    rng = np.random.default_rng(7)
    inputs, targets = (rng.uniform(0, 1, (batch, size)).round(2).tolist() for size in (sizes[0], sizes[-1]))
    return {
        "network": {
            "inputs": sizes[0],
            "layers": [{"units": units, "activation": "sigmoid"} for units in sizes[1:]],
        },
        "loss": "mse",
        "data": {"inputs": inputs, "targets": targets},
    }


def _begin(client: Client, session: str, epochs: int) -> str:
    """Begin a run; its path."""
    answer = client.call("POST", f"{session}/train", {"epochs": epochs}, {"Prefer": "respond-async"})
    return f"{session}/runs/{orjson.loads(answer)['id']}"


def _measure(port: int, session: str, seconds: float) -> tuple[list[float], list[float]]:
    """The latencies of steps and, over another connection, of a call that does nothing: a stall stops both."""
    steps, health = Client(port), Client(port)
    latencies: tuple[list[float], list[float]] = [], []

    def step(number: int) -> None:
        steps.call("POST", f"{session}/{TURN[number % len(TURN)]}", b"{}")

    def look(number: int) -> None:
        health.call("GET", "/healthz")

    threads = [
        threading.Thread(target=_at_a_rate, args=(function, seconds, into), daemon=True)
        for function, into in zip((step, look), latencies, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 60)
    assert min(map(len, latencies)) >= seconds * RATE / 4, "calls failed, or stalled for most of the time"
    return latencies


def _at_a_rate(function: Callable[[int], None], seconds: float, latencies: list[float]) -> None:
    """Call it so many times a second; one that had to wait for the last to end counts from when it was due."""
    started = time.perf_counter()
    for number in range(int(seconds * RATE)):
        begun = started + number / RATE
        if (early := begun - time.perf_counter()) > 0:
            time.sleep(early)
            begun = time.perf_counter()
        function(number)
        latencies.append(time.perf_counter() - begun)


def _percentiles(latencies: list[float]) -> tuple[float, float, float]:
    """The 50th and the 99th percentile and the maximum, in ms."""
    p50, p99 = np.percentile(latencies, (50, 99))
    return float(p50) * 1e3, float(p99) * 1e3, max(latencies) * 1e3
