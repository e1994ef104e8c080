"""Features of every picture in a few hundred dimensions: what the stages compare and learn from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.attribute_fitting import blocks, join
from gingham.attributes.space import learn_points
from gingham.backbones.runtime import Runtime
from gingham.backbones.table import FeatureConfig
from gingham.extract import PLAIN, VIEWS, read_into
from gingham.options import ReadOptions
from gingham.results import Failure
from gingham.store.features import FeatureStore, ImageId

LEARNED_FROM = 6000
"""Pictures, drawn at random, from which the principal components are learned."""


def read_features(
    images: Sequence[str],
    runtime: Runtime,
    store: FeatureStore,
    options: ReadOptions,
) -> list[Failure]:
    """Read picture files into features, except those whose bytes were read; give the failures."""
    results = read_into(
        lambda new: store.append(list(new), [views[PLAIN] for views in new.values()]),
        images,
        runtime,
        missing=lambda image_id: () if image_id in store else VIEWS,
        options=options,
        step="read features",
        total=len(images),
    )
    with closing(results):
        return [Failure(item.image, item.reason) for item in results if item.reason is not None]


def reduce_features(
    store: FeatureStore,
    ids: Sequence[ImageId],
    config: FeatureConfig,
    *,
    dimensions: int,
    seed: int,
) -> NDArray[np.float32]:
    """Join all hidden layers, each with the same weight, and keep the main directions.

    `dimensions` is the most that are kept (fewer where there are fewer pictures), and `seed` that
    of the pictures drawn to learn from; the store holds all `ids`.

    Returns
    -------
    (N, d) float32 array, centred, whose mean squared length is about 1.
    """
    from sklearn.decomposition import PCA

    layers = store.layers
    different = list(dict.fromkeys(ids))
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(different))[:LEARNED_FROM]
    X = store.joined([different[i] for i in drawn], layers)
    weights = np.full(len(layers), 1 / len(layers))
    space, points = learn_points(X, blocks(config, layers), weights)
    del X
    pca = PCA(
        min(dimensions, *points.shape), svd_solver="randomized", random_state=seed, copy=False
    )
    pca.fit(points)
    del points
    rows: dict[ImageId, list[int]] = {}
    for row, image_id in enumerate(ids):
        rows.setdefault(image_id, []).append(row)
    reduced = np.zeros((len(ids), pca.n_components_), np.float32)
    for batch, features in store.batches():
        here = [i for i, image_id in enumerate(batch) if image_id in rows]
        if here:
            found = pca.transform(space.apply(join(features, layers)[here]))
            for i, point in zip(here, found, strict=True):
                reduced[rows[batch[i]]] = point
    return reduced
