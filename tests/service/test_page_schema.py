"""The page follows the catalogue's schema: names, levels, what does not apply."""

from __future__ import annotations

from typing import Any

import pytest

from driving import Tab, expect, new_tab, serious, shared_address, tiles
from gingham.schema.schema import Schema, SchemaAttribute, SchemaValue
from serving import make

address = shared_address
tab = new_tab

SCHEMA = Schema(
    {
        "colour": SchemaAttribute(
            translations={"de": ("Farbe",)},
            values={
                "warm": SchemaValue(translations={"de": ("warme Farbe",)}),
                "red": SchemaValue(parent="warm", translations={"de": ("Rot",)}),
            },
        ),
        "pattern": SchemaAttribute(when={"colour": ("red",)}),
    }
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("schema")
    with make(folder) as made:
        patterns: dict[str, str] = {}
        for path in sorted((folder / "photos").iterdir()):
            patterns[str(path)] = "striped" if int(path.stem[-1]) % 2 else "plain"
        made.teach("pattern", patterns, views=False)
        made.set_schema(SCHEMA)
        made.tag(["colour", "pattern"])
        yield made


def test_facets_are_a_tree_of_translated_names(browser: Any, address: str) -> None:
    one = Tab(browser, address, locale="de-AT")
    page = one.open("/")
    facet = page.locator(".facet", has_text="Farbe")
    rows = facet.locator("li label")
    expect(rows).to_have_text(["blue6", "green6", "warme Farbe6", "Rot6"])
    lefts = [row.bounding_box()["x"] for row in rows.all()]
    assert lefts[0] == lefts[1] == lefts[2] < lefts[3]
    facet.get_by_role("button", name="what is below warme Farbe").click()
    expect(rows).to_have_count(3)
    rows.nth(2).click()
    expect(tiles(page)).to_have_count(6)
    expect(page.locator(".chips")).to_contain_text("Farbe: warme Farbe")
    assert "where=colour%3Dwarm" in page.url
    assert serious(page) == []
    one.close()


def test_what_does_not_apply_is_not_shown(tab: Tab) -> None:
    page = tab.open("/?where=colour%3Dblue")
    expect(tiles(page)).to_have_count(6)
    expect(page.locator(".facet", has_text="colour")).to_have_count(1)
    expect(page.locator(".facet", has_text="pattern")).to_have_count(0)
    tiles(page).first.click()
    expect(page.locator("dialog dl.attributes")).to_contain_text("colour")
    expect(page.locator("dialog dl.attributes")).not_to_contain_text("pattern")
    page = tab.open("/?where=colour%3Dwarm")
    expect(page.locator(".facet", has_text="pattern")).to_have_count(1)
    expect(page.locator(".tile .value", has_text="striped")).not_to_have_count(0)


def test_review_map_and_compare_say_translated_names(browser: Any, address: str) -> None:
    one = Tab(browser, address, locale="de-AT")
    page = one.open("/review?attribute=colour&order=random&value=red")
    expect(page.get_by_label("Attribute").locator("option:checked")).to_have_text("Farbe")
    expect(page.locator(".judge h1")).to_have_text("Is it Rot?")
    expect(page.locator(".answers .said span")).to_have_text("Rot")
    page = one.open("/review?attribute=colour&order=random&mode=grid")
    expect(page.locator(".tile .value", has_text="Rot")).to_have_count(6)
    expect(page.get_by_role("group", name="give a value").get_by_text("Rot")).to_have_count(1)
    page = one.open("/map?look=colour&by=colour")
    expect(page.locator(".legend", has_text="Rot")).to_have_count(1)
    expect(page.get_by_label("Colour by").locator("option:checked")).to_have_text("Farbe")
    page.locator(".legend button", has_text="Rot").click()
    expect(page.locator(".shares li span").first).to_have_text("Rot")
    page = one.open("/compare?a=colour&b=pattern")
    expect(page.locator("table thead th").first).to_have_text("Farbe ↓ pattern →")
    expect(page.locator("table tbody th", has_text="Rot")).to_have_count(1)
    one.close()
