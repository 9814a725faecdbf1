"""compose.yaml against what it puts together: the settings, the proxy's file, the image."""

import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from servers import ROOT

from app.settings import Settings

from .proxy import FILE

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
REPLICAS = {name: service for name, service in SERVICES.items() if service.get("image") == "gradstep"}


def test_three_replicas_share_one_store() -> None:
    assert len(REPLICAS) == 3
    stores = {replica["environment"]["GRADSTEP_STORE"] for replica in REPLICAS.values()}
    assert stores == {"valkey://valkey:6379"}
    assert "valkey" in SERVICES


@pytest.mark.parametrize("name", REPLICAS)
def test_each_variable_is_a_setting_with_a_value_that_it_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = REPLICAS[name]["environment"]
    fields = {f"GRADSTEP_{field.upper()}" for field in Settings.model_fields}
    ours = {variable: value for variable, value in environment.items() if variable.startswith("GRADSTEP_")}
    assert ours.keys() <= fields
    for variable, value in ours.items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
    told = Settings().model_dump(mode="json", exclude_unset=True)
    assert told.keys() == {variable.removeprefix("GRADSTEP_").lower() for variable in ours}


def test_the_proxy_knows_the_replicas_by_their_names() -> None:
    named = re.findall(r'presetenv PROXY_REPLICA_\d +"([\w-]+):(\d+)"', FILE.read_text("utf-8"))
    assert [name for name, _ in named] == list(REPLICAS)
    image = (ROOT / "Dockerfile").read_text("utf-8")
    assert {f"EXPOSE {port}" for _, port in named} == set(re.findall(r"^EXPOSE \d+$", image, re.MULTILINE))


def test_only_the_proxy_can_be_reached_from_outside_and_only_from_this_machine() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(ports) == ["proxy"]
    listen = re.search(r'presetenv PROXY_LISTEN +":(\d+)"', FILE.read_text("utf-8"))
    assert listen
    assert ports["proxy"] == [f"127.0.0.1:8000:{listen[1]}"]
    assert not set(SERVICES["proxy"]["networks"]) & set(SERVICES["valkey"]["networks"])
    for replica in REPLICAS.values():
        assert set(replica["networks"]) == set(COMPOSE["networks"])
    assert COMPOSE["networks"]["stored"]["internal"]


def test_the_proxy_reads_the_file_that_the_tests_run() -> None:
    [volume] = SERVICES["proxy"]["volumes"]
    assert ROOT / volume.split(":")[0] == FILE


def test_valkey_keeps_what_was_acknowledged_and_throws_nothing_out() -> None:
    options = dict(re.findall(r'--([\w-]+) ("[^"]*"|\S+)', SERVICES["valkey"]["command"]))
    assert (options["appendonly"], options["appendfsync"]) == ("yes", "always")
    assert options["maxmemory-policy"] == "noeviction"
    assert SERVICES["valkey"]["volumes"] == ["sessions:/data"]
    assert "sessions" in COMPOSE["volumes"]
    [held] = {int(replica["environment"]["GRADSTEP_MAX_BYTES"]) for replica in REPLICAS.values()}
    assert options["maxmemory"] == "1gb"
    assert held <= 2**30 // 2
