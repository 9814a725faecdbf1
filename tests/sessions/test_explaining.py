"""Every number is explained by numbers that are there to be read: each term has its value where it says that it was."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from app.engine import names
from app.engine.explanation import Explanation, SetBy, Term
from app.errors import LimitExceeded, WrongPhase
from app.sessions.edits import Change, NewData
from app.sessions.explaining import MAX_WORKED, Explaining
from app.sessions.operations import Backward, Forward, Operation, Step, Train
from app.sessions.session import Session
from app.sessions.sweep import Sweep
from app.settings import Settings

from .making import ROWS, Walk, edit, rows, run

STEP = (Forward(), Backward(), Step())
LEAVES = {"input", "target", "initial", "edit", "import", "fork", "slot"}
HIDDEN, OUTPUT = "hidden.weight[0][1]", "output.weight[0][0]"
MOMENTUM = {"type": "sgd", "learning_rate": 0.5, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
CLIPPED = {**MOMENTUM, "clip": {"type": "norm", "value": 0.05}, "schedule": {"type": "exponential", "gamma": 0.9}}


class When(NamedTuple):
    """As of when a number is asked for; neither: now."""

    revision: int | None = None
    epoch: int | None = None


NOW = When()


class Follower:
    """Asks for explanations, and in turn for those of their terms, each once, down to those that have none."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.operations = {revision.number: revision.operation for revision in walk.revisions}
        self.explained: dict[tuple[str, When], Explanation] = {}
        self.nameless: list[tuple[str, When, Term]] = []
        self._explaining: dict[When, Explaining] = {}

    def follow_all(self, *times: When) -> "Follower":
        """Follow every number that there is at these times (none: at every revision, and now)."""
        times = times or (*map(When, self.walk.numbers), When())
        run(self._follow_all(times))
        return self

    def follow(self, of: str, when: When = NOW) -> Explanation:
        run(self._follow([(of, when)]))
        return self.explained[of, when]

    @property
    def forgotten(self) -> list[tuple[str, When, Term]]:
        """The terms that are numbers of a snapshot, and yet nobody knows any more when they were there."""
        return [one for one in self.nameless if is_number_of_a_snapshot(one[2])]

    async def _follow_all(self, times: tuple[When, ...]) -> None:
        for when in times:
            await self._follow([(of, when) for of in numbers_of((await self._at(when)).session)])

    async def _follow(self, left: list[tuple[str, When]]) -> None:
        while left:
            of, when = place = left.pop()
            if place in self.explained:
                continue
            explaining = await self._at(when)
            self.explained[place] = found = await explaining.explain(of, 0, 0)
            self._check(place, found, explaining.session)
            for term in found.terms:
                if term.of is None:
                    self.nameless.append((of, when, term))
                    assert (term.revision, term.epoch) == (None, None)
                    continue
                then = when if term.revision is None else When(term.revision, term.epoch)
                there = (await self._at(then)).session
                value = number(there, term.of)
                assert same(value, term.value), (of, when, term.of, then, value, term.value)
                left.append((term.of, then))

    def _check(self, place: tuple[str, When], found: Explanation, session: Session) -> None:
        of, _ = place
        assert found.of == of
        assert same(found.value, number(session, of)), (place, found.value)
        address = names.find(session.config, of, "")
        if address.parameter is not None and address.part in ("", "state"):
            assert found.set_by is not None
            assert found.set_by.operation == self.operations[found.set_by.revision]
        else:
            assert found.set_by is None
        if not any(term.of for term in found.terms):
            update = any(is_number_of_a_snapshot(term) for term in found.terms)
            assert update or found.kind in LEAVES or (found.kind, found.value) == ("derivative", 1), place

    async def _at(self, when: When) -> Explaining:
        if when not in self._explaining:
            sessions, now = self.walk.sessions, self.walk.id
            session = await sessions.past.at(await sessions.load(now), *when)
            revisions = (await sessions.store.history(now)).revisions
            self._explaining[when] = Explaining(sessions, session, revisions)
        return self._explaining[when]


def numbers_of(session: Session) -> Iterator[str]:
    """The name of every number that a session has."""
    for name in names.order(session.config):
        try:
            array = names.read(session.config, session.state, names.find(session.config, name, ""))
        except WrongPhase:
            continue
        if not name.endswith(".next") or session.state.phase == "backward":
            yield from (name + "".join(f"[{i}]" for i in index) for index in np.ndindex(array.shape))


def number(session: Session, of: str) -> float:
    return names.entry(session.config, session.state, names.find(session.config, of, ""), "")


