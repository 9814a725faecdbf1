"""The OpenAPI document: complete, valid, and true of every example in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta
from starlette.testclient import TestClient

from app.engine.presets import NOTEBOOK
from app.main import create_app
from app.settings import Settings

from .calls import create, post, read

DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]


def examples() -> Iterator[Any]:
    """Each example of a body, with the operation that it is for."""
    for method, path, operation in OPERATIONS:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for name, example in content.get("examples", {}).items():
                yield pytest.param(method, path, example["value"], id=f"{method} {path} {name}")


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_served(client: TestClient) -> None:
    assert read(client, "/openapi.json") == read(client, "/openapi.json") == DOCUMENT
    assert client.get("/docs").status_code == 200


def test_components() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        meta.validate(schema)
    text = json.dumps(DOCUMENT)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in DOCUMENT["components"]["schemas"]
    assert "ValidationError" not in text  # FastAPI's own, which we never answer


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_operation(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["tags"]
    assert operation["description"]
    assert operation["operationId"]
    for parameter in operation.get("parameters", ()):
        assert parameter.get("description") or parameter["schema"].get("description")
    if "requestBody" in operation:
        assert operation["requestBody"]["content"]["application/json"]["examples"]
    statuses = set(operation["responses"])
    assert {"406", "422", "503"} <= statuses
    if "{session_id}" in path:
        assert {"404", "410"} <= statuses
    if "requestBody" in operation:
        assert {"400", "413", "415"} <= statuses
    for status, answer in operation["responses"].items():
        assert answer["description"]
        if int(status) >= 400:
            problems = answer["content"]["application/problem+json"]
            assert problems["examples"]
            for example in problems["examples"].values():
                assert example["value"]["status"] == int(status)
                validator(problems["schema"]).validate(example["value"])
        elif status not in ("204", "304"):
            assert answer["content"]["application/json"]["schema"]


def test_changes_are_documented_alike() -> None:
    for method, path, operation in OPERATIONS:
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        changes = "{session_id}" in path and method != "get" and not path.endswith("/predict")
        assert ("if-match" in names) is changes
        assert ({"409", "412"} <= set(operation["responses"])) is changes


@pytest.mark.parametrize(("method", "path", "value"), list(examples()))
def test_every_example_does_what_it_says(client: TestClient, method: str, path: str, value: Any) -> None:
    operation = DOCUMENT["paths"][path][method]
    validator(operation["requestBody"]["content"]["application/json"]["schema"]).validate(value)
    url = create(client, NOTEBOOK)
    if path.endswith(("/backward", "/step")):
        post(client, f"{url}/forward")
    if path.endswith("/step"):
        post(client, f"{url}/backward")
    answer = client.request(method, path.replace("/v1/sessions/{session_id}", url), json=value)
    assert answer.is_success, answer.text
    schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
    validator(schema).validate(answer.json())


def test_answers_fit_their_schemas(client: TestClient) -> None:
    urls = [create(client, preset["config"]) for preset in read(client, "/v1/catalog")["presets"]]
    for method, path, operation in OPERATIONS:
        if method == "get":
            for url in urls:
                target = path.replace("/v1/sessions/{session_id}", url).replace("{name}", "wrong-phase")
                answer = client.get(target)
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                validator(schema).validate(answer.json())


def test_schemas_name_what_is_answered(client: TestClient) -> None:
    """A schema may not promise too little: every member that is answered is in it."""
    url = create(client, NOTEBOOK)
    answers = {
        "SessionSchema": read(client, url),
        "SnapshotSchema": post(client, f"{url}/forward"),
        "TrainedSchema": post(client, f"{url}/train"),
        "Entry": post(client, f"{url}/train")["history"][0],
        "PredictionSchema": post(client, f"{url}/predict?include=activations"),
        "SessionListSchema": read(client, "/v1/sessions"),
        "CatalogSchema": read(client, "/v1/catalog"),
        "DataSchema": read(client, f"{url}/data"),
        "Document": read(client, f"{url}/export"),
        "AboutSchema": read(client, "/"),
        "Problem": client.post(f"{url}/step").json(),
    }
    for name, answer in answers.items():
        assert set(answer) <= set(DOCUMENT["components"]["schemas"][name]["properties"]), name
