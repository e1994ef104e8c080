from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gingham.errors import InputError
from gingham.labels import group_of, read_labels
from gingham.results import Failure
from gingham.sources import find_images, iterate_stdin
from gingham.tables import read_table


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_gives_every_file_sorted_and_names_what_it_ignores(tmp_path: Path) -> None:
    touch(tmp_path / "b/2.jpg", tmp_path / "b/1.txt", tmp_path / "a.JPG")
    touch(tmp_path / ".DS_Store", tmp_path / ".git/x.jpg", tmp_path / "b/Thumbs.db")
    touch(tmp_path / "cat/features/0.parquet")
    os.mkfifo(tmp_path / "pipe")
    walk = find_images([tmp_path], exclude=tmp_path / "cat")
    assert walk.images == [str(tmp_path / x) for x in ("a.JPG", "b/1.txt", "b/2.jpg")]
    assert sorted(walk.ignored) == sorted(
        str(tmp_path / x) for x in (".DS_Store", ".git", "b/Thumbs.db")
    )
    reason = "not a regular file: give an image file"
    assert walk.failures == [Failure(str(tmp_path / "pipe"), reason)]


def test_dangling_links_are_tried_so_that_they_are_reported(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert find_images([tmp_path]).images == [str(tmp_path / "gone.jpg")]


def test_tables_and_files(tmp_path: Path) -> None:
    touch(tmp_path / "t/a.jpg")
    (tmp_path / "t/list.csv").write_text("﻿image,x\na.jpg,1\nb.jpg,2\n", encoding="utf-8")
    pq.write_table(
        pa.table({"image": ["c.jpg", str(tmp_path / "d.jpg")]}), tmp_path / "t/l.parquet"
    )
    walk = find_images([tmp_path / "t/list.csv", tmp_path / "t/l.parquet", tmp_path / "t/a.jpg"])
    names = ["t/a.jpg", "t/b.jpg", "t/c.jpg", "d.jpg", "t/a.jpg"]
    assert walk.images == [str(tmp_path / name) for name in names]


def test_what_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        find_images([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="holds no files"):
        find_images([tmp_path])
    (tmp_path / "t.csv").write_text("picture,colour\n")
    with pytest.raises(InputError, match=r"no column 'image'; it has picture, colour"):
        find_images([tmp_path / "t.csv"])
    (tmp_path / "t.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"t\.parquet cannot be read"):
        find_images([tmp_path / "t.parquet"])
    (tmp_path / "t.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    with pytest.raises(InputError, match=r"t\.csv cannot be read: not a text file") as refused:
        find_images([tmp_path / "t.csv"])
    assert "\\udc" not in ascii(str(refused.value))
    (tmp_path / "t.csv").write_text("image;colour\na.jpg;red\n")
    with pytest.raises(InputError, match="columns are separated by ';'; save the file with commas"):
        find_images([tmp_path / "t.csv"])
    touch(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match=r"expected a \.csv or \.parquet"):
        read_table(tmp_path / "t.xlsx", [])


def test_labels_of_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "red/1.jpg", tmp_path / "red/deep/2.jpg", tmp_path / "blue/3.jpg")
    touch(tmp_path / "stray.jpg", tmp_path / "unknown/4.jpg")
    labels = read_labels(tmp_path, kind="single", value_column="colour")
    assert [(Path(r.image).name, r.values) for r in labels.rows] == [
        ("3.jpg", {"blue": True}),
        ("1.jpg", {"red": True}),
        ("2.jpg", {"red": True}),
    ]
    assert labels.unlabelled == 2


def test_labels_of_a_table_skip_and_count_what_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("image,colour,g\na.jpg,red,7\nb.jpg,NA,7\nc.jpg,,\n,blue,\n")
    labels = read_labels(tmp_path / "l.csv", kind="single", value_column="colour", group_column="g")
    assert [(r.values, r.group) for r in labels.rows] == [({"red": True}, "7")]
    assert labels.unlabelled == 3


def test_a_group_that_is_not_known_is_no_group(tmp_path: Path) -> None:
    """Else all images without one would be one giant group."""
    table = tmp_path / "l.csv"
    cells = ("7", "NA", "", " n/a ", "nan", "0")
    table.write_text("image,colour,g\n" + "".join(f"{c}.jpg,red,{c}\n" for c in cells))
    labels = read_labels(table, kind="single", value_column="colour", group_column="g")
    assert [row.group for row in labels.rows] == ["7", None, None, None, None, "0"]
    assert [group_of(cell) for cell in (None, float("nan"), 3)] == [None, None, "3"]


def test_several_values_a_cell_and_absent_ones(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("image,has\na.jpg,collar | !belt|\nb.jpg,a|b\n")
    rows = read_labels(tmp_path / "l.csv", kind="multi", value_column="has").rows
    assert [r.values for r in rows] == [{"collar": True, "belt": False}, {"a": True, "b": True}]
    pq.write_table(pa.table({"image": ["a.jpg"], "has": [["x", "!y"]]}), tmp_path / "l.parquet")
    rows = read_labels(tmp_path / "l.parquet", kind="multi", value_column="has").rows
    assert rows[0].values == {"x": True, "y": False}
    single = read_labels(tmp_path / "l.csv", kind="single", value_column="has").rows
    assert single[1].values == {"a|b": True}


def test_bad_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not exist"):
        read_labels(tmp_path / "x", kind="single", value_column="colour")
    with pytest.raises(InputError, match="a folder for each value"):
        read_labels(tmp_path, kind="single", value_column="colour")
    with pytest.raises(InputError, match="--group-column"):
        read_labels(tmp_path, kind="single", value_column="colour", group_column="g")


def test_stdin_lines_may_be_any_bytes() -> None:
    assert list(iterate_stdin(b"a.jpg\n\n\xff b.jpg\r\n")) == ["a.jpg", os.fsdecode(b"\xff b.jpg")]


def test_a_table_in_which_cells_would_get_lost_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,gender,gender,season\na.jpg,Men,Women,Fall\n")
    with pytest.raises(InputError, match="two of its columns are called 'gender': rename one"):
        read_table(path, ["image"])
    path.write_text("image,season\na.jpg,Fall\nb.jpg,Fall,Summer\n")
    with pytest.raises(InputError, match="row 2 below the header has 3 cells for 2 columns"):
        read_table(path, ["image"])
    # What a spreadsheet leaves at the end of a line, and a short line.
    path.write_text("image,season,,\na.jpg,Fall,,,,\nb.jpg\n")
    rows = read_table(path, None)
    assert rows[0] == {"image": "a.jpg", "season": "Fall", "": ""}
    assert [row["season"] for row in rows] == ["Fall", None]
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])]
    table = pa.Table.from_arrays(columns, names=["image", "g", "g"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet cannot be read: .*g"):
        read_table(tmp_path / "t.parquet", ["image"])
