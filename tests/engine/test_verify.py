"""Grading: what is right, what follows, what is wrong; in every phase; and what is refused."""

import json
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.engine import names, passes
from app.engine.network import Config
from app.engine.presets import NOTEBOOK
from app.engine.rows import Rows
from app.engine.state import State
from app.engine.verify import MAX_VALUES, Verified, Verify, verify, verify_bytes, verify_work
from app.errors import MAX_FIELD_ERRORS, InvalidInput, WrongPhase

from .grading import sent
from .hand import Hand, activation, derivative
from .networks import forward, gradients, make, start, step

CONFIG = make(**NOTEBOOK)
STATE, DATA = start(CONFIG)
ROWS = DATA.train

RIGHT: dict[str, Any] = {
    "hidden.z": [["0.37750", "0.39250"]],
    "hidden.a": [["0.59327", "0.59688"]],
    "output.z": [["1.10591"]],
    "output.a": [["0.75137"]],
    "outputs": [["0.75137"]],
    "loss": "0.27481",
    "output.dL_da": [["0.74137"]],
    "output.da_dz": [["0.18681"]],
    "output.dL_dz": [["0.13850"]],
    "output.weight.gradient": [["0.08217", "0.08267"]],
    "output.bias.gradient": ["0.13850"],
    "hidden.dL_da": [["0.05540", "0.06232"]],
    "hidden.dL_dz": [["0.01337", "0.01500"]],
    "hidden.weight.gradient": [["0.00067", "0.00134"], ["0.00075", "0.00150"]],
    "hidden.bias.gradient": ["0.02837"],
    "gradient_norm": "0.18324",
    "hidden.weight.next": [["0.14967", "0.19933"], ["0.24963", "0.29925"]],
    "hidden.bias.next": ["0.33582"],
    "output.weight.next": [["0.35892", "0.40867"]],
    "output.bias.next": ["0.53075"],
}
UPDATED_TOO_SOON: dict[str, Any] = {
    "hidden.dL_dz": [["0.01199", "0.01362"]],
    "hidden.weight.gradient": [["0.00060", "0.00120"], ["0.00068", "0.00136"]],
    "hidden.weight.next": [["0.14970", "0.19940"], ["0.24966", "0.29932"]],
}


def graded(
    values: dict[str, Any], config: Config = CONFIG, state: State = STATE, rows: Rows | None = ROWS, **fields: Any
) -> Verified:
    result = verify(config, state, rows, Verify.model_validate({"values": values, **fields}))
    json.dumps(result, allow_nan=False)
    return result


def statuses(result: Verified) -> list[str]:
    return [item["status"] for item in result["items"]]


def slip_of(result: Verified) -> str | None:
    cause = result["likely_cause"]
    return cause and cause["slip"]


def refusals(values: Any, config: Config = CONFIG) -> list[tuple[str, str]]:
    state, data = start(config)
    with pytest.raises(InvalidInput) as caught:
        graded(values, config, state, data.train)
    return [(error.pointer, error.detail) for error in caught.value.errors]


def exact(config: Config, state: State, name: str) -> Any:
    return names.read(config, state, names.find(config, name, "")).tolist()


# ----- right and wrong


def test_a_whole_step_that_is_right() -> None:
    result = graded(RIGHT)
    assert set(statuses(result)) == {"correct", "rounded"}
    assert result["score"] == {"correct": 32, "of": 32}
    assert result["first_wrong"] is None
    assert result["likely_cause"] is None


def test_weights_that_were_updated_before_they_were_used() -> None:
    result = graded({**RIGHT, **UPDATED_TOO_SOON, "hidden.bias.gradient": None, "hidden.bias.next": None,
                     "hidden.dL_da": None, "gradient_norm": None})  # fmt: skip
    found = {item["name"]: item["status"] for item in result["items"]}
    assert found["hidden.dL_dz"] == "wrong"
    assert found["hidden.weight.gradient"] == found["hidden.weight.next"] == "follows_from_earlier_mistake"
    assert found["output.weight.next"] == "rounded"
    assert result["first_wrong"] == {
        "name": "hidden.dL_dz", "index": [0, 0], "given": 0.01199, "status": "wrong",
        "expected": pytest.approx(0.0133679204),
    }  # fmt: skip
    cause = result["likely_cause"]
    assert cause is not None
    assert (cause["slip"], cause["name"]) == ("weight_updated_before_use", "hidden.dL_dz")
    assert cause["items"] == [{"name": "hidden.dL_dz", "index": [0, 0]}, {"name": "hidden.dL_dz", "index": [0, 1]}]
    assert cause["value"] == pytest.approx(0.01199, abs=1e-5)
    assert cause["explanation"]["text"] == (
        "hidden.dL_dz was computed with the output weights after their update (0.35892, 0.40867) "
        "in place of those of the forward pass (0.40, 0.45)"
    )
    assert cause["explanation"]["mathml"].startswith("<math")


