"""What a deployment can set, from the environment: `GRADSTEP_MAX_SESSIONS=500`, and so on for each field."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 2**20


class Settings(BaseSettings):
    """Ceilings and choices of one server. Every ceiling is checked before memory or time is spent."""

    model_config = SettingsConfigDict(env_prefix="GRADSTEP_", frozen=True, extra="ignore", hide_input_in_errors=True)

    max_body: PositiveInt = Field(8 * MIB, description="The largest request body, in bytes.")
    max_lists: PositiveInt = Field(
        250_000, description="How many lists, objects and their members a request body may have in it."
    )
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
    lease_seconds: PositiveFloat = Field(
        10.0,
        description="Seconds after which a training whose process has died is gone on with by another, where STORE is "
        "shared.",
    )
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
    store: str = Field(
        "memory",
        repr=False,  # it may have a password in it
        pattern=r"^(memory|(valkey|valkeys|redis|rediss)://.+)$",
        description="Where sessions are kept: `memory`, or the URL of a Valkey server, which many processes may share.",
    )
    cache_bytes: PositiveInt = Field(
        256 * MIB, description="The memory that each process may use for sessions of a Valkey store at hand, in bytes."
    )
    api_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        repr=False,
        description="Who may use the API: a comma list of `NAME:sha256:HEX` (`gradstep key NAME` makes one), "
        "`sha256:HEX`, or keys themselves. None: everybody.",
    )
    owner_rate: NonNegativeInt = Field(
        0,
        description="How many calls each owner of a key may make in a minute, or, without keys, each address. One "
        "counts as another for each 0.1 ms of a core that it takes. 0: as many as they like.",
    )
    owner_sessions: NonNegativeInt = Field(
        0, description="How many sessions each owner of a key may have at once. 0: as many as there may be."
    )
    owner_bytes: NonNegativeInt = Field(
        0, description="The memory that the sessions of each owner of a key may hold, in bytes. 0: all that there is."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts that requests may be for, without ports: a comma list; `*.example.org` for all below it. "
        "None, or `*`: any. Others are answered 421.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call the API: a comma list, or * for all."
    )

    drain_seconds: NonNegativeFloat = Field(
        0, description="Seconds after SIGTERM for which requests are still taken, while /readyz says 503: as long as a "
        "proxy takes to notice.",
    )  # fmt: skip
    max_connections: PositiveInt = Field(1000, description="How many connections `gradstep` keeps; beyond them, 503.")
    header_seconds: PositiveFloat = Field(
        10, description="Seconds in which the headers of a request have to come (`gradstep` alone); else 408."
    )
    body_seconds: PositiveFloat = Field(
        20, description="Seconds in which a body has to come (`gradstep` alone), one more for each 8 KiB; else 408."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="`json`: the log of `gradstep` as an object a line, and `X-Request-Id` in each answer."
    )
    slow_seconds: NonNegativeFloat | None = Field(
        None, description="Requests that take longer, in seconds, are logged: 0 for each one, unset for none."
    )
    metrics: bool = Field(
        False, description="Answer /metrics, for Prometheus (with the extra `gradstep[metrics]`). Not for the public."
    )

    @field_validator("api_keys", "allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value
