"""Faults of pictures, columns that no picture shows, and decisions made in the page."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance, ImageFilter
from test_curation_copies import scene
from test_curation_run import Loader, read

from conftest import COLOURS, draw
from gingham.curation import CurationConfig, curate
from gingham.curation.config import (
    LabelErrorsSection,
    PicturesSection,
    TableSection,
    UnknownSection,
    ValuesSection,
)
from gingham.curation.decisions import COLUMNS, LabelDecisions, read_decisions
from gingham.curation.fingerprints import take_fingerprints
from gingham.curation.invisible import invisible
from gingham.curation.measuring import sharpness_of
from gingham.curation.pictures import remove_poor_pictures
from gingham.curation.table import TableRows, read_samples
from gingham.errors import InputError
from gingham.options import DEFAULTS


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("year", ["2011", "2012"], "years"),
        ("made", ["1999", "2011"], "years"),
        ("when", ["2024-05-01", "2024-06-30 12:00"], "dates"),
        ("when", ["1.5.2024", "30/6/24"], "dates"),
        ("amount", ["$ 12.99", "\u20ac1 200,50", "7 EUR"], "prices"),
        ("salePrice", ["12.99", "1,200.00", "7"], "prices"),
        ("Variant Price", ["12"], "prices"),
        ("article_sku", ["12345", "998"], "numbers of articles"),
        ("colour", ["red", "blue"], None),
        ("category", ["1", "2", "3"], None),  # values are often numbered
        ("sleeves", ["1", "2011"], None),
        ("season_year", ["winter 2011", "summer"], None),
        ("date", ["old", "new"], None),
        ("size", ["10.5", "11"], None),
    ],
)
def test_what_pictures_cannot_show(name: str, values: Sequence[str], what: str | None) -> None:
    assert invisible(name, values) == what


def test_such_a_column_is_an_attribute_that_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("image,hue,year\na.jpg,red,2011\nb.jpg,blue,2012\n")
    samples = read_samples(path, TableSection(), UnknownSection())
    assert list(samples.values) == ["hue", "year"]
    assert samples.unseen == {"year": "years"}
    assert samples.seen == ("hue",)


@pytest.mark.parametrize("side", [120, 400, 1000])
def test_a_blurred_picture_is_less_sharp_at_every_size(side: int) -> None:
    for seed in range(4):
        sharp = scene(seed, (side, side))
        blurred = sharp.filter(ImageFilter.GaussianBlur(side * 0.03))
        limit = PicturesSection().min_sharpness
        assert sharpness_of(blurred) < limit < sharpness_of(sharp)
    assert sharpness_of(Image.new("L", (2, 90))) == 0


def test_blurred_and_dark_pictures_are_listed_or_removed(tmp_path: Path) -> None:
    made = {
        "fine": scene(0, (300, 300)),
        "dark": ImageEnhance.Brightness(scene(1, (300, 300))).enhance(0.1),
        "blurred": scene(2, (300, 300)).filter(ImageFilter.GaussianBlur(8)),
    }
    paths = []
    for name, picture in made.items():
        paths.append(str(tmp_path / f"{name}.png"))
        picture.save(paths[-1])
    prints = take_fingerprints(paths, tmp_path, DEFAULTS)
    for faults, action in (("report", "reported"), ("remove", "removed")):
        samples = TableRows(list(made), paths, {})
        section = PicturesSection(faults=faults)  # type: ignore[arg-type]
        stage = remove_poor_pictures(samples, prints, section)
        found = {r["image"]: (r["reason"].partition(":")[0], r["action"]) for r in stage.records}
        assert found == {"dark": ("dark", action), "blurred": ("blurred", action)}
        assert samples.kept.tolist() == [True, faults == "report", faults == "report"]
        assert stage.summary["removed"] == (0 if faults == "report" else 2)
    again = take_fingerprints(paths, tmp_path, DEFAULTS)  # from the cache
    assert again.sharpness.tolist() == prints.sharpness.tolist()


def test_decisions_are_read_and_settle_what_was_flagged(tmp_path: Path) -> None:
    doubts: list[tuple[str, str, str, str]] = [
        ("a.jpg", "hue", "red", "blue"),
        ("b, c.jpg", "hue", "red", "blue"),
        ("d.jpg", "hue", "blue", "red"),
    ]
    path = tmp_path / "decisions.csv"
    with path.open("w", newline="") as file:
        rows = zip(doubts[:2], ("accept", "refuse"), strict=True)
        csv.writer(file).writerows([COLUMNS, *((*doubt, said) for doubt, said in rows)])
    decisions = read_decisions(path)
    assert decisions == LabelDecisions({doubts[0]: True, doubts[1]: False})
    records = [
        dict(zip(COLUMNS, doubt, strict=False)) | {"flagged": True, "action": "reported"}
        for doubt in doubts
    ]
    assert decisions.settle(records) == [records[0]]
    assert [r["action"] for r in records] == ["accepted", "refused", "reported"]
    assert [r["flagged"] for r in records] == [False, False, True]
    path.write_text(",".join(COLUMNS) + "\na.jpg,hue,red,blue,perhaps\n")
    with pytest.raises(InputError, match="row 2: a decision is accept or refuse, got 'perhaps'"):
        read_decisions(path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Pictures of three hues, of which three are labelled wrongly."""
    rows = []
    for seed in range(25):
        for hue in COLOURS:
            draw(tmp_path / f"shop/{hue}{seed}.png", hue, seed)
            rows.append([f"{hue}{seed}.png", hue, f"201{seed % 4}"])
    for at, wrong in ((0, "blue"), (4, "red"), (8, "green")):
        rows[at][1] = wrong
    path = tmp_path / "shop/table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "hue", "year"), *rows])
    return path


