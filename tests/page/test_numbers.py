"""Numbers: every number of the network in tables, by which what is drawn elsewhere can be read."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

from .axe import axe
from .sessions import CONFIGS, address, create
from .test_maps import PASSES
from .waiting import drawn


def open_numbers(page: Page, name: str = "notebook", calls: tuple[str, ...] = PASSES, also: str = "") -> str:
    """A preset's numbers after these calls; answers the session's path."""
    path = create(page, CONFIGS[name], *calls)
    page.goto(address(path, f"&view=numbers{also}"))
    return path


def table(page: Page, layer: str) -> Locator:
    return page.get_by_role("table", name=f"Numbers of {layer}")


def values(numbers: Locator) -> dict[str, str]:
    """What is shown, by name."""
    found: dict[str, str] = numbers.locator("[data-of]").evaluate_all(
        "all => Object.fromEntries(all.map(one => [one.dataset.of, one.dataset.value ?? '']))"
    )
    return found


def names(layer: str, units: int, inputs: int, biases: int, *parts: str) -> set[str]:
    """The names that a layer's table should have for one sample."""
    by_unit = {f"{layer}.{one}[0][{j}]" for one in ("z", "a", "da_dz", "dL_da", "dL_dz") for j in range(units)}
    weights = {f"{layer}.weight{part}[{j}][{i}]" for part in parts for j in range(units) for i in range(inputs)}
    return by_unit | weights | {f"{layer}.bias{part}[{j}]" for part in parts for j in range(biases)}


def check(page: Page, path: str, shown: dict[str, str]) -> None:
    """Compare numbers with the API's own."""
    for name, value in shown.items():
        assert float(value) == page.request.get(f"{path}/tensors/{name}").json()["value"], name


def test_they_are_all_there(page: Page) -> None:
    path = open_numbers(page)
    for layer in ("hidden", "output"):
        expect(table(page, layer).locator(f"[data-of='{layer}.weight.gradient[0][1]'][data-value]")).to_be_visible()
    hidden, output = values(table(page, "hidden")), values(table(page, "output"))
    assert hidden.keys() == names("hidden", 2, 2, 1, "", ".gradient")  # the bias is shared
    assert output.keys() == names("output", 1, 2, 1, "", ".gradient")
    check(page, path, hidden | output)


def test_what_is_not_computed_yet_is_said(page: Page) -> None:
    open_numbers(page, calls=())
    expect(page.get_by_role("button", name="hidden unit 1, z: not computed yet, explain")).to_be_visible()
    page.keyboard.press("n")
    expect(table(page, "hidden").get_by_role("button", name="hidden unit 1, z: 0.37750, explain")).to_be_visible()


def test_one_stop_of_tab_and_arrows_from_there(page: Page) -> None:
    open_numbers(page)
    hidden = table(page, "hidden")
    first = hidden.get_by_role("button").first
    expect(first).to_have_attribute("tabindex", "0")
    first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    at = hidden.locator("[data-of='hidden.dL_da[0][1]']")
    expect(at).to_be_focused()
    expect(hidden.locator(".num[tabindex='0']")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(at).to_have_attribute("aria-pressed", "true")


def test_the_optimizers_state_is_there_when_asked_for(page: Page) -> None:
    path = open_numbers(page, "xor", ("train",))
    expect(table(page, "hidden")).not_to_contain_text("exp_avg")
    page.get_by_role("checkbox", name="Optimizer state").check()
    at = table(page, "hidden").locator("[data-of='hidden.weight.state.exp_avg_sq[3][1]'][data-value]")
    check(page, path, {"hidden.weight.state.exp_avg_sq[3][1]": at.get_attribute("data-value") or ""})


def test_a_large_layer_is_shown_in_parts_first_what_is_selected(page: Page) -> None:
    path = open_numbers(page, "digits", also="&of=hidden.weight[40][22]")
    hidden = table(page, "hidden")
    expect(hidden.locator("[data-of='hidden.weight[40][22]']")).to_have_attribute("aria-pressed", "true")
    for side in ("Inputs", "Units"):
        page.get_by_role("spinbutton", name=f"{side} of hidden: from").fill("1")
        page.keyboard.press("Tab")
    expect(hidden.locator("[data-of='hidden.weight.gradient[15][15]'][data-value]")).to_be_visible()
    page.get_by_role("spinbutton", name="Inputs of hidden: from").fill("60")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Units of hidden: later").click()
    some = ("hidden.weight.gradient[31][63]", "hidden.weight[16][48]", "hidden.dL_dz[0][20]", "hidden.bias[31]")
    for name in some:
        expect(hidden.locator(f"[data-of='{name}'][data-value]")).to_be_attached()
    shown = values(hidden)
    assert len(shown) == len(names("hidden", 16, 16, 16, "", ".gradient"))
    check(page, path, {name: shown[name] for name in some})


def test_they_fit_a_phone_and_are_accessible(open_page: Any) -> None:
    page = open_page(360, 800, dark=True)
    open_numbers(page)
    expect(table(page, "hidden")).to_be_visible()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert axe(page) == []
