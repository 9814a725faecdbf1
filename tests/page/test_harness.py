"""The harness sees what it should: each of these would fail the test whose page it happens in."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from .axe import axe
from .watch import Watch

FAULTS = {  # code that goes wrong, and parts of what is then noted
    "console.error('zebra')": ["console error: zebra"],
    "console.warn('zebra')": ["console warning: zebra"],
    "setTimeout(() => { throw new Error('zebra') })": ["uncaught: zebra"],
    "fetch('/v1/zebra')": ["/v1/zebra: 404", "status of 404"],
    "fetch('http://127.0.0.1:9/zebra').catch(() => {})": ["http://127.0.0.1:9/zebra", "Content Security Policy"],
    "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))": ["Content Security Policy"],
}


@pytest.fixture
def watched(browser: Browser, server: str) -> Iterator[tuple[Page, Watch]]:
    """A page, and a watch whose faults fail no test."""
    watch = Watch(server)
    with browser.new_context(base_url=server) as context:
        page = context.new_page()
        page.goto("/")
        watch.over(context)
        yield page, watch


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
    page.evaluate("fetch('/v1/zebra').then(answer => answer.text())")
    assert not watch.faults


def test_axe_finds_what_is_wrong(watched: tuple[Page, Watch]) -> None:
    page, _ = watched
    page.evaluate("document.body.append(document.createElement('button'))")
    assert [line for line in axe(page) if line.startswith("button-name")]
