"""Pieces of HTML that every section uses."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any


def text(value: str) -> str:
    """Escape for HTML."""
    return html.escape(value)


def cell(value: float | None) -> str:
    """Write a figure with three digits."""
    return "" if value is None else f"{value:.3f}"


def counted(n: int, noun: str) -> str:
    """Write a number of things."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table; the first cell of a row names it. Cells are HTML, heads are text."""
    head = "".join(f'<th scope="col">{text(one)}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td>{one}</td>" for one in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def pictures(
    found: Mapping[str, Any],
    images: Sequence[int],
    words: Sequence[str],
    tones: Sequence[str] | None = None,
) -> str:
    """Write tiles; the page's script puts each image's thumbnail in.

    Parameters
    ----------
    found : the study's results.
    images : which image each tile shows.
    words : under each.
    tones : `same`, `other`, `query` or nothing; how each is marked.
    """
    tiles = []
    for image, said, tone in zip(images, words, tones or [""] * len(images), strict=True):
        name = found["files"][image].replace("\\", "/").rsplit("/", 1)[-1]
        tiles.append(
            f'<figure class="tile {tone}"><img data-t="{image}" alt="{text(said)}" '
            f'title="{text(name)}">{text(said)}</figure>'
        )
    return "".join(tiles)
