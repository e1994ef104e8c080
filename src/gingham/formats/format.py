"""What a format is: a row of the table of formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gingham.formats.content import Content
from gingham.formats.exported import Exported

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
