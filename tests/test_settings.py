"""What a deployment can set."""

import pytest
from pydantic import ValidationError

from app.settings import MIB, Settings


def test_defaults() -> None:
    settings = Settings()
    assert settings.max_body == 8 * MIB
    assert settings.max_parameters >= 20_000_000
    assert settings.max_epochs >= 1_000_000
    assert settings.max_numbers == 1_000_000
    assert settings.session_ttl == 6 * 3600
    assert settings.cors_origins == ()


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [name for name, field in Settings.model_fields.items() if isinstance(field.default, (int, float))]
    numbers = [name for name in numbers if not isinstance(Settings.model_fields[name].default, bool)]
    for name in numbers:
        monkeypatch.setenv(f"GRADSTEP_{name.upper()}", "7")
    monkeypatch.setenv("GRADSTEP_CORS_ORIGINS", "https://one.example, https://two.example,")
    monkeypatch.setenv("GRADSTEP_API_KEYS", "one,two")
    monkeypatch.setenv("GRADSTEP_STORE", "valkey://localhost:6379")
    monkeypatch.setenv("GRADSTEP_ZEBRA", "ignored")
    settings = Settings()
    assert settings.cors_origins == ("https://one.example", "https://two.example")
    assert settings.api_keys == ("one", "two")
    assert settings.store == "valkey://localhost:6379"
    assert {getattr(settings, name) for name in numbers} == {7}


def test_a_store_is_memory_or_a_url_of_valkey(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().store == "memory"
    monkeypatch.setenv("GRADSTEP_STORE", "disk")
    with pytest.raises(ValidationError, match="store"):
        Settings()


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
def test_ceilings_are_whole_numbers_above_0(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GRADSTEP_MAX_SESSIONS", value)
    with pytest.raises(ValidationError):
        Settings()


def test_arguments_are_taken_as_they_are() -> None:
    assert Settings(cors_origins=("*",)).cors_origins == ("*",)
    with pytest.raises(ValidationError, match="frozen"):
        Settings().max_body = 1  # type: ignore[misc]


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
