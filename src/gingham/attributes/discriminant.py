"""Closed-form discriminant projection of joined hidden layers; pure functions of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gingham.backbones.table import FOREGROUND, PIXELS
from gingham.errors import InputError, ShapeError

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Block: TypeAlias = tuple[str, int, int]

CHUNK = 4096
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
    largest = np.abs(block).max(axis=1, keepdims=True, initial=0)
    # Dividing by the largest entry first keeps the squares of tiny or huge rows in range.
    block = block / np.where(largest > 0, largest, 1)
    length = np.sqrt(np.einsum("nd,nd->n", block, block))[:, None]
    scaled: NDArray[np.floating] = block / np.where(length > 0, length, 1)
    return scaled


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


def early_layers(layers: Sequence[str]) -> tuple[str, ...]:
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
        parts = [
            (unit_rows(X, block, self.rooted) - mean.astype(X.dtype)) * X.dtype.type(scale)
            for block, mean, scale in zip(self.blocks, self.means, self.scales, strict=True)
        ]
        return np.concatenate(parts, axis=1)

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


def unit_rows(X: NDArray[np.floating], block: Block, rooted: Sequence[str]) -> NDArray[np.floating]:
    """Take a block's columns of (N, D) features, rooted if it is among those, at unit length."""
    name, first, end = block
    columns = X[:, first:end]
    return unit(signed_root(columns) if name in rooted else columns)


def project(
    X: NDArray[np.floating], parts: Sequence[tuple[Space, Floats]]
) -> list[NDArray[np.float64]]:
    """Return `space.apply(X) @ matrix` of each part, (N, k) float64, without making the points.

    Each layer is read once for all parts; see `Projection.apply`.
    """
    wide = np.float64 if X.dtype == np.float64 else np.float32
    found = [np.zeros((len(X), matrix.shape[1])) for _, matrix in parts]
    weighed = [space.by_block(matrix) for space, matrix in parts]
    for block in dict.fromkeys(block for one in weighed for block in one):
        name, first, end = block
        # Rooted or not -> the parts that read the layer so.
        readers: dict[bool, list[int]] = {}
        for number, (space, _) in enumerate(parts):
            if block in weighed[number]:
                readers.setdefault(name in space.rooted, []).append(number)
        for rows in chunks(len(X), PROJECTED_ROWS):
            columns: NDArray[np.floating] = X[rows, first:end].astype(wide)
            for root, numbers in readers.items():
                points = unit(signed_root(columns) if root else columns)
                for number in numbers:
                    scale, mean, weights = weighed[number][block]
                    found[number][rows] += scale * (points @ weights.astype(wide) - mean @ weights)
    return found


def learn_space(
    X: NDArray[np.floating], blocks: Sequence[Block], weights: Floats, rooted: Sequence[str] = ()
) -> Space:
    """Learn the joined space of (N, D) features; weights (B,) are each block's share of it."""
    means, scales = [], []
    for block, weight in zip(blocks, weights, strict=True):
        rows = unit_rows(X, block, rooted)
        mean = rows.mean(axis=0, dtype=np.float64)
        spread = float(((rows - mean) ** 2).sum(axis=1).mean())
        means.append(mean)
        scales.append(np.sqrt(weight / spread) if spread > 1e-12 else 0.0)
    used = tuple(name for name, _, _ in blocks if name in rooted)
    return Space(tuple(blocks), tuple(means), np.array(scales), used)


class Ridge:
    """Ridge regression onto centred targets, with exact held-out fits.

    Solved in the smaller of its two forms: n x n (few examples) or D x D (many).
    With K = X X', L the penalty and G = (K + L I)^-1, the fitted scores are F = T - L G T, and
    leaving out rows B changes them by F(-B) = F - (I - L G)[:, B] G[B, B]^-1 (G T)[B].

    Parameters
    ----------
    X : (N, D) array, float32 or float64, centred
    T : (N, V) float64 targets, centred
    penalty : added to the diagonal of K; X is scaled so that K's mean diagonal is 1

    References
    ----------
    Hastie, Buja, Tibshirani, *Penalized Discriminant Analysis*, Ann. Statist. 23 (1995): ridge
    regression onto class indicators spans the same space as LDA with Sw + L I.
    Rasmussen, Williams, *Gaussian Processes for Machine Learning* (2006), eq. 5.12: leave-one-out.
    """

    def __init__(self, X: NDArray[np.floating], T: Floats, penalty: float) -> None:
        self.X, self.T, self.penalty = X, T, penalty
        self.dual = len(X) <= X.shape[1]
        if self.dual:
            gram = (X @ X.T).astype(np.float64) + penalty * np.eye(len(T))
            self._inverse = np.asarray(np.linalg.inv(gram), np.float64)
            self.alpha = self._inverse @ T
        else:
            scatter = (X.T @ X).astype(np.float64) + penalty * np.eye(X.shape[1])
            self._factor = np.linalg.cholesky(scatter)
            self.coef = cholesky_solve(self._factor, (X.T @ T.astype(X.dtype)).astype(np.float64))
            self.alpha = (T - X @ self.coef) / penalty
        self.fitted: Floats = T - penalty * self.alpha

    def coefficients(self) -> Floats:
        """Return the (D, V) weights of the columns of X."""
        if not self.dual:
            return self.coef
        coef: Floats = (self.X.T @ self.alpha.astype(self.X.dtype)).astype(np.float64)
        return coef

    def _columns(self, rows: Rows) -> Floats:
        if self.dual:
            return self._inverse[:, rows]
        solved = cholesky_solve(self._factor, self.X[rows].T.astype(np.float64))
        columns: Floats = -(self.X @ solved.astype(self.X.dtype)).astype(np.float64)
        columns[rows, np.arange(len(rows))] += 1
        return columns / self.penalty

    def without(self, rows: Rows) -> Floats:
        """Return the (N, V) scores of every row when `rows` were not there to learn from."""
        columns = self._columns(rows)
        change = np.linalg.solve(columns[rows], self.alpha[rows])
        scores: Floats = self.fitted + self.penalty * (columns @ change)
        scores[rows] -= change
        return scores


