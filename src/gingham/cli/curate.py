"""Curation of tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import print_bad_rows, print_json, print_table, reading, say, table
from gingham.cli.options import (
    DeviceOption,
    JsonOption,
    RayOption,
    SkipBadRowsOption,
    TrustPredictionsOption,
    UnknownWordsOption,
    app,
    unknown_list,
)


@app.command()
def curate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="A .csv or .parquet table of images and attributes, or a catalogue.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the clean table and the report; a second run is fast.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(metavar="CURATE.toml", help="Settings; missing keys keep their defaults."),
    ] = None,
    device: DeviceOption = "auto",
    trust_predictions: TrustPredictionsOption = False,
    skip_bad_rows: SkipBadRowsOption = False,
    unknown_words: UnknownWordsOption = None,
    decisions: Annotated[
        Path | None,
        typer.Option(
            metavar="DECISIONS.csv",
            help="What was decided about flagged labels: the file that the report saves.",
        ),
    ] = None,
    ray: RayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Clean a table of labelled images and report every change.

    Removes unreadable images and duplicates, merges values, flags label errors, and splits the
    table into training, validation and test.
    """
    from gingham.curation import CurationConfig
    from gingham.curation import curate as run

    settings = CurationConfig.read(config) if config else CurationConfig()
    if unknown_words is not None:
        words = replace(settings.unknown, enabled=True, spellings=unknown_list(unknown_words))
        settings = replace(settings, unknown=words)
    with reading("curate", as_json) as options:
        result = run(
            source,
            out,
            settings,
            device=device,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            decisions=decisions,
            cluster=ray,
            options=options,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        say(f"{result.flagged} labels flagged as probably wrong")
        faults = result.stages.get("pictures", {})
        for kind in ("dark", "blurred"):
            if faults.get(kind):
                say(f"{faults[kind]} pictures are {kind}")
        rows = table("stage", "removed")
        for name, count in result.removed.items():
            rows.add_row(name, str(count))
        print_table(rows)
        for name, why in result.ignored.items():
            say(f"column {name} is not used as an attribute: {why}")
        for name, what in result.unseen.items():
            say(
                f"labels of {name} are not judged: they are {what}, which pictures do not show; "
                "name it in [label_errors] attributes to judge them"
            )
        for rule, count in result.stages.get("values", {}).get("rules", {}).items():
            if not count:
                say(f"rule {rule!r} matches no label: check its spelling")
        for name, merged in result.stages.get("values", {}).get("merged", {}).items():
            said = ", ".join(f"{old!r} to {new!r}" for old, new in merged.items())
            say(f"merged values of {name} that look like one: {said}")
        if merges := result.stages.get("label_errors", {}).get("merges"):
            say(
                f"{len(merges)} pairs of values may be the same: write yes beside those to merge "
                f"in {out / 'merges.csv'}, and run the command again"
            )
        print_bad_rows(result.bad_rows)
        say(f"{result.kept} of {result.rows} rows kept")
        say(", ".join(f"{name} {count}" for name, count in result.splits.items()))
        say(f"table: {result.table}")
        say(f"report: {result.report}; {result.seconds:.0f} s")
    raise typer.Exit(1 if result.failed else 0)
