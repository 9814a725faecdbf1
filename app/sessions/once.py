"""Changes that are done once, however often they are asked for: what the service needs to know of them."""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, NamedTuple

from app.sessions.session import Session
from app.sessions.store import Reply


class Changed(NamedTuple):
    """A session after a change, and what else came of it."""

    session: Session
    result: Any


class Once(NamedTuple):
    """Goes with a change that may be asked for again.

    Attributes:
        key: stands for the request, and for no other.
        reply: writes the answer to it, to be put into the store together with the change.
    """

    key: str
    reply: Callable[[Changed], Awaitable[Reply]]


class Replayed(Exception):
    """The change had been made already, and this was the answer to it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.key)
        self.reply = reply


def derived_id(secret: bytes, *parts: str) -> str:
    """An id (32 hex digits) that is the same each time, and that nobody can guess who has not the store's secret."""
    return blake2b("\n".join(parts).encode(), key=secret, digest_size=16).hexdigest()
