"""The page and the documentation, as a browser gets them."""

from playwright.sync_api import Page, expect

from app.page import CONTENT_SECURITY_POLICY

from .waiting import eventually


def test_the_page_loads(page: Page) -> None:
    answer = page.goto("/")
    assert answer is not None
    assert answer.header_value("Content-Security-Policy") == CONTENT_SECURITY_POLICY
    expect(page).to_have_title("Gradstep")
    expect(page.get_by_role("main")).to_be_visible()


def test_the_documentation_needs_no_network_and_tries_calls(page: Page) -> None:
    page.goto("/docs")
    expect(page).to_have_title("Gradstep API")
    expect(page.get_by_text("/v1/sessions/{session_id}/forward", exact=True).first).to_be_visible()
    paths = set(page.request.get("/openapi.json").json()["paths"])
    marks = page.locator("[data-path]")
    eventually(
        page, lambda: set(marks.evaluate_all("all => all.map(mark => mark.dataset.path)")), lambda shown: shown == paths
    )
    call = page.locator("#operations-About-healthz_healthz_get")
    call.get_by_role("button").first.click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table")).to_contain_text('"status": "ok"')
