"""Columns in batches, as Parquet and Arrow give them: text, numbers, lists, and images inside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gingham.formats.content import ImageInside, Row, check_names, heading, plain

_LONGEST_PATH = 4096


def columns_of(written: Sequence[str], wanted: Sequence[str] | None) -> dict[str, str]:
    """Give the columns that are wanted: how they are known by -> how they are written."""
    names = [heading(name) for name in written]
    check_names(names)
    there = zip(names, written, strict=True)
    return {name: own for name, own in there if wanted is None or name in wanted}


def classes_of(schema: Any) -> dict[str, list[str]]:
    """Give the names of numbered classes, as `datasets` writes them: column -> names."""
    info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = info.get("info", {}).get("features", {})
    return {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def rows_of(
    file: str,
    chosen: dict[str, str],
    batches: Iterable[Any],
    classes: Mapping[str, Sequence[str]],
) -> Iterator[Row]:
    """Give the rows of batches of one file; images inside it are named by it."""
    at = 0
    for batch in batches:
        cells = {
            name: [
                _cell(cell, f"{file}#{own}/{row}")
                for row, cell in enumerate(_values(batch.column(own), classes.get(own)), at)
            ]
            for name, own in chosen.items()
        }
        for number, row in enumerate(zip(*cells.values(), strict=True), at + 2):
            yield Row(number, dict(zip(cells, row, strict=True)))
        at += batch.num_rows


def _values(column: Any, classes: Sequence[str] | None) -> list[Any]:
    import pyarrow as pa

    if classes:
        # -1 and null: the class is not known.
        known = range(len(classes))
        return [classes[x] if x in known else None for x in column.to_pylist()]

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type) and column.type != pa.float64():
        import numpy as np

        # The shortest number that means the same, as 0.1.
        kind = np.dtype(column.type.to_pandas_dtype()).type
        return [None if value is None else float(str(kind(value))) for value in values]
    return values


def _cell(cell: Any, reference: str) -> Any:
    """Put a reference in the place of an image; a path may be bytes, too, but holds no zero."""
    if isinstance(cell, dict) and cell.keys() == {"bytes", "path"}:
        return cell["path"] if cell["bytes"] is None else ImageInside(reference)
    if isinstance(cell, bytes) and (len(cell) > _LONGEST_PATH or b"\0" in cell):
        return ImageInside(reference)
    return plain(cell)
