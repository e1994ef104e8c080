"""The command that gives a catalogue a look of words."""

from __future__ import annotations

from typing import Annotated

import typer

from gingham.cli.console import print_failures, print_json, reading, say
from gingham.cli.options import (
    DeviceOption,
    FolderArgument,
    JsonOption,
    MegapixelsOption,
    WaitOption,
    app,
    open_folder,
)


@app.command("text-look")
def text_look(
    catalogue: FolderArgument,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="A model of open_clip: its name, as ViT-B-32; hf-hub:ORGANISATION/NAME; or a "
            "folder with open_clip_config.json and weights. [default: the one that the catalogue "
            "has]",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|TAG",
            help="Of a name: its weights, a file or a tag that open_clip downloads once, as "
            "laion2b_s34b_b79k.",
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the look away.")] = False,
    device: DeviceOption = "auto",
    max_megapixels: MegapixelsOption = 100.0,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Give a catalogue the look text, by which words find images: search --text 'red dress'.

    Every image is read once more, by a model of images and words. Images that are indexed later are
    read for the look, too. An interrupted run resumes when it is given again.
    """
    with (
        open_folder(catalogue, wait=wait, device=device) as shop,
        reading("text", as_json, max_megapixels) as options,
    ):
        result = shop.text_look(model, weights=weights, remove=remove, options=options)
    if as_json:
        print_json(result.to_dict())
    elif result.model is None:
        say(f"{catalogue} has no look text any more")
    else:
        say(
            f"look text of {result.model}: {result.read} images read, {result.unchanged} "
            f"unchanged, {len(result.failures)} failed; {result.seconds:.1f} s"
        )
        print_failures(result.failures)
    raise typer.Exit(1 if result.failures else 0)
