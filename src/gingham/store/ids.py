"""Many image ids in NumPy arrays: 32 bytes each, and no object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.images import ImageId

Ids: TypeAlias = NDArray[np.bytes_]
"""(N,) of 32 bytes each. What one gives as `bytes` lacks the zeros at its end: see `to_list`."""

KIND = "S32"

_MANY = 10_000


def from_list(ids: Iterable[ImageId]) -> Ids:
    """Put ids into an array."""
    return np.frombuffer(b"".join(ids), KIND)


def from_column(column: pa.ChunkedArray) -> Ids:
    """Take the ids of a column without nulls; they are not copied."""
    array = column.combine_chunks()
    if not len(array):
        return np.empty(0, KIND)
    return np.frombuffer(array.buffers()[1], KIND, len(array), 32 * array.offset)


def to_list(ids: Ids) -> list[ImageId]:
    """Give ids one by one."""
    data = ids.tobytes()
    return [data[start : start + 32] for start in range(0, len(data), 32)]


def find(known: Ids, ids: Ids) -> NDArray[np.int64]:
    """Look M ids up among N sorted ones: their places (M,), -1 for those that are not there."""
    if not len(known):
        return np.full(len(ids), -1)
    if len(ids) > _MANY and (ids[1:] < ids[:-1]).any():
        # In order, each is found near the one before.
        order = np.argsort(ids)
        found = np.empty(len(ids), np.int64)
        found[order] = find(known, ids[order])
        return found
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.where(known[places] == ids, places, -1)


def are_in(known: Ids, ids: Ids) -> NDArray[np.bool_]:
    """Say which of M ids are among N others, in any order."""
    return find(np.sort(known), ids) >= 0


def find_one(known: Ids, image_id: object) -> int:
    """Look an id up among N sorted ones: its place, or -1."""
    if not isinstance(image_id, bytes) or len(image_id) != 32:
        return -1
    place = int(known.searchsorted(image_id))
    # The zeros at their ends are lost on both sides alike.
    there = place < len(known) and known[place] == image_id.rstrip(b"\0")
    return place if there else -1
