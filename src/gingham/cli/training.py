"""Training a network on a table of labels, and evaluating it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import (
    print_bad_rows,
    print_failures,
    print_json,
    print_table,
    reading,
    say,
    table,
)
from gingham.cli.options import (
    JsonOption,
    MegapixelsOption,
    SkipBadRowsOption,
    TrustPredictionsOption,
    UnknownWordsOption,
    app,
    evaluate_app,
    open_folder,
    refuse_address,
    unknown_list,
)
from gingham.names import one_line

TableArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        help="A .csv or .parquet with an `image` column and one column per attribute, or a CUB-200 "
        "folder.",
    ),
]


@app.command()
def train(
    labels: TableArgument,
    out: Annotated[Path, typer.Option(help="Folder for the model; interrupted runs resume.")],
    config: Annotated[
        Path | None,
        typer.Option(metavar="TRAIN.toml", help="Settings; missing keys keep their defaults."),
    ] = None,
    max_megapixels: MegapixelsOption = 100.0,
    trust_predictions: TrustPredictionsOption = False,
    skip_bad_rows: SkipBadRowsOption = False,
    unknown_words: UnknownWordsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a network on a table of labelled images."""
    from gingham.training import TrainConfig
    from gingham.training import train as run

    settings = TrainConfig.read(config) if config else TrainConfig()
    if unknown_words is not None:
        data = replace(settings.data, unknown_words=unknown_list(unknown_words))
        settings = replace(settings, data=data)
    with reading("train", as_json, max_megapixels) as options:
        result = run(
            labels,
            out,
            settings,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            options=options,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        say(
            f"{result.model}: {result.head} on {result.backbone}; "
            + ", ".join(f"{count} {part}" for part, count in result.images.items())
            + f" images; {result.seconds:.0f} s"
        )
        for part, found in result.metrics.items():
            say(f"{part}: W_MAP {_figure(found['w_map'])}, AVGPREC {_figure(found['avgprec'])}")
        shown = table("attribute", "values", *(f"{part} accuracy" for part in result.metrics))
        for name, values in result.attributes.items():
            accuracies = (found["accuracy"][name] for found in result.metrics.values())
            shown.add_row(one_line(name), str(len(values)), *map(_figure, accuracies))
        print_table(shown)
        for name, rare in result.dropped.items():
            say(f"not learned (too few images): {name}: {', '.join(rare)}")
        print_failures(result.failures)
        print_bad_rows(result.bad_rows)
    raise typer.Exit(1 if result.failures else 0)


@evaluate_app.command("model")
def model(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a trained model.")],
    labels: TableArgument,
    out: Annotated[
        Path, typer.Option(help="Folder for metrics.json, metrics.csv and report.html.")
    ],
    part: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="train, validation or test.  [default: test, or without a `split` column all "
            "images that were not learned]",
        ),
    ] = None,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            metavar="CATALOGUE",
            help="Compare with the attributes of this catalogue.",
            callback=refuse_address,
        ),
    ] = None,
    max_megapixels: MegapixelsOption = 100.0,
    trust_predictions: TrustPredictionsOption = False,
    skip_bad_rows: SkipBadRowsOption = False,
    unknown_words: UnknownWordsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a trained model on labelled images."""
    from contextlib import ExitStack

    from gingham.evaluation.model import evaluate_model
    from gingham.evaluation.model_page import of_learned
    from gingham.training.trained import TrainedModel

    with ExitStack() as stack:
        shop = stack.enter_context(open_folder(catalogue)) if catalogue else None
        options = stack.enter_context(reading("evaluate", as_json, max_megapixels))
        result = evaluate_model(
            TrainedModel.load(folder),
            labels,
            out,
            part=part,
            catalogue=shop,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            unknown_words=None if unknown_words is None else unknown_list(unknown_words),
            options=options,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        metrics = result.metrics
        say(
            f"{metrics.images} images ({result.part}): W_MAP {_figure(metrics.overall.w_map)}, "
            f"AVGPREC {_figure(metrics.avgprec)}, macro F1 {_figure(metrics.overall.macro_f1)}"
        )
        if told := of_learned(result.part, result.learned):
            say(told)
        shown = table("attribute", "images", "accuracy", "macro F1", "W_MAP")
        for one in metrics.attributes:
            figures = (one.accuracy, one.summary.macro_f1, one.summary.w_map)
            shown.add_row(one_line(one.name), str(one.images), *map(_figure, figures))
        print_table(shown)
        for pair in result.comparisons:
            say(
                f"{pair.attribute}: trained {pair.trained:.3f}, taught {pair.taught:.3f} on "
                f"{pair.images} images; better: {pair.better}"
            )
        say(f"report: {out / 'report.html'}")
        for image in result.failed:
            say(f"failed: {image}", error=True)
        print_bad_rows(result.bad_rows)
    raise typer.Exit(1 if result.failed else 0)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
