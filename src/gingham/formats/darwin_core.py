"""Darwin Core archives: media of the multimedia extension, each with its occurrence or taxon."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from gingham.formats.content import Content, ImageInside, Row
from gingham.formats.format import called

_META, _MOST_META = "meta.xml", 1 << 20
_MEDIA = ("/Multimedia", "/Image", "/SimpleMultimedia")
_IMAGE = ("identifier", "accessURI", "associatedMedia", "goodQualityAccessURI")


def recognised(path: Path) -> bool:
    """Say whether a zip archive describes itself as Darwin Core archives do."""
    if not called(".zip")(path) or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _META in archive.namelist()


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read a row a medium: `image`, the terms of the core, and those of the medium that it lacks.

    Where there is no extension of media, the images are the core's `associatedMedia`.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(_META).file_size > _MOST_META:
            raise ValueError(f"{_META} is larger than {_MOST_META} bytes: it is no description")
        try:
            described = ElementTree.fromstring(archive.read(_META))  # noqa: S314  (expat has limits)
            parts = [_Part(one) for one in described if one.tag.endswith(("}core", "}extension"))]
            core = next(one for one in parts if one.is_core)
        except (ElementTree.ParseError, StopIteration):
            raise ValueError(f"its {_META} describes no archive") from None
        inside = frozenset(archive.namelist())
    media = next((one for one in parts if not one.is_core and one.row_type.endswith(_MEDIA)), None)
    source = media or core
    address = next((name for name in _IMAGE if name in source.terms.values()), None)
    if address is None:
        raise ValueError("it has no column of media (identifier, accessURI, associatedMedia)")
    names = list(dict.fromkeys([*core.terms.values(), *source.terms.values()]))

    def rows() -> Iterator[Row]:
        # The core may not fit into memory: SQLite keeps it in a temporary file.
        with zipfile.ZipFile(path) as archive, closing(sqlite3.connect("")) as known:
            known.execute("CREATE TABLE core (id TEXT PRIMARY KEY, cells TEXT)")
            own = core.rows(archive) if media else iter(())
            pairs = ((name, json.dumps(cells)) for name, cells in own)
            known.executemany("INSERT OR REPLACE INTO core VALUES (?, ?)", pairs)
            for number, (name, cells) in enumerate(source.rows(archive), 2):
                image = cells.get(address) or None
                found = known.execute("SELECT cells FROM core WHERE id = ?", (name,)).fetchone()
                said = cells | (json.loads(found[0]) if found else {})
                for one in (image or "").split("|") if source is core else [image]:
                    place = one and one.strip()
                    place = ImageInside(f"{path.name}#{place}") if place in inside else place
                    yield Row(number, {"image": place or None} | {x: said.get(x) for x in names})

    return Content(["image", *(name for name in names if name != "image")], rows())


class _Part:
    """A file of an archive, as `meta.xml` describes it."""

    def __init__(self, described: ElementTree.Element) -> None:
        given = {name: value.encode().decode("unicode_escape") for name, value in described.items()}
        self.is_core = described.tag.endswith("}core")
        self.row_type = given.get("rowType", "")
        self.encoding = given.get("encoding", "UTF-8")
        self.separator = given.get("fieldsTerminatedBy", ",")
        self.quote = given.get("fieldsEnclosedBy", '"')
        self.headers = int(given.get("ignoreHeaderLines", 0))
        self.file = next(str(x.text) for x in described.iter() if x.tag.endswith("}location"))
        key = next(one for one in described if one.tag.endswith(("}id", "}coreid")))
        self.key = int(key.get("index", 0))
        fields = [x for x in described if x.tag.endswith("}field") and x.get("index")]
        self.terms = {int(x.get("index", 0)): x.get("term", "").rpartition("/")[2] for x in fields}

    def rows(self, archive: zipfile.ZipFile) -> Iterator[tuple[str, dict[str, Any]]]:
        with archive.open(self.file) as file:
            text = io.TextIOWrapper(file, self.encoding, errors="surrogateescape", newline="")
            quoting: Any = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
            quote = self.quote or None
            reader = csv.reader(text, delimiter=self.separator, quotechar=quote, quoting=quoting)
            for number, cells in enumerate(reader):
                if number >= self.headers and len(cells) > self.key:
                    there = {x: y for x, y in self.terms.items() if x < len(cells)}
                    yield cells[self.key], {y: cells[x] or None for x, y in there.items()}
