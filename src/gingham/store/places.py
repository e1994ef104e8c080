"""Where the features of images lie: sorted ids, each with its shard and its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gingham.store import ids as many
from gingham.store.ids import KIND, Ids


@dataclass(frozen=True)
class Places:
    """The places of N images, 40 bytes each.

    Attributes
    ----------
    shards : names, in the order in which they were taken in.
    sizes : how many rows each of them has.
    ids : (N,) sorted.
    shard : (N,) int32, of `shards`.
    row : (N,) int32, of the shard.
    """

    shards: tuple[str, ...]
    sizes: tuple[int, ...]
    ids: Ids
    shard: NDArray[np.int32]
    row: NDArray[np.int32]

    @classmethod
    def empty(cls) -> Self:
        """Begin without a shard."""
        none = np.empty(0, np.int32)
        return cls((), (), np.empty(0, KIND), none, none)

    def add(self, shards: Mapping[str, Ids]) -> Self:
        """Take in further shards, name -> the ids of its rows.

        Of several places of one image, the one in the shard whose name comes first counts.
        """
        if not shards:
            return self
        names = sorted(shards)
        sizes = [len(shards[name]) for name in names]
        ids = np.concatenate([shards[name] for name in names])
        shard = np.repeat(np.arange(len(self.shards), len(self.shards) + len(names)), sizes)
        row = np.concatenate([np.arange(size) for size in sizes])
        order = many.order(ids)
        order = order[_is_first(ids[order])]
        ids, shard, row = ids[order], shard[order].astype("i4"), row[order].astype("i4")
        known = (*self.shards, *names)
        place = np.searchsorted(self.ids, ids)
        at = np.minimum(place, max(len(self.ids) - 1, 0))
        there = self.ids[at] == ids if len(self.ids) else np.zeros(len(ids), bool)
        old_shard, old_row = self.shard, self.row
        if there.any():
            rank = np.argsort(np.argsort(known))
            twice, at = np.flatnonzero(there), at[there]
            earlier = rank[shard[twice]] < rank[old_shard[at]]
            old_shard, old_row = old_shard.copy(), old_row.copy()
            old_shard[at[earlier]] = shard[twice[earlier]]
            old_row[at[earlier]] = row[twice[earlier]]
        new, place = ~there, place[~there]
        return type(self)(
            known,
            (*self.sizes, *sizes),
            np.insert(self.ids, place, ids[new]),
            np.insert(old_shard, place, shard[new]),
            np.insert(old_row, place, row[new]),
        )

    def of(
        self, shard: int, chosen: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """List the images whose features lie in a shard: their places in `ids`, and their rows.

        Parameters
        ----------
        chosen : (N,) only these images.
        """
        places, bounds = self._grouped
        mine = places[bounds[shard] : bounds[shard + 1]]
        mine = mine[chosen[mine]]
        mine = mine[np.argsort(self.row[mine])]
        return mine, self.row[mine]

    @property
    def twice(self) -> NDArray[np.bool_]:
        """Say of each shard whether it holds an image that counts in another one."""
        counts = np.bincount(self.shard, minlength=len(self.shards))
        return counts < np.array(self.sizes, np.int64)

    @cached_property
    def _grouped(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        counts = np.bincount(self.shard, minlength=len(self.shards))
        return np.argsort(self.shard, kind="stable"), np.append(0, np.cumsum(counts))

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Give a head and arrays to keep."""
        head = {"shards": list(self.shards), "sizes": list(self.sizes)}
        return head, {"ids": self.ids, "shard": self.shard, "row": self.row}

    @classmethod
    def from_arrays(cls, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Take what `to_arrays` gave."""
        shards, sizes = tuple(head["shards"]), tuple(head["sizes"])
        return cls(shards, sizes, arrays["ids"], arrays["shard"], arrays["row"])


def _is_first(ids: Ids) -> NDArray[np.bool_]:
    """Say which of N sorted ids differ from the one before."""
    return np.concatenate([np.ones(min(len(ids), 1), bool), ids[1:] != ids[:-1]])


def lasting(count: int, shards: Sequence[int]) -> bool:
    """Say whether so many images in further shards are too many to be read at every start.

    Parameters
    ----------
    count : of the images that are kept already.
    shards : the sizes of the further ones.
    """
    return len(shards) + sum(shards) // 512 > 16 + count // 50_000
