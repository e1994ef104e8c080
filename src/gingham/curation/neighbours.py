"""Which pictures may be copies of each other: the nearest of each, looked up in a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.space import chunks
from gingham.curation.copies import COLOURED, GREY, TURNS, turned

Rows = NDArray[np.int64]
Pairs = NDArray[np.int64]
"""(P, 2): the lower row and the higher one; each pair once, in order."""

UNLIKE = (9.0, 28.0)
"""Thumbnails that differ by more, on average and in the worst block, are of different pictures."""

BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue add to it."""

FREQUENCIES = 8
"""The lowest of them along each side tell pictures apart, as in a perceptual hash."""

LINKS = 32
"""Of a picture in the graph: with half as many, one in fifty pairs that lie far from all others is
not met."""

_BLOCK = 4
_CHUNK = 1024


@dataclass(frozen=True)
class Thumbnails:
    """M thumbnails on disk, and what is held in memory of each to compare many pairs fast.

    Attributes
    ----------
    pixels : (M, 32, 32, 3) uint8.
    blocks : (M, 8, 8, 3) int16, sums over 4 x 4 pixels.
    colour : (M,) uint8, how far the channels of the most colourful pixel are apart.
    """

    pixels: NDArray[np.uint8]
    blocks: NDArray[np.int16]
    colour: NDArray[np.uint8]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> Thumbnails:
        """Look at every thumbnail once."""
        side = pixels.shape[1] // _BLOCK
        blocks = np.empty((len(pixels), side, side, 3), np.int16)
        colour = np.empty(len(pixels), np.uint8)
        for at in chunks(len(pixels), _CHUNK):
            some = np.asarray(pixels[at])
            parts = some.reshape(-1, side, _BLOCK, side, _BLOCK, 3)
            blocks[at] = parts.sum(2, dtype=np.int16).sum(3, dtype=np.int16)
            # Ten times as fast as `max` and `min` over so short an axis.
            red, green, blue = np.moveaxis(some, 3, 0)
            high = np.maximum(np.maximum(red, green), blue)
            low = np.minimum(np.minimum(red, green), blue)
            colour[at] = (high - low).max((1, 2))
        return cls(pixels, blocks, colour)


def perceptual_points(pixels: NDArray[np.uint8], rows: Rows, *, turns: bool) -> NDArray[np.float32]:
    """Describe N rows of (M, 32, 32, 3) thumbnails by (N, 64) numbers that copies nearly share.

    They are the lowest frequencies of the brightness. With `turns`, the eight ways to lay a picture
    share them: mirroring changes a frequency's sign at most, so its size is taken; laying a picture
    on its side swaps two of them, so the larger one comes first. Two such points are never further
    apart than the frequencies of the two pictures, laid alike.

    References
    ----------
    Zauner, *Implementation and Benchmarking of Perceptual Image Hash Functions* (2010): the hash by
    a cosine transform. It keeps of each of these numbers only whether it exceeds their median;
    photos of products on white then share most bits, and what differs is lost.
    """
    from scipy.fft import dctn

    n = FREQUENCIES
    points = np.empty((len(rows), n * n), np.float32)
    high, low = np.triu_indices(n, 1)
    for at in chunks(len(rows), _CHUNK):
        found = dctn(pixels[rows[at]] @ BRIGHTNESS, axes=(1, 2), norm="ortho")[:, :n, :n]
        if turns:
            found = np.abs(found)
            a, b = found[:, high, low], found[:, low, high]
            found[:, high, low], found[:, low, high] = np.maximum(a, b), np.minimum(a, b)
        points[at] = found.reshape(-1, n * n)
    return points


