"""Training in the page: live pictures, pausing at the epoch on the screen, going on, coming back, losing the server."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from .conftest import OpenPage

LONG = 100_000


def open_training(page: Page, data: dict[str, Any], units: int = 4) -> str:
    """A session of two inputs and one output, its curves open; answers where the API has it."""
    config = {
        "network": {
            "inputs": 2,
            "layers": [
                {"name": "hidden", "units": units, "activation": "tanh"},
                {"name": "output", "units": 1, "activation": "sigmoid"},
            ],
        },
        "loss": "bce",
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "data": data,
    }
    made = page.request.post("/v1/sessions", data=config).json()
    page.goto(f"/#session={made['id']}&panel=watch")
    expect(page.get_by_text("Train to see curves here.")).to_be_visible()
    return f"/v1/sessions/{made['id']}"


def train(page: Page, epochs: int) -> None:
    page.get_by_role("button", name="How to train").click()
    page.get_by_label("Epochs", exact=True).fill(str(epochs))
    page.keyboard.press("Enter")


def progress(page: Page) -> Locator:
    return page.get_by_role("progressbar")


def epochs(page: Page) -> int:
    """The last epoch of the loss curve."""
    label = page.get_by_role("img", name=re.compile("^Loss over")).get_attribute("aria-label")
    assert label is not None
    return int(re.sub(r"\D", "", label.split("epochs")[0]))


SEEN = """() => {
  const seen = (window.seen = { picture: new Set(), curve: new Set(), weight: new Set() });
  const look = () => {
    const canvas = document.querySelector("[role=application] canvas");
    const curve = document.querySelector("[role=img][aria-label^='Loss over']");
    if (canvas) seen.picture.add(canvas.toDataURL());
    if (curve) seen.curve.add(curve.ariaLabel);
    seen.weight.add(document.querySelector("main [data-of='hidden.weight[0][0]']").textContent);
    requestAnimationFrame(look);
  };
  look();
}"""


def test_boundary_curve_and_numbers_live_while_it_trains(open_page: OpenPage) -> None:
    page = open_page(motion=True)
    session = open_training(page, {"type": "xor"})
    page.evaluate(SEEN)
    train(page, 60)
    expect(page.get_by_role("img", name=re.compile("^Loss over 60 epochs"))).to_be_visible()
    expect(progress(page)).to_be_hidden()
    seen = page.evaluate("Object.fromEntries(Object.entries(seen).map(([what, some]) => [what, some.size]))")
    assert all(many > 10 for many in seen.values()), seen
    assert epochs(page) == 60
    assert page.request.get(session).json()["epochs"] == 60


def test_pause_stands_at_the_epoch_on_the_screen_and_training_goes_on_from_there(open_page: OpenPage) -> None:
    page = open_page(motion=True)
    session = open_training(page, {"type": "moons", "samples": 50})
    train(page, LONG)
    expect(page.get_by_role("img", name=re.compile("^Loss over"))).to_be_visible()
    expect(page.get_by_role("banner").get_by_text("training", exact=True)).to_be_visible()
    expect(page.get_by_role("navigation", name="One training step")).to_be_hidden()
    expect(page.locator("#next")).to_contain_text("Pause after this epoch")
    page.keyboard.press("p")
    shown = epochs(page)
    expect(progress(page)).to_be_hidden()
    assert page.request.get(session).json()["epochs"] == shown == epochs(page) < LONG

    train(page, 10)
    page.wait_for_function(
        "([url, to]) => fetch(url).then(r => r.json()).then(s => s.epochs === to)", arg=[session, shown + 10]
    )
    expect(progress(page)).to_be_hidden()
    assert epochs(page) == shown + 10


def test_pause_goes_back_to_the_epoch_on_the_screen_when_the_server_is_done(open_page: OpenPage) -> None:
    page = open_page(motion=True)
    session = open_training(page, {"type": "xor"})
    train(page, 1000)
    page.wait_for_function("url => fetch(url).then(r => r.json()).then(s => s.epochs === 1000)", arg=session)
    expect(page.get_by_role("img", name=re.compile("^Loss over"))).to_be_visible()
    page.keyboard.press("p")
    shown = epochs(page)
    expect(progress(page)).to_be_hidden()
    assert page.request.get(session).json()["epochs"] == shown == epochs(page) < 1000


def test_a_page_that_is_loaded_again_goes_on_watching(page: Page) -> None:
    session = open_training(page, {"type": "moons", "samples": 50})
    train(page, LONG)
    expect(progress(page)).to_be_visible()
    page.reload()
    expect(progress(page)).to_be_visible()
    page.keyboard.press("w")
    expect(page.get_by_role("img", name=re.compile("^Loss over"))).to_be_visible()
    page.keyboard.press("p")
    expect(progress(page)).to_be_hidden()
    assert page.request.get(session).json()["run"] is None


def test_a_stream_that_breaks_off_is_told_and_taken_up_again(page: Page, expect_problem: Callable[[str], None]) -> None:
    expect_problem("/runs/")
    open_training(page, {"type": "moons", "samples": 50})
    page.route("**/runs/*", lambda route: route.abort(), times=1)
    train(page, LONG)
    expect(page.get_by_role("alert").filter(has_text="No answer from the server.")).to_be_visible()
    expect(progress(page)).to_be_hidden()
    page.get_by_role("button", name="Retry").click()
    expect(progress(page)).to_be_visible()
    page.keyboard.press("p")
    expect(progress(page)).to_be_hidden()


def test_run_until_says_what_stopped_it(page: Page) -> None:
    open_training(page, {"type": "xor"})
    page.get_by_role("button", name="Run until…").click()
    sheet = page.get_by_role("dialog", name="Run until")
    sheet.get_by_label("Value").fill("0.2")
    sheet.get_by_role("button", name=re.compile("^Run")).click()
    expect(sheet).to_be_hidden()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel.get_by_text(re.compile(r"Stopped at epoch \d+: loss below 0\.2\."))).to_be_visible()
