"""The one place where numbers are written out: what is shown, how exactly, and in which form."""

import gzip
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.api.snapshots import dumps

from .calls import CLASSES, LAYERS, NPZ, ROWS, create, named, npz, places, post, problem, read

SOFTMAX = [
    {"name": "hidden", "units": 3, "activation": "tanh"},
    {"name": "output", "units": 2, "activation": "softmax"},
]
TWO = {"inputs": ROWS["inputs"], "targets": [[1, 0], [0, 1], [1, 0], [1, 0], [0, 1], [0, 1], [1, 0]]}


def at_backward(client: TestClient, **fields: Any) -> str:
    """A session with everything there is to see; its URL."""
    url = create(client, **fields)
    post(client, f"{url}/train", {"epochs": 2})
    post(client, f"{url}/forward")
    post(client, f"{url}/backward")
    return url


def test_what_is_not_computed_yet_is_null(client: TestClient) -> None:
    url = create(client, optimizer={"type": "sgd", "momentum": 0.9})
    snapshot = read(client, f"{url}/snapshot")
    assert set(snapshot) == {
        "session", "revision", "phase", "next", "allowed", "steps", "epochs", "loss", "inputs", "targets", "outputs",
        "layers", "health", "nonfinite", "omitted",
    }  # fmt: skip
    assert snapshot["session"] == url.rpartition("/")[2]
    assert snapshot["inputs"] is snapshot["targets"] is snapshot["outputs"] is snapshot["loss"] is None
    for layer in snapshot["layers"]:
        assert set(layer) == {"name", "activation", "z", "a", "da_dz", "dL_da", "dL_dz", "parameters"}
        assert layer["z"] is layer["a"] is layer["da_dz"] is layer["dL_da"] is layer["dL_dz"] is None
        for parameter in layer["parameters"].values():
            assert parameter["gradient"] is None
            assert parameter["state"] == {"momentum_buffer": None}
    snapshot = post(client, f"{url}/forward", {"until": "hidden"})
    assert snapshot["layers"][0]["a"] is not None
    assert snapshot["layers"][0]["da_dz"] is snapshot["layers"][1]["a"] is snapshot["outputs"] is None


def test_the_terms_are_those_of_the_chain_rule(client: TestClient) -> None:
    snapshot = read(client, at_backward(client) + "/snapshot")
    x = np.array(snapshot["inputs"])
    n = len(x)
    hidden, output = snapshot["layers"]
    for layer, below in ((hidden, x), (output, np.array(hidden["a"]))):
        weight, bias = (np.array(layer["parameters"][kind]["value"]) for kind in ("weight", "bias"))
        np.testing.assert_allclose(layer["z"], below @ weight.T + bias, rtol=1e-14)
        np.testing.assert_allclose(layer["dL_dz"], np.multiply(layer["dL_da"], layer["da_dz"]), rtol=1e-14)
        gradient = np.array(layer["dL_dz"]).T @ below
        np.testing.assert_allclose(layer["parameters"]["weight"]["gradient"], gradient, rtol=1e-12)
        np.testing.assert_allclose(layer["parameters"]["bias"]["gradient"], np.sum(layer["dL_dz"], axis=0), rtol=1e-12)
    np.testing.assert_allclose(hidden["da_dz"], 1 - np.square(hidden["a"]), rtol=1e-14)
    error = np.array(snapshot["outputs"]) - snapshot["targets"]
    np.testing.assert_allclose(output["dL_da"], 2 * error / n, rtol=1e-14)
    assert snapshot["loss"] == pytest.approx(np.square(error).mean(), rel=1e-14)


TERMS = {"inputs", "targets", "outputs", "z", "a", "da_dz"}


def shown(snapshot: dict[str, Any]) -> set[str]:
    """The keys under which a snapshot has arrays."""
    keys = set(snapshot) & TERMS
    for layer in snapshot["layers"]:
        keys |= set(layer) - {"name", "activation", "parameters"}
        for parameter in layer.get("parameters", {}).values():
            keys |= set(parameter)
    return keys


