"""Tables on disk: CSV and Parquet files."""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gingham.errors import InputError
from gingham.names import composed, did_you_mean
from gingham.results import BadRow

TABLE_SUFFIXES = (".csv", ".parquet")
SEPARATORS = (",", ";", "\t")
"""Between the columns of a CSV: the first of them that the header holds."""
MOST_LISTED = 20
"""So many bad rows are named in one message."""

_LONGEST_PATH = 4096
_EXACT = 2**53  # no whole number below it is rounded as it becomes a float
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?(?:\r\n?|\n)', re.IGNORECASE)


class ImageInside(str):
    """Says where an image inside a table is: `TABLE.parquet#COLUMN/ROW`."""


@dataclass(frozen=True)
class Table:
    """What stands in a file; every row of it is here, also a bad one.

    Attributes
    ----------
    path : of the file.
    names : of the columns.
    rows : column -> cell: text, None, or a list of these; a structure as it is.
    numbers : of the rows, as a spreadsheet shows them: the header is row 1.
    bad : number of a row -> why it cannot be read.
    """

    path: Path
    names: list[str]
    rows: list[dict[str, Any]]
    numbers: list[int]
    bad: dict[int, str]

    def good(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Give number and cells of the rows that can be read."""
        for number, row in zip(self.numbers, self.rows, strict=True):
            if number not in self.bad:
                yield number, row

    def check_columns(self, wanted: Iterable[str]) -> None:
        """Refuse a table that lacks one of the columns; the message lists those it has."""
        if missing := [name for name in wanted if name not in self.names]:
            there = ", ".join(self.names) or "none: it is empty"
            hint = did_you_mean(missing[0], self.names)
            raise InputError(
                f"table {self.path} has no column {missing[0]!r}; it has {there}{hint}",
                path=self.path,
            )

    def settle(self, bad: Mapping[int, str], skip: bool | None) -> tuple[BadRow, ...]:
        """Give the rows that cannot be read or used, or refuse all of them at once.

        Parameters
        ----------
        bad : number of a row -> why it cannot be used, besides those of the table.
        skip : leave them out; None: the caller has no such option.
        """
        why = {**bad, **self.bad}
        found = tuple(BadRow(str(self.path), number, why[number]) for number in sorted(why))
        if found and not skip:
            listed = "; ".join(f"row {one.row}: {one.reason}" for one in found[:MOST_LISTED])
            more = f"; and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
            hint = ", or leave them out with --skip-bad-rows" if skip is not None else ""
            raise InputError(
                f"table {self.path} has {len(found)} bad row{'s'[: len(found) > 1]} (the header is "
                f"row 1): {listed}{more}: correct them{hint}",
                path=self.path,
            )
        return found


def columns(path: Path) -> list[str]:
    """List the columns of a `.csv` or `.parquet` file.

    Raises
    ------
    InputError
        If the file is missing or unreadable, or names two columns alike.
    """
    return _read(path, []).names


def read_table(path: Path, wanted: Sequence[str] | None) -> Table:
    """Read columns (None: all) of a `.csv` or `.parquet` file.

    The same table gives the same cells from either: a number is the text that a spreadsheet shows
    (2011, whatever its type), a truth `true` or `false`, a day `2024-05-01`; what is missing is
    None. Names of columns are composed (NFC), with single spaces. A CSV is UTF-8, or UTF-16 with
    its mark, its columns separated by commas, by the `;` or tabs of its header, or as a first line
    `sep=|` says.

    An image inside a Parquet file (a cell of bytes, or a structure `{bytes, path}`) is given as
    the path `TABLE.parquet#COLUMN/ROW`, beside the table as every path in it;
    `image_cells.read_embedded` reads it, and it is not held in memory.

    Raises
    ------
    InputError
        If the file is missing or unreadable, names two columns alike, has no rows, or lacks a
        column; the message lists those it has.
    """
    asked = None if wanted is None else [heading(name) for name in wanted]
    table = _read(path, asked)
    if asked is None:
        return _not_empty(table)
    table.check_columns(asked)
    for name, own in zip(wanted or (), asked, strict=True):
        if name != own:  # the caller's name for the column
            for row in table.rows:
                row[name] = row[own]
    return _not_empty(table)


def _not_empty(table: Table) -> Table:
    if table.names and not table.rows:
        raise InputError(
            f"table {table.path} has a header and no rows: give one with a row for each image",
            path=table.path,
        )
    return table


def heading(name: str) -> str:
    """Write the name of a column as it is known by: composed, with single spaces."""
    return composed(" ".join(name.split()))


def _read(path: Path, wanted: Sequence[str] | None) -> Table:
    if not path.is_file():
        raise InputError(f"table {path} does not exist: check the path", path=path)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise InputError(f"table {path}: expected a .csv or .parquet file", path=path)
    try:
        is_parquet = path.suffix.lower() == ".parquet"
        return _read_parquet(path, wanted) if is_parquet else _read_csv(path)
    except (OSError, csv.Error, ValueError, KeyError, NotImplementedError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"table {path} cannot be read: {reason}", path=path) from None


def _check_names(names: Sequence[str]) -> None:
    """Refuse a column that another one hides."""
    if twice := [name for name in names if name and list(names).count(name) > 1]:
        raise ValueError(f"two of its columns are called {twice[0]!r}: rename one")


def _read_csv(path: Path) -> Table:
    text, separator = _without_mark(_decode(path.read_bytes()))
    # A space after a separator must not hide the quotes that follow it.
    spaces = separator != "\t"
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=spaces)
    table = Table(path, [], [], [], {})
    number = 0
    while True:
        number, start = number + 1, reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return table
        except csv.Error as error:
            # What stands in the lines between would get lost.
            if not table.names or reader.line_num > start:
                raise ValueError(
                    f"row {number} (the header is row 1), lines {start} to {reader.line_num}: a "
                    f"quote is not closed where a cell ends ({error}): write quotes inside a "
                    "cell twice"
                ) from None
            cells = []
            table.bad[number] = (
                f"a cell holds more than {csv.field_size_limit()} characters: shorten it"
                if "field limit" in str(error)
                else f"quotes inside a cell ({error}): write them twice"
            )
        names = table.names
        if not names:
            names += map(heading, cells)
            if any("\ud800" <= c <= "\udfff" for name in names for c in name):
                raise ValueError("the names of its columns are not UTF-8: save the file as UTF-8")
            _check_names(names)
        elif cells or number in table.bad:
            if any(cell.strip() for cell in cells[len(names) :]):
                table.bad[number] = (
                    f"{len(cells)} cells for {len(names)} columns: put quotes around a cell that "
                    f"holds {separator!r}"
                )
            padded = [*cells, *[None] * (len(names) - len(cells))]
            table.rows.append(dict(zip(names, padded, strict=False)))
            table.numbers.append(number)


def _decode(data: bytes) -> str:
    """Read text; bytes of a path that are not UTF-8 stay as they are."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    text = data.decode("utf-8-sig", errors="surrogateescape")
    if "\0" in text[:4096]:
        raise ValueError(
            "not a text file in UTF-8, or in UTF-16 with its mark: save it as UTF-8 CSV"
        )
    return text


def _without_mark(text: str) -> tuple[str, str]:
    """Give a CSV without the line `sep=;` that tells Excel the separator, and the separator."""
    if found := _SEPARATOR_LINE.match(text):
        return text[found.end() :], found[1]
    return text, _separator(text)


def _separator(text: str) -> str:
    for separator in SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        if len(next((cells for cells in reader if cells), [])) > 1:
            return separator
    return SEPARATORS[0]


def _read_parquet(path: Path, wanted: Sequence[str] | None) -> Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        written = [str(name) for name in file.schema_arrow.names]
        names = [heading(name) for name in written]
        _check_names(names)
        chosen = {
            name: own
            for name, own in zip(names, written, strict=True)
            if wanted is None or name in wanted
        }
        rows: list[dict[str, Any]] = []
        # A file of which no column is wanted has no rows.
        for group in range(file.num_row_groups if chosen else 0):
            read = file.read_row_group(group, columns=list(chosen.values()))
            at = len(rows)
            cells = {
                name: [
                    _cell(x, f"{path.name}#{own}/{at + i}")
                    for i, x in enumerate(_values(read.column(own)))
                ]
                for name, own in chosen.items()
            }
            rows += (
                dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)
            )
    return Table(path, names, rows, list(range(2, len(rows) + 2)), {})


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

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


def plain(cell: Any) -> Any:
    """Write a cell as text, as None where it holds nothing, or as a list of these."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, (list, tuple)):
        return [plain(part) for part in cell]
    if cell is None or isinstance(cell, (str, dict)):
        return cell
    if isinstance(cell, bytes):
        return os.fsdecode(cell)
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if cell != cell:
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) <= _EXACT:
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ").removesuffix(" 00:00:00")
    return str(cell)
