"""Trainings that go on by themselves, and sweeps: begun, looked at, cancelled, listed."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.progress import result_numbers
from app.api.responses import NUMBER_WORK
from app.sessions.service import Sessions
from app.sessions.sweeping import POINTS

from .calls import CLASSES, ROWS, config, create, numbers, post, problem, read
from .streaming import EVENTS, LINES, LONG, Here, events, lines, untimed

ASYNC = {"Prefer": "respond-async"}
RUN = {
    "id", "session", "status", "epochs_done", "epochs_total", "loss", "created_at", "started_at", "ended_at",
    "stopped", "revision",
}  # fmt: skip


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    with Here(cancel_seconds=30) as here:
        yield here


def begin(client: TestClient, url: str, body: Any, query: str = "") -> str:
    """A training that goes on by itself; its URL."""
    answer = client.post(f"{url}/train{query}", json=body, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["Location"])


def sessions_of(client: TestClient) -> Sessions:
    """The sessions of the application that a client calls."""
    app: Any = client.app
    sessions: Sessions = app.app.state.sessions
    return sessions


def ended(client: TestClient, path: str) -> Any:
    while (run := read(client, path))["ended_at"] is None:
        pass
    return run


# Begun, and looked at


def test_a_run(client: TestClient) -> None:
    url, plain = create(client), create(client)
    answer = client.post(f"{url}/train", json={"epochs": 20, "report_every": 5}, headers=ASYNC)
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert set(answer.json()) == RUN
    path = answer.headers["Location"]
    assert path == f"{url}/runs/{answer.json()['id']}"
    run = ended(client, path)
    trained = post(client, f"{plain}/train", {"epochs": 20, "report_every": 5})
    assert (run["status"], run["epochs_done"], run["epochs_total"], run["revision"]) == ("finished", 20, 20, 1)
    assert run["stopped"] == trained["stopped"]
    assert run["loss"] == trained["history"][-1]["loss"]
    assert run["created_at"] <= run["started_at"] <= run["ended_at"]
    assert numbers(read(client, f"{url}/snapshot")) == numbers(trained["snapshot"])
    *entries, end = events(client.get(path, headers={"Accept": EVENTS}).text)
    assert [untimed(event.data) for event in entries] == [untimed(entry) for entry in trained["history"]]
    assert end.data["snapshot"] == read(client, f"{url}/snapshot")
    rows = lines(client.get(path, headers={"Accept": LINES}).text)
    assert rows == [event.data for event in [*entries, end]]
    [*_, last] = read(client, f"{url}/history")["items"]
    assert (last["run"], last["epoch_from"], last["epoch_to"]) == (run["id"], 1, 20)
    assert read(client, f"{plain}/history")["items"][-1]["run"] is None


def test_how_it_may_be_asked_for(client: TestClient) -> None:
    url = create(client)
    for prefer in ("respond-async", "wait=10, respond-async", 'Respond-Async; a="b"'):
        answer = client.post(f"{url}/train", headers={"Prefer": prefer})
        assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "respond-async")
        ended(client, answer.headers["Location"])
        streamed = client.post(f"{url}/train", headers={"Prefer": prefer, "Accept": EVENTS})
        assert (streamed.status_code, streamed.headers["Content-Type"]) == (202, "application/json")
        ended(client, streamed.headers["Location"])
    for prefer in ("", "wait=10", "respond-async2", "return=minimal"):
        answer = client.post(f"{url}/train", headers={"Prefer": prefer})
        assert answer.status_code == 200
        assert "Preference-Applied" not in answer.headers
    assert read(client, url)["epochs"] == 10


def test_what_is_refused_begins_nothing(client: TestClient) -> None:
    url = create(client)
    problem(client.post(f"{url}/train", json={"epochs": 0}, headers=ASYNC), 422, "invalid-input")
    problem(client.post(f"{url}/train", headers={**ASYNC, "If-Match": '"1"'}), 412, "revision-mismatch")
    bare = create(client, data=None)
    problem(client.post(f"{bare}/train", headers=ASYNC), 422, "invalid-input")
    assert [read(client, f"{one}/runs")["items"] for one in (url, bare)] == [[], []]
    assert client.post(f"{url}/train", headers={**ASYNC, "If-Match": '"0"'}).status_code == 202


def test_a_run_that_stops_for_a_condition(client: TestClient) -> None:
    url = create(client)
    body = {"epochs": 50, "stop": [{"type": "parameter_outside", "parameter": "output.bias", "low": 5, "high": 6}]}
    run = ended(client, begin(client, url, body))
    assert (run["status"], run["stopped"]["reason"]) == ("stopped", "parameter_outside")
    assert run["stopped"]["tensor"].startswith("output.bias")
    assert (run["epochs_done"], run["loss"]) == (0, None)


def test_parts_and_a_probe_of_a_run(client: TestClient) -> None:
    url = create(client)
    path = begin(client, url, {"epochs": 3, "probe": {"inputs": [[1, 2]]}}, "?include=health&decimals=3")
    entries = events(client.get(path, headers={"Accept": EVENTS}).text)[:-1]
    assert [set(event.data) >= {"health", "probe"} for event in entries] == [True] * 3


# While it goes on


def test_while_it_goes_on(here: Here) -> None:
    async def work() -> None:
        client, url = here.client, await here.create(config())
        await client.post(f"{url}/train", json={"epochs": 2})
        before, session = await here.read(f"{url}/snapshot"), await here.read(url)
        assert session["run"] is None
        path = await here.begin(url, LONG)
        while not (run := await here.read(path))["epochs_done"]:
            assert run["status"] in ("queued", "running")
            await asyncio.sleep(0.005)
        assert set(run) == RUN
        assert run["loss"] is not None
        during = await here.read(url)
        assert during.pop("run").keys() == RUN
        assert during.pop("expires_at") > session["expires_at"]
        assert during == {name: value for name, value in session.items() if name not in ("run", "expires_at")}
        assert await here.read(f"{url}/snapshot") == before
        items = (await here.read("/v1/sessions?limit=1000"))["items"]
        assert [item["run"]["id"] for item in items if item["run"]] == [run["id"]]
        for method, where, body in (
            ("POST", "/forward", {}),
            ("POST", "/backward", {}),
            ("POST", "/step", {}),
            ("POST", "/train", {}),
            ("POST", "/rewind", {"revision": 0}),
            ("PATCH", "", {"name": "x"}),
            ("PATCH", "/parameters", {"output.bias": [0.5]}),
            ("PUT", "/data", ROWS),
            ("DELETE", "", None),
        ):
            refused = await client.request(method, url + where, json=body)
            assert (refused.status_code, refused.json()["type"]) == (409, "/v1/problems/training-under-way"), where
        for headers in (ASYNC, {"Accept": EVENTS}):
            assert (await client.post(f"{url}/train", headers=headers)).status_code == 409
        for where in ("/predict", "/verify", "/gradcheck", "/fork"):  # which change nothing
            asked = {"values": {"loss": 1.0}} if where == "/verify" else {}
            assert (await client.post(url + where, json=asked)).is_success
        assert (await client.delete(path)).status_code == 202
        run = await here.ended(path)
        assert (await here.read(url))["run"] is None
        assert (await client.post(f"{url}/forward")).status_code == 200
        assert run["revision"] == 2

    here.run(work())


@pytest.mark.parametrize("query", ["", "?at=epoch"])
def test_cancelling(here: Here, query: str) -> None:
    """The session stands after a whole step, and goes on to what it would have come to."""
    batches = {"batch_size": 1, "shuffle": True}

    async def work() -> None:
        url, whole = await here.create(config(optimizer="adam")), await here.create(config(optimizer="adam"))
        path = await here.begin(url, {**LONG, **batches})
        async with here.watch(path) as stream:
            await stream.read(2)
            answer = await here.client.delete(path + query)
            assert answer.status_code == 202
            assert answer.json()["id"] == path.rpartition("/")[2]
            *entries, end = await stream.rest()
        run, session = await here.ended(path), await here.read(url)
        assert (run["status"], run["stopped"]["reason"]) == ("cancelled", "cancelled")
        assert end.data["stopped"] == run["stopped"]
        assert session["epochs"] == run["stopped"]["epoch"] == run["epochs_done"] > 0
        assert session["steps"] == run["stopped"]["step"] == 7 * session["epochs"] + session["epoch_position"]
        if query:
            assert session["epoch_position"] == 0
        assert [int(event.id) for event in entries][:-1] == list(range(10, int(entries[-1].id), 10))
        columns = await here.read(f"{url}/curves?max_points=10000")
        assert columns["epoch"] == [event.data["epoch"] for event in entries]
        assert columns["loss"] == [event.data["loss"] for event in entries]
        body = {"epochs": 2, **batches}
        await here.client.post(f"{url}/train?include=", json=body)
        body = {"epochs": session["epochs"] + 2, "report_every": 1000, **batches}
        await here.client.post(f"{whole}/train?include=", json=body)
        assert await here.hash(url) == await here.hash(whole)
        again = await here.client.delete(path + query)
        assert (again.status_code, again.json()) == (202, run)  # it is over, and stays as it is

    here.run(work())


def test_cancelling_at_once_after_all(here: Here) -> None:
    """A training that was to go on to the end of a long epoch."""
    rows = {"inputs": [[0.5, 0.25]] * 20_000, "targets": [[0.5]] * 20_000}

    async def work() -> None:
        url = await here.create(config(data=rows))
        path = await here.begin(url, {"epochs": 100, "batch_size": 1, "report_every": 100})
        while (await here.read(path))["status"] != "running":
            await asyncio.sleep(0.005)
        await here.client.delete(f"{path}?at=epoch")
        await here.client.delete(path)
        await here.ended(path)
        assert (await here.read(url))["epoch_position"] > 0

    here.run(work())


def test_cancelling_one_that_waits() -> None:
    async def work(here: Here) -> None:
        first, second, third, small = [await here.create(config()) for _ in range(4)]
        paths = [await here.begin(first, LONG)]
        while (await here.read(paths[0]))["status"] != "running":
            await asyncio.sleep(0.005)
        paths.append(await here.begin(second, LONG))
        for headers in ({}, ASYNC, {"Accept": EVENTS}):
            full = await here.client.post(f"{third}/train", json=LONG, headers=headers)
            assert (full.status_code, full.json()["type"]) == (503, "/v1/problems/server-full")
            assert int(full.headers["Retry-After"]) > 0
        assert (await here.read(f"{third}/runs"))["items"] == []
        assert (await here.client.post(f"{third}/forward")).status_code == 200
        assert (await here.client.post(f"{small}/train", json={"epochs": 2})).status_code == 200  # takes no worker
        waiting = await here.read(paths[1])
        assert (waiting["status"], waiting["started_at"]) == ("queued", None)
        assert (await here.client.post(f"{second}/forward")).status_code == 409
        await here.client.delete(paths[1])
        cancelled = await here.ended(paths[1])
        assert (cancelled["status"], cancelled["stopped"]["step"]) == ("cancelled", 0)
        assert (await here.client.post(f"{second}/forward")).status_code == 200
        await here.client.delete(paths[0])
        assert (await here.ended(paths[0]))["epochs_done"] > 0

    with Here(train_workers=1, train_queue=1) as here:
        here.run(work(here))


def test_a_plain_training_whose_worker_is_killed(here: Here) -> None:
    async def work() -> None:
        url = await here.create(config())
        training = asyncio.create_task(here.client.post(f"{url}/train", json=LONG))
        while not (run := (await here.read(url))["run"]) or run["status"] != "running":
            await asyncio.sleep(0.005)
        for process in here.sessions.trainings.workers._processes:
            process.kill()
        answer = await training
        assert (answer.status_code, answer.json()["type"]) == (503, "/v1/problems/training-failed")
        assert int(answer.headers["Retry-After"]) > 0
        assert (await here.read(f"{url}/runs/{run['id']}"))["status"] == "failed"
        assert (await here.client.post(f"{url}/train")).status_code == 200

    here.run(work())


def test_a_training_that_takes_too_long() -> None:
    async def work(here: Here) -> None:
        url = await here.create(config())
        async with here.watch(f"{url}/train", LONG) as stream:
            *_, end = await stream.rest()
        assert end.data["stopped"]["reason"] == "time_limit"
        [run] = (await here.read(f"{url}/runs"))["items"]
        assert (run["status"], run["revision"]) == ("stopped", 1)
        assert 0 < run["epochs_done"] == end.data["snapshot"]["epochs"] < LONG["epochs"]

    with Here(max_run_seconds=1) as here:
        here.run(work(here))


# Listed, and looked for


def test_the_list(client: TestClient) -> None:
    url = create(client)
    assert read(client, f"{url}/runs") == {"items": [], "next": None}
    ids = [begin(client, url, {"epochs": 1 + index}).rpartition("/")[2] for index in range(5)]
    post(client, f"{url}/train")  # is none, as it goes on nowhere by itself
    items = read(client, f"{url}/runs")["items"]
    assert [item["id"] for item in items] == ids
    assert items[2] == read(client, f"{url}/runs/{ids[2]}")
    pages, following = [], f"{url}/runs?limit=2"
    while following:
        page = read(client, following)
        pages.append([item["id"] for item in page["items"]])
        following = page["next"]
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    assert read(client, f"{url}/runs?limit=5")["next"] is None
    for query in ("limit=0", "limit=1001", "limit=x", "zebra=1", "after=zebra", f"after={'x' * 101}"):
        problem(client.get(f"{url}/runs?{query}"), 422, "invalid-input")


def test_unknown_ones(client: TestClient) -> None:
    url, other = create(client), create(client)
    run = begin(client, url, {"epochs": 1}).rpartition("/")[2]
    for path in (f"{url}/runs/zebra", f"{other}/runs/{run}", f"{url}/runs/{run}0"):
        problem(client.get(path), 404, "not-found")
        problem(client.get(path, headers={"Accept": EVENTS}), 404, "not-found")
        problem(client.delete(path), 404, "not-found")
    problem(client.get(f"{url}0/runs/{run}"), 404, "session-not-found")
    problem(client.get(f"{url}0/runs"), 404, "session-not-found")
    problem(client.get(f"{url}/runs/{run}", headers={"Accept": "text/csv"}), 406, "not-acceptable")
    problem(client.delete(f"{url}/runs/{run}?at=step"), 422, "invalid-input")
    problem(client.get(f"{url}/runs/{run}?include=zebra"), 422, "invalid-input")
    problem(client.post(f"{url}/runs/{run}"), 405, "method-not-allowed")


def test_a_deleted_session_takes_its_runs_along(client: TestClient) -> None:
    url = create(client)
    path = begin(client, url, {"epochs": 1})
    ended(client, path)
    assert client.delete(url).status_code == 204
    problem(client.get(path), 404, "session-not-found")


# Sweeps


def swept(client: TestClient, url: str, body: Any) -> Any:
    """The items of a sweep that has ended."""
    answer = client.post(f"{url}/sweep", json=body)
    assert answer.status_code == 202, answer.text
    path = answer.headers["Location"]
    assert path == f"{url}/runs/{answer.json()['id']}"
    run = ended(client, path)
    assert (run["status"], run["stopped"], run["revision"]) == ("finished", None, None)
    assert run["epochs_done"] == run["epochs_total"]
    *entries, end = events(client.get(path, headers={"Accept": EVENTS}).text)
    assert entries == []
    assert end.data == {"event": "end", "stopped": None, "snapshot": None, "result": run["result"]}
    return run["result"]["items"]


def test_a_sweep(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/train", {"epochs": 3})
    before = read(client, f"{url}/export")
    vary = {"learning_rate": [0.1, 0.5], "batch_size": [2, 7]}
    items = swept(client, url, {"vary": vary, "train": {"epochs": 4, "shuffle": True}})
    assert [item["settings"] for item in items] == [
        {"learning_rate": rate, "batch_size": size} for rate in (0.1, 0.5) for size in (2, 7)
    ]
    for item in items:
        fork = f"/v1/sessions/{item['session']}"
        session = read(client, fork)
        assert session["forked_from"] == {"session": url.rpartition("/")[2], "revision": 1, "epoch": None}
        assert (session["epochs"], session["revision"]) == (7, 1)
        rate, size = item["settings"].values()
        assert session["name"] == f"learning_rate {rate}, batch_size {size}"
        assert session["config"]["optimizer"]["learning_rate"] == rate
        by_hand = f"/v1/sessions/{post(client, f'{url}/fork')['id']}"
        client.patch(by_hand, json={"optimizer": {"learning_rate": rate}})
        trained = post(client, f"{by_hand}/train", {"epochs": 4, "batch_size": size, "shuffle": True})
        assert numbers(read(client, f"{fork}/snapshot")) == numbers(trained["snapshot"])
        assert item["stopped"] == trained["stopped"]
        assert item["loss"] == trained["history"][-1]["loss"]
        assert item["curve"]["loss"] == [entry["loss"] for entry in trained["history"]]
        assert item["test_loss"] is None
        assert post(client, f"{fork}/train", {"batch_size": size, "shuffle": True})["stopped"]["epoch"] == 8
    assert read(client, f"{url}/export") == before
    [listed] = read(client, f"{url}/runs")["items"]
    assert (listed["status"], listed.keys()) == ("finished", RUN)  # without the result, which may be large


def test_the_curve_of_a_fork_has_so_many_points_at_most(client: TestClient) -> None:
    train = {"epochs": 3 * POINTS, "report_every": 2}
    [item] = swept(client, create(client), {"vary": {"seed": [1]}, "train": train})
    columns = item["curve"]
    assert {len(values) for values in columns.values()} == {POINTS}
    assert columns["epoch"] == sorted(set(columns["epoch"]))
    assert columns["epoch"][-1] == train["epochs"]
    assert columns["loss"][-1] == item["loss"]


def test_a_large_result_is_no_work_for_the_event_loop(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is written: in an answer, at the end of a stream."""
    sessions, url = sessions_of(client), create(client)
    paths = [f"{url}/runs/{post(client, f'{url}/sweep', {'vary': {'seed': seeds}})['id']}" for seeds in ([1], [1, 2])]
    runs = [ended(client, path) for path in paths]
    between = NUMBER_WORK * result_numbers(asyncio.run(sessions.runs.find(runs[0]["session"], runs[0]["id"])))
    monkeypatch.setattr(sessions, "settings", sessions.settings.model_copy(update={"inline_work": between}))
    lane, run = list[int](), sessions.reads.run

    def count(work: Any) -> Any:
        lane.append(1)
        return run(work)

    monkeypatch.setattr(sessions.reads, "run", count)
    for path, expected, by_lane in zip(paths, runs, (0, 1), strict=True):
        for made in (client.get(path).json, client.delete(path).json):
            assert made() == expected
        end = events(client.get(path, headers={"Accept": EVENTS}).text)[-1]
        assert end.data["result"] == expected["result"]
        assert len(lane) == 3 * by_lane
    lane.clear()
    assert len(read(client, f"{url}/runs")["items"]) == 2
    assert not lane


