"""`Idempotency-Key`: done once, answered twice alike."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from app.engine.presets import NOTEBOOK
from app.main import create_app
from app.settings import Settings

from .calls import create, problem, read

DAY = 24 * 3600
OTHER = {"inputs": [[1, 2]], "targets": [[0.5]]}


def keyed(name: str = "one", **headers: str) -> dict[str, str]:
    return {"Idempotency-Key": name, **headers}


def same(first: httpx2.Response, second: httpx2.Response) -> None:
    """Both are one answer, to the byte."""
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert dict(first.headers) == dict(second.headers)


CHANGES: dict[str, tuple[str, str, Any]] = {
    "forward": ("POST", "/forward", None),
    "forward over other rows": ("POST", "/forward?decimals=3", OTHER),
    "train": ("POST", "/train", {"epochs": 2}),
    "edit": ("PATCH", "/parameters", {"hidden.weight[0][1]": 0.5}),
    "rename": ("PATCH", "", {"name": "other"}),
    "data": ("PUT", "/data", OTHER),
    "rewind": ("POST", "/rewind", {"revision": 0}),
    "rewind to an epoch": ("POST", "/rewind", {"epoch": 1}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_done_once_and_answered_twice_alike(client: TestClient, name: str) -> None:
    method, path, body = CHANGES[name]
    url = create(client)
    client.post(f"{url}/train", json={"epochs": 3})
    first = client.request(method, url + path, json=body, headers=keyed())
    assert first.status_code == 200
    after = read(client, f"{url}/snapshot")
    same(first, client.request(method, url + path, json=body, headers=keyed()))
    assert read(client, f"{url}/snapshot") == after
    assert client.request(method, url + path, json=body, headers=keyed("two")).status_code == 200  # another is done


def test_the_answer_is_that_of_then(client: TestClient) -> None:
    url = create(client)
    first = client.post(f"{url}/forward", headers=keyed())
    client.post(f"{url}/backward")
    client.post(f"{url}/step")
    client.post(f"{url}/rewind", json={"revision": 0})
    client.post(f"{url}/forward", json=OTHER)  # which cuts off what was answered
    same(first, client.post(f"{url}/forward", headers=keyed()))


def test_a_replay_comes_before_if_match(client: TestClient) -> None:
    url = create(client)
    first = client.post(f"{url}/forward", headers=keyed(**{"If-Match": '"0"'}))
    same(first, client.post(f"{url}/forward", headers=keyed(**{"If-Match": '"0"'})))
    problem(client.post(f"{url}/backward", headers=keyed(**{"If-Match": '"0"'})), 412, "revision-mismatch")


def test_other_forms_of_an_answer(client: TestClient) -> None:
    url = create(client)
    npz = keyed(Accept="application/x-npz")
    first = client.post(f"{url}/forward", headers=npz)
    assert first.headers["Content-Type"] == "application/x-npz"
    same(first, client.post(f"{url}/forward", headers=npz))


def test_a_session_is_made_once(client: TestClient) -> None:
    first = client.post("/v1/sessions", json=NOTEBOOK, headers=keyed())
    same(first, client.post("/v1/sessions", json=NOTEBOOK, headers=keyed()))
    assert len(read(client, "/v1/sessions")["items"]) == 1
    url = first.headers["Location"]
    fork = client.post(f"{url}/fork", headers=keyed())
    assert fork.status_code == 201
    same(fork, client.post(f"{url}/fork", headers=keyed()))
    assert len(read(client, "/v1/sessions")["items"]) == 2


def test_a_dry_run_makes_nothing_with_a_key_either(client: TestClient) -> None:
    same(*(client.post("/v1/sessions?dry_run=true", json=NOTEBOOK, headers=keyed()) for _ in range(2)))
    assert read(client, "/v1/sessions")["items"] == []


def test_a_session_is_ended_once(client: TestClient) -> None:
    url = create(client)
    first = client.delete(url, headers=keyed())
    assert first.status_code == 204
    same(first, client.delete(url, headers=keyed()))
    problem(client.delete(url, headers=keyed("two")), 404, "session-not-found")
    problem(client.delete(url), 404, "session-not-found")


def test_the_answer_outlives_the_session(client: TestClient) -> None:
    made = client.post("/v1/sessions", json=NOTEBOOK, headers=keyed())
    url = made.headers["Location"]
    stepped = client.post(f"{url}/forward", headers=keyed())
    client.delete(url)
    same(stepped, client.post(f"{url}/forward", headers=keyed()))
    same(made, client.post("/v1/sessions", json=NOTEBOOK, headers=keyed()))
    assert read(client, "/v1/sessions")["items"] == []


def test_something_else_under_the_same_key(client: TestClient) -> None:
    url = create(client)
    client.post(f"{url}/forward", json=OTHER, headers=keyed())
    for path, body in (("/forward", {}), ("/forward?decimals=3", OTHER)):
        problem(client.post(url + path, json=body, headers=keyed()), 422, "idempotency-key-reused")
    assert read(client, url)["revision"] == 1
    assert client.post(f"{url}/backward", headers=keyed()).status_code == 200  # a key counts for its path
    assert client.post(create(client) + "/forward", headers=keyed()).status_code == 200  # and its session


@pytest.mark.parametrize("name", ["", "a" * 256, "tabs\tin it", "é"])
def test_what_is_no_key(client: TestClient, name: str) -> None:
    url = create(client)
    body = problem(client.post(f"{url}/forward", headers=[(b"Idempotency-Key", name.encode())]), 422, "invalid-input")
    assert body["errors"][0]["parameter"] == "Idempotency-Key"
    assert read(client, url)["revision"] == 0


def test_what_is_refused_is_not_kept(client: TestClient) -> None:
    url = create(client)
    problem(client.post(f"{url}/step", headers=keyed()), 409, "wrong-phase")
    problem(client.post("/v1/sessions", json={}, headers=keyed()), 422, "invalid-input")
    problem(client.post("/v1/sessions", content=b"{", headers=keyed(**{"Content-Type": "application/json"})), 400)
    client.post(f"{url}/forward")
    client.post(f"{url}/backward")
    assert client.post(f"{url}/step", headers=keyed()).status_code == 200
    assert client.post("/v1/sessions", json=NOTEBOOK, headers=keyed()).status_code == 201


def test_there_must_be_room_for_the_answer(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_bytes=60_000)
    url = create(client)
    answers = [client.post(f"{url}/forward", headers=keyed(str(number))) for number in range(40)]
    refused = next(number for number, answer in enumerate(answers) if answer.status_code != 200)
    problem(answers[refused], 503, "server-full")
    assert read(client, url)["revision"] == refused
    same(answers[0], client.post(f"{url}/forward", headers=keyed("0")))  # what was answered is still there


def test_a_day_later_it_is_done_again(make_client: Callable[..., TestClient], clock: Any) -> None:
    client = make_client(session_ttl=7 * DAY)
    made = client.post("/v1/sessions", json=NOTEBOOK, headers=keyed())
    url = made.headers["Location"]
    client.post(f"{url}/forward", headers=keyed())
    clock.now += DAY - 1
    client.post(f"{url}/forward", headers=keyed())
    assert read(client, url)["revision"] == 1
    clock.now += 2
    client.post(f"{url}/forward", headers=keyed())
    assert read(client, url)["revision"] == 2
    again = client.post("/v1/sessions", json=NOTEBOOK, headers=keyed())
    assert again.headers["Location"] != url
    assert len(read(client, "/v1/sessions")["items"]) == 2


def test_reads_take_no_notice_of_a_key(client: TestClient) -> None:
    url = create(client)
    before = client.get(url, headers=keyed()).json()
    client.post(f"{url}/forward")
    assert client.get(url, headers=keyed()).json()["revision"] == before["revision"] + 1


def test_a_run_is_begun_once(client: TestClient) -> None:
    url = create(client)
    later = keyed(Prefer="respond-async")
    first = client.post(f"{url}/train", json={"epochs": 5}, headers=later)
    assert first.status_code == 202
    same(first, client.post(f"{url}/train", json={"epochs": 5}, headers=later))
    assert [run["epochs_total"] for run in read(client, f"{url}/runs")["items"]] == [5]
    body = {"vary": {"learning_rate": [0.1, 0.2]}, "train": {"epochs": 1}}
    swept = client.post(f"{create(client)}/sweep", json=body, headers=keyed())
    assert swept.status_code == 202
    count = len(read(client, "/v1/sessions")["items"])
    same(swept, client.post(swept.request.url.path, json=body, headers=keyed()))
    assert len(read(client, "/v1/sessions")["items"]) == count


def test_a_stream_is_sent_again(client: TestClient) -> None:
    url = create(client)
    lines = keyed(Accept="application/jsonl")
    first, second = (client.post(f"{url}/train", json={"epochs": 4}, headers=lines) for _ in range(2))
    assert [json.loads(line)["event"] for line in first.text.splitlines()] == ["epoch"] * 4 + ["end"]
    assert first.content == second.content
    assert read(client, url)["epochs"] == 4
    problem(client.post(f"{url}/train", json={"epochs": 5}, headers=lines), 422, "idempotency-key-reused")


def test_a_training_that_was_streamed_is_answered_in_other_forms_too(client: TestClient) -> None:
    url = create(client)
    forms: list[dict[str, str]] = [
        {"Accept": "application/jsonl"}, {}, {"Prefer": "respond-async"}, {"Accept": "text/event-stream"}
    ]  # fmt: skip
    answers = [client.post(f"{url}/train", json={"epochs": 4}, headers=keyed(**headers)) for headers in forms]
    assert answers[1].json()["stopped"]["epoch"] == 4
    assert answers[2].json()["epochs_done"] == 4
    assert answers[3].text.count("event: epoch") == 4
    assert read(client, url)["epochs"] == 4


def test_a_training_at_a_worker_is_done_once() -> None:
    """Its answer is kept when it has ended; until then, the request is under way."""
    app = create_app(Settings(inline_work=1_000))

    async def check() -> None:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
            url = (await client.post("/v1/sessions", json=NOTEBOOK)).headers["Location"]

            def train() -> asyncio.Task[httpx2.Response]:
                body = {"epochs": 60, "report_every": 20}
                return asyncio.create_task(client.post(f"{url}/train", json=body, headers=keyed(), timeout=60))

            answers = await asyncio.gather(train(), train(), train())
            done = [answer for answer in answers if answer.status_code == 200]
            assert len(done) == 1
            for answer in answers:
                if answer is not done[0]:
                    problem(answer, 409, "request-under-way")
                    await asyncio.sleep(0)  # the client and the server never wait by themselves here
            same(done[0], await train())
            assert (await client.get(url)).json()["epochs"] == 60
            runs = (await client.get(f"{url}/runs")).json()["items"]
            assert len(runs) == 1

    try:
        asyncio.run(check())
    finally:
        app.state.sessions.close()


def test_many_at_once_are_done_once() -> None:
    app = create_app(Settings())

    async def check() -> None:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
            url = (await client.post("/v1/sessions", json=NOTEBOOK)).headers["Location"]

            async def repeat(name: str) -> bytes:
                while True:
                    answer = await client.post(f"{url}/train", headers=keyed(name))
                    if answer.status_code == 200:
                        return answer.content
                    problem(answer, 409, "request-under-way")
                    await asyncio.sleep(0)  # the client and the server never wait by themselves here

            answers = await asyncio.gather(*(repeat(str(number % 20)) for number in range(60)))
            for number in range(20):
                assert len(set(answers[number::20])) == 1
            assert (await client.get(url)).json()["epochs"] == 20

    asyncio.run(check())
    app.state.sessions.close()
