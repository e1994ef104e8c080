"""Products of features with several matrices, each in a joined space of its own, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gingham.attributes.space import (
    PROJECTED_ROWS,
    Block,
    Floats,
    Space,
    chunks,
    signed_root,
    unit,
    widen,
)

Read = NDArray[np.floating] | Mapping[str, NDArray[np.floating]]
"""(N, D) features, layers joined; or layer -> (N, D_b)."""


@dataclass(frozen=True)
class Product:
    """A product `space.apply(X) @ matrix`.

    Attributes
    ----------
    matrix : (width of space, k) float64
    lengths : also the squared length of each point, which is of its rows as they are, not rooted
    """

    space: Space
    matrix: Floats
    lengths: bool = False


@dataclass(frozen=True)
class _Step:
    """What the parts that read a block alike do with it.

    Attributes
    ----------
    rooted : whether its features are rooted first.
    weights : (D_b, k), those of the parts side by side, times their scales.
    columns : of each part, in all the products side by side, and in these.
    mean : (D_b,), of the part that asks for lengths, with its scale; None if it does not read it.
    """

    rooted: bool
    weights: NDArray[np.floating]
    columns: Sequence[tuple[slice, slice]]
    mean: tuple[float, NDArray[np.floating]] | None


class OnePass:
    """What the parts have to do for each block, made once.

    Points of the joined spaces are never made: with x a block's row, m the mean of unit rows and s
    the scale, the product s (x / |x| - m) W is (x s W) / |x| - s m W, and its squared length
    s^2 (1 - 2 x m / |x| + |m|^2). Read in chunks of bounded memory, in float32 where the features
    are not float64.
    """

    def __init__(self, parts: Sequence[Product]) -> None:
        self._parts = parts
        self._columns = _side_by_side(part.matrix for part in parts)
        self._width = self._columns[-1].stop
        self._constant = np.zeros(self._width)
        for part, columns in zip(parts, self._columns, strict=True):
            for scale, mean, weights in part.space.by_block(part.matrix).values():
                self._constant[columns] += scale * (mean @ weights)
        self._made: dict[DTypeLike, dict[Block, list[_Step]]] = {}

    def __call__(self, X: Read) -> tuple[list[Floats], Floats]:
        """Read N images.

        Returns
        -------
        The (N, k) float64 product of each part, and the (N,) squared lengths of the points of the
        part that asks for them.
        """
        first = next(iter(X.values())) if isinstance(X, Mapping) else X
        n, wide = len(first), np.float64 if first.dtype == np.float64 else np.float32
        found, squared = np.zeros((n, self._width)), np.zeros(n)
        steps = self._steps(wide)
        for rows in chunks(n, PROJECTED_ROWS):
            some = {
                block: X[block[0]][rows] if isinstance(X, Mapping) else X[rows, block[1] : block[2]]
                for block in steps
            }
            found[rows], squared[rows] = self._read(some, steps, wide)
        return [found[:, columns] for columns in self._columns], squared

    def _read(
        self,
        blocks: Mapping[Block, NDArray[np.floating]],
        steps: Mapping[Block, Sequence[_Step]],
        wide: DTypeLike,
    ) -> tuple[Floats, Floats]:
        n = len(next(iter(blocks.values())))
        total, squared = np.zeros((n, self._width), wide), np.zeros(n)
        for block, read in blocks.items():
            plain: NDArray[np.floating] = widen(read).astype(wide, copy=False)
            if read.dtype != np.float16:
                # Squares of float16 are in the range of float32; those of others may not be.
                plain = unit(plain)
            for step in steps[block]:
                x = signed_root(plain) if step.rooted else plain
                length = np.sqrt(np.einsum("nd,nd->n", x, x))
                there = length > 0
                inverse = np.divide(1, length, out=np.zeros_like(length), where=there)[:, None]
                products = x @ step.weights
                products *= inverse
                for to, own in step.columns:
                    total[:, to] += products[:, own]
                if step.mean is not None:
                    scale, mean = step.mean
                    along = (x @ mean) * inverse[:, 0]
                    squared += scale**2 * (there - 2 * along + mean @ mean)
        return total - self._constant, squared

    def _steps(self, wide: DTypeLike) -> dict[Block, list[_Step]]:
        if wide not in self._made:
            joined: dict[Block, dict[bool, list[int]]] = {}
            read = [part.space.by_block(part.matrix) for part in self._parts]
            for number, part in enumerate(self._parts):
                for block in read[number]:
                    rooted = block[0] in part.space.rooted and not part.lengths
                    joined.setdefault(block, {}).setdefault(rooted, []).append(number)
            self._made[wide] = {
                block: [
                    self._step(rooted, {one: read[one][block] for one in numbers}, wide)
                    for rooted, numbers in joined[block].items()
                ]
                for block in sorted(joined, key=lambda block: block[1])
            }
        return self._made[wide]

    def _step(
        self, rooted: bool, read: Mapping[int, tuple[float, Floats, Floats]], wide: DTypeLike
    ) -> _Step:
        mean = None
        for number, (scale, own, _) in read.items():
            if self._parts[number].lengths:
                mean = (scale, own.astype(wide))
        weights = [scale * part for scale, _, part in read.values()]
        columns = zip([self._columns[x] for x in read], _side_by_side(weights), strict=True)
        return _Step(rooted, np.concatenate(weights, axis=1).astype(wide), list(columns), mean)


def _side_by_side(matrices: Iterable[Floats]) -> list[slice]:
    """Say which columns of matrices side by side are those of each."""
    ends = accumulate((matrix.shape[1] for matrix in matrices), initial=0)
    return [slice(*some) for some in pairwise(ends)]


def project(X: Read, parts: Sequence[tuple[Space, Floats]]) -> list[Floats]:
    """Return `space.apply(X) @ matrix` of each part, (N, k) float64, without making the points."""
    return OnePass([Product(space, matrix) for space, matrix in parts])(X)[0]
