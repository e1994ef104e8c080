"""Hidden layers joined into one standard space, and features in it; pure functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.table import FOREGROUND, PIXELS
from gingham.errors import InputError, ShapeError

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Block: TypeAlias = tuple[str, int, int]
A = TypeVar("A")
B = TypeVar("B")

CHUNK = 4096
_FEW = 100_000  # numbers that NumPy converts before another library is loaded
PROJECTED_ROWS = 512


def check_blocks(blocks: Sequence[Block] | None, n_columns: int) -> tuple[Block, ...]:
    """Return the blocks of columns as a tuple; without any, one block of all columns.

    Raises
    ------
    InputError
        If a block is empty or outside the columns, or a name comes twice.
    """
    if blocks is None:
        return (("all", 0, n_columns),)
    checked = tuple((str(name), int(first), int(end)) for name, first, end in blocks)
    for name, first, end in checked:
        if not 0 <= first < end <= n_columns:
            raise InputError(
                f"block {name!r} covers columns {first} to {end}, but X has {n_columns} columns"
            )
    names = [name for name, _, _ in checked]
    if not names or len(set(names)) < len(names):
        raise InputError(f"blocks must have different names and at least one, got {names}")
    return checked


def unit(block: NDArray[np.floating]) -> NDArray[np.floating]:
    """Scale each row of an (N, D) array to length 1; a row of zeros stays zero."""
    # As of `np.abs`, which would need another array.
    largest = np.maximum(
        block.max(axis=1, keepdims=True, initial=0), -block.min(axis=1, keepdims=True, initial=0)
    )
    # Dividing by the largest entry first keeps the squares of tiny or huge rows in range.
    block = block / np.where(largest > 0, largest, 1)
    length = np.sqrt(np.einsum("nd,nd->n", block, block))[:, None]
    block /= np.where(length > 0, length, 1)
    return block


def widen(block: NDArray[np.floating]) -> NDArray[np.floating]:
    """Turn float16 numbers into float32; others are returned as they are.

    The same numbers as `astype` gives, of many in a twentieth of the time: NumPy converts them one
    by one.
    """
    if block.dtype != np.float16:
        return block
    if block.size < _FEW:
        return block.astype(np.float32)
    from numkong import astype  # loads in a seventh of a second

    wide = np.empty(block.shape, np.float32)
    astype(block, "float32", out=wide)
    return wide


def signed_root(block: NDArray[np.floating]) -> NDArray[np.floating]:
    """Take the square root of each entry's size, and keep its sign.

    References
    ----------
    Perronnin, Sanchez, Mensink, *Improving the Fisher Kernel for Large-Scale Image
    Classification* (2010), section 3.2, with alpha = 1/2. Of the shares of a histogram, followed
    by unit length, it makes Euclidean distance that of Hellinger.
    """
    rooted: NDArray[np.floating] = np.copysign(np.sqrt(np.abs(block)), block)
    return rooted


def rooted_layers(layers: Sequence[str]) -> tuple[str, ...]:
    """Name the layers that are rooted for teaching: `pixels`, and all that a foreground pools.

    Few of their channels are large, and those drown the rest; what is pooled later is spread more
    evenly. Photos of 10 colours, 10 examples per value: 0.978 with the root, 0.968 without it;
    textures 0.956 and 0.956 (docs/benchmarks.md).
    """
    return tuple(layer for layer in layers if layer == PIXELS or layer.endswith(FOREGROUND))


@dataclass(frozen=True)
class Space:
    """Hidden layers joined into one standard space: each block unit length, centred, scaled.

    Attributes
    ----------
    blocks : the blocks used, as (name, first column, end column)
    means : one (D_b,) float64 array a block, the mean of its unit rows
    scales : (B,) float64, sqrt(weight / mean squared distance from the mean)
    rooted : names of the blocks that `signed_root` is applied to first
    """

    blocks: tuple[Block, ...]
    means: tuple[Floats, ...]
    scales: Floats
    rooted: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Number of columns of the joined space."""
        return sum(end - first for _, first, end in self.blocks)

    def apply(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return (N, D) features as (N, width) points, whose mean squared length is about 1."""
        wide = np.dtype(np.float32) if X.dtype == np.float16 else X.dtype
        points = np.empty((len(X), self.width), wide)
        for some in chunks(len(X), PROJECTED_ROWS):
            start = 0
            for block, mean, scale in zip(self.blocks, self.means, self.scales, strict=True):
                rows = unit_rows(X[some], block, self.rooted)
                rows -= mean.astype(wide)
                end = start + rows.shape[1]
                np.multiply(rows, wide.type(scale), out=points[some, start:end])
                start = end
        return points

    def by_block(self, matrix: Floats) -> dict[Block, tuple[float, Floats, Floats]]:
        """Give each block its scale, its mean, and its rows of a (width, k) matrix."""
        ends = np.cumsum([end - first for _, first, end in self.blocks])
        return {
            block: (float(scale), mean, rows)
            for block, scale, mean, rows in zip(
                self.blocks, self.scales, self.means, np.split(matrix, ends[:-1]), strict=True
            )
        }

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return everything needed to rebuild it, without pickle, under a name."""
        return {
            f"{name}_layers": np.array([layer for layer, _, _ in self.blocks]),
            f"{name}_columns": np.array([(first, end) for _, first, end in self.blocks]),
            f"{name}_scales": self.scales,
            f"{name}_means": np.concatenate(self.means),
            f"{name}_rooted": np.array(self.rooted, np.str_),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], name: str) -> Space:
        """Rebuild what `to_arrays` returned.

        Raises
        ------
        KeyError
            If an array is missing.
        ShapeError
            If the arrays do not fit each other.
        """
        columns = arrays[f"{name}_columns"].astype(int)
        blocks = tuple(
            (str(layer), int(first), int(end))
            for layer, (first, end) in zip(arrays[f"{name}_layers"], columns, strict=True)
        )
        means = arrays[f"{name}_means"].astype(np.float64)
        ends = np.cumsum([end - first for _, first, end in blocks])
        if len(means) != ends[-1]:
            raise ShapeError(f"{name}_means", expected=f"({ends[-1]},)", got=means.shape)
        scales = arrays[f"{name}_scales"].astype(np.float64)
        rooted = tuple(str(layer) for layer in arrays[f"{name}_rooted"])
        return cls(blocks, tuple(np.split(means, ends[:-1])), scales, rooted)


