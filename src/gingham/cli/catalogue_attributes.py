"""Commands that give a catalogue its attributes: teach, forget, attach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import answer, print_bad_rows, print_failures, print_walked, reading
from gingham.cli.options import (
    AttributeArgument,
    AttributeOption,
    CatalogueArgument,
    FolderArgument,
    ImageColumnOption,
    JsonOption,
    KeyOption,
    MegapixelsOption,
    SkipBadRowsOption,
    TrustPredictionsOption,
    UnknownWordsOption,
    WaitOption,
    app,
    open_catalogue,
    open_folder,
    unknown_list,
)
from gingham.client.address import is_address
from gingham.errors import InputError
from gingham.results import Verdict

WORST = 3
"""Values, and pairs of values, that are named."""


@app.command()
def teach(
    catalogue: CatalogueArgument,
    attribute: AttributeArgument,
    examples: Annotated[
        Path,
        typer.Argument(
            metavar="EXAMPLES", help="A folder with one subfolder per value, or a table."
        ),
    ],
    image_column: ImageColumnOption = "image",
    value_column: Annotated[
        str | None, typer.Option(help="Column of the values.  [default: ATTRIBUTE]")
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            help="Images with the same value in this column stay in the same cross-validation fold."
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="single or multi.  [default: single, or as taught before]")
    ] = None,
    layers: Annotated[
        str, typer.Option(metavar="auto|NAME,..", help="Hidden layers to read.")
    ] = "auto",
    views: Annotated[
        bool,
        typer.Option(help="If there are few examples, also learn from mirrored and cropped views."),
    ] = True,
    allowed_loss: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of right answers that may become unknown, so that values that are not "
            "taught are found more often.  [default: 0.002, or as taught before]",
        ),
    ] = None,
    trust_predictions: TrustPredictionsOption = False,
    max_megapixels: MegapixelsOption = 100.0,
    skip_bad_rows: SkipBadRowsOption = False,
    unknown_words: UnknownWordsOption = None,
    merge_variants: Annotated[
        bool,
        typer.Option(
            "--merge-variants",
            help="Merge values that differ only in case, spaces or Unicode form, also in examples "
            "taught before.",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a page of how good it is, with pictures that it confuses."),
    ] = None,
    key: KeyOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Teach an attribute from examples, or add examples to it."""
    from gingham.report.kit import check_page
    from gingham.report.verdict_page import write_verdict

    if report is not None:
        if is_address(catalogue):
            raise InputError("--report needs the image files: run it on the server's machine")
        check_page(report, "report")
    with (
        open_catalogue(catalogue, key, wait) as shop,
        reading("teach", as_json, max_megapixels) as options,
    ):
        result = shop.teach(
            attribute,
            examples,
            image_column=image_column,
            value_column=value_column,
            group_column=group_column,
            kind=kind,
            layers=layers if layers == "auto" else [x.strip() for x in layers.split(",")],
            views=views,
            allowed_loss=allowed_loss,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            unknown_words=unknown_list(unknown_words),
            merge_variants=merge_variants,
            options=options,
        )
    if report is not None and result.verdict is not None:
        write_verdict(report, result.attribute, result.verdict)
    accuracy = "unknown (too few examples to hold any out)"
    if result.accuracy is not None:
        accuracy = f"{result.accuracy:.3f}, macro F1 {result.macro_f1:.3f} ({result.folds} folds)"
    lines = [
        f"{result.attribute}: {len(result.values)} values from {result.examples} examples; "
        f"{result.seconds:.1f} s",
        f"cross-validated accuracy: {accuracy}",
    ]
    if result.verdict is not None:
        lines += verdict_lines(result.verdict)
    if result.unlabelled:
        lines.append(f"{result.unlabelled} rows without a value skipped")
    lines += [
        f"check: {pair.image} is labelled {pair.value} but looks like {pair.against}, "
        f"labelled {pair.against_value}"
        for pair in result.contradictions
    ]
    lines += [
        f"merged: {one.value!r} ({one.count}) into {one.like!r} ({one.like_count})"
        if result.merged
        else f"check: value {one.value!r} ({one.count}) looks like {one.like!r} "
        f"({one.like_count}): to merge them, teach again with --merge-variants"
        for one in result.variants
    ]
    answer(as_json, result.to_dict(), *lines)
    if not as_json:
        print_walked(result)
        print_failures(result.failures)
        print_bad_rows(result.bad_rows)
    raise typer.Exit(1 if result.failures else 0)


def verdict_lines(verdict: Verdict) -> list[str]:
    """Say how good an attribute is, a line each."""
    lines = [verdict.sentence]
    if verdict.grade != "untested":
        lines.append(
            f"{verdict.answered:.2f} of them can be answered if {verdict.precision:.2f} of the "
            "answers must be right"
            if verdict.answered
            else f"too few are right to promise that of any answers {verdict.precision:.2f} are"
        )
    if verdict.first_tested:
        lines.append(
            f"of those taught first {verdict.first_right} of {verdict.first_tested} are right; "
            "hard examples that came later lower the figures of all"
        )
    worst = [one for one in verdict.values if one.right < one.tested][:WORST]
    if worst and verdict.grade != "good":
        shown = ", ".join(f"{one.value} {one.right} of {one.tested}" for one in worst)
        lines.append(f"worst values: {shown}")
    lines += [
        f"confused: {one.value} taken for {one.predicted} "
        f"{'once' if one.count == 1 else f'{one.count} times'}: {', '.join(one.images)}"
        for one in verdict.confusions[:WORST]
    ]
    return lines if verdict.advice is None else [*lines, verdict.advice]


@app.command()
def forget(
    catalogue: CatalogueArgument,
    attribute: AttributeArgument,
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]")] = None,
    key: KeyOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Delete an attribute or a value, with its examples and tags.

    An attached attribute is detached; the model stays, and if an attribute of the same name is
    taught, that one answers again.
    """
    with open_catalogue(catalogue, key, wait) as shop:
        shop.forget(attribute, value)
    line = f"forgotten: {attribute}" + (f" = {value}" if value else "")
    answer(as_json, {"attribute": attribute, "value": value}, line)


@app.command()
def attach(
    catalogue: FolderArgument,
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Folder of a model from `gingham train`.")
    ],
    attribute: AttributeOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Make the attributes of a trained model attributes of the catalogue.

    The model stays where it is. Its attributes answer in place of taught attributes of the same
    name; nothing taught is lost. `gingham forget` detaches an attribute, and the taught one
    answers again.
    """
    with open_folder(catalogue, wait) as shop:
        result = shop.attach(model, attributes=attribute)
    lines = [
        f"attached {name}: {', '.join(values)}"
        + (" (in place of what is taught)" if name in result.replaces else "")
        for name, values in result.attributes.items()
    ]
    answer(as_json, result.to_dict(), *lines)
