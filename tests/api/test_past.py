"""The history of a session over HTTP: listed, gone back to, forked, compared, and read as of then."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from starlette.testclient import TestClient

from app.exports.npz import to_npz

from .calls import CLASSES, JSON, LAYERS, NPZ, ROWS, config, create, named, npz, numbers, places, post, problem, read

CALLS: list[tuple[str, str, Any]] = [
    ("forward to hidden", "forward", {"until": "hidden"}),
    ("forward", "forward", {}),
    ("backward to output", "backward", {"until": "output"}),
    ("step output.bias, output.weight", "step", {"parameters": ["output.bias", "output.weight"]}),
    ("backward", "backward", {"using": "current"}),
    ("step", "step", {}),
    ("train 3 epochs", "train", {"epochs": 3, "batch_size": 4, "shuffle": True}),
    ("train 1 epoch", "train", {}),
    ("forward over other rows", "forward", {"inputs": [[1, 2]], "targets": [[1]]}),
]
CHANGES: list[tuple[str, str, str, str, Any]] = [
    (
        "edit output.bias[0], hidden.bias",
        "edit",
        "PATCH",
        "/parameters",
        {"output.bias[0]": 1, "hidden.bias": [1, 2, 3]},
    ),
    ("rename", "change", "PATCH", "", {"name": "new"}),
    ("change the optimizer", "change", "PATCH", "", {"optimizer": "adam"}),
    ("replace the data", "data", "PUT", "/data", ROWS),
]


def fork(client: TestClient, url: str, **body: Any) -> str:
    answer = client.post(f"{url}/fork", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


def history(client: TestClient, url: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = read(client, f"{url}/history?limit=1000")["items"]
    return items


def hash_of(client: TestClient, url: str) -> str:
    """The hash of the state where a session stands."""
    now = read(client, url)["revision"]
    return str(next(item["state_hash"] for item in history(client, url) if item["revision"] == now))


# History


def test_history(client: TestClient, clock: Any) -> None:
    url = create(client, optimizer="adam")
    expected: list[tuple[str, str, Any]] = [("create", "create", {})]
    for label, call, body in CALLS:
        clock.now += 1
        post(client, f"{url}/{call}", body)
        expected.append((label, call, body))
    for label, operation, method, path, body in CHANGES:
        assert client.request(method, url + path, json=body).status_code == 200
        expected.append((label, operation, {} if operation == "data" else body))
    items = history(client, url)
    assert [item["revision"] for item in items] == list(range(14))
    assert [(item["label"], item["operation"], item["arguments"]) for item in items] == expected
    members = [
        "revision", "operation", "label", "arguments", "phase", "steps", "epochs", "loss", "state_hash", "at", "kept",
    ]  # fmt: skip
    for item in items:
        assert [key for key in item if key not in ("epoch_from", "epoch_to", "run")] == members
        assert ("epoch_from" in item) == ("epoch_to" in item) == ("run" in item) == (item["operation"] == "train")
        snapshot = read(client, f"{url}/snapshot?revision={item['revision']}&include=")
        assert {key: item[key] for key in ("phase", "steps", "epochs", "loss")}.items() <= snapshot.items()
        assert item["kept"] is True
        assert len(bytes.fromhex(item["state_hash"])) == 32
    assert [(item["epoch_from"], item["epoch_to"], item["run"]) for item in items if "run" in item] == [
        (2, 4, None), (5, 5, None),
    ]  # fmt: skip
    assert items[0]["at"] == "2026-11-18T11:06:40.000Z"
    assert items[3]["at"] == "2026-11-18T11:06:43.000Z"


def test_pages_of_a_history(client: TestClient) -> None:
    url = create(client)
    for _ in range(6):
        post(client, f"{url}/train")
    whole = history(client, url)
    for limit in (1, 2, 3, 7, 8):
        found: list[Any] = []
        page = {"next": f"{url}/history?limit={limit}"}
        while page["next"]:
            page = read(client, page["next"])
            assert 0 < len(page["items"]) <= limit
            found += page["items"]
        assert found == whole
    assert read(client, f"{url}/history?after=3")["items"] == whole[4:]
    assert read(client, f"{url}/history?after=99") == {"items": [], "next": None}
    for query in ("limit=0", "limit=1001", "after=-2", "after=x", "revision=1"):
        assert places(problem(client.get(f"{url}/history?{query}"), 422)) == ["?" + query.partition("=")[0]]


def test_a_history_after_a_cut(client: TestClient) -> None:
    url = create(client)
    for _ in range(4):
        post(client, f"{url}/train")
    post(client, f"{url}/rewind", {"revision": 1})
    assert [item["revision"] for item in history(client, url)] == [0, 1, 2, 3, 4]
    post(client, f"{url}/forward")
    assert [item["revision"] for item in history(client, url)] == [0, 1, 5]
    assert [item["revision"] for item in read(client, f"{url}/history?limit=1&after=1")["items"]] == [5]
    assert [item["revision"] for item in read(client, f"{url}/history?after=3")["items"]] == [5]


def test_long_labels_and_arguments(client: TestClient) -> None:
    url = create(client)
    names = {f"hidden.weight[{j}][{i}]": 1.0 for j in range(3) for i in range(2)}
    client.patch(f"{url}/parameters", json=names)
    post(client, f"{url}/forward", {"inputs": [[1, 2]] * 2000})
    edit, forward = history(client, url)[1:]
    assert len(edit["label"]) == 80
    assert edit["label"].startswith("edit hidden.weight[0][0], ")
    assert edit["label"].endswith("…")
    assert edit["arguments"] == names
    assert (forward["label"], forward["arguments"]) == ("forward over other rows", {"inputs": None})


def test_labels_of_two_things_at_once_and_of_a_fork_of_an_epoch(client: TestClient) -> None:
    url = create(client)
    assert client.patch(url, json={"name": "new", "optimizer": "adam"}).status_code == 200
    post(client, f"{url}/train", {"epochs": 3})
    labels = [item["label"] for item in history(client, url)]
    assert labels == ["create", "rename, and change the optimizer", "train 3 epochs"]
    inside, whole = fork(client, url, epoch=2), fork(client, url, epoch=3)
    assert [history(client, child)[0]["label"] for child in (inside, whole)] == [
        "fork from the end of epoch 2", "fork from revision 2",
    ]  # fmt: skip


def test_edits_whose_names_are_too_many_to_keep(client: TestClient) -> None:
    url = create(client, layers=[{"name": "hidden", "units": 1100}, {"name": "output", "units": 1}])
    edits = {f"hidden.weight[{i}][0]": 0.5 for i in range(1100)}
    assert client.patch(f"{url}/parameters?include=", json=edits).status_code == 200
    entry = history(client, url)[1]
    assert (entry["label"], entry["arguments"]) == ("edit many numbers", {})


def test_states_that_are_let_go(make_client: Callable[..., TestClient]) -> None:
    """They are read as before: they are computed again."""
    client, small = make_client(), make_client(max_history=20_000)
    urls = [create(c, optimizer="adam") for c in (client, small)]
    for c, url in zip((client, small), urls, strict=True):
        for _ in range(20):
            for call in ("forward", "backward", "step"):
                post(c, f"{url}/{call}?include=")
    items = [history(c, url) for c, url in zip((client, small), urls, strict=True)]
    assert all(item["kept"] for item in items[0])
    assert not all(item["kept"] for item in items[1])
    assert [item["state_hash"] for item in items[0]] == [item["state_hash"] for item in items[1]]
    for item in items[1]:
        query = f"snapshot?revision={item['revision']}"
        assert numbers(read(client, f"{urls[0]}/{query}")) == numbers(read(small, f"{urls[1]}/{query}"))
    post(small, f"{urls[1]}/rewind", {"revision": next(item["revision"] for item in items[1] if not item["kept"])})


# Hashes


def test_equal_states_hash_alike(client: TestClient) -> None:
    one, other = create(client, name="one"), create(client, name="other")
    for call in ("forward", "backward", "step"):
        post(client, f"{one}/{call}")
    post(client, f"{other}/train")
    assert hash_of(client, one) == hash_of(client, other)
    hashes = [item["state_hash"] for item in history(client, one)]
    assert len(set(hashes)) == 4
    client.patch(one, json={"name": "new"})
    assert hash_of(client, one) == hashes[-1]
    post(client, f"{one}/rewind", {"revision": 1})
    assert hash_of(client, one) == hashes[1]
    assert hash_of(client, fork(client, one)) == hashes[1]
    assert hash_of(client, create(client, seed=1)) != hashes[0]
    assert hash_of(client, create(client, dtype="float32")) != hashes[0]
    client.patch(f"{one}/parameters", json={"output.bias[0]": 0.1})
    assert hash_of(client, one) not in hashes


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_hash_outlives_an_export(make_client: Callable[..., TestClient], dtype: str) -> None:
    client, elsewhere = make_client(), make_client()
    url = create(client, optimizer="adam", dtype=dtype)
    for _, call, body in CALLS:
        post(client, f"{url}/{call}", body)
        copy = create(elsewhere, read(client, f"{url}/export"))
        assert hash_of(elsewhere, copy) == hash_of(client, url)


def test_a_hash_is_the_same_in_another_process(client: TestClient) -> None:
    url = create(client, seed=5, optimizer="adam")
    post(client, f"{url}/train", {"epochs": 3, "batch_size": 2, "shuffle": True})
    body = config(seed=5, optimizer="adam")
    script = (
        "import sys, json; from starlette.testclient import TestClient; from app.main import app\n"
        "client = TestClient(app); url = client.post('/v1/sessions', json=json.load(sys.stdin)).headers['Location']\n"
        "client.post(f'{url}/train', json={'epochs': 3, 'batch_size': 2, 'shuffle': True})\n"
        "print(client.get(f'{url}/history').json()['items'][-1]['state_hash'])"
    )
    done = subprocess.run([sys.executable, "-c", script], input=orjson.dumps(body), capture_output=True, check=True)
    assert done.stdout.decode().strip() == hash_of(client, url)


# Curves


def rows_of(curves: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The entries of curves, without what differs from run to run."""
    columns = {name: values for name, values in curves.items() if name != "elapsed"}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def entries_of(trained: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "elapsed"} for entry in trained["history"]]


