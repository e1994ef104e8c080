"""One HTML file to look at: pictures in sections, each with what is to be said about it.

The file stands alone (thumbnails are inside it, nothing is fetched), so it can be mailed, kept
beside a report, or opened years later.
"""

from __future__ import annotations

import base64
import io
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from PIL import Image

from gingham.errors import ImageError, InputError
from gingham.images import load_image
from gingham.report.frame import STYLE, escaped, html_page
from gingham.store.files import replace_file

logger = logging.getLogger(__name__)

Tone = Literal["plain", "good", "bad", "unknown", "query"]

MARKS: dict[Tone, str] = {"good": "right", "bad": "wrong", "unknown": "unknown", "query": "query"}


@dataclass(frozen=True)
class Tile:
    """One picture: its path, a name, a few lines under it, and a tone that is shown and said."""

    image: str
    title: str
    lines: Sequence[str] = ()
    tone: Tone = "plain"

    def __post_init__(self) -> None:
        if self.tone not in get_args(Tone):
            raise InputError(f"tone must be one of {get_args(Tone)}, got {self.tone!r}")


@dataclass(frozen=True)
class Section:
    """A heading, a sentence under it, and tiles."""

    heading: str
    caption: str
    tiles: Sequence[Tile]


def write_contact_sheet(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    thumbnail: int = 240,
) -> None:
    """Write a self-contained HTML contact sheet, whole or not at all.

    Parameters
    ----------
    path : where to write it; a file there is replaced, by a rename after fsync.
    title : of the page.
    summary : (name, value) pairs, shown large under the title.
    sections : shown one after another. A picture that cannot be read gives a tile that says so.
    thumbnail : the longest side of an embedded picture, in pixels.

    Raises
    ------
    InputError
        If `thumbnail` is less than 16.
    OSError
        If the file cannot be written.
    """
    if thumbnail < 16:
        raise InputError(f"thumbnail must be at least 16 pixels, got {thumbnail}")
    pictures: dict[str, str | None] = {}
    for tile in (tile for section in sections for tile in section.tiles):
        if tile.image not in pictures:
            pictures[tile.image] = _data_uri(tile.image, thumbnail)
    heads = "".join(
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in summary
    )
    body = "".join(_section(section, pictures) for section in sections)
    page = html_page(
        title,
        STYLE + SHEET_STYLE,
        f"<header><h1>{escaped(title)}</h1><dl>{heads}</dl></header>\n<main>{body}</main>",
    )
    replace_file(Path(path), lambda temporary: temporary.write_text(page, encoding="utf-8"))


def _data_uri(image: str, size: int) -> str | None:
    try:
        picture = Image.fromarray(load_image(image))
    except ImageError as error:
        logger.warning("not shown on the sheet: %s", error)
        return None
    picture.thumbnail((size, size))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _section(section: Section, pictures: dict[str, str | None]) -> str:
    tiles = "".join(_tile(tile, pictures[tile.image]) for tile in section.tiles)
    return (
        f"<section><h2>{escaped(section.heading)}</h2><p>{escaped(section.caption)}</p>"
        + (f"<ul>{tiles}</ul>" if tiles else '<p class="none">Nothing to show here.</p>')
        + "</section>"
    )


def _tile(tile: Tile, picture: str | None) -> str:
    # The lines are read out after the picture: its own description need not repeat them.
    said = escaped(tile.title)
    if picture is None:
        shown = (
            f'<div class="gone" role="img" aria-label="{said}: cannot be read">cannot be read</div>'
        )
    else:
        shown = f'<img src="{picture}" alt="{said}" loading="lazy">'
    mark = MARKS.get(tile.tone)
    return (
        f'<li class="{tile.tone}">{shown}<div class="words">'
        + (f'<span class="mark">{mark}</span>' if mark else "")
        + f'<b title="{escaped(tile.image)}">{escaped(tile.title)}</b>'
        + "".join(f"<span>{escaped(line)}</span>" for line in tile.lines)
        + "</div></li>"
    )


SHEET_STYLE = """
dl { display: flex; flex-wrap: wrap; gap: 0.5rem 2.25rem; margin: 0; }
dt { color: var(--soft); font-size: 0.85rem; }
dd { margin: 0; font-size: 1.3rem; font-weight: 600; overflow-wrap: anywhere; }
section { margin-top: 2.5rem; }
h2 { margin: 0; font-size: 1.25rem; overflow-wrap: anywhere; }
section > p { margin: 0.2rem 0 0.9rem; color: var(--soft); max-width: 70ch;
 overflow-wrap: anywhere; }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9.5rem, 44%), 1fr));
 gap: 0.75rem; margin: 0; padding: 0; list-style: none; }
li { display: flex; flex-direction: column; overflow: hidden; background: var(--card);
 border: 1px solid var(--line); border-radius: 10px; }
img, .gone { display: block; width: 100%; aspect-ratio: 3 / 4; object-fit: contain; }
.gone { display: grid; place-items: center; padding: 1rem; text-align: center; color: var(--soft);
 background: repeating-linear-gradient(45deg, var(--line) 0 1px, #0000 1px 9px); }
.words { padding: 0.5rem 0.65rem 0.65rem; font-size: 0.85rem; overflow-wrap: anywhere; }
.words b, .words span { display: block; }
.words span { color: var(--soft); }
.words .mark { float: right; margin-left: 0.5em; color: var(--tone); font-weight: 600; }
.good { --tone: var(--good); } .bad { --tone: var(--bad); } .query { --tone: var(--query); }
.unknown { --tone: var(--unknown); }
li:not(.plain) { border: 2px solid var(--tone); }
@media print { li { break-inside: avoid; } }
"""
