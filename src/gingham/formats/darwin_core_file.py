"""The files of a Darwin Core archive: how `meta.xml` describes them, and their rows."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree


class DescribedFile:
    """A file of an archive, as `meta.xml` describes it.

    Parameters
    ----------
    described : the element `core` or `extension`.

    Attributes
    ----------
    is_core, row_type : whether it is the core, and what its rows are.
    terms : column -> its term.
    constant : term -> what it is in every row.
    """

    def __init__(self, described: ElementTree.Element) -> None:
        given = {x: _unescaped(value) for x, value in described.items()}
        self.is_core = described.tag.endswith("}core")
        self.row_type = given.get("rowType", "")
        encoding = given.get("encoding") or "UTF-8"
        self.encoding = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
        self.separator = given.get("fieldsTerminatedBy", ",")
        self.quote = given.get("fieldsEnclosedBy", '"')
        self.headers = int(given.get("ignoreHeaderLines") or 0)
        self.file = next(str(x.text) for x in described.iter() if x.tag.endswith("}location"))
        key = next(one for one in described if one.tag.endswith(("}id", "}coreid")))
        self.key = int(key.get("index", 0))
        fields = [x for x in described if x.tag.endswith("}field") and x.get("index")]
        self.terms = {int(x.get("index", 0)): x.get("term", "").rpartition("/")[2] for x in fields}

        constant = [x for x in described if x.get("default") and x.get("index") is None]
        self.constant = {x.get("term", "").rpartition("/")[2]: x.get("default") for x in constant}

    def rows(self, archive: zipfile.ZipFile) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the id of each row, and its cells by their terms."""
        with archive.open(self.file) as file:
            text = io.TextIOWrapper(file, self.encoding, errors="surrogateescape", newline="")
            quoting: Any = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
            quote = self.quote or None
            reader = csv.reader(text, delimiter=self.separator, quotechar=quote, quoting=quoting)
            for number, cells in enumerate(reader):
                if number >= self.headers and len(cells) > self.key:
                    there = {x: y for x, y in self.terms.items() if x < len(cells)}
                    found = {y: cells[x] or None for x, y in there.items()}
                    yield cells[self.key], self.constant | found


def _unescaped(text: str) -> str:
    """Read a tab, or another sign, that is written with a backslash."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")
