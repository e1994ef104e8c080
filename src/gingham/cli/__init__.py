"""The command line: a module for each family of commands; it parses, calls, prints, and exits."""

from __future__ import annotations

import contextlib
import os
import sys

from gingham.cli import (  # noqa: F401  (each adds its commands to the app)
    catalogue,
    curate,
    explain,
    retrieval,
    study,
    training,
)
from gingham.cli.options import app
from gingham.errors import GinghamError


def main() -> None:
    """Run the command line; no traceback reaches the user."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except GinghamError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("interrupted: what was done so far is kept", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("GINGHAM_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (set GINGHAM_DEBUG=1 to see where)")


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
