"""Which file holds which image: an append-only log, the truth about what is in the catalogue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from gingham.store.features import ImageId
from gingham.store.files import Shards

_SCHEMA = pa.schema(
    [
        # File names need not be text, so they are kept as the system's bytes.
        pa.field("image", pa.binary(), nullable=False),
        pa.field("id", pa.binary(32)),
    ]
)


class Locations:
    """The files of a catalogue and the image each of them holds.

    An image is in the catalogue as long as one file of it is. The later event about a file
    replaces the earlier; an event without an id takes the file out.

    Attributes
    ----------
    files : file name -> id, in the order they came.
    images : id -> its files, in the order they came.
    """

    def __init__(self, folder: Path) -> None:
        self._shards = Shards(folder, _SCHEMA)
        self.files: dict[str, ImageId] = {}
        self.images: dict[ImageId, list[str]] = {}
        for table in self._shards.tables():
            for image, image_id in zip(*(c.to_pylist() for c in table.columns), strict=True):
                self._apply(os.fsdecode(image), image_id)

    def append(self, events: Sequence[tuple[str, ImageId | None]]) -> None:
        """Add events (file name, id or None to take it out); on disk when this returns."""
        if not events:
            return
        names, ids = zip(*events, strict=True)
        self._shards.append(
            pa.table(
                [
                    pa.array([os.fsencode(n) for n in names], pa.binary()),
                    pa.array(ids, pa.binary(32)),
                ],
                schema=_SCHEMA,
            )
        )
        for name, image_id in events:
            self._apply(name, image_id)

    def _apply(self, name: str, image_id: ImageId | None) -> None:
        old = self.files.get(name)
        if old == image_id:
            return
        if old is not None:
            self.images[old].remove(name)
            if not self.images[old]:
                del self.images[old]
            del self.files[name]
        if image_id is not None:
            self.files[name] = image_id
            self.images.setdefault(image_id, []).append(name)

    @property
    def version(self) -> int:
        """Grows with every append."""
        return len(self._shards.paths())

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line a problem."""
        return self._shards.verify()

    def sweep(self) -> None:
        """Delete what a killed process left half-written."""
        self._shards.sweep()
