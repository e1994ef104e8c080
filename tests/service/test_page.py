"""The page, driven in Chromium: every view, by mouse and by keys."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

import httpx2
import uvicorn
from starlette.testclient import TestClient

from conftest import draw
from gingham.service.app import create_app
from gingham.service.libraries import LIBRARIES, missing
from gingham.service.page import VIEWS
from gingham.service.serve import address_of, listen
from gingham.service.served import ServedCatalogue
from serving import check_problem, client, make

if missing() is not None:
    pytest.skip("the page's libraries are not there: run make page", allow_module_level=True)

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@contextlib.contextmanager
def served(shop: ServedCatalogue, **options: Any) -> Iterator[str]:
    """Serve a catalogue on loopback, in a thread; gives its address."""
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(create_app(shop, **options), log_level="error", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield address_of(listening)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCatalogue]:
    with make(tmp_path_factory.mktemp("page"), each=12) as made:
        yield made


@pytest.fixture(scope="module")
def http(shop: ServedCatalogue) -> Iterator[TestClient]:
    with client(shop) as one:
        yield one


@pytest.fixture(scope="module")
def address(shop: ServedCatalogue) -> Iterator[str]:
    with served(shop) as one:
        yield one


class Tab:
    """A tab of the browser that fails where the page does."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}} | context)
        self.page = self.context.new_page()
        self.address = address
        self.trouble: list[str] = []
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # A server without keys may have no sessions, which the page finds out by asking.
        if message.type in ("error", "warning") and "/v1/session" not in message.location["url"]:
            self.trouble.append(f"{message.text} {message.location['url']}")

    def open(self, path: str) -> Any:
        self.page.goto(self.address + path)
        self.page.wait_for_selector("main:not(:has(.loading))")
        return self.page

    def close(self) -> None:
        self.context.close()
        assert self.trouble == []


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Tab]:
    one = Tab(browser, address)
    yield one
    one.close()


def serious(page: Any) -> list[str]:
    """Give what axe-core finds serious."""
    # The policy of the page lets no script in that is not its own; the driver's way around it is.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']][:4]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


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


def tiles(page: Any) -> Any:
    return page.locator(".grid [data-index]:not(.waiting)")


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
    assert tiles(page).first.get_by_text("texture").count() == 0

    tiles(page).first.focus()
    with page.expect_response("**/v1/search"):
        page.keyboard.press("x")
    assert "unlike=" in page.url
    assert page.get_by_role("heading", name="Not like").is_visible()


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
    assert "open=" not in page.url


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
    for one in tiles(page).all():
        assert "striped" in one.inner_text()


def test_a_range_and_keys_choose_and_what_is_missing_is_said(tab: Tab) -> None:
    page = tab.open("/teach")
    tiles(page).nth(0).click()
    tiles(page).nth(4).click(modifiers=["Shift"])
    assert page.get_by_role("button", name="Teach with 5 pictures").is_disabled()
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
    assert picture.get_attribute("src") != first
    assert examples_of(address, "colour") == before + 1
    page.locator(".moving-accuracy b").wait_for()
    second = picture.get_attribute("src")
    page.keyboard.press("s")
    assert picture.get_attribute("src") not in (first, second)
    page.keyboard.press("u")
    assert picture.get_attribute("src") == second
    decide(page, "u")
    assert picture.get_attribute("src") == first
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


def test_search_has_no_serious_barriers(tab: Tab) -> None:
    page = tab.open("/")
    tiles(page).first.wait_for()
    assert serious(page) == []
    tiles(page).first.focus()
    page.keyboard.press("l")
    page.get_by_text("most alike first").wait_for()
    assert serious(page) == []
