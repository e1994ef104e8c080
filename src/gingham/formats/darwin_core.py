"""Darwin Core archives: media of the multimedia extension, each with its occurrence or taxon."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from xml.etree import ElementTree

from gingham.formats.content import Content, ImageInside, Row
from gingham.formats.darwin_core_file import DescribedFile
from gingham.formats.format import called

_META, _MOST_META = "meta.xml", 1 << 20
_MEDIA = ("/Multimedia", "/Image", "/SimpleMultimedia")
_IMAGE = ("identifier", "accessURI", "associatedMedia", "goodQualityAccessURI")


def recognised(path: Path) -> bool:
    """Say whether a zip archive describes itself as Darwin Core archives do."""
    # What cannot be opened is refused as a zip archive.
    with suppress(OSError, zipfile.BadZipFile):
        if called(".zip")(path):
            with zipfile.ZipFile(path) as archive:
                return _META in archive.namelist()
    return False


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read a row a medium: `image`, the terms of the core, and those of the medium that it lacks.

    Where there is no extension of media, the images are the core's `associatedMedia`.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(_META).file_size > _MOST_META:
            raise ValueError(f"{_META} is larger than {_MOST_META} bytes: it is no description")
        try:
            described = ElementTree.fromstring(archive.read(_META))  # noqa: S314  (expat has limits)
            parts = [
                DescribedFile(one) for one in described if one.tag.endswith(("}core", "}extension"))
            ]
            core = next(one for one in parts if one.is_core)
        except (ElementTree.ParseError, StopIteration):
            raise ValueError(f"its {_META} describes no archive") from None
        except (OSError, zipfile.BadZipFile):
            raise ValueError("the archive is damaged: copy it again") from None
        inside = frozenset(archive.namelist())
    media = next((one for one in parts if not one.is_core and one.row_type.endswith(_MEDIA)), None)
    source = media or core
    address = next((name for name in _IMAGE if name in source.terms.values()), None)
    if address is None:
        raise ValueError("it has no column of media (identifier, accessURI, associatedMedia)")
    both = (name for one in (core, source) for name in (*one.terms.values(), *one.constant))
    names = [*dict.fromkeys(both)]

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
