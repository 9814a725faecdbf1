"""Trainings and runs as streams: what is in them, who may come and go, and what ends with whom."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from app.api import streams
from app.engine import training
from app.engine.plan import Ending
from app.errors import Full
from app.sessions.runs import Piece

from .calls import CLASSES, NPZ, config, create, numbers, post, problem, read
from .streaming import EVENTS, LINES, LONG, Here, curve, events, finish, lines, turns, untimed


def streamed(client: TestClient, url: str, body: Any, accept: str = EVENTS, query: str = "", **headers: str) -> Any:
    """A whole stream of a training: its events, or lines."""
    answer = client.post(f"{url}/train{query}", json=body, headers={"Accept": accept, **headers})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].partition(";")[0] == accept
    return events(answer.text) if accept == EVENTS else lines(answer.text)


# What is in them


def test_events(client: TestClient) -> None:
    url = create(client)
    answer = client.post(f"{url}/train", json={"epochs": 5, "report_every": 2}, headers={"Accept": EVENTS})
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Vary"] == "Accept"
    run = read(client, answer.headers["Location"])
    assert (run["status"], run["revision"]) == ("finished", 1)
    *entries, end = events(answer.text)
    assert [(event.name, event.id, event.data["epoch"]) for event in entries] == [
        ("epoch", "2", 2), ("epoch", "4", 4), ("epoch", "5", 5),
    ]  # fmt: skip
    assert (end.name, end.id) == ("end", "5")
    assert set(end.data) == {"event", "stopped", "snapshot"}


@pytest.mark.parametrize("body", [config(), CLASSES], ids=["rates", "classes"])
@pytest.mark.parametrize(
    "options",
    [{}, {"report_every": 3}, {"batch_size": 2, "shuffle": True}, {"stop": [{"type": "epoch", "value": 4}]}],
    ids=["plain", "report_every", "batches", "stop"],
)
def test_a_stream_is_a_plain_training(client: TestClient, body: Any, options: dict[str, Any]) -> None:
    by_events, by_lines, plain = (create(client, body) for _ in range(3))
    asked = {"epochs": 8, **options}
    trained = post(client, f"{plain}/train", asked)
    *entries, end = [event.data for event in streamed(client, by_events, asked)]
    *rows, last = streamed(client, by_lines, asked, LINES)
    history = [untimed(entry) for entry in trained["history"]]
    assert [untimed(entry) for entry in entries] == [untimed(row) for row in rows] == history
    assert {entry["event"] for entry in entries + rows} == {"epoch"}
    assert all(entry["elapsed"] > 0 for entry in entries + rows)
    assert end["stopped"] == last["stopped"] == trained["stopped"]
    assert end["snapshot"] == read(client, f"{by_events}/snapshot")
    assert numbers(end["snapshot"]) == numbers(last["snapshot"]) == numbers(trained["snapshot"])
    columns = read(client, f"{by_events}/curves")
    assert columns == {name: [entry[name] for entry in entries] for name in columns}


def test_decimals(client: TestClient) -> None:
    url, exact = create(client), create(client)
    *entries, end = [event.data for event in streamed(client, url, {"epochs": 3}, query="?decimals=3")]
    history = post(client, f"{exact}/train", {"epochs": 3})["history"]
    assert [entry["loss"] for entry in entries] == [round(entry["loss"], 3) for entry in history]
    assert end["snapshot"] == read(client, f"{url}/snapshot?decimals=3")


def test_what_the_end_shows(client: TestClient) -> None:
    url, query = create(client), "?include=parameters&layers=output"
    *_, end = streamed(client, url, {"epochs": 3}, query=query)
    assert end.data["snapshot"] == read(client, f"{url}/snapshot{query}")
    [layer] = end.data["snapshot"]["layers"]
    assert set(layer) == {"name", "activation", "parameters"}


def test_a_stream_that_ends_before_a_number_is_not_finite(client: TestClient) -> None:
    layers = [{"name": "layer", "units": 1, "bias": "none", "init": {"weight": 1.0}}]
    fields: dict[str, Any] = {"layers": layers, "data": {"inputs": [[9, 9]], "targets": [[0]]}}
    url = create(client, optimizer={"type": "sgd", "learning_rate": 10.0}, **fields)
    *entries, end = streamed(client, url, {"epochs": 1000})
    stopped = end.data["stopped"]
    assert stopped["reason"] == "nonfinite"
    assert stopped["actual"] in ("Infinity", "-Infinity", "NaN")
    assert len(entries) == stopped["epoch"] < 1000
    assert read(client, f"{url}/runs")["items"][0]["status"] == "stopped"


def test_entries_come_many_at_once(client: TestClient) -> None:
    """Written in pieces, and none is lost where they meet."""
    url = create(client)
    ids = [event.id for event in streamed(client, url, {"epochs": 3 * streams.AT_ONCE})]
    assert ids == [str(epoch) for epoch in range(1, 3 * streams.AT_ONCE + 1)] + [str(3 * streams.AT_ONCE)]


def test_a_fault_after_the_start(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    url = create(client)
    before = read(client, f"{url}/export")
    monkeypatch.setattr(training, "train", fail)
    [event] = streamed(client, url, {"epochs": 3})
    assert (event.name, event.id) == ("failed", "0")
    assert set(event.data) == {"event", "problem"}
    told = event.data["problem"]
    assert (told["status"], told["type"], told["instance"]) == (503, "/v1/problems/training-failed", f"{url}/train")
    [line] = streamed(client, url, {"epochs": 3}, LINES)
    assert line == event.data
    run = read(client, f"{url}/runs")["items"][-1]
    assert (run["status"], run["stopped"], run["revision"]) == ("failed", None, None)
    assert run["problem"]["detail"] == told["detail"]
    assert read(client, f"{url}/export") == before
    monkeypatch.undo()
    assert post(client, f"{url}/train")["stopped"]["epoch"] == 1


# Refused before the start: as problems, and nothing is begun


def test_what_is_refused(client: TestClient) -> None:
    url = create(client)
    for accept in (EVENTS, LINES):
        headers = {"Accept": accept}
        problem(client.post(f"{url}/train", json={"epochs": 0}, headers=headers), 422, "invalid-input")
        problem(client.post(f"{url}/train?include=zebra", headers=headers), 422, "invalid-input")
        problem(client.post(f"{url}/train", headers={**headers, "If-Match": '"1"'}), 412, "revision-mismatch")
        problem(client.post(f"{url}0/train", headers=headers), 404, "session-not-found")
    for accept in (NPZ, "text/html", "text/csv", f"{EVENTS};q=0"):
        told = problem(client.post(f"{url}/train", headers={"Accept": accept}), 406, "not-acceptable")
        assert "application/json or text/event-stream or application/jsonl" in told["detail"]
    assert read(client, f"{url}/runs") == {"items": [], "next": None}
    assert len(streamed(client, url, {}, EVENTS, "", **{"If-Match": '"0"'})) == 2


def test_the_form_is_negotiated(client: TestClient) -> None:
    url = create(client)
    for accept, form in (
        (f"{LINES};q=0.5, {EVENTS}", EVENTS),
        ("text/*", EVENTS),
        (f"{EVENTS}, application/json;q=0.9", EVENTS),
        (f"{EVENTS}, {LINES}, */*", "application/json"),
        ("*/*", "application/json"),
    ):
        answer = client.post(f"{url}/train", headers={"Accept": accept})
        assert answer.headers["Content-Type"].partition(";")[0] == form


def test_entries_that_would_take_too_much_memory(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_stream=20_000)
    url, headers = create(client), {"Accept": EVENTS}
    told = problem(client.post(f"{url}/train?include=parameters", json={"epochs": 50}, headers=headers), 422)
    [error] = told["errors"]
    assert error["pointer"] == "/report_every"
    assert told["limit"] == 20_000 < told["estimate"]
    assert told["setting"] == "GRADSTEP_MAX_STREAM"
    assert read(client, f"{url}/runs")["items"] == []
    asked = {"epochs": 50, "report_every": 10}
    shown = streamed(client, url, asked, query="?include=parameters")[:-1]
    assert len(shown) == 5
    assert sum(len(repr(event.data["layers"])) for event in shown) < told["estimate"] / 10


# As they happen: runs that the tests carry out, and readers that come and go


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    with Here(cancel_seconds=30) as here:
        yield here


def test_each_entry_comes_as_it_happens(here: Here) -> None:
    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 3)
        async with here.watch(f"{url}/runs/{run.id}") as stream:
            for epoch in (1, 2, 3):
                run.add(curve(epoch, epoch))
                *_, last = await stream.read(epoch)
                assert last.data == {"event": "epoch", "epoch": epoch, "steps": epoch, "loss": 1 / epoch}
            assert stream.pieces.empty()
            finish(run, 3)
            [*_, end] = await stream.rest()
            told = {"stopped": run.stopped, "snapshot": await here.read(f"{url}/snapshot")}
            assert end.data == {"event": "end", **told}

    here.run(work())


def test_any_number_of_readers_each_from_where_it_was(here: Here) -> None:
    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 1000)
        path = f"{url}/runs/{run.id}"
        run.add(curve(1, 450))
        readers = [here.watch(path, last_event_id=str(seen)) for seen in (0, 1, 199, 200, 449, 450)]
        readers += [here.watch(path), *(here.watch(path, last_event_id=seen) for seen in ("", "end", "x", "-1", "٣"))]
        for reader in readers:
            await reader.__aenter__()
        for reader in readers[:5]:
            await reader.read(1)
        await readers[0].leave()
        run.add(curve(451, 1000))
        finish(run, 1000)
        for reader, seen in zip(readers[1:], (1, 199, 200, 449, 450, *[0] * 6), strict=True):
            ids = [event.id for event in await reader.rest()]
            assert ids == [str(epoch) for epoch in range(seen + 1, 1001)] + ["1000"]
        for seen in (990, 999):
            async with here.watch(path, last_event_id=str(seen)) as late:
                assert len(await late.rest()) == 1001 - seen
        for accept in (EVENTS, LINES):
            for seen in (1000, 1001):  # none of its entries was cut
                async with here.watch(path, last_event_id=str(seen), accept=accept) as done:
                    assert not await done.more()
                    assert done.status == 204

    here.run(work())


def test_who_has_seen_all_of_what_goes_on_is_told_more(here: Here) -> None:
    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 10)
        run.add(curve(1, 5))
        async with here.watch(f"{url}/runs/{run.id}", last_event_id="5") as stream:
            await turns()
            run.add(curve(6, 6))
            finish(run, 6)
            assert [event.id for event in await stream.rest()] == ["6", "6"]
            assert stream.status == 200

    here.run(work())


def test_readers_at_the_same_place_share_what_is_written(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who show alike; and what each gets is the same as if it had been alone."""
    written = list[int]()
    entries = streams._entries

    def write(piece: Piece, decimals: int | None, *, events: bool) -> bytes:
        written.append(len(piece.curve.rows))
        return entries(piece, decimals, events=events)

    monkeypatch.setattr(streams, "_entries", write)

    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 10)
        path = f"{url}/runs/{run.id}"
        async with AsyncExitStack() as stack:
            readers = [await stack.enter_async_context(here.watch(path)) for _ in range(4)]
            rounded = await stack.enter_async_context(here.watch(f"{path}?decimals=1"))
            rows = await stack.enter_async_context(here.watch(path, accept=LINES))
            run.add(curve(1, 4))
            for reader in (*readers, rounded, rows):
                await reader.more()
            assert written == [4, 4, 4]
            finish(run, 4)
            texts = [[event.data for event in await reader.rest()][:-1] for reader in readers]
            assert texts[1:] == texts[:-1]
            assert [entry["loss"] for entry in texts[0]] == [1.0, 1 / 2, 1 / 3, 1 / 4]
            assert [event.data["loss"] for event in (await rounded.rest())[:-1]] == [1.0, 0.5, 0.3, 0.2]
            while await rows.more():
                pass
            assert lines(rows.text)[:-1] == texts[0]

    here.run(work())


