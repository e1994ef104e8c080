"""Images that the cells of a table name or hold: where a path leads, and bytes inside Parquet."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Self

from gingham.errors import ImageError, InputError

_SCHEME = re.compile(r"(?:^|/)([A-Za-z][A-Za-z0-9+.-]+):/")
_DRIVE = re.compile(r"(?:^|/)[A-Za-z]:[\\/]|^\\\\")
_lock = Lock()


class Unfound(str):
    """A path in a table that leads to no file; `reason` says where it was looked for."""

    reason: str

    @classmethod
    def of(cls, name: str, reason: str) -> Self:
        """Make one."""
        made = cls(name)
        made.reason = reason
        return made


def resolve(image: Any, folder: Path) -> str:
    """Find the file that a cell of a table in `folder` means: relative to it, or to here.

    Spaces around a path are left out where there is no file with them.

    Raises
    ------
    InputError
        If the cell is not text.
    """
    if not isinstance(image, str):
        raise InputError(f"the image is {type(image).__name__}, not a path")
    if not image.strip():
        return Unfound.of("", "no image is named")
    tried = []
    for name in dict.fromkeys((image, image.strip())):
        tried = [os.path.join(folder, name), name]
        for path in tried:
            if os.path.lexists(path):
                return path
    if foreign := _foreign(name):
        return Unfound.of(name, foreign)
    beside = os.path.abspath(tried[0])
    return Unfound.of(
        beside,
        "no such file: "
        + (
            f"{name}: check the path"
            if Path(name).is_absolute()
            else f"{beside} (relative to the table), nor {os.path.abspath(name)} "
            "(relative to the working folder)"
        ),
    )


def why_missing(path: str | os.PathLike[str]) -> str:
    """Say why there is no file of that path, and which path was tried."""
    name = os.fspath(path)
    if isinstance(name, Unfound):
        return name.reason
    if reason := _foreign(name):
        return reason
    if Path(name).is_absolute():
        return "no such file: check the path"
    return f"no such file: {os.path.abspath(name)} (relative to the working folder)"


def _foreign(name: str) -> str | None:
    """Say why a path cannot be one here."""
    if found := _SCHEME.search(name):
        return f"a URL ({found[1]}:), which is not read: download the image, and give its path"
    if os.name != "nt" and _DRIVE.search(name):
        return "a path of Windows, and this system is another: give the path that it has here"
    return None


def read_embedded(reference: str) -> bytes | None:
    """Read an image inside a Parquet file; None if a path is not `TABLE.parquet#COLUMN/ROW`.

    Raises
    ------
    ImageError
        If the file has no such cell any more.
    """
    table, _, place = reference.rpartition("#")
    column, _, row = place.rpartition("/")
    if not (column and row.isdecimal() and table.lower().endswith(".parquet")):
        return None
    try:
        # Threads ask for neighbouring rows: one reads the row group for all.
        with _lock:
            changed, left = os.stat(table).st_mtime_ns, int(row)
            for group, size in enumerate(_group_sizes(table, changed)):
                if left < size:
                    cell = _group_cells(table, changed, column, group)[left].as_py()
                    data: bytes = cell["bytes"] if isinstance(cell, dict) else cell
                    return data
                left -= size
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ImageError(f"row {row} of {table} cannot be read: {error}") from None
    raise ImageError(f"{table} has no row {row} (counted from 0): the file has changed")


@lru_cache(maxsize=16)
def _group_sizes(table: str, changed: int) -> list[int]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(table)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


@lru_cache(maxsize=2)
def _group_cells(table: str, changed: int, column: str, group: int) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as file:
        return file.read_row_group(group, columns=[column])[column]
