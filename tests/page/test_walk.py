"""The worked example, taken through backpropagation on the page: every figure is read from it, to five decimals."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

FORWARD_HIDDEN = {
    "hidden.z[0][0]": "0.37750", "hidden.z[0][1]": "0.39250",
    "hidden.a[0][0]": "0.59327", "hidden.a[0][1]": "0.59688",
}  # fmt: skip
FORWARD_OUTPUT = {"output.z[0][0]": "1.10591", "output.a[0][0]": "0.75137", "loss": "0.27481"}
BACKWARD_OUTPUT = {
    "output.dL_da[0][0]": "0.74137", "output.dL_dz[0][0]": "0.13850",
    "output.weight.gradient[0][0]": "0.08217", "output.weight.gradient[0][1]": "0.08267",
    "output.bias.gradient[0]": "0.13850",
}  # fmt: skip
BACKWARD_HIDDEN = {
    "hidden.dL_da[0][0]": "0.05540", "hidden.dL_da[0][1]": "0.06232",
    "hidden.dL_dz[0][0]": "0.01337", "hidden.dL_dz[0][1]": "0.01500",
    "hidden.weight.gradient[0][0]": "0.00067", "hidden.weight.gradient[0][1]": "0.00134",
    "hidden.weight.gradient[1][0]": "0.00075", "hidden.weight.gradient[1][1]": "0.00150",
    "hidden.bias.gradient[0]": "0.02836",
}  # fmt: skip
UPDATED = {
    "hidden.weight[0][0]": "0.14967", "hidden.weight[0][1]": "0.19933",
    "hidden.weight[1][0]": "0.24963", "hidden.weight[1][1]": "0.29925",
    "hidden.bias[0]": "0.33582",
    "output.weight[0][0]": "0.35892", "output.weight[0][1]": "0.40867",
    "output.bias[0]": "0.53075",
}  # fmt: skip
WALK = [
    ("Forward through hidden", FORWARD_HIDDEN),
    ("Forward through output", FORWARD_OUTPUT),
    ("Backward through output", BACKWARD_OUTPUT),
    ("Backward through hidden", BACKWARD_HIDDEN),
    ("Update 8 parameters", UPDATED),
]


def read(page: Page, figures: dict[str, str]) -> None:
    for name, figure in figures.items():
        whole = re.compile(f"^{re.escape(figure)}$")
        page.get_by_role("main").locator(f"[data-of='{name}']").first.filter(has_text=whole).wait_for()


def click(page: Page, label: str) -> None:
    page.get_by_role("button", name=label).first.click()


def press(page: Page, label: str) -> None:
    expect(page.locator("#next")).to_contain_text(label)
    page.keyboard.press("n")


@pytest.mark.parametrize("go_on", [click, press])
def test_the_notebooks_walk(page: Page, go_on: Callable[[Page, str], None]) -> None:
    page.goto("/")
    read(page, {"hidden.weight[0][0]": "0.15000", "hidden.bias[0]": "0.35000", "hidden.z[0][0]": "–", "loss": "–"})
    for label, figures in WALK:
        go_on(page, label)
        read(page, figures)
    expect(page.locator("#next")).to_contain_text("Forward through hidden")


def test_a_gradient_is_followed_down_its_chain_and_back_by_keys_alone(page: Page) -> None:
    page.goto("/")
    for label, figures in WALK[:4]:
        press(page, label)
        read(page, figures)
    details = page.get_by_role("complementary", name="Details")
    page.get_by_role("main").locator("[data-of='hidden.bias.gradient[0]']").focus()
    page.keyboard.press("Enter")
    for figure in ("0.74137", "0.18682", "0.40000", "0.24130", "1.00000", "0.01337", "0.01500", "0.02836"):
        expect(details.get_by_text(figure, exact=True).first).to_be_visible()
    details.locator("[data-of='hidden.dL_dz[0][0]']").first.focus()
    page.keyboard.press("Enter")
    expect(details.locator("[data-of='hidden.dL_da[0][0]']").first).to_have_text("0.05540")
    page.keyboard.press("Backspace")
    expect(details.get_by_text("0.02836", exact=True).first).to_be_visible()
