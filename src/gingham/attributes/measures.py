"""Splits and measures: grouped stratified folds, calibration error, Brier score."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from gingham.errors import ShapeError


def grouped_folds(
    labels: NDArray[np.intp], groups: NDArray[np.intp], *, folds: int, seed: int
) -> list[NDArray[np.intp]]:
    """Split rows into stratified folds that never part a group.

    Parameters
    ----------
    labels : (N,) int array
    groups : (N,) int array
    folds : the most folds wanted; fewer come back where no value has that many groups
    seed : decides the shuffle

    Returns
    -------
    The rows of each fold; an empty list if no value has two groups.
    """
    # Half a second to import, which predicting and tagging do not need.
    from sklearn.model_selection import StratifiedGroupKFold

    pairs = np.unique(np.stack([labels, groups]), axis=1)
    folds = min(folds, int(np.bincount(pairs[0]).max(initial=0)))
    if folds < 2:
        return []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A value with fewer examples than folds is expected here: it sits out of some folds.
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = [test for _, test in splitter.split(labels, labels, groups)]
    return [part for part in parts if len(part)]


def calibration_error(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], *, bins: int = 10
) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy over equal bins.

    Parameters
    ----------
    confidence : (N,) array in [0, 1]
    correct : (N,) bool array
    bins : number of bins of equal width

    Raises
    ------
    ShapeError
        If the arrays differ in length or are empty.

    References
    ----------
    Guo et al., *On Calibration of Modern Neural Networks* (2017), eq. 3.
    """
    if confidence.shape != correct.shape or confidence.ndim != 1 or not len(confidence):
        raise ShapeError("confidence", expected=f"{correct.shape}, not empty", got=confidence.shape)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(which, weights=confidence - correct, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def brier_score(probabilities: NDArray[np.floating], labels: NDArray[np.intp]) -> float:
    """Mean squared distance of (N, V) probabilities from the (N,) true values; 0 to 2.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ShapeError("labels", expected=f"({len(probabilities)},)", got=labels.shape)
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def macro_f1(truth: NDArray[np.intp], guess: NDArray[np.intp]) -> float:
    """Mean over the values in `truth` of the harmonic mean of precision and recall."""
    scores = []
    for value in np.unique(truth):
        hit = int(((truth == value) & (guess == value)).sum())
        scores.append(2 * hit / (int((truth == value).sum()) + int((guess == value).sum())))
    return float(np.mean(scores))
