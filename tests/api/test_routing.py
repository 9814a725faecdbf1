"""The way of a request, up to the call: paths, queries, headers."""

from starlette.testclient import TestClient

from .calls import config, create, places, post, problem, read


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


def test_a_header_that_is_repeated(client: TestClient) -> None:
    url = create(client)
    tags = [("If-Match", '"7"'), ("If-Match", '"0"')]
    assert client.post(f"{url}/forward", headers=tags).status_code == 200
    problem(client.post(f"{url}/forward", headers=tags), 412)
    accept = [("Accept", "text/html"), ("Accept", "application/json;q=0.1")]
    assert client.get(url, headers=accept).status_code == 200


def test_separators_alone_are_no_query(client: TestClient) -> None:
    assert client.get(f"{create(client)}?&").status_code == 200


def test_a_query_of_too_many_parameters(client: TestClient) -> None:
    url = create(client)
    assert client.get(f"{url}/snapshot?{'&' * 99}decimals=5").status_code == 200
    assert places(problem(client.get(f"{url}/snapshot?{'&' * 100}decimals=5"), 422)) == ["?"]


def test_many_headers_one_of_them_twice(client: TestClient) -> None:
    many = [(f"X-{number}", "1") for number in range(20_000)]
    assert client.get(create(client), headers=[*many, ("X-1", "2")]).status_code == 200
