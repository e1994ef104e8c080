"""Shards are read ahead: one while the one before is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gingham.extract import in_order
from gingham.store.shards import MissingShardError

R = TypeVar("R")

_FEW = 2_000


def ahead(
    read: Callable[[int], R], todo: Sequence[int], images: int = _FEW
) -> Iterator[tuple[int, R | None]]:
    """Read shards, each while the one before is worked on; gives None where one has gone.

    Parameters
    ----------
    images : how many are read; of few, in one thread: a second one has buffers of its own.
    """

    def kept(shard: int) -> R | None:
        try:
            return read(shard)
        except MissingShardError:
            return None

    if len(todo) < 2 or images < _FEW:
        yield from ((shard, kept(shard)) for shard in todo)
        return
    with ThreadPoolExecutor(2) as pool:
        yield from zip(todo, in_order(pool, kept, todo, window=3), strict=True)
