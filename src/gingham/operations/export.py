"""The catalogue as a table for other programs: a row a file, with its tags."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gingham.attributes.registry import Attributes
from gingham.errors import InputError
from gingham.index.filters import UNKNOWN
from gingham.names import FILE_COLUMNS, SEPARATOR, tag_columns
from gingham.store.features import ImageId
from gingham.store.files import replace_file
from gingham.store.locations import Locations, is_missing

_ROWS = 10_000


def export_table(file: Path, locations: Locations, attributes: Attributes) -> int:
    """Write image, id, and value and confidence of each attribute; see `Catalogue.export`."""
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(
            f"export to {file}: expected a name that ends in .parquet or .csv", path=file
        )
    if not file.parent.is_dir():
        raise InputError(
            f"export to {file}: there is no folder {file.parent}: make it first", path=file.parent
        )
    tags: dict[str, dict[ImageId, tuple[list[str], float]]] = {
        name: {i: (values, c) for i, values, c in attributes.predictions(name)}
        for name in attributes.answering()
    }
    columns: dict[str, pa.DataType] = dict.fromkeys(FILE_COLUMNS, pa.string())
    for name in tags:
        multi = attributes.kind(name) == "multi"
        value, confidence = tag_columns(name)
        if hidden := {value, confidence} & columns.keys():
            raise InputError(
                f"export to {file}: attribute {name!r} needs a column {min(hidden)!r}, which is "
                "there already; teach it under another name, and forget this one"
            )
        columns[value] = pa.list_(pa.string()) if multi else pa.string()
        columns[confidence] = pa.float32()

    copies = {i: names for i, names in locations.image_files() if len(names) > 1}
    dead = {i: set(filter(is_missing, names)) for i, names in copies.items()}
    # A missing file says nothing that another file of the image does not.
    files = [
        (name, i)
        for name, i in locations.file_ids()
        if i not in dead or name not in dead[i] or len(dead[i]) == len(copies[i])
    ]

    def rows() -> Iterator[dict[str, Any]]:
        for image, image_id in files:
            # A name that is not UTF-8 cannot stand in a table of text as it is.
            name = image.encode(errors="surrogateescape").decode(errors="backslashreplace")
            row: dict[str, Any] = {"image": name, "id": image_id.hex()}
            for attribute, answers in tags.items():
                if image_id in answers:
                    values, confidence = answers[image_id]
                    multi = attributes.kind(attribute) == "multi"
                    said = (values or [UNKNOWN]) if multi else (values or [UNKNOWN])[0]
                    row |= dict(zip(tag_columns(attribute), (said, confidence), strict=True))
            yield row

    def write(path: Path) -> None:
        if file.suffix.lower() == ".csv":
            with path.open("w", newline="", encoding="utf-8") as out:
                writer = csv.DictWriter(out, list(columns))
                writer.writeheader()
                for row in rows():
                    writer.writerow(
                        {k: SEPARATOR.join(v) if isinstance(v, list) else v for k, v in row.items()}
                    )
            return
        schema = pa.schema(list(columns.items()))
        with pq.ParquetWriter(path, schema) as parquet:
            batch = []
            for row in rows():
                batch.append(row)
                if len(batch) == _ROWS:
                    parquet.write_table(pa.Table.from_pylist(batch, schema=schema))
                    batch.clear()
            parquet.write_table(pa.Table.from_pylist(batch, schema=schema))

    replace_file(file, write)
    return len(files)
