"""What an operation would cost, worked out from sizes alone, before any memory is taken.

Work is counted in units of about a nanosecond on one core: a multiply-add is one, an entry through an activation is
`_ENTRY`, and each layer of each pass is `_LAYER` for the calls that it takes however small it is. Memory is what there
is while an operation is at work, with the state before it and the one after it both there. The estimates are meant to
be right within a factor of a few, and never to be far too low.
"""

from app.engine.batches import steps_of
from app.engine.network import Config
from app.engine.plan import FRAME_BYTES, Plan, entries_of
from app.engine.stops import Expression

_ENTRY = 40
_LAYER = 3_000
_SESSION_BYTES = 4_000
_LAYER_BYTES = 6_000


def forward_work(config: Config, n: int) -> int:
    """A forward pass over n samples."""
    network = config.network
    return n * (network.products + _ENTRY * network.unit_count) + _LAYER * len(network.layers)


def backward_work(config: Config, n: int) -> int:
    """A backward pass over n samples: two products where the forward pass has one."""
    return 2 * forward_work(config, n)


def update_work(config: Config) -> int:
    """An update of all parameters."""
    return _ENTRY * config.network.parameter_count + _LAYER


def training_work(config: Config, plan: Plan, n: int, test_n: int, epochs: int = 0) -> int:
    """A whole training over n rows, with `test_n` more at each report, after so many epochs.

    Conditions are priced as if each looked at all parameters, z and a of every step; some try the rows to test on at
    each epoch. The plan's probe is tried at each report.
    """
    batch, network = plan.size_of_batch(n), config.network
    looks = 4 * (network.parameter_count + batch * network.unit_count) + _LAYER * len(network.layers)
    step = forward_work(config, batch) + backward_work(config, batch) + update_work(config) + len(plan.stop) * looks
    tries = entries_of(plan, epochs) + plan.epochs * sum(_tests(plan))
    tests = tries * forward_work(config, test_n) if test_n else 0
    if plan.probe is not None:
        tests += entries_of(plan, epochs) * forward_work(config, len(plan.probe))
    return steps_of(plan, n) * step + tests


def _tests(plan: Plan) -> list[bool]:
    """Which of the conditions try the rows to test on."""
    return [isinstance(one, Expression) and one.tries_test_rows for one in plan.stop]


def gradcheck_work(config: Config, n: int, entries: int) -> int:
    """A gradient check of so many entries over n samples: two forward passes for each, and the passes to compare."""
    return 2 * entries * forward_work(config, n) + 3 * (forward_work(config, n) + backward_work(config, n))


def predict_bytes(config: Config, n: int) -> int:
    """A forward pass over n samples that leaves no state: their inputs, every z and a, and as much scratch."""
    return _item(config) * n * (4 * config.network.unit_count + config.network.inputs)


def state_bytes(config: Config, n: int, rows: int = 0) -> int:
    """A session with a trace over n samples and `rows` of data, while it goes on to the next such state."""
    network = config.network
    vectors = 4 + 2 * len(config.optimizer.slot_names())  # before, used, after, gradients; slots before and after
    numbers = vectors * network.parameter_count + n * (9 * network.unit_count + network.inputs + network.sizes[-1])
    numbers += rows * (network.inputs + network.sizes[-1])
    return _item(config) * numbers + _LAYER_BYTES * len(network.layers) + _SESSION_BYTES


def training_bytes(config: Config, plan: Plan, n: int, test_n: int) -> int:
    """A session that trains over n rows: its states, and as much again for the private memory that runs ahead.

    Conditions compare the parameters before an update with those after it. Frames are kept until they are told.
    """
    batch, network = plan.size_of_batch(n), config.network
    taken = 2 * state_bytes(config, batch) + state_bytes(config, 0, n + test_n) + predict_bytes(config, test_n)
    if plan.stop:
        taken += 8 * (4 * network.parameter_count + batch * max(network.sizes))
    if config.loss.classifies:  # the outputs of all rows, of two epochs
        taken += 2 * _item(config) * n * network.sizes[-1]
    if plan.report_every > 1:  # what the last batch of an epoch starts from is kept, twice at most
        taken += 2 * _item(config) * (1 + len(config.optimizer.slot_names())) * network.parameter_count
    if plan.frames:
        taken += FRAME_BYTES + state_bytes(config, batch)
    if plan.probe is not None:
        taken += FRAME_BYTES + predict_bytes(config, len(plan.probe))
    return taken


def _item(config: Config) -> int:
    return 8 if config.dtype == "float64" else 4
