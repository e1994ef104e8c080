"""Activation maps -> vectors of an image: significant activations carried back, and their L1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError, ShapeError

THRESHOLD = 0.5
"""Above it a position of the last block is significant; the value in the authors' code."""

TYPICAL_ROWS = 512


def significant_activations(
    blocks: Sequence[NDArray[np.floating[Any]]], *, threshold: float = THRESHOLD
) -> NDArray[np.float32]:
    """Describe images by the activations that the significant ones of the last block rest on.

    In the last block a position of a channel is significant where its activation is above the
    threshold. Carried down, it stands for the positions of the finer blocks that it covers; there
    a position weighs as many channels of the last block as are significant above it. A finer
    block's channel is described by its mean with these weights, a channel of the last block by
    the mean of its own significant activations; by 0 where there is nothing significant.

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
        If there is no block, one is not (N, C, H, W) with C, H, W >= 1, or a side grows.
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
        flat = array.astype(np.float32, copy=False).reshape(*array.shape[:2], -1)
        summed = (flat @ weights.reshape(len(weights), -1, 1))[:, :, 0]
        parts.append(_mean(summed, weights.sum(axis=(1, 2))[:, None]))
    return np.concatenate(parts[::-1], axis=1)


def cover(fine: int, coarse: int) -> NDArray[np.intp]:
    """Say which of `coarse` positions each of `fine` positions belongs to: one, and only one."""
    return np.arange(fine) * coarse // fine


def check_blocks(shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse blocks that nothing can be carried through; see `significant_activations`."""
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
        If the two do not fit, or there is no dimension.
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
    """Divide; 0 where there is no weight."""
    if not np.isfinite(sums).all():
        raise InputError("blocks must be finite, got NaN or infinity (or values whose sum is)")
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)
