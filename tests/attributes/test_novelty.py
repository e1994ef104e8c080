"""What counts as unlike all examples."""

import numpy as np

from gingham.attributes.novelty import held_out_residuals, principal_directions


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
