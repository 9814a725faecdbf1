"""API keys: what a server takes, whose key it is, and which calls need one."""

import logging
from collections.abc import Callable
from hashlib import sha256
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from starlette.testclient import TestClient

from app.api.keys import Keys, new_key
from app.errors import Unauthorized
from app.main import create_app
from app.settings import Settings

from .calls import create, problem, read

SECRET = "correct-horse.battery~staple+/9=="
DIGEST = sha256(SECRET.encode()).hexdigest()
OTHER = "another_key"


def test_without_keys_everybody_may_call() -> None:
    keys = Keys(())
    assert not keys.needed
    assert {keys.owner_of(header) for header in (None, "", "Bearer x", "Basic eA==")} == {""}


@pytest.mark.parametrize(
    ("entry", "owner"),
    [
        (f"ada:sha256:{DIGEST}", "ada"),
        (f"Ada.L-1_x:sha256:{DIGEST.upper()}", "Ada.L-1_x"),
        (f"sha256:{DIGEST}", DIGEST[:16]),
        (SECRET, DIGEST[:16]),
    ],
)
@pytest.mark.parametrize("position", [0, 1])
def test_whose_key_it_is(entry: str, owner: str, position: int) -> None:
    entries = [OTHER]
    entries.insert(position, entry)
    keys = Keys(entries)
    assert keys.needed
    for header in (f"Bearer {SECRET}", f"bearer {SECRET}", f"BEARER  {SECRET} "):
        assert keys.owner_of(header) == owner
    assert keys.owner_of(f"Bearer {OTHER}") == sha256(OTHER.encode()).hexdigest()[:16]


def test_an_owner_may_have_several_keys() -> None:
    entries = [new_key("ada"), new_key("ada"), new_key("bob")]
    keys = Keys([entry for _, entry in entries])
    assert [keys.owner_of(f"Bearer {key}") for key, _ in entries] == ["ada", "ada", "bob"]


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", "Bearer ", SECRET, f"Basic {SECRET}", f"Bearer{SECRET}", f"Bearer {SECRET}x",
        f"Bearer {SECRET[:-1]}", f"Bearer {SECRET}, Bearer {SECRET}", f"Bearer {DIGEST}", f"Bearer sha256:{DIGEST}",
        f"Bearer ada:sha256:{DIGEST}", f"Bearer {SECRET.upper()}", "Bearer \xff",
    ],
)  # fmt: skip
def test_what_is_no_key(header: str | None) -> None:
    with pytest.raises(Unauthorized) as refused:
        Keys([f"ada:sha256:{DIGEST}"]).owner_of(header)
    assert not refused.value.extra
    assert SECRET[:-2] not in refused.value.detail


