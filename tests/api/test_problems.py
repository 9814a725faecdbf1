"""Whatever is sent, the answer is a problem that says what to change, is small, comes soon and repeats nothing."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from app.api.problems import STATUS
from app.errors import GradstepError, Unavailable
from app.sessions.service import Sessions

from .calls import CLASSES, JSON, ROWS, config, create, places, post, problem, read

SECRET = "zebra"


@dataclass
class Bad:
    """A request that is refused. `{id}` in the path is a session that has just been made from `session`."""

    name: str
    status: int
    place: str | None = None
    path: str = "/v1/sessions"
    body: Any = None
    raw: bytes | None = None
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    kind: str | None = None
    session: dict[str, Any] = field(default_factory=config)
    settings: dict[str, Any] = field(default_factory=dict)


def layer(**fields: Any) -> dict[str, Any]:
    return config(layers=[{"units": 1, **fields}], data=None)


def activation(value: Any) -> dict[str, Any]:
    return layer(activation=value)


def rows(inputs: Any, targets: Any, **fields: Any) -> dict[str, Any]:
    return config(data={"inputs": inputs, "targets": targets, **fields})


def classes(**data: Any) -> dict[str, Any]:
    return {**CLASSES, "data": {**CLASSES["data"], **data}}  # type: ignore[dict-item]


def sgd(**options: Any) -> dict[str, Any]:
    return config(optimizer={"type": "sgd", **options})


LAYER = "/network/layers/0"
SESSION = "/v1/sessions/{id}"
FIVE_LAYERS = [{"units": 1}] * 5

CONFIGS = [
    # shapes
    Bad("inputs-too-wide", 422, "/data/inputs/0", body=rows([[1, 2, 3]], [[1]])),
    Bad("inputs-too-narrow", 422, "/data/inputs/1", body=rows([[1, 2], [1]], [[1], [1]])),
    Bad("inputs-flat", 422, "/data/inputs/0", body=rows([1, 2], [[1]])),
    Bad("inputs-too-deep", 422, "/data/inputs/0/0", body=rows([[[1, 2]]], [[1]])),
    Bad("inputs-no-list", 422, "/data/inputs", body=rows({"0": [1, 2]}, [[1]])),
    Bad("targets-too-wide", 422, "/data/targets/0", body=rows([[1, 2]], [[1, 2]])),
    Bad("targets-too-few", 422, "/data/targets", body=rows([[1, 2], [3, 4]], [[1]])),
    Bad("targets-flat", 422, "/data/targets", body=rows([[1, 2]], [1])),
    Bad("targets-flat-floats", 422, "/data/targets/0", body=rows([[1, 2]], [0.5])),
    Bad("targets-missing", 422, "/data/targets", body=config(data={"inputs": [[1, 2]]})),
    Bad(
        "test-inputs", 422, "/data/test/inputs/0", body=rows([[1, 2]], [[1]], test={"inputs": [[1]], "targets": [[1]]})
    ),
    Bad(
        "test-targets", 422, "/data/test/targets", body=rows([[1, 2]], [[1]], test={"inputs": [[1, 2]], "targets": [1]})
    ),
    Bad("ragged", 422, "/data/inputs/2", body=rows([[1, 2], [3, 4], [5]], [[1], [2], [3]])),
    Bad("weight-rows", 422, f"{LAYER}/init/weight", body=layer(init={"weight": [[1, 2], [3, 4]]})),
    Bad("weight-columns", 422, f"{LAYER}/init/weight/0", body=layer(init={"weight": [[1, 2, 3]]})),
    Bad("weight-flat", 422, f"{LAYER}/init/weight/0", body=layer(init={"weight": [1, 2]})),
    Bad("weight-ragged", 422, f"{LAYER}/init/weight/1", body=layer(units=2, init={"weight": [[1, 2], [3]]})),
    Bad("bias-length", 422, f"{LAYER}/init/bias", body=layer(init={"bias": [1, 2]})),
    Bad("bias-shared-length", 422, f"{LAYER}/init/bias", body=layer(units=2, bias="shared", init={"bias": [1, 2]})),
    Bad("bias-matrix", 422, f"{LAYER}/init/bias/0", body=layer(init={"bias": [[1]]})),
    Bad("bias-of-none", 422, f"{LAYER}/init/bias", body=layer(bias="none", init={"bias": [1, 2]})),
    Bad("bias-has-no-fan", 422, f"{LAYER}/init/bias", body=layer(init={"bias": "xavier_uniform"})),
    # names and options
    Bad("unknown-activation", 422, f"{LAYER}/activation", body=activation(SECRET)),
    Bad("unknown-activation-type", 422, f"{LAYER}/activation", body=activation({"type": SECRET})),
    Bad("activation-without-type", 422, f"{LAYER}/activation", body=activation({"negative_slope": 1})),
    Bad("activation-number", 422, f"{LAYER}/activation", body=activation(7)),
    Bad("activation-null", 422, f"{LAYER}/activation", body=activation(None)),
    Bad("activation-option", 422, f"{LAYER}/activation/slope", body=activation({"type": "relu", "slope": SECRET})),
    Bad("unknown-layer", 422, f"{LAYER}/type", body=layer(type=SECRET)),
    Bad("unknown-loss", 422, "/loss", body=config(loss=SECRET)),
    Bad("unknown-reduction", 422, "/loss/reduction", body=config(loss={"type": "mse", "reduction": SECRET})),
    Bad("unknown-optimizer", 422, "/optimizer", body=config(optimizer=SECRET)),
    Bad("unknown-optimizer-option", 422, "/optimizer/betas", body=sgd(betas=[0.9, 0.9])),
    Bad("unknown-schedule", 422, "/optimizer/schedule", body=sgd(schedule=SECRET)),
    Bad("schedule-needs-gamma", 422, "/optimizer/schedule/gamma", body=sgd(schedule="exponential")),
    Bad("unknown-initialiser", 422, f"{LAYER}/init/weight", body=layer(init={"weight": SECRET})),
    Bad("unknown-bias", 422, f"{LAYER}/bias", body=layer(bias=SECRET)),
    Bad("unknown-dtype", 422, "/dtype", body=config(dtype=SECRET)),
    Bad("unknown-data", 422, "/data", body=config(data={**ROWS, "type": SECRET})),
    Bad("unknown-field", 422, "/colour", body=config(colour=SECRET)),
    Bad(
        "unknown-field-in-network",
        422,
        "/network/colour",
        body={**config(), "network": {"inputs": 2, "layers": FIVE_LAYERS, "colour": SECRET}},
    ),
    Bad("pointer-escapes", 422, "/a~1b~0c", body=config(**{"a/b~c": SECRET})),
    Bad("layer-name", 422, f"{LAYER}/name", body=layer(name=f"{SECRET} 1")),
    Bad("layer-name-with-newline", 422, f"{LAYER}/name", body=layer(name=f"{SECRET}\n")),
    Bad("layer-name-too-long", 422, f"{LAYER}/name", body=layer(name=SECRET * 13)),
    Bad(
        "duplicate-layer-names",
        422,
        "/network/layers",
        body=config(layers=[{"name": SECRET, "units": 1}] * 2, data=None),
    ),
    Bad(
        "duplicate-default-name",
        422,
        "/network/layers",
        body=config(layers=[{"units": 1}, {"name": "layer1", "units": 1}]),
    ),
    # sizes
    Bad("no-units", 422, f"{LAYER}/units", body=layer(units=0)),
    Bad("negative-units", 422, f"{LAYER}/units", body=layer(units=-3)),
    Bad("half-a-unit", 422, f"{LAYER}/units", body=layer(units=1.5)),
    Bad("whole-float-units", 422, f"{LAYER}/units", body=layer(units=1.0)),
    Bad("units-as-string", 422, f"{LAYER}/units", body=layer(units="1")),
    Bad("units-as-true", 422, f"{LAYER}/units", body=layer(units=True)),
    Bad("units-missing", 422, f"{LAYER}/units", body=config(layers=[{}])),
    Bad("no-inputs", 422, "/network/inputs", body={**config(), "network": {"inputs": 0, "layers": FIVE_LAYERS}}),
    Bad(
        "a-billion-units",
        422,
        "/network/layers",
        body=config(layers=[{"units": 10**9}], data=None),
        kind="limit-exceeded",
    ),
    Bad(
        "a-thousand-huge-layers",
        422,
        "/network/layers",
        body=config(layers=[{"units": 2**31 - 1}] * 1000, data=None),
        kind="limit-exceeded",
    ),
    Bad("10**12-units", 422, f"{LAYER}/units", body=layer(units=10**12)),
    Bad(
        "a-billion-inputs",
        422,
        "/network/layers",
        body={"network": {"inputs": 10**9, "layers": FIVE_LAYERS}, "loss": "mse"},
        kind="limit-exceeded",
    ),
    Bad("a-million-layers", 413, None, body=config(layers=[{}] * 10**6), kind="body-too-large"),
    Bad("200000-layers", 422, "/network/layers/0/units", body=config(layers=[{}] * 200_000)),
    Bad("1001-layers", 422, "/network/layers", body=config(layers=[{"units": 1}] * 1001)),
    Bad("no-layers", 422, "/network/layers", body=config(layers=[])),
    Bad("layers-null", 422, "/network/layers", body=config(layers=None)),
    Bad("layers-no-list", 422, "/network/layers", body=config(layers={"0": {"units": 1}})),
    Bad("too-many-rows", 422, "/data/inputs", body=rows([[0, 0]] * 100_001, [[0]] * 100_001), kind="limit-exceeded"),
    Bad("empty-rows", 422, "/data/inputs", body=rows([], [[1]])),
    Bad("empty-targets", 422, "/data/targets", body=rows([[1, 2]], [])),
    Bad("empty-row", 422, "/data/inputs/0", body=rows([[]], [[1]])),
    Bad("seed-negative", 422, "/seed", body=config(seed=-1)),
    Bad("seed-2**53", 422, "/seed", body=config(seed=2**53)),
    Bad("name-too-long", 422, "/name", body=config(name=SECRET * 41)),
    # numbers
    Bad("1e400", 422, "/data/inputs/0/0", raw=orjson.dumps(rows([["X", 2]], [[1]])).replace(b'"X"', b"1e400")),
    Bad("-1e400", 422, "/optimizer/learning_rate", raw=orjson.dumps(sgd(learning_rate="X")).replace(b'"X"', b"-1e400")),
    Bad("NaN", 400, raw=b'{"seed": NaN}', kind="malformed-body"),
    Bad("Infinity", 400, raw=b'{"seed": Infinity}', kind="malformed-body"),
    Bad("-Infinity", 400, raw=b'{"seed": -Infinity}', kind="malformed-body"),
    Bad("number-as-string", 422, "/data/inputs/0/1", body=rows([[1, "2"]], [[1]])),
    Bad("target-as-string", 422, "/data/targets/0/0", body=rows([[1, 2]], [["1"]])),
    Bad("number-as-true", 422, "/data/inputs/0/0", body=rows([[True, 2]], [[1]])),
    Bad("number-as-null", 422, "/data/inputs/0/0", body=rows([[None, 2]], [[1]])),
    Bad("float32-overflow", 422, "/data/inputs", body={**rows([[1e39, 2]], [[1]]), "dtype": "float32"}),
    Bad(
        "float32-weight-overflow",
        422,
        f"{LAYER}/init/weight",
        body={**layer(init={"weight": 1e39}), "dtype": "float32"},
    ),
    Bad("learning-rate-negative", 422, "/optimizer/learning_rate", body=sgd(learning_rate=-0.1)),
    Bad("learning-rate-string", 422, "/optimizer/learning_rate", body=sgd(learning_rate="0.1")),
    Bad("nesterov-without-momentum", 422, "/optimizer", body=sgd(nesterov=True)),
    Bad("beta-of-1", 422, "/optimizer/betas/0", body=config(optimizer={"type": "adam", "betas": [1.0, 0.9]})),
    Bad("three-betas", 422, "/optimizer/betas", body=config(optimizer={"type": "adam", "betas": [0.9, 0.9, 0.9]})),
    Bad("clip-value", 422, "/optimizer/clip/value", body=sgd(clip={"type": "norm", "value": 0})),
    Bad("a-number-of-5000-digits", 400, raw=b'{"seed": ' + b"9" * 5000 + b"}", kind="malformed-body"),
    # targets
    Bad("class-out-of-range", 422, "/data/targets/1", body=classes(targets=[0, 3, 1])),
    Bad("class-negative", 422, "/data/targets/1", body=classes(targets=[0, -1, 1])),
    Bad("class-huge", 422, "/data/targets/1", raw=json.dumps(classes(targets=[0, 10**30, 1])).encode()),
    Bad("class-float", 422, "/data/targets/1", body=classes(targets=[0, 1.5, 1])),
    Bad("class-true", 422, "/data/targets/1", body=classes(targets=[0, True, 1])),
    Bad("rows-for-nll", 422, "/data/targets", body={**classes(targets=[[0, 0, 1]] * 3), "loss": "nll"}),
    Bad("probabilities-sum", 422, "/data/targets/1", body=classes(targets=[[0, 0, 1], [0.5, 0.4, 0], [1, 0, 0]])),
    Bad("probability-above-1", 422, "/data/targets/0", body=classes(targets=[[0, 2, -1], [1, 0, 0], [1, 0, 0]])),
    Bad("probability-for-bce", 422, "/data/targets/0", body={**rows([[1, 2]], [[1.5]]), "loss": "bce"}),
    Bad(
        "test-and-fraction",
        422,
        "/data",
        body=rows([[1, 2]], [[1]], test={"inputs": [[1, 2]], "targets": [[1]]}, test_fraction=0.5),
    ),
    Bad("fraction-of-1", 422, "/data/test_fraction", body=rows([[1, 2]], [[1]], test_fraction=1)),
    Bad("fraction-leaves-nothing", 422, "/data/test_fraction", body=rows([[1, 2]], [[1]], test_fraction=0.5)),
    # forms
    Bad("empty-object", 422, "/network", body={}),
    Bad("no-body", 422, "/network", raw=b""),
    Bad("body-null", 422, "", body=None, raw=b"null"),
    Bad("body-list", 422, "", body=[1]),
    Bad("body-string", 422, "", body=SECRET),
    Bad("network-string", 422, "/network", body={**config(), "network": SECRET}),
    Bad("no-json", 400, raw=f"{SECRET}".encode(), kind="malformed-body"),
    Bad("cut-off", 400, raw=b'{"network": {"inputs": 2', kind="malformed-body"),
    Bad("more-after-the-end", 400, raw=b"{} {}", kind="malformed-body"),
    Bad("deep-nesting", 400, raw=b"[" * 100_000, kind="malformed-body"),
    Bad("deep-objects", 400, raw=b'{"a":' * 100_000, kind="malformed-body"),
    Bad("lone-surrogate", 400, raw=rb'{"name": "\ud800"}', kind="malformed-body"),
    Bad("lone-surrogate-key", 400, raw=rb'{"\udfff": 1}', kind="malformed-body"),
    Bad("duplicate-keys", 400, raw=f'{{"{SECRET}": 1, "{SECRET}": 2}}'.encode(), kind="malformed-body"),
    Bad(
        "duplicate-keys-inside",
        400,
        raw=f'{{"network": {{"{SECRET}": 1, "{SECRET}": 1}}}}'.encode(),
        kind="malformed-body",
    ),
    Bad("invalid-utf-8", 400, raw=b'{"name": "\xff"}', kind="malformed-body"),
    Bad("utf-16", 400, raw='{"name": "x"}'.encode("utf-16"), kind="malformed-body"),
    Bad("100000-unknown-keys", 422, "", body={f"{SECRET}{i}": i for i in range(100_000)}),
    Bad(
        "100000-unknown-keys-inside",
        422,
        "/network",
        body={**config(), "network": {f"{SECRET}{i}": i for i in range(100_000)}},
    ),
    Bad("thirty-unknown-keys", 422, "/key00", body=config(**{f"key{i:02}": SECRET for i in range(30)})),
    Bad("4-MB-of-wrong-layers", 422, "/network/layers/0", body=config(layers=[SECRET] * 500_000)),
    Bad("4-MB-of-wrong-inputs", 422, "/data/inputs/0", body=rows([SECRET] * 500_000, [[1]])),
    Bad("4-MB-of-wrong-numbers", 422, "/data/inputs/0/0", body=rows([[SECRET] * 500_000], [[1]])),
    Bad("4-MB-of-wrong-targets", 422, "/data/targets/0", body=rows([[1, 2]], [SECRET] * 500_000)),
    Bad("4-MB-of-wrong-classes", 422, "/data/targets/1", body=rows([[1, 2]], [1] + [SECRET] * 500_000)),
    Bad(
        "4-MB-of-wrong-betas",
        422,
        "/optimizer/betas",
        body=config(optimizer={"type": "adam", "betas": [SECRET] * 500_000}),
    ),
    Bad("4-MB-of-wrong-weights", 422, f"{LAYER}/init/weight/0", body=layer(init={"weight": [SECRET] * 500_000})),
    Bad("4-MB-list", 422, "", body=[SECRET] * 500_000),
    Bad("4-MB-name", 422, "/name", body=config(name=SECRET * 800_000)),
    Bad("4-MB-key", 422, None, body=config(**{"k" * 4_000_000: 1})),
    # headers
    Bad("content-type", 415, raw=b"{}", headers={"Content-Type": "text/plain"}, kind="unsupported-media-type"),
    Bad("content-type-none", 415, raw=b"{}", headers={"Content-Type": ""}, kind="unsupported-media-type"),
    Bad("content-type-form", 415, raw=b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Bad(
        "compressed", 415, raw=b"\x1f\x8b", headers={**JSON, "Content-Encoding": "gzip"}, kind="unsupported-media-type"
    ),
    Bad("accept", 406, body=config(), headers={"Accept": "text/html"}, kind="not-acceptable"),
    Bad("accept-refused", 406, body=config(), headers={"Accept": "application/json;q=0"}, kind="not-acceptable"),
    Bad("too-large", 413, raw=b" " * (8 * 2**20 + 1), kind="body-too-large"),
    Bad("unknown-parameter", 422, "?zig", path="/v1/sessions?zig=zebra", body=config()),
    Bad("dry-run", 422, "?dry_run", path="/v1/sessions?dry_run=zebra", body=config()),
    Bad("too-many-bytes", 422, "", body=config(), settings={"max_bytes": 1000}, kind="limit-exceeded"),
    Bad("no-room", 503, body=config(), settings={"max_sessions": 1}, kind="server-full"),
]

CALLS = [
    Bad("patch-unknown", 422, "/colour", SESSION, {"colour": SECRET}, method="PATCH"),
    Bad("patch-name-number", 422, "/name", SESSION, {"name": 5}, method="PATCH"),
    Bad("patch-name-too-long", 422, "/name", SESSION, {"name": SECRET * 41}, method="PATCH"),
    Bad("patch-option", 422, "/optimizer/betas", SESSION, {"optimizer": {"betas": [0.5, 0.5]}}, method="PATCH"),
    Bad("patch-value", 422, "/optimizer/learning_rate", SESSION, {"optimizer": {"learning_rate": -1}}, method="PATCH"),
    Bad("patch-type", 422, "/optimizer", SESSION, {"optimizer": SECRET}, method="PATCH"),
    Bad(
        "patch-inside",
        422,
        "/optimizer/schedule",
        SESSION,
        {"optimizer": {"schedule": {"type": SECRET}}},
        method="PATCH",
    ),
    Bad("patch-list", 422, "", SESSION, [], method="PATCH"),
    Bad(
        "patch-many-keys",
        422,
        "/optimizer",
        SESSION,
        {"optimizer": {f"k{i}": i for i in range(100_000)}},
        method="PATCH",
    ),
    Bad("data-shape", 422, "/inputs/0", f"{SESSION}/data", {"inputs": [[1]], "targets": [[1]]}, method="PUT"),
    Bad("data-empty", 422, "/inputs", f"{SESSION}/data", {}, method="PUT"),
    Bad(
        "data-fraction",
        422,
        "/test_fraction",
        f"{SESSION}/data",
        {"inputs": [[1, 2]], "targets": [[1]], "test_fraction": 0.1},
        method="PUT",
    ),
    Bad(
        "data-test",
        422,
        "/test/targets",
        f"{SESSION}/data",
        {"inputs": [[1, 2]], "targets": [[1]], "test": {"inputs": [[1, 2]], "targets": [[1], [2]]}},
        method="PUT",
    ),
    Bad(
        "data-rows",
        422,
        "/inputs",
        f"{SESSION}/data",
        {"inputs": [[1, 2]] * 5, "targets": [[1]] * 5},
        method="PUT",
        settings={"max_batch": 4},
        session=config(data=None),
    ),
    Bad("forward-inputs", 422, "/inputs/0", f"{SESSION}/forward", {"inputs": [[1]]}),
    Bad("forward-targets", 422, "/targets", f"{SESSION}/forward", {"targets": [[1]]}),
    Bad("forward-target-shape", 422, "/targets/0", f"{SESSION}/forward", {"inputs": [[1, 2]], "targets": [[1, 2]]}),
    Bad("forward-until", 422, "/until", f"{SESSION}/forward", {"until": SECRET}),
    Bad("forward-until-no-name", 422, "/until", f"{SESSION}/forward", {"until": f"{SECRET}!"}),
    Bad("forward-without-data", 422, "/inputs", f"{SESSION}/forward", {}, session=config(data=None)),
    Bad(
        "forward-too-many", 422, "/inputs", f"{SESSION}/forward", {"inputs": [[0, 0]] * 100_001}, kind="limit-exceeded"
    ),
    Bad("backward-until", 422, "/until", f"{SESSION}/backward", {"until": SECRET}),
    Bad("backward-using", 422, "/using", f"{SESSION}/backward", {"using": SECRET}),
    Bad("backward-first", 409, None, f"{SESSION}/backward", {}, kind="wrong-phase"),
    Bad("step-unknown", 422, "/parameters/1", f"{SESSION}/step", {"parameters": ["hidden.bias", SECRET]}),
    Bad("step-twice", 422, "/parameters/1", f"{SESSION}/step", {"parameters": ["hidden.bias", "hidden.bias"]}),
    Bad("step-none", 422, "/parameters", f"{SESSION}/step", {"parameters": []}),
    Bad("step-string", 422, "/parameters", f"{SESSION}/step", {"parameters": SECRET}),
    Bad("step-many", 422, "/parameters", f"{SESSION}/step", {"parameters": [SECRET] * 500_000}),
    Bad("step-first", 409, None, f"{SESSION}/step", {}, kind="wrong-phase"),
    Bad("train-epochs-0", 422, "/epochs", f"{SESSION}/train", {"epochs": 0}),
    Bad(
        "train-epochs-huge",
        422,
        "/epochs",
        f"{SESSION}/train",
        {"epochs": 10**9, "report_every": 10**9},
        kind="limit-exceeded",
    ),
    Bad(
        "train-epochs-10**30",
        422,
        "/epochs",
        f"{SESSION}/train",
        raw=b'{"epochs": 1' + b"0" * 30 + b"}",
        kind="invalid-input",
    ),
    Bad("train-epochs-float", 422, "/epochs", f"{SESSION}/train", {"epochs": 1.5}),
    Bad("train-entries", 422, "/report_every", f"{SESSION}/train", {"epochs": 10**6}, kind="limit-exceeded"),
    Bad("train-batch-0", 422, "/batch_size", f"{SESSION}/train", {"batch_size": 0}),
    Bad("train-batch-negative", 422, "/batch_size", f"{SESSION}/train", {"batch_size": -1}),
    Bad("train-shuffle", 422, "/shuffle", f"{SESSION}/train", {"shuffle": SECRET}),
    Bad("train-report-every-0", 422, "/report_every", f"{SESSION}/train", {"report_every": 0}),
    Bad("train-stop", 422, "/stop/0", f"{SESSION}/train", {"stop": [SECRET]}),
    Bad("train-stop-many", 422, "/stop", f"{SESSION}/train", {"stop": ["nonfinite"] * 500_000}),
    Bad(
        "train-without-data",
        422,
        "",
        f"{SESSION}/train",
        {},
        session=config(data=None),
    ),
    Bad("predict-inputs", 422, "/inputs/0", f"{SESSION}/predict", {"inputs": [[1, 2, 3]]}),
    Bad("predict-without-data", 422, "/inputs", f"{SESSION}/predict", {}, session=config(data=None)),
    Bad("predict-include", 422, "?include", f"{SESSION}/predict?include=zebra", {}),
    Bad("predict-many", 422, "/inputs", f"{SESSION}/predict", {"inputs": [[0, 0]] * 100_001}, kind="limit-exceeded"),
    Bad("include", 422, "?include", f"{SESSION}/snapshot?include=zebra", method="GET"),
    Bad("layers", 422, "?layers", f"{SESSION}/snapshot?layers=hidden,zebra", method="GET"),
    Bad("samples", 422, "?samples", f"{SESSION}/snapshot?samples=zebra", method="GET"),
    Bad("samples-empty", 422, "?samples", f"{SESSION}/snapshot?samples=3:3", method="GET"),
    Bad("samples-backwards", 422, "?samples", f"{SESSION}/snapshot?samples=3:1", method="GET"),
    Bad("samples-huge", 422, "?samples", f"{SESSION}/snapshot?samples=0:99999999999", method="GET"),
    Bad("decimals", 422, "?decimals", f"{SESSION}/snapshot?decimals=18", method="GET"),
    Bad("decimals-negative", 422, "?decimals", f"{SESSION}/snapshot?decimals=-1", method="GET"),
    Bad("revision-to-come", 422, "?revision", f"{SESSION}/snapshot?revision=5", method="GET"),
    Bad("revision", 422, "?revision", f"{SESSION}/snapshot?revision=zebra", method="GET"),
    Bad("query-on-forward", 422, "?zig", f"{SESSION}/forward?zig=zebra", {}),
    Bad("query-on-read", 422, "?zig", f"{SESSION}?zig=zebra", method="GET"),
    Bad("query-on-delete", 422, "?zig", f"{SESSION}?zig=zebra", method="DELETE"),
    Bad("limit-0", 422, "?limit", "/v1/sessions?limit=0", method="GET"),
    Bad("limit-1001", 422, "?limit", "/v1/sessions?limit=1001", method="GET"),
    Bad("after", 422, "?after", "/v1/sessions?after=zebra", method="GET"),
    Bad("if-match-bare", 422, "?If-Match", f"{SESSION}/forward", {}, headers={"If-Match": "7"}),
    Bad("if-match-of-another-kind", 412, None, f"{SESSION}/forward", {}, headers={"If-Match": '"zebra"'}),
    Bad("if-match-empty", 422, "?If-Match", f"{SESSION}/forward", {}, headers={"If-Match": ""}),
    Bad("if-match-later", 412, None, f"{SESSION}/forward", {}, headers={"If-Match": '"7"'}, kind="revision-mismatch"),
    Bad("if-match-on-delete", 412, None, SESSION, method="DELETE", headers={"If-Match": '"7"'}),
    Bad("unknown-session", 404, None, "/v1/sessions/zebra", method="GET", kind="session-not-found"),
    Bad("unknown-session-forward", 404, None, "/v1/sessions/zebra/forward", {}, kind="session-not-found"),
    Bad("odd-session", 404, None, "/v1/sessions/%00%20%F0%9F%A6%93", method="GET", kind="session-not-found"),
    Bad("long-session", 404, None, "/v1/sessions/" + "zebra" * 10_000, method="GET", kind="session-not-found"),
    Bad("unknown-path", 404, None, "/v1/zebra", method="GET", kind="not-found"),
    Bad("unknown-path-below", 404, None, f"{SESSION}/zebra", {}, kind="not-found"),
    Bad("slash-at-the-end", 404, None, "/v1/sessions/", method="GET", kind="not-found"),
    Bad("unknown-problem", 404, None, "/v1/problems/zebra", method="GET", kind="not-found"),
    Bad("method", 405, None, SESSION, {}, kind="method-not-allowed"),
    Bad("method-of-list", 405, None, "/v1/sessions", method="DELETE", kind="method-not-allowed"),
    Bad("snapshot-accept", 406, None, f"{SESSION}/snapshot", method="GET", headers={"Accept": "text/csv"}),
    Bad("forward-content-type", 415, None, f"{SESSION}/forward", raw=b"{}", headers={"Content-Type": "text/plain"}),
    Bad("forward-compressed", 415, None, f"{SESSION}/forward", raw=b"{}", headers={**JSON, "Content-Encoding": "br"}),
    Bad(
        "forward-too-large",
        413,
        None,
        f"{SESSION}/forward",
        raw=b" " * 101,
        settings={"max_body": 100},
        session={"network": {"inputs": 1, "layers": [{"units": 1}]}, "loss": "mse"},
    ),
    Bad("forward-duplicate-keys", 400, None, f"{SESSION}/forward", raw=b'{"until": "a", "until": "b"}'),
    Bad("forward-NaN", 400, None, f"{SESSION}/forward", raw=b'{"inputs": [[NaN, 1]]}'),
    Bad("forward-1e999", 422, "/inputs/0/0", f"{SESSION}/forward", raw=b'{"inputs": [[1e999, 1]]}'),
]


@pytest.fixture(scope="module")
def times() -> list[tuple[float, str]]:
    """How long each refusal takes."""
    return []


@pytest.mark.parametrize("bad", [*CONFIGS, *CALLS], ids=lambda bad: bad.name)
def test_refused(bad: Bad, make_client: Callable[..., TestClient], times: list[tuple[float, str]]) -> None:
    client = make_client(**bad.settings) if bad.name != "too-many-bytes" else make_client()
    url = create(client, bad.session)
    before = read(client, f"{url}/snapshot")
    if bad.name == "too-many-bytes":
        client = make_client(**bad.settings)
    content = bad.raw if bad.raw is not None else None if bad.body is None else orjson.dumps(bad.body)
    headers = {**(JSON if content else {}), **bad.headers}
    path = bad.path.replace("/v1/sessions/{id}", url)

    started = time.perf_counter()
    answer = client.request(bad.method, path, content=content, headers=headers)
    times.append((time.perf_counter() - started, bad.name))

    body = problem(answer, bad.status, bad.kind)
    assert ("errors" in body) == (bad.status == 422)
    assert len(body.get("errors", ())) <= 20
    if bad.place is not None:
        assert bad.place in places(body), body
    del body["instance"]
    for error in body.get("errors", ()):  # an unknown field's own name is the place
        error.pop("pointer", None)
    assert SECRET not in str(body)
    if bad.status == 422 and bad.kind == "limit-exceeded":
        assert body["estimate"] > body["limit"]
        assert body["setting"].startswith("GRADSTEP_MAX_")
    if bad.name != "too-many-bytes":
        assert read(client, f"{url}/snapshot") == before
    kind = client.get(body["type"])
    assert kind.status_code == 200
    assert kind.json()["status"] == bad.status
    assert kind.json()["title"] == body["title"]


def test_the_slowest_refusals_are_told(times: list[tuple[float, str]], report: Callable[[str], None]) -> None:
    slowest = sorted(times, reverse=True)[:5]
    report(f"slowest refusals: {', '.join(f'{name} {1e3 * seconds:.0f} ms' for seconds, name in slowest)}")


def test_a_single_fault_is_a_single_error(client: TestClient) -> None:
    for bad in CONFIGS:
        if bad.status == 422 and bad.place and bad.name not in ("empty-object", "no-body", "thirty-unknown-keys"):
            content = bad.raw if bad.raw is not None else orjson.dumps(bad.body)
            body = client.post(bad.path, content=content, headers=JSON).json()
            assert places(body) == [bad.place], bad.name


def test_what_a_message_says(client: TestClient) -> None:
    def detail(**fields: Any) -> Any:
        return client.post("/v1/sessions", json=config(**fields)).json()["errors"][0]["detail"]

    assert detail(layers=[{"units": 0}]) == "got 0; it should be greater than or equal to 1"
    assert detail(layers=[{"units": "five"}]) == "got a string of 4 characters; takes a whole number"
    assert detail(layers=[{"units": None}]) == "got null; takes a whole number"
    assert detail(loss="l3").startswith("got an unknown name; takes one of 'half_squared_error', 'mse'")
    assert detail(loss=[1, 2]) == "got a list of 2; takes a name, or an object with a type"
    assert detail(seed={}) == "got an object; takes a whole number"
    assert detail(colour=1) == "no field has this name here"


def test_the_problem_of_a_limit_says_how_much(client: TestClient) -> None:
    body = problem(client.post("/v1/sessions", json=config(layers=[{"units": 10**9}], data=None)), 422)
    assert body["limit"] == 20_000_000
    assert body["estimate"] == 3 * 10**9
    assert body["setting"] == "GRADSTEP_MAX_PARAMETERS"


def test_full(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_sessions=1)
    create(client)
    answer = client.post("/v1/sessions", json=config())
    body = problem(answer, 503, "server-full")
    assert answer.headers["Retry-After"] == "60"
    assert (body["limit"], body["estimate"], body["setting"]) == (1, 2, "GRADSTEP_MAX_SESSIONS")


def test_expired(client: TestClient, clock: Any) -> None:
    url = create(client)
    expires_at = read(client, url)["expires_at"]
    clock.now += 6 * 3600
    for method, path in (("GET", ""), ("GET", "/snapshot"), ("POST", "/forward"), ("DELETE", ""), ("PATCH", "")):
        body = problem(client.request(method, url + path), 410, "session-expired")
        assert body["expired_at"] == expires_at
    clock.now += 24 * 3600 + 1
    problem(client.get(url), 404, "session-not-found")


def test_the_wrong_phase_says_what_to_call_first(client: TestClient) -> None:
    url = create(client)
    assert problem(client.post(f"{url}/backward"), 409)["call_first"] == "forward"
    assert problem(client.post(f"{url}/step"), 409)["call_first"] == "forward"
    post(client, f"{url}/forward", {"until": "hidden"})
    assert problem(client.post(f"{url}/backward"), 409)["call_first"] == "forward"
    assert problem(client.post(f"{url}/forward", json={"until": "hidden"}), 409).get("call_first") is None
    post(client, f"{url}/forward")
    assert problem(client.post(f"{url}/step"), 409)["call_first"] == "backward"
    post(client, f"{url}/backward", {"until": "output"})
    assert problem(client.post(f"{url}/step"), 409)["call_first"] == "backward"
    post(client, f"{url}/step", {"parameters": ["output.bias"]})
    again = client.post(f"{url}/step", json={"parameters": ["output.bias"]})
    assert problem(again, 409)["call_first"] == "backward"
    post(client, f"{url}/forward", {"inputs": [[1, 2]]})
    assert problem(client.post(f"{url}/backward"), 409)["call_first"] == "forward"


def test_chunked_body_over_the_limit(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_body=1000)
    sent = []

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            sent.append(b" " * 100)
            yield sent[-1]

    problem(client.post("/v1/sessions", content=chunks(), headers=JSON), 413, "body-too-large")


@pytest.mark.parametrize("length", ["1001", "9" * 30, "9" * 5000])
def test_declared_length_over_the_limit(make_client: Callable[..., TestClient], length: str) -> None:
    client = make_client(max_body=1000)
    answer = client.post("/v1/sessions", content=b"{}", headers={**JSON, "Content-Length": length})
    assert problem(answer, 413, "body-too-large")["limit"] == 1000


def test_every_method_of_a_path_is_in_allow(client: TestClient) -> None:
    url = create(client)
    assert client.put(url).headers["Allow"] == "DELETE, GET, HEAD, PATCH"
    assert client.delete("/v1/sessions").headers["Allow"] == "GET, HEAD, POST"
    assert client.post(f"{url}/data").headers["Allow"] == "GET, HEAD, PUT"
    assert client.get(f"{url}/train").headers["Allow"] == "POST"
    assert client.post("/healthz").headers["Allow"] == "GET, HEAD"


def test_a_fault_of_the_server(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = create(client)
    before = read(client, url)

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(Sessions, "change", fail)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = client.post(f"{url}/forward", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    body = problem(answer, 500, "internal-error")
    assert SECRET not in str(body)
    assert SECRET in caplog.text
    assert body["request_id"] == answer.headers["X-Request-Id"] == trace
    assert f"a fault while answering POST '{url}/forward' (request {trace})" in caplog.text
    assert read(client, url) == before
    assert client.get(body["type"]).json()["status"] == 500


def test_every_kind_of_problem_is_described(client: TestClient) -> None:
    assert set(_subclasses(GradstepError)) == {*STATUS, Unavailable}  # which is either of two
    for kind, status in STATUS.items():
        body = read(client, f"/v1/problems/{kind.slug}")
        assert (body["title"], body["status"]) == (kind.title, status)
        assert body["description"]


def _subclasses(kind: Any) -> Iterator[Any]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


# What is refused first, when there is more than one reason. Each adds its fault to a request.
Faulty = dict[str, Any]


def _with_headers(request: Faulty, **headers: str) -> Faulty:
    return {**request, "headers": {**request["headers"], **{k.replace("_", "-"): v for k, v in headers.items()}}}


FAULTS: dict[str, tuple[int, Callable[[Faulty], Faulty]]] = {
    "unknown path": (404, lambda request: {**request, "path": request["path"] + "/zebra"}),
    "method": (405, lambda request: {**request, "method": "QUERY"}),
    "unknown session": (404, lambda request: {**request, "url": "/v1/sessions/zebra"}),
    "accept": (406, lambda request: _with_headers(request, Accept="text/html")),
    "content type": (415, lambda request: _with_headers(request, Content_Type="text/plain")),
    "size": (413, lambda request: {**request, "padding": b" " * 3000}),
    "syntax": (400, lambda request: {**request, "ending": b"]"}),
    "content": (422, lambda request: {**request, "body": {"parameters": ["zebra"]}}),
    "if-match": (412, lambda request: _with_headers(request, If_Match='"7"')),
    "phase": (409, lambda request: {**request, "path": "/step"}),
}


@pytest.mark.parametrize("later", FAULTS)
@pytest.mark.parametrize("earlier", FAULTS)
def test_order_of_checks(make_client: Callable[..., TestClient], earlier: str, later: str) -> None:
    order = list(FAULTS)
    if order.index(earlier) > order.index(later):
        earlier, later = later, earlier
    client = make_client(max_body=2000)
    request: Faulty = {
        "url": create(client), "method": "POST", "path": "/step", "headers": dict(JSON), "body": {}, "padding": b"",
        "ending": b"",
    }  # fmt: skip
    if "phase" not in (earlier, later):
        post(client, request["url"] + "/forward")
        post(client, request["url"] + "/backward")
    status, _ = FAULTS[earlier]
    for name in (later, earlier):
        request = FAULTS[name][1](request)
    content = orjson.dumps(request["body"]) + request["padding"] + request["ending"]
    url = request["url"] + request["path"]
    answer = client.request(request["method"], url, content=content, headers=request["headers"])
    problem(answer, status)


def test_room_is_the_last_to_be_looked_for(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_sessions=1)
    create(client)
    bad = {**config(), "seed": -1}
    problem(client.post("/v1/sessions", json=bad), 422)
    problem(client.post("/v1/sessions", content=b"[", headers=JSON), 400)
    problem(client.post("/v1/sessions", json=config(), headers={"Accept": "text/html"}), 406)
    problem(client.post("/v1/sessions", json=config()), 503)


def schedule(**options: Any) -> dict[str, Any]:
    return sgd(learning_rate=1.0, schedule=options)


@pytest.mark.parametrize(
    "body",
    [
        schedule(type="step", step_size=10**30),
        schedule(type="cosine", T_max=10**30),
        schedule(type="constant", warmup={"total_iters": 10**30}),
    ],
)
def test_options_beyond_64_bits(client: TestClient, body: dict[str, Any]) -> None:
    problem(client.post("/v1/sessions", content=json.dumps(body), headers=JSON), 422)


def test_an_initialiser_that_overflows(client: TestClient) -> None:
    body = layer(init={"weight": {"type": "kaiming_uniform", "a": 1e200}})
    assert client.post("/v1/sessions", json=body).status_code < 500


def test_a_learning_rate_that_overflows(client: TestClient) -> None:
    url = create(client, schedule(type="step", step_size=1, gamma=1e200))
    assert client.post(f"{url}/train", json={"epochs": 5}).status_code == 200
