"""A session and its config."""

from typing import Any

import numpy as np
import pytest
from engine.networks import there

from app.engine.data import Arrays, build_data
from app.engine.datasets import Moons
from app.engine.network import Config
from app.sessions.history import History
from app.sessions.session import config_to_json, live_config, to_json, with_data, with_init

from .making import make_config, make_session, revision_of


@pytest.mark.parametrize(
    "fields",
    [{}, {"optimizer": "adam"}, {"loss": {"type": "huber", "delta": 2}}, {"seed": 2**53 - 1, "dtype": "float32"}],
)
def test_a_config_comes_back_from_its_json(fields: dict[str, Any]) -> None:
    config = make_config(**fields)
    session = make_session("a", config=config)
    assert (session.config_json, session.init_json) == config_to_json(config)
    assert session.config.optimizer == config.optimizer
    assert session.config.loss == config.loss
    assert session.config.network.sizes == config.network.sizes
    full = session.full_config
    assert full["data"] is None
    assert Config.model_validate(full) == config.model_copy(update={"data": None})


def test_the_rows_of_a_config_are_the_session_s() -> None:
    config = make_config()
    assert config.data is not None
    session = make_session("a", config=config)._replace(data=build_data(config, config.data))
    assert session.full_config["data"]["inputs"].tolist() == [[0.05, 0.1]]
    held, without = (History(revision_of(one), 10**6).nbytes for one in (session, make_session("a")))
    assert held == without + (130 + 2 * 8) + (130 + 1 * 8)
    assert session.nbytes == make_session("a").nbytes  # rows and states are the history's


SPIRAL = {"type": "spiral", "samples": 20, "seed": 4}


def test_a_named_set_is_kept_by_its_name() -> None:
    config = make_config(data=SPIRAL)
    session = make_session("a", config=config)._replace(data=build_data(config, there(config.data)))
    assert len(session.config_json) < len(make_session("a").config_json) + 300
    assert session.config.data == config.data
    assert session.full_config["data"] == there(config.data).model_dump(mode="json")
    again = Config.model_validate(session.full_config)
    for array, other in zip(there(session.data).arrays, build_data(again, there(again.data)).arrays, strict=True):
        assert array.tolist() == other.tolist()
    assert with_init(session).data == config.data


def test_a_named_set_is_completed_with_the_seed_of_its_rows() -> None:
    session = make_session("a", config=make_config(data="moons", seed=7))
    assert session.config.data == Moons(seed=7)
    assert session.full_config["data"]["seed"] == 7
    assert live_config(with_data(session.config_json, Moons(seed=8))).data == Moons(seed=8)


def test_data_from_elsewhere_takes_the_place_of_a_named_set() -> None:
    named, given = make_config(data=SPIRAL), make_config()
    kept = config_to_json(named)[0], config_to_json(given)[0]
    assert with_data(kept[0], there(given.data)) == kept[1]
    assert with_data(kept[1], there(named.data)) == kept[0]
    assert with_data(kept[0], Arrays(np.ones((1, 2)), np.ones((1, 1)))) == kept[1]
    for config_json, config in zip(kept, (named, given), strict=True):
        assert with_data(config_json, there(config.data)) is config_json


def test_what_a_session_holds_is_counted() -> None:
    small = make_session("a", config=make_config(optimizer="sgd"))
    large = make_session("a", config=make_config(optimizer="adam"))
    assert large.nbytes - small.nbytes == len(large.config_json) - len(small.config_json)
    states = [History(revision_of(session), 10**6).nbytes for session in (small, large)]
    assert states[1] - states[0] == 2 * 8 * 8  # its slots


def test_integers_above_64_bits_are_kept() -> None:
    assert (
        to_json({"learning_rate": 10**20, "nesterov": False})
        == b'{"learning_rate":100000000000000000000,"nesterov":false}'
    )
