"""One table, however it is written, means the same to every command that reads it."""

from __future__ import annotations

import csv
import datetime
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.curation.config import TableSection, UnknownSection
from gingham.curation.table import read_samples as read_curated
from gingham.errors import ImageError, InputError
from gingham.images import read_file
from gingham.labels import read_labels
from gingham.sources import find_images
from gingham.tables import MOST_LISTED, read_table, stream_table
from gingham.training.config import DataConfig
from gingham.training.data import read_samples
from gingham.training.samples import Samples
from gingham.training.vocabulary import ModelAttribute, Vocabulary

OFF = UnknownSection(enabled=False)
FOLDER = Path(tempfile.mkdtemp())


def values(table: Path, column: str = "v") -> list[str]:
    labels = read_labels(table, kind="single", value_column=column)
    return [value for row in labels.rows for value in row.values]


def test_types_of_parquet_are_the_text_of_a_spreadsheet(tmp_path: Path) -> None:
    columns: dict[str, tuple[Any, list[str]]] = {
        "gaps": (pa.array([2011.0, float("nan"), 2012.0]), ["2011", "2012"]),
        "halves": (pa.array([36.0, 36.5, None], pa.float32()), ["36", "36.5"]),
        "tenths": (pa.array([0.1, None, -0.0], pa.float32()), ["0.1", "0"]),
        "short": (pa.array(np.array([0.1, 36.6, np.nan], np.float16)), ["0.1", "36.6"]),
        "long": (pa.array([2.0**53, 1e15, None]), ["9007199254740992", "1000000000000000"]),
        "ints": (pa.array([1, 2, 3], pa.int8()), ["1", "2", "3"]),
        "truths": (pa.array([True, None, False]), ["true", "false"]),
        "days": (pa.array([datetime.date(2024, 5, 1), None, None]), ["2024-05-01"]),
        "times": (
            pa.array(np.array(["2024-05-01", "2024-05-01T10:30", "NaT"], "datetime64[ns]")),
            ["2024-05-01", "2024-05-01 10:30:00"],
        ),
        "bytes": (pa.array([b"red", None, b"blue"]), ["red", "blue"]),
        "coded": (pa.array(["a", None, "b"]).dictionary_encode(), ["a", "b"]),
    }
    names = {"image": pa.array(["a.jpg", "b.jpg", "c.jpg"])}
    table = pa.table(names | {name: column for name, (column, _) in columns.items()})
    pq.write_table(table, tmp_path / "t.parquet")
    for name, (_, expected) in columns.items():
        assert values(tmp_path / "t.parquet", name) == expected, name


def test_the_same_truths_from_csv_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "image,v,split\na.jpg,True,train\nb.jpg,FALSE,train\nc.jpg,true,train\n"
    )
    columns = {"image": ["a.jpg", "b.jpg", "c.jpg"], "v": [True, False, True]}
    truths = pa.table(columns | {"split": ["train"] * 3})
    pq.write_table(truths, tmp_path / "t.parquet")
    for suffix in ("csv", "parquet"):
        table = tmp_path / f"t.{suffix}"
        assert values(table) == ["true", "false", "true"]
        curated = read_curated(table, TableSection(), UnknownSection())
        assert curated.values["v"] == [("true",), ("false",), ("true",)]
        learned = read_samples(table, DataConfig(min_count=1))
        assert learned.vocabulary.attributes[0].kind == "binary"
        assert learned.targets[:, 0].tolist() == [1, 0, 1]


PLAIN = 'image,base colour,note\na.jpg,red,"two\nlines, one cell"\nb.jpg, navy blue ,x\n'


