"""Maps or pixels -> vectors of an image: foreground, significant activations, histograms, L1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError, ShapeError

THRESHOLD = 0.5
"""Above it a position of the last block is significant; the value in the authors' code."""

BORDER = 14
"""The border of a map is a 14th of its side: one position of 14 x 14."""

LEAST = 1e-6
"""The smallest distance from the border that counts: where nothing differs, all weigh the same."""

BINS = 16
"""Of each histogram of the descriptor `rgb`; 8 and 32 give similar results (docs/retrieval.md)."""


def significant_activations(
    blocks: Sequence[NDArray[np.floating[Any]]], *, threshold: float = THRESHOLD
) -> NDArray[np.float32]:
    """Describe images by the activations below the significant ones of the last block.

    In the last block a position of a channel is significant where its activation is above the
    threshold. Carried down, it stands for the positions of the finer blocks that it covers; there
    a position weighs as many channels of the last block as are significant above it. A finer
    block's channel is described by its mean with these weights, a channel of the last block by
    the mean of its own significant activations; by 0 where nothing is significant.

    Parameters
    ----------
    blocks : (N, C_i, H_i, W_i) arrays of finite activations of the same N images, from the finest
        block to the last; no side may grow from one to the next. Position k of H_i belongs to
        position ``floor(k * H_(i+1) / H_i)`` of the next block.
    threshold : in the units of the last block.

    Returns
    -------
    (N, sum of C_i) float32 array, the finest block first.

    Raises
    ------
    ShapeError
        If no block is given, one is not (N, C, H, W) with C, H, W >= 1, or a side grows.
    InputError
        If the threshold is not finite, or the activations are not.

    References
    ----------
    Staszewski, Jaworski, Cao, Rutkowski, *A New Approach to Descriptors Generation for Image
    Retrieval by Analyzing Activations of Deep Neural Network Layers* (arXiv:2007.06624): the five
    max-pooling outputs of VGG16, each position covering 2 x 2 of the block before, and a
    threshold of 0.5. Sides that do not divide each other are ours.
    """
    arrays = [np.asarray(block) for block in blocks]
    check_blocks([array.shape for array in arrays])
    if not np.isfinite(threshold):
        raise InputError(f"threshold must be a finite number, got {threshold}")
    last = arrays[-1].astype(np.float32, copy=False)
    significant = last > np.float32(threshold)
    weights = significant.sum(axis=1, dtype=np.float32)
    own = np.einsum("nchw,nchw->nc", last, significant, dtype=np.float32)
    parts = [_mean(own, significant.sum(axis=(2, 3), dtype=np.float32))]
    for array in reversed(arrays[:-1]):
        rows, columns = (
            cover(fine, coarse)
            for fine, coarse in zip(array.shape[2:], weights.shape[1:], strict=True)
        )
        weights = weights[:, rows[:, None], columns]
        positions = array.shape[2] * array.shape[3]
        flat = array.astype(np.float32, copy=False).reshape(*array.shape[:2], positions)
        summed = (flat @ weights.reshape(len(weights), positions, 1))[:, :, 0]
        parts.append(_mean(summed, weights.sum(axis=(1, 2))[:, None]))
    return np.concatenate(parts[::-1], axis=1)


