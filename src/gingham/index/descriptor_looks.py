"""Looks that compare descriptors, by the L1 distance of the paper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.descriptors import l1_distances
from gingham.backbones.table import FeatureConfig

JOINED = "fc+conv"
"""The look of the two descriptors joined as they are, as in the paper."""
PAIRS = 1_000


def descriptor_looks(config: FeatureConfig) -> dict[str, dict[str, float]]:
    """Say which looks compare descriptors: look -> descriptor -> its share of the dimensions."""
    widths = {x.name: config.widths[x.name] for x in config.descriptors}
    looks = {name: {name: 1.0} for name in widths}
    parts = JOINED.split("+")
    if widths.keys() >= set(parts):
        total = sum(widths[part] for part in parts)
        looks[JOINED] = {part: widths[part] / total for part in parts}
    return looks


def typical_distance(
    count: int, vectors: Callable[[NDArray[np.int64]], NDArray[np.floating]]
) -> float:
    """Give the mean L1 distance of pairs drawn with a fixed seed; 1 if it is 0.

    Every descriptor of as many images sees the same pairs: for joined descriptors it is the mean
    of theirs, weighted by their widths.

    Parameters
    ----------
    count : of the images.
    vectors : gives the (N, D) vectors of images by their numbers below `count`.
    """
    if count < 2:
        return 1.0
    rng = np.random.default_rng(0)
    first = rng.integers(count, size=PAIRS)
    second = (first + rng.integers(1, count, size=PAIRS)) % count
    distances: list[float] = []
    for start in range(0, PAIRS, 50):
        pairs = zip(
            vectors(first[start : start + 50]), vectors(second[start : start + 50]), strict=True
        )
        distances += [float(l1_distances(a, b[None])[0]) for a, b in pairs]
    return float(np.mean(distances)) or 1.0
