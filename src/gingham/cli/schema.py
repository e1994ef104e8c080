"""The command about a catalogue's schema."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import answer, print_json, say
from gingham.cli.options import (
    CatalogueArgument,
    JsonOption,
    KeyOption,
    WaitOption,
    app,
    open_catalogue,
)
from gingham.errors import InputError
from gingham.names import one_line

_MOST = 3
"""Values that are named of each attribute."""


@app.command()
def schema(
    catalogue: CatalogueArgument,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE.toml]", help="The schema to set; without it, it is printed."),
    ] = None,
    import_shopify: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Set Shopify's open taxonomy, from its own files: taxonomy.json, categories.json "
            "or categories.txt, or a folder of its distribution: dist for all languages, dist/en.",
        ),
    ] = None,
    category: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Of that taxonomy only this category, as 'Apparel & Accessories > Clothing'.",
        ),
    ] = None,
    key: KeyOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Print or set what attributes and values mean: see docs/schema.md.

    Search, facets, predict, tag, export and the page follow it. A file without attributes says
    nothing again.
    """
    from gingham.schema.schema import Schema
    from gingham.schema.shopify import import_shopify as read_shopify

    if file is not None and import_shopify is not None:
        raise InputError("give a file or --import-shopify, not both")
    if category is not None and import_shopify is None:
        raise InputError("--category goes with --import-shopify")
    given = None if file is None else Schema.read(file)
    with open_catalogue(catalogue, key, wait) as shop:
        if import_shopify is not None:
            known = {name: one.values for name, one in shop.info().attributes.items()}
            given = read_shopify(import_shopify, category, known)
        if given is None:
            found = shop.schema
            if as_json:
                print_json(found.to_dict())
            elif found.attributes:
                say(*found.to_toml().splitlines())
            else:
                say(f"none is set: gingham schema {catalogue} FILE.toml sets one", error=True)
            return
        untagged = shop.set_schema(given)
    count = len(given.attributes)
    lines = [f"the schema of {catalogue} is set: {count} attribute{'s' * (count != 1)}"]
    if untagged:
        again = " ".join(map(shlex.quote, (str(catalogue), *untagged)))
        lines.append(f"run gingham tag {one_line(again)}:")
    for name, moved in untagged.items():
        more = f"; and {len(moved) - _MOST} more" if len(moved) > _MOST else ""
        lines.append(
            f"  {one_line(name)}: its tags are of another hierarchy "
            f"({one_line('; '.join(moved[:_MOST]))}{more})"
        )
    answer(as_json, {"attributes": list(given.attributes), "untagged": untagged}, *lines)
