"""A Valkey that fails at a moment of one's choice."""

from typing import Any, Literal

from valkey.exceptions import ConnectionError, OutOfMemoryError

from app.sessions.valkey.store import ValkeyStore

Kind = Literal["before", "after", "instead"]
KINDS: tuple[Kind, ...] = ("before", "after", "instead")


class Faulty:
    """In place of valkey-py's client: counts the commands, and from a number on fails, at one of them or at all.

    `before` it is done, so that it is not; `after`, so that only the answer is lost; or with a refusal `instead`.
    """

    def __init__(self, store: ValkeyStore, at: int | None = None, kind: Kind = "before", *, once: bool = False) -> None:
        self._valkey, self._client = store.client.valkey, store.client
        self.at, self.kind, self.once, self.count = at, kind, once, 0
        store.client.valkey = self

    async def execute_command(self, *command: Any) -> Any:
        self.count += 1
        fails = self.at is not None and (self.count == self.at if self.once else self.count >= self.at)
        if fails and self.kind == "instead":
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        if fails and self.kind == "before":
            raise ConnectionError("Connection refused.")
        answer = await self._valkey.execute_command(*command)
        if fails:
            raise ConnectionError("Connection closed by server.")
        return answer

    def heal(self) -> None:
        self._client.valkey = self._valkey
