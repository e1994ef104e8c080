"""Where a catalogue's index is kept, and how what one process changes gets to those that search."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from gingham.index.index import Index, State


class IndexHome(Protocol):
    """The index of a catalogue, for whoever searches it and for whoever changes the catalogue.

    In a folder, one makes generations and the others search copies of them; in a database, all have
    the same index, and see each change as a whole once it is committed.

    Attributes
    ----------
    name : of the place, as it is shown.
    shared : whether what a searching process changes of the index is seen by others.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def shared(self) -> bool: ...  # noqa: D102

    def state(self) -> State:
        """Give the state of the index that is there; empty if there is none, or it is damaged."""
        ...

    def open(self) -> Index:
        """Open the index to search it; what is then missing may be added to what was opened."""
        ...

    def is_newer(self, index: Index) -> bool:
        """Say whether there is a newer index than one that was opened, which opening would give."""
        ...

    def making(self, *, anew: bool = False) -> AbstractContextManager[Index]:
        """Give an index to be changed; at the end it is the one that others open.

        The caller must hold the catalogue's lease.

        Parameters
        ----------
        anew : it is going to be made from nothing.
        """
        ...

    def leave(self) -> None:
        """Delete what may be deleted, for the catalogue has its index elsewhere now."""
        ...
