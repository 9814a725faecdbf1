"""Reading tensors, editing numbers, explaining them, grading those worked by hand, seeing a step before it is made."""

import io
import math
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from starlette.testclient import TestClient

from .calls import CLASSES, LAYERS, NPZ, ROWS, config, create, named, npz, places, post, problem, read

NPY = "application/x-npy"
MARKDOWN = "text/markdown"
SOFTMAX = [
    {"name": "hidden", "units": 2, "activation": "tanh", "bias": "shared"},
    {"name": "output", "units": 2, "activation": "softmax"},
]
TWO = {"inputs": ROWS["inputs"][:3], "targets": [[1, 0], [0, 1], [0.5, 0.5]]}
THREE = {"inputs": ROWS["inputs"][:3], "targets": ROWS["targets"][:3]}
OVERFLOWING = [
    {"name": "hidden", "units": 2, "bias": "none", "init": {"weight": [[1e308, 1e308], [1.0, 0.0]]}},
    {"name": "output", "units": 1, "bias": "none", "init": {"weight": [[-1.0, 0.0]]}},
]


def at_backward(client: TestClient, body: Any = None, **fields: Any) -> str:
    """A session with everything there is to see; its URL."""
    url = create(client, body, **fields)
    post(client, f"{url}/train", {"epochs": 2})
    post(client, f"{url}/forward")
    post(client, f"{url}/backward")
    return url


