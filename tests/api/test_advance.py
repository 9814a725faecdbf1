"""Forward, backward, step, train and predict over HTTP."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from .calls import CLASSES, LAYERS, ROWS, config, create, numbers, places, post, problem, read


def test_the_notebook(client: TestClient, notebook: dict[str, Any]) -> None:
    """The worked example, each number as on the blackboard."""
    url = create(client, notebook)

    def call(name: str, **body: Any) -> Any:
        snapshot = post(client, f"{url}/{name}?decimals=5", body)
        layers = {layer["name"]: layer for layer in snapshot["layers"]}
        return snapshot, layers["hidden"], layers["output"]

    snapshot, hidden, output = call("forward")
    assert hidden["z"] == [[0.3775, 0.3925]]
    assert hidden["a"] == [[0.59327, 0.59688]]
    assert output["z"] == [[1.10591]]
    assert snapshot["outputs"] == [[0.75137]]
    assert snapshot["loss"] == 0.27481

    snapshot, hidden, output = call("backward", until="output")
    assert output["dL_dz"] == [[0.1385]]
    assert output["parameters"]["weight"]["gradient"] == [[0.08217, 0.08267]]
    assert hidden["dL_dz"] is None

    snapshot, hidden, output = call("step", parameters=["output.weight"])
    assert output["parameters"]["weight"]["value"] == [[0.35892, 0.40867]]
    assert output["parameters"]["bias"]["value"] == [0.6]

    snapshot, hidden, output = call("backward", using="current")
    assert hidden["dL_dz"] == [[0.01199, 0.01362]]
    assert hidden["parameters"]["weight"]["gradient"] == [[0.0006, 0.0012], [0.00068, 0.00136]]

    snapshot, hidden, output = call("step", parameters=["hidden.weight"])
    assert hidden["parameters"]["weight"]["value"] == [[0.1497, 0.1994], [0.24966, 0.29932]]
    assert (snapshot["phase"], snapshot["steps"], snapshot["revision"]) == ("backward", 0, 5)

    trained = post(client, f"{url}/train", {"epochs": 100, "report_every": 10})
    losses = [round(entry["loss"], 5) for entry in trained["history"]]
    assert losses == [0.11822, 0.04518, 0.02329, 0.01463, 0.01029, 0.00778, 0.00617, 0.00506, 0.00426, 0.00366]
    assert round(trained["snapshot"]["outputs"][0][0], 5) == 0.09555


def test_a_change_says_where_it_can_be_read(client: TestClient) -> None:
    url = create(client)
    for revision, call in enumerate(("forward", "backward", "step", "train"), 1):
        answer = client.post(f"{url}/{call}")
        assert answer.status_code == 200
        assert answer.headers["ETag"] == f'"{revision}"'
        assert answer.headers["Content-Location"] == f"{url}/snapshot?revision={revision}"
        body = answer.json().get("snapshot", answer.json())
        assert body == read(client, answer.headers["Content-Location"])
        assert body["revision"] == read(client, url)["revision"] == revision


def test_phases(client: TestClient) -> None:
    url = create(client)

    def where(call: str, **body: Any) -> tuple[Any, ...]:
        snapshot = post(client, f"{url}/{call}", body)
        assert {key: snapshot[key] for key in ("phase", "next", "allowed", "steps", "epochs", "loss")}.items() <= (
            read(client, url).items()
        )
        operation = snapshot["next"].pop("operation")
        return snapshot["phase"], operation, snapshot["next"], snapshot["allowed"], snapshot["steps"]

    forward, backward, step, train = "forward", "backward", "step", "train"
    every = ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]
    assert where("forward", until="hidden") == (forward, forward, {"layer": "output"}, [forward, train], 0)
    assert where("forward") == (forward, backward, {"layer": "output"}, [forward, backward, train], 0)
    assert where("backward", until="output") == (
        backward, backward, {"layer": "hidden"}, [forward, backward, train], 0,
    )  # fmt: skip
    assert where("step", parameters=["output.bias"])[:3] == (backward, backward, {"layer": "hidden"})
    assert where("backward") == (
        backward, step, {"parameters": every[:3]}, [forward, backward, step, train], 0,
    )  # fmt: skip
    assert where("step", parameters=["hidden.bias"])[2] == {"parameters": ["hidden.weight", "output.weight"]}
    assert where("step") == ("ready", forward, {"layer": "hidden"}, [forward, train], 1)
    assert read(client, url)["epochs"] == 1
    # what was computed stays readable, and cannot be used any more
    assert read(client, f"{url}/snapshot")["layers"][0]["parameters"]["bias"]["gradient"] is not None
    problem(client.post(f"{url}/step"), 409)
    problem(client.post(f"{url}/backward"), 409)
    assert where("forward")[0] == "forward"
    assert read(client, f"{url}/snapshot")["layers"][0]["dL_dz"] is None


def test_forward_starts_anew_with_rows_of_its_own(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward", {"until": "hidden"})
    problem(client.post(f"{url}/forward", json={"until": "hidden"}), 409)
    snapshot = post(client, f"{url}/forward", {"until": "hidden", "inputs": [[1, 2]]})
    assert snapshot["inputs"] == [[1, 2]]
    assert snapshot["targets"] is snapshot["outputs"] is snapshot["loss"] is None
    snapshot = post(client, f"{url}/forward")
    assert snapshot["outputs"] is not None
    assert snapshot["loss"] is None
    problem(client.post(f"{url}/backward"), 409)
    targets = [[1 - target[0]] for target in ROWS["targets"]]
    snapshot = post(client, f"{url}/forward", {"targets": targets})
    assert (snapshot["inputs"], snapshot["targets"]) == (ROWS["inputs"], targets)
    post(client, f"{url}/backward")
    assert post(client, f"{url}/step")["epochs"] == 0  # these were not the session's own


def test_gradients_never_add_up(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    once = post(client, f"{url}/backward")
    assert numbers(post(client, f"{url}/backward")) == numbers(once)


def test_using_the_current_weights(client: TestClient) -> None:
    urls = [create(client) for _ in range(2)]
    for url in urls:
        post(client, f"{url}/forward")
        post(client, f"{url}/backward", {"until": "output"})
        post(client, f"{url}/step", {"parameters": ["output.weight"]})
    now = post(client, f"{urls[0]}/backward", {"using": "current"})["layers"]
    then = post(client, f"{urls[1]}/backward", {"using": "forward"})["layers"]
    for layers, weight in ((now, now[1]["parameters"]["weight"]["value"]), (then, None)):
        if weight is not None:
            expected = np.array(layers[1]["dL_dz"]) @ np.array(weight)
            np.testing.assert_allclose(layers[0]["dL_da"], expected, rtol=1e-14)
    assert now[0]["dL_da"] != then[0]["dL_da"]


def test_frozen_layers(client: TestClient) -> None:
    url = create(client, layers=[{**LAYERS[0], "trainable": False}, LAYERS[1]])
    post(client, f"{url}/forward")
    before = post(client, f"{url}/backward")
    assert before["next"] == {"operation": "step", "parameters": ["output.weight", "output.bias"]}
    assert before["layers"][0]["parameters"]["weight"]["gradient"] is not None
    assert "frozen" in problem(client.post(f"{url}/step", json={"parameters": ["hidden.bias"]}), 409)["detail"]
    after = post(client, f"{url}/step")
    assert after["steps"] == 1
    value = [[s["layers"][i]["parameters"]["weight"]["value"] for s in (before, after)] for i in range(2)]
    assert value[0][0] == value[0][1]
    assert value[1][0] != value[1][1]


TRAININGS: list[dict[str, Any]] = [
    {},
    {"batch_size": 1},
    {"batch_size": 3},
    {"batch_size": 3, "shuffle": True},
    {"batch_size": 1000, "shuffle": True},
    {"stop": ["nonfinite"]},
]


@pytest.mark.parametrize("options", TRAININGS)
def test_training_goes_on_where_it_ended(client: TestClient, options: dict[str, Any]) -> None:
    whole, parts = create(client, optimizer="adam"), create(client, optimizer="adam")
    trained = post(client, f"{whole}/train", {"epochs": 5, **options})
    post(client, f"{parts}/train", {"epochs": 2, **options})
    rest = post(client, f"{parts}/train", {"epochs": 3, **options})
    assert numbers(trained["snapshot"]) == numbers(rest["snapshot"])
    assert trained["history"][-1]["epoch"] == rest["history"][-1]["epoch"] == 5
    assert read(client, whole)["revision"] == 1
    size = options.get("batch_size", 7)
    assert read(client, whole)["steps"] == 5 * -(-7 // size)


def test_a_training_is_its_passes(client: TestClient) -> None:
    by_hand, trained = create(client), create(client)
    for _ in range(3):
        for call in ("forward", "backward", "step"):
            last = post(client, f"{by_hand}/{call}")
    assert numbers(post(client, f"{trained}/train", {"epochs": 3})["snapshot"]) == numbers(last)


@pytest.mark.parametrize(
    ("fields", "most"), [({}, 7), ({"batch_size": 3}, 1), ({"batch_size": 3, "drop_last": True}, 3)]
)
@pytest.mark.parametrize("headers", [{}, {"Accept": "text/event-stream"}, {"Prefer": "respond-async"}])
def test_the_samples_of_a_training_are_those_of_its_last_batch(
    client: TestClient, fields: dict[str, Any], most: int, headers: dict[str, str]
) -> None:
    """More than there will be are refused before anything is done."""
    url = create(client)
    for samples in (f"0:{most + 1}", str(most)):
        answer = client.post(f"{url}/train?samples={samples}", json=fields, headers=headers)
        told = problem(answer, 422, "invalid-input")
        assert places(told) == ["?samples"]
        assert f"there are {most} samples" in told["detail"]
    assert read(client, url)["revision"] == 0
    assert read(client, f"{url}/runs")["items"] == []
    answer = client.post(f"{url}/train?samples=0:{most}", json=fields, headers=headers)
    assert answer.status_code == (202 if "Prefer" in headers else 200)
    if not headers:
        assert len(answer.json()["snapshot"]["outputs"]) == most


@pytest.mark.parametrize("name", ["epochs", "batch_size", "report_every"])
def test_counts_that_are_too_large_for_json(client: TestClient, name: str) -> None:
    """Beyond them a client in JavaScript would have meant another number."""
    url = create(client)
    for headers in ({}, {"Accept": "text/event-stream"}, {"Prefer": "respond-async"}):
        for count in (2**53 + 1, 2**64, 10**30):
            told = problem(client.post(f"{url}/train", json={name: count}, headers=headers), 422, "invalid-input")
            assert places(told) == [f"/{name}"]
    assert (read(client, url)["revision"], read(client, f"{url}/runs")["items"]) == (0, [])
    if name != "epochs":  # of which there may be a million
        assert post(client, f"{url}/train", {name: 2**53})["stopped"]["epoch"] == 1


def test_a_training_starts_from_any_phase(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward", {"inputs": [[1, 2]]})
    assert post(client, f"{url}/train")["stopped"]["step"] == 1
    post(client, f"{url}/forward")
    post(client, f"{url}/backward", {"until": "output"})
    assert post(client, f"{url}/train")["stopped"] == {
        "reason": "epochs", "epoch": 2, "step": 2, "tensor": None, "threshold": None, "actual": None,
    }  # fmt: skip


def test_entries(client: TestClient) -> None:
    body = {**CLASSES, "data": {**CLASSES["data"], "test": {"inputs": [[0, 1]], "targets": [0]}}}  # type: ignore[dict-item]
    history = post(client, f"{create(client, body)}/train", {"epochs": 7, "report_every": 3})["history"]
    assert [entry["epoch"] for entry in history] == [3, 6, 7]
    assert [entry["steps"] for entry in history] == [3, 6, 7]
    for entry in history:
        assert set(entry) == {
            "epoch", "steps", "loss", "test_loss", "accuracy", "test_accuracy", "gradient_norm", "learning_rate",
            "elapsed",
        }  # fmt: skip
        assert entry["learning_rate"] == 0.05
        assert entry["accuracy"] in (0, 1 / 3, 2 / 3, 1)
        assert entry["elapsed"] >= 0
    plain = post(client, f"{create(client)}/train")["history"][0]
    assert set(plain) == {"epoch", "steps", "loss", "gradient_norm", "learning_rate", "elapsed"}


def test_the_numbers_of_an_entry(client: TestClient) -> None:
    url = create(client, optimizer={"type": "sgd", "learning_rate": 0.1, "schedule": {"type": "step", "step_size": 1}})
    loss = post(client, f"{url}/forward")["loss"]
    layers = post(client, f"{url}/backward")["layers"]
    gradients = [numbers["gradient"] for layer in layers for numbers in layer["parameters"].values()]
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients))
    first, second = post(client, f"{url}/train", {"epochs": 2})["history"]
    assert first["loss"] == loss
    assert first["gradient_norm"] == pytest.approx(norm, rel=1e-12)
    assert (first["learning_rate"], second["learning_rate"]) == (0.1, pytest.approx(0.01))
    batches = post(client, f"{create(client)}/train", {"epochs": 1, "batch_size": 3})["history"][0]
    assert batches["loss"] != loss


def test_a_training_stops_before_a_number_is_not_finite(client: TestClient) -> None:
    layers = [{"name": "layer", "units": 1, "bias": "none", "init": {"weight": 1.0}}]
    body = config(
        layers=layers, optimizer={"type": "sgd", "learning_rate": 10.0}, data={"inputs": [[9, 9]], "targets": [[0]]}
    )
    url = create(client, body)
    trained = post(client, f"{url}/train", {"epochs": 1000})
    stopped, snapshot = trained["stopped"], trained["snapshot"]
    assert stopped["reason"] == "nonfinite"
    assert 0 < stopped["epoch"] == stopped["step"] == snapshot["steps"] < 1000
    assert len(trained["history"]) == stopped["epoch"]
    assert stopped["tensor"] in (None, "layer.weight.gradient", "layer.weight.next", "layer.dL_da")
    assert stopped["actual"] in ("Infinity", "-Infinity", "NaN")
    assert snapshot["nonfinite"] == []
    again = post(client, f"{url}/train")
    assert (again["stopped"]["reason"], again["history"]) == ("nonfinite", [])
    assert numbers(again["snapshot"]) == numbers(snapshot)


def test_predict(client: TestClient) -> None:
    url = create(client, data=None)
    before = read(client, url)
    rows = [[0.3, -0.2], [0.9, 0.4]]
    predicted = post(client, f"{url}/predict", {"inputs": rows})
    assert set(predicted) == {"outputs", "nonfinite"}
    deep = post(client, f"{url}/predict?include=activations", {"inputs": rows})
    assert deep["outputs"] == predicted["outputs"] == deep["layers"][-1]["a"]
    assert [set(layer) for layer in deep["layers"]] == [{"name", "z", "a"}] * 2
    assert read(client, url) == before
    snapshot = post(client, f"{url}/forward", {"inputs": rows})
    assert snapshot["outputs"] == predicted["outputs"]
    assert post(client, f"{create(client)}/predict")["outputs"] == post(client, f"{create(client)}/forward")["outputs"]


def test_predict_what_is_not_finite(client: TestClient) -> None:
    url = create(client, layers=[{"units": 1, "init": {"weight": [[1e308, 1e308]]}}], data=None)
    predicted = post(client, f"{url}/predict", {"inputs": [[0, 0], [10, 10]]})
    assert predicted["outputs"][1] == [None]
    assert predicted["nonfinite"] == [{"name": "outputs", "index": [1, 0], "value": "Infinity"}]


def test_work_in_the_lane_comes_to_the_same(make_client: Callable[..., TestClient]) -> None:
    inline, lane = make_client(), make_client(inline_work=1)
    for client in (inline, lane):
        url = create(client)
        for call in ("forward", "backward", "step"):
            post(client, f"{url}/{call}")
        post(client, f"{url}/train", {"epochs": 3, "batch_size": 2, "shuffle": True})
        post(client, f"{url}/predict")
    a, b = (
        numbers(read(client, read(client, "/v1/sessions")["items"][0]["id"].join(("/v1/sessions/", "/snapshot"))))
        for client in (inline, lane)
    )
    assert a == b


def test_a_training_by_a_worker_comes_to_the_same(make_client: Callable[..., TestClient]) -> None:
    here, there = make_client(inline_work=10**12), make_client(inline_work=1)
    body = {"epochs": 50, "batch_size": 2, "shuffle": True, "report_every": 7}
    answers = []
    for client in (here, there):
        url = create(client, optimizer="adam")
        answer = client.post(f"{url}/train?decimals=9", json=body)
        assert answer.headers["ETag"] == '"1"'
        assert answer.headers["Content-Location"] == f"{url}/snapshot?revision=1"
        trained = answer.json()
        assert trained["snapshot"] == read(client, f"{url}/snapshot?decimals=9")
        history = [{**entry, "elapsed": None} for entry in trained["history"]]
        state_hash = read(client, f"{url}/history")["items"][-1]["state_hash"]
        answers.append((history, trained["stopped"], numbers(trained["snapshot"]), state_hash))
    assert answers[0] == answers[1]
    [run] = read(there, f"{url}/runs")["items"]
    assert (run["status"], run["epochs_done"]) == ("finished", 50)


def test_a_training_by_a_worker_that_stops_before_a_number_is_not_finite(
    make_client: Callable[..., TestClient],
) -> None:
    layers = [{"name": "layer", "units": 1, "bias": "none", "init": {"weight": 1.0}}]
    data = {"inputs": [[9, 9]], "targets": [[0]]}
    stopped = []
    for client in (make_client(), make_client(inline_work=1)):
        url = create(client, layers=layers, optimizer={"type": "sgd", "learning_rate": 10.0}, data=data)
        stopped.append(post(client, f"{url}/train", {"epochs": 1000})["stopped"])
    assert stopped[0] == stopped[1]
    assert stopped[0]["reason"] == "nonfinite"


def test_a_refused_operation_changes_nothing(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    before = read(client, f"{url}/export")
    problem(client.post(f"{url}/step"), 409)
    problem(client.post(f"{url}/forward", json={"inputs": [[1, 2]], "targets": [[1], [2]]}), 422)
    problem(client.post(f"{url}/backward", json={"until": "zebra"}), 422)
    problem(client.post(f"{url}/train", json={}, headers={"If-Match": '"0"'}), 412)
    assert read(client, f"{url}/export") == before
    assert read(client, url)["revision"] == 1
