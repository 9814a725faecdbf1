"""What a server and its worker processes say to each other: a training, what it tells on the way, how it ends.

A message is a pickle (protocol 5), with its large arrays behind it, so that these are never copied: they are written
from where they are, and read into memory of their own. On the wire it is the number of parts, the length of each
(little-endian, 8 bytes), and the parts, the pickle first. What both sides already have (`held`) goes by its number.
Unpickling runs what it is told to, so that only a process of our own may be listened to.
"""

import io
import pickle
import struct
from collections.abc import Sequence
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.engine.curves import Curve
from app.engine.plan import Ending, Frame, Plan, Trained
from app.engine.rows import Data
from app.engine.spec import Model, read_only
from app.engine.state import State

SMALL_BYTES = 32_768  # an array up to this is copied into the pickle, which takes less than parts of its own


class Training(NamedTuple):
    """A training to be done. `config_json` is the session's config, without its rows and initial numbers."""

    config_json: bytes
    state: State
    data: Data
    plan: Plan


class Told(NamedTuple):
    """What a training tells on its way, as far as there is something new.

    Attributes:
        curve: the entries of the epochs that have ended.
        frames: one for each of them, where the plan asks for it.
        state: a checkpoint, after a whole step.
    """

    curve: Curve | None
    frames: list[Frame]
    state: State | None


class Ended(NamedTuple):
    """The end of a training, and what is still to be told."""

    told: Told
    trained: Trained


class Failed(NamedTuple):
    """A fault in a training; `text` is the traceback."""

    text: str


Message: TypeAlias = Training | Ending | Told | Ended | Failed


def held_by(training: Training) -> list[NDArray[Any]]:
    """The arrays of a training, which both sides have once it was sent."""
    return [*training.data.arrays, *(value for value in training.state if isinstance(value, np.ndarray))]


def write(stream: IO[bytes], message: Message, held: Sequence[NDArray[Any]] = ()) -> None:
    """Write a message and flush it; blocks until the other side has taken most of it."""
    pickler = _Pickler(held)
    pickler.dump(message)
    parts = [pickler.text.getbuffer(), *(buffer.raw() for buffer in pickler.large)]
    stream.write(struct.pack(f"<{1 + len(parts)}Q", len(parts), *(part.nbytes for part in parts)))
    for part in parts:
        stream.write(part)
    stream.flush()


def read(stream: IO[bytes], held: Sequence[NDArray[Any]] = ()) -> Any:
    """Read the next message; its arrays are as read-only as they were, the large ones in any case.

    Raises:
        EOFError: the stream has ended.
    """
    (count,) = struct.unpack("<Q", _take(stream, 8).data)
    text, *large = [_take(stream, nbytes) for nbytes in struct.unpack(f"<{count}Q", _take(stream, 8 * count).data)]
    return _Unpickler(io.BytesIO(text.data), large, held).load()


def _take(stream: IO[bytes], nbytes: int) -> NDArray[np.uint8]:
    """The next bytes: an array, for its memory is not filled with zeros first."""
    array = np.empty(nbytes, np.uint8)
    missing = array.data
    while len(missing):
        count = stream.readinto(missing)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        missing = missing[count:]
    return read_only(array)


class _Pickler(pickle.Pickler):
    def __init__(self, held: Sequence[NDArray[Any]]) -> None:
        self.text, self.large = io.BytesIO(), list[pickle.PickleBuffer]()
        self._held = {id(array): index for index, array in enumerate(held)}
        super().__init__(self.text, 5, buffer_callback=self._is_in_text)

    def persistent_id(self, value: Any) -> int | None:
        return self._held.get(id(value))

    def reducer_override(self, value: Any) -> Any:
        """Specs go by their fields alone: what they have worked out for themselves, as functions, cannot be sent."""
        return (type(value).model_validate, (value.model_dump(),)) if isinstance(value, Model) else NotImplemented

    def _is_in_text(self, buffer: pickle.PickleBuffer) -> bool:
        small = buffer.raw().nbytes <= SMALL_BYTES
        if not small:
            self.large.append(buffer)
        return small


class _Unpickler(pickle.Unpickler):
    def __init__(self, text: io.BytesIO, large: list[Any], held: Sequence[NDArray[Any]]) -> None:
        super().__init__(text, buffers=large)
        self._held = held

    def persistent_load(self, index: Any) -> NDArray[Any]:
        array: NDArray[Any] = self._held[index]
        return array