def patch(client: TestClient, url: str, body: Any, **headers: str) -> Any:
    answer = client.patch(f"{url}/parameters", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


# Tensors


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_tensor_of_a_snapshot(client: TestClient, dtype: str) -> None:
    url = at_backward(client, dtype=dtype, optimizer="adam")
    for name, array in npz(client, f"{url}/snapshot").items():
        answer = client.get(f"{url}/tensors/{name}")
        body = answer.json()
        assert list(body) == ["name", "shape", "dtype", "nonfinite", "value"]
        assert (body["name"], body["shape"], body["dtype"]) == (name, list(array.shape), array.dtype.name)
        assert body["value"] == array.tolist()  # a float32 as the exact number that it is
        assert body["nonfinite"] == []
        assert answer.headers["ETag"] == '"3"'
        answer = client.get(f"{url}/tensors/{name}", headers={"Accept": NPY})
        assert (answer.headers["Content-Type"], answer.headers["ETag"]) == (NPY, '"3-npy"')
        assert "Accept" in answer.headers["Vary"]
        loaded = np.load(io.BytesIO(answer.content), allow_pickle=False)
        assert (loaded.dtype, loaded.shape, loaded.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_one_row_and_one_number(client: TestClient) -> None:
    url = at_backward(client)
    z = read(client, f"{url}/snapshot")["layers"][0]["z"]
    row, number = read(client, f"{url}/tensors/hidden.z[2]"), read(client, f"{url}/tensors/hidden.z[2][1]")
    assert (row["name"], row["shape"], row["value"]) == ("hidden.z[2]", [3], z[2])
    assert (number["name"], number["shape"], number["value"]) == ("hidden.z[2][1]", [], z[2][1])
    assert read(client, f"{url}/tensors/hidden.z[2][1]?decimals=2")["value"] == round(z[2][1], 2)
    content = client.get(f"{url}/tensors/hidden.z[2][1]", headers={"Accept": NPY}).content
    assert np.load(io.BytesIO(content)) == z[2][1]
    assert np.array(read(client, f"{url}/tensors/hidden.z?decimals=1")["value"]).tolist() == np.round(z, 1).tolist()


def test_tensors_that_no_snapshot_has(client: TestClient) -> None:
    url = at_backward(client, layers=SOFTMAX, data=TWO)
    gradients = [array for name, array in npz(client, f"{url}/snapshot").items() if name.endswith("gradient")]
    norm = read(client, f"{url}/tensors/gradient_norm")
    assert norm["shape"] == []
    assert norm["value"] == pytest.approx(math.sqrt(sum(np.square(gradient).sum() for gradient in gradients)))
    jacobian = npz(client, f"{url}/snapshot?include=jacobians")["output.da_dz"]
    assert read(client, f"{url}/tensors/output.da_dz")["value"] == jacobian.tolist()
    assert read(client, f"{url}/tensors/output.da_dz[1][0][1]")["value"] == jacobian[1, 0, 1]
    following = {name: read(client, f"{url}/tensors/{name}.next")["value"] for name in ("hidden.bias", "output.weight")}
    after = named(post(client, f"{url}/step"))
    assert {name: after[name].tolist() for name in following} == following


def test_what_is_not_finite_in_a_tensor(client: TestClient) -> None:
    url = create(client, layers=OVERFLOWING, data={"inputs": [[0, 0], [5, 5]], "targets": [[0], [0]]})
    post(client, f"{url}/forward")
    body = read(client, f"{url}/tensors/hidden.z?decimals=1")
    assert body["value"] == [[0, 0], [None, 5]]
    assert body["nonfinite"] == [{"name": "hidden.z", "index": [1, 0], "value": "Infinity"}]
    one = read(client, f"{url}/tensors/outputs[1][0]")
    assert one["value"] is None
    assert one["nonfinite"] == [{"name": "outputs[1][0]", "index": [], "value": "-Infinity"}]
    summary = read(client, f"{url}/tensors/hidden.z/summary")
    assert (summary["nonfinite"], summary["zeros"], summary["max"]) == (1, 2, 5)
    assert read(client, f"{url}/tensors/outputs[1][0]/summary")["mean"] is None


@pytest.mark.parametrize(
    "name",
    [
        "zebra", "zebra.z", "hidden", "hidden.", "hidden.zebra", "hidden.weight.zebra", "hidden.weight.state.exp_avg",
        "hidden.z[7]", "hidden.z[0][3]", "hidden.z[0][0][0]", "loss[0]", "hidden.z[-1]", "hidden.z[x]", "hidden.z[0",
        "hidden.weight.gradient.next", "%00", "a" * 300, "hidden.z[99999999999]",
    ],
)  # fmt: skip
def test_no_such_tensor(client: TestClient, name: str) -> None:
    url = at_backward(client)
    for path in ("", "/summary"):
        body = problem(client.get(f"{url}/tensors/{quote(name, safe='%')}{path}"), 404, "not-found")
        assert "zebra" not in body["detail"]


def test_a_tensor_that_is_not_computed_yet(client: TestClient) -> None:
    url = create(client)
    computed_by = {
        "hidden.z": "forward", "outputs": "forward", "loss": "forward", "inputs": "forward", "targets": "forward",
        "hidden.da_dz": "backward", "hidden.dL_dz": "backward", "output.weight.gradient": "backward",
        "gradient_norm": "backward", "hidden.weight.next": "backward",
    }  # fmt: skip
    for name in computed_by:
        for path in ("", "/summary"):
            first = problem(client.get(f"{url}/tensors/{name}{path}"), 409, "wrong-phase")["call_first"]
            assert first == "forward"
    post(client, f"{url}/forward")
    for name, first in computed_by.items():
        answer = client.get(f"{url}/tensors/{name}")
        if first == "forward":
            assert answer.status_code == 200
        else:
            assert problem(answer, 409)["call_first"] == "backward"
    post(client, f"{url}/backward", {"until": "output"})
    assert client.get(f"{url}/tensors/output.weight.gradient").status_code == 200
    assert problem(client.get(f"{url}/tensors/hidden.weight.gradient"), 409)["call_first"] == "backward"
    assert problem(client.get(f"{url}/tensors/gradient_norm"), 409)["call_first"] == "backward"
    assert read(client, f"{create(client)}/tensors/hidden.weight")["shape"] == [3, 2]


def test_a_tensor_that_is_too_large_for_json(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_numbers=20)
    url = at_backward(client)
    body = problem(client.get(f"{url}/tensors/hidden.z"), 422, "limit-exceeded")
    assert (body["limit"], body["estimate"], body["setting"]) == (20, 21, "GRADSTEP_MAX_NUMBERS")
    assert client.get(f"{url}/tensors/hidden.z", headers={"Accept": NPY}).status_code == 200
    assert client.get(f"{url}/tensors/hidden.z[0]").status_code == 200


def test_a_jacobian_that_is_too_large_is_never_made(client: TestClient) -> None:
    layers = [{"name": "wide", "units": 1000, "activation": "softmax"}]
    url = create(client, layers=layers, data=None)
    rows = {"inputs": [[0.5, 0.25]] * 1024, "targets": [[0.001] * 1000] * 1024}
    post(client, f"{url}/forward?include=", rows)
    post(client, f"{url}/backward?include=")
    for path in ("/tensors/wide.da_dz", "/tensors/wide.da_dz/summary"):
        for accept in ("*/*", NPY) if path.endswith("dz") else ("*/*",):
            body = problem(client.get(url + path, headers={"Accept": accept}), 422, "limit-exceeded")
            assert (places(body), body["estimate"]) == (["?name"], 1024 * 10**6)
    answer = client.post(f"{url}/diff", json={"wide.da_dz": [1]})
    assert places(problem(answer, 422, "limit-exceeded")) == ["/wide.da_dz"]


def test_summary(client: TestClient) -> None:
    url = at_backward(client)
    for name, array in npz(client, f"{url}/snapshot").items():
        summary = read(client, f"{url}/tensors/{name}/summary")
        assert list(summary) == [
            "shape", "min", "max", "mean", "std", "norm", "zeros", "nonfinite", "histogram", "largest",
        ]  # fmt: skip
        assert summary["shape"] == list(array.shape)
        for key, expected in (
            ("min", array.min()), ("max", array.max()), ("mean", array.mean()), ("std", array.std()),
            ("norm", np.linalg.norm(array)), ("zeros", (array == 0).sum()), ("nonfinite", 0),
        ):  # fmt: skip
            assert summary[key] == pytest.approx(expected, rel=1e-12, abs=1e-15), (name, key)
        edges, counts = summary["histogram"]["edges"], summary["histogram"]["counts"]
        assert len(edges) == len(counts) + 1
        assert sum(counts) == array.size
        largest = [entry["value"] for entry in summary["largest"]]
        assert [abs(value) for value in largest] == sorted(np.abs(array).ravel().tolist(), reverse=True)[:10]
        assert [array[tuple(entry["index"])] for entry in summary["largest"]] == largest


# Edits


def test_edit(client: TestClient) -> None:
    url = at_backward(client)
    before = read(client, f"{url}/snapshot")
    answer = client.patch(f"{url}/parameters", json={"hidden.weight[0][1]": 0.5, "output.bias": [0.1]})
    after = answer.json()
    assert answer.headers["ETag"] == '"4"'
    assert answer.headers["Content-Location"] == f"{url}/snapshot?revision=4"
    assert after == read(client, f"{url}/snapshot")
    before["layers"][0]["parameters"]["weight"]["value"][0][1] = 0.5
    before["layers"][1]["parameters"]["bias"]["value"] = [0.1]
    before["revision"] = 4
    assert {**after, "health": None} == {**before, "health": None}  # trace and gradients stay as they are
    session = read(client, url)
    assert (session["revision"], session["phase"]) == (4, "backward")
    entry = read(client, f"{url}/history")["items"][-1]
    assert (entry["operation"], entry["arguments"]) == ("edit", {"hidden.weight[0][1]": 0.5, "output.bias": [0.1]})
    assert patch(client, url, {"hidden.weight": [[1, 2], [3, 4], [5, 6]]})["layers"][0]["parameters"]["weight"][
        "value"
    ] == [[1, 2], [3, 4], [5, 6]]


def test_edit_answers_any_form_of_a_snapshot(client: TestClient) -> None:
    url = at_backward(client)
    answer = client.patch(f"{url}/parameters?include=parameters&layers=output", json={"output.bias[0]": 0.25})
    assert [set(layer) for layer in answer.json()["layers"]] == [{"name", "activation", "parameters"}]
    answer = client.patch(f"{url}/parameters", json={"output.bias[0]": 0.125}, headers={"Accept": NPZ})
    assert answer.headers["ETag"] == '"5-npz"'
    with np.load(io.BytesIO(answer.content)) as arrays:
        assert arrays["output.bias"].tolist() == [0.125]
    assert len(client.patch(f"{url}/parameters?samples=2:4", json={"output.bias[0]": 1}).json()["inputs"]) == 2
    assert places(problem(client.patch(f"{url}/parameters?samples=9", json={"output.bias[0]": 2}), 422)) == ["?samples"]
    assert read(client, f"{url}/tensors/output.bias[0]")["value"] == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"zebra": 1}, "/zebra"),
        ({"zebra.weight": 1}, "/zebra.weight"),
        ({"hidden.z": [[1]]}, "/hidden.z"),
        ({"hidden.weight.gradient": 1}, "/hidden.weight.gradient"),
        ({"hidden.weight.next[0][0]": 1}, "/hidden.weight.next[0][0]"),
        ({"loss": 1}, "/loss"),
        ({"hidden.weight": 1}, "/hidden.weight"),
        ({"hidden.weight": [[1, 2]]}, "/hidden.weight"),
        ({"hidden.weight": [[1, 2], [3, 4], [5]]}, "/hidden.weight"),
        ({"hidden.weight[0][1]": [1]}, "/hidden.weight[0][1]"),
        ({"hidden.weight[0]": [1, 2]}, "/hidden.weight[0]"),
        ({"hidden.weight[3][0]": 1}, "/hidden.weight[3][0]"),
        ({"hidden.weight[0][2]": 1}, "/hidden.weight[0][2]"),
        ({"hidden.bias[0]": 1, "output.bias": "x"}, "/output.bias"),
        ({"hidden.bias[0]": None}, "/hidden.bias[0]"),
        ({"hidden.bias[0]": True}, "/hidden.bias[0]"),
        ({"hidden.bias[0]": "1"}, "/hidden.bias[0]"),
        ({"hidden.bias": [1, None, 3]}, "/hidden.bias/1"),
        ({"hidden.bias[0]": {}}, "/hidden.bias[0]"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({}, ""),
        ([], ""),
    ],
)
def test_no_edit(client: TestClient, body: Any, pointer: str) -> None:
    url = create(client)
    before = read(client, f"{url}/export"), read(client, url)
    assert places(problem(client.patch(f"{url}/parameters", json=body), 422, "invalid-input")) == [pointer]
    assert before == (read(client, f"{url}/export"), read(client, url))