def test_curves_are_the_entries(client: TestClient) -> None:
    url = create(client)
    assert read(client, f"{url}/curves") == {"epoch": [], "steps": [], "loss": []}
    first = entries_of(post(client, f"{url}/train", {"epochs": 3}))
    second = entries_of(post(client, f"{url}/train", {"epochs": 4, "batch_size": 2, "report_every": 2}))
    curves = read(client, f"{url}/curves")
    assert list(curves) == ["epoch", "steps", "loss", "gradient_norm", "learning_rate", "elapsed"]
    assert rows_of(curves) == [*first, *second]
    assert curves["epoch"] == [1, 2, 3, 4, 6, 7]


def test_curves_of_classes_and_a_test(client: TestClient) -> None:
    data = {**CLASSES["data"], "test": {"inputs": [[0, 1]], "targets": [0]}}  # type: ignore[dict-item]
    url = create(client, {**CLASSES, "data": data})
    entries = entries_of(post(client, f"{url}/train", {"epochs": 2}))
    for call in ("forward", "backward", "step"):
        post(client, f"{url}/{call}")
    curves = read(client, f"{url}/curves")
    assert list(curves) == [
        "epoch", "steps", "loss", "test_loss", "accuracy", "test_accuracy", "gradient_norm", "learning_rate", "elapsed",
    ]  # fmt: skip
    assert rows_of(curves)[:2] == entries
    assert curves["epoch"] == [1, 2, 3]
    by_hand = rows_of(curves)[2]
    assert None not in by_hand.values()
    assert curves["elapsed"][2] is None
    again = create(client, {**CLASSES, "data": data})
    post(client, f"{again}/train", {"epochs": 2})
    assert entries_of(post(client, f"{again}/train")) == [by_hand]  # an epoch by hand is one of a training