CONFIG = CurationConfig(
    pictures=PicturesSection(min_side=10, min_sharpness=0, min_brightness=0),
    values=ValuesSection(min_count=2),
    label_errors=LabelErrorsSection(max_probability=0.5),
)


def test_decisions_are_made_in_the_page_and_read_back(
    table: Path, tmp_path: Path, browser: Any
) -> None:
    pytest.importorskip("faiss", reason="faiss-cpu comes with the extra `train`")
    pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")
    out = tmp_path / "out"
    result = curate(table, out, CONFIG, load=Loader())
    listed = read(out / "stages/6_label_errors.csv")
    flagged = [r for r in listed if r["flagged"] == "True"]
    assert result.flagged == len(flagged) >= 2
    assert result.unseen == {"year": "years"}
    assert {r["attribute"] for r in listed} == {"hue"}
    context = browser.new_context(accept_downloads=True)
    trouble: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto((out / "report.html").as_uri())
    # The flagged labels alone, the worst news first.
    assert page.locator("#label_errors .card").count() == len(flagged)
    assert page.locator("section").first.get_attribute("id") == "label_errors"
    assert not page.locator(".decided").is_visible()
    decide = page.locator(".decide")
    decide.nth(0).get_by_role("button").nth(0).click()
    decide.nth(1).get_by_role("button").nth(0).click()
    decide.nth(1).get_by_role("button").nth(1).click()  # changed their mind
    assert page.locator(".decided b").inner_text() == "2 decided."
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save decisions.csv").click()
    saved.value.save_as(tmp_path / "decisions.csv")
    context.close()
    assert trouble == []
    decisions = read_decisions(tmp_path / "decisions.csv").accepted
    first, second = (tuple(r[name] for name in COLUMNS[:-1]) for r in flagged[:2])
    assert dict(decisions) == {first: True, second: False}
    again = curate(table, out, CONFIG, decisions=tmp_path / "decisions.csv", load=Loader())
    assert again.flagged == result.flagged - 2
    clean = {Path(r["image"]).name: r["hue"] for r in read(out / "clean.csv")}
    assert clean[first[0]] == first[3]
    assert clean[second[0]] == second[2]
    actions = {r["image"]: r["action"] for r in read(out / "stages/6_label_errors.csv")}
    assert (actions[first[0]], actions[second[0]]) == ("accepted", "refused")
    assert "2 labels were decided before" in (out / "report.html").read_text()


def test_a_table_without_rows_decides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    path.write_text(",".join(COLUMNS) + "\n")
    assert read_decisions(path) == LabelDecisions({})
    path.write_text("image,attribute\n")
    with pytest.raises(InputError, match="has no column 'value'"):
        read_decisions(path)