def same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)


def is_number_of_a_snapshot(term: Term) -> bool:
    """Whether a term without a name has the letter of a parameter, a slot or a gradient."""
    name = getattr(term.symbol, "name", None)
    return name not in OPTIONS and (name, getattr(term.symbol, "sub", "")) != ("m", None)


OPTIONS = {
    "n", "t", "steps", "eta", "alpha", "beta", "gamma", "epsilon", "mu", "lambda", "c", "low", "high", "u",
}  # fmt: skip


def walk(*operations: Any, budget: int | None = None, **fields: Any) -> Walk:
    made = Walk(Settings(inline_work=10**12, max_history=budget or 10**8), **fields)
    made.do(*operations)
    return made


def partial_passes(optimizer: Any = None, **fields: Any) -> Walk:
    made = walk(**fields, **({} if optimizer is None else {"optimizer": optimizer}))
    made.do(
        Forward(until="hidden"), edit({HIDDEN: 0.75}), Forward(), Backward(until="output"),
        Step(parameters=["output.weight"]), Backward(using="current"), Step(parameters=["hidden.bias"]),
        edit({OUTPUT: 0.5}), Step(), Forward(until="hidden"), edit({"output.bias": [0.25]}), Forward(),
        edit({OUTPUT: 0.125}), Backward(), edit({OUTPUT: 0.0625}), Backward(using="current"),
        Change(name="new"), Step(),
    )  # fmt: skip
    return made


def trainings(optimizer: Any, **fields: Any) -> Walk:
    """Two branches that both have an epoch 4, and a way back into one of them."""
    made = walk(Train(epochs=5), optimizer=optimizer, **fields)
    made.rewind(epoch=2)
    made.do(edit({HIDDEN: 0.5}), Train(epochs=3), Change(name="new"), Forward())
    made.rewind(1)
    made.rewind(epoch=4)
    made.do(Forward(), edit({OUTPUT: 0.25}), Backward(using="current"), Step(), Forward(), Backward())
    made.do(Train(), Train(epochs=2))
    made.rewind(epoch=6)
    return made


def optimizers() -> Walk:
    made = walk(Train(epochs=2), optimizer="adam")
    made.do(
        Change(optimizer={"amsgrad": True}), Forward(), Change(optimizer={"learning_rate": 0.25}), Backward(),
        Step(parameters=["output.bias"]), Change(name="new"), Step(), Change(optimizer=MOMENTUM), Train(epochs=2),
        Change(optimizer="sgd"), *STEP, Change(optimizer=MOMENTUM), Forward(), Train(),
        Change.model_validate({"optimizer": None}),
    )  # fmt: skip
    return made


def other_rows() -> Walk:
    own, given = Train(epochs=2), Forward(inputs=[[0.5, 0.25]], targets=[[0.5]])
    return walk(own, given, Backward(), Step(), NewData(rows(2)), Train())


SHARED: dict[str, Any] = {
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden", "units": 2, "activation": "tanh", "bias": "shared"},
            {"name": "middle", "units": 2, "trainable": False},
            {"name": "output", "units": 2, "activation": "softmax", "bias": "none"},
        ],
    },
    "loss": "mse",
    "data": {"inputs": ROWS["inputs"], "targets": [[1, 0], [0, 1], [0.5, 0.5]]},
}


def three_layers() -> Walk:
    return walk(*STEP, Train(epochs=2), Forward(), edit({"middle.bias[0]": 1}), Backward(), Step(), **SHARED)


CASES: dict[str, Callable[[], Walk]] = {
    "partial passes": partial_passes,
    "partial passes with slots": lambda: partial_passes(MOMENTUM),
    "partial passes, nothing kept": lambda: partial_passes("adam", budget=1),
    "trainings": lambda: trainings("sgd"),
    "trainings with momentum": lambda: trainings(CLIPPED),
    "trainings with adam": lambda: trainings({"type": "adam", "amsgrad": True}),
    "trainings in float32": lambda: trainings("rmsprop", dtype="float32"),
    "trainings, nothing kept": lambda: trainings("sgd", budget=1),
    "trainings with adam, nothing kept": lambda: trainings("adam", budget=1),
    "optimizers": optimizers,
    "other rows": other_rows,
    "three layers": three_layers,
}


@pytest.mark.parametrize("case", CASES)
def test_each_term_has_its_value_where_it_is_to_be_read(case: str) -> None:
    follower = Follower(CASES[case]()).follow_all()
    assert follower.forgotten == []
    assert follower.nameless != []


