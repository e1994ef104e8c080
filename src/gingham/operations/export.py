"""The catalogue as a table for other programs: a row a file, with its tags."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gingham.attributes.registry import Attributes
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.index.filters import UNKNOWN
from gingham.names import FILE_COLUMNS, SEPARATOR, tag_columns
from gingham.store.features import ImageId
from gingham.store.files import replace_file
from gingham.store.locations import Locations, is_missing

_ROWS = 10_000


@dataclass(frozen=True)
class ExportedFile:
    """A row of the table: a file, the id of its image, and its tags.

    Attributes
    ----------
    tags : attribute -> its values, their confidence, and the best guess where there is no value:
        then it is unknown.
    """

    image: str
    id: str
    tags: Mapping[str, tuple[Sequence[str], float | None, Sequence[str]]]


def export_table(
    file: Path, locations: Locations, attributes: Attributes, cutoff: Cutoff | None = None
) -> int:
    """Write image, id, and what each attribute says of it; see `Catalogue.export`."""
    tags: dict[str, dict[ImageId, tuple[list[str], float, list[str]]]] = {
        name: {
            i: (values, confidence, guess)
            for i, values, confidence, guess in attributes.predictions(name, cutoff=cutoff)
        }
        for name in attributes.used()
    }
    copies = {i: names for i, names in locations.image_files() if len(names) > 1}
    dead = {i: set(filter(is_missing, names)) for i, names in copies.items()}
    # A missing file says nothing that another file of the image does not.
    rows = (
        ExportedFile(name, i.hex(), {a: some[i] for a, some in tags.items() if i in some})
        for name, i in locations.file_ids()
        if i not in dead or name not in dead[i] or len(dead[i]) == len(copies[i])
    )
    return write_export(file, {name: attributes.kind(name) for name in tags}, rows)


def write_export(file: Path, kinds: Mapping[str, str], files: Iterable[ExportedFile]) -> int:
    """Write a table of files; return the number of rows.

    Parameters
    ----------
    file : `.parquet` or `.csv`.
    kinds : attribute -> its kind.
    files : taken once.

    Raises
    ------
    InputError
        See `Catalogue.export`.
    """
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(
            f"export to {file}: expected a name that ends in .parquet or .csv", path=file
        )
    if not file.parent.is_dir():
        raise InputError(
            f"export to {file}: there is no folder {file.parent}: make it first", path=file.parent
        )
    columns: dict[str, pa.DataType] = dict.fromkeys(FILE_COLUMNS, pa.string())
    for name, kind in kinds.items():
        value, confidence, guess = tag_columns(name)
        if hidden := {value, confidence, guess} & columns.keys():
            raise InputError(
                f"export to {file}: attribute {name!r} needs a column {min(hidden)!r}, which is "
                "there already; teach it under another name, and forget this one"
            )
        columns[value] = pa.list_(pa.string()) if kind == "multi" else pa.string()
        columns[confidence] = pa.float32()
        columns[guess] = columns[value]
    written = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal written
        for one in files:
            # A name that is not UTF-8 cannot stand in a table of text as it is.
            name = one.image.encode(errors="surrogateescape").decode(errors="backslashreplace")
            row: dict[str, Any] = {"image": name, "id": one.id}
            for attribute, (values, confidence, guess) in one.tags.items():
                multi = kinds[attribute] == "multi"
                said = (list(values) or [UNKNOWN]) if multi else (*values, UNKNOWN)[0]
                row |= dict(
                    zip(
                        tag_columns(attribute),
                        (
                            said,
                            confidence if values else None,
                            (list(guess) or None) if multi else next(iter(guess), None),
                        ),
                        strict=True,
                    )
                )
            written += 1
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
    return written
