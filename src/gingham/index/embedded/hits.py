"""The best of scored rows, named by their ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gingham.index.embedded.graph import Floats, Rows


@dataclass(frozen=True)
class Hits:
    """Answers of a query, best first; equal scores are in the order of their ids.

    Attributes
    ----------
    ids : the images.
    scores : (N,) float32 array, the dot products summed over the looks; see `VectorIndex.query`.
    """

    ids: tuple[str, ...]
    scores: Floats


def best_hits(name: Callable[[Rows], list[str]], rows: Rows, scores: Floats, n: int) -> Hits:
    """Take the `n` rows of the largest scores, in the order of `Hits`.

    Parameters
    ----------
    name : gives the ids of rows; only rows that may be among the best are named.
    rows, scores : (N,) arrays.
    n : at most so many hits.
    """
    if len(rows) > n > 0:
        kept = scores >= np.partition(scores, -n)[-n]
        rows, scores = rows[kept], scores[kept]
    pairs = zip(scores.tolist(), name(rows), strict=True)
    best = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))[:n]
    return Hits(tuple(key for _, key in best), np.array([s for s, _ in best], np.float32))