def read_matrix(
    arrays: Mapping[str, NDArray[np.generic]], name: str, rows: int
) -> NDArray[np.float64]:
    """Take a (rows, d) matrix from arrays that were saved.

    Raises
    ------
    KeyError
        If it is missing.
    ShapeError
        If it has another number of rows.
    """
    matrix = arrays[name].astype(np.float64)
    if matrix.ndim != 2 or len(matrix) != rows:
        raise ShapeError(name, expected=f"({rows}, d)", got=matrix.shape)
    return matrix


def unit_rows(X: NDArray[np.floating], block: Block, rooted: Sequence[str]) -> NDArray[np.floating]:
    """Take a block's columns of (N, D) features, rooted if it is among those, at unit length."""
    name, first, end = block
    columns = widen(X[:, first:end])
    return unit(signed_root(columns) if name in rooted else columns)


def learn_space(
    X: NDArray[np.floating], blocks: Sequence[Block], weights: Floats, rooted: Sequence[str] = ()
) -> Space:
    """Learn the joined space of (N, D) features; weights (B,) are each block's share of it."""
    return learn_points(X, blocks, weights, rooted)[0]


def learn_points(
    X: NDArray[np.floating], blocks: Sequence[Block], weights: Floats, rooted: Sequence[str] = ()
) -> tuple[Space, NDArray[np.floating]]:
    """Learn a joined space as `learn_space` does, and give the points of X in it, (N, width).

    The same points as `Space.apply` gives, in one pass over X instead of three, and in two threads.
    """
    wide = np.dtype(np.float32) if X.dtype == np.float16 else X.dtype
    ends = list(accumulate((end - first for _, first, end in blocks), initial=0))
    points = np.empty((len(X), ends[-1]), wide)
    parts = list(chunks(len(X), PROJECTED_ROWS))

    def learn(number: int) -> tuple[Floats, float]:
        own = points[:, ends[number] : ends[number + 1]]
        sums = []
        for some in parts:
            rows = unit_rows(X[some], blocks[number], rooted)
            sums.append(rows.sum(axis=0, dtype=np.float64))
            own[some] = rows
        mean = np.sum(sums, axis=0) / len(X)
        squared = [((own[some] - mean) ** 2).sum(axis=1) for some in parts]
        spread = float(np.concatenate(squared).mean())
        scale = np.sqrt(weights[number] / spread) if spread > 1e-12 else 0.0
        for some in parts:
            own[some] -= mean.astype(wide)
            own[some] *= wide.type(scale)
        return mean, scale

    means, scales = zip(*in_two_threads(learn, range(len(blocks))), strict=True)
    used = tuple(name for name, _, _ in blocks if name in rooted)
    return Space(tuple(blocks), means, np.array(scales), used), points


def in_two_threads(work: Callable[[A], B], items: Sequence[A]) -> list[B]:
    """Map in two threads, beside which matrix products need none of their own."""
    if len(items) < 2:
        return [work(one) for one in items]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, items))


def chunks(n: int, size: int = CHUNK) -> Iterator[slice]:
    """Slices that cover n rows."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
