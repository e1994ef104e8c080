"""Commands about the images of a catalogue: index, predict, tag, search, sheet, facets, export."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gingham.cli.console import (
    answer,
    print_bad_rows,
    print_counts,
    print_failures,
    print_json,
    print_walked,
    reading,
    say,
    spinner,
)
from gingham.cli.cut_offs import cut_offs, print_cut_offs
from gingham.cli.options import (
    AtPrecisionOption,
    AttributeOption,
    BackboneOption,
    CatalogueArgument,
    DescriptorsOption,
    DeviceOption,
    ImagesArgument,
    IndexOption,
    JsonOption,
    KeyOption,
    MegapixelsOption,
    MinConfidenceOption,
    ModelOption,
    PrecisionOption,
    RayOption,
    ResolutionOption,
    SkipBadRowsOption,
    ViewOption,
    WaitOption,
    WeightsOption,
    WhereOption,
    app,
    composed_names,
    found_images,
    open_catalogue,
    opened,
    split_names,
    stdin_paths,
)
from gingham.client.address import is_address
from gingham.errors import InputError
from gingham.names import NOT_APPLICABLE
from gingham.results import shown

if TYPE_CHECKING:
    from gingham.catalogue import Catalogue
    from gingham.client.remote import RemoteCatalogue
    from gingham.sources import Walk


@app.command()
def index(
    catalogue: CatalogueArgument,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders, images, patterns such as 'shop/*.jpg', zip and tar archives, tables "
            "with an `image` column and other formats, addresses in object storage "
            "(s3://BUCKET/PREFIX), or - for paths on stdin.",
        ),
    ],
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    descriptors: DescriptorsOption = None,
    view: ViewOption = None,
    resolution: ResolutionOption = None,
    precision: PrecisionOption = None,
    index_at: IndexOption = None,
    max_megapixels: MegapixelsOption = 100.0,
    skip_bad_rows: SkipBadRowsOption = False,
    product_column: Annotated[
        str | None,
        typer.Option(
            help="Column of tables with the product that an image shows, for `search --by product`."
            "  [default: product, where there is one]",
        ),
    ] = None,
    ray: RayOption = None,
    key: KeyOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Add images to a catalogue, creating it if needed.

    Only new images are read.
    """
    from gingham.backbones.preprocess import SQUARE
    from gingham.backbones.table import DEFAULT_BACKBONE, FLOAT32
    from gingham.catalogue import Catalogue
    from gingham.index.address import EMBEDDED
    from gingham.sources import find_images
    from gingham.store.header import is_catalogue
    from gingham.store.site import files_at

    if ray is not None:
        from gingham.cluster.connection import connected, find_cluster

        ray = find_cluster(ray)
    listed = stdin_paths() if "-" in sources else []
    folders = [source for source in sources if source != "-"]
    kept = None if descriptors is None else split_names(descriptors)
    if kept == []:
        raise InputError("--descriptors is empty: give some of fc, conv and rgb, or leave it out")
    walk: Walk | None = None
    started = time.perf_counter()
    with ExitStack() as stack, reading("index", as_json, max_megapixels) as options:
        shop: Catalogue | RemoteCatalogue
        if is_address(catalogue):
            given = (backbone, weights, kept, view, resolution, precision, index_at)
            if any(given) or device != "auto":
                raise InputError(
                    "--backbone, --weights, --device, --descriptors, --view, --resolution, "
                    "--precision and --index are the server's choice: leave them out"
                )
            shop = open_catalogue(catalogue, key, wait)
        elif is_catalogue(files_at(catalogue)):
            shop = Catalogue.open(
                catalogue,
                backbone=backbone,
                weights=weights,
                device=device,
                descriptors=kept,
                view=view,
                resolution=resolution,
                precision=precision,
                wait=wait,
                index=index_at,
            )
        else:
            # A mistyped source must not leave an empty catalogue behind, nor a cluster that fails.
            walk = find_images(
                folders,
                exclude=catalogue,
                skip_bad_rows=skip_bad_rows,
                product_column=product_column,
            )
            if ray is not None:
                stack.enter_context(connected(ray))
            shop = Catalogue.create(
                catalogue,
                backbone=backbone or DEFAULT_BACKBONE,
                weights=weights,
                device=device,
                descriptors=kept or (),
                view=view or SQUARE,
                resolution=resolution,
                precision=precision or FLOAT32,
                calibration=[*walk.images, *listed],
                options=options,
                index=index_at or EMBEDDED,
            )
        with shop:
            result = shop.index(
                walk or folders,
                images=listed,
                skip_bad_rows=skip_bad_rows,
                product_column=product_column,
                cluster=ray,
                options=options,
            )
    # Including the conversion of the network, where there was one.
    result = replace(result, seconds=time.perf_counter() - started)
    if as_json:
        print_json(result.to_dict())
    else:
        say(
            f"{result.added} added, {result.unchanged} unchanged, {result.failed} failed; "
            f"{result.images} images in {catalogue}; "
            f"{result.seconds:.1f} s, {result.images_per_second:.0f} images/s"
        )
        print_walked(result)
        if result.unused_profiles:
            say(
                f"{len(result.unused_profiles)} colour profiles could not be used (colours taken "
                f"as sRGB), first of {result.unused_profiles[0]}"
            )
        print_failures(result.failures)
        print_bad_rows(result.bad_rows)
    raise typer.Exit(1 if result.failed else 0)


