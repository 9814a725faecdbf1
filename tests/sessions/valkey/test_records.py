"""Records: what is read back is what was written, bit for bit, or it is damaged."""

import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.engine.curves import Curve
from app.engine.state import State
from app.sessions.revisions import Outline, Revision
from app.sessions.session import Fork
from app.sessions.valkey.parts import Parts
from app.sessions.valkey.records import (
    HEADER,
    Damaged,
    Head,
    check,
    pack_head,
    pack_part,
    pack_revision,
    parts_of_state,
    seal,
    unpack_head,
    unpack_part,
    unpack_revision,
)

from ..making import make_session

QUIET = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0123))[0]  # a NaN with a payload

CONFIG = b"a config"


def stored(part: Any) -> bytes:
    return b"".join(pack_part(part))


@given(
    arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int64]), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)
    )
)
def test_arrays(array: Any) -> None:
    back = unpack_part(memoryview(stored(array)))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert not back.flags.writeable


@pytest.mark.parametrize("part", [b"", b"text", (), (0, 1, 2**62)])
def test_texts_and_counts(part: Any) -> None:
    assert unpack_part(memoryview(stored(part))) == part


def test_arrays_of_another_order_and_byte_order() -> None:
    array = np.arange(6.0).reshape(2, 3)
    for other in (np.asfortranarray(array), array.astype(">f8"), np.arange(12.0)[::2].reshape(2, 3) / 2):
        back = unpack_part(memoryview(stored(other)))
        assert back.dtype == np.float64
        assert (back == array).all()


def test_the_numbers_are_aligned_in_what_is_stored() -> None:
    assert (HEADER.size + 4) % 16 == 0


@pytest.mark.parametrize(
    "content",
    [
        b"", HEADER.pack(1, 1, 0, 2, 0, 0) + bytes(8), HEADER.pack(1, 2, 0, 2**40, 2**40, 0) + bytes(8),
        HEADER.pack(1, 1, 0, 1, 0, 0) + bytes(7), HEADER.pack(9, 1, 0, 1, 0, 0) + bytes(8),
        HEADER.pack(16, 1, 0, 3, 0, 0) + b"text", HEADER.pack(17, 1, 0, 2, 0, 0) + bytes(8),
        HEADER.pack(17, 1, 0, 1, 0, 0) + bytes(9), HEADER.pack(16, 0, 0, 0, 0, 0),
        HEADER.pack(1, 4, 0, 1, 1, 1) + bytes(8),
    ],
)  # fmt: skip
def test_a_part_whose_size_is_wrong_takes_no_memory(content: bytes) -> None:
    with pytest.raises(Damaged):
        unpack_part(memoryview(content))


def test_a_checksum_is_of_the_session_the_field_and_every_bit() -> None:
    value = seal("a", "r:1", (b"one", np.arange(3.0)))
    assert check("a", "r:1", value) == b"one" + np.arange(3.0).tobytes()
    for session_id, field in (("b", "r:1"), ("a", "r:2")):
        with pytest.raises(Damaged):
            check(session_id, field, value)
    for bit in range(8 * len(value)):
        damaged = bytearray(value)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            check("a", "r:1", bytes(damaged))
    for short in (value[:-1], value[:3], b""):
        with pytest.raises(Damaged):
            check("a", "r:1", short)
    with pytest.raises(Damaged):
        check("a", "r:1", None)


def state() -> State:
    """A state with all that there can be in one."""
    vector, rows = np.array([-0.0, QUIET, np.inf, 5e-324]), np.zeros((1, 2), np.float32)
    return State(
        vector, vector, np.zeros((0, 4)), (1, 2), vector + 1, vector + 2, vector + 3, vector, rows,
        np.array([1], np.int64), True, 1, 2, frozenset({"b", "a"}), "backward", QUIET, 3, 4, 5, True, (1, -0.0, 2, 3),
    )  # fmt: skip


