"""Accessibility, as far as axe-core can tell."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# A formula whose numbers are buttons is a group: to axe a `math` is a picture, with nothing in it, and never a group.
FORMULA = "aria-allowed-role (minor): <math"


def axe(page: Page) -> list[str]:
    """What a page violates of WCAG 2.2 AA and of axe's best practices, a line for each element."""
    options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
    violations = Axe().run(page, options=options).response["violations"]
    lines = [
        f"{violation['id']} ({violation['impact']}): {node['html'][:200]}: {node['failureSummary']}"
        for violation in violations
        for node in violation["nodes"]
    ]
    return [line for line in lines if not line.startswith(FORMULA)]
