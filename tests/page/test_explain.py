"""The Explain panel: where a number comes from, down to the inputs; and the lesson that stands there before."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from .axe import axe
from .conftest import OpenPage
from .sessions import CONFIGS, address, create, stepped


def begin(page: Page, presses: int = 4) -> None:
    """The notebook after so many presses of Next."""
    page.goto(address(stepped(page, presses)))
    revision(page, presses)


def step(page: Page, presses: int = 4) -> None:
    for number in range(1, presses + 1):
        page.keyboard.press("n")
        revision(page, number)


def revision(page: Page, number: int) -> None:
    """Wait until the page stands there."""
    page.get_by_role("region", name="Timeline").filter(has_text=f"Revision {number}").wait_for()


def select(page: Page, name: str) -> Locator:
    """Selects a number of the network; answers the panel, once it explains it."""
    page.get_by_role("main").locator(f"[data-of='{name}']").first.click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel.get_by_role("code")).to_have_text(name)
    return panel


def test_a_gradient_is_explained_by_its_formula_and_the_chain_rule(page: Page) -> None:
    begin(page)
    panel = select(page, "hidden.bias.gradient[0]")
    expect(panel).to_contain_text("gradient of hidden.bias, shared by 2 units")
    expect(panel).to_contain_text("changes the loss 0.02836 times as much, in the same direction")
    expect(panel.get_by_role("region", name="Formula")).to_contain_text("0.01337+0.01500shown rounded")
    ledger = panel.get_by_role("region", name="Chain rule")
    factors = ledger.get_by_role("row", name="×")
    expect(factors.locator(".value")).to_have_text(["0.18682", "0.40000", "0.24130", "1.00000"])
    expect(ledger.get_by_role("row", name="path 1")).to_contain_text("0.01337")
    expect(ledger.get_by_role("row", name="through hidden unit 2")).to_contain_text("0.01500")
    expect(ledger.get_by_role("row", name="sum of 2 paths")).to_contain_text("0.02836")
    expect(panel.get_by_role("region", name="The update will make it")).to_contain_text("0.33582")
    ledger.get_by_role("button", name="through hidden unit 2").click()
    expect(ledger.get_by_role("row", name="path 2")).to_contain_text("0.01500")
    expect(ledger.get_by_role("row", name="path 1")).to_have_count(0)
    assert not axe(page)


def test_a_row_lights_its_place_in_the_graph(page: Page) -> None:
    begin(page)
    ledger = select(page, "output.weight.gradient[0][0]").get_by_role("region", name="Chain rule")
    ledger.get_by_role("row", name="0.59327").get_by_role("button").focus()
    expect(page.get_by_role("main").locator("[data-of='hidden.a[0][0]']")).to_contain_class("pointed")


def test_numbers_of_a_formula_lead_on_and_the_trail_back(page: Page) -> None:
    begin(page)
    panel = select(page, "loss")
    panel.get_by_role("button", name="output unit 1, activation a: 0.75137, explain").focus()
    page.keyboard.press("Enter")
    expect(panel.get_by_role("code")).to_have_text("output.a[0][0]")
    expect(panel).to_contain_text("What this unit passes on: the sigmoid of its")
    panel.get_by_role("region", name="Formula").get_by_role("button", name="1.10591").click()
    expect(panel.get_by_role("code")).to_have_text("output.z[0][0]")
    panel.get_by_role("navigation", name="Trail").get_by_role("button", name="loss").click()
    expect(panel.get_by_role("code")).to_have_text("loss")
    panel.get_by_role("button", name="Back").click()
    expect(panel.get_by_role("heading", name="Train a network by hand")).to_be_visible()


def test_full_precision(page: Page) -> None:
    begin(page)
    panel = select(page, "hidden.bias.gradient[0]")
    panel.get_by_role("button", name="Full precision").click()
    formula = panel.get_by_role("region", name="Formula")
    expect(formula.locator("mn[data-of='hidden.dL_dz[0][0]']")).to_have_text("0.013367920422887463")
    expect(formula).not_to_contain_text("shown rounded")


def test_what_set_a_parameter_can_be_looked_at(page: Page) -> None:
    begin(page, 6)
    panel = select(page, "hidden.weight[0][1]")
    expect(panel).to_contain_text("after update 1 by sgd")
    panel.get_by_role("region", name="Formula").get_by_role("button", name="0.20000").click()
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Revision 4")
    expect(panel).to_contain_text("given in the config")
    panel.get_by_role("button", name="Back to revision 6").click()
    expect(panel).to_contain_text("after update 1 by sgd")
    panel.get_by_role("button", name="Set by revision 5: step").click()
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Revision 5")


def test_what_the_update_left_behind_says_of_which_weights_it_is(page: Page) -> None:
    begin(page, 5)
    note = page.get_by_text("Computed with the weights before the update of revision 5.")
    expect(select(page, "hidden.z[0][0]").filter(has=note)).to_be_visible()
    select(page, "hidden.weight[0][0]")
    expect(note).to_have_count(0)


def test_the_ledger_of_a_long_formula_fits_beside_the_maps(open_page: OpenPage) -> None:
    page = open_page(768, 1024)
    path = create(page, CONFIGS["digits"], "forward", "backward")
    for width in (768, 360):
        page.set_viewport_size({"width": width, "height": 1024})
        page.goto(address(path, "&of=hidden.weight.gradient[42][29]"))
        expect(page.get_by_role("region", name="Chain rule")).to_be_visible()
        page.wait_for_function(
            """() => {
              const right = document.querySelector(".panel-body").getBoundingClientRect().right;
              const values = [...document.querySelectorAll(".ledger .value")];
              return values.length > 0 && values.every((one) => one.getBoundingClientRect().right < right);
            }"""
        )


def test_a_batch_is_a_sum_of_its_samples(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="XOR").click()
    expect(page.get_by_role("banner")).to_contain_text("xor")
    step(page)
    panel = select(page, "hidden.weight.gradient[0][0]")
    ledger = panel.get_by_role("region", name="Chain rule")
    expect(ledger.get_by_role("row", name="Sample 4 largest share")).to_be_visible()
    ledger.get_by_role("button", name="Sample 4", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("sample 4 of 4")
    expect(ledger.get_by_role("button", name="Sample 4", exact=True)).to_have_count(0)
    expect(ledger.get_by_role("row", name="1 more sample")).to_be_visible()
    expect(ledger.get_by_role("row", name="sum of 4 samples")).to_be_visible()


def test_a_loss_says_over_how_many_samples_it_is(page: Page) -> None:
    page.goto(address(create(page, CONFIGS["xor"], "forward"), "&of=loss"))
    expect(page.get_by_role("region", name="Formula")).to_contain_text("m: 4 samples × 1 output")


def test_what_is_not_computed_yet_says_what_to_press(page: Page) -> None:
    page.goto("/")
    expect(select(page, "inputs[0][0]")).to_contain_text("It is given: a number of the session’s rows.")
    panel = select(page, "hidden.z[0][0]")
    expect(panel).to_contain_text("Not computed yet. Press N. It runs Forward through hidden.")
    page.keyboard.press("n")
    expect(panel.get_by_role("region", name="Formula")).to_contain_text("0.15000×0.05000+0.20000×0.10000+0.35000")


def test_a_number_of_a_lost_session_is_shown_as_it_was(page: Page, expect_problem: Callable[[str], None]) -> None:
    expect_problem("/v1/sessions/")
    begin(page, 2)
    page.evaluate(
        "fetch('/v1/sessions/' + new URLSearchParams(location.hash.slice(1)).get('session'), {method: 'DELETE'})"
    )
    panel = select(page, "output.z[0][0]")
    expect(panel).to_contain_text("This explanation was not loaded before the session expired.")
    expect(panel).to_contain_text("404 No such session")
    expect(panel.locator("[data-of='output.z[0][0]']")).to_have_text("1.10591")


def test_the_lesson_ticks_what_is_done(page: Page) -> None:
    page.goto("/")
    lesson = page.get_by_role("complementary").get_by_role("list").first
    expect(lesson.get_by_role("listitem")).to_have_count(5)
    lesson.get_by_role("button", name="Forward through hidden").click()
    expect(lesson.get_by_role("listitem").filter(has_text="done")).to_have_count(1)
    expect(lesson.get_by_role("button")).to_have_text(["Forward through outputN"])
    assert not axe(page)
