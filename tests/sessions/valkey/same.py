"""Whether two processes have the same session at hand: every number bit for bit, and what is shared shared alike."""

import struct
from typing import Any

import numpy as np

from app.engine.state import State
from app.sessions.revisions import Revision
from app.sessions.session import Session


def picture(session: Session, history: Any) -> list[Any]:
    """All of a session, with each part told by its number and place of first appearance."""
    seen: dict[int, int] = {}

    def of(value: Any, *, shared: bool = False) -> Any:
        if isinstance(value, np.ndarray) or shared:
            new = id(value) not in seen
            place = seen.setdefault(id(value), len(seen))
            return place, of_array(value) if new else None
        if isinstance(value, float):
            return struct.pack("<d", value)
        if isinstance(value, frozenset):
            return sorted(value)
        return [of(item) for item in value] if isinstance(value, tuple) else value

    def of_array(value: Any) -> Any:
        return (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value

    def of_state(state: Any) -> list[Any]:
        kept = isinstance(state, State)
        assert not any(value.flags.writeable for value in state if isinstance(value, np.ndarray))
        return [kept, *(of(value, shared=name == "updates") for name, value in state._asdict().items())]

    def of_record(record: Session | Revision) -> list[Any]:
        values = record._asdict()
        state, data, config = values.pop("state"), values.pop("data"), values.pop("config_json")
        arrays = data and (
            of(data.arrays, shared=True)[0],
            [of(array) for array in data.arrays],
            data.count,
            data.nbytes,
        )
        return [of(tuple(values.values())), of(config, shared=True), arrays, of_state(state)]

    return [
        of_record(session), *map(of_record, history.revisions), of(history.ancestors),
        {number for number in history._lost if number in [one.number for one in history.revisions]},
        history._stride, history._hand, history._oldest, history.entry_bytes, history.state_bytes,
        history._parts.next, sorted(history._parts._uses.items()), set(history._parts._new), set(history._parts._idle),
    ]  # fmt: skip
