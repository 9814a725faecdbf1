"""The graph and the sentence above it, as a person meets them."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from .axe import axe
from .conftest import OpenPage
from .sessions import CONFIGS, address, create, stepped
from .waiting import PIXELS, drawn

BOXES = ".drawn :is(.pill, .unit, .chip, .loss)"
OVERLAPS = """boxes => {
  const all = boxes.map(box => [box.textContent, box.getBoundingClientRect()]);
  const found = [];
  all.forEach(([one, a], i) => all.slice(i + 1).forEach(([other, b]) => {
    if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
      found.push(`${one} on ${other}`);
  }));
  return found;
}"""

COLOURS = f"""name => {{
  const {{ data }} = {PIXELS}(document.querySelector(`[data-of="${{name}}"] canvas`));
  return new Set(new Uint32Array(data.buffer)).size > 20;
}}"""


@pytest.fixture
def notebook(page: Page) -> Page:
    page.goto("/")
    graph(page).locator(".drawn").wait_for()
    return page


def graph(page: Page) -> Locator:
    return page.get_by_role("group", name="Graph: ")


def number(page: Page, name: str) -> Locator:
    return graph(page).locator(f'[data-of="{name}"]')


def says(page: Page, text: str) -> None:
    page.get_by_role("status").filter(has_text=text).wait_for(state="attached")


def press_next(page: Page, *said: str) -> None:
    graph(page).locator(".drawn").wait_for()
    for text in said:
        page.keyboard.press("n")
        says(page, text)


STEP = [
    "Forward through hidden: activations 0.59327 and 0.59688.",
    "Forward through output: prediction 0.75137, target 0.01000, loss 0.27481. Next, Backward through output.",
    "Backward through output: ∂L/∂z 0.13850, and from it three gradients. Next, Backward through hidden.",
    "Backward through hidden: the error 0.13850 came back along",
]


def preset(page: Page, name: str) -> None:
    page.goto(address(create(page, CONFIGS[name])))


def test_a_step_fills_the_cards_and_is_told(notebook: Page) -> None:
    says(notebook, "Two inputs, two hidden units, one output. Nothing is computed yet. Press Forward (or N)")
    expect(number(notebook, "hidden.z[0][0]")).to_have_text("–")
    expect(graph(notebook)).to_contain_text("next ▸ forward")
    press_next(notebook, *STEP[:2])
    expect(number(notebook, "hidden.z[0][0]")).to_have_text("0.37750")
    expect(number(notebook, "loss")).to_have_text("0.27481")
    expect(number(notebook, "hidden.bias.gradient[0]")).to_have_count(0)
    expect(graph(notebook)).to_contain_text("next ◂ backward")
    press_next(notebook, *STEP[2:])
    expect(number(notebook, "hidden.bias.gradient[0]")).to_have_text("0.02836")
    expect(notebook.get_by_role("group", name="hidden, layer 1, 2 units, sigmoid")).to_contain_text("just computed")
    press_next(notebook, "Eight parameters took a step; the loss was 0.27481.")


def test_after_an_update_what_was_computed_before_it_marks_no_new_weight(notebook: Page) -> None:
    press_next(notebook, STEP[0])
    number(notebook, "hidden.z[0][0]").click()
    weight, given = number(notebook, "hidden.weight[0][0]"), number(notebook, "inputs[0][0]")
    expect(weight).to_have_class(re.compile("factor"))
    press_next(notebook, *STEP[1:], "z, a and gradients on the screen are from before it")
    expect(given).to_have_class(re.compile("factor"))
    expect(weight).not_to_have_class(re.compile("factor"))
    expect(weight.locator("xpath=ancestor::*[contains(@class, 'chip')]")).not_to_have_class(re.compile("ringed"))


def test_keys_say_why_they_do_nothing_and_edit_goes_to_its_field(notebook: Page) -> None:
    notebook.keyboard.press("u")
    says(notebook, "There are no gradients yet.")
    number(notebook, "hidden.weight[0][0]").press("Shift+Enter")
    expect(notebook.locator("#edit-selected")).to_be_focused()


def test_large_numbers_stay_in_their_cards(page: Page) -> None:
    path = create(page, CONFIGS["notebook"])
    page.request.patch(f"{path}/parameters", data={"hidden.weight[0][0]": -1.23456e148})
    page.goto(address(path))
    expect(number(page, "hidden.weight[0][0]")).to_have_text("−1.2e148")
    wide = "chips => chips.filter(chip => chip.scrollWidth > chip.clientWidth).length"
    drawn(page)
    assert graph(page).locator(".chip").evaluate_all(wide) == 0


def test_lines_are_weights_then_gradients(notebook: Page) -> None:
    expect(notebook.get_by_text("Lines: weight")).to_be_visible()
    widths = "lines => lines.map(line => line.getAttribute('stroke-width'))"
    before = notebook.locator(".drawn .line").evaluate_all(widths)
    assert before
    press_next(notebook, *STEP[:3])
    expect(notebook.get_by_text("Lines: gradient of each weight")).to_be_visible()
    uncomputed = notebook.locator(".drawn .line.uncomputed")
    expect(uncomputed).to_have_count(6)  # the weights of hidden, and its bias to each unit
    assert notebook.locator(".drawn .line").evaluate_all(widths) != before


def test_a_selected_gradient_lights_its_paths(notebook: Page) -> None:
    press_next(notebook, *STEP)
    number(notebook, "hidden.bias.gradient[0]").click()
    expect(notebook.locator(".drawn .unit.ringed")).to_have_count(3)
    expect(notebook.locator(".drawn .glow")).to_have_count(5)
    expect(notebook.locator(".drawn .number text")).to_have_text(["1", "2", "1", "2"])
    expect(number(notebook, "output.weight[0][0]")).to_have_class(re.compile("factor"))


def test_arrows_move_and_enter_explains(notebook: Page) -> None:
    stops = graph(notebook).locator('[data-of][tabindex="0"]')
    expect(stops).to_have_count(1)
    number(notebook, "hidden.weight[0][0]").focus()
    notebook.keyboard.press("ArrowRight")
    expect(number(notebook, "hidden.z[0][0]")).to_be_focused()
    expect(stops).to_have_count(1)
    notebook.keyboard.press("ArrowDown")
    expect(number(notebook, "hidden.bias[0]")).to_be_focused()
    notebook.keyboard.press("Enter")
    expect(number(notebook, "hidden.bias[0]")).to_have_attribute("aria-pressed", "true")
    notebook.keyboard.press("Shift+Enter")
    expect(notebook.get_by_role("tab", name="Edit")).to_have_attribute("aria-selected", "true")


def test_larger_layers_are_tiles(page: Page) -> None:
    preset(page, "moons")
    press_next(page, "Forward through hidden: eight activations for each of 160 samples.")
    tile = number(page, "hidden.a[0][2]")
    expect(tile).to_be_visible()
    page.wait_for_function(COLOURS, arg="hidden.a[0][2]")
    tile.click()
    expect(tile).to_have_attribute("aria-pressed", "true")
    number(page, "hidden.bias[2]").click()
    expect(number(page, "hidden.bias[2]")).to_have_attribute("aria-pressed", "true")
    page.locator(".drawn .hit").first.dispatch_event("click")
    expect(page).to_have_url(re.compile(r"of=hidden\.weight\[0\]\[0\]"))
    assert axe(page) == []


def test_samples_are_stepped_through(page: Page) -> None:
    preset(page, "xor")
    samples = page.get_by_role("group", name="Sample")
    expect(samples).to_contain_text("sample 1 of 4")
    samples.get_by_role("button", name="Next sample").click()
    expect(samples).to_contain_text("sample 2 of 4")
    expect(number(page, "inputs[1][1]")).to_have_text("1.00000")


def test_a_large_network_has_no_graph(page: Page) -> None:
    preset(page, "digits")
    view = page.get_by_role("group", name="View")
    expect(view.get_by_role("button", name="Graph")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("Graph needs 16 units or fewer in each layer")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "height", "dark"), [(1440, 900, False), (1280, 720, False), (768, 1024, True), (360, 800, False)]
)
def test_nothing_overlaps_or_is_cut_off(open_page: OpenPage, width: int, height: int, dark: bool) -> None:
    page = open_page(width, height, dark=dark)
    page.goto(address(stepped(page, 4)))
    expect(number(page, "hidden.bias.gradient[0]")).to_have_text("0.02836")
    expect(page.locator(".drawn .unit")).to_have_count(3)
    assert_all_seen(page)
    assert axe(page) == []


def assert_all_seen(page: Page) -> None:
    drawn(page)
    assert page.locator(BOXES).evaluate_all(OVERLAPS) == []
    assert graph(page).evaluate("graph => graph.scrollWidth <= graph.clientWidth")
    cut = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.textContent)"
    assert page.locator(BOXES).evaluate_all(cut) == []


@pytest.mark.parametrize(("width", "said"), [(1440, "0.0006683960211443732"), (360, "0.00067")])
def test_numbers_in_full_where_there_is_room(open_page: OpenPage, width: int, said: str) -> None:
    page = open_page(width, 900)
    page.goto("/")
    page.evaluate("localStorage.setItem('gradstep.fullPrecision', 'true')")
    page.goto("about:blank")  # what follows is the same document otherwise
    page.goto(address(stepped(page, 4)))
    expect(number(page, "hidden.weight.gradient[0][0]")).to_have_text(said)
    assert_all_seen(page)
