"""Parquet as it is written: plain tables, also with points for Embedding Atlas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from gingham.formats.exported import Exported, ExportedFile

_ROWS = 10_000


def write(path: Path, exported: Exported) -> int:
    """Write a plain table."""
    return write_rows(path, exported.columns(), exported.rows())


def write_points(path: Path, exported: Exported) -> int:
    """Write a plain table with columns `x` and `y`, for `embedding-atlas FILE --x x --y y`."""
    points: list[tuple[float, float]] = []

    def noted() -> Iterator[ExportedFile]:
        for one in exported.files:
            points.append(one.point or (0.0, 0.0))
            yield one

    rows = Exported(exported.kinds, exported.given, noted()).rows()
    columns = exported.columns() | {"x": "number", "y": "number"}
    return write_rows(
        path, columns, (row | dict(zip("xy", points.pop(), strict=True)) for row in rows)
    )


def write_rows(path: Path, columns: dict[str, str], rows: Iterable[dict[str, Any]]) -> int:
    """Write rows, some thousand at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"text": pa.string(), "texts": pa.list_(pa.string()), "number": pa.float32()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    texts = [name for name, kind in columns.items() if kind == "text"]
    left, written = iter(rows), 0
    with pq.ParquetWriter(path, schema) as file:
        while batch := list(islice(left, _ROWS)):
            for row in batch:
                # A table that was joined may hold lists.
                row |= {x: "|".join(row[x]) for x in texts if isinstance(row.get(x), list)}
            file.write_table(pa.Table.from_pylist(batch, schema=schema))
            written += len(batch)
        if not written:
            file.write_table(schema.empty_table())
    return written
