"""COCO's JSON: categories of what is annotated in an image, and its attributes, as columns."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gingham.formats.content import Content, Row, heading, plain
from gingham.formats.json_file import begins, load, one_or_list
from gingham.names import tag_columns

recognised = begins(r"{", r'"(images|annotations|categories|licenses)"\s*:\s*\[')

_GEOMETRY = ("segmentation", "bbox", "keypoints", "area")
_BESIDE = ("", "images", "images/default", "../images", "..")


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read images: columns `image`, `category`, `supercategory`, and attributes of annotations.

    Each supercategory is a column of its categories, too.

    Several different categories of an image are a list. Files are looked for beside the file, in
    `images`, and in the folder that it is named after (`instances_train2017.json`: `train2017`).
    """
    found = load(path, _GEOMETRY)
    categories = {one["id"]: one for one in found.get("categories", ())}
    said: dict[Any, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for one in found.get("annotations", ()):
        cells = said[one["image_id"]]
        category = categories.get(one.get("category_id"), {})
        for name, own in (("category", "name"), ("supercategory", "supercategory")):
            if category.get(own) is not None:
                cells[name].append(category[own])
        if category.get("supercategory") and category.get("name"):
            name = heading(category["supercategory"])
            cells[name].append(category["name"])
            if "score" in one:  # so it is known to be a prediction
                cells[tag_columns(name)[1]].append(plain(one["score"]))
        for name, value in (one.get("attributes") or {}).items():
            if isinstance(value, (str, bool, int, float)):
                cells[heading(name)].append(plain(value))
    attributes = dict.fromkeys(name for cells in said.values() for name in cells)
    names = [x for x in attributes if x not in ("image", "category", "supercategory")]
    names = ["category", "supercategory", *names]
    named_after = path.stem.rpartition("_")[2]
    places = [*_BESIDE, f"../{named_after}", f"../images/{named_after}"]

    def rows() -> Iterator[Row]:
        for number, image in enumerate(found.get("images", ()), 1):
            cells = {name: one_or_list(said[image["id"]].get(name, [])) for name in names}
            yield Row(number, {"image": _place(path.parent, image["file_name"], places)} | cells)

    return Content(["image", *names], rows())


def _place(folder: Path, name: str, places: list[str]) -> str:
    """Find a file; what was found first is looked for first."""
    for place in places:
        if os.path.lexists(folder / place / name):
            places.remove(place)
            places.insert(0, place)
            return os.path.join(place, name)
    return name
