"""What was changed in a catalogue, and undoing it."""

from __future__ import annotations

from typing import Annotated

import typer

from gingham.cli.console import answer
from gingham.cli.options import CatalogueArgument, JsonOption, KeyOption, app, open_catalogue
from gingham.review_results import RecordedChange


@app.command()
def history(
    catalogue: CatalogueArgument,
    n: Annotated[int, typer.Option("-n", min=1, help="How many changes to show.")] = 20,
    undo: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Undo this change.")
    ] = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who changed what, newest first, or undo a change.

    After an undo, run `gingham tag` to apply the attribute again.
    """
    with open_catalogue(catalogue, key) as shop:
        if undo is not None:
            done = shop.undo(undo)
            answer(as_json, done.to_dict(), _line(done))
            return
        found = shop.history(n=n)
    lines = [_line(one) for one in found] or ["no changes yet"]
    answer(as_json, {"changes": [one.to_dict() for one in found]}, *lines)


def _line(one: RecordedChange) -> str:
    undone = f" (undone by {one.undone_by})" if one.undone_by else ""
    return f"{one.number:>4}  {one.made}  {one.by}: {one.summary}{undone}"
