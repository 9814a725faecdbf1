"""What runs tell, as bytes and back."""

import math
from typing import Any

import numpy as np
import pytest

from app.engine.curves import Curve
from app.engine.hashing import state_hash
from app.engine.plan import Ending
from app.engine.state import State
from app.errors import FieldError, GradstepError, InvalidInput, LimitExceeded, NotFound, TrainingFailed
from app.sessions.operations import Train
from app.sessions.runs import Run
from app.sessions.sweeping import Item, SweepRun
from app.sessions.valkey import told

from ..making import make_config, run
from ..test_trainings import FIELDS, at_once

CURVE = Curve(("epoch", "steps", "loss"), np.array([[1, 2, math.nan], [2, 4, -0.0], [3, 6, math.inf]]))


def brought_up(one: Run) -> Run:
    """The run as another process has it."""
    other = told.new_run(told.about(one))
    if one.count:
        other.add(CURVE)
    told.bring_up(other, told.status_of(one))
    return other


def test_how_far_it_is() -> None:
    one = Run("s", 4, 9, 100.0)
    other = brought_up(one)
    assert (other.id, other.session_id, other.created_at, other.epochs, other.epochs_total) == (
        one.id,
        "s",
        100.0,
        4,
        9,
    )
    assert (other.status, other.is_over) == ("queued", False)
    one.begin(101.0)
    one.add(CURVE)
    other = brought_up(one)
    assert (other.status, other.started_at, other.loss, other.epochs_done) == ("running", 101.0, math.inf, 0)
    one.cut(4, 6)
    one.fail(TrainingFailed("gone", retry_after=3), 7, 102.0)
    other = brought_up(one)
    assert (other.count, other.epochs_done, other.loss, other.revision, other.ended_at) == (2, 2, 0.0, 7, 102.0)
    assert other.was_cut


@pytest.mark.parametrize(
    "failure",
    [
        NotFound("nothing"),
        TrainingFailed("gone", retry_after=3),
        InvalidInput([FieldError("/epochs", "takes more")]),
        LimitExceeded("/epochs", "work", limit=1, estimate=2, setting="GRADSTEP_X"),
    ],
)
def test_why_it_failed(failure: GradstepError) -> None:
    one = Run("s", 0, 1, 0.0)
    one.fail(failure, None, 1.0)
    other = brought_up(one).failure
    assert type(other) is type(failure)
    assert vars(other) == vars(failure)


def test_a_failure_of_another_version() -> None:
    one = Run("s", 0, 1, 0.0)

    class Unknown(GradstepError):
        slug, title = "unknown", "Unknown"

    one.fail(Unknown("something"), None, 1.0)
    status = told.status_of(one).replace(b"unknown", b"unheard-of")
    told.bring_up(one, status)
    assert isinstance(one.failure, TrainingFailed)
    assert one.failure.detail == "something"


@pytest.mark.parametrize("texts", [[], [b"a", b"", b"\nc"]])
def test_entries(texts: list[bytes]) -> None:
    piece = told.unpack_piece(told.pack_piece(CURVE, texts))
    assert piece.curve.columns == CURVE.columns
    assert piece.curve.rows.tobytes() == CURVE.rows.tobytes()
    assert piece.parts == texts


def test_a_checkpoint() -> None:
    state = run(at_once(3)).state
    fields = told.pack_checkpoint("r", state)
    other = told.unpack_checkpoint("r", fields)
    assert isinstance(other, State)
    config = make_config(**FIELDS)
    assert state_hash(config, other) == state_hash(config, state.without_trace())
    assert told.unpack_checkpoint("r", {}) is None
    for name, value in fields.items():
        assert told.unpack_checkpoint("r", {**fields, name: value[:-1] + bytes([value[-1] ^ 1])}) is None
    begun = told.unpack_checkpoint("r", told.pack_checkpoint("r", state._replace(begun=(2, math.nan, 1, 2))))
    assert begun is not None
    assert (begun.begun or ())[2:] == (1, 2)


def test_a_sweep() -> None:
    items = [Item("f", {"seed": 1}, Train(epochs=3)), Item("g", {"seed": 2}, Train()), Item("h", {}, Train())]
    items[0].curve, items[1].failure = CURVE, NotFound("gone")
    items[0].stopped = {
        "reason": "epochs",
        "epoch": 3,
        "step": 6,
        "tensor": None,
        "threshold": None,
        "actual": math.nan,
    }
    one = SweepRun("s", items, 3, 100.0)
    other: Any = told.new_run(told.about(one, items=told.about_items(one)))
    assert (other.epochs_total, [item.training for item in other.items]) == (9, [item.training for item in items])
    for index, item in enumerate(items):
        told.read_item(other.items[index], told.pack_item(item))
    first, second, third = other.items
    assert (first.curve.rows.tobytes(), first.stopped["epoch"], first.is_over) == (CURVE.rows.tobytes(), 3, True)
    assert (second.failure.detail, second.curve) == ("gone", None)
    assert not third.is_over


def test_what_is_to_end_it() -> None:
    for ending in (Ending("cancelled"), Ending("disconnected", at_epoch=True)):
        assert told.unpack_ending(told.pack_ending(ending)) == ending
