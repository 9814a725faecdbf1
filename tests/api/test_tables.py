"""Data over HTTP: sets by name, tables as CSV, arrays as npz."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.exports.npz import to_npz

from .calls import JSON, NPZ, ROWS, config, create, numbers, places, post, problem, read

CSV = {"Content-Type": "text/csv"}
TABLE = "x1,x2,t\n0.5,1,0\n-2,3,1\n4,5,0.25\n1,1,0.75\n"
LAYERS = [{"name": "hidden", "units": 3, "activation": "tanh"}, {"name": "scores", "units": 3}]
FLOWERS = "length,kind,width\n5.1,setosa,3.5\n7,virginica,3.2\n5.9,setosa,3\n6.4,versicolor,2.9\n"


def put(client: TestClient, url: str, content: Any, query: str = "", **headers: str) -> Any:
    """What PUT of a table answers."""
    return client.put(f"{url}/data{query}", content=content, headers={**CSV, **headers})


# ----- sets by name


@pytest.mark.parametrize("data", ["moons", {"type": "moons", "noise": 0.3, "test_fraction": 0.25, "seed": 9}])
def test_a_session_keeps_its_set_by_name(client: TestClient, data: Any) -> None:
    url = create(client, data=data, seed=5)
    kept = read(client, url)["config"]["data"]
    options: dict[str, Any] = {"samples": 200, "noise": 0.1, "seed": 5, "test_fraction": None}
    options |= {"standardize": False, "shuffle": True, "type": "moons"}
    assert kept == {**options, **(data if isinstance(data, dict) else {})}
    assert next(iter(kept)) == "type"
    rows = read(client, f"{url}/data")
    assert (rows["input_names"], rows["class_names"]) == (["x1", "x2"], ["upper", "lower"])
    assert len(rows["inputs"]) == (200 if kept["test_fraction"] is None else 150)
    again = create(client, read(client, url)["config"])
    assert read(client, f"{again}/data") == rows
    trained = [post(client, f"{one}/train", {"epochs": 3})["snapshot"] for one in (url, again)]
    assert numbers(trained[0]) == numbers(trained[1])


def test_a_set_can_be_put_and_replaced(client: TestClient) -> None:
    url = create(client)
    assert client.put(f"{url}/data", json="xor").json()["config"]["data"]["type"] == "xor"
    assert read(client, f"{url}/data")["targets"] == [[0], [1], [1], [0]]
    client.put(f"{url}/data", json={"type": "circles", "samples": 6, "noise": 0, "shuffle": False})
    assert read(client, f"{url}/data")["inputs"][0] == [1, 0]
    assert client.put(f"{url}/data", json=ROWS).json()["config"]["data"] == {"type": "inline", **ROWS, "test": None}
    assert read(client, f"{url}/data")["input_names"] is None
    then = [read(client, f"{url}/data?revision={revision}") for revision in range(4)]
    assert [len(rows["inputs"]) for rows in then] == [7, 4, 6, 7]
    assert [rows["class_names"] for rows in then] == [None, ["false", "true"], ["outer", "inner"], None]
    post(client, f"{url}/rewind", {"revision": 1})
    assert read(client, url)["config"]["data"]["type"] == "xor"
    answer = client.put(f"{url}/data", json="iris")
    assert places(problem(answer, 422)) == [""]
    assert "the set iris has 4 inputs; the network takes 2" in answer.json()["detail"]


def test_an_export_goes_on_with_its_set(client: TestClient) -> None:
    url = create(client, data={"type": "spiral", "test_fraction": 0.2})
    post(client, f"{url}/train", {"epochs": 2, "batch_size": 50, "shuffle": True})
    document = read(client, f"{url}/export")
    assert document["config"]["data"]["type"] == "spiral"
    assert "inputs" not in document["config"]["data"]
    again = create(client, document)
    states = [read(client, f"{one}/history")["items"][-1]["state_hash"] for one in (url, again)]
    assert states[0] == states[1]
    trained = [post(client, f"{one}/train", {"epochs": 2})["snapshot"] for one in (url, again)]
    assert numbers(trained[0]) == numbers(trained[1])


def test_sets_are_priced_before_they_are_made(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_batch=100)
    body = problem(client.post("/v1/sessions", json=config(data="spiral")), 422, "limit-exceeded")
    assert (places(body), body["limit"], body["estimate"]) == (["/data/samples"], 100, 200)
    url = create(client)
    body = problem(client.put(f"{url}/data", json={"type": "spiral", "samples": 101}), 422, "limit-exceeded")
    assert places(body) == ["/samples"]
    many = client.post("/v1/sessions", json=config(data={"type": "spiral", "samples": 10**9}))
    assert places(problem(many, 422)) == ["/data/samples"]


def test_a_dry_run_of_a_set(client: TestClient) -> None:
    planned = post(client, "/v1/sessions?dry_run=true", config(data="spiral"))
    assert planned["config"]["data"]["arms"] == 2
    assert planned["estimate"]["forward"] > 200 * 9
    assert client.get("/v1/sessions").json()["items"] == []


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("spirals", "/data"),
        ({"type": "spiral", "arms": 1}, "/data/arms"),
        ({"type": "spiral", "colour": 1}, "/data/colour"),
        ({"type": "spiral", "arms": 3}, "/data"),
        ({"samples": 3}, "/data/inputs"),
        (7, "/data"),
        ({**ROWS, "shuffle": 1}, "/data/shuffle"),
        ({**ROWS, "standardize": True, "inputs": [[1e308, 1], [-1e308, 0]] + [[0, 0]] * 5}, "/data/standardize"),
    ],
)
def test_data_that_are_refused(client: TestClient, data: Any, place: str) -> None:
    assert place in places(problem(client.post("/v1/sessions", json=config(data=data)), 422))


def test_rows_as_they_have_become(client: TestClient) -> None:
    """The options are not in the answered config, which makes an equal session."""
    url = create(client, data={**ROWS, "standardize": True, "shuffle": True, "test_fraction": 0.3}, dtype="float32")
    completed = read(client, url)["config"]
    assert set(completed["data"]) == {"type", "inputs", "targets", "test"}
    assert np.mean(completed["data"]["inputs"], axis=0) == pytest.approx([0, 0], abs=1e-6)
    again = create(client, completed)
    assert read(client, f"{again}/data") == read(client, f"{url}/data")


# ----- tables


def test_a_table(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    answer = put(client, url, TABLE, "?targets=t")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["revision"], answer.json()["phase"]) == (2, "ready")
    rows = read(client, f"{url}/data")
    assert rows["inputs"] == [[0.5, 1], [-2, 3], [4, 5], [1, 1]]
    assert rows["targets"] == [[0], [1], [0.25], [0.75]]
    assert rows["test"] is None
    problem(put(client, url, TABLE, "?targets=t", **{"If-Match": '"1"'}), 412)


@pytest.mark.parametrize("content_type", ["text/csv; charset=utf-8; header=present", "TEXT/CSV"])
def test_types_of_tables(client: TestClient, content_type: str) -> None:
    url = create(client)
    answer = put(client, url, b"\xef\xbb\xbf" + TABLE.encode(), "?targets=t", **{"Content-Type": content_type})
    assert answer.status_code == 200, answer.text


def test_a_table_of_classes(client: TestClient) -> None:
    url = create(client, layers=LAYERS, loss="cross_entropy", data=None)
    assert put(client, url, FLOWERS, "?targets=kind").status_code == 200
    rows = read(client, f"{url}/data")
    assert rows["inputs"] == [[5.1, 3.5], [7, 3.2], [5.9, 3], [6.4, 2.9]]
    assert rows["targets"] == [0, 2, 0, 1]
    assert post(client, f"{url}/train", {"epochs": 2})["history"][-1]["loss"] > 0


def test_what_becomes_of_a_table(client: TestClient) -> None:
    url = create(client)
    put(client, url, TABLE, "?targets=t&test_fraction=0.25&standardize=true&shuffle=true")
    rows = read(client, f"{url}/data")
    assert (len(rows["inputs"]), len(rows["test"]["inputs"])) == (3, 1)
    assert np.mean(rows["inputs"], axis=0) == pytest.approx([0, 0])
    assert sorted(rows["targets"] + rows["test"]["targets"]) == [[0], [0.25], [0.75], [1]]


@pytest.mark.parametrize(
    ("content", "query", "where"),
    [
        (TABLE, "", "?targets"),
        (TABLE, "?targets=", "?targets"),
        (TABLE, "?targets=y", "?targets"),
        (TABLE, "?targets=t&colour=1", "?colour"),
        (TABLE, "?targets=t&test_fraction=2", "?test_fraction"),
        (TABLE, "?targets=t&test_fraction=0.9", "?test_fraction"),
        (TABLE, "?targets=t&shuffle=perhaps", "?shuffle"),
        (TABLE, "?targets=,", "?targets"),
        (TABLE, "?targets=t,x1", ""),
        ("x1,x2,t\n1,2,0\n1,2,zebra\n", "?targets=t", ""),
        ("x1,x2,t\n1e308,2,1\n-1e308,3,1\n", "?targets=t&standardize=1", "?standardize"),
        ("", "?targets=t", "?targets"),
    ],
)
def test_tables_that_are_refused(client: TestClient, content: str, query: str, where: str) -> None:
    url = create(client)
    body = problem(put(client, url, content, query), 422)
    assert places(body) == [where]
    assert "zebra" not in str(body)
    assert read(client, url)["revision"] == 0


def test_a_class_of_a_table_that_has_no_output(client: TestClient) -> None:
    url = create(client, layers=LAYERS, loss="nll", data=None)
    body = problem(put(client, url, "a,b,t\n1,2,0\n3,4,7\n", "?targets=t"), 422)
    assert (places(body), body["detail"]) == ([""], "line 3: got class 7; takes 0 to 2, one for each output")


def test_labels_for_a_loss_of_values(client: TestClient) -> None:
    url = create(client, layers=LAYERS, loss="mse", data=None)
    assert put(client, url, FLOWERS, "?targets=kind").status_code == 200
    assert read(client, f"{url}/data")["targets"] == [[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    url = create(client, data=None)
    assert put(client, url, "a,b,t\n1,2,no\n3,4,yes\n", "?targets=t").status_code == 200
    assert read(client, f"{url}/data")["targets"] == [[0], [1]]


def test_bytes_that_are_no_text(client: TestClient) -> None:
    assert "its byte 4" in problem(put(client, create(client), b"a,b\n\xff", "?targets=b"), 400)["detail"]


def test_where_no_table_is_taken(client: TestClient) -> None:
    url = create(client)
    problem(client.post(f"{url}/forward", content=TABLE, headers=CSV), 415)
    problem(client.post(f"{url}/forward", content=b"PK", headers={"Content-Type": NPZ}), 415)
    problem(put(client, url, TABLE, "?targets=t", **{"Content-Encoding": "gzip"}), 415)


def test_limits_of_tables(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_batch=7, max_body=2000)
    url = create(client)
    body = problem(put(client, url, TABLE * 2, "?targets=t"), 422)  # the header again is no row
    assert "line 6, column 1" in body["detail"]
    many = "x1,x2,t\n" + "1,2,3\n" * 8
    assert problem(put(client, url, many, "?targets=t"), 422, "limit-exceeded")["limit"] == 7
    problem(put(client, url, TABLE * 100, "?targets=t"), 413)
    problem(put(client, url, "x1,x2,t\n" + "," * 1900, "?targets=t"), 422)


def test_a_large_table_comes_to_the_same(client: TestClient) -> None:
    rows = np.random.default_rng(0).normal(size=(20_000, 3))
    text = "a,b,c\n" + "\n".join(",".join(map(repr, row)) for row in rows.tolist())
    url = create(client)
    assert put(client, url, text, "?targets=b").status_code == 200
    data = read(client, f"{url}/data")
    assert data["inputs"] == rows[:, [0, 2]].tolist()
    assert data["targets"] == rows[:, [1]].tolist()


# ----- arrays


def put_npz(client: TestClient, url: str, query: str = "", /, **arrays: Any) -> Any:
    content = to_npz({name: np.array(value) for name, value in arrays.items()})
    return put(client, url, content, query, **{"Content-Type": NPZ})


def test_whole_numbers_of_an_array_are_values_for_one_output(client: TestClient) -> None:
    url = create(client)
    assert put_npz(client, url, inputs=[[0, 0], [0, 1]], targets=np.array([0, 1])).status_code == 200
    assert read(client, f"{url}/data")["targets"] == [[0], [1]]


def test_arrays(client: TestClient) -> None:
    url = create(client)
    x, t = [[1, 2], [3.5, 4], [5, 6]], [0.25, 0.5, 1]
    assert put_npz(client, url, inputs=x, targets=t, test_inputs=x[:1], test_targets=[t[:1]]).status_code == 200
    rows = read(client, f"{url}/data")
    assert (rows["inputs"], rows["targets"]) == (x, [[0.25], [0.5], [1]])
    assert rows["test"] == {"inputs": x[:1], "targets": [[0.25]]}
    put_npz(client, url, "?test_fraction=0.3&standardize=1", inputs=np.array(x, np.float16), targets=t)
    rows = read(client, f"{url}/data")
    assert (len(rows["inputs"]), len(rows["test"]["inputs"])) == (2, 1)
    assert np.mean(rows["inputs"], axis=0) == pytest.approx([0, 0])


def test_arrays_of_classes(client: TestClient) -> None:
    url = create(client, layers=LAYERS, loss="cross_entropy", data=None)
    put_npz(client, url, inputs=[[1, 2], [3, 4]], targets=np.array([2, 0], np.uint8))
    assert read(client, f"{url}/data")["targets"] == [2, 0]
    body = problem(put_npz(client, url, inputs=[[1, 2]], targets=[3]), 422)
    assert places(body) == ["/targets/0"]


@pytest.mark.parametrize("lie", [np.asfortranarray, lambda a: a[::-1], lambda a: a.astype(a.dtype.newbyteorder(">"))])
@pytest.mark.parametrize("loss", ["mse", "nll"])
def test_however_arrays_lie_they_can_be_trained_on(client: TestClient, loss: str, lie: Any) -> None:
    x = np.array([[1, 2], [3.5, 4], [5, 6], [7, 8]])
    t = np.array([2, 0, 1, 1]) if loss == "nll" else np.array([[1, 0, 0.5], [0, 1, 0], [1, 1, 1], [0, 0, 0]])
    given: dict[str, Any] = {"inputs": x, "targets": t, "test_inputs": x[:3], "test_targets": t[:3]}
    url, plain = (create(client, layers=LAYERS, loss=loss, data=None) for _ in range(2))
    assert put_npz(client, url, **{name: lie(array) for name, array in given.items()}).status_code == 200
    same = {name: np.array(lie(array).tolist(), array.dtype) for name, array in given.items()}
    assert put_npz(client, plain, **same).status_code == 200
    rows = [read(client, f"{one}/data") for one in (url, plain)]
    assert rows[0] == rows[1]
    trained = [post(client, f"{one}/train", {"epochs": 3, "batch_size": 3}) for one in (url, plain)]
    assert numbers(trained[0]["snapshot"]) == numbers(trained[1]["snapshot"])
    assert read(client, url)["config"]["data"]["inputs"] == rows[0]["inputs"]
    assert client.get(f"{url}/snapshot", headers={"Accept": NPZ}).status_code == 200
    create(client, read(client, f"{url}/export"))


@pytest.mark.parametrize(
    ("query", "arrays", "where"),
    [
        ("?targets=t", {"inputs": [[1, 2]], "targets": [[1]]}, "?targets"),
        ("?test_fraction=0.5", {"inputs": [[1, 2]], "targets": [[1]]}, "?test_fraction"),
        ("?test_fraction=0.5",
         {"inputs": [[1, 2]], "targets": [[1]], "test_inputs": [[1, 2]], "test_targets": [[1]]}, "?test_fraction"),
        ("", {"inputs": [[1, 2]]}, "/targets"),
        ("", {"inputs": [[1, 2, 3]], "targets": [[1]]}, "/inputs"),
        ("", {"inputs": [[1, 2]], "targets": [[1], [2]]}, "/targets"),
        ("", {"inputs": [[1, 2]], "targets": [[1]], "test_inputs": [[1]], "test_targets": [[1]]}, "/test_inputs"),
        ("", {"inputs": [[1, 2]], "targets": [[1]], "test_inputs": [[1, 2]], "test_targets": [[1], [1]]},
         "/test_targets"),
    ],
)  # fmt: skip
def test_arrays_that_are_refused(client: TestClient, query: str, arrays: dict[str, Any], where: str) -> None:
    assert places(problem(put_npz(client, create(client), query, **arrays), 422)) == [where]


def test_what_is_no_npz(client: TestClient) -> None:
    problem(put(client, create(client), b"PK", **{"Content-Type": NPZ}), 400)


@pytest.mark.parametrize("query", ["targets=t", "test_fraction=0.5", "shuffle=1"])
def test_json_says_itself_what_becomes_of_it(client: TestClient, query: str) -> None:
    answer = client.put(f"{create(client)}/data?{query}", json=ROWS, headers=JSON)
    assert places(problem(answer, 422)) == ["?" + query.partition("=")[0]]
