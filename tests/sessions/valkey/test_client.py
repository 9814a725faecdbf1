"""The connection: which errors say that the store is away, and what is tried again."""

import asyncio
import socket
from typing import Any

import pytest
from valkey import exceptions

from app.errors import SessionCorrupt, StoreAway
from app.sessions.valkey import client as module
from app.sessions.valkey.client import Client, Script, script


class Answers:
    """In place of valkey-py's client: gives these in turn, or raises them."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.commands = list(answers), list[str]()

    async def execute_command(self, *command: Any) -> Any:
        self.commands.append(command[0])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(*answers: Any) -> tuple[Client, Answers]:
    made = Client("valkey://127.0.0.1:1")
    made.valkey = Answers(*answers)
    return made, made.valkey


NONE = Script("return {}", "digest")


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("refused"), exceptions.TimeoutError("slow"), exceptions.BusyLoadingError("loading"),
        exceptions.AuthenticationError("who?"), exceptions.ReadOnlyError("a replica"),
        exceptions.NoPermissionError("no"), exceptions.OutOfMemoryError("full"), exceptions.InvalidResponse("what?"),
        exceptions.ResponseError("CLUSTERDOWN the cluster is down"), exceptions.ResponseError("BUSY with a script"),
        exceptions.ResponseError("MISCONF cannot persist"), exceptions.ResponseError("NOREPLICAS to write"),
    ],
)  # fmt: skip
def test_errors_that_say_that_the_store_is_away(error: Exception) -> None:
    made, _ = client(error, error)
    with pytest.raises(StoreAway) as caught:
        asyncio.run(made.run(NONE, []))
    assert caught.value.retry_after == 1


def test_other_errors() -> None:
    made, _ = client(exceptions.ResponseError("WRONGTYPE of a key"), exceptions.ResponseError("ERR a bug"))
    with pytest.raises(SessionCorrupt):
        asyncio.run(made.run(NONE, []))
    with pytest.raises(exceptions.ResponseError):
        asyncio.run(made.run(NONE, []))


@pytest.mark.parametrize("closed", [exceptions.ConnectionError("closed"), RuntimeError("the handler is closed")])
def test_what_may_be_done_twice_is_tried_again_where_the_connection_was_closed(closed: Exception) -> None:
    made, answers = client(closed, b"pong", closed, [1], closed, closed, closed, exceptions.TimeoutError("slow"))
    assert asyncio.run(made.call("PING")) == b"pong"
    assert asyncio.run(made.run(NONE, [], again=True)) == [1]
    with pytest.raises(StoreAway):
        asyncio.run(made.run(NONE, [], again=True))
    with pytest.raises(StoreAway):
        asyncio.run(made.run(NONE, []))
    with pytest.raises(StoreAway):
        asyncio.run(made.call("PING"))
    assert len(answers.commands) == 8


def test_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.001)

    async def check(port: int) -> None:
        made = Client(f"valkey://127.0.0.1:{port}")
        with pytest.raises(StoreAway):
            await made.run(NONE, [], again=True)
        await made.close()

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        asyncio.run(check(deaf.getsockname()[1]))


def test_a_script_that_is_not_known_there_is_sent() -> None:
    made, answers = client(exceptions.NoScriptError("no"), [2])
    assert asyncio.run(made.run(NONE, ["key"], 7)) == [2]
    assert answers.commands == ["EVALSHA", "EVAL"]


def test_scripts_about_a_session_begin_alike() -> None:
    assert script("load").text.startswith("-- Goes before")
    assert not script("place", about_a_session=False).text.startswith("-- Goes before")
    assert len(script("load").digest) == 40
