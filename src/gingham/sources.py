"""What users point at (folders, files, tables, lists of paths) -> image paths and examples."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gingham.errors import InputError
from gingham.images import image_name, in_memory
from gingham.results import Failure

TABLE_SUFFIXES = (".csv", ".parquet")
UNLABELLED = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "<na>", "unknown"})
"""Cells that say nothing about an image, in any case of letters."""

Teachable = Mapping[Any, str | Sequence[str]]
"""Image (a path, bytes or an open file) -> value, or several values."""

_CLUTTER = frozenset({"Thumbs.db", "desktop.ini"})


@dataclass
class Walk:
    """The image paths below some sources, in a fixed order, and what was left aside.

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
            _walk_folder(path, exclude, walk)
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


def _walk_folder(folder: Path, exclude: Path | None, walk: Walk) -> None:
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


def read_table(path: Path, columns: Sequence[str] | None) -> list[dict[str, Any]]:
    """Read columns (None: all) of a `.csv` or `.parquet` file; cells of a CSV are strings.

    Raises
    ------
    InputError
        If the file is missing or unreadable, names two columns alike, has a row with more cells
        than columns, or lacks a column; the message lists those it has.
    """
    if not path.is_file():
        raise InputError(f"table {path} does not exist: check the path")
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise InputError(f"table {path}: expected a .csv or .parquet file")
    try:
        names, rows = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
        _check_cells(names, rows)
    except (OSError, csv.Error, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"table {path} cannot be read: {reason}") from None
    if columns is None:
        return rows
    if missing := [name for name in columns if name not in names]:
        hint = ""
        if len(names) == 1 and (other := [c for c in (";", "\t") if c in names[0]]):
            hint = f": columns are separated by {other[0]!r}; save the file with commas"
        raise InputError(
            f"table {path} has no column {missing[0]!r}; it has {', '.join(map(str, names))}{hint}"
        )
    return [{name: row.get(name) for name in columns} for row in rows]


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        if "\0" in file.read(4096):
            raise ValueError("not a text file: save it as UTF-8 CSV")
        file.seek(0)
        reader = csv.DictReader(file)
        return list(reader.fieldnames or []), list(reader)


def _read_parquet(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return table.column_names, table.to_pylist()


def _check_cells(names: list[str], rows: list[dict[str, Any]]) -> None:
    """Refuse what would get lost: a column that another one hides, and cells without a column."""
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise ValueError(f"two of its columns are called {twice[0]!r}: rename one")
    for number, row in enumerate(rows, 1):
        # The reader files surplus cells under None; empty ones hold nothing.
        if any(surplus := row.pop(None, ())):  # type: ignore[call-overload]
            raise ValueError(
                f"row {number} below the header has {len(names) + len(surplus)} cells for "
                f"{len(names)} columns: put quotes around a cell that holds a comma"
            )


def resolve(image: Any, folder: Path) -> str:
    """Find the file that a cell of a table in `folder` means: relative to it, or to here."""
    name = os.fsdecode(image) if isinstance(image, bytes) else str(image or "")
    beside = os.path.join(folder, name)
    if not os.path.lexists(beside) and os.path.lexists(name):
        return name
    return beside


@dataclass(frozen=True)
class Label:
    """What a user says of one image.

    Attributes
    ----------
    image : path.
    values : value -> True if the image has it, False if it is said not to.
    group : images that share it stay on one side of every split; None: on its own.
    """

    image: str
    values: dict[str, bool]
    group: str | None = None


@dataclass(frozen=True)
class Labels:
    """The labels of a table or folder, and how many of its rows say nothing."""

    rows: list[Label]
    unlabelled: int
    failures: list[Failure] = field(default_factory=list)


def read_labels(
    examples: Path,
    *,
    kind: str,
    value_column: str,
    image_column: str = "image",
    group_column: str | None = None,
) -> Labels:
    """Read examples from a table, or from a folder whose subfolders are the values.

    A cell of kind `multi` holds several values, `red|blue` (or a list in Parquet); `!red` says
    that the image is not red. Cells and values that mean "not known" are counted.

    Raises
    ------
    InputError
        If there is nothing to read, or a column is missing.
    """
    if examples.is_dir():
        if group_column is not None:
            raise InputError("--group-column goes with a table, not with a folder of examples")
        return _folder_labels(examples, kind)
    if not examples.exists():
        raise InputError(f"examples {examples} do not exist: give a folder of folders, or a table")
    columns = [image_column, value_column] + ([group_column] if group_column else [])
    rows, unlabelled = [], 0
    for row in read_table(examples, columns):
        values = _values(row[value_column], kind)
        if not values or row[image_column] in (None, ""):
            unlabelled += 1
            continue
        group = group_of(row[group_column]) if group_column else None
        rows.append(Label(resolve(row[image_column], examples.parent), values, group))
    return Labels(rows, unlabelled)


def group_of(cell: Any) -> str | None:
    """Read the group of an image from a cell; None where it says nothing."""
    group = "" if cell is None else str(cell).strip()
    return None if group.lower() in UNLABELLED else group


def _folder_labels(folder: Path, kind: str) -> Labels:
    rows: list[Label] = []
    failures: list[Failure] = []
    unlabelled = 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            unlabelled += 1
            continue
        walk = Walk()
        _walk_folder(path, None, walk)
        failures += walk.failures
        values = _values(path.name, kind)
        if values:
            rows += [Label(image, values) for image in walk.images]
        else:
            unlabelled += len(walk.images)
    if not rows:
        raise InputError(
            f"examples {folder}: expected a folder for each value with its images inside"
        )
    return Labels(rows, unlabelled, failures)


def _values(cell: Any, kind: str) -> dict[str, bool]:
    if isinstance(cell, (list, tuple)):
        parts = [str(part) for part in cell if part is not None]
    elif cell is None:
        parts = []
    else:
        text = str(cell)
        parts = text.split("|") if kind == "multi" else [text]
    values = {}
    for part in (part.strip() for part in parts):
        absent = kind == "multi" and part.startswith("!")
        name = part[1:].strip() if absent else part
        if not name.isprintable() or any("\ud800" <= c <= "\udfff" for c in name):
            raise InputError(f"value {name!r} is not printable UTF-8 text: save the table as UTF-8")
        if name.lower() not in UNLABELLED:
            values[name] = not absent
    return values


def label_images(examples: Teachable, kind: str) -> tuple[Labels, list[str | bytes]]:
    """Take examples from a mapping of image to value, or to several values.

    Returns
    -------
    The labels, and the image of each of their rows.
    """
    rows, images = [], []
    for image, given in examples.items():
        values = _values(given if isinstance(given, str) else list(given), kind)
        if values:
            images.append(in_memory(image))
            rows.append(Label(image_name(images[-1]), values))
    return Labels(rows, len(examples) - len(rows)), images


def iterate_stdin(data: bytes) -> Iterator[str]:
    """Paths, one per line; undecodable bytes are preserved."""
    for line in data.splitlines():
        if line:
            yield os.fsdecode(line)
