"""The neighbours of every image as a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gingham.catalogue import Catalogue
from gingham.errors import InputError
from gingham.operations import similar
from gingham.options import ReadOptions
from helpers import run
from test_search_choices import shop  # noqa: F401  (a fixture)

Rows = list[dict[str, Any]]


def read(path: Path) -> Rows:
    rows: Rows = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("by", ["product", "folder", None])
@pytest.mark.parametrize("distinct", [True, False])
def test_the_rows_are_what_searches_find(
    shop: Catalogue,  # noqa: F811
    tmp_path: Path,
    by: Any,
    distinct: bool,
) -> None:
    looks = {"colour": 1.0, "texture": 0.5}
    file = tmp_path / "similar.parquet"
    written = shop.similar(file, looks=looks, n=3, distinct=distinct, by=by)
    rows = read(file)
    assert written == len(rows)
    assert {row["id"] for row in rows} <= shop.images().keys()
    for image, files in shop.images().items():
        hits = shop.search(image, looks=looks, n=3, distinct=distinct, by=by)
        own = [row for row in rows if row["id"] == image]
        assert [(row["rank"], row["similar_id"]) for row in own] == [
            (rank, hit.id) for rank, hit in enumerate(hits, 1)
        ]
        assert [row["similar"] for row in own] == [hit.image for hit in hits]
        assert {row["image"] for row in own} <= {files[0]}
        assert [row["score"] for row in own] == pytest.approx([hit.score for hit in hits])
    assert not list(tmp_path.glob(".*.parts"))


def test_a_csv_has_the_same_rows(shop: Catalogue, tmp_path: Path) -> None:  # noqa: F811
    shop.similar(tmp_path / "a.parquet", n=2)
    shop.similar(tmp_path / "a.csv", n=2)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = read(tmp_path / "a.parquet")
    assert [row | {"rank": int(row["rank"]), "score": 0} for row in rows] == [
        row | {"score": 0} for row in expected
    ]
    assert [float(row["score"]) for row in rows] == [row["score"] for row in expected]


def test_an_interrupted_run_goes_on(
    shop: Catalogue,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(similar, "PART", 5)
    file = tmp_path / "similar.csv"
    file.write_text("what was there")
    searched: list[bytes] = []
    search = shop._searcher.search

    def counted(like: Any, *given: Any, **more: Any) -> Any:
        searched.extend(like)
        return search(like, *given, **more)

    monkeypatch.setattr(shop._searcher, "search", counted)

    def stop(step: str, done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.similar(file, options=ReadOptions(progress=stop))
    assert file.read_text() == "what was there"
    assert len(searched) == 10
    shop.similar(file)
    assert sorted(searched) == sorted({bytes.fromhex(key) for key in shop.images()})
    whole = file.read_text()
    # Another question, or another catalogue, begins anew.
    searched.clear()
    with pytest.raises(KeyboardInterrupt):
        shop.similar(file, options=ReadOptions(progress=stop))
    shop.similar(file, n=2)
    assert len(searched) == 10 + 18
    shop.similar(file)
    assert file.read_text() == whole


def test_what_cannot_be_written_is_said_first(
    shop: Catalogue,  # noqa: F811
    tmp_path: Path,
) -> None:
    for file, more, says in (
        ("a.txt", {}, "ends in .parquet or .csv"),
        ("no/a.csv", {}, "there is no folder"),
        ("a.csv", {"n": 0}, "n must be at least 1"),
        ("a.csv", {"by": "colour"}, "give product, or folder"),
        ("a.csv", {"looks": {"taste": 1}}, "unknown look 'taste'"),
    ):
        with pytest.raises(InputError, match=says):
            shop.similar(tmp_path / file, **more)
    assert not list(tmp_path.glob(".*.parts"))


def test_on_the_command_line(shop: Catalogue, tmp_path: Path) -> None:  # noqa: F811
    shop.close()
    assert run("index", tmp_path / "real", tmp_path / "products.csv").returncode == 0
    done = run(
        *("similar", tmp_path / "real", "--look", "colour=1", "-n", "2"),
        *("--out", tmp_path / "s.csv", "--json"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert said == {"file": str(tmp_path / "s.csv"), "rows": len(rows)}
    product = {row["image"]: Path(row["image"]).parent.name for row in rows}
    # Even the picture without a product is in no row with itself.
    assert all(row["id"] != row["similar_id"] for row in rows)
    pairs = {(product[row["image"]], Path(row["similar"]).parent.name) for row in rows}
    assert all(one != other for one, other in pairs if one != "red0")
    done = run("similar", "http://127.0.0.1:9", "--out", tmp_path / "s.csv")
    assert done.returncode == 2
    assert "works on a catalogue's folder" in done.stderr
