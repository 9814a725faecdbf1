"""A session: a config, the rows that it trains on, and the state where it stands. Immutable, like what is in it."""

from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from app.engine.data import Data, Rows
from app.engine.network import Config
from app.engine.state import State

_RECORD_BYTES = 2_500


class Session(NamedTuple):
    """Everything that is kept of a session.

    Attributes:
        config_json: the completed config without `name` and `data`, which change on their own.
        revision: counts the changes, from 0; `latest_revision` is the highest one given out.
        version: counts the writes of this record. Unlike `revision`, it never goes back.
        created_at, updated_at, expires_at: seconds since 1970.
    """

    id: str
    name: str | None
    config_json: bytes
    data: Data | None
    state: State
    created_at: float
    updated_at: float
    expires_at: float
    revision: int = 0
    latest_revision: int = 0
    version: int = 0

    @property
    def config(self) -> Config:
        """The config, without `name`, `data` and the numbers that it started from."""
        return live_config(self.config_json)

    @property
    def nbytes(self) -> int:
        """About how much memory the session holds."""
        rows = self.data.nbytes if self.data else 0
        return _RECORD_BYTES + len(self.config_json) + 100 * len(self.state.updates) + self.state.nbytes + rows


def config_to_json(config: Config) -> bytes:
    """What a session keeps of its config: all but `name` and `data`."""
    return orjson.dumps(config.model_dump(mode="json", exclude={"name", "data"}))


def full_config(session: Session) -> dict[str, Any]:
    """The completed config as JSON data, its rows as arrays: posted again, it makes an equal session."""
    config: dict[str, Any] = {"name": session.name, **orjson.loads(session.config_json), "data": None}
    if session.data is not None:
        test = session.data.test
        config["data"] = {
            "type": "inline",
            **rows_to_json(session.data.train),
            "test": rows_to_json(test) if test else None,
        }
    return config


def rows_to_json(rows: Rows) -> dict[str, Any]:
    """Inputs and targets, as arrays."""
    return {"inputs": rows.inputs, "targets": rows.targets}


@lru_cache(maxsize=128)
def live_config(config_json: bytes) -> Config:
    """Validated configs cost some 8 kB each, so only those in use are kept; they need no initial numbers any more."""
    values = orjson.loads(config_json)
    for layer in values["network"]["layers"]:
        del layer["init"]
    return Config.model_validate(values)
