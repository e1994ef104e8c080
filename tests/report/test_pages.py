"""Every page in a browser: wide and narrow, light and dark."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.curation import curate
from gingham.curation.config import CurationConfig, PicturesSection
from gingham.evaluation.model_page import write_page
from gingham.evaluation.retrieval.report import write_report
from gingham.evaluation.retrieval.result import MethodResult, RetrievalResult, Shown, Spread
from gingham.evaluation.study import Setting, study
from gingham.explaining import Explanation, ExplanationPage, ImageExplanations
from gingham.report.kit import percent, render
from gingham.report.sheet import Section, Tile, write_contact_sheet
from gingham.results import Evidence, Prediction
from helpers import Loader

ODD = '<i>odd & "quoted"</i> \x07'
SMALL = CurationConfig(pictures=PicturesSection(min_side=8))
PAGES = ("sheet", "retrieval", "model", "explain", "one map", "curation", "study")

CUT = """() => {
  // What is not whole: elements and lines of text beyond the edge of the page or of a box that
  // hides what is beyond it. What can be scrolled to is whole.
  const cut = (rect, inside) => {
    for (let up = inside; up; up = up.parentElement) {
      const { overflowX, overflowY, position } = getComputedStyle(up);
      const box = up.getBoundingClientRect();
      if (["hidden", "clip"].includes(overflowX)
          && (rect.left < box.left - 2 || rect.right > box.right + 2)) return true;
      if (["hidden", "clip"].includes(overflowY)
          && (rect.top < box.top - 2 || rect.bottom > box.bottom + 2)) return true;
      if (["auto", "scroll"].includes(overflowX) || position === "fixed") return false;
    }
    return rect.left < -1 || rect.right > innerWidth + 1;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ALL);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.nodeType === Node.TEXT_NODE;
    if (text && !node.data.trim()) continue;
    if (!text && node.nodeType !== Node.ELEMENT_NODE) continue;
    if (node.parentElement.closest("svg [class=found]") || node.className?.baseVal === "found")
      continue;
    const range = document.createRange();
    if (text) range.selectNodeContents(node);
    const rects = text ? range.getClientRects() : [node.getBoundingClientRect()];
    for (const rect of rects)
      if (rect.width && rect.height && cut(rect, node.parentElement))
        found.push((text ? node.data : node.outerHTML).slice(0, 120));
  }
  return found;
}"""
HINTS = """() => [...document.querySelectorAll(".scroll")].map((one) => ({
  label: one.ariaLabel,
  wider: one.scrollWidth > one.clientWidth,
  said: parseFloat(getComputedStyle(one, "::after").height) > 10,
}))"""


def fake(*args: Any, **options: Any) -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages") / "photos"
    for colour in COLOURS:
        for seed in range(6):
            draw(folder / colour / f"{seed}.jpg", colour, seed, striped=seed % 2 == 1)
    return sorted(folder.rglob("*.jpg"))


@pytest.fixture(scope="module")
def pages(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("made")
    tiles = [Tile(str(one), ODD, ["red 0.97"], "good") for one in photos]
    sections = [Section(ODD, "Two of each.", [*tiles, Tile("gone.jpg", "gone", (), "unknown")])]
    summary = (("images", "18"), ("colour", "95.5 % right", "of 12"))
    write_contact_sheet(out / "sheet.html", title=ODD, summary=summary, sections=sections)

    spread = {5: Spread(0.5, 0.1), 10: Spread(0.6, 0.1)}
    methods = tuple(
        MethodResult(name, {}, dict.fromkeys((1, 5, 10), 0.5), {10: 0.4}, 0.3, *[spread] * 3)
        for name in ("fc", "conv", "semantic=1,colour=0.5")
    )
    found = {one.name: list(range(1, 11)) for one in methods}
    names = tuple(map(str, photos))
    classes = tuple(one.parent.name for one in photos)
    searches = (Shown(0, found), Shown(7, found))
    result = RetrievalResult(
        "fake", names, classes, 18, 18, 16, 3, 0, methods, searches, 0, 0, 0, (), 1.0
    )
    write_report(out, result)

    rng = np.random.default_rng(0)
    sizes = {"colour": 4, "article": 30}
    scores = {"macro_f1": 0.8, "micro_f1": 0.8, "w_map": 0.7}
    attributes = [
        {
            "name": name,
            "kind": "single",
            "images": 90,
            "accuracy": 0.9,
            "answered": 0.95,
            "summary": scores,
            "calibration_error": 0.02,
            "names": [f"{ODD} {i}" for i in range(size)],
            "confusion": rng.integers(0, 5, (size + 1, size + 1)).tolist(),
        }
        for name, size in sizes.items()
    ]
    metrics = {"images": 90, "overall": scores, "avgprec": 0.8, "calibration_error": 0.02}
    told = {
        "part": "test",
        "learned": 3,
        "table": "labels.csv",
        "model": "abc",
        "comparisons": [],
        "dropped": {"colour": {ODD: 2}},
        "failed": ["x.jpg"],
        "metrics": metrics | {"attributes": attributes, "values": []},
    }
    model = SimpleNamespace(
        folder=out / "model",
        config=SimpleNamespace(model=SimpleNamespace(head="multi", backbone="fake")),
        features=SimpleNamespace(preprocess=SimpleNamespace(size=224)),
    )
    write_page(out / "model.html", told, cast(Any, model))

    evidence = tuple(Evidence(str(one), ODD, 0.1) for one in photos[:5])
    prediction = Prediction(ODD, 0.9, {ODD: 0.9, "blue": 0.1}, evidence)
    maps = [
        Explanation(
            attribute, ODD, 0.9, prediction, "projection", 2.0, {"stem": 1.0},
            np.eye(8, dtype=np.float32), (0.0, 0.0, 1.0, 1.0), False,
        )
        for attribute in ("colour", "pattern")
    ]  # fmt: skip
    picture = np.full((300, 200, 3), 90, np.uint8)
    one, both = ExplanationPage(out / "one"), ExplanationPage(out / "both")
    one.add(ImageExplanations("a.jpg", (maps[0],), picture))
    for name in ("a.jpg", "b.jpg"):
        both.add(ImageExplanations(name, tuple(maps), picture))

    table = photos[0].parent.parent / "table.csv"
    rows = [f"{one},{one.parent.name}" for one in photos]
    table.write_text("\n".join(["image,hue", *rows, "gone.jpg,red"]) + "\n")
    return {
        "sheet": out / "sheet.html",
        "retrieval": out / "retrieval.html",
        "model": out / "model.html",
        "explain": both.close(),
        "one map": one.close(),
        "curation": Path(curate(table, out / "curated", SMALL, load=fake).report),
    }


@pytest.fixture(scope="module")
def study_page(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("umap") is None:
        pytest.skip("umap-learn comes with the extra `study`")
    out = tmp_path_factory.mktemp("study")
    study([f"colour={photos[0].parent.parent}"], out, setting=Setting(folds=3), load=Loader())
    return out / "report.html"


@pytest.fixture
def file(name: str, request: pytest.FixtureRequest) -> Path:
    if name == "study":
        return cast(Path, request.getfixturevalue("study_page"))
    return cast(Path, request.getfixturevalue("pages")[name])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits(browser: Any, name: str, file: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda sent: asked.append(sent.url))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == []
    # A table that is wider than its place says so.
    for hint in page.evaluate(HINTS):
        assert hint["said"] == hint["wider"], hint
    used = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll('main img, main td, main i, main svg')]
          .map((one) => Math.min(one.getBoundingClientRect().right, innerWidth)))"""
    )
    assert used / width > 0.85
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(22, 22, 20)") == (scheme == "dark")
    assert page.query_selector("i i, b > i, h1 i, h2 i, h3 i") is None
    policy = page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert policy.startswith("default-src 'none'; img-src data:")
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_printed_page_is_whole(browser: Any, name: str, file: Path) -> None:
    # A4 without its margins; on paper nobody scrolls.
    page = browser.new_page(viewport={"width": 718, "height": 1000})
    page.emulate_media(media="print")
    page.goto(file.as_uri())
    assert page.evaluate(CUT.replace('["auto", "scroll"].includes(overflowX)', "false")) == []
    page.close()


