"""The connection to Valkey, and the scripts that are run there, each all of it or nothing."""

import asyncio
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.exceptions import (
    ConnectionError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    ValkeyError,
)

from app.errors import SessionCorrupt, StoreAway

CONNECTIONS = 64
CONNECT_SECONDS, ANSWER_SECONDS = 1, 2.0
BYTES_A_SECOND = 20_000_000  # that what is large is given time for
RETRY_AFTER_SECONDS = 1
_CLOSED = (ConnectionError, OSError, RuntimeError)  # the last is what uvloop raises in the moment of closing
_AWAY = ("BUSY ", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN")


class Script(NamedTuple):
    """A script in Lua."""

    text: str
    digest: str


def script(name: str, *, about_a_session: bool = True) -> Script:
    """A script of this package."""
    folder = files(__package__) / "scripts"
    text = (folder / f"{name}.lua").read_text("utf-8")
    if about_a_session:
        text = (folder / "find.lua").read_text("utf-8") + text
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Client:
    """Runs commands and scripts.

    Attributes:
        valkey: valkey-py's own client.
    """

    def __init__(self, url: str) -> None:
        self.valkey: Any = Valkey.from_pool(
            BlockingConnectionPool.from_url(
                url, max_connections=CONNECTIONS, timeout=None, socket_connect_timeout=CONNECT_SECONDS, protocol=2
            )
        )  # fmt: skip

    async def run(
        self, script: Script, keys: Sequence[str], *args: Any, again: bool = False, nbytes: int = 0
    ) -> list[Any]:
        """What a script answers; `again` where it may be run twice without harm, `nbytes` are to go to and fro.

        Raises StoreAway; the script may have been run all the same.
        """
        evaluated, seconds = (len(keys), *keys, *args), ANSWER_SECONDS + nbytes / BYTES_A_SECOND
        try:
            return list(await self._send("EVALSHA", script.digest, *evaluated, again=again, seconds=seconds))
        except NoScriptError:  # it was not run; and is kept there from now on
            return list(await self._send("EVAL", script.text, *evaluated, again=again, seconds=seconds))

    async def call(self, *command: Any) -> Any:
        """What a command answers, one that may be given twice without harm; raises StoreAway."""
        return await self._send(*command, again=True)

    async def close(self) -> None:
        """Let go of the connections."""
        await self.valkey.aclose(close_connection_pool=True)

    async def _send(self, *command: Any, again: bool, seconds: float = ANSWER_SECONDS) -> Any:
        try:
            async with asyncio.timeout(seconds):
                try:
                    return await self.valkey.execute_command(*command)
                except _CLOSED:
                    if not again:
                        raise
                    return await self.valkey.execute_command(*command)  # it may only have been closed long ago
        except NoScriptError:
            raise
        except (ValkeyError, *_CLOSED) as error:
            raise _error(error) from error


def _error(error: Exception) -> Exception:
    """What an error of Valkey's means for who asked; one of ours, in a script, stays what it is."""
    if isinstance(error, ResponseError) and not isinstance(error, NoPermissionError | OutOfMemoryError | ReadOnlyError):
        if "WRONGTYPE" in str(error):
            return SessionCorrupt("what is stored of this session is damaged")
        if not str(error).startswith(_AWAY):
            return error
    return StoreAway("the store of the sessions cannot be reached at present", retry_after=RETRY_AFTER_SECONDS)
