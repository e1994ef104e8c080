"""Table 1: how well the nearest neighbours in one hidden layer tell the values apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

from gingham.attributes.estimators import AttributeClassifier
from gingham.errors import InputError, ShapeError
from gingham.evaluation.study.checks import Rows, check, check_groups, check_labels

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Accuracy:
    """A cross-validated accuracy.

    Attributes
    ----------
    folds : (F,) accuracy of each fold.
    predicted : (N,) int, the value that each row got while it was held out, as an index into the
        sorted values.
    right : (N,) bool, whether that was its own.
    probabilities : (N, V), held out too; None where the classifier gives none.
    """

    folds: NDArray[np.float64]
    predicted: Rows
    right: Bools
    probabilities: NDArray[np.float64] | None = None

    @property
    def mean(self) -> float:
        """Mean over the folds."""
        return float(self.folds.mean())

    @property
    def deviation(self) -> float:
        """Sample standard deviation over the folds."""
        return float(self.folds.std(ddof=1))


def make_folds(
    y: Sequence[str] | NDArray[np.generic],
    groups: Sequence[object] | NDArray[np.generic] | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
) -> list[Rows]:
    """Split rows into stratified, shuffled folds; with groups, one that never parts a group.

    Parameters
    ----------
    y : (N,) values.
    groups : (N,) names, or None: every row on its own.
    folds : how many.
    seed : decides the shuffle.

    Returns
    -------
    The (n,) rows of each fold, each row in exactly one.

    Raises
    ------
    InputError
        If there is one value, fewer than two folds, or a value with fewer images (with groups:
        fewer groups) than folds; the message names the values.

    References
    ----------
    Baloian et al. (2021), Table 1: stratified 5-fold cross-validation. Keeping duplicates on one
    side is ours.
    """
    labels, values = check_labels(y)
    if folds < 2:
        raise InputError(f"folds must be at least 2, got {folds}")
    group = check_groups(groups, len(labels))
    pairs = np.unique(np.stack([labels, group]), axis=1)
    sizes = np.bincount(pairs[0], minlength=len(values))
    if (sizes < folds).any():
        few = ", ".join(f"{values[v]!r} ({sizes[v]})" for v in np.flatnonzero(sizes < folds))
        what = "images" if groups is None else "groups"
        raise InputError(
            f"too few {what} for {folds} folds: {few}; add examples of these values, "
            "leave them out, or ask for fewer folds"
        )
    if groups is None:
        splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    else:
        splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(
            labels, labels, group
        )
    return [test.astype(np.intp) for _, test in splits]


def knn_accuracy(
    X: ArrayLike,
    y: Sequence[str] | NDArray[np.generic],
    folds: Sequence[Rows],
    *,
    neighbours: int = 5,
) -> Accuracy:
    """Measure one layer by k nearest neighbours, Euclidean, an equal vote each.

    Parameters
    ----------
    X : (N, D) features of one layer, in the layer's own units.
    y : (N,) values.
    folds : see `make_folds`.
    neighbours : k.

    Raises
    ------
    ShapeError, InputError
        See `gingham.evaluation.study.checks.check`; and if `neighbours` is less than 1 or more
        than a training part holds.

    References
    ----------
    Baloian et al. (2021), Table 1: k = 5 on channel means.
    """
    checked = check(X, y)
    least = min(len(checked.X) - len(test) for test in folds)
    if not 1 <= neighbours <= least:
        raise InputError(
            f"neighbours must be from 1 to {least}, the images of the smallest training part; "
            f"got {neighbours}"
        )

    def predict(train: Rows, test: Rows) -> Rows:
        model = KNeighborsClassifier(neighbours, metric="euclidean", algorithm="brute")
        predicted: Rows = model.fit(checked.X[train], checked.labels[train]).predict(
            checked.X[test]
        )
        return predicted

    predicted = np.empty(len(checked.labels), np.intp)
    for test in folds:
        train = np.setdiff1d(np.arange(len(predicted)), test)
        predicted[test] = predict(train, test)
    return _scored(checked.labels, predicted, folds)


def taught_accuracy(
    X: ArrayLike,
    y: Sequence[str] | NDArray[np.generic],
    folds: Sequence[Rows],
    *,
    blocks: Sequence[tuple[str, int, int]] | None = None,
    groups: Sequence[object] | NDArray[np.generic] | None = None,
) -> Accuracy:
    """Measure gingham's own recipe: layers weighed and joined, shrinkage LDA, a weighted vote.

    Everything is learned inside each training part; nothing of a held-out row is seen.

    Parameters
    ----------
    X : (N, D) features of all layers side by side.
    y : (N,) values.
    folds : see `make_folds`.
    blocks : (layer, first column, end column) of each layer in X.
    groups : (N,) names, passed on to the recipe's own inner cross-validation.

    Raises
    ------
    ShapeError, InputError
        As `knn_accuracy`, and as `gingham.attributes.estimators.AttributeClassifier.fit`.

    References
    ----------
    No part of Baloian et al. (2021): it stands in their Table 1 so that the gain is visible.
    """
    checked = check(X, y)
    group = check_groups(groups, len(checked.X))
    predicted = np.empty(len(checked.labels), np.intp)
    probabilities = np.zeros((len(checked.labels), len(checked.values)))
    for test in folds:
        train = np.setdiff1d(np.arange(len(predicted)), test)
        model = AttributeClassifier(blocks=blocks)
        model.fit(checked.X[train], checked.labels[train], groups=group[train])
        probabilities[np.ix_(test, model.classes_)] = model.predict_proba(checked.X[test])
        predicted[test] = probabilities[test].argmax(axis=1)
    return _scored(checked.labels, predicted, folds, probabilities)


def mcnemar(right: Bools, other: Bools) -> float:
    """Test whether two classifiers err equally often on the same rows.

    Parameters
    ----------
    right, other : (N,) bool, where each was right.

    Returns
    -------
    The two-sided p-value of the exact test: under equal error rates, the rows on which just one
    is right fall to either by a fair coin. 1 if there are none.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.

    References
    ----------
    McNemar, *Note on the sampling error of the difference between correlated proportions*,
    Psychometrika 12 (1947); Dietterich, *Approximate Statistical Tests for Comparing Supervised
    Classification Learning Algorithms*, Neural Computation 10 (1998), section 3.1. Here each row
    counts once, predicted while it was held out; folds share training rows, so p is approximate.
    """
    right, other = np.asarray(right, bool), np.asarray(other, bool)
    if right.shape != other.shape or right.ndim != 1:
        raise ShapeError("other", expected=str(right.shape), got=other.shape)
    first, second = int((right & ~other).sum()), int((other & ~right).sum())
    if first + second == 0:
        return 1.0
    return float(binomtest(first, first + second, 0.5).pvalue)


def least_difference(level: float) -> int:
    """Say how many rows at least must tell two classifiers apart for `mcnemar` to give p < level.

    If all k rows on which just one is right fall to the same one, p = 2 / 2^k.

    Parameters
    ----------
    level : from 0 to 1, both excluded.
    """
    return math.floor(1 - math.log2(level)) + 1


def no_worse(
    results: Mapping[str, Accuracy], *, level: float = 0.05
) -> tuple[str, dict[str, float]]:
    """Name the best of several classifiers, and all that are statistically no worse.

    Parameters
    ----------
    results : name -> accuracy; the same N rows and folds for each.
    level : those whose `mcnemar` p-value against the best is at least this are no worse.

    Returns
    -------
    The name of the best (by the mean over the folds to four digits; of equals, by the rows that
    are right), and name -> p-value of those no worse than it, the best with 1.

    Raises
    ------
    InputError
        If there is none to compare.
    ShapeError
        If the arrays do not fit each other.
    """
    if not results:
        raise InputError("results are empty: give at least one classifier's")
    best = max(results, key=lambda name: (round(results[name].mean, 4), results[name].right.sum()))
    p = {name: mcnemar(results[best].right, other.right) for name, other in results.items()}
    return best, {name: value for name, value in p.items() if value >= level}


def _scored(
    labels: Rows,
    predicted: Rows,
    folds: Sequence[Rows],
    probabilities: NDArray[np.float64] | None = None,
) -> Accuracy:
    right = predicted == labels
    return Accuracy(
        np.array([right[test].mean() for test in folds]), predicted, right, probabilities
    )