def test_the_slip_was_in_a_term_that_was_not_sent() -> None:
    result = graded({"hidden.weight.gradient": UPDATED_TOO_SOON["hidden.weight.gradient"]})
    assert statuses(result) == ["wrong"] * 4
    cause = result["likely_cause"]
    assert cause is not None
    assert (cause["slip"], cause["name"]) == ("weight_updated_before_use", "hidden.dL_dz")
    assert {item["name"] for item in cause["items"]} == {"hidden.weight.gradient"}


def test_a_mistake_in_the_first_term_is_followed_to_the_last() -> None:
    z, a = 0.4775, 0.61716  # 0.1 too much, and its sigmoid
    result = graded({"hidden.z": [[f"{z:.5f}", "0.39250"]], "hidden.a": [[f"{a:.5f}", "0.59688"]],
                     "output.z": [[f"{0.4 * a + 0.45 * 0.59688 + 0.6:.5f}"]]})  # fmt: skip
    assert statuses(result) == [
        "wrong", "correct", "follows_from_earlier_mistake", "rounded", "follows_from_earlier_mistake"
    ]  # fmt: skip
    assert result["likely_cause"] is None
    assert result["score"] == {"correct": 2, "of": 5}


@pytest.mark.parametrize(("last", "status"), [
    ("-29.37", "follows_from_earlier_mistake"), ("-29.20", "follows_from_earlier_mistake"), ("-29.31", "wrong"),
])  # fmt: skip
def test_all_digits_are_kept_after_a_slip(last: str, status: str) -> None:
    """Who computes on with what the slip gave before it was rounded is right as well."""
    config = make(inputs=1, layers=[{"name": "l", "units": 1, "bias": "none", "init": {"weight": 1.0}},
                                    {"name": "m", "units": 1, "bias": "none", "init": {"weight": 40.0}}],
                  data={"type": "inline", "inputs": [[0.7342]], "targets": [[0.0]]})  # fmt: skip
    state, data = start(config)
    values = {"l.z": [["-0.73"]], "l.a": [["-0.73"]], "m.z": [[last]]}
    result = graded(values, config, state, data.train)
    assert slip_of(result) == "sign_flipped"
    assert statuses(result) == ["wrong", "follows_from_earlier_mistake", status]


def test_what_is_right_though_what_went_before_it_is_not() -> None:
    result = graded({"hidden.z": [["0.5", "0.4"]], "hidden.a": RIGHT["hidden.a"]}, decimals=5)
    assert statuses(result) == ["wrong", "wrong", "rounded", "rounded"]


@pytest.mark.parametrize(("given", "status"), [
    (0.37750, "correct"), (0.3775000000001, "correct"), ("0.37750", "correct"), ("+3.775e-1", "correct"),
    (".3775", "correct"), ("3775.e-4", "correct"), ("0.3776", "rounded"), ("0.3777", "wrong"),
])  # fmt: skip
def test_correct(given: Any, status: str) -> None:
    assert statuses(graded({"hidden.z[0][0]": given})) == [status]


def test_half_a_unit_and_one() -> None:
    # hidden.z[0][1] is 0.3925 exactly; hidden.a[0][1] is 0.596884, and 0.596884 follows from it
    assert statuses(graded({"hidden.a[0][1]": "0.5969"})) == ["rounded"]
    assert statuses(graded({"hidden.a[0][1]": "0.5968"})) == ["rounded"]  # within one unit of what follows
    assert statuses(graded({"hidden.a[0][1]": "0.5967"})) == ["wrong"]
    assert statuses(graded({"inputs[0][0]": "0.0504"}, decimals=3)) == ["rounded"]
    assert statuses(graded({"inputs[0][0]": "0.0506"}, decimals=3)) == ["wrong"]


@pytest.mark.parametrize("inputs", [2, 16, 200, 20_000])
@pytest.mark.parametrize("decimals", [2, 4])
def test_the_window_of_what_follows_from_given_facts(inputs: int, decimals: int) -> None:
    rng = np.random.default_rng(inputs)
    layer = {"name": "l", "units": 1, "init": {"weight": rng.uniform(-1, 1, (1, inputs)).round(3).tolist()}}
    rows = {"type": "inline", "inputs": rng.uniform(-1, 1, (1, inputs)).round(2).tolist(), "targets": [[0.5]]}
    config = make(inputs=inputs, layers=[layer], data=rows)
    state, data = start(config)
    right = exact(config, gradients(config, state, data.train), "l.z")[0][0]
    for units in (-2, -1.01, -0.99, 0, 0.99, 1.01, 2):
        given = {"l.z": [[right + units * 10.0**-decimals]]}
        expected = {"rounded", "correct"} if abs(units) < 1 else {"wrong"}
        assert set(statuses(graded(given, config, state, data.train, decimals=decimals))) <= expected