def test_a_comment_where_nothing_happens(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the run goes on, and has no entry to show for it."""
    monkeypatch.setattr(streams, "COMMENT_SECONDS", 0.05)

    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 1000)
        async with (
            here.watch(f"{url}/runs/{run.id}") as stream,
            here.watch(f"{url}/runs/{run.id}", accept=LINES) as without,
        ):
            assert {event.name for event in await stream.read(2)} == {""}
            before = stream.text.count("\n\n")

            async def go_on() -> None:
                for epoch in range(1000):
                    run.advance(epoch)
                    await asyncio.sleep(0.01)

            going_on = asyncio.create_task(go_on())
            async with asyncio.timeout(5):
                await stream.read(before + 3)
            going_on.cancel()
            run.add(curve(1, 1))
            finish(run, 1)
            told = await stream.rest()
            assert [event.name for event in told if event.name] == ["epoch", "end"]
            assert all(event.data.startswith(":") for event in told if not event.name)
            while await without.more():
                pass
            assert [line["event"] for line in lines(without.text)] == ["epoch", "end"]

    here.run(work())


def test_a_reader_that_takes_nothing(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for it, it is given up, and may come back."""
    monkeypatch.setattr(streams, "PATIENCE_SECONDS", 0.05)

    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 1000)
        path = f"{url}/runs/{run.id}"
        async with here.watch(path) as slow, here.watch(path) as other:
            run.add(curve(1, 10))
            seen = await slow.read(10)
            slow.taking.clear()
            run.add(curve(11, 500))
            await other.read(500)
            await slow.task
            assert not slow.gone.is_set()
            run.add(curve(501, 1000))
        async with here.watch(path, last_event_id=seen[-1].id) as again:
            finish(run, 1000)
            later = await again.rest()
        assert [event.id for event in seen + later] == [str(epoch) for epoch in range(1, 1001)] + ["1000"]

    here.run(work())


