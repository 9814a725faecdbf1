"""Waiting for what no assertion of Playwright's waits for: the picture is a frame or an answer behind the words."""

import time
from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Page

T = TypeVar("T")

PATIENCE_SECONDS = 15

# JavaScript that reads a canvas by a copy of it: Chromium warns of a canvas itself that is read again and again.
PIXELS = """(canvas => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height);
})"""


def drawn(page: Page) -> None:
    """Wait until the fonts are there and what is on its way to the screen is on it: sizes follow by frames."""
    page.evaluate(
        """async () => {
          await document.fonts.ready;
          for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
        }"""
    )


def eventually(page: Page, read: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """What `read` answers, once something holds of it. Raises AssertionError where it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds(found := read()):
        assert time.monotonic() < deadline, f"still {found}"
        page.wait_for_timeout(25)
    return found
