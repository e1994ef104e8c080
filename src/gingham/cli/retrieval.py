"""Evaluation of retrieval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import (
    print_bad_rows,
    print_failures,
    print_json,
    print_table,
    print_walked,
    reading,
    say,
    table,
)
from gingham.cli.options import (
    BackboneOption,
    DeviceOption,
    ImageColumnOption,
    JsonOption,
    MegapixelsOption,
    SkipBadRowsOption,
    TrustPredictionsOption,
    UnknownWordsOption,
    WeightsOption,
    evaluate_app,
    split_names,
    unknown_list,
)


@evaluate_app.command()
def retrieval(
    collection: Annotated[
        Path,
        typer.Argument(
            metavar="CATALOGUE|FOLDER",
            help="A catalogue, or a folder of images, which is first indexed into --out.",
        ),
    ],
    labels: Annotated[Path, typer.Option(help="Table of images and their classes.")],
    out: Annotated[Path, typer.Option(help="Folder for the report and its tables.")],
    descriptors: Annotated[
        str,
        typer.Option(
            metavar="NAME,..", help="One or more of fc, conv, fc+conv, fc+conv:balanced, rgb."
        ),
    ] = "fc,conv,fc+conv,fc+conv:balanced",
    looks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOOK=WEIGHT,..",
            help="A mixture of looks and descriptors to compare with; repeat for more.",
        ),
    ] = None,
    class_column: Annotated[str, typer.Option(help="Column of the classes.")] = "class",
    image_column: ImageColumnOption = "image",
    group_column: Annotated[
        str | None,
        typer.Option(
            help="Images with the same value in this column are not results of each other."
        ),
    ] = None,
    bins: Annotated[int, typer.Option(help="Bins of the histograms of red, green and blue.")] = 16,
    seed: Annotated[int, typer.Option(help="Random seed for the drawn queries.")] = 0,
    max_queries: Annotated[
        int, typer.Option(help="Of more images, search with so many; 0: all.")
    ] = 5_000,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    max_megapixels: MegapixelsOption = 100.0,
    trust_predictions: TrustPredictionsOption = False,
    skip_bad_rows: SkipBadRowsOption = False,
    unknown_words: UnknownWordsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how often search finds the same class and colours.

    Every labelled image is used as a query; of more than --max-queries, so many drawn at random.

    Writes retrieval.html, retrieval.csv and retrieval.json.
    """
    from gingham.evaluation.retrieval import evaluate_retrieval
    from gingham.evaluation.retrieval.report import against_base, queries_of

    with reading("index", as_json, max_megapixels) as options:
        result = evaluate_retrieval(
            collection,
            labels,
            out,
            descriptors=split_names(descriptors),
            looks=looks or [],
            class_column=class_column,
            image_column=image_column,
            group_column=group_column,
            bins=bins,
            seed=seed,
            max_queries=max_queries,
            backbone=backbone,
            weights=weights,
            device=device,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            unknown_words=unknown_list(unknown_words),
            options=options,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        changes = against_base(result)
        heads = ["P@1", "P@5", "P@10", "recall@10", "mAP", "colours@5", "colours@10"]
        heads += ["P@10 vs fc", "colours vs fc", "Lab vs fc"][: len(changes)]
        found = table("method", *heads)
        for number, one in enumerate(result.methods):
            found.add_row(
                one.name,
                *(f"{value:.3f}" for value in one.precision.values()),
                f"{one.recall[10]:.3f}",
                f"{one.mean_average_precision:.3f}",
                *(f"{spread.mean:.3f}" for spread in one.colour.values()),
                *(change[number] for change in changes.values()),
            )
        print_table(found)
        say(f"{queries_of(result)}, {len(result.images)} images; {out / 'retrieval.html'}")
        if result.unlabelled:
            say(f"{result.unlabelled} rows without a class skipped")
        if result.copies:
            say(f"{result.copies} rows with copies skipped")
        print_walked(result)
        print_failures(result.failures)
        print_bad_rows(result.bad_rows)
    raise typer.Exit(1 if result.failed else 0)
