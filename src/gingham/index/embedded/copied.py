"""An index as whoever searches has it: the newest generation, in a temporary folder of its own."""

from __future__ import annotations

import contextlib
import weakref

from gingham.index.embedded.generations import Generations
from gingham.index.embedded.index import EmbeddedIndex
from gingham.temporary import TemporaryFolder


class CopiedIndex(EmbeddedIndex):
    """A copy of the newest generation, empty if there is none; it goes with the process.

    Large files are links to the generation, which is not deleted until `close`.

    Parameters
    ----------
    generations : of the index.

    Attributes
    ----------
    base : the generation that was copied; None if there was none.

    Raises
    ------
    StorageError
        If it cannot be read, or there is no room for the copy.
    """

    def __init__(self, generations: Generations) -> None:
        self._temporary = TemporaryFolder()
        self._released: weakref.finalize[[], CopiedIndex] | None = None
        self.base: str | None = None
        try:
            copy = self._temporary.path / "index"
            if (held := generations.copy_newest(copy)) is not None:
                self._released = weakref.finalize(self, held.release)
                self.base = held.name
            super().__init__(copy, lasting=False)
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Let go of the generation, and delete the copy; closing again does nothing."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._let_go)
            super().close()

    def _let_go(self) -> None:
        self._temporary.delete()
        if self._released is not None:
            self._released()
