"""The index in a Qdrant server: the same for all who search it, and changed in place."""

from __future__ import annotations

from gingham.index.index import Index
from gingham.index.qdrant.index import QdrantIndex
from gingham.index.remote import RemoteHome


class QdrantHome(RemoteHome):
    """An `IndexHome` in collections of a server; see `QdrantIndex`."""

    def open(self) -> Index:
        """Connect to it."""
        return QdrantIndex(self._address, self._owner)

    @property
    def _deletion(self) -> str:
        return "delete its collections, of that name and of it with a number, when nobody needs it"
