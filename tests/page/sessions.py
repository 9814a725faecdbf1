"""Sessions made through the API, where a test is about what the page does with them: quicker than pressing keys."""

from typing import Any

from playwright.sync_api import Page

from app.engine.presets import PRESETS

CONFIGS = {preset.name: preset.config for preset in PRESETS}


def create(page: Page, config: dict[str, Any], *calls: str) -> str:
    """The path of a session with this config, after calls such as `forward`."""
    made = page.request.post("/v1/sessions", data=config)
    assert made.ok, made.text()
    path: str = made.headers["location"]
    for call in calls:
        answer = page.request.post(f"{path}/{call}", data={})
        assert answer.ok, answer.text()
    return path


def stepped(page: Page, presses: int, preset: str = "notebook") -> str:
    """The path of a preset's session after so many presses of Next."""
    path = create(page, CONFIGS[preset])
    following = page.request.get(path).json()["next"]
    for _ in range(presses):
        until = {"until": following["layer"]} if "layer" in following else {}
        following = page.request.post(f"{path}/{following['operation']}", data=until).json()["next"]
    return path


def address(path: str, more: str = "") -> str:
    """Where the page shows a session; `more` is such as `&panel=edit`."""
    return f"/#session={path.split('/')[-1]}{more}"
