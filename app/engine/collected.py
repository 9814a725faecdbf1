"""Data sets that people collected: each a table beside this file, with a note of where it is from."""

from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import ClassVar, Literal

import numpy as np

from app.engine.named import Drawn, NamedSet
from app.engine.spec import read_only


@cache
def _table(name: str) -> Drawn:
    """The rows of a table, in its order."""
    content = files("app.engine").joinpath("tables", f"{name}.npz").read_bytes()
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return Drawn(*(read_only(arrays[key].astype(dtype)) for key, dtype in (("inputs", "f8"), ("targets", "i8"))))


class _Collected(NamedSet):
    shuffle: bool = True

    def draw(self, seed: int) -> Drawn:
        return _table(self.type_name())


class Iris(_Collected):
    """Lengths and widths in cm of the flowers of 150 irises, 50 of each of three species (Fisher, 1936)."""

    type: Literal["iris"] = "iris"
    input_names: ClassVar[tuple[str, ...]] = (
        "sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)",
    )  # fmt: skip
    input_shape: ClassVar[tuple[int, ...]] = (4,)
    class_names: ClassVar[tuple[str, ...]] = ("setosa", "versicolor", "virginica")

    @property
    def count(self) -> int:
        return 150


class Digits(_Collected):
    """1797 handwritten digits as pictures of 8 x 8 grey values from 0 to 16 (Alpaydin and Kaynak, 1998)."""

    type: Literal["digits"] = "digits"
    input_names: ClassVar[tuple[str, ...]] = tuple(f"pixel {row},{column}" for row in range(8) for column in range(8))
    input_shape: ClassVar[tuple[int, ...]] = (8, 8)
    class_names: ClassVar[tuple[str, ...]] = tuple("0123456789")

    @property
    def count(self) -> int:
        return 1797