@pytest.mark.parametrize("case", ["trainings", "trainings with adam", "trainings, nothing kept"])
def test_epochs_inside_trainings(case: str) -> None:
    """Both branches have an epoch 4; with a revision it is the one on the way there."""
    session = CASES[case]()
    branches = [When(1, 4), When(4, 4)]
    follower = Follower(session).follow_all(*branches, When(None, 4), When(1, 1), When(4, 0), When(4, 2), When(4, 5))
    assert follower.forgotten == []
    here, there = (follower.explained[HIDDEN, when] for when in branches)
    assert [found.set_by.revision for found in (here, there) if found.set_by] == [1, 4]
    assert here.value != there.value
    terms = [[term for term in found.terms if term.of == HIDDEN] for found in (here, there)]
    assert [[(term.revision, term.epoch) for term in some] for some in terms] == [[(1, 3)], [(4, 3)]]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", CLIPPED])
@pytest.mark.parametrize("budget", [None, 1])
def test_what_a_step_within_an_epoch_started_from_is_not_there_to_be_read(optimizer: Any, budget: int | None) -> None:
    """Parameters and slots alone: the gradients that the step took are still there, and what came before is."""
    session = walk(Train(epochs=2), optimizer=optimizer, budget=budget)
    session.do(Train(epochs=3, batch_size=2, shuffle=True), edit({HIDDEN: 0.5}), Forward(), Backward(), Step())
    session.rewind(epoch=4)
    follower = Follower(session).follow_all().follow_all(When(2, 3), When(2, 4), When(None, 4))
    assert follower.forgotten != []
    for of, when, term in follower.forgotten:
        assert not of.endswith(".next")
        assert hasattr(term.symbol, "name"), term  # and so no gradient
        assert when.revision in (None, 2, 3, 4, 5, 6, 7)
    now = follower.explained[HIDDEN, When(6)]
    assert all(term.of is not None for term in now.terms if is_number_of_a_snapshot(term))


def test_a_fork_of_an_epoch_inside_a_training() -> None:
    """Its numbers are what it took over; those that its trace was computed with stayed behind."""
    forked = trainings(CLIPPED).fork(1, 4)
    follower = Follower(forked).follow_all(When(0))
    taken = follower.explained[HIDDEN, When(0)]
    assert (taken.kind, taken.terms, taken.set_by and taken.set_by.operation) == ("fork", (), "fork")
    assert taken.title.endswith("as it was at the end of epoch 4 of the session that this one was forked from")
    assert {of.split(".")[1][:1] for of, _, _ in follower.forgotten} <= {"z", "d"}
    forked.do(*STEP, Train(epochs=2), edit({HIDDEN: 0.5}))
    later = Follower(forked).follow_all(*map(When, range(1, 6)), When(4, 6))
    assert {when.revision for _, when, _ in later.forgotten} <= {0}
    whole = trainings("sgd").fork(3)
    assert "at revision 3 of the session" in Follower(whole).follow(HIDDEN).title


DRAWN: dict[str, Any] = {
    "network": {"inputs": 2, "layers": [{"name": "hidden", "units": 2, "activation": "tanh"},
                                        {"name": "output", "units": 1, "init": {"weight": 0.25, "bias": [0.5]}}]},
    "loss": "mse",
}  # fmt: skip


def swept(source: Walk, **vary: Any) -> list[Walk]:
    """Walks through the sessions of a sweep from here, each trained for two epochs."""

    async def sweep() -> list[str]:
        what = Sweep.model_validate({"vary": vary, "train": {"epochs": 2}})
        one = await source.sessions.sweep(await source.sessions.load(source.id), what)
        await one.end()
        return [item.session for item in one.items]

    return [source.through(session_id) for session_id in run(sweep())]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_fork_of_a_sweep_that_starts_anew(optimizer: str) -> None:
    """Its numbers come from the initialiser, as those of a session that is made with its seed."""
    [forked] = swept(walk(Train(epochs=3), optimizer=optimizer, **DRAWN), seed=[7])
    made = walk(Train(epochs=2), optimizer=optimizer, **DRAWN, seed=7)
    follower, expected = Follower(forked).follow_all(), Follower(made).follow_all()
    assert follower.forgotten == []
    assert follower.explained.keys() == expected.explained.keys()
    for place, found in follower.explained.items():
        set_by = expected.explained[place].set_by
        if set_by is not None and set_by.revision == 0:
            assert (set_by.operation, found.set_by) == ("create", SetBy(0, "fork"))
            set_by = found.set_by
        assert found == replace(expected.explained[place], set_by=set_by)
    start = When(0)
    drawn, given = follower.explained[HIDDEN, start], follower.explained[OUTPUT, start]
    assert (drawn.kind, given.kind) == ("initial", "initial")
    assert drawn.title.startswith(f"{HIDDEN}, drawn by the initialiser ")
    assert given.title == f"{OUTPUT}, given in the config"
    assert follower.explained[HIDDEN, When(1)].set_by == SetBy(1, "train")


