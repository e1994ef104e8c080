"""The page where it changes the catalogue: teaching and review, by mouse and by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from conftest import draw
from driving import Tab, expect, new_tab, serious, served, tiles
from serving import make


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with make(tmp_path_factory.mktemp("changes"), each=12) as shop, served(shop) as one:
        yield one


tab = new_tab


def values(page: Any) -> Any:
    return page.get_by_role("textbox", name=re.compile("name of value"))


def choose(page: Any, place: int, *names: str) -> None:
    """Choose pictures in the grid for a value."""
    values(page).nth(place).focus()
    for name in names:
        page.locator(f".tile[title='{name}']").click()


def test_teach_from_the_grid_and_by_upload_and_apply_it(tab: Tab, tmp_path: Path) -> None:
    page = tab.open("/teach")
    page.get_by_role("combobox", name="Attribute").fill("stripes")
    for place, value in enumerate(("striped", "plain")):
        values(page).nth(place).fill(value)
    choose(page, 0, "red1.jpg", "green3.jpg", "blue5.jpg")
    choose(page, 1, "red0.jpg", "green2.jpg")
    teach = page.get_by_role("button", name="Teach with 5 pictures")
    assert serious(page) == []
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="upload pictures").click()
    chooser.value.set_files(draw(tmp_path / "upload.jpg", "blue", 91))
    teach = page.get_by_role("button", name="Teach with 6 pictures")
    teach.click()
    page.get_by_text("cross-validated on 6 examples").wait_for()
    page.get_by_role("button", name=re.compile("Apply to all")).click()
    page.get_by_text("stripes is applied to every image").wait_for()
    page.get_by_role("button", name="look at it").click()
    page.get_by_role("checkbox", name="striped").check()
    page.get_by_role("button", name=re.compile("stripes: striped")).wait_for()
    expect(page.locator(".bar p").first).not_to_have_text("36 images")
    for one in tiles(page).all():
        assert "striped" in one.inner_text()


def test_a_range_and_keys_choose_and_what_is_missing_is_said(tab: Tab) -> None:
    page = tab.open("/teach")
    tiles(page).nth(0).click()
    tiles(page).nth(4).click(modifiers=["Shift"])
    expect(page.get_by_role("button", name="Teach with 5 pictures")).to_be_disabled()
    page.get_by_text("Give the attribute a name.").wait_for()
    tiles(page).nth(5).focus()
    page.keyboard.press("2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    page.get_by_role("button", name="Teach with 7 pictures").wait_for()
    page.keyboard.press("0")
    page.get_by_role("button", name="Teach with 6 pictures").wait_for()
    page.reload()
    page.get_by_role("button", name="Teach with 6 pictures").wait_for()


def examples_of(address: str, name: str) -> int:
    with httpx2.Client() as http:
        found: int = http.get(f"{address}/v1/attributes/{name}").json()["examples"]
        return found


def decide(page: Any, key: str) -> None:
    """Press a key, and wait until what it says has been learned."""
    with page.expect_response("**/v1/attributes/colour/examples"):
        page.keyboard.press(key)


def test_review_by_keys_with_undo(tab: Tab, address: str) -> None:
    before = examples_of(address, "colour")
    page = tab.open("/review?attribute=colour")
    page.locator(".judge h1").wait_for()
    picture = page.locator(".single .large img")
    first = picture.get_attribute("src")
    decide(page, "1")
    expect(picture).not_to_have_attribute("src", first)
    assert examples_of(address, "colour") == before + 1
    page.locator(".moving-accuracy b").wait_for()
    second = picture.get_attribute("src")
    page.keyboard.press("s")
    expect(picture).not_to_have_attribute("src", second)
    page.keyboard.press("u")
    expect(picture).to_have_attribute("src", second)
    decide(page, "u")
    expect(picture).to_have_attribute("src", first)
    assert examples_of(address, "colour") == before
    decide(page, "Enter")
    assert examples_of(address, "colour") == before + 1
    page.locator(".spark").wait_for()
    assert serious(page) == []


def test_review_a_range_in_the_grid(tab: Tab, address: str) -> None:
    before = examples_of(address, "colour")
    page = tab.open("/review?attribute=colour&mode=grid")
    tiles(page).nth(1).click()
    tiles(page).nth(3).click(modifiers=["Shift"])
    page.get_by_text("3 selected").wait_for()
    decide(page, "Enter")
    assert examples_of(address, "colour") == before + 3
    decide(page, "u")
    assert examples_of(address, "colour") == before
    assert serious(page) == []
    with page.expect_response("**/v1/jobs"):
        page.get_by_role("button", name="Apply").click()
    page.get_by_text("colour is applied to every image").wait_for()


def test_history_takes_a_change_back(tab: Tab, address: str) -> None:
    before = examples_of(address, "colour")
    page = tab.open("/review?attribute=colour")
    page.locator(".judge h1").wait_for()
    decide(page, "Enter")
    assert examples_of(address, "colour") == before + 1
    page.get_by_role("link", name="History").click()
    newest = page.locator(".history li").first
    newest.wait_for()
    assert serious(page) == []
    newest.get_by_role("button", name="Undo").click()
    page.locator(".history li.undone").wait_for()
    assert examples_of(address, "colour") == before
