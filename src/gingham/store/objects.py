"""Which versions of which objects a catalogue knows, so that they need not be read again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from gingham.store import ids as many
from gingham.store.columns import column
from gingham.store.files import Files
from gingham.store.ids import Ids
from gingham.store.shards import Shards

_SCHEMA = pa.schema([pa.field("mark", pa.binary(32), nullable=False)])


class KnownObjects:
    """The marks of objects that were read; see `gingham.object_storage.ListedObject.mark`.

    They only save time: without them, objects are read again.

    Parameters
    ----------
    files : of the catalogue.
    """

    def __init__(self, files: Files) -> None:
        self._shards = Shards(files, "objects/", _SCHEMA)

    def read(self) -> Ids:
        """Give the marks of all, sorted: (N,) of 32 bytes."""
        self._shards.refresh()
        found = [many.from_column(self._shards.table(x)["mark"]) for x in self._shards.names()]
        return np.sort(np.concatenate(found)) if found else many.from_list([])

    def add(self, marks: Sequence[bytes]) -> None:
        """Add marks of objects whose names are in the log of locations."""
        if marks:
            columns = [column(marks, pa.binary(32))]
            self._shards.append(pa.Table.from_arrays(columns, schema=_SCHEMA))

    def compact(self) -> None:
        """Put the marks of all shards into one: each run that found new objects has added some."""
        self._shards.refresh()
        names = self._shards.names()
        if len(names) > 1:
            self.add(many.to_list(np.unique(self.read())))
            for name in names:
                self._shards.delete(name)

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line per problem."""
        return self._shards.verify()
