"""How many entries a plan makes: never fewer than are told in the end, however it ends; and what may end it."""

from typing import get_args

import pytest

from app.engine.plan import Ending, Plan, Reason, entries_of
from app.engine.spec import kinds
from app.engine.stops import AnyStop, AtEpoch

from .networks import make, slow_clock, start, train


@pytest.mark.parametrize(
    ("plan", "epochs", "entries"),
    [
        (Plan(epochs=5), 0, 5),
        (Plan(epochs=5, report_every=2), 0, 3),
        (Plan(epochs=6, report_every=3), 0, 2),
        (Plan(epochs=4, report_every=10), 0, 1),
        (Plan(epochs=4, report_every=2), 1, 3),
        (Plan(epochs=10**12, report_every=10**6), 10**15, 10**6),
    ],
)
def test_entries_of(plan: Plan, epochs: int, entries: int) -> None:
    assert entries_of(plan, epochs) == entries


@pytest.mark.parametrize("every", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("before", [0, 1, 5])
def test_there_are_as_many_and_fewer_where_it_ends_early(before: int, every: int) -> None:
    config = make()
    state, data = start(config)
    if before:
        state = train(config, state, data, epochs=before).state
    most = entries_of(Plan(epochs=20, report_every=every), before)
    assert len(train(config, state, data, epochs=20, report_every=every).entries) == most
    for end in range(1, 20):
        cut = train(
            config, state, data, slow_clock(0.006), epochs=20, report_every=every, endings={end: Ending("cancelled")}
        )
        assert len(cut.entries) <= most
        stop = (AtEpoch(value=before + end),)
        broken = train(config, state, data, epochs=20, report_every=every, stop=stop)
        assert len(broken.entries) == entries_of(Plan(epochs=end, report_every=every), before) <= most


def test_every_reason_is_named_once() -> None:
    endings = get_args(Ending.__annotations__["reason"])
    conditions = [kind.type_name() for kind in kinds(AnyStop)]
    assert sorted(get_args(Reason)) == sorted(["epochs", *conditions, *endings])
