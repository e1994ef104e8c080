"""Why an image got a value, and where in the image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import print_json, reading, say
from gingham.cli.options import (
    AttributeOption,
    CatalogueArgument,
    ImagesArgument,
    JsonOption,
    KeyOption,
    MegapixelsOption,
    ModelOption,
    app,
    found_images,
    open_catalogue,
    opened,
)
from gingham.results import shown


@app.command()
def explain(
    catalogue: CatalogueArgument,
    images: ImagesArgument,
    attribute: AttributeOption = None,
    value: Annotated[
        list[str] | None,
        typer.Option(help="Explain this value instead of the predicted one; repeat for more."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the heat maps and their page.")] = Path(
        "explained"
    ),
    model: ModelOption = None,
    max_megapixels: MegapixelsOption = 100.0,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where in an image a value was found, and similar examples."""
    from gingham.explaining import ExplanationPage

    paths = found_images(images)
    failed = False
    with (
        open_catalogue(catalogue, key) as shop,
        reading("explain", as_json, max_megapixels) as options,
    ):
        results = shop.explain(
            paths,
            attributes=attribute,
            values=value or [],
            model=opened(model),
            options=options,
        )
        page = ExplanationPage(out)
        for result in results:
            written = page.add(result)
            failed |= result.error is not None
            if as_json:
                found = result.to_dict()
                for one, path in zip(found.get("explanations", ()), written, strict=True):
                    one["overlay"] = str(path)
                print_json(found)
                continue
            if result.error is not None:
                say(f"failed: {result.image}: {result.error}", error=True)
            for why, path in zip(result.explanations, written, strict=True):
                answer = (
                    "" if why.answered else f", but the prediction is {shown(why.prediction.value)}"
                )
                sure = "" if why.prediction.value is None else f" ({why.confidence:.2f})"
                said = f"{why.attribute} {why.value}{sure}{answer}"
                say(f"{result.image}: {said}: {path}")
        page.close()
    if not as_json:
        say(f"page: {page.path}")
    raise typer.Exit(1 if failed else 0)
