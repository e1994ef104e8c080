"""The images to label next in a folder: a page to look at, and a table to fill in."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from gingham.errors import InputError
from gingham.names import SEPARATOR, tag_columns
from gingham.operations.sheet import Stored
from gingham.report.kit import short
from gingham.report.sheet import Section, Tile, Tone, write_contact_sheet
from gingham.results import shown
from gingham.review_results import ReviewItem, ReviewResult
from gingham.store.files import replace_file

PAGE = "index.html"
TABLE = "review.csv"


def check_review_folder(folder: Path) -> None:
    """Refuse a folder that holds a table which somebody may have filled in, or cannot be made.

    Raises
    ------
    InputError
        If so.
    """
    if (folder / TABLE).exists():
        raise InputError(
            f"{folder / TABLE} is there already: teach it, and give a folder that is new",
            path=folder / TABLE,
        )
    if not folder.parent.is_dir():
        raise InputError(
            f"review to {folder}: there is no folder {folder.parent}: make it first",
            path=folder.parent,
        )


def write_review(
    folder: Path,
    attribute: str,
    found: ReviewResult,
    stored: Callable[[ReviewItem], Stored | None],
    *,
    by_id: bool = False,
) -> None:
    """Write the page and the table.

    Parameters
    ----------
    folder : made if it is not there.
    attribute : its name.
    found : the images, the first to be labelled first.
    stored : gives an image that can be read; None if its file is to be read.
    by_id : name the images by their ids: their files are elsewhere.

    Raises
    ------
    StorageError
        If a file cannot be written.
    """
    folder.mkdir(exist_ok=True)
    tiles = [_tile(number, one, stored(one)) for number, one in enumerate(found.items, 1)]
    section = Section("The most useful first", f"The numbers are those of {TABLE}.", tiles)
    write_contact_sheet(
        folder / PAGE,
        title=f"Label next: {attribute}",
        summary=[
            ("images", str(len(found.items)), f"of {found.total:,} to look at"),
            ("fill in", TABLE, f"column {attribute}; leave empty what you cannot tell"),
            ("then", "gingham teach", f"CATALOGUE {attribute} {TABLE}"),
        ],
        sections=[section],
    )
    name, _, guess = tag_columns(attribute)

    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("image", name, guess, f"{name}_reason", "number"))
            for number, one in enumerate(found.items, 1):
                image, likeliest = one.id if by_id else _image(one), SEPARATOR.join(_likeliest(one))
                rows.writerow((image, "", likeliest, one.reason, number))

    replace_file(folder / TABLE, write)


def _tile(number: int, one: ReviewItem, source: Stored | None) -> Tile:
    lines = [one.reason]
    if one.confidence is not None:
        lines.insert(0, f"{'taught' if one.example else 'tagged'} as {shown(one.value)}")
    tone: Tone = "unknown" if one.confidence is None else "plain"
    return Tile(one.image, f"{number}. {short(one.image)}", lines, tone, source)


def _image(one: ReviewItem) -> str:
    """Name an image as `teach` reads it: by its file, or by its id where that cannot be written."""
    try:
        one.image.encode()
    except UnicodeEncodeError:
        return one.id
    return one.image


def _likeliest(one: ReviewItem) -> list[str]:
    return one.value if isinstance(one.value, list) else list(one.values)[:1]
