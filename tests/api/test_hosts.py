"""Which hosts a server answers for."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from .calls import problem

HOSTS = ("gradstep.example", "*.School.example", "::1")


@pytest.mark.parametrize(
    "host",
    ["gradstep.example", "GRADSTEP.example:8000", "a.school.example", "a.b.school.example:1", "[::1]:8000"],
)
def test_its_own(make_client: Callable[..., TestClient], host: str) -> None:
    assert make_client(allowed_hosts=HOSTS).get("/v1", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["zebra.example", "school.example", "gradstep.example.zebra", "aschool.example", "", "[zebra", "a@b"]
)
def test_another(make_client: Callable[..., TestClient], host: str) -> None:
    client = make_client(allowed_hosts=HOSTS)
    problem(client.get("/v1", headers={"Host": host}), 421, "misdirected")
    problem(client.get("/zebra", headers={"Host": host}), 421, "misdirected")
    assert client.get("/healthz", headers={"Host": host}).status_code == 200
    assert client.get("/readyz", headers={"Host": host}).status_code == 200


def test_any_unless_told(client: TestClient) -> None:
    assert client.get("/v1", headers={"Host": "zebra.example"}).status_code == 200


def test_what_is_no_request_passes(make_client: Callable[..., TestClient]) -> None:
    from starlette.websockets import WebSocketDisconnect

    client = make_client(allowed_hosts=HOSTS)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1"):
        pass


def test_a_star_is_any(make_client: Callable[..., TestClient]) -> None:
    assert make_client(allowed_hosts=("*",)).get("/v1", headers={"Host": "zebra.example"}).status_code == 200
