"""Commands that find images of a catalogue by their looks: search, similar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import (
    answer,
    pixel_limit,
    print_json,
    print_table,
    reading,
    say,
    spinner,
    table,
)
from gingham.cli.options import (
    AtPrecisionOption,
    CatalogueArgument,
    FolderArgument,
    JsonOption,
    KeyOption,
    MegapixelsOption,
    MinConfidenceOption,
    WhereOption,
    app,
    look_weights,
    open_catalogue,
    open_folder,
)
from gingham.names import one_line
from gingham.options import ReadOptions
from gingham.results import shown

LookOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LOOK=WEIGHT",
        help="colour, texture, semantic, fc, conv, rgb, text or attribute:NAME, and its weight; "
        "repeat to mix looks.",
    ),
]


@app.command()
def search(
    catalogue: CatalogueArgument,
    image: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGE...]",
            help="Images to search with, by file or id; none are needed with --text, --colour or "
            "--where.",
        ),
    ] = None,
    look: LookOption = None,
    colour: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLOUR[=WEIGHT]",
            help="A colour of the foreground, as in '#b03a2e', navy or '#b03a2e=2'; repeat for "
            "several, in the proportions of their weights.",
        ),
    ] = None,
    where: WhereOption = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGE", help="Image that results should not look like; repeat for more."
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="Words that become filters and colours, as in 'red dress polka dots'; where there "
            "is a look text (see text-look), it ranks by all of them.",
        ),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,WIDTH,HEIGHT",
            help="The part of the one image that counts, in fractions of the upright picture, as "
            "in 0.1,0.2,0.5,0.5.",
        ),
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Leave out what scores less.")
    ] = None,
    with_self: Annotated[
        bool, typer.Option("--with-self", help="Also give the images that are searched with.")
    ] = False,
    distinct: Annotated[
        bool, typer.Option("--distinct", help="Leave out near-copies of better results.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(metavar="product|folder", help="One result for each product, or folder."),
    ] = None,
    min_confidence: MinConfidenceOption = None,
    at_precision: AtPrecisionOption = None,
    number: Annotated[int, typer.Option("-n", min=1, help="Number of results.")] = 10,
    max_megapixels: MegapixelsOption = 100.0,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the images most similar to the given ones, to words or to colours, best first.

    An image of the catalogue that is searched with is left out. With --where alone, all images that
    pass the filters are listed. What --text was taken for, and which words were not understood, is
    printed on stderr.
    """
    from gingham.colours import parse_colours
    from gingham.parts import parse_crop

    looks, colours = look_weights(look), parse_colours(colour) if colour else None
    with (
        open_catalogue(catalogue, key) as shop,
        spinner("searching (new images are indexed first)", as_json),
    ):
        hits = shop.search(
            image or [],
            text=text,
            looks=looks,
            colours=colours,
            where=where or [],
            unlike=unlike or [],
            crop=None if crop is None else parse_crop(crop),
            n=number,
            min_score=min_score,
            with_self=with_self,
            distinct=distinct,
            by=by,  # type: ignore[arg-type]  # checked by `search`
            min_confidence=min_confidence,
            at_precision=at_precision,
            options=ReadOptions(pixel_limit(max_megapixels)),
        )
    if (understood := hits.understood) is not None:
        for said, filtered in understood.meant.items():
            say(f"{one_line(said)}: {one_line(filtered)}", error=True)
        if understood.ranked_by is not None:
            say(f"ranked by the look text: {one_line(understood.ranked_by)}", error=True)
        elif understood.not_understood:
            say(f"not understood: {one_line(', '.join(understood.not_understood))}", error=True)
    if as_json:
        for hit in hits:
            print_json(hit.to_dict())
        return
    found = table("score", *(hits[0].looks if hits else ()), "image", "attributes")
    for hit in hits:
        attributes = ", ".join(f"{name} {shown(v)}" for name, v in hit.attributes.items())
        similarities = (f"{value:.3f}" for value in hit.looks.values())
        found.add_row(f"{hit.score:.3f}", *similarities, one_line(hit.image), one_line(attributes))
    print_table(found) if hits else say("no other image is found" if image else "no image is found")


@app.command()
def similar(
    catalogue: FolderArgument,
    out: Annotated[Path, typer.Option(metavar="FILE.csv|FILE.parquet", help="The table to write.")],
    look: LookOption = None,
    number: Annotated[int, typer.Option("-n", min=1, help="Neighbours of each image.")] = 8,
    with_copies: Annotated[
        bool, typer.Option("--with-copies", help="Do not leave out near-copies.")
    ] = False,
    by: Annotated[
        str,
        typer.Option(
            metavar="product|folder|none",
            help="Leave out others of the same product (or folder), and give one of each.",
        ),
    ] = "product",
    as_json: JsonOption = False,
) -> None:
    """Write a table of the images most similar to each image of the catalogue.

    Near-copies and images of the same product are left out. An interrupted run goes on when it is
    given again, if the catalogue is what it was.
    """
    looks = look_weights(look)
    with open_folder(catalogue) as shop, reading("similar", as_json) as options:
        rows = shop.similar(
            out,
            looks=looks,
            n=number,
            distinct=not with_copies,
            by=None if by == "none" else by,  # type: ignore[arg-type]  # checked by `similar`
            options=options,
        )
    answer(as_json, {"file": str(out), "rows": rows}, f"{rows} rows written to {out}")