def test_what_came_after_the_last_checkpoint_is_lost(here: Here) -> None:
    """A worker was killed: its reader has seen entries that are gone."""

    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 100)
        run.add(curve(1, 50))
        async with here.watch(f"{url}/runs/{run.id}") as stream:
            await stream.read(50)
            run.cut(20, 20)
            run.fail(Full("no more", retry_after=2), None, 1.0)
            *_, last = await stream.rest()
            assert (last.name, last.data["problem"]["detail"]) == ("failed", "no more")
        for seen, left in ((10, range(11, 21)), (19, [20]), (21, []), (50, []), (10**17, [])):
            async with here.watch(f"{url}/runs/{run.id}", last_event_id=str(seen)) as stream:
                told = await stream.rest()
            assert [(event.name, event.id) for event in told] == [
                *(("epoch", str(epoch)) for epoch in left), ("failed", "20"),
            ]  # fmt: skip
        async with here.watch(f"{url}/runs/{run.id}", last_event_id="20") as stream:  # as its last event was
            assert not await stream.more()
            assert stream.status == 204

    here.run(work())


@pytest.mark.parametrize("gone", ["session", "revision"])
def test_the_end_of_a_run_whose_revision_is_no_more(here: Here, gone: str) -> None:
    async def work() -> None:
        url = await here.create(config())
        path = await here.begin(url, {"epochs": 2})
        await here.ended(path)
        run = await here.sessions.runs.find(url.rpartition("/")[2], path.rpartition("/")[2])
        if gone == "session":
            run.ended_at = None  # its reader comes before its end
            async with here.watch(path) as stream:
                await stream.read(2)
                assert (await here.client.delete(url)).status_code == 204
                run.ended_at = 1.0
                await asyncio.sleep(0)
                run.tell()
                *_, end = await stream.rest()
        else:
            await here.client.post(f"{url}/rewind", json={"revision": 0})
            await here.client.patch(url, json={"name": "on from there"})
            async with here.watch(path) as stream:
                *_, end = await stream.rest()
        assert (end.name, end.data["snapshot"]) == ("end", None)
        assert end.data["stopped"]["reason"] == "epochs"

    here.run(work())


