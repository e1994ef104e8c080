"""The index in the catalogue's folder: generations, of which others search copies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gingham.index.embedded.copied import CopiedIndex
from gingham.index.embedded.generations import Generations
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.index import Index, State


class EmbeddedHome:
    """An `IndexHome` in a folder.

    Parameters
    ----------
    folder : of the generations; it need not be there.
    """

    name = "embedded"
    shared = False

    def __init__(self, folder: Path) -> None:
        self._generations = Generations(folder)

    def state(self) -> State:
        """Give the state of the newest generation."""
        return self._generations.state()

    def open(self) -> Index:
        """Give a copy of the newest generation."""
        return CopiedIndex(self._generations)

    def is_newer(self, index: Index) -> bool:
        """Say whether there is a newer generation than the one that was copied."""
        newest = self._generations.newest()
        return isinstance(index, CopiedIndex) and newest not in (None, index.base)

    @contextlib.contextmanager
    def making(self, *, anew: bool = False) -> Iterator[Index]:
        """Make a generation, see `Generations.making`."""
        with (
            self._generations.making(anew=anew) as folder,
            contextlib.closing(EmbeddedIndex(folder)) as index,
        ):
            yield index

    def leave(self) -> None:
        """Delete the generations that nobody reads."""
        self._generations.delete()