def test_an_edit_with_if_match(client: TestClient) -> None:
    url = create(client)
    problem(client.patch(f"{url}/parameters", json={"output.bias[0]": 1}, headers={"If-Match": '"1"'}), 412)
    patch(client, url, {"output.bias[0]": 1}, **{"If-Match": '"0"'})
    assert read(client, url)["revision"] == 1


# Explanations

EXPLANATION = ["of", "kind", "title", "symbol", "formula", "substituted", "value", "terms", "set_by"]
FUNCTIONS: dict[str, Any] = {"__builtins__": {}, "max": max, "min": min, "abs": abs, "sum": sum, "math": math}
LEAVES = {"input", "target", "initial", "edit", "import", "fork", "slot"}  # beside the derivative of the identity, 1


class Reader:
    """Asks for explanations, each once, and holds what each says against what its terms say."""

    def __init__(self, client: TestClient, url: str, close: float = 1e-12) -> None:
        self.client, self.url, self.close = client, url, close
        self.explained: dict[tuple[str, str], Any] = {}
        self.set_by: set[str] = set()

    def explain(self, of: str, when: str = "") -> Any:
        """The explanation of a number, and of all that it comes from."""
        left = [(of, when)]
        while left:
            place = left.pop()
            if place not in self.explained:
                self.explained[place] = found = self.ask(*place)
                left += [self.place(term, place[1]) for term in found["terms"] if term["of"] is not None]
        return self.explained[of, when]

    @staticmethod
    def place(term: dict[str, Any], when: str) -> tuple[str, str]:
        """Where a term can be asked for: at its own revision, and epoch in it, or where it was named."""
        own = [f"&{key}={term[key]}" for key in ("revision", "epoch") if key in term]
        return term["of"], "".join(own) or when

    def ask(self, of: str, when: str) -> Any:
        answer = self.client.get(f"{self.url}/explain?of={of}{when}")
        assert answer.status_code == 200, (of, when, answer.text)
        found = answer.json()
        assert [key for key in found if key != "chain"] == EXPLANATION
        assert found["of"] == of
        assert found["title"]
        for written in (found["symbol"], found["formula"], found["substituted"]):
            assert all(written[notation] for notation in ("text", "latex", "mathml"))
        value, numbers = found["value"], [term["value"] for term in found["terms"]]
        computed = eval(found["substituted"]["python"], {**FUNCTIONS, **vars(math)})
        assert abs(computed - value) <= self.close * max(map(abs, [value, *numbers])), (of, when, found)
        by_name = ".weight" in of or ".bias" in of
        if by_name and ".gradient[" not in of and ".next[" not in of:
            assert set(found["set_by"]) == {"revision", "operation"}
            self.set_by.add(found["set_by"]["operation"])
        else:
            assert found["set_by"] is None
        if not any(term["of"] for term in found["terms"]):
            assert found["kind"] in LEAVES or (found["kind"], value) == ("derivative", 1), (of, when, found)
        return found

    def check_terms(self) -> None:
        """Each term has the value that asking for it gives."""
        for (_, when), found in self.explained.items():
            for term in found["terms"]:
                assert {"of", "symbol", "value"} <= set(term) <= {"of", "symbol", "value", "revision", "epoch"}
                if term["of"] is not None:
                    assert self.explained[self.place(term, when)]["value"] == term["value"], (found["of"], term)


def every_number(client: TestClient, url: str) -> Iterator[tuple[str, float]]:
    """The name and value of every number of a snapshot."""
    for name, array in npz(
        client, f"{url}/snapshot?include=activations,gradients,parameters,optimizer,jacobians"
    ).items():
        for index in np.ndindex(array.shape):
            yield name + "".join(f"[{i}]" for i in index), float(array[index])


