"""What several commands share: the app, their arguments and options, and how these are read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gingham.catalogue import Catalogue

app = typer.Typer(
    name="gingham",
    help="Teach it an attribute with ten pictures; it tags, searches and explains your catalogue.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
evaluate_app = typer.Typer(
    name="evaluate", help="Judge what gingham does.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(evaluate_app)

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
ModelOption = Annotated[
    Path | None,
    typer.Option(metavar="MODEL", help="Ask a model of gingham train, not what was taught."),
]
DescriptorsOption = Annotated[
    str | None,
    typer.Option(
        metavar="fc,conv,rgb", help="Vectors to keep besides, for the looks fc, conv and rgb."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def open_catalogue(folder: Path) -> Catalogue:
    """Open a catalogue that is there."""
    from gingham.catalogue import Catalogue

    return Catalogue.open(folder)


def stdin_paths() -> list[str]:
    """Read the paths on stdin."""
    from gingham.sources import iterate_stdin

    return list(iterate_stdin(sys.stdin.buffer.read()))


def split_names(names: str) -> list[str]:
    """Read a list such as `fc,conv`."""
    return [name.strip() for name in names.split(",") if name.strip()]


def look_weights(looks: Sequence[str] | None) -> dict[str, float] | None:
    """Read `--look LOOK=WEIGHT` options; None if there are none."""
    if not looks:
        return None
    from gingham.index.looks import parse_looks

    return parse_looks(looks)
