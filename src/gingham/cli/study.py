"""The layer study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import print_json, reading
from gingham.cli.options import (
    DeviceOption,
    ImageColumnOption,
    JsonOption,
    MegapixelsOption,
    SkipBadRowsOption,
    TrustPredictionsOption,
    UnknownWordsOption,
    app,
    look_weights,
    unknown_list,
)


@app.command()
def study(
    examples: Annotated[
        list[str],
        typer.Argument(
            metavar="EXAMPLES...",
            help="Folders (one subfolder per value) or tables; NAME=PATH names the attribute.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the report; interrupted runs resume.")],
    backbones: Annotated[
        list[str] | None,
        typer.Option("--backbone", metavar="NAME", help="A backbone to study; repeat for more."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FILE", help="File with the weights of a backbone."),
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute", metavar="NAME", help="Study only this attribute; repeat for more."
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            help="Column of the tables; images with the same value stay in the same fold."
        ),
    ] = None,
    image_column: ImageColumnOption = "image",
    queries: Annotated[
        list[str] | None,
        typer.Option(
            "--query",
            metavar="IMAGE",
            help="Search with this image; repeat for more.  [default: images drawn at random]",
        ),
    ] = None,
    looks: Annotated[
        list[str] | None,
        typer.Option("--look", metavar="LOOK=WEIGHT", help="Weights of the combined search."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Number of cross-validation folds.")] = 5,
    seed: Annotated[int, typer.Option(help="Random seed for folds, maps and drawn queries.")] = 0,
    max_images: Annotated[
        int,
        typer.Option(help="Of an attribute with more images, study so many; 0: all."),
    ] = 5_000,
    device: DeviceOption = "auto",
    max_megapixels: MegapixelsOption = 100.0,
    trust_predictions: TrustPredictionsOption = False,
    skip_bad_rows: SkipBadRowsOption = False,
    unknown_words: UnknownWordsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the hidden layers that show an attribute best."""
    from gingham.backbones.table import DEFAULT_BACKBONE
    from gingham.cli.study_output import print_study, split_weights
    from gingham.evaluation.study import Setting
    from gingham.evaluation.study import study as run

    names = backbones or [DEFAULT_BACKBONE]
    with reading("study", as_json, max_megapixels) as options:
        result = run(
            examples,
            out,
            backbones=names,
            weights=split_weights(weights or [], names),
            attributes=attributes or [],
            groups=groups,
            image_column=image_column,
            queries=queries or [],
            setting=Setting(
                folds=folds,
                seed=seed,
                looks=look_weights(looks) or Setting().looks,
                max_images=max_images,
            ),
            device=device,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            unknown_words=unknown_list(unknown_words),
            options=options,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        print_study(result)
    raise typer.Exit(1 if result.failed else 0)
