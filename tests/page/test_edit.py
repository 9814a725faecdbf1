"""Edit: parameters, optimizer, rows and name are changed in place, one revision each, and Back takes a change away."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from .axe import axe
from .sessions import CONFIGS, address, create
from .waiting import drawn


def open_edit(page: Page, preset: str = "notebook", *calls: str, revision: str = "") -> str:
    """The Edit tab of a preset, after calls such as `forward`. Answers the session's path."""
    path = create(page, CONFIGS[preset], *calls)
    page.goto(address(path, f"&panel=edit{revision}"))
    page.get_by_role("heading", name="Parameters").wait_for()
    return path


def field(page: Page, name: str) -> Locator:
    return page.get_by_role("textbox", name=name, exact=True)


def part(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def back(page: Page) -> None:
    page.get_by_role("button", name="Back", exact=True).first.click()


def test_a_parameter_is_typed_over(page: Page) -> None:
    path = open_edit(page)
    weight = field(page, "hidden weight 1, 2")
    weight.fill("−0,75")
    weight.press("Enter")
    expect(weight).to_be_focused()
    expect(weight).to_have_value("−0.75")
    graph = page.get_by_role("main").get_by_role("button", name="hidden weight 1, 2")
    expect(graph).to_have_text("−0.75000")
    assert page.request.get(path).json()["revision"] == 1
    back(page)
    expect(weight).to_have_value("0.2")


def test_what_is_refused_stays_as_it_was_typed(page: Page, expect_problem: Any) -> None:
    expect_problem("/parameters")
    open_edit(page)
    bias = field(page, "output bias 1")
    bias.fill("much")
    bias.press("Enter")
    expect(bias).to_have_attribute("aria-invalid", "true")
    bias.fill("1e999")
    bias.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("output.bias[0]")
    expect(bias).to_have_value("1e999")
    bias.press("Escape")
    expect(bias).to_have_value("0.6")


def test_the_selected_parameter_is_changed_at_the_top(page: Page) -> None:
    open_edit(page)
    graph = page.get_by_role("main").get_by_role("button", name="hidden bias 1")
    graph.click()
    selected = part(page, "Selected").get_by_role("textbox")
    expect(selected).to_have_value("0.35")
    selected.fill("0.5")
    selected.press("Enter")
    expect(graph).to_have_text("0.50000")
    expect(selected).to_be_focused()


def test_one_weight_of_many_is_read_alone_and_changed(page: Page) -> None:
    path = open_edit(page, "digits", revision="&of=hidden.weight[2][30]")
    expect(page.get_by_text("are too many for a table")).to_be_visible()
    selected = part(page, "Selected").get_by_role("textbox")
    expect(selected).not_to_have_value("")
    selected.fill("0.25")
    selected.press("Enter")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Revision 1")
    assert page.request.get(f"{path}/tensors/hidden.weight[2][30]").json()["value"] == 0.25
    expect(selected).to_have_value("0.25")


def test_an_optimizer_is_tried_before_it_is_applied(page: Page) -> None:
    open_edit(page, "notebook", "forward", "backward")
    optimizer = part(page, "Optimizer")
    expect(optimizer.get_by_text("The next step would change 8 parameters")).to_be_visible()
    largest = optimizer.get_by_role("row").nth(1)
    expect(largest).to_contain_text("−0.06925")
    optimizer.get_by_label("learning rate").fill("1")
    expect(largest).to_contain_text("−0.13850")
    optimizer.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("banner")).to_contain_text("η 1")
    back(page)
    expect(optimizer.get_by_label("learning rate")).to_have_value("0.5")


def test_an_option_that_cannot_be_is_refused_at_its_field(page: Page, expect_problem: Any) -> None:
    expect_problem("/preview")
    open_edit(page, "notebook", "forward", "backward")
    optimizer = part(page, "Optimizer")
    optimizer.get_by_label("nesterov").check()
    expect(optimizer).to_contain_text("nesterov")
    optimizer.get_by_role("textbox", name="momentum").fill("-1")
    expect(optimizer.get_by_role("textbox", name="momentum")).to_have_attribute("aria-invalid", "true")
    optimizer.get_by_role("button", name="As it was").click()
    expect(optimizer.get_by_label("nesterov")).not_to_be_checked()


def test_rows_are_changed_added_and_removed(page: Page) -> None:
    path = open_edit(page, "xor")
    field(page, "row 2, x1").fill("0.5")
    field(page, "row 2, x1").press("Enter")
    for name, value in {"x1": "2", "x2": "3", "t": "1"}.items():
        field(page, f"new row 5, {name}").fill(value)
    page.get_by_role("button", name="Add row").click()
    expect(page.get_by_text("5 rows of 2 inputs.")).to_be_visible()
    page.get_by_role("button", name="Remove row 1", exact=True).click()
    expect(page.get_by_text("4 rows of 2 inputs.")).to_be_visible()
    data = page.request.get(f"{path}/data").json()
    assert data["inputs"] == [[0.5, 1], [1, 0], [1, 1], [2, 3]]
    assert data["targets"] == [[1], [1], [0], [1]]
    back(page)
    expect(page.get_by_text("5 rows of 2 inputs.")).to_be_visible()


