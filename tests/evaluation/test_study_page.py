"""The report in a real browser: no console error, every plot drawn, in dark mode and on a phone."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

from gingham.evaluation.study import Setting, study
from helpers import Loader

# Not imported here: where no cache can be written, that takes what the study knows.
if importlib.util.find_spec("umap") is None:
    pytest.skip("umap-learn comes with the extra `study`", allow_module_level=True)


def test_every_plot_is_drawn_and_nothing_complains(
    browser: Any, examples: Path, tmp_path: Path
) -> None:
    odd = examples / '<i>odd & "quoted"</i>'
    shutil.copytree(examples / "red", odd)
    for i, picture in enumerate(odd.iterdir()):
        picture.write_bytes(picture.read_bytes() + bytes([i]))
    study([f"colour={examples}"], tmp_path / "out", setting=Setting(folds=3), load=Loader())
    report = tmp_path / "out" / "report.html"
    for width, scheme in ((1300, "light"), (360, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(report.as_uri())
        assert page.evaluate("document.documentElement.dataset.ready") == "yes"
        for details in page.query_selector_all("details"):
            details.evaluate("node => { node.open = true; }")
        plots = page.evaluate(
            """() => [...document.querySelectorAll(".plot svg[role=img]")].map((svg) => ({
              title: svg.getAttribute("aria-label"),
              marks: svg.querySelectorAll("path.dot, path.point").length,
              width: svg.getBoundingClientRect().width,
              height: svg.getBoundingClientRect().height,
            }))"""
        )
        # Accuracy, clusters, four maps, dimensions, cost.
        assert len(plots) == 1 + 1 + 4 + 1 + 1
        for plot in plots:
            assert plot["title"], plot
            assert plot["marks"] > 0, plot
            assert min(plot["width"], plot["height"]) > 100, plot
        assert len(page.query_selector_all("table.heat")) == 5
        # Every tile has a picture, of those that the page holds once each.
        tiles = page.evaluate(
            """() => [...document.querySelectorAll("main .tile i")].map((one) =>
              [one.getAttribute("aria-label"), getComputedStyle(one).backgroundImage])"""
        )
        assert len(tiles) > 24
        assert all(said and uri.startswith('url("data:image/jpeg') for said, uri in tiles)
        # No section leaves the right side of the page empty.
        reached = page.evaluate(
            """() => [...document.querySelectorAll("section")].map((one) => Math.max(
              ...[...one.querySelectorAll("figure, .scroll, .search, .tiles")]
                .map((part) => part.getBoundingClientRect().right)))"""
        )
        assert len(reached) == 7
        assert min(reached) > 0.85 * width
        # Wide tables scroll inside themselves, never the page.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(22, 22, 20)") == (scheme == "dark")

        first = page.query_selector("[data-map] .point")
        first.scroll_into_view_if_needed()
        place = page.evaluate(
            """() => {
              const svg = document.querySelector("[data-map]");
              const box = svg.getBoundingClientRect();
              const map = data.maps[svg.dataset.map];
              const scale = box.width / 300;
              const x = (8 + map.x[0] * 284) * scale;
              return [box.left + x, box.top + (292 - map.y[0] * 284) * scale];
            }"""
        )
        page.mouse.move(*place)
        tip = page.query_selector("#tip")
        assert tip.is_visible()
        assert " \u00b7 " in tip.inner_text()
        shown = tip.query_selector("i").evaluate("i => getComputedStyle(i).backgroundImage")
        assert shown.startswith('url("data:image/jpeg')
        page.mouse.move(1, 1)
        button = page.query_selector("button[data-value='1']")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert page.query_selector_all("[data-map].picked .point.on")
        faint = "o => getComputedStyle(o).opacity < 0.2"
        assert page.query_selector(".picked .point:not(.on)").evaluate(faint)
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        page.close()
