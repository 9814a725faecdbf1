"""A server that wants a key: the page asks for it, keeps it in memory alone, and sends it with every call."""

import io
import subprocess
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from servers import gradstep

from app.api.keys import new_key

from .axe import axe

KEY, ENTRY = new_key("ada")


@pytest.fixture(scope="package")
def server(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """In the place of the one that everybody may call, which has skipped all this where there is no page."""
    with gradstep(tmp_path_factory.mktemp("keyed"), api_keys=ENTRY) as running:
        yield running.address


@pytest.fixture(autouse=True)
def refusals(expect_problem: Callable[[str], None]) -> None:
    """Calls are refused before the key is given."""
    expect_problem("/v1/sessions")


def begin(page: Page) -> None:
    """The notebook's network, and a press that needs the server."""
    page.goto("/")
    expect(page.locator("[data-ready]")).to_be_visible()
    page.keyboard.press("n")


def give(page: Page, key: str) -> None:
    sheet = page.get_by_role("dialog", name="API key needed")
    expect(sheet.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")


def revision(page: Page, number: int) -> None:
    expect(page.get_by_role("region", name="Timeline")).to_contain_text(f"Revision {number}")


def test_it_asks_when_it_needs_to_and_does_what_was_pressed(page: Page) -> None:
    begin(page)
    sheet = page.get_by_role("dialog", name="API key needed")
    expect(sheet).to_be_visible()
    assert axe(page) == []
    give(page, "wrong-key")
    expect(sheet.get_by_role("alert")).to_have_text("this server does not know this API key")
    assert axe(page) == []
    page.keyboard.type("ключ")  # in the place of the wrong one, which is selected
    page.keyboard.press("Enter")
    expect(sheet.get_by_role("alert")).to_contain_text("A key has letters")
    give(page, KEY)
    expect(sheet).to_have_count(0)
    revision(page, 1)
    page.get_by_role("button", name="Train 100", exact=True).click()  # which streams
    revision(page, 2)
    page.get_by_role("button", name="Share").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Snapshot, npz").click()
    assert "hidden.weight" in np.load(io.BytesIO(saved.value.path().read_bytes()))
    link = page.get_by_label("Link").input_value()
    expect(page.get_by_role("dialog", name="Share")).to_contain_text("whoever opens it needs your key")
    page.keyboard.press("Escape")
    kept = page.evaluate(
        "[location.href, document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage)]"
    )
    assert not any(KEY in place for place in [link, page.content(), *kept])


@pytest.mark.long
def test_a_copied_call_takes_the_key_from_a_variable(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    begin(page)
    give(page, KEY)
    for number in range(1, 4):
        revision(page, number)
        page.keyboard.press("n")
    revision(page, 4)  # from where the last call can be made again
    page.get_by_role("button", name="Copy as…").click()
    monkeypatch.setenv("GRADSTEP_KEY", KEY)
    for form in ("curl", "Python (httpx)"):
        page.get_by_role("button", name=form, exact=True).click()
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        call = str(page.evaluate("navigator.clipboard.readText()"))
        assert KEY not in call
        if form == "curl":
            subprocess.run(["bash", "-c", call.replace("curl ", "curl --fail ")], timeout=10, check=True)
        else:
            exec(call, {})


def test_without_a_key_the_press_is_refused_and_the_next_asks_again(page: Page) -> None:
    begin(page)
    sheet = page.get_by_role("dialog", name="API key needed")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text("this server wants an API key")
    page.keyboard.press("n")
    give(page, KEY)
    revision(page, 1)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.reload()  # and with it, the key is gone
    give(page, KEY)
    revision(page, 1)


def test_over_another_sheet_escape_closes_the_upper_one_alone(page: Page) -> None:
    page.goto("/")
    expect(page.locator("[data-ready]")).to_be_visible()
    page.get_by_role("button", name="Session notebook").click()
    sheet = page.get_by_role("dialog", name="API key needed")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    below = page.get_by_role("dialog", name="Sessions")
    expect(below.get_by_role("alert")).to_contain_text("this server wants an API key")


@pytest.mark.long
def test_the_documentation_takes_a_key(page: Page) -> None:
    page.goto("/docs")
    page.get_by_role("button", name="Authorize", exact=True).click()
    form = page.locator(".auth-container")
    form.get_by_label("auth-bearer-value").fill(KEY)
    form.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").first.click()
    call = page.locator("#operations-Sessions-list_sessions_v1_sessions_get")
    call.get_by_role("button").first.click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table")).to_contain_text('"items"')
