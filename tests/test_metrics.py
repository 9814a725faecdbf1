"""What Prometheus is told."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from api.calls import create, problem
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.errors import StoreAway
from app.main import create_app
from app.metrics import Metrics
from app.settings import Settings


@pytest.fixture
def measured(make_client: Callable[..., TestClient]) -> TestClient:
    return make_client(metrics=True)


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_none_unless_told(client: TestClient) -> None:
    problem(client.get("/metrics"), 404, "not-found")


def test_sessions_their_changes_and_runs(measured: TestClient) -> None:
    url = create(measured)
    before = samples(measured)
    assert (before["gradstep_sessions",], before["gradstep_revisions_total",]) == (1, 0)
    assert before["gradstep_runs", "finished"] == 0
    measured.post(f"{url}/forward", json={})
    measured.post(f"{url}/train", json={"epochs": 3}, headers={"Accept": "application/jsonl"})
    measured.post(f"{url}/step", json={})  # has no gradients to step from
    after = samples(measured)
    assert after["gradstep_revisions_total",] == 2
    assert after["gradstep_runs", "finished"] == 1
    assert {after["gradstep_queued", queue] for queue in ("lane", "parse", "read")} == {0}


def test_requests_by_route_and_status(measured: TestClient) -> None:
    url = create(measured)
    for _ in range(3):
        measured.post(f"{url}/forward", json={})
    measured.post(f"{url}/forward", json=[])
    measured.get("/zebra")
    found = samples(measured)
    route = "/v1/sessions/{session_id}/forward"
    assert found["gradstep_request_seconds_count", "POST", route, "200"] == 3
    assert found["gradstep_request_seconds_count", "POST", route, "422"] == 1
    assert found["gradstep_request_seconds_count", "GET", "other", "404"] == 1
    assert found["gradstep_request_seconds_sum", "POST", route, "200"] > 0


def test_a_store_is_timed_and_its_failures_are_counted(measured: TestClient) -> None:
    create(measured)
    measured.get("/v1/sessions/zebra")
    found = samples(measured)
    assert found["gradstep_store_seconds_count", "create"] == 1
    assert found["gradstep_store_seconds_count", "load"] == 1
    assert found["gradstep_store_failures_total", "SessionNotFound", "load"] == 1


def test_a_store_that_is_away_hides_nothing_else(measured: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    create(measured)
    assert samples(measured)["gradstep_sessions",] == 1

    async def away() -> int:
        raise StoreAway("zebra", retry_after=1)

    store = measured.app.app.state.sessions.store  # type: ignore[attr-defined]
    monkeypatch.setattr(store, "count", away)
    found = samples(measured)
    assert found["gradstep_sessions",] == 1
    assert "gradstep_loop_stall_seconds" in {name for name, *_ in found}


def test_what_is_no_call_of_a_store_passes(measured: TestClient) -> None:
    store = measured.app.app.state.sessions.store  # type: ignore[attr-defined]
    assert isinstance(store.secret, bytes)
    with pytest.raises(AttributeError):
        store.zebra  # noqa: B018


def test_the_process(measured: TestClient) -> None:
    found = samples(measured)
    assert found["process_resident_memory_bytes",] > 1 << 20
    assert found["process_open_fds",] > 2


def test_how_late_the_event_loop_was(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, stalls = Metrics(), list[float]()
    seconds = iter([10.0, 10.1, 20.0, 27.5])  # one wait in time, one much too long

    async def run() -> None:
        sampling = asyncio.create_task(metrics.sample())
        loop = asyncio.get_running_loop()
        real = loop.time

        def clock() -> float:
            time = next(seconds, None)
            if time is None:
                sampling.cancel()
                return real()
            return time

        async def sleep(_: float) -> None:
            await real_sleep(0)

        real_sleep = asyncio.sleep
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            patch.setattr(asyncio, "get_running_loop", lambda: type("Loop", (), {"time": staticmethod(clock)}))
            with suppress(asyncio.CancelledError):
                await sampling
        stalls.append(metrics._late)

    asyncio.run(run())
    assert stalls == [pytest.approx(7.4)]


def test_it_is_watched_while_the_server_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    async def sample(metrics: Metrics) -> None:
        events.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("ended")

    monkeypatch.setattr(Metrics, "sample", sample)
    with TestClient(create_app(Settings(metrics=True))) as client:
        client.get("/healthz")
        assert events == ["begun"]
    assert events == ["begun", "ended"]


def test_one_of_several_processes_says_which(measured: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "worker=" not in measured.get("/metrics").text
    parent: Any = object()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: parent)
    lines = [line for line in measured.get("/metrics").text.splitlines() if not line.startswith("#")]
    assert lines
    assert all(f'worker="{os.getpid()}"' in line for line in lines)
