"""Requests that are nearly right: those that the OpenAPI document gives, changed at random."""

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any
from urllib.parse import quote

import numpy as np

SESSION, RUN = "5e55" * 8, "4a11" * 4  # stand for ids that are there, and are as long
KEY = "the-key-of-the-fuzz"
SECRET = "zebra0crossing"  # what no refusal may repeat
NPZ, CSV, JSON = "application/x-npz", "text/csv", "application/json"

QUERY: dict[str, list[str]] = {
    "include": ["activations,health", "jacobians", "parameters"], "layers": ["hidden", "output,hidden"],
    "samples": ["0:1"], "decimals": ["5", "0"], "revision": ["0", "1"], "epoch": ["0", "1"],
    "of": ["hidden.z[0][1]", "hidden.weight.gradient[0][1]", "loss", "all"], "max_samples": ["2"], "max_paths": ["3"],
    "limit": ["10"], "after": ["0"], "max_points": ["10"], "rtol": ["1e-9"], "atol": ["0"], "against": [SESSION],
    "against_revision": ["0"], "against_epoch": ["0"], "at": ["epoch"], "dry_run": ["true"], "format": ["pytorch"],
    "targets": ["y"], "test_fraction": ["0.5"], "standardize": ["true"], "shuffle": ["true"],
}  # fmt: skip
PATH = {"session_id": [SESSION], "run": [RUN], "name": ["hidden.weight", "loss", "output.z", "busy"]}
HEADERS = [
    "Accept: text/event-stream", "Accept: application/jsonl", f"Accept: {NPZ}", "Accept: application/x-npy",
    "Accept: text/csv", "Accept: text/markdown", "Accept: a/b;q=0.1, */*;q=x", f"Accept: {SECRET}",
    'If-Match: "0"', 'If-Match: W/"1-npz", "2"', "If-Match: *", f"If-Match: {SECRET}", 'If-None-Match: "0"',
    "Idempotency-Key: once", f"Idempotency-Key: {SECRET * 30}", "Idempotency-Key: \xff", "Prefer: respond-async",
    f"Prefer: wait=1, {SECRET}", "Last-Event-ID: 0", f"Last-Event-ID: {SECRET}", "Accept-Encoding: gzip;q=nan, *",
    "Content-Encoding: gzip", "Content-Encoding: identity", f"Content-Type: {SECRET}", "Content-Type: application/json",
    f"Content-Type: {NPZ}", f"Content-Type: {CSV}; charset=utf-7", "Content-Length: 0", "Content-Length: 5",
    "Content-Length: -1", f"Content-Length: {10**30}", "Content-Length: 5, 5", "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: xchunked", "Expect: 100-continue", f"Expect: {SECRET}",
    "Connection: close", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
    "Host:", "Host: a, b", "Host: \xff", f"Host: {SECRET}", f"Authorization: Bearer {SECRET}",
    "Authorization: Basic YTpi",
    f"Authorization: Bearer {'x' * 5000}", "Authorization:", "Range: bytes=0-1,5-", f"Range: {SECRET}",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", f"traceparent: {SECRET}",
    "Origin: http://x", f"X-Request-Id: {SECRET}", "X-HTTP-Method-Override: DELETE", f"X-Long: {'x' * 70_000}",
    "Folded: a\r\n b", "No-Colon", ": empty", "Bad Name: x", "Cookie: \x01",
]  # fmt: skip
STREAMED = ["Accept: text/event-stream", "Accept: application/jsonl", "Prefer: respond-async"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "ZEBRA"]
TOKENS = [
    b"\x00", b"\r\n", b"\n", b"\xff\xfe", b"%00", b"%2F", b"%ff", b"%", b"../", b"//", b"?", b"#", b"&", b"=", b"[0]",
    b"[99999999999]", b"-1", b"1e999", b"NaN", b"-Infinity", b"9" * 400, b"1e-400", b"null", b"\\ud800", b'"', b"{",
    b"[", b"[" * 3000, b'{"a":' * 3000, b"x" * 20_000, "٣".encode(), SECRET.encode(), b"HTTP/1.1", b" ", b"\t", b";",
]  # fmt: skip
# Written where a value was: some are no JSON, or none that Python would write.
VALUES = [
    "null", "true", "-1", "0", "1e999", "NaN", "-0.0", "1e-320", "9007199254740993", "9" * 400, "1" + "0" * 5000,
    '"1.50"', '""', "[]", "{}", "[[]]", "[null]", '"\\ud800"', '"\\u0000"', '"٣"', f'"{SECRET}"', f'["{SECRET}"]',
    f'{{"type":"{SECRET}"}}', f'"{SECRET * 500}"', "[" * 150 + "]" * 150, "[" * 5000, '{"a":1,"a":2}', "[[1,2],[3]]",
    "[0.5,0.5]", "[[0.05,0.1]]", "1e308", "1e-7", "100000", "[" + "1," * 3000 + "1]", '"hidden.weight"', '"adam"',
]  # fmt: skip