@pytest.mark.parametrize(
    ("include", "parts"),
    [
        ("activations", TERMS),
        ("gradients", {"dL_da", "dL_dz", "gradient"}),
        ("parameters", {"value"}),
        ("optimizer", {"state"}),
        ("jacobians", set()),
        ("", set()),
        ("parameters,optimizer", {"value", "state"}),
        (" parameters , gradients,", {"value", "dL_da", "dL_dz", "gradient"}),
        ("activations,gradients,parameters,optimizer", {*TERMS, "dL_da", "dL_dz", "value", "gradient", "state"}),
    ],
)
def test_include(client: TestClient, include: str, parts: set[str]) -> None:
    url = at_backward(client)
    snapshot = client.get(f"{url}/snapshot", params={"include": include}).json()
    assert shown(snapshot) == parts
    assert snapshot["loss"] is not None
    post(client, f"{url}/forward")
    assert shown(client.post(f"{url}/backward", params={"include": include}).json()) == parts
    assert shown(client.post(f"{url}/train", params={"include": include}).json()["snapshot"]) == parts


def test_layers(client: TestClient) -> None:
    url = at_backward(client)
    whole = read(client, f"{url}/snapshot")
    one = read(client, f"{url}/snapshot?layers=output")
    assert one["layers"] == whole["layers"][1:]
    assert one["inputs"] == whole["inputs"]
    assert read(client, f"{url}/snapshot?layers=output,%20hidden")["layers"] == whole["layers"]
    assert set(npz(client, f"{url}/snapshot?layers=hidden&include=parameters")) == {
        "hidden.weight", "hidden.bias", "loss",
    }  # fmt: skip


def test_samples(client: TestClient) -> None:
    url = at_backward(client)
    whole = named(read(client, f"{url}/snapshot"))
    for query, chosen in (("2", slice(2, 3)), ("0:3", slice(3)), ("5:7", slice(5, 7))):
        for part in (
            named(read(client, f"{url}/snapshot?samples={query}")),
            npz(client, f"{url}/snapshot?samples={query}"),
        ):
            assert set(part) == set(whole)
            for name, array in part.items():
                by_sample = name.endswith(("puts", "targets", ".z", ".a", "da_dz", "dL_da", "dL_dz"))
                np.testing.assert_array_equal(array, whole[name][chosen] if by_sample else whole[name])
    assert places(problem(client.get(f"{url}/snapshot?samples=0:8"), 422)) == ["?samples"]
    assert places(problem(client.get(f"{url}/snapshot?samples=7"), 422)) == ["?samples"]
    assert read(client, create(client) + "/snapshot?samples=3")["inputs"] is None


