"""The way of a request, up to the call: bodies that are left out or typed in many ways, queries, and what is bound."""

import pytest
from starlette.testclient import TestClient

from .calls import JSON, config, create, post, problem, read


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/json", "nonsense"])
def test_a_body_may_be_left_out(client: TestClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    url = create(client)
    for call in ("forward", "backward", "step", "train", "predict"):
        assert client.post(f"{url}/{call}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/merge-patch+json",
        "application/vnd.api+json",
    ],
)
def test_types_of_json(client: TestClient, content_type: str) -> None:
    url = create(client)
    answer = client.patch(url, content=b'{"name": "new"}', headers={"Content-Type": content_type})
    assert answer.json()["name"] == "new"


@pytest.mark.parametrize(
    "content_type", ["text/json", "application/jsonx", "application/xml", "json", "multipart/form-data"]
)
def test_other_types(client: TestClient, content_type: str) -> None:
    answer = client.post(f"{create(client)}/forward", content=b"{}", headers={"Content-Type": content_type})
    assert "application/json" in problem(answer, 415)["detail"]


def test_a_body_of_identity_coding(client: TestClient) -> None:
    headers = {**JSON, "Content-Encoding": "identity"}
    assert client.post(f"{create(client)}/forward", content=b"{}", headers=headers).status_code == 200


def test_a_chunked_body(client: TestClient) -> None:
    url = create(client)
    answer = client.patch(url, content=iter([b'{"na', b'me": ', b'"new"}']), headers=JSON)
    assert answer.json()["name"] == "new"
    assert client.post(f"{url}/forward", content=iter([b""]), headers=JSON).status_code == 200
    problem(client.post(f"{url}/forward", content=iter([b"{", b"}"])), 415)


def test_unicode_survives(client: TestClient) -> None:
    url = create(client, name="réseau 🦓 \u0000 ‮")
    assert read(client, url)["name"] == "réseau 🦓 \u0000 ‮"


def test_a_parameter_given_twice_counts_once(client: TestClient) -> None:
    url = create(client)
    post(client, f"{url}/forward")
    assert len(read(client, f"{url}/snapshot?layers=hidden&layers=output")["layers"]) == 1


def test_an_empty_query_is_none(client: TestClient) -> None:
    url = create(client)
    assert client.get(f"{url}?").status_code == 200
    assert client.get(f"{url}/snapshot?").status_code == 200


def test_a_path_does_not_redirect(client: TestClient) -> None:
    problem(client.get("/v1/sessions/", follow_redirects=False), 404)
    problem(client.post(f"{create(client)}/forward/", follow_redirects=False), 404)


def test_headers_of_a_call_without_a_session(client: TestClient) -> None:
    assert client.post("/v1/sessions", json=config(), headers={"If-Match": "*"}).status_code == 201
