"""The hash of a state: equal states hash alike on every machine, so that a replay can be proved exact.

It is the SHA-256 of these, one after the other:

    parameters     all parameters, packed: each layer's weight, then its bias
    used           those that the last forward pass used
    backward_used  those that the last backward pass used
    slots          what the optimizer remembers (slots, count), in the order in which snapshots list it
    gradients      packed as the parameters are
    forward        each layer's z, then its a; 0 where the pass has not come yet
    backward       each layer's dL_da, then dL_dz, then da_dz (a softmax has none); 0 likewise
    inputs         of the last forward pass
    targets        of the last forward pass
    loss           a float64 without axes
    updates        how often each parameter tensor has been updated
    stepped        the positions of the tensors that were updated from these gradients, in order
    counters       phase (0 ready, 1 forward, 2 backward), how many layers the forward and the backward pass have done,
                   whether the rows are all of the session's own, steps, epochs, epoch_position, whether a parameter
                   has been edited since the last forward pass began

each as a line of ASCII, `parameters <f8 (9,)`, ended by a line feed, then the numbers, little-endian, row by row: `<f8`
is float64, `<f4` float32, `<i8` int64, and the parentheses hold the shape. What is not there is the line
`gradients none`. Names, times and revisions have no part in it.
"""

import sys
from functools import lru_cache
from hashlib import sha256
from struct import pack
from typing import Any, get_args

import numpy as np

from app.engine.network import Config
from app.engine.spec import Array
from app.engine.state import Phase, State

_FEW = 16_384  # bytes, up to which one call over a copy is quicker than many calls
_PHASES = {phase: number for number, phase in enumerate(get_args(Phase))}
_ARRAYS = ("parameters", "used", "backward_used", "slots", "gradients", "forward", "backward", "inputs", "targets")


def state_hash(config: Config, state: State) -> str:
    """The hexadecimal SHA-256 of all of a state."""
    parts: list[Any] = []
    size = 0
    for name in _ARRAYS:
        array: Array | None = getattr(state, name)
        if array is None:
            parts.append(_absent(name))
        else:
            parts += (_head(name, array.dtype.char, array.shape), _bytes(array))
            size += array.nbytes
    parts += _numbers(config, state)
    if size <= _FEW:
        return sha256(b"".join(parts)).hexdigest()
    digest = sha256()
    for part in parts:
        digest.update(part.reshape(-1).data if isinstance(part, np.ndarray) else part)
    return digest.hexdigest()


def _numbers(config: Config, state: State) -> tuple[bytes, ...]:
    """What is in no array."""
    by_name = config.network.by_name
    stepped = sorted([by_name[name] for name in state.stepped])
    updates = state.updates
    return (
        *((_absent("loss"),) if state.loss is None else (_head("loss", "d", ()), pack("<d", state.loss))),
        _head("updates", "q", (len(updates),)), pack(f"<{len(updates)}q", *updates),
        _head("stepped", "q", (len(stepped),)), pack(f"<{len(stepped)}q", *stepped),
        _head("counters", "q", (8,)),
        pack(
            "<8q", _PHASES[state.phase], state.forwarded, state.backwarded, state.own_rows,
            state.steps, state.epochs, state.epoch_position, state.edited,
        ),
    )  # fmt: skip


def _bytes(array: Array) -> Array:
    """The numbers as they are hashed, which on most machines is as they are."""
    array = np.ascontiguousarray(array)
    return array if sys.byteorder == "little" else array.byteswap()


@lru_cache(maxsize=1024)
def _head(name: str, char: str, shape: tuple[int, ...]) -> bytes:
    kind = np.dtype(char).newbyteorder("<").str
    return f"{name} {kind} {shape}\n".encode()


@lru_cache(maxsize=64)
def _absent(name: str) -> bytes:
    return f"{name} none\n".encode()
