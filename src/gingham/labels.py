"""The one reader of labelled images: tables, Parquet files with images inside, and folders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gingham.errors import InputError
from gingham.formats.content import ImageInside, heading, plain
from gingham.formats.table import is_plain_folder
from gingham.image_cells import resolve
from gingham.images import image_name, in_memory
from gingham.names import (
    SEPARATOR,
    UNKNOWN_WORDS,
    attribute_of,
    check_value,
    same,
    shortened,
    tag_columns,
    too_long,
)
from gingham.results import BadRow, Failure
from gingham.sources import find_images
from gingham.tables import Table, read_table


def unknown_forms(words: Iterable[str]) -> frozenset[str]:
    """Give words that mean unknown as `read_cell` compares them; empty text is always one."""
    return frozenset({""} | {word.strip().lower() for word in words})


UNKNOWN = unknown_forms(UNKNOWN_WORDS)

Teachable = Mapping[Any, str | Sequence[str]]
"""Image (a path, bytes or an open file) -> value, or several values."""


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
    """The labels of a table or folder, and how many of its rows say nothing.

    `listed` is what a walk of the folder left out or followed; see `gingham.sources.Walk`.
    """

    rows: list[Label]
    unlabelled: int
    failures: list[Failure] = field(default_factory=list)
    listed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    bad_rows: tuple[BadRow, ...] = ()


def read_labels(
    examples: Path,
    *,
    kind: str,
    value_column: str,
    image_column: str = "image",
    group_column: str | None = None,
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
    unknown_words: Iterable[str] = UNKNOWN_WORDS,
) -> Labels:
    """Read examples from a table, or from a folder whose subfolders are the values.

    A cell of kind `multi` holds several values, `red|blue` (or a list in Parquet); `!red` says
    that the image is not red. Every row of a table is a label, unlabelled (it has no image, or its
    value means "not known": one of `unknown_words`, in any case, or nothing), or bad.

    Raises
    ------
    InputError
        If there is nothing to read, a column is missing, the values are predictions and not to be
        trusted, or rows are bad and not to be skipped.
    """
    unknown = unknown_forms(unknown_words)
    if is_plain_folder(examples):
        if group_column is not None:
            raise InputError("--group-column needs a table, not a folder of examples")
        return _folder_labels(examples, kind, unknown)
    if not examples.exists():
        raise InputError(
            f"examples {examples} do not exist: give a folder of folders, or a table", path=examples
        )
    columns = [image_column, value_column] + ([group_column] if group_column else [])
    table = read_table(examples, columns)
    if not trust_predictions:
        refuse_predictions(table, [value_column])
    rows, unlabelled, bad = [], 0, {}
    for number, row in table.good():
        try:
            values = _values(row[value_column], kind, unknown)
            for value in values:
                check_value(value_column, value, kind)
            if not values or is_blank(row[image_column]):
                unlabelled += 1
                continue
            group = group_of(row[group_column], unknown) if group_column else None
            rows.append(Label(resolve(row[image_column], examples.parent), values, group))
        except InputError as error:
            bad[number] = str(error)
    return Labels(rows, unlabelled, bad_rows=table.settle(bad, skip_bad_rows))


def refuse_predictions(table: Table, attributes: Iterable[str]) -> None:
    """Refuse columns of predictions: a confidence is beside them, or they are best guesses.

    Raises
    ------
    InputError
        If the table has such a column of one of the attributes.
    """
    there = {same(name): name for name in table.names}
    for name in map(heading, attributes):
        beside = there.get(same(tag_columns(name)[1]))
        of = there.get(same(attribute_of(name) or ""))
        if name in table.names and (beside or of):
            raise InputError(
                f"table {table.path} has a column {beside or name!r}: the values of {name!r} are "
                "predictions, and what learns from its own guesses only looks more accurate; "
                "correct them and leave the column out, or take them as they are with "
                "--trust-predictions",
                path=table.path,
            )


def is_blank(image: Any) -> bool:
    """Say whether a cell names no image."""
    return image is None or (isinstance(image, str) and not image.strip())


def read_cell(
    cell: Any, separator: str | None = SEPARATOR, unknown: Collection[str] = UNKNOWN
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Read the values of one attribute from a cell.

    Parameters
    ----------
    cell : see `gingham.tables.plain`; `true` and `false` in any case are one spelling.
    separator : between several values; None: the text is one value.
    unknown : words in lower case that mean that nothing is known.

    Returns
    -------
    The different values in order, without spaces around them: an empty tuple for an empty list
    (none of them), None where nothing is known; and the words that mean so.

    Raises
    ------
    InputError
        If a value is not printable UTF-8 text or too long, or the cell is a structure.
    """
    cell = plain(cell)
    if cell == []:
        return (), []
    if isinstance(cell, str) and separator:
        cell = cell.split(separator)
    found, words = [], []
    for part in cell if isinstance(cell, list) else [cell]:
        if not isinstance(part, str | None) or isinstance(part, ImageInside):
            what = "an image" if isinstance(part, ImageInside) else "a structure"
            raise InputError(f"{what} is no value: give text, or a list of texts")
        part = (part or "").strip()
        part = part.lower() if part.lower() in ("true", "false") else part
        if part.lower() in unknown:
            words.append(part)
        elif not part.isprintable():
            wrong = (
                "UTF-8 text: save the table as UTF-8"
                if any("\ud800" <= c <= "\udfff" for c in part)
                else "printable text: take line breaks and control characters out"
            )
            raise InputError(f"value {shortened(part)} is not {wrong}")
        elif reason := too_long(part):
            raise InputError(f"value {shortened(part)} {reason}")
        else:
            found.append(part)
    return tuple(dict.fromkeys(found)) or None, words


