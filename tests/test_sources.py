from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.cli.options import found_images
from gingham.errors import ImageError, InputError
from gingham.images import read_file
from gingham.labels import group_of, read_labels
from gingham.results import Failure
from gingham.sources import find_images, iterate_stdin
from gingham.tables import read_table


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_gives_every_file_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    touch(tmp_path / "b/2.jpg", tmp_path / "b/1.txt", tmp_path / "a.JPG")
    touch(tmp_path / "cat/features/0.parquet")
    left_out = (
        *(".DS_Store", ".git", ".thumbnails", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found"),
        *("System Volume Information", "b/Thumbs.db", "b/THUMBS.DB", "b/desktop.ini", "b/._x.jpg"),
    )
    for name in left_out:
        touch(tmp_path / name / "x.jpg" if "b/" not in name else tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    walk = find_images([tmp_path], exclude=tmp_path / "cat")
    assert walk.images == [str(tmp_path / x) for x in ("a.JPG", "b/1.txt", "b/2.jpg")]
    assert sorted(walk.ignored) == sorted(str(tmp_path / x) for x in ("cat", *left_out))
    reason = "not a regular file: give an image file"
    assert walk.failures == [Failure(str(tmp_path / "pipe"), reason)]


def test_broken_links_are_failures_that_name_their_target(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    walk = find_images([tmp_path])
    assert walk.images == []
    assert [(Path(x.image).name, x.reason) for x in walk.failures] == [
        ("gone.jpg", "broken link to nowhere (No such file or directory): mend or delete it"),
        ("round", "broken link to round (Too many levels of symbolic links): mend or delete it"),
    ]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything"
)
def test_a_folder_that_may_be_listed_and_not_entered_fails_file_by_file(tmp_path: Path) -> None:
    for name in ("shut/a.jpg", "shut/b.jpg", "c.jpg"):
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).touch()
    (tmp_path / "all/shut/deeper").mkdir()
    (tmp_path / "all/shut").chmod(0o444)
    try:
        walk = find_images([tmp_path / "all"])
        found = [os.path.relpath(image, tmp_path / "all") for image in walk.images]
        assert found == ["c.jpg", "shut/a.jpg", "shut/b.jpg"]
        (failure,) = walk.failures
        assert failure.image == str(tmp_path / "all/shut/deeper")
        with pytest.raises(ImageError, match="not readable"):
            read_file(walk.images[1])
        assert found_images([walk.images[1]]) == [walk.images[1]]
    finally:
        (tmp_path / "all/shut").chmod(0o755)


def test_a_linked_folder_is_followed_and_named(tmp_path: Path) -> None:
    touch(tmp_path / "all/1.jpg", tmp_path / "shop/2.jpg", tmp_path / "shop/deep/3.jpg")
    (tmp_path / "all/season2").symlink_to(tmp_path / "shop")
    walk = find_images([tmp_path / "all"])
    names = ("1.jpg", "season2/2.jpg", "season2/deep/3.jpg")
    assert walk.images == [str(tmp_path / "all" / name) for name in names]
    assert walk.followed == [str(tmp_path / "all/season2")]
    assert walk.repeated == []


def test_folders_have_their_own_paths_even_if_a_link_comes_first(tmp_path: Path) -> None:
    touch(tmp_path / "z/1.jpg")
    (tmp_path / "a").symlink_to("z")
    for sources in ([tmp_path], [tmp_path / "z", tmp_path]):
        walk = find_images(sources)
        assert walk.images == [str(tmp_path / "z/1.jpg")]
        assert str(tmp_path / "a") in walk.repeated
        assert walk.followed == []


def test_links_that_go_round_in_circles_end(tmp_path: Path) -> None:
    touch(tmp_path / "photos/1.jpg", tmp_path / "other/2.jpg")
    (tmp_path / "photos/up").symlink_to("..")
    (tmp_path / "other/photos").symlink_to("../photos")
    walk = find_images([tmp_path / "photos"])
    assert walk.images == [
        str(tmp_path / name) for name in ("photos/1.jpg", "photos/up/other/2.jpg")
    ]
    assert walk.followed == [str(tmp_path / "photos/up")]
    assert sorted(walk.repeated) == [
        str(tmp_path / "photos/up" / name) for name in ("other/photos", "photos")
    ]


def test_sources_that_lie_in_each_other_are_read_once(tmp_path: Path) -> None:
    touch(tmp_path / "b/1.jpg", tmp_path / "2.jpg")
    walk = find_images([tmp_path, tmp_path / "b"])
    assert walk.images == [str(tmp_path / "2.jpg"), str(tmp_path / "b/1.jpg")]
    assert walk.repeated == [str(tmp_path / "b")]


NAMES = st.sampled_from(("a", "b", "c", ".h", "@eaDir"))
TREES = st.recursive(
    st.just("file") | st.tuples(st.just("link"), st.lists(NAMES, max_size=3)),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def plant(folder: Path, tree: dict[str, Any], top: Path) -> None:
    folder.mkdir()
    for name, what in tree.items():
        if isinstance(what, dict):
            plant(folder / name, what, top)
        elif what == "file":
            (folder / name).write_text(name)
        else:
            (folder / name).symlink_to(top.joinpath(*what[1]))


def reachable(top: Path) -> tuple[set[Path], set[Path], set[Path]]:
    """Find the real files and folders below one, and the broken links, by following everything."""
    files, folders, broken, waiting = set(), set(), set(), [top]
    while waiting:
        folder = waiting.pop().resolve()
        if folder in folders:
            continue
        folders.add(folder)
        for path in folder.iterdir():
            if path.name in (".h", "@eaDir"):
                continue
            try:
                real = path.resolve(strict=True)
            except (OSError, RuntimeError):
                broken.add(path)
                continue
            waiting += [real] if real.is_dir() else []
            files |= set() if real.is_dir() else {path}
    return files, folders, broken


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, TREES, min_size=1, max_size=4))
def test_every_file_is_found_once_and_everything_else_is_listed(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]
) -> None:
    top = tmp_path_factory.mktemp("walk") / "top"
    plant(top, tree, top)
    files, folders, broken = reachable(top)
    if not any(name not in (".h", "@eaDir") for name in tree):
        with pytest.raises(InputError, match="holds no files but hidden ones"):
            find_images([top])
        return
    try:
        walk = find_images([top])
    except InputError:
        assert not files
        assert not broken
        return

    def own(path: str) -> Path:
        return Path(path).parent.resolve() / Path(path).name

    assert len(walk.images) == len(set(walk.images)) == len(files)
    assert {own(image) for image in walk.images} == files
    assert {own(failure.image) for failure in walk.failures} == broken
    entries = {path for folder in folders for path in folder.iterdir()}
    assert {own(path) for path in walk.ignored} == {
        path for path in entries if path.name in (".h", "@eaDir")
    }
    links = {path for path in entries if path.is_symlink() and path.is_dir()}
    links -= {path for path in links if path.name in (".h", "@eaDir")}
    assert {own(path) for path in walk.followed + walk.repeated} >= links