MOMENTUM = {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9, "clip": {"type": "norm", "value": 0.05}}
DECAYING = {"type": "adamw", "learning_rate": 0.1, "schedule": {"type": "exponential", "gamma": 0.9}}
NETWORKS: dict[str, dict[str, Any]] = {
    "tanh": config(data=THREE, optimizer=MOMENTUM),
    "softmax": config(layers=SOFTMAX, data=TWO, optimizer=DECAYING),
    "classes": {**CLASSES, "optimizer": {"type": "adam", "amsgrad": True}},
    "float32": config(data=THREE, dtype="float32", optimizer={"type": "rmsprop", "centered": True, "momentum": 0.5}),
    "frozen": config(layers=[{**LAYERS[0], "trainable": False}, {**LAYERS[1], "bias": "none"}], data=THREE, loss="bce"),
    "one layer": config(layers=[{"name": "only", "units": 1}], data=THREE, loss="huber", optimizer="adagrad"),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_every_number_is_explained_down_to_inputs_and_parameters(client: TestClient, network: str) -> None:
    url = at_backward(client, NETWORKS[network])
    reader = Reader(client, url, 1e-6 if network == "float32" else 1e-12)
    for of, value in every_number(client, url):
        assert reader.explain(of)["value"] == value
    reader.explain("gradient_norm")
    for name in read(client, url)["next"]["parameters"]:
        tensor = read(client, f"{url}/tensors/{name}.next")
        for index in np.ndindex(*tensor["shape"]):
            found = reader.explain(f"{name}.next" + "".join(f"[{i}]" for i in index))
            assert found["value"] == np.array(tensor["value"])[index]
    reader.check_terms()
    assert reader.set_by <= {"create", "train"}


def test_the_notebook_is_explained_in_the_midst_of_its_step(client: TestClient, notebook: dict[str, Any]) -> None:
    """The output's weights are updated before the hidden deltas are computed with them."""
    url = create(client, notebook)
    post(client, f"{url}/forward")
    post(client, f"{url}/backward", {"until": "output"})
    post(client, f"{url}/step", {"parameters": ["output.weight"]})
    post(client, f"{url}/backward", {"using": "current"})
    reader = Reader(client, url)
    for of, value in every_number(client, url):
        assert reader.explain(of)["value"] == value
    reader.check_terms()
    assert reader.set_by == {"create", "step"}
    found = reader.explain("hidden.bias.gradient[0]")
    assert found["title"] == "gradient of hidden.bias, shared by 2 units"
    z = reader.explain("output.z[0][0]")
    assert z["formula"]["text"] == "z²₁ = w²₁₁ a¹₁ + w²₁₂ a¹₂ + b²₁"
    weights = {term["of"]: term for term in z["terms"]}
    assert weights["output.weight[0][0]"]["revision"] < 3  # as the forward pass used it
    assert "revision" not in weights["output.bias[0]"]
    delta = {term["of"]: term for term in reader.explain("hidden.dL_da[0][0]")["terms"]}
    assert "revision" not in delta["output.weight[0][0]"]  # as it is now


def test_the_ledger_of_a_gradient(client: TestClient) -> None:
    for body in (config(data=THREE), config(layers=SOFTMAX, data=TWO), CLASSES):
        url = at_backward(client, body)
        for of, value in every_number(client, url):
            found = read(client, f"{url}/explain?of={of}")
            assert ("chain" in found) == (".gradient[" in of)
            if "chain" not in found:
                continue
            chain = found["chain"]
            assert list(chain) == ["samples", "more_samples"]
            shares = [sample["value"] for sample in chain["samples"]]
            assert [abs(share) for share in shares] == sorted(map(abs, shares), reverse=True)
            close = 1e-12 * max(map(abs, [*shares, value, 1e-3]))
            assert math.fsum([*shares, chain["more_samples"]["value"]]) == pytest.approx(value, abs=close)
            for sample in chain["samples"]:
                assert list(sample) == ["sample", "value", "paths"]
                total = math.fsum(path["value"] for path in sample["paths"])
                assert total == pytest.approx(sample["value"], rel=1e-10, abs=1e-14)
                for path in sample["paths"]:
                    assert list(path) == ["value", "through", "factors"]
                    product = math.prod(factor["value"] for factor in path["factors"])
                    assert product == pytest.approx(path["value"], rel=1e-10, abs=1e-14)
                    for factor in path["factors"]:
                        assert list(factor) == ["of", "symbol", "formula", "substituted", "value"]
                    assert path["factors"][-1]["value"] == 1 or ".weight" in of


def test_the_samples_and_ways_of_a_ledger(client: TestClient) -> None:
    url = at_backward(client)
    of = "hidden.weight.gradient[0][1]"
    whole = read(client, f"{url}/explain?of={of}")["chain"]
    assert len(whole["samples"]) == 7
    assert whole["more_samples"] == {"count": 0, "value": 0}
    part = read(client, f"{url}/explain?of={of}&max_samples=2")["chain"]
    assert part["samples"] == whole["samples"][:2]
    assert part["more_samples"]["count"] == 5
    rest = sum(sample["value"] for sample in whole["samples"][2:])
    assert part["more_samples"]["value"] == pytest.approx(rest)
    wide = at_backward(client, layers=[{"name": "a", "units": 2}, SOFTMAX[1]], data=TWO)
    ways = [
        len(read(client, f"{wide}/explain?of=a.bias.gradient[0]&max_paths={most}")["chain"]["samples"][0]["paths"])
        for most in (64, 4, 1)
    ]
    assert ways[0] >= ways[1] >= ways[2] == 1


def explained_by(client: TestClient, url: str, of: str, query: str = "") -> tuple[str, Any]:
    found = read(client, f"{url}/explain?of={of}{query}")
    return found["kind"], found["set_by"]


def test_what_set_a_parameter(client: TestClient) -> None:
    url = create(client, layers=[{**LAYERS[0], "init": {"bias": 0.5}}, LAYERS[1]], data=THREE)
    created = {"revision": 0, "operation": "create"}
    drawn = read(client, f"{url}/explain?of=hidden.weight[0][0]")
    assert drawn["set_by"] == created
    assert "default" in drawn["title"]
    assert all(term["of"] is None for term in drawn["terms"])
    given = read(client, f"{url}/explain?of=hidden.bias[1]")
    assert (given["set_by"], given["terms"], given["value"]) == (created, [], 0.5)
    assert "given in the config" in given["title"]
    patch(client, url, {"hidden.bias[1]": 0.25})
    assert explained_by(client, url, "hidden.bias[1]") == ("edit", {"revision": 1, "operation": "edit"})
    assert explained_by(client, url, "hidden.bias[0]")[1] == created
    assert explained_by(client, url, "hidden.bias[1]", "&revision=0")[1] == created
    post(client, f"{url}/forward")
    post(client, f"{url}/backward")
    post(client, f"{url}/step", {"parameters": ["output.bias"]})
    assert explained_by(client, url, "output.bias[0]") == ("update", {"revision": 4, "operation": "step"})
    assert explained_by(client, url, "hidden.bias[1]")[1] == {"revision": 1, "operation": "edit"}
    post(client, f"{url}/train", {"epochs": 3})
    trained = {"revision": 5, "operation": "train"}
    assert explained_by(client, url, "hidden.weight[0][0]") == ("update", trained)
    assert explained_by(client, url, "hidden.weight[0][0]", "&epoch=1") == ("update", trained)
    client.patch(url, json={"name": "new"})
    assert explained_by(client, url, "hidden.weight[0][0]") == ("update", trained)

    fork = client.post(f"{url}/fork", json={"epoch": 2}).headers["Location"]
    kind, set_by = explained_by(client, fork, "hidden.weight[0][0]")
    assert (kind, set_by) == ("fork", {"revision": 0, "operation": "fork"})
    copy = create(client, read(client, f"{url}/export"))
    kind, set_by = explained_by(client, copy, "hidden.weight[0][0]")
    assert (kind, set_by) == ("import", {"revision": 0, "operation": "import"})
    for other in (fork, copy):
        post(client, f"{other}/train")
        reader = Reader(client, other)
        for of, value in every_number(client, other):
            assert reader.explain(of)["value"] == value
        reader.check_terms()


def test_explained_after_a_rewind_into_a_training(client: TestClient) -> None:
    url = create(client, data=THREE, optimizer="adam")
    post(client, f"{url}/train", {"epochs": 4})
    post(client, f"{url}/rewind", {"epoch": 2})
    reader = Reader(client, url)
    for of, value in every_number(client, url):
        assert reader.explain(of)["value"] == value
    reader.check_terms()
    assert reader.set_by == {"create", "train"}
    inside = Reader(client, url)
    for of, value in every_number(client, url):
        assert inside.explain(of, "&epoch=2")["value"] == value
    inside.check_terms()


def test_the_steps_inside_of_an_epoch_are_explained_as_far_as_they_can_be_asked_for(client: TestClient) -> None:
    url = create(client, data=THREE)
    post(client, f"{url}/train", {"epochs": 2, "batch_size": 2, "shuffle": True})
    for of, value in every_number(client, url):
        found = read(client, f"{url}/explain?of={of}")
        assert found["value"] == value
        for term in found["terms"]:
            if term["of"] is not None:
                assert read(client, "{}/explain?of={}{}".format(url, *Reader.place(term, "")))["value"] == term["value"]


def test_decimals_of_an_explanation(client: TestClient, notebook: dict[str, Any]) -> None:
    url = create(client, notebook)
    post(client, f"{url}/forward")
    for decimals in (2, 5):
        found = read(client, f"{url}/explain?of=hidden.z[0][0]&decimals={decimals}")
        assert f"{0.3775:.{decimals}f}"[:4] in found["substituted"]["text"] or "0.15" in found["substituted"]["text"]
        assert found["value"] == 0.3775
    rounded = read(client, f"{url}/explain?of=output.z[0][0]&decimals=2")["substituted"]
    assert "0.59" in rounded["text"]
    assert "0.593" not in rounded["text"]
    assert 'data-of="hidden.a[0][0]"' in rounded["mathml"]
    assert "0.5932699921071" in rounded["python"]


def test_markdown(client: TestClient, notebook: dict[str, Any]) -> None:
    url = create(client, notebook)
    post(client, f"{url}/forward")
    post(client, f"{url}/backward")
    answer = client.get(f"{url}/explain?of=hidden.weight.gradient[0][1]", headers={"Accept": MARKDOWN})
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert "Accept" in answer.headers["Vary"]
    assert answer.text.startswith("# hidden.weight.gradient[0][1]\n")
    assert "## Terms" in answer.text
    assert "## Chain rule" in answer.text
    page = client.get(f"{url}/explain?of=all&decimals=3", headers={"Accept": MARKDOWN}).text
    assert page.startswith("# ")
    for heading in ("## Forward", "## Loss", "## Backward", "## Update"):
        assert page.count(heading) == 1
    assert "0.593" in page
    problem(client.get(f"{url}/explain?of=all", headers={"Accept": "text/html"}), 406)


def test_the_whole_step_in_every_phase(client: TestClient) -> None:
    url = create(client, data=THREE)
    assert problem(client.get(f"{url}/explain?of=all"), 409, "wrong-phase")["call_first"] == "forward"
    calls: list[tuple[str, Any]] = [
        ("forward", {"until": "hidden"}), ("forward", {}), ("backward", {"until": "output"}), ("backward", {}),
        ("step", {"parameters": ["output.bias"]}), ("step", {}), ("train", {}),
    ]  # fmt: skip
    counts = []
    for call, body in calls:
        post(client, f"{url}/{call}", body)
        items = read(client, f"{url}/explain?of=all")["items"]
        assert len({item["of"] for item in items}) == len(items)
        for item in items:
            again = read(client, f"{url}/explain?of={item['of']}")
            assert {key: again[key] for key in EXPLANATION} == {key: item[key] for key in EXPLANATION}
        counts.append(len(items))
    assert counts == [18, 25, 25 + 9 + 4, 25 + 9 + 4 + 27 + 9 + 13, *[87] * 3]


@pytest.mark.parametrize(
    ("of", "status"),
    [
        ("zebra", 422), ("zebra.z[0][0]", 422), ("hidden.z", 422), ("hidden.z[0]", 422), ("hidden.z[3][0]", 422),
        ("hidden.z[0][0][0]", 422), ("loss[0]", 422), ("hidden.weight.state.exp_avg[0][0]", 422), ("", 422),
        ("hidden.weight[0][5]", 422), ("a" * 300, 422), ("ALL", 422), ("hidden.weight.gradient", 422),
    ],
)  # fmt: skip
def test_nothing_to_explain(client: TestClient, of: str, status: int) -> None:
    url = at_backward(client, data=THREE)
    body = problem(client.get(f"{url}/explain", params={"of": of}), status, "invalid-input")
    assert places(body) == ["?of"]
    assert "zebra" not in body["detail"]


def test_queries_of_an_explanation(client: TestClient) -> None:
    url = at_backward(client, data=THREE)
    assert places(problem(client.get(f"{url}/explain"), 422)) == ["?of"]
    for query in ("decimals=18", "decimals=-1", "max_samples=0", "max_samples=1001", "max_paths=0", "max_paths=1001"):
        body = problem(client.get(f"{url}/explain?of=loss&{query}"), 422)
        assert places(body) == ["?" + query.partition("=")[0]]
    problem(client.get("/v1/sessions/zebra/explain?of=loss"), 404, "session-not-found")


def test_a_number_that_is_not_computed_yet_is_not_explained(client: TestClient) -> None:
    url = create(client, data=THREE, optimizer="adam")
    for of in ("hidden.z[0][0]", "loss", "outputs[0][0]", "hidden.weight.gradient[0][0]", "hidden.weight.next[0][0]"):
        assert problem(client.get(f"{url}/explain?of={of}"), 409, "wrong-phase")["call_first"] == "forward"
    post(client, f"{url}/forward")
    for of in ("hidden.dL_dz[0][0]", "hidden.weight.gradient[0][0]", "hidden.weight.next[0][0]", "gradient_norm"):
        assert problem(client.get(f"{url}/explain?of={of}"), 409, "wrong-phase")["call_first"] == "backward"
    assert explained_by(client, url, "hidden.weight.state.exp_avg[0][0]")[0] == "slot"


def test_limits_of_an_explanation(client: TestClient) -> None:
    rows = {"inputs": [[i / 12_000, 0.5] for i in range(12_000)], "targets": [[0.5]] * 12_000}
    url = create(client, data=rows)
    post(client, f"{url}/forward?include=")
    post(client, f"{url}/backward?include=")
    for of in ("all", "loss", "hidden.weight.gradient[0][0]"):
        body = problem(client.get(f"{url}/explain?of={of}"), 422, "limit-exceeded")
        assert places(body) == ["?of"]
        assert body["estimate"] > body["limit"]
    assert client.get(f"{url}/explain?of=hidden.z[11999][0]").status_code == 200


def test_what_is_not_finite_is_explained(client: TestClient) -> None:
    url = create(client, layers=OVERFLOWING, data={"inputs": [[0, 0], [5, 5]], "targets": [[0], [0]]})
    post(client, f"{url}/forward")
    post(client, f"{url}/backward")
    post(client, f"{url}/step")
    for of, value in every_number(client, url):
        found = read(client, f"{url}/explain?of={of}")
        assert found["value"] == (value if math.isfinite(value) else None), of
    assert client.get(f"{url}/explain?of=all").status_code == 200
    assert client.get(f"{url}/explain?of=all", headers={"Accept": MARKDOWN}).status_code == 200


# Verify


def test_verify_the_notebooks_slip(client: TestClient, notebook: dict[str, Any]) -> None:
    """Its hidden deltas were computed with output weights that had been updated already."""
    url = create(client, notebook)
    values = {
        "hidden.z": [["0.37750", "0.39250"]], "hidden.a": [["0.59327", "0.59688"]], "output.a": [["0.75137"]],
        "loss": "0.27481", "output.dL_dz": [["0.13850"]], "hidden.dL_dz": [["0.01199", "0.01362"]],
    }  # fmt: skip
    for call in ("", "forward", "backward"):
        if call:
            post(client, f"{url}/{call}")
        verdict = post(client, f"{url}/verify", {"values": values})
        assert list(verdict) == ["items", "first_wrong", "likely_cause", "score"]
        assert verdict["score"] == {"correct": 7, "of": 9}
        first = verdict["first_wrong"]
        assert (first["name"], first["index"], first["given"], first["status"]) == (
            "hidden.dL_dz", [0, 0], 0.01199, "wrong",
        )  # fmt: skip
        assert first["expected"] == pytest.approx(0.01337, abs=1e-5)
        cause = verdict["likely_cause"]
        assert list(cause) == ["slip", "name", "items", "explanation", "value"]
        assert (cause["slip"], cause["name"]) == ("weight_updated_before_use", "hidden.dL_dz")
        assert cause["items"] == [{"name": "hidden.dL_dz", "index": [0, k]} for k in range(2)]
        assert cause["value"] == pytest.approx(0.01199, abs=1e-5)
        assert set(cause["explanation"]) == {"text", "mathml"}
    right = post(client, f"{url}/verify", {"values": {"hidden.dL_dz": [["0.01337", "0.01500"]]}})
    assert (right["first_wrong"], right["likely_cause"]) == (None, None)


def test_verify_gives_as_much_away_as_is_asked(client: TestClient, notebook: dict[str, Any]) -> None:
    url = create(client, notebook)
    values = {"hidden.z": [[0.3775, 0.9]], "hidden.a": [[0.1, None]], "loss": 0.2748}
    whole = post(client, f"{url}/verify", {"values": values})
    assert [(item["name"], item["index"]) for item in whole["items"]] == [
        ("hidden.z", [0, 0]), ("hidden.z", [0, 1]), ("hidden.a", [0, 0]), ("loss", []),
    ]  # fmt: skip
    for item in whole["items"]:
        assert list(item) == ["name", "index", "given", "expected", "status"]
        assert item["expected"] is not None
    first = post(client, f"{url}/verify", {"values": values, "reveal": "first_wrong"})
    shown = [item for item in first["items"] if item["expected"] is not None]
    assert shown == [first["first_wrong"]]
    none = post(client, f"{url}/verify", {"values": values, "reveal": "none"})
    assert all(item["expected"] is None for item in [*none["items"], none["first_wrong"]])
    if none["likely_cause"] is not None:
        assert none["likely_cause"]["value"] is None
        assert not any(character.isdigit() for character in none["likely_cause"]["explanation"]["text"])
    for verdict in (first, none):
        assert [item["status"] for item in verdict["items"]] == [item["status"] for item in whole["items"]]


def test_verify_in_every_phase(client: TestClient) -> None:
    """The snapshots of a step are its own answers, whatever has been done of it."""
    one, url = create(client, data=THREE, optimizer="adam"), create(client, data=THREE, optimizer="adam")
    post(client, f"{one}/train", {"epochs": 2})
    post(client, f"{url}/train", {"epochs": 2})
    values: dict[str, Any] = {}
    for call in ("forward", "backward"):
        values |= {k: v.tolist() for k, v in named(post(client, f"{one}/{call}?include=activations,gradients")).items()}
    for name in ("hidden.weight", "output.bias"):
        values[f"{name}.next"] = read(client, f"{one}/tensors/{name}.next")["value"]
    calls: list[tuple[str, Any]] = [
        ("", {}), ("forward", {"until": "hidden"}), ("forward", {}), ("backward", {"until": "output"}),
        ("backward", {}), ("step", {"parameters": ["output.bias"]}),
    ]  # fmt: skip
    for call, body in calls:
        if call:
            post(client, f"{url}/{call}", body)
        verdict = post(client, f"{url}/verify", {"values": values})
        assert verdict["score"]["correct"] == verdict["score"]["of"] > 80, verdict["first_wrong"]
        assert {item["status"] for item in verdict["items"]} == {"correct"}
    post(client, f"{url}/step")
    verdict = post(client, f"{url}/verify", {"values": values})  # now of the next step
    assert verdict["first_wrong"]["name"] == "hidden.z"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "/values"),
        ({"values": {}}, "/values"),
        ({"values": {"zebra": 1}}, "/values/zebra"),
        ({"values": {"hidden.z": [[1]]}}, "/values/hidden.z"),
        ({"values": {"hidden.z[0][7]": 1}}, "/values/hidden.z[0][7]"),
        ({"values": {"loss": "zebra"}}, "/values/loss"),
        ({"values": {"loss": True}}, "/values/loss"),
        ({"values": {"loss": {}}}, "/values/loss"),
        ({"values": {"loss": 1}, "reveal": "zebra"}, "/reveal"),
        ({"values": {"loss": 1}, "decimals": -1}, "/decimals"),
        ({"values": {"loss": 1}, "zebra": 1}, "/zebra"),
    ],
)
def test_nothing_to_verify(client: TestClient, body: Any, place: str) -> None:
    answer = client.post(f"{create(client)}/verify", json=body)
    assert places(problem(answer, 422))[0].startswith(place)


