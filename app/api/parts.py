"""What each entry of a stream shows beside its numbers: parts of the snapshot, and the network's answers to a probe."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from app.api.contents import View
from app.api.snapshots import MAX_JACOBIAN, dumps, nonfinite, rounded_array, snapshot
from app.engine.network import Config
from app.engine.plan import Frame
from app.engine.rows import build_inputs
from app.engine.spec import Array
from app.sessions.operations import Probe, Train
from app.sessions.session import Session
from app.sessions.trainings import Parts

SHOWN = ("inputs", "targets", "outputs", "layers", "health", "nonfinite", "omitted")
NUMBER_BYTES = 22  # of a number as text, at full precision
WHOLE_BYTES = 5  # of one that is rounded, beside its decimals: -12.345,
LAYER_BYTES = 500  # of a layer's names, and how it fares


def parts_of(session: Session, train: Train, view: View, *, with_snapshot: bool) -> Parts | None:
    """What the entries of a training are to show: the answers to its probe, and the parts in a view if asked for.

    Raises InvalidInput where the probe's inputs do not fit.
    """
    config, probe = session.config, train.probe
    if not with_snapshot and probe is None:
        return None
    inputs = None if probe is None else build_inputs(config, probe.inputs, "/probe")
    nbytes = 0
    if with_snapshot:
        rows = len(session.data.train) if session.data else 0
        nbytes += _snapshot_bytes(config, view, train.plan.size_of_batch(rows))
    if probe is not None:
        network = config.network
        answers = network.unit_count if probe.include else network.sizes[-1]
        nbytes += _number_bytes(view) * len(probe.inputs) * answers

    def write(session: Session, frame: Frame) -> bytes:
        body: dict[str, Any] = {}
        if frame.state is not None:
            shown = snapshot(session._replace(state=frame.state), view)
            body = {key: value for key, value in shown.items() if key in SHOWN}
        if probe is not None and frame.probe is not None:
            body["probe"] = _answers(config, probe, frame.probe, view)
        return dumps(body)[1:-1]

    return Parts(with_snapshot, inputs, nbytes, write, _spec(view, with_snapshot=with_snapshot))


def parts_again(session: Session, train: Train, spec: bytes) -> Parts | None:
    """The same parts, from their `spec`: in another process."""
    shown = orjson.loads(spec)
    samples = None if shown["samples"] is None else slice(*shown["samples"])
    view = View(frozenset(shown["parts"]), shown["layers"], samples, shown["decimals"], shown["limit"])
    return parts_of(session, train, view, with_snapshot=shown["with_snapshot"])


def _spec(view: View, *, with_snapshot: bool) -> bytes:
    samples = None if view.samples is None else (view.samples.start, view.samples.stop)
    shown = {**view._asdict(), "parts": sorted(view.parts), "samples": samples, "with_snapshot": with_snapshot}
    return orjson.dumps(shown, default=list)


def _answers(config: Config, probe: Probe, vector: Array, view: View) -> dict[str, Any]:
    """The outputs for a probe, from the packed forward vector, and each layer's `a` where these are asked for."""
    network = config.network
    traces = network.layout(len(probe.inputs)).traces
    exact = vector.astype(np.float64)
    shown = exact if view.decimals is None else rounded_array(exact, view.decimals)
    a = [shown[trace.a].reshape(trace.shape) for trace in traces]
    answers: dict[str, Any] = {"outputs": a[-1]}
    if probe.include:
        answers["layers"] = [{"name": name, "a": array} for name, array in zip(network.names, a, strict=True)]
    if not np.isfinite(exact).all():
        answers["nonfinite"] = nonfinite(answers, View())  # its rows are not those that the view is of
    return answers


def _number_bytes(view: View) -> int:
    return NUMBER_BYTES if view.decimals is None else min(NUMBER_BYTES, WHOLE_BYTES + view.decimals)


def _snapshot_bytes(config: Config, view: View, n: int) -> int:
    """About how long the text of a snapshot's parts is, over a batch of n samples."""
    network, parts = config.network, view.parts
    shown: Sequence[int] = range(len(network.layers)) if view.layers is None else view.layers
    if view.samples is not None:
        n = min(n, view.samples.stop - view.samples.start)
    slots = len(config.optimizer.slot_names())
    kinds = ("parameters" in parts) + ("gradients" in parts) + slots * ("optimizer" in parts)
    terms = 3 * ("activations" in parts) + 2 * ("gradients" in parts)
    numbers = n * (network.inputs + 2 * network.sizes[-1]) * ("activations" in parts)
    for index in shown:
        units = network.layers[index].units
        numbers += kinds * sum(p.place.stop - p.place.start for p in network.layer_parameters[index] if p is not None)
        numbers += terms * n * units + min(MAX_JACOBIAN, n * units * units) * ("jacobians" in parts)
    return _number_bytes(view) * min(numbers, view.limit) + LAYER_BYTES * len(shown)
