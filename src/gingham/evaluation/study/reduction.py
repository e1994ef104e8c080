"""Table 2 and Figures 4 and 5: fewer dimensions, by UMAP, by PCA, and by what the values teach."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from gingham.attributes.estimators import AttributeClassifier
from gingham.errors import InputError, require_extra
from gingham.evaluation.study.accuracy import Accuracy, knn_accuracy
from gingham.evaluation.study.checks import Floats, Rows, check, check_features, check_groups
from gingham.temporary import TemporaryFolder

METHODS = ("none", "umap on all", "umap in fold", "pca", "taught")
"""What `reduced_accuracy` compares; `umap on all` is the paper's."""

GALLERY, QUERIES = 10_000, 200


@dataclass(frozen=True)
class Reduced:
    """The accuracy in a space of fewer dimensions."""

    method: str
    dimensions: int
    accuracy: Accuracy


def import_umap() -> Any:
    """Import umap-learn.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    require_extra("study", "umap")
    try:
        import umap
    except RuntimeError as error:
        if "no locator" not in str(error):
            raise
        # Numba, which compiles umap, finds no folder in which it may keep its code.
        import numba

        vars(numba.config)["CACHE_DIR"] = str(_folder_of_this_process().path)
        import umap

    return umap


@cache
def _folder_of_this_process() -> TemporaryFolder:
    return TemporaryFolder()


def umap_map(X: ArrayLike, *, dimensions: int = 2, seed: int = 0) -> Floats:
    """Lay (N, D) features out in few dimensions, neighbours beside neighbours.

    Parameters
    ----------
    X : (N, D) features of one layer, N >= 4.
    dimensions : d, less than N - 1.
    seed : UMAP is random; the same seed gives the same map on the same machine.

    Returns
    -------
    (N, d) float32 array.

    Raises
    ------
    ShapeError, InputError
        See `gingham.evaluation.study.checks.check_features`; and if there are too few rows.
    MissingExtraError
        If umap-learn is not installed.

    References
    ----------
    Baloian et al. (2021), Figures 4 and 5; McInnes, Healy, Melville, *UMAP* (2018), with
    umap-learn's defaults (15 neighbours, minimal distance 0.1).
    """
    X = check_features(X)
    return _umap(X, dimensions, seed)(X, True)


def _umap(X: Floats, dimensions: int, seed: int) -> Callable[[Floats, bool], Floats]:
    if len(X) < 4 or not 1 <= dimensions < len(X) - 1:
        raise InputError(
            f"UMAP to {dimensions} dimensions needs at least {max(4, dimensions + 2)} rows, "
            f"X has {len(X)}"
        )
    umap = import_umap()
    model = umap.UMAP(
        n_components=dimensions, n_neighbors=min(15, len(X) - 1), random_state=seed, n_jobs=1
    )
    # Of a map in several pieces it lays their centres out by exp(-d^2), all zero where they are far
    # apart: scikit-learn warns. A power of two changes no other number but by itself.
    radius = np.linalg.norm(X - X.mean(0, np.float64), axis=1).max()
    scale = np.float32(2.0 ** max(0, np.frexp(radius)[1]))
    model.fit(X / scale)

    def apply(rows: Floats, fitted: bool) -> Floats:
        return np.asarray(model.embedding_ if fitted else model.transform(rows / scale), np.float32)

    return apply


def dimension_ladder(width: int) -> tuple[int, ...]:
    """Give 2, 4, 8, ... below a layer's width."""
    return tuple(2**i for i in range(1, width.bit_length()) if 2**i < width)


def reduction_parts(width: int) -> list[tuple[str, tuple[int, ...]]]:
    """Split Table 2 of one layer into (method, dimensions) for `reduced_accuracy`.

    UMAP takes long, and gets a part for each number of dimensions.
    """
    ladder = dimension_ladder(width)
    umap = [(method, (d,)) for d in ladder for method in ("umap on all", "umap in fold")]
    return [("none", ladder), *umap, ("pca", ladder), ("taught", ladder)]


