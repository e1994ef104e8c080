"""Arrays that can always be made again, kept in a file beside the truth they were made of."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gingham.errors import StorageError
from gingham.store.files import replacing

_ERRORS = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


class Kept:
    """A head, and named arrays that are read when they are asked for.

    Parameters
    ----------
    path : of the file; None: nothing is ever kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def head(self) -> dict[str, Any] | None:
        """Read the head; None if the file is missing or damaged."""
        with self._reading() as file:
            if file is not None:
                with contextlib.suppress(*_ERRORS):
                    head = json.loads(file["head"].tobytes())
                    return head if isinstance(head, dict) else None
        return None

    def arrays(self, head: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """Read all arrays; None if the file is damaged, or another one by now."""
        with self._reading() as file:
            if file is not None:
                # Each part has a checksum in the file.
                with contextlib.suppress(*_ERRORS):
                    arrays = dict(file)
                    if json.loads(arrays.pop("head").tobytes()) == head:
                        return arrays
        return None

    def put(self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the file, durably; what can be made again is not worth an error."""
        if self._path is None:
            return
        text = np.frombuffer(json.dumps(head).encode(), np.uint8)
        with (
            contextlib.suppress(StorageError),
            replacing(self._path) as temporary,
            temporary.open("wb") as file,
        ):
            np.savez(file, allow_pickle=False, head=text, **arrays)
            file.flush()
            os.fsync(file.fileno())

    def forget(self) -> None:
        """Delete the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        with contextlib.ExitStack() as opened:
            file = None
            if self._path is not None:
                with contextlib.suppress(*_ERRORS):
                    raw = opened.enter_context(self._path.open("rb"))
                    file = np.load(raw, allow_pickle=False)
            yield file if hasattr(file, "files") else None
