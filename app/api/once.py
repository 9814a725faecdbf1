"""`Idempotency-Key`: a change that is asked for again is done once, and answered twice alike.

A key counts for its owner, method and path. What was answered is stored with the change itself, so that there is
nothing to clean up after a crash: a repeat finds the answer, or a session that was never changed. What is answered from
a run that goes on by itself is found by the id of the run, which follows from the key.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import NamedTuple

from fastapi import Request, Response

from app.api.problems import KeyReused
from app.errors import FieldError, InvalidInput
from app.sessions.once import Changed, Once
from app.sessions.store import Reply

MAX_LENGTH = 255


class Key(NamedTuple):
    """What a request is to be done once by.

    `digest` stands for who sent it where; `fingerprint` for what was sent; `place` is the session that the answer is
    kept with, which may be the one that the request makes.
    """

    place: str
    digest: str
    fingerprint: str

    def check(self, reply: Reply) -> None:
        """Raise KeyReused where a reply is to something else."""
        if reply.fingerprint != self.fingerprint:
            raise KeyReused("this key was used for a request with another body or query; take a new one for this")


def key_of(request: Request, headers: dict[str, str], owner: str, body: bytes, place: Callable[[str], str]) -> Key:
    """The key of a request. Raises InvalidInput where its header is none."""
    scope, name = request.scope, headers["idempotency-key"]
    if not 0 < len(name) <= MAX_LENGTH or not name.isascii() or not name.isprintable():
        detail = f"got {len(name)} characters; takes 1 to {MAX_LENGTH}, all of them printable ASCII"
        raise InvalidInput([FieldError("?Idempotency-Key", detail)])
    sent = (scope["query_string"], headers.get("content-type", "").encode("latin-1"), body)
    digest = _digest(owner, scope["method"], scope["path"], name)
    return Key(place(digest), digest, _digest(*sent))


def reply_of(key: Key, response: Response, run: str | None = None) -> Reply:
    """An answer, to be kept; one that is the stream of a run by the id of that."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers)
    body = b"" if run else bytes(response.body)
    return Reply(key.digest, key.fingerprint, response.status_code, headers, body, run)


def response_of(reply: Reply) -> Response:
    """The same answer again."""
    response = Response(status_code=reply.status)
    response.body = reply.body
    response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    return response


async def answered(
    key: Key | None,
    change: Callable[[Once | None], Awaitable[Changed]],
    answer: Callable[[Changed], Awaitable[Response]],
) -> Response:
    """Make a change and answer it. With a key, the answer is written before the change is put in, and goes with it."""
    if key is None:
        return await answer(await change(None))
    written: list[Response] = []

    async def reply(changed: Changed) -> Reply:
        written.append(await answer(changed))
        return reply_of(key, written[-1])

    await change(Once(key.digest, reply))
    return written[-1]


def _digest(*parts: str | bytes) -> str:
    """A hash of some texts, each told from the next."""
    digest = sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
