"""What is exported is read back: out, in, the same values."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import FakeRuntime, draw
from gingham import Catalogue
from gingham.errors import InputError
from gingham.formats.exported import ExportedFile, ExportedTag
from gingham.images import read_file
from gingham.labels import read_labels
from gingham.operations.export import Arrangement, write_export
from gingham.operations.joining import majority
from gingham.schema.schema import Schema, SchemaAttribute
from gingham.sources import find_images
from gingham.tables import read_table

COLOURS = ("red", "blue")
HAS = {"red": ["warm", "zip"], "blue": ["cold"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos of four products, two of each, tagged in a catalogue `shop`."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "photos").mkdir()
    for number in range(8):
        draw(folder / "photos" / f"é {number}.jpg", COLOURS[number // 2 % 2], number)
    with Catalogue.create(folder / "shop", runtime=FakeRuntime()) as shop:
        shop.index([folder / "photos"])
        labels = {str(path): said(path) for path in sorted((folder / "photos").iterdir())}
        shop.teach("colour", labels, views=False)
        shop.teach("has", {x: HAS[y] for x, y in labels.items()}, kind="multi", views=False)
        shop.tag(["colour", "has"], min_confidence=0)
    return folder


@pytest.fixture
def shop(place: Path) -> Iterator[Catalogue]:
    with Catalogue.open(place / "shop", runtime=FakeRuntime()) as opened:
        yield opened


def said(path: str | Path) -> str:
    return COLOURS[int(Path(path).stem[-1]) // 2 % 2]


def labels_of(file: Path, column: str = "colour", trust: bool = False) -> dict[str, list[str]]:
    kind = "multi" if column == "has" else "single"
    found = read_labels(file, kind=kind, value_column=column, trust_predictions=trust)
    return {row.image: sorted(row.values) for row in found.rows}


@pytest.mark.parametrize("form", ["csv", "parquet", "audubon-core", "coco", "datasets"])
def test_a_round_trip(place: Path, shop: Catalogue, form: str) -> None:
    suffix = {"parquet": ".parquet", "coco": ".json", "datasets": ""}.get(form, ".csv")
    file = place / f"out-{form}{suffix}"
    assert shop.export(file, form=form, relative=True) == 8
    with pytest.raises(InputError, match="are predictions"):
        labels_of(file)
    found = labels_of(file, trust=True)
    assert len(found) == 8
    for image, values in found.items():
        original = image
        if form == "datasets":
            data = {read_file(x): str(x) for x in (place / "photos").iterdir()}
            original = data[read_file(image)]
        assert Path(original).is_file()
        assert values == [said(original)]
    has = labels_of(file, "has", trust=True)
    assert [has[image] for image in found] == [HAS[values[0]] for values in found.values()]
    assert len(find_images([file]).images) == 8


def test_label_studio_takes_pre_annotations(place: Path, shop: Catalogue) -> None:
    file = place / "tasks.json"
    assert shop.export(file, form="label-studio") == 8
    tasks = json.loads(file.read_text())
    assert len(find_images([file]).images) == 8
    assert tasks[0]["data"]["image"].startswith("/data/local-files/?d=photos/%C3%A9%20")
    (result, other) = sorted(tasks[0]["predictions"][0]["result"], key=lambda x: x["from_name"])
    assert (result["type"], other["from_name"]) == ("choices", "has")
    assert 0 <= tasks[0]["predictions"][0]["score"] <= result["score"] <= 1
    # What it made of them when people agreed to all.
    for task in tasks:
        task["annotations"] = [{"result": task["predictions"][0]["result"]}]
    file.write_text(json.dumps(tasks))
    found = labels_of(file)
    assert len(found) == 8
    assert all(values == [said(image)] for image, values in found.items())


def shopify(place: Path) -> Path:
    lines = ["Handle,Title,Option1 Value,Image Src"]
    for product in range(4):
        lines.append(f"p{product},Dress {product},S,photos/é {2 * product}.jpg")
        lines.append(f"p{product},,M,")
        lines.append(f"p{product},,,photos/é {2 * product + 1}.jpg")
    (place / "products.csv").write_text("\n".join(lines) + "\n")
    return place / "products.csv"


def test_shopify_in_and_out(place: Path, shop: Catalogue) -> None:
    table = shopify(place)
    read = read_table(table, None)
    assert [row["Handle"] for row in read.rows] == [f"p{n // 2}" for n in range(8)]
    assert {row["Title"] for row in read.rows} == {f"Dress {n}" for n in range(4)}
    assert len(find_images([table]).images) == 8
    out = place / "metafields.csv"
    assert shop.export(out, form="shopify", join=table, join_key="Handle") == 4
    text = out.read_text()
    head = "Handle,Title,colour (product.metafields.gingham.colour),has (product."
    assert text.startswith(head)
    assert "p0,Dress 0,red," in text
    back = read_table(out, None).rows
    assert [row["colour"] for row in back] == ["red", "blue"] * 2
    assert [row["has"] for row in back] == [HAS["red"], "cold"] * 2
    with pytest.raises(InputError, match=r"knows .* by their handle: give --join"):
        shop.export(out, form="shopify")


def test_woocommerce_in_and_out(place: Path, shop: Catalogue) -> None:
    table = place / "woo.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        heads = ["SKU", "Name", "Images", "Attribute 1 name", "Attribute 1 value(s)"]
        writer.writerow(heads)
        for n in range(4):
            images = f"photos/é {2 * n}.jpg, photos/é {2 * n + 1}.jpg"
            writer.writerow([f"s{n}", "Dress", images, "Size", "S, M\\, wide"])
    read = read_table(table, None)
    assert [row["SKU"] for row in read.rows] == [f"s{n // 2}" for n in range(8)]
    assert read.rows[0]["Size"] == ["S", "M, wide"]
    out = place / "attributes.csv"
    assert shop.export(out, form="woocommerce", join=table, join_key="SKU") == 4
    back = read_table(out, None)
    assert [row["colour"] for row in back.rows] == ["red", "blue"] * 2
    assert back.names == ["image", "SKU", "Name", "colour", "has"]


def test_a_joined_table_keeps_its_columns(place: Path, shop: Catalogue, tmp_path: Path) -> None:
    table = place / "given.csv"
    rows = [(f"photos/é {n}.jpg", f"s{n // 2}", "mine") for n in range(8)]
    lines = "".join(",".join(row) + "\n" for row in [*rows, ("photos/other.jpg", "s9", "mine")])
    table.write_text("image,sku,colour\n" + lines)
    out = tmp_path / "out.csv"
    assert shop.export(out, join=table) == 9
    with out.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["sku"] for row in found] == [*(row[1] for row in rows), "s9"]
    assert {row["colour"] for row in found} == {"mine"}
    assert [row["colour_tagged"] for row in found] == [said(row[0]) for row in rows] + [""]
    assert float(found[0]["colour_tagged_confidence"]) > 0
    assert shop.export(out, join=table, answered=True) == 8
    assert shop.export(out, join=table, join_key="sku") == 5
    table.write_text("image,sku\nphotos/é 0.jpg,a\nphotos/é 1.jpg,b\nphotos/é 2.jpg,a\n")
    with pytest.raises(InputError, match="the rows of sku 'a' do not follow each other: sort"):
        shop.export(out, join=table, join_key="sku")
    with pytest.raises(InputError, match=r"no column 'skus'; .*did you mean 'sku'"):
        shop.export(out, join=table, join_key="skus")
    with pytest.raises(InputError, match="--key names a column of the table that --join"):
        shop.export(out, join_key="sku")
    with pytest.raises(InputError, match=r"unknown format 'coc'.*did you mean 'coco'"):
        shop.export(out, form="coc")


ODD = ["a, b", "a; b", "a|b", "a | b", "x: y", 'quo"te', "it's é", "=1+1", "007", "a\\,b", "\\"]


@pytest.mark.parametrize(
    "form", ["csv", "parquet", "audubon-core", "coco", "shopify", "woocommerce"]
)
def test_odd_values_come_back_as_they_were(tmp_path: Path, form: str) -> None:
    suffix = {"parquet": ".parquet", "coco": ".json"}.get(form, ".csv")
    files = {}
    for number, value in enumerate(ODD):
        name = str(tmp_path / f'é "{number}", x.jpg')
        several = [one for one in dict.fromkeys((value, ODD[0], "zz")) if "|" not in one]
        tags = {"one": ExportedTag([value], 0.5), "has: x": ExportedTag(sorted(several), 0.5)}
        files[name] = ExportedFile(name, f"{number:064x}", tags)
    with (tmp_path / "products.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["image", "Handle", "SKU"], *([x, n, n] for n, x in enumerate(files))])
    key = {"shopify": "Handle", "woocommerce": "SKU"}.get(form)
    join = tmp_path / "products.csv" if key else None
    arrangement = Arrangement(form, join, key or "image")
    given = iter(()) if key else iter(files.values())
    out = tmp_path / f"out{suffix}"
    kinds = {"one": "single", "has: x": "multi"}
    assert write_export(out, kinds, given, files.get, arrangement) == len(ODD)
    rows = read_table(out, None).rows
    assert [row["one"] for row in rows] == ODD
    for one, row in zip(files.values(), rows, strict=True):
        found = row["has: x"]
        values = found if isinstance(found, list) else found.split("|")
        if not (form == "woocommerce" and "\\" in one.tags["one"].values[0]):
            assert sorted(values) == one.tags["has: x"].values, "WooCommerce escapes commas alone"


@pytest.mark.parametrize(
    "text",
    [
        "Handle,Image Src,image\na,p.jpg,other\n",
        "SKU,Images,image,Attribute 1 name,Attribute 1 value(s)\na,p.jpg,other,image,other\n",
        "ac:accessURI,ac:tag,image\np.jpg,image: other,other\n",
    ],
)
def test_a_column_called_image_does_not_hide_the_address(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    table = read_table(tmp_path / "t.csv", None)
    assert table.names.count("image") == 1
    assert [row["image"] for row in table.rows] == ["p.jpg"]
    assert "_confidence" not in table.names


def test_what_does_not_apply_is_not_written(place: Path, shop: Catalogue, tmp_path: Path) -> None:
    has = SchemaAttribute(when={"colour": ("red",)})
    try:
        assert shop.set_schema(Schema({"colour": SchemaAttribute(), "has": has})) == {}
        assert shop.export(tmp_path / "out.csv") == 8
        with (tmp_path / "out.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                applies = row["colour"] == "red"
                assert (row["has"] != "not applicable") == applies
                assert bool(row["has_confidence"]) <= applies
        # For a shop's own fields it is as if nothing was known.
        shop.export(tmp_path / "studio.json", form="label-studio")
        assert "not applicable" not in (tmp_path / "studio.json").read_text()
    finally:
        shop.set_schema(Schema())


def test_embedding_atlas_has_points(place: Path, shop: Catalogue, tmp_path: Path) -> None:
    assert shop.export(tmp_path / "atlas.parquet", form="embedding-atlas") == 8
    table = pq.read_table(tmp_path / "atlas.parquet")
    assert {table.schema.field(x).type for x in "xy"} == {pa.float32()}
    assert len({tuple(x) for x in zip(*(table[x].to_pylist() for x in "xy"), strict=True)}) > 1
    assert set(table["colour"].to_pylist()) == set(COLOURS)


def test_a_folder_that_is_there_is_not_written_to(place: Path, shop: Catalogue) -> None:
    with pytest.raises(InputError, match="photos: it is there already"):
        shop.export(place / "photos", form="datasets")
    assert len(list((place / "photos").iterdir())) == 8


TAGS = st.builds(
    lambda values, sure: ExportedTag(tuple(values), sure if values else None, ("x",)),
    st.lists(st.sampled_from("abc"), max_size=3, unique=True),
    st.floats(0.01, 1),
)


@given(st.lists(TAGS, max_size=6), st.sampled_from(["single", "multi"]))
def test_majority_against_a_plain_reference(tags: list[ExportedTag], kind: str) -> None:
    if kind == "single":
        tags = [tag._replace(values=tag.values[:1]) for tag in tags]
    found = majority(tags, kind)
    answered = [tag for tag in tags if tag.values]
    sums = {v: sum(t.confidence or 0 for t in answered if v in t.values) for v in "abc"}
    if not answered:
        assert found.values == ()
    elif kind == "single":
        (value,) = found.values
        assert sums[value] == max(sums.values())
        assert found.confidence == pytest.approx(sums[value] / len(answered))
    else:
        whole = sum(tag.confidence or 0 for tag in answered)
        assert set(found.values) == {v for v in sums if sums[v] >= whole / 2 and sums[v] > 0}


@pytest.mark.parametrize("key", ["image", "sku"])
def test_a_large_table_is_joined_in_bounded_memory(tmp_path: Path, key: str) -> None:
    tag = {"colour": ExportedTag(("red",), 0.5)}
    table = tmp_path / "t.csv"

    def peak(count: int) -> int:
        tracemalloc.start()
        written = write_export(
            tmp_path / "out.csv",
            {"colour": "single"},
            (),
            lambda name: ExportedFile(name, "00", tag),
            Arrangement(join=table, join_key=key),
        )
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert written == count
        return used

    peaks = []
    for count in (4_000, 20_000):
        with table.open("w") as file:
            file.write("image,sku\n")
            file.writelines(f"/nowhere/{row:07}.jpg,{row:07}\n" for row in range(count))
        # Threads that other tests have left may take memory meanwhile.
        peaks.append(min(peak(count) for _ in range(3)))
    assert peaks[1] < 1.2 * peaks[0] + 100_000, peaks