def foreground_weights(maps: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Weigh the positions of a map by how unlike the border of the picture they are.

    Things mostly stand in the middle, before a background that reaches the border. A position's
    weight is the Euclidean distance of its activations from the mean over the border, the outermost
    fourteenth of the positions on each side; where all are as the border is, they weigh the same.
    `maps` are the finite (N, C, H, W) activations of one hidden layer; each image's (N, H, W)
    float32 weights add up to 1.

    Raises
    ------
    ShapeError
        If `maps` is not (N, C, H, W) with C, H, W >= 1.
    """
    check_blocks([maps.shape])
    maps = maps.astype(np.float32, copy=False)
    edge = border(*maps.shape[2:])
    outside = maps[:, :, edge].mean(axis=2)
    weights = np.sqrt(np.square(maps - outside[:, :, None, None]).sum(axis=1)).clip(LEAST)
    scaled: NDArray[np.float32] = weights / weights.sum(axis=(1, 2), keepdims=True)
    return scaled


def border(height: int, width: int) -> NDArray[np.bool_]:
    """Mark the positions of a map that lie at the border of the picture: (height, width)."""
    edge = np.ones((height, width), bool)
    high, wide = (max(1, side // BORDER) for side in (height, width))
    edge[high : height - high, wide : width - wide] = False
    return edge


def cover(fine: int, coarse: int) -> NDArray[np.intp]:
    """Give the one of `coarse` positions that each of `fine` positions belongs to."""
    return np.arange(fine) * coarse // fine


def check_blocks(shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse blocks that do not follow one another; see `significant_activations`."""
    if not shapes:
        raise ShapeError("blocks", expected="(N, C, H, W), at least one block", got="none")
    for number, shape in enumerate(shapes):
        if len(shape) != 4 or 0 in shape[1:] or shape[0] != shapes[0][0]:
            expected = f"({shapes[0][0] if shapes[0] else 'N'}, C, H, W) with C, H, W >= 1"
            raise ShapeError(f"blocks[{number}]", expected=expected, got=shape)
        before = shapes[max(number - 1, 0)]
        if shape[2] > before[2] or shape[3] > before[3]:
            raise ShapeError(
                f"blocks[{number}]",
                expected=f"(N, C, H <= {before[2]}, W <= {before[3]}), as the block before",
                got=shape,
            )


def rgb_histogram(image: NDArray[np.uint8], bins: int = BINS) -> NDArray[np.float32]:
    """Count the pixels of each brightness of red, green and blue.

    Parameters
    ----------
    image : (H, W, 3) RGB, uint8.
    bins : of equal width, for each of the three.

    Returns
    -------
    (3 * bins,) float32 array: the share of the pixels times the number of bins, so that an image
    in which every brightness is equally frequent has 1 everywhere.

    Raises
    ------
    ShapeError
        If `image` is not (H, W, 3) with H, W >= 1.
    InputError
        If `bins` is not between 2 and 256, or `image` not uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ShapeError("image", expected="(H, W, 3) with H, W >= 1", got=image.shape)
    if image.dtype != np.uint8:
        raise InputError(f"image must be uint8, from 0 to 255; got {image.dtype}")
    if not 2 <= bins <= 256:
        raise InputError(f"bins must be from 2 to 256, got {bins}")
    levels = (image.reshape(-1, 3).astype(np.intp) * bins) >> 8
    counts = [np.bincount(levels[:, channel], minlength=bins) for channel in range(3)]
    return (np.concatenate(counts) * (bins / len(levels))).astype(np.float32)


def l1_distances(query: NDArray[np.floating[Any]], rows: NDArray[Any]) -> NDArray[np.float32]:
    """Compare one vector with many: the sum of absolute differences over the number of dimensions.

    Parameters
    ----------
    query : (D,) array.
    rows : (N, D) array; float16, too, is compared in float32.

    Returns
    -------
    (N,) float32 array.

    Raises
    ------
    ShapeError
        If their lengths differ, or are 0.
    """
    if query.ndim != 1 or not query.size:
        raise ShapeError("query", expected="(D,) with D >= 1", got=query.shape)
    if rows.ndim != 2 or rows.shape[1] != len(query):
        raise ShapeError("rows", expected=f"(N, {len(query)})", got=rows.shape)
    query = query.astype(np.float32, copy=False)
    out = np.empty(len(rows), np.float32)
    # As many rows at a time as stay in a core's cache: three times as fast as all at once.
    step = max(1, 65536 // len(query))
    for start in range(0, len(rows), step):
        difference = np.subtract(rows[start : start + step], query, dtype=np.float32)
        np.abs(difference, out=difference)
        difference.mean(axis=1, out=out[start : start + step])
    return out


def _mean(sums: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide; 0 where the weight is 0."""
    if not np.isfinite(sums).all():
        raise InputError("blocks must be finite, got NaN or infinity (or values whose sum is)")
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)
