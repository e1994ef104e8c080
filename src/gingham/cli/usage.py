"""How the command line is written: the usage line, and what is said where it was not understood."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand


class Command(TyperCommand):
    """A command with a plain usage line: `gingham predict [OPTIONS] CATALOGUE IMAGE...`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Give the parts of the usage line."""
        return ["[OPTIONS]", *arguments_of(self)]


def arguments_of(command: Any) -> list[str]:
    """Give the arguments of a command as its help writes them."""
    return [str(one.metavar) for one in command.params if one.param_type_name == "argument"]


def usage_message(error: typer.TyperException) -> str:
    """Say in one sentence what is wrong with a command line, and what to write instead."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return error.format_message()
    missing = getattr(error, "param", None) if type(error).__name__ == "MissingParameter" else None
    if missing is None:
        said = error.format_message().rstrip(".")
        return f"{said[0].lower()}{said[1:]}; see {context.command_path} --help"
    usage = " ".join([context.command_path, *arguments_of(context.command)])
    if missing.param_type_name == "option":
        return f"{missing.opts[0]} is missing: {usage} {missing.opts[0]} ..."
    first = context.params.get("catalogue")
    if first is not None and missing.name in ("image", "images") and not first.is_dir():
        kind = "an image" if first.suffix else "not a folder"
        return f'no catalogue given: {usage} ("{first}" is {kind})'
    return f"no {missing.metavar} given: {usage}"
