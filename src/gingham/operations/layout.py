"""Places in the plane for the vectors of images: what looks alike lies together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

INSIDE = 99.5
"""Per cent of the coordinates that are spread; what lies farther out is drawn at the edge."""
NEAREST = 5
"""Anchors among which a new image is placed."""
BATCH = 1024

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """How a vector of width D becomes a point.

    It is projected onto K directions. Without anchors these two numbers are the point; else it
    lies among the points of the anchors that are nearest to it.

    Attributes
    ----------
    method : `pca`, `lda` or `umap`.
    fitted : how many images there were when it was made.
    mean, directions : (D,) and (D, K) float32.
    anchors, places : (S, K) and (S, 2) float32, the images that were arranged; S may be 0.
    centre, scale : (2,) float32 and the number by which points come to lie from -1 to 1.
    """

    method: str
    fitted: int
    mean: Floats
    directions: Floats
    anchors: Floats
    places: Floats
    centre: Floats
    scale: float

    def place(self, rows: Floats) -> Floats:
        """Give (N, D) vectors their points, (N, 2) float32 from -1 to 1."""
        points = _projected(rows, self.mean, self.directions)
        if len(self.anchors):
            points = np.concatenate(
                [points[:0, :2]]
                + [
                    among(points[start : start + BATCH], self.anchors, self.places)
                    for start in range(0, len(points), BATCH)
                ]
            )
        placed: Floats = np.clip((points - self.centre) / np.float32(self.scale), -1, 1)
        return placed.astype(np.float32)

    def spread(self, points: Floats) -> Layout:
        """Let (N, 2) points of an unscaled layout fill the square, both directions alike."""
        if not len(points):
            return self
        low, high = np.percentile(points, (100 - INSIDE, INSIDE), axis=0)
        scale = max(float((high - low).max()) / 2, 1e-12)
        return replace(self, centre=((low + high) / 2).astype(np.float32), scale=scale)


def projected(method: str, fitted: int, sample: Floats) -> Layout:
    """Lay out by the two directions in which the (S, D) vectors of some images vary most."""
    mean, directions = principal(sample, 2)
    none = np.zeros((0, 2), np.float32)
    layout = Layout(method, fitted, mean, directions, none, none, none.sum(axis=0), 1.0)
    points = _projected(sample, mean, directions)
    return layout.spread(points)


def arranged(
    fitted: int, sample: Floats, width: int, arrange: Callable[[Floats], Floats]
) -> Layout:
    """Lay out by what some images are arranged to.

    Parameters
    ----------
    sample : (S, D) vectors of these images.
    width : the directions in which they are compared: those in which they vary most.
    arrange : gives (S, `width`) vectors their (S, 2) points, neighbours beside neighbours.
    """
    mean, directions = principal(sample, min(width, sample.shape[1]))
    anchors = _projected(sample, mean, directions)
    places = arrange(anchors)
    centre = np.zeros(2, np.float32)
    return Layout("umap", fitted, mean, directions, anchors, places, centre, 1.0).spread(places)


def among(rows: Floats, anchors: Floats, places: Floats) -> Floats:
    """Give (N, K) rows the mean point of the nearest anchors, the nearer the heavier.

    A row that is an anchor gets its point. Takes N x S numbers of memory.
    """
    squares: Floats = np.einsum("sk,sk->s", anchors, anchors)
    distances = squares - 2 * (rows @ anchors.T)
    distances += np.einsum("nk,nk->n", rows, rows)[:, None]
    count = min(NEAREST, len(anchors))
    nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
    near = np.maximum(np.take_along_axis(distances, nearest, axis=1), 0)
    # Rounding leaves some of a distance of 0: that much of the typical one counts as none.
    weights = 1 / (near + 1e-5 * squares.mean() + np.finfo(np.float32).tiny)
    weights /= weights.sum(axis=1, keepdims=True)
    placed: Floats = np.einsum("nj,njd->nd", weights, places[nearest]).astype(np.float32)
    return placed


def principal(rows: Floats, count: int) -> tuple[Floats, Floats]:
    """Find the mean of (N, D) rows and the directions in which they vary most, (D, `count`).

    Of each direction the largest entry is positive, so that a map is the same each time. Where
    there are fewer directions, the others are zero.
    """
    mean: Floats = rows.mean(axis=0)
    centred = rows - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    best = vectors[:, ::-1][:, :count]
    largest = best[np.abs(best).argmax(axis=0), np.arange(best.shape[1])]
    found = np.zeros((rows.shape[1], count), np.float32)
    found[:, : best.shape[1]] = best * np.sign(largest)
    return mean, found


def _projected(rows: Floats, mean: Floats, directions: Floats) -> Floats:
    return np.asarray((rows - mean) @ directions, np.float32)
