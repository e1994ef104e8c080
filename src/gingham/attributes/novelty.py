"""How far an image lies from what the examples look like: distance to their principal subspace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.space import Floats, Rows, in_two_threads

DIRECTIONS = 64
"""The most principal directions kept; with few examples it is half their number."""


LARGE = 8
"""Times as many rows as eigenvectors wanted, from which on those are sought alone."""

EXACT = 1e-9
"""Of the largest eigenvalue: how far from an eigenvector one may be."""


def principal_directions(points: NDArray[np.floating], most: int = DIRECTIONS) -> Floats:
    """Return the (D, r) leading principal directions of (N, D) centred points, r <= N / 2."""
    value, vector = _principal((points @ points.T).astype(np.float64), most, points.shape[1])
    directions: Floats = (points.T @ (vector / np.sqrt(value))).astype(np.float64)
    return directions


def _principal(products: Floats, most: int, width: int) -> tuple[Floats, Floats]:
    """Return the leading eigenvalues of the (N, N) products of points, and their vectors."""
    n = len(products)
    count = min(most, n // 2, width - 1)
    if count < 1:
        return np.ones(0), np.zeros((n, 0))
    value, vector = largest_eigenvectors(products, count)
    good = value > 1e-9 * max(float(value[-1]), 1e-12)
    return value[good], vector[:, good]


def largest_eigenvectors(matrix: Floats, count: int) -> tuple[Floats, Floats]:
    """Return the largest eigenvalues of a symmetric (N, N) matrix, (count,) ascending, and vectors.

    Of large matrices all eigenvectors would take ten times as long as these. They are sought among
    sums of powers of the matrix times a few random vectors, until no eigenvector is further off
    than rounding.

    References
    ----------
    Golub, Underwood, *The Block Lanczos Method for Computing Eigenvalues* (1977); every block is
    made orthogonal to all before it.
    """
    n = len(matrix)
    width = count // 2 + 1
    if n > LARGE * count:
        block = np.linalg.qr(np.random.default_rng(0).normal(size=(n, width)))[0]
        basis, products = block, matrix @ block
        while basis.shape[1] + width <= n // 2:
            block = products[:, -width:]
            for _ in range(2):
                block = np.linalg.qr(block - basis @ (basis.T @ block))[0]
            basis = np.concatenate([basis, block], axis=1)
            products = np.concatenate([products, matrix @ block], axis=1)
            if basis.shape[1] // width % 3:
                continue
            inner = basis.T @ products
            value, turn = np.linalg.eigh((inner + inner.T) / 2)
            value, turn = value[-count:], turn[:, -count:]
            vector = basis @ turn
            if np.abs(products @ turn - vector * value).max() <= EXACT * value[-1]:
                return value, vector
    value, vector = np.linalg.eigh(matrix)
    return value[-count:], vector[:, -count:]


def held_out_residuals(points: NDArray[np.floating], groups: Rows, folds: Sequence[Rows]) -> Floats:
    """Return the (N,) logs of the squared distances from the others' principal subspace.

    Each fold is measured against the subspace of the others; nan for what is in no fold.

    Parameters
    ----------
    points : (N, D) examples in the joined space of the layers
    groups : (N,) what is held out together
    folds : rows of each fold

    References
    ----------
    The discriminant space cannot tell: it keeps only what separates the values, and foreign images
    fall in their middle. The residual of principal components is the classical Q statistic:
    Jackson, Mudholkar, *Control Procedures for Residuals...*, Technometrics 21 (1979).
    """
    logs = np.full(len(points), np.nan)
    # Of the products of all points, made once, those of each fold and of its others are parts.
    products = (points @ points.T).astype(np.float64)

    def measure(fold: Rows) -> Floats:
        rest = np.flatnonzero(~np.isin(groups, groups[fold]))
        inner, across = products[np.ix_(rest, rest)], products[np.ix_(fold, rest)]
        means, mean, to_mean = inner.mean(axis=0), inner.mean(), across.mean(axis=1)
        value, vector = _principal(
            inner - means - means[:, None] + mean, DIRECTIONS, points.shape[1]
        )
        inside = (across - means - to_mean[:, None] + mean) @ (vector / np.sqrt(value))
        squared = products[fold, fold] - 2 * to_mean + mean - (inside**2).sum(axis=1)
        found: Floats = np.log(np.maximum(squared, 1e-12))
        return found

    there = [fold for fold in folds if (~np.isin(groups, groups[fold])).sum() >= 2]
    for fold, found in zip(there, in_two_threads(measure, there), strict=True):
        logs[fold] = found
    return logs
