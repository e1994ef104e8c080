"""The page as it is served and searched with, driven in Chromium."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from colourful import ColourfulRuntime
from conftest import draw
from driving import Tab, expect, new_tab, serious, served, shared_address, tiles
from gingham.colours import NAMED, TERMS
from gingham.service.access import Access
from gingham.service.keys import KeyFile, KeyRing
from gingham.service.libraries import LIBRARIES, STATIC
from gingham.service.page import VIEWS
from gingham.service.served import ServedCatalogue
from serving import check_problem, make, shared_http, shared_shop

shop = shared_shop(each=12)
http = shared_http
address = shared_address
tab = new_tab


def test_the_document_lets_in_nothing_but_its_own(http: TestClient) -> None:
    for path in VIEWS:
        response = http.get(path)
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        policy = dict(
            part.strip().split(" ", 1)
            for part in response.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["style-src"] == policy["connect-src"] == "'self'"
        assert "unsafe-inline" not in response.headers["content-security-policy"]
        # regl compiles what it draws; no other view may do so.
        assert ("'unsafe-eval'" in policy["script-src"]) == (path == "/map")
        assert not re.search(r"(src|href)=\"(?!/)", response.text)


def test_what_did_not_change_is_not_sent_again(http: TestClient) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/page/app.js", "text/javascript"),
        ("/page/style.css", "text/css"),
        ("/page/colours.css", "text/css"),
        ("/page/lib/preact.js", "text/javascript"),
    ):
        first = http.get(path)
        assert first.headers["content-type"] == f"{kind}; charset=utf-8"
        assert first.headers["cache-control"] == "private, no-cache"
        again = http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_only_files_of_the_page_are_served_below_it(http: TestClient) -> None:
    for path in (
        "/page/",
        "/page/none.js",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page/lib",
    ):
        check_problem(http.get(path), 404)
    check_problem(http.post("/page/app.js"), 405)


def test_licences_of_all_libraries_are_served(http: TestClient) -> None:
    text = http.get("/page/lib/LICENSES.txt").text
    for name in ("preact 11", "htm 3", "regl 2", "regl-scatterplot 1", "pub-sub-es 3", "earcut 3"):
        assert f"\n{name}" in f"\n{text}"
    assert "axe-core" not in text


def test_without_libraries_the_page_says_what_to_run(
    http: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gingham.service.libraries.LIBRARIES", tmp_path)
    check_problem(http.get("/"), 501, "make page", "npm")
    assert http.get("/v1/facets").status_code == 200
    assert LIBRARIES.is_dir()


def test_browse_and_filter(tab: Tab) -> None:
    page = tab.open("/")
    page.get_by_text("36 images", exact=True).first.wait_for()
    tiles(page).nth(11).wait_for()
    page.get_by_role("checkbox", name="red").check()
    page.wait_for_selector(".bar p:text-is('12 images')")
    assert "where=colour%3Dred" in page.url
    page.get_by_role("checkbox", name="green").check()
    page.wait_for_selector(".bar p:text-is('24 images')")
    page.get_by_role("button", name="leave out green").click()
    page.wait_for_selector(".bar p:text-is('12 images')")
    page.get_by_role("button", name="clear all").click()
    page.wait_for_selector(".bar p:text-is('36 images')")
    page.go_back()
    page.wait_for_selector(".bar p:text-is('12 images')")


def test_search_by_an_upload_a_box_sliders_and_not_like_this(tab: Tab, tmp_path: Path) -> None:
    page = tab.open("/")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a picture").click()
    chooser.value.set_files(draw(tmp_path / "new.jpg", "green", 77))
    page.get_by_text("most alike first").wait_for()
    assert "green" in tiles(page).first.inner_text()

    frame = page.locator(".frame").bounding_box()
    x, y, width, height = (frame[k] for k in ("x", "y", "width", "height"))
    with page.expect_response("**/v1/search"):
        page.mouse.move(x + 0.2 * width, y + 0.2 * height)
        page.mouse.down()
        page.mouse.move(x + 0.7 * width, y + 0.6 * height, steps=3)
        page.mouse.up()
    assert re.search(r"crop=0\.(19|20)\d%2C0\.(19|20)\d%2C0\.(69|70)\d%2C0\.(59|60)\d", page.url)
    box = page.locator(".box")
    box.focus()
    with page.expect_response("**/v1/search"):
        box.press("ArrowRight")
    assert "crop=0.2" in page.url

    slider = page.get_by_role("slider", name="texture")
    with page.expect_response(
        lambda answer: "looks" in (said := answer.request.post_data or "") and "texture" not in said
    ):
        slider.fill("0")
    assert "look=texture%3D0" in page.url
    page.locator(".looks").first.wait_for()
    page.wait_for_function("!document.querySelector('.looks').innerText.includes('texture')")

    tiles(page).first.focus()
    page.keyboard.press("x")
    page.wait_for_url("**unlike=**")
    page.get_by_role("heading", name="Not like").wait_for()


def test_a_slider_says_how_right_answers_must_be(tab: Tab, shop: ServedCatalogue) -> None:
    page = tab.open("/")
    tiles(page).first.wait_for()
    slider = page.get_by_role("slider", name="right at least")
    assert page.locator(".cutoff output").inner_text() == "any"
    slider.fill("0.9")
    page.wait_for_url("**precision=0.9**")
    page.get_by_text("of the held-out examples are answered").wait_for()
    assert page.locator(".cutoff output").inner_text() == "90 %"
    # What cannot be promised by so few is unknown, without a number, in filters and tiles alike.
    with page.expect_response("**/v1/images?*at_precision=0.99*") as answer:
        slider.fill("0.99")
    counts = shop.facets(at_precision=0.99).attributes["colour"]
    given = [one["attributes"]["colour"] for one in answer.value.json()["images"]]
    assert {value: given.count(value) for value in given} == counts
    assert counts == {"unknown": 36}
    page.get_by_text("18 held-out examples are too few").wait_for()
    unknown = page.locator(".value.unknown")
    unknown.first.wait_for()
    assert unknown.first.inner_text() == "unknown"
    slider.fill("0.5")
    page.wait_for_url(lambda url: "precision" not in url)


def test_a_picture_is_pasted_and_dropped(tab: Tab, tmp_path: Path) -> None:
    page = tab.open("/")
    data = draw(tmp_path / "new.jpg", "blue", 78).read_bytes()
    for kind, name in (("paste", "clipboardData"), ("drop", "dataTransfer")):
        with page.expect_response("**/v1/search"):
            page.evaluate(
                """([bytes, kind, name]) => {
                    const given = new DataTransfer();
                    const type = 'image/jpeg';
                    given.items.add(new File([new Uint8Array(bytes)], 'a.jpg', {type}));
                    const options = {[name]: given, bubbles: true, cancelable: true};
                    const Made = kind === 'drop' ? DragEvent : ClipboardEvent;
                    document.body.dispatchEvent(new Made(kind, options));
                }""",
                [list(data), kind, name],
            )
        page.get_by_text("most alike first").wait_for()
        page.get_by_role("button", name="Show all").click()


def test_an_image_shows_its_values_and_why(tab: Tab) -> None:
    page = tab.open("/")
    tiles(page).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("colour").first.wait_for()
    dialog.get_by_role("button", name="Show evidence and heat map").click()
    dialog.get_by_text("Warm places are evidence").wait_for()
    assert dialog.get_by_role("img", name="heat map of colour").is_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "open=" not in url)


def test_a_reader_logs_in_and_may_only_look(
    browser: Any, shop: ServedCatalogue, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    secret = keys.add("rita", "reader")
    with served(shop, access=Access(KeyRing(keys, every=0))) as address:
        tab = Tab(browser, address)
        page = tab.open("/")
        page.get_by_role("heading", name="Who are you?").wait_for()
        assert serious(page) == []
        page.get_by_label("Key").fill(secret)
        page.get_by_role("button", name="Enter").click()
        tiles(page).first.wait_for()
        page.get_by_text("may only look").wait_for()
        tiles(page).first.click()
        page.get_by_role("dialog").get_by_text("File").wait_for()
        assert page.get_by_text("Take out of the catalogue").count() == 0
        page.keyboard.press("Escape")
        for view in ("Teach", "Review"):
            page.get_by_role("link", name=view, exact=True).click()
            page.get_by_role("heading", name="You may look").wait_for()
            page.get_by_text("a reader's").wait_for()
        page.get_by_role("button", name="leave").click()
        page.get_by_role("heading", name="Who are you?").wait_for()
        tab.close()


def test_a_wrong_key_is_said(browser: Any, shop: ServedCatalogue, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    keys.add("rita", "reader")
    with served(shop, access=Access(KeyRing(keys, every=0))) as address:
        tab = Tab(browser, address)
        page = tab.open("/")
        page.get_by_label("Key").fill("gingham_wrong")
        page.get_by_role("button", name="Enter").click()
        page.get_by_role("alert").get_by_text("copied whole").wait_for()
        assert "401" in tab.trouble.pop()
        tab.close()


def test_search_by_colours(browser: Any, tmp_path: Path) -> None:
    with make(tmp_path, runtime=ColourfulRuntime()) as shop, served(shop) as address:
        tab = Tab(browser, address)
        page = tab.open("/")
        page.get_by_role("button", name="red", exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.locator(".bar")).to_contain_text("most of these colours first")
        expect(tiles(page).first).to_have_attribute("title", re.compile("^red"))
        assert "colour=%23e50000%3D1" in page.url
        page.get_by_label("how much red").press("ArrowLeft")
        expect(page.locator(".colours output")).to_have_text("0.95")
        page.get_by_label("any other colour").fill("#0343df")
        expect(page.get_by_label("how much blue")).to_be_visible()
        page.get_by_label("take red away").click()
        expect(tiles(page).first).to_have_attribute("title", re.compile("^blue"))
        again = tab.open(page.url.removeprefix(address))
        expect(tiles(again).first).to_have_attribute("title", re.compile("^blue"))
        assert not serious(again)
        again.get_by_role("button", name="Show all").click()
        expect(again.locator(".colours .slider")).to_have_count(0)
        tab.close()


def test_swatches_are_the_colours_of_the_basic_terms() -> None:
    module = (STATIC / "components" / "colours.js").read_text(encoding="utf-8")
    said = dict(re.findall(r"(\w+): '(#[0-9a-f]{6})'", module))
    assert said == {term: NAMED[term].written for term in TERMS}


def test_search_has_no_serious_barriers(tab: Tab) -> None:
    page = tab.open("/")
    tiles(page).first.wait_for()
    assert serious(page) == []
    tiles(page).first.focus()
    page.keyboard.press("l")
    page.get_by_text("most alike first").wait_for()
    assert serious(page) == []


def test_the_box_of_similar_products_in_the_docs(tab: Tab, shop: ServedCatalogue) -> None:
    text = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    assert len(script.strip().splitlines()) <= 10
    page = tab.open("/history")
    # The proxy of the website is left out.
    some = next(iter(shop.images()))
    box = f"document.body.innerHTML = '<div id=similar data-id={some}></div>';"
    page.evaluate(f"(async () => {{ {box} {script.replace('/similar/', '/v1/images/')} }})()")
    links = page.locator("#similar a")
    assert links.count() == 6
    assert re.fullmatch(r"/products/\w+", links.first.get_attribute("href"))
    links.first.locator("img").evaluate("(picture) => picture.decode()")


def test_one_of_each_product_and_no_near_copies(browser: Any, tmp_path: Path) -> None:
    with make(tmp_path, each=2) as shop:
        rows = [f"photos/{c}{i}.jpg,{c}\n" for c in ("red", "green", "blue") for i in range(2)]
        (tmp_path / "products.csv").write_text("image,product\n" + "".join(rows))
        shop.index([tmp_path / "products.csv"])
        with served(shop) as address, contextlib.closing(Tab(browser, address)) as tab:
            page = tab.open(f"/?like={shop.search(tmp_path / 'photos/red0.jpg', n=1)[0].id}")
            page.get_by_text("5 images, most alike first").wait_for()
            page.get_by_label("one of each product").check()
            page.wait_for_url("**by=product**")
            page.get_by_text("2 images, most alike first").wait_for()
            page.get_by_label("without near-copies").check()
            page.wait_for_url("**distinct=1**")
            page.reload()
            page.get_by_text("most alike first").wait_for()
            assert page.get_by_label("without near-copies").is_checked()
