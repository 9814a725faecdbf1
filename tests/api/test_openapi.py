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
from .streaming import EVENTS, LINES, events, lines

DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]

OPERATIONS_BY_PATH = {path: methods["get"] for path, methods in DOCUMENT["paths"].items() if "get" in methods}
EXPLAIN = "/v1/sessions/{session_id}/explain"


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


def names(operation: dict[str, Any]) -> set[str]:
    """The parameters of an operation."""
    return {parameter["name"] for parameter in operation.get("parameters", ())}


READS = ("/predict", "/verify", "/preview", "/gradcheck", "/diff", "/fork", "/sweep")  # though they are posted
RUN = "/v1/sessions/{session_id}/runs/{run}"  # one that is cancelled will change its session, as it had begun to


def test_changes_are_documented_alike() -> None:
    for method, path, operation in OPERATIONS:
        changes = "{session_id}" in path and method != "get" and not path.endswith(READS) and path != RUN
        assert ("if-match" in names(operation)) is changes
        assert ({"409", "412"} <= set(operation["responses"])) is changes


def test_reads_of_the_past_are_documented_alike() -> None:
    takes = {path.rpartition("}")[2] for _, path, operation in OPERATIONS if "revision" in names(operation)}
    expected = {
        "/snapshot", "/tensors/{name}", "/tensors/{name}/summary", "/explain", "/verify", "/preview", "/predict",
        "/diff", "/export", "/data", "/curves", "/gradcheck",
    }  # fmt: skip
    assert takes == {path.rpartition("}")[2] for path in expected}
    for _, path, operation in OPERATIONS:
        if "revision" in names(operation):
            assert "epoch" in names(operation), path
            assert {"404", "410"} <= set(operation["responses"]), path


@pytest.mark.parametrize(("method", "path", "value"), list(examples()))
def test_every_example_does_what_it_says(client: TestClient, method: str, path: str, value: Any) -> None:
    operation = DOCUMENT["paths"][path][method]
    validator(operation["requestBody"]["content"]["application/json"]["schema"]).validate(value)
    url = create(client, NOTEBOOK)
    if path.endswith(("/backward", "/step", "/preview", "/diff", "/rewind")):
        post(client, f"{url}/forward")
    if path.endswith(("/step", "/preview", "/diff", "/rewind")):
        post(client, f"{url}/backward")
    if path.endswith(("/rewind", "/fork")):
        post(client, f"{url}/train", {"epochs": 50})
    streamed = {"Accept": EVENTS} if "probe" in value else {}  # which has nowhere else to go
    answer = client.request(method, path.replace("/v1/sessions/{session_id}", url), json=value, headers=streamed)
    assert answer.is_success, answer.text
    if streamed:
        assert [event.name for event in events(answer.text)] == ["epoch"] * 10 + ["end"]
        return
    schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
    validator(schema).validate(answer.json())


def test_answers_fit_their_schemas(client: TestClient) -> None:
    configs = [preset["config"] for preset in read(client, "/v1/catalog")["presets"]]
    urls = [create(client, body) for body in configs if "inputs" in body["data"]]  # few enough to be explained
    for url in urls:
        post(client, f"{url}/train", {"epochs": 2})
        post(client, f"{url}/forward")
        post(client, f"{url}/backward")
    runs = {url: post(client, f"{url}/train", Prefer="respond-async")["id"] for url in urls}
    queries = {"/explain": "?of=loss", "/diff": "?against_revision=1", "/explain all": "?of=all"}
    for method, path, operation in [*OPERATIONS, ("get", f"{EXPLAIN} all", OPERATIONS_BY_PATH[EXPLAIN])]:
        if method == "get":
            for url in urls:
                name = "wrong-phase" if "problems" in path else "hidden.weight"
                target = path.removesuffix(" all").replace("/v1/sessions/{session_id}", url).replace("{name}", name)
                target = target.replace("{run}", runs[url])
                answer = client.get(target + queries.get(path.rpartition("}")[2], ""))
                assert answer.status_code == 200, answer.text
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                validator(schema).validate(answer.json())


def test_runs_fit_their_schemas(client: TestClient) -> None:
    """However they end; and those of a sweep too."""
    url = create(client, NOTEBOOK)
    until: list[Any] = [{"type": "epoch", "value": 4}, {"type": "loss_below", "value": 10}]
    for stop in ([], until[:1], until[1:]):
        post(client, f"{url}/train", {"epochs": 3, "stop": stop}, Prefer="respond-async")
    post(client, f"{url}/sweep", {"vary": {"seed": [1, 2]}})
    session, listed = read(client, url), read(client, f"{url}/runs")
    assert [run["status"] for run in listed["items"]] == ["finished", "stopped", "stopped", "finished"]
    for name, answers in {"RunSchema": listed["items"], "RunListSchema": [listed], "SessionSchema": [session]}.items():
        for answer in answers:
            validator({"$ref": f"#/components/schemas/{name}"}).validate(answer)