@pytest.mark.parametrize("name", [
    "hidden.z", "hidden.a", "output.z", "output.a", "outputs", "loss", "output.dL_da", "output.da_dz", "output.dL_dz",
    "output.weight.gradient", "hidden.dL_da", "hidden.da_dz", "hidden.dL_dz", "hidden.weight.gradient",
    "hidden.bias.gradient", "gradient_norm", "output.weight.next", "hidden.bias.next",
])  # fmt: skip
def test_the_window_of_what_follows_from_what_was_sent(name: str) -> None:
    """Everything before it was sent, in 3 decimals: one unit from what follows, or half a unit from the exact value."""
    hand = Hand(CONFIG.model_dump(mode="json"), 3).work()
    before = sent(hand.written, list(hand.written)[: list(hand.written).index(name)], 3)
    right, follows = exact(CONFIG, gradients(CONFIG, STATE, ROWS), name), [hand.unrounded[name]]
    if name.endswith("da_dz"):
        follows.append(
            derivative({"type": "sigmoid"}, 0, activation({"type": "sigmoid"}, hand.written[name[:-5] + "z"]))
        )
    for units in np.arange(-4, 4.01, 0.25):
        given = follows[0] + units / 1000
        found = [
            item["status"] != "wrong"
            for item in graded({**before, name: given.tolist()}, decimals=3)["items"]
            if item["name"] == name
        ]
        near = np.abs(given - right) <= 0.0005
        for value in follows:
            near |= np.abs(given - value) <= 0.001 + 1e-12
        assert found == np.ravel(near).tolist()
        assert abs(units) < 3 or not any(found)


def test_a_value_with_nothing_before_it_is_not_taken_loosely() -> None:
    assert statuses(graded({"gradient_norm": "0.23"})) == ["wrong"]  # 0.18
    assert statuses(graded({"gradient_norm": "0.16"})) == ["wrong"]


def test_a_derivative_from_z_or_from_a() -> None:
    layer = {"name": "l", "units": 1, "activation": "tanh", "init": {"weight": 1.0, "bias": 0.0}}
    config = make(inputs=1, layers=[layer], data={"type": "inline", "inputs": [[1.744]], "targets": [[1]]})
    state, data = start(config)
    # a is 0.9407; 1 - 0.94² is 0.1164, and of z itself 1 - tanh²(1.74) is 0.1160
    for slope, status in (("0.12", "rounded"), ("0.10", "wrong"), ("0.13", "wrong")):
        values = {"l.z": [["1.74"]], "l.a": [["0.94"]], "l.da_dz": [[slope]]}
        assert statuses(graded(values, config, state, data.train))[-1] == status
    # a with a mistake in it: the derivative may be had from either
    for slope, status in (("0.36", "follows_from_earlier_mistake"), ("0.12", "rounded"), ("0.20", "wrong")):
        values = {"l.a": [["0.80"]], "l.da_dz": [[slope]]}
        assert statuses(graded(values, config, state, data.train))[-1] == status
    for slope, status in (("0.42", "follows_from_earlier_mistake"), ("0.12", "rounded"), ("0.30", "wrong")):
        values = {"l.z": [["1.00"]], "l.a": [["0.94"]], "l.da_dz": [[slope]]}
        assert statuses(graded(values, config, state, data.train))[-1] == status


def test_decimals_are_the_most_of_any_number() -> None:
    values = {"hidden.a[0][0]": "0.593", "hidden.a[0][1]": "0.59688"}
    assert statuses(graded(values)) == ["wrong", "rounded"]
    assert statuses(graded(values, decimals=3)) == ["rounded", "rounded"]
    assert statuses(graded({**values, "hidden.a[0][1]": None})) == ["rounded"]
    assert statuses(graded({"hidden.a[0][0]": "0.5930", "loss": 1})) == ["wrong", "wrong"]
    assert statuses(graded({"hidden.a[0][0]": 1, "loss": "0"})) == ["rounded", "rounded"]
    assert statuses(graded({"hidden.weight.gradient[0][0]": 6.6839e-4})) == ["rounded"]


def test_full_precision() -> None:
    state = gradients(CONFIG, STATE, ROWS)
    values = {name: exact(CONFIG, state, name) for name in names.order(CONFIG)}
    result = graded(values)
    assert set(statuses(result)) == {"correct"}
    assert result["score"]["of"] == sum(np.size(value) for value in values.values())
    values["hidden.dL_dz"][0][1] *= 1 + 1e-6
    assert statuses(graded(values)).count("wrong") == 1


