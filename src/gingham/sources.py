"""What users point at (folders, files, tables, lists of paths) -> image paths."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gingham.errors import InputError
from gingham.results import Failure
from gingham.tables import TABLE_SUFFIXES, read_table, resolve

_CLUTTER = frozenset({"Thumbs.db", "desktop.ini"})


@dataclass
class Walk:
    """The image paths below some sources, in a fixed order, and what was skipped.

    Attributes
    ----------
    images : paths to try; every regular file of a folder is one, whatever its name.
    failures : folders that cannot be listed, and what is not a regular file.
    ignored : hidden files and folders (a leading dot) and the clutter of file managers.
    """

    images: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def find_images(sources: Iterable[str | os.PathLike[str]], *, exclude: Path | None = None) -> Walk:
    """List the images of folders (recursively, sorted), tables with a column `image`, and files.

    Parameters
    ----------
    sources : what the user gave.
    exclude : a folder to leave out (the catalogue itself, if it lies below a source).

    Raises
    ------
    InputError
        If a source does not exist, holds no file at all, or is a table without the column.
    """
    walk = Walk()
    for source in sources:
        path = Path(source)
        if path.is_dir():
            before = len(walk.images) + len(walk.failures)
            walk_folder(path, exclude, walk)
            if len(walk.images) + len(walk.failures) == before:
                raise InputError(f"folder {path} holds no files: give a folder with images")
        elif not os.path.lexists(path):
            raise InputError(f"source {path} does not exist: check the path")
        elif path.suffix.lower() in TABLE_SUFFIXES:
            rows = read_table(path, ["image"])
            walk.images += [resolve(row["image"], path.parent) for row in rows]
        else:
            walk.images.append(os.fspath(source))
    return walk


def walk_folder(folder: Path, exclude: Path | None, walk: Walk) -> None:
    """Add what lies below a folder to a walk."""

    def failed(error: OSError) -> None:
        reason = f"folder cannot be listed: {error.strerror}"
        walk.failures.append(Failure(str(error.filename), reason))

    for parent, folders, files in os.walk(folder, onerror=failed):
        hidden = [name for name in folders if name.startswith(".")]
        clutter = [name for name in files if name.startswith(".") or name in _CLUTTER]
        walk.ignored += sorted(os.path.join(parent, name) for name in hidden + clutter)
        folders[:] = sorted(
            name
            for name in set(folders) - set(hidden)
            if exclude is None or Path(parent, name).absolute() != exclude.absolute()
        )
        for name in sorted(set(files) - set(clutter)):
            path = os.path.join(parent, name)
            if _is_special(path):
                walk.failures.append(Failure(path, "not a regular file: give an image file"))
            else:
                walk.images.append(path)


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False  # Reading it will tell why.
    return not stat.S_ISREG(mode)


def iterate_stdin(data: bytes) -> Iterator[str]:
    """Split paths, one per line; undecodable bytes are preserved."""
    for line in data.splitlines():
        if line:
            yield os.fsdecode(line)
