"""What a log of files adds up to, in arrays: some hundred bytes a file, and no object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.images import ImageId
from gingham.store import ids as many
from gingham.store.ids import KIND, Ids, find_one


@dataclass(frozen=True)
class Settled:
    """F files and the I images that they hold, each in the order in which they were added.

    Attributes
    ----------
    data : (B,) uint8, the names of the files, one after another.
    ends : (F,) int64, where each name ends.
    image : (F,) int32, which image a file holds.
    by_name : (F,) int32, the files sorted by name.
    ids : (I,) of the images; the image of the first file comes first.
    by_id : (I,) int32, the images sorted by id.
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    image: NDArray[np.int32]
    by_name: NDArray[np.int32]
    ids: Ids
    by_id: NDArray[np.int32]

    @classmethod
    def empty(cls) -> Self:
        """Begin without a file."""
        none = np.empty(0, np.int32)
        data, ends = np.empty(0, np.uint8), np.empty(0, np.int64)
        return cls(data, ends, none, none, np.empty(0, KIND), none)

    def after(self, events: Sequence[pa.Table]) -> Self:
        """Apply tables of events, file name and id, or no id where the file was removed."""
        # It takes a while to import, and is not needed at a usual start.
        import pyarrow.compute as pc

        tables = [self._events(), *(_plain(table) for table in events)]
        names = pa.concat_arrays([one.column(0).combine_chunks() for one in tables])
        column = pa.concat_arrays([one.column(1).combine_chunks() for one in tables])
        there = column.is_valid().to_numpy(zero_copy_only=False)
        ids = np.frombuffer(column.buffers()[1], KIND, len(column), 32 * column.offset)
        # The events of a file one after another; the last one counts, from the moment on from
        # which there was no other id in between.
        order = pc.sort_indices(names).to_numpy().astype(np.int64)
        sorted_names, ids_, there_ = names.take(pa.array(order)), ids[order], there[order]
        is_new = np.ones(len(order), bool)
        is_new[1:] = pc.not_equal(sorted_names[1:], sorted_names[:-1]).to_numpy(
            zero_copy_only=False
        )
        starts = is_new.copy()
        starts[1:] |= (ids_[1:] != ids_[:-1]) | (there_[1:] != there_[:-1])
        start = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
        kept = np.flatnonzero(np.append(is_new[1:], True)[: len(order)] & there_)
        moment = order[start[kept]]
        if not len(kept):
            return self.empty()
        by_moment = np.argsort(moment)
        names = sorted_names.take(pa.array(kept[by_moment]))
        ids, image = _numbered(ids_[kept][by_moment])
        offsets = np.frombuffer(names.buffers()[1], np.int64, len(names) + 1)
        return type(self)(
            np.frombuffer(names.buffers()[2] or b"", np.uint8)[: offsets[-1]],
            offsets[1:],
            image,
            _inverse(by_moment),
            ids,
            many.order(ids).astype(np.int32),
        )

    def _events(self) -> pa.Table:
        """Give what it holds as a table of events."""
        offsets = np.append(0, self.ends)
        names = pa.Array.from_buffers(
            pa.large_binary(),
            len(self.ends),
            [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(self.data))],
        )
        ids = pa.py_buffer(np.ascontiguousarray(self.ids[self.image]))
        held = pa.Array.from_buffers(pa.binary(32), len(self.ends), [None, ids])
        return pa.Table.from_arrays([names, held], ["image", "id"])

    def name(self, file: int) -> bytes:
        """Give the name of a file."""
        return self.data[self.ends[file - 1] if file else 0 : self.ends[file]].tobytes()

    def names(self) -> Iterator[bytes]:
        """Give the names of all files, in order."""
        data, start = self.data.tobytes(), 0
        for end in self.ends.tolist():
            yield data[start:end]
            start = end

    def file(self, name: bytes) -> int:
        """Find a file; -1 if it is not there."""
        low, high = 0, len(self.by_name)
        while low < high:
            middle = (low + high) // 2
            if self.name(self.by_name[middle]) < name:
                low = middle + 1
            else:
                high = middle
        there = low < len(self.by_name) and self.name(self.by_name[low]) == name
        return int(self.by_name[low]) if there else -1

    def find(self, image_id: object) -> int:
        """Find an image; -1 if it is not there."""
        place = find_one(self.sorted_ids, image_id)
        return place if place < 0 else int(self.by_id[place])

    def id_of(self, file: int) -> ImageId:
        """Give the id of the image that a file holds."""
        return self.ids[self.image[file] : self.image[file] + 1].tobytes()

    def files_of(self, image: int) -> list[int]:
        """List the files of an image, in order."""
        files, bounds = self._grouped
        found: list[int] = files[bounds[image] : bounds[image + 1]].tolist()
        return found

    @cached_property
    def sorted_ids(self) -> Ids:
        """(I,) the ids, sorted."""
        return many.take(self.ids, self.by_id)

    @cached_property
    def _grouped(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        counts = np.bincount(self.image, minlength=len(self.ids))
        return np.argsort(self.image, kind="stable"), np.append(0, np.cumsum(counts))

    def starting(self, start: bytes) -> NDArray[np.int64]:
        """List the files whose names begin so, in order."""
        starts = np.append(0, self.ends)[:-1]
        found = np.flatnonzero(self.ends - starts >= len(start))
        for place, byte in enumerate(start):
            found = found[self.data[starts[found] + place] == byte]
        return found

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Give arrays to keep."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Take what `to_arrays` gave."""
        return cls(**arrays)


def _plain(table: pa.Table) -> pa.Table:
    return table.cast(pa.schema([("image", pa.large_binary()), ("id", pa.binary(32))]))


def _numbered(ids: Ids) -> tuple[Ids, NDArray[np.int32]]:
    """Give different ids in the order in which they first come, and which each of N was."""
    order = many.order(ids)
    first = np.ones(len(order), bool)
    first[1:] = ids[order][1:] != ids[order][:-1]
    number = np.empty(len(ids), np.int64)
    number[order] = np.cumsum(first) - 1
    moments = order[first]
    by_moment = np.argsort(moments)
    return ids[moments[by_moment]], _inverse(by_moment)[number]


def _inverse(order: NDArray[np.int64]) -> NDArray[np.int32]:
    found = np.empty(len(order), np.int32)
    found[order] = np.arange(len(order))
    return found
