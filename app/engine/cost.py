"""What an operation would cost, worked out from sizes alone, before any memory is taken.

Work is counted in units of about a nanosecond on one core: a multiply-add is one, an entry through an activation is
`_ENTRY`, and each layer of each pass is `_LAYER` for the calls that it takes however small it is. The estimates are
meant to be right within a factor of a few, and never to be far too low.
"""

from itertools import pairwise

from app.engine.network import Config, Network
from app.engine.training import Plan, steps_of

_ENTRY = 20
_LAYER = 3_000
_SESSION_BYTES = 4_000
_LAYER_BYTES = 6_000


def parameter_count(network: Network) -> int:
    """Weights and biases, without laying them out."""
    sizes = network.sizes
    biases = {"per_unit": 1, "shared": 0, "none": 0}
    return sum(
        units * inputs + biases[layer.bias] * units + (layer.bias == "shared")
        for inputs, units, layer in zip(sizes, sizes[1:], network.layers, strict=False)
    )


def forward_work(config: Config, n: int) -> int:
    """A forward pass over n samples."""
    sizes = config.network.sizes
    products = sum(inputs * units for inputs, units in pairwise(sizes))
    return n * (products + _ENTRY * sum(sizes[1:])) + _LAYER * len(config.network.layers)


def backward_work(config: Config, n: int) -> int:
    """A backward pass over n samples: two products where the forward pass has one."""
    return 2 * forward_work(config, n)


def update_work(config: Config) -> int:
    """An update of all parameters."""
    return _ENTRY * parameter_count(config.network) + _LAYER


def training_work(config: Config, plan: Plan, n: int, test_n: int) -> int:
    """A whole training over n rows, with test rows at each report."""
    batch = min(plan.batch_size or n, n)
    step = forward_work(config, batch) + backward_work(config, batch) + update_work(config)
    reports = plan.epochs // plan.report_every + 1
    return steps_of(plan, n) * step + (reports * forward_work(config, test_n) if test_n else 0)


def forward_bytes(config: Config, n: int) -> int:
    """What a forward pass over n samples holds: every z and a, and as much scratch."""
    return _item(config) * n * (4 * sum(config.network.sizes[1:]) + config.network.sizes[0])


def state_bytes(config: Config, n: int, data_n: int = 0) -> int:
    """The most that a session comes to with a batch of n samples, its parameters in every form, and `data_n` rows."""
    sizes = config.network.sizes
    vectors = 3 + len(config.optimizer.slot_names())  # now, as the pass used them, gradients; slots
    numbers = vectors * parameter_count(config.network) + n * (5 * sum(sizes[1:]) + sizes[0] + sizes[-1])
    rows = data_n * (sizes[0] + sizes[-1])
    return _item(config) * (numbers + rows) + _LAYER_BYTES * len(config.network.layers) + _SESSION_BYTES


def _item(config: Config) -> int:
    return 8 if config.dtype == "float64" else 4
