"""The experiments as functions on arrays."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections import Counter
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_info

from conftest import FakeRuntime
from gingham.errors import InputError, MissingExtraError, ShapeError
from gingham.evaluation.study import (
    ClusterParameters,
    choose_layer,
    cluster_agreement,
    confused_pairs,
    confusions,
    fitting_parameters,
    knn_accuracy,
    layer_costs,
    look_vectors,
    make_folds,
    mcnemar,
    most_alike,
    neighbours_per_second,
    no_worse,
    reduced_accuracy,
    suspects,
    taught_accuracy,
    umap_map,
    value_agreement,
)
from gingham.evaluation.study.accuracy import Accuracy, least_difference
from gingham.evaluation.study.cost import Cost
from gingham.evaluation.study.reduction import dimension_ladder, import_umap, reduction_parts
from gingham.index.looks import LookSpace, builtin_looks

needs_umap = pytest.mark.skipif(
    importlib.util.find_spec("umap") is None, reason="umap-learn comes with the extra `study`"
)


def blobs(
    per_value: int = 12, values: int = 3, width: int = 6, spread: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Values that lie apart, with names whose order is not that of their numbers."""
    rng = np.random.default_rng(1)
    centres = 3 * rng.normal(size=(values, width))
    y = np.repeat([f"value {values - i}" for i in range(values)], per_value)
    X = np.repeat(centres, per_value, axis=0) + spread * rng.normal(size=(len(y), width))
    return X.astype(np.float32), y


@given(
    labels=st.lists(st.integers(0, 2), min_size=12, max_size=40),
    seed=st.integers(0, 5),
    grouped=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_folds_hold_every_row_once_and_never_part_a_group(
    labels: list[int], seed: int, grouped: bool
) -> None:
    y = np.array(labels)
    groups = [f"{label} {i % 7}" for i, label in enumerate(labels)] if grouped else None
    members = Counter(labels) if groups is None else Counter(g.split()[0] for g in set(groups))
    if len(set(labels)) < 2 or min(members.values()) < 3:
        with pytest.raises(InputError):
            make_folds(y, groups, folds=3, seed=seed)
        return
    folds = make_folds(y, groups, folds=3, seed=seed)
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(y)))
    if groups is not None:
        homes: dict[str, set[int]] = {}
        for fold, rows in enumerate(folds):
            for row in rows:
                homes.setdefault(groups[row], set()).add(fold)
        assert all(len(home) == 1 for home in homes.values())


def test_knn_equals_a_plain_loop() -> None:
    X, y = blobs(spread=3.0)
    folds = make_folds(y, folds=4)
    result = knn_accuracy(X, y, folds, neighbours=5)
    values = sorted(set(y))
    for test in folds:
        train = [i for i in range(len(y)) if i not in test]
        for row in test:
            nearest = sorted(train, key=lambda i: float(((X[i] - X[row]) ** 2).sum()))[:5]
            votes = Counter(values.index(y[i]) for i in nearest)
            most = max(votes.values())
            assert votes[result.predicted[row]] == most
            if sum(count == most for count in votes.values()) == 1:
                assert result.right[row] == (values[result.predicted[row]] == y[row])
    assert result.mean == pytest.approx(np.mean([result.right[test].mean() for test in folds]))
    assert result.deviation == pytest.approx(np.std(result.folds, ddof=1))


def test_taught_accuracy_gives_held_out_probabilities() -> None:
    X, y = blobs()
    result = taught_accuracy(X, y, make_folds(y), blocks=[("a", 0, 3), ("b", 3, 6)])
    assert result.mean > 0.9
    assert result.probabilities is not None
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-6)
    assert (result.probabilities.argmax(axis=1) == result.predicted).all()


def test_mcnemar_is_the_fair_coin_of_the_rows_that_differ() -> None:
    right = np.array([True] * 10 + [False] * 10)
    assert mcnemar(right, right) == 1.0
    other = right.copy()
    other[:6] = False
    assert mcnemar(right, other) == pytest.approx(2 * 0.5**6)
    assert least_difference(0.05) == 6
    best, equals = no_worse({"other": accuracy_of(other), "right": accuracy_of(right)})
    assert best == "right"
    assert equals == {"right": 1.0}
    with pytest.raises(ShapeError):
        mcnemar(right, other[:3])
    with pytest.raises(InputError, match="empty"):
        no_worse({})


