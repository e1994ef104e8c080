"""Tar archives as tables: of images, and WebDataset's, with what is said of each image."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gingham.formats.content import Content, Row, heading
from gingham.formats.members import TWICE, digest, repeated, row, why_not
from gingham.formats.tar_archive import PackedFile, packed_files, places

_SAID = ("cls", "txt", "json")
_NOT_READ = ("npy", "npz", "pyd", "pickle", "pth", "pt")
_MOST_SAID = 1 << 20


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """List the files: `image`, `folder`, and what files of the same key say, as WebDataset does.

    A file `KEY.cls` or `KEY.txt` is a column of that name, `KEY.json` one for each of its names;
    which columns there are says the first key.
    """
    twice = repeated(places(os.fspath(path), path.stat().st_mtime_ns)["name"].tolist())
    first = next(_samples(path), ([], {}))[1]
    said = [name for name in dict.fromkeys(map(heading, first)) if name not in ("image", "folder")]

    def rows() -> Iterator[Row]:
        number = 0
        for images, cells in _samples(path):
            for one in images:
                number += 1
                bad = TWICE if digest(one.name) in twice else one.bad
                found = row(number, path.name, one.name, why_not(one.name, one.size) or bad)
                yield found._replace(cells={x: cells.get(x) for x in said} | found.cells)

    return Content(["image", "folder", *said], rows())


def _samples(path: Path) -> Iterator[tuple[list[PackedFile], dict[str, Any]]]:
    """Give the images of each key, and what is said of them."""
    images: list[PackedFile] = []
    cells: dict[str, Any] = {}
    last = None
    with path.open("rb") as file:
        for one in packed_files(os.fspath(path)):
            _, _, ending = one.name.rpartition("/")[2].partition(".")
            key = one.name.removesuffix(ending)
            if key != last and images:
                yield images, cells
            if key != last:
                images, cells, last = [], {}, key
            if ending in _SAID and not one.bad and one.size <= _MOST_SAID:
                file.seek(one.start)
                cells |= _said(ending, file.read(one.size))
            elif ending not in _NOT_READ:
                images.append(one)
    if images:
        yield images, cells


def _said(ending: str, data: bytes) -> dict[str, Any]:
    text = data.decode(errors="surrogateescape")
    if ending != "json":
        return {ending: text.strip()}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {heading(x): y for x, y in found.items()} if isinstance(found, dict) else {"json": found}
