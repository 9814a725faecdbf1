"""The timeline: what was done can be looked at, stood at, forked, and listed on a phone."""

from playwright.sync_api import Locator, Page, expect

from .conftest import OpenPage
from .sessions import CONFIGS, address, create
from .test_stepping import next_button, press, session_id, standing, visit
from .waiting import drawn

LONG = 1_000_000


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Time")


def says(page: Page, text: str) -> None:
    expect(slider(page)).to_have_attribute("aria-valuetext", text)


def pause(page: Page, milliseconds: int) -> None:
    """How long the slider waits after a key until it stands there: 800 ms, too short for a slow machine's next key."""
    page.evaluate(
        """pause => {
          const real = (window.realTimeout ??= window.setTimeout);
          window.setTimeout = (work, after, ...more) => real(work, after === 800 ? pause : after, ...more);
        }""",
        milliseconds,
    )


def drag(page: Page, start: float, end: float, *, drop: bool = True) -> None:
    """Drag the playhead from one share of the strip's width to another."""
    drawn(page)
    box = slider(page).bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], middle, steps=5)
    if drop:
        page.mouse.up()


def test_the_slider_says_where_the_session_stands(page: Page) -> None:
    visit(page)
    says(page, "revision 0, the start")
    press(page, "nnnn")
    says(page, "revision 4, backward through hidden")
    press(page, "n")
    says(page, "revision 5, update, step 1")


def test_keys_look_and_enter_stands(page: Page) -> None:
    visit(page)
    press(page, "nnnn")
    says(page, "revision 4, backward through hidden")
    pause(page, LONG)
    slider(page).press("Home")
    says(page, "revision 0, the start")
    expect(page.get_by_text("looking back")).to_be_visible()
    slider(page).press("ArrowRight")
    slider(page).press("Enter")
    expect(standing(page)).to_contain_text("Revision 1 of 4")
    expect(next_button(page)).to_contain_text("Forward through output")
    expect(page.get_by_text("looking back")).to_have_count(0)


def test_keys_stand_after_a_pause_and_escape_comes_back(page: Page) -> None:
    visit(page)
    press(page, "nnn")
    says(page, "revision 3, backward through output")
    pause(page, LONG)
    slider(page).press("Home")
    says(page, "revision 0, the start")
    slider(page).press("Escape")
    says(page, "revision 3, backward through output")
    pause(page, 1)
    slider(page).press("ArrowLeft")
    expect(standing(page)).to_contain_text("Revision 2 of 3")
    expect(next_button(page)).to_contain_text("Backward through output")


def test_leaving_the_slider_stands_where_it_was_moved_to(page: Page) -> None:
    visit(page)
    press(page, "nnn")
    pause(page, LONG)
    slider(page).press("Home")
    slider(page).press("Tab")
    expect(standing(page)).to_contain_text("Revision 0 of 3")


def test_before_the_first_press_there_is_nowhere_to_go(page: Page) -> None:
    visit(page)
    slider(page).click(force=True)
    slider(page).press("End")
    expect(slider(page)).to_have_attribute("aria-disabled", "true")
    expect(standing(page)).to_contain_text("Not started")


def test_the_past_has_the_rows_of_then(page: Page) -> None:
    path = create(page, CONFIGS["xor"])
    rows = {"inputs": [[0, 1], [1, 1]], "targets": [[1], [0]]}
    page.request.put(f"{path}/data", data=rows)
    visit(page, address(path))
    header = page.get_by_role("banner")
    expect(header).to_contain_text("2 samples")
    pause(page, LONG)
    slider(page).press("Home")
    expect(header).to_contain_text("4 samples")
    slider(page).press("Escape")
    expect(header).to_contain_text("2 samples")


def test_dragging_looks_and_letting_go_stands(page: Page) -> None:
    visit(page)
    press(page, "nnnn")
    says(page, "revision 4, backward through hidden")
    drag(page, 0.4, 0, drop=False)
    says(page, "revision 0, the start")
    expect(page.get_by_text("looking back")).to_be_visible()
    there = page.request.get(f"/v1/sessions/{session_id(page)}").json()
    assert there["revision"] == 4
    page.mouse.up()
    expect(standing(page)).to_contain_text("Revision 0 of 4")
    expect(next_button(page)).to_contain_text("Forward through hidden")


def test_a_training_is_a_block_whose_epochs_can_be_stood_at(page: Page) -> None:
    visit(page)
    page.keyboard.press("t")
    says(page, "revision 1, trained to epoch 100")
    pause(page, LONG)
    slider(page).press("ArrowLeft")
    says(page, "epoch 99 of 100, on the way to revision 1")
    slider(page).press("PageDown")
    slider(page).press("Enter")
    expect(standing(page)).to_contain_text("epoch 89 · step 89")
    says(page, "epoch 89 of 100, on the way to revision 1")
    # What comes after it is a revision of its own, and the block stays.
    press(page, "n")
    says(page, "revision 3, forward through hidden")
    press(page, ",")
    says(page, "revision 2, back to the end of epoch 89")


def test_a_fork_goes_on_from_where_the_session_stands(page: Page) -> None:
    visit(page)
    press(page, "nnn")
    first = session_id(page)
    press(page, ",")
    page.get_by_role("button", name="Fork here").click()
    expect(standing(page)).to_contain_text("Revision 0")
    expect(next_button(page)).to_contain_text("Backward through output")
    fork = page.request.get(f"/v1/sessions/{session_id(page)}").json()
    assert fork["forked_from"] == {"session": first, "revision": 2, "epoch": None}
    assert fork["name"] == "notebook, fork"
    expect(page.get_by_role("banner").get_by_text("fork", exact=True)).to_be_visible()


def test_many_revisions_fold_away_and_can_be_reached(page: Page) -> None:
    visit(page)
    press(page, "n")
    for _ in range(50):
        page.request.post(f"/v1/sessions/{session_id(page)}/forward")
        page.request.post(f"/v1/sessions/{session_id(page)}/backward")
    page.reload()
    expect(standing(page)).to_contain_text("Revision 101")
    earlier = page.get_by_role("button", name="earlier revisions")
    earlier.click()
    later = page.get_by_role("button", name="later revisions")
    expect(later).to_be_visible()
    pause(page, LONG)
    slider(page).press("Home")
    slider(page).press("Enter")
    expect(standing(page)).to_contain_text("Revision 0 of 101")
    expect(earlier).to_have_count(0)


def test_a_phone_lists_the_revisions(open_page: OpenPage) -> None:
    page = open_page(360, 780)
    visit(page)
    next_button(page).click()
    expect(next_button(page)).to_contain_text("Forward through output")
    next_button(page).click()
    page.get_by_role("navigation", name="Show").get_by_role("button", name="Time").click()
    rows = page.get_by_role("region", name="Timeline").get_by_role("listitem")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("forward through output")
    rows.last.click()
    expect(standing(page)).to_contain_text("Revision 0 of 2")
