"""Splits and measures: grouped stratified folds, calibration error, F1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError, ShapeError


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

    References
    ----------
    The folds are those of scikit-learn's `StratifiedGroupKFold`, shuffled: groups in turn, from
    the most uneven to the most even, each to the fold where the values then lie most evenly.
    """
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    folds = min(folds, int(np.bincount(pairs[0]).max(initial=0)))
    if folds < 2:
        return []
    values, stratum = np.unique(labels, return_inverse=True)
    names, group = np.unique(groups, return_inverse=True)
    cells = np.bincount(group * len(values) + stratum, minlength=len(names) * len(values))
    counts = cells.reshape(len(names), -1).astype(np.float64)
    order = np.arange(len(names))
    np.random.RandomState(seed).shuffle(order)
    order = order[np.argsort(-counts[order].std(axis=1), kind="stable")]
    filled = np.zeros((folds, len(values)))
    fold_of = np.empty(len(names), np.intp)
    for name in order:
        tried = filled + np.eye(folds)[:, :, None] * counts[name]
        uneven = (tried / counts.sum(axis=0)).std(axis=1).mean(axis=1).tolist()
        rows = filled.sum(axis=1).tolist()
        best = 0
        for fold in range(1, folds):
            close = abs(uneven[fold] - uneven[best]) <= 1e-8 + 1e-5 * uneven[best]
            if uneven[fold] < uneven[best] or (close and rows[fold] < rows[best]):
                best = fold
        filled[best] += counts[name]
        fold_of[name] = best
    parts = [np.flatnonzero(fold_of[group] == fold) for fold in range(folds)]
    return [part for part in parts if len(part)]


def calibration_error(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy over ten equal bins.

    Parameters
    ----------
    confidence : (N,) array in [0, 1]
    correct : (N,) bool array

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
    which = np.minimum((confidence * 10).astype(int), 9)
    gap = np.bincount(which, weights=confidence - correct)
    return float(np.abs(gap).sum() / len(confidence))


def macro_f1(truth: NDArray[np.intp], guess: NDArray[np.intp]) -> float:
    """Mean over the values in `truth` of the harmonic mean of precision and recall."""
    scores = []
    for value in np.unique(truth):
        hit = int(((truth == value) & (guess == value)).sum())
        scores.append(2 * hit / (int((truth == value).sum()) + int((guess == value).sum())))
    return float(np.mean(scores))


def check_finite(X: NDArray[np.floating]) -> None:
    """Refuse (N, D) features that hold NaN or infinity.

    Raises
    ------
    InputError
        The message names the first five rows.
    """
    bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if len(bad):
        more = "" if len(bad) <= 5 else f" and {len(bad) - 5} more"
        raise InputError(
            f"X holds NaN or infinity in rows {bad[:5].tolist()}{more}; "
            "extract these images again or leave them out"
        )