def test_samples_of_a_change_are_those_after_it(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward", {"inputs": [[1, 2]]})
    assert len(post(client, f"{url}/forward?samples=0:7")["inputs"]) == 7
    assert len(post(client, f"{url}/train?samples=0:3", {"batch_size": 4})["snapshot"]["inputs"]) == 3
    told = problem(client.post(f"{url}/train?samples=0:3", json={"batch_size": 2}), 422)  # the last batch has one
    assert places(told) == ["?samples"]


@pytest.mark.parametrize("operation", ["forward", "backward", "step"])
def test_samples_that_a_change_will_not_have(client: TestClient, operation: str) -> None:
    url = at_backward(client)
    before = read(client, url)["revision"]
    assert places(problem(client.post(f"{url}/{operation}?samples=50:60"), 422)) == ["?samples"]
    assert read(client, url)["revision"] == before


def test_samples_of_more_rows_than_will_be_given(client: TestClient) -> None:
    url = create(client)
    answer = client.post(f"{url}/forward?samples=1", json={"inputs": [[1, 2]]})
    assert places(problem(answer, 422)) == ["?samples"]
    post(client, f"{url}/forward?samples=2:7", {"until": "hidden"})
    assert places(problem(client.post(f"{url}/forward?samples=7"), 422)) == ["?samples"]


@pytest.mark.parametrize("samples", ["\U0001e4f0", "\U00011f50", "٣", "-1", "1:", "a"])
def test_samples_that_are_no_range(client: TestClient, samples: str) -> None:
    assert places(problem(client.get(f"{create(client)}/snapshot", params={"samples": samples}), 422)) == ["?samples"]


def test_decimals(client: TestClient) -> None:
    url = at_backward(client)
    exact, rounded = (named(read(client, f"{url}/snapshot{query}")) for query in ("", "?decimals=3"))
    for name, array in exact.items():
        np.testing.assert_array_equal(rounded[name], np.round(array, 3))
    assert (
        named(read(client, f"{url}/snapshot?decimals=0"))["hidden.a"].tolist() == np.round(exact["hidden.a"]).tolist()
    )


def test_decimals_of_a_training(client: TestClient) -> None:
    exact, rounded = (post(client, f"{create(client)}/train{query}", {"epochs": 2}) for query in ("", "?decimals=3"))
    for entry, short in zip(exact["history"], rounded["history"], strict=True):
        assert list(short) == list(entry)
        for name in ("epoch", "steps", "loss", "gradient_norm", "learning_rate"):
            assert short[name] == round(entry[name], 3)
    assert rounded["snapshot"]["loss"] == round(exact["snapshot"]["loss"], 3)


def test_decimals_of_what_is_too_large_to_have_any(client: TestClient) -> None:
    rows = {"inputs": [[1e300, -1e300]], "targets": [[1e300]]}
    layers = [{"name": "layer", "units": 1, "init": {"weight": [[1.0, 0.0]], "bias": 0.125}}]
    url = create(client, data=rows, layers=layers)
    snapshot = post(client, f"{url}/forward?decimals=17")
    assert snapshot["inputs"] == [[1e300, -1e300]]
    assert snapshot["outputs"] == [[1e300]]
    assert snapshot["loss"] == 0
    assert snapshot["nonfinite"] == []
    infinite = create(client, data={"inputs": [[1e300, 1]], "targets": [[0]]}, layers=layers)
    snapshot = post(client, f"{infinite}/forward?decimals=2")
    assert snapshot["loss"] is None
    assert snapshot["nonfinite"] == [{"name": "loss", "index": [], "value": "Infinity"}]


def test_jacobians(client: TestClient) -> None:
    url = create(client, layers=SOFTMAX, data=TWO)
    post(client, f"{url}/forward")
    assert read(client, f"{url}/snapshot?include=jacobians")["layers"][1]["da_dz"] is None
    post(client, f"{url}/backward")
    assert read(client, f"{url}/snapshot")["layers"][1]["da_dz"] is None
    snapshot = read(client, f"{url}/snapshot?include=activations,gradients,jacobians")
    hidden, output = snapshot["layers"]
    assert np.shape(hidden["da_dz"]) == (7, 3)
    a = np.array(output["a"])
    expected = np.einsum("nj,jk->njk", a, np.eye(2)) - np.einsum("nj,nk->njk", a, a)
    np.testing.assert_allclose(output["da_dz"], expected, atol=1e-16)
    dL_dz = np.einsum("nj,njk->nk", np.array(output["dL_da"]), np.array(output["da_dz"]))
    np.testing.assert_allclose(output["dL_dz"], dL_dz, atol=1e-16)
    assert set(read(client, f"{url}/snapshot?include=jacobians")["layers"][0]) == {"name", "activation"}
    one = read(client, f"{url}/snapshot?include=jacobians&samples=3")["layers"][1]["da_dz"]
    assert one == output["da_dz"][3:4]
    assert npz(client, f"{url}/snapshot?include=jacobians")["output.da_dz"].tolist() == output["da_dz"]


def test_a_jacobian_that_is_too_large_is_omitted(client: TestClient) -> None:
    layers = [{"name": "wide", "units": 101, "activation": "softmax"}, {"name": "output", "units": 1}]
    rows = {"inputs": [[0, 0]] * 10, "targets": [[0]] * 10}
    url = at_backward(client, layers=layers, data=rows)
    snapshot = read(client, f"{url}/snapshot?include=jacobians")
    assert snapshot["layers"][0]["da_dz"] is None
    assert snapshot["omitted"] == ["wide.da_dz"]
    snapshot = read(client, f"{url}/snapshot?include=jacobians&samples=0:9")
    assert np.shape(snapshot["layers"][0]["da_dz"]) == (9, 101, 101)
    assert snapshot["omitted"] == []


def test_a_jacobian_of_8_gib_is_never_made(client: TestClient) -> None:
    layers = [{"name": "wide", "units": 1000, "activation": "softmax"}]
    url = create(client, layers=layers, data=None)
    rows = {"inputs": [[0.5, 0.25]] * 1024, "targets": [[0.001] * 1000] * 1024}
    post(client, f"{url}/forward?include=", rows)
    snapshot = post(client, f"{url}/backward?include=jacobians")
    assert snapshot["layers"][0]["da_dz"] is None
    assert snapshot["omitted"] == ["wide.da_dz"]


OVERFLOWING = {
    "layers": [
        {"name": "hidden", "units": 2, "bias": "none", "init": {"weight": [[1e308, 1e308], [1.0, 0.0]]}},
        {"name": "output", "units": 1, "bias": "none", "init": {"weight": [[-1.0, 0.0]]}},
    ],
    "data": {"inputs": [[0, 0], [0, 0], [5, 5]], "targets": [[0], [0], [0]]},
}


def test_nonfinite(client: TestClient) -> None:
    url = create(client, **OVERFLOWING)
    snapshot = post(client, f"{url}/forward")
    assert snapshot["layers"][0]["z"] == [[0, 0], [0, 0], [None, 5]]
    assert snapshot["outputs"] == [[0], [0], [None]]
    infinite = [("hidden.z", [2, 0]), ("hidden.a", [2, 0])]
    assert snapshot["nonfinite"] == [
        {"name": "loss", "index": [], "value": "Infinity"},
        {"name": "outputs", "index": [2, 0], "value": "-Infinity"},
        *({"name": name, "index": index, "value": "Infinity"} for name, index in infinite),
        {"name": "output.z", "index": [2, 0], "value": "-Infinity"},
        {"name": "output.a", "index": [2, 0], "value": "-Infinity"},
    ]
    part = read(client, f"{url}/snapshot?samples=1:3&layers=hidden&include=activations")["nonfinite"]
    assert {"name": "hidden.z", "index": [2, 0], "value": "Infinity"} in part  # counted from the first of all samples
    assert all(entry["name"] != "output.z" for entry in part)
    assert read(client, f"{url}/snapshot?samples=0&include=activations")["nonfinite"] == [snapshot["nonfinite"][0]]
    snapshot = post(client, f"{url}/backward")
    assert {"name": "hidden.weight.gradient", "index": [0, 0], "value": "Infinity"} in snapshot["nonfinite"]
    assert any(entry["value"] == "NaN" for entry in post(client, f"{url}/step")["nonfinite"])
    exact = npz(client, f"{url}/snapshot")
    for entry in read(client, f"{url}/snapshot")["nonfinite"]:
        assert (
            str(exact[entry["name"]][tuple(entry["index"])])
            == {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}[entry["value"]]
        )
    assert read(client, url)["loss"] is None


def test_nonfinite_in_float32(client: TestClient) -> None:
    layers = [{"name": "layer", "units": 1, "init": {"weight": 3e38}}]
    url = create(client, layers=layers, dtype="float32", data={"inputs": [[9, 9]], "targets": [[0]]})
    assert post(client, f"{url}/forward")["nonfinite"][0] == {"name": "loss", "index": [], "value": "Infinity"}


def test_the_largest_are_omitted(client: TestClient, make_client: Callable[..., TestClient]) -> None:
    wide = [{"name": "wide", "units": 10, "activation": "tanh"}, {"name": "output", "units": 1}]
    sizes = {"wide.z": 70, "wide.a": 70, "wide.da_dz": 70, "wide.dL_da": 70, "wide.dL_dz": 70}
    for limit, left_out in ((1000, 0), (400, 2), (250, 4), (150, 5)):
        small = make_client(max_numbers=limit)
        url = at_backward(small, layers=wide)
        snapshot = read(small, f"{url}/snapshot")
        assert sum(array.size for name, array in named(snapshot).items() if name != "loss") <= limit
        assert len(snapshot["omitted"]) == left_out
        assert set(snapshot["omitted"]) <= set(sizes)
        for name in snapshot["omitted"]:
            assert snapshot["layers"][0][name.partition(".")[2]] is None
        assert set(npz(small, f"{url}/snapshot")) == {*named(snapshot), *snapshot["omitted"]}
        assert read(small, f"{url}/snapshot?samples=0:1")["omitted"] == []
        assert read(small, f"{url}/snapshot?layers=output")["omitted"] == []
    tiny = make_client(max_numbers=1)
    snapshot = post(tiny, f"{create(tiny, optimizer='adam')}/train")["snapshot"]
    whole = post(client, f"{create(client, optimizer='adam')}/train")["snapshot"]
    kept = set(named(snapshot)) - {"loss"}
    assert len(kept) == 1
    assert set(snapshot["omitted"]) == set(named(whole)) - {"loss"} - kept


@pytest.mark.parametrize("optimizer", ["sgd", "adam", {"type": "rmsprop", "momentum": 0.5, "centered": True}])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_npz_is_the_same_content(client: TestClient, optimizer: Any, dtype: str) -> None:
    url = at_backward(client, optimizer=optimizer, dtype=dtype, layers=SOFTMAX, data=TWO)
    arrays = npz(client, f"{url}/snapshot")
    expected = named(read(client, f"{url}/snapshot"))
    assert set(arrays) == set(expected)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name])
        counts = name == "loss" or name.endswith(".state.step")
        assert array.dtype == dtype or counts
        assert array.shape == expected[name].shape