def test_items_come_in_the_order_of_computation() -> None:
    result = graded(dict(sorted(RIGHT.items(), reverse=True)))
    seen = list(dict.fromkeys(item["name"] for item in result["items"]))
    assert seen == [name for name in names.order(CONFIG) if name in RIGHT]
    assert [item["index"] for item in result["items"] if item["name"] == "hidden.weight.gradient"] == [
        [0, 0], [0, 1], [1, 0], [1, 1]
    ]  # fmt: skip
    assert next(item["index"] for item in result["items"] if item["name"] == "loss") == []


def test_blanks_and_single_entries() -> None:
    result = graded({"hidden.weight.gradient": [None, [None, "0.00150"]], "hidden.z[0][1]": "0.39250", "loss": None,
                     "hidden.weight.gradient[0][0]": 0.00067})  # fmt: skip
    assert [(item["name"], item["index"]) for item in result["items"]] == [
        ("hidden.z", [0, 1]), ("hidden.weight.gradient", [0, 0]), ("hidden.weight.gradient", [1, 1]),
    ]  # fmt: skip
    assert result["items"][0]["given"] == 0.3925
    assert graded({"loss": None}) == {
        "items": [], "first_wrong": None, "likely_cause": None, "score": {"correct": 0, "of": 0}
    }  # fmt: skip


def test_reveal() -> None:
    values = {**UPDATED_TOO_SOON, "hidden.z": RIGHT["hidden.z"]}
    everything, first, nothing = (graded(values, reveal=reveal) for reveal in ("all", "first_wrong", "none"))
    assert all(item["expected"] is not None for item in everything["items"])
    assert [item["expected"] for item in first["items"] if item["expected"] is not None] == [pytest.approx(0.01336792)]
    assert first["first_wrong"] == everything["first_wrong"]
    assert all(item["expected"] is None for item in nothing["items"])
    assert nothing["first_wrong"] == {**(everything["first_wrong"] or {}), "expected": None}
    assert statuses(everything) == statuses(first) == statuses(nothing)
    cause, hint = first["likely_cause"], nothing["likely_cause"]
    assert cause is not None
    assert hint is not None
    assert cause == everything["likely_cause"]
    assert hint["value"] is None
    assert (hint["slip"], hint["name"], hint["items"]) == (cause["slip"], cause["name"], cause["items"])
    assert not any(character.isdecimal() for character in "".join(map(str, hint["explanation"].values())))


# ----- the facts


def test_what_is_given_is_graded_simply() -> None:
    values = {"inputs": [[0.05, 0.1]], "targets": [[0.01]], "hidden.weight": [[0.15, 0.2], [0.25, 0.3]],
              "hidden.bias": [0.35]}  # fmt: skip
    assert set(statuses(graded(values))) == {"correct"}


def test_an_input_that_was_copied_wrongly() -> None:
    result = graded({"inputs": [["0.50", "0.10"]], "hidden.z": [["0.4450", "0.5050"]]})
    assert statuses(result) == ["wrong", "correct", "follows_from_earlier_mistake", "follows_from_earlier_mistake"]
    assert result["likely_cause"] is None


def test_a_weight_and_a_target_that_were_copied_wrongly() -> None:
    result = graded({"output.weight": [["0.04", "0.45"]], "output.z": [["0.89233"]], "output.a": [["0.70938"]]})
    assert statuses(result)[0] == "wrong"
    assert statuses(result)[2:] == ["follows_from_earlier_mistake"] * 2
    result = graded({"targets": [["0.11"]], "output.dL_da": [["0.64137"]]})
    assert statuses(result) == ["wrong", "follows_from_earlier_mistake"]
    result = graded({"hidden.bias": ["-0.35"], "hidden.z[0][0]": "-0.3225"})
    assert statuses(result) == ["wrong", "follows_from_earlier_mistake"]
    assert slip_of(result) == "sign_flipped"


def test_classes() -> None:
    config = make(
        layers=[{"name": "scores", "units": 3}], loss="cross_entropy",
        data={"type": "inline", "inputs": [[1, 2], [3, 4]], "targets": [0, 2]},
    )  # fmt: skip
    state, data = start(config)
    right = exact(config, gradients(config, state, data.train), "scores.dL_dz")
    result = graded({"targets": [1, 2], "scores.dL_dz": right}, config, state, data.train)
    assert statuses(result) == ["wrong", "correct", *["correct"] * 6]


# ----- phases


