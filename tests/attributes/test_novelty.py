"""What counts as unlike all examples."""

import numpy as np

from gingham.attributes.novelty import novelty_limit, principal_directions


def test_principal_directions_are_those_of_the_svd() -> None:
    points = np.random.default_rng(0).normal(size=(12, 30))
    points -= points.mean(axis=0)
    ours = principal_directions(points, 4)
    theirs = np.linalg.svd(points, full_matrices=False)[2][:4].T
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-10)


def test_novelty_limit_needs_folds_and_passes_its_own_kind() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 30)) + 0.1 * rng.normal(size=(80, 30))
    groups = np.arange(80)
    assert novelty_limit(points, groups, [], 3) == np.inf
    limit = novelty_limit(points, groups, np.array_split(groups, 8), 3)
    centred = points - points.mean(axis=0)
    directions = principal_directions(centred)
    inside = (centred**2).sum(axis=1) - ((centred @ directions) ** 2).sum(axis=1)
    assert (inside < limit).mean() > 0.98
