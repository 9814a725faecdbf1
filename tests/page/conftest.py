"""What the tests of the page share: a real server, a real Chromium, and pages that fail the test they go wrong in.

    def test_something(page: Page) -> None:
        page.goto("/")

A test that needs other than a large, light page without motion asks for `open_page`, and one in which the server is to
refuse something for `expect_problem`.

Pages are used again: making one takes longer than most tests, and `Desk.clear` leaves nothing of the test before.

What is begun here ends with this folder's tests: while Playwright runs, its event loop keeps `asyncio.run` from
working.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, Error, Page, Playwright, expect, sync_playwright
from servers import gradstep

from app.main import PAGE

from .node import WEB, npm_ci
from .waiting import PATIENCE_SECONDS
from .watch import Watch

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MILLISECONDS = 1000 * PATIENCE_SECONDS


class OpenPage(Protocol):
    """Opens a page of this size at which nothing is loaded yet, and nothing is kept from before."""

    def __call__(self, width: int = 1440, height: int = 900, *, dark: bool = False, motion: bool = False) -> Page: ...


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server in a process of its own, which serves the page as it was built last."""
    if PAGE is None or PAGE.unbuilt:
        pytest.skip(f"NOT TESTED: the page is not built: {PAGE.unbuilt if PAGE else 'Gradstep is not installed'}")
    with gradstep(tmp_path_factory.mktemp("server")) as running:
        yield running.address


@pytest.fixture(scope="package")
def browser(server: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, or wherever else one is found; Playwright's own would have to be downloaded."""
    for name in CHROMIUMS:
        if path := shutil.which(name):
            return playwright.chromium.launch(executable_path=path)
    try:
        return playwright.chromium.launch(channel="chrome")
    except Error as error:
        pytest.skip(f"NOT TESTED: this machine has no Chromium ({error.message.splitlines()[0]})")


@pytest.fixture
def watch(server: str) -> Iterator[Watch]:
    """Sees what goes wrong in the pages of a test, and fails it when it ends."""
    watch = Watch(server)
    yield watch
    assert not watch.faults, "\n".join(watch.faults)


@pytest.fixture
def expect_problem(watch: Watch) -> Callable[[str], None]:
    """Takes a part of a URL that the server may refuse in this test."""
    return watch.expected.append


class Desk:
    """Pages that tests use one after another, each as if it were new."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.pages: dict[str, Page] = {}

    def page(self, **options: Any) -> Page:
        """A page in a context with these options, at which nothing is loaded."""
        if str(options) not in self.pages:
            context = self.browser.new_context(**options)
            context.set_default_timeout(PATIENCE_MILLISECONDS)
            self.pages[str(options)] = context.new_page()
        return self.pages[str(options)]

    @staticmethod
    def clear(page: Page, origin: str) -> None:
        """Leave the page, and nothing of it to the next test: no route, window, permission, storage, history."""
        context = page.context
        page.unroute_all()
        page.mouse.up()
        page.mouse.move(-1, -1)
        page.goto("about:blank")
        for other in context.pages:
            if other is not page:
                other.close()
        context.clear_permissions()
        protocol = context.new_cdp_session(page)
        protocol.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage"})
        protocol.send("Page.resetNavigationHistory")
        protocol.detach()


@pytest.fixture(scope="package")
def desk(browser: Browser) -> Desk:
    expect.set_options(PATIENCE_MILLISECONDS)
    return Desk(browser)


@pytest.fixture
def open_page(desk: Desk, server: str, watch: Watch) -> Iterator[OpenPage]:
    opened = []

    def open_page(width: int = 1440, height: int = 900, *, dark: bool = False, motion: bool = False) -> Page:
        page = desk.page(
            base_url=server,
            color_scheme="dark" if dark else "light",
            reduced_motion="no-preference" if motion else "reduce",
        )
        page.set_viewport_size({"width": width, "height": height})
        watch.over(page.context)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        desk.clear(page, server)
        watch.off(page.context)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of 1440 × 900, in the light theme."""
    return open_page()


@pytest.fixture(scope="package")
def modules() -> Path:
    """`node_modules/` of the page, as `package-lock.json` has it."""
    folder = WEB / "node_modules"
    installed, wanted = folder / ".package-lock.json", WEB / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        done = npm_ci()
        if done.returncode:
            pytest.skip(f"NOT TESTED: npm cannot install what the page is made with:\n{done.stdout}")
    return folder
