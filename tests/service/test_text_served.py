"""Words over HTTP and on the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("open_clip", reason="the extra text is not installed")

from starlette.testclient import TestClient

from conftest import draw
from driving import Tab, expect, new_tab, serious, shared_address, tiles
from gingham.service.served import ServedCatalogue
from image_text import save_model
from serving import client, make

address = shared_address
tab = new_tab

SENTENCE = "a red dress with a belt"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCatalogue]:
    folder = tmp_path_factory.mktemp("words")
    with make(folder) as made:
        made.text_look(save_model(folder / "model"))
        yield made


@pytest.fixture(scope="module")
def http(shop: ServedCatalogue) -> Iterator[TestClient]:
    with client(shop) as made:
        yield made


def test_words_filter_and_rank(http: TestClient, shop: ServedCatalogue) -> None:
    answer = http.post("/v1/search", json={"text": SENTENCE, "n": 4}).json()
    expected = shop.search(text=SENTENCE, n=6)
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in expected[:4]]
    assert answer["understood"] == {
        "where": ["colour=red"],
        "colours": {},
        "meant": {"red": "colour=red"},
        "not_understood": ["dress", "belt"],
        "ranked_by": SENTENCE,
    }
    rest = http.post("/v1/search", json={"cursor": answer["cursor"]}).json()
    assert [hit["id"] for hit in rest["hits"]] == [hit.id for hit in expected[4:]]
    alone = http.post("/v1/search", json={"text": "red", "looks": {"text": 0}}).json()
    assert alone["understood"]["ranked_by"] is None
    assert http.post("/v1/search", json={"where": ["colour=red"]}).json()["understood"] is None
    assert "text" in http.get("/v1/catalogue").json()["looks"]
    assert http.post("/v1/search", json={"text": ""}).status_code == 422
    assert http.post("/v1/search", json={"text": " "}).status_code == 422


def test_an_upload_is_compared_in_the_look_of_words(
    http: TestClient, shop: ServedCatalogue, tmp_path: Path
) -> None:
    fresh = draw(tmp_path / "new.jpg", "green", 77)
    files = {"image": fresh.read_bytes()}
    # It is remembered without that look first.
    first = http.post("/v1/search", files=files).json()["images"][0]
    asked = {"id": first, "looks": {"text": 1.0}, "n": 5}
    assert http.post("/v1/search", json=asked).status_code == 422
    form = {"looks": json.dumps({"text": 1.0}), "n": "5"}
    sent = http.post("/v1/search", files=files, data=form).json()
    again = http.post("/v1/search", json=asked).json()
    expected = shop.search(fresh, looks={"text": 1}, n=5)
    for answer in (sent, again):
        assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in expected]
    mixed = {"id": first, "text": "belt", "looks": {"semantic": 1.0, "text": 0.5}, "n": 3}
    here = shop.search(fresh, text="belt", looks={"semantic": 1.0, "text": 0.5}, n=3)
    there = http.post("/v1/search", json=mixed).json()["hits"]
    assert [hit["id"] for hit in there] == [hit.id for hit in here]


def test_the_neighbours_and_the_map_know_the_look(http: TestClient, shop: ServedCatalogue) -> None:
    image = next(iter(shop.images()))
    found = http.get(f"/v1/images/{image}/neighbours", params={"look": "text=1"}).json()["hits"]
    expected = shop.search(image, looks={"text": 1})
    assert [hit["id"] for hit in found] == [hit.id for hit in expected]
    assert len(shop.map("text", None, lambda *step: None)[0].points) == 18


def test_what_is_uploaded_joins_the_look(shop: ServedCatalogue, tmp_path: Path) -> None:
    from gingham.options import DEFAULTS

    fresh = draw(tmp_path / "more.jpg", "blue", 78)
    (added,) = shop.upload([("more.jpg", fresh.read_bytes())], options=DEFAULTS).added
    hits = {hit.id: hit for hit in shop.search(text="belt", n=30)}
    assert hits[added.id].score != 0
    shop.remove_image(added.id)


def test_the_page_searches_by_words(tab: Tab, shop: ServedCatalogue) -> None:
    page = tab.open("/")
    field = page.get_by_label("words to search by")
    field.fill(SENTENCE)
    field.press("Enter")
    expect(page.locator(".results .bar p")).to_have_text("6 images, best first")
    expect(page.locator(".understood li")).to_have_text(
        ["red colour=red", f"ranked by \u201c{SENTENCE}\u201d"]
    )
    assert f"text={SENTENCE.replace(' ', '+')}" in page.url.replace("%20", "+")
    expect(page.locator(".sliders .slider span")).to_have_text(["text"])
    best = shop.search(text=SENTENCE, n=1)[0].id
    expect(tiles(page).first.locator("img")).to_have_attribute(
        "src", re.compile(f"/v1/images/{best}/")
    )
    assert serious(page) == []
    page.locator(".slider", has_text="text").locator("input").fill("0")
    expect(page.locator(".understood li")).to_have_text(
        ["red colour=red", "not understood: dress, belt"]
    )
    field.fill("")
    expect(page.locator(".results .bar p")).to_have_text("18 images")


def test_a_picture_is_mixed_with_words(tab: Tab, shop: ServedCatalogue) -> None:
    image = next(iter(shop.images()))
    page = tab.open(f"/?like={image}&look=semantic%3D1")
    text = page.locator(".slider", has_text="text").locator("output").last
    expect(text).to_have_text("0.00")
    field = page.get_by_label("words to search by")
    field.fill("belt")
    field.press("Enter")
    expect(text).to_have_text("1.00")
    expect(page.locator(".understood li")).to_have_text(["ranked by \u201cbelt\u201d"])
    expect(page.locator(".results .bar p")).to_have_text("17 images, most alike first")
