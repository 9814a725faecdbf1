"""Sessions as bytes, exactly: every number bit for bit, and what several states share stored once.

What is large (arrays, texts, counts of updates) is a part, stored by a number of its own; records are JSON and name the
parts that they have. Everything begins with a CRC-32 of the session's id, the field's name and the rest, so that
nothing damaged, or in another's place, is taken for what it was. Nothing is ever unpickled.
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import orjson

from app.engine.curves import Curve
from app.engine.state import State
from app.sessions.revisions import Outline, Revision
from app.sessions.session import Fork, Session, to_json
from app.sessions.valkey.parts import Parts

SCHEMA = 1
CRC_BYTES = 4
HEADER = struct.Struct("<BBH3Q")  # kind, axes, nothing, shape: with the CRC, what is long is aligned as numpy does it
_KINDS = {"<f8": 1, "<f4": 2, "<i8": 3}
_DTYPES = {kind: np.dtype(name) for name, kind in _KINDS.items()}
_TEXT, _COUNTS = 16, 17
_PARTS = State._fields.index("own_rows")  # the fields of a state before it are parts
_DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error, OverflowError)


class Damaged(Exception):
    """What was read back is not what was written."""


def seal(session_id: str, field: str, content: Sequence[Any]) -> bytes:
    """The bytes to store: the content's pieces after their checksum."""
    crc = crc32(f"{session_id}/{field}".encode())
    for piece in content:
        crc = crc32(piece, crc)
    return b"".join((crc.to_bytes(CRC_BYTES, "little"), *content))


def check(session_id: str, field: str, value: bytes | None) -> memoryview:
    """The content of stored bytes; raises Damaged."""
    if value is None:
        raise Damaged(f"{field} is missing")
    content = memoryview(value)[CRC_BYTES:]
    if crc32(content, crc32(f"{session_id}/{field}".encode())) != int.from_bytes(value[:CRC_BYTES], "little"):
        raise Damaged(field)
    return content


def pack_part(part: Any) -> tuple[Any, ...]:
    """An array, a text or counts, as the pieces to store."""
    if isinstance(part, bytes):
        return HEADER.pack(_TEXT, 1, 0, len(part), 0, 0), part
    if isinstance(part, tuple):
        return HEADER.pack(_COUNTS, 1, 0, len(part), 0, 0), struct.pack(f"<{len(part)}q", *part)
    little = part.dtype.newbyteorder("<")
    array = np.ascontiguousarray(part, little).reshape(part.shape)
    shape = (*array.shape, 0, 0, 0)[:3]
    return HEADER.pack(_KINDS[little.str], array.ndim, 0, *shape), array.reshape(-1).view(np.uint8)


def unpack_part(content: memoryview) -> Any:
    """The part; an array is a view of the stored bytes, and read-only as they are. Raises Damaged."""
    try:
        kind, axes, _, *sizes = HEADER.unpack_from(content)
        shape, body = sizes[:axes], content[HEADER.size :]
        if kind == _TEXT:
            part: Any = bytes(body)
            fits = len(part) == shape[0]
        elif kind == _COUNTS:
            part = struct.unpack(f"<{len(body) // 8}q", body)
            fits = 8 * shape[0] == len(body)
        else:
            dtype = _DTYPES[kind]
            part = np.frombuffer(body, dtype).reshape(shape)
            fits = axes <= len(sizes)
    except _DAMAGE as error:
        raise Damaged(str(error)) from error
    if not fits:
        raise Damaged("its size")
    return part


def pack_revision(revision: Revision, lost: bool, parts: Parts) -> bytes:
    """A revision as JSON; `lost` says that its state is gone for good."""
    number, operation, arguments, complete, at, config, data, state, curve, source, digest, run = revision
    return orjson.dumps(
        (
            number, operation, arguments.decode(), complete, at, parts.name(config), parts.rows_of(data),
            _state(state, parts), None if curve is None else _curve(curve, parts), source, digest, run, lost,
        )
    )  # fmt: skip