def test_a_quoted_pattern_is_expanded_and_leaves_clutter_out(tmp_path: Path) -> None:
    touch(tmp_path / "s/b.jpg", tmp_path / "s/a.jpg", tmp_path / "s/Thumbs.db", tmp_path / "s/x[1]")
    touch(tmp_path / "s/deep/c.jpg", tmp_path / "s/.h.jpg")
    walk = find_images([f"{tmp_path}/s/*.jpg", tmp_path / "s/x[1]"])
    assert walk.images == [str(tmp_path / "s" / name) for name in ("a.jpg", "b.jpg", "x[1]")]
    walk = find_images([f"{tmp_path}/s/**/c.*", f"{tmp_path}/s/[dT]*"])
    assert walk.images == [str(tmp_path / "s/deep/c.jpg")] * 2
    assert walk.ignored == [str(tmp_path / "s/Thumbs.db")]
    touch(tmp_path / "s/@eaDir/c.jpg")
    walk = find_images([f"{tmp_path}/s/*/c.jpg", f"{tmp_path}/s/@eaDir/*.jpg"])
    assert walk.images == [str(tmp_path / "s" / name / "c.jpg") for name in ("deep", "@eaDir")]
    assert walk.ignored == [str(tmp_path / "s/@eaDir/c.jpg")]
    with pytest.raises(InputError, match=r"s/\*\.png does not exist, and as a pattern it matches"):
        find_images([f"{tmp_path}/s/*.png"])


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    names = [b"new\nline.jpg", b"sp ace.jpg", b"\xff.jpg"]
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()
    walk = find_images([tmp_path])
    assert [os.fsencode(Path(image).name) for image in walk.images] == names


