"""The page where there is much to see: 100,000 images in the grid and on the map, and comparing."""

from __future__ import annotations

import contextlib
import json
import re
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from conftest import draw
from driving import Tab, expect, serious, served, shared_address, tiles
from gingham.service.served import ServedCatalogue
from serving import MappingRuntime, shared_shop

MANY = 100_000
VALUES = ["red", "green", "blue"]


shop = shared_shop(each=12)
address = shared_address


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Tab]:
    one = Tab(browser, address, viewport={"width": 1200, "height": 700})
    yield one
    one.close()


@pytest.fixture(scope="module")
def ids(shop: ServedCatalogue) -> list[str]:
    return [one.id for one in shop.browse([], None, 0, 36)[1]]


def show_many(page: Any, ids: list[str]) -> None:
    """Answer as a catalogue of 100,000 images does, whose pictures are those that there are."""

    def images(route: Any) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        offset, n = int(asked["offset"][0]), int(asked["n"][0])
        found = [
            {"id": ids[i % len(ids)], "image": f"{i}.jpg", "attributes": {}, "confidence": {}}
            for i in range(offset, min(MANY, offset + n))
        ]
        route.fulfill(json={"total": MANY, "offset": offset, "images": found})

    page.route(re.compile(r"/v1/images\?"), images)
    page.route(re.compile(r"/v1/map\?"), lambda route: route.fulfill(body=drawn(ids)))


def drawn(ids: list[str]) -> bytes:
    """Make the answer of `GET /v1/map`: three clouds, red on the left, green in the middle."""
    codes = np.arange(MANY, dtype="<i4") % 3
    noise = np.random.default_rng(0).normal(0, 0.05, (MANY, 2))
    points = (noise + np.stack([0.6 * (codes - 1), np.zeros(MANY)], axis=1)).astype("<f4")
    head = {"count": MANY, "look": "colour", "colour_by": "colour", "values": VALUES}
    text = json.dumps(head | {"method": "pca"}).encode()
    text += b" " * (-len(text) % 4)
    raw = [bytes.fromhex(one) for one in ids]
    return b"".join(
        [b"GMAP", struct.pack("<I", len(text)), text, points.tobytes(), codes.tobytes()]
        + [raw[i % len(raw)] for i in range(MANY)]
    )


def test_a_grid_of_100000_shows_any_of_them_and_holds_few(tab: Tab, ids: list[str]) -> None:
    show_many(tab.page, ids)
    page = tab.open("/")
    page.get_by_text("100,000 images").first.wait_for()
    tiles(page).first.wait_for()
    for share in (0.5, 1):
        page.locator(".results").evaluate(
            "(one, s) => { one.scrollTop = s * one.scrollHeight; }", share
        )
        page.locator(f".tile[title='{round(share * MANY) - 1}.jpg']").wait_for()
        assert page.locator("[data-index]").count() < 120
    page.locator(f".tile[title='{MANY - 1}.jpg']").focus()
    page.keyboard.press("Home")
    page.locator(".tile[title='0.jpg']").wait_for()


def test_a_lasso_selects_among_100000_points(tab: Tab, ids: list[str]) -> None:
    show_many(tab.page, ids)
    page = tab.open("/map?by=colour")
    page.wait_for_selector(f"[data-drawn='{MANY}']")
    box = page.locator(".scatter").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    # The side of the map is the shorter one; green lies in its middle.
    reach = 0.25 * min(box["width"], box["height"]) / 2
    page.mouse.move(x - reach, y - 2 * reach)
    page.mouse.down()
    for across, down in ((1, -2), (1, 2), (-1, 2), (-1, -1.9)):
        page.mouse.move(x + across * reach, y + down * reach, steps=6)
    page.mouse.up()
    page.locator(".selection h2").get_by_text("33,333 pictures selected").wait_for()
    page.locator(".shares").get_by_text("green").wait_for()
    tiles(page).first.wait_for()
    assert serious(page) == []

    page.get_by_role("combobox", name="Attribute").fill("shade")
    page.get_by_role("combobox", name="Value").fill("mossy")
    page.get_by_role("button", name="Choose for Teach").click()
    page.get_by_role("button", name="go to Teach").click()
    expect(page.get_by_role("combobox", name="Attribute")).to_have_value("shade")
    green = len({ids[i % len(ids)] for i in range(1, MANY, 3)})
    page.get_by_role("button", name=f"Teach with {green} pictures").wait_for()


def test_a_colour_of_the_legend_selects_by_key(tab: Tab) -> None:
    page = tab.open("/map?by=colour")
    legend = page.locator(".legend button").first
    legend.focus()
    page.keyboard.press("Enter")
    page.locator(".selection h2").get_by_text("12 pictures selected").wait_for()
    page.get_by_role("combobox", name="Attribute").fill("colour")
    page.get_by_role("combobox", name="Value").fill(legend.locator("span").inner_text())
    page.get_by_role("button", name="Label them").click()
    page.get_by_text("12 pictures labelled").wait_for()


def test_compare_before_and_after(browser: Any, tab: Tab) -> None:
    page = tab.open("/review?attribute=colour")
    page.locator(".judge h1").wait_for()
    with page.expect_response("**/v1/attributes/colour/examples"):
        page.get_by_role("combobox", name="another value").fill("mauve")
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="what changed?").click()
    page.locator(".crossed").wait_for()
    assert re.search(r"b=before&from=\d+&to=\d+", page.url)
    page.get_by_role("button", name=re.compile("pictures: colour red, colour before red")).click()
    tiles(page).first.wait_for()
    assert "cell=red" in page.url
    assert serious(page) == []
    text = page.locator(".crossed table").inner_text()
    with contextlib.closing(
        Tab(browser, tab.address)
    ) as other:  # nothing of it is kept in a browser
        shared = other.open(page.url.removeprefix(tab.address))
        assert shared.locator(".crossed table").inner_text() == text
        listed = other.open("/history").get_by_role("link", name="what changed").first
        assert re.search(r"a=colour&b=before&from=\d+&to=\d+", listed.get_attribute("href"))


def test_compare_with_a_time_when_nothing_was_taught_says_so(tab: Tab) -> None:
    page = tab.open("/compare?a=colour&b=before&from=0&to=2")
    page.get_by_text("colour was not taught at change 0").wait_for()


@pytest.mark.parametrize("view", ["/", "/teach", "/review", "/map", "/compare", "/history"])
def test_every_view_fits_a_phone_in_the_dark(browser: Any, address: str, view: str) -> None:
    phone = {"width": 420, "height": 900}
    tab = Tab(browser, address, viewport=phone, color_scheme="dark", reduced_motion="reduce")
    page = tab.open(view)
    page.locator("main :is(h1, h2, .tile, .bar)").first.wait_for()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", shade))) < 60
    tab.close()


def test_an_empty_catalogue_says_how_to_begin_and_takes_pictures(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("empty")
    draw(folder / "first.jpg", "red", 1)
    draw(folder / "second.jpg", "blue", 2)
    runtime = MappingRuntime()
    with ServedCatalogue.create(folder / "new", runtime=runtime) as shop, served(shop) as address:
        tab = Tab(browser, address)
        page = tab.open("/")
        page.get_by_role("heading", name="new has no images yet").wait_for()
        assert serious(page) == []
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose pictures").click()
        chooser.value.set_files([folder / "first.jpg", folder / "second.jpg"])
        page.get_by_text("2 images added").wait_for()
        expect(tiles(page)).to_have_count(2)
        page.get_by_role("link", name="teach one").wait_for()
        tab.close()
