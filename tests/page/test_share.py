"""What is on the page, taken elsewhere: a link, files, pictures, and calls that run as they are."""

import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from .axe import axe
from .sessions import CONFIGS, address, create, stepped
from .waiting import drawn


@pytest.fixture
def passed(page: Page) -> Page:
    """The notebook's network after a whole forward and backward pass."""
    page.goto(address(stepped(page, 3)))
    expect(page.locator("#next")).to_contain_text("Backward through hidden")
    page.keyboard.press("n")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Revision 4")
    return page


def test_a_link_opens_the_same_number_at_the_same_revision(passed: Page) -> None:
    page = passed
    page.get_by_role("button", name="hidden bias 1: 0.35000").click()
    page.get_by_role("button", name="Share").click()
    assert axe(page) == []
    link = page.get_by_role("dialog", name="Share").get_by_label("Link").input_value()
    assert "revision=4" in link
    assert "of=hidden.bias[0]" in link
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("n")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Revision 5")
    other = page.context.new_page()
    other.goto(link)
    expect(other.get_by_role("button", name="Continue from revision 4")).to_be_visible()
    expect(other.get_by_role("button", name="hidden bias 1: 0.35000").first).to_have_attribute("aria-pressed", "true")


def save(page: Page, name: str, to: Path) -> tuple[str, bytes]:
    """A file's name and content."""
    with page.expect_download() as saved:
        page.get_by_role("button", name=name).click()
    saved.value.save_as(to)
    return saved.value.suggested_filename, to.read_bytes()


def test_files(passed: Page, tmp_path: Path) -> None:
    page, to = passed, tmp_path / "file"
    page.get_by_role("button", name="Share").click()
    name, content = save(page, "Snapshot, JSON", to)
    assert name == "notebook-4-snapshot.json"
    assert json.loads(content)["loss"] == pytest.approx(0.274811083)
    name, content = save(page, "Snapshot, npz", to)
    assert np.load(io.BytesIO(content))["hidden.bias.gradient"] == pytest.approx(0.028366, abs=1e-5)
    assert json.loads(save(page, "Session, JSON", to)[1])["format"] == "gradstep-session"
    assert save(page, "Curves, CSV", to)[1].startswith(b"epoch,")
    assert b"torch.optim.SGD" in save(page, "Session, PyTorch", to)[1]


def test_pictures_stand_alone(passed: Page, tmp_path: Path) -> None:
    page = passed
    page.get_by_role("button", name="Share").click()
    name, content = save(page, "Picture, SVG", tmp_path / "picture.svg")
    assert name == "notebook-4.svg"
    root = ET.fromstring(content)
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "0.27481" in texts
    assert b"var(--" not in content
    assert root.find(".//{http://www.w3.org/2000/svg}path") is not None
    _, content = save(page, "Picture, PNG", tmp_path / "picture.png")
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    assert (width, height) == tuple(2 * int(float(root.attrib[side])) for side in ("width", "height"))


def test_a_picture_of_a_graph_that_is_shown_smaller_fits_together(page: Page, tmp_path: Path) -> None:
    path = create(page, CONFIGS["circles"], "forward")
    page.set_viewport_size({"width": 1440, "height": 780})
    page.goto(address(path))
    expect(page.locator(".drawn.downwards .unit")).to_have_count(5)
    expect(page.get_by_role("application")).to_have_accessible_name(re.compile("% of it"))
    drawn(page)
    shown = page.locator(".drawn").evaluate("drawn => new DOMMatrix(getComputedStyle(drawn).transform).a")
    assert shown < 1
    page.get_by_role("button", name="Share").click()
    root = ET.fromstring(save(page, "Picture, SVG", tmp_path / "picture.svg")[1])
    lines = max(root.iter("{http://www.w3.org/2000/svg}svg"), key=lambda one: len(one) if one is not root else 0)
    assert float(lines.attrib["width"]) / float(lines.attrib["viewBox"].split()[2]) == pytest.approx(shown, abs=0.01)
    texts = {"".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "Decision boundary" in texts
    assert not any(text == "Add points" or text.startswith("next") for text in texts)


def copied(page: Page, form: str) -> str:
    """What "Copy as…" gives in a form."""
    page.get_by_role("button", name="Copy as…").click()
    page.get_by_role("button", name=form, exact=True).click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.keyboard.press("Escape")
    return str(page.evaluate("navigator.clipboard.readText()"))


@pytest.fixture
def copying(passed: Page) -> Page:
    passed.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return passed


def state(server: str, page: Page) -> dict[str, object]:
    found = re.search("session=([^&]+)", page.url)
    assert found
    session: dict[str, object] = httpx.get(f"{server}/v1/sessions/{found[1]}").json()
    return session


def test_the_last_call_runs_in_a_shell_and_in_python(copying: Page, server: str) -> None:
    copying.get_by_role("button", name="Copy as…").click()
    assert axe(copying) == []
    copying.keyboard.press("Escape")
    commands = ["bash", "-c", copied(copying, "curl")], [sys.executable, "-c", copied(copying, "Python (httpx)")]
    for revision, command in enumerate(commands, start=5):
        subprocess.run(command, capture_output=True, timeout=10, check=True)
        assert state(server, copying)["phase"] == "backward"
        assert state(server, copying)["revision"] == revision


def test_the_session_runs_in_pytorch(copying: Page) -> None:
    pytest.importorskip("torch", reason="NOT TESTED: PyTorch is not installed")
    copying.get_by_role("button", name="Copy as…").click()
    copying.get_by_role("button", name="PyTorch", exact=True).click()
    expect(copying.get_by_label("The text")).to_contain_text("torch.optim.SGD")
    copying.keyboard.press("Escape")
    names: dict[str, object] = {}
    import torch

    kept = torch.get_default_dtype()
    try:
        exec(copied(copying, "PyTorch"), names)
    finally:
        torch.set_default_dtype(kept)
    assert names["loss"].item() == pytest.approx(0.274811083)  # type: ignore[attr-defined]


def test_before_the_first_press_it_is_the_call_that_makes_the_session(page: Page, server: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/")
    expect(page.locator("[data-ready]")).to_be_visible()
    command = copied(page, "curl")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=10, check=True)
    assert json.loads(done.stdout)["name"] == "notebook"
