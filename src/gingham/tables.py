"""Tables on disk, of whatever format: a header, and rows of cells."""

from __future__ import annotations

import csv
import itertools
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gingham.errors import InputError
from gingham.formats.content import Content, Row, heading
from gingham.formats.table import FORMATS, recognised
from gingham.names import did_you_mean
from gingham.results import BadRow

MOST_LISTED = 20
"""So many bad rows are named in one message."""

_UNREADABLE = (
    # RuntimeError: encrypted members of archives, and what is nested too deeply.
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, EOFError),
    *(OverflowError, csv.Error, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class Table:
    """What stands in a file; every row of it is here, also a bad one.

    Attributes
    ----------
    path : of the file.
    names : of the columns.
    rows, numbers : see `gingham.formats.content.Row`.
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
        _check_columns(self.path, self.names, wanted)

    def settle(self, bad: Mapping[int, str], skip: bool | None) -> tuple[BadRow, ...]:
        """Give the rows that cannot be read or used, or refuse all of them; see `settle`."""
        return settle(self.path, {**bad, **self.bad}, skip)


def settle(path: Path, why: Mapping[int, str], skip: bool | None) -> tuple[BadRow, ...]:
    """Give the rows of a table that cannot be used, or refuse all of them at once.

    Parameters
    ----------
    path : of the table.
    why : number of a row -> why it cannot be used.
    skip : leave them out; None: the caller has no such option.
    """
    found = tuple(BadRow(str(path), number, why[number]) for number in sorted(why))
    if found and not skip:
        listed = "; ".join(f"row {one.row}: {one.reason}" for one in found[:MOST_LISTED])
        more = f"; and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
        hint = ", or leave them out with --skip-bad-rows" if skip is not None else ""
        raise InputError(
            f"table {path} has {len(found)} bad row{'s'[: len(found) > 1]} (the header is "
            f"row 1): {listed}{more}: correct them{hint}",
            path=path,
        )
    return found


def columns(path: Path) -> list[str]:
    """List the columns of a table.

    Raises
    ------
    InputError
        If the file is missing or unreadable, or names two columns alike.
    """
    return _content(path, []).names


def read_table(path: Path, wanted: Sequence[str] | None, *, empty: bool = False) -> Table:
    """Read columns (None: all) of a table; see `stream_table`."""
    content = stream_table(path, wanted, empty=empty)
    table = Table(path, content.names, [], [], {})
    for row in content.rows:
        table.rows.append(row.cells)
        table.numbers.append(row.number)
        if row.bad:
            table.bad[row.number] = row.bad
    return table


def stream_table(path: Path, wanted: Sequence[str] | None, *, empty: bool = False) -> Content:
    """Read columns (None: all) of a table, of any of `gingham.formats.table.FORMATS`.

    The same table gives the same cells from every format: a number is the text that a spreadsheet
    shows (2011, whatever its type), a truth `true` or `false`, a day `2024-05-01`; what is missing
    is None. Names of columns are composed (NFC), with single spaces. A CSV is UTF-8, or UTF-16 with
    its mark, its columns separated by commas, by the `;` or tabs of its header, or as a first line
    `sep=|` says.

    An image inside a file (a cell of bytes, or a structure `{bytes, path}`) is given as the path
    `TABLE.parquet#COLUMN/ROW`, beside the table as every path in it; `images.read_file` reads it,
    and it is not held in memory. With `empty` a table may have a header and no rows.

    Raises
    ------
    InputError
        If the file is missing or unreadable, names two columns alike, has no rows, or lacks a
        column; the message lists those it has. Of what stands below, while it is read.
    """
    asked = None if wanted is None else [heading(name) for name in wanted]
    content = _content(path, asked)
    if asked is not None:
        _check_columns(path, content.names, asked)
    rows = _guarded(path, content.rows)
    first = next(rows, None)
    if content.names and first is None and not empty:
        raise InputError(
            f"table {path} has a header and no rows: give one with a row for each image", path=path
        )
    rows = itertools.chain([] if first is None else [first], rows)
    renamed = {name: heading(name) for name in wanted or () if name != heading(name)}
    if renamed:  # the caller's name for the column
        rows = _with_names(rows, renamed)
    return Content(content.names, rows)


def _with_names(rows: Iterable[Row], renamed: Mapping[str, str]) -> Iterator[Row]:
    for row in rows:
        for name, own in renamed.items():
            row.cells[name] = row.cells[own]
        yield row


def _check_columns(path: Path, names: Sequence[str], wanted: Iterable[str]) -> None:
    if missing := [name for name in wanted if name not in names]:
        there = ", ".join(names) or "none: it is empty"
        hint = did_you_mean(missing[0], names)
        raise InputError(
            f"table {path} has no column {missing[0]!r}; it has {there}{hint}", path=path
        )


def _content(path: Path, wanted: Sequence[str] | None) -> Content:
    if not path.exists():
        raise InputError(f"table {path} does not exist: check the path", path=path)
    with _refusals(path):
        found = recognised(path)
        if found and found.read:
            return found.read(path, wanted)
    known = ", ".join(one.name for one in FORMATS if one.read)
    raise InputError(f"table {path} has no format that is read: expected {known}", path=path)


def _guarded(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    with _refusals(path):
        yield from rows


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, KeyError):
            reason = f"it lacks {reason}"
        elif isinstance(error, TypeError | AttributeError):
            reason = f"it is not built as its format asks ({reason})"
        raise InputError(f"table {path} cannot be read: {reason}", path=path) from None
