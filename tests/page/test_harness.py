"""The harness sees what it should: each of these would fail the test whose page it happens in."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from .axe import axe
from .conftest import Desk, OpenPage
from .watch import Watch

FAULTS = {  # code that goes wrong, and parts of what is then noted
    "console.error('zebra')": ["console error: zebra"],
    "console.warn('zebra')": ["console warning: zebra"],
    "setTimeout(() => { throw new Error('zebra') })": ["uncaught: zebra"],
    "fetch('/v1/zebra')": ["/v1/zebra: 404", "status of 404"],
    "fetch('http://127.0.0.1:9/zebra').catch(() => {})": ["http://127.0.0.1:9/zebra", "Content Security Policy"],
    "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))": ["Content Security Policy"],
}


@pytest.fixture(scope="module")
def opened(browser: Browser, server: str) -> Iterator[tuple[Page, Watch]]:
    watch = Watch(server)
    with browser.new_context(base_url=server) as context:
        page = context.new_page()
        page.goto("/")
        watch.over(context)
        yield page, watch


@pytest.fixture
def watched(opened: tuple[Page, Watch]) -> tuple[Page, Watch]:
    """A page, and a watch whose faults fail no test."""
    _, watch = opened
    watch.faults.clear()
    return opened


def seen(page: Page, watch: Watch, part: str) -> None:
    """Wait until a fault is noted that has this in it."""
    for _ in range(200):
        if any(part in fault for fault in watch.faults):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"{part} is not among {watch.faults}")


@pytest.mark.parametrize("code", FAULTS)
def test_faults_are_seen(code: str, watched: tuple[Page, Watch]) -> None:
    page, watch = watched
    page.evaluate(f"() => {{ {code} }}")
    for part in FAULTS[code]:
        seen(page, watch, part)


def test_a_problem_that_is_expected_is_no_fault(watched: tuple[Page, Watch]) -> None:
    page, watch = watched
    watch.expected.append("/v1/zebra")
    page.evaluate("fetch('/v1/zebra').then(answer => answer.text()).then(() => console.error('the end'))")
    seen(page, watch, "the end")
    assert watch.faults == ["console error: the end"]


def test_a_page_keeps_nothing_for_the_next_test(open_page: OpenPage, desk: Desk, watch: Watch, server: str) -> None:
    page = open_page()
    page.goto("/")
    page.evaluate("localStorage.setItem('zebra', 'striped')")
    page.route("**/v1/**", lambda route: route.abort())
    page.context.new_page()
    desk.clear(page, server)
    watch.off(page.context)
    page.goto("/")
    page.locator("[data-ready]").wait_for()
    assert page.evaluate("[localStorage.getItem('zebra'), history.length]") == [None, 2]  # with the blank one
    assert page.context.pages == [page]
    page.evaluate("console.error('zebra')")
    page.goto("about:blank")
    assert watch.faults == []


def test_axe_finds_what_is_wrong(watched: tuple[Page, Watch]) -> None:
    page, _ = watched
    page.evaluate("document.body.append(document.createElement('button'))")
    assert [line for line in axe(page) if line.startswith("button-name")]
