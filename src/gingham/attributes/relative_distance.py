"""How unlike every value of an attribute an image is, for an image of this catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.novelty import principal_directions
from gingham.attributes.one_pass import Read, project
from gingham.attributes.space import (
    Block,
    Floats,
    Rows,
    Space,
    learn_points,
    read_matrix,
)

DIRECTIONS = 80
"""The most directions of the background. Taught by 12 types of products, 10 examples each, the
other types foreign, AUROC is 0.827 with 80, 0.797 with 160 and 0.753 with 300 (even spread)."""

LEAST = 300
"""Images that a background needs, so that its directions are not those of a few."""

SHRINKAGE = 0.6
"""Share of the neighbours' spread in the spread within a value; 0.9 gives an AUROC of 0.888 for
0.893 of 0.6."""

NEIGHBOURS = 5
"""Whose differences stand for the spread within a value."""

FLAT = 1e-6
"""Spread, for a deviation of 1 of the background, below which there is none."""

SAME = 1e-3
"""Images of the background whose squared distance is below are copies, not neighbours."""


@dataclass(frozen=True)
class RelativeDistance:
    """Mahalanobis distance to the nearest value, less that to the catalogue as a whole.

    Images of the catalogue, of any value or none, are the background: its leading directions are
    scaled to a deviation of 1 each (z). With m the mean of a value's examples and S their spread
    within a value, the distance of z is the least of (z - m)' inv(S) (z - m) - z' z over the
    values. What is rare in the whole catalogue counts less than what is common in it and
    rare in the examples.

    Few examples do not determine S. It is shrunk towards the spread of the background's images
    about their five nearest neighbours, which mostly share their values, whatever those are:
    with 12 types of products from 10 examples, 0.56 of the products of other types lie beyond 98 %
    of the right answers; shrunk towards an even spread 0.34 (docs/benchmarks.md).

    Attributes
    ----------
    space : layers, joined and centred on the background
    directions : (width of space, r) float64, scaled
    neighbour_spread : (r, r) float64, the background's spread about its neighbours
    means : (V, r) float64, of the values; without values it cannot measure yet
    precision : (r, r) float64, inv(S)

    References
    ----------
    Ren et al., *A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection*,
    arXiv:2106.09022 (2021), eq. 2 and 3; the background in place of the training data, and the
    neighbours are ours. Hastie, Tibshirani, *Discriminant Adaptive Nearest Neighbor
    Classification* (1996), take the spread about neighbours likewise, with labels.
    """

    space: Space
    directions: Floats
    neighbour_spread: Floats
    means: Floats
    precision: Floats

    def whiten(self, X: Read) -> Floats:
        """Return (N, D) features in the (N, r) directions of the background."""
        return project(X, [(self.space, self.directions)])[0]

    def learn(self, z: Floats, labels: Rows, values: int) -> RelativeDistance:
        """Learn where the values lie from (N, r) whitened examples; those without are left out."""
        present = [value for value in range(values) if (labels == value).any()]
        means = np.stack([z[labels == value].mean(axis=0) for value in present])
        apart = z - means[np.searchsorted(present, labels)]
        within = apart.T @ apart / max(len(z) - len(present), 1)
        # The neighbours give the shape, the examples the size, as far as there are any.
        size = np.trace(within) / max(np.trace(self.neighbour_spread), FLAT)
        shape = self.neighbour_spread * (size if size > FLAT else 1)
        spread = (1 - SHRINKAGE) * within + SHRINKAGE * shape
        return replace(self, means=means, precision=np.linalg.inv(spread))

    def measure(self, z: Floats) -> Floats:
        """Return the (N,) distances of (N, r) whitened images."""
        reach = self.means @ self.precision
        to_values = (
            np.einsum("nd,nd->n", z @ self.precision, z)[:, None]
            - 2 * z @ reach.T
            + np.einsum("vd,vd->v", reach, self.means)
        )
        relative: Floats = to_values.min(axis=1) - np.einsum("nd,nd->n", z, z)
        return relative

    def held_out(self, z: Floats, labels: Rows, groups: Rows, folds: Sequence[Rows]) -> Floats:
        """Measure each fold of (N, r) examples by the others; nan where those lack the value."""
        found = np.full(len(z), np.nan)
        for fold in folds:
            rest = np.flatnonzero(~np.isin(groups, groups[fold]))
            fold = fold[np.isin(labels[fold], labels[rest])]
            if len(fold):
                learned = self.learn(z[rest], labels[rest], int(labels.max()) + 1)
                found[fold] = learned.measure(z[fold])
        return found

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return everything needed to measure, without pickle, under a name."""
        return self.space.to_arrays(name) | {
            f"{name}_directions": self.directions,
            f"{name}_neighbour_spread": self.neighbour_spread,
            f"{name}_values": self.means,
            f"{name}_precision": self.precision,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], name: str) -> RelativeDistance:
        """Rebuild what `to_arrays` returned.

        Raises
        ------
        KeyError
            If an array is missing.
        ShapeError
            If the arrays do not fit each other.
        """
        space = Space.from_arrays(arrays, name)
        directions = read_matrix(arrays, f"{name}_directions", space.width)
        width = directions.shape[1]
        spread = read_matrix(arrays, f"{name}_neighbour_spread", width)
        means = arrays[f"{name}_values"].astype(np.float64)
        precision = read_matrix(arrays, f"{name}_precision", width)
        return cls(space, directions, spread, means, precision)


def learn_background(
    X: NDArray[np.floating], blocks: Sequence[Block], weights: Floats, rooted: Sequence[str]
) -> RelativeDistance:
    """Learn the directions of a background, and its spread about neighbours.

    Parameters
    ----------
    X : (N, D) features of a sample of the catalogue, N >= `LEAST`
    blocks, weights, rooted : of the layers; see `space.learn_points`
    """
    space, points = learn_points(X, blocks, weights, rooted)
    directions = principal_directions(points, DIRECTIONS)
    z = points.astype(np.float64) @ directions
    deviation = z.std(axis=0)
    directions, z = directions / deviation, z / deviation
    length = np.einsum("nd,nd->n", z, z)
    squared = length[:, None] - 2 * z @ z.T + length
    squared[squared < SAME] = np.inf
    near = np.argpartition(squared, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    apart = (z[:, None] - z[near]).reshape(len(z) * NEIGHBOURS, z.shape[1])
    even = np.eye(z.shape[1])
    # A background of copies has no neighbours; then every direction spreads a little.
    spread = apart.T @ apart / (2 * len(apart)) + FLAT * even
    return RelativeDistance(space, directions, spread, np.zeros((0, len(even))), even)
