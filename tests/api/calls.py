"""Short ways to make calls, and what holds for every problem."""

import io
from typing import Any

import httpx2
import numpy as np
import orjson
from starlette.testclient import TestClient

JSON = {"Content-Type": "application/json"}
NPZ = "application/x-npz"

LAYERS = [
    {"name": "hidden", "units": 3, "activation": "tanh"},
    {"name": "output", "units": 1, "activation": "sigmoid"},
]
ROWS = {
    "inputs": [[0.3, -0.2], [0.9, 0.4], [-0.5, 0.8], [0.1, 0.7], [-0.6, -0.9], [0.2, 0.5], [0.8, -0.7]],
    "targets": [[0.2], [0.9], [0.4], [0.6], [0.1], [0.7], [0.3]],
}
CLASSES = {
    "network": {
        "inputs": 2,
        "layers": [{"name": "hidden", "units": 4, "activation": "relu"}, {"name": "scores", "units": 3}],
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.05},
    "data": {"inputs": [[0.1, 0.9], [0.9, 0.8], [0.5, 0.1]], "targets": [0, 1, 2]},
}


def config(**fields: Any) -> dict[str, Any]:
    """A config of 2 inputs, 3 tanh units and 1 sigmoid unit over seven rows, but for the fields that are given."""
    layers = fields.pop("layers", LAYERS)
    return {"network": {"inputs": 2, "layers": layers}, "loss": "mse", "data": ROWS, **fields}


def create(client: TestClient, body: Any = None, **fields: Any) -> str:
    """Make a session; its URL."""
    answer = client.post("/v1/sessions", content=orjson.dumps(config(**fields) if body is None else body), headers=JSON)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


def post(client: TestClient, url: str, body: Any = None, **headers: str) -> Any:
    """What a call answers, which must not be an error."""
    answer = client.post(url, json={} if body is None else body, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


def read(client: TestClient, url: str) -> Any:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(snapshot: dict[str, Any]) -> dict[str, Any]:
    """A snapshot without what differs between two sessions that are alike."""
    return {key: value for key, value in snapshot.items() if key not in ("session", "revision")}


def npz(client: TestClient, url: str, **headers: str) -> dict[str, Any]:
    answer = client.get(url, headers={"Accept": NPZ, **headers})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == NPZ
    with np.load(io.BytesIO(answer.content)) as arrays:
        return dict(arrays)


def named(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The arrays in a JSON snapshot by their names."""
    found = {name: snapshot.get(name) for name in ("inputs", "targets", "outputs", "loss")}
    for layer in snapshot["layers"]:
        name = layer["name"]
        found |= {f"{name}.{term}": layer.get(term) for term in ("z", "a", "da_dz", "dL_da", "dL_dz")}
        for kind, parameter in layer.get("parameters", {}).items():
            found[f"{name}.{kind}"] = parameter.get("value")
            found[f"{name}.{kind}.gradient"] = parameter.get("gradient")
            found |= {f"{name}.{kind}.state.{slot}": value for slot, value in parameter.get("state", {}).items()}
    return {name: np.array(value) for name, value in found.items() if value is not None}


def problem(answer: httpx2.Response, status: int, kind: str | None = None) -> dict[str, Any]:
    """The problem that an answer tells of, which must look like every other."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert len(answer.content) <= 16 * 1024
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(body)
    assert body["status"] == status
    assert body["type"].startswith("/v1/problems/")
    assert body["instance"] == answer.request.url.raw_path.decode().partition("?")[0][:600]
    assert body["detail"]
    if kind is not None:
        assert body["type"] == f"/v1/problems/{kind}", body
    return body


def places(body: dict[str, Any]) -> list[str]:
    """Where a problem says that something is wrong: pointers into the body, and `?name` for a query or a header."""
    return [error["pointer"] if "pointer" in error else "?" + error["parameter"] for error in body.get("errors", [])]