def test_a_table_is_pasted(page: Page, expect_problem: Any) -> None:
    expect_problem("/data")
    path = open_edit(page)
    page.get_by_text("Paste rows, or choose a file").click()
    page.get_by_label("Table or JSON").fill("x1,x2,y\n1,2\n")
    expect(page.get_by_role("alert")).to_have_text("Line 2 has 2 columns, the first line 3.")
    page.get_by_label("Table or JSON").fill("1 2 0\n3 x 0\n")
    page.get_by_role("button", name="Replace rows").click()
    expect(page.get_by_role("alert")).to_contain_text("line 2, column 2: got a cell of 1 characters")
    page.get_by_label("Table or JSON").fill("y;a;b\n0;0,5;1\n1;1;1\n")
    expect(page.get_by_role("checkbox", name="b", exact=True)).to_be_checked()
    assert not axe(page)
    page.get_by_role("checkbox", name="b", exact=True).uncheck()
    page.get_by_role("checkbox", name="y", exact=True).check()
    page.get_by_role("button", name="Replace rows").click()
    expect(page.get_by_text("2 rows of 2 inputs.")).to_be_visible()
    data = page.request.get(f"{path}/data").json()
    assert (data["inputs"], data["targets"]) == ([[0.5, 1], [1, 1]], [[0], [1]])


def test_a_file_is_chosen(page: Page, expect_problem: Any) -> None:
    expect_problem("/data")
    path = open_edit(page)
    page.get_by_text("Paste rows, or choose a file").click()
    choose = page.get_by_label("File")
    table = page.get_by_label("Table or JSON")
    choose.set_input_files({"name": "rows.json", "mimeType": "application/json", "buffer": b'{"inputs": [[1, 2]]}'})
    expect(table).to_have_value('{"inputs": [[1, 2]]}')
    page.get_by_role("button", name="Replace rows").click()
    expect(page.get_by_role("alert")).to_contain_text("/targets: is needed")
    expect(table).to_have_value('{"inputs": [[1, 2]]}')
    choose.set_input_files({"name": "rows.csv", "mimeType": "text/csv", "buffer": b"1,2,0\n3,4,1\n5,6,1\n"})
    expect(table).to_have_value("1,2,0\n3,4,1\n5,6,1\n")
    page.get_by_role("button", name="Replace rows").click()
    expect(page.get_by_text("3 rows of 2 inputs.")).to_be_visible()
    assert page.request.get(f"{path}/data").json()["targets"] == [[0], [1], [1]]


def test_points_are_drawn(page: Page) -> None:
    path = open_edit(page, "xor")
    draw = page.get_by_role("button", name="Draw points")
    draw.click()
    page.get_by_role("group", name="Class of the points").get_by_role("button", name="class 1").click()
    picture = page.get_by_role("application")
    expect(picture).to_have_accessible_name(re.compile("% of it"))
    drawn(page)
    box = picture.bounding_box()
    assert box
    for x, y in ((0.5, 0.5), (0.25, 0.5), (0.5, 0.25)):  # quicker than each is sent
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    expect(page.get_by_text("7 rows of 2 inputs.")).to_be_visible()
    data = page.request.get(f"{path}/data").json()
    assert data["targets"][4:] == [[1], [1], [1]]
    assert abs(data["inputs"][4][0] - 0.5) < 0.05
    assert abs(data["inputs"][4][1] - 0.5) < 0.05
    back(page)
    expect(page.get_by_text("6 rows of 2 inputs.")).to_be_visible()
    draw.click()
    expect(draw).to_have_attribute("aria-pressed", "false")


def test_nothing_is_changed_in_a_look_into_the_past(page: Page) -> None:
    open_edit(page, "notebook", "forward", revision="&revision=0")
    reason = "This is a look into the past. Continue from here first."
    expect(page.get_by_text(reason, exact=True)).to_be_visible()
    expect(field(page, "hidden weight 1, 1")).to_have_attribute("title", reason)
    expect(field(page, "hidden weight 1, 1")).not_to_be_editable()
    expect(page.get_by_role("button", name="Apply")).to_have_attribute("aria-disabled", "true")


def test_a_session_is_renamed(page: Page) -> None:
    open_edit(page)
    name = field(page, "Name")
    name.fill("mine")
    name.press("Enter")
    expect(page.get_by_role("banner")).to_contain_text("mine")


def test_what_is_not_drawn_yet_is_drawn_when_asked_for(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("tab", name="Edit")).to_be_visible()
    page.get_by_role("tab", name="Edit").click()
    weight = field(page, "hidden weight 1, 1")
    weight.fill("0.9")  # of a session that is made by this
    weight.press("Enter")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Revision 1")
    expect(weight).to_have_value("0.9")
    expect(weight).to_be_focused()
