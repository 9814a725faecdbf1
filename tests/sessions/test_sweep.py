"""Sweeps: each combination of some settings, tried in a session of its own, as it would be by hand."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from engine.networks import there
from pydantic import ValidationError

from app.engine.curves import ENTRY_BYTES
from app.engine.hashing import state_hash
from app.engine.rows import Data
from app.errors import InvalidInput, LimitExceeded, NotFound, StoreAway, field_errors
from app.sessions.edits import Change
from app.sessions.lineage import curves_of
from app.sessions.operations import MAX_ARGUMENTS, Train
from app.sessions.runs import Run
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.sessions.sweep import Sweep
from app.sessions.sweeping import POINTS, Item, SweepRun

from .making import ROWS, create, held, make_config, run, run_of
from .test_trainings import make

FIELDS: dict[str, Any] = {
    "network": {"inputs": 2, "layers": [{"name": "hidden", "units": 3, "activation": "tanh"}, {"units": 1}]},
    "loss": "mse",
    "optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    "data": {**ROWS, "test": {"inputs": [[0.5, 0.5]], "targets": [[0.25]]}},
    "seed": 3,
}
TRAIN: dict[str, Any] = {"epochs": 3, "batch_size": 2, "shuffle": True}
VARY: dict[str, Any] = {
    "learning_rate": [0.1, 0.01],
    "optimizer": ["adam", {"momentum": 0.5}, {"type": "sgd", "clip": {"type": "norm", "value": 0.5}}],
    "seed": [5, 6],
    "batch_size": [1, 3],
}


def sweep(vary: Any, **train: Any) -> Sweep:
    return Sweep.model_validate({"vary": vary, "train": {**TRAIN, **train}})


def hash_of(session: Session) -> str:
    return state_hash(session.config, session.state)


async def trained(sessions: Sessions, epochs: int = 2) -> Session:
    """A session that was trained before."""
    session = await create(sessions, **FIELDS)
    return (await sessions.change(session.id, Train(epochs=epochs))).session


async def swept(sessions: Sessions, session: Session, what: Sweep) -> tuple[SweepRun, Sequence[Item]]:
    """A sweep, over, and its items."""
    one = await sessions.sweep(session, what)
    await one.end()
    return one, one.items


def reason(item: Item) -> str | None:
    return item.stopped and item.stopped["reason"]


async def curves(sessions: Sessions, session: Session) -> list[int]:
    """The epochs of a session's whole life."""
    history = await sessions.store.history(session.id)
    found = curves_of(history.revisions, history.ancestors, len(history.revisions) - 1)
    return [entry["epoch"] for curve in found for entry in curve.entries()]


# What is tried


def test_every_combination_in_order() -> None:
    what = sweep(VARY)
    expected = [dict(zip(VARY, values, strict=True)) for values in product(*VARY.values())]
    assert list(what.combinations()) == expected
    assert what.count == len(expected) == 24
    one = sweep({"batch_size": [4], "seed": [7, 8]})
    assert list(one.combinations()) == [{"seed": 7, "batch_size": 4}, {"seed": 8, "batch_size": 4}]
    assert one.training({"batch_size": 4}) == Train(epochs=3, batch_size=4, shuffle=True)
    assert one.training({"seed": 7}) == Train(**TRAIN)
    assert Sweep.model_validate({"vary": {"seed": [1]}}).train == Train()


@pytest.mark.parametrize(
    ("vary", "pointer"),
    [
        ({}, "/vary"),
        ({"learning_rate": None}, "/vary"),
        ({"learning_rate": []}, "/vary/learning_rate"),
        ({"learning_rate": [0.1, -1]}, "/vary/learning_rate/1"),
        ({"seed": [0, -1]}, "/vary/seed/1"),
        ({"seed": list(range(1001))}, "/vary/seed"),
        ({"batch_size": [0]}, "/vary/batch_size/0"),
        ({"batch_size": [1, 2**53 + 1]}, "/vary/batch_size/1"),
        ({"momentum": [0.9]}, "/vary/momentum"),
    ],
)
def test_what_it_does_not_take(vary: Any, pointer: str) -> None:
    body = {"vary": vary}
    with pytest.raises(ValidationError) as caught:
        Sweep.model_validate(body)
    assert [error.pointer for error in field_errors(caught.value, body)] == [pointer]


