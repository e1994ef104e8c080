"""A catalogue as points in the plane: what looks alike lies together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.index.looks import TAUGHT_PREFIX
from gingham.names import did_you_mean
from gingham.operations.search import Searcher

SAMPLE = 4000
"""Images from which the directions are learned."""
BATCH = 4096
INSIDE = 99.5
"""Per cent of the coordinates that are spread; what lies farther out is drawn at the edge."""


@dataclass(frozen=True)
class ImageMap:
    """Images as points.

    Attributes
    ----------
    look : in which images are compared.
    method : `pca`, or `lda` in the space that an attribute was taught.
    ids : 64 hexadecimal digits each, sorted.
    points : (N, 2) float32, from -1 to 1.
    """

    look: str
    method: str
    ids: list[str]
    points: NDArray[np.float32]


def draw_map(searcher: Searcher, look: str, check: Callable[[], None]) -> ImageMap:
    """Project all images onto the two directions in which a look varies most.

    Parameters
    ----------
    searcher : of the catalogue.
    look : a built-in one, or `attribute:NAME`.
    check : called now and then; may raise to give up.

    Raises
    ------
    InputError
        If there is no such look.
    """
    if look not in searcher.looks:
        raise InputError(
            f"unknown look {look!r}; known: {', '.join(searcher.looks)}"
            f"{did_you_mean(look, searcher.looks)}"
        )
    index = searcher.synced.get()
    taught = look.startswith(TAUGHT_PREFIX)
    if look not in searcher.space.names:
        searcher.synced.further(index, look)
    ids = index.ids()

    def rows(chosen: list[str]) -> NDArray[np.float32]:
        check()
        return index.vectors(chosen, [look])[look].astype(np.float32)

    points = np.zeros((len(ids), 2), np.float32)
    if ids:
        mean, directions = principal(rows(ids[:: -(-len(ids) // SAMPLE)]))
        for start in range(0, len(ids), BATCH):
            points[start : start + BATCH] = (rows(ids[start : start + BATCH]) - mean) @ directions
    return ImageMap(look, "lda" if taught else "pca", ids, spread(points))


def principal(
    rows: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find the mean of (N, D) rows and the two directions in which they vary most, (D, 2).

    Of each direction the largest entry is positive, so that a map is the same each time. Where
    there are fewer directions, the others are zero.
    """
    mean = rows.mean(axis=0)
    centred = rows - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    best = vectors[:, ::-1][:, :2]
    largest = best[np.abs(best).argmax(axis=0), np.arange(best.shape[1])]
    found = np.zeros((rows.shape[1], 2), np.float32)
    found[:, : best.shape[1]] = best * np.sign(largest)
    return mean, found


def spread(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shift and scale (N, 2) points into -1 to 1, both directions alike."""
    if not len(points):
        return points
    low, high = np.percentile(points, (100 - INSIDE, INSIDE), axis=0)
    scale = max(float((high - low).max()) / 2, 1e-12)
    centred: NDArray[np.float32] = np.clip((points - (low + high) / 2) / scale, -1, 1)
    return centred.astype(np.float32)