STREAMS = [
    ("post", "/v1/sessions/{session_id}/train"),
    ("get", "/v1/sessions/{session_id}/runs/{run}"),
]


@pytest.mark.parametrize(("method", "path"), STREAMS)
def test_streams_are_documented(method: str, path: str) -> None:
    operation = DOCUMENT["paths"][path][method]
    content = operation["responses"]["200"]["content"]
    assert set(content) == {"application/json", EVENTS, LINES}
    [event], [line] = events(content[EVENTS]["example"]), lines(content[LINES]["example"])
    assert event.data == line
    assert event.id == str(line["epoch"])
    entry = refers_to(DOCUMENT["components"]["schemas"]["TrainedSchema"]["properties"]["history"]["items"])
    validator({"$ref": f"#/components/schemas/{entry}"}).validate(line)
    header = "Prefer" if method == "post" else "Last-Event-ID"
    assert header in names(operation)
    assert ("204" in operation["responses"]) is (method == "get")


def test_what_is_accepted_is_documented() -> None:
    accepted = {path: methods for path, methods in DOCUMENT["paths"].items() if path.endswith(("/train", "/sweep"))}
    for path, methods in accepted.items():
        answer = methods["post"]["responses"]["202"]
        assert refers_to(answer["content"]["application/json"]["schema"]) == "RunSchema"
        assert "Location" in answer["headers"]
        assert ("Preference-Applied" in answer["headers"]) is path.endswith("/train")


def refers_to(schema: dict[str, Any]) -> str:
    """The name of the schema that one refers to."""
    return str(schema["$ref"]).rpartition("/")[2]


def test_schemas_name_what_is_answered(client: TestClient) -> None:
    """A schema may not promise too little: every member that is answered is in it."""
    schemas = DOCUMENT["components"]["schemas"]
    url = create(client, NOTEBOOK)
    post(client, f"{url}/forward")
    backward = post(client, f"{url}/backward")
    explained = read(client, f"{url}/explain?of=hidden.weight.gradient[0][1]")
    history = read(client, f"{url}/history")
    verified = post(client, f"{url}/verify", {"values": {"hidden.z": [[0.3, 0.3925]]}})
    compared = read(client, f"{url}/diff?against_revision=0")
    preview = post(client, f"{url}/preview")
    checked = post(client, f"{url}/gradcheck")
    summary = read(client, f"{url}/tensors/hidden.z/summary")
    run = post(client, f"{url}/sweep", {"vary": {"seed": [1]}})["id"]
    swept = read(client, f"{url}/runs/{run}")
    answers = {
        "SessionSchema": read(client, url),
        "SnapshotSchema": backward,
        "Health": backward["health"],
        "LayerHealth": backward["health"]["layers"][0],
        "TensorSchema": read(client, f"{url}/tensors/hidden.z"),
        "Summary": summary,
        "Histogram": summary["histogram"],
        "HistorySchema": history,
        "RevisionSchema": history["items"][-1],
        "ExplanationJson": explained,
        "TermJson": explained["terms"][0],
        "Substituted": explained["substituted"],
        "ChainJson": explained["chain"],
        "ShareJson": explained["chain"]["samples"][0],
        "PathJson": explained["chain"]["samples"][0]["paths"][0],
        "FactorJson": explained["chain"]["samples"][0]["paths"][0]["factors"][0],
        "Verified": verified,
        "Item": verified["items"][0],
        "Score": verified["score"],
        "ComparisonSchema": compared,
        "PreviewSchema": preview,
        "Report": checked,
        "Checked": checked["entries"][0],
        "MovedSchema": preview["parameters"]["hidden.weight"],
        "TrainedSchema": post(client, f"{url}/train"),
        refers_to(schemas["TrainedSchema"]["properties"]["history"]["items"]): post(client, f"{url}/train")["history"][
            0
        ],
        "CurvesSchema": read(client, f"{url}/curves"),
        "RunSchema": swept,
        "RunListSchema": read(client, f"{url}/runs"),
        "SweepSchema": swept["result"],
        "SweepItemSchema": swept["result"]["items"][0],
        "PredictionSchema": post(client, f"{url}/predict?include=activations"),
        "SessionListSchema": read(client, "/v1/sessions"),
        "CatalogSchema": read(client, "/v1/catalog"),
        "DataSchema": read(client, f"{url}/data"),
        "Document": read(client, f"{url}/export"),
        "AboutSchema": read(client, "/v1"),
        "Problem": client.post(f"{url}/step").json(),
    }
    history = read(client, f"{url}/history")
    answers["RevisionSchema"] |= history["items"][-1]  # of a training
    for name, answer in answers.items():
        assert set(answer) <= set(schemas[name]["properties"]), name
