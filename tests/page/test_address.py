"""The address says what is on the screen, and brings it back."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from .test_stepping import next_button, press, session_id, standing, visit


def test_the_first_press_makes_the_session_and_the_address_has_it(page: Page) -> None:
    visit(page)
    expect(next_button(page)).to_contain_text("Forward through hidden")
    assert "#" not in page.url
    press(page, "n")
    assert page.request.get(f"/v1/sessions/{session_id(page)}").json()["revision"] == 1


def test_two_presses_at_once_make_one_session(page: Page) -> None:
    visit(page)
    page.locator("main [data-of='hidden.weight[0][0]']").click()
    page.keyboard.press("n")
    expect(standing(page)).to_contain_text("Revision 1")
    made = "performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/v1/sessions')).length"
    assert page.evaluate(made) == 1


def test_an_address_brings_back_what_it_was_written_for(page: Page) -> None:
    visit(page)
    press(page, "nn")
    page.locator("[data-of='hidden.z[0][1]']").first.click()
    page.keyboard.press("w")
    page.keyboard.press("g")
    expect(page.get_by_role("tab", name="Watch")).to_have_attribute("aria-selected", "true")
    expect(page).to_have_url(re.compile(re.escape("of=hidden.z[0][1]&panel=watch&view=numbers")))
    page.reload()
    expect(page.get_by_role("tab", name="Watch")).to_have_attribute("aria-selected", "true")
    expect(page.locator("[data-of='hidden.z[0][1]'][aria-pressed=true]").first).to_be_visible()
    expect(next_button(page)).to_contain_text("Backward through output")


def test_the_browser_goes_back_through_what_was_selected(page: Page) -> None:
    visit(page)
    press(page, "nn")
    page.locator("[data-of='hidden.z[0][1]']").first.click()
    page.locator("[data-of='loss']").first.click()
    press(page, "n")
    page.go_back()
    expect(page.locator("main [data-of='hidden.z[0][1]'][aria-pressed=true]")).to_be_visible()
    # Stepping has made no entry, and is not undone by going back.
    expect(standing(page)).to_contain_text("Revision 3")


def test_an_older_revision_is_only_looked_at(page: Page) -> None:
    visit(page)
    press(page, "nnn")
    here = session_id(page)
    page.goto("about:blank")
    visit(page, f"/#session={here}&revision=1")
    expect(next_button(page)).to_contain_text("Continue from revision 1")
    expect(page.get_by_text("looking back")).to_be_visible()
    assert page.request.get(f"/v1/sessions/{here}").json()["revision"] == 3
    next_button(page).click()
    expect(next_button(page)).to_contain_text("Forward through output")
    assert page.request.get(f"/v1/sessions/{here}").json()["revision"] == 1


def test_an_address_of_no_session_shows_the_notebook_and_says_so(
    page: Page, expect_problem: Callable[[str], None]
) -> None:
    expect_problem("/v1/sessions/nowhere")
    visit(page, "/#session=nowhere")
    expect(page.get_by_role("alert")).to_contain_text("no session has this id")
    press(page, "n")
    expect(page.get_by_role("alert")).to_have_count(0)
