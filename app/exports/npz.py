"""Named arrays as numpy's `.npz`: a zip of `.npy` files, to be read by `numpy.load`."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np


def to_npz(arrays: Mapping[str, Any]) -> bytes:
    """The arrays, their names as keys, without compression."""
    out = BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()
