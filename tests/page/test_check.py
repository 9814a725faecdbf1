"""Check my working: blanks for a step, grades, the likely cause, and values that stay hidden until answered."""

import re
from collections.abc import Sequence

from playwright.sync_api import Locator, Page, expect

from .axe import axe
from .sessions import address, create, stepped


def field(page: Page, name: str) -> Locator:
    """A blank by its name; the graph's number of that name is a button."""
    return page.get_by_role("textbox", name=name, exact=True)


def graph(page: Page, name: str) -> Locator:
    return page.get_by_role("main").locator(f'button[data-of="{name}"]').first


def open_check(page: Page, presses: int = 0, preset: str = "notebook") -> None:
    """The Check tab of a preset, after so many presses of Next."""
    page.goto(address(stepped(page, presses, preset), "&panel=check"))
    page.get_by_role("heading", name="Check my working").wait_for()


def type_in_turn(page: Page, first: str, values: Sequence[str]) -> None:
    """Fill blanks one after another, as Enter leads from each to the next."""
    field(page, first).focus()
    for value in values:
        page.keyboard.type(value)
        page.keyboard.press("Enter")


def test_all_correct_offers_the_next_step(page: Page) -> None:
    page.goto("/")
    page.get_by_role("tab", name="Check").click()
    expect(page.get_by_text("Forward through hidden. As many decimals as you like.")).to_be_visible()
    type_in_turn(page, "hidden unit 1, z", ["0.3775", ".39250", "0,59327", "59688e-5"])
    panel = page.get_by_role("complementary", name="Details")
    expect(panel.get_by_role("status")).to_have_text("All 4 correct.")
    panel.get_by_role("button", name="Forward through hidden").click()
    expect(page.get_by_text("Forward through output. As many decimals as you like.")).to_be_visible()
    expect(field(page, "loss")).to_have_value("")


def test_each_number_is_graded_to_its_own_decimals(page: Page) -> None:
    open_check(page)
    type_in_turn(page, "hidden unit 1, z", ["0.3775", "0.3925", "0.593", "0.597"])
    status = page.get_by_role("complementary", name="Details").get_by_role("status")
    expect(status).to_have_text("All 4 correct.")
    field(page, "hidden unit 2, activation a").fill("0.598")
    page.get_by_role("button", name="Check again").click()
    expect(field(page, "hidden unit 2, activation a")).to_have_accessible_description(re.compile("^wrong"))
    expect(status).to_have_text("3 of 4 correct.")


def test_a_slip_is_named_where_it_was_made(page: Page) -> None:
    open_check(page, presses=3)
    slips = ["0.05540", "0.06232", "0.05540", "0.06232", "0.00277", "0.00312"]
    type_in_turn(page, "hidden unit 1, gradient ∂L/∂a", slips)
    page.get_by_role("button", name="Check", exact=True).click()
    wrong = field(page, "hidden unit 1, gradient ∂L/∂z")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    cause = page.get_by_role("heading", name="Likely cause: activation derivative omitted")
    expect(cause).to_be_visible()
    expect(page.get_by_text("Both of your values fit this slip.")).to_be_visible()
    follows = field(page, "gradient of hidden weight 1, 1")
    expect(follows).to_have_accessible_description("follows from the mistake above")
    expect(field(page, "hidden unit 1, gradient ∂L/∂a")).to_have_accessible_description("correct, rounded")
    expect(page.get_by_text("2 of 6 correct, 3 left.")).to_be_visible()
    expect(graph(page, "hidden.dL_dz[0][0]")).to_have_text("0.05540")
    expect(graph(page, "hidden.dL_da[0][1]")).to_have_text("0.06232")
    expect(graph(page, "hidden.weight.gradient[0][0]")).to_have_text("–")
    assert not axe(page)

    wrong.fill("0.01337")  # what is typed anew is not graded yet
    expect(wrong).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("heading", name="Likely cause")).to_have_count(0)


def test_what_is_asked_for_is_hidden_until_it_is_answered(page: Page) -> None:
    open_check(page, presses=1)
    expect(graph(page, "hidden.z[0][0]")).to_have_text("0.37750")
    page.get_by_role("group", name="What to work out").get_by_role("button", name="Whole step").click()
    expect(graph(page, "hidden.z[0][0]")).to_have_text("–")
    type_in_turn(page, "hidden unit 1, z", ["0.3775", "0.3925"])
    page.keyboard.press("Enter")
    expect(graph(page, "hidden.z[0][0]")).to_have_text("0.3775")
    expect(graph(page, "hidden.a[0][0]")).to_have_text("–")
    page.get_by_role("tab", name="Watch").click()
    expect(graph(page, "hidden.a[0][0]")).to_have_text("0.59327")


def test_answers_are_shown_when_asked_for(page: Page) -> None:
    open_check(page)
    field(page, "hidden unit 2, z").fill("1")
    page.get_by_role("button", name="Show answers").click()
    expect(field(page, "hidden unit 2, z")).to_have_accessible_description("= 0.39250")
    expect(field(page, "hidden unit 2, z")).to_have_value("1")
    page.get_by_role("button", name="Hide answers").click()
    expect(page.get_by_text("= 0.39250")).to_have_count(0)
    page.get_by_role("button", name="Clear").click()
    expect(field(page, "hidden unit 2, z")).to_have_value("")


def test_what_is_no_number_is_said_at_the_field(page: Page) -> None:
    open_check(page)
    check = page.get_by_role("button", name="Check", exact=True)
    status = page.get_by_role("complementary", name="Details").get_by_role("status")
    check.click()
    expect(status).to_have_text("Fill in a value first.")
    field(page, "hidden unit 1, z").fill("0.3.7")
    expect(field(page, "hidden unit 1, z")).to_have_accessible_description(
        "takes a number, such as 0.0554, −0.5 or 1e−3"
    )
    check.click()
    expect(status).to_have_text("One of the fields holds no number.")


def test_the_blanks_of_a_batch_are_those_of_the_sample_on_the_screen(page: Page) -> None:
    open_check(page, preset="xor")
    expect(page.get_by_text("z and a are those of sample 1 of 4.")).to_be_visible()
    page.get_by_role("button", name="Next sample").click()
    expect(page.get_by_text("z and a are those of sample 2 of 4.")).to_be_visible()
    expect(field(page, "hidden unit 1, z, sample 2")).to_be_visible()


def test_of_a_large_layer_the_first_units_are_asked_for(page: Page) -> None:
    open_check(page, preset="digits")
    expect(page.get_by_text("Asked for: the first 8 of 64 units.")).to_be_visible()
    expect(page.get_by_role("complementary").get_by_role("textbox")).to_have_count(2 * 8)
    blank = field(page, "hidden unit 1, z, sample 1")
    blank.focus()
    page.keyboard.press("Escape")
    expect(blank).not_to_be_focused()


def test_without_rows_it_says_what_to_do(page: Page) -> None:
    config = {"network": {"inputs": 1, "layers": [{"units": 1}]}, "loss": "mse", "optimizer": "sgd"}
    page.goto(address(create(page, config), "&panel=check"))
    expect(page.get_by_text("There are no rows to compute with.")).to_be_visible()
    page.get_by_role("button", name="Add rows").click()
    expect(page.get_by_role("tab", name="Edit")).to_have_attribute("aria-selected", "true")
