"""Stored answers as bytes."""

from zlib import crc32

import orjson

from app.sessions.store import Reply

_CRC_BYTES, _LENGTH_BYTES = 4, 4


def pack_reply(reply: Reply) -> bytes:
    """The checksum, the length of the head, the head as JSON, the body."""
    head = orjson.dumps((reply.key, reply.fingerprint, reply.status, reply.headers, reply.run))
    content = len(head).to_bytes(_LENGTH_BYTES, "little") + head + reply.body
    return crc32(content).to_bytes(_CRC_BYTES, "little") + content


def unpack_reply(value: bytes) -> Reply:
    """The answer. Raises ValueError where it is damaged."""
    content = value[_CRC_BYTES:]
    if crc32(content) != int.from_bytes(value[:_CRC_BYTES], "little"):
        raise ValueError("a stored answer is damaged")
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    key, fingerprint, status, headers, run = orjson.loads(content[_LENGTH_BYTES:end])
    return Reply(key, fingerprint, status, tuple((name, text) for name, text in headers), content[end:], run)
