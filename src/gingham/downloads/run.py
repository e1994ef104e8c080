"""A table that names images by URL -> a folder of images, and the table with their paths."""

from __future__ import annotations

import csv
import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gingham.downloads.addresses import Address, is_public
from gingham.downloads.fetch import DownloadLimits, Fetcher, is_url
from gingham.errors import ImageError, InputError
from gingham.extract import in_order
from gingham.formats.content import Row, heading
from gingham.image_cells import resolve
from gingham.names import SEPARATOR
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import BadRow, Failure, Result
from gingham.store.files import TEMPORARY_PREFIX, refusals, replace_file
from gingham.tables import settle, stream_table

TABLE, NOTES = "images.csv", ".downloads.sqlite"
_WORKERS = 8
_LEFT = 3600.0
"""Seconds without a byte after which a file is what a killed run left."""
_SUFFIXES = frozenset({".avif", ".gif", ".heic", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".webp"})


@dataclass(frozen=True)
class DownloadResult(Result):
    """What `download` did.

    Attributes
    ----------
    table : the table it wrote: every row that has its image, with all columns, and `url`.
    fetched, unchanged, failed : how many rows; unchanged files were there already.
    failures : the URLs that could not be fetched, and why.
    bad_rows : rows of the table that cannot be used.
    """

    table: str
    fetched: int
    unchanged: int
    failed: int
    failures: tuple[Failure, ...]
    bad_rows: tuple[BadRow, ...] = ()


def download(
    source: Path,
    out: Path,
    *,
    image_column: str = "image",
    limits: DownloadLimits | None = None,
    refresh: bool = False,
    allow_private_addresses: bool = False,
    skip_bad_rows: bool = False,
    options: ReadOptions = DEFAULTS,
) -> DownloadResult:
    """Fetch the images that a table names by URL; run again, it goes on where it was.

    Files that are there are kept; with `refresh` servers are asked whether they have newer ones.

    Parameters
    ----------
    source : a table of any format of `gingham.formats`.
    out : the folder, which may be there.
    image_column : the column of URLs; paths in it are left as they are.
    limits : what a file may take.
    refresh : see above.
    allow_private_addresses : also fetch from this machine and from private networks.
    skip_bad_rows : leave out rows that cannot be read.
    options : its progress is told of each row.

    Raises
    ------
    InputError
        If the table cannot be read, or has bad rows that are not skipped.
    """
    content = stream_table(source, None)
    column = heading(image_column)
    if column not in content.names:
        stream_table(source, [image_column])
    names = ["image", "url", *(x for x in content.names if x not in (column, "image", "url"))]
    limits = limits or DownloadLimits()
    with refusals(out):
        out.mkdir(parents=True, exist_ok=True)
        _clear_up(out)
    fetcher = Fetcher(out / NOTES, limits, _anywhere if allow_private_addresses else is_public)
    locks = [threading.Lock() for _ in range(64)]
    failures: list[Failure] = []
    bad: dict[int, str] = {}
    counts = {True: 0, False: 0}

    def fetch(row: Row) -> tuple[Row, str, bool, str | None]:
        cell = row.cells.get(column)
        if row.bad or not isinstance(cell, str) or not is_url(cell):
            return row, "", False, None
        url = cell.strip()
        place = _place(url)
        with locks[hash(url) % len(locks)]:
            if (out / place).exists() and not refresh:
                return row, place, False, None
            try:
                (out / place).parent.mkdir(parents=True, exist_ok=True)
                return row, place, fetcher.fetch(url, out / place), None
            except ImageError as error:
                return row, place, False, str(error)

    def rows() -> Iterator[dict[str, Any]]:
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="download") as pool:
            done = in_order(pool, fetch, content.rows, window=4 * _WORKERS)
            for number, (row, place, new, reason) in enumerate(done, 1):
                options.progress("download", number, number)
                cell = row.cells.get(column)
                if row.bad:
                    bad[row.number] = row.bad
                    continue
                if reason is not None:
                    failures.append(Failure(str(cell).strip(), reason))
                if place and (reason is None or (out / place).exists()):
                    counts[new] += 1
                    yield _flat(row.cells | {"image": place, "url": str(cell).strip()})
                elif cell and not place:
                    try:
                        yield _flat(row.cells | {"image": resolve(cell, source.parent)})
                    except InputError as error:
                        bad[row.number] = str(error)

    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows())
        settle(source, bad, skip_bad_rows)

    try:
        replace_file(out / TABLE, write)
    finally:
        fetcher.close()
    found = settle(source, bad, skip_bad_rows)
    listed = tuple(failures)
    return DownloadResult(str(out / TABLE), counts[True], counts[False], len(listed), listed, found)


def _anywhere(address: Address) -> bool:
    return True


def _place(url: str) -> str:
    """Name the file of a URL; the same each time, so that what is there is not fetched again."""
    name = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()
    suffix = Path(url.partition("?")[0]).suffix.lower()
    return f"images/{name[:2]}/{name[:32]}{suffix if suffix in _SUFFIXES else ''}"


def _flat(cells: dict[str, Any]) -> dict[str, Any]:
    return {x: SEPARATOR.join(map(str, y)) if isinstance(y, list) else y for x, y in cells.items()}


def _clear_up(out: Path) -> None:
    """Delete what killed runs were writing; others may write there now."""
    for path in out.rglob(f"{TEMPORARY_PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _LEFT:
                path.unlink()
