"""Rates over HTTP: what is left in the headers, who is refused, and what a call counts as."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Clock
from starlette.testclient import TestClient

from app.api.rates import _home
from app.main import app
from app.sessions.rates import CALL_WORK
from app.settings import Settings

from .calls import JSON, config, create, post, problem, read

MINUTE = 1_795_000_020.0  # one begins
EPOCHS = {"epochs": 5000}  # too long to be done in the event loop


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    """The clock of the sessions is that of the counts too."""
    clock.now = MINUTE
    monkeypatch.setattr(time, "time", clock)
    return clock


Make = Callable[..., TestClient]


def left(answer: Any) -> tuple[int, int]:
    """How many calls are left, and the seconds until there are as many as ever."""
    name, r, t = answer.headers["RateLimit"].split(";")
    assert name == '"calls"'
    return int(r.removeprefix("r=")), int(t.removeprefix("t="))


def taken(client: TestClient, call: Callable[[], Any]) -> int:
    """As how many calls something counts."""
    before, _ = left(client.get("/v1/sessions"))
    answer = call()
    assert answer.is_success, answer.text
    after, _ = left(client.get("/v1/sessions"))
    return before - after - 1


def test_without_a_rate_nothing_is_said(client: TestClient) -> None:
    answer = client.get("/v1/sessions")
    assert "RateLimit" not in answer.headers
    assert "RateLimit-Policy" not in answer.headers


def test_each_answer_says_what_is_left(make_client: Make, now: Clock) -> None:
    client = make_client(owner_rate=1000)
    now.now += 20.5
    url = create(client)
    step = client.post(f"{url}/forward")
    assert step.headers["RateLimit-Policy"] == '"calls";q=1000;w=60'
    assert left(step) == (998, 40)
    assert left(client.get("/v1/sessions/nobody")) == (997, 40)
    assert left(client.post(f"{url}/forward", json={"until": 3})) == (996, 40)
    with client.stream("POST", f"{url}/train", json={}, headers={"Accept": "application/jsonl"}) as stream:
        assert left(stream) == (995, 40)
        assert len(list(stream.iter_lines())) == 2
    now.now += 60
    assert left(client.get(url)) == (999, 40)


def test_other_paths_are_not_counted(make_client: Make) -> None:
    client = make_client(owner_rate=2)
    for path in ("/v1/catalog", "/healthz", "/docs", "/v1/problems/too-many-requests"):
        for _ in range(3):
            answer = client.get(path)
            assert answer.status_code == 200
            assert "RateLimit" not in answer.headers
    answer = client.put("/v1/sessions")  # no route takes it: nobody knows yet whose it is
    problem(answer, 405)
    assert "RateLimit" not in answer.headers
    assert left(client.get("/v1/sessions")) == (1, 60)


def test_who_has_nothing_left_is_refused(make_client: Make, now: Clock) -> None:
    client = make_client(owner_rate=2)
    url = create(client)
    read(client, url)
    now.now += 15
    refused = client.get(url)
    body = problem(refused, 429, "too-many-requests")
    assert refused.headers["Retry-After"] == "45"
    assert left(refused) == (0, 45)
    assert (body["limit"], body["setting"]) == (2, "GRADSTEP_OWNER_RATE")
    problem(client.get("/v1/sessions/nobody"), 429)  # before the session is looked for
    problem(client.post(f"{url}/forward", content=b"{"), 429)
    assert client.delete(url).status_code == 204  # what makes room is not
    now.now += 45
    problem(client.get(url), 404)


def entry(name: str, key: str) -> str:
    return f"{name}:sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def test_each_key_has_its_own(make_client: Make) -> None:
    client = make_client(owner_rate=1, api_keys=(entry("alice", "a" * 40), entry("bob", "b" * 40)))
    problem(client.get("/v1/sessions"), 401)  # which counts for nobody
    for key in "ab":
        headers = {"Authorization": f"Bearer {key * 40}"}
        assert left(client.get("/v1/sessions", headers=headers)) == (0, 60)
        problem(client.get("/v1/sessions", headers=headers), 429)


def test_without_keys_each_address_has_its_own(make_client: Make) -> None:
    client = make_client(owner_rate=1)
    for host in ("192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1", "a-socket"):
        there = TestClient(client.app, client=(host, 50000))
        assert left(there.get("/v1/sessions")) == (0, 60)
        problem(there.get("/v1/sessions"), 429)
    neighbour = TestClient(client.app, client=("2001:db8:0:1:ffff::2", 50000))
    problem(neighbour.get("/v1/sessions"), 429)
    assert _home("2001:db8:0:1:ffff::2") == "2001:db8:0:1::/64"


def test_a_socket_without_an_address_counts_too(make_client: Make) -> None:
    client = make_client(owner_rate=1)
    nobody: Any = TestClient(client.app, client=None)  # type: ignore[arg-type]
    assert left(nobody.get("/v1/sessions")) == (0, 60)
    problem(nobody.get("/v1/sessions"), 429)


WIDE = {"layers": [{"name": "hidden", "units": 300}, {"name": "output", "units": 1}]}


def test_a_call_counts_as_what_it_takes(make_client: Make) -> None:
    client = make_client(owner_rate=10**6)
    url = create(client)
    wide = create(client, **WIDE)
    assert taken(client, lambda: client.post(f"{url}/forward")) == 1
    rows = {"inputs": [[0.1, 0.2]] * 1000}
    assert 10 < taken(client, lambda: client.post(f"{wide}/predict", json=rows)) < 1000
    assert 10 < taken(client, lambda: client.post(f"{wide}/forward", json=rows)) < 1000
    assert taken(client, lambda: client.get(f"{wide}/snapshot")) > 1
    assert taken(client, lambda: client.post("/v1/sessions", json=read(client, wide)["config"])) > 1


def test_a_body_counts_before_it_is_read(make_client: Make) -> None:
    client = make_client(owner_rate=10**6)
    url = create(client)
    before, _ = left(client.get(url))
    problem(client.post(f"{url}/forward", content=b'{"inputs": [' + b" " * 10**6, headers=JSON), 400)
    after, _ = left(client.get(url))
    assert before - after - 2 == 10**6 * 30 // CALL_WORK


@pytest.fixture
def trainer(make_client: Make) -> tuple[TestClient, str]:
    """A client with 1000 calls a minute, and a session whose training of 5000 epochs counts as more."""
    client = make_client(owner_rate=1000)
    return client, create(client)


def test_a_long_training_is_let_through_and_waited_for(trainer: tuple[TestClient, str]) -> None:
    client, url = trainer
    trained = post(client, f"{url}/train", EPOCHS)
    assert trained["stopped"]["reason"] == "epochs"
    refused = client.get(url)
    problem(refused, 429)
    rest, reset = left(refused)
    assert rest == 0
    assert reset > 60
    assert refused.headers["Retry-After"] == str(reset)


def test_what_a_training_did_not_do_is_given_back(trainer: tuple[TestClient, str]) -> None:
    client, url = trainer
    stop = [{"type": "epoch", "value": 3}]
    trained = post(client, f"{url}/train", {**EPOCHS, "stop": stop})
    assert trained["stopped"]["epoch"] <= 3
    rest, _ = left(client.get(url))
    assert rest > 900


def test_what_was_not_begun_is_given_back(make_client: Make) -> None:
    client = make_client(owner_rate=1000, max_bytes=10**6)
    url = create(client)
    while client.post("/v1/sessions", json=config()).status_code == 201:
        pass
    before, _ = left(client.get(url))
    refused = client.post(f"{url}/train", json=EPOCHS)
    problem(refused, 503, "server-full")
    assert left(refused)[0] == before - 1
    assert left(client.get(url))[0] == before - 2


def test_a_sweep_counts_all_of_its_trainings_at_once(trainer: tuple[TestClient, str]) -> None:
    client, url = trainer
    body = {"vary": {"learning_rate": [0.1, 0.2, 0.3]}, "train": EPOCHS}
    begun = client.post(f"{url}/sweep", json=body)
    assert begun.status_code == 202, begun.text
    rest, reset = left(begun)
    assert rest == 0
    assert reset > 60
    assert client.delete(begun.headers["Location"]).status_code == 202


def test_a_replay_counts_as_one_call(make_client: Make) -> None:
    client = make_client(owner_rate=10**5)
    url = create(client, **WIDE)
    rows, key = {"inputs": [[0.1, 0.2]] * 1000}, {"Idempotency-Key": "once"}

    def forward() -> Any:
        return client.post(f"{url}/forward", json=rows, headers=key)

    assert taken(client, forward) > 10
    assert taken(client, forward) == 1


def test_a_refusal_is_not_kept_for_a_repeat(make_client: Make, now: Clock) -> None:
    client = make_client(owner_rate=1)
    url, key = create(client), {"Idempotency-Key": "once"}
    problem(client.post(f"{url}/forward", headers=key), 429)
    now.now += 60
    assert client.post(f"{url}/forward", headers=key).status_code == 200


def test_each_key_has_so_many_sessions(make_client: Make) -> None:
    client = make_client(owner_sessions=2, api_keys=(entry("alice", "a" * 40), entry("bob", "b" * 40)))
    client.headers["Authorization"] = f"Bearer {'a' * 40}"
    url = create(client)
    create(client)
    for path, body in (
        ("/v1/sessions", config()),
        (f"{url}/fork", {}),
        (f"{url}/sweep", {"vary": {"learning_rate": [0.1, 0.2]}}),
    ):
        refused = client.post(path, json=body)
        told = problem(refused, 429, "quota-exceeded")
        assert refused.headers["Retry-After"] == "60"
        assert (told["limit"], told["estimate"], told["setting"]) == (2, 3, "GRADSTEP_OWNER_SESSIONS")
    assert len(read(client, "/v1/sessions")["items"]) == 2
    post(client, f"{url}/forward")
    client.headers["Authorization"] = f"Bearer {'b' * 40}"
    create(client)


def test_the_document_tells_of_it() -> None:
    answers = app.openapi()["paths"]["/v1/sessions/{session_id}/train"]["post"]["responses"]
    refused = answers["429"]
    assert set(refused["headers"]) == {"Retry-After", "RateLimit", "RateLimit-Policy"}
    examples = refused["content"]["application/problem+json"]["examples"]
    assert set(examples) == {"too-many-requests", "quota-exceeded"}


def test_no_rate_is_set_unless_asked_for() -> None:
    assert (Settings().owner_rate, Settings().owner_sessions, Settings().owner_bytes) == (0, 0, 0)
