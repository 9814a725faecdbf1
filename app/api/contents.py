"""A state as JSON data, every number as it is: the one place that says what a snapshot is made of."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.engine import position, tensors
from app.engine.network import Config
from app.engine.state import State
from app.engine.tensors import Trace
from app.sessions.session import Session

PARTS = ("activations", "gradients", "parameters", "optimizer", "health", "jacobians")
DEFAULT_PARTS = frozenset(PARTS[:5])
_OF_PARAMETERS = frozenset(PARTS[1:4])


class View(NamedTuple):
    """Which parts, layers and samples to show, and how many numbers at most."""

    parts: frozenset[str] = DEFAULT_PARTS
    layers: Sequence[int] | None = None
    samples: slice | None = None
    decimals: int | None = None
    limit: int = 1_000_000


def write(session: Session, view: View) -> dict[str, Any]:
    """The snapshot with every number as it is."""
    config, state, parts = session.config, session.state, view.parts
    body: dict[str, Any] = {
        "session": session.id,
        "revision": session.revision,
        "phase": state.phase,
        "next": position.next_operation(config, state),
        "allowed": position.allowed_operations(config, state, has_data=session.data is not None),
        "steps": state.steps,
        "epochs": state.epochs,
        "loss": state.loss,
    }
    traces = tensors.traces(config, state)
    if "activations" in parts:
        body["inputs"] = state.inputs
        body["targets"] = state.targets
        body["outputs"] = traces[-1].a
    shown = range(len(traces)) if view.layers is None else view.layers
    body["layers"] = [_layer(config, state, index, traces[index], parts) for index in shown]
    return body


def _layer(config: Config, state: State, index: int, trace: Trace, parts: frozenset[str]) -> dict[str, Any]:
    network = config.network
    layer: dict[str, Any] = {"name": network.names[index], "activation": network.layers[index].activation.type}
    if "activations" in parts:
        layer["z"], layer["a"], layer["da_dz"] = trace.z, trace.a, trace.da_dz
    gradients = None
    if "gradients" in parts:
        layer["dL_da"], layer["dL_dz"] = trace.dL_da, trace.dL_dz
        gradients = state.gradients if trace.dL_dz is not None else None
    if parts.isdisjoint(_OF_PARAMETERS):
        return layer
    written = layer["parameters"] = {}
    for parameter in network.layer_parameters[index]:
        if parameter is None:
            continue
        numbers = written[parameter.kind] = {}
        if "parameters" in parts:
            numbers["value"] = parameter.view(state.parameters)
        if "gradients" in parts:
            numbers["gradient"] = None if gradients is None else parameter.view(gradients)
        if "optimizer" in parts:
            numbers["state"] = tensors.slots(config, state, parameter) if len(state.slots) else {}
    return layer