def test_verify_without_data(client: TestClient, make_client: Callable[..., TestClient]) -> None:
    url = create(client, data=None)
    body = {"values": {"hidden.z[0][0]": 1}}
    assert problem(client.post(f"{url}/verify", json=body), 409)["call_first"] == "forward"
    post(client, f"{url}/forward", {"inputs": [[1, 2]]})
    assert client.post(f"{url}/verify", json=body).status_code == 200
    assert problem(client.post(f"{url}/verify", json={"values": {"loss": 1}}), 409)["call_first"] == "forward"
    small = make_client(max_work=10**5)
    problem(small.post(f"{create(small)}/verify", json=body), 422, "limit-exceeded")


# Preview


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("parameters", [None, ["output.weight", "hidden.bias"]])
def test_a_preview_is_what_step_does(client: TestClient, dtype: str, parameters: Any) -> None:
    url = at_backward(client, optimizer=MOMENTUM, dtype=dtype)
    body = {} if parameters is None else {"parameters": parameters}
    before, norm = named(read(client, f"{url}/snapshot")), read(client, f"{url}/tensors/gradient_norm")["value"]
    preview = post(client, f"{url}/preview", body)
    assert list(preview) == ["parameters", "gradient_norm"]
    assert preview["gradient_norm"] == norm
    assert read(client, url)["revision"] == 3
    after = named(post(client, f"{url}/step", body))
    assert set(preview["parameters"]) == set(
        parameters or ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]
    )
    for name, moved in preview["parameters"].items():
        assert list(moved) == ["before", "after", "update"]
        assert moved["before"] == before[name].tolist()
        assert moved["after"] == after[name].tolist()
        np.testing.assert_allclose(moved["update"], after[name] - before[name], rtol=1e-6)


