"""One step at a time: Next, Back, the rail, longer steps, keys; and what is said when a call is refused or lost."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import OpenPage
from .test_graph import OVERLAPS
from .waiting import drawn

ONE_STEP = [
    "Forward through hidden",
    "Forward through output",
    "Backward through output",
    "Backward through hidden",
    "Update 8 parameters",
]


# The first press makes the session, and then takes its step.
MOVED_ON = """before => {
  const now = document.querySelector(".time-standing").innerText;
  return now !== before && !now.startsWith("Revision 0\\nready");
}"""


def visit(page: Page, address: str = "/") -> None:
    """Go there, and wait until the network is on the screen."""
    page.goto(address)
    page.locator("[data-ready]").wait_for()


def next_button(page: Page) -> Locator:
    return page.locator("#next")


def standing(page: Page) -> Locator:
    return page.get_by_role("region", name="Timeline").get_by_role("paragraph")


def session_id(page: Page) -> str:
    return str(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('session')"))


def press(page: Page, keys: str) -> None:
    """Press keys, each when the one before it is done."""
    for key in keys:
        before = standing(page).inner_text()
        page.keyboard.press(key)
        page.wait_for_function(MOVED_ON, arg=before)


def test_next_takes_a_step_of_five_presses(page: Page) -> None:
    visit(page)
    drawn(page)
    place = next_button(page).bounding_box()
    for i, label in enumerate(ONE_STEP):
        expect(next_button(page)).to_contain_text(label)
        next_button(page).click()
        expect(standing(page)).to_contain_text(f"Revision {i + 1}")
    expect(next_button(page)).to_contain_text(ONE_STEP[0])
    drawn(page)
    assert next_button(page).bounding_box() == place
    assert place
    assert (place["width"], place["height"]) == (272, 48)


def test_the_rail_says_what_is_done_and_what_is_next(page: Page) -> None:
    visit(page)
    press(page, "nnn")
    rail = page.get_by_role("navigation", name="One training step")
    for i, name in enumerate(
        [
            "Forward through hidden, done",
            "Forward through output, done",
            "Backward through output, done last",
            "Backward through hidden, next",
            "Update parameters",
        ]
    ):
        expect(rail.get_by_role("button").nth(i)).to_have_accessible_name(name)
    expect(rail.get_by_role("button")).to_have_count(5)
    expect(rail.locator("[aria-current=step]")).to_have_accessible_name("Backward through hidden, next")


def test_a_station_is_run_up_to_and_a_done_one_stood_at_again(page: Page) -> None:
    visit(page)
    rail = page.get_by_role("navigation", name="One training step")
    rail.get_by_role("button", name="Backward through output").click()
    expect(next_button(page)).to_contain_text("Backward through hidden")
    expect(standing(page)).to_contain_text("Revision 2")
    rail.get_by_role("button", name="Forward through output, done").click()
    expect(standing(page)).to_contain_text("Revision 1 of 2")
    # One call went through both layers: there is no revision of the first alone.
    rail.get_by_role("button", name="Forward through hidden, done").click()
    expect(next_button(page)).to_contain_text("Forward through output")
    rail.get_by_role("button", name="Update parameters").click()
    expect(next_button(page)).to_contain_text(ONE_STEP[0])
    expect(standing(page)).to_contain_text("epoch 1 · step 1")


def test_back_is_the_last_press_undone(page: Page) -> None:
    visit(page)
    back = page.get_by_role("button", name="Back", exact=True)
    expect(back).to_have_attribute("aria-disabled", "true")
    press(page, "nn")
    back.click()
    expect(standing(page)).to_contain_text("Revision 1 of 2")
    press(page, ",.")
    expect(next_button(page)).to_contain_text("Forward through output")


def test_letters_step_and_say_what_is_missing(page: Page) -> None:
    visit(page)
    page.keyboard.press("b")
    page.keyboard.press("u")
    expect(standing(page)).to_contain_text("Not started")
    press(page, "ffbbu")
    expect(standing(page)).to_contain_text("epoch 1 · step 1")
    press(page, "s")
    expect(standing(page)).to_contain_text("epoch 2 · step 2")


def test_letters_are_off_in_fields_and_where_they_are_switched_off(page: Page) -> None:
    visit(page)
    page.evaluate("document.body.append(Object.assign(document.createElement('input'), {id: 'field'}))")
    page.locator("#field").press("n")
    page.locator("#field").evaluate("field => field.remove()")
    page.keyboard.press("?")
    page.get_by_role("switch").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(standing(page)).to_contain_text("Not started")
    next_button(page).click()
    expect(standing(page)).to_contain_text("Revision 1")


def test_next_is_an_outline_while_working_is_checked(page: Page) -> None:
    visit(page)
    fill = "element => getComputedStyle(element).backgroundColor"
    teal = next_button(page).evaluate(fill)
    page.keyboard.press("c")
    expect(next_button(page)).not_to_have_css("background-color", teal)


def test_many_layers_fold_in_the_middle(page: Page) -> None:
    layers = [{"units": 2} for _ in range(9)]
    data = {"inputs": [[0, 1]], "targets": [[0, 1]]}
    config = {"network": {"inputs": 2, "layers": layers}, "loss": "mse", "optimizer": "sgd", "data": data}
    made = page.request.post("/v1/sessions", data=config).json()["id"]
    visit(page, f"/#session={made}")
    rail = page.get_by_role("navigation", name="One training step")
    expect(rail.get_by_role("button", name="more layers")).to_have_count(2)
    rail.get_by_role("button", name="more layers").first.click()
    expect(rail.get_by_role("button", name="through")).to_have_count(18)


def test_a_session_changed_elsewhere_is_loaded_again(page: Page, expect_problem: Callable[[str], None]) -> None:
    visit(page)
    press(page, "n")
    page.request.post(f"/v1/sessions/{session_id(page)}/forward")
    expect_problem("/forward")
    page.keyboard.press("n")
    expect(page.get_by_role("alert")).to_contain_text("moved on elsewhere")
    page.get_by_role("button", name="Load it").click()
    expect(next_button(page)).to_contain_text("Backward through output")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_server_that_does_not_answer_is_asked_again(page: Page, expect_problem: Callable[[str], None]) -> None:
    visit(page)
    press(page, "n")
    expect_problem("/v1/")
    page.route("**/v1/**", lambda route: route.abort(), times=1)
    page.keyboard.press("n")
    expect(page.get_by_role("alert")).to_contain_text("No answer from the server. The last state stays.")
    expect(page.get_by_text("Trying again in")).to_be_visible()
    expect(next_button(page)).to_contain_text("Forward through output")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    press(page, "n")


def test_a_session_that_is_gone_stays_on_the_screen_and_is_started_again(
    page: Page, expect_problem: Callable[[str], None]
) -> None:
    visit(page)
    press(page, "nn")
    gone = session_id(page)
    outlined = page.get_by_text("next ◂ backward")
    expect(outlined).to_be_visible()
    page.request.delete(f"/v1/sessions/{gone}")
    expect_problem(f"/v1/sessions/{gone}")
    page.keyboard.press("n")
    expect(page.get_by_role("alert")).to_contain_text("This session is gone.")
    expect(standing(page)).to_contain_text("last known state")
    expect(outlined).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download snapshot").click()
    assert download.value.suggested_filename == "snapshot-revision-2.json"
    page.get_by_role("button", name="Details", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("404 No such session")
    next_button(page).click()
    expect(next_button(page)).to_contain_text(ONE_STEP[0])
    assert session_id(page) != gone


@pytest.mark.parametrize(("width", "height"), [(1180, 800), (768, 1024), (360, 780)])
def test_nothing_scrolls_sideways(open_page: OpenPage, width: int, height: int) -> None:
    page = open_page(width, height)
    visit(page)
    press_next = next_button(page)
    press_next.click()
    expect(press_next).to_contain_text("Forward through output")
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    buttons = page.locator(".header button, .stepper button, .timeline button, .tabs button").filter(visible=True)
    assert buttons.count() > 10
    beyond = (
        "all => all.map(one => one.getBoundingClientRect()).filter(({left, right}) => left < 0 || right > innerWidth)"
    )
    assert buttons.evaluate_all(beyond) == []
    assert buttons.evaluate_all(OVERLAPS) == []


def test_the_panel_is_made_wider(page: Page) -> None:
    visit(page)
    splitter = page.get_by_role("separator", name="Width of the details")
    panel = page.get_by_role("complementary", name="Details")
    expect(splitter).to_have_attribute("aria-valuenow", "440")
    splitter.press("ArrowLeft")
    expect(splitter).to_have_attribute("aria-valuenow", "464")
    expect(panel).to_have_css("width", "464px")


def test_a_wide_window_has_watch_beside_the_other_tabs(open_page: OpenPage) -> None:
    page = open_page(1920, 1080)
    visit(page)
    expect(page.get_by_role("region", name="Watch")).to_be_visible()
    expect(page.get_by_role("tab")).to_have_text(["ExplainE", "CheckC", "EditD"])


def test_a_phone_keeps_what_is_explained_above_its_explanation(open_page: OpenPage) -> None:
    page = open_page(360, 780)
    visit(page)
    next_button(page).click()
    expect(next_button(page)).to_contain_text("Forward through output")
    number = page.locator("main [data-of='output.weight[0][0]']")
    number.click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel).to_be_in_viewport()
    expect(panel.get_by_role("code")).to_have_text("output.weight[0][0]")
    drawn(page)
    above, below = number.bounding_box(), panel.bounding_box()
    assert above
    assert below
    assert above["y"] + above["height"] <= below["y"]
    expect(number).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Close the details").click()
    expect(panel).to_have_count(0)


def test_the_theme_says_which_it_is(page: Page) -> None:
    visit(page)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for theme in ("light", "dark"):
        page.get_by_role("button", name="Theme: ").click()
        expect(page.get_by_role("button", name=f"Theme: {theme}")).to_be_visible()
    expect(page.locator("body")).not_to_have_css("background-color", light)
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


def test_a_phone_edits_from_more(open_page: OpenPage) -> None:
    page = open_page(360, 780)
    visit(page)
    page.get_by_role("region", name="Stepper").get_by_role("button", name="More").click()
    page.get_by_role("dialog", name="More").get_by_role("button", name="Edit").click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel.get_by_role("heading", name="Parameters")).to_be_visible()
