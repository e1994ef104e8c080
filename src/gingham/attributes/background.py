"""A sample of a catalogue's own images: what is ordinary in it, for telling what is unknown."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.relative_distance import LEAST
from gingham.errors import StorageError
from gingham.store import ids as many
from gingham.store.files import replacing
from gingham.store.truth import Truth

logger = logging.getLogger(__name__)

IMAGES = 800
"""Images of the sample; 1,500 find no more of what is foreign (docs/benchmarks.md)."""


class Background:
    """The sample, drawn once and kept in a file until the catalogue has doubled.

    Drawn are the images with the smallest ids: hashes, so the sample is even whatever the order of
    indexing, and the same wherever it is drawn again. Attributes keep what they learned from it;
    a new sample changes those that are taught or rebuilt afterwards.

    Parameters
    ----------
    path : of the file, which can always be made again.
    truth : of the catalogue.
    may_write : says whether a sample that is drawn is kept now.
    """

    def __init__(
        self, path: Path, truth: Truth, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        self._path = path
        self._may_write = may_write
        self._truth = truth

    def features(self) -> NDArray[np.float32] | None:
        """Return the (N, D) features, layers joined in order; None while there are too few."""
        count = len(self._truth.locations.images)
        if count < LEAST:
            return None
        kept = self._kept(count)
        return (self._draw(count) if kept is None else kept).astype(np.float32)

    def forget(self) -> None:
        """Draw again when it is next asked for."""
        self._path.unlink(missing_ok=True)

    def _kept(self, count: int) -> NDArray[np.float16] | None:
        try:
            with np.load(self._path, allow_pickle=False) as file:
                made_of = str(file["fingerprint"]), 2 * int(file["count"]) > count
                if made_of == (self._truth.config.fingerprint, True):
                    kept: NDArray[np.float16] = file["features"]
                    return kept
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            pass
        return None

    def _draw(self, count: int) -> NDArray[np.float16]:
        drawn = many.to_list(np.sort(self._truth.locations.ids())[:IMAGES])
        found = self._truth.features.get(drawn, self._truth.layers)
        features = np.concatenate([found[layer] for layer in self._truth.layers], axis=1)
        if not self._may_write():
            return features
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as temporary, temporary.open("wb") as file:
                np.savez(
                    file,
                    allow_pickle=False,
                    features=features,
                    fingerprint=np.array(self._truth.config.fingerprint),
                    count=np.array(count),
                )
                file.flush()
                os.fsync(file.fileno())
        except (OSError, StorageError) as error:
            logger.warning("the sample of the catalogue is not kept (%s)", error)
        return features
