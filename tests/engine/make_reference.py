"""Writes `reference.npz`, what PyTorch makes of the random configs. Run `python -m tests.engine.make_reference`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from . import torch_reference
from .networks import make, start
from .random_configs import random_configs

FILE = Path(__file__).with_name("reference.npz")
SEED = 1
STEPS = 20


def main() -> None:
    """Write the file."""
    arrays: dict[str, Any] = {}
    configs = list(random_configs(SEED))
    arrays["configs"] = np.array(json.dumps(configs).encode())
    for index, fields in enumerate(configs):
        config = make(**fields)
        state, data = start(config)
        first, *_, last = torch_reference.epochs(config, state.parameters, data.train, STEPS)
        case = {
            "initial": state.parameters,
            "outputs": first.outputs,
            "loss": np.array(first.loss),
            "gradients": first.gradients,
            "parameters": last.parameters,
            "slots": last.slots,
        }
        arrays |= {f"{index}.{name}": array for name, array in case.items()}
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()
