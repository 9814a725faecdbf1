"""Everything that the catalogue lists can be posted, with the defaults that it says."""

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.engine.activations import AnyActivation
from app.engine.datasets import AnyData
from app.engine.initializers import AnyInitializer
from app.engine.layers import AnyLayer
from app.engine.losses import AnyLoss
from app.engine.optimizers import AnyOptimizer
from app.engine.presets import PRESETS
from app.engine.schedules import AnySchedule
from app.engine.spec import kinds
from app.engine.stops import AnyStop

from .calls import config, create, post, read

UNIONS = {
    "layers": AnyLayer,
    "activations": AnyActivation,
    "losses": AnyLoss,
    "optimizers": AnyOptimizer,
    "schedules": AnySchedule,
    "initializers": AnyInitializer,
    "data": AnyData,
    "stop_conditions": AnyStop,
}
ENTRIES = [(part, spec.type_name()) for part, union in UNIONS.items() for spec in kinds(union)]
NEEDED = {"units": 2, "step_size": 2, "gamma": 0.5, "T_max": 3, "val": 0.25, "inputs": [[1, 2]], "targets": [[3]]}
NEEDED_BY: dict[str, dict[str, Any]] = {  # where a name is not enough
    "epoch": {"value": 99},
    "expression": {"value": "loss < 0"},
    "loss_below": {"value": 0},
    "gradient_norm_below": {"value": 0},
    "parameter_outside": {"parameter": "hidden.weight", "high": 1e6},
}
TARGETS = {
    "values": [[0.5, -2], [3, 4]],
    "probabilities": [[0.5, 1], [0, 1]],
    "classes": [0, 1],
    "classes_or_probabilities": [[0.5, 0.5], [0, 1]],
}


@pytest.fixture
def catalog(client: TestClient) -> Any:
    return read(client, "/v1/catalog")


def test_parts(catalog: Any) -> None:
    assert set(catalog) == {*UNIONS, "presets"}
    listed = [(part, entry["type"]) for part in UNIONS for entry in catalog[part]]
    assert listed == ENTRIES
    for part in UNIONS:
        for entry in catalog[part]:
            assert entry["description"]
            assert entry["options"]["type"] == "object"
            assert "type" not in entry["options"]["properties"]


def test_formulas(catalog: Any) -> None:
    for part in ("activations", "losses"):
        for entry in catalog[part]:
            assert set(entry["formula"]) == set(entry["derivative"]) == {"text", "latex", "mathml"}
            assert entry["formula"]["mathml"].startswith("<math")
    for part in ("optimizers", "schedules"):
        assert all(entry["formula"]["text"] for entry in catalog[part])


def body_with(part: str, entry: dict[str, Any], value: Any) -> dict[str, Any]:
    """A config that uses an entry of the catalogue."""
    layer: dict[str, Any] = {"units": 2, "activation": "sigmoid"}
    body = config(layers=[layer], data={"inputs": [[1, 2], [3, 4]], "targets": [[0, 1], [1, 0]]})
    match part:
        case "layers":
            body["network"]["layers"] = [value]
        case "activations":
            layer["activation"] = value
        case "losses":
            body["loss"] = value
            body["data"]["targets"] = TARGETS[entry["targets"]]
        case "optimizers":
            body["optimizer"] = value
        case "schedules":
            body["optimizer"] = {"type": "sgd", "schedule": value}
        case "data":
            inputs, classes = len(entry["input_names"] or "12"), len(entry["class_names"] or "1")
            body = config(layers=[{"units": classes}], data=value)
            body["network"]["inputs"] = inputs
        case "initializers":
            layer["init"] = {"weight": value}
    return body


def used(part: str, completed: dict[str, Any]) -> Any:
    """The same entry in the completed config."""
    layer = completed["network"]["layers"][0]
    return {
        "layers": layer,
        "activations": layer["activation"],
        "losses": completed["loss"],
        "data": completed["data"],
        "optimizers": completed["optimizer"],
        "schedules": completed["optimizer"].get("schedule"),
        "initializers": layer["init"]["weight"],
    }[part]


@pytest.mark.parametrize(("part", "kind"), ENTRIES)
def test_every_entry_posts_with_the_defaults_that_it_says(
    client: TestClient, catalog: Any, part: str, kind: str
) -> None:
    entry = next(entry for entry in catalog[part] if entry["type"] == kind)
    needed = entry["options"].get("required", [])
    own: dict[str, Any] = NEEDED_BY.get(kind, {"value": 1} if part == "stop_conditions" and needed else {})
    value = {"type": kind, **{name: NEEDED[name] for name in needed if name not in own}, **own}
    if part == "stop_conditions":
        assert post(client, f"{create(client)}/train", {"stop": [value]})["stopped"]["reason"] == "epochs"
        return
    url = create(client, body_with(part, entry, value))
    completed = used(part, read(client, url)["config"])
    defaults = {
        name: option["default"] for name, option in entry["options"]["properties"].items() if name not in needed
    }
    if kind == "inline":  # what was to become of its rows has been done
        defaults = {"test": None}
    elif part == "data":  # its rows are of the session's seed
        defaults["seed"] = 0
    if part == "layers":  # a layer without a name gets one
        defaults["name"] = "layer1"
    assert completed == {**defaults, **value}
    for call in ("forward", "backward", "step", "train"):
        post(client, f"{url}/{call}")
    if not needed:
        bare = create(client, body_with(part, entry, kind)) if part != "layers" else url
        assert used(part, read(client, bare)["config"]) == completed


def test_data_sets(catalog: Any) -> None:
    sets = {entry["type"]: entry for entry in catalog["data"]}
    assert list(sets) == [
        "inline", "xor", "and", "or", "linear", "circles", "moons", "gaussians", "spiral", "checkerboard", "sine",
        "plane", "notebook", "iris", "digits",
    ]  # fmt: skip
    names = ("input_names", "class_names", "input_shape")
    assert [sets["inline"][name] for name in names] == [None] * 3
    assert [sets["sine"][name] for name in names] == [["x"], None, [1]]
    assert [sets["spiral"][name] for name in names] == [["x1", "x2"], ["arm 1", "arm 2"], [2]]
    assert (len(sets["digits"]["input_names"]), sets["digits"]["input_shape"]) == (64, [8, 8])
    assert sets["iris"]["class_names"] == ["setosa", "versicolor", "virginica"]
    assert {"samples", "noise", "seed", "arms", "test_fraction"} < set(sets["spiral"]["options"]["properties"])
    assert sets["sine"]["formula"]["text"] == "t = sin(π periods x)"
    assert sets["moons"]["formula"] is None


@pytest.mark.parametrize("name", [preset.name for preset in PRESETS])
def test_every_preset_posts_and_learns(client: TestClient, catalog: Any, name: str) -> None:
    preset = next(preset for preset in catalog["presets"] if preset["name"] == name)
    assert preset["title"]
    url = create(client, preset["config"])
    history = post(client, f"{url}/train", {"epochs": 200, "report_every": 50})["history"]
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_names_that_a_client_takes_from_here_are_plain(catalog: Any) -> None:
    for part in UNIONS:
        for entry in catalog[part]:
            assert re.fullmatch("[a-z_]+", entry["type"])
