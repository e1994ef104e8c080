"""Fetching the images that a table names by URL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gingham.cli.console import print_bad_rows, print_failures, print_json, reading, say
from gingham.cli.options import JsonOption, SkipBadRowsOption, app


@app.command()
def download(
    source: Annotated[
        Path,
        typer.Argument(metavar="TABLE", help="A table, of any format, with a column of URLs."),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where images and table go.")],
    image_column: Annotated[str, typer.Option(help="The column of URLs.")] = "image",
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="Of one file.")] = 64.0,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for an answer or for more of it.")
    ] = 20.0,
    retries: Annotated[int, typer.Option(min=0, help="Of a file.")] = 3,
    per_host: Annotated[
        int, typer.Option(min=1, max=8, help="Connections to one server at a time.")
    ] = 2,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask for newer versions of files that are there.")
    ] = False,
    allow_private_addresses: Annotated[
        bool,
        typer.Option(
            "--allow-private-addresses",
            help="Also fetch from this machine and from private networks.",
        ),
    ] = False,
    skip_bad_rows: SkipBadRowsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch the images that a table names by URL, and write the table with their paths.

    Run again, it goes on where it was. FOLDER/images.csv is what index, teach and curate take.
    """
    from gingham.downloads.fetch import DownloadLimits
    from gingham.downloads.run import download as run

    limits = DownloadLimits(int(max_megabytes * 2**20), timeout, retries=retries, per_host=per_host)
    with reading("download", as_json) as options:
        result = run(
            source,
            out,
            image_column=image_column,
            limits=limits,
            refresh=refresh,
            allow_private_addresses=allow_private_addresses,
            skip_bad_rows=skip_bad_rows,
            options=options,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        say(
            f"{result.fetched} fetched, {result.unchanged} there already, {result.failed} failed; "
            f"the table: {result.table}"
        )
        print_failures(result.failures)
        print_bad_rows(result.bad_rows)
    raise typer.Exit(1 if result.failed else 0)
