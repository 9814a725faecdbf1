"""The Watch tab, and the picture over a network's inputs."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from .axe import axe
from .conftest import OpenPage
from .waiting import PIXELS, drawn


def open_network(page: Page, epochs: int = 20, **config: Any) -> str:
    """A session that was trained for some epochs, its curves open; answers where the API has it."""
    made = page.request.post("/v1/sessions", data=config).json()
    session = f"/v1/sessions/{made['id']}"
    if epochs:
        page.request.post(f"{session}/train", data={"epochs": epochs})
    page.goto(f"/#session={made['id']}&panel=watch")
    expect(page.get_by_role("region", name="Stepper")).to_be_visible()
    return session


def network(inputs: int, *units: int, activation: str = "sigmoid") -> dict[str, Any]:
    *hidden, last = units
    layers = [{"units": count, "activation": "tanh"} for count in hidden]
    return {"inputs": inputs, "layers": [*layers, {"units": last, "activation": activation}]}


def moons(page: Page, epochs: int = 20) -> str:
    data = {"type": "moons", "samples": 60, "test_fraction": 0.2}
    return open_network(page, epochs, network=network(2, 4, 1), loss="bce", optimizer="adam", data=data)


def chart(page: Page, title: str) -> Locator:
    return page.get_by_role("img", name=re.compile(f"^{title} over"))


def picture(page: Page) -> Locator:
    return page.get_by_role("application")


def test_before_a_training_it_says_what_to_press(page: Page) -> None:
    page.goto("/")
    page.get_by_role("tab", name="Watch").click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel.get_by_text("Train to see curves here.")).to_be_visible()
    panel.get_by_role("button", name="Train 100 epochs").click()
    expect(chart(page, "Loss")).to_have_accessible_name(re.compile("^Loss over 100 epochs. At epoch 100: 0.0"))


def test_the_curves_that_there_are_log_or_linear_or_as_csv(page: Page) -> None:
    moons(page)
    expect(chart(page, "Loss")).to_have_accessible_name(re.compile(r"At epoch 20: train 0\.\d{5}, test 0\.\d{5}\."))
    expect(chart(page, "Accuracy")).to_have_accessible_name(re.compile(r"train \d+\.\d%, test \d+\.\d%\."))
    expect(chart(page, "Gradient norm")).to_be_visible()
    expect(chart(page, "Learning rate")).to_be_hidden()
    assert not axe(page)

    canvas = chart(page, "Loss").locator("canvas")
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    page.get_by_role("button", name="linear").click()
    expect(page.get_by_role("button", name="linear")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("([canvas, before]) => canvas.toDataURL() !== before", arg=[canvas.element_handle(), before])

    with page.expect_download() as download:
        page.get_by_role("button", name="Download the curves as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("epoch,steps,loss,test_loss")
    assert len(lines) == 21


def test_a_learning_rate_that_varies_has_a_curve(page: Page) -> None:
    schedule = {"type": "exponential", "gamma": 0.9}
    optimizer = {"type": "sgd", "learning_rate": 0.5, "schedule": schedule}
    open_network(page, 5, network=network(2, 2, 1), loss="bce", optimizer=optimizer, data={"type": "xor"})
    expect(chart(page, "Learning rate")).to_be_visible()


def test_charts_share_crosshair_and_zoom_by_keys_and_by_mouse(page: Page) -> None:
    moons(page)
    loss, norm = chart(page, "Loss"), chart(page, "Gradient norm")
    loss.focus()
    page.keyboard.press("Home")
    for title in (loss, norm):
        expect(title).to_have_accessible_name(re.compile("At epoch 1: "))
    page.keyboard.press("ArrowRight")
    expect(norm).to_have_accessible_name(re.compile("At epoch 2: "))
    page.keyboard.press("+")
    page.get_by_role("button", name="Reset zoom").click()

    expect(page.get_by_role("button", name="Zoom in")).to_be_visible()
    drawn(page)
    box = loss.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 50)
    page.mouse.up()
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    loss.locator(".u-over").dblclick()
    expect(page.get_by_role("button", name="Zoom in")).to_be_visible()


def test_warnings_say_what_is_wrong_and_what_helps(page: Page) -> None:
    layers = [{"name": "hidden", "units": 2, "activation": "relu", "init": {"weight": -1.0, "bias": 0.0}}, {"units": 1}]
    data = {"inputs": [[1, 1], [1, 2], [2, 1], [2, 2]], "targets": [[0], [1], [1], [0]]}
    open_network(page, 1, network={"inputs": 2, "layers": layers}, loss="mse", optimizer="sgd", data=data)
    warnings = page.get_by_role("list", name="Warnings")
    expect(warnings).to_contain_text("2 of 2 units of hidden are dead: a is 0 for each of the 4 samples")


def test_a_press_on_a_row_shows_its_sample_by_mouse_and_by_keys(page: Page) -> None:
    open_network(page, 0, network=network(2, 2, 1), loss="bce", optimizer="sgd", data={"type": "xor"})
    expect(picture(page)).to_have_accessible_name(re.compile("% of it"))
    drawn(page)
    box = picture(page).bounding_box()
    assert box is not None
    margin = 0.15 / 1.3 * box["width"]
    picture(page).click(position={"x": margin, "y": margin})
    expect(page.get_by_text("sample 2 of 4")).to_be_visible()

    picture(page).focus()
    for key in ("Shift+ArrowRight",) * 4 + ("Shift+ArrowUp",) * 4:
        page.keyboard.press(key)
    region = page.get_by_role("region", name="Decision boundary")
    expect(region).to_contain_text(re.compile(r"x₁ 1\.\d+, x₂ 1\.\d+: output 0"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("sample 4 of 4")).to_be_visible()


def test_classes_are_told_by_mark_and_word(page: Page) -> None:
    data = {"inputs": [[0, 1], [1, 1], [0.5, 0]], "targets": [0, 1, 2]}
    layers = network(2, 3, activation="identity")
    open_network(page, 0, network=layers, loss="cross_entropy", optimizer="sgd", data=data)
    region = page.get_by_role("region", name="Decision boundary")
    expect(region.get_by_role("listitem")).to_have_text(["class 0", "class 1", "class 2"])
    assert len(set(region.locator("li path").evaluate_all("paths => paths.map(path => path.getAttribute('d'))"))) == 3
    expect(picture(page)).to_have_accessible_name(re.compile(r"class 0 \d+\.\d%, class 1 \d+\.\d%, class 2 \d+\.\d%"))


def test_one_input_has_a_fitted_curve(page: Page) -> None:
    data = {"inputs": [[-1], [0], [1], [2]], "targets": [[1], [0], [1], [4]]}
    open_network(page, 20, network=network(1, 4, 1, activation="identity"), loss="mse", optimizer="adam", data=data)
    expect(page.get_by_role("region", name="Fitted curve")).to_contain_text("dots = rows, line = output")
    ink = f"canvas => {PIXELS}(canvas).data.some(value => value)"
    page.wait_for_function(ink, arg=picture(page).locator("canvas").first.element_handle())


def test_it_is_accessible_and_fits_on_a_phone_in_the_dark(open_page: OpenPage) -> None:
    page = open_page(360, 740, dark=True)
    moons(page)
    page.get_by_role("navigation", name="Show").get_by_role("button", name="Watch").click()
    expect(chart(page, "Loss")).to_be_visible()
    assert not axe(page)
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
