"""What is measured of ranked answers: class precision and recall, and likeness of colours."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gingham.errors import InputError, ShapeError

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]

FIRST = (1, 5, 10)
"""How many answers the precisions and recalls look at."""

COLOUR_FIRST = (5, 10)
"""How many answers the paper's measure looks at."""


class Judged(NamedTuple):
    """What came of B searches.

    Attributes
    ----------
    best : (B, 10) rows of the first answers; -1 where there are fewer.
    precision, recall : (B, 3), of the first 1, 5 and 10: the share of the answers that are
        relevant, and the share of the relevant images that are among them.
    average_precision : (B,).
    """

    best: Rows
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    average_precision: NDArray[np.float64]


def judge(scores: Floats, relevant: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> Judged:
    """Rank the answers of searches and say how many of the first are relevant.

    Parameters
    ----------
    scores : (B, N) float array, larger is more alike; of equal scores the first row comes first.
    relevant : (B, N) which images are right answers; each query needs one that is allowed.
    allowed : (B, N) which images may be answers: not the query itself, nor its near-duplicates.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    InputError
        If a query has no right answer.
    """
    for name, array in (("relevant", relevant), ("allowed", allowed)):
        if array.shape != scores.shape or scores.ndim != 2:
            raise ShapeError(name, expected=f"{scores.shape}, 2-D", got=array.shape)
    right = relevant & allowed
    wanted = right.sum(axis=1)
    if not wanted.all():
        raise InputError("each query needs an allowed image that is relevant")
    order = np.argsort(np.where(allowed, -scores, np.inf), axis=1, kind="stable")
    hits = np.take_along_axis(right, order, axis=1)
    found = hits.cumsum(axis=1)
    ranks = np.arange(1, scores.shape[1] + 1)
    average = (found / ranks * hits).sum(axis=1) / wanted
    there = allowed.sum(axis=1)
    counts = [np.minimum(k, there) for k in FIRST]
    first = np.stack([found[np.arange(len(found)), count - 1] for count in counts], axis=1)
    best = order[:, : max(FIRST)]
    best = np.where(np.arange(best.shape[1]) < there[:, None], best, -1)
    return Judged(best, first / np.stack(counts, axis=1), first / wanted[:, None], average)


def colour_distances(histograms: Floats, query: int, found: Rows) -> tuple[float, ...]:
    """Measure how unlike the first answers' colours are to the query's.

    `histograms` are (N, 3 * bins), of RGB or of Lab, see
    `gingham.backbones.descriptors.rgb_histogram`; `found` are rows of the answers, best first, -1
    for none.

    Returns
    -------
    The L1 distance per bin between the histograms of query and answer, averaged over the first 5
    and over the first 10: from 0 for the same colours to 2 for colours that share no bin.

    References
    ----------
    Staszewski et al. (arXiv:2007.06624) compare RGB histograms so; their number of bins and scale
    are not known to us, so that only ratios can be compared with theirs.
    """
    rows = found[found >= 0]
    distances = np.abs(histograms[rows] - histograms[query]).mean(axis=1, dtype=np.float64)
    return tuple(float(distances[:count].mean()) for count in COLOUR_FIRST)


def to_lab(image: Image.Image) -> NDArray[np.uint8]:
    """Turn an sRGB image into CIELAB: (H, W, 3), L* from 0 to 255, a* and b* plus 128."""
    pixels = np.array(ImageCms.applyTransform(image, _transform()))
    # Pillow writes a* and b* as signed bytes.
    pixels[..., 1:] ^= 128
    return pixels


@cache
def _transform() -> ImageCms.ImageCmsTransform:
    profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    return ImageCms.buildTransform(*profiles, "RGB", "LAB")


def draw_queries(classes: NDArray[np.intp], count: int, rng: np.random.Generator) -> Rows:
    """Draw queries of different classes, the paper's way; fewer where there are fewer classes."""
    chosen = rng.permutation(np.unique(classes))[:count]
    return np.array([rng.choice(np.flatnonzero(classes == one)) for one in chosen], np.intp)
