"""Folders of `datasets`, written here as that library writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import FakeRuntime, draw
from gingham import Catalogue
from gingham.errors import ImageError, InputError
from gingham.images import read_file
from gingham.labels import read_labels
from gingham.sources import find_images

NAMES = ["red", "blue"]


def rows(folder: Path) -> tuple[pa.Table, list[bytes]]:
    """Eight pictures with numbered classes, the last of which is not known."""
    data = [draw(folder / "x.jpg", NAMES[i % 2], i).read_bytes() for i in range(8)]
    image = pa.array(
        [{"bytes": one, "path": None} for one in data],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    label = pa.array([0, 1, 0, 1, 0, 1, 0, -1], pa.int64())
    features = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
    said = {"huggingface": json.dumps({"info": {"features": features}})}
    (folder / "x.jpg").unlink()
    return pa.table({"image": image, "label": label}).replace_schema_metadata(said), data


def hub(folder: Path, table: pa.Table) -> None:
    (folder / "data").mkdir()
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    for part in range(2):
        pq.write_table(table[4 * part : 4 * part + 4], folder / f"data/train-{part:05}.parquet")


def saved(folder: Path, table: pa.Table) -> None:
    (folder / "train").mkdir()
    (folder / "dataset_dict.json").write_text('{"splits": ["train"]}')
    (folder / "train" / "state.json").write_text('{"_data_files": []}')
    for part in range(2):
        file = folder / "train" / f"data-{part:05}-of-00002.arrow"
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table[4 * part : 4 * part + 4], max_chunksize=3)


@pytest.mark.parametrize("write", [hub, saved])
def test_images_inside_a_folder_of_datasets(
    tmp_path: Path, runtime: FakeRuntime, write: Any
) -> None:
    table, data = rows(tmp_path)
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder, table)
    walk = find_images([folder])
    assert [read_file(name) for name in walk.images] == data
    labels = read_labels(folder, kind="single", value_column="label")
    assert [next(iter(row.values)) for row in labels.rows] == [NAMES[i % 2] for i in range(7)]
    assert labels.unlabelled == 1
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.index([folder]).added == 8
        assert shop.teach("colour", folder, value_column="label").examples == 7
        assert shop.missing() == []
    with pytest.raises(InputError, match="no column 'colour'; it has image, label"):
        read_labels(folder, kind="single", value_column="colour")


def test_arrow_files_of_both_kinds_are_tables(tmp_path: Path) -> None:
    table, data = rows(tmp_path)
    for number, new in enumerate((pa.ipc.new_stream, pa.ipc.new_file)):
        file = tmp_path / f"{number}.arrow"
        with new(file, table.schema) as sink:
            sink.write_table(table, max_chunksize=3)
        assert [read_file(name) for name in find_images([file]).images] == data
        with pytest.raises(ImageError, match=r"no row 8 \(counted from 0\)"):
            read_file(f"{file}#image/8")
        with pytest.raises(ImageError, match=r"row 2 of .* cannot be read"):
            read_file(f"{file}#photo/2")
    (tmp_path / "x.arrow").write_bytes(b"no arrow")
    with pytest.raises(InputError, match="cannot be read"):
        find_images([tmp_path / "x.arrow"])


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_a_folder_of_images_with_metadata(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "set"
    (folder / "train").mkdir(parents=True)
    for number, colour in enumerate(NAMES):
        draw(folder / "train" / f"{number}.jpg", colour, number)
    said = {"file_name": ["train/0.jpg", "train/1.jpg"], "colour": NAMES}
    if name.endswith("csv"):
        lines = zip(*said.values(), strict=True)
        (folder / name).write_text("file_name,colour\n" + "".join(f"{a},{b}\n" for a, b in lines))
    elif name.endswith("jsonl"):
        each = (dict(zip(said, x, strict=True)) for x in zip(*said.values(), strict=True))
        (folder / name).write_text("".join(json.dumps(one) + "\n" for one in each))
    else:
        pq.write_table(pa.table(said), folder / name)
    labels = read_labels(folder, kind="single", value_column="colour")
    assert [next(iter(row.values)) for row in labels.rows] == NAMES
    assert [row.image for row in labels.rows] == [f"{folder}/train/{x}.jpg" for x in (0, 1)]


def test_a_folder_that_also_holds_images_is_walked(tmp_path: Path) -> None:
    table, _ = rows(tmp_path)
    hub(tmp_path, table)
    picture = draw(tmp_path / "a.jpg", "red", 1)
    assert str(picture) in find_images([tmp_path]).images
