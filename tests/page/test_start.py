"""Starting from something else: presets, and a config of one's own as a form or as JSON."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from .axe import axe


def open_form(page: Page) -> Locator:
    page.goto("/")
    page.get_by_role("button", name="My own").click()
    return page.get_by_role("dialog", name="A network of your own")


def test_a_preset_is_one_press(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Circles").click()
    expect(page.get_by_role("banner")).to_contain_text("circles")
    expect(page.get_by_role("button", name="Circles 2–4–1")).to_have_attribute("aria-current", "true")


def test_a_network_of_ones_own_by_the_form(page: Page) -> None:
    form = open_form(page)
    expect(form.get_by_role("status")).to_contain_text("8 parameters")
    form.get_by_role("button", name="Add a layer").click()
    form.get_by_role("group", name="Layer 2").get_by_label("units", exact=True).fill("3")
    form.get_by_role("group", name="Layer 2").get_by_label("activation").select_option("leaky_relu")
    form.get_by_role("group", name="Layer 2").get_by_label("negative slope").fill("0.05")
    form.get_by_role("group", name="Optimizer").get_by_label("kind").select_option("adam")
    form.get_by_role("group", name="Optimizer").get_by_label("learning rate").fill("0.02")
    form.get_by_label("name", exact=True).last.fill("mine")
    form.get_by_label("rows").fill("0, 1, 1\n1, 0, 0")
    expect(form.get_by_role("status")).to_contain_text("18 parameters")
    form.get_by_text("How it starts").first.click()
    assert not axe(page)
    form.get_by_role("button", name="Create").click()
    expect(form).to_be_hidden()
    expect(page.get_by_role("banner")).to_contain_text("mine")
    expect(page.get_by_role("banner")).to_contain_text("2 – 2 – 3 – 1")
    expect(page.get_by_role("banner")).to_contain_text("Adam, η 0.02")


def test_what_is_wrong_is_said_at_its_field(page: Page, expect_problem: Callable[[str], None]) -> None:
    expect_problem("dry_run")
    form = open_form(page)
    optimizer = form.get_by_role("group", name="Optimizer")
    optimizer.get_by_label("momentum").fill("-1")
    expect(optimizer.get_by_label("momentum")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("status")).to_contain_text("/optimizer/momentum got -1")
    optimizer.get_by_label("momentum").fill("0.9")
    form.get_by_label("rows").fill("0.05, 0.1, 0.01, 3")
    expect(form.get_by_label("rows")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("button", name="Create")).to_have_attribute("aria-disabled", "true")
    first = form.get_by_role("group", name="Layer 1")
    first.get_by_label("name").fill("1st")
    expect(first.get_by_label("name")).to_have_accessible_description(re.compile("begins with a letter"))
    first.get_by_label("name").fill("output")
    expect(form.get_by_role("group", name="Network").get_by_text("has the name of an earlier layer")).to_be_visible()


def test_form_and_json_are_the_same_config(page: Page) -> None:
    form = open_form(page)
    form.get_by_role("group", name="Layer 1").get_by_label("units", exact=True).fill("5")
    form.get_by_role("button", name="JSON").click()
    editor = form.get_by_label("Config as JSON")
    config = json.loads(editor.input_value())
    assert config["network"]["layers"][0] == {
        "name": "hidden", "units": 5, "activation": "sigmoid", "bias": "shared", "init": {"bias": 0.35},
    }  # fmt: skip
    editor.fill(json.dumps(config | {"loss": "mse"}))
    form.get_by_role("button", name="Form").click()
    expect(form.get_by_role("group", name="Loss").get_by_label("kind")).to_have_value("mse")
    expect(form.get_by_role("status")).to_contain_text("17 parameters")


def test_json_is_checked_while_it_is_written(page: Page, expect_problem: Callable[[str], None]) -> None:
    expect_problem("dry_run")
    form = open_form(page)
    form.get_by_role("button", name="JSON").click()
    editor = form.get_by_label("Config as JSON")
    text = editor.input_value()
    editor.fill(text.replace('"loss": "half_squared_error"', '"loss": "half"'))
    wrong = form.get_by_role("listitem").filter(has_text="/loss")
    expect(wrong).to_contain_text("takes one of 'half_squared_error'")
    wrong.get_by_role("button").click()
    selected = "([e, line]) => e.value.slice(e.selectionStart, e.selectionEnd) === line"
    page.wait_for_function(selected, arg=[editor.element_handle(), '  "loss": "half",'])
    assert not axe(page)
    editor.fill(text.replace('"loss":', '"loss"'))
    expect(form.get_by_role("listitem").filter(has_text="Line")).to_contain_text('A colon is missing after "loss".')
    expect(form.get_by_role("button", name="Form")).to_have_attribute("aria-disabled", "true")
    editor.fill(text)
    expect(form.get_by_role("status")).to_contain_text("8 parameters")