@pytest.mark.parametrize(
    "optimizer", ["adam", {"type": "sgd", "learning_rate": 1.0}, {"learning_rate": 0.9}, {"momentum": 0.5}, None]
)
def test_a_preview_under_another_optimizer(client: TestClient, optimizer: Any) -> None:
    url = at_backward(client, optimizer=MOMENTUM)
    preview = post(client, f"{url}/preview", {"optimizer": optimizer})
    client.patch(url, json={"optimizer": optimizer})
    after = named(post(client, f"{url}/step"))
    for name, moved in preview["parameters"].items():
        assert moved["after"] == after[name].tolist()


def test_no_preview(client: TestClient, make_client: Callable[..., TestClient]) -> None:
    url = create(client, layers=[{**LAYERS[0], "trainable": False}, LAYERS[1]])
    assert problem(client.post(f"{url}/preview"), 409)["call_first"] == "forward"
    post(client, f"{url}/forward")
    assert problem(client.post(f"{url}/preview"), 409)["call_first"] == "backward"
    post(client, f"{url}/backward")
    for body, place in (
        ({"parameters": ["zebra"]}, "/parameters/0"), ({"parameters": []}, "/parameters"),
        ({"optimizer": "zebra"}, "/optimizer"), ({"optimizer": {"learning_rate": -1}}, "/optimizer/learning_rate"),
        ({"zebra": 1}, "/zebra"),
    ):  # fmt: skip
        assert places(problem(client.post(f"{url}/preview", json=body), 422)) == [place]
    problem(client.post(f"{url}/preview", json={"parameters": ["hidden.bias"]}), 409)
    small = make_client(max_numbers=10)
    problem(small.post(f"{create(small)}/preview"), 422, "limit-exceeded")


