"""The layer study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import print_json, reading
from gingham.cli.options import (
    DeviceOption,
    JsonOption,
    MegapixelsOption,
    app,
    look_weights,
)


@app.command()
def study(
    examples: Annotated[
        list[str],
        typer.Argument(
            metavar="EXAMPLES...",
            help="Folders (a subfolder a value) or tables; NAME=PATH names the attribute.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the report; an interrupted study goes on.")],
    backbones: Annotated[
        list[str] | None,
        typer.Option("--backbone", metavar="NAME", help="A network to study; again for more."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FILE", help="The weights of a backbone."),
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="NAME", help="Study only this one; again for more."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(help="Column of the tables; its images stay on one side of every split."),
    ] = None,
    image_column: Annotated[str, typer.Option()] = "image",
    queries: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="IMAGE", help="Search with this image; else some drawn."),
    ] = None,
    looks: Annotated[
        list[str] | None,
        typer.Option("--look", metavar="LOOK=WEIGHT", help="The weights of a search by both."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the folds, the maps and the drawn queries.")] = 0,
    device: DeviceOption = "auto",
    max_megapixels: MegapixelsOption = 100.0,
    as_json: JsonOption = False,
) -> None:
    """Find out which hidden layer sees which attribute, and write a report to look at."""
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
            setting=Setting(folds=folds, seed=seed, looks=look_weights(looks) or Setting().looks),
            device=device,
            options=options,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        print_study(result)
    raise typer.Exit(1 if result.failed else 0)
