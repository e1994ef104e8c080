"""How far an image lies from what the examples look like: distance to their principal subspace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.space import Floats, Rows

DIRECTIONS = 64
"""The most principal directions kept; with few examples it is half their number."""


def principal_directions(points: NDArray[np.floating], most: int = DIRECTIONS) -> Floats:
    """Return the (D, r) leading principal directions of (N, D) centred points, r <= N / 2."""
    n = len(points)
    count = min(most, n // 2, points.shape[1] - 1)
    if count < 1:
        return np.zeros((points.shape[1], 0))
    gram = (points @ points.T).astype(np.float64)
    value, vector = np.linalg.eigh(gram)
    value, vector = value[-count:], vector[:, -count:]
    good = value > 1e-9 * max(float(value[-1]), 1e-12)
    directions: Floats = (points.T @ (vector[:, good] / np.sqrt(value[good]))).astype(np.float64)
    return directions


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
    for fold in folds:
        rest = points[~np.isin(groups, groups[fold])]
        if len(rest) < 2:
            continue
        mean = rest.mean(axis=0)
        directions = principal_directions(rest - mean).astype(points.dtype)
        test = points[fold] - mean
        squared = (test**2).sum(axis=1) - ((test @ directions) ** 2).sum(axis=1)
        logs[fold] = np.log(np.maximum(squared, 1e-12))
    return logs
