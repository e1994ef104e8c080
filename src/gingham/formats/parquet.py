"""Parquet, also with images inside, as Hugging Face's datasets write them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from gingham.errors import ImageError
from gingham.formats.columnar import classes_of, columns_of, rows_of
from gingham.formats.content import Content, heading

_BATCH, _BATCH_OF_IMAGES = 5000, 50
_lock = Lock()


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read a Parquet file; an image inside is given as the path `TABLE.parquet#COLUMN/ROW`.

    Such a cell is bytes, or a structure `{bytes, path}`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    chosen = columns_of(schema.names, wanted)
    kinds = [schema.field(own).type for own in chosen.values()]
    large = any(map(pa.types.is_nested, kinds)) or any(map(pa.types.is_binary, kinds))

    def batches() -> Iterator[Any]:
        with pq.ParquetFile(path) as file:
            size = _BATCH_OF_IMAGES if large else _BATCH
            yield from file.iter_batches(size, columns=list(chosen.values()))

    # A file of which no column is wanted has no rows.
    rows = rows_of(path.name, chosen, batches(), classes_of(schema)) if chosen else iter(())
    return Content([heading(name) for name in schema.names], rows)


def member(table: str, place: str) -> bytes:
    """Read the image in a cell, `COLUMN/ROW`."""
    column, _, row = place.rpartition("/")
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
