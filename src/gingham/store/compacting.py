"""Many small shards of features become few: which ones, and how they are written anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.store.places import Places
from gingham.store.shards import Shards

SHARD_ROWS = 4096
"""Images in a shard of those that `compact` writes, some 30 MB."""


@dataclass(frozen=True)
class Compacted:
    """What `FeatureStore.compact` did.

    Attributes
    ----------
    before, after : the number of shards.
    dropped : images whose features were deleted.
    """

    before: int
    after: int
    dropped: int


def groups(places: Places, kept: NDArray[np.bool_]) -> Iterator[list[int]]:
    """Say which shards are worth writing anew, those together that one shard can hold."""
    order = sorted(range(len(places.shards)), key=places.shards.__getitem__)
    rows = {shard: len(places.of(shard, kept)[1]) for shard in order}
    # What counts must not change while some of them are still there.
    twice = [shard for shard in order if places.twice[shard]]
    if twice:
        yield twice
    others = [shard for shard in order if not places.twice[shard]]
    whole = {x for x in others if rows[x] == places.sizes[x] and 2 * rows[x] >= SHARD_ROWS}
    small = [shard for shard in others if shard not in whole]
    group: list[int] = []
    for shard in small:
        group.append(shard)
        if sum(rows[one] for one in group) >= SHARD_ROWS:
            yield group
            group = []
    # A last small shard by itself would only be copied.
    if len(group) > 1 or (group and rows[group[0]] < places.sizes[group[0]]):
        yield group


def rewrite(shards: Shards, places: Places, group: Sequence[int], kept: NDArray[np.bool_]) -> None:
    """Write the images of some shards that are kept into few, then delete those shards."""
    tables: list[pa.Table] = []
    for shard in group:
        table = shards.table(places.shards[shard])
        rows = places.of(shard, kept)[1]
        if len(rows) < len(table):
            table = table.take(pa.array(rows))
        tables.append(table)
        while (count := sum(map(len, tables))) >= SHARD_ROWS:
            whole = pa.concat_tables(tables)
            shards.append(whole.slice(0, SHARD_ROWS))
            tables = [whole.slice(SHARD_ROWS)] if count > SHARD_ROWS else []
    if sum(map(len, tables)):
        shards.append(pa.concat_tables(tables))
    # Of an image that is in several, that in the first counts to the end.
    for name in sorted((places.shards[shard] for shard in group), reverse=True):
        shards.delete(name)