def nearest_pairs(points: NDArray[np.floating], rows: Rows, *, neighbours: int) -> Pairs:
    """Pair each picture with its nearest ones, by an approximate index: no step sees all pairs.

    `points` are the (N, d) descriptions of `rows` (N, rising); P is at most N times `neighbours`.

    References
    ----------
    Malkov, Yashunin, *Efficient and robust approximate nearest neighbor search using Hierarchical
    Navigable Small World graphs* (2016): here by faiss, two bytes a number.
    """
    import faiss

    kind: Any = faiss.ScalarQuantizer.QT_fp16
    index: Any = faiss.IndexHNSWSQ(points.shape[1], kind, LINKS)
    index.hnsw.efConstruction = 80
    index.hnsw.efSearch = max(64, 2 * neighbours)
    threads = faiss.omp_get_max_threads()
    # Built in parallel, the graph would differ from run to run. OpenMP keeps this number for each
    # thread: those of others who search at the same time stay as they are.
    faiss.omp_set_num_threads(1)
    try:
        index.train(points[:1])
        index.add(points)
    finally:
        faiss.omp_set_num_threads(threads)
    n = len(rows)
    keys = []
    for at in chunks(n, _CHUNK):
        _, near = index.search(points[at], neighbours + 1)
        own = np.arange(at.start, at.stop)[:, None]
        good = (near >= 0) & (near != own)
        keys.append((np.minimum(own, near) * n + np.maximum(own, near))[good])
    unique = np.unique(np.concatenate(keys))
    return np.stack([rows[unique // n], rows[unique % n]], axis=1)


def best_turns(thumbnails: Thumbnails, pairs: Pairs) -> NDArray[np.intp]:
    """Say of each pair which of `TURNS` lays the first most like the second: (P,) positions."""
    best = np.empty(len(pairs), np.intp)
    for at in chunks(len(pairs), _CHUNK):
        a, b = (thumbnails.blocks[pairs[at, side]] @ BRIGHTNESS for side in (0, 1))
        gaps = [np.abs(turned(a[..., None], turn)[..., 0] - b).sum((1, 2)) for turn in TURNS]
        best[at] = np.argmin(gaps, axis=0)
    return best


def differences(
    thumbnails: Thumbnails, pairs: Pairs, turns: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Measure how far (P, 2) pairs of thumbnails are apart, once the first is laid by its turn.

    Gives two (P,) arrays, of 255: the average and that of the worst of 8 x 8 blocks, infinite where
    a lower bound is beyond `UNLIKE`. Where only one of the two is grey, colour is left out.
    """
    mean, worst = np.full((2, len(pairs)), np.inf, np.float32)
    colour = thumbnails.colour
    for turn in np.unique(turns):
        these = np.flatnonzero(turns == turn)
        for at in chunks(len(these), _CHUNK):
            some = these[at]
            a, b = pairs[some].T
            less, more = np.sort([colour[a], colour[b]], axis=0)
            grey = (less <= GREY) & (more >= COLOURED)
            # A block's sums never differ by more than its pixels do.
            bound = _gap(turned(thumbnails.blocks[a], TURNS[turn]), thumbnails.blocks[b], grey)
            bound /= _BLOCK**2
            near = np.flatnonzero(
                (bound.mean((1, 2)) <= UNLIKE[0]) & (bound.max((1, 2)) <= UNLIKE[1])
            )
            laid = turned(thumbnails.pixels[a[near]], TURNS[turn]).astype(np.int16)
            gap = _gap(laid, thumbnails.pixels[b[near]].astype(np.int16), grey[near])
            side = gap.shape[1] // _BLOCK
            mean[some[near]] = gap.mean((1, 2))
            parts = gap.reshape(-1, side, _BLOCK, side, _BLOCK)
            worst[some[near]] = parts.mean((2, 4)).max((1, 2))
    return mean, worst


def _gap(
    a: NDArray[np.int16], b: NDArray[np.int16], grey: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Average (P, S, S, 3) differences over the channels; those of brightness where `grey`."""
    apart = a - b
    gap: NDArray[np.float32] = np.abs(apart).sum(axis=3, dtype=np.float32) / 3
    gap[grey] = np.abs(apart[grey] @ BRIGHTNESS)
    return gap
