"""Image files that were handed over as bytes: the catalogue keeps them itself."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from gingham.extract import absolute
from gingham.store.features import ImageId
from gingham.store.files import Files

PREFIX = "uploads/"


class UploadedFiles:
    """Files named by the id of their image; one is in the catalogue once a location names it.

    Parameters
    ----------
    files : of the catalogue.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def put(self, image_id: ImageId, suffix: str, data: bytes) -> str:
        """Keep a file; it is durable when this returns.

        Parameters
        ----------
        suffix : with the dot, by what the bytes are.

        Returns
        -------
        The name by which a catalogue knows it.
        """
        name = f"{PREFIX}{image_id.hex()}{suffix}"
        self._files.put(name, lambda file: file.write(data))
        return self._known_as(name)

    def _known_as(self, name: str) -> str:
        return absolute(os.path.join(str(self._files), name))

    def sweep(self, known: Container[str]) -> int:
        """Delete the files that a catalogue does not know; return how many."""
        names = [x for x in self._files.list(PREFIX) if self._known_as(x) not in known]
        for name in names:
            self._files.delete(name)
        return len(names)

    def delete(self, name: str) -> None:
        """Delete a file by what `put` returned."""
        self._files.delete(PREFIX + Path(name).name)
