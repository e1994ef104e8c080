"""Vectors of taught looks, one file per look, a row for each row of the index."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gingham.errors import CatalogueError, InputError
from gingham.index.embedded.graph import Floats
from gingham.store.files import replace_file


class TaughtLooks:
    """Taught looks in a folder, read when first asked for.

    Parameters
    ----------
    folder : of the files; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Floats] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the looks, sorted."""
        files = self._folder.glob("[0-9a-f]*.npy")
        return tuple(sorted(bytes.fromhex(file.stem).decode() for file in files))

    def put(self, name: str, vectors: Floats) -> None:
        """Write the (rows, d) vectors of a look in place of what it had.

        Raises
        ------
        InputError
            If the name is not 1 to 120 bytes of valid text.
        """

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.save(file, vectors)

        replace_file(self._path(name), write)
        self._read[name] = vectors

    def get(self, name: str) -> Floats:
        """Give the (rows, d) vectors of a look; rows added since it was written are missing.

        Raises
        ------
        InputError
            If there is no such look.
        CatalogueError
            If its file cannot be read.
        """
        if name not in self._read:
            path = self._path(name)
            if not path.is_file():
                known = ", ".join(map(repr, self.names)) or "none"
                raise InputError(f"unknown taught look {name!r}; known: {known}")
            with damage_named(path):
                self._read[name] = np.load(path, mmap_mode="r")
        return self._read[name]

    def drop(self, name: str) -> None:
        """Forget a look; nothing happens if it is not there."""
        self._read.pop(name, None)
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        # Hex is safe in any file system and keeps case and script apart.
        try:
            stem = name.encode().hex()
        except UnicodeEncodeError:
            raise InputError(f"the name {name!r} is not valid text") from None
        if not 0 < len(stem) <= 240:
            raise InputError(f"a name must be 1 to 120 bytes of UTF-8, got {name!r}")
        return self._folder / f"{stem}.npy"


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong on reading `path` into a `CatalogueError` that names it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        raise CatalogueError(
            f"the index in {path} cannot be read ({error}); run: gingham rebuild CATALOGUE"
        ) from error
