"""The page in a real browser: how soon it is there, how soon a key shows, how smoothly a training is drawn."""

import gzip
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from app.page import find_page

from .latency import large
from .measure import Skip, Target, figure, row, seconds, verdict
from .servers import Client, serve_gradstep

ROUNDS, STEPS = 7, 25
VIEW, KEY, OPEN = Target(1000, "ms"), Target(50, "ms"), Target(1000, "ms")
FRAMES, SIZE = Target(30, "frames a second", at_least=True), Target(200, "kB")
SPIRAL = {
    "name": "spiral 2-8-8-1",
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "first", "units": 8, "activation": "tanh"},
            {"name": "second", "units": 8, "activation": "tanh"},
            {"name": "output", "units": 1, "activation": "sigmoid"},
        ],
    },
    "loss": "bce",
    "optimizer": {"type": "adam", "learning_rate": 0.008},
    "data": {"type": "spiral", "test_fraction": 0.2},
}

# Milliseconds from the start of the navigation to the frame in which something is on the screen.
SHOWN = """selector => new Promise(resolve => {
    const look = () => document.querySelector(selector)
        ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
        : requestAnimationFrame(look);
    look();
})"""
# Milliseconds from a key to the frame after the one in which its numbers are drawn.
PRESSED = """() => new Promise(resolve => {
    const main = document.querySelector('main'), start = performance.now();
    const observer = new MutationObserver(() => {
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
    });
    observer.observe(main, {subtree: true, childList: true, characterData: true});
    dispatchEvent(new KeyboardEvent('keydown', {key: 'n'}));
})"""
# How many frames a second were drawn while a training ran, and in how many of them it had gone on.
DRAWN = """() => new Promise(resolve => {
    const bar = () => document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow') ?? null;
    dispatchEvent(new KeyboardEvent('keydown', {key: 't'}));
    let start = null, frames = 0, moves = 0, before = null;
    const look = now => {
        const at = bar();
        if (at !== null) {
            start ??= now;
            frames += 1;
            moves += at !== before;
        } else if (start !== null) {
            const seconds = (now - start) / 1000;
            resolve([frames / seconds, moves / seconds]);
            return;
        }
        before = at;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""
LONG_TASKS = """
    window.longest = 0;
    new PerformanceObserver(list => {
        for (const task of list.getEntries()) longest = Math.max(longest, task.duration);
    }).observe({type: 'longtask', buffered: true});
"""


def run() -> Iterator[str]:
    page = find_page()
    if page is None or page.unbuilt:
        raise Skip("the page is not built")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Skip("Playwright is not installed") from None
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise Skip("no Chromium is installed")
    yield figure("page: its own code and styles, compressed", _kilobytes(page.directory), SIZE)
    with serve_gradstep() as (port, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        base = f"http://127.0.0.1:{port}"

        def opened(address: str, selector: str, script: str = "") -> tuple[Any, float]:
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.add_init_script(script)
            page.goto(base + address)
            return page, page.evaluate(SHOWN, selector)

        yield from _first_view(opened)
        yield from _keys(opened)
        yield from _training(opened, Client(port))
        yield from _large(opened, Client(port))
        browser.close()


Opened = Callable[..., tuple[Any, float]]


def _kilobytes(site: Path) -> float:
    """Of what `index.html` loads; the documentation's own page and the font are others' work."""
    assets = site.joinpath("assets").iterdir()
    names = [path for path in assets if path.suffix in (".js", ".css") and not path.name.startswith("docs-")]
    return sum(len(gzip.compress(path.read_bytes())) for path in names) / 1000


def _first_view(opened: Opened) -> Iterator[str]:
    def views(address: str, selector: str) -> list[float]:
        times = []
        for _ in range(ROUNDS):
            page, milliseconds = opened(address, selector)
            page.context.close()
            times.append(milliseconds / 1000)
        return times

    ours, bare = views("/", ".page[data-ready]"), views("/healthz", "body")
    value = 1000 * median(ours)
    cells = seconds(ours), seconds(bare), f"{median(ours) / median(bare):.2f}", f"{min(ours) / min(bare):.2f}"
    yield row("page: first usable view, against an answer of a few bytes", *cells, str(VIEW), verdict(VIEW, value))


def _keys(opened: Opened) -> Iterator[str]:
    page, _ = opened("/", ".page[data-ready]")
    times = [page.evaluate(PRESSED) / 1000 for _ in range(STEPS)]
    worst = 1000 * max(times[1:])
    said = f"longest {worst:.3g} ms"
    yield row("page: 2-2-1, from key to picture", seconds(times), "", said, "", str(KEY), verdict(KEY, worst))
    page.context.close()


def _training(opened: Opened, client: Client) -> Iterator[str]:
    session = client.create(SPIRAL).removeprefix("/v1/sessions/")
    page, _ = opened(f"/#session={session}&panel=watch", ".page[data-ready] main canvas")
    frames, moves = page.evaluate(DRAWN)
    said = f"{moves:.3g} epochs shown a second"
    cells = f"{frames:.3g} frames a second", "", said, "", str(FRAMES), verdict(FRAMES, frames, moves)
    yield row("page: a training of 2-8-8-1 drawn live, curves, boundary and units", *cells)
    page.context.close()


def _large(opened: Opened, client: Client) -> Iterator[str]:
    session = client.create(large((784, 128, 10), 64)).removeprefix("/v1/sessions/")
    times, longest = [], 0.0
    for _ in range(ROUNDS):
        page, milliseconds = opened(f"/#session={session}", "main canvas", LONG_TASKS)
        page.wait_for_timeout(500)
        longest = max(longest, page.evaluate("window.longest"))
        page.context.close()
        times.append(milliseconds / 1000)
    said = f"longest task {longest:.3g} ms"
    cells = seconds(times), "", said, "", str(OPEN), verdict(OPEN, 1000 * max(times))
    yield row("page: a session of 784-128-10 opened", *cells)
