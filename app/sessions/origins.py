"""Where a parameter's value comes from: the change in a session's history that gave it."""

from typing import NamedTuple

import orjson

from app.engine.names import Address
from app.sessions.edits import Change, Edit
from app.sessions.operations import Backward, Forward, Train
from app.sessions.revisions import Revisions
from app.sessions.session import live_config


class Origin(NamedTuple):
    """The position of the revision that set a number; `epoch` where a training is looked at as of an epoch inside."""

    position: int
    epoch: int | None


def origin(revisions: Revisions, index: int, epoch: int | None, address: Address) -> Origin:
    """What set a parameter's entry, or one of its slots, as it is at a revision, or at an epoch inside it.

    The first revision, where no change did.
    """
    parameter = address.parameter
    assert parameter is not None
    while index > 0:
        source = revisions.source(index)
        if source is not None:
            index, epoch = revisions.find(source), revisions.epochs(index)[0]
            continue
        operation = revisions.operation(index)
        before, after = (revisions.updates(at)[parameter.index] for at in (index - 1, index))
        if operation == Change.operation:
            if address.part == "state" and _starts(revisions, index, address.slot):
                return Origin(index, epoch)
        elif before != after or _edits(revisions, index, address):
            return Origin(index, epoch)
        index, epoch = index - 1, None
    return Origin(0, epoch)


def _edits(revisions: Revisions, index: int, address: Address) -> bool:
    """Whether a revision is an edit of a parameter's value."""
    if revisions.operation(index) != Edit.operation or address.part:
        return False
    names = orjson.loads(revisions[index].arguments)
    return not names or address.tensor in names or str(address) in names  # none: they were too many to keep


def _starts(revisions: Revisions, index: int, slot: str) -> bool:
    """Whether a change of the optimizer left a slot empty."""
    before, after = (live_config(revisions[at].config_json).optimizer for at in (index - 1, index))
    names = before.slot_names()
    return before.type_name() != after.type_name() or not names or (slot != "step" and slot not in names)


class When(NamedTuple):
    """When a number could be read: at a revision, or where an epoch inside it ended."""

    revision: int
    epoch: int | None


def when_forward(revisions: Revisions, index: int, epoch: int | None, layer: int) -> When | None:
    """When the parameters of a layer were as the forward pass used them that left its trace; None where nobody knows.

    They were so when the pass came to the layer, or, in a training, when its last step began.
    """
    while index > 0:
        source = revisions.source(index)
        if source is not None:
            index, epoch = revisions.find(source), revisions.epochs(index)[0]
            continue
        operation = revisions.operation(index)
        if operation == Train.operation:
            return before_last_step(revisions, index, epoch)
        if operation == Forward.operation:
            arguments = orjson.loads(revisions[index].arguments)
            before, after = revisions[index - 1].state, revisions[index].state
            goes_on = before.phase == "forward" and 0 < before.forwarded < after.forwarded
            anew = not goes_on or "inputs" in arguments or "targets" in arguments
            if anew or layer >= before.forwarded:
                return When(revisions.number(index), None)
        index, epoch = index - 1, None
    return None


def when_backward(revisions: Revisions, index: int, epoch: int | None, layer: int) -> When | None:
    """When the weights of a layer were as the backward pass used them; None where nobody knows."""
    at = index
    while at > 0 and revisions.source(at) is None:
        operation = revisions.operation(at)
        if operation in (Train.operation, Forward.operation):
            break
        if operation == Backward.operation:
            revision, before = revisions[at], revisions[at - 1].state
            arguments = orjson.loads(revision.arguments)
            count = len(live_config(revision.config_json).network.layers)
            done = before.backwarded if before.phase == "backward" and before.backwarded < count else 0
            if layer - 1 < count - done:  # an activation's gradient comes through the layer above it
                return (
                    When(revision.number, None)
                    if arguments.get("using") == "current"
                    else when_forward(revisions, at, None, layer)
                )
        at -= 1
    return when_forward(revisions, index, epoch, layer)


def before_last_step(revisions: Revisions, index: int, epoch: int | None) -> When | None:
    """When the numbers could be read that the last step of a revision started from; None within an epoch."""
    revision = revisions[index]
    if index == 0:
        return None
    before, after = revisions[index - 1], revision.state
    if revision.operation != Train.operation:
        return When(before.number, None)
    last = after.epochs if epoch is None else epoch
    data = revision.data
    if data is None or last == before.state.epochs:
        return None
    batch = orjson.loads(revision.arguments).get("batch_size") or len(data.train)
    if batch < len(data.train) or (epoch is None and after.epoch_position):
        return None
    if last - 1 == before.state.epochs:
        return When(before.number, None)
    return When(revision.number, last - 1)
