"""Many clients at once, against a server in a process of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from sessions.making import gate_lane, gate_reads, held, turns

from app.main import create_app
from app.settings import Settings

from .calls import ROWS, config, numbers

LIMITS = httpx.Limits(max_connections=60)
LARGE = {
    "network": {"inputs": 256, "layers": [{"units": 256, "activation": "tanh"}] * 3 + [{"units": 1}]},
    "loss": "mse",
    "data": {"inputs": [[0.5] * 256] * 64, "targets": [[0.25]] * 64},
}


@contextmanager
def serving(**settings: int) -> Iterator[str]:
    """A server on a free port of the loopback; its URL."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    environment = {**os.environ, **{f"GRADSTEP_{name.upper()}": str(value) for name, value in settings.items()}}
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            with suppress(httpx.TransportError):  # it does not listen yet
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            assert process.poll() is None
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM)
    assert not output, output.decode()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(max_work=10**15) as url:
        yield url


def with_client(url: str, work: Callable[[httpx.AsyncClient], Any]) -> Any:
    async def run() -> Any:
        async with httpx.AsyncClient(base_url=url, limits=LIMITS, timeout=60) as client:
            return await work(client)

    return asyncio.run(run())


async def create(client: httpx.AsyncClient, body: Any = None) -> str:
    answer = await client.post("/v1/sessions", json=body or config())
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def snapshot(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    return numbers((await client.get(f"{url}/snapshot")).json())


@pytest.mark.parametrize("each", [4, pytest.param(20, marks=pytest.mark.long)])
def test_many_trainings_at_once_are_as_one_after_the_other(server: str, each: int) -> None:
    total = 50 * each

    async def work(client: httpx.AsyncClient) -> None:
        url = await create(client)

        async def one_client() -> list[int]:
            answers = [await client.post(f"{url}/train", json={"epochs": 1}) for _ in range(each)]
            assert {answer.status_code for answer in answers} == {200}
            return [answer.json()["snapshot"]["revision"] for answer in answers]

        revisions = await asyncio.gather(*(one_client() for _ in range(50)))
        assert sorted(revision for each in revisions for revision in each) == list(range(1, total + 1))
        session = (await client.get(url)).json()
        assert (session["steps"], session["epochs"], session["revision"]) == (total, total, total)
        serial = await create(client)
        await client.post(f"{serial}/train", json={"epochs": total})
        assert await snapshot(client, url) == await snapshot(client, serial)

    with_client(server, work)


def test_of_racing_writers_one_wins(server: str) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        url = await create(client)
        for revision in range(5):
            race = [client.post(f"{url}/train", headers={"If-Match": f'"{revision}"'}) for _ in range(20)]
            statuses = [answer.status_code for answer in await asyncio.gather(*race)]
            assert sorted(statuses) == [200] + [412] * 19
        assert (await client.get(url)).json()["steps"] == 5

    with_client(server, work)


def test_no_more_sessions_than_allowed_are_made_at_once() -> None:
    async def work(client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(client.post("/v1/sessions", json=config()) for _ in range(160)))
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(201) == 40
        assert statuses.count(503) == 120
        assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
        assert len((await client.get("/v1/sessions?limit=1000")).json()["items"]) == 40
        answer = await client.delete(next(a.headers["Location"] for a in answers if a.status_code == 201))
        assert answer.status_code == 204
        await create(client)

    with serving(max_sessions=40) as url:
        with_client(url, work)


def test_a_small_session_beside_two_large_trainings(server: str, report: Callable[[str], None]) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        large, other, small, serial = [await create(client, body) for body in (LARGE, LARGE, None, None)]
        before = (await client.get(large)).json()
        training = asyncio.create_task(client.post(f"{large}/train", json={"epochs": 500, "report_every": 250}))
        beside = asyncio.create_task(client.post(f"{other}/train", json={"epochs": 500, "report_every": 250}))
        while (await client.patch(large, json={})).status_code == 200:
            await asyncio.sleep(0)
        revision = (await client.get(large)).json()["revision"]
        times = []
        for _ in range(40):
            for call in ("forward", "backward", "step"):
                started = time.perf_counter()
                answer = await client.post(f"{small}/{call}")
                times.append(time.perf_counter() - started)
                assert answer.status_code == 200
        assert not training.done()
        assert not beside.done()
        for method, path in (("PATCH", ""), ("POST", "/forward"), ("POST", "/train"), ("DELETE", "")):
            refused = await client.request(method, large + path)
            assert refused.status_code == 409
            assert refused.json()["type"] == "/v1/problems/training-under-way"
        assert (await client.put(f"{large}/data", json=LARGE["data"])).status_code == 409
        during = (await client.get(large)).json()
        assert (during["steps"], during["revision"]) == (before["steps"], revision)
        assert (await client.get(f"{large}/snapshot?include=parameters&layers=layer4")).status_code == 200
        assert (await client.post(f"{large}/predict", json={"inputs": [[0.5] * 256]})).status_code == 200
        answer = await training
        assert (await beside).json()["stopped"]["epoch"] == 500
        assert await snapshot(client, large) == await snapshot(client, other)
        assert answer.status_code == 200
        assert answer.json()["stopped"]["epoch"] == 500
        assert (await client.get(large)).json()["steps"] == 500
        await client.post(f"{serial}/train", json={"epochs": 40})
        assert await snapshot(client, small) == await snapshot(client, serial)
        times.sort()
        median, p99 = (1e3 * times[int(share * len(times))] for share in (0.5, 0.99))
        report(f"a small step beside two large trainings: median {median:.1f} ms, p99 {p99:.1f} ms")

    with_client(server, work)


def test_a_small_session_beside_many_readers_of_a_run(server: str, report: Callable[[str], None]) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        training, small = await create(client), await create(client)
        asked = {"epochs": 900_000, "report_every": 100, "probe": {"inputs": ROWS["inputs"]}}
        headers = {"Prefer": "respond-async"}
        run = (await client.post(f"{training}/train", json=asked, headers=headers)).headers["Location"]

        async def read() -> bytes:
            return (await client.get(run, headers={"Accept": "text/event-stream"})).content

        readers = [asyncio.create_task(read()) for _ in range(20)]
        while not (await client.get(run)).json()["epochs_done"]:
            await asyncio.sleep(0.01)
        times = []
        for _ in range(40):
            for call in ("forward", "backward", "step"):
                started = time.perf_counter()
                answer = await client.post(f"{small}/{call}")
                times.append(time.perf_counter() - started)
                assert answer.status_code == 200
        await client.delete(run)
        texts = await asyncio.gather(*readers)
        assert len(set(texts)) == 1
        assert texts[0].count(b"event: epoch") > 0
        assert b'"reason":"cancelled"' in texts[0]
        times.sort()
        median, p99 = (1e3 * times[int(share * len(times))] for share in (0.5, 0.99))
        report(f"a small step beside 20 readers of a run: median {median:.1f} ms, p99 {p99:.1f} ms")

    with_client(server, work)


def test_how_long_the_event_loop_stalls(report: Callable[[str], None]) -> None:
    """Long work goes to the lane; what stalls the loop the longest is told, not judged."""
    app = create_app(Settings(max_work=10**15))
    rows = {"inputs": [[0.5, 0.25]] * 5000, "targets": [[0.5]] * 5000}
    stalls: dict[str, float] = {}

    async def watched(name: str, work: Any) -> Any:
        longest, running = 0.0, True

        async def watch() -> None:
            nonlocal longest
            while running:
                started = time.perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - started - 0.001)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        answer = await work
        running = False
        await watching
        stalls[name] = longest
        assert answer.is_success, answer.text
        return answer

    async def run() -> None:
        transport = httpx.ASGITransport(app)
        plain = {"Accept-Encoding": "identity"}  # the client would unpack its answer in this very loop
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=plain) as client:
            large = (await watched("create", client.post("/v1/sessions", json=LARGE))).headers["Location"]
            await watched("forward", client.post(f"{large}/forward"))
            await watched("snapshot", client.get(f"{large}/snapshot"))
            await watched("export", client.get(f"{large}/export"))
            await watched("train", client.post(f"{large}/train", json={"epochs": 100}))
            await watched("put 5000 rows", client.put((await create(client)) + "/data", json=rows))
            await watched("create with 5000 rows", client.post("/v1/sessions", json={**config(), "data": rows}))
            await client.put(f"{large}/data", json=LARGE["data"])
            document = (await client.get(f"{large}/export")).content
            headers = {"Content-Type": "application/json"}
            await watched("import 4 MB", client.post("/v1/sessions", content=document, headers=headers))

    try:
        asyncio.run(run())
    finally:
        app.state.sessions.close()
    shown = ", ".join(f"{name} {1e3 * stall:.0f} ms" for name, stall in sorted(stalls.items(), key=lambda s: -s[1]))
    report(f"longest stalls of the event loop: {shown}")


