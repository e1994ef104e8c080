"""Which pictures may be copies of each other: hashes and features looked up in an index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from gingham.curation.copies import COLOURED, GREY, TURNS, turned, undo
from gingham.discriminant import unit
from gingham.errors import MissingExtraError

Rows = NDArray[np.int64]
Pairs = NDArray[np.int64]
"""(P, 3): two rows, and which of `TURNS` lays the first like the second."""

HASH_BITS = 64
BANDS, FLIPPED = 4, 1
"""Hashes are filed under four bands of 16 bits and looked up with up to one bit of each flipped:
all pairs that differ in 7 bits or fewer are met, and most of a few more."""
FAR = 12
"""Bits beyond which two hashes are not alike."""

UNLIKE = (9.0, 28.0)
"""Thumbnails that differ by more, on average and in the worst block, are of different pictures."""

BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue add to it."""

_CHUNK = 1024


def hash_pairs(thumbnails: NDArray[np.uint8], rows: Rows, *, turns: bool, neighbours: int) -> Pairs:
    """Find pictures whose perceptual hashes are alike, without comparing every pair.

    Parameters
    ----------
    thumbnails : (M, 32, 32, 3) uint8.
    rows : those of them to look at.
    turns : look for mirrored and turned copies too.
    neighbours : the nearest looked at, of each picture and turn.

    References
    ----------
    Norouzi, Punjani, Fleet, *Fast Search in Hamming Space with Multi-Index Hashing* (2012): here
    by faiss's `IndexBinaryMultiHash`.
    """
    faiss = import_faiss()
    index = faiss.IndexBinaryMultiHash(HASH_BITS, BANDS, HASH_BITS // BANDS)
    index.nflip = FLIPPED
    chunks = list(_chunks(len(rows)))
    for at in chunks:
        index.add(perceptual_hashes(thumbnails[rows[at]]))
    found = []
    for turn in range(len(TURNS) if turns else 1):
        for at in chunks:
            asked = perceptual_hashes(turned(thumbnails[rows[at]], TURNS[turn]))
            bits, near = index.search(asked, neighbours + (turn == 0))
            found.append(_listed(rows, near, (bits <= FAR) & (near >= 0), at, turn))
    return _different(np.concatenate(found))


def perceptual_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash (N, 32, 32, 3) thumbnails to (N, 8) bytes that copies nearly share.

    References
    ----------
    Zauner, *Implementation and Benchmarking of Perceptual Image Hash Functions* (2010), the hash by
    a cosine transform: which of the 8 x 8 lowest frequencies of the brightness exceed their median.
    """
    brightness = thumbnails @ BRIGHTNESS
    lowest = dctn(brightness, axes=(1, 2))[:, :8, :8].reshape(len(thumbnails), HASH_BITS)
    return np.packbits(lowest > np.median(lowest, axis=1, keepdims=True), axis=1)


def feature_pairs(
    reduced: NDArray[np.float32],
    thumbnails: NDArray[np.uint8],
    rows: Rows,
    *,
    turns: bool,
    neighbours: int,
) -> Pairs:
    """Find pictures whose features are nearest, by an approximate index; and how they are laid.

    Parameters
    ----------
    reduced : (N, d) features of `rows`: pooled over the picture, they hardly tell how it is turned.
    thumbnails : (M, 32, 32, 3) uint8, which tell it.
    rows : (N,) those of them to look at.
    turns : look for mirrored and turned copies too.
    neighbours : the nearest looked at, of each picture.

    References
    ----------
    Malkov, Yashunin, *Efficient and robust approximate nearest neighbor search using Hierarchical
    Navigable Small World graphs* (2016): here by faiss, two bytes a number.
    """
    faiss = import_faiss()
    points = unit(reduced)
    threads = faiss.omp_get_max_threads()
    # Built in parallel, the graph would differ from run to run.
    faiss.omp_set_num_threads(1)
    try:
        index = faiss.IndexHNSWSQ(points.shape[1], faiss.ScalarQuantizer.QT_fp16, 16)
        index.hnsw.efConstruction = 40
        index.hnsw.efSearch = max(32, 2 * neighbours)
        index.train(points[:1])
        index.add(points)
        found = []
        for at in _chunks(len(points)):
            _, near = index.search(points[at], neighbours + 1)
            found.append(_listed(rows, near, near >= 0, at, 0))
    finally:
        faiss.omp_set_num_threads(threads)
    pairs = _different(np.concatenate(found))
    if turns:
        small = coarse(thumbnails)
        for at in _chunks(len(pairs)):
            a, b = small[pairs[at, 0]][..., None], small[pairs[at, 1]]
            gaps = [np.abs(turned(a, turn)[..., 0] - b).mean((1, 2)) for turn in TURNS]
            pairs[at, 2] = np.argmin(gaps, axis=0)
    return pairs


def coarse(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Average (N, 32, 32, 3) thumbnails to (N, 8, 8) brightness."""
    small = np.empty((len(thumbnails), 8, 8), np.float32)
    for at in _chunks(len(thumbnails)):
        small[at] = (thumbnails[at] @ BRIGHTNESS).reshape(-1, 8, 4, 8, 4).mean((2, 4))
    return small


def alike_pairs(
    thumbnails: NDArray[np.uint8], pairs: Pairs
) -> tuple[Pairs, NDArray[np.float32], NDArray[np.float32]]:
    """Keep the pairs whose thumbnails differ by no more than `UNLIKE`.

    Where only one of the two is grey, colour is left out.

    Returns
    -------
    (Q, 3) pairs, their (Q,) mean differences, and (Q,) those of the worst of 8 x 8 blocks.
    """
    small = coarse(thumbnails)
    kept = [np.zeros((0, 3), np.int64)]
    means, worsts = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
    for turn in np.unique(pairs[:, 2]):
        these = pairs[pairs[:, 2] == turn]
        laid = turned(small[..., None], TURNS[turn])[..., 0]
        for at in _chunks(len(these)):
            some = these[at]
            # Blocks' averages never differ by more than their pixels do, and brightness by no more
            # than three times its largest part: nothing is lost here.
            gap = np.abs(laid[some[:, 0]] - small[some[:, 1]]) / (3 * BRIGHTNESS.max())
            some = some[(gap.mean((1, 2)) <= UNLIKE[0]) & (gap.max((1, 2)) <= UNLIKE[1])]
            mean, worst = _gaps(thumbnails, some, int(turn))
            near = (mean <= UNLIKE[0]) & (worst <= UNLIKE[1])
            kept.append(some[near])
            means.append(mean[near])
            worsts.append(worst[near])
    return np.concatenate(kept), np.concatenate(means), np.concatenate(worsts)


def _gaps(
    thumbnails: NDArray[np.uint8], pairs: Pairs, turn: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    a = turned(thumbnails[pairs[:, 0]], TURNS[turn]).astype(np.float32)
    b = thumbnails[pairs[:, 1]].astype(np.float32)
    gap = np.abs(a - b).mean(axis=3)
    less, more = np.sort([_colour(a), _colour(b)], axis=0)
    mixed = np.flatnonzero((less <= GREY) & (more >= COLOURED))
    gap[mixed] = np.abs((a[mixed] - b[mixed]) @ BRIGHTNESS)
    worst = gap.reshape(-1, 8, 4, 8, 4).mean((2, 4)).max((1, 2))
    return gap.mean((1, 2)), worst


def _colour(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = pictures.max(axis=3) - pictures.min(axis=3)
    colour: NDArray[np.float32] = spread.max((1, 2))
    return colour


def _listed(rows: Rows, near: Rows, good: NDArray[np.bool_], at: slice, turn: int) -> Pairs:
    asked = np.repeat(rows[at], good.sum(axis=1))
    return np.stack([asked, rows[near[good]], np.full(len(asked), turn)], axis=1)


def _different(pairs: Pairs) -> Pairs:
    """Drop pairs of a row with itself, and one of two that say the same the other way round."""
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    swapped = pairs[:, 0] > pairs[:, 1]
    inverse = np.array([TURNS.index(undo(turn)) for turn in TURNS])
    pairs[swapped] = np.stack(
        [pairs[swapped, 1], pairs[swapped, 0], inverse[pairs[swapped, 2]]], axis=1
    )
    unique: Pairs = np.unique(pairs, axis=0)
    return unique


def _chunks(n: int) -> Iterator[slice]:
    for first in range(0, n, _CHUNK):
        yield slice(first, min(first + _CHUNK, n))


def import_faiss() -> Any:
    """Import faiss, or say how to install it."""
    try:
        import faiss
    except ImportError:
        raise MissingExtraError("faiss-cpu", extra="train") from None
    return faiss
