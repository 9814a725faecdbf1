"""A session: a config, the rows that it trains on, and the state where it stands. Immutable, like what is in it."""

import json
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from app.engine.data import Arrays, DataSpec
from app.engine.named import NamedSet
from app.engine.network import Config
from app.engine.rows import Data, Rows
from app.engine.state import State

_RECORD_BYTES = 2_500


class Fork(NamedTuple):
    """Where a session was forked from."""

    session: str
    revision: int
    epoch: int | None


class Session(NamedTuple):
    """Everything that is kept of a session.

    Attributes:
        config_json: the completed config, without `name`, the layers' `init`, and rows: of `data` it has a named set.
        init_json: the layers' `init`, a list: it may be large, and is only needed to answer the config.
        revision: counts the changes, from 0; `latest_revision` is the highest one given out.
        version: counts the writes of this record. Unlike `revision`, it never goes back.
        created_at, updated_at, expires_at: seconds since 1970.
        forked_from: where it was forked from another session.
        epoch: set where it stands, for a reader, at the end of an epoch inside a training: `revision` is the training.
        owner: whose it is; empty where nobody needs a key.
        run: the id of the run that trains it at present; until it lets go, nothing else may change the session.
    """

    id: str
    name: str | None
    config_json: bytes
    init_json: bytes
    data: Data | None
    state: State
    created_at: float
    updated_at: float
    expires_at: float
    revision: int = 0
    latest_revision: int = 0
    version: int = 0
    forked_from: Fork | None = None
    epoch: int | None = None
    owner: str = ""
    run: str | None = None

    @property
    def config(self) -> Config:
        """The config, without `name`, rows and what it started from."""
        return live_config(self.config_json)

    @property
    def full_config(self) -> dict[str, Any]:
        """The completed config as JSON data."""
        return full_config(self.name, self.config_json, self.init_json, self.data)

    @property
    def nbytes(self) -> int:
        """About how much memory the session holds, without its history, and so without its states and rows."""
        return _RECORD_BYTES + self.text_bytes + 100 * len(self.state.updates)

    @property
    def tag(self) -> str:
        """What tells this state from the session's others: the revision, and the epoch inside it."""
        return str(self.revision) if self.epoch is None else f"{self.revision}-epoch{self.epoch}"

    @property
    def text_bytes(self) -> int:
        """The memory of its config."""
        return len(self.config_json) + len(self.init_json)

    @property
    def row_count(self) -> int:
        """The rows that it trains and tests on."""
        return 0 if self.data is None else self.data.count

    @property
    def trace_count(self) -> int:
        """The samples of its trace."""
        return 0 if self.state.inputs is None else len(self.state.inputs)


def config_to_json(config: Config) -> tuple[bytes, bytes]:
    """What a session keeps of its config: all but `name`, rows and the layers' `init`; and these."""
    values = config.model_dump(mode="json", exclude={"name", "data"})
    inits = [layer.pop("init") for layer in values["network"]["layers"]]
    return to_json(_with_set(values, config.data)), to_json(inits)


def with_data(config_json: bytes, spec: DataSpec | Arrays) -> bytes:
    """A session's config with its data from elsewhere: a named set is kept by its name, given rows are not in it."""
    made = to_json(_with_set(orjson.loads(config_json), spec))
    return config_json if made == config_json else made  # the same bytes are kept once


def _with_set(values: dict[str, Any], spec: DataSpec | Arrays | None) -> dict[str, Any]:
    """The config with a named set in it, and the seed that its rows are of, should the session's change."""
    values.pop("data", None)
    if isinstance(spec, NamedSet):
        seed = values["seed"] if spec.seed is None else spec.seed
        values["data"] = {"type": spec.type_name(), **spec.model_dump(mode="json"), "seed": seed}
    return values


def to_json(values: Any) -> bytes:
    """JSON to keep: what orjson returns holds on to a buffer of at least 4 kB. It takes no integers above 64 bits."""
    try:
        return bytes(memoryview(orjson.dumps(values)))
    except TypeError:
        return json.dumps(values, separators=(",", ":")).encode()


def full_config(name: str | None, config_json: bytes, init_json: bytes, data: Data | None) -> dict[str, Any]:
    """The completed config as JSON data, its rows as arrays: posted again, it makes an equal session."""
    config: dict[str, Any] = {"name": name, **orjson.loads(config_json)}
    config.setdefault("data", None)
    for layer, init in zip(config["network"]["layers"], orjson.loads(init_json), strict=True):
        layer["init"] = init
    if data is not None and config["data"] is None:
        test = rows_to_json(data.test) if data.test else None
        config["data"] = {"type": "inline", **rows_to_json(data.train), "test": test}
    return config


def rows_to_json(rows: Rows) -> dict[str, Any]:
    """Inputs and targets, as arrays."""
    return {"inputs": rows.inputs, "targets": rows.targets}


def with_init(session: Session) -> Config:
    """The config, without `name` and rows, with what the session started from."""
    return Config.model_validate(full_config(None, session.config_json, session.init_json, None))


@lru_cache(maxsize=64)
def live_config(config_json: bytes) -> Config:
    """A validated config costs some 8 kB, so that only those in use are kept."""
    return Config.model_validate(orjson.loads(config_json))