@pytest.mark.parametrize(
    "entry",
    [
        f"ada:{SECRET}", f"ada:sha256:{DIGEST[1:]}", f"ada:sha256:{DIGEST}0", f"sha256:{DIGEST[1:]}x", f"md5:{DIGEST}",
        f":sha256:{DIGEST}", f"a b:sha256:{DIGEST}", f"{'a' * 65}:sha256:{DIGEST}", f"ada:sha1:{DIGEST}", "two words",
        "clé", "=", "",
    ],
)  # fmt: skip
def test_entries_that_make_no_sense(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^GRADSTEP_API_KEYS: entry 2 takes NAME:sha256:HEX") as refused:
        Keys([OTHER, entry])
    assert not entry or entry not in str(refused.value).replace("=", "")
    with pytest.raises(ValueError, match=r"^GRADSTEP_API_KEYS: entry 2 "):
        create_app(Settings(api_keys=(OTHER, entry)), page=None)


def test_a_key_that_is_there_twice() -> None:
    for entries in ([SECRET, SECRET], [f"ada:sha256:{DIGEST}", f"bob:sha256:{DIGEST.upper()}"]):
        with pytest.raises(ValueError, match=r"^GRADSTEP_API_KEYS: a key is there twice$"):
            Keys(entries)
    assert Keys([SECRET, DIGEST]).owner_of(f"Bearer {DIGEST}") != DIGEST[:16]  # a hash by itself is a key like others


def test_a_new_key() -> None:
    (one, entry), (another, _) = new_key("ada"), new_key("ada")
    assert one != another
    assert len(one) == 43
    assert one not in entry
    assert Keys([entry]).owner_of(f"Bearer {one}") == "ada"


@pytest.mark.parametrize("name", ["", "a b", "ada:", "ada,bob", "é", "a" * 65, "ada\n"])
def test_names_that_an_entry_cannot_have(name: str) -> None:
    with pytest.raises(ValueError, match=r"^takes a name of 1 to 64 letters"):
        new_key(name)


def test_the_time_it_takes(report: Callable[[str], None]) -> None:
    made = [new_key(f"student{number}") for number in range(300)]
    keys = Keys([entry for _, entry in made])
    asked = [f"Bearer {key}" for key in (made[0][0], made[-1][0], "unknown")]
    times: list[list[float]] = [[] for _ in asked]
    for _ in range(200):
        for taken, header in zip(times, asked, strict=True):
            begun = perf_counter()
            try:
                keys.owner_of(header)
            except Unauthorized:
                assert header == asked[-1]
            taken.append(perf_counter() - begun)
    first, last, unknown = (1e6 * median(taken) for taken in times)
    report(f"a key among 300: the first {first:.1f} µs, the last {last:.1f} µs, an unknown one {unknown:.1f} µs")


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """A client without a key, of a server that wants one."""
    return make_client(api_keys=(f"ada:sha256:{DIGEST}",))


OPEN = ("/docs", "/openapi.json", "/v1", "/v1/catalog", "/v1/problems/unauthorized", "/healthz", "/readyz")


@pytest.mark.parametrize("path", OPEN)
def test_what_needs_no_key(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Their methods, paths and descriptions."""
    return [(method, path, told) for path, methods in document["paths"].items() for method, told in methods.items()]


def test_what_needs_a_key(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """It comes before everything else that may be wrong with a call."""
    caplog.set_level(logging.DEBUG)
    needing = [
        (method, path)
        for method, path, _ in operations(read(client, "/openapi.json"))
        if path.startswith("/v1/sessions")
    ]
    assert len(needing) > 25
    for method, path in needing:
        for headers in ({}, {"Authorization": f"Bearer {OTHER}"}, {"Authorization": f"Basic {SECRET}"}):
            answer = client.request(method, path, content=b"{", headers={"Accept": "text/html", **headers})
            body = problem(answer, 401, "unauthorized")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert OTHER not in str(body)
            assert SECRET not in str(body)
    assert problem(client.get("/v1/sessions/x?zebra"), 401)["instance"] == "/v1/sessions/x"
    assert OTHER not in caplog.text
    client.headers["Authorization"] = f"Bearer {SECRET}"
    assert read(client, create(client))["revision"] == 0
    assert SECRET not in caplog.text


def test_paths_and_methods_that_there_are_not_need_no_key(client: TestClient) -> None:
    problem(client.get("/v1/sessions/x/zebra"), 404, "not-found")
    problem(client.put("/v1/sessions/x"), 405, "method-not-allowed")


def test_a_browser_elsewhere_may_send_a_key(make_client: Callable[..., TestClient]) -> None:
    client = make_client(api_keys=(SECRET,), cors_origins=("https://one.example",))
    asked = {
        "Origin": "https://one.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }  # fmt: skip
    answer = client.options("/v1/sessions", headers=asked)
    assert answer.status_code == 200
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_keys_are_documented_where_they_are_needed(client: TestClient) -> None:
    document = read(client, "/openapi.json")
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for _, path, operation in operations(document):
        needed = path.startswith("/v1/sessions")
        assert operation.get("security") == ([{"key": []}] if needed else None)
        assert ("401" in operation["responses"]) is needed
        if needed:
            content = operation["responses"]["401"]["content"]["application/problem+json"]
            schema = {**content["schema"], "components": document["components"]}
            [example] = content["examples"].values()
            Draft202012Validator(schema).validate(example["value"])
            assert example["value"]["type"] == "/v1/problems/unauthorized"


def test_they_are_documented_nowhere_else(make_client: Callable[..., TestClient]) -> None:
    document = read(make_client(), "/openapi.json")
    assert "securitySchemes" not in document["components"]
    for _, _, operation in operations(document):
        assert "security" not in operation
        assert "401" not in operation["responses"]


def test_settings_do_not_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSTEP_API_KEYS", f"{SECRET}, {OTHER} ,")
    settings = Settings()
    assert settings.api_keys == (SECRET, OTHER)
    assert SECRET not in f"{settings!r} {settings}"
    assert SECRET not in repr(Keys(settings.api_keys))
    with pytest.raises(ValueError, match="api_keys") as refused:
        Settings(api_keys=SECRET.encode())
    assert SECRET not in str(refused.value)
