"""What annotators' tools write teaches, is curated and trained with as any table is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from conftest import FakeRuntime, draw
from gingham import Catalogue
from gingham.curation.config import TableSection, UnknownSection
from gingham.curation.table import read_samples as read_curated
from gingham.errors import InputError
from gingham.formats import json_file
from gingham.formats.table import recognised
from gingham.labels import read_labels
from gingham.training.config import DataConfig
from gingham.training.data import read_samples


def chosen(control: str, *values: str, **more: Any) -> dict[str, Any]:
    result = {"from_name": control, "to_name": "image", "type": "choices"}
    return {"result": [result | {"value": {"choices": list(values)}}]} | more


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Eight tasks, named in the ways that Label Studio names images, and two without a label."""
    (tmp_path / "photos").mkdir()
    found: list[dict[str, Any]] = []
    for number in range(10):
        colour = ("red", "blue")[number % 2]
        draw(tmp_path / "photos" / f"{number} a.jpg", colour, number)
        image = f"/data/local-files/?d=photos/{number}%20a.jpg"
        found.append({"id": number, "data": {"image": image}})
        found[-1]["annotations"] = [chosen("colour", colour)]
    uploaded = draw(tmp_path / "u.jpg", "red", 20)
    found[0]["data"]["image"] = f"/data/upload/3/0123abcd-{uploaded.name}"
    found[1]["annotations"] = [
        chosen("colour", "red"),
        chosen("colour", "blue"),
        chosen("colour", "red", was_cancelled=True),
    ]
    found[2]["annotations"] = [
        chosen("colour", "red", ground_truth=True),
        chosen("colour", "blue"),
    ]
    box = {"from_name": "box", "type": "rectanglelabels", "value": {"rectanglelabels": ["x"]}}
    branch = {"from_name": "kind", "type": "taxonomy", "value": {"taxonomy": [["fish", "cod"]]}}
    found[3]["annotations"][0]["result"] += [box, branch]
    found[8]["annotations"] = []
    found[9] = found[9] | {"annotations": [], "predictions": [chosen("colour", "blue")]}
    (tmp_path / "tasks.json").write_text(json.dumps(found, indent=1))
    return tmp_path / "tasks.json"


def test_label_studio_teaches(tasks: Path, tmp_path: Path, runtime: FakeRuntime) -> None:
    labels = read_labels(tasks, kind="single", value_column="colour")
    assert [*map(list, (row.values for row in labels.rows))] == [["red"], ["blue"]] * 4
    assert labels.unlabelled == 2
    assert [Path(row.image).name for row in labels.rows[:2]] == ["u.jpg", "1 a.jpg"]
    assert all(Path(row.image).is_file() for row in labels.rows)
    kind = read_labels(tasks, kind="single", value_column="kind")
    assert [list(row.values) for row in kind.rows] == [["cod"]]
    with pytest.raises(InputError, match="no column 'box'; it has image, colour, kind"):
        read_labels(tasks, kind="single", value_column="box")
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.index([tasks]).images == 10
        assert shop.teach("colour", tasks).examples == 8
    assert read_samples(tasks, DataConfig(min_count=1)).targets.shape[0] == 10
    curated = read_curated(tasks, TableSection(), UnknownSection())
    assert curated.values["colour"][:2] == [("red",), ("blue",)]


def test_several_choices_are_several_values(tmp_path: Path) -> None:
    found = [
        {"data": {"photo": "a.jpg"}, "annotations": [chosen("has", "zip", "belt")]},
        {"data": {"photo": "b.jpg"}, "annotations": [chosen("has", "zip")]},
    ]
    (tmp_path / "t.json").write_text(json.dumps(found))
    labels = read_labels(tmp_path / "t.json", kind="multi", value_column="has")
    assert [row.values for row in labels.rows] == [{"zip": True, "belt": True}, {"zip": True}]
    with pytest.raises(InputError, match="row 1: several values"):
        read_labels(tmp_path / "t.json", kind="single", value_column="has")


def test_coco_teaches(tmp_path: Path, runtime: FakeRuntime) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train2017").mkdir()
    images, annotations = [], []
    for number in range(8):
        draw(tmp_path / "train2017" / f"{number}.jpg", ("red", "blue")[number % 2], number)
        images.append({"id": 100 + number, "file_name": f"{number}.jpg", "width": 20})
        geometry = {"bbox": [0, 0, 9, 9], "segmentation": [[0.5] * 8], "area": 81.0}
        one = {"image_id": 100 + number, "category_id": 1 + number % 2, "id": number} | geometry
        annotations += [one, one | {"attributes": {"occluded": number % 2 == 0, "shape": [1]}}]
    annotations.append(annotations[0] | {"category_id": 2})
    categories = [
        {"id": 1, "name": "apple", "supercategory": "fruit"},
        {"id": 2, "name": "sky", "supercategory": "nature"},
    ]
    table = tmp_path / "annotations" / "instances_train2017.json"
    said = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    table.write_text(json.dumps(said))
    labels = read_labels(table, kind="multi", value_column="category")
    assert labels.rows[0].values == {"apple": True, "sky": True}
    assert [list(row.values) for row in labels.rows[1:3]] == [["sky"], ["apple"]]
    assert os.path.abspath(labels.rows[7].image) == f"{tmp_path}/train2017/7.jpg"
    occluded = read_labels(table, kind="single", value_column="occluded")
    assert [list(row.values) for row in occluded.rows[:2]] == [["true"], ["false"]]
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        taught = shop.teach("kind", table, value_column="category", kind="multi", views=False)
        assert taught.examples == 8


def test_other_json_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("[]", "{}", '["data"]', '{"data": {}, "annotations": []}', "no json", ""):
        (tmp_path / "t.json").write_text(text)
        assert recognised(tmp_path / "t.json") is None or "annotations" in text, text
    (tmp_path / "t.json").write_text('{"images": [')
    with pytest.raises(InputError, match=r"t\.json cannot be read: Expecting value"):
        read_labels(tmp_path / "t.json", kind="single", value_column="x")
    monkeypatch.setattr(json_file, "MOST_BYTES", 5)
    with pytest.raises(InputError, match="12 bytes of JSON, more than 5: split it"):
        read_labels(tmp_path / "t.json", kind="single", value_column="x")
