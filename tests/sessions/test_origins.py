"""Where a parameter's value comes from, and when one was last seen."""

from app.engine import names
from app.engine.names import Address
from app.sessions.edits import Change, NewData
from app.sessions.operations import Backward, Forward, Step, Train
from app.sessions.origins import Origin, When, before_last_step, origin, when_backward, when_forward

from .making import ROWS, Cut, Walk, edit, rows

STEP = (Forward(), Backward(), Step())
MOMENTUM = {"type": "sgd", "learning_rate": 0.5, "momentum": 0.9}
HIDDEN, OUTPUT = "hidden.weight[0][1]", "output.bias[0]"


def address(walk: Walk, name: str) -> Address:
    return names.find(walk.now.config, name, "")


def set_by(walk: Walk, name: str, revision: int | None = None, epoch: int | None = None) -> tuple[int, int | None]:
    """The revision that set a number, and the epoch in it."""
    there = walk.now if revision is None and epoch is None else walk.at(revision, epoch)
    index = walk.numbers.index(there.revision)
    found = origin(walk.revisions, index, there.epoch, address(walk, name))
    assert isinstance(found, Origin)
    return walk.numbers[found.position], found.epoch


def forward_used(walk: Walk, layer: int, epoch: int | None = None) -> When | None:
    return when_forward(walk.revisions, walk.index, epoch, layer)


def backward_used(walk: Walk, layer: int, epoch: int | None = None) -> When | None:
    return when_backward(walk.revisions, walk.index, epoch, layer)


def before_last(walk: Walk, revision: int, epoch: int | None = None) -> When | None:
    return before_last_step(walk.revisions, walk.numbers.index(revision), epoch)


def test_the_start() -> None:
    session = Walk()
    assert set_by(session, HIDDEN) == (0, None)
    session.do(Forward(), Backward(), Change(name="new"))
    assert set_by(session, HIDDEN) == (0, None)
    forked = session.fork()
    forked.do(Forward())
    assert set_by(forked, OUTPUT) == (0, None)


def test_steps_and_partial_steps() -> None:
    session = Walk()
    session.do(Forward(), Backward(), Step(parameters=["output.bias"]), Backward(using="current"), Forward())
    session.do(Backward(), Step(parameters=["hidden.weight"]), Step())
    assert [set_by(session, name, 7) for name in (HIDDEN, OUTPUT)] == [(7, None), (3, None)]
    assert [set_by(session, name, 8) for name in (HIDDEN, OUTPUT)] == [(7, None), (8, None)]
    session.let_go()
    assert [set_by(session, name) for name in (HIDDEN, OUTPUT)] == [(7, None), (8, None)]


def test_trainings() -> None:
    session = Walk()
    session.do(Train(epochs=5), Forward(), Train(epochs=3))
    assert set_by(session, HIDDEN) == (3, None)
    assert set_by(session, HIDDEN, 2) == (1, None)
    assert set_by(session, HIDDEN, epoch=7) == (3, 7)
    assert set_by(session, HIDDEN, epoch=5) == (1, None)
    assert set_by(session, HIDDEN, epoch=0) == (0, None)


def test_a_training_leaves_what_is_frozen() -> None:
    layers = [{"name": "hidden", "units": 2, "trainable": False}, {"name": "output", "units": 1}]
    session = Walk(network={"inputs": 2, "layers": layers}, loss="mse")
    session.do(Train(epochs=5))
    assert [set_by(session, name) for name in (HIDDEN, OUTPUT)] == [(0, None), (1, None)]
    assert [set_by(session, name, epoch=3) for name in (HIDDEN, OUTPUT)] == [(0, None), (1, 3)]


def test_edits() -> None:
    session = Walk()
    session.do(Train(), edit({HIDDEN: 0.5}), edit({"output.bias": [0.5]}), edit({"hidden.weight[0][0]": 0.5}))
    assert [set_by(session, name) for name in (HIDDEN, OUTPUT)] == [(2, None), (3, None)]
    assert set_by(session, "hidden.weight[1][1]") == (1, None)
    assert set_by(session, HIDDEN, 1) == (1, None)
    session.do(Train())
    assert set_by(session, HIDDEN) == (5, None)


