"""What counts as unlike all examples."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gingham.attributes.novelty import (
    held_out_residuals,
    largest_eigenvectors,
    principal_directions,
)


def test_principal_directions_are_those_of_the_svd() -> None:
    points = np.random.default_rng(0).normal(size=(12, 30))
    points -= points.mean(axis=0)
    ours = principal_directions(points, 4)
    theirs = np.linalg.svd(points, full_matrices=False)[2][:4].T
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-10)


def test_residuals_are_measured_by_the_others() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 30)) + 0.1 * rng.normal(size=(80, 30))
    groups = np.arange(80)
    assert np.isnan(held_out_residuals(points, groups, [])).all()
    folds = np.array_split(groups, 8)
    logs = held_out_residuals(points, groups, folds)
    rest = points[10:]
    directions = principal_directions(rest - rest.mean(axis=0))
    for row in range(10):
        apart = points[row] - rest.mean(axis=0)
        outside = apart - directions @ (directions.T @ apart)
        assert np.isclose(np.exp(logs[row]), outside @ outside)


@pytest.mark.parametrize("spectrum", ["falling", "even", "few", "one"])
def test_the_largest_eigenvectors_are_those_of_all(spectrum: str) -> None:
    rng = np.random.default_rng(1)
    n, count = 300, 20
    values: dict[str, NDArray[np.float64]] = {
        "falling": 1 / np.arange(1.0, n + 1),
        "even": np.linspace(1, 2, n),
        "few": np.where(np.arange(n) < 30, 1 / np.arange(1.0, n + 1), 0),
        "one": np.where(np.arange(n) < 1, 1.0, 0),
    }
    turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
    matrix = (turn * values[spectrum]) @ turn.T
    matrix = (matrix + matrix.T) / 2
    value, vector = largest_eigenvectors(matrix, count)
    np.testing.assert_allclose(value, np.sort(values[spectrum])[-count:], atol=1e-8)
    np.testing.assert_allclose(matrix @ vector, vector * value, atol=1e-8)
    np.testing.assert_allclose(vector.T @ vector, np.eye(count), atol=1e-8)