@pytest.mark.parametrize("until", ["hidden", "output"])
def test_a_forward_pass_under_way(until: str) -> None:
    begun = passes.begin(STATE, ROWS.inputs, ROWS.targets, own_rows=True)
    assert graded(RIGHT, state=passes.forward(CONFIG, begun, until=until))["score"]["correct"] == 32


@pytest.mark.parametrize("until", ["output", "hidden"])
def test_a_backward_pass_under_way(until: str) -> None:
    state = passes.backward(CONFIG, forward(CONFIG, STATE, ROWS), until=until)
    assert graded(RIGHT, state=state)["score"]["correct"] == 32


def test_the_last_forward_pass_had_rows_of_its_own() -> None:
    inputs, targets = np.array([[0.5, 1.0]]), np.array([[0.3]])
    begun = passes.begin(STATE, inputs, targets, own_rows=False)
    for rows in (ROWS, None):
        assert statuses(graded({"hidden.z": [[0.625, 0.775]]}, state=begun, rows=rows)) == ["correct"] * 2
    after = passes.update(CONFIG, passes.backward(CONFIG, passes.forward(CONFIG, begun)))
    assert statuses(graded({"inputs": [[0.5, 1.0]]}, state=after, rows=None)) == ["correct"] * 2
    assert statuses(graded({"inputs": [[0.05, 0.1]]}, state=after)) == ["correct"] * 2


def test_steps_in_parts() -> None:
    state = gradients(CONFIG, STATE, ROWS)
    for name in ("output.weight", "hidden.bias", "hidden.weight"):
        state = passes.update(CONFIG, state, [name])
        assert graded(RIGHT, state=state)["score"]["correct"] == 32
        spoilt = {**UPDATED_TOO_SOON, "output.weight.next": RIGHT["output.weight.next"]}
        result = graded(spoilt, state=state)
        assert statuses(result)[2:10] == ["follows_from_earlier_mistake"] * 8
        assert slip_of(result) == "weight_updated_before_use"
    now = exact(CONFIG, state, "output.weight")
    assert statuses(graded({"output.weight": now}, state=state)) == ["correct"] * 2
    wrong = graded({"output.weight": [[0.4, 0.45]], "output.z": RIGHT["output.z"]}, state=state)
    assert statuses(wrong) == ["wrong", "wrong", "rounded"]


def test_after_a_whole_step_it_is_the_next_one() -> None:
    after = step(CONFIG, STATE, ROWS)
    new = forward(CONFIG, after, ROWS)
    assert statuses(graded({"hidden.z": exact(CONFIG, new, "hidden.z")}, state=after)) == ["correct"] * 2
    assert statuses(graded({"hidden.z": RIGHT["hidden.z"]}, state=after)) == ["wrong"] * 2


def test_the_weights_that_a_backward_pass_took() -> None:
    state = passes.backward(CONFIG, forward(CONFIG, STATE, ROWS), until="output")
    state = passes.backward(CONFIG, passes.update(CONFIG, state, ["output.weight"]), using="current")
    result = graded({"output.dL_dz": RIGHT["output.dL_dz"], **UPDATED_TOO_SOON}, state=state)
    assert set(statuses(result)) == {"rounded"}


@pytest.mark.parametrize("optimizer", [
    {"type": "sgd", "learning_rate": 0.5, "momentum": 0.9}, {"type": "adam", "learning_rate": 0.1},
    {"type": "adamw", "amsgrad": True}, {"type": "rmsprop", "centered": True, "momentum": 0.5}, {"type": "adagrad"},
    {"type": "sgd", "clip": {"type": "norm", "value": 0.05}}, {"type": "sgd", "clip": {"type": "value", "value": 0.05}},
], ids=lambda optimizer: "-".join(map(str, optimizer)))  # fmt: skip
@pytest.mark.parametrize("steps", [0, 3])
def test_an_optimizer_that_remembers(optimizer: dict[str, Any], steps: int) -> None:
    config = make(**{**NOTEBOOK, "optimizer": optimizer})
    state, data = start(config)
    for _ in range(steps):
        state = step(config, state, data.train)
    backward = gradients(config, state, data.train)
    gradient = [[0.3, -0.2], [0.5, 0.1]]  # all wrong
    vector = np.array(backward.gradients)
    vector[:4] = np.ravel(gradient)
    mine = backward._replace(gradients=vector)
    follows = exact(config, passes.update(config, mine), "hidden.weight")
    values = {"hidden.weight.gradient": gradient, "hidden.weight.next": follows}
    for now in (state, backward, passes.update(config, backward, ["output.weight"])):
        assert statuses(graded(values, config, now, data.train)) == ["wrong"] * 4 + ["follows_from_earlier_mistake"] * 4
    stepped = passes.update(config, backward, ["hidden.weight"])
    right = exact(config, stepped, "hidden.weight")
    assert statuses(graded({"hidden.weight.next": right}, config, stepped, data.train)) == ["correct"] * 4
    assert statuses(graded(values, config, stepped, data.train))[4:] == ["follows_from_earlier_mistake"] * 4
    wrong = np.add(right, 1).tolist()
    assert statuses(graded({"hidden.weight.next": wrong}, config, stepped, data.train)) == ["wrong"] * 4