def group_of(cell: Any, unknown: Collection[str] = UNKNOWN) -> str | None:
    """Read the group of an image from a cell; None where it says nothing."""
    group = "" if cell is None else str(plain(cell) or "").strip()
    return None if group.lower() in unknown else group


def _folder_labels(folder: Path, kind: str, unknown: frozenset[str]) -> Labels:
    walk = find_images([folder])
    rows = []
    for image in walk.images:
        value, *below = Path(image).relative_to(folder).parts
        if below and (values := _values(value, kind, unknown)):
            rows.append(Label(image, values))
    if not rows:
        raise InputError(
            f"examples {folder}: expected a folder for each value with its images inside"
            + Failure.told(walk.failures)
        )
    return Labels(rows, len(walk.images) - len(rows), walk.failures, walk.listed)


def _values(cell: Any, kind: str, unknown: frozenset[str]) -> dict[str, bool]:
    """Read the values of a cell; of kind multi `!value` says that it is absent."""
    found, _ = read_cell(cell, SEPARATOR if kind == "multi" else None, unknown)
    if kind != "multi":
        if found and len(found) > 1:
            raise InputError(
                f"several values ({', '.join(map(shortened, found))}), where kind single has one: "
                "give one, or kind multi"
            )
        return dict.fromkeys(found or (), True)
    said = {part.removeprefix("!").strip(): not part.startswith("!") for part in found or ()}
    return {name: here for name, here in said.items() if name.lower() not in unknown}


def label_images(
    examples: Teachable, kind: str, unknown_words: Iterable[str] = UNKNOWN_WORDS
) -> tuple[Labels, list[str | bytes]]:
    """Take examples from a mapping of image to value, or to several values.

    Returns
    -------
    The labels, and the image of each of their rows.
    """
    unknown = unknown_forms(unknown_words)
    rows, images = [], []
    for image, given in examples.items():
        one = in_memory(image)
        try:
            values = _values(given if isinstance(given, str) else list(given), kind, unknown)
        except InputError as error:
            raise InputError(f"{image_name(one)}: {error}") from None
        if values:
            images.append(one)
            rows.append(Label(image_name(one), values))
    return Labels(rows, len(examples) - len(rows)), images