def test_a_row_without_an_image_is_listed(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    (tmp_path / "t.csv").write_text("image,x\na.jpg,1\n,2\n  ,3\n")
    walk = find_images([tmp_path / "t.csv"])
    assert walk.images == [str(tmp_path / "a.jpg")]
    assert walk.failures == [
        Failure(f"{tmp_path / 't.csv'}, row {row}", "no image is named") for row in (3, 4)
    ]


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
    assert find_images([tmp_path / "t.csv"]).images == [str(tmp_path / "a.jpg")]
    touch(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match=r"no format that is read: expected .*CSV"):
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


def test_labels_of_a_folder_follow_links_and_leave_clutter_out_as_every_walk_does(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "x/red/1.jpg", tmp_path / "x/red/.h.jpg", tmp_path / "x/@eaDir/red/1.jpg")
    touch(tmp_path / "elsewhere/2.jpg")
    (tmp_path / "x/blue").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "x/red/again").symlink_to("..")
    (tmp_path / "x/red/gone.jpg").symlink_to("nowhere")
    labels = read_labels(tmp_path / "x", kind="single", value_column="colour")
    assert [(r.image, r.values) for r in labels.rows] == [
        (str(tmp_path / "x/red/1.jpg"), {"red": True}),
        (str(tmp_path / "x/blue/2.jpg"), {"blue": True}),
    ]
    assert [failure.image for failure in labels.failures] == [str(tmp_path / "x/red/gone.jpg")]
    assert labels.listed == {
        "ignored": (str(tmp_path / "x/@eaDir"), str(tmp_path / "x/red/.h.jpg")),
        "followed": (str(tmp_path / "x/blue"),),
        "repeated": (str(tmp_path / "x/red/again"),),
    }


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
    with pytest.raises(InputError, match="holds no files"):
        read_labels(tmp_path, kind="single", value_column="colour")
    touch(tmp_path / "stray.jpg")
    with pytest.raises(InputError, match="a folder for each value"):
        read_labels(tmp_path, kind="single", value_column="colour")
    with pytest.raises(InputError, match="--group-column"):
        read_labels(tmp_path, kind="single", value_column="colour", group_column="g")


def test_stdin_lines_may_be_any_bytes() -> None:
    assert list(iterate_stdin(b"a.jpg\n\n\xff b.jpg\r\n")) == ["a.jpg", os.fsdecode(b"\xff b.jpg")]
    assert list(iterate_stdin(b"a\rb.jpg\n")) == ["a\rb.jpg"]


def test_names_on_stdin_may_hold_newlines_between_zero_bytes() -> None:
    assert list(iterate_stdin(b"new\nline.jpg\0b\r\0")) == ["new\nline.jpg", "b\r"]


def test_a_table_in_which_cells_would_get_lost_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,gender,gender,season\na.jpg,Men,Women,Fall\n")
    with pytest.raises(InputError, match="two of its columns are called 'gender': rename one"):
        read_table(path, ["image"])
    path.write_text("image,season\na.jpg,Fall\nb.jpg,Fall,Summer\n")
    assert read_table(path, ["image"]).bad == {
        3: "3 cells for 2 columns: put quotes around a cell that holds ','"
    }
    # What a spreadsheet leaves at the end of a line, and a short line.
    path.write_text("image,season,,\na.jpg,Fall,,,,\nb.jpg\n")
    rows = read_table(path, None).rows
    assert rows[0] == {"image": "a.jpg", "season": "Fall", "": ""}
    assert [row["season"] for row in rows] == ["Fall", None]
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])]
    table = pa.Table.from_arrays(columns, names=["image", "g", "g"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet cannot be read: .*g"):
        read_table(tmp_path / "t.parquet", ["image"])