def bits(value: Any) -> Any:
    return struct.pack("<d", value) if isinstance(value, float) else value


def check_same(one: State, other: State) -> None:
    for name, a, b in zip(State._fields, one, other, strict=True):
        if isinstance(a, np.ndarray):
            assert a is b, name
        elif isinstance(a, tuple) and isinstance(b, tuple):
            assert list(map(bits, a)) == list(map(bits, b)), name
        else:
            assert bits(a) == bits(b), name


def held(*states: State | Outline) -> Parts:
    parts = Parts()
    parts.hold((CONFIG,))
    for one in states:
        parts.hold(parts_of_state(one))
    return parts


def of(state: State | Outline, **fields: Any) -> Revision:
    return Revision(3, "train", b"{}", False, 1.5, CONFIG, None, state, **fields)


def test_a_state() -> None:
    one = state()
    parts = held(one)
    for made in (one, State(one.parameters, one.parameters, one.slots, one.updates)):
        back, lost = unpack_revision(memoryview(pack_revision(of(made), False, parts)), parts)
        assert not lost
        assert isinstance(back.state, State)
        check_same(back.state, made)


def outline() -> Outline:
    return Outline("forward", 1, 2, 3, 4, 5, QUIET, (7, 8), 9, "hash")


def test_a_revision_with_all_that_there_can_be_in_one() -> None:
    kept, gone = state(), outline()
    curve = Curve(("epoch", "loss"), np.array([[1, QUIET]]))
    full = of(gone, curve=curve, source=2, digest="digest", run="run")
    full = full._replace(arguments='{"é":1}'.encode(), complete=True)
    parts = held(kept, gone)
    parts.hold((curve.rows,))
    for revision, lost in ((full, True), (of(kept), False)):
        back, is_lost = unpack_revision(memoryview(pack_revision(revision, lost, parts)), parts)
        assert is_lost is lost
        assert back._replace(state=gone, curve=None) == revision._replace(state=gone, curve=None)
        if isinstance(back.state, Outline):
            assert list(map(bits, back.state)) == list(map(bits, gone))
            assert back.curve is not None
            assert (back.curve.columns, back.curve.rows) == (curve.columns, curve.rows)


def test_a_revision_where_a_part_is_missing() -> None:
    one = state()
    with pytest.raises(Damaged):
        unpack_revision(memoryview(pack_revision(of(one), False, held(one))), Parts())


def test_a_head() -> None:
    session = make_session("a")._replace(forked_from=Fork("b", 3, None), owner="ann", run="run", epoch=4, name="é")
    rows = np.zeros((1, 9))
    head = Head(session, (Curve(("epoch",), rows),), (2, 1, 0), 1, 99, (1, 2, 3), 0)
    parts = held(session.state)
    parts.hold((session.config_json, session.init_json, rows))
    head = head._replace(next=parts.next)
    back = unpack_head(memoryview(pack_head(head, parts)), parts)
    check_same(back.session.state, session.state)
    state = session.state
    assert back.session._replace(state=state) == session
    assert isinstance(back.session.forked_from, Fork)
    assert back[2:] == head[2:]
    assert back.ancestors[0].rows is rows


def test_a_head_of_another_schema() -> None:
    session = make_session("a")
    parts = held(session.state)
    parts.hold((session.config_json, session.init_json))
    content = pack_head(Head(session, (), (2, 1, 0), 1, 99, (1, 2, 3), 0), parts)
    for other in (content.replace(b"[1,", b"[2,", 1), b"[]", b"{}", b"?"):
        with pytest.raises(Damaged):
            unpack_head(memoryview(other), parts)


@pytest.mark.parametrize("content", [b"", b"?", b"7", b"[]", b"{}", b"[1,2,3]", orjson.dumps([99] * 13)])
def test_no_revision(content: bytes) -> None:
    with pytest.raises(Damaged):
        unpack_revision(memoryview(content), held(state()))
