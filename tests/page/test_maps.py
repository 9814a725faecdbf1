"""Heat maps: layers too large for cards, as pictures whose every cell is a number with a name."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

from .axe import axe
from .sessions import CONFIGS, address, create
from .waiting import PIXELS, drawn, eventually

DIGITS = "digits"
PASSES = ("forward", "backward")


def open_maps(page: Page, calls: tuple[str, ...] = PASSES, name: str = DIGITS, also: str = "") -> str:
    """A preset's heat maps after these calls; answers the session's path."""
    path = create(page, CONFIGS[name], *calls)
    page.goto(address(path, f"&view=maps{also}"))
    return path


def tensor(page: Page, path: str, name: str, query: str = "") -> Any:
    return page.request.get(f"{path}/tensors/{name}{query}").json()["value"]


def heat_map(page: Page, name: str) -> Locator:
    return page.get_by_role("application", name=name)


def pointed(page: Page) -> Locator:
    """The number under the crosshair."""
    return page.locator(".maps-number").get_by_role("button")


def show(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def press_cell(on: Locator, rows: int, columns: int, row: int, column: int) -> None:
    expect(on).to_be_visible()
    drawn(on.page)
    box = on.bounding_box()
    assert box
    position = {"x": (column + 0.5) * box["width"] / columns, "y": (row + 0.5) * box["height"] / rows}
    on.click(position=position)  # type: ignore[arg-type]


def colours(on: Locator, side: int, *cells: tuple[int, int]) -> list[list[int]]:
    """Red, green and blue in the middle of each of these cells."""
    found: list[list[int]] = on.locator("canvas").evaluate(
        f"""(canvas, places) => {{
            const {{ width, height, data }} = {PIXELS}(canvas);
            const at = ([y, x]) => 4 * (Math.floor(y * height) * width + Math.floor(x * width));
            return places.map(place => [...data.slice(at(place), at(place) + 3)]);
        }}""",
        [[(at + 0.5) / side for at in cell] for cell in cells],
    )
    return found


def test_arrows_move_and_enter_explains_by_colours_that_say_the_sign(page: Page) -> None:
    path = open_maps(page)
    rows = tensor(page, path, "hidden.weight")
    cells = {value: (i, j) for i, row in enumerate(rows) for j, value in enumerate(row)}
    canvas = heat_map(page, "hidden.weight, 64 rows")
    expect(canvas).to_be_visible()
    blue_then_red = eventually(
        page,
        lambda: colours(canvas, 64, cells[max(cells)], cells[min(cells)]),
        lambda found: found[0][2] > found[0][0] + 60,
    )
    assert blue_then_red[1][0] > blue_then_red[1][2] + 60

    canvas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Unit 2 as a picture, 8 × 8")).to_be_visible()
    expect(pointed(page)).to_have_attribute("data-value", str(rows[1][1]))
    page.keyboard.press("Enter")
    details = page.get_by_role("complementary", name="Details")
    expect(details.get_by_text("hidden.weight[1][1]", exact=True).first).to_be_visible()


def test_gradients_the_largest_and_the_cell_under_a_press(page: Page) -> None:
    path = open_maps(page)
    show(page, "gradient")
    summary = page.request.get(f"{path}/tensors/hidden.weight.gradient/summary").json()
    names = ["hidden.weight.gradient[{}][{}]".format(*one["index"]) for one in summary["largest"]]
    table = page.get_by_role("table", name="Largest")
    expect(table.get_by_role("button").first).to_have_attribute("data-of", names[0])
    shown = table.get_by_role("button").evaluate_all("buttons => buttons.map(button => button.dataset.of)")
    assert shown == names[: len(shown)]

    press_cell(heat_map(page, "hidden.weight.gradient"), 64, 64, 20, 33)
    expect(pointed(page)).to_have_attribute("data-of", "hidden.weight.gradient[20][33]")
    expect(pointed(page)).to_have_attribute("aria-pressed", "true")
    press_cell(heat_map(page, "Unit 21 as a picture"), 8, 8, 7, 2)
    expect(pointed(page)).to_have_attribute("data-of", "hidden.weight.gradient[20][58]")


def test_the_update_to_come(page: Page) -> None:
    path = open_maps(page)
    show(page, "update")
    after = tensor(page, path, "hidden.weight.next")
    expect(pointed(page)).to_have_attribute("data-value", str(after[0][0]))
    page.keyboard.press("n")
    expect(page.get_by_text("There is no update to come yet")).to_be_visible()
    show(page, "value")
    expect(pointed(page)).to_have_attribute("data-value", str(after[0][0]))


def test_the_strip_says_what_the_network_answers(page: Page) -> None:
    path = open_maps(page)
    [outputs, *_] = tensor(page, path, "outputs")
    says, target = outputs.index(max(outputs)), page.request.get(f"{path}/data").json()["targets"][0]
    strip = page.get_by_role("list", name="Layers")
    expect(strip.get_by_role("button", name="scores")).to_contain_text(f"says {says}, is {target}")
    expect(strip.get_by_role("button", name="hidden", pressed=True)).to_contain_text("4 160 parameters")
    strip.get_by_role("button", name="scores").click()
    expect(heat_map(page, "scores.weight, 10 rows and 64 columns")).to_be_visible()
    strip.get_by_role("button", name="Input").click()
    expect(page.get_by_role("heading", name="Sample 1 as a picture, 8 × 8")).to_be_visible()


def test_activations_over_the_samples(page: Page) -> None:
    path = open_maps(page, calls=())
    show(page, "activations")
    expect(page.get_by_text("Not computed yet. Press N.", exact=True)).to_be_visible()
    page.keyboard.press("n")
    canvas = heat_map(page, "hidden.a, 1 438 rows and 64 columns")
    canvas.focus()
    page.keyboard.press("ArrowDown")
    expect(pointed(page)).to_have_attribute("data-value", str(tensor(page, path, "hidden.a[1][0]")))
    expect(page.get_by_role("heading", name="Sample 2")).to_be_visible()


def test_the_past_is_drawn_as_it_was(page: Page) -> None:
    path = open_maps(page, calls=("train",), also="&revision=0&of=hidden.weight[0][20]")
    before, now = (tensor(page, path, "hidden.weight[0][20]", query) for query in ("?revision=0", ""))
    assert before != now
    expect(pointed(page)).to_have_attribute("data-value", str(before))


def test_a_training_says_what_is_shown(page: Page) -> None:
    path = open_maps(page)
    body = {"epochs": 100_000, "report_every": 50}
    run = page.request.post(f"{path}/train", data=body, headers={"Prefer": "respond-async"})
    page.reload()
    expect(page.get_by_text("While it trains, these are the numbers from before.")).to_be_visible()
    expect(heat_map(page, "hidden.weight, 64 rows")).to_be_visible()
    page.request.delete(run.headers["location"])
    expect(page.get_by_text("While it trains")).to_have_count(0)


def test_what_could_not_be_read_can_be_tried_again(page: Page, expect_problem: Any) -> None:
    expect_problem("/tensors/hidden.weight")
    problem = {"type": "about:blank", "title": "Busy", "status": 503, "detail": "the server is busy", "instance": ""}
    page.route("**/tensors/hidden.weight", lambda route: route.fulfill(status=503, json=problem))
    open_maps(page)
    expect(page.get_by_role("alert").get_by_text("the server is busy")).to_be_visible()
    page.unroute("**/tensors/hidden.weight")
    page.get_by_role("button", name="Try again").click()
    expect(heat_map(page, "hidden.weight, 64 rows")).to_be_visible()


def test_it_fits_a_phone_and_is_accessible(open_page: Any) -> None:
    page = open_page(360, 800, dark=True)
    open_maps(page)
    canvas = heat_map(page, "hidden.weight, 64 rows")
    expect(canvas).to_be_visible()
    drawn(page)
    box = canvas.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert axe(page) == []