def test_npz_of_a_change(client: TestClient) -> None:
    url = create(client, CLASSES)
    answer = client.post(f"{url}/forward", headers={"Accept": NPZ})
    assert answer.headers["ETag"] == '"1-npz"'
    assert answer.headers["Content-Location"] == f"{url}/snapshot?revision=1"
    with np.load(io.BytesIO(answer.content)) as arrays:
        assert arrays["targets"].dtype == np.int64
        assert arrays["outputs"].shape == (3, 3)


def test_float32_is_written_as_the_number_that_it_is(client: TestClient) -> None:
    url = create(client, dtype="float32", layers=[{"units": 1, "init": {"weight": 0.1}}])
    value = read(client, f"{url}/snapshot")["layers"][0]["parameters"]["weight"]["value"]
    assert value == [[0.10000000149011612, 0.10000000149011612]]
    snapshot = post(client, f"{url}/forward")
    for array in named(snapshot).values():
        if array.dtype.kind == "f" and array.ndim:
            np.testing.assert_array_equal(array.astype(np.float32).astype(np.float64), array)
    predicted = post(client, f"{url}/predict")
    assert predicted["outputs"] == snapshot["outputs"]


def test_numbers_are_exact(client: TestClient) -> None:
    weight = [[0.1 + 0.2, -0.0], [5e-324, 1.7976931348623157e308], [2**53 + 1, 1 / 3]]
    url = create(client, layers=[{**LAYERS[0], "init": {"weight": weight}}, LAYERS[1]])
    text = client.get(f"{url}/snapshot").text
    assert (
        "[[0.30000000000000004,-0.0],[5e-324,1.7976931348623157e+308],[9007199254740992.0,0.3333333333333333]]" in text
    )


