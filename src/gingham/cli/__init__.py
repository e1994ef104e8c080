"""The command line: a module for each family of commands; it parses, calls, prints, and exits."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from itertools import takewhile
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from gingham.cli import (  # noqa: F401  (each adds its commands to the app)
    catalogue,
    catalogue_attributes,
    catalogue_upkeep,
    curate,
    download,
    explain,
    history,
    keys,
    retrieval,
    review,
    schema,
    search,
    serve,
    study,
    text_look,
    training,
    watch,
)
from gingham.cli.console import print_json, say
from gingham.cli.options import OPTIONAL, app, evaluate_app, keys_app
from gingham.client.address import is_address
from gingham.errors import GinghamError, StorageError

INTERRUPTED = 130
"""The exit status that shells know for Ctrl-C."""


class Command(TyperCommand):
    """A command with a plain usage line: `gingham predict [OPTIONS] CATALOGUE IMAGE...`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Give the parts of the usage line."""
        return ["[OPTIONS]", *_arguments(self)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a command line; an option whose value may be left out gets what that means."""
        return super().parse_args(ctx, _with_values(args))


def _with_values(args: list[str]) -> list[str]:
    """Give options that stand last, or before an option, the value that they have by themselves."""
    given = list(takewhile("--".__ne__, args))
    rest = args[len(given) :]
    following = [*given[1:], "--"]
    return [
        f"{one}={OPTIONAL[one]}" if one in OPTIONAL and next_one.startswith("-") else one
        for one, next_one in zip(given, following, strict=False)
    ] + rest


def _arguments(command: Any) -> list[str]:
    """Give the arguments of a command as its help writes them."""
    return [str(one.metavar) for one in command.params if one.param_type_name == "argument"]


for group in (app, evaluate_app, keys_app):
    for command in group.registered_commands:
        command.cls = Command


def main() -> None:
    """Run the command line; no traceback reaches the user."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Pillow warns of odd metadata and of sizes that are checked anyway: a run has its own report.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Of models that it loads; what cannot be used is refused.
    warnings.filterwarnings("ignore", module=r"open_clip\.")
    # See `gingham.training.epoch_loop.fit`.
    warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)
    try:
        status = app(prog_name="gingham", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:  # before a command began
        status = INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        _drop_output()
        sys.exit(1)
    except GinghamError as error:
        _fail(str(error), error)
    except typer.TyperException as error:
        if error.message.startswith("Usage: "):  # the help, where no command was given
            say(*error.message.splitlines(), error=True)
            sys.exit(2)
        _fail(_usage(error), error)
    except OSError as error:
        if error.filename is None:
            _drop_output()
        _fail(str(StorageError.of(error, error.filename or "what is printed")), error)
    except MemoryError as error:
        _fail(f"memory ran out ({error}): close other programs, or give smaller images", error)
    except Exception as error:
        if os.environ.get("GINGHAM_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (set GINGHAM_DEBUG=1 for the traceback)", error)
    if status == INTERRUPTED:
        say("interrupted: everything done so far is kept", error=True)
    sys.exit(status)


def _open_streams() -> None:
    """Put something in the place of streams that are closed, as cron and services leave them.

    Otherwise the next file to be opened gets their number, and what a library prints is written
    into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _drop_output() -> None:
    """Throw away what could not be printed: Python would try again when it ends, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: typer.TyperException) -> str:
    """Say in one sentence what is wrong with a command line, and what to write instead."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return error.format_message()
    missing = getattr(error, "param", None) if type(error).__name__ == "MissingParameter" else None
    if missing is None:
        said = error.format_message().rstrip(".")
        return f"{said[0].lower()}{said[1:]}; see {context.command_path} --help"
    usage = " ".join([context.command_path, *_arguments(context.command)])
    if missing.param_type_name == "option":
        needed = [
            f"{one.opts[0]} ..."
            for one in context.command.params
            if one.param_type_name == "option" and one.required
        ]
        return f"{missing.opts[0]} is missing: {' '.join([usage, *needed])}"
    first = context.params.get("catalogue")
    asks = missing.name in ("image", "images") and first is not None and not is_address(first)
    if asks and not Path(first).is_dir():
        kind = "an image" if Path(first).suffix else "not a folder"
        return f'no catalogue given: {usage} ("{first}" is {kind})'
    return f"no {missing.metavar} given: {usage}"


def _fail(message: str, error: Exception) -> None:
    """Say what is wrong and exit: on stderr, or with `--json` as JSON on stdout."""
    # The arguments as they were given: they may be what is wrong.
    printable = not isinstance(error, OSError) or error.filename is not None
    try:
        if printable and "--json" in takewhile("--".__ne__, sys.argv[1:]):
            kind = "UsageError" if isinstance(error, typer.TyperException) else type(error).__name__
            about = getattr(error, "path", None) or getattr(error, "filename", None)
            print_json(
                {"error": {"type": kind, "message": message} | ({"path": about} if about else {})}
            )
        else:
            say(f"error: {message}", error=True)
    except OSError:  # the status is all that can be given
        _drop_output()
    sys.exit(2)
