"""Examples that somebody has looked at and confirmed: an append-only log."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pyarrow as pa

from gingham.store.columns import table
from gingham.store.features import ImageId
from gingham.store.files import Files
from gingham.store.shards import Log, Replayed

_SCHEMA = pa.schema(
    [
        pa.field("attribute", pa.string(), nullable=False),
        pa.field("id", pa.binary(32), nullable=False),
        pa.field("confirmed", pa.bool_(), nullable=False),
        pa.field("time", pa.float64(), nullable=False),
    ]
)


class ConfirmedLog(Replayed):
    """Which examples of which attribute need not be looked at again.

    Parameters
    ----------
    files : of the catalogue.
    """

    def __init__(self, files: Files) -> None:
        self._confirmed: dict[str, set[ImageId]] = {}
        super().__init__(Log(files, "confirmed/", _SCHEMA))

    def of(self, attribute: str) -> frozenset[ImageId]:
        """Give the images whose value was confirmed."""
        with self._changing:
            return frozenset(self._confirmed.get(attribute, ()))

    def append(self, attribute: str, ids: Sequence[ImageId], *, confirmed: bool = True) -> None:
        """Note that examples were confirmed, or are to be looked at again; durable on return."""
        if ids:
            row = {"attribute": attribute, "confirmed": confirmed, "time": time.time()}
            rows = [row | {"id": one} for one in ids]
            with self._changing:
                self._log.append(table(rows, _SCHEMA))
                self._catch_up()

    def _take_in(self, events: pa.Table) -> None:
        for row in events.to_pylist():
            known = self._confirmed.setdefault(row["attribute"], set())
            (known.add if row["confirmed"] else known.discard)(row["id"])