def test_entity_tags(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    for accept, tag in (("*/*", '"1"'), ("application/json", '"1"'), (NPZ, '"1-npz"')):
        answer = client.get(f"{url}/snapshot", headers={"Accept": accept})
        assert answer.headers["ETag"] == tag
        assert "Accept" in answer.headers["Vary"]
        for given in (tag, f"W/{tag}", f'"0", {tag}', "*"):
            same = client.get(f"{url}/snapshot", headers={"Accept": accept, "If-None-Match": given})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["ETag"] == tag
            assert "Accept" in same.headers["Vary"]
        for given in ('"0"', '"2"', tag.replace("1", "0")):
            other = client.get(f"{url}/snapshot", headers={"Accept": accept, "If-None-Match": given})
            assert other.status_code == 200
    assert client.get(f"{url}/snapshot", headers={"If-None-Match": '"1-npz"'}).status_code == 200
    assert read(client, f"{url}/snapshot?revision=1") == read(client, f"{url}/snapshot")


def test_entity_tags_of_the_past(client: TestClient) -> None:
    """Each state has a tag of its own, by which it can be had again and by which a change can be made at it."""
    url = create(client)
    post(client, f"{url}/train", {"epochs": 3})
    tags = {"?revision=0": "0", "?epoch=0": "0", "?epoch=1": "1-epoch1", "?epoch=2": "1-epoch2", "?epoch=3": "1"}
    for query, tag in tags.items():
        for accept, form in (("application/json", ""), (NPZ, "-npz")):
            headers = {"Accept": accept}
            assert client.get(f"{url}/snapshot{query}", headers=headers).headers["ETag"] == f'"{tag}{form}"'
            held = client.get(f"{url}/snapshot{query}", headers={**headers, "If-None-Match": f'"{tag}{form}"'})
            assert held.status_code == 304
            other = client.get(f"{url}/snapshot{query}", headers={**headers, "If-None-Match": f'"7{form}"'})
            assert other.status_code == 200
    problem(client.post(f"{url}/forward", headers={"If-Match": '"0"'}), 412)
    assert client.post(f"{url}/forward", headers={"If-Match": '"1-epoch2"'}).status_code == 200  # the number alone


def test_gzip(client: TestClient) -> None:
    rows = {"inputs": [[i / 7, i / 3] for i in range(1000)], "targets": [[0.5]] * 1000}
    url = create(client, data=rows)
    plain = client.post(f"{url}/forward", headers={"Accept-Encoding": "identity"})
    assert plain.headers["ETag"] == '"1"'
    assert "Content-Encoding" not in plain.headers
    packed = client.get(f"{url}/snapshot", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["ETag"] == '"1-gzip"'
    assert set(re.split(r",\s*", packed.headers["Vary"])) == {"Accept", "Accept-Encoding"}
    assert packed.json() == plain.json()
    assert int(packed.headers["Content-Length"]) < len(packed.content)
    for given in ('"1"', '"1-gzip"'):
        assert client.get(f"{url}/snapshot", headers={"If-None-Match": given}).status_code == 304
    refused = client.get(f"{url}/snapshot", headers={"Accept-Encoding": "gzip;q=0, *"})
    assert "Content-Encoding" not in refused.headers
    small = client.get(f"{url}/snapshot?samples=0", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers
    with client.stream("GET", f"{url}/snapshot", headers={"Accept-Encoding": "gzip"}) as answer:
        assert gzip.decompress(b"".join(answer.iter_raw())) == plain.content
    for path in ("", "/data", "/export"):
        assert client.get(url + path, headers={"Accept-Encoding": "gzip"}).headers.get("Content-Encoding") == "gzip"
    trained = client.post(f"{url}/train", headers={"Accept-Encoding": "gzip"})
    assert trained.headers["ETag"] == '"2-gzip"'
    assert client.post(f"{url}/forward", headers={"If-Match": trained.headers["ETag"]}).status_code == 200


def test_samples_of_a_forward_pass_that_is_being_made(client: TestClient) -> None:
    url = create(client)
    problem(client.post(f"{url}/forward?samples=5:5"), 422)
    problem(client.post(f"{url}/forward?layers=zebra"), 422)
    assert read(client, url)["revision"] == 0


def test_large_arrays_are_written_in_pieces(client: TestClient) -> None:
    rows = [[i / 7, -i / 3] for i in range(30_001)]
    for width, layers in ((2, [{"units": 2}]), (1, [{"units": 1}])):
        url = create(client, layers=layers, data=None)
        targets = [row[:width] for row in rows]
        snapshot = post(client, f"{url}/forward", {"inputs": rows, "targets": targets})
        assert (snapshot["inputs"], snapshot["targets"]) == (rows, targets)
    assert post(client, f"{url}/predict", {"inputs": rows})["outputs"] == snapshot["outputs"]


def test_npz_before_there_is_a_loss(client: TestClient) -> None:
    url = create(client)
    assert set(npz(client, f"{url}/snapshot")) == {"hidden.weight", "hidden.bias", "output.weight", "output.bias"}


def test_large_arrays_are_written_in_pieces_of_the_same_json() -> None:
    wide, tall, flat = np.random.default_rng(0).random((3, 250_000)), np.ones((300_000, 1)), np.arange(201_000)
    body = {"a": wide, "b": [{"c": tall, "d": None}], "e": flat, "f": [1, 2]}
    assert dumps(body, large=True) == dumps(body)
