"""Which image stands in which row of the index, its tags, its state: one file, replaced whole."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gingham.index.checks import check_ids, check_there, to_array, to_texts
from gingham.index.embedded.tags import Tags
from gingham.index.filters import Where
from gingham.index.index import Keys
from gingham.store.files import replace_file
from gingham.store.ids import KIND, Ids, find, order, to_list

Rows = NDArray[np.int64]

_VERSION = 4
_NONE = b"no image has it".ljust(32)


class RowTable:
    """Images by row number; a row is given once and never again, so that others may count on it.

    Ids lie in arrays, and what has changed since they were sorted in a dict.

    Parameters
    ----------
    looks : built-in look -> width of its vectors, in the order in which they are joined.

    Attributes
    ----------
    tags : the tags of images.
    further, state : JSON that is saved with the rest.
    """

    def __init__(self, looks: Mapping[str, int]) -> None:
        self.looks = dict(looks)
        self.further: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.tags = Tags()
        self._ids: Ids = np.empty(0, KIND)  # by row
        self._live = np.zeros(0, bool)
        self._sorted: Ids = np.empty(0, KIND)
        self._sorted_rows: Rows = np.zeros(0, np.int64)
        self._changed: dict[bytes, int] = {}  # id -> row, -1 for one that was removed

    @staticmethod
    def state_of(path: Path) -> dict[str, Any]:
        """Read the state alone; empty if the file is not there or cannot be read."""
        try:
            with path.open("rb") as raw, np.load(raw) as file:
                head = json.loads(file["head"].tobytes())
                return dict(head["state"]) if head["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; whatever is wrong with the file comes as it is."""
        # Opened here: numpy leaves a file that is no archive open.
        with path.open("rb") as raw, np.load(raw) as file:
            head = json.loads(file["head"].tobytes())
            if head.get("version") != _VERSION:
                raise ValueError("another version of gingham wrote it")
            table = cls(head["looks"])
            codes = [file[f"codes{i}"] for i in range(len(head["attributes"]))]
            table._ids = np.frombuffer(file["ids"], KIND)
            table._live, table._sorted_rows = file["live"], file["sorted"].astype(np.int64)
        table._sorted = table._ids[table._sorted_rows]
        table.further, table.state = head["further"], head["state"]
        table.tags = Tags.load(len(table._live), head["attributes"], codes)
        return table

    def save(self, path: Path) -> None:
        """Write everything; `path` holds the old state or the new, even after a power cut."""
        self._sort()
        attributes, codes = self.tags.dump()
        head = {
            "version": _VERSION,
            "looks": self.looks,
            "further": self.further,
            "state": self.state,
            "attributes": attributes,
        }
        arrays = {
            "head": np.frombuffer(json.dumps(head).encode(), np.uint8),
            "ids": self._ids.view(np.uint8),
            "live": self._live,
            "sorted": self._sorted_rows.astype(np.uint32),
        } | {f"codes{i}": column for i, column in enumerate(codes)}

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)

        replace_file(path, write)

    def __len__(self) -> int:
        """Count all rows, those of removed images too."""
        return len(self._ids)

    def add(self, ids: Keys) -> None:
        """Give each image that is not there a row.

        Raises
        ------
        InputError
            If an id is no SHA-256.
        """
        check_ids(ids)
        keys = to_array(ids)
        new = keys[self._find(keys) < 0]
        rows = range(len(self), len(self) + len(new))
        self._changed.update(zip(to_list(new), rows, strict=True))
        self._ids = np.concatenate([self._ids, new])
        self._live = np.concatenate([self._live, np.ones(len(new), bool)])
        self.tags.grow(len(self))

    def remove(self, ids: Keys) -> None:
        """Take images out, those of them that are there."""
        rows = self._find(to_array(ids))
        rows = rows[rows >= 0]
        self._changed.update((image_id, -1) for image_id in to_list(self._ids[rows]))
        self._live[rows] = False
        self.tags.erase(rows)

    def rows_of(self, ids: Keys) -> Rows:
        """Look up rows.

        Raises
        ------
        InputError
            If an image is not there.
        """
        rows = self._find(to_array(ids))
        check_there(rows, ids)
        return rows

    def held(self, where: Where) -> Ids:
        """Give the ids of the images that satisfy `where`, sorted."""
        self._sort()
        return self._sorted[self.mask(where)[self._sorted_rows]]

    def ids_of(self, rows: Rows) -> list[str]:
        """Name the images of rows."""
        return to_texts(self._ids[rows])

    def mask(self, where: Where, without: Keys = ()) -> NDArray[np.bool_]:
        """Say of each row whether its image is there, satisfies `where` and is not left out.

        To read only.
        """
        mask = self._live & self.tags.mask(where) if where.conditions else self._live
        if not len(without):
            return mask
        rows, mask = self._find(to_array(without)), mask.copy()
        mask[rows[rows >= 0]] = False
        return mask

    def _find(self, ids: Ids) -> Rows:
        """Look up rows, -1 for images that are not there."""
        places = find(self._sorted, ids)
        rows = np.full(len(ids), -1)
        rows[places >= 0] = self._sorted_rows[places[places >= 0]]
        if self._changed:
            for i, image_id in enumerate(to_list(ids)):
                rows[i] = self._changed.get(image_id, rows[i])
        return rows

    def _sort(self) -> None:
        """Take what has changed into the sorted arrays."""
        if self._changed:
            added = [row for row in self._changed.values() if row >= 0]
            rows = np.append(self._sorted_rows, np.array(added, np.int64))
            rows = rows[self._live[rows]]
            # Two runs, one of them sorted: a merge.
            self._sorted_rows = rows[order(self._ids[rows])]
            self._sorted = self._ids[self._sorted_rows]
            self._changed = {}
