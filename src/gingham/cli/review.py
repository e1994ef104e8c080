"""Which images to label next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import answer, spinner
from gingham.cli.options import (
    AttributeArgument,
    CatalogueArgument,
    JsonOption,
    KeyOption,
    app,
    open_catalogue,
)
from gingham.errors import InputError
from gingham.names import one_line
from gingham.results import shown
from gingham.review_results import ReviewItem, ReviewOrder


@app.command()
def review(
    catalogue: CatalogueArgument,
    attribute: AttributeArgument,
    number: Annotated[int, typer.Option("-n", min=1, max=500, help="How many images.")] = 20,
    order: Annotated[
        str,
        typer.Option(
            metavar="useful|uncertain|suspicious|random",
            help="useful: unsure, typical of much that is unsure, none like another, and some "
            "examples that the others contradict.",
        ),
    ] = "useful",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write a page, and a table to fill in and teach: review.csv."
        ),
    ] = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the images that are worth labelling next.

    Fill in the table and give it to `gingham teach`; rows that are left empty are skipped.
    """
    chosen = _order(order)
    with open_catalogue(catalogue, key) as shop, spinner("looking for what is unsure", as_json):
        if out is None:
            found = shop.review(attribute, order=chosen, n=number)
        else:
            found = shop.review_sheet(out, attribute, order=chosen, n=number)
    lines = [_line(i, one) for i, one in enumerate(found.items, 1)]
    if out is not None:
        lines = [
            f"{len(found.items)} of {found.total} images to look at: {out / 'index.html'}",
            f"fill in the column {attribute} of {out / 'review.csv'}, then run "
            f"gingham teach {catalogue} {attribute} {out / 'review.csv'}",
        ]
    answer(as_json, found.to_dict(), *(lines or ["nothing to look at"]))


def _order(given: str) -> ReviewOrder:
    from typing import get_args

    for order in get_args(ReviewOrder):
        if order == given:
            return order  # type: ignore[no-any-return]
    raise InputError(f"--order must be one of {', '.join(get_args(ReviewOrder))}; got {given!r}")


def _line(number: int, one: ReviewItem) -> str:
    said = "" if one.confidence is None else f" {shown(one.value)}:"
    return f"{number:>3}  {one_line(one.image)}:{one_line(said)} {one_line(one.reason)}"
