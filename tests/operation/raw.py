"""HTTP without a client's help: bytes are sent as they are, and what comes back is read as answers."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

END = b"\r\n\r\n"


class Answer(NamedTuple):
    """One answer. Not whole: the connection ended in it."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True


async def exchange(port: int, sent: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = bytearray()
    try:
        with suppress(ConnectionError):
            writer.write(sent)
            while piece := await reader.read(2**16):
                got += piece
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return bytes(got)


def answers(text: bytes) -> Iterator[Answer]:
    """The answers in what a connection brought. Raises ValueError where there is something else."""
    while text:
        head, end, rest = text.partition(END)
        first, *lines = head.split(b"\r\n")
        if not end or not first.startswith(b"HTTP/1.1 "):
            raise ValueError(f"no HTTP: {text[:300]!r}")
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, _, value in (line.partition(b": ") for line in lines)
        }
        status = int(first[9:12])
        if rest[:9] == b"HTTP/1.1 " or status in (100, 204, 304):  # to HEAD, or without a body as such
            body, whole = b"", True
        elif "transfer-encoding" in headers:
            body, rest, whole = _chunks(rest)
        else:
            size = int(headers["content-length"])
            body, rest = rest[:size], rest[size:]
            whole = len(body) in (0, size)
        text = rest
        if status != 100:
            yield Answer(status, headers, body, whole)


def _chunks(text: bytes) -> tuple[bytes, bytes, bool]:
    """A body in chunks, what follows it, and whether its end is there."""
    body = bytearray()
    while True:
        line, end, text = text.partition(b"\r\n")
        if not end:
            return bytes(body), b"", False
        size = int(line, 16)
        if len(text) < size + 2:
            return bytes(body + text), b"", False
        body += text[:size]
        if text[size : size + 2] != b"\r\n":
            raise ValueError(f"no chunk: {text[:300]!r}")
        text = text[size + 2 :]
        if size == 0:
            return bytes(body), text, True