# The owner of a training goes away


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
def test_a_training_ends_with_its_client(here: Here, spec: str) -> None:
    """The session stands after a whole step, and goes on to what it would have come to without."""
    batches = {"batch_size": 2, "shuffle": True}

    async def work() -> None:
        url, whole = await here.create(config(optimizer="adam")), await here.create(config(optimizer="adam"))
        async with here.watch(f"{url}/train", {**LONG, **batches}, spec) as stream:
            await stream.read(3)
            during = await here.read(url)
            assert (during["run"]["status"], during["epochs"], during["revision"]) == ("running", 0, 0)
            path = f"{url}/runs/{during['run']['id']}"
            await stream.leave()
        run = await here.ended(path)
        assert (run["status"], run["stopped"]["reason"], run["revision"]) == ("cancelled", "disconnected", 1)
        after = await here.read(url)
        assert after["run"] is None
        assert (after["epochs"], after["steps"]) == (run["stopped"]["epoch"], run["stopped"]["step"])
        assert after["steps"] == 4 * after["epochs"] + after["epoch_position"] / 2
        rest = {"epochs": 3, **batches}
        await here.client.post(f"{url}/train?include=", json=rest)
        total = {"epochs": after["epochs"] + 3, "report_every": 1000, **batches}
        await here.client.post(f"{whole}/train?include=", json=total)
        assert await here.hash(url) == await here.hash(whole)
        assert (await here.read(url))["epoch_position"] == 0

    here.run(work())


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
def test_a_client_that_goes_away_before_the_first_byte(here: Here, spec: str, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        url = await here.create(config())
        stream = here.watch(f"{url}/train", LONG, spec)
        stream.gone.set()
        async with stream:
            await stream.task
        [run] = (await here.read(f"{url}/runs"))["items"]
        run = await here.ended(f"{url}/runs/{run['id']}")
        assert run["stopped"]["reason"] == "disconnected"
        assert run["epochs_done"] < 100_000

    here.run(work())
    assert not caplog.records


def test_an_owner_that_takes_nothing(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE_SECONDS", 0.05)

    async def work() -> None:
        url = await here.create(config())
        for takes_the_start in (False, True):
            async with here.watch(f"{url}/train", LONG) as stream:
                if takes_the_start:
                    await stream.read(1)
                stream.taking.clear()
                await stream.task
                run = (await here.read(f"{url}/runs"))["items"][-1]
                assert (await here.ended(f"{url}/runs/{run['id']}"))["stopped"]["reason"] == "disconnected"

    here.run(work())


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
@pytest.mark.parametrize("accept", [EVENTS, LINES])
def test_a_reader_that_leaves_is_no_fault(here: Here, spec: str, accept: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is raised, which `leave` would tell, and nothing logged; though from ASGI 2.4 on `send` raises."""

    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 10)
        async with here.watch(f"{url}/runs/{run.id}", spec=spec, accept=accept) as stream:
            run.add(curve(1, 1))
            assert await stream.more()
            stream.gone.set()
            run.add(curve(2, 2))
            await stream.leave()
        assert not run.is_over
        finish(run, 2)

    here.run(work())
    assert not caplog.records


@pytest.mark.parametrize("under_way", [True, False])
@pytest.mark.parametrize("accept", [EVENTS, LINES])
def test_the_head_of_a_stream(here: Here, under_way: bool, accept: str) -> None:
    """It comes at once, and is all that there is."""

    async def work() -> None:
        url = await here.create(config())
        run = here.run_by_hand(url, 3)
        run.add(curve(1, 3))
        if not under_way:
            finish(run, 3)
        path = f"{url}/runs/{run.id}"
        async with here.watch(path, accept=accept) as stream, here.watch(path, method="HEAD", accept=accept) as head:
            assert not await head.more()
            await head.task
            assert head.status == 200
            await stream.more()
            assert head.headers == stream.headers
            assert "content-length" not in head.headers
            assert head.headers["content-type"].startswith(accept)
            if under_way:
                assert not run.is_over
                finish(run, 3)
        async with here.watch(path, method="HEAD", last_event_id="3") as head:
            assert not await head.more()
            assert head.status == 204

    here.run(work())


def test_a_reader_that_leaves_ends_nothing(here: Here) -> None:
    async def work() -> None:
        url = await here.create(config())
        async with here.watch(f"{url}/train", LONG) as owner:
            await owner.read(1)
            path = owner.headers["location"]
            for _ in range(3):
                async with here.watch(path) as reader:
                    await reader.read(1)
            await owner.read(owner.text.count("\n\n") + 10)
            assert (await here.read(path))["status"] == "running"
            assert (await here.client.delete(path)).status_code == 202
            *_, end = await owner.rest()
            assert end.data["stopped"]["reason"] == "cancelled"

    here.run(work())


def test_a_stream_that_was_read_to_its_end_ends_nothing_more(here: Here) -> None:
    async def work() -> None:
        url = await here.create(config())
        async with here.watch(f"{url}/train", {"epochs": 3}) as stream:
            *_, end = await stream.rest()
        assert end.data["stopped"]["reason"] == "epochs"
        [run] = await here.sessions.runs.of(url.rpartition("/")[2])
        assert (run.status, run.ending) == ("finished", None)
        assert run.endings.empty()
        run.end_early(Ending("cancelled"))
        assert run.ending is None

    here.run(work())


def test_fifty_clients_that_go_away_leave_nothing_behind(here: Here) -> None:
    async def work() -> None:
        url = await here.create(config())
        for _ in range(50):
            async with here.watch(f"{url}/train", LONG) as stream:
                await stream.read(1)
                path = stream.headers["location"]
            assert (await here.ended(path))["stopped"]["reason"] == "disconnected"
        assert len(here.sessions.trainings.workers._processes) == 1
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)
        assert not here.sessions._busy
        assert all(run.is_over for run in here.sessions.runs.all())

    here.run(work())


def test_a_worker_that_is_killed(here: Here) -> None:
    """What its last checkpoint had is kept, as a revision from which the training goes on exactly."""

    async def work() -> None:
        url, whole = await here.create(config()), await here.create(config())
        async with here.watch(f"{url}/train", LONG) as stream:
            await stream.read(1)
            [run] = await here.sessions.runs.of(url.rpartition("/")[2])
            checkpoint = asyncio.get_running_loop().time() + 1.2  # there has been one by then
            while asyncio.get_running_loop().time() < checkpoint:
                await stream.more()
            for process in here.sessions.trainings.workers._processes:
                process.kill()
            *_, last = await stream.rest()
        assert (last.name, last.data["problem"]["type"]) == ("failed", "/v1/problems/training-failed")
        told = await here.read(f"{url}/runs/{run.id}")
        assert (told["status"], told["revision"]) == ("failed", 1)
        after = await here.read(url)
        assert after["epochs"] > 0
        curves = await here.read(f"{url}/curves?max_points=10000")
        assert curves["epoch"] == list(range(10, after["epochs"] + 1, 10))
        async with here.watch(f"{url}/runs/{run.id}") as again:
            assert [event.id for event in await again.rest()] == [*map(str, curves["epoch"]), str(after["epochs"])]
        await here.client.post(f"{url}/train?include=", json={"epochs": 2})
        await here.client.post(f"{whole}/train?include=", json={"epochs": after["epochs"] + 2, "report_every": 10**6})
        assert await here.hash(url) == await here.hash(whole)

    here.run(work())


def test_a_client_that_does_not_wait_for_a_plain_answer(here: Here) -> None:
    async def work() -> None:
        url, whole = [await here.create(config()) for _ in range(2)]
        async with here.watch(f"{url}/train?include=", LONG, accept="application/json"):
            while (run := (await here.read(url))["run"]) is None or run["status"] == "queued":
                await asyncio.sleep(0)
        told = await here.read(f"{url}/runs/{run['id']}")
        assert (told["status"], told["stopped"]["reason"]) == ("cancelled", "disconnected")
        after = await here.read(url)
        assert after["revision"] == 1
        await here.client.post(f"{whole}/train?include=", json={"epochs": after["epochs"], "report_every": 10**6})
        assert await here.hash(url) == await here.hash(whole)

    here.run(work())


def test_a_plain_training_without_a_body(here: Here) -> None:
    """Nobody has asked for its body of no length, which is not the client's end."""

    async def work() -> None:
        url = await here.create(config())
        async with here.watch(f"{url}/train", method="POST", accept="application/json", content_length="0") as plain:
            while await plain.more():
                pass
            assert (plain.status, orjson.loads(plain.text)["stopped"]["reason"]) == (200, "epochs")

    here.run(work())
