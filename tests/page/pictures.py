"""The pictures in `docs/page/`, the page's main states in three widths and both themes: taken anew by

PYTHONPATH=tests python -m tests.page.pictures
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from servers import ROOT, gradstep

from .conftest import launch

FOLDER = ROOT / "docs" / "page"
WIDTHS = {1440: 900, 768: 1024, 360: 780}
SPIRAL = {
    "name": "spiral",
    "network": {
        "inputs": 2,
        "layers": [
            {"name": "hidden1", "units": 8, "activation": "tanh"},
            {"name": "hidden2", "units": 8, "activation": "tanh"},
            {"name": "output", "units": 1, "activation": "sigmoid"},
        ],
    },
    "loss": "bce",
    "optimizer": {"type": "adam", "learning_rate": 0.008},
    "data": {"type": "spiral", "noise": 0.1, "test_fraction": 0.2},
}
TRAIN = {"epochs": 600, "batch_size": 32, "shuffle": True, "report_every": 5}


class Camera:
    """A page on which things are done through the API, and then looked at."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        response = self.page.request.fetch(path, method=method, data=body)
        assert response.ok, response.text()
        answer: dict[str, object] = response.json()
        return answer

    def create(self, config: object) -> str:
        return str(self.call("POST", "/v1/sessions", config)["id"])

    def preset(self, name: str) -> object:
        presets = self.call("GET", "/v1/catalog")["presets"]
        assert isinstance(presets, list)
        return next(one["config"] for one in presets if one["name"] == name)

    def open(self, address: str = "") -> None:
        self.page.goto(f"/{address}")
        expect(self.page.locator(".page[data-ready]")).to_be_visible()

    def stepped(self, times: int) -> str:
        session = self.create(self.preset("notebook"))
        steps = [("forward", "hidden"), ("forward", "output"), ("backward", "output"), ("backward", "hidden")]
        for operation, layer in steps[:times]:
            self.call("POST", f"/v1/sessions/{session}/{operation}", {"until": layer})
        return session


def first_visit(camera: Camera) -> None:
    camera.open()


def explained(camera: Camera) -> None:
    camera.open(f"#session={camera.stepped(4)}&of=hidden.bias.gradient[0]")
    expect(camera.page.get_by_text("Chain rule").first).to_be_attached()


def checked(camera: Camera) -> None:
    camera.open(f"#session={camera.stepped(3)}&panel=check")
    given = {
        "hidden unit 1, gradient ∂L/∂a": "0.05540", "hidden unit 2, gradient ∂L/∂a": "0.06232",
        "hidden unit 1, gradient ∂L/∂z": "0.05540", "hidden unit 2, gradient ∂L/∂z": "0.06232",
        "gradient of hidden weight 1, 1": "0.00277", "gradient of hidden weight 1, 2": "0.00554",
    }  # fmt: skip
    for label, value in given.items():
        camera.page.get_by_role("textbox", name=label).fill(value)
    camera.page.locator(".panel").get_by_role("button", name="Check", exact=True).click()
    expect(camera.page.get_by_text("Likely cause").first).to_be_visible()


def trained(camera: Camera) -> None:
    session = camera.create(SPIRAL)
    camera.call("POST", f"/v1/sessions/{session}/train?include=", TRAIN)
    camera.open(f"#session={session}&panel=watch")
    expect(camera.page.locator(".uplot").first).to_be_visible()


def heat_maps(camera: Camera) -> None:
    session = camera.create(camera.preset("digits"))
    camera.call("POST", f"/v1/sessions/{session}/train?include=", {"epochs": 3, "batch_size": 32, "shuffle": True})
    for operation in ("forward", "backward"):
        camera.call("POST", f"/v1/sessions/{session}/{operation}?include=")
    camera.open(f"#session={session}&of=hidden.weight.gradient[42][29]")
    expect(camera.page.locator("main canvas").first).to_be_visible()


def compared(camera: Camera) -> None:
    session = camera.create(camera.preset("notebook"))
    camera.call("POST", f"/v1/sessions/{session}/train", {"epochs": 200})
    fork = str(camera.call("POST", f"/v1/sessions/{session}/fork", {"epoch": 35, "name": "notebook, faster"})["id"])
    camera.call("PATCH", f"/v1/sessions/{fork}", {"optimizer": {"type": "sgd", "learning_rate": 2}})
    camera.call("POST", f"/v1/sessions/{fork}/train", {"epochs": 165})
    camera.open(f"#session={session}&with={fork}")
    expect(camera.page.locator(".uplot").first).to_be_visible()


SCENES: list[Callable[[Camera], None]] = [first_visit, explained, checked, trained, heat_maps, compared]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, gradstep(Path(folder)) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        for width, height in WIDTHS.items():
            for theme in ("light", "dark"):
                for scene in SCENES:
                    context = browser.new_context(
                        base_url=server.address, viewport={"width": width, "height": height},
                        color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce",
                    )  # fmt: skip
                    page = context.new_page()
                    scene(Camera(page))
                    page.wait_for_load_state("networkidle")
                    page.wait_for_timeout(300)  # what is drawn on canvases
                    name = f"{scene.__name__.replace('_', '-')}-{width}-{theme}.jpg"
                    page.screenshot(path=FOLDER / name, quality=85, type="jpeg")
                    context.close()
        browser.close()


if __name__ == "__main__":
    main()
