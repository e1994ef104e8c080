"""Where the index of an open catalogue is, also after another process has moved it."""

from __future__ import annotations

from pathlib import Path

from gingham.index.home import IndexHome
from gingham.index.homes import index_home
from gingham.index.place import IndexPlace
from gingham.operations.sync import SyncedIndex
from gingham.store.files import Files, LocalFiles

FOLDER = "index"
"""Of a catalogue's folder: an index that is kept there."""


class KeptIndex:
    """Where the index of a catalogue is kept.

    Parameters
    ----------
    files, folder : of the catalogue.

    Attributes
    ----------
    place : as it is kept, perhaps with a password that is not.
    """

    def __init__(self, files: Files, folder: Path) -> None:
        self._files = files
        self._folder = folder
        self._home: IndexHome | None = None
        self.place = IndexPlace.read(files)

    def home(self) -> IndexHome:
        """Give the index; what it needs is imported now."""
        if self._home is None:
            self._home = self.at(self.place)
        return self._home

    def at(self, place: IndexPlace) -> IndexHome:
        """Give an index at another place."""
        return index_home(place, self._folder / FOLDER)

    def follow(self, opened: SyncedIndex) -> None:
        """Take the place to which another process has moved it, and close what was opened.

        In object storage, where asking takes a request, only who opens the catalogue sees that.
        """
        if isinstance(self._files, LocalFiles):
            place = IndexPlace.read(self._files)
            if not place.is_at(self.place):
                opened.close()
                self.place, self._home = place, None

    def move(self, place: IndexPlace, home: IndexHome) -> None:
        """Keep it elsewhere from now on."""
        place.write(self._files)
        self.place, self._home = place, home


def new_place(index: str) -> IndexPlace:
    """Check where the index of a new catalogue is to be; see `Catalogue.create`.

    Raises
    ------
    CatalogueError, ServerError
        If a database cannot be used.
    """
    place = IndexPlace.at(index)
    if place.address is not None:
        index_home(place, Path()).state()
    return place
