"""A catalogue over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import say
from gingham.cli.options import FolderArgument, app
from gingham.errors import InputError, require_extra


@app.command()
def serve(
    catalogue: FolderArgument,
    host: Annotated[
        str,
        typer.Option(
            help="Where to listen. Beyond 127.0.0.1, a key is needed: see `gingham keys add`."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse whatever would change the catalogue.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Answer only for this host name, as behind a proxy; repeat for more. Default: any "
            "name if --host is not this machine alone.",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A copy of a catalogue's keys.json to use instead of its own."
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="POST signed JSON there when an attribute or its tags change."
        ),
    ] = None,
    webhook_secret_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Holds the secret that signs what --webhook posts."),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Write a line of JSON for each request to stderr.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a catalogue over HTTP and as a web page, until Ctrl-C or SIGTERM.

    If the catalogue has keys, every request needs one. Without keys, only this machine can ask.

    While it is served no other process can open the catalogue. What was accepted is finished
    before the server stops.
    """
    modules = ("fastapi", "python_multipart", "prometheus_client", "uvicorn")
    require_extra("service", *modules, purpose="gingham serve")
    from gingham.service.access import Access
    from gingham.service.app import create_app
    from gingham.service.keys import FILE, KeyFile, KeyRing
    from gingham.service.libraries import missing
    from gingham.service.limits import DEFAULT_LIMITS
    from gingham.service.serve import address_of, listen, run
    from gingham.service.served import ServedCatalogue
    from gingham.service.webhook import Webhook

    if catalogue.is_file():
        raise InputError(f'"{catalogue}" is a file: give the folder of the catalogue')
    if keys is not None and not keys.is_file():
        raise InputError(f'"{keys}" is not a file: give the keys.json of a catalogue to --keys')
    if (webhook is None) != (webhook_secret_file is None):
        raise InputError("give --webhook and --webhook-secret-file together")
    hook = None
    if webhook is not None and webhook_secret_file is not None:
        hook = Webhook.read(webhook, webhook_secret_file)
    ring = KeyRing(KeyFile(keys or catalogue / FILE))
    access = Access(ring, host=host, allowed_hosts=allowed_host or ())
    with listen(host, port) as listening, ServedCatalogue.open(catalogue) as shop:
        shop.announce(address_of(listening))
        say(f"{catalogue} is served at {address_of(listening)}; Ctrl-C stops")
        if (how := missing()) is not None:
            say(how)
        elif open_page:
            typer.launch(address_of(listening))
        made = create_app(
            shop,
            access=access,
            read_only=read_only,
            webhook=hook,
            access_log=sys.stderr if access_log else None,
        )
        run(made, listening, DEFAULT_LIMITS)
