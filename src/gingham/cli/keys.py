"""The keys of a catalogue: made, listed, removed; a server that runs follows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gingham.cli.console import answer, print_json, print_table, say, table
from gingham.cli.options import FolderArgument, JsonOption, keys_app
from gingham.service.caller import Role

if TYPE_CHECKING:
    from gingham.service.keys import KeyFile

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Who has the key; changes are recorded with it.")
]


def _keys_of(catalogue: str) -> KeyFile:
    """Give the file of a catalogue's keys; the catalogue may be in use."""
    from gingham.service.keys import FILE, KeyFile
    from gingham.store.site import folder_of

    return KeyFile(folder_of(catalogue) / FILE)


@keys_app.command()
def add(
    catalogue: FolderArgument,
    name: NameArgument,
    role: Annotated[
        Role,
        typer.Option(
            help="reader: search and look; editor: also teach, review and add images; admin: "
            "everything."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it. It cannot be shown again: only its SHA-256 is kept."""
    secret = _keys_of(catalogue).add(name, role)
    if as_json:
        print_json({"name": name, "role": role, "key": secret})
        return
    say(f"key of {name}, {role}; it is not shown again:", error=True)
    say(secret)


@keys_app.command("list")
def list_keys(catalogue: FolderArgument, as_json: JsonOption = False) -> None:
    """List the keys by name, with role and date; not the keys themselves."""
    keys = _keys_of(catalogue).read()
    if as_json:
        print_json(
            {"keys": [{"name": key.name, "role": key.role, "made": key.made} for key in keys]}
        )
        return
    if not keys:
        say("no keys: gingham serve lets only this machine ask")
        return
    rows = table("name", "role", "made")
    for key in keys:
        rows.add_row(key.name, key.role, key.made)
    print_table(rows)


@keys_app.command()
def remove(catalogue: FolderArgument, name: NameArgument, as_json: JsonOption = False) -> None:
    """Remove a key: from now on it is refused, by a server that runs, too."""
    removed = _keys_of(catalogue).remove(name)
    answer(as_json, {"name": removed.name, "role": removed.role}, f"removed the key of {name}")