def test_edits_that_were_too_many_to_keep_are_of_the_tensors_that_they_named() -> None:
    layers = [{"name": "hidden", "units": 1100}, {"name": "output", "units": 1}]
    session = Walk(network={"inputs": 2, "layers": layers}, loss="mse")
    session.do(edit({"hidden.weight": [[0.5, 0.25]] * 1100}), Change(name="new"))
    assert not session.revisions[1].complete
    assert [set_by(session, name) for name in (HIDDEN, OUTPUT)] == [(1, None), (0, None)]


def test_edits_whose_very_names_were_too_many_may_have_been_of_any() -> None:
    layers = [{"name": "hidden", "units": 1100}, {"name": "output", "units": 1}]
    session = Walk(network={"inputs": 2, "layers": layers}, loss="mse")
    session.do(edit({f"hidden.weight[{i}][1]": 0.5 for i in range(1100)}))
    assert session.revisions[1].arguments == b"{}"
    assert [set_by(session, name) for name in (HIDDEN, OUTPUT)] == [(1, None), (1, None)]


def test_slots() -> None:
    session = Walk(optimizer=MOMENTUM)
    slot = "hidden.weight.state.momentum_buffer[0][1]"
    assert set_by(session, slot) == (0, None)
    session.do(Change(name="new"), Change(optimizer={"learning_rate": 0.25}))
    assert set_by(session, slot) == (0, None)  # it is as it was
    session.do(Train(), edit({HIDDEN: 0.5}), Change(optimizer={"learning_rate": 0.5}))
    assert [set_by(session, name) for name in (slot, HIDDEN)] == [(3, None), (4, None)]


def test_a_change_of_optimizer_empties_slots_and_leaves_parameters() -> None:
    session = Walk(optimizer=MOMENTUM)
    session.do(Train(), Change(optimizer="adam"))
    assert set_by(session, HIDDEN) == (1, None)
    for slot in ("exp_avg[0][1]", "step"):
        assert set_by(session, f"hidden.weight.state.{slot}") == (2, None)
    session.do(Change(name="new"), Forward(), Backward(), Step(parameters=["output.bias"]))
    assert set_by(session, "hidden.weight.state.exp_avg[0][1]") == (2, None)
    assert set_by(session, "output.bias.state.exp_avg[0]") == (6, None)
    session.do(Step(), Change(optimizer={"amsgrad": True}))
    assert set_by(session, "hidden.weight.state.exp_avg[0][1]") == (7, None)
    assert set_by(session, "hidden.weight.state.step") == (7, None)
    assert set_by(session, "hidden.weight.state.max_exp_avg_sq[0][1]") == (8, None)


def test_slots_that_there_were_not_before() -> None:
    session = Walk(optimizer="sgd")
    session.do(Train(), Change(optimizer=MOMENTUM))
    assert set_by(session, "hidden.weight.state.momentum_buffer[0][1]") == (2, None)
    assert set_by(session, HIDDEN) == (1, None)


def test_after_a_rewind_by_what_came_before_it() -> None:
    session = Walk()
    session.do(edit({OUTPUT: 0.5}), Train(epochs=5), edit({HIDDEN: 0.5}))
    session.rewind(epoch=3)
    session.do(Forward())
    assert [set_by(session, name) for name in (HIDDEN, OUTPUT)] == [(2, 3), (2, 3)]
    session.rewind(epoch=0)
    assert [set_by(session, name) for name in (HIDDEN, OUTPUT)] == [(0, 0), (0, 0)]


def test_what_the_last_step_started_from() -> None:
    session = Walk()
    session.do(*STEP, Train(epochs=4), Train(), Train(epochs=2, batch_size=3), Train(epochs=2, batch_size=2))
    assert before_last(session, 0) is None
    assert before_last(session, 3) == When(2, None)
    assert before_last(session, 4) == When(4, 4)
    assert before_last(session, 4, 3) == When(4, 2)
    assert before_last(session, 4, 2) == When(3, None)
    assert before_last(session, 5) == When(4, None)
    assert before_last(session, 6) == When(6, 7)
    assert before_last(session, 7) is None  # inside an epoch