def reduced_accuracy(
    X: ArrayLike,
    y: Sequence[str] | NDArray[np.generic],
    folds: Sequence[Rows],
    *,
    groups: Sequence[object] | NDArray[np.generic] | None = None,
    dimensions: Sequence[int] | None = None,
    methods: Sequence[str] = METHODS,
    neighbours: int = 5,
    seed: int = 0,
) -> list[Reduced]:
    """Measure kNN accuracy after reducing one layer to fewer dimensions.

    - `none`: all D dimensions.
    - `umap on all`: UMAP fitted on all N rows at once, held-out ones too, as in the paper. It
      sees no values, but it sees the rows it is tested on: the figure flatters.
    - `umap in fold`: UMAP fitted on each training part, which then places the held-out rows.
    - `pca`: principal components of each training part.
    - `taught`: gingham's discriminant projection, fitted on each training part with its values;
      at most V - 1 dimensions and at most D, and that number closes the ladder.

    Parameters
    ----------
    X : (N, D) features of one layer.
    y : (N,) values.
    folds : see `gingham.evaluation.study.accuracy.make_folds`.
    groups : (N,) names, for the inner cross-validation of `taught`.
    dimensions : the numbers to try; None means 2, 4, 8, ... below D.
    methods : some of `METHODS`.
    neighbours, seed : of kNN and of UMAP.

    Returns
    -------
    One result a method and number of dimensions; a pair that cannot be (more dimensions than
    the training part has rows, or values) is left out.

    Raises
    ------
    ShapeError, InputError
        See `gingham.evaluation.study.checks.check`; and for an unknown method.
    MissingExtraError
        If a UMAP method is asked for and umap-learn is not installed.

    References
    ----------
    Baloian et al. (2021), Table 2, has `umap on all` only; the others are ours.
    """
    checked = check(X, y)
    if unknown := [method for method in methods if method not in METHODS]:
        raise InputError(f"unknown method {unknown[0]!r}; known: {', '.join(METHODS)}")
    group = check_groups(groups, len(checked.X))
    width = checked.X.shape[1]
    ladder = dimension_ladder(width) if dimensions is None else tuple(dimensions)
    train_rows = min(len(checked.X) - len(test) for test in folds)
    trains = [np.setdiff1d(np.arange(len(checked.X)), test) for test in folds]
    results = []

    def add(method: str, d: int, parts: Sequence[Floats]) -> None:
        """Each part is all N rows in the space that one fold's training part made."""
        scored = [
            knn_accuracy(part, y, [test], neighbours=neighbours)
            for part, test in zip(parts, folds, strict=True)
        ]
        predicted, right = scored[0].predicted.copy(), scored[0].right.copy()
        for one, test in zip(scored, folds, strict=True):
            predicted[test], right[test] = one.predicted[test], one.right[test]
        shares = np.array([one.folds[0] for one in scored])
        results.append(Reduced(method, d, Accuracy(shares, predicted, right)))

    if "none" in methods:
        add("none", width, [checked.X] * len(folds))
    for d in ladder:
        if "umap on all" in methods and d < train_rows - 1:
            add("umap on all", d, [umap_map(checked.X, dimensions=d, seed=seed)] * len(folds))
        if "umap in fold" in methods and d < train_rows - 1:
            parts = []
            for test, train in zip(folds, trains, strict=True):
                place = _umap(checked.X[train], d, seed)
                part = np.empty((len(checked.X), d), np.float32)
                part[train], part[test] = (
                    place(checked.X[train], True),
                    place(checked.X[test], False),
                )
                parts.append(part)
            add("umap in fold", d, parts)
    if "pca" in methods:
        spaces = [_components(checked.X, train, max(ladder, default=1)) for train in trains]
        for d in (d for d in ladder if d <= min(train_rows, width)):
            add("pca", d, [space[:, :d] for space in spaces])
    if "taught" in methods:
        spaces = [_taught(checked.X, checked.labels, group, train) for train in trains]
        most = min(width, *(space.shape[1] for space in spaces))
        for d in sorted({*(d for d in ladder if d < most), most}):
            add("taught", d, [space[:, :d] for space in spaces])
    return results


def _components(X: Floats, train: Rows, most: int) -> Floats:
    count = min(most, len(train), X.shape[1])
    model = PCA(count, svd_solver="full").fit(X[train].astype(np.float64))
    return np.asarray(model.transform(X.astype(np.float64)), np.float32)


def _taught(X: Floats, labels: Rows, group: Rows, train: Rows) -> Floats:
    model = AttributeClassifier().fit(X[train], labels[train], groups=group[train])
    # Coordinates come best first, so that the first d of them are the best d.
    return np.asarray(model.voter_.projection.apply(X)[0], np.float32)


def neighbours_per_second(
    dimensions: int, *, gallery: int = GALLERY, queries: int = QUERIES, seconds: float = 0.5
) -> float:
    """Measure how many 5-nearest-neighbour searches a second one core answers by an exact scan.

    Random vectors serve: an exact scan takes as long whatever the numbers are. One core, since a
    run of a few milliseconds over several is decided by when the threads get their turns.

    Parameters
    ----------
    dimensions : of a vector.
    gallery, queries : how many vectors are searched, and how many searches a run makes.
    seconds : runs are repeated for at least so long, and the fastest counts.

    Raises
    ------
    InputError
        If a number is less than 1.
    """
    if min(dimensions, gallery, queries) < 1:
        raise InputError(
            "expected dimensions, gallery and queries of at least 1, got "
            f"{dimensions}, {gallery} and {queries}"
        )
    rng = np.random.default_rng(0)
    X = rng.random((gallery, dimensions), np.float32)
    model = NearestNeighbors(n_neighbors=min(5, gallery), algorithm="brute").fit(X)
    wanted = rng.random((queries, dimensions), np.float32)
    taken: list[float] = []
    with threadpool_limits(1):
        while sum(taken) < seconds or not taken:
            started = time.perf_counter()
            model.kneighbors(wanted)
            taken.append(time.perf_counter() - started)
    return queries / min(taken)