def test_what_is_varied_is_kept_and_so_no_more_than_so_long() -> None:
    """Of each value: there may be many."""
    quotes = len('{"type":""}')
    fits = {"type": "x" * (MAX_ARGUMENTS - quotes)}
    assert sweep({"optimizer": [fits] * 10}).count == 10
    for optimizer in ({"type": "x" * (MAX_ARGUMENTS - quotes + 1)}, "x" * (MAX_ARGUMENTS - 1)):
        body = {"vary": {"optimizer": ["adam", optimizer]}}
        with pytest.raises(ValidationError) as caught:
            Sweep.model_validate(body)
        [error] = field_errors(caught.value, body)
        assert error.pointer == "/vary/optimizer"
        assert error.detail == "takes optimizers of at most 2000 bytes each"


@pytest.mark.parametrize(
    ("vary", "train", "pointers"),
    [
        ({"optimizer": ["adam", "zebra"]}, {}, ["/vary/optimizer/1"]),
        ({"optimizer": ["adam", {"momentum": 0.5}, {"momentum": -1, "zebra": 1}]}, {},
         ["/vary/optimizer/2/momentum", "/vary/optimizer/2/zebra"]),
        ({"seed": [1]}, {"stop": [{"type": "parameter_outside", "parameter": "zebra.bias", "low": 0}]},
         ["/train/stop/0/parameter"]),
        ({"seed": [1]}, {"epochs": 10**7}, ["/train/epochs"]),
        ({"seed": [1]}, {"epochs": 200_000}, ["/train/report_every"]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_here(vary: Any, train: Any, pointers: list[str]) -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions, **FIELDS)
        before = held(sessions)
        with pytest.raises(InvalidInput) as caught:
            await sessions.sweep(session, sweep(vary, **train))
        assert [error.pointer for error in caught.value.errors] == pointers
        assert caught.value.detail.startswith(f"{pointers[0]}: ")
        assert held(sessions) == before
        assert await sessions.runs.of(session.id) == []

    run(check())


def test_a_sweep_that_was_broken_off_is_begun_again_with_the_forks_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check() -> None:
        sessions = make()
        session, what = await trained(sessions), sweep({"seed": [1, 2]})

        async def breaks_off(_: SweepRun) -> SweepRun:
            raise StoreAway("away", retry_after=1)

        with monkeypatch.context() as patch:
            patch.setattr(sessions.trainings, "sweep", breaks_off)
            with pytest.raises(StoreAway):
                await sessions.sweep(session, what, "key")
        forks = {one.id for one in await sessions.store.list("", 10)} - {session.id}
        one = await sessions.sweep(session, what, "key")
        await one.end()
        assert {item.session for item in one.items} == forks
        assert await sessions.store.count() == 3
        assert [reason(item) for item in one.items] == ["epochs"] * 2

    run(check())


@pytest.mark.parametrize("is_known", [True, False])
def test_a_sweep_whose_forks_are_trained_already(is_known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one that another process has begun meanwhile, or else is begun with other forks."""

    async def check() -> None:
        sessions = make()
        session, what = await trained(sessions), sweep({"seed": [1, 2]})
        first = await sessions.sweep(session, what, "key")
        await first.end()
        found, asked = sessions.runs.follow, list[str]()

        async def follow(session_id: str, run_id: str) -> Run:
            asked.append(run_id)
            if is_known and len(asked) > 1:
                return await found(session_id, run_id)
            raise NotFound("it is not there yet")

        monkeypatch.setattr(sessions.runs, "follow", follow)
        second = await sessions.sweep(session, what, "key")
        await second.end()
        assert (second is first) == is_known
        assert await sessions.store.count() == (3 if is_known else 5)

    run(check())


def test_a_session_without_data() -> None:
    async def check() -> None:
        sessions = make()
        session = await create(sessions, **{**FIELDS, "data": None})
        with pytest.raises(InvalidInput) as caught:
            await sessions.sweep(session, sweep({"seed": [1]}))
        assert [error.pointer for error in caught.value.errors] == [""]

    run(check())


def test_how_many_at_most() -> None:
    async def check() -> None:
        sessions = make(max_sweep=4)
        session = await create(sessions, **FIELDS)
        with pytest.raises(LimitExceeded) as caught:
            await sessions.sweep(session, sweep({"seed": list(range(3)), "batch_size": [1, 2]}))
        assert [error.pointer for error in caught.value.errors] == ["/vary"]
        assert caught.value.extra == {"limit": 4, "estimate": 6, "setting": "GRADSTEP_MAX_SWEEP"}
        one, items = await swept(sessions, session, sweep({"seed": [0, 1], "batch_size": [1, 2]}))
        assert (one.status, len(items)) == ("finished", 4)
        lists: dict[str, Any] = {"learning_rate": [0.5] * 1000, "seed": [1] * 1000, "batch_size": [1] * 1000}
        with pytest.raises(LimitExceeded) as caught:  # they are counted, not made
            await sessions.sweep(session, sweep(lists))
        assert caught.value.extra["estimate"] == 10**9

    run(check())


# What comes of it


@pytest.mark.parametrize("inline_work", [1, 10**15])
def test_each_is_what_it_would_be_by_hand(inline_work: int) -> None:
    """From where the session stands, unless a seed makes it start anew."""

    async def check() -> None:
        sessions, by_hand = make(inline_work=inline_work), make(inline_work=10**15)
        session, same = await trained(sessions), await trained(by_hand)
        what = sweep(VARY)
        one, items = await swept(sessions, session, what)
        assert (one.status, one.epochs_done, one.epochs_total) == ("finished", 24 * 3, 24 * 3)
        assert (one.failure, one.stopped, one.revision) == (None, None, None)
        assert [item.settings for item in items] == list(what.combinations())
        for item in items:
            settings = item.settings
            expected = await create(by_hand, **{**FIELDS, "seed": settings["seed"]})
            for patch in (settings["optimizer"], {"learning_rate": settings["learning_rate"]}):
                await by_hand.change(expected.id, Change(optimizer=patch))
            expected, result = await by_hand.change(expected.id, what.training(settings))
            found = await sessions.load(item.session)
            assert hash_of(found) == hash_of(expected)
            assert (found.config_json, found.init_json) == (expected.config_json, expected.init_json)
            assert (item.stopped, item.failure) == (result.stopped, None)
            entries = there(item.curve).entries()
            assert [entry["epoch"] for entry in entries] == [1, 2, 3]
            assert [entry["loss"] for entry in entries] == [entry["loss"] for entry in result.history]
            assert [entry["test_loss"] for entry in entries] == [entry["test_loss"] for entry in result.history]
        assert await sessions.load(session.id) == session  # it is left as it was
        assert hash_of(session) == hash_of(same)

    run(check())


def test_without_a_seed_each_goes_on_from_where_the_session_stands() -> None:
    async def check() -> None:
        sessions, by_hand = make(), make(inline_work=10**15)
        session, same = await trained(sessions), await trained(by_hand)
        what = sweep({"optimizer": ["sgd", "adam", {"momentum": 0}], "learning_rate": [0.2]})
        _, items = await swept(sessions, session, what)
        for item in items:
            expected = await by_hand.fork(same, None)
            for patch in (item.settings["optimizer"], {"learning_rate": 0.2}):
                await by_hand.change(expected.id, Change(optimizer=patch))
            expected, _ = await by_hand.change(expected.id, what.train)
            found = await sessions.load(item.session)
            assert hash_of(found) == hash_of(expected)
            assert (found.state.epochs, found.config.optimizer) == (5, expected.config.optimizer)
            assert found.config.optimizer.learning_rate == 0.2
            assert await curves(sessions, found) == [1, 2, 3, 4, 5]  # its ancestor's are its own
        kept, empty = [(await sessions.store.history(item.session)).revisions[0].state for item in items[:2]]
        assert kept.updates == session.state.updates
        assert empty.updates == (0, 0, 0, 0)

    run(check())


def test_its_sessions() -> None:
    async def check() -> None:
        sessions = make()
        session = await trained(sessions)
        named = {"learning_rate": [0.1], "optimizer": ["adam", {"momentum": 0.5}], "seed": [7], "batch_size": [2]}
        one = await sessions.sweep(session, sweep(named))
        assert (await sessions.runs.of(session.id))[1:] == [one]
        assert await run_of(sessions, session.id) is None
        await one.end()
        names = []
        for item in one.items:
            fork = await sessions.load(item.session)
            names.append(fork.name)
            assert (fork.forked_from, fork.revision) == ((session.id, 1, None), 1)
            revisions = (await sessions.store.history(fork.id)).revisions
            (child,) = await sessions.runs.of(fork.id)
            assert [revision.operation for revision in revisions] == ["fork", "train"]
            assert [revision.run for revision in revisions] == [None, child.id]
            first = revisions[0]
            assert first.state_hash == state_hash(fork.config, first.state)  # type: ignore[arg-type]
            assert b'"settings"' in first.arguments
            assert await curves(sessions, fork) == [1, 2, 3]  # it started anew
        assert names == [
            "learning_rate 0.1, optimizer adam, seed 7, batch_size 2",
            'learning_rate 0.1, optimizer {"momentum":0.5}, seed 7, batch_size 2',
        ]
        _, items = await swept(sessions, session, sweep({"optimizer": [{"zebra" * 50: None, "momentum": 0.25}]}))
        assert len(there((await sessions.load(items[0].session)).name)) == 200
        assert (await sessions.change(session.id, Change(name="free"))).session.revision == 2

    run(check())


def test_from_an_epoch_of_the_past() -> None:
    async def check() -> None:
        sessions = make()
        session = await trained(sessions, 4)
        _, items = await swept(sessions, await sessions.past.at(session, epoch=3), sweep({"batch_size": [2]}))
        found = await sessions.load(items[0].session)
        assert (found.forked_from, found.state.epochs) == ((session.id, 1, 3), 6)
        assert await curves(sessions, found) == [1, 2, 3, 4, 5, 6]

    run(check())


def list_of(data: Data | None) -> list[Any]:
    return [None if part is None else part.tolist() for part in there(data).arrays]


def test_rows_that_are_drawn_are_the_same_for_every_seed() -> None:
    """And a config that is answered makes them again."""

    async def check() -> None:
        sessions = make()
        config = make_config(
            network={"inputs": 2, "layers": [{"units": 1, "activation": "sigmoid"}]}, loss="bce",
            data={"type": "moons", "samples": 20, "noise": 0.1, "test_fraction": 0.25}, seed=3,
        )  # fmt: skip
        session = await sessions.create(sessions.draft(config))
        _, items = await swept(sessions, session, sweep({"seed": [5, 6]}))
        for item in items:
            fork = await sessions.load(item.session)
            assert fork.data is session.data
            again = sessions.draft(type(config).model_validate(fork.full_config)).data
            assert list_of(again) == list_of(session.data)
            assert fork.config.seed == item.settings["seed"]
            assert list_of(sessions.draft(config.model_copy(update={"seed": fork.config.seed})).data) != list_of(again)

    run(check())


def test_how_each_went() -> None:
    """Not finite, met a condition, or nothing to tell."""

    async def check() -> None:
        sessions = make()
        session = await create(sessions, **FIELDS)
        stop = [{"type": "loss_below", "value": 1e9}]
        what = sweep({"learning_rate": [0.1, 1e200]}, epochs=300, batch_size=None)
        one, items = await swept(sessions, session, what)
        assert one.status == "finished"
        assert list(map(reason, items)) == ["epochs", "nonfinite"]
        epochs = [entry["epoch"] for entry in there(items[0].curve).entries()]
        assert (len(epochs), epochs[0], epochs[-1]) == (POINTS, 1, 300)
        assert one.nbytes < 2 * (1000 + POINTS * ENTRY_BYTES)  # no matter how many epochs
        _, items = await swept(sessions, session, sweep({"learning_rate": [0.1]}, stop=stop))
        assert (reason(items[0]), items[0].curve) == ("loss_below", None)

    run(check())
