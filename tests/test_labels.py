from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.curation.config import TableSection, UnknownSection
from gingham.curation.table import read_samples as read_curated
from gingham.errors import ImageError, InputError
from gingham.evaluation.study.examples import read_examples
from gingham.images import read_file
from gingham.labels import label_images, read_cell, read_labels
from gingham.names import UNKNOWN_WORDS
from gingham.tables import columns, read_table
from gingham.training.config import DataConfig
from gingham.training.data import read_samples

FORMS: dict[str, Callable[[bytes, str], Any]] = {
    "bytes": lambda data, path: data,
    "struct": lambda data, path: {"bytes": data, "path": Path(path).name},
    "path in a struct": lambda data, path: {"bytes": None, "path": path},
}


def inside(folder: Path, form: str, rows: int = 10) -> tuple[Path, list[bytes], list[str]]:
    """Write a table with images inside, three rows a group; read it by a relative path."""
    values = [("red", "blue")[row % 2] for row in range(rows)]
    paths = [draw(folder / "in" / f"{row}.jpg", v, row) for row, v in enumerate(values)]
    data = [path.read_bytes() for path in paths]
    cells = [FORMS[form](d, f"in/{path.name}") for d, path in zip(data, paths, strict=True)]
    type_ = None if form == "bytes" else pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, type_), "colour": values})
    pq.write_table(table, folder / "t.parquet", row_group_size=3)
    return folder / "t.parquet", data, values


@pytest.mark.parametrize("form", FORMS)
def test_images_inside_parquet_are_read_by_every_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    _, data, values = inside(tmp_path, form)
    monkeypatch.chdir(tmp_path)
    table = Path("t.parquet")
    labels = read_labels(table, kind="single", value_column="colour").rows
    ((studied,), _) = read_examples([table])
    curated = read_curated(table, TableSection(), UnknownSection())
    learned = read_samples(table, DataConfig(min_count=1))
    for images in ([row.image for row in labels], studied.images, curated.paths, learned.images):
        assert [read_file(image) for image in images] == data
    assert [next(iter(row.values)) for row in labels] == list(studied.values) == values
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read_file, learned.images[::-1])) == data[::-1]


@pytest.mark.parametrize("form", FORMS)
def test_images_inside_parquet_are_indexed_and_taught(
    tmp_path: Path, runtime: FakeRuntime, form: str
) -> None:
    table, data, _ = inside(tmp_path, form)
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.index([table]).added == len(data)
        assert shop.teach("colour", table).examples == len(data)
        hit = shop.search(data[4], n=1, with_self=True)[0]
        assert read_file(hit.image) == data[4]
        read = runtime.images_read
        assert shop.index([table]).unchanged == len(data)
        assert runtime.images_read == read


def test_a_cell_that_is_gone_says_so(tmp_path: Path) -> None:
    table, *_ = inside(tmp_path, "bytes", rows=4)
    with pytest.raises(ImageError, match="has no row 4 \\(counted from 0\\): the file has changed"):
        read_file(f"{table}#image/4")
    with pytest.raises(ImageError, match=r"row 2 of .*t\.parquet cannot be read"):
        read_file(f"{table}#photo/2")
    with pytest.raises(ImageError, match="no such file"):
        read_file(tmp_path / "u.csv#image/2")
    assert columns(table) == ["image", "colour"]
    assert read_table(table, ["image"]).rows[3] == {"image": "t.parquet#image/3"}


def test_one_list_of_words_means_unknown_everywhere(tmp_path: Path) -> None:
    cells = ["red", *UNKNOWN_WORDS, *(word.upper() for word in UNKNOWN_WORDS), " ", "None", "none"]
    known = ["red", "None", "none"]
    (tmp_path / "t.csv").write_text(
        "image,colour,pattern\n" + "".join(f"{i}.jpg,{c},p{i % 2}\n" for i, c in enumerate(cells))
    )
    labels = read_labels(tmp_path / "t.csv", kind="single", value_column="colour")
    assert [value for row in labels.rows for value in row.values] == known
    assert labels.unlabelled == len(cells) - 3
    ((studied,), _) = read_examples([tmp_path / "t.csv"], attributes=["colour"])
    assert list(studied.values) == known
    curated = read_curated(tmp_path / "t.csv", TableSection(), UnknownSection())
    assert [v for cell in curated.values["colour"] for v in cell or ()] == known
    learned = read_samples(tmp_path / "t.csv", DataConfig(min_count=1))
    said = set(learned.dropped.get("colour", ()))
    for attribute in learned.vocabulary.attributes:
        said |= set(attribute.values) if attribute.name == "colour" else set()
    assert said == set(known)
    changed = UnknownSection(spellings=("none",))
    curated = read_curated(tmp_path / "t.csv", TableSection(), changed)
    assert curated.values["colour"][-1] is None
    assert curated.values["colour"][1] == ("NA",)


