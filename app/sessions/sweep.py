"""Sweeps: what to vary of a session, and the session under each combination of settings."""

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Annotated, Any

import orjson
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from app.engine.optimizers import Rate
from app.engine.random import Seed
from app.engine.spec import MAX_FIELDS, Model
from app.engine.state import carry_slots, initial_state
from app.errors import FieldError, InvalidInput
from app.sessions.edits import with_optimizer
from app.sessions.operations import MAX_ARGUMENTS, Count, Train
from app.sessions.session import Session, to_json, with_init
from app.settings import Settings

_MOST = 1000
_NAME_LENGTH = 200
_Optimizer = str | Annotated[dict[str, Any], Field(max_length=MAX_FIELDS)]


class Vary(Model):
    """The values to try of each setting; every combination of them makes one session."""

    learning_rate: Annotated[list[Rate], Field(min_length=1, max_length=_MOST)] | None = None
    optimizer: Annotated[list[_Optimizer], Field(min_length=1, max_length=_MOST)] | None = None
    seed: Annotated[list[Seed], Field(min_length=1, max_length=_MOST)] | None = None
    batch_size: Annotated[list[Count], Field(min_length=1, max_length=_MOST)] | None = None

    @model_validator(mode="after")
    def _check_some(self) -> "Vary":
        if not self.lists:
            raise PydanticCustomError("vary", "takes at least one of learning_rate, optimizer, seed and batch_size")
        return self

    @field_validator("optimizer")
    @classmethod
    def _check_size(cls, optimizers: list[Any] | None) -> list[Any] | None:
        """What is varied is kept with each session."""
        if any(len(to_json(optimizer)) > MAX_ARGUMENTS for optimizer in optimizers or ()):
            takes = "takes optimizers of at most {bytes} bytes each"
            raise PydanticCustomError("optimizer", takes, {"bytes": MAX_ARGUMENTS})
        return optimizers

    @property
    def lists(self) -> dict[str, list[Any]]:
        """The settings that there are values for."""
        return {name: values for name, values in self if values is not None}


class Sweep(Model):
    """What to vary, and how to train each session. A `seed` makes it start anew, from numbers drawn with that seed."""

    vary: Vary
    train: Train = Train()

    @property
    def count(self) -> int:
        """How many combinations there are."""
        return prod(map(len, self.vary.lists.values()))

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Each combination, the last setting varying fastest."""
        lists = self.vary.lists
        return (dict(zip(lists, values, strict=True)) for values in product(*lists.values()))

    def training(self, settings: dict[str, Any]) -> Train:
        """How one of them is trained."""
        if "batch_size" not in settings:
            return self.train
        return self.train.model_copy(update={"batch_size": settings["batch_size"]})

    def config(self, session: Session, settings: dict[str, Any]) -> bytes:
        """A session's config under one of them. Raises InvalidInput where this makes no sense."""
        config_json = session.config_json
        if "seed" in settings:
            config_json = to_json({**orjson.loads(config_json), "seed": settings["seed"]})
        if "optimizer" in settings:
            patch = settings["optimizer"]
            try:
                config_json = with_optimizer(config_json, patch)
            except InvalidInput as error:
                place = f"/vary/optimizer/{self.vary.lists['optimizer'].index(patch)}"
                raise _moved(error, "/optimizer", place) from None
        if "learning_rate" in settings:
            config_json = with_optimizer(config_json, {"learning_rate": settings["learning_rate"]})
        return config_json

    def check(self, session: Session, settings: dict[str, Any], config_json: bytes, limits: Settings) -> int:
        """Check the training of one of them, under its config; its work. Raises InvalidInput."""
        try:
            return self.training(settings).prepare(session._replace(config_json=config_json), limits).work
        except InvalidInput as error:
            raise _moved(error, "/", "/train/") from None


def _moved(error: InvalidInput, before: str, after: str) -> InvalidInput:
    """The same error with its pointers, where they begin in one way, beginning in another."""
    moved = InvalidInput.__new__(type(error))
    errors = [
        FieldError(after + pointer.removeprefix(before) if pointer.startswith(before) else pointer, detail)
        for pointer, detail in error.errors
    ]
    InvalidInput.__init__(moved, errors, **error.extra)
    return moved


def varied(session: Session, config_json: bytes, settings: dict[str, Any]) -> Session:
    """The session under such a config, named by the settings."""
    there = session._replace(config_json=config_json, name=_name(settings))
    if "seed" in settings:
        return there._replace(state=initial_state(with_init(there)))
    return there._replace(state=carry_slots(session.config, there.config, session.state))


def _name(settings: dict[str, Any]) -> str:
    values = {name: to_json(value).decode() if isinstance(value, dict) else value for name, value in settings.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())[:_NAME_LENGTH]