def unpack_revision(content: memoryview, parts: Parts) -> tuple[Revision, bool]:
    """The revision, and whether its state is lost. Raises Damaged."""
    try:
        number, operation, arguments, complete, at, config, rows, state, curve, *rest, lost = orjson.loads(content)
        data, made = parts.data(rows), _made_state(state, parts)
        entries = None if curve is None else _made_curve(curve, parts)
        config_json = parts.part(config)
        return Revision(
            number, operation, arguments.encode(), complete, at, config_json, data, made, entries, *rest
        ), lost
    except _DAMAGE as error:
        raise Damaged(str(error)) from error


Kept = tuple[int, int, int]


class Head(NamedTuple):
    """What a session's record has beside its revisions and parts.

    Attributes:
        standing: where the history is in letting states go.
        revisions: how many there are.
        room: the bytes that the session has a place for.
        kept: the stored answers: a day, their bytes on it, and on the day before.
        next: the number that the next part gets.
    """

    session: Session
    ancestors: tuple[Curve, ...]
    standing: tuple[int, int, int]
    revisions: int
    room: int
    kept: Kept
    next: int


def pack_head(head: Head, parts: Parts) -> bytes:
    """A head as JSON."""
    session, ancestors, *rest = head
    fork: Any = session.forked_from and tuple(session.forked_from)
    packed = session._replace(
        config_json=parts.name(session.config_json), init_json=parts.name(session.init_json),
        data=parts.rows_of(session.data), state=_state(session.state, parts), forked_from=fork,
    )  # fmt: skip
    return to_json((SCHEMA, tuple(packed), [_curve(curve, parts) for curve in ancestors], *rest))


def unpack_head(content: memoryview, parts: Parts) -> Head:
    """The head; the parts' next number is set by it. Raises Damaged."""
    try:
        schema, packed, ancestors, standing, *rest, kept, parts.next = orjson.loads(content)
        if schema != SCHEMA:
            raise Damaged(f"its schema is {schema}, and not {SCHEMA}")
        session = Session._make(packed)
        session = session._replace(
            config_json=parts.part(packed[2]), init_json=parts.part(packed[3]), data=parts.data(packed[4]),
            state=_made_state(packed[5], parts), forked_from=session.forked_from and Fork(*session.forked_from),
        )  # fmt: skip
        curves = tuple(_made_curve(curve, parts) for curve in ancestors)
        return Head._make((session, curves, tuple(standing), *rest, tuple(kept), parts.next))
    except _DAMAGE as error:
        raise Damaged(str(error)) from error


def parts_of_state(state: State | Outline) -> tuple[Any, ...]:
    """The parts of a state; None where it has no such thing."""
    return state[:_PARTS] if isinstance(state, State) else (state.updates,)


def _state(state: State | Outline, parts: Parts) -> Any:
    if isinstance(state, Outline):
        return tuple(state._replace(loss=_bits(state.loss), updates=parts.name(state.updates)))
    stepped: Any = sorted(state.stepped)
    packed = state._replace(
        stepped=stepped, loss=_bits(state.loss),
        begun=None if state.begun is None else (state.begun[0], _bits(state.begun[1]), *state.begun[2:]),
    )[_PARTS:]  # fmt: skip
    return (*map(parts.name, state[:_PARTS]), *packed)


def _made_state(packed: list[Any], parts: Parts) -> Any:
    if len(packed) == len(Outline._fields):
        outline: Any = Outline._make(packed)
        return outline._replace(loss=_number(outline.loss), updates=parts.part(outline.updates))
    state = State._make((*map(parts.part, packed[:_PARTS]), *packed[_PARTS:]))
    begun: Any = state.begun
    return state._replace(
        stepped=frozenset(state.stepped), loss=_number(state.loss),
        begun=None if begun is None else (begun[0], _number(begun[1]), *begun[2:]),
    )  # fmt: skip


def _curve(curve: Curve, parts: Parts) -> tuple[Any, ...]:
    return curve.columns, parts.name(curve.rows)


def _made_curve(packed: list[Any], parts: Parts) -> Curve:
    columns, rows = packed
    return Curve(tuple(columns), parts.part(rows))


def _bits(number: float | None) -> Any:
    """A number as JSON keeps it exactly, whatever it is."""
    return None if number is None else struct.unpack("<q", struct.pack("<d", number))[0]


def _number(bits: Any) -> Any:
    return None if bits is None else struct.unpack("<d", struct.pack("<q", bits))[0]
