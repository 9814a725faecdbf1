"""Named arrays as numpy's `.npy`, and `.npz`, a zip of these: what `numpy.load` reads and `numpy.savez` writes."""

from collections.abc import Mapping
from io import BytesIO
from math import prod
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np

MAX_ARRAYS = 20_000
_KINDS = "biuf"
_METHODS = (ZIP_STORED, ZIP_DEFLATED)


def to_npz(arrays: Mapping[str, Any]) -> bytes:
    """The arrays, their names as keys, without compression."""
    out = BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def to_npy(array: Any) -> bytes:
    """One array."""
    out = BytesIO()
    np.save(out, array)
    return out.getvalue()


class TooLarge(ValueError):
    """An npz that says that it unpacks to more bytes than are taken: `size` of them."""

    def __init__(self, size: int) -> None:
        super().__init__("it unpacks to too many bytes")
        self.size = size


def from_npz(content: bytes, limit: int) -> dict[str, Any]:
    """The arrays of numbers in an npz by their names, which must unpack to at most `limit` bytes.

    What a file says of its size is held against that before any memory is taken, and no more is unpacked.

    Raises:
        TooLarge: it would unpack to more.
        ValueError: it is no such npz.
    """
    try:
        return _arrays(content, limit)
    except (TooLarge, _NoNumbers):
        raise
    except Exception as error:  # of odd bytes zipfile, zlib, numpy and the parser that it asks raise all sorts
        raise ValueError(f"it is no npz that can be read ({type(error).__name__})") from None


class _NoNumbers(ValueError):
    """A file in the zip that is no array of numbers; it says why, and repeats nothing of it."""


def _arrays(content: bytes, limit: int) -> dict[str, Any]:
    found = {}
    with ZipFile(BytesIO(content)) as file:
        members = file.infolist()
        size = sum(member.file_size for member in members)
        if size > limit:
            raise TooLarge(size)
        if len(members) > MAX_ARRAYS:
            raise _NoNumbers(f"it has more than {MAX_ARRAYS:,} arrays")
        for member in members:
            if member.compress_type not in _METHODS:
                raise _NoNumbers("it is compressed in another way than numpy does")
            with file.open(member) as opened:  # no more than it said, whatever there is
                found[member.filename.removesuffix(".npy")] = _array(opened.read(member.file_size))
    return found


def _array(content: bytes) -> Any:
    file = BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in _KINDS or prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise _NoNumbers("it has an array that is not of numbers, or that is cut short")
    file.seek(0)
    return np.load(file, allow_pickle=False)
