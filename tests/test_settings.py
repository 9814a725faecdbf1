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
    for name in Settings.model_fields:
        if name != "cors_origins":
            monkeypatch.setenv(f"GRADSTEP_{name.upper()}", "7")
    monkeypatch.setenv("GRADSTEP_CORS_ORIGINS", "https://one.example, https://two.example,")
    monkeypatch.setenv("GRADSTEP_ZEBRA", "ignored")
    settings = Settings()
    assert settings.cors_origins == ("https://one.example", "https://two.example")
    assert {getattr(settings, name) for name in Settings.model_fields if name != "cors_origins"} == {7}


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
