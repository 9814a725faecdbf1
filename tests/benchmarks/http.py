"""Forward, backward and step in turn over one connection, against a route that does nothing."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from app.engine.presets import NOTEBOOK

from .measure import Skip, Target, figure, speed
from .servers import Client, serve

ROUNDS, SECONDS, WARM_UP_SECONDS = 7, 2, 1
OUT_OF_STEP = Target(2, "answers")  # wrk asks for a request before the first that it sends
TURN = ("forward", "backward", "step")

SCRIPT = """
local paths, requests, turn = {PATHS}, {}, 0
function init()
  for i, path in ipairs(paths) do
    requests[i] = wrk.format("POST", path, {["Content-Type"] = "application/json"}, "{}")
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary)
  local e = summary.errors
  io.write(string.format("\\nRESULT %d %d %d %d\\n", summary.requests, summary.duration,
    e.status, e.connect + e.read + e.write + e.timeout))
end
"""


def run() -> Iterator[str]:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise Skip("wrk is not installed")
    with serve("app.main:app") as port:
        client = Client(port)

        def paths() -> list[str]:
            session = client.create(NOTEBOOK)
            return [f"{session}/{name}" for name in TURN]

        sizes = [len(client.call("POST", path, b"{}")) for path in paths()]
        size = round(sum(sizes) / len(sizes))
        with serve("tests.benchmarks.empty:app", EMPTY_ROUTE_BYTES=str(size)) as empty_port:
            yield from _compare(wrk, (port, paths), (empty_port, lambda: ["/empty"]), size)


Paths = Callable[[], list[str]]  # for each round: a session of its own, as no session gets 100,000 calls


def _compare(wrk: str, ours: tuple[int, Paths], empty: tuple[int, Paths], size: int) -> Iterator[str]:
    times: tuple[list[float], list[float]] = [], []
    refused = [0, 0]
    for measured in range(ROUNDS + 1):
        for index, (port, paths) in enumerate((ours, empty)):
            taken, wrong = _load(wrk, port, paths(), SECONDS if measured else WARM_UP_SECONDS)
            refused[index] = max(refused[index], wrong)
            if measured:
                times[index].append(taken)
    yield speed(
        f"http: forward, backward, step of the notebook's network, against an empty route of {size} bytes",
        *times, Target(0.95, at_least=True),
    )  # fmt: skip
    assert refused[1] == 0, f"{refused[1]} calls of the empty route were refused"
    yield figure("http: the most errors in a run", refused[0], OUT_OF_STEP)


def _load(wrk: str, port: int, paths: list[str], seconds: int) -> tuple[float, int]:
    """The seconds for one request, and how many were answered with an error."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "turn.lua"
        script.write_text(SCRIPT.replace("{PATHS}", "{" + ", ".join(f'"{path}"' for path in paths) + "}"))
        command = [wrk, "-t1", "-c1", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
    assert found, output
    requests, microseconds, refused, lost = map(int, found.groups())
    assert lost == 0, output
    return microseconds / 1e6 / requests, refused
