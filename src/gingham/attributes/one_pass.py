"""Products of features with several matrices, each in a joined space of its own, in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    part: int
    rooted: bool
    scale: float
    weights: NDArray[np.floating]
    offset: Floats
    mean: Floats | None


class OnePass:
    """What the parts have to do for each block, made once.

    Points of the joined spaces are never made: with u a block's unit row, m its mean and s its
    scale, the product s (u - m) W is s (u W - m W), and its squared length
    s^2 (|u|^2 - 2 u m + |m|^2). Read in chunks of bounded memory, in float32 where the features are
    not float64.
    """

    def __init__(self, parts: Sequence[Product]) -> None:
        self._widths = [part.matrix.shape[1] for part in parts]
        self._parts = parts
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
        found = [np.zeros((n, width)) for width in self._widths]
        squared = np.zeros(n)
        for (name, start, end), steps in self._steps(wide).items():
            for rows in chunks(n, PROJECTED_ROWS):
                read = X[name][rows] if isinstance(X, Mapping) else X[rows, start:end]
                columns: NDArray[np.floating] = widen(read).astype(wide, copy=False)
                units: dict[bool, NDArray[np.floating]] = {}
                for step in steps:
                    if step.rooted not in units:
                        units[step.rooted] = unit(signed_root(columns) if step.rooted else columns)
                    points = units[step.rooted]
                    found[step.part][rows] += step.scale * (points @ step.weights - step.offset)
                    if step.mean is not None:
                        length = np.einsum("nd,nd->n", points, points)
                        along = points @ step.mean.astype(wide)
                        squared[rows] += step.scale**2 * (
                            length - 2 * along + step.mean @ step.mean
                        )
        return found, squared

    def _steps(self, wide: DTypeLike) -> dict[Block, list[_Step]]:
        if wide not in self._made:
            made: dict[Block, list[_Step]] = {}
            for number, part in enumerate(self._parts):
                for block, (scale, mean, weights) in part.space.by_block(part.matrix).items():
                    rooted = block[0] in part.space.rooted and not part.lengths
                    own = mean if part.lengths else None
                    step = _Step(number, rooted, scale, weights.astype(wide), mean @ weights, own)
                    made.setdefault(block, []).append(step)
            order = sorted(made, key=lambda block: block[1])
            self._made[wide] = {block: made[block] for block in order}
        return self._made[wide]


def project(X: Read, parts: Sequence[tuple[Space, Floats]]) -> list[Floats]:
    """Return `space.apply(X) @ matrix` of each part, (N, k) float64, without making the points."""
    return OnePass([Product(space, matrix) for space, matrix in parts])(X)[0]