def test_a_fork_that_is_deleted_is_a_problem_of_its_own(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, url = sessions_of(client), create(client)
    begin = sessions.begin

    async def delete_and_begin(session_id: str, operation: Any, **more: Any) -> Any:
        if len(begun) == 1:  # before its turn
            await sessions.delete(session_id)
        begun.append(session_id)
        return await begin(session_id, operation, **more)

    begun = list[str]()
    host = sessions.trainings.host._replace(begin=delete_and_begin)
    monkeypatch.setattr(sessions.trainings, "host", host)
    path = client.post(f"{url}/sweep", json={"vary": {"seed": [1, 2, 3]}}).headers["Location"]
    run = ended(client, path)
    assert run["status"] == "finished"
    first, gone, third = run["result"]["items"]
    assert first["stopped"]["reason"] == third["stopped"]["reason"] == "epochs"
    assert not {"problem"} & (first.keys() | third.keys())
    assert (gone["stopped"], gone["loss"], "curve" in gone) == (None, None, False)
    instance = f"/v1/sessions/{gone['session']}/train"
    assert gone["problem"] == {**problem(client.post(instance), 404, "session-not-found"), "instance": instance}


def test_a_sweep_over_seeds_and_optimizers(client: TestClient) -> None:
    body = {**CLASSES, "data": {**CLASSES["data"], "test": {"inputs": [[0, 1]], "targets": [0]}}}  # type: ignore[dict-item]
    url = create(client, body)
    post(client, f"{url}/train", {"epochs": 2})
    optimizers = ["sgd", {"type": "adam", "learning_rate": 0.2}]
    items = swept(client, url, {"vary": {"optimizer": optimizers, "seed": [0, 7]}, "train": {"epochs": 3}})
    assert [tuple(item["settings"].values()) for item in items] == [(o, s) for o in optimizers for s in (0, 7)]
    for item in items:
        optimizer, seed = item["settings"].values()
        alone = create(client, {**body, "optimizer": optimizer, "seed": seed})
        trained = post(client, f"{alone}/train", {"epochs": 3})
        assert numbers(read(client, f"/v1/sessions/{item['session']}/snapshot")) == numbers(trained["snapshot"])
        assert item["test_loss"] == trained["history"][-1]["test_loss"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/vary"),
        ({"vary": {}}, "/vary"),
        ({"vary": {"learning_rate": []}}, "/vary/learning_rate"),
        ({"vary": {"learning_rate": [0.1, -1]}}, "/vary/learning_rate/1"),
        ({"vary": {"batch_size": [0]}}, "/vary/batch_size/0"),
        ({"vary": {"seed": [-1]}}, "/vary/seed/0"),
        ({"vary": {"zebra": [1]}}, "/vary/zebra"),
        ({"vary": {"optimizer": ["sgd", "zebra"]}}, "/vary/optimizer/1"),
        ({"vary": {"optimizer": [{"type": "adam", "momentum": 1}]}}, "/vary/optimizer/0/momentum"),
        ({"vary": {"seed": [1]}, "train": {"epochs": 0}}, "/train/epochs"),
        ({"vary": {"seed": [1]}, "train": {"epochs": 10**6}}, "/train/report_every"),
        ({"vary": {"seed": [1]}, "train": {"stop": [{"type": "epoch"}]}}, "/train/stop/0/value"),
        ({"vary": {"seed": [1]}, "train": {"probe": {"inputs": [[1, 2]]}}}, "/train/probe"),
        ({"vary": {"seed": [1]}, "zebra": 1}, "/zebra"),
        ({"vary": {"seed": list(range(11))}}, "/vary"),
        ({"vary": {"optimizer": ["sgd", {"type": "x" * 2000}]}}, "/vary/optimizer"),
        ({"vary": {"batch_size": [2**53 + 1]}}, "/vary/batch_size/0"),
        ({"vary": {"seed": [1]}, "train": {"batch_size": 2**64}}, "/train/batch_size"),
    ],
)
def test_what_a_sweep_does_not_take(make_client: Callable[..., TestClient], body: Any, pointer: str) -> None:
    client = make_client(max_sweep=10)
    url = create(client)
    told = problem(client.post(f"{url}/sweep", json=body), 422)
    assert told["errors"][0]["pointer"] == pointer
    assert len(read(client, "/v1/sessions")["items"]) == 1
    assert read(client, f"{url}/runs")["items"] == []