def accuracy_of(right: np.ndarray, *folds: float) -> Accuracy:
    return Accuracy(np.array(folds or [right.mean()] * 2), right.astype(np.intp), right)


def wrong(count: int, of: int = 40) -> Accuracy:
    return accuracy_of(np.arange(of) >= count)


def test_the_best_is_the_one_whose_figure_is_largest() -> None:
    """The mean over folds, which is what is shown; they are unequal, so rows may say otherwise."""
    right = np.arange(11) >= 2
    many, shown = accuracy_of(right, 0.9, 0.7), accuracy_of(right & (np.arange(11) > 2), 1.0, 0.7)
    assert no_worse({"many": many, "shown": shown})[0] == "shown"
    few = accuracy_of(right & (np.arange(11) > 2), 0.9, 0.7 + 1e-9)
    assert no_worse({"few": few, "many": many})[0] == "many"


def test_the_choice_is_the_cheapest_of_those_no_worse() -> None:
    costs = {"late": Cost(9.0, 8), "early": Cost(1.0, 8), "bad": Cost(0.1, 2)}
    choice = choose_layer({"late": wrong(0), "early": wrong(1), "bad": wrong(40)}, costs)
    assert (choice.best, choice.name) == ("late", "early")
    assert set(choice.no_worse) == {"late", "early"}
    with pytest.raises(InputError, match="'free' has no cost"):
        choose_layer({"free": wrong(0)}, costs)


def test_the_choice_follows_neither_noise_nor_a_test_without_power() -> None:
    results = {"stem": wrong(1), "stage1": wrong(0), "stage2": wrong(0)}
    costs = {"stem": Cost(1.0, 4), "stage1": Cost(1.09, 8), "stage2": Cost(3.0, 8)}
    assert choose_layer(results, costs).name == "stage1"
    # Four of 48 wrong: p = 0.12, and yet clearly lower.
    small = {"stem": wrong(4, 48), "stage2": wrong(0, 48)}
    assert set(choose_layer(small, costs).no_worse) == {"stem", "stage2"}
    assert choose_layer(small, costs).name == "stage2"
    assert choose_layer(small, costs, margin=0.1).name == "stem"


