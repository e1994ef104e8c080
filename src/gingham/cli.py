"""One command a catalogue method: it parses, calls, prints, and translates errors."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gingham.console import (
    print_counts,
    print_json,
    print_table,
    progress_bar,
    say,
    shown,
    spinner,
    table,
)
from gingham.errors import GinghamError, InputError

if TYPE_CHECKING:
    from gingham.catalogue import Catalogue

app = typer.Typer(
    name="gingham",
    help="Teach it an attribute with ten pictures; it tags and searches your whole catalogue.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

CatalogueArgument = Annotated[
    Path, typer.Argument(metavar="CATALOGUE", help="Folder of the catalogue.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="ATTRIBUTE=VALUE",
        help="Keep images with this value (or != without it); the same attribute again means or.",
    ),
]
MegapixelsOption = Annotated[
    float,
    typer.Option("--max-megapixels", min=0.0, help="Refuse larger images, before decoding them."),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(help="efficientnet_lite0 (default), resnet50, vgg16, ... or any timm name."),
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="A .safetensors or .pth file of the backbone's weights.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def main() -> None:
    """Run the command line; no traceback reaches the user."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except GinghamError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("interrupted: what was done so far is kept", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("GINGHAM_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (set GINGHAM_DEBUG=1 to see where)")


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


@app.command()
def index(
    catalogue: CatalogueArgument,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders, images, tables with a column `image`, or - for paths on stdin.",
        ),
    ],
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    max_megapixels: MegapixelsOption = 100.0,
    as_json: JsonOption = False,
) -> None:
    """Add images to a catalogue, making it if it is not there; only new images are read."""
    from gingham.backbones import DEFAULT_BACKBONE
    from gingham.catalogue import Catalogue
    from gingham.sources import find_images

    listed = _stdin_paths() if "-" in sources else []
    folders = [source for source in sources if source != "-"]
    if (catalogue / "catalogue.json").exists():
        shop = Catalogue.open(catalogue, backbone=backbone, weights=weights, device=device)
    else:
        # A mistyped source must not leave an empty catalogue behind.
        find_images(folders, exclude=catalogue)
        shop = Catalogue.create(
            catalogue, backbone=backbone or DEFAULT_BACKBONE, weights=weights, device=device
        )
    with shop, progress_bar("index", as_json) as progress:
        result = shop.index(
            folders, images=listed, max_pixels=_pixels(max_megapixels), progress=progress
        )
    if as_json:
        print_json(result.to_dict())
    else:
        say(
            f"{result.added} added, {result.unchanged} unchanged, {result.failed} failed; "
            f"{result.images} images in {catalogue}; "
            f"{result.seconds:.1f} s, {result.images_per_second:.0f} images/s"
        )
        if result.ignored:
            say(f"{len(result.ignored)} hidden files ignored, the first {result.ignored[0]}")
        for failure in result.failures:
            print(f"failed: {failure.image}: {failure.reason}", file=sys.stderr)
    raise typer.Exit(1 if result.failed else 0)


