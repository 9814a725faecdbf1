"""Small steps while another session trains a large network in the same server."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from app.engine.presets import NOTEBOOK

from .measure import Target, row, verdict
from .servers import Client, serve

SECONDS, IDLE_SECONDS, TRAINING_SECONDS, RATE = 10, 3, 5, 60
SIZES, BATCH = (784, 512, 512, 10), 256
TARGET = Target(20, "ms")
TURN = ("forward", "backward", "step")


def run() -> Iterator[str]:
    with serve("app.main:app") as port:
        large = Client(port, timeout=120).create(_large())
        epochs = math.ceil(TRAINING_SECONDS / _epoch_seconds(port, large))
        small = Client(port).create(NOTEBOOK)
        idle = _measure(port, small, IDLE_SECONDS)
        enough = threading.Event()
        training = threading.Thread(target=_keep_training, args=(port, large, epochs, enough), daemon=True)
        training.start()
        time.sleep(0.5)
        busy = _measure(port, small, SECONDS)
        assert training.is_alive(), "the training failed"
        enough.set()
        training.join(90)
    named = f"while {'-'.join(map(str, SIZES))}, batch {BATCH}, trains"
    for what, index in (("a pass or step of the notebook's network", 0), ("GET /healthz", 1)):
        (p50, p99, most), still = _percentiles(busy[index]), _percentiles(idle[index])
        name, reference = f"latency of {what} {named}, {{}}", "idle: {:.2f} ms"
        for part, value, before in (("p50", p50, still[0]), ("p99", p99, still[1]), ("max", most, still[2])):
            held = (str(TARGET), verdict(TARGET, value)) if part == "p99" and index == 0 else ("", "")
            cells = f"{value:.2f} ms", reference.format(before), f"{value / before:.2f}", ""
            yield row(name.format(part), *cells, *held)


def _large() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    inputs, targets = (rng.uniform(0, 1, (BATCH, size)).round(2).tolist() for size in (SIZES[0], SIZES[-1]))
    return {
        "network": {
            "inputs": SIZES[0],
            "layers": [{"units": units, "activation": "sigmoid"} for units in SIZES[1:]],
        },
        "loss": "mse",
        "data": {"inputs": inputs, "targets": targets},
    }


def _keep_training(port: int, session: str, epochs: int, enough: threading.Event) -> None:
    while not enough.is_set():
        _train(port, session, epochs)


def _train(port: int, session: str, epochs: int) -> None:
    Client(port, timeout=120).call("POST", f"{session}/train?include=", {"epochs": epochs, "report_every": epochs})


def _epoch_seconds(port: int, session: str) -> float:
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        _train(port, session, 4)
        taken.append((time.perf_counter() - started) / 4)
    return min(taken)


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
