"""What to label next, as a page and a table that `teach` reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from conftest import FakeRuntime
from gingham.catalogue import Catalogue
from gingham.errors import InputError
from helpers import run


@pytest.fixture
def shop(tmp_path: Path, runtime: FakeRuntime, photos: Path) -> Catalogue:
    made = Catalogue.create(tmp_path / "shop", runtime=runtime)
    made.index([photos])
    made.teach(
        "colour", {str(photos / f"{c}{i}.jpg"): c for c in ("red", "green", "blue") for i in (0, 1)}
    )
    made.tag()
    return made


def test_the_table_is_filled_in_and_taught(shop: Catalogue, tmp_path: Path) -> None:
    found = shop.review_sheet(tmp_path / "next", "colour", n=8)
    page = (tmp_path / "next" / "index.html").read_text(encoding="utf-8")
    assert "Label next: colour" in page
    assert page.count("data:image/jpeg") == 8
    with (tmp_path / "next" / "review.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [one.image for one in found.items]
    assert {row["colour"] for row in rows} == {""}
    assert [row["number"] for row in rows] == [str(i) for i in range(1, 9)]
    taught = shop.examples()["colour"]
    assert not taught & {one.id for one in found.items}
    for row in rows[:5]:
        row["colour"] = row["colour_best_guess"]
    with (tmp_path / "next" / "review.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    result = shop.teach("colour", tmp_path / "next" / "review.csv")
    assert (result.examples, result.unlabelled) == (11, 3)
    assert shop.examples()["colour"] == taught | {one.id for one in found.items[:5]}


def test_a_table_that_may_be_filled_in_is_kept(shop: Catalogue, tmp_path: Path) -> None:
    shop.review_sheet(tmp_path / "next", "colour", n=2)
    before = (tmp_path / "next" / "review.csv").read_bytes()
    with pytest.raises(InputError, match=r"review\.csv is there already: teach it"):
        shop.review_sheet(tmp_path / "next", "colour")
    assert (tmp_path / "next" / "review.csv").read_bytes() == before
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        shop.review_sheet(tmp_path / "nowhere" / "next", "colour")


def test_the_command_lists_or_writes_them(shop: Catalogue, tmp_path: Path) -> None:
    done = run("review", shop.folder, "colour", "-n", "3", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said["items"]) == 3
    done = run("review", shop.folder, "colour", "-n", "3", "--out", tmp_path / "next")
    assert "3 of 30 images to look at" in done.stdout
    assert "gingham teach" in done.stdout
    assert (tmp_path / "next" / "index.html").exists()
    done = run("review", shop.folder, "colour", "--order", "best")
    assert done.returncode == 2
    assert "useful, uncertain, suspicious, random; got 'best'" in done.stderr
