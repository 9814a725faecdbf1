"""The arrays of one layer while a pass is at it."""

from typing import TYPE_CHECKING

from app.engine.spec import Array

if TYPE_CHECKING:
    from app.engine.activations import Activation


class LayerArrays:
    """Views into the packed vectors, under the names of the chain rule, for a batch of n samples.

    A forward pass sets up the first group, a backward pass both.

    Attributes:
        activation: the layer's f.
        x: what comes in: the layer below's `a` (n, inputs).
        W, WT: weights (units, inputs), and the same memory transposed.
        b: biases (1, units), or () when shared; None without.
        z, a: pre-activation and activation (n, units).
        t: scratch (n, units). A ufunc onto its own one-element input is four times as slow as onto another array.
        one: 1 as an array of the dtype, which costs half of what a Python number does.

        dL_da, da_dz, dL_dz: derivatives (n, units); a softmax has no `da_dz` here.
        dL_dzT: the same memory as `dL_dz`, transposed (units, n).
        gW: gradient of W (units, inputs).
        gb: gradient of b, (units,) or () when shared; None without. It is `ones` times `summed`: `dL_dz` by samples,
            or all its entries when shared. (A dot product with ones is four times as fast as a small `sum`.)
    """

    __slots__ = (
        "W", "WT", "a", "activation", "b", "dL_da", "dL_dz", "dL_dzT", "da_dz", "gW", "gb", "one", "ones", "summed",
        "t", "x", "z",
    )  # fmt: skip

    activation: "Activation"
    x: Array
    W: Array
    WT: Array
    b: Array | None
    z: Array
    a: Array
    t: Array
    one: Array

    dL_da: Array
    da_dz: Array
    dL_dz: Array
    dL_dzT: Array
    gW: Array
    gb: Array | None
    ones: Array
    summed: Array