def test_what_is_frozen_stays() -> None:
    layers = [
        {"name": "hidden", "units": 2, "trainable": False, "init": {"weight": 0.5}},
        {"name": "output", "units": 1},
    ]
    config = make(layers=layers)
    state, data = start(config)
    result = graded({"hidden.weight.next": [[0.5, 0.5], [0.5, 0.25]]}, config, state, data.train)
    assert statuses(result) == ["correct", "correct", "correct", "wrong"]
    frozen = make(layers=[{"name": "only", "units": 1, "trainable": False, "init": {"weight": 0.5}}])
    state, data = start(frozen)
    assert (
        statuses(graded({"gradient_norm": 0, "only.weight.next": [[0.5, 0.5]]}, frozen, state, data.train))
        == ["correct"] * 3
    )


def test_without_targets_there_is_no_loss() -> None:
    state = passes.begin(STATE, ROWS.inputs, None, own_rows=False)
    assert (
        statuses(graded({"outputs": RIGHT["outputs"], "hidden.a": RIGHT["hidden.a"]}, state=state)) == ["rounded"] * 3
    )
    for name in (
        "targets",
        "loss",
        "hidden.da_dz",
        "output.dL_da",
        "hidden.bias.gradient",
        "gradient_norm",
        "hidden.bias.next",
    ):
        with pytest.raises(WrongPhase, match="no targets") as caught:
            graded({name: None}, state=state)
        assert caught.value.extra == {"call_first": "forward"}


def test_without_rows_there_is_nothing_to_grade() -> None:
    with pytest.raises(WrongPhase, match="no data"):
        graded({"loss": 1}, rows=None)


def test_nothing_is_changed() -> None:
    for state in (STATE, forward(CONFIG, STATE, ROWS), gradients(CONFIG, STATE, ROWS)):
        before = [np.copy(part) for part in state if isinstance(part, np.ndarray)]
        graded(RIGHT, state=state)
        after = [part for part in state if isinstance(part, np.ndarray)]
        assert all((one == other).all() for one, other in zip(before, after, strict=True))


# ----- other numbers


def test_float32() -> None:
    config = make(**{**NOTEBOOK, "dtype": "float32"})
    state, data = start(config)
    done = gradients(config, state, data.train)
    values = {name: exact(config, done, name) for name in names.order(config)}
    assert set(statuses(graded(values, config, state, data.train))) == {"correct"}
    assert graded(RIGHT, config, state, data.train)["score"]["correct"] == 32
    result = graded(UPDATED_TOO_SOON, config, state, data.train)
    assert slip_of(result) == "weight_updated_before_use"
    fine = {"hidden.a[0][0]": values["hidden.a"][0][0] + 1e-4}
    assert statuses(graded(fine, config, state, data.train)) == ["wrong"]


def test_a_softmax_with_its_jacobian_and_without() -> None:
    layers = [
        {
            "name": "p",
            "units": 3,
            "activation": "softmax",
            "init": {"weight": [[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]], "bias": 0.0},
        }
    ]
    config = make(layers=layers, data={"type": "inline", "inputs": [[1, 2]], "targets": [[1, 0, 0]]})
    state, data = start(config)
    done = gradients(config, state, data.train)
    jacobian = np.round(exact(config, done, "p.da_dz"), 4).tolist()
    delta = np.round(np.array(exact(config, done, "p.dL_da")) @ np.array(jacobian[0]), 4).tolist()
    assert set(statuses(graded({"p.da_dz": jacobian, "p.dL_dz": delta}, config, state, data.train))) == {"rounded"}
    assert set(statuses(graded({"p.dL_dz": delta}, config, state, data.train))) == {"rounded"}
    assert statuses(graded({"p.da_dz[0][1][2]": jacobian[0][1][2]}, config, state, data.train)) == ["rounded"]
    jacobian[0][0][0] = round(jacobian[0][0][0] + 0.1, 4)
    follows = np.round(np.array(exact(config, done, "p.dL_da")) @ np.array(jacobian[0]), 4).tolist()
    found = statuses(graded({"p.da_dz": jacobian, "p.dL_dz": follows}, config, state, data.train))
    assert found[0] == "wrong"
    assert found[9:] == ["follows_from_earlier_mistake", "rounded", "rounded"]


