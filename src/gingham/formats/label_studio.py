"""Label Studio's JSON: what people said of images (choices, taxonomies), as columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from gingham.formats.content import Content, Row, heading
from gingham.formats.json_file import begins, load, one_or_list

recognised = begins(r"[", r'"data"\s*:\s*\{', r'"(annotations|completions|predictions)"\s*:')

_UPLOADED = re.compile(r"/data/upload/(?:\d+/)?(?:[0-9a-f]{8}-)?(.+)")


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read tasks: columns `image` and one for each control that has choices or a taxonomy.

    Of several annotations of a task the ground truth counts, or else the last that was not
    cancelled. Predictions are not read.
    """
    tasks = load(path)
    said = [_said(task) for task in tasks]
    names = dict.fromkeys(name for one in said for name in one)

    def rows() -> Iterator[Row]:
        for number, (task, cells) in enumerate(zip(tasks, said, strict=True), 1):
            image = _image(task.get("data") or {}, path.parent)
            yield Row(number, {"image": image} | {name: cells.get(name) for name in names})

    return Content(["image", *names], rows())


def _said(task: dict[str, Any]) -> dict[str, Any]:
    given = [x for x in task.get("annotations") or task.get("completions") or () if not _off(x)]
    chosen = next((x for x in given if x.get("ground_truth")), given[-1] if given else {})
    found: dict[str, list[str]] = {}
    for one in chosen.get("result", ()):
        value = one.get("value", {})
        if "choices" in value or "taxonomy" in value:
            named = found.setdefault(heading(one["from_name"]), [])
            named += value.get("choices", ())
            named += (branch[-1] for branch in value.get("taxonomy", ()) if branch)
    return {name: one_or_list(values) for name, values in found.items() if name != "image"}


def _off(annotation: dict[str, Any]) -> bool:
    return bool(annotation.get("was_cancelled"))


def _image(data: dict[str, Any], folder: Path) -> str | None:
    """Give the path of a task's image, without what the server put before it."""
    texts = [value for value in data.values() if isinstance(value, str)]
    image: str | None = data.get("image") or next(iter(texts), None)
    if not isinstance(image, str):
        return None
    if image.startswith("/data/local-files/"):
        return parse_qs(urlsplit(image).query).get("d", [image])[0]
    if found := _UPLOADED.fullmatch(image):
        uploaded = unquote(image.rpartition("/")[2])
        return uploaded if (folder / uploaded).exists() else unquote(found[1])
    return image
