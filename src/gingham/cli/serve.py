"""A catalogue over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from gingham.cli.console import say
from gingham.cli.options import CatalogueArgument, app
from gingham.errors import InputError, require_extra


@app.command()
def serve(
    catalogue: CatalogueArgument,
    host: Annotated[
        str, typer.Option(help="Where to listen; only this machine may reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse whatever would change the catalogue.")
    ] = False,
) -> None:
    """Serve a catalogue over HTTP, until Ctrl-C or SIGTERM.

    While it is served no other process can open the catalogue. What was accepted is finished
    before the server stops.
    """
    modules = ("fastapi", "python_multipart", "prometheus_client", "uvicorn")
    require_extra("service", *modules, purpose="gingham serve")
    from gingham.service.app import create_app
    from gingham.service.limits import DEFAULT_LIMITS
    from gingham.service.serve import address_of, listen, run
    from gingham.service.served import ServedCatalogue

    if catalogue.is_file():
        raise InputError(f'"{catalogue}" is a file: give the folder of the catalogue')
    with listen(host, port) as listening, ServedCatalogue.open(catalogue) as shop:
        say(f"{catalogue} is served at {address_of(listening)}; Ctrl-C stops")
        run(create_app(shop, read_only=read_only), listening, DEFAULT_LIMITS)
