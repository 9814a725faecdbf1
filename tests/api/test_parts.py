"""What the entries of a stream show beside their numbers: held against the session as it stood after each epoch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sessions.making import Walk
from starlette.testclient import TestClient

from app.api.contents import View
from app.api.parts import SHOWN, parts_again, parts_of
from app.engine import passes
from app.engine.plan import Frame
from app.sessions.operations import Backward, Forward, Step, Train

from .calls import CLASSES, ROWS, config, create, post, problem, read
from .streaming import EVENTS, Event, Here, events

PROBE = [[0.3, -0.2], [0.9, 0.4], [0.0, 0.0]]
SOFTMAX = {
    **CLASSES,
    "network": {"inputs": 2, "layers": [{"units": 4, "activation": "relu"}, {"units": 3, "activation": "softmax"}]},
    "loss": "nll",
}


def streamed(client: TestClient, url: str, body: Any, query: str = "") -> list[Event]:
    """The entries of a training."""
    answer = client.post(f"{url}/train{query}", json=body, headers={"Accept": EVENTS})
    assert answer.status_code == 200, answer.text
    *entries, end = events(answer.text)
    assert end.name == "end"
    return entries


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """What of a snapshot, or of an entry, may come with an entry."""
    return {name: body[name] for name in SHOWN if name in body}


ENTRY = {"event", "epoch", "steps", "loss", "gradient_norm", "learning_rate", "elapsed"}


@pytest.mark.parametrize(
    ("query", "members"),
    [
        ("?include=activations,gradients,parameters,optimizer,health", set(SHOWN)),
        ("?include=activations", {"inputs", "targets", "outputs", "layers", "nonfinite", "omitted"}),
        ("?include=parameters,optimizer", {"layers", "nonfinite", "omitted"}),
        ("?include=health", {"layers", "health", "nonfinite", "omitted"}),
        ("?include=gradients&layers=output&decimals=4", {"layers", "nonfinite", "omitted"}),
        ("?include=activations&samples=2:5", {"inputs", "targets", "outputs", "layers", "nonfinite", "omitted"}),
    ],
)
def test_parts_are_those_of_the_passes(client: TestClient, query: str, members: set[str]) -> None:
    url, by_hand = create(client, optimizer="adam"), create(client, optimizer="adam")
    for event in streamed(client, url, {"epochs": 4}, query):
        for call in ("forward", "backward", "step"):
            snapshot = post(client, f"{by_hand}/{call}{query}")
        assert shown(event.data) == shown(snapshot)
        assert set(event.data) == ENTRY | members
        assert event.data["epoch"] == snapshot["epochs"]


def test_no_parts_at_all(client: TestClient) -> None:
    url = create(client)
    for event in streamed(client, url, {"epochs": 2, "probe": {"inputs": PROBE}}, "?include="):
        assert set(event.data) == ENTRY | {"probe"}
    for event in streamed(client, url, {"epochs": 2}, "?include=&decimals=2"):
        assert set(event.data) == ENTRY


@pytest.mark.parametrize("options", [{"report_every": 2}, {"batch_size": 2}, {"batch_size": 3, "shuffle": True}])
def test_parts_are_those_of_the_past(client: TestClient, options: dict[str, Any]) -> None:
    url = create(client, optimizer={"type": "sgd", "learning_rate": 0.1, "momentum": 0.9})
    query = "?include=activations,gradients,parameters,optimizer"
    for event in streamed(client, url, {"epochs": 5, **options}, query):
        then = read(client, f"{url}/snapshot{query}&epoch={event.data['epoch']}")
        assert shown(event.data) == shown(then)
    with_float32 = create(client, dtype="float32")
    for event in streamed(client, with_float32, {"epochs": 2}, query):
        assert shown(event.data) == shown(read(client, f"{with_float32}/snapshot{query}&epoch={event.data['epoch']}"))


def test_jacobians(client: TestClient) -> None:
    url, query = create(client, SOFTMAX), "?include=activations,jacobians"
    for event in streamed(client, url, {"epochs": 3}, query):
        then = read(client, f"{url}/snapshot{query}&epoch={event.data['epoch']}")
        assert shown(event.data) == shown(then)
        assert np.shape(event.data["layers"][1]["da_dz"]) == (3, 3, 3)


@pytest.mark.parametrize("fields", [{}, {"dtype": "float32"}], ids=["float64", "float32"])
def test_a_probe_is_a_prediction(client: TestClient, fields: dict[str, Any]) -> None:
    plain, deep = create(client, **fields), create(client, **fields)
    asked = {"epochs": 5, "report_every": 2}
    entries = streamed(client, plain, {**asked, "probe": {"inputs": PROBE}})
    with_layers = streamed(client, deep, {**asked, "probe": {"inputs": PROBE, "include": ["activations"]}})
    assert [event.data["epoch"] for event in entries] == [2, 4, 5]
    for event, more in zip(entries, with_layers, strict=True):
        path = f"{plain}/predict?include=activations&epoch={event.data['epoch']}"
        predicted = post(client, path, {"inputs": PROBE})
        assert event.data["probe"] == {"outputs": predicted["outputs"]}
        assert set(event.data) == ENTRY | {"probe"}
        layers = [{"name": layer["name"], "a": layer["a"]} for layer in predicted["layers"]]
        assert more.data["probe"] == {"outputs": predicted["outputs"], "layers": layers}


def test_a_probe_is_rounded_like_the_rest(client: TestClient) -> None:
    url = create(client)
    for event in streamed(client, url, {"epochs": 2, "probe": {"inputs": PROBE}}, "?decimals=3"):
        outputs = np.array(event.data["probe"]["outputs"])
        assert (outputs == outputs.round(3)).all()
        predicted = post(client, f"{url}/predict?epoch={event.data['epoch']}", {"inputs": PROBE})
        assert np.abs(outputs - predicted["outputs"]).max() <= 0.0005


OVERFLOWS: dict[str, Any] = {
    "layers": [{"name": "hidden", "units": 2, "bias": "none", "init": {"weight": [[1, 1], [1, 0]]}},
               {"name": "output", "units": 1, "bias": "none", "init": {"weight": [[1, -1]]}}],
    "data": {"inputs": [[0, 0]], "targets": [[0]]},
}  # fmt: skip


@pytest.mark.parametrize("query", ["", "?decimals=3", "?include=health&samples=0:1"])
def test_answers_that_are_not_finite_are_named(client: TestClient, query: str) -> None:
    """A training goes on by its own rows; the places are those in the probe, whatever of the session is shown."""
    url = create(client, **OVERFLOWS)
    inputs = [[1, 2], [1e308, 1e308], [-1e308, -1e308], [1e308, 0]]
    probe = {"inputs": inputs, "include": ["activations"]}
    expected = {
        "outputs": [[2], [None], [None], [0]],
        "layers": [
            {"name": "hidden", "a": [[3, 1], [None, 1e308], [None, -1e308], [1e308, 1e308]]},
            {"name": "output", "a": [[2], [None], [None], [0]]},
        ],
        "nonfinite": [
            {"name": "outputs", "index": [1, 0], "value": "Infinity"},
            {"name": "outputs", "index": [2, 0], "value": "-Infinity"},
            {"name": "hidden.a", "index": [1, 0], "value": "Infinity"},
            {"name": "hidden.a", "index": [2, 0], "value": "-Infinity"},
            {"name": "output.a", "index": [1, 0], "value": "Infinity"},
            {"name": "output.a", "index": [2, 0], "value": "-Infinity"},
        ],
    }
    entries = streamed(client, url, {"epochs": 2, "probe": probe}, query)
    assert [event.data["probe"] for event in entries] == [expected] * 2
    plain = streamed(client, url, {"probe": {"inputs": inputs[1:2]}}, query)
    assert plain[0].data["probe"] == {
        "outputs": [[None]], "nonfinite": [{"name": "outputs", "index": [0, 0], "value": "Infinity"}],
    }  # fmt: skip


def test_a_probe_with_parts(client: TestClient) -> None:
    url = create(client)
    for event in streamed(client, url, {"epochs": 3, "probe": {"inputs": PROBE}}, "?include=parameters&layers=output"):
        epoch = event.data["epoch"]
        assert event.data["probe"]["outputs"] == post(
            client, f"{url}/predict?epoch={epoch}", {"inputs": PROBE}
        )["outputs"]  # fmt: skip
        then = read(client, f"{url}/snapshot?include=parameters&layers=output&epoch={epoch}")
        assert event.data["layers"] == then["layers"]


def test_a_probe_is_no_argument_of_the_history(client: TestClient) -> None:
    url = create(client)
    streamed(client, url, {"epochs": 3, "probe": {"inputs": PROBE}})
    assert read(client, f"{url}/history")["items"][-1]["arguments"] == {"epochs": 3}


def test_what_a_probe_does_not_take(client: TestClient) -> None:
    url, headers = create(client), {"Accept": EVENTS}

    def refused(probe: Any, **headers: str) -> list[str]:
        told = problem(client.post(f"{url}/train", json={"probe": probe}, headers=headers), 422)
        return [error["pointer"] for error in told["errors"]]

    assert refused({"inputs": [[1, 2, 3]]}, **headers) == ["/probe/inputs/0"]
    assert refused({"inputs": [[1, 2], [3]]}, **headers)[0].startswith("/probe/inputs")
    assert refused({"inputs": []}, **headers) == ["/probe/inputs"]
    assert refused({}, **headers) == ["/probe/inputs"]
    assert refused({"inputs": PROBE, "include": ["gradients"]}, **headers) == ["/probe/include/0"]
    assert refused({"inputs": PROBE}) == ["/probe"]  # there are no entries to go with
    assert refused({"inputs": [[1, 2, 3]]}, Prefer="respond-async") == ["/probe/inputs/0"]
    assert read(client, f"{url}/runs")["items"] == []


def test_a_probe_counts(make_client: Callable[..., TestClient]) -> None:
    """What it takes is known before it is begun."""
    client = make_client(max_stream=10_000, max_batch=100)
    url, headers = create(client), {"Accept": EVENTS}
    rows = [[0.5, 0.5]] * 90
    told = problem(client.post(f"{url}/train", json={"epochs": 9, "probe": {"inputs": rows}}, headers=headers), 422)
    assert told["setting"] == "GRADSTEP_MAX_STREAM"
    body = {"epochs": 9, "report_every": 3, "probe": {"inputs": rows}}
    assert len(streamed(client, url, body)) == 3
    body["probe"] = {"inputs": rows, "include": ["activations"]}  # four numbers a row, in place of one
    problem(client.post(f"{url}/train", json=body, headers=headers), 422, "limit-exceeded")
    assert len(streamed(client, url, body, "?include=&decimals=2")) == 3  # so rounded they are short


def test_a_run_shows_them_again() -> None:
    """By a worker, and to whoever follows the run: at once, later, from anywhere."""

    async def work(here: Here) -> None:
        body = {"epochs": 12, "report_every": 2, "batch_size": 2, "probe": {"inputs": PROBE}}
        url = await here.create(config())
        path = await here.begin(url, body, "?include=parameters")
        async with here.watch(path) as stream:
            entries = (await stream.rest())[:-1]
        async with here.watch(path, last_event_id="6") as later:
            assert (await later.rest())[:-1] == entries[3:]
        assert [event.data["epoch"] for event in entries] == [2, 4, 6, 8, 10, 12]
        for event in entries:
            then = await here.read(f"{url}/snapshot?include=parameters&epoch={event.id}")
            assert event.data["layers"] == then["layers"]
            predicted = await here.client.post(f"{url}/predict?epoch={event.id}", json={"inputs": PROBE})
            assert event.data["probe"]["outputs"] == predicted.json()["outputs"]

    with Here(inline_work=1) as here:
        here.run(work(here))


@pytest.mark.parametrize(
    "query",
    ["?include=activations,gradients,parameters,optimizer,health,jacobians", "?include=parameters&layers=scores"],
)
def test_the_size_of_parts_is_about_what_was_reckoned(make_client: Callable[..., TestClient], query: str) -> None:
    """A bound that is far too low would let memory go, one far too high refuse what is no trouble."""
    inputs = [[0.1234567890123 * i, 0.9876543210987 / (i + 1)] for i in range(40)]
    body = {**CLASSES, "data": {"inputs": inputs, "targets": [i % 3 for i in range(40)]}}
    client = make_client()
    entries = streamed(client, create(client, body), {"epochs": 20}, query)
    length = sum(len(str(shown(event.data)).replace(" ", "")) for event in entries)
    for limit, status in ((length // 2, 422), (3 * length, 200)):
        client = make_client(max_stream=limit)
        answer = client.post(
            f"{create(client, body)}/train{query}", json={"epochs": 20}, headers={"Accept": EVENTS}
        )  # fmt: skip
        assert answer.status_code == status


def test_rows_of_its_own(client: TestClient) -> None:
    """A probe's inputs need not be the session's, nor change what is trained."""
    probed, plain = create(client), create(client)
    streamed(client, probed, {"epochs": 5, "batch_size": 3, "probe": {"inputs": ROWS["inputs"]}})
    post(client, f"{plain}/train", {"epochs": 5, "batch_size": 3})
    hashes = [read(client, f"{url}/history")["items"][-1]["state_hash"] for url in (probed, plain)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("probe", [None, {"inputs": PROBE, "include": ["activations"]}])
@pytest.mark.parametrize(
    "view",
    [
        View(),
        View(frozenset({"activations"}), range(1, 2), slice(1, 3), 4, 1000),
        View(frozenset({"parameters", "health"}), [0]),
    ],
)
def test_another_process_makes_the_same_of_their_spec(view: View, probe: Any) -> None:
    state = Walk(data=ROWS).do(Forward(), Backward(), Step())
    train = Train.model_validate({"epochs": 2, "probe": probe})
    parts = parts_of(state, train, view, with_snapshot=True)
    assert parts is not None
    again = parts_again(state, train, parts.spec)
    assert again is not None
    answers = None if probe is None else passes.predict(state.config, state.state.parameters, np.array(PROBE)).vector
    frame = Frame(state.state, answers)
    assert again.write(state, frame) == parts.write(state, frame)
    assert (again.nbytes, again.frames, again.spec) == (parts.nbytes, parts.frames, parts.spec)