# Health


def test_health(client: TestClient) -> None:
    url = at_backward(client)
    health = read(client, f"{url}/snapshot")["health"]
    assert list(health) == ["gradient_norm", "layers", "warnings"]
    assert health["gradient_norm"] == pytest.approx(read(client, f"{url}/tensors/gradient_norm")["value"])
    for layer, units in zip(health["layers"], (3, 1), strict=True):
        assert list(layer) == ["name", "gradient_norm", "update_ratio", "units", "saturated_units", "dead_units"]
        assert layer["units"] == units
    for path, body in (("/snapshot?include=health", None), ("/backward?include=health", {})):
        snapshot = read(client, url + path) if body is None else post(client, url + path, body)
        assert snapshot["health"] == health
        assert "inputs" not in snapshot
        assert [set(layer) for layer in snapshot["layers"]] == [{"name", "activation"}] * 2
    assert "health" not in read(client, f"{url}/snapshot?include=activations")
    one = read(client, f"{url}/snapshot?layers=output")["health"]
    assert one["layers"] == health["layers"][1:]
    assert one["gradient_norm"] == health["gradient_norm"]
    short = read(client, f"{url}/snapshot?decimals=3")["health"]
    assert short["gradient_norm"] == round(health["gradient_norm"], 3)
    assert short["layers"][0]["gradient_norm"] == round(health["layers"][0]["gradient_norm"], 3)
    assert post(client, f"{url}/train")["snapshot"]["health"]["layers"][0]["update_ratio"] > 0
    assert "health.gradient_norm" not in npz(client, f"{url}/snapshot")


