"""Odd names, indices, numbers and bodies: whatever is asked, the answer is no fault of the server."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import WithoutLifespan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

from .calls import CLASSES, JSON, NPZ, config, create

app = create_app(Settings(max_work=10**8, max_batch=1000, max_parameters=100_000, max_sessions=2000))
client = TestClient(WithoutLifespan(app), raise_server_exceptions=False)
SOFTMAX = [{"name": "hidden", "units": 2, "bias": "shared"}, {"name": "output", "units": 2, "activation": "softmax"}]
OVERFLOWING = [
    {"name": "hidden", "units": 2, "init": {"weight": 1e308}},
    {"name": "output", "units": 1, "bias": "none"},
]
CONFIGS: list[dict[str, Any]] = [
    config(optimizer="adam"),
    config(layers=SOFTMAX, data={"inputs": [[1, 2], [3, 4]], "targets": [[0, 1], [1, 0]]}, dtype="float32"),
    config(layers=OVERFLOWING, optimizer={"type": "sgd", "momentum": 0.9}),
    CLASSES,
    config(data=None),
]
PHASES: list[list[tuple[str, Any]]] = [
    [],
    [("forward", {"inputs": [[1, 2]]})],
    [("train", {"epochs": 3, "batch_size": 2}), ("forward", {}), ("backward", {"until": "output"})],
    [("train", {"epochs": 3}), ("forward", {}), ("backward", {}), ("step", {"parameters": ["hidden.weight"]})],
    [("train", {"epochs": 3}), ("train", {}), ("rewind", {"revision": 1}), ("train", {})],
]


@pytest.fixture(scope="module")
def urls() -> Iterator[list[str]]:
    """Sessions of many kinds, in many phases."""
    found = []
    for body in CONFIGS:
        for calls in PHASES:
            found.append(create(client, body))
            for call, arguments in calls:
                client.post(f"{found[-1]}/{call}", json=arguments)
    yield found
    app.state.sessions.close()


LAYERS = st.sampled_from(["hidden", "output", "scores", "zebra", ""])
TERMS = st.sampled_from(["z", "a", "da_dz", "dL_da", "dL_dz", "weight", "bias", "zebra"])
PARTS = st.sampled_from(["", ".gradient", ".next", ".state.exp_avg", ".state.step", ".state.momentum_buffer", ".state"])
WHOLE = st.sampled_from(["inputs", "targets", "outputs", "loss", "gradient_norm", "all", "."])
INDICES = st.lists(st.sampled_from([0, 0, 1, 1, 2, 6, 7, 10**9, 10**12, -1]), max_size=4)
NAMES = st.builds(
    lambda name, index: name + "".join(f"[{i}]" for i in index),
    WHOLE | st.builds(lambda layer, term, part: f"{layer}.{term}{part}", LAYERS, TERMS, PARTS),
    INDICES,
) | st.text(max_size=20)
NUMBERS = (
    st.sampled_from([0, 1, -1, 0.5, 1e-320, 1.7e308, -1e308, 10**400, 2**63, 1e16, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none()
)
ODD: Any = (
    NUMBERS | st.booleans() | st.sampled_from(["1.50", "1e5", "-.5", "1e999", "nan", "zebra", "", "٣"]) | st.just({})
)
ARRAYS = ODD | st.lists(ODD, max_size=4) | st.lists(st.lists(ODD, max_size=3), max_size=7)
SHAPED = st.sampled_from([(), (1,), (3,), (1, 2), (3, 2), (7, 3), (7, 1), (2, 2, 2)]).flatmap(
    lambda shape: st.floats(width=32).map(lambda value: np.full(shape, value).tolist())
)
VALUES = st.dictionaries(NAMES, SHAPED | ARRAYS, max_size=4)
PARAMETERS = st.none() | st.lists(NAMES, max_size=3)
COUNTS = st.sampled_from([-1, 0, 1, 2, 3, 4, 5, 2**53, 10**30]) | NUMBERS
WHEN = st.dictionaries(st.sampled_from(["revision", "epoch"]), COUNTS, max_size=1)
OPTIMIZERS = st.sampled_from(
    [None, "adam", "zebra", {"learning_rate": 1e308}, {"learning_rate": 0}, {"type": "rmsprop", "eps": 0.0}, {}, 7]
)
BODIES: dict[str, Any] = {
    "/verify": st.fixed_dictionaries(
        {"values": VALUES}, optional={"decimals": COUNTS, "reveal": st.sampled_from(["all", "none", "zebra"])}
    ),
    "/diff": VALUES,
    "/preview": st.fixed_dictionaries({}, optional={"parameters": PARAMETERS, "optimizer": OPTIMIZERS}),
    "/gradcheck": st.fixed_dictionaries({}, optional={"parameters": PARAMETERS, "eps": NUMBERS}),
    "/predict": st.fixed_dictionaries({}, optional={"inputs": ARRAYS}),
    "/parameters": VALUES,
    "/rewind": WHEN,
    "/fork": WHEN,
}
LISTS: dict[str, Any] = {
    "/explain": {"of": NAMES, "decimals": COUNTS, "max_samples": COUNTS, "max_paths": COUNTS},
    "/diff": {"against_revision": COUNTS, "against_epoch": COUNTS, "rtol": NUMBERS, "atol": NUMBERS},
    "/curves": {"max_points": COUNTS},
    "/history": {"limit": COUNTS, "after": COUNTS},
    "/snapshot": {"samples": st.text(max_size=5), "decimals": COUNTS, "layers": NAMES, "include": st.just("jacobians")},
    "/export": {},
    "/data": {},
}
ACCEPT = st.sampled_from(["*/*", "*/*", "text/markdown", "application/x-npy", "application/x-npz", "text/csv"])
FEW = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def check(method: str, url: str, **request: Any) -> None:
    """Make a call, whose answer may be a refusal, but none for which the server is to blame."""
    answer = client.request(method, url, **request)
    assert answer.status_code < 500, (method, url, request, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"


@FEW
@given(st.data())
def test_odd_queries(urls: list[str], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(LISTS)))
    query = data.draw(st.fixed_dictionaries({}, optional=LISTS[path])) | data.draw(WHEN)
    check("GET", data.draw(st.sampled_from(urls)) + path, params=query, headers={"Accept": data.draw(ACCEPT)})


@FEW
@given(st.data(), NAMES, WHEN, ACCEPT, st.sampled_from(["", "/summary"]))
def test_odd_tensors(urls: list[str], data: st.DataObject, name: str, when: Any, accept: str, rest: str) -> None:
    url = data.draw(st.sampled_from(urls))
    check("GET", f"{url}/tensors/{quoted(name)}{rest}", params=when, headers={"Accept": accept})


def quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode("utf-8", "replace"))


@FEW
@given(st.data(), WHEN)
def test_odd_bodies(urls: list[str], data: st.DataObject, when: dict[str, Any]) -> None:
    path = data.draw(st.sampled_from(list(BODIES)))
    method = "PATCH" if path == "/parameters" else "POST"
    params = {} if path in ("/parameters", "/rewind", "/fork") else when
    url, body = data.draw(st.sampled_from(urls)), json.dumps(data.draw(BODIES[path]))
    check(method, url + path, content=body, headers=JSON, params=params)


@FEW
@given(st.data(), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4), st.booleans())
def test_odd_npz(urls: list[str], data: st.DataObject, bytes_there: list[tuple[int, int]], packed: bool) -> None:
    arrays: dict[str, Any] = {
        "hidden.z": np.ones((7, 3)),
        "loss": np.array(np.nan),
        "hidden.weight": np.arange(6).reshape(3, 2),
    }
    out = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(out, **arrays)
    content = bytearray(out.getvalue())
    for place, byte in bytes_there:
        content[place % len(content)] = byte
    url = data.draw(st.sampled_from(urls))
    check("POST", f"{url}/diff", content=bytes(content), headers={"Content-Type": NPZ})
