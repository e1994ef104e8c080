"""One HTML file to look at: pictures in sections, each with what is to be said about it.

The file stands alone (thumbnails are inside it, nothing is fetched), so it can be mailed, kept
beside a report, or opened years later.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from gingham.errors import InputError
from gingham.images import ImageSource
from gingham.report.kit import thumbnail as small
from gingham.report.kit import write_page

logger = logging.getLogger(__name__)

Tone = Literal["plain", "good", "bad", "unknown", "query"]

MARKS: dict[Tone, str] = {"good": "right", "bad": "wrong", "unknown": "unknown", "query": "query"}


@dataclass(frozen=True)
class Tile:
    """One picture: its path, a name, a few lines under it, and a tone that is shown and said.

    `source` is read in place of the file at `image`.
    """

    image: str
    title: str
    lines: Sequence[str] = ()
    tone: Tone = "plain"
    source: ImageSource | None = None

    def __post_init__(self) -> None:
        if self.tone not in get_args(Tone):
            raise InputError(f"tone must be one of {get_args(Tone)}, got {self.tone!r}")


@dataclass(frozen=True)
class Section:
    """A heading, a sentence under it (or none), and tiles."""

    heading: str
    caption: str
    tiles: Sequence[Tile]


def write_contact_sheet(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Sequence[tuple[str, str] | tuple[str, str, str]],
    sections: Sequence[Section],
    thumbnail: int = 240,
) -> None:
    """Write a self-contained HTML contact sheet, whole or not at all.

    Parameters
    ----------
    path : where to write it; a file there is replaced, by a rename after fsync.
    title : of the page.
    summary : (name, value) or (name, value, note), shown as cards under the title.
    sections : shown one after another. A picture that cannot be read gives a tile that says so.
    thumbnail : the longest side of an embedded picture, in pixels.

    Raises
    ------
    InputError
        If `thumbnail` is less than 16.
    StorageError
        If the file cannot be written.
    """
    if thumbnail < 16:
        raise InputError(f"thumbnail must be at least 16 pixels, got {thumbnail}")
    write_page(
        Path(path),
        "sheet.html",
        title=title,
        summary=[(*one, "")[:3] for one in summary],
        sections=sections,
        anchors=[(part.heading, f"s{i}") for i, part in enumerate(sections, 1)],
        marks=MARKS,
        pictures={
            image: _thumbnail(tile, thumbnail)
            for image, tile in {t.image: t for part in sections for t in part.tiles}.items()
        },
    )


def _thumbnail(tile: Tile, size: int) -> str | None:
    made = small(tile.image if tile.source is None else tile.source, size)
    if made is None:
        logger.warning("not shown on the sheet: %s cannot be read", tile.image)
    return made