@app.command()
def predict(
    catalogue: CatalogueArgument,
    images: ImagesArgument,
    attribute: AttributeOption = None,
    model: ModelOption = None,
    min_confidence: MinConfidenceOption = None,
    at_precision: AtPrecisionOption = None,
    max_megapixels: MegapixelsOption = 100.0,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the attributes of images; prints one line per image.

    The images may be in the catalogue or not. Values of a hierarchy (see gingham schema) are
    answered at the deepest level that is sure: 0.5, or --min-confidence.
    """
    paths = found_images(images)
    failed = False
    with (
        open_catalogue(catalogue, key) as shop,
        reading("predict", as_json, max_megapixels) as options,
    ):
        results = shop.predict(
            paths,
            attributes=attribute,
            model=opened(model),
            min_confidence=min_confidence,
            at_precision=at_precision,
            options=options,
        )
        for result in results:
            failed |= result.error is not None
            if as_json:
                print_json(result.to_dict())
                continue
            if result.error is not None:
                say(f"failed: {result.image}: {result.error}", error=True)
            if result.predictions or result.error is None:
                said = "; ".join(
                    f"{name} {shown(p.value) if p.applies else NOT_APPLICABLE}"
                    + ("" if p.value is None else f" ({p.confidence:.2f})")
                    for name, p in result.predictions.items()
                )
                say(f"{result.image}: {said}")
    raise typer.Exit(1 if failed else 0)


@app.command()
def tag(
    catalogue: CatalogueArgument,
    attributes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ATTRIBUTE...]", help="All, if none is given.", callback=composed_names
        ),
    ] = None,
    model: ModelOption = None,
    min_confidence: MinConfidenceOption = None,
    at_precision: AtPrecisionOption = None,
    key: KeyOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Predict attributes for every image of the catalogue.

    Taught attributes use the stored features; a trained model reads the image files again. With
    --model the model is attached first. A cut-off holds wherever the tags are used, unless another
    one is given there.
    """
    with open_catalogue(catalogue, key, wait) as shop, reading("tag", as_json) as options:
        if model is not None:
            attributes = list(shop.attach(model, attributes=attributes).attributes)
        result = shop.tag(
            attributes,
            min_confidence=min_confidence,
            at_precision=at_precision,
            options=options,
        )
        cutoffs = cut_offs(shop, result.attributes, min_confidence, at_precision)
        meaning = shop.schema
    if as_json:
        print_json(result.to_dict() | ({"cutoffs": cutoffs} if cutoffs else {}))
    else:
        print_counts(result.attributes, meaning)
        say(f"{result.images} images tagged in {result.seconds:.1f} s")
        print_cut_offs(cutoffs)
        print_failures(result.failures)
    raise typer.Exit(1 if result.failures else 0)


@app.command()
def sheet(
    catalogue: CatalogueArgument,
    attribute: Annotated[
        str, typer.Option(help="Attribute to group the images by.", callback=composed_names)
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The page to write.")],
    where: WhereOption = None,
    number: Annotated[int, typer.Option("-n", min=1, help="Images to show per value.")] = 16,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page of images grouped by their value of an attribute."""
    with open_catalogue(catalogue, key) as shop, spinner("reading images", as_json):
        images = shop.sheet(out, attribute, where=where or [], n=number)
    answer(as_json, {"file": str(out), "images": images}, f"{images} images shown: {out}")


@app.command()
def facets(
    catalogue: CatalogueArgument,
    where: WhereOption = None,
    min_confidence: MinConfidenceOption = None,
    at_precision: AtPrecisionOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count images per value, among those that match the filters."""
    with open_catalogue(catalogue, key) as shop:
        result = shop.facets(where or [], min_confidence=min_confidence, at_precision=at_precision)
        cutoffs = cut_offs(shop, result.attributes, min_confidence, at_precision)
        meaning = shop.schema
    if as_json:
        print_json(result.to_dict() | ({"cutoffs": cutoffs} if cutoffs else {}))
    else:
        if result.attributes:
            print_counts(result.attributes, meaning)
        else:
            say("nothing is tagged yet: run gingham tag (after gingham teach or gingham attach)")
        say(f"{result.images} images")
        print_cut_offs(cutoffs)


@app.command()
def export(
    catalogue: CatalogueArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=".csv or .parquet, or as --format says.")
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="label-studio, coco, datasets, shopify, woocommerce, audubon-core, "
            "embedding-atlas, csv or parquet; by default FILE's ending says it.",
        ),
    ] = None,
    join: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="A table whose rows get the tags of their images."),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Of TABLE: image for a row per image; another, as sku, for a row per product. "
            "(A server's key is read from GINGHAM_KEY.)",
        ),
    ] = "image",
    relative: Annotated[
        bool, typer.Option("--relative", help="Write paths relative to FILE's folder.")
    ] = False,
    answered: Annotated[
        bool, typer.Option("--answered", help="Leave out what has no answer at all.")
    ] = False,
    min_confidence: MinConfidenceOption = None,
    at_precision: AtPrecisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a table of all files with their tags and confidences.

    What is unknown has no confidence; its likeliest value is in the column NAME_best_guess. What
    does not apply by the catalogue's schema is `not applicable`.
    """
    with open_catalogue(catalogue) as shop:
        rows = shop.export(
            file,
            form=form,
            join=join,
            join_key=key,
            relative=relative,
            answered=answered,
            min_confidence=min_confidence,
            at_precision=at_precision,
        )
        whole = not (join or answered)
        left_out = sum(map(len, shop.images().values())) - rows if whole else 0
    lines = [f"{rows} rows written to {file}"]
    if left_out:
        lines.append(f"{left_out} missing files left out: other files of their images are there")
    answer(as_json, {"file": str(file), "rows": rows, "missing": left_out}, *lines)