_VALUE = re.compile(rb'(?<=[:\[,])(?:"[^"]*"|-?[\d.e+-]+|true|false|null|\[[^\[\]]*\]|\{[^{}]*\})')
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[^\r]*")


def seeds(document: dict[str, Any]) -> list[bytes]:
    """Requests over every operation of an OpenAPI document: each of its examples, each parameter, each media type."""
    made = [request("GET", path) for path in ("/", "/docs/", "/openapi.json", "/favicon.svg", "/metrics")]
    made += [request("GET", "/", "", ["Range: bytes=0-9"]), request("OPTIONS", "*")]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            made += _seeds(method.upper(), path, operation)
    return made


def _seeds(method: str, template: str, operation: dict[str, Any]) -> Iterator[bytes]:
    parameters = operation.get("parameters", ())
    names = [one["name"] for one in parameters if one["in"] == "query"]
    needed = [one["name"] for one in parameters if one["in"] == "query" and one["required"]]
    bodies: list[tuple[str | None, bytes]] = [*_bodies(operation)] or [(None, b"")]
    for filled in PATH["name"] if "{name}" in template else [""]:
        path = template.format(session_id=SESSION, run=RUN, name=filled)
        plain = "&".join(f"{name}={quote(QUERY[name][0])}" for name in needed)
        for media_type, body in bodies:
            yield request(method, f"{path}?{plain}".rstrip("?"), media_type, [], body)
        media_type, body = bodies[0]
        for name in names:
            for value in QUERY[name]:
                yield request(method, f"{path}?{plain}&{name}={quote(value)}", media_type, [], body)
        for header in STREAMED if template.endswith(("/train", "/{run}")) else ():
            yield request(method, path, media_type, [header], body)


def _bodies(operation: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if media_type == NPZ:
            for values in ({"inputs": np.ones((3, 2)), "targets": np.ones((3, 1))}, {"hidden.z": np.ones((1, 2))}):
                yield from ((NPZ, archive) for archive in _archives(values))
        elif media_type == CSV:
            yield from ((CSV, text.encode()) for text in ("a,b,y\n1,2,3\n4,5,6\n", "\ufeffa;b;y\n1,5;2;3\n", 'a,"b\n'))
        else:
            examples = content.get("examples", {"": {"value": {"name": "x"}}})
            yield from ((media_type, json.dumps(example["value"]).encode()) for example in examples.values())


def _archives(values: dict[str, Any]) -> Iterator[bytes]:
    """Arrays as npz: as they are, packed, too many when unpacked, and with a pickle in them."""
    bomb, pickle = {"inputs": np.zeros(2_000_000)}, {"inputs": np.array([{}], dtype=object)}
    for save, arrays in (
        (np.savez, values),
        (np.savez_compressed, values),
        (np.savez_compressed, bomb),
        (np.savez, pickle),
    ):
        out = io.BytesIO()
        save(out, **arrays)
        yield out.getvalue()


def request(
    method: str, target: str, media_type: str | None = None, headers: Sequence[str] = (), body: bytes = b""
) -> bytes:
    """A request as it should be."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {KEY}", *headers]
    if media_type:
        lines += [f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def mutated(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the requests, changed in one to four places."""
    sent = draw.choice(seeds)
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 4))):
        sent = draw.choice(MUTATIONS)(draw, sent, seeds)
    return with_length(sent) if draw.random() < 0.7 else sent