@pytest.mark.parametrize(
    ("part", "cut"),
    [
        ("<p>short</p>", False),
        ("<p style='width: 2000px'>wide</p>", True),
        ("<p style='white-space: nowrap'>LONG</p>", True),
        ("<p style='margin-left: -99px'>left</p>", True),
        ("<div style='overflow: hidden; width: 9em'><p style='width: 99em'>LONG</p></div>", True),
        ("<p style='overflow: hidden; height: 2em'>LONG</p>", True),
        ("<p style='overflow: hidden; white-space: nowrap'>LONG</p>", True),
        ("<div style='overflow: auto'><p style='width: 2000px'>LONG</p></div>", False),
        ("<svg viewBox='0 0 9 9' width=90><text x=0 y=8>LONG</text></svg>", True),
    ],
)
def test_what_is_cut_is_found(browser: Any, part: str, cut: bool) -> None:
    page = browser.new_page(viewport={"width": 420, "height": 900})
    page.set_content(part.replace("LONG", "a long line of text " * 20))
    assert bool(page.evaluate(CUT)) == cut
    page.close()


def test_text_is_escaped_and_what_a_page_cannot_hold_replaced() -> None:
    page = render(
        "sheet.html", title=ODD, summary=[], sections=[], anchors=[], marks={}, pictures={}
    )
    assert "<i>" not in page
    assert page.count("&lt;i&gt;odd &amp; &#34;quoted&#34;&lt;/i&gt; \ufffd") == 2


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "0.0 %"), (7e-5, "<0.1 %"), (0.5, "50.0 %"), (0.99999, ">99.9 %"), (1.0, "100.0 %")],
)
def test_a_share_reaches_its_ends_only_where_it_does(share: float, said: str) -> None:
    assert percent(share) == said
