"""The command that watches folders."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from gingham.cli.console import pixel_limit, print_failures, print_json, say
from gingham.cli.options import (
    CatalogueArgument,
    JsonOption,
    KeyOption,
    MegapixelsOption,
    WaitOption,
    app,
    open_catalogue,
)
from gingham.client.address import is_address
from gingham.options import ReadOptions

if TYPE_CHECKING:
    from types import FrameType


@app.command()
def watch(
    catalogue: CatalogueArgument,
    sources: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders that images arrive in.")
    ],
    no_tags: Annotated[
        bool, typer.Option("--no-tags", help="Index what arrives, and do not tag it.")
    ] = False,
    max_megapixels: MegapixelsOption = 100.0,
    key: KeyOption = None,
    wait: WaitOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Index and tag the images in folders, and then those that arrive, until it is stopped.

    A catalogue that is not there is made. A file is read once it is written; one that cannot be
    read is tried again. Others can change the catalogue between the rounds. SIGINT (Ctrl-C) and
    SIGTERM end it; what was read by then is kept. Needs the extra `watch`.
    """
    from gingham.catalogue import Catalogue
    from gingham.store.files import LocalFiles
    from gingham.store.header import is_catalogue
    from gingham.watching import watch

    stop = Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, end)
    if is_address(catalogue):
        shop = open_catalogue(catalogue, key)
    elif is_catalogue(LocalFiles(Path(catalogue))):
        shop = open_catalogue(catalogue, key, wait)
    else:
        shop = Catalogue.create(catalogue)
    options = ReadOptions(pixel_limit(max_megapixels))
    with shop:
        if not as_json:
            say(f"watching {', '.join(map(str, sources))}: Ctrl-C ends it")
        for done in watch(shop, sources, stop, tag=not no_tags, options=options):
            if as_json:
                print_json(done.to_dict())
                continue
            tags = ", tagged" if done.tagged else ""
            say(
                f"{done.added} added, {done.unchanged} unchanged, {len(done.failures)} failed"
                f"{tags}; {done.images} images in {catalogue}; {done.seconds:.1f} s"
            )
            print_failures(done.failures)
    if not as_json:
        say("stopped: everything done so far is kept")
