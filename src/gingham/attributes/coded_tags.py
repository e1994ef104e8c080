"""The tags of an attribute in numbers: some bytes an image, held to any limits at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.attributes.cutoffs import EVERY, Floors
from gingham.recent import Recent
from gingham.store import ids as many
from gingham.store.ids import Ids

KEPT = 256 << 20
"""Bytes of tags that are kept in memory: of 20 attributes of a million images."""

Floats = NDArray[np.float32]


class Numbered(NamedTuple):
    """What N images are tagged, held to limits.

    Attributes
    ----------
    sets : different sets of values, first that of none.
    codes, guesses : (N,), which of them each has, and which is its best guess.
    confidences : (N,), how sure it is of the one or the other.
    """

    sets: list[tuple[str, ...]]
    codes: NDArray[np.intp]
    guesses: NDArray[np.intp]
    confidences: Floats


@dataclass(frozen=True)
class CodedTags:
    """The tags of N images, held to no limits.

    Attributes
    ----------
    ids : of the images.
    said, thought : different sets of values.
    which, guesses : (N,) int32, which of `said` each image has, and which of `thought` is its best
        guess.
    confidences : (N,) float32, of the one or the other.
    above, ends : how sure the value above that of each image is, and so on, one after another, and
        the (N + 1,) places where these begin and end; `above` is empty outside of a hierarchy.
    doubts : (N,) float32, see `TagBatch.doubts`; not a number where they are not known.
    limits : those that they were written with.
    """

    ids: Ids
    said: list[tuple[str, ...]]
    thought: list[tuple[str, ...]]
    which: NDArray[np.int32]
    guesses: NDArray[np.int32]
    confidences: Floats
    above: Floats
    ends: NDArray[np.int64]
    doubts: Floats
    limits: Floors = EVERY

    @classmethod
    def of(cls, ids: Ids, table: pa.Table, limits: Floors) -> CodedTags:
        """Take a table of `gingham.attributes.predictions`, as it is ordered."""
        said, which = _numbered(table["values"])
        thought, guesses = _numbered(table["guess"])
        above = table["above"].combine_chunks()
        offsets = above.offsets.to_numpy() if len(above) else np.zeros(1, np.int32)
        ends = offsets.astype(np.int64) - offsets[0]
        confidences, doubts = (
            # Of chunks it would load pandas.
            table[name].combine_chunks().to_numpy()
            for name in ("confidence", "doubt")
        )
        flat = above.flatten().to_numpy()
        return cls(ids, said, thought, which, guesses, confidences, flat, ends, doubts, limits)

    def sorted(self) -> CodedTags:
        """Order the images by their ids."""
        order = many.order(self.ids)
        ends, above = self.ends, self.above
        if len(above):
            counts = np.diff(ends)[order]
            ends = np.append(0, np.cumsum(counts))
            above = above[np.arange(len(above)) + np.repeat(self.ends[order] - ends[:-1], counts)]
        return replace(
            self,
            ids=many.take(self.ids, order),
            which=self.which[order],
            guesses=self.guesses[order],
            confidences=self.confidences[order],
            doubts=self.doubts[order],
            above=above,
            ends=ends if len(above) else np.zeros(1, np.int64),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of its own arrays; all attributes have the same ids."""
        own = (self.which, self.guesses, self.confidences, self.doubts, self.above, self.ends)
        return sum(array.nbytes for array in own)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N,) whether an image has a value, sure or not."""
        return np.array([bool(values) for values in self.said], bool)[self.which]

    def numbered(self, limits: Floors) -> Numbered:
        """Hold them to limits."""
        places: dict[tuple[str, ...], int] = {(): 0}
        for values in (*self.said, *self.thought):
            while values not in places:
                places[values] = len(places)
                # Whoever is not sure of it answers with what is above it.
                parent = limits.parents.get(values[0]) if len(values) == 1 else None
                values = values if parent is None else (parent,)
        sets = list(places)
        own = np.array([places[values] for values in self.said], np.intp)[self.which]
        other = np.array([places[values] for values in self.thought], np.intp)[self.guesses]
        least = np.array([limits.of(values) for values in sets])
        found, sure = self._climbed(limits, places, least, own)
        unsure = (own > 0) & (sure < least[found])
        return Numbered(
            sets,
            np.where(unsure, 0, found),
            np.where(unsure, own, other),
            np.where(unsure, self.confidences, sure),
        )

    def _climbed(
        self,
        limits: Floors,
        places: dict[tuple[str, ...], int],
        least: NDArray[np.float64],
        own: NDArray[np.intp],
    ) -> tuple[NDArray[np.intp], Floats]:
        """Go up from the places of values until one is sure enough, or there is none above it."""
        if not limits.parents or not len(self.above):
            return own, self.confidences
        parent = np.array(
            [places.get((limits.parents.get((*values, "")[0], ""),), 0) for values in places]
        )
        ends, found, sure = self.ends, own.copy(), self.confidences.copy()
        for step in range(int(np.diff(ends).max())):
            going = np.flatnonzero((sure < least[found]) & (ends[:-1] + step < ends[1:]))
            found[going] = parent[found[going]]
            sure[going] = self.above[ends[going] + step]
        return found, sure


class KeptTags:
    """Keeps the tags that were asked for last, sorted by id; threads may call it together."""

    def __init__(self) -> None:
        self._kept: Recent[str, tuple[str, CodedTags]] = Recent(KEPT, lambda one: one[1].nbytes)
        self._ids: Ids = many.from_list(())

    def get(self, name: str, mark: str, read: Callable[[], CodedTags]) -> CodedTags:
        """Give the tags of an attribute.

        Parameters
        ----------
        mark : names what the file of the tags is by now; empty: nothing is kept.
        read : reads that file.
        """
        kept = self._kept.get(name)
        if kept is not None and kept[0] == mark:
            return kept[1]
        tags = read().sorted()
        if not mark:
            return tags
        if len(tags.ids) == len(self._ids) and (tags.ids == self._ids).all():
            tags = replace(tags, ids=self._ids)
        self._ids = tags.ids
        self._kept.put(name, (mark, tags))
        return tags


def _numbered(column: pa.ChunkedArray) -> tuple[list[tuple[str, ...]], NDArray[np.int32]]:
    """Give the different lists of a column of N, and which of them each is."""
    lists = column.combine_chunks()
    if not len(lists):
        return [], np.empty(0, np.int32)
    ends = lists.offsets.to_numpy() - lists.offsets[0].as_py()
    counts = np.diff(ends)
    encoded = lists.flatten().dictionary_encode()
    items = encoded.indices.to_numpy()
    which = np.zeros(len(lists), np.int64)
    for place in range(counts.max(initial=0)):
        there = np.flatnonzero(counts > place)
        item = np.zeros(len(lists), np.int64)
        item[there] = items[ends[there] + place] + 1
        # Lists that began alike go on alike, or apart.
        which = item if place == 0 else _renumbered(which * (len(encoded.dictionary) + 1) + item)[1]
    first, which = _renumbered(which)
    return [tuple(lists[row].as_py()) for row in first.tolist()], which.astype(np.int32)


def _renumbered(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give (N,) numbers from 0 others without a gap: where each first is, and the (N,) new ones."""
    most = int(numbers.max()) + 1
    if most > len(numbers):
        _, first, found = np.unique(numbers, return_index=True, return_inverse=True)
        return first, found
    # What is written last stays: backwards, that is the first.
    first = np.full(most, -1)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    there = first >= 0
    return first[there], (np.cumsum(there) - 1)[numbers]
