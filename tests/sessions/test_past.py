"""The past of a session, for its readers."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from engine.networks import assert_same

from app.errors import InvalidInput, RevisionGone
from app.sessions.edits import Change
from app.sessions.operations import Backward, Forward, Step, Train
from app.sessions.past import Place, find, size_of
from app.settings import Settings

from .making import Walk, edit, gate_reads, long_walk, run

STEP = (Forward(), Backward(), Step())


def branches(**fields: Any) -> Walk:
    """Epochs 3 to 5 twice, in revisions 1 and 4: the second time after an edit."""
    session = Walk(**fields)
    session.do(Train(epochs=5))
    session.rewind(epoch=2)
    session.do(edit({"output.bias": [0.5]}), Train(epochs=3))
    return session


def test_find() -> None:
    revisions = branches().revisions
    assert find(revisions, 4, None, None, "?") == find(revisions, 0, 4, None, "?") == Place(4, None)
    assert find(revisions, 4, None, 4, "?") == Place(4, 4)
    assert find(revisions, 4, None, 5, "?") == find(revisions, 0, 4, 5, "?") == Place(4, None)
    assert find(revisions, 4, 1, 4, "?") == Place(1, 4)
    assert find(revisions, 4, 1, 5, "?") == Place(1, None)
    assert find(revisions, 4, 4, 2, "?") == Place(2, None)
    assert find(revisions, 0, None, 4, "?") == Place(1, 4)


@pytest.mark.parametrize(
    ("revision", "epoch", "place"),
    [(5, None, "revision"), (5, 1, "revision"), (None, 6, "epoch"), (4, 6, "epoch"), (3, 4, "epoch"), (0, 1, "epoch")],
)
def test_what_never_was(revision: int | None, epoch: int | None, place: str) -> None:
    revisions = branches().revisions
    for pointer in ("?", "/", "?against_"):
        with pytest.raises(InvalidInput) as caught:
            find(revisions, 4, revision, epoch, pointer)
        assert [error.pointer for error in caught.value.errors] == [pointer + place]


def test_a_reader_stands_where_it_asked_to() -> None:
    session = branches(optimizer="adam")
    now = session.now
    assert run(session.sessions.past.at(now)) is now
    places = [(1, 4, "1-epoch4"), (4, 4, "4-epoch4"), (4, 2, "2"), (None, 1, "1-epoch1"), (4, 5, "4")]
    for revision, epoch, stands in places:
        there = session.at(revision, epoch)
        assert there.tag == stands
        assert (there.state.epochs, there.id, there.latest_revision) == (epoch, now.id, 4)
    assert session.at(1, 4).state.parameters.tolist() != session.at(4, 4).state.parameters.tolist()
    assert session.now is now


def test_a_rewind_and_a_fork_take_the_epoch_of_a_revision() -> None:
    session = branches()
    expected = [session.at(number, 4).state for number in (1, 4)]
    forks = [session.fork(number, 4).now for number in (1, 4)]
    for number, state, fork in zip((1, 4), expected, forks, strict=True):
        assert_same(fork.state, state)
        assert fork.forked_from is not None
        assert fork.forked_from[1:] == (number, 4)
        found = session.rewind(number, 4)
        assert_same(found.state, state)
        assert session.revisions[-1].source == number


def test_after_a_change_of_config_a_reader_has_the_one_of_then() -> None:
    session = Walk(optimizer="adam")
    session.do(Train(epochs=3), Change(optimizer="sgd"), Train(epochs=2))
    assert [session.at(epoch=epoch).config.optimizer.type for epoch in (1, 3, 4)] == ["adam", "adam", "sgd"]


@pytest.mark.parametrize("optimizer", ["sgd", {"type": "sgd", "momentum": 0.9}, "adam"])
@pytest.mark.parametrize("batch_size", [None, 1, 2])
@pytest.mark.parametrize("budget", [1, 10**6])
def test_before_an_update(optimizer: Any, batch_size: int | None, budget: int) -> None:
    """The state that the last step of a training began with, so that the same step leads to what came of it."""
    session = Walk(Settings(max_history=budget), optimizer=optimizer)
    session.do(Train(epochs=4, batch_size=batch_size), *STEP)
    by_hand = run(session.sessions.past.before_update(session.now, 4, None))
    assert_same(by_hand, session.at(3).state)
    for epoch in (2, None):
        found = run(session.sessions.past.before_update(session.now, 1, epoch))
        there = session.at(1, epoch).state
        assert (found.phase, found.steps) == ("backward", there.steps - 1)
        assert found.parameters.tolist() == there.used.tolist()
        assert found.gradients is not None
        assert there.gradients is not None
        assert found.gradients.tolist() == there.gradients.tolist()
        job = Step().prepare(session.at(1)._replace(state=found), session.settings)
        again = job.run(lambda: False).changes["state"]
        assert again.parameters.tolist() == there.parameters.tolist()
        assert again.slots.tolist() == there.slots.tolist()
        assert again.updates == there.updates


def test_frozen_tensors_were_not_updated() -> None:
    layers = [{"name": "hidden", "units": 2, "trainable": False}, {"name": "output", "units": 1}]
    session = Walk(network={"inputs": 2, "layers": layers}, loss="mse", optimizer="sgd")
    session.do(Train(epochs=3))
    assert run(session.sessions.past.before_update(session.now, 1, None)).updates == (0, 0, 2, 2)


def test_the_size_of_a_place() -> None:
    session = Walk()
    session.do(Forward(inputs=[[1.0, 2.0]] * 500), Train(epochs=3))
    revisions = session.revisions
    sizes = [revision.state.nbytes for revision in revisions]
    assert size_of(revisions, Place(1, None)) == sizes[1] > sizes[2] == size_of(revisions, Place(2, None))
    assert size_of(revisions, Place(2, 1)) == sizes[1]
    assert size_of(revisions, Place(0, None)) == size_of(revisions, Place(0, 0)) == sizes[0]
    session.let_go()
    assert size_of(session.revisions, Place(2, 1)) == sizes[1]  # an outline still tells


def test_what_takes_too_much_work_is_gone() -> None:
    session = Walk(Settings(max_work=10_000_000, max_history=1))
    session.do(*([Train(epochs=300)] * 4))
    with pytest.raises(RevisionGone):
        session.at(3)
    with pytest.raises(RevisionGone):
        session.at(4, 1000)


LONG = 20_000


def test_a_long_past(report: Callable[[str], None]) -> None:
    """What it takes to find something in it; a long way back is looked for in a thread."""
    session = long_walk(LONG, Settings(max_history=2_000))
    assert len(session.kept) <= 2
    reads, times = gate_reads(session.sessions), {}

    def timed(name: str, revision: int | None, epoch: int | None = None, threads: int = 0, refused: Any = None) -> None:
        before, started = reads.count, time.perf_counter()
        if refused is None:
            assert session.at(revision, epoch).revision == (revision if epoch is None else 100 * epoch - 97)
        else:
            with pytest.raises(refused):
                session.at(revision, epoch)
        times[name] = time.perf_counter() - started
        assert reads.count - before == threads, name

    timed("the last", LONG)
    timed("revision 10", 10)  # near the first, which is kept
    timed("revision 19,000", 19_000, threads=1)
    timed("epoch 1", None, 1)
    timed("epoch 190", None, 190, threads=1)
    timed("no such epoch", None, 10**6, refused=InvalidInput)
    timed("no such epoch on the way", LONG, 10**6, refused=InvalidInput)
    timed("no such revision", LONG + 1, refused=InvalidInput)
    session.sessions.close()
    told = ", ".join(f"{name} {1e3 * spent:.0f} ms" for name, spent in times.items())
    report(f"a past of {LONG:,} revisions that are not kept: {told}")
