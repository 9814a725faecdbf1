"""Two sessions side by side."""

import json
import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from .axe import axe
from .conftest import OpenPage
from .waiting import drawn

FORKED_AT = 35


@pytest.fixture(scope="module")
def pair(server: str) -> tuple[str, str]:
    """The notebook's session after 60 epochs, and one that was forked from it at 35 and went on faster."""
    with httpx.Client(base_url=f"{server}/v1") as client:
        config = client.get("/catalog").json()["presets"][0]["config"]
        a = client.post("/sessions", json=config).json()["id"]
        client.post(f"/sessions/{a}/train", json={"epochs": FORKED_AT})
        b = client.post(f"/sessions/{a}/fork", json={"name": "faster"}).json()["id"]
        client.patch(f"/sessions/{b}", json={"optimizer": {"learning_rate": 2.0}})
        for session in (a, b):
            client.post(f"/sessions/{session}/train", json={"epochs": 25}).raise_for_status()
    return a, b


def fresh(server: str, pair: tuple[str, str]) -> tuple[str, str]:
    """Copies of the two, to be changed."""
    forks = [f"{server}/v1/sessions/{one}/fork" for one in pair]
    a, b = (httpx.post(fork, json={"name": name}).json()["id"] for fork, name in zip(forks, "AB", strict=True))
    return a, b


def compare(page: Page, a: str, b: str) -> None:
    page.goto(f"/#session={a}&with={b}")
    at_rest(page)


def at_rest(page: Page) -> None:
    """Wait until both are there, and no training is under way: the last epoch is seen before that."""
    expect(page.get_by_role("button", name=re.compile("^Train both"))).to_be_enabled()