def test_a_fork_of_a_sweep_that_goes_on() -> None:
    """Its numbers are what it took over; another optimizer's slots are not, and begin with it."""
    source = walk(Train(epochs=3), optimizer=MOMENTUM, **DRAWN)
    for forked, kept in zip(swept(source, optimizer=[{"momentum": 0.5}, "adam"]), (True, False), strict=True):
        follower = Follower(forked).follow_all(When(0), When(1), When(1, 4), NOW)
        taken = follower.explained[HIDDEN, When(0)]
        assert (taken.kind, taken.set_by) == ("fork", SetBy(0, "fork"))
        assert taken.title.endswith("as it was at revision 1 of the session that this one was forked from")
        slot = "hidden.weight.state." + ("momentum_buffer" if kept else "exp_avg") + "[0][1]"
        found = follower.explained[slot, When(0)]
        assert (found.kind, found.set_by) == ("fork" if kept else "slot", SetBy(0, "fork"))
        assert ("of the session" if kept else "before any update") in found.title
        assert (found.value != 0) is kept
        for epoch in (4, None):
            later = follower.explained[HIDDEN, When(1, epoch)]
            assert later.set_by == SetBy(1, "train")
        terms = {term.of: term for term in follower.explained[HIDDEN, When(1, 4)].terms}
        assert terms[HIDDEN].revision == 0  # its first epoch started from what it took over


def test_a_name_changes_nothing() -> None:
    session = walk(Train(epochs=4), optimizer=CLIPPED)
    before = Follower(session).follow_all(When())
    session.do(Change(name="one"), Change(name="two"))
    after = Follower(session).follow_all(When())
    for place, found in before.explained.items():
        assert after.explained[place] == found


def test_an_edit_of_too_many_numbers_set_the_tensors_that_it_named() -> None:
    layers = [{"name": "hidden", "units": 1100}, {"name": "output", "units": 1}]
    session = walk(network={"inputs": 2, "layers": layers}, loss="mse")
    session.do(edit({"hidden.weight": [[0.5, 0.25]] * 1100}))
    follower = Follower(session)
    changes = {of: follower.follow(of).set_by for of in (HIDDEN, "hidden.bias[7]", OUTPUT, "output.bias[0]")}
    told = {of: (change.revision, change.operation) for of, change in changes.items() if change}
    assert told.pop(HIDDEN) == (1, "edit")
    assert set(told.values()) == {(0, "create")}


def test_the_worked_example_is_every_explanation_of_the_step() -> None:
    session = walk(Train(epochs=2), optimizer=CLIPPED)
    steps: list[Operation] = [Change(name="new"), *STEP]
    for operation in steps:
        now = session.do(operation)
        found = run(Explaining(session.sessions, now, session.revisions).worked_example())
        follower = Follower(session)
        assert [one.of for one in found if one.of] == list(dict.fromkeys(one.of for one in found if one.of))
        for one in found:
            assert one == follower.follow(one.of)
        updates = {one.of for one in found if one.of.endswith(".next[0][1]")}
        next_ones = {"hidden.weight.next[0][1]", "output.weight.next[0][1]"}
        assert updates == (next_ones if now.state.phase == "backward" else set())


def test_a_worked_example_of_nothing_and_of_too_much() -> None:
    session = walk()
    with pytest.raises(WrongPhase):
        run(Explaining(session.sessions, session.now, session.revisions).worked_example())
    session.do(Forward(inputs=[[1.0, 2.0]] * MAX_WORKED))
    with pytest.raises(LimitExceeded) as caught:
        run(Explaining(session.sessions, session.now, session.revisions).worked_example())
    assert caught.value.extra["limit"] == MAX_WORKED


def test_the_ledger_of_a_gradient_is_made_when_it_is_asked_for() -> None:
    session = walk(Forward(), Backward())
    explaining = Explaining(session.sessions, session.now, session.revisions)
    of = "hidden.weight.gradient[0][1]"
    found = run(explaining.explain(of, 2, 8))
    assert found.chain is not None
    assert (len(found.chain.samples), found.chain.more_count) == (2, 1)
    assert run(explaining.explain(of, 0, 0)).chain is None
