"""What several commands share: the app, arguments and options, and how they are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import gingham
from gingham.cli.console import say
from gingham.client.address import is_address
from gingham.errors import InputError
from gingham.names import UNKNOWN_WORDS, composed

if TYPE_CHECKING:
    from gingham.catalogue import Catalogue
    from gingham.client.remote import RemoteCatalogue
    from gingham.training.trained import TrainedModel

app = typer.Typer(
    name="gingham",
    help="Visual attributes of images and search by looks: teach an attribute with ten pictures,\n"
    "then tag, search and explain a whole catalogue.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
evaluate_app = typer.Typer(
    name="evaluate",
    help="Measure search quality or a trained model.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(evaluate_app)
keys_app = typer.Typer(
    name="keys",
    help="Keys for `gingham serve`: who may ask over HTTP, and what each may do.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(keys_app)


def _print_version(asked: bool) -> None:
    if asked:
        say(f"gingham {gingham.__version__}")
        raise typer.Exit


@app.callback()
def of_the_program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def refuse_address(context: typer.Context, folder: str | None) -> str | None:
    """Refuse the address of a served catalogue where its folder is needed."""
    if folder is not None and is_address(folder):
        raise InputError(
            f"{context.command_path} works on a catalogue's folder, not over HTTP: run it where "
            "the folder is, while it is not served"
        )
    return folder


def composed_names(given: Any) -> Any:
    """Write names of attributes as they are known, whatever form a terminal gives them."""
    return composed(given) if isinstance(given, str) else given and list(map(composed, given))


def checked_cluster(address: str | None) -> str | None:
    """Refuse what names no Ray cluster: it may be the catalogue, where --ray was to stand bare."""
    if address is not None:
        from gingham.cluster.connection import check_address

        check_address(address)
    return address


OPTIONAL = {"--ray": "any"}
"""Options whose value may be left out -> what that means."""

FolderArgument = Annotated[
    str,
    typer.Argument(
        metavar="CATALOGUE",
        help="Folder of the catalogue, or its address in object storage, as in s3://bucket/shop.",
        callback=refuse_address,
    ),
]
CatalogueArgument = Annotated[
    str,
    typer.Argument(
        metavar="CATALOGUE",
        help="Folder of the catalogue, its address in object storage (s3://BUCKET/NAME), or the "
        "address where it is served: http://HOST:PORT.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(help="Key for a served catalogue.  [default: GINGHAM_KEY of the environment]"),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        metavar="[local|auto|HOST:PORT]",
        help="Read on a Ray cluster: one started on this machine, the one that it belongs to or "
        "RAY_ADDRESS names, or the one at an address. A bare --ray, last, takes the one that it "
        "belongs to, or else starts one.",
        callback=checked_cluster,
    ),
]
WaitOption = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        max=1e6,
        help="Wait so long for another process that changes the catalogue.",
    ),
]
ImagesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE...",
        help="Images, folders, patterns such as 'shop/*.jpg', or - for paths on stdin.",
    ),
]
AttributeArgument = Annotated[str, typer.Argument(metavar="ATTRIBUTE", callback=composed_names)]
AttributeOption = Annotated[
    list[str] | None,
    typer.Option(help="Only this attribute; repeat for more.", callback=composed_names),
]
ImageColumnOption = Annotated[str, typer.Option(help="Column of the image paths.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
TrustPredictionsOption = Annotated[
    bool,
    typer.Option(
        "--trust-predictions",
        help="Take a table of predictions, with a column ATTRIBUTE_confidence, for labels.",
    ),
]
SkipBadRowsOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows", help="Leave out rows of a table that cannot be used, and list them."
    ),
]
UnknownWordsOption = Annotated[
    str | None,
    typer.Option(
        metavar="WORD,..",
        help="Words that mean unknown, in any case; '' for only empty cells.  "
        f"[default: {','.join(UNKNOWN_WORDS)}]",
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="ATTRIBUTE=VALUE",
        help="Only images with this value (or, with !=, without it). Repeat an attribute to allow "
        "several of its values.",
    ),
]
MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        metavar="0..1",
        help="The least confidence of an answer; what is less sure is unknown, with its value as "
        "the best guess.",
    ),
]
AtPrecisionOption = Annotated[
    float | None,
    typer.Option(
        "--at-precision",
        metavar="0..1",
        help="The share of answers that must be right: the least confidence of each value is "
        "learned from held-out examples.",
    ),
]
MegapixelsOption = Annotated[
    float,
    typer.Option(
        "--max-megapixels", min=1e-6, max=1e6, help="Refuse larger images without decoding them."
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(help="efficientnet_lite0 (default), resnet50, vgg16, ... or any timm model."),
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="A .safetensors or .pth file with the backbone's weights.")
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Use a model from `gingham train` instead of the catalogue's attributes.",
    ),
]
DescriptorsOption = Annotated[
    str | None,
    typer.Option(
        metavar="fc,conv,rgb",
        help="Additional descriptors to store, for the looks fc, conv and rgb.",
    ),
]
ViewOption = Annotated[
    str | None,
    typer.Option(
        metavar="square|whole",
        help="What is read of each image: the square in its middle (default), or all of it. Fixed "
        "when the catalogue is made.",
    ),
]
ResolutionOption = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        help="The side of that square or, of the whole, of a square with as many pixels: 224 "
        "(default), 320, ... Fixed when the catalogue is made.",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        metavar="float32|bfloat16|int8",
        help="How exactly the network computes: bfloat16 and int8 read more images a second on "
        "CPUs that can; int8 loses more, and is set by some of the first images. Fixed when the "
        "catalogue is made.",
    ),
]
IndexOption = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="ADDRESS",
        help="Where the search index is kept: embedded, in the catalogue's folder (default), "
        "postgresql://USER@HOST:PORT/DATABASE?schema=NAME, with the password in PGPASSWORD, or "
        "qdrant+http[s]://HOST:PORT/COLLECTION, with the key in QDRANT_API_KEY. The address is "
        "kept with the catalogue.",
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def open_catalogue(
    place: str, key: str | None = None, wait: float = 0.0
) -> Catalogue | RemoteCatalogue:
    """Open an existing catalogue, by its folder or by the address where it is served.

    Parameters
    ----------
    key : for a served catalogue.
    wait : for a folder; see `gingham.Catalogue.open`.
    """
    if is_address(place):
        if wait:
            raise InputError(
                "--wait goes with the folder of a catalogue: a server does one change after the "
                "other, leave it out"
            )
        from gingham.client.remote import connect

        return connect(place, key=key)
    if key is not None:
        raise InputError(f"--key goes with the address of a served catalogue, and {place} is none")
    return open_folder(place, wait)


def open_folder(folder: str | Path, wait: float = 0.0, device: str = "auto") -> Catalogue:
    """Open an existing catalogue by its folder or address; see `gingham.Catalogue.open`."""
    from gingham.catalogue import Catalogue

    if os.path.isfile(folder):  # noqa: PTH113
        raise InputError(f'"{folder}" is a file: give the folder of the catalogue first')

    return Catalogue.open(folder, wait=wait, device=device)


def opened(model: Path | None) -> TrainedModel | None:
    """Open the model given by `--model`, if there is one."""
    if model is None:
        return None
    from gingham.training.trained import TrainedModel

    return TrainedModel.load(model)


def stdin_paths() -> list[str]:
    """Read the paths given on stdin."""
    from gingham.sources import iterate_stdin

    return list(iterate_stdin(sys.stdin.buffer.read()))


def image_paths(images: Sequence[str]) -> list[str]:
    """Replace `-` by the paths given on stdin."""
    return [path for image in images for path in (stdin_paths() if image == "-" else [image])]


def found_images(images: Sequence[str]) -> list[str]:
    """Replace `-` by the paths on stdin, and folders and patterns by the images found there.

    What cannot be read of a folder is among them, to fail by itself; what is left out is printed
    on stderr.
    """
    from gingham.cli.console import print_walked
    from gingham.results import Walked
    from gingham.sources import find_images, is_pattern

    found = []
    for image in images:
        # Where it may not be looked at, reading it says so.
        is_folder = os.path.isdir(image)  # noqa: PTH112
        if image != "-" and (is_folder or is_pattern(image)):
            walk = find_images([image])
            print_walked(Walked(**walk.listed))
            found += walk.images + [failure.image for failure in walk.failures]
        else:
            found += image_paths([image])
    return found


def split_names(names: str) -> list[str]:
    """Read a list such as `fc,conv`."""
    return [name.strip() for name in names.split(",") if name.strip()]


def unknown_list(given: str | None) -> tuple[str, ...]:
    """Read `--unknown-words`."""
    return UNKNOWN_WORDS if given is None else tuple(split_names(given))


def look_weights(looks: Sequence[str] | None) -> dict[str, float] | None:
    """Read `--look LOOK=WEIGHT` options; None if there are none."""
    from gingham.index.sliders import parse_looks

    return parse_looks(looks) if looks else None
