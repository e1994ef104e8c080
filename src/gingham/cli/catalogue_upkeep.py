"""Commands that keep a catalogue in order: info, verify, rebuild, compact, remove, ..."""

from __future__ import annotations

from typing import Annotated

import typer

from gingham.cli.console import answer, print_json, say, spinner
from gingham.cli.options import (
    CatalogueArgument,
    FolderArgument,
    IndexOption,
    JsonOption,
    KeyOption,
    WaitOption,
    app,
    image_paths,
    open_catalogue,
    open_folder,
)


@app.command()
def info(catalogue: CatalogueArgument, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Summarise a catalogue: images, attributes, looks, size."""
    from gingham.index.address import EMBEDDED

    with open_catalogue(catalogue, key) as shop:
        result = shop.info()
    lines = [
        f"{result.catalogue}: {result.images} images in {result.files} files",
        f"backbone {result.backbone}: {', '.join(result.layers)}; view {result.view}, "
        f"resolution {result.resolution}, precision {result.precision}",
        f"looks: {', '.join(result.looks)}; {result.bytes / 1e6:.1f} MB on disk",
    ]
    if result.text is not None:
        lines.append(
            f"look text of {result.text.model}: {result.text.images} of {result.images} images"
        )
    if result.index is not None:
        there = "in the catalogue's folder" if result.index == EMBEDDED else f"at {result.index}"
        lines.append(f"index {there}")
    for name, one in result.attributes.items():
        source = f"model {one.model}" if one.model else f"{one.examples} examples"
        source = "built in" if one.built_in else source
        lines.append(
            f"{name} ({one.kind}): {', '.join(one.values)}; {source}; "
            f"{one.tagged} of {result.images} images tagged"
            + (f"; {one.verdict.sentence}" if one.verdict else "")
        )
    answer(as_json, result.to_dict(), *lines)


@app.command()
def verify(catalogue: FolderArgument, as_json: JsonOption = False) -> None:
    """Check every file of the catalogue and report damage, and image files that are missing.

    Exit status 2 if there is damage, 1 if the catalogue is sound and image files are missing.
    """
    with open_folder(catalogue) as shop:
        problems, missing, images = shop.verify(), shop.missing(), len(shop)
    if as_json:
        print_json({"problems": problems, "missing": missing})
    else:
        say(*(f"missing: {file}" for file in missing), error=True)
    for problem in problems:
        say(problem, error=True)
    if not problems and not as_json:
        found = f"{len(missing)} files missing (see gingham relocate, gingham prune)"
        say(f"OK: {images} images checked, {found if missing else 'no problems'}")
    raise typer.Exit(2 if problems else 1 if missing else 0)


@app.command()
def rebuild(
    catalogue: FolderArgument,
    index: IndexOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Rebuild attributes and search index from what is stored.

    With --index the search index is kept there from then on.
    """
    with open_folder(catalogue, wait) as shop, spinner("rebuilding", as_json):
        shop.rebuild(index=index)
        images = len(shop)
    answer(as_json, {"images": images}, f"rebuilt: {images} images")


@app.command()
def compact(catalogue: FolderArgument, wait: WaitOption = 0.0, as_json: JsonOption = False) -> None:
    """Write many small files of features as few, without removed images.

    The features of images that were removed, and are no examples, are deleted for good.
    """
    with open_folder(catalogue, wait) as shop, spinner("compacting", as_json):
        result = shop.compact()
    answer(
        as_json,
        result.to_dict(),
        f"{result.shards_before} files of features became {result.shards}; features of "
        f"{result.dropped} removed images and {result.uploads} uploaded files deleted; "
        f"{result.bytes_before / 1e6:.1f} MB became {result.bytes / 1e6:.1f} MB",
    )


@app.command()
def remove(
    catalogue: CatalogueArgument,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Image files or ids, or - for a list on stdin."),
    ],
    key: KeyOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Remove images from the catalogue, without touching their files."""
    with open_catalogue(catalogue, key, wait) as shop:
        removed = shop.remove(image_paths(images))
        left = len(shop)
    counts = {"removed": removed, "images": left}
    answer(as_json, counts, f"{removed} files removed; {left} images remain")


@app.command()
def relocate(
    catalogue: FolderArgument,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Folder where the files were.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Folder where they are now.")],
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Follow image files that were moved to another folder; no image is read.

    Exit status 1 if some of them are in neither folder.
    """
    with open_folder(catalogue, wait) as shop:
        result = shop.relocate(old, new)
    lines = [f"{result.moved} files moved, {len(result.missing)} of them missing there"]
    if result.kept:
        lines.append(f"{len(result.kept)} files keep their path, first {result.kept[0]}")
    answer(as_json, result.to_dict(), *lines)
    if not as_json:
        say(*(f"missing: {file}" for file in result.missing), error=True)
    raise typer.Exit(1 if result.missing else 0)


@app.command()
def prune(
    catalogue: FolderArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also if not one image file is there.")
    ] = False,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Remove image files from the catalogue that are missing on disk."""
    with open_folder(catalogue, wait) as shop:
        result = shop.prune(dry_run=dry_run, everything=everything)
    would = " would be" if dry_run else ""
    if not as_json and dry_run:
        say(*(f"missing: {file}" for file in result.missing), error=True)
    answer(
        as_json,
        result.to_dict(),
        f"{len(result.missing)} missing files{would} removed, and with them {result.lost} images; "
        f"{result.images} images{would and ' would'} remain",
    )
