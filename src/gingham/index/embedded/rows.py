"""Which image stands in which row of the index, its tags, its state: one file, replaced whole."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.index.embedded.tags import Tags
from gingham.index.filters import Where
from gingham.store.files import replace_file

Rows = NDArray[np.int64]

_VERSION = 4


class RowTable:
    """Images by row number; a row is given once and never again, so that others may count on it.

    Parameters
    ----------
    looks : built-in look -> width of its vectors, in the order in which they are joined.

    Attributes
    ----------
    rows : image -> row, of the images that are there.
    tags : their tags.
    further, state : JSON that is saved with the rest.
    """

    def __init__(self, looks: Mapping[str, int]) -> None:
        self.looks = dict(looks)
        self.further: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.rows: dict[str, int] = {}
        self.tags = Tags()
        self._ids: list[str] = []
        self._live = np.zeros(0, bool)

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
            codes = [file[f"codes{i}"] for i in range(len(head["attributes"]))]
            hexed, live = file["ids"].tobytes().hex(), file["live"]
        table = cls(head["looks"])
        table.further, table.state = head["further"], head["state"]
        table._ids = [hexed[i : i + 64] for i in range(0, len(hexed), 64)]
        table._live = live
        table.rows = {table._ids[row]: row for row in np.flatnonzero(live).tolist()}
        table.tags = Tags.load(len(live), head["attributes"], codes)
        return table

    def save(self, path: Path) -> None:
        """Write everything; `path` holds the old state or the new, even after a power cut."""
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
            "ids": np.frombuffer(bytes.fromhex("".join(self._ids)), np.uint8),
            "live": self._live,
        } | {f"codes{i}": column for i, column in enumerate(codes)}

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)

        replace_file(path, write)

    def __len__(self) -> int:
        """Count all rows, those of removed images too."""
        return len(self._ids)

    def add(self, ids: Sequence[str]) -> None:
        """Give each image that is not there a row.

        Raises
        ------
        InputError
            If an id is no SHA-256.
        """
        for key in ids:
            if len(key) != 64 or key.strip("0123456789abcdef"):
                raise InputError(f"an id must be 64 lower-case hex characters, got {key!r}")
        new = [key for key in dict.fromkeys(ids) if key not in self.rows]
        self.rows.update(zip(new, range(len(self), len(self) + len(new)), strict=True))
        self._ids += new
        self._live = np.concatenate([self._live, np.ones(len(new), bool)])
        self.tags.grow(len(self))

    def remove(self, ids: Iterable[str]) -> list[int]:
        """Take images out; gives the rows of those that were there."""
        rows = [self.rows.pop(key) for key in dict.fromkeys(ids) if key in self.rows]
        self._live[rows] = False
        self.tags.erase(rows)
        return rows

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Look up rows.

        Raises
        ------
        InputError
            If an image is not there.
        """
        try:
            return np.fromiter((self.rows[key] for key in ids), np.int64, len(ids))
        except KeyError as missing:
            raise InputError(f"image {missing} is not in the index") from None

    def ids_of(self, rows: Rows) -> list[str]:
        """Name the images of rows."""
        return [self._ids[row] for row in rows.tolist()]

    def mask(self, where: Where) -> NDArray[np.bool_]:
        """Say of each row whether its image is there and satisfies `where`."""
        return self._live & self.tags.mask(where)
