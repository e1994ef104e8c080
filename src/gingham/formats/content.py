"""What a format is, and what reading a file of it gives: rows of cells, streamed."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gingham.formats.exported import Exported
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


Read = Callable[[Path, Sequence[str] | None], Content]
"""Reads columns (None: all; others may be left out of the cells) of a file or folder.

Paths in a column `image` are relative to the folder in which the file or folder is. A file that
cannot be read raises `OSError`, `ValueError` or `KeyError` with a reason, then or while it streams.
"""


@dataclass(frozen=True)
class Format:
    """A row of the table of formats.

    Attributes
    ----------
    name : in messages and in the documentation.
    recognised : says whether a path that is there is one of it; files are opened only if they are
        called so.
    read : None: it is only written, by what else the format is called.
    member : gives the bytes of an image inside such a file, by what follows `#` in its name.
    suffixes : of files that have members.
    is_archive : its rows are files: what is wrong with one does not refuse the others.
    write : writes what a catalogue gives to a path, and counts the rows. None: it is only read.
    is_folder : what it writes is a folder, which is not there yet.
    relative : paths in it are relative to where it is, so that both may be moved.
    needs_points : it says where images are on a map.
    """

    name: str
    recognised: Callable[[Path], bool] = lambda path: False
    read: Read | None = None
    member: Callable[[str, str], bytes] | None = None
    suffixes: tuple[str, ...] = field(default=())
    is_archive: bool = False
    write: Callable[[Path, Exported], int] | None = None
    is_folder: bool = False
    relative: bool = False
    needs_points: bool = False

    @property
    def slug(self) -> str:
        """By which the command line knows it."""
        return self.name.lower().replace(" ", "-")


def called(*suffixes: str) -> Callable[[Path], bool]:
    """Recognise files by how their names end, in any case."""
    return lambda path: path.name.lower().endswith(suffixes) and path.is_file()


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
