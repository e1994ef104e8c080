"""Images -> features of every layer with every statistic, read once and kept below the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import Features, Runtime
from gingham.backbones.table import DEFAULT_POOLING, FeatureConfig
from gingham.errors import ImageError
from gingham.extract import PLAIN, VIEWS, read_into
from gingham.images import open_image, read_file
from gingham.options import ReadOptions
from gingham.results import Failure
from gingham.store.features import FeatureStore, ImageId
from gingham.store.files import LocalFiles

FURTHER_POOLING = "gem+max"
POOLING = f"{DEFAULT_POOLING}+{FURTHER_POOLING}"
POOLINGS = {
    "mean": (0,),
    "mean+deviation": (0, 1),
    "generalised mean": (2,),
    "maximum": (3,),
}
"""Name -> which of the four statistics, in the order of `POOLING`."""


class StudyFeatures:
    """The features of a study's images by one backbone.

    They lie in two stores of the shape that a catalogue has: means and deviations, exactly as a
    catalogue's, and generalised means and maxima.

    Parameters
    ----------
    folder : of the stores.
    config : of a runtime whose pooling is `POOLING`.
    """

    def __init__(self, folder: Path, config: FeatureConfig) -> None:
        self.config = replace(config, pooling=DEFAULT_POOLING)
        further = replace(config, pooling=FURTHER_POOLING, foreground=())
        files = LocalFiles(folder / f"{config.backbone}-{config.fingerprint}")
        files.sweep()
        self._stores = (
            FeatureStore(files, self.config, "mean-std/"),
            FeatureStore(files, further, "gem-max/"),
        )

    @property
    def fingerprint(self) -> str:
        """Differs whenever a feature's value could."""
        return self.config.fingerprint

    @property
    def layers(self) -> tuple[str, ...]:
        """The hidden layers, from the input to the head."""
        return tuple(layer.name for layer in self.config.hidden)

    def __contains__(self, image_id: object) -> bool:
        return all(image_id in store for store in self._stores)

    def append(self, features: Mapping[ImageId, Features]) -> None:
        """Keep layer -> (4C,) features of new images, and those over the foreground."""
        for store, half in zip(self._stores, (0, 1), strict=True):
            # A killed run may have written the one store and not the other.
            new = {i: rows for i, rows in features.items() if i not in store}
            halves = [
                rows | {x.name: np.split(rows[x.name], 2)[half] for x in self.config.layers}
                for rows in new.values()
            ]
            store.append(list(new), halves)

    def pooled(self, ids: Sequence[ImageId]) -> dict[str, NDArray[np.float32]]:
        """Give layer -> (N, 2C) float32 means and deviations, over the foreground too."""
        got = self._stores[0].get(ids)
        return {layer: block.astype(np.float32) for layer, block in got.items()}

    def layer(self, ids: Sequence[ImageId], layer: str, pooling: str) -> NDArray[np.float32]:
        """Give one layer of N images, pooled in one of `POOLINGS`: (N, C) or (N, 2C) float32."""
        wanted = POOLINGS[pooling]
        block = self._stores[wanted[0] // 2].get(ids, [layer])[layer].astype(np.float32)
        channels = block.shape[1] // 2
        return np.concatenate(
            [block[:, (s % 2) * channels : (s % 2 + 1) * channels] for s in wanted], axis=1
        )


def read_images(
    images: Sequence[str], runtime: Runtime, features: StudyFeatures, *, options: ReadOptions
) -> tuple[dict[str, ImageId], list[Failure]]:
    """Read image files into features; those whose bytes were read before are not read again.

    Parameters
    ----------
    images : different paths.
    runtime : its pooling is `POOLING`.
    features : where they are kept.
    options : see `gingham.ReadOptions`.

    Returns
    -------
    path -> the image's id, of those that were read; and those that were not.
    """
    ids: dict[str, ImageId] = {}
    failures: list[Failure] = []
    results = read_into(
        lambda new: features.append({i: views[PLAIN] for i, views in new.items()}),
        images,
        runtime,
        missing=lambda image_id: () if image_id in features else VIEWS,
        options=options,
        step=f"read {runtime.config.backbone}",
        total=len(images),
    )
    with closing(results):
        for item in results:
            if item.id is None or item.reason is not None:
                failures.append(Failure(item.image, item.reason or "cannot be read"))
            else:
                ids[item.image] = item.id
    return ids, failures


def squares(images: Sequence[str], runtime: Runtime, *, max_pixels: int) -> list[NDArray[np.uint8]]:
    """Decode images to the backbone's squares; those that cannot be read are left out."""
    config = runtime.config.preprocess
    made = []
    for image in images:
        try:
            picture = open_image(read_file(image), max_pixels=max_pixels, draft=config.size)
        except ImageError:
            continue
        made.append(config.apply(picture))
    return made