def cholesky_solve(factor: NDArray[np.floating], right: Floats) -> Floats:
    """Solve L L' x = right, block by block; L is (D, D) lower triangular, right (D, k)."""
    solved = right.copy()
    blocks = list(chunks(len(factor), 64))
    for b in blocks:
        known = factor[b, : b.start] @ solved[: b.start]
        solved[b] = np.linalg.solve(factor[b, b], solved[b] - known)
    for b in reversed(blocks):
        known = factor[b.stop :, b].T @ solved[b.stop :]
        solved[b] = np.linalg.solve(factor[b, b].T, solved[b] - known)
    return solved


def optimal_scoring(fitted: Floats, targets: Floats, sizes: Floats) -> Floats:
    """Turn regressions onto class indicators into discriminant coordinates.

    Parameters
    ----------
    fitted : (N, V) fitted scores
    targets : (N, V) centred indicators
    sizes : (V,) number of rows of each class; a class without rows gets no say

    Returns
    -------
    (V, V - 1) float64 matrix: scores @ matrix are the LDA coordinates, in which the penalised
    spread within classes is 1 in every direction.

    References
    ----------
    Hastie, Buja, Tibshirani (1995), section 3: coordinates are scaled by 1/sqrt(a (1 - a)) with a
    the squared canonical correlation.
    """
    root = np.where(sizes > 0, 1 / np.sqrt(np.maximum(sizes, 1)), 0)
    between = (targets.T @ fitted) * root * root[:, None]
    share, direction = np.linalg.eigh((between + between.T) / 2)
    # The smallest belongs to the constant; others near 0 are values that have no rows here.
    share, direction = np.minimum(share[:0:-1], 1 - 1e-9), direction[:, :0:-1]
    spread = np.sqrt(np.maximum(share * (1 - share), 1e-12))
    scaled: Floats = root[:, None] * direction * np.where(share > 1e-6, 1 / spread, 0)
    return scaled


@dataclass(frozen=True)
class Projection:
    """One pass over the features, to a look and to how foreign the image is.

    Attributes
    ----------
    space : the layers of the look, joined
    look : (width of space, d) float64, discriminant directions
    kind : the layers that tell what kind of thing an image shows, joined
    subspace : (width of kind, r) float64, principal directions of the examples in it
    """

    space: Space
    look: Floats
    kind: Space
    subspace: Floats

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks that it reads, in the order of their columns."""
        return tuple(sorted({*self.space.blocks, *self.kind.blocks}, key=lambda block: block[1]))

    def apply(self, X: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Return (N, d) coordinates, and (N,) squared distances from the examples' subspace.

        Points of the joined spaces are never made: with u a block's unit row, m its mean and s its
        scale, the product s (u - m) W is s (u W - m W), and its squared length
        s^2 (|u|^2 - 2 u m + |m|^2). Read in chunks of bounded memory, in float32 where X is not
        float64.
        """
        wide = np.float64 if X.dtype == np.float64 else np.float32
        looks = np.zeros((len(X), self.look.shape[1]))
        inside = np.zeros((len(X), self.subspace.shape[1]))
        squared = np.zeros(len(X))
        look, subspace = self.space.by_block(self.look), self.kind.by_block(self.subspace)
        for block in self.blocks:
            name, first, end = block
            for rows in chunks(len(X), PROJECTED_ROWS):
                columns: NDArray[np.floating] = X[rows, first:end].astype(wide)
                points = unit(columns)
                if block in subspace:
                    scale, mean, weights = subspace[block]
                    inside[rows] += scale * (points @ weights.astype(wide) - mean @ weights)
                    length = np.einsum("nd,nd->n", points, points)
                    along = points @ mean.astype(wide)
                    squared[rows] += scale**2 * (length - 2 * along + mean @ mean)
                if name in self.space.rooted:
                    points = unit(signed_root(columns))
                if block in look:
                    scale, mean, weights = look[block]
                    looks[rows] += scale * (points @ weights.astype(wide) - mean @ weights)
        return looks, np.maximum(squared - (inside**2).sum(axis=1), 1e-12)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything needed to rebuild it, without pickle."""
        return {
            **self.space.to_arrays("space"),
            "look": self.look,
            **self.kind.to_arrays("kind"),
            "subspace": self.subspace,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Projection:
        """Rebuild what `to_arrays` returned.

        Raises
        ------
        KeyError
            If an array is missing.
        ShapeError
            If the arrays do not fit each other.
        """
        space, kind = Space.from_arrays(arrays, "space"), Space.from_arrays(arrays, "kind")
        look, subspace = (arrays[key].astype(np.float64) for key in ("look", "subspace"))
        for name, matrix, width in (
            ("look", look, space.width),
            ("subspace", subspace, kind.width),
        ):
            if len(matrix) != width:
                raise ShapeError(name, expected=f"({width}, d)", got=matrix.shape)
        return cls(space, look, kind, subspace)


def blas_threads(most: int | None) -> AbstractContextManager[object]:
    """Let matrix products use at most this many threads; None changes nothing.

    Those of few examples are so small that threads wait for each other longer than they work:
    teaching took twice as long with two threads as with one, where other work went on beside.
    """
    limits: AbstractContextManager[object] = threadpool_limits(most, user_api="blas")
    return limits


def chunks(n: int, size: int = CHUNK) -> Iterator[slice]:
    """Slices that cover n rows."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