def with_length(sent: bytes) -> bytes:
    """With the right Content-Length, where there was one."""
    head, end, body = sent.partition(b"\r\n\r\n")
    return _LENGTH.sub(b"\r\nContent-Length: %d" % len(body), head, count=1) + end + body


def _flip(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    changed = bytearray(sent)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    return sent[: draw.randint(1, len(sent))]


def _remove(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    start = draw.randrange(len(sent))
    return sent[:start] + sent[start + draw.randint(1, 30) :] or sent


def _repeat(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = sorted((draw.randrange(len(sent)), draw.randrange(len(sent))))
    return sent[:end] + sent[start:]


def _splice(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    other = draw.choice(seeds)
    return sent[: draw.randint(1, len(sent))] + other[draw.randrange(len(other)) :]


def _pipeline(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    return sent + draw.choice(seeds)


def _insert(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    place = draw.randrange(len(sent))
    return sent[:place] + draw.choice(TOKENS) + sent[place:]


def _method(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    return draw.choice(METHODS).encode() + b" " + sent.partition(b" ")[2]


def _header(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    first, end, rest = sent.partition(b"\r\n")
    return first + end + draw.choice(HEADERS).encode("latin-1") + end + rest


def _drop_header(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    head, end, body = sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.pop(draw.randrange(len(lines)))
    return b"\r\n".join(lines) + end + body or sent


def _query(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    name = draw.choice([*QUERY, "zebra"]).encode()
    value = draw.choice([*TOKENS, *(value.encode() for values in QUERY.values() for value in values)])
    target, end, rest = sent.partition(b" HTTP/1.1")
    joint = b"&" if b"?" in target else b"?"
    return target + joint + name + b"=" + quote(value).encode() + end + rest


def _value(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    head, end, body = sent.partition(b"\r\n\r\n")
    places = list(_VALUE.finditer(body))
    if not places:
        return with_length(head + end + draw.choice(VALUES).encode())
    place = draw.choice(places)
    return with_length(head + end + body[: place.start()] + draw.choice(VALUES).encode() + body[place.end() :])


def _member(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    """Another request's members, one of them maybe there already."""
    head, end, body = sent.partition(b"\r\n\r\n")
    _, _, other = draw.choice(seeds).partition(b"\r\n\r\n")
    if not (body.endswith(b"}") and other.startswith(b"{")):
        return sent
    return with_length(head + end + body[:-1] + b"," + other[1:])


def _chunked(draw: Random, sent: bytes, seeds: Sequence[bytes]) -> bytes:
    """Its body in chunks, rightly or not."""
    head, end, body = sent.partition(b"\r\n\r\n")
    chunks = bytearray()
    while body:
        size = draw.randint(1, len(body))
        piece, body = body[:size], body[size:]
        told = (
            draw.choice((b"%x", b"%X", b"000%x", b"%x;a=b", b"%x ;a", b"0x%x", b"-%x", b"%x\n", b"%x1"))
            if (draw.random() < 0.2)
            else b"%x"
        )
        chunks += told % size + b"\r\n" + piece + b"\r\n"
    chunks += draw.choice(
        (b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n", b"0\r\n", b"", b"0\n\n")
    )
    both = draw.random() < 0.1
    head = head if both else _LENGTH.sub(b"", head)
    return head + b"\r\nTransfer-Encoding: chunked" + end + bytes(chunks)


MUTATIONS: list[Callable[[Random, bytes, Sequence[bytes]], bytes]] = [
    _flip, _cut, _remove, _repeat, _splice, _insert, _pipeline, _pipeline, _method, _drop_header, _chunked, _chunked,
    *[_header] * 3, *[_query] * 3, *[_member] * 3, *[_value] * 6,
]  # fmt: skip