def test_rows_are_as_they_were(server: str) -> None:
    """Reads of a session that is being changed are of one state or the other, never of both."""

    async def work(client: httpx.AsyncClient) -> None:
        url = await create(client)
        seen: list[dict[str, Any]] = []

        async def read() -> None:
            answers = [await client.get(f"{url}/snapshot") for _ in range(30)]
            seen.extend(answer.json() for answer in answers)

        async def change() -> None:
            for _ in range(10):
                for call in ("forward", "backward", "step"):
                    await client.post(f"{url}/{call}")

        await asyncio.gather(change(), *(read() for _ in range(5)))
        for body in seen:
            revision = body["revision"]
            assert body["steps"] == revision // 3
            assert body["phase"] == ("ready", "forward", "backward")[revision % 3]
            assert (body["inputs"] == ROWS["inputs"]) is (revision > 0)
            gradient = body["layers"][0]["parameters"]["bias"]["gradient"]
            assert (gradient is None) is (revision == 0 or revision % 3 == 1)

    with_client(server, work)


# In this process: large states, which are hashed in a thread

WIDE = {
    "network": {"inputs": 256, "layers": [{"units": 512}, {"units": 1}]},
    "loss": "mse",
    "data": {"inputs": [[0.5] * 256], "targets": [[0.25]]},
}


