"""A session and its config."""

from typing import Any

import pytest

from app.engine.data import build_data
from app.engine.network import Config
from app.sessions.history import History
from app.sessions.session import config_to_json, to_json

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
