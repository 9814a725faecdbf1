"""Arrays as numpy reads them."""

import io
from typing import Any

import numpy as np

from app.exports.npz import to_npz


def test_round_trip() -> None:
    arrays: dict[str, Any] = {
        "hidden.weight": np.array([[0.1, -0.0], [np.nan, np.inf]]),
        "hidden.bias": np.array([1.5], np.float32),
        "targets": np.array([2, 0, 1]),
        "loss": np.array(0.25),
    }
    with np.load(io.BytesIO(to_npz(arrays)), allow_pickle=False) as loaded:
        assert list(loaded) == list(arrays)
        for name, array in arrays.items():
            assert (loaded[name].dtype, loaded[name].shape) == (array.dtype, array.shape)
            assert loaded[name].tobytes() == array.tobytes()


def test_nothing() -> None:
    with np.load(io.BytesIO(to_npz({}))) as loaded:
        assert list(loaded) == []