def test_what_a_step_inside_an_epoch_started_from_is_not_to_be_had() -> None:
    session = Walk()
    session.do(Cut(Train(epochs=3, batch_size=1), 5), Train())
    assert before_last(session, 1) is None
    assert before_last(session, 2) == When(1, None)  # which did all the rest at once
    huge = {"type": "sgd", "learning_rate": 1e308, "momentum": 0.9}
    stuck = Walk(network={"inputs": 2, "layers": [{"units": 1}]}, loss="mse", optimizer=huge)
    stuck.do(Train(epochs=9), Train(epochs=9))
    assert stuck.revisions[1].state.steps == stuck.revisions[2].state.steps
    assert before_last(stuck, 2) is None


def test_without_the_rows_nobody_knows() -> None:
    session = Walk()
    session.do(NewData(rows(2)), Train(epochs=2), Train(epochs=2), edit({OUTPUT: 0.5}))
    session.let_go()
    assert before_last(session, 3) is None
    forked = Walk().fork()
    forked.do(Train(epochs=3))
    forked.let_go()
    assert before_last(forked, 1) == When(1, 2)


def test_when_a_pass_used_what_it_used() -> None:
    """The parameters of a layer are taken when the pass comes to it, which may be in parts."""
    session = Walk()
    assert forward_used(session, 0) is None
    session.do(Forward(until="hidden"), edit({HIDDEN: 0.75}), Forward(), edit({OUTPUT: 0.5}))
    assert [forward_used(session, layer) for layer in (0, 1)] == [When(1, None), When(3, None)]
    session.do(Forward())
    assert [forward_used(session, layer) for layer in (0, 1)] == [When(5, None)] * 2
    session.do(Forward(until="hidden"), Forward(inputs=[[1.0, 2.0]]))  # which starts anew
    assert [forward_used(session, layer) for layer in (0, 1)] == [When(7, None)] * 2
    session.let_go()
    assert [forward_used(session, layer) for layer in (0, 1)] == [When(7, None)] * 2


def test_when_a_backward_pass_used_what_it_used() -> None:
    """A layer's own gradients come through the weights of the one above it."""
    layers = [{"name": name, "units": 2} for name in ("hidden", "middle", "output")]
    session = Walk(network={"inputs": 2, "layers": layers}, loss="mse", data={**ROWS, "targets": [[0.5, 0.5]] * 3})
    session.do(Forward(), Backward(until="output"), edit({"output.weight[0][0]": 9}), Backward(until="middle"))
    assert [backward_used(session, layer) for layer in (1, 2)] == [When(1, None)] * 2
    session.do(edit({"middle.weight[0][0]": 9}), Backward(using="current"))
    assert [backward_used(session, layer) for layer in (1, 2)] == [When(6, None), When(1, None)]
    session.do(edit({"middle.weight[0][0]": 8}), Backward(using="current"))  # anew
    assert [backward_used(session, layer) for layer in (1, 2)] == [When(8, None)] * 2
    session.do(Backward())
    assert [backward_used(session, layer) for layer in (1, 2)] == [When(1, None)] * 2


def test_when_a_training_used_what_it_used() -> None:
    session = Walk()
    session.do(Train(epochs=4), Change(name="new"))
    assert [forward_used(session, 0), backward_used(session, 1)] == [When(1, 3)] * 2
    session.rewind(epoch=3)
    assert [forward_used(session, 0), backward_used(session, 1)] == [When(1, 2)] * 2
    session.rewind(1)
    assert [forward_used(session, 0, 2), backward_used(session, 1, 2)] == [When(1, 1)] * 2
    session.do(Train(batch_size=1))
    assert [forward_used(session, 0), backward_used(session, 1)] == [None] * 2
    session.rewind(0)
    session.do(Train())
    assert [forward_used(session, 0), backward_used(session, 1)] == [When(0, None)] * 2


def test_nobody_knows_when_before_a_fork() -> None:
    session = Walk()
    session.do(Forward(), Backward())
    forked = session.fork()
    assert [forward_used(forked, 0), backward_used(forked, 1)] == [None] * 2
