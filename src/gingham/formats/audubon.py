"""Audubon Core: a CSV of media with what was tagged, as museums and biologists exchange it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gingham.formats import csv_out, csv_table
from gingham.formats.content import Content, Row
from gingham.formats.exported import Exported
from gingham.names import printable, tag_columns

_IMAGE, _TAG, _BETWEEN = "ac:accessURI", "ac:tag", " | "
_COLON = "\\:"
_COMMENTS, _SURE = "ac:reviewerComments", "confidence: "
_WRITTEN = (
    *("dcterms:identifier", "dc:type", _IMAGE, "ac:hashFunction", "ac:hashValue", _TAG),
    _COMMENTS,
)


def recognised(path: Path) -> bool:
    """Say whether a CSV has the address of media."""
    return _IMAGE in csv_table.header(path)


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read a row a medium: `image`, the terms, and of tags `NAME: VALUE` a column for each name.

    Which names there are say all rows.
    """
    names: dict[str, None] = {}
    for row in csv_table.read(path, None).rows:
        names |= dict.fromkeys(_tags(row))
    found = csv_table.read(path, None)
    names.pop("image", None)
    own = [name for name in found.names if name not in (_IMAGE, _TAG, "image")]

    def rows() -> Iterator[Row]:
        for row in found.rows:
            cells = {"image": row.cells[_IMAGE]} | {name: row.cells[name] or None for name in own}
            said = _tags(row)
            tags = {name: said.get(name) or None for name in names}
            cells |= {x: y[0] if y and len(y) == 1 else y for x, y in tags.items()}
            yield Row(row.number, cells, row.bad)

    return Content(["image", *own, *(name for name in names if name not in own)], rows())


def _tags(row: Row) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for tag in re.split(r"(?<!\\)\|", row.cells.get(_TAG) or ""):
        name, *value = re.split(r"(?<!\\): ", tag.strip(), maxsplit=1)
        if value:
            said = value[0].replace("\\|", "|")
            found.setdefault(name.replace("\\:", ":").replace("\\|", "|"), []).append(said)
    # So they are known to be predictions.
    comments = row.cells.get(_COMMENTS) or ""
    if comments.startswith(_SURE):
        for one in comments.removeprefix(_SURE).split(", "):
            name, _, confidence = one.rpartition(" ")
            found[tag_columns(name)[1]] = [confidence]
    return found


def write(path: Path, exported: Exported) -> int:
    """Write a row a file."""

    def rows() -> Iterator[dict[str, Any]]:
        for one in exported.files:
            tags = [
                f"{name.replace(':', _COLON)}: {value}".replace("|", "\\|")
                for name, tag in one.tags.items()
                for value in tag.values
            ]
            sure = (f"{x} {tag.confidence:.2f}" for x, tag in one.tags.items() if tag.confidence)
            image, known = printable(one.image), ", ".join(sure)
            said = (one.id, "StillImage", image, "SHA-256", one.id, _BETWEEN.join(tags))
            cells = dict(zip(_WRITTEN, (*said, known and _SURE + known), strict=True))
            yield {**one.cells, **cells}

    given = [name for name in exported.given if name not in _WRITTEN]
    return csv_out.write_rows(path, [*_WRITTEN, *given], rows())