def test_other_words_mean_unknown_in_every_reader(tmp_path: Path, runtime: FakeRuntime) -> None:
    words = (" None ", "?")
    cells = ["red", "none", "blue", "?", "NA", "NONE", "", "NA"]
    table = tmp_path / "t.csv"
    lines = "".join(f"{i}.jpg,{cell},{cell}\n" for i, cell in enumerate(cells))
    table.write_text("image,colour,group\n" + lines)
    known = ["red", "blue", "NA", "NA"]
    labels = read_labels(
        table,
        kind="single",
        value_column="colour",
        group_column="group",
        unknown_words=words,
    )
    assert [value for row in labels.rows for value in row.values] == known
    assert [row.group for row in labels.rows] == known
    ((studied,), _) = read_examples([table], groups="group", unknown_words=words)
    assert list(studied.values) == known
    curated = read_curated(table, TableSection(), UnknownSection(spellings=words))
    assert [v for cell in curated.values["colour"] for v in cell or ()] == known
    learned = read_samples(table, DataConfig(min_count=1, unknown_words=words))
    assert learned.vocabulary.attributes[0].values == ("NA", "blue", "red")
    assert learned.groups[4] == learned.groups[7]
    for image, colour in enumerate(cells):
        draw(tmp_path / f"{image}.jpg", "red" if colour == "red" else "blue", image)
    given = {tmp_path / f"{image}.jpg": colour for image, colour in enumerate(cells)}
    for folder, examples in (("a", table), ("b", given)):
        with Catalogue.create(tmp_path / folder, runtime=runtime) as shop:
            result = shop.teach("colour", examples, unknown_words=words)
        assert result.values == ("NA", "blue", "red")
        assert result.unlabelled == 4


def test_several_values_of_kind_single_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    cells = [["red"], ["red", "blue"], [], None]
    pq.write_table(pa.table({"image": [f"{row}.jpg" for row in range(4)], "has": cells}), table)
    with pytest.raises(InputError, match=r"row 3: several values \('red', 'blue'\).*kind multi"):
        read_labels(table, kind="single", value_column="has")
    read = read_labels(table, kind="single", value_column="has", skip_bad_rows=True)
    assert [row.values for row in read.rows] == [{"red": True}]
    assert ([one.row for one in read.bad_rows], read.unlabelled) == ([3], 2)
    several = read_labels(table, kind="multi", value_column="has")
    assert [set(row.values) for row in several.rows] == [{"red"}, {"red", "blue"}]
    with pytest.raises(InputError, match=r"1\.jpg: several values"):
        label_images({"1.jpg": ["red", "blue"]}, "single")