def test_a_number_that_is_not_finite() -> None:
    large = {"units": 1, "init": {"weight": 1e200}}
    config = make(layers=[{"name": "hidden", **large}, {"name": "output", **large}])
    state, data = start(config)
    rows = data.train.take(slice(1))
    result = graded({"output.z": [[1.5]], "loss": 10, "hidden.dL_dz": [[2]]}, config, state, rows)
    assert statuses(result) == ["wrong"] * 3
    assert [item["expected"] for item in result["items"]] == [None] * 3


def test_at_a_kink_either_derivative_is_right() -> None:
    layer = {"name": "l", "units": 1, "activation": "relu", "init": {"weight": 0.00003, "bias": 0.0}}
    config = make(inputs=1, layers=[layer], data={"type": "inline", "inputs": [[1]], "targets": [[1]]})
    state, data = start(config)
    for slope in ("0.0000", "1.0000"):
        result = graded({"l.z": [["0.0000"]], "l.da_dz": [[slope]]}, config, state, data.train)
        assert "wrong" not in statuses(result)


# ----- what is refused


@pytest.mark.parametrize(("values", "pointer", "detail"), [
    ({"nothing.z": 1}, "/values/nothing.z", "nothing has this name"),
    ({"hidden.q": 1}, "/values/hidden.q", "no such term"),
    ({"hidden.z[0]": [1, 2]}, "/values/hidden.z[0]", "takes [0] to [0] and [0] to [1]"),
    ({"hidden.z[0][2]": 1}, "/values/hidden.z[0][2]", "takes [0] to [0] and [0] to [1]"),
    ({"loss[0]": 1}, "/values/loss[0]", "takes no index"),
    ({"a/b~c": 1}, "/values/a~1b~0c", "takes a name"),
    ({"x" * 300: 1}, "/values", "takes a name"),
    ({"hidden.weight.state.momentum_buffer": 1}, "/values/hidden.weight.state.momentum_buffer", "no such part"),
    ({"hidden.z": 1}, "/values/hidden.z", "got a number; takes a list of 1"),
    ({"hidden.z": [[1, 2], [3, 4]]}, "/values/hidden.z", "got a list of 2; takes a list of 1"),
    ({"hidden.z": [[1]]}, "/values/hidden.z/0", "got a list of 1; takes a list of 2"),
    ({"hidden.z": [[0.3775, "secret"]]}, "/values/hidden.z/0/1", "got a string of 6 characters; takes a number"),
    ({"loss": [1]}, "/values/loss", "got a list of 1; takes a number"),
    ({"loss": {"secret": 1}}, "/values/loss", "got an object; takes a number"),
    ({"loss": True}, "/values/loss", "got true or false; takes a number"),
    ({"loss": float("nan")}, "/values/loss", "got a number; takes a number such as 0.3775"),
    ({"loss": float("inf")}, "/values/loss", "got a number; takes a number such as 0.3775"),
    ({"loss": 10**400}, "/values/loss", "got a number; takes a number such as 0.3775"),
    ({"loss": "1e999"}, "/values/loss", "got a string of 5 characters"),
    ({"loss": "NaN"}, "/values/loss", "got a string of 3 characters"),
    ({"loss": "1" * 1_000_000}, "/values/loss", "got a string of 1000000 characters"),
    ({"loss": "0,27481"}, "/values/loss", "got a string of 7 characters"),
    ({"loss": ""}, "/values/loss", "got a string of 0 characters"),
    ({"hidden.z": [[1, 2]], "hidden.z[0][1]": 2}, "/values/hidden.z[0][1]", "is given a second time"),
])  # fmt: skip
def test_refused(values: dict[str, Any], pointer: str, detail: str) -> None:
    ((where, what),) = refusals(values)
    assert where == pointer
    assert detail in what
    assert "secret" not in what


def test_an_optimizers_own_values_are_not_graded() -> None:
    config = make(**{**NOTEBOOK, "optimizer": {"type": "adam"}})
    ((pointer, detail),) = refusals({"hidden.weight.state.exp_avg": None}, config)
    assert pointer == "/values/hidden.weight.state.exp_avg"
    assert "not graded" in detail


def test_a_jacobian_that_is_too_large() -> None:
    config = make(layers=[{"name": "p", "units": 400, "activation": "softmax"}], loss="cross_entropy",
                  data={"type": "inline", "inputs": [[1, 2]], "targets": [0]})  # fmt: skip
    ((pointer, detail),) = refusals({"p.da_dz[0][0][0]": 1}, config)
    assert pointer == "/values/p.da_dz[0][0][0]"
    assert "160000 numbers" in detail


