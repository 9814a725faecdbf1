"""What a deployment can set, from the environment: `GRADSTEP_MAX_SESSIONS=500`, and so on for each field."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 2**20


class Settings(BaseSettings):
    """Ceilings and choices of one server. Every ceiling is checked before memory or time is spent."""

    model_config = SettingsConfigDict(env_prefix="GRADSTEP_", frozen=True, extra="ignore")

    max_body: PositiveInt = Field(8 * MIB, description="The largest request body, in bytes.")
    max_lists: PositiveInt = Field(250_000, description="How many lists and objects a request body may have in it.")
    max_sessions: PositiveInt = Field(10_000, description="How many sessions there may be at once.")
    max_bytes: PositiveInt = Field(4096 * MIB, description="The memory that all sessions may hold together, in bytes.")
    max_history: PositiveInt = Field(
        64 * MIB, description="The memory that a session's past may hold, in bytes; beyond it, old states are let go."
    )
    max_parameters: PositiveInt = Field(20_000_000, description="How many parameters a network may have.")
    max_batch: PositiveInt = Field(100_000, description="How many rows a call, or a session's data, may have.")
    max_epochs: PositiveInt = Field(1_000_000, description="How many epochs one call may train.")
    max_entries: PositiveInt = Field(100_000, description="How many entries one answer may list.")
    max_work: PositiveInt = Field(
        10**12,
        description="The work of one call, in units of about a nanosecond on one core; of trainings, MAX_RUN_SECONDS "
        "bounds the time.",
    )
    max_numbers: PositiveInt = Field(
        1_000_000, description="How many numbers a JSON snapshot may hold before its largest arrays are left out."
    )
    session_ttl: PositiveInt = Field(6 * 3600, description="Seconds that a session is kept after its last change.")
    inline_work: PositiveInt = Field(
        2_000_000, description="Work up to this is done at once in the event loop; more goes to the lane."
    )
    train_workers: PositiveInt = Field(2, description="How many processes may be at longer trainings at once.")
    train_queue: PositiveInt = Field(16, description="How many more such trainings may wait for one; beyond them, 503.")
    max_run_seconds: PositiveInt = Field(
        3600, description="Seconds after which a training is ended, from when a process begins it."
    )
    cancel_seconds: PositiveFloat = Field(
        2.0, description="Seconds that a training has to end in when it is told to, before its process is killed."
    )
    max_stream: PositiveInt = Field(
        64 * MIB,
        description="The memory, in bytes, of what the entries of a training may show beside their numbers; runs that "
        "have ended keep four times as much together.",
    )
    max_sweep: PositiveInt = Field(100, description="How many sessions one sweep may make.")
    lane_workers: PositiveInt = Field(2, description="How many calls may be at work in the lane at once.")
    lane_queue: PositiveInt = Field(16, description="How many more may wait for it; beyond them, 503.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call the API: a comma list, or * for all."
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(origin.strip() for origin in value.split(",") if origin.strip())
        return value
