"""The command line: a module for each family of commands; it parses, calls, prints, and exits."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings

import typer

from gingham.cli import (  # noqa: F401  (each adds its commands to the app)
    catalogue,
    catalogue_attributes,
    curate,
    explain,
    retrieval,
    study,
    training,
)
from gingham.cli.options import app, evaluate_app
from gingham.cli.usage import Command, usage_message
from gingham.errors import GinghamError

INTERRUPTED = 130
"""The exit status that shells know for Ctrl-C."""

for group in (app, evaluate_app):
    for command in group.registered_commands:
        command.cls = Command


def main() -> None:
    """Run the command line; no traceback reaches the user."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Pillow warns of odd metadata and of sizes that are checked anyway: a run has its own report.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        status = app(prog_name="gingham", standalone_mode=False)
    except GinghamError as error:
        _fail(str(error))
    except typer.TyperException as error:
        if error.message.startswith("Usage: "):  # the help, where no command was given
            print(error.message, file=sys.stderr)
            sys.exit(2)
        _fail(usage_message(error))
    except Exception as error:
        if os.environ.get("GINGHAM_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (set GINGHAM_DEBUG=1 for the traceback)")
    if status == INTERRUPTED:
        print("interrupted: everything done so far is kept", file=sys.stderr)
    sys.exit(status)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
