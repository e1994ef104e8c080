"""Tables on disk: CSV and Parquet files, and the images inside a Parquet file."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from gingham.errors import ImageError, InputError

TABLE_SUFFIXES = (".csv", ".parquet")

_LONGEST_PATH = 4096
_lock = Lock()


def columns(path: Path) -> list[str]:
    """List the columns of a `.csv` or `.parquet` file.

    Raises
    ------
    InputError
        If the file is missing or unreadable, or names two columns alike.
    """
    return _read(path, [])[0]


def read_table(path: Path, wanted: Sequence[str] | None) -> list[dict[str, Any]]:
    """Read columns (None: all) of a `.csv` or `.parquet` file; cells of a CSV are strings.

    An image inside a Parquet file (a cell of bytes, or a structure `{bytes, path}`) is given as
    the path `TABLE.parquet#COLUMN/ROW`, beside the table as every path in it; `read_embedded`
    reads it, and it is not held in memory.

    Raises
    ------
    InputError
        If the file is missing or unreadable, names two columns alike, has a row with more cells
        than columns, or lacks a column; the message lists those it has.
    """
    names, rows = _read(path, wanted)
    if wanted is None:
        return rows
    if missing := [name for name in wanted if name not in names]:
        hint = ""
        if len(names) == 1 and (other := [c for c in (";", "\t") if c in names[0]]):
            hint = f": columns are separated by {other[0]!r}; save the file with commas"
        raise InputError(
            f"table {path} has no column {missing[0]!r}; it has {', '.join(map(str, names))}{hint}"
        )
    return [{name: row.get(name) for name in wanted} for row in rows]


def _read(path: Path, wanted: Sequence[str] | None) -> tuple[list[str], list[dict[str, Any]]]:
    if not path.is_file():
        raise InputError(f"table {path} does not exist: check the path")
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise InputError(f"table {path}: expected a .csv or .parquet file")
    try:
        is_parquet = path.suffix.lower() == ".parquet"
        return _read_parquet(path, wanted) if is_parquet else _read_csv(path)
    except (OSError, csv.Error, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"table {path} cannot be read: {reason}") from None


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        if "\0" in file.read(4096):
            raise ValueError("not a text file: save it as UTF-8 CSV")
        file.seek(0)
        reader = csv.DictReader(file)
        names, rows = list(reader.fieldnames or []), list(reader)
    _check_names(names)
    for number, row in enumerate(rows, 1):
        # The reader files surplus cells under None: they would get lost; empty ones hold nothing.
        if any(surplus := row.pop(None, ())):
            raise ValueError(
                f"row {number} below the header has {len(names) + len(surplus)} cells for "
                f"{len(names)} columns: put quotes around a cell that holds a comma"
            )
    return names, rows


def _read_parquet(
    path: Path, wanted: Sequence[str] | None
) -> tuple[list[str], list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    with pq.ParquetFile(path) as file:
        names = [str(name) for name in file.schema_arrow.names]
        _check_names(names)
        chosen = None if wanted is None else [name for name in names if name in wanted]
        for group in range(file.num_row_groups):
            for cells in file.read_row_group(group, columns=chosen).to_pylist():
                # Beside the table, as every path in it.
                at = len(rows)
                rows.append({k: _cell(x, f"{path.name}#{k}/{at}") for k, x in cells.items()})
    return names, rows


def _cell(cell: Any, reference: str) -> Any:
    """Put a reference in the place of an image; a path may be bytes, too, but holds no zero."""
    if isinstance(cell, dict) and cell.keys() == {"bytes", "path"}:
        return cell["path"] if cell["bytes"] is None else reference
    if isinstance(cell, bytes) and (len(cell) > _LONGEST_PATH or b"\0" in cell):
        return reference
    return cell


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


def _check_names(names: Sequence[str]) -> None:
    """Refuse a column that another one hides."""
    if twice := [name for name in names if name and list(names).count(name) > 1]:
        raise ValueError(f"two of its columns are called {twice[0]!r}: rename one")


def resolve(image: Any, folder: Path) -> str:
    """Find the file that a cell of a table in `folder` means: relative to it, or to here."""
    name = os.fsdecode(image) if isinstance(image, bytes) else str(image or "")
    beside = os.path.join(folder, name)
    if not os.path.lexists(beside) and os.path.lexists(name):
        return name
    return beside
