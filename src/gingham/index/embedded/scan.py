"""Descriptors of the indexed images, compared one by one: L1 by reading all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.descriptors import l1_distances
from gingham.errors import CatalogueError
from gingham.store.files import read_json, replace_file, write_json

Floats = NDArray[np.float32]

PAIRS = 1_000
CHUNK_BYTES = 16 << 20


class DescriptorScan:
    """One file of plain float32 a descriptor, a row for each row of the index.

    Derived; can be rebuilt at any time. float16 would be half the bytes, and three times as slow to
    compare.

    Parameters
    ----------
    folder : of the files; below the index's own looks, so that a new index finds none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._note = folder / "descriptors.json"

    def holds(self, name: str, stamp: str, shape: tuple[int, int]) -> bool:
        """Say whether a descriptor is there, whole, as `write` leaves it."""
        match self._notes().get(name):
            case {"stamp": str(of), "width": int(width), "typical": float(typical)}:
                path = self._folder / f"{name}.f32"
                return (
                    (of, width) == (stamp, shape[1])
                    and 0 < typical < np.inf
                    and path.is_file()
                    and path.stat().st_size == 4 * shape[0] * width
                )
        return False

    def write(
        self,
        name: str,
        stamp: str,
        shape: tuple[int, int],
        blocks: Iterable[tuple[NDArray[np.int64], NDArray[np.floating[Any]]]],
    ) -> None:
        """Write a descriptor of all images, in place of what was there.

        Parameters
        ----------
        name, stamp : of the descriptor, and of the state of the images.
        shape : (rows of the index, D).
        blocks : (N,) rows and their (N, D) vectors; rows never named are of no image.
        """
        count, width = shape
        seen: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]

        def fill(path: Path) -> None:
            # By write, not through a mapping: its pages would count as our memory.
            with path.open("wb") as file:
                file.truncate(4 * count * width)
                for rows, vectors in blocks:
                    seen.append(rows)
                    for row, vector in zip(rows.tolist(), vectors, strict=True):
                        file.seek(4 * row * width)
                        file.write(vector.astype(np.float32).tobytes())

        path = self._folder / f"{name}.f32"
        replace_file(path, fill)
        typical = 1.0
        if count:
            stored = np.memmap(path, np.float32, "r", shape=shape)
            typical = typical_distance(stored, np.sort(np.concatenate(seen)))
        note = {"stamp": stamp, "width": width, "typical": typical}
        write_json(self._note, self._notes() | {name: note})

    def typical(self, name: str) -> float:
        """Give the `typical_distance` of the images."""
        return float(self._notes()[name]["typical"])

    def distances(self, name: str, query: NDArray[np.floating[Any]]) -> Floats:
        """Compare a vector with every row, a few MB at a time: (rows,) float32.

        See `gingham.backbones.descriptors.l1_distances`. Rows of no image give a distance, too,
        which means nothing.

        Raises
        ------
        CatalogueError
            If the file cannot be read.
        """
        width = int(self._notes()[name]["width"])
        step = max(1, CHUNK_BYTES // (4 * width)) * width
        found = [np.zeros(0, np.float32)]
        path = self._folder / f"{name}.f32"
        try:
            with path.open("rb") as file:
                while (chunk := np.fromfile(file, np.float32, step)).size:
                    found.append(l1_distances(query, chunk.reshape(-1, width)))
        except (OSError, ValueError) as error:
            raise CatalogueError(
                f"{path} cannot be read ({error}); run: gingham rebuild CATALOGUE"
            ) from None
        return np.concatenate(found)

    def _notes(self) -> dict[str, Any]:
        try:
            notes = read_json(self._note)
        except CatalogueError:
            return {}
        return notes if isinstance(notes, dict) else {}


def typical_distance(vectors: NDArray[np.floating[Any]], rows: NDArray[np.int64]) -> float:
    """Give the mean L1 distance of pairs drawn with a fixed seed from some rows; 1 if it is 0.

    Every descriptor of the same rows sees the same pairs: for joined descriptors it is the joined
    means.
    """
    if len(rows) < 2:
        return 1.0
    rng = np.random.default_rng(0)
    first = rng.integers(len(rows), size=PAIRS)
    second = (first + rng.integers(1, len(rows), size=PAIRS)) % len(rows)
    pairs = zip(rows[first].tolist(), rows[second].tolist(), strict=True)
    mean = float(np.mean([l1_distances(vectors[a], vectors[b : b + 1])[0] for a, b in pairs]))
    return mean or 1.0
