"""Ceilings: what a request would cost, against what this server allows. Nothing is allocated here."""

from app.engine.network import Config
from app.errors import LimitExceeded
from app.settings import Settings


def _check(settings: Settings, setting: str, pointer: str, what: str, estimate: int) -> None:
    limit = getattr(settings, setting)
    if estimate > limit:
        raise LimitExceeded(pointer, what, limit=limit, estimate=estimate, setting=f"GRADSTEP_{setting.upper()}")


def check_network(settings: Settings, config: Config) -> None:
    """The parameters of a network."""
    _check(settings, "max_parameters", "/network/layers", "the number of parameters", config.network.parameter_count)


def check_rows(settings: Settings, n: int, pointer: str = "/inputs") -> None:
    """The rows of one call, or of a session."""
    _check(settings, "max_batch", pointer, "the number of rows", n)


def check_bytes(settings: Settings, nbytes: int, pointer: str = "") -> None:
    """The memory of one session, which must fit however empty the server is."""
    _check(settings, "max_bytes", pointer, "the memory that this takes, in bytes,", nbytes)


def check_work(settings: Settings, work: int, pointer: str = "") -> None:
    """The work of one call."""
    _check(settings, "max_work", pointer, "the work of this call, in nanoseconds of one core or so,", work)


def check_epochs(settings: Settings, epochs: int) -> None:
    """The epochs of one call."""
    _check(settings, "max_epochs", "/epochs", "the number of epochs", epochs)


def check_numbers(settings: Settings, count: int, pointer: str = "/inputs") -> None:
    """The numbers of one answer."""
    _check(settings, "max_numbers", pointer, "the count of numbers in the answer", count)


def check_stream(settings: Settings, nbytes: int) -> None:
    """The text of what the entries of a training show beside their numbers."""
    what = "the memory of what the entries show, in bytes (a larger report_every gives fewer),"
    _check(settings, "max_stream", "/report_every", what, nbytes)


def check_sweep(settings: Settings, count: int) -> None:
    """The sessions of one sweep."""
    _check(settings, "max_sweep", "/vary", "the number of combinations", count)


def check_entries(settings: Settings, entries: int) -> None:
    """The entries of one answer."""
    _check(
        settings, "max_entries", "/report_every", "the number of entries (a larger report_every gives fewer)", entries
    )