def test_errors_are_few() -> None:
    assert len(refusals({f"nothing{i}.z": "x" for i in range(MAX_VALUES)})) == MAX_FIELD_ERRORS
    assert len(refusals({"hidden.z": [["x", "y"]], "hidden.a": 1, "loss": []})) == 3  # the first of each tensor


@pytest.mark.parametrize("body", [
    {}, {"values": {}}, {"values": []}, {"values": {str(i): 1 for i in range(MAX_VALUES + 1)}},
    {"values": {"loss": 1}, "decimals": -1}, {"values": {"loss": 1}, "decimals": 21},
    {"values": {"loss": 1}, "decimals": 1.5}, {"values": {"loss": 1}, "reveal": "some"},
    {"values": {"loss": 1}, "more": 1},
])  # fmt: skip
def test_bodies_that_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Verify.model_validate(body)


def test_the_schema_says_what_values_are() -> None:
    schema = Verify.model_json_schema()["properties"]["values"]
    assert schema["maxProperties"] == MAX_VALUES
    assert {"type": "string"} in schema["additionalProperties"]["anyOf"]


def test_the_work_grows_with_the_network() -> None:
    small, large = make(), make(inputs=700, layers=[{"units": 100}, {"units": 10}], data=None)
    assert verify_work(small, 1) < verify_work(small, 10) < verify_work(large, 10) < verify_work(large, 100)
    assert verify_bytes(small, 1) < verify_bytes(small, 10) < verify_bytes(large, 10) < verify_bytes(large, 100)


WIDE: list[tuple[Any, ...]] = [
    (700, [100, 10], ["tanh", "identity"], "mse", 20),
    (1, [4000, 1], ["softmax", "identity"], "mse", 20),
    (1, [2000], ["identity"], "cross_entropy", 20),
    (1, [1500], ["softmax"], "cross_entropy", 10),
    (3, [8, 8], ["softmax", "tanh"], "mse", 20),
    (4, [4, 4, 2], ["tanh", "tanh", "softmax"], "mse", 3),
    (2, [3] * 30, ["tanh"] * 30, "mse", 2),
]


@pytest.mark.parametrize("name", ["loss", "l0.dL_dz", "gradient_norm", "l0.weight.next"])
@pytest.mark.parametrize(("inputs", "sizes", "activations", "loss", "n"), WIDE, ids=lambda value: str(value)[:12])
def test_time_and_memory_against_the_price(
    inputs: int, sizes: list[int], activations: list[str], loss: str, n: int, name: str
) -> None:
    layers = [{"name": f"l{at}", "units": u, "activation": a, "bias": "shared"}
              for at, (u, a) in enumerate(zip(sizes, activations, strict=True))]  # fmt: skip
    rng = np.random.default_rng(0)
    targets = rng.integers(0, sizes[-1], n) if loss == "cross_entropy" else rng.random((n, sizes[-1]))
    rows = {"type": "inline", "inputs": rng.random((n, inputs)).tolist(), "targets": targets.tolist()}
    config = make(inputs=inputs, layers=layers, loss=loss, optimizer="adam", data=rows)
    state, data = start(config)
    shape = np.shape(exact(config, gradients(config, state, data.train), name))
    wrong = rng.uniform(5, 9, shape).round(5)  # nothing explains it
    values = {name: wrong.tolist()} if wrong.size < 5000 else {f"{name}[0][0]": float(wrong[0, 0])}
    started = time.perf_counter()
    assert graded(values, config, state, data.train)["likely_cause"] is None
    assert (
        time.perf_counter() - started < 0.5 + 3 * verify_work(config, n) / 1e9
    )  # small ones are slow while coverage is taken
    tracemalloc.start()
    try:
        graded(values, config, state, data.train)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * verify_bytes(config, n) + 100_000
    finally:
        tracemalloc.stop()


def test_one_number_of_a_large_network_takes_little_memory() -> None:
    """What it is computed from alone, and arrays that are the same once."""
    rows = {"type": "inline", "inputs": np.ones((2, 1000)).tolist(), "targets": [[0.0], [1.0]]}
    layers = [{"name": "l", "units": 1000, "init": {"weight": 0.001}}, {"name": "m", "units": 1}]
    config = make(inputs=1000, layers=layers, data=rows)
    state, data = start(config)
    for name, vectors in (("loss", 0.1), ("gradient_norm", 5), ("l.weight.next[0][0]", 16)):
        tracemalloc.start()
        graded({name: 0.5}, config, state, data.train)
        assert tracemalloc.get_traced_memory()[1] < vectors * 8 * config.network.parameter_count
        tracemalloc.stop()
