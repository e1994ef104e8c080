"""CSV, as spreadsheets of many countries write it."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from gingham.formats.content import Content, Row, check_names, heading
from gingham.formats.format import called

SEPARATORS = (",", ";", "\t")
"""Between the columns of a CSV: the first of them that the header holds."""

_HEAD = 1 << 16
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?(?:\r\n?|\n)', re.IGNORECASE)


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read a CSV in UTF-8, or in UTF-16 with its mark; bytes of a path that are neither stay."""
    names: list[str] = []
    rows = _rows(path, names)
    first = next(rows, None)
    return Content(names, iter(()) if first is None else itertools.chain([first], rows))


def _rows(path: Path, names: list[str]) -> Iterator[Row]:
    """Give the rows below the header; `names` is filled before the first."""
    with path.open("rb") as file:
        wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding, errors = ("utf-16", "strict") if wide else ("utf-8-sig", "surrogateescape")
    with path.open(encoding=encoding, errors=errors, newline="") as lines:
        head = lines.read(_HEAD)
        if not wide and "\0" in head[:4096]:
            raise ValueError(
                "not a text file in UTF-8, or in UTF-16 with its mark: save it as UTF-8 CSV"
            )
        lines.seek(0)
        # So that Excel knows the separator, some begin with a line that names it.
        if marked := _SEPARATOR_LINE.match(head):
            lines.readline()
        separator = marked[1] if marked else _separator(head)
        # A space after a separator must not hide the quotes that follow it.
        spaces = separator != "\t"
        reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=spaces)
        for number in itertools.count(1):
            start, bad = reader.line_num + 1, None
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                # What stands in the lines between would get lost.
                if not names or reader.line_num > start:
                    raise ValueError(
                        f"row {number} (the header is row 1), lines {start} to {reader.line_num}: "
                        f"a quote is not closed where a cell ends ({error}): write quotes inside "
                        "a cell twice"
                    ) from None
                cells = []
                bad = (
                    f"a cell holds more than {csv.field_size_limit()} characters: shorten it"
                    if "field limit" in str(error)
                    else f"quotes inside a cell ({error}): write them twice"
                )
            if not names:
                names += map(heading, cells)
                if any("\ud800" <= c <= "\udfff" for name in names for c in name):
                    raise ValueError(
                        "the names of its columns are not UTF-8: save the file as UTF-8"
                    )
                check_names(names)
            elif cells or bad:
                if any(cell.strip() for cell in cells[len(names) :]):
                    bad = (
                        f"{len(cells)} cells for {len(names)} columns: put quotes around a cell "
                        f"that holds {separator!r}"
                    )
                padded = [*cells, *[None] * (len(names) - len(cells))]
                yield Row(number, dict(zip(names, padded, strict=False)), bad)


def _separator(text: str) -> str:
    for separator in SEPARATORS:
        reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
        if len(next((cells for cells in reader if cells), [])) > 1:
            return separator
    return SEPARATORS[0]


def header(path: Path) -> list[str]:
    """List the columns of a file that is called `.csv`; none if it has no header."""
    with suppress(OSError, ValueError, csv.Error):
        return read(path, []).names if called(".csv")(path) else []
    return []
