"""Folders of Hugging Face's `datasets`: saved to disk (Arrow), of the hub (Parquet), of images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gingham.formats import arrow, csv_table, parquet
from gingham.formats.content import Content, Row
from gingham.formats.format import Read

_HUB = frozenset({".json", ".md", ".parquet", ".txt"})
_NAME = "file_name"


def recognised(path: Path) -> bool:
    """Say whether a folder is one, and nothing else, so that no image of it is passed over."""
    return path.is_dir() and bool(_parts(path))


def _parts(folder: Path) -> list[Path]:
    for name in _METADATA:
        if (folder / name).is_file() and _NAME in _METADATA[name](folder / name, []).names:
            return [folder / name]
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return [x for x in sorted(folder.glob("**/*.arrow")) if not x.name.startswith("cache-")]
    beside = [x for x in folder.iterdir() if not x.name.startswith(".") and x.name != "data"]
    if any(x.is_dir() or x.suffix not in _HUB for x in beside):
        return []
    return sorted((folder / "data").glob("*.parquet"))


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read all parts of a folder, one after the other; the columns are those of the first."""
    parts = _parts(path)

    def content(part: Path) -> Content:
        if part.name in _METADATA:
            return _renamed(_METADATA[part.name](part, None))
        return (arrow.read if part.suffix == ".arrow" else parquet.read)(part, wanted)

    def rows() -> Iterator[Row]:
        number = 1
        for part in parts:
            here = part.parent.relative_to(path.parent)
            for row in content(part).rows:
                number += 1
                if isinstance(image := row.cells.get("image"), str):
                    row.cells["image"] = type(image)(os.path.join(here, image))
                yield Row(number, row.cells, row.bad)

    return Content(content(parts[0]).names, rows())


def _renamed(found: Content) -> Content:
    names = ["image" if name == _NAME else name for name in found.names]
    rows = (
        Row(x.number, dict(zip(names, x.cells.values(), strict=True)), x.bad) for x in found.rows
    )
    return Content(names, rows)


def _lines(path: Path, wanted: Sequence[str] | None) -> Content:
    with path.open(encoding="utf-8") as file:
        names = list(json.loads(next(file, "{}")))

    def rows() -> Iterator[Row]:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 2):
                said = json.loads(line)
                yield Row(number, {name: said.get(name) for name in names})

    return Content(names, rows())


_METADATA: dict[str, Read] = {
    "metadata.csv": csv_table.read,
    "metadata.jsonl": _lines,
    "metadata.parquet": parquet.read,
}
