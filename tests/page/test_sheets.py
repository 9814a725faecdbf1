"""The sheets above the page: keys, training, conditions, sessions, and on a phone the rest."""

import re

from playwright.sync_api import Page, expect

from .axe import axe
from .conftest import OpenPage


def begin(page: Page) -> None:
    """The notebook's network, its first layer done."""
    page.goto("/")
    page.locator("[data-ready]").wait_for()
    page.keyboard.press("n")
    revision(page, 1)


def revision(page: Page, number: int) -> None:
    """Wait until the page stands there."""
    page.get_by_role("region", name="Timeline").filter(has_text=f"Revision {number}").wait_for()


def test_the_keys_are_listed_and_their_letters_can_be_turned_off(page: Page) -> None:
    begin(page)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet.get_by_role("row", name="N Next: what the teal button says")).to_be_visible()
    assert axe(page) == []
    sheet.get_by_role("switch", name="Letter keys").click()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    page.keyboard.press("n")
    page.get_by_role("button", name="Keys").click()
    revision(page, 1)
    page.get_by_role("dialog", name="Keys").get_by_role("switch", name="Letter keys").click()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    revision(page, 2)


def test_training_in_shuffled_batches(page: Page) -> None:
    begin(page)
    page.get_by_role("button", name="How to train").click()
    sheet = page.get_by_role("dialog", name="Train")
    expect(sheet.get_by_label("Epochs", exact=True)).to_be_focused()
    page.keyboard.type("0")
    sheet.get_by_label("Batch size").fill("0")
    expect(sheet.get_by_role("button", name="Train 1 000 epochs")).to_have_attribute("aria-disabled", "true")
    sheet.get_by_label("Epochs", exact=True).fill("3")
    sheet.get_by_label("Batch size").fill("1")
    sheet.get_by_label("Shuffle").check()
    assert axe(page) == []
    with page.expect_request("**/train*") as sent:
        page.keyboard.press("Enter")
    expect(sheet).to_have_count(0)
    wanted = {"epochs": 3, "batch_size": 1, "shuffle": True, "report_every": 1}
    body = sent.value.post_data_json or {}
    assert {key: body[key] for key in wanted} == wanted
    expect(page.get_by_role("button", name="Train 3", exact=True)).to_be_visible()


def test_running_until_one_of_two_conditions_holds(page: Page) -> None:
    begin(page)
    page.keyboard.press("r")
    sheet = page.get_by_role("dialog", name="Run until…")
    sheet.get_by_role("textbox", name="value").fill("0.2")
    sheet.get_by_role("button", name="Add a condition").click()
    sheet.get_by_label("or", exact=True).select_option("an epoch is reached")
    sheet.get_by_role("textbox", name="value").nth(1).fill("0")
    expect(sheet.get_by_role("button", name="Run")).to_have_attribute("aria-disabled", "true")
    sheet.get_by_role("textbox", name="value").nth(1).fill("500")
    assert axe(page) == []
    with page.expect_request("**/train*") as sent:
        sheet.get_by_role("button", name="Run").click()
    stop = [{"type": "loss_below", "value": 0.2}, {"type": "epoch", "value": 500}]
    assert (sent.value.post_data_json or {})["stop"] == stop
    expect(page.get_by_text("loss").filter(has_text="below").first).to_be_visible()


def test_what_the_server_refuses_is_said_in_the_sheet(page: Page, expect_problem: object) -> None:
    assert callable(expect_problem)
    expect_problem("/train")
    begin(page)
    page.keyboard.press("r")
    sheet = page.get_by_role("dialog", name="Run until…")
    sheet.get_by_label("Stop when").select_option("a condition of my own holds")
    sheet.get_by_role("textbox", name="value").fill("zebra > 1")
    sheet.get_by_role("button", name="Run").click()
    expect(sheet.get_by_role("alert")).to_contain_text("this name is none of epoch")
    expect(sheet.get_by_role("textbox", name="value")).to_have_value("zebra > 1")


def test_a_session_is_left_for_another_renamed_and_deleted(page: Page) -> None:
    begin(page)
    expect(page).to_have_url(re.compile("session="))
    first = page.url
    page.get_by_role("button", name="Session notebook").click()
    sheet = page.get_by_role("dialog", name="Sessions")
    expect(sheet.get_by_role("button", name="notebook open now")).to_be_visible()
    assert axe(page) == []
    sheet.get_by_role("region", name="Start from").get_by_role("button", name="XOR").click()
    expect(sheet).to_have_count(0)
    page.get_by_role("button", name="Session xor").click()
    own = sheet.get_by_role("region", name="Of this browser")
    own.get_by_role("button", name="Rename xor").click()
    expect(own.get_by_role("textbox", name="New name of xor")).to_be_focused()
    page.keyboard.type("mine")
    page.keyboard.press("Enter")
    expect(own.get_by_role("button", name="mine open now")).to_be_visible()
    own.get_by_role("button", name="notebook revision 1").click()
    expect(sheet).to_have_count(0)
    expect(page).to_have_url(first)
    page.get_by_role("button", name="Session notebook").click()
    own.get_by_role("button", name="Delete mine").click()
    expect(own.get_by_role("button", name="Really delete mine?")).to_be_focused()
    page.keyboard.press("Shift+Tab")  # given up by going elsewhere
    own.get_by_role("button", name="Delete mine").click()
    own.get_by_role("button", name="Really delete mine?").click()
    expect(own.get_by_text("mine")).to_have_count(0)


def test_a_phone_finds_the_rest_under_more(open_page: OpenPage) -> None:
    page = open_page(360, 740)
    page.goto("/")
    expect(page.locator("[data-ready]")).to_be_visible()
    page.get_by_role("button", name="More").first.click()
    sheet = page.get_by_role("dialog", name="More")
    assert axe(page) == []
    sheet.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    sheet.get_by_role("button", name="Whole step").click()
    expect(sheet).to_have_count(0)
    expect(page.get_by_role("main")).to_contain_text("0.27481")
