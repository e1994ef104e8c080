"""Figures 2 and 3: how far a layer groups the values by itself, without being told them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from gingham.errors import InputError
from gingham.evaluation.study.checks import check


@dataclass(frozen=True)
class ClusterParameters:
    """Parameters of HDBSCAN; the defaults are the paper's."""

    min_cluster_size: int = 50
    min_samples: int = 10
    leaf_size: int = 40

    def __post_init__(self) -> None:
        if self.min_cluster_size < 2 or self.min_samples < 1 or self.leaf_size < 1:
            raise InputError(
                "expected min_cluster_size >= 2, min_samples >= 1 and leaf_size >= 1, got "
                f"{self.min_cluster_size}, {self.min_samples} and {self.leaf_size}"
            )


PAPER = ClusterParameters()


@dataclass(frozen=True)
class Clustering:
    """How far the clusters of one layer are the values.

    Attributes
    ----------
    clusters : how many were found.
    noise : the share of rows in none.
    adjusted_rand, adjusted_mutual_information : 0 by chance, 1 if the clusters are the values.
        Rows in no cluster count as one more cluster.
    parameters : what HDBSCAN ran with.
    """

    clusters: int
    noise: float
    adjusted_rand: float
    adjusted_mutual_information: float
    parameters: ClusterParameters


def fitting_parameters(y: Sequence[str] | NDArray[np.generic]) -> ClusterParameters:
    """Scale the paper's parameters down where the values are too small for them.

    A cluster of 50 can be found only if a value has about twice as many images; the paper's sets
    have 100 a value. Where the median value has fewer, `min_cluster_size` becomes half of it
    (at least 2) and `min_samples` shrinks alike (at least 1); `leaf_size` only decides speed.

    Parameters
    ----------
    y : (N,) values.
    """
    median = float(np.median(np.unique(np.asarray(y).astype(str), return_counts=True)[1]))
    size = max(2, int(median // 2))
    if size >= PAPER.min_cluster_size:
        return PAPER
    samples = max(1, round(PAPER.min_samples * size / PAPER.min_cluster_size))
    return ClusterParameters(size, samples, PAPER.leaf_size)


def cluster_agreement(
    X: ArrayLike,
    y: Sequence[str] | NDArray[np.generic],
    *,
    parameters: ClusterParameters = PAPER,
) -> Clustering:
    """Cluster all rows with HDBSCAN (Euclidean) and compare the clusters with the values.

    Parameters
    ----------
    X : (N, D) features of one layer.
    y : (N,) values; used for the comparison alone.
    parameters : the paper's, or those of `fitting_parameters`.

    Raises
    ------
    ShapeError, InputError
        See `gingham.evaluation.study.checks.check`; and if there are fewer rows than `min_samples`.

    References
    ----------
    Baloian et al. (2021), Figures 2 and 3: HDBSCAN with min_cluster_size 50, min_samples 10,
    leaf_size 40, Euclidean; adjusted Rand index and adjusted mutual information.
    """
    checked = check(X, y)
    if len(checked.X) < max(parameters.min_samples, parameters.min_cluster_size):
        raise InputError(
            f"X has {len(checked.X)} rows, fewer than HDBSCAN's min_cluster_size "
            f"{parameters.min_cluster_size} or min_samples {parameters.min_samples}: "
            "use fitting_parameters(y)"
        )
    found = HDBSCAN(
        min_cluster_size=parameters.min_cluster_size,
        min_samples=parameters.min_samples,
        leaf_size=parameters.leaf_size,
        metric="euclidean",
        copy=True,
    ).fit_predict(checked.X.astype(np.float64))
    return Clustering(
        int(found.max(initial=-1)) + 1,
        float((found < 0).mean()),
        float(adjusted_rand_score(checked.labels, found)),
        float(adjusted_mutual_info_score(checked.labels, found)),
        parameters,
    )
