"""What an epoch came to is the same, however its batches were put down: worked out by hand."""

import numpy as np

from app.engine.batches import Batches
from app.engine.plan import Plan
from app.engine.tally import Tally

from .networks import DATA, make, start

OUTPUTS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
CLASSES = {**DATA, "targets": [0, 0, 0, 1, 1, 1, 0]}  # of which rows 1 and 4 are answered wrongly


def test_losses_are_weighted_by_size_and_answers_counted() -> None:
    config = make(loss="cross_entropy", data=CLASSES, layers=[{"units": 2}])
    rows, batches = start(config)[1].train, Batches(Plan(batch_size=3), 7, 0)
    tally = Tally(OUTPUTS)
    assert tally.sums(config, rows, batches, 0).begun is None
    tally.losses += [1.0, 2.0]
    assert tally.sums(config, rows, batches, 0).begun == (6, 1.5, 4, 6)
    tally.losses.append(8.5)
    sums = tally.sums(config, rows, batches, 0)
    assert (sums.rows, sums.loss, sums.accuracy) == (7, 2.5, 5 / 7)


def test_it_goes_on_from_what_was_begun() -> None:
    config = make(loss="cross_entropy", data=CLASSES, layers=[{"units": 2}])
    rows, batches = start(config)[1].train, Batches(Plan(batch_size=2), 7, 0)
    tally = Tally(OUTPUTS)
    tally.losses.append(9.0)
    tally.start(4, (4, 1.0, 3, 4))
    assert tally.sums(config, rows, batches, 0).begun == (4, 1.0, 3, 4)
    tally.losses += [4.0, 2.0]
    assert tally.sums(config, rows, batches, 0).begun == (7, 2.0, 5, 7)


def test_the_targets_are_those_of_the_epochs_own_order() -> None:
    config = make(loss="cross_entropy", data=CLASSES, layers=[{"units": 2}])
    rows, batches = start(config)[1].train, Batches(Plan(batch_size=7, shuffle=True), 7, 0)
    for epoch in (0, 1, 2, 1):
        order = batches.picked(epoch, 0, 7)
        tally = Tally(OUTPUTS[order])
        tally.losses.append(1.0)
        assert tally.sums(config, rows, batches, epoch).begun == (7, 1.0, 5, 7)


def test_a_loss_that_does_not_classify_has_no_answers() -> None:
    config = make()
    tally = Tally(None)
    tally.losses.append(0.5)
    sums = tally.sums(config, start(config)[1].train, Batches(Plan(), 7, 0), 0)
    assert (sums.begun, sums.accuracy) == ((7, 0.5, 0, 0), None)
