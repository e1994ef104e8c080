"""What reading a file gives, whatever its format: rows of cells, streamed."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gingham.names import composed

_EXACT = 2**53  # no whole number below it is rounded as it becomes a float


class ImageInside(str):
    """Says where an image inside a file is: `TABLE.parquet#COLUMN/ROW`, `ARCHIVE.zip#MEMBER`."""


class Row(NamedTuple):
    """One row.

    Attributes
    ----------
    number : as a spreadsheet shows it: the header is row 1. Where there is no header, from 1.
    cells : column -> cell: text, None, or a list of these; a structure as it is.
    bad : why it cannot be used.
    """

    number: int
    cells: dict[str, Any]
    bad: str | None = None


@dataclass(frozen=True)
class Content:
    """What stands in a file or folder.

    Attributes
    ----------
    names : of the columns.
    rows : taken once.
    """

    names: list[str]
    rows: Iterator[Row]


def heading(name: str) -> str:
    """Write the name of a column as it is known by: composed, with single spaces."""
    return composed(" ".join(name.split()))


def check_names(names: Sequence[str]) -> None:
    """Refuse a column that another one hides."""
    if twice := [name for name in names if name and list(names).count(name) > 1]:
        raise ValueError(f"two of its columns are called {twice[0]!r}: rename one")


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