def test_a_sweep_that_would_be_too_much(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_sweep=4, max_sessions=4)
    url = create(client)
    told = problem(client.post(f"{url}/sweep", json={"vary": {"seed": [1, 2, 3], "batch_size": [1, 2]}}), 422)
    assert (told["limit"], told["estimate"], told["setting"]) == (4, 6, "GRADSTEP_MAX_SWEEP")
    full = client.post(f"{url}/sweep", json={"vary": {"seed": [1, 2, 3, 4]}})
    problem(full, 503, "server-full")
    assert int(full.headers["Retry-After"]) > 0
    assert len(read(client, "/v1/sessions")["items"]) == 1  # none is left behind
    assert len(swept(client, url, {"vary": {"seed": [1, 2, 3]}})) == 3


@pytest.mark.parametrize("by", ["cancel", "delete"])
def test_a_sweep_that_is_ended_early(here: Here, by: str) -> None:
    """Cancelled, or with the session from which it goes out."""

    async def work() -> None:
        url = await here.create(config())
        body = {"vary": {"seed": [1, 2, 3, 4]}, "train": {**LONG, "epochs": 300_000}}
        answer = await here.client.post(f"{url}/sweep", json=body)
        path = answer.headers["Location"]
        items = answer.json()["result"]["items"]
        assert [item["stopped"] for item in items] == [None] * 4
        assert (await here.read(url))["run"] is None  # it is its forks that are trained
        while True:
            sessions = [await here.read(f"/v1/sessions/{item['session']}") for item in items]
            if any(session["run"] and session["run"]["epochs_done"] for session in sessions):
                break
            await asyncio.sleep(0.005)
        assert (await here.client.post(f"{url}/forward")).status_code == 200
        if by == "delete":
            assert (await here.client.delete(url)).status_code == 204
            assert (await here.client.get(path)).status_code == 404
        else:
            assert (await here.client.delete(path)).status_code == 202
            run = await here.ended(path)
            assert run["status"] == "cancelled"
            reasons = [item["stopped"] and item["stopped"]["reason"] for item in run["result"]["items"]]
            assert "cancelled" in reasons
            assert None in reasons  # those that had not begun
        await here.settle()
        assert not here.sessions._busy
        after = [await here.read(f"/v1/sessions/{item['session']}") for item in items]
        assert [session["run"] for session in after] == [None] * 4
        assert all(session["epochs"] < 300_000 for session in after)

    here.run(work())
