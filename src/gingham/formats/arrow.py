"""Arrow files, also with images inside, as `datasets` saves them to disk; memory is mapped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from gingham.errors import ImageError
from gingham.formats.columnar import classes_of, columns_of, rows_of
from gingham.formats.content import Content, heading


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read an Arrow file; an image inside is given as the path `TABLE.arrow#COLUMN/ROW`."""
    schema, batches = _opened(os.fspath(path), path.stat().st_mtime_ns)
    chosen = columns_of(schema.names, wanted)
    own = list(chosen.values())
    rows = rows_of(path.name, chosen, (x.select(own) for x in batches), classes_of(schema))
    return Content([heading(name) for name in schema.names], rows if chosen else iter(()))


def member(file: str, place: str) -> bytes:
    """Read the image in a cell, `COLUMN/ROW`."""
    column, _, row = place.rpartition("/")
    try:
        left = int(row)
        for batch in _opened(file, os.stat(file).st_mtime_ns)[1]:
            if left < batch.num_rows:
                cell = batch.column(column)[left].as_py()
                data: bytes = cell["bytes"] if isinstance(cell, dict) else cell
                return data
            left -= batch.num_rows
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ImageError(f"row {row} of {file} cannot be read: {error}") from None
    raise ImageError(f"{file} has no row {row} (counted from 0): the file has changed")


@lru_cache(maxsize=16)
def _opened(file: str, changed: int) -> tuple[Any, list[Any]]:
    """Give the schema and the batches of a file, be it a stream or one with random access."""
    import pyarrow as pa

    source = pa.memory_map(file)
    try:
        stream = pa.ipc.open_stream(source)
        return stream.schema, list(stream)
    except pa.ArrowInvalid:
        source.seek(0)
        reader = pa.ipc.open_file(source)
        return reader.schema, [reader.get_batch(n) for n in range(reader.num_record_batches)]
