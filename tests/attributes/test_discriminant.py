"""The closed forms beside what they replace: scikit-learn's LDA, refits, plain loops."""

import numpy as np
import pytest
from scipy.linalg import cho_solve, eigh
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from gingham.attributes.discriminant import (
    Factor,
    Projection,
    Ridge,
    lower_scatter,
    optimal_scoring,
)
from gingham.attributes.space import Floats, Rows, learn_space, unit
from gingham.errors import ShapeError

WIDTHS = pytest.mark.parametrize("width", [6, 60], ids=["more examples", "more columns"])


def clusters(width: int, n: int = 30, values: int = 3) -> tuple[Floats, Rows, Floats]:
    """Draw centred points of several values, and their centred indicators."""
    rng = np.random.default_rng(width)
    labels = np.arange(n, dtype=np.intp) % values
    X = rng.normal(size=(n, width)) + 2 * rng.normal(size=(values, width))[labels]
    indicator = np.eye(values)[labels]
    return X - X.mean(axis=0), labels, indicator - indicator.mean(axis=0)


@WIDTHS
def test_the_coordinates_are_those_of_penalised_lda(width: int) -> None:
    X, labels, targets = clusters(width)
    penalty = 5.0
    ridge = Ridge(X, targets, penalty)
    sizes = np.bincount(labels).astype(np.float64)
    ours = X @ ridge.coefficients() @ optimal_scoring(ridge.fitted, targets, sizes)
    means = np.stack([X[labels == value].mean(axis=0) for value in range(3)])[labels]
    within = (X - means).T @ (X - means) + penalty * np.eye(width)
    axes = eigh(means.T @ means, within, subset_by_index=(width - 2, width - 1))[1]
    # Signs are free; the distances between points are not.
    np.testing.assert_allclose(ours @ ours.T, X @ axes @ axes.T @ X.T, atol=1e-8)


def test_almost_without_penalty_the_angles_are_those_of_scikit_learn() -> None:
    # Its own shrinkage also shrinks the scatter between the values, so only the limit compares.
    X, labels, targets = clusters(6)
    ridge = Ridge(X, targets, 1e-9)
    sizes = np.bincount(labels).astype(np.float64)
    ours = unit(X @ ridge.coefficients() @ optimal_scoring(ridge.fitted, targets, sizes))
    theirs = unit(LinearDiscriminantAnalysis(solver="eigen").fit(X, labels).transform(X))
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-6)


@WIDTHS
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_leaving_rows_out_equals_fitting_without_them(width: int, dtype: type[np.floating]) -> None:
    X, _, targets = clusters(width)
    ridge = Ridge(X.astype(dtype), targets, 2.0)
    assert ridge.dual == (width == 60)
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(ridge.fitted, X @ ridge.coefficients(), atol=tolerance)
    for out in ([4], [0, 3, 29], list(range(12))):
        rest = np.setdiff1d(np.arange(len(X)), out)
        slow = X @ np.linalg.solve(
            X[rest].T @ X[rest] + 2.0 * np.eye(width), X[rest].T @ targets[rest]
        )
        np.testing.assert_allclose(ridge.without(np.array(out)), slow, atol=tolerance)
        np.testing.assert_allclose(ridge.held_out(np.array(out)), slow[out], atol=tolerance)


@pytest.mark.parametrize("width", [1, 64, 65, 200, 1300])
def test_the_blockwise_solution_is_that_of_scipy(width: int) -> None:
    rng = np.random.default_rng(width)
    points, right = rng.normal(size=(width, width)), rng.normal(size=(width, 7))
    matrix = points @ points.T / width + 0.3 * np.eye(width)
    given_right = right.copy()
    solved = Factor(np.tril(matrix)).solve(right)
    np.testing.assert_allclose(
        solved, cho_solve((np.linalg.cholesky(matrix), True), right), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_array_equal(right, given_right)


@pytest.mark.parametrize("width", [3, 512, 1030])
def test_the_scatter_is_that_of_one_product(width: int) -> None:
    X = np.random.default_rng(0).normal(size=(20, width)).astype(np.float32)
    expected = np.tril(X.astype(np.float64).T @ X)
    np.testing.assert_allclose(np.tril(lower_scatter(X)), expected, atol=1e-4)


def test_a_value_without_rows_gets_no_say() -> None:
    X, labels, targets = clusters(60)
    ridge = Ridge(X, targets, 2.0)
    kept = np.flatnonzero(labels != 2)
    sizes = np.bincount(labels[kept], minlength=3).astype(np.float64)
    matrix = optimal_scoring(ridge.without(np.flatnonzero(labels == 2))[kept], targets[kept], sizes)
    assert matrix.shape == (3, 2)
    assert np.isfinite(matrix).all()
    np.testing.assert_array_equal(matrix[2], 0)


def test_projection_reads_chunks_and_comes_back_from_its_arrays() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 6))
    space = learn_space(X, [("a", 0, 2), ("b", 2, 5)], np.array([0.5, 0.5]), rooted=["b"])
    kind = learn_space(X, [("b", 2, 5), ("c", 5, 6)], np.array([0.9, 0.1]))
    subspace = np.linalg.qr(rng.normal(size=(4, 2)))[0]
    projection = Projection(space, rng.normal(size=(5, 3)), kind, subspace)
    assert projection.blocks == (("a", 0, 2), ("b", 2, 5), ("c", 5, 6))
    many = np.tile(X, (300, 1))
    coordinates, residual = projection.apply(many)
    points = space.apply(many)
    np.testing.assert_allclose(coordinates, points @ projection.look, atol=1e-12)
    points = kind.apply(many)
    outside = points - points @ subspace @ subspace.T
    np.testing.assert_allclose(residual, (outside**2).sum(axis=1), atol=1e-12)

    arrays = projection.to_arrays()
    again = Projection.from_arrays(arrays)
    np.testing.assert_array_equal(again.apply(X)[0], projection.apply(X)[0])
    arrays["look"] = arrays["look"][:4]
    with pytest.raises(ShapeError, match=r"look must have shape \(5, d\), got \(4, 3\)"):
        Projection.from_arrays(arrays)