def test_a_value_that_is_too_long_is_a_bad_row_in_every_reader(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    cells = ["red", "x" * 100_000, *["blue", "red"] * 5]
    table.write_text("image,v\n" + "".join(f"{i}.jpg,{cell}\n" for i, cell in enumerate(cells)))
    readers: list[Callable[[bool], Any]] = [
        lambda skip: read_labels(table, kind="single", value_column="v", skip_bad_rows=skip),
        lambda skip: read_examples([table], skip_bad_rows=skip)[0][0],
        lambda skip: read_curated(table, TableSection(), UnknownSection(), skip_bad_rows=skip),
        lambda skip: read_samples(table, DataConfig(min_count=1), skip_bad_rows=skip),
    ]
    for read in readers:
        with pytest.raises(InputError, match=r"row 3: .*is 100000 bytes long, the most is") as e:
            read(False)
        assert len(str(e.value)) < 500
        assert [one.row for one in read(True).bad_rows] == [3]


def test_names_of_columns_are_read_alike_however_they_are_spaced_and_composed(
    tmp_path: Path,
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(
        "the  image,cafe\u0301  colour,the group\n"
        + "".join(f"{i}.jpg,{('red', 'blue')[i % 2]},{i}\n" for i in range(12)),
        encoding="utf-8",
    )
    column, said = "caf\u00e9 colour", " cafe\u0301   colour "
    (studied,), _ = read_examples(
        [table], attributes=[said], groups="the  group", image_column="the image "
    )
    assert (studied.name, studied.groups) == (column, tuple(map(str, range(12))))
    (studied,), _ = read_examples(
        [f"{said}={table}"], groups=" the group", image_column="the image"
    )
    assert studied.values == ("red", "blue") * 6
    curated = read_curated(
        table, TableSection(image="the  image", attributes=(said,)), UnknownSection()
    )
    assert list(curated.values) == [column]
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(table.read_text(encoding="utf-8").replace("the  image", "image"), "utf-8")
    config = DataConfig(attributes=(said,), kinds={said: "multi"}, min_count=1)
    learned = read_samples(renamed, config).vocabulary.attributes[0]
    assert (learned.name, learned.kind) == (column, "multi")


def test_cells_are_read_alike() -> None:
    assert read_cell(" a | b|a|NA") == (("a", "b"), ["NA"])
    assert read_cell("a|b", None) == (("a|b",), [])
    assert read_cell([" a ", None, "unknown"]) == (("a",), ["", "unknown"])
    assert read_cell([]) == ((), [])
    assert read_cell([None]) == (None, [""])
    assert read_cell(float("nan"), unknown={""}) == (None, [""])
    assert read_cell(3) == (("3",), [])
    assert read_cell("True| FALSE|yes") == (("true", "false", "yes"), [])
    with pytest.raises(InputError, match="is not printable text: take"):
        read_cell("a\x07")
    for cell in ({"x": 1}, [["a"]]):
        with pytest.raises(InputError, match="a structure is no value"):
            read_cell(cell)


def test_a_column_of_images_holds_no_values(tmp_path: Path) -> None:
    images = [{"bytes": b"\x89PNG", "path": f"{n}.png"} for n in range(3)]
    pq.write_table(pa.table({"image": images, "also": [b"\0"] * 3}), tmp_path / "t.parquet")
    for name in ("image", "also"):
        with pytest.raises(InputError, match=r"3 bad rows .* row 2: an image is no value"):
            read_labels(tmp_path / "t.parquet", kind="single", value_column=name)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_reader_refuses_predictions_unless_they_are_trusted(
    tmp_path: Path, suffix: str
) -> None:
    cells = {
        "image": [str(tmp_path / f"{row}.jpg") for row in range(8)],
        "colour": ["red", "blue"] * 4,
        "colour_confidence": ["0.9"] * 8,
        "cut": ["long", "short"] * 4,
    }
    table = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        lines = [",".join(cells), *map(",".join, zip(*cells.values(), strict=True))]
        table.write_text("\n".join(lines))
    else:
        pq.write_table(pa.table(cells), table)

    def read(name: str, trusted: bool) -> dict[str, int]:
        section, config = TableSection(attributes=(name,)), DataConfig((name,), min_count=1)
        labels = read_labels(table, kind="single", value_column=name, trust_predictions=trusted)
        ((studied,), _) = read_examples([table], attributes=[name], trust_predictions=trusted)
        curated = read_curated(table, section, UnknownSection(), trust_predictions=trusted)
        learned = read_samples(table, config, trust_predictions=trusted)
        return {
            "labels": len(labels.rows),
            "study": len(studied.images),
            "curate": len(curated.rows),
            "train": len(learned.images),
        }

    assert read("cut", False) == read("colour", True)
    assert set(read("cut", False).values()) == {8}
    readers: list[Callable[[], object]] = [
        lambda: read_labels(table, kind="single", value_column=" colour"),
        lambda: read_examples([f"colour={table}"]),
        lambda: read_curated(table, TableSection(), UnknownSection()),
        lambda: read_curated(table, TableSection(attributes=("colour",)), UnknownSection()),
        lambda: read_samples(table, DataConfig(min_count=1)),
        lambda: read_samples(table, DataConfig(("colour",), min_count=1)),
    ]
    for reader in readers:
        with pytest.raises(InputError, match=r"'colour_confidence'.*--trust-predictions"):
            reader()


def test_best_guesses_are_predictions_and_the_case_of_a_column_hides_nothing(
    tmp_path: Path,
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("image,Colour,colour_best_guess\na.jpg,,red\nb.jpg,blue,\n")
    with pytest.raises(InputError, match="'colour_best_guess' are predictions"):
        read_labels(table, kind="single", value_column="colour_best_guess")
    # As `review` writes it, to be filled in.
    assert len(read_labels(table, kind="single", value_column="Colour").rows) == 1
    table.write_text("image,Colour,COLOUR_Confidence\na.jpg,red,1\nb.jpg,blue,1\n")
    with pytest.raises(InputError, match="'COLOUR_Confidence': the values of 'Colour' are pred"):
        read_labels(table, kind="single", value_column="Colour")