def test_curves_are_thinned(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/train", {"epochs": 50})
    post(client, f"{url}/train", {"epochs": 53})
    whole = rows_of(read(client, f"{url}/curves"))
    for most in (2, 3, 10, 102):
        thin = rows_of(read(client, f"{url}/curves?max_points={most}"))
        assert len(thin) == most
        assert thin[-1] == whole[-1]
        assert all(entry in whole for entry in thin)
        steps = np.diff([entry["epoch"] for entry in thin])
        assert steps.max() - steps.min() <= 1
    assert rows_of(read(client, f"{url}/curves?max_points=103")) == whole
    for wrong in ("1", "100001", "x"):
        assert places(problem(client.get(f"{url}/curves?max_points={wrong}"), 422)) == ["?max_points"]


def test_curves_as_csv(client: TestClient) -> None:
    url = create(client)
    headers = {"Accept": "text/csv"}
    assert client.get(f"{url}/curves", headers=headers).text == "epoch,steps,loss\r\n"
    post(client, f"{url}/train", {"epochs": 2})
    for call in ("forward", "backward", "step"):
        post(client, f"{url}/{call}")
    answer = client.get(f"{url}/curves", headers=headers)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "Accept" in answer.headers["Vary"]
    curves = read(client, f"{url}/curves")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == list(curves)
    for name, values in curves.items():
        assert [row[name] and float(row[name]) for row in rows] == ["" if value is None else value for value in values]


def test_curves_that_are_not_finite(client: TestClient) -> None:
    layers = [{"name": "layer", "units": 1, "bias": "none", "init": {"weight": 1e200}}]
    url = create(client, layers=layers, data={"inputs": [[9, 9]], "targets": [[0]]})
    for call in ("forward", "backward", "step"):
        post(client, f"{url}/{call}")
    assert read(client, f"{url}/curves")["loss"] == [None]
    assert ",Infinity," in client.get(f"{url}/curves", headers={"Accept": "text/csv"}).text


def test_curves_of_the_past(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/train", {"epochs": 3})
    post(client, f"{url}/forward")
    post(client, f"{url}/train", {"epochs": 4})
    whole = rows_of(read(client, f"{url}/curves"))
    for query, count in (("revision=0", 0), ("revision=1", 3), ("revision=2", 3), ("epoch=0", 0), ("epoch=5", 5)):
        assert rows_of(read(client, f"{url}/curves?{query}")) == whole[:count]
    post(client, f"{url}/rewind", {"revision": 1})
    assert rows_of(read(client, f"{url}/curves")) == whole[:3]
    post(client, f"{url}/rewind", {"epoch": 2})
    assert rows_of(read(client, f"{url}/curves")) == whole[:2]
    post(client, f"{url}/train")
    assert rows_of(read(client, f"{url}/curves")) == whole[:3]


def test_curves_after_a_fork_have_the_ancestors_in_them(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/train", {"epochs": 5})
    whole = rows_of(read(client, f"{url}/curves"))
    child = fork(client, url, epoch=3)
    assert rows_of(read(client, f"{child}/curves")) == whole[:3]
    post(client, f"{child}/train", {"epochs": 2})
    assert rows_of(read(client, f"{child}/curves")) == whole
    grandchild = fork(client, child, epoch=4)
    assert rows_of(read(client, f"{grandchild}/curves")) == whole[:4]
    assert rows_of(read(client, f"{child}/curves?revision=0")) == whole[:3]
    client.delete(url)
    client.delete(child)
    assert rows_of(read(client, f"{grandchild}/curves")) == whole[:4]


# Rewinding


def test_rewind_and_forward_again(client: TestClient) -> None:
    url = create(client, optimizer="adam")
    snapshots = [read(client, f"{url}/snapshot")]
    exports = [read(client, f"{url}/export")]
    for _, call, body in CALLS:
        answer = post(client, f"{url}/{call}", body)
        snapshots.append(answer.get("snapshot", answer))
        exports.append(read(client, f"{url}/export"))
    latest = len(CALLS)
    for revision in (3, 0, latest, 5, 8, 5):
        answer = client.post(f"{url}/rewind", json={"revision": revision})
        assert answer.status_code == 200
        assert answer.json() == snapshots[revision] == read(client, f"{url}/snapshot")
        assert answer.headers["ETag"] == f'"{revision}"'
        assert answer.headers["Content-Location"] == f"{url}/snapshot?revision={revision}"
        assert read(client, f"{url}/export") == exports[revision]
        session = read(client, url)
        assert (session["revision"], session["latest_revision"]) == (revision, latest)
        assert len(history(client, url)) == latest + 1
    for revision in range(latest + 1):
        assert read(client, f"{url}/snapshot?revision={revision}") == snapshots[revision]
    post(client, f"{url}/train")  # the next change is one more than the latest, and cuts the later ones off
    session = read(client, url)
    assert (session["revision"], session["latest_revision"]) == (latest + 1, latest + 1)
    for revision in range(6, latest + 1):
        for answer in (
            client.get(f"{url}/snapshot?revision={revision}"),
            client.post(f"{url}/rewind", json={"revision": revision}),
            client.post(f"{url}/fork", json={"revision": revision}),
        ):
            problem(answer, 410, "revision-gone")
    assert read(client, f"{url}/snapshot?revision=5") == snapshots[5]


def test_rewind_with_if_match(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    problem(client.post(f"{url}/rewind", json={"revision": 0}, headers={"If-Match": '"0"'}), 412)
    post(client, f"{url}/rewind", {"revision": 0}, **{"If-Match": '"1"'})
    problem(client.post(f"{url}/forward", headers={"If-Match": '"1"'}), 412)
    post(client, f"{url}/rewind", {"revision": 1}, **{"If-Match": '"0"'})
    post(client, f"{url}/rewind", {"revision": 1}, **{"If-Match": '"1"'})  # where it stands
    assert read(client, url)["revision"] == 1


def test_rewind_restores_config_and_data_and_keeps_the_name(client: TestClient, clock: Any) -> None:
    url = create(client, name="first", optimizer="adam")
    post(client, f"{url}/train", {"epochs": 2})
    before = read(client, url)
    client.patch(url, json={"optimizer": "sgd", "name": "second"})
    client.put(f"{url}/data", json={"inputs": [[1, 2]], "targets": [[1]]})
    clock.now += 60
    post(client, f"{url}/rewind", {"revision": 1})
    after = read(client, url)
    assert after["config"]["optimizer"] == before["config"]["optimizer"]
    assert after["config"]["data"] == before["config"]["data"]
    assert (after["name"], after["latest_revision"]) == ("second", 3)
    assert after["expires_at"] > before["expires_at"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_rewind_to_an_epoch_inside_a_training(client: TestClient, optimizer: str) -> None:
    options = {"batch_size": 3, "shuffle": True}
    url, single = create(client, optimizer=optimizer), create(client, optimizer=optimizer)
    ended = [read(client, f"{single}/snapshot")]
    ended += [post(client, f"{single}/train", options)["snapshot"] for _ in range(6)]
    assert numbers(post(client, f"{url}/train", {"epochs": 6, **options})["snapshot"]) == numbers(ended[6])
    hashes = [item["state_hash"] for item in history(client, single)]
    for revision, epoch in enumerate((4, 1, 5, 6, 0), 2):
        answer = client.post(f"{url}/rewind", json={"epoch": epoch})
        assert answer.headers["ETag"] == f'"{revision}"'
        assert numbers(answer.json()) == numbers(ended[epoch])
        session = read(client, url)
        assert (session["revision"], session["latest_revision"], session["epochs"]) == (revision, revision, epoch)
        entry = history(client, url)[-1]
        assert (entry["operation"], entry["label"]) == ("rewind", f"back to the end of epoch {epoch}")
        assert (entry["arguments"], entry["state_hash"]) == ({"epoch": epoch}, hashes[epoch])
    post(client, f"{url}/rewind", {"epoch": 4})
    rest = post(client, f"{url}/train", {"epochs": 2, **options})
    assert numbers(rest["snapshot"]) == numbers(ended[6])


def test_rewind_answers_any_form_of_a_snapshot(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward", {"inputs": [[1, 2]] * 9})
    post(client, f"{url}/forward")
    snapshot = post(client, f"{url}/rewind?samples=8&include=activations&layers=output", {"revision": 1})
    assert snapshot["inputs"] == [[1, 2]]
    assert [layer["name"] for layer in snapshot["layers"]] == ["output"]
    snapshot = post(client, f"{url}/rewind?samples=8", {"revision": 2})  # which are not there any more
    assert snapshot["outputs"] == []
    answer = client.post(f"{url}/rewind", json={"revision": 2}, headers={"Accept": NPZ})
    assert answer.headers["ETag"] == '"2-npz"'
    with np.load(io.BytesIO(answer.content)) as arrays:
        assert arrays["inputs"].tolist() == ROWS["inputs"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ""),
        ({"revision": None}, ""),
        ({"revision": 1, "epoch": 4}, "/epoch"),
        ({"revision": 7, "epoch": 1}, "/revision"),
        ({"revision": 7}, "/revision"),
        ({"revision": -1}, "/revision"),
        ({"revision": 10**30}, "/revision"),
        ({"revision": "1"}, "/revision"),
        ({"revision": 1.5}, "/revision"),
        ({"epoch": 4}, "/epoch"),
        ({"epoch": -1}, "/epoch"),
        ({"zebra": 1}, "/zebra"),
    ],
)
def test_no_rewind_and_no_fork(client: TestClient, body: dict[str, Any], place: str) -> None:
    url = create(client)
    post(client, f"{url}/train", {"epochs": 3})
    before = read(client, url)
    for call in ("rewind", "fork"):
        if call == "fork" and not any(value is not None for value in body.values()):
            continue
        answer = client.post(f"{url}/{call}", content=json.dumps(body), headers=JSON)
        assert places(problem(answer, 422, "invalid-input")) == [place]
    assert read(client, url) == before
    assert len(read(client, "/v1/sessions")["items"]) == 1


# Forks


def test_fork(client: TestClient, clock: Any) -> None:
    url = create(client, name="one", optimizer="adam")
    post(client, f"{url}/train", {"epochs": 5})
    post(client, f"{url}/forward")
    original = read(client, url)
    clock.now += 60
    answer = client.post(f"{url}/fork", json={"revision": 1, "name": "two"})
    body = answer.json()
    assert answer.status_code == 201
    child = answer.headers["Location"]
    assert child == f"/v1/sessions/{body['id']}" != url
    assert answer.headers["ETag"] == '"0"'
    assert answer.headers["Content-Location"] == f"{child}/snapshot?revision=0"
    assert read(client, child) == body
    assert body["forked_from"] == {"session": original["id"], "revision": 1, "epoch": None}
    assert (body["revision"], body["latest_revision"], body["name"]) == (0, 0, "two")
    assert (body["epochs"], body["created_at"]) == (5, "2026-11-18T11:07:40.000Z")
    assert body["config"] == {**original["config"], "name": "two"}
    assert numbers(read(client, f"{child}/snapshot")) == numbers(read(client, f"{url}/snapshot?revision=1"))
    (entry,) = history(client, child)
    assert (entry["operation"], entry["label"]) == ("fork", "fork from revision 1")
    assert entry["arguments"] == {"session": original["id"], "revision": 1, "epoch": None}
    assert read(client, url) == original


def test_a_fork_from_where_the_session_stands_or_from_an_epoch(client: TestClient) -> None:
    url = create(client, name="one")
    post(client, f"{url}/train", {"epochs": 5})
    post(client, f"{url}/forward")
    assert numbers(read(client, fork(client, url) + "/snapshot")) == numbers(read(client, f"{url}/snapshot"))
    assert client.post(f"{url}/fork").json()["name"] == "one"
    assert client.post(f"{url}/fork", json={"name": None}).json()["name"] is None
    inside = read(client, fork(client, url, epoch=3))
    assert inside["forked_from"] == {"session": read(client, url)["id"], "revision": 1, "epoch": 3}
    assert inside["epochs"] == 3
    at_its_end = read(client, fork(client, url, epoch=5))
    assert at_its_end["forked_from"] == {"session": read(client, url)["id"], "revision": 1, "epoch": None}


def test_a_fork_is_independent(client: TestClient) -> None:
    url = create(client, optimizer="adam")
    post(client, f"{url}/train", {"epochs": 3})
    child = fork(client, url)
    before = read(client, f"{url}/export"), read(client, url)
    post(client, f"{child}/train")
    client.patch(f"{child}/parameters", json={"output.bias": [7]})
    client.patch(child, json={"optimizer": "sgd", "name": "child"})
    client.put(f"{child}/data", json={"inputs": [[1, 2]], "targets": [[1]]})
    assert before == (read(client, f"{url}/export"), read(client, url))
    child_before = read(client, f"{child}/export")
    post(client, f"{url}/train")
    client.delete(url)
    assert read(client, f"{child}/export") == child_before
    assert read(client, f"{child}/snapshot?revision=0")["epochs"] == 3


def test_a_fork_goes_on_as_the_original_did(client: TestClient) -> None:
    url = create(client, optimizer="adam")
    options = {"batch_size": 2, "shuffle": True}
    post(client, f"{url}/train", {"epochs": 6, **options})
    for epoch in range(6):
        child = fork(client, url, epoch=epoch)
        rest = post(client, f"{child}/train", {"epochs": 6 - epoch, **options})
        assert numbers(rest["snapshot"]) == numbers(read(client, f"{url}/snapshot"))


def test_no_room_for_a_fork(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_sessions=1)
    problem(client.post(f"{create(client)}/fork"), 503, "server-full")


# Differences


def test_diff_of_two_sessions(client: TestClient) -> None:
    one = create(client, optimizer={"type": "sgd", "learning_rate": 0.5})
    other = create(client, optimizer={"type": "sgd", "learning_rate": 0.4}, name="other")
    against = other.rpartition("/")[2]
    body = read(client, f"{one}/diff?against={against}")
    assert list(body) == ["equal", "first", "tensors", "only_here", "only_there", "config"]
    assert (body["equal"], body["first"], body["tensors"]) == (True, None, {})
    assert body["config"] == [{"pointer": "/optimizer/learning_rate", "value": 0.5, "against": 0.4}]
    for url in (one, other):
        post(client, f"{url}/train")
        post(client, f"{url}/forward")
    body = read(client, f"{one}/diff?against={against}")
    mine, theirs = (npz(client, f"{url}/snapshot") for url in (one, other))
    assert body["first"] == "hidden.weight"
    assert not body["equal"]
    assert set(body["tensors"]) == {name for name in mine if not np.array_equal(mine[name], theirs[name])}
    for name, difference in body["tensors"].items():
        assert list(difference) == ["max_absolute", "max_relative", "index", "value", "against"]
        apart = np.abs(mine[name] - theirs[name])
        at = tuple(difference["index"])
        assert difference["max_absolute"] == apart.max() == apart[at]
        assert difference["max_relative"] == pytest.approx((apart / np.abs(theirs[name])).max())
        assert (difference["value"], difference["against"]) == (mine[name][at], theirs[name][at])
    assert body["only_here"] == body["only_there"] == []


def test_diff_with_a_revision_of_ones_own(client: TestClient) -> None:
    url = create(client)
    own = url.rpartition("/")[2]
    post(client, f"{url}/forward")
    post(client, f"{url}/train", {"epochs": 4})
    assert read(client, f"{url}/diff?against_revision=2")["equal"] is True
    assert read(client, f"{url}/diff?against={own}")["equal"] is True
    body = read(client, f"{url}/diff?against_revision=1")
    assert body["first"] == "hidden.weight"
    assert "hidden.weight.gradient" in body["only_here"]
    assert body["only_there"] == []
    turned = read(client, f"{url}/diff?revision=1&against_revision=2")
    assert turned["only_there"] == body["only_here"]
    assert turned["tensors"]["loss"]["value"] == body["tensors"]["loss"]["against"]
    assert read(client, f"{url}/diff?epoch=2&against_epoch=2")["equal"] is True
    inside = read(client, f"{url}/diff?epoch=2&against_epoch=3")
    assert inside["first"] == "hidden.weight"
    nothing = read(client, f"{url}/diff?revision=0&against={own}&against_revision=1")
    assert (nothing["equal"], nothing["first"], nothing["only_there"][0]) == (False, None, "inputs")


def test_diff_of_configs(client: TestClient) -> None:
    one = create(client, optimizer="adam")
    other = create(client, layers=[*LAYERS, {"units": 1}], loss="bce", seed=3)
    against = other.rpartition("/")[2]
    body = read(client, f"{one}/diff?against={against}")
    found = {entry["pointer"]: (entry["value"], entry["against"]) for entry in body["config"]}
    assert found["/seed"] == (0, 3)
    assert found["/loss/type"] == ("mse", "bce")
    assert found["/optimizer/type"] == ("adam", "sgd")
    assert found["/optimizer/betas"] == ([0.9, 0.999], None)
    assert found["/optimizer/momentum"] == (None, 0)
    assert [len(layers) for layers in found["/network/layers"]] == [2, 3]
    assert body["only_there"] == ["layer3.weight", "layer3.bias"]
    names = create(client, layers=[{**LAYERS[0], "activation": "relu"}, LAYERS[1]]).rpartition("/")[2]
    (difference,) = read(client, f"{create(client)}/diff?against={names}")["config"]
    assert difference == {"pointer": "/network/layers/0/activation/type", "value": "tanh", "against": "relu"}
    wide = create(client, layers=[{**LAYERS[0], "units": 5}, LAYERS[1]]).rpartition("/")[2]
    shapes = read(client, f"{one}/diff?against={wide}")["tensors"]["hidden.weight"]
    assert (shapes["shape"], shapes["against_shape"], shapes["index"]) == ([3, 2], [5, 2], None)


def test_the_differences_of_configs_are_bounded(client: TestClient) -> None:
    urls = [
        create(client, layers=[{"units": 1500, "init": {"weight": [[value, 1.0]] * 1500}}, LAYERS[1]])
        for value in (0.0, 1.0)
    ]
    body = read(client, f"{urls[0]}/diff?against={urls[1].rpartition('/')[2]}")
    assert len(body["config"]) == 1000
    assert body["config"][1]["pointer"] == "/network/layers/0/init/weight/1/0"


def test_tolerances(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    z = npz(client, f"{url}/snapshot")["hidden.z"]
    theirs = {"hidden.z": (z * (1 + 1e-6)).tolist()}
    for query, equal in (
        ("", False),
        ("?rtol=1e-5", True),
        ("?rtol=1e-7", False),
        ("?atol=1e-5", True),
        ("?atol=1e-9", False),
    ):
        body = post(client, f"{url}/diff{query}", theirs)
        assert body["equal"] is equal
        assert set(body["tensors"]) == (set() if equal else {"hidden.z"})
    for query in ("rtol=-1", "atol=-0.1", "rtol=nan", "atol=inf", "rtol=x"):
        answer = client.post(f"{url}/diff?{query}", json=theirs)
        assert places(problem(answer, 422)) == ["?" + query.partition("=")[0]]


def test_diff_with_numbers_of_ones_own(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    post(client, f"{url}/backward")
    own = npz(client, f"{url}/snapshot")
    order = [
        "inputs", "hidden.weight", "hidden.bias", "hidden.z", "hidden.a", "output.weight", "output.bias", "output.z",
        "output.a", "outputs", "targets", "loss", "output.dL_da", "output.da_dz", "output.dL_dz",
        "output.weight.gradient", "output.bias.gradient", "hidden.dL_da", "hidden.da_dz", "hidden.dL_dz",
        "hidden.weight.gradient", "hidden.bias.gradient",
    ]  # fmt: skip
    own["gradient_norm"] = np.array(read(client, f"{url}/tensors/gradient_norm")["value"])
    own["hidden.weight.next"] = np.array(read(client, f"{url}/tensors/hidden.weight.next")["value"])
    order += ["gradient_norm", "hidden.weight.next"]
    assert set(own) == set(order)
    for send in (by_json, by_npz):
        assert send(client, url, own) == {
            "equal": True, "first": None, "tensors": {}, "only_here": [], "only_there": [], "config": [],
        }  # fmt: skip
        theirs = {name: array + 1 for name, array in sorted(own.items())}
        body = send(client, url, theirs)
        assert list(body["tensors"]) == order  # the order of computation, not that of the sender
        for name in order:
            assert body["first"] == name
            assert body["tensors"][name]["max_absolute"] == pytest.approx(1)
            del theirs[name]
            if theirs:
                body = send(client, url, theirs)


def by_json(client: TestClient, url: str, arrays: dict[str, Any]) -> Any:
    return post(client, f"{url}/diff", {name: array.tolist() for name, array in arrays.items()})


def by_npz(client: TestClient, url: str, arrays: dict[str, Any]) -> Any:
    return diff_npz(client, url, to_npz(arrays)).json()


def diff_npz(client: TestClient, url: str, content: bytes) -> Any:
    return client.post(f"{url}/diff", content=content, headers={"Content-Type": NPZ})


def test_other_shapes_and_what_is_not_finite(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    body = post(client, f"{url}/diff", {"hidden.z": [[1, 2, 3]], "loss": [1]})
    assert body["tensors"]["hidden.z"] == {
        "max_absolute": None, "max_relative": None, "index": None, "value": None, "against": None,
        "shape": [7, 3], "against_shape": [1, 3],
    }  # fmt: skip
    assert body["tensors"]["loss"]["against_shape"] == [1]
    z = read(client, f"{url}/tensors/hidden.z")["value"]
    z[2][1] = None
    difference = post(client, f"{url}/diff?rtol=100", {"hidden.z": z})["tensors"]["hidden.z"]
    assert difference["index"] == [2, 1]
    assert difference["max_absolute"] is difference["against"] is None
    classes = create(client, CLASSES)
    post(client, f"{classes}/forward")
    assert post(client, f"{classes}/diff", {"targets": [0, 1, 2]})["equal"] is True
    assert post(client, f"{classes}/diff", {"targets": [0, 2, 2]})["tensors"]["targets"]["index"] == [1]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ""),
        ([], ""),
        ({"zebra": 1}, "/zebra"),
        ({"zebra.z": 1}, "/zebra.z"),
        ({"hidden.z[0]": [1, 2, 3]}, "/hidden.z[0]"),
        ({"hidden.z": [[1, 2], [3]]}, "/hidden.z"),
        ({"hidden.z": {}}, "/hidden.z"),
        ({"hidden.z": "1"}, "/hidden.z"),
        ({"loss": True}, "/loss"),
        ({"hidden.z": [["1"]]}, "/hidden.z"),
        ({"hidden.z": [[None, "1"]]}, "/hidden.z"),
        ({"hidden.z": [[None, True]]}, "/hidden.z"),
        ({"a/b~": 1}, "/a~1b~0"),
        ({"hidden.weight.state.exp_avg": 1}, "/hidden.weight.state.exp_avg"),
    ],
)
def test_no_diff(client: TestClient, body: Any, place: str) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    found = problem(client.post(f"{url}/diff", json=body), 422, "invalid-input")
    assert places(found) == [place]
    assert "zebra" not in found["detail"].replace("/zebra", "")


def test_no_diff_of_what_is_not_computed_yet(client: TestClient) -> None:
    url = create(client)
    assert problem(client.post(f"{url}/diff", json={"loss": 1}), 409)["call_first"] == "forward"
    too_long = client.post(f"{url}/diff", content=b'{"loss": 1' + b"0" * 400 + b"}", headers=JSON)
    assert places(problem(too_long, 422)) == ["/loss"]


def test_diff_with_nothing(client: TestClient) -> None:
    url = create(client)
    assert places(problem(client.get(f"{url}/diff"), 422)) == ["?against"]
    problem(client.get(f"{url}/diff?against=zebra"), 404, "session-not-found")
    for query, place in (
        ("against_revision=1", "?against_revision"), ("against_epoch=1", "?against_epoch"),
        ("against_revision=-1", "?against_revision"), ("against_revision=0&against_epoch=1", "?against_epoch"),
        ("against_revision=" + "9" * 3000, "?against_revision"),
    ):  # fmt: skip
        assert places(problem(client.get(f"{url}/diff?{query}"), 422)) == [place]


def npy_header(text: str, body: bytes = b"") -> bytes:
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def zipped(content: bytes, method: int = zipfile.ZIP_STORED, name: str = "hidden.z.npy") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        file.writestr(name, content)
    return out.getvalue()


def compressed(array: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **{"hidden.z": array})
    return out.getvalue()


def lying_bomb() -> bytes:
    """A member that unpacks to 50 MB and says that it has 100 bytes."""
    content = bytearray(zipped(bytes(50_000_000), zipfile.ZIP_DEFLATED))
    size = (50_000_000).to_bytes(4, "little")
    return bytes(content).replace(size, (100).to_bytes(4, "little"))


GOOD = to_npz({"hidden.z": np.ones((7, 3))})
BAD_NPZ: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no zip": lambda: b"zebra" * 100,
    "truncated": lambda: GOOD[: len(GOOD) // 2],
    "cut short": lambda: GOOD[:-5],
    "objects": lambda: to_npz({"hidden.z": np.array([{"zebra": 1}], object)}),
    "strings": lambda: to_npz({"hidden.z": np.array(["zebra"])}),
    "complex": lambda: to_npz({"hidden.z": np.ones(3, complex)}),
    "records": lambda: to_npz({"hidden.z": np.zeros(3, [("a", float)])}),
    "no npy": lambda: zipped(b"zebra"),
    "empty npy": lambda: zipped(b""),
    "short of numbers": lambda: zipped(npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }")),
    "huge shape": lambda: zipped(npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 10**30), }")),
    "0 x 10^30": lambda: zipped(npy_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, 1{'0' * 30}), }}")),
    "-1 x -1": lambda: zipped(npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }", bytes(8))),
    "true x 1": lambda: zipped(npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }", bytes(8))),
    "zebra dtype": lambda: zipped(npy_header("{'descr': 'zebra', 'fortran_order': False, 'shape': (1,), }", bytes(8))),
    "nested header": lambda: zipped(npy_header("(" * 9000)),
    "lzma": lambda: zipped(GOOD, zipfile.ZIP_LZMA),
    "corrupt": lambda: compressed(np.arange(21.0))[:80] + b"\xff" * 20 + compressed(np.arange(21.0))[100:],
    "lying bomb": lying_bomb,
    "20001 arrays": lambda: to_npz({f"a{i}": np.zeros(0) for i in range(20_001)}),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_NPZ)
def test_a_bad_npz(client: TestClient, name: str) -> None:
    url = create(client)
    content = BAD_NPZ[name]()
    answer = diff_npz(client, url, content)
    found = problem(answer, 400, "malformed-body")
    assert "zebra" not in str(found)


def test_a_zip_bomb(client: TestClient) -> None:
    url = create(client)
    bomb = compressed(np.zeros(50_000_000))
    body = problem(diff_npz(client, url, bomb), 413, "body-too-large")
    assert (body["limit"], body["setting"]) == (8 * 2**20, "GRADSTEP_MAX_BODY")
    assert body["estimate"] == 400_000_128


def test_an_npz_elsewhere_is_no_json(client: TestClient) -> None:
    url = create(client)
    problem(client.post(f"{url}/verify", content=GOOD, headers={"Content-Type": NPZ}), 415)
    problem(client.post(f"{url}/diff", content=GOOD, headers={"Content-Type": NPZ, "Content-Encoding": "br"}), 415)
    problem(client.post(f"{url}/diff", content=GOOD, headers=JSON), 400)
    assert places(problem(diff_npz(client, url, to_npz({"zebra": np.ones(1)})), 422)) == ["/zebra"]
    assert diff_npz(client, url, compressed(np.ones((7, 3)))).status_code == 409
    post(client, f"{url}/forward")
    assert diff_npz(client, url, compressed(np.ones((7, 3)))).json()["first"] == "hidden.z"
    assert diff_npz(client, url, to_npz({"hidden.z": np.ones((7, 3), "bool")})).status_code == 200
    assert diff_npz(client, url, to_npz({"hidden.z": np.ones((7, 3), ">f2", order="F")})).status_code == 200


# Reads as of then

READS: list[tuple[str, str, Any]] = [
    ("GET", "/snapshot", None),
    ("GET", "/tensors/hidden.z", None),
    ("GET", "/tensors/hidden.weight", None),
    ("GET", "/tensors/hidden.weight/summary", None),
    ("GET", "/explain?of=hidden.weight[0][1]", None),
    ("GET", "/explain?of=hidden.weight.gradient[0][1]", None),
    ("GET", "/explain?of=all", None),
    ("POST", "/verify", {"values": {"hidden.z": [[0.1, 0.2, 0.3]] * 7, "loss": 0.1, "output.bias.next": [1]}}),
    ("POST", "/gradcheck", {}),
    ("POST", "/preview", {}),
    ("POST", "/predict", {}),
    ("POST", "/predict?include=activations", {"inputs": [[1, 2]]}),
    ("GET", "/export", None),
    ("GET", "/data", None),
    ("GET", "/curves", None),
    ("GET", "/diff?against_revision=0", None),
    ("POST", "/diff", {"hidden.weight": [[0, 0]] * 3}),
]


def at(client: TestClient, url: str, method: str, path: str, body: Any, when: str) -> Any:
    return client.request(method, url + path + ("&" if "?" in path else "?") + when, json=body)


def told(answer: Any) -> Any:
    """What an answer says, without what differs between sessions that are alike."""
    text = answer.content.replace(answer.request.url.path.split("/")[3].encode(), b"")
    body = orjson.loads(text)
    if isinstance(body, dict):
        for name in ("revision", "instance", "set_by", "config"):
            body.pop(name, None)
    return answer.status_code, body


def without_origins(told: Any) -> Any:
    """Explanations say which revision set a parameter, and since when it has been so, which differs by session."""
    status, body = told
    if status == 200 and ("items" in body or "terms" in body):
        for item in body.get("items", [body]):
            for key in ("set_by", "kind", "title", "symbol", "formula", "substituted", "terms", "chain"):
                item.pop(key, None)
    return status, body


@pytest.mark.parametrize(("method", "path", "body"), READS, ids=[path for _, path, _ in READS])
def test_every_read_answers_as_of_then(client: TestClient, method: str, path: str, body: Any) -> None:
    url = create(client, optimizer="adam")
    changes: list[tuple[str, str, Any]] = [
        ("POST", "/forward", {}), ("POST", "/backward", {}), ("POST", "/step", {}),
        ("POST", "/train", {"epochs": 3, "batch_size": 3, "shuffle": True}),
        ("PATCH", "/parameters", {"hidden.weight[0][1]": 0.5}), ("PATCH", "", {"optimizer": "sgd"}),
        ("PUT", "/data", {"inputs": [[1, 2], [3, 4]], "targets": [[1], [0]]}),
        ("POST", "/forward", {}), ("POST", "/backward", {}), ("POST", "/train", {"epochs": 2}),
    ]  # fmt: skip
    then = [told(client.request(method, url + path, json=body))]
    for change, where, arguments in changes:
        assert client.request(change, url + where, json=arguments).status_code == 200
        then.append(told(client.request(method, url + path, json=body)))
    assert any(status == 200 for status, _ in then)
    for _ in range(2):
        now = [told(at(client, url, method, path, body, f"revision={number}")) for number in range(len(then))]
        assert now == then
        post(client, f"{url}/train", {"epochs": 2})  # what was is not changed by what comes
    assert told(at(client, url, method, path, body, "epoch=4")) == then[4]  # the end of a training
    for epoch in (2, 3):
        child = fork(client, url, epoch=epoch)
        inside = told(at(client, url, method, path, body, f"epoch={epoch}"))
        if path.startswith("/diff?"):  # a fork begins with what it compares with
            continue
        assert without_origins(inside) == without_origins(told(client.request(method, child + path, json=body)))


@pytest.mark.parametrize(("method", "path", "body"), READS, ids=[path for _, path, _ in READS])
def test_no_read_of_what_never_was(client: TestClient, method: str, path: str, body: Any) -> None:
    url = create(client)
    for call in ("forward", "backward", "train", "train"):
        post(client, f"{url}/{call}")
    post(client, f"{url}/rewind", {"revision": 2})
    post(client, f"{url}/step")

    def refused(when: str, status: int) -> dict[str, Any]:
        return problem(at(client, url, method, path, body, when), status)

    for revision in (6, 10**9):
        assert places(refused(f"revision={revision}", 422)) == ["?revision"]
    for revision in (3, 4):
        assert refused(f"revision={revision}", 410)["type"].endswith("revision-gone")
    assert places(refused("epoch=2", 422)) == ["?epoch"]
    assert places(refused("revision=1&epoch=2", 422)) == ["?epoch"]
    assert places(refused("revision=6&epoch=0", 422)) == ["?revision"]
    for wrong in ("-1", "x", "1.5", "", "9" * 30):
        assert places(refused(f"revision={wrong}", 422)) == ["?revision"]
        assert places(refused(f"epoch={wrong}", 422)) == ["?epoch"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_export_of_the_past_goes_on_as_the_session_did(client: TestClient, dtype: str) -> None:
    url = create(client, optimizer="adam", dtype=dtype)
    for _, call, body in CALLS[:7]:
        post(client, f"{url}/{call}", body)
    hashes = {item["revision"]: item["state_hash"] for item in history(client, url)}
    for revision in range(len(hashes)):
        copy = create(client, read(client, f"{url}/export?revision={revision}"))
        assert hash_of(client, copy) == hashes[revision]
        for number, (_, call, body) in enumerate(CALLS[revision:7], revision + 1):
            post(client, f"{copy}/{call}", body)
            assert hash_of(client, copy) == hashes[number]
    copy = create(client, read(client, f"{url}/export?epoch=3"))
    assert read(client, copy)["epochs"] == 3
    post(client, f"{copy}/train", {**CALLS[6][2], "epochs": 1})
    assert hash_of(client, copy) == hashes[7]


def test_the_past_of_a_session_that_was_read_and_the_names_in_it(client: TestClient) -> None:
    """A snapshot of an epoch inside a training says which revision it lies in."""
    url = create(client)
    post(client, f"{url}/train", {"epochs": 3})
    snapshot = read(client, f"{url}/snapshot?epoch=2&decimals=3&include=health,parameters&layers=output")
    assert (snapshot["revision"], snapshot["epochs"], snapshot["session"]) == (1, 2, url.rpartition("/")[2])
    assert set(named(snapshot)) == {"output.weight", "output.bias", "loss"}
    assert read(client, f"{url}/snapshot?epoch=3") == read(client, f"{url}/snapshot")


# Two ways on from epoch 2: each has an epoch 4


@pytest.fixture
def forked_ways(client: TestClient) -> str:
    """The URL of a session with epoch 4 in its revisions 1 and 4: the second time after an edit."""
    url = create(client, optimizer="adam")
    post(client, f"{url}/train", {"epochs": 5})
    post(client, f"{url}/rewind", {"epoch": 2})
    assert client.patch(f"{url}/parameters", json={"output.bias[0]": 1}).status_code == 200
    post(client, f"{url}/train", {"epochs": 3})
    return url


def test_an_epoch_of_a_revision_is_the_one_on_the_way_to_it(client: TestClient, forked_ways: str) -> None:
    url = forked_ways
    ways = [read(client, f"{url}/snapshot?revision={revision}&epoch=4") for revision in (1, 4)]
    assert [(way["revision"], way["epochs"]) for way in ways] == [(1, 4), (4, 4)]
    assert ways[0]["layers"] != ways[1]["layers"]
    assert read(client, f"{url}/snapshot?epoch=4") == ways[1]
    assert read(client, f"{url}/snapshot?revision=4&epoch=1")["revision"] == 1
    assert read(client, f"{url}/diff?revision=4&epoch=4&against_revision=4&against_epoch=4")["equal"] is True
    assert read(client, f"{url}/diff?revision=4&epoch=4&against_revision=1&against_epoch=4")["equal"] is False
    answer = client.get(f"{url}/tensors/output.bias?revision=1&epoch=4")
    assert answer.headers["ETag"] == '"1-epoch4"'
    for revision, way in zip((1, 4), ways, strict=True):
        body = {"revision": revision, "epoch": 4}
        child = read(client, fork(client, url, **body))
        assert child["forked_from"] == {"session": url.rpartition("/")[2], **body}
        assert numbers(post(client, f"{url}/rewind", body)) == numbers(way)
    for call in ("rewind", "fork"):
        answer = client.post(f"{url}/{call}", json={"revision": 3, "epoch": 4})
        assert places(problem(answer, 422, "invalid-input")) == ["/epoch"]
    assert places(problem(client.get(f"{url}/snapshot?revision=3&epoch=4"), 422)) == ["?epoch"]
    query = "against_revision=3&against_epoch=4"
    assert places(problem(client.get(f"{url}/diff?{query}"), 422)) == ["?against_epoch"]


def test_an_update_inside_a_training_is_explained_by_what_its_revision_had(
    client: TestClient, forked_ways: str
) -> None:
    url = forked_ways
    of = "hidden.weight[0][0]"
    for revision in (1, 4):
        found = read(client, f"{url}/explain?of={of}&revision={revision}&epoch=4")
        assert found["set_by"] == {"revision": revision, "operation": "train"}
        named_terms = {term["of"]: term for term in found["terms"] if term["of"]}
        before = named_terms[of]
        assert (before["revision"], before["epoch"]) == (revision, 3)
        for name, term in named_terms.items():
            when = f"revision={term['revision']}&epoch={term['epoch']}"
            assert read(client, f"{url}/tensors/{name}?{when}")["value"] == term["value"]


def test_what_a_fork_took_over_says_from_where(client: TestClient, forked_ways: str) -> None:
    child = fork(client, forked_ways, revision=1, epoch=4)
    for of in ("hidden.weight[0][0]", "hidden.weight.state.exp_avg[0][0]", "hidden.weight.state.step"):
        found = read(client, f"{child}/explain?of={of}")
        assert (found["kind"], found["set_by"]) == ("fork", {"revision": 0, "operation": "fork"})
        assert "as it was at the end of epoch 4 of the session" in found["title"]
        assert found["value"] == read(client, f"{child}/tensors/{of}")["value"] != 0
    copy = create(client, read(client, f"{child}/export"))
    found = read(client, f"{copy}/explain?of=hidden.weight.state.step")
    assert (found["kind"], found["value"], found["set_by"]["operation"]) == ("import", 4, "import")
    whole = fork(client, forked_ways, revision=3)
    assert "as it was at revision 3 of" in read(client, f"{whole}/explain?of=output.bias[0]")["title"]


def test_a_slot_that_an_option_added_is_explained_by_the_change(client: TestClient) -> None:
    url = create(client, optimizer="adam")
    post(client, f"{url}/train", {"epochs": 2})
    assert client.patch(url, json={"optimizer": {"amsgrad": True}}).status_code == 200
    found = read(client, f"{url}/explain?of=hidden.weight.state.max_exp_avg_sq[0][0]")
    assert (found["value"], found["set_by"]) == (0, {"revision": 2, "operation": "change"})
    found = read(client, f"{url}/explain?of=hidden.weight.state.exp_avg_sq[0][0]")
    assert found["set_by"] == {"revision": 1, "operation": "train"}


# Reads change nothing


def test_no_read_changes_the_session(client: TestClient, clock: Any) -> None:
    url = create(client, optimizer="adam")
    post(client, f"{url}/train", {"epochs": 3})
    post(client, f"{url}/forward")
    post(client, f"{url}/backward")
    before = [read(client, url + path) for path in ("", "/snapshot", "/history", "/export", "/curves")]
    clock.now += 60
    for when in ("revision=3", "revision=1", "epoch=2"):
        for method, path, body in READS:
            at(client, url, method, path, body, when)
    for accept in ("text/markdown", "application/x-npy", "text/csv", NPZ):
        for _, path, _ in READS:
            client.get(url + path, headers={"Accept": accept})
    fork(client, url, epoch=2)
    assert before == [read(client, url + path) for path in ("", "/snapshot", "/history", "/export", "/curves")]


def test_a_training_without_a_step_has_no_epochs(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/train", {"epochs": 3})
    trained = post(client, f"{url}/train", {"epochs": 5, "stop": [{"type": "loss_below", "value": 10}]})
    assert trained["stopped"] == {
        **trained["stopped"], "reason": "loss_below", "epoch": 3, "step": 3, "tensor": None, "threshold": 10
    }  # fmt: skip
    *_, before, last = read(client, f"{url}/history")["items"]
    assert (before["epoch_from"], before["epoch_to"]) == (1, 3)
    assert not {"epoch_from", "epoch_to"} & set(last)
    assert last["state_hash"] == before["state_hash"]