@pytest.mark.parametrize(
    "written",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", "\t").encode("utf-16"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", ", ").encode(),
        PLAIN.replace("image,base colour", " image , base   colour ").encode(),
        b"\n\n" + PLAIN.encode() + b"\n,,\n",
    ],
)
def test_the_same_table_however_it_is_written(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(written)
    labels = read_labels(tmp_path / "t.csv", kind="single", value_column="base colour")
    assert [list(row.values) for row in labels.rows] == [["red"], ["navy blue"]]
    assert [Path(row.image).name for row in labels.rows] == ["a.jpg", "b.jpg"]
    curated = read_curated(tmp_path / "t.csv", TableSection(attributes=("base colour",)), OFF)
    assert curated.values["base colour"][:2] == [("red",), ("navy blue",)]


def test_what_is_not_utf8_is_refused_by_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("image,v\na.jpg,grün\nb.jpg,red\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"row 2: value .* is not UTF-8 text: save .* as UTF-8"):
        values(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes("image,größe\na.jpg,1\n".encode("latin-1"))
    with pytest.raises(InputError, match="names of its columns are not UTF-8"):
        read_table(tmp_path / "t.csv", None)


def bad_table(folder: Path, rows: int = 3) -> Path:
    lines = [f"{row}.jpg,red" for row in range(12)] + [f"{row}.jpg,blue" for row in range(12, 24)]
    lines[1] = "1.jpg,red,extra"
    lines[4] = "4.jpg,re\x07d"
    lines[6] = '6.jpg,"red" one'
    lines += [f"x{row}.jpg,red,surplus" for row in range(rows - 3)]
    (folder / "t.csv").write_text("image,colour\n" + "\n".join(lines) + "\n")
    return folder / "t.csv"


def test_all_bad_rows_are_named_at_once_in_every_reader(tmp_path: Path) -> None:
    table = bad_table(tmp_path)
    told = []
    for read in (
        lambda: read_labels(table, kind="single", value_column="colour"),
        lambda: read_curated(table, TableSection(), UnknownSection()),
        lambda: read_samples(table, DataConfig(min_count=1)),
    ):
        with pytest.raises(InputError) as refused:
            read()
        told.append(str(refused.value))
        assert refused.value.path == str(table)
    for message in told:
        assert message.startswith(f"table {table} has 3 bad rows (the header is row 1): row 3: ")
        assert "; row 6: " in message
        assert "; row 8: quotes inside a cell" in message
        assert message.endswith("or leave them out with --skip-bad-rows")
    with pytest.raises(InputError) as refused:
        values(bad_table(tmp_path, 30), "colour")
    assert f"row {25 + MOST_LISTED - 3}: " in str(refused.value)
    assert f"row {26 + MOST_LISTED - 3}: " not in str(refused.value)
    assert "; and 10 more: correct them" in str(refused.value)


def test_bad_rows_are_left_out_and_listed(tmp_path: Path) -> None:
    table = bad_table(tmp_path)
    labels = read_labels(table, kind="single", value_column="colour", skip_bad_rows=True)
    assert (len(labels.rows), [bad.row for bad in labels.bad_rows]) == (21, [3, 6, 8])
    curated = read_curated(table, TableSection(), UnknownSection(), skip_bad_rows=True)
    assert (len(curated), len(curated.rows), curated.bad_rows[0].row) == (24, 21, 3)
    assert set(range(24)) - set(curated.rows) == {1, 4, 6}
    learned = read_samples(table, DataConfig(min_count=1), skip_bad_rows=True)
    assert (len(learned.images), [bad.row for bad in learned.bad_rows]) == (21, [3, 6, 8])


def test_bad_rows_of_a_table_of_images_are_named_or_left_out(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('image,v\na.jpg,red\nb.jpg,red,surplus\nc.jpg,"x"y\nd.jpg,red\n')
    with pytest.raises(InputError, match=r"2 bad rows .*row 3: .*; row 4: .*--skip-bad-rows"):
        find_images([table], skip_bad_rows=False)
    walk = find_images([table], skip_bad_rows=True)
    assert [Path(image).name for image in walk.images] == ["a.jpg", "d.jpg"]
    assert [one.row for one in walk.bad_rows] == [3, 4]
    pq.write_table(pa.table({"image": [["a.jpg"], ["b.jpg"]]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="2 bad rows"):
        find_images([tmp_path / "t.parquet"])


@pytest.mark.parametrize("line", ["sep=;\n", '"sep=;"\r\n', "SEP=|\r", "sep=\t\n"])
def test_the_line_that_tells_excel_the_separator_is_read(tmp_path: Path, line: str) -> None:
    separator = line.strip('"\r\n')[4]
    table = tmp_path / "t.csv"
    cells = [("image", "v"), ("a.jpg", '"red, dark"'), ("b.jpg", "blue", "surplus")]
    table.write_bytes((line + "\n".join(map(separator.join, cells))).encode())
    read = read_table(table, ["image", "v"])
    assert read.rows[0] == {"image": "a.jpg", "v": "red, dark"}
    assert (read.numbers, list(read.bad)) == ([2, 3], [3])


def test_a_cell_of_a_million_characters_is_a_bad_row(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"image,v\na.jpg,red\nb.jpg,{'x' * 1_000_000}\nc.jpg,blue\n")
    with pytest.raises(InputError, match=r"row 3: a cell holds more than 131072 characters"):
        read_labels(table, kind="single", value_column="v")
    labels = read_labels(table, kind="single", value_column="v", skip_bad_rows=True)
    assert [Path(row.image).name for row in labels.rows] == ["a.jpg", "c.jpg"]


NAMES = st.lists(st.sampled_from(["image", "v", "w w", "é"]), min_size=1, max_size=4, unique=True)
WRITTEN = st.text(st.sampled_from('ab é\t\n,;|"1.\U0001f455'), max_size=5)


@settings(max_examples=500, deadline=None)
@given(
    st.data(),
    NAMES,
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_table_holds_what_the_csv_module_reads_in_a_plain_loop(
    data: st.DataObject, names: list[str], separator: str, quoting: Any, end: str, encoding: str
) -> None:
    line = st.lists(WRITTEN, min_size=len(names), max_size=len(names))
    clear = line.filter(lambda cells: not cells[0].startswith(" "))
    rows = data.draw(st.lists(clear, min_size=1, max_size=5))
    path = FOLDER / "loop.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=end)
        writer.writerows([names, *rows])
    expected, numbers, number = [], [], 1
    # One column has no separator to be told by: it is read as separated by commas.
    used = separator if len(names) > 1 else ","
    with path.open(newline="", encoding="utf-16" if encoding == "utf-16" else "utf-8-sig") as file:
        for record in csv.reader(file, delimiter=used, skipinitialspace=used != "\t"):
            if number > 1 and record:
                expected.append(record[: len(names)])
                numbers.append(number)
            number += 1
    table = read_table(path, None)
    read = [[row[name] for name in names] for row in table.rows]
    assert table.names == names
    assert table.numbers == numbers
    assert [row for row in read if None not in row] == expected
    if len(names) > 1 and not any(cell.startswith(" ") for row in rows for cell in row):
        assert read == rows


def test_a_quote_that_swallows_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('image,v,note\na.jpg,red,"open\nb.jpg,blue,"x"\nc.jpg,red,\n')
    with pytest.raises(InputError, match=r"row 2 .*lines 2 to 3: a quote is not closed"):
        read_labels(tmp_path / "t.csv", kind="single", value_column="v", skip_bad_rows=True)


def test_a_table_that_is_all_header_is_told_so_by_every_reader(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,v\n")
    pq.write_table(pa.table({"image": pa.array([], pa.string()), "v": []}), tmp_path / "t.parquet")
    readers: list[Callable[[Path], object]] = [
        lambda path: find_images([path]),
        lambda path: read_labels(path, kind="single", value_column="v"),
        lambda path: read_curated(path, TableSection(), UnknownSection()),
        lambda path: read_samples(path, DataConfig()),
    ]
    for table in (tmp_path / "t.csv", tmp_path / "t.parquet"):
        for read in readers:
            with pytest.raises(InputError, match=f"{table} has a header and no rows: ") as told:
                read(table)
            assert told.value.path == str(table)


def test_a_misspelt_column_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,colour\na.jpg,red\n")
    with pytest.raises(InputError, match=r"it has image, colour; did you mean 'colour'\?"):
        values(tmp_path / "t.csv", "color")
    with pytest.raises(InputError, match=r"did you mean 'colour'\?"):
        read_curated(tmp_path / "t.csv", TableSection(attributes=("Colours",)), UnknownSection())


def test_a_missing_file_is_told_with_the_places_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    table = tmp_path / "lists" / "t.csv"
    table.write_text(
        "image,v\nshop/a.jpg,red\nhttps://x.org/a.jpg,red\nC:\\pics\\a.jpg,red\n/n/a,b\n"
    )
    Path("b.jpg").write_bytes(b"x")
    looked = (
        f"no such file: {tmp_path}/lists/shop/a.jpg (relative to the table), nor "
        f"{tmp_path}/here/shop/a.jpg (relative to the working folder)"
    )
    reasons = [looked, "a URL (https:), which is not read", "a path of Windows"]
    reasons.append("no such file: /n/a: check the path")
    labels = read_labels(table, kind="single", value_column="v").rows
    curated = read_curated(table, TableSection(attributes=("v",)), UnknownSection())
    for images in ([row.image for row in labels], curated.paths, find_images([table]).images):
        for image, reason in zip(images, reasons, strict=True):
            with pytest.raises(ImageError) as refused:
                read_file(image)
            assert str(refused.value).startswith(reason)
    with pytest.raises(ImageError, match=f"no such file: {tmp_path}/here/x.jpg"):
        read_file("x.jpg")
    # Beside the table first, then here; spaces around a path count only where a file has them.
    table.write_text("image,v\n b.jpg ,red\n")
    assert read_labels(table, kind="single", value_column="v").rows[0].image == "b.jpg"


TEXTS = st.text(
    st.sampled_from('abRé\u0301 \t\n\r\x00\x07",;|!#NA1.0\u00a0\u200b\udcff\U0001f455'), max_size=6
)
CELLS = st.one_of(
    st.sampled_from(["red", "blue", "", " ", "NA", "True", "none", "red|blue", '"', "1.5"]), TEXTS
)
TYPED = st.one_of(
    st.lists(st.none() | st.floats(width=32), min_size=1, max_size=6),
    st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=1, max_size=6),
    st.lists(st.none() | st.booleans(), min_size=1, max_size=6),
    st.lists(st.none() | st.datetimes(), min_size=1, max_size=6),
    st.lists(st.none() | st.binary(max_size=4), min_size=1, max_size=6),
    st.lists(st.lists(st.sampled_from(["a", "b", None]), max_size=3), min_size=1, max_size=6),
    st.lists(st.fixed_dictionaries({"x": st.integers(0, 3)}), min_size=1, max_size=6),
    st.lists(st.sampled_from(["red", "blue", None, "a\nb"]), min_size=1, max_size=6),
)


VOCABULARY = Vocabulary((ModelAttribute("v", "single", ("blue", "red")),))


def check_readers(table: Path, rows: int | None) -> None:
    """Read or refused in one sentence; every row is labelled, unlabelled or bad."""
    written = refusal(lambda: read_table(table, None))
    for kind in ("single", "multi"):
        for skip in (False, True):
            read = partial(read_labels, table, kind=kind, value_column="v", skip_bad_rows=skip)
            labels = refusal(read)
            if labels is not None:
                total = len(labels.rows) + labels.unlabelled + len(labels.bad_rows)
                assert total == len(written.rows)
                assert rows in (None, total)
                assert skip or not labels.bad_rows
    curated = refusal(
        lambda: read_curated(table, TableSection(), UnknownSection(), skip_bad_rows=True)
    )
    assert curated is None or len(curated) == len(written.rows)
    learned = refusal(lambda: read_samples(table, vocabulary=VOCABULARY, skip_bad_rows=True))
    assert learned is None or count(learned) == len(written.rows)


def refusal(read: Callable[[], Any]) -> Any:
    """Give what is read, or None if it is refused in one sentence."""
    try:
        return read()
    except InputError as error:
        told = str(error)
    assert "\n" not in told
    return None


def count(samples: Samples) -> int:
    return len(samples.images) + samples.without_image + len(samples.bad_rows)


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.lists(CELLS, min_size=0, max_size=5), max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_any_csv_is_read_or_refused(
    rows: list[list[str]],
    separator: str,
    encoding: str,
    end: str,
    quoted: bool,
) -> None:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quoted else text

    lines = [["image", "v", "w"], *rows]
    text = end.join(separator.join(map(cell, line)) for line in lines)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    table = FOLDER / "t.csv"
    table.write_bytes(text.encode(encoding, errors=errors))
    # Only what is quoted has as many rows as were written; a row of no cells is a blank line.
    check_readers(table, sum(bool(row) for row in rows) if quoted else None)


@settings(max_examples=1000, deadline=None)
@given(TYPED, st.booleans())
def test_any_parquet_is_read_or_refused(cells: list[Any], narrow: bool) -> None:
    column = pa.array(cells)
    if narrow and pa.types.is_floating(column.type):
        column = column.cast(pa.float32())
    images = [f"{row}.jpg" for row in range(len(cells))]
    pq.write_table(pa.table({"image": images, "v": column}), FOLDER / "t.parquet")
    check_readers(FOLDER / "t.parquet", len(cells))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_of_a_table_that_streams_no_more_than_some_rows_are_held(
    tmp_path: Path, suffix: str
) -> None:
    peaks = []
    for count in (20_000, 100_000):
        path = tmp_path / f"{count}.{suffix}"
        if suffix == "csv":
            with path.open("w") as file:
                file.write("image,colour\n")
                file.writelines(f"photos/{row:09}.jpg,red\n" for row in range(count))
        else:
            images = [f"photos/{row:09}.jpg" for row in range(count)]
            pq.write_table(pa.table({"image": images, "colour": ["red"] * count}), path)
        measured = []
        for _ in range(3):  # threads that other tests have left may take memory meanwhile
            tracemalloc.start()
            rows = stream_table(path, ["image"]).rows
            assert sum(row.bad is None and len(row.cells["image"]) == 20 for row in rows) == count
            measured.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        peaks.append(min(measured))
    assert peaks[1] < 1.2 * peaks[0] + 100_000, peaks
