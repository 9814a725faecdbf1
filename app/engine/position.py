"""Where a training stands: what a debugger's "step" would do next, and what may be called now."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from app.engine import passes
from app.engine.network import Config
from app.engine.state import State

Operation = Literal["forward", "backward", "step", "train"]


class Next(TypedDict):
    """The next smallest operation: a pass over one layer, or the update of the parameters not yet stepped."""

    operation: Literal["forward", "backward", "step"]
    layer: NotRequired[str]
    parameters: NotRequired[list[str]]


def next_operation(config: Config, state: State) -> Next:
    """What a debugger's "step" would do."""
    names, count = config.network.names, len(config.network.layers)
    if state.phase == "forward":
        if state.forwarded < count:
            return {"operation": "forward", "layer": names[state.forwarded]}
        if state.targets is not None:
            return {"operation": "backward", "layer": names[-1]}
    if state.phase == "backward":
        if state.backwarded < count:
            return {"operation": "backward", "layer": names[count - state.backwarded - 1]}
        return {
            "operation": "step",
            "parameters": [name for name in config.network.trainable if name not in state.stepped],
        }
    return {"operation": "forward", "layer": names[0]}


def allowed_operations(config: Config, state: State, *, has_data: bool) -> list[Operation]:
    """Which operations would not be refused for the phase or for want of data, with nothing but their defaults."""
    complete = state.phase != "ready" and state.forwarded == len(config.network.layers)
    under_way = state.phase == "forward" and not complete
    allowed: list[Operation] = []
    if has_data or under_way:
        allowed.append("forward")
    if complete and state.targets is not None:
        allowed.append("backward")
    if passes.can_update(config, state):
        allowed.append("step")
    if has_data:
        allowed.append("train")
    return allowed
