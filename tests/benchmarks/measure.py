"""Rounds that take turns, and the rows of the table that they end up in."""

import importlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

COLUMNS = (
    "benchmark",
    "Gradstep: median (min)",
    "reference: median (min)",
    "median ratio",
    "ratio of minima",
    "target",
    "reached",
)
HEADER = f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"

Times = Sequence[float]


class Skip(Exception):
    """What a benchmark needs is not installed."""


@dataclass(frozen=True)
class Target:
    """A bound that a figure should keep."""

    bound: float
    unit: str = "×"
    at_least: bool = False

    def reached(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{self.unit if self.unit == '×' else f' {self.unit}'}"


def print_rows(name: str) -> None:
    """Run a benchmark and print its lines as they come."""
    try:
        for line in importlib.import_module(f"{__package__}.{name}").run():
            print(line, flush=True)
    except Skip as reason:
        print(row(f"{name}: left out, as {reason}", *[""] * (len(COLUMNS) - 1)), flush=True)


def row(what: str, *cells: str) -> str:
    """A line of the table, from its cells in the order of the header."""
    return f"| {' | '.join((what, *cells))} |"


def speed(what: str, ours: Times, reference: Times, target: Target) -> str:
    """A line that says how many times faster we are than the reference."""
    return _ratio(what, ours, reference, target, lambda a, b: b / a)


def cost(what: str, ours: Times, reference: Times, target: Target) -> str:
    """A line that says how many times longer we take than the reference."""
    return _ratio(what, ours, reference, target, lambda a, b: a / b)


def _ratio(what: str, ours: Times, reference: Times, target: Target, of: Callable[[float, float], float]) -> str:
    # The median of each round's own ratio: what slows the machine for a while slows both.
    ratios = median(map(of, ours, reference)), of(min(ours), min(reference))
    cells = seconds(ours), seconds(reference), *(f"{ratio:.2f}" for ratio in ratios)
    return row(what, *cells, str(target), verdict(target, *ratios))


def figure(what: str, value: float, target: Target) -> str:
    """A line for a figure that stands for itself."""
    return row(what, f"{value:.3g} {target.unit}", "", "", "", str(target), verdict(target, value))


def verdict(target: Target, *values: float) -> str:
    """Whether all values, some of them, or none reach the target."""
    reached = [target.reached(value) for value in values]
    return "yes" if all(reached) else "partly" if any(reached) else "no"


def seconds(times: Times) -> str:
    """The median and the minimum, in a unit that suits them."""
    middle = median(times)
    unit, factor = next((u, f) for u, f in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)) if middle * f >= 1 or u == "µs")
    return f"{middle * factor:.3g} {unit} ({min(times) * factor:.3g})"


def take_turns(contenders: Sequence[Callable[[int], object]], rounds: int, target_seconds: float) -> list[list[float]]:
    """For each contender, the seconds for one unit of its work, round by round: A B C A B C …

    A contender is told how many units to do; how many take about `target_seconds` is found out first.
    """
    counts = [_count(contender, target_seconds) for contender in contenders]
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for contender, count, measured in zip(contenders, counts, times, strict=True):
            measured.append(_time(contender, count) / count)
    return times


def _count(contender: Callable[[int], object], target_seconds: float) -> int:
    contender(2)  # warms up
    count = 2
    while (taken := _time(contender, count)) < target_seconds / 10:
        count *= 4
    return max(2, math.ceil(count * target_seconds / taken))


def _time(contender: Callable[[int], object], count: int) -> float:
    started = time.perf_counter()
    contender(count)
    return time.perf_counter() - started


def repeated(function: Callable[[], object]) -> Callable[[int], object]:
    """A contender that calls a function once for each unit."""

    def contender(count: int) -> None:
        for _ in range(count):
            function()

    return contender
