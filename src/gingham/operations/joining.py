"""Tables of products joined with tags: a row an image, or a row a product."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from gingham.errors import InputError
from gingham.extract import absolute
from gingham.formats.content import heading
from gingham.formats.exported import ExportedFile, ExportedTag
from gingham.formats.members import digest
from gingham.image_cells import resolve
from gingham.names import FILE_COLUMNS
from gingham.tables import stream_table

_SIGN = 1 << 63  # SQLite's integers have a sign


def joined(
    table: Path, key: str, lookup: Callable[[str], ExportedFile | None]
) -> tuple[list[str], Iterator[ExportedFile]]:
    """Give the columns of a table, and its rows with the tags of their images, as it is read.

    Raises
    ------
    InputError
        If the table cannot be read, lacks the column, or, while it is read, has a bad row.
    """
    content = stream_table(table, None)
    for name in ("image", heading(key)):
        if name not in content.names:
            stream_table(table, [name])

    def rows() -> Iterator[ExportedFile]:
        for row in content.rows:
            if row.bad:
                raise InputError(f"table {table}, row {row.number}: {row.bad}: correct it")
            cells = {name: cell for name, cell in row.cells.items() if name not in FILE_COLUMNS}
            cell = row.cells["image"]
            name = absolute(resolve(cell, table.parent)) if cell else ""
            found = lookup(name) if name else None
            tags = found.tags if found else {}
            yield ExportedFile(name, found.id if found else "", tags, cells)

    return [name for name in content.names if name not in FILE_COLUMNS], rows()


def by_product(
    files: Iterable[ExportedFile], key: str, kinds: Mapping[str, str]
) -> Iterator[ExportedFile]:
    """Make one row of those that follow each other and have the same key.

    Raises
    ------
    InputError
        If rows of one key do not follow each other.
    """
    key = heading(key)
    # All products may not fit into memory: SQLite keeps them in a temporary file.
    with closing(sqlite3.connect("")) as seen:
        seen.execute("CREATE TABLE product (digest INTEGER PRIMARY KEY)")
        for product, rows in groupby(files, lambda one: str(one.cells.get(key) or "")):
            images = list(rows)
            if not product:
                continue
            try:
                seen.execute("INSERT INTO product VALUES (?)", (digest(product) - _SIGN,))
            except sqlite3.IntegrityError:
                raise InputError(
                    f"the rows of {key} {product!r} do not follow each other: sort the table by it"
                ) from None
            tags = {
                name: majority([one.tags[name] for one in images if name in one.tags], kind)
                for name, kind in kinds.items()
                if any(name in one.tags for one in images)
            }
            first = next((one for one in images if one.id), images[0])
            yield ExportedFile(first.image, first.id, tags, images[0].cells)


def majority(tags: Sequence[ExportedTag], kind: str) -> ExportedTag:
    """Give what most of some images show, each as much as it is sure.

    Of kind `single` the value with the most confidence in all, of kind `multi` those with half of
    it or more. The confidence is the value's share of the images that have an answer (of several
    values their mean); without an answer the first best guess counts. Images of which it says
    nothing count only where there are no others.
    """
    if tags and not any(tag.applies for tag in tags):
        return tags[0]
    tags = [tag for tag in tags if tag.applies]
    said: dict[str, float] = defaultdict(float)
    for tag in tags:
        for value in tag.values:
            said[value] += tag.confidence or 0.0
    answered = sum(bool(tag.values) for tag in tags)
    if not answered:
        return ExportedTag((), None, next((tag.guess for tag in tags if tag.guess), ()))
    if kind != "multi":
        best = max(said, key=said.__getitem__)
        return ExportedTag((best,), said[best] / answered)
    whole = sum(tag.confidence or 0.0 for tag in tags if tag.values)
    most = sorted((x for x in said if said[x] >= whole / 2), key=lambda x: -said[x])
    if not most:
        return ExportedTag((), None, tuple(sorted(said, key=lambda x: -said[x])))
    return ExportedTag(tuple(most), sum(said[x] for x in most) / len(most) / answered)