def test_what_differs_is_shown_and_copied(page: Page, server: str, pair: tuple[str, str]) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    a, b = pair
    compare(page, a, b)
    card = page.get_by_role("region", name="B, faster")
    expect(card).to_contain_text("2 A has 0.5")
    expect(page.get_by_text("same start; B forked from A at epoch 35")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("optimizer.learning_rate 0.5 2"))).to_be_visible()
    differs = httpx.get(f"{server}/v1/sessions/{b}/diff?against={a}").json()["tensors"]["output.bias"]
    row = page.get_by_role("row", name=re.compile("^output.bias"))
    expect(row).to_contain_text(f"{differs['value'] - differs['against']:.5f}".replace("-", "−"))
    page.get_by_role("button", name="Gradients").click()
    expect(page.get_by_role("row", name=re.compile("^hidden.weight.gradient"))).to_be_visible()
    assert axe(page) == []
    page.get_by_role("button", name="Copy difference as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["first"] == "hidden.weight"
    assert [one["pointer"] for one in copied["config"]] == ["/optimizer/learning_rate"]


def test_a_number_is_explained_beside_the_others(page: Page, pair: tuple[str, str]) -> None:
    compare(page, *pair)
    page.get_by_role("row", name=re.compile("^output.bias")).get_by_role("button").first.click()
    details = page.get_by_role("complementary", name="Details")
    expect(details).to_contain_text(re.compile(r"output.bias\[0\].*in A; B has −"))
    page.get_by_role("button", name="Gradients").click()
    expect(page.get_by_role("row", name=re.compile(r"^output.bias \[0\]"))).to_be_visible()


def test_both_are_trained_and_go_back_together(page: Page, server: str, pair: tuple[str, str]) -> None:
    compare(page, *fresh(server, pair))
    page.keyboard.press("t")
    for side in "AB":
        expect(page.get_by_role("region", name=re.compile(f"^{side}, "))).to_contain_text("epoch160")
    at_rest(page)
    page.keyboard.press("s")
    for side in "AB":
        expect(page.get_by_role("region", name=re.compile(f"^{side}, "))).to_contain_text("epoch161")
    slider = page.get_by_role("slider", name="Epoch of both")
    slider.press("PageDown")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^epoch 151, A at 151, B at 151"))
    slider.press("Enter")
    for side in "AB":
        expect(page.get_by_role("region", name=re.compile(f"^{side}, "))).to_contain_text("epoch151")


# Done by the page itself, as soon as it can be: a training is over before a slow machine has pressed a key.
PAUSE = """epoch => {
  const look = () => {
    const [next, card] = [document.querySelector("#next"), document.querySelector("[aria-label^='A, ']")];
    const reached = Number(/epoch(\\d+)/.exec(card.textContent)[1]);
    if (next.textContent.includes("Pause") && reached >= epoch) next.click();
    else requestAnimationFrame(look);
  };
  look();
}"""


@pytest.mark.parametrize("epoch", [60, 80])
def test_both_are_paused_at_one_epoch(open_page: OpenPage, server: str, pair: tuple[str, str], epoch: int) -> None:
    page = open_page(motion=True)
    a, b = fresh(server, pair)
    compare(page, a, b)
    page.evaluate(PAUSE, epoch)
    page.keyboard.press("t")
    expect(page.get_by_role("region", name="A, A")).not_to_contain_text("epoch60")
    at_rest(page)
    epochs = [httpx.get(f"{server}/v1/sessions/{one}").json()["epochs"] for one in (a, b)]
    assert epochs[0] == epochs[1]
    assert epoch < epochs[0] + (epoch > 60) <= 160


def test_one_is_stepped_alone(page: Page, server: str, pair: tuple[str, str]) -> None:
    compare(page, *fresh(server, pair))
    page.get_by_role("button", name="Step B").click()
    page.get_by_role("button", name="Whole step").click()
    expect(page.get_by_role("region", name="B, B")).to_contain_text("epoch61")
    expect(page.get_by_role("region", name="A, A")).to_contain_text("epoch60")
    page.get_by_role("button", name="Back", exact=True).first.click()
    expect(page.get_by_role("region", name="B, B")).to_contain_text("epoch60")


def test_swapped_and_closed(page: Page, pair: tuple[str, str]) -> None:
    compare(page, *pair)
    page.get_by_role("button", name="Swap A and B").click()
    expect(page.get_by_role("region", name="A, faster")).to_be_visible()
    expect(page.get_by_text("same start; A forked from B at epoch 35")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="A, faster")).to_have_count(0)
    expect(page.get_by_role("button", name="Session faster")).to_be_visible()


def test_a_fork_to_compare_with_is_made_from_the_sheet(page: Page) -> None:
    page.goto("/")
    expect(page.locator("[data-ready]")).to_be_visible()
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile("session="))
    page.keyboard.press("x")
    page.get_by_role("button", name="Fork at epoch 0 and compare").click()
    expect(page.get_by_role("region", name="B, notebook, B")).to_be_visible()
    expect(page.get_by_text("A and B are equal, to the last bit.")).to_be_visible()


def test_a_phone_has_it_in_one_column(open_page: OpenPage, pair: tuple[str, str]) -> None:
    page = open_page(360, 740)
    compare(page, *pair)
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert axe(page) == []
    page.get_by_role("button", name="Time").click()
    strip = page.get_by_role("slider", name="Epoch of both")
    expect(strip).to_be_visible()
    drawn(page)
    box = strip.bounding_box()
    assert box is not None
    assert box["width"] > 300


def test_closed_in_a_training_that_replaces_another(open_page: OpenPage, server: str, pair: tuple[str, str]) -> None:
    page = open_page(motion=True)
    a, b = fresh(server, pair)
    httpx.post(f"{server}/v1/sessions/{a}/train", json={"epochs": 5})
    compare(page, a, b)
    page.keyboard.press(",")
    expect(page.get_by_role("region", name="A, A")).to_contain_text("epoch60")
    at_rest(page)
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Pause after this epoch")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("slider", name="Time")).to_be_visible()
    expect(page.locator(".time-block")).to_have_count(1)  # the one that was gone back from is not there any more
    expect(page.get_by_role("button", name="Pause after this epoch")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
