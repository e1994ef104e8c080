"""Figure 6: how often a search by one look brings pictures of the same value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score

from gingham.errors import InputError, ShapeError
from gingham.evaluation.study.checks import Floats, Rows, check, check_features, check_groups
from gingham.index.looks import LookSpace, unit

CHUNK = 512


@dataclass(frozen=True)
class Agreement:
    """How often the pictures found have the query's value.

    Attributes
    ----------
    queries : how many queries counted: those whose value another image outside their group has.
    mean_average_precision : 1 if all images of the value come before all others.
    precision_at_10 : the share of the value among the first ten (of fewer, if there are fewer).
    """

    queries: int
    mean_average_precision: float
    precision_at_10: float


def look_vectors(
    space: LookSpace, features: Mapping[str, NDArray[np.floating]], weights: Mapping[str, float]
) -> tuple[Floats, Floats]:
    """Turn pooled features into queries and gallery whose dot product is the weighted likeness.

    Parameters
    ----------
    space : the looks.
    features : layer -> (N, 2C) means then deviations.
    weights : look -> weight, such as colour 1 and texture 0.5.

    Returns
    -------
    (N, width) float32 queries and (N, width) float32 gallery: row i of both is image i.

    Raises
    ------
    InputError, ShapeError
        See `LookSpace.check` and `LookSpace.embed`.
    """
    wanted = space.check(weights)
    vectors = space.embed(features)
    queries = [unit(vectors[look]) * np.float32(weight) for look, weight in wanted.items()]
    return np.concatenate(queries, axis=1), np.concatenate([vectors[k] for k in wanted], axis=1)


def value_agreement(
    queries: ArrayLike,
    gallery: ArrayLike,
    y: Sequence[str] | NDArray[np.generic],
    *,
    groups: Sequence[object] | NDArray[np.generic] | None = None,
) -> Agreement:
    """Search with every image, its own group left out, and compare the values found.

    Parameters
    ----------
    queries, gallery : (N, D) arrays; their dot product is the score, larger is more alike.
    y : (N,) values.
    groups : (N,) names; images of the query's group are neither right nor wrong answers.

    Raises
    ------
    ShapeError, InputError
        See `gingham.evaluation.study.checks.check`; and if no image has another one of its value.

    References
    ----------
    Baloian et al. (2021), Figure 6, show four searches; measuring all of them is ours.
    """
    checked = check(queries, y)
    stored = check_features(gallery)
    if stored.shape != checked.X.shape:
        raise ShapeError("gallery", expected=str(checked.X.shape), got=stored.shape)
    group = check_groups(groups, len(stored))
    precisions, firsts = [], []
    for start in range(0, len(stored), CHUNK):
        scores = checked.X[start : start + CHUNK] @ stored.T
        for row, score in enumerate(scores, start):
            others = group != group[row]
            same = (checked.labels == checked.labels[row])[others]
            if not same.any():
                continue
            found = score[others]
            precisions.append(average_precision_score(same, found))
            firsts.append(same[np.argsort(-found, kind="stable")[:10]].mean())
    if not precisions:
        raise InputError("no image has another of its value outside its group: add examples")
    return Agreement(len(precisions), float(np.mean(precisions)), float(np.mean(firsts)))


def most_alike(
    query: NDArray[np.floating], gallery: ArrayLike, excluded: NDArray[np.bool_], *, count: int = 10
) -> Rows:
    """Return the rows of a (N, D) gallery with the largest dot product with a (D,) query.

    Parameters
    ----------
    query, gallery : see `look_vectors`.
    excluded : (N,) bool, rows to leave out: the query itself and its group.
    count : how many rows, best first.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    """
    stored = check_features(gallery)
    if query.shape != stored.shape[1:] or excluded.shape != stored.shape[:1]:
        raise ShapeError(
            "query and excluded",
            expected=f"({stored.shape[1]},) and ({len(stored)},)",
            got=(query.shape, excluded.shape),
        )
    scores = np.where(excluded, -np.inf, stored @ query)
    order = np.argsort(-scores, kind="stable")[:count]
    return order[np.isfinite(scores[order])].astype(np.intp)