def test_warnings(client: TestClient) -> None:
    layers = [
        {"name": "dead", "units": 4, "activation": "relu", "init": {"weight": 0.0, "bias": -1.0}},
        {"name": "output", "units": 1},
    ]
    url = create(client, layers=layers)
    snapshot = post(client, f"{url}/forward?decimals=2")
    assert snapshot["health"]["layers"][0]["dead_units"] == 4
    (warning,) = snapshot["health"]["warnings"]
    assert list(warning) == ["layer", "kind", "value", "text"]
    assert (warning["layer"], warning["kind"]) == ("dead", "dead_units")
    assert warning["text"]
    assert read(client, f"{url}/snapshot?layers=output")["health"]["warnings"] == []
    infinite = create(client, layers=OVERFLOWING, data={"inputs": [[5, 5]], "targets": [[0]]})
    warnings = post(client, f"{infinite}/forward?decimals=2")["health"]["warnings"]
    assert "nonfinite" in {warning["kind"] for warning in warnings}


# Gradients held against differences


@pytest.mark.parametrize("network", NETWORKS)
def test_gradcheck(client: TestClient, network: str) -> None:
    url = at_backward(client, NETWORKS[network])
    before = read(client, url), read(client, f"{url}/snapshot")
    body = post(client, f"{url}/gradcheck")
    assert list(body) == ["passed", "tolerance", "entries"]
    assert body["passed"] is True
    assert 0 < body["tolerance"] < 1e-2
    for entry in body["entries"]:
        assert list(entry) == ["parameter", "index", "analytic", "numeric", "relative_error", "status"]
        assert entry["status"] in ("passed", "kink")
        gradient = read(client, f"{url}/tensors/{entry['parameter']}.gradient")["value"]
        assert entry["analytic"] == np.array(gradient)[tuple(entry["index"])]
        if entry["status"] == "passed":
            assert entry["relative_error"] <= body["tolerance"]
    assert len(body["entries"]) == read(client, url)["parameter_count"]
    assert before == (read(client, url), read(client, f"{url}/snapshot"))


def test_gradcheck_of_some(client: TestClient) -> None:
    url = create(client)
    body = post(client, f"{url}/gradcheck", {"parameters": ["output.bias", "hidden.weight[2][1]"], "eps": 1e-5})
    assert [(entry["parameter"], entry["index"]) for entry in body["entries"]] == [
        ("output.bias", [0]), ("hidden.weight", [2, 1]),
    ]  # fmt: skip


def test_gradcheck_at_a_kink(client: TestClient) -> None:
    layers = [{"name": "kinked", "units": 1, "activation": "relu", "init": {"weight": [[1.0, 0.0]], "bias": 0.0}}]
    url = create(client, layers=layers, data={"inputs": [[0, 1]], "targets": [[1]]})
    body = post(client, f"{url}/gradcheck", {"parameters": ["kinked.bias"]})
    assert body["passed"] is True
    assert [entry["status"] for entry in body["entries"]] == ["kink"]


def test_no_gradcheck(client: TestClient, make_client: Callable[..., TestClient]) -> None:
    url = create(client)
    for body, place in (
        ({"parameters": ["zebra"]}, "/parameters/0"), ({"parameters": ["output.bias", "hidden.z"]}, "/parameters/1"),
        ({"parameters": ["hidden.weight.gradient"]}, "/parameters/0"), ({"parameters": []}, "/parameters"),
        ({"parameters": ["hidden.bias[3]"]}, "/parameters/0"), ({"eps": 0}, "/eps"), ({"eps": 1}, "/eps"),
        ({"zebra": 1}, "/zebra"),
    ):  # fmt: skip
        assert places(problem(client.post(f"{url}/gradcheck", json=body), 422)) == [place]
    small = make_client(max_work=10**5)
    problem(small.post(f"{create(small)}/gradcheck"), 422, "limit-exceeded")
    few = make_client(max_numbers=60)
    body = problem(few.post(f"{create(few)}/gradcheck"), 422, "limit-exceeded")
    assert (places(body), body["estimate"]) == (["/parameters"], 65)


def test_gradcheck_without_data(client: TestClient) -> None:
    url = create(client, data=None)
    assert problem(client.post(f"{url}/gradcheck"), 409, "wrong-phase")["call_first"] == "forward"
    post(client, f"{url}/forward", {"inputs": [[0.1, 0.2]]})
    problem(client.post(f"{url}/gradcheck"), 409, "wrong-phase")
    post(client, f"{url}/forward", {"inputs": [[0.1, 0.2]], "targets": [[0.5]]})
    assert post(client, f"{url}/gradcheck")["passed"] is True