def test_no_layer_costs_less_than_one_before_it(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds as measured, two rounds over four layers; the second layer seems the cheapest."""
    taken = [3, 1, 4, 9, 2, 5, 6, 7]
    clock = iter(np.cumsum([step for seconds in taken for step in (0, seconds)]).tolist())
    monkeypatch.setattr("gingham.evaluation.study.cost.time.perf_counter", lambda: next(clock))
    costs = layer_costs(runtime, [np.zeros((16, 16, 3), np.uint8)] * 2, repeats=2)
    assert [cost.milliseconds for cost in costs.values()] == [1000, 1000, 2000, 3500]


def test_clusters_that_are_the_values_agree_fully() -> None:
    X, y = blobs(per_value=30, spread=0.1)
    assert fitting_parameters(y) == ClusterParameters(15, 3, 40)
    found = cluster_agreement(X, y, parameters=fitting_parameters(y))
    assert found.clusters == 3
    assert found.adjusted_rand > 0.95
    assert found.adjusted_mutual_information > 0.95
    assert fitting_parameters(np.repeat(["a", "b"], 100)) == ClusterParameters()
    with pytest.raises(InputError, match="90 rows, fewer than"):
        cluster_agreement(X, y, parameters=ClusterParameters(91, 3))


@needs_umap
def test_umap_map_is_seeded_and_keeps_values_apart() -> None:
    X, y = blobs()
    first = umap_map(X)
    assert first.shape == (36, 2)
    np.testing.assert_array_equal(first, umap_map(X))
    assert knn_accuracy(first, y, make_folds(y)).mean > 0.9
    with pytest.raises(InputError, match="needs at least"):
        umap_map(X[:3])
    pieces = np.random.default_rng(0).normal(size=(80, 4)) + 100 * np.arange(8).repeat(10)[:, None]
    pieces -= pieces.mean(0)
    pieces = (0.75 * pieces / np.linalg.norm(pieces, axis=1).max()).astype(np.float32)
    # However far apart, without a warning, and by a power of two without another number.
    np.testing.assert_array_equal(umap_map(pieces), umap_map(1024 * pieces))


def test_a_missing_extra_is_named_with_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gingham\[study\]'"):
        umap_map(blobs()[0])


def test_pca_of_a_fold_never_sees_its_test_rows() -> None:
    """Against PCA by hand, fitted on the training rows."""
    X, y = blobs(spread=4.0)
    folds = make_folds(y, folds=3)
    results = {
        (r.method, r.dimensions): r.accuracy
        for r in reduced_accuracy(X, y, folds, methods=["none", "pca", "taught"])
    }
    assert set(results) == {("none", 6), ("pca", 2), ("pca", 4), ("taught", 2)}
    np.testing.assert_array_equal(results["none", 6].right, knn_accuracy(X, y, folds).right)
    for test in folds:
        train = np.setdiff1d(np.arange(len(y)), test)
        mean = X[train].mean(axis=0)
        axes = np.linalg.svd(X[train] - mean, full_matrices=False)[2][:2]
        plain = knn_accuracy((X - mean) @ axes.T, y, [test])
        assert (plain.predicted[test] == results["pca", 2].predicted[test]).all()
    with pytest.raises(InputError, match="unknown method 'tsne'"):
        reduced_accuracy(X, y, folds, methods=["tsne"])


@needs_umap
def test_umap_is_tried_both_ways() -> None:
    X, y = blobs()
    found = reduced_accuracy(
        X, y, make_folds(y, folds=3), dimensions=[2, 64], methods=["umap on all", "umap in fold"]
    )
    assert [(r.method, r.dimensions) for r in found] == [("umap on all", 2), ("umap in fold", 2)]
    assert all(r.accuracy.mean > 0.8 for r in found)


def test_the_ladder_of_dimensions_and_the_speed() -> None:
    assert dimension_ladder(64) == (2, 4, 8, 16, 32)
    assert dimension_ladder(80) == (2, 4, 8, 16, 32, 64)
    assert neighbours_per_second(2, gallery=50, queries=5, seconds=0) > 0
    with pytest.raises(InputError, match="at least 1"):
        neighbours_per_second(0)


def test_the_speed_is_one_cores_and_of_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    class Search(NearestNeighbors):  # type: ignore[misc]
        def kneighbors(self, X: np.ndarray) -> None:
            threads.append({pool["num_threads"] for pool in threadpool_info()})
            super().kneighbors(X)

    monkeypatch.setattr("gingham.evaluation.study.reduction.NearestNeighbors", Search)
    # Of a clock that goes on by a second whenever it is asked, however busy this machine is.
    clock = itertools.count(0.0)
    monkeypatch.setattr("gingham.evaluation.study.reduction.time.perf_counter", clock.__next__)
    assert neighbours_per_second(2, gallery=50, queries=5, seconds=4) == 5
    assert threads == [{1}] * 4


def test_the_taught_space_is_no_wider_than_the_layer() -> None:
    X, y = blobs(per_value=6, values=8, width=3)
    found = reduced_accuracy(X, y, make_folds(y, folds=3), methods=["taught"])
    assert [one.dimensions for one in found] == [2, 3]


def test_the_parts_of_table_2_are_all_of_it() -> None:
    X, y = blobs()
    folds = make_folds(y, folds=3)
    parts = [
        (one.method, one.dimensions, one.accuracy.mean)
        for method, dimensions in reduction_parts(X.shape[1])
        if not method.startswith("umap")
        for one in reduced_accuracy(X, y, folds, dimensions=dimensions, methods=[method])
    ]
    whole = reduced_accuracy(X, y, folds, methods=["none", "pca", "taught"])
    assert parts == [(one.method, one.dimensions, one.accuracy.mean) for one in whole]
    assert reduction_parts(5)[1:5] == [
        (method, (d,)) for d in (2, 4) for method in ("umap on all", "umap in fold")
    ]


def test_retrieval_equals_a_plain_loop_and_leaves_the_group_out() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(20, 5)).astype(np.float32)
    y = np.array(list("aabbc") * 4)
    groups = [str(i // 2) for i in range(20)]
    found = value_agreement(X, X, y, groups=groups)
    precisions, firsts = [], []
    for query in range(20):
        ranked = sorted(
            (i for i in range(20) if groups[i] != groups[query]),
            key=lambda i: -float(X[i] @ X[query]),
        )
        same = [y[i] == y[query] for i in ranked]
        hits = [sum(same[: k + 1]) / (k + 1) for k, hit in enumerate(same) if hit]
        precisions.append(np.mean(hits))
        firsts.append(np.mean(same[:10]))
    assert found.queries == 20
    assert found.mean_average_precision == pytest.approx(np.mean(precisions))
    assert found.precision_at_10 == pytest.approx(np.mean(firsts))
    with pytest.raises(InputError, match="no image has another"):
        value_agreement(X, X, y, groups=["one"] * 20)


def test_looks_weigh_a_search() -> None:
    rng = np.random.default_rng(4)
    channels = {"stem": 4, "stage1": 6, "stage2": 6, "head": 8}
    features = {k: rng.random((9, 2 * c)).astype(np.float32) for k, c in channels.items()}
    space = LookSpace(builtin_looks(list(channels.items())))
    weights = {"colour": 1.0, "texture": 0.5}
    queries, gallery = look_vectors(space, features, weights)
    units = {look.name: look.embed(features) for look in space.looks}
    cosines = {name: rows @ rows[2] for name, rows in units.items()}
    expected = sum(
        weight * space.similarity(name, cosines[name]) for name, weight in weights.items()
    )
    offset = sum(weight * (1 - space.scale(name)) for name, weight in weights.items())
    np.testing.assert_allclose(gallery @ queries[2] + offset, expected, atol=1e-5)
    excluded = np.arange(9) == 2
    order = most_alike(queries[2], gallery, excluded, count=3)
    assert order.tolist() == [i for i in np.argsort(-expected) if i != 2][:3]
    with pytest.raises(ShapeError):
        most_alike(queries[2], gallery, excluded[:4])


def test_confusions_and_pairs() -> None:
    y = np.array(["a", "a", "a", "b", "b", "c"])
    predicted = np.array([0, 1, 1, 0, 1, 2])
    assert confusions(y, predicted).tolist() == [[1, 2, 0], [1, 1, 0], [0, 0, 1]]
    (pair,) = confused_pairs(y, predicted)
    assert (pair.first, pair.second, pair.count) == ("a", "b", 3)
    assert pair.rows == ((1, 2), (3,))
    with pytest.raises(ShapeError):
        confusions(y, predicted[:2])


def test_a_wrong_label_is_suspected_first() -> None:
    X, y = blobs(per_value=20)
    y = y.copy()
    y[3] = "value 1"
    result = taught_accuracy(X, y, make_folds(y))
    assert result.probabilities is not None
    (first, *_) = suspects(y, result.probabilities)
    assert (first.row, first.value, first.other) == (3, "value 1", "value 3")
    assert first.other_probability > first.probability
    with pytest.raises(ShapeError):
        suspects(y, result.probabilities[:, :2])


@pytest.mark.parametrize(
    ("X", "y", "said"),
    [
        (np.ones((4, 2)), ["a"] * 4, "single value 'a'"),
        (np.full((2, 2), np.nan), ["a", "b"], r"NaN or infinity in rows \[0, 1\]"),
        (np.ones((4, 2)), ["a", "b"], r"y must have shape \(4,\)"),
        (np.ones(4), ["a", "b"] * 2, r"X must have shape \(N, D\)"),
        (np.ones((0, 2)), [], "not empty"),
    ],
)
def test_bad_arrays_are_refused_by_name(X: np.ndarray, y: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        knn_accuracy(X, y, [np.array([0])])


def test_few_images_are_refused_by_value() -> None:
    with pytest.raises(InputError, match=r"too few images for 5 folds: 'rare' \(2\)"):
        make_folds(["often"] * 9 + ["rare"] * 2)
    with pytest.raises(InputError, match="neighbours must be from 1 to 8"):
        knn_accuracy(*blobs(per_value=4), make_folds(blobs(per_value=4)[1], folds=3), neighbours=9)


def test_umap_is_imported_where_its_compiled_code_can_be_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "umap.py").write_text(
        "import numba\n"
        "if not numba.config.CACHE_DIR:\n"
        "    raise RuntimeError('cannot cache function: no locator available for file')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "umap", raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert import_umap().__file__ == str(tmp_path / "umap.py")
    assert Path(vars(numba.config)["CACHE_DIR"]).is_dir()
    del sys.modules["umap"]
