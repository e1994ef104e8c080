"""The vectors of images in the built-in looks, made of their features when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gingham.index.index import Floats
from gingham.index.looks import LookSpace
from gingham.store.features import FeatureStore
from gingham.store.ids import Ids


class StoredVectors:
    """A `Source` of vectors.

    Parameters
    ----------
    features : of images, any of which is quickly read by itself.
    space : the looks.
    """

    def __init__(self, features: FeatureStore, space: LookSpace) -> None:
        self._features = features
        self._looks = {look.name: look for look in space.looks}

    def __call__(self, ids: Ids, looks: Sequence[str]) -> dict[str, Floats]:
        """Give vectors, see `gingham.index.index.Source`."""
        chosen = [self._looks[name] for name in looks]
        layers = list(dict.fromkeys(layer for look in chosen for layer in look.layers))
        features, there = self._features.held(ids, layers)
        for block in features.values():
            block[~there] = 0
        found = {look.name: look.embed(features) * np.float32(look.scale) for look in chosen}
        for vectors in found.values():
            vectors[~there] = np.nan
        return found