def in_process(work: Callable[[httpx.AsyncClient, Any], Any], **settings: Any) -> None:
    """Do something to a server in this process, and see that nothing is left reserved or busy."""
    app = create_app(Settings(**settings))
    sessions = app.state.sessions

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            await work(client, sessions)
        total, really, reserved = held(sessions)
        assert (total, reserved) == (really, set())
        assert not any(map(sessions.is_busy, sessions.store._sessions))

    try:
        asyncio.run(run())
    finally:
        sessions.close()


def test_two_changes_of_a_large_session_at_once() -> None:
    async def work(client: httpx.AsyncClient, sessions: Any) -> None:
        url = await create(client, WIDE)
        reads = gate_reads(sessions)
        for count in range(1, 4):
            reads.gate.clear()
            calls = [client.post(f"{url}/train?include=") for _ in range(2)]
            tasks = [asyncio.create_task(call) for call in calls]
            await turns(200)
            assert [task.done() for task in tasks].count(True) == 1  # the refusal does not wait
            assert (await client.get(url)).json()["revision"] == count - 1
            assert (await client.delete(url)).status_code == 409
            reads.gate.set()
            answers = await asyncio.gather(*tasks)
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            refused = next(answer for answer in answers if answer.status_code == 409)
            assert refused.json()["type"] == "/v1/problems/training-under-way"
            session = (await client.get(url)).json()
            assert (session["revision"], session["steps"]) == (count, count)
        assert reads.count == 3

    in_process(work, inline_work=10**9)


def test_a_large_session_that_is_renamed_is_not_hashed_again() -> None:
    async def work(client: httpx.AsyncClient, sessions: Any) -> None:
        url = await create(client, WIDE)
        reads = gate_reads(sessions)
        for name in ("one", "two"):
            assert (await client.patch(url, json={"name": name})).status_code == 200
        items = (await client.get(f"{url}/history")).json()["items"]
        assert len({item["state_hash"] for item in items}) == 1
        assert len(items) == 3
        assert reads.count == 0

    in_process(work, inline_work=10**9)


def test_a_read_of_what_is_cut_off_or_deleted_meanwhile() -> None:
    async def work(client: httpx.AsyncClient, sessions: Any) -> None:
        lane = gate_lane(sessions)
        for end in ("cut", "delete"):
            url = await create(client)
            for _ in range(3):
                assert (await client.post(f"{url}/train?include=", json={"epochs": 100})).status_code == 200
            expected = (await client.get(f"{url}/snapshot?revision=2")).json()
            lane.gate.clear()
            reading = asyncio.create_task(client.get(f"{url}/snapshot?revision=2"))
            inside = asyncio.create_task(client.get(f"{url}/tensors/hidden.weight?epoch=150"))
            explained = asyncio.create_task(client.get(f"{url}/explain?of=hidden.weight[0][0]&revision=2"))
            await turns(200)
            assert not any(task.done() for task in (reading, inside, explained))
            if end == "cut":
                assert (await client.post(f"{url}/rewind", json={"revision": 3})).status_code == 200
                lane.gate.set()  # what goes back waits its turn behind the readers
                assert (await client.post(f"{url}/rewind", json={"revision": 1})).status_code == 200
                assert (await client.patch(url, json={"name": "new"})).status_code == 200
            else:
                assert (await client.delete(url)).status_code == 204
            lane.gate.set()
            assert (await reading).json() == expected
            assert (await inside).headers["ETag"] == '"2-epoch150"'
            late = (await explained).status_code
            assert late in ((200, 410) if end == "cut" else (404,))
            assert (await client.get(f"{url}/snapshot?revision=2")).status_code == (410 if end == "cut" else 404)

    in_process(work, inline_work=1_000_000, max_history=1)