@app.command()
def teach(
    catalogue: CatalogueArgument,
    attribute: Annotated[str, typer.Argument(metavar="ATTRIBUTE")],
    examples: Annotated[
        Path,
        typer.Argument(
            metavar="EXAMPLES", help="A folder whose subfolders are the values, or a table."
        ),
    ],
    image_column: Annotated[str, typer.Option()] = "image",
    value_column: Annotated[
        str | None, typer.Option(help="Column of the values.  [default: ATTRIBUTE]")
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Images that share it are judged together.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="single or multi.  [default: single, or as taught before]")
    ] = None,
    layers: Annotated[str, typer.Option(metavar="auto|NAME,..", help="Hidden layers.")] = "auto",
    views: Annotated[
        bool, typer.Option(help="Learn from mirrored and cropped views of few examples, too.")
    ] = True,
    max_megapixels: MegapixelsOption = 100.0,
    as_json: JsonOption = False,
) -> None:
    """Teach an attribute from examples, or add examples to one taught before."""
    with _open(catalogue) as shop, progress_bar("teach", as_json) as progress:
        result = shop.teach(
            attribute,
            examples,
            image_column=image_column,
            value_column=value_column,
            group_column=group_column,
            kind=kind,
            layers=layers if layers == "auto" else [x.strip() for x in layers.split(",")],
            views=views,
            max_pixels=_pixels(max_megapixels),
            progress=progress,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        accuracy = "not known: too few examples to hold any out"
        if result.accuracy is not None:
            accuracy = (
                f"{result.accuracy:.3f}, macro F1 {result.macro_f1:.3f} ({result.folds} folds)"
            )
        say(
            f"{result.attribute}: {len(result.values)} values from {result.examples} examples "
            f"on {', '.join(result.layers)}; {result.seconds:.1f} s"
        )
        say(f"cross-validated accuracy: {accuracy}")
        if result.unlabelled:
            say(f"{result.unlabelled} rows without a value left out")
        for pair in result.contradictions:
            say(f"check: {pair.image} ({pair.value}) against {pair.against} ({pair.against_value})")
        for failure in result.failures:
            print(f"failed: {failure.image}: {failure.reason}", file=sys.stderr)
    raise typer.Exit(1 if result.failures else 0)


@app.command()
def forget(
    catalogue: CatalogueArgument,
    attribute: Annotated[str, typer.Argument(metavar="ATTRIBUTE")],
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Forget an attribute, or one of its values, with its examples and tags."""
    with _open(catalogue) as shop:
        shop.forget(attribute, value)
    if as_json:
        print_json({"attribute": attribute, "value": value})
    else:
        say(f"forgotten: {attribute}" + (f" = {value}" if value else ""))


@app.command()
def predict(
    catalogue: CatalogueArgument,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Images, or - for paths on stdin.")
    ],
    attribute: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    max_megapixels: MegapixelsOption = 100.0,
    as_json: JsonOption = False,
) -> None:
    """Predict the attributes of images, in the catalogue or not, one line an image."""
    paths = [p for image in images for p in (_stdin_paths() if image == "-" else [image])]
    failed = False
    with _open(catalogue) as shop, progress_bar("predict", as_json) as progress:
        for result in shop.predict(
            paths, attributes=attribute, max_pixels=_pixels(max_megapixels), progress=progress
        ):
            failed |= result.error is not None
            if as_json:
                print_json(result.to_dict())
            elif result.error is not None:
                print(f"failed: {result.image}: {result.error}", file=sys.stderr)
            else:
                said = "; ".join(
                    f"{name} {shown(p.value)} ({p.confidence:.2f})"
                    for name, p in result.predictions.items()
                )
                say(f"{result.image}: {said}")
    raise typer.Exit(1 if failed else 0)


@app.command()
def tag(
    catalogue: CatalogueArgument,
    attributes: Annotated[
        list[str] | None, typer.Argument(metavar="[ATTRIBUTE...]", help="Default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Apply attributes to every image of the catalogue, from the stored features."""
    with _open(catalogue) as shop, progress_bar("tag", as_json) as progress:
        result = shop.tag(attributes, progress=progress)
    if as_json:
        print_json(result.to_dict())
    else:
        print_counts(result.attributes)
        say(f"{result.images} images tagged in {result.seconds:.1f} s")


@app.command()
def search(
    catalogue: CatalogueArgument,
    image: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Images to look like; one or more.")
    ],
    look: Annotated[
        list[str] | None,
        typer.Option(metavar="LOOK=WEIGHT", help="colour, texture, semantic or attribute:NAME."),
    ] = None,
    where: WhereOption = None,
    unlike: Annotated[
        list[str] | None, typer.Option(metavar="IMAGE", help="Images not to look like.")
    ] = None,
    number: Annotated[int, typer.Option("-n", min=1, help="How many to find.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Find the images that look most like the given ones, best first."""
    looks = _weights(look)
    with _open(catalogue) as shop, spinner("searching; new images are indexed first", as_json):
        hits = shop.search(image, looks=looks, where=where or [], unlike=unlike or [], n=number)
    if as_json:
        for hit in hits:
            print_json(hit.to_dict())
        return
    found = table("score", *(hits[0].looks if hits else ()), "image", "attributes")
    for hit in hits:
        attributes = ", ".join(f"{name} {shown(v)}" for name, v in hit.attributes.items())
        similarities = (f"{value:.3f}" for value in hit.looks.values())
        found.add_row(f"{hit.score:.3f}", *similarities, hit.image, attributes)
    print_table(found) if hits else say("no image passes the filters")


@app.command()
def facets(
    catalogue: CatalogueArgument, where: WhereOption = None, as_json: JsonOption = False
) -> None:
    """Count the images of every value, among those that pass the filters."""
    with _open(catalogue) as shop:
        result = shop.facets(where or [])
    if as_json:
        print_json(result.to_dict())
    else:
        print_counts(result.attributes)
        say(f"{result.images} images")


@app.command()
def info(catalogue: CatalogueArgument, as_json: JsonOption = False) -> None:
    """Say what a catalogue holds."""
    with _open(catalogue) as shop:
        result = shop.info()
    if as_json:
        print_json(result.to_dict())
        return
    say(f"{result.catalogue}: {result.images} images in {result.files} files")
    say(f"backbone {result.backbone}: {', '.join(result.layers)}")
    say(f"looks: {', '.join(result.looks)}; {result.bytes / 1e6:.1f} MB on disk")
    for name, attribute in result.attributes.items():
        say(
            f"{name} ({attribute.kind}): {', '.join(attribute.values)}; {attribute.examples} "
            f"examples; {attribute.tagged} of {result.images} images tagged"
        )


@app.command()
def verify(catalogue: CatalogueArgument, as_json: JsonOption = False) -> None:
    """Read every file of the catalogue and say what is damaged or does not fit together."""
    with _open(catalogue) as shop:
        problems = shop.verify()
    if as_json:
        print_json({"problems": problems})
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems and not as_json:
        say("sound")
    raise typer.Exit(2 if problems else 0)


@app.command()
def rebuild(catalogue: CatalogueArgument, as_json: JsonOption = False) -> None:
    """Make the attributes and the search index anew from the stored features and examples."""
    with _open(catalogue) as shop, spinner("rebuilding", as_json):
        shop.rebuild()
        images = len(shop)
    if as_json:
        print_json({"images": images})
    else:
        say(f"rebuilt: {images} images")


@app.command()
def remove(
    catalogue: CatalogueArgument,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Files or ids, or - for a list on stdin."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Take images out of the catalogue; their files are not touched."""
    names = [p for image in images for p in (_stdin_paths() if image == "-" else [image])]
    with _open(catalogue) as shop:
        removed = shop.remove(names)
        left = len(shop)
    if as_json:
        print_json({"removed": removed, "images": left})
    else:
        say(f"{removed} files removed; {left} images left")


@app.command()
def export(
    catalogue: CatalogueArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.parquet|FILE.csv")],
    as_json: JsonOption = False,
) -> None:
    """Write a table of every file with its tags and confidences."""
    with _open(catalogue) as shop:
        rows = shop.export(file)
    if as_json:
        print_json({"file": str(file), "rows": rows})
    else:
        say(f"{rows} rows written to {file}")


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
    from gingham.backbones import DEFAULT_BACKBONE
    from gingham.study import Setting, print_study, split_weights
    from gingham.study import study as run

    names = backbones or [DEFAULT_BACKBONE]
    result = run(
        examples,
        out,
        backbones=names,
        weights=split_weights(weights or [], names),
        attributes=attributes or [],
        groups=groups,
        image_column=image_column,
        queries=queries or [],
        setting=Setting(folds=folds, seed=seed, looks=_weights(looks) or Setting().looks),
        device=device,
        max_pixels=_pixels(max_megapixels),
        progress=lambda what: progress_bar(what, as_json),
    )
    if as_json:
        print_json(result.to_dict())
    else:
        print_study(result)
    raise typer.Exit(1 if result.failed else 0)


def _open(folder: Path) -> Catalogue:
    from gingham.catalogue import Catalogue

    return Catalogue.open(folder)


def _stdin_paths() -> list[str]:
    from gingham.sources import iterate_stdin

    return list(iterate_stdin(sys.stdin.buffer.read()))


def _pixels(megapixels: float) -> int:
    return int(megapixels * 1e6)


def _weights(looks: Sequence[str] | None) -> dict[str, float] | None:
    if not looks:
        return None
    from gingham.looks import parse_look

    weights: dict[str, float] = {}
    for look in looks:
        name, weight = parse_look(look)
        if name in weights:
            raise InputError(f"--look {name} is given twice: give one weight for it")
        weights[name] = weight
    return weights
