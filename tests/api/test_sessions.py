"""Making, reading, changing and ending sessions: the contract, call by call."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from .calls import CLASSES, LAYERS, ROWS, config, create, numbers, places, post, problem, read


def test_create(client: TestClient, notebook: dict[str, Any]) -> None:
    answer = client.post("/v1/sessions", json=notebook)
    body = answer.json()
    assert answer.status_code == 201
    url = answer.headers["Location"]
    assert url == f"/v1/sessions/{body['id']}"
    assert answer.headers["ETag"] == '"0"'
    assert answer.headers["Content-Location"] == f"{url}/snapshot?revision=0"
    assert client.get(answer.headers["Content-Location"]).status_code == 200
    assert read(client, url) == body

    assert body["name"] == "notebook"
    assert (body["revision"], body["latest_revision"]) == (0, 0)
    assert (body["steps"], body["epochs"], body["epoch_position"]) == (0, 0, 0)
    assert body["phase"] == "ready"
    assert body["next"] == {"operation": "forward", "layer": "hidden"}
    assert body["allowed"] == ["forward", "train"]
    assert body["loss"] is body["forked_from"] is body["run"] is None
    assert body["parameter_count"] == 8
    assert body["created_at"] == body["updated_at"] == "2026-11-18T11:06:40.000Z"
    assert body["expires_at"] == "2026-11-18T17:06:40.000Z"


def test_the_config_is_completed(client: TestClient) -> None:
    body = {"network": {"inputs": 2, "layers": [{"units": 3}, {"units": 1}]}, "loss": "mse"}
    completed = client.post("/v1/sessions", json=body).json()["config"]
    default = {"type": "default"}
    layer = {
        "type": "dense", "activation": {"type": "identity"}, "bias": "per_unit", "trainable": True,
        "init": {"weight": default, "bias": default},
    }  # fmt: skip
    assert completed == {
        "name": None,
        "network": {"inputs": 2, "layers": [
            {**layer, "name": "layer1", "units": 3}, {**layer, "name": "layer2", "units": 1},
        ]},
        "loss": {"type": "mse", "reduction": "mean"},
        "optimizer": {
            "type": "sgd", "learning_rate": 0.001, "weight_decay": 0.0, "clip": None, "schedule": None, "momentum": 0.0,
            "dampening": 0.0, "nesterov": False,
        },
        "data": None,
        "seed": 0,
        "dtype": "float64",
    }  # fmt: skip


VARIED = [
    config(seed=7, optimizer={"type": "adamw", "betas": [0.8, 0.9], "schedule": {"type": "step", "step_size": 3}}),
    config(dtype="float32", data={**ROWS, "test_fraction": 0.3}),
    config(layers=[{**LAYERS[0], "bias": "none", "trainable": False}, {**LAYERS[1], "bias": "shared"}]),
    {**CLASSES, "loss": {"type": "cross_entropy", "reduction": "sum"}},
]


@pytest.mark.parametrize("body", VARIED)
def test_a_completed_config_makes_an_equal_session(client: TestClient, body: dict[str, Any]) -> None:
    one = create(client, body)
    completed = read(client, one)["config"]
    other = create(client, completed)
    assert read(client, other)["config"] == completed
    post(client, f"{one}/train", {"epochs": 3})
    post(client, f"{other}/train", {"epochs": 3})
    assert numbers(read(client, f"{one}/snapshot")) == numbers(read(client, f"{other}/snapshot"))


def test_a_seed_makes_equal_numbers_on_every_server(make_client: Callable[..., TestClient]) -> None:
    def snapshot(seed: int) -> dict[str, Any]:
        client = make_client()
        return numbers(read(client, create(client, seed=seed) + "/snapshot"))

    assert snapshot(1) == snapshot(1) != snapshot(2)


def test_dry_run(client: TestClient, notebook: dict[str, Any]) -> None:
    answer = client.post("/v1/sessions?dry_run=true", json=notebook)
    body = answer.json()
    assert answer.status_code == 200
    assert "Location" not in answer.headers
    assert set(body) == {"config", "parameter_count", "estimate"}
    assert body["parameter_count"] == 8
    assert body["estimate"]["backward"] == 2 * body["estimate"]["forward"]
    assert set(body["estimate"]) == {"bytes", "forward", "backward", "step"}
    assert read(client, "/v1/sessions")["items"] == []
    created = read(client, create(client, body["config"]))
    assert created["config"] == {**body["config"], "data": created["config"]["data"]}
    without_data = {key: value for key, value in notebook.items() if key != "data"}
    assert client.post("/v1/sessions?dry_run=1", json=without_data).status_code == 200
    problem(client.post("/v1/sessions?dry_run=true", json={**notebook, "seed": -1}), 422)


def test_list(client: TestClient, clock: Any) -> None:
    assert read(client, "/v1/sessions") == {"items": [], "next": None}
    made = []
    for index in range(5):
        made.append(create(client, name=f"session {index}").rpartition("/")[2])
        clock.now += index % 2  # some at the same time
    page = read(client, "/v1/sessions")
    assert page["next"] is None
    assert sorted(item["id"] for item in page["items"]) == sorted(made)
    assert [item["created_at"] for item in page["items"]] == sorted(item["created_at"] for item in page["items"])
    assert set(page["items"][0]) == set(read(client, f"/v1/sessions/{made[0]}")) - {"config"}

    paged, url = [], "/v1/sessions?limit=2"
    while url:
        page = read(client, url)
        assert len(page["items"]) <= 2
        paged += [item["id"] for item in page["items"]]
        url = page["next"]
    assert paged == [item["id"] for item in read(client, "/v1/sessions")["items"]]


def test_a_page_goes_on_where_the_one_before_ended(client: TestClient, clock: Any) -> None:
    urls = []
    for _ in range(4):
        urls.append(create(client))
        clock.now += 1
    following = read(client, "/v1/sessions?limit=2")["next"]
    client.delete(urls[0])
    post(client, f"{urls[1]}/forward")  # a change moves nothing in the list
    assert [f"/v1/sessions/{item['id']}" for item in read(client, following)["items"]] == urls[2:]


def test_patch(client: TestClient, clock: Any) -> None:
    url = create(client, name="first")
    clock.now += 60
    answer = client.patch(url, json={"name": "second"})
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Content-Location"] == f"{url}/snapshot?revision=1"
    assert body == read(client, url)
    assert (body["name"], body["config"]["name"]) == ("second", "second")
    assert (body["revision"], body["latest_revision"]) == (1, 1)
    assert body["updated_at"] == "2026-11-18T11:07:40.000Z"
    assert body["expires_at"] == "2026-11-18T17:07:40.000Z"
    assert client.patch(url, json={"name": None}).json()["name"] is None
    assert client.patch(url, json={}).json()["revision"] == 3


def test_patch_merges(client: TestClient) -> None:
    url = create(client, optimizer={"type": "sgd", "learning_rate": 0.5, "momentum": 0.9})

    def change(patch: Any) -> Any:
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = client.patch(url, json={"optimizer": patch}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["config"]["optimizer"]

    before = read(client, url)["config"]["optimizer"]
    assert change({"learning_rate": 0.1}) == {**before, "learning_rate": 0.1}
    assert change({"learning_rate": None})["learning_rate"] == 0.001
    assert change({"schedule": {"type": "exponential", "gamma": 0.9}})["schedule"]["gamma"] == 0.9
    assert change({"schedule": {"gamma": 0.8}})["schedule"] == {"type": "exponential", "gamma": 0.8, "warmup": None}
    assert change({"schedule": None})["schedule"] is None
    assert change({"type": "sgd", "nesterov": True})["momentum"] == 0.9
    assert change("adam")["betas"] == [0.9, 0.999]
    assert change({"type": "rmsprop", "alpha": 0.5})["alpha"] == 0.5
    assert change(None) == {**before, "learning_rate": 0.001, "momentum": 0.0}


def test_patched_optimizer_takes_the_next_step(client: TestClient) -> None:
    one = create(client, optimizer={"type": "sgd", "learning_rate": 0.1})
    client.patch(one, json={"optimizer": {"learning_rate": 0.5}})
    other = create(client, optimizer={"type": "sgd", "learning_rate": 0.5})
    snapshots = [post(client, f"{url}/train")["snapshot"] for url in (one, other)]
    assert numbers(snapshots[0]) == numbers(snapshots[1])


def test_another_type_empties_the_slots_and_the_same_keeps_them(client: TestClient) -> None:
    url = create(client, optimizer="adam")
    post(client, f"{url}/train", {"epochs": 3})

    def state() -> Any:
        return read(client, f"{url}/snapshot")["layers"][0]["parameters"]["bias"]["state"]

    kept = state()
    assert kept["step"] == 3
    client.patch(url, json={"optimizer": {"learning_rate": 0.5}})
    assert state() == kept
    client.patch(url, json={"optimizer": "sgd"})
    assert state() == {}
    client.patch(url, json={"optimizer": "adam"})
    assert state() == {"exp_avg": [0, 0, 0], "exp_avg_sq": [0, 0, 0], "step": 0}


NAMELESS = {"input_names": None, "class_names": None}


def test_put_data(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    post(client, f"{url}/backward")
    rows = {"inputs": [[1, 2], [3, 4], [5, 6]], "targets": [[0], [1], [0]]}
    answer = client.put(f"{url}/data", json=rows)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"3"'
    assert answer.headers["Content-Location"] == f"{url}/snapshot?revision=3"
    assert answer.json()["config"]["data"] == {"type": "inline", **rows, "test": None}
    assert answer.json()["phase"] == "ready"
    assert read(client, f"{url}/data") == {**rows, "test": None, **NAMELESS}
    snapshot = read(client, f"{url}/snapshot")
    hidden = snapshot["layers"][0]
    assert snapshot["inputs"] is snapshot["outputs"] is snapshot["loss"] is None
    assert hidden["z"] is hidden["dL_dz"] is hidden["parameters"]["weight"]["gradient"] is None
    assert post(client, f"{url}/train")["snapshot"]["inputs"] == rows["inputs"]


def test_data_with_a_test(client: TestClient) -> None:
    url = create(client, data=None)
    assert read(client, f"{url}/data") == {"inputs": None, "targets": None, "test": None, **NAMELESS}
    assert read(client, url)["config"]["data"] is None
    assert read(client, url)["allowed"] == []
    test = {"inputs": [[9, 9]], "targets": [[1]]}
    client.put(f"{url}/data", json={**ROWS, "test": test})
    assert read(client, f"{url}/data") == {**ROWS, "test": test, **NAMELESS}
    client.put(f"{url}/data", json={**ROWS, "test_fraction": 0.3})
    data = read(client, f"{url}/data")
    assert len(data["test"]["inputs"]) == 2
    assert sorted(data["inputs"] + data["test"]["inputs"]) == sorted(ROWS["inputs"])
    assert "test_fraction" not in read(client, url)["config"]["data"]


def test_classes_stay_a_flat_list(client: TestClient) -> None:
    url = create(client, CLASSES)
    assert read(client, f"{url}/data")["targets"] == [0, 1, 2]
    assert post(client, f"{url}/forward")["targets"] == [0, 1, 2]


def test_delete(client: TestClient) -> None:
    url = create(client)
    answer = client.delete(url)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(client.get(url), 404, "session-not-found")
    problem(client.delete(url), 404, "session-not-found")
    assert read(client, "/v1/sessions")["items"] == []


def test_reads_do_not_prolong_a_session_and_changes_do(client: TestClient, clock: Any) -> None:
    url = create(client)
    clock.now += 6 * 3600 - 1
    for path in ("", "/snapshot", "/data", "/export"):
        assert client.get(url + path).status_code == 200
    post(client, f"{url}/predict")
    post(client, f"{url}/forward")
    clock.now += 6 * 3600 - 1
    assert client.get(url).status_code == 200
    clock.now += 1
    problem(client.get(url), 410, "session-expired")


def test_if_match(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    assert client.patch(url, json={"name": "a"}, headers={"If-Match": '"1"'}).status_code == 200
    assert "revision 2" in problem(client.patch(url, json={}, headers={"If-Match": '"1"'}), 412)["detail"]
    for tag in ('"2"', 'W/"2"', '"2-gzip"', '"2-npz"', '"7", "2"', "*"):
        client.patch(url, json={}, headers={"If-Match": tag})
        post(client, f"{url}/forward", None, **{"If-Match": tag.replace("2", "3")})
        url = create(client)
        post(client, f"{url}/forward")
        post(client, f"{url}/forward")
    problem(client.put(f"{url}/data", json=ROWS, headers={"If-Match": '"1"'}), 412)
    problem(client.delete(url, headers={"If-Match": '"1"'}), 412)
    assert client.delete(url, headers={"If-Match": '"2"'}).status_code == 204


PHASES: dict[str, list[tuple[str, Any]]] = {
    "new": [],
    "within the forward pass": [("forward", {"until": "hidden"})],
    "forward": [("forward", {})],
    "forward over other rows": [("forward", {"inputs": [[1, 2], [3, 4]], "targets": [[0], [1]]})],
    "forward without targets": [("forward", {"inputs": [[1, 2]]})],
    "within the backward pass": [("forward", {}), ("backward", {"until": "output"})],
    "a layer updated before the rest": [
        ("forward", {}), ("backward", {"until": "output"}), ("step", {"parameters": ["output.weight"]}),
    ],
    "backward": [("forward", {}), ("backward", {})],
    "within the step": [("forward", {}), ("backward", {}), ("step", {"parameters": ["hidden.bias"]})],
    "after a step": [("forward", {}), ("backward", {}), ("step", {})],
    "after a training": [("train", {"epochs": 5})],
    "after mini-batches": [("train", {"epochs": 2, "batch_size": 3, "shuffle": True})],
    "after a step over other rows": [
        ("train", {"epochs": 2}), ("forward", {"inputs": [[1, 2]], "targets": [[0]]}), ("backward", {}), ("step", {}),
    ],
}  # fmt: skip
OPTIMIZERS = ["sgd", {"type": "sgd", "momentum": 0.9}, {"type": "adam", "amsgrad": True}, "adagrad"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("phase", PHASES)
def test_an_export_goes_on_as_the_session_would(make_client: Callable[..., TestClient], phase: str, dtype: str) -> None:
    client, elsewhere = make_client(), make_client()
    for optimizer in OPTIMIZERS:
        one = create(client, optimizer=optimizer, dtype=dtype, name="one", seed=3)
        for call, body in PHASES[phase]:
            post(client, f"{one}/{call}", body)
        document = read(client, f"{one}/export")
        other = create(elsewhere, document)
        assert read(elsewhere, f"{other}/export") == document
        names = ("config", "phase", "next", "allowed", "steps", "epochs", "epoch_position", "loss", "name")
        assert {k: read(client, one)[k] for k in names} == {k: read(elsewhere, other)[k] for k in names}
        rest = {"ready": [], "forward": ["backward", "step"], "backward": ["backward", "step"]}[document["phase"]]
        for call in [*rest, "forward", "backward", "step", "train"]:
            answers = [c.post(f"{url}/{call}") for c, url in ((client, one), (elsewhere, other))]
            assert answers[0].status_code == answers[1].status_code
            if answers[0].is_success:
                assert read(client, f"{one}/export") == read(elsewhere, f"{other}/export")
                a, b = (answer.json() for answer in answers)
                assert numbers(a.get("snapshot", a)) == numbers(b.get("snapshot", b))


def test_an_export_keeps_what_json_cannot_say(client: TestClient) -> None:
    layers = [{"name": "layer", "units": 2, "init": {"weight": [[1e308, 1e308], [-0.0, 0.0]], "bias": -0.0}}]
    rows = {"inputs": [[10, 10], [-1e-320, 0]], "targets": [[0, 0], [0, 0]]}
    one = create(client, layers=layers, data=rows)
    post(client, f"{one}/forward")
    post(client, f"{one}/backward")
    other = create(client, read(client, f"{one}/export"))
    snapshots = [client.get(f"{url}/snapshot").text.partition('"phase"')[2] for url in (one, other)]
    assert snapshots[0] == snapshots[1]
    assert "-0.0" in snapshots[0]
    words = {entry["value"] for entry in read(client, f"{other}/snapshot")["nonfinite"]}
    assert {"Infinity", "-Infinity", "NaN"} & words
    post(client, f"{one}/step")
    post(client, f"{other}/step")
    assert read(client, f"{one}/export") == read(client, f"{other}/export")


def test_an_export_as_pytorch(client: TestClient, notebook: dict[str, Any]) -> None:
    url = create(client, notebook)
    post(client, f"{url}/train", {"epochs": 1})
    answer = client.get(f"{url}/export?format=pytorch&revision=0")
    assert answer.headers["content-type"] == "text/x-python; charset=utf-8"
    assert answer.text.startswith('"""notebook, revision 0, epoch 0: in PyTorch."""')
    assert 'layers["output"].weight.copy_(torch.tensor([[0.4, 0.45]]))' in answer.text
    compile(answer.text, "script.py", "exec")
    assert problem(client.get(f"{url}/export?format=keras"), 422)["errors"][0]["parameter"] == "format"


def test_an_import_is_checked(client: TestClient) -> None:
    document = read(client, create(client) + "/export")
    bad = {**document, "phase": "forward"}
    assert places(problem(client.post("/v1/sessions", json=bad), 422)) == ["/counters/forwarded"]
    assert places(problem(client.post("/v1/sessions", json={**document, "version": 2}), 422)) == ["/version"]
    assert places(problem(client.post("/v1/sessions", json={"format": "zebra"}), 422))[0] == "/format"
    drafted = client.post("/v1/sessions?dry_run=true", json=document).json()["config"]
    assert drafted["network"] == document["config"]["network"]


def test_an_import_of_more_rows_than_are_allowed(make_client: Callable[..., TestClient]) -> None:
    client = make_client()
    url = create(client, data=None)
    post(client, f"{url}/forward", {"inputs": [[1, 2]] * 20})
    document = read(client, f"{url}/export")
    body = problem(make_client(max_batch=10).post("/v1/sessions", json=document), 422, "limit-exceeded")
    assert places(body) == ["/tensors/inputs"]
    large = {"dtype": "float64", "shape": [10**12, 2], "base64": ""}
    document["tensors"]["inputs"] = large
    problem(client.post("/v1/sessions", json=document), 422, "limit-exceeded")


def test_4_mb_of_wrong_tensors_are_refused_soon(client: TestClient) -> None:
    document = read(client, create(client) + "/export")
    many = {**document, "tensors": {f"t{i}": 1 for i in range(200_000)}}
    assert places(problem(client.post("/v1/sessions", json=many), 422)) == ["/tensors"]
    too_many = {**document, "tensors": {f"t{i}": 1 for i in range(300_000)}}
    problem(client.post("/v1/sessions", json=too_many), 413, "body-too-large")
    wrong = {**document, "tensors": {f"t{i}": {} for i in range(20_000)}}
    assert places(problem(client.post("/v1/sessions", json=wrong), 422))[0] == "/tensors/t0/dtype"
    assert places(problem(client.post("/v1/sessions", json={**document, "tensors": []}), 422)) == ["/tensors"]


def test_a_dry_run_says_what_would_be_made(client: TestClient) -> None:
    body = config(dtype="float32", data={**ROWS, "test_fraction": 0.3}, seed=3)
    planned = post(client, "/v1/sessions?dry_run=true", body)["config"]
    made = post(client, "/v1/sessions", body)["config"]
    assert planned == made
    assert len(planned["data"]["test"]["inputs"]) == 2
