"""The single-value classifier, on synthetic layers; slow references beside fast code."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from gingham.attributes import neighbour_vote
from gingham.attributes.discriminant import Ridge, optimal_scoring
from gingham.attributes.estimators import AttributeClassifier
from gingham.attributes.few_shot import evenly, exemplars
from gingham.attributes.fitted_voters import SingleVoter
from gingham.attributes.layer_choice import layer_weights
from gingham.attributes.measures import macro_f1
from gingham.attributes.neighbour_vote import nearest
from gingham.attributes.space import unit
from gingham.errors import InputError

BLOCKS = [("good", 0, 12), ("noise", 12, 30), ("fair", 30, 40)]


def layers(
    n_each: int = 12,
    values: tuple[str, ...] = ("blue", "green", "red"),
    seed: int = 0,
    spread: float = 0.4,
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Draw three layers, one that tells the values apart, one of noise, one in between."""
    centres = np.random.default_rng(99).normal(size=(len(values), 40))
    rng = np.random.default_rng(seed)
    y = np.repeat(np.array(values), n_each)
    X = 3 + spread * rng.normal(size=(len(y), 40))
    X[:, :12] += np.repeat(centres[:, :12], n_each, axis=0)
    X[:, 30:] += 0.4 * np.repeat(centres[:, 30:], n_each, axis=0)
    return X, y


@parametrize_with_checks([AttributeClassifier()])  # type: ignore[untyped-decorator]
def test_follows_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_learns_and_weighs_layers_by_their_worth() -> None:
    X, y = layers()
    model = AttributeClassifier(blocks=BLOCKS).fit(X, y)
    fresh, truth = layers(seed=1)
    assert model.score(fresh, truth) > 0.95
    assert model.cv_accuracy_ > 0.9
    assert model.cv_macro_f1_ > 0.9
    assert model.folds_ == 5
    assert model.layer_accuracy_["good"] > model.layer_accuracy_["noise"]
    weights = model.layer_weights_
    assert weights["good"] > weights.get("fair", 0) >= weights.get("noise", 0)
    assert sum(weights.values()) == pytest.approx(1)
    look = model.transform(fresh)
    assert model.transform(fresh.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose((look**2).sum(axis=1), 1, rtol=1e-5)


def regressed(
    X: NDArray[np.float64],
    y: NDArray[np.str_],
    fresh: NDArray[np.float64],
    columns: slice,
    penalty: float,
) -> NDArray[np.float64]:
    """Regress onto the values in one layer, by the plain normal equations."""
    indicator = (y[:, None] == np.unique(y)).astype(float)
    points = X[:, columns] / np.linalg.norm(X[:, columns], axis=1, keepdims=True)
    centred = points - points.mean(axis=0)
    scale = 1 / np.sqrt((centred**2).sum(axis=1).mean())
    centred *= scale
    scatter = centred.T @ centred + penalty * np.eye(centred.shape[1])
    weights = np.linalg.solve(scatter, centred.T @ (indicator - indicator.mean(axis=0)))
    rows = fresh[:, columns] / np.linalg.norm(fresh[:, columns], axis=1, keepdims=True)
    scores: NDArray[np.float64] = scale * (rows - points.mean(axis=0)) @ weights
    return scores


def test_vote_matches_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour_vote, "HEARD", 0.0)
    monkeypatch.setattr(neighbour_vote, "GAIN", -1.0)
    X, y = layers()
    model = AttributeClassifier(blocks=BLOCKS, neighbours=7).fit(X, y)
    fresh, _ = layers(n_each=3, seed=2, spread=1)
    votes = model.vote(fresh, k_evidence=4)
    looks, examples = model.transform(fresh).astype(float), model.transform(X).astype(float)
    space, joined = model.voter_.projection.space, model.voter_.rule.joined
    indicator = (y[:, None] == model.classes_).astype(float)
    ridge = Ridge(space.apply(X), indicator - indicator.mean(axis=0), model.penalty_)
    scores = [space.apply(fresh) @ ridge.coefficients()]
    # Further regressions: the earlier half of three layers is one, the last one is another.
    scores += [regressed(X, y, fresh, some, model.penalty_) for some in (slice(12), slice(30, 40))]
    assert len(joined.weights) == 4
    for i, look in enumerate(looks):
        similarity = [float(look @ example) for example in examples]
        near = sorted(range(len(y)), key=lambda j: -similarity[j])[:7]
        rule = model.voter_.rule
        share = {value: np.exp(-2 / rule.temperature) for value in model.classes_}
        for j in near:
            share[y[j]] += np.exp((similarity[j] - 1) / rule.temperature)
        shares = np.array([share[value] for value in model.classes_])
        logs = np.log(shares / shares.sum())
        powered = np.exp(joined.weights @ [logs, *(one[i] for one in scores)] + joined.offsets)
        expected = (1 - joined.lapse) * powered / powered.sum() + joined.lapse / 3
        np.testing.assert_allclose(votes.probabilities[i], expected, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(
            votes.distance[i], [1 - similarity[j] for j in near[:4]], atol=1e-5
        )
        assert set(votes.evidence[i]) == set(near[:4])


def test_held_out_vote_equals_teaching_without_the_example() -> None:
    X, y = layers(n_each=5, spread=1)
    model = AttributeClassifier(blocks=BLOCKS, layers=["good"]).fit(X, y)
    where = {int(row): i for i, row in enumerate(model.voter_.example_rows)}
    rest = np.arange(len(y)) != 3
    # Same centre, scale and penalty as the whole model: only the example itself is missing.
    points = model.voter_.projection.space.apply(X)
    codes = np.searchsorted(model.classes_, y)
    targets = np.eye(3)[codes] - np.eye(3)[codes].mean(axis=0)
    ridge = Ridge(points[rest], targets[rest], model.shrinkage)
    map_ = optimal_scoring(ridge.fitted, targets[rest], np.bincount(codes[rest]).astype(float))
    coordinates = unit(points @ ridge.coefficients() @ map_)
    columns, near = nearest(coordinates[[3]] @ coordinates[rest].T, 30)
    scores = (points @ ridge.coefficients())[[3]]
    expected = model.voter_.rule.probabilities(codes[rest][columns], near, [scores])[0]
    np.testing.assert_allclose(model.held_out_probabilities_[where[3]], expected, rtol=1e-6)


def test_further_regressions_are_held_out_with_the_example() -> None:
    X, y = layers(n_each=5, spread=1)
    model = AttributeClassifier(blocks=BLOCKS).fit(X, y)
    codes = np.searchsorted(model.classes_, y)
    targets = np.eye(3)[codes] - np.eye(3)[codes].mean(axis=0)
    examples = exemplars(X, y, None, None)
    order = examples.rows
    for space, ridge in model._further_regressions(examples, codes[order]):
        points = space.apply(X)[order]
        for out in ([3], [0, 7]):
            rest = np.setdiff1d(np.arange(15), out)
            slow = Ridge(points[rest], targets[order][rest], model.penalty_).coefficients()
            np.testing.assert_allclose(ridge.held_out(np.array(out)), points[out] @ slow, atol=1e-9)


def test_a_layer_that_tells_more_than_its_share_is_heard() -> None:
    """A regression on the last layer, which alone has something to say; on chosen ones none."""
    rng = np.random.default_rng(0)
    n = 300
    codes = rng.integers(0, 3, n)
    X = 3 + rng.normal(size=(n, 40))
    X[:, 30:] += 0.7 * np.random.default_rng(99).normal(size=(3, 10))[codes]
    y = np.array(["a", "b", "c"])[codes]
    model = AttributeClassifier(blocks=BLOCKS).fit(X, y)
    chosen = AttributeClassifier(blocks=BLOCKS, layers=["good", "noise", "fair"]).fit(X, y)
    assert [part.space.blocks for part in model.voter_.further] == [(BLOCKS[2],)]
    assert chosen.voter_.further == ()
    # It comes back from what is kept, and is read even where the joined layers leave it out.
    voter = SingleVoter.from_arrays(model.voter_.to_arrays())
    assert BLOCKS[2] in voter.blocks
    np.testing.assert_array_equal(voter.vote(X).probabilities, model.vote(X).probabilities)
    # Where nothing is held out there is no telling, and what is not heard is not read.
    alone = AttributeClassifier(blocks=BLOCKS).fit(X[[0, 1, 2, 3]], ["a", "b", "c", "d"])
    assert alone.voter_.further == ()
    assert len(alone.voter_.rule.joined.weights) == 2


def test_far_from_every_example_is_unknown() -> None:
    X, y = layers()
    model = AttributeClassifier(blocks=BLOCKS).fit(X, y)
    fresh, _ = layers(n_each=60, seed=3)
    assert (model.vote(fresh).value < 0).mean() <= 0.03
    foreign = np.random.default_rng(0).normal(size=(50, 40)) * 3
    votes = model.vote(foreign)
    assert (votes.value == -1).mean() > 0.9
    assert (votes.novelty[votes.value == -1] > 1).all()
    assert set(model.predict(foreign)) <= {"blue", "green", "red"}


def test_views_shape_the_projection_but_never_vote() -> None:
    X, y = layers(n_each=4)
    copies = X + 0.1
    model = AttributeClassifier(blocks=BLOCKS).fit(
        np.concatenate([copies, X]),
        np.tile(y, 2),
        groups=np.tile(np.arange(len(y)), 2),
        views=np.arange(2 * len(y)) < len(y),
    )
    assert model.vote(X).evidence.min() >= len(y)
    assert len(model.voter_.example_rows) == len(y)


@pytest.mark.parametrize("n_each", [1, 2, 3])
def test_few_examples(n_each: int) -> None:
    X, y = layers(n_each=n_each)
    model = AttributeClassifier(blocks=BLOCKS).fit(X, y)
    assert model.score(X, y) == 1
    assert model.folds_ == (n_each if n_each > 1 else 0)
    assert np.isnan(model.cv_accuracy_) == (n_each == 1)
    if n_each == 1:
        assert model.layers_ == ["good", "noise", "fair"]
        assert model.voter_.unknown.limit() == np.inf


def test_a_value_with_one_example_is_learned_beside_others() -> None:
    X, y = layers()
    model = AttributeClassifier(blocks=BLOCKS).fit(X[:25], y[:25])
    assert list(model.classes_) == ["blue", "green", "red"]
    assert model.folds_ == 5
    assert model.score(*layers(seed=5)) > 0.8


def test_contradictions_are_reported() -> None:
    X, y = layers()
    X[13] = X[0]
    y[2] = "red"
    model = AttributeClassifier(blocks=BLOCKS).fit(X, y.astype(object))
    found = {c.row: c for c in model.contradictions_}
    assert (found[0].against, found[0].other, found[0].reason) == ((13,), "green", "same image")
    assert found[13].against == (0,)
    assert (found[2].value, found[2].other, found[2].reason) == ("red", "blue", "vote")
    assert len(found) == 3


@pytest.mark.parametrize("array_type", [np.float64, np.float32])
def test_round_trip_without_pickle(array_type: type[np.floating]) -> None:
    X, y = layers()
    model = AttributeClassifier(blocks=BLOCKS).fit(X.astype(array_type), y)
    file = BytesIO()
    np.savez(file, allow_pickle=False, **model.voter_.to_arrays())
    file.seek(0)
    again = SingleVoter.from_arrays(dict(np.load(file, allow_pickle=False)))
    fresh = layers(seed=4)[0].astype(array_type)
    for mine, theirs in zip(
        vars(model.vote(fresh)).values(), vars(again.vote(fresh)).values(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(KeyError, match="rule"):
        SingleVoter.from_arrays({k: v for k, v in model.voter_.to_arrays().items() if k != "rule"})


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-3, 1e3))
def test_order_of_examples_and_scale_of_a_layer_do_not_matter(seed: int, scale: float) -> None:
    X, y = layers(n_each=6, spread=0.8)
    fresh, _ = layers(n_each=4, seed=7)
    groups = np.arange(len(y)) // 2
    order = np.random.default_rng(seed).permutation(len(y))
    first = AttributeClassifier(blocks=BLOCKS).fit(X, y, groups=groups)
    second = AttributeClassifier(blocks=BLOCKS).fit(X[order], y[order], groups=groups[order])
    a, b = first.vote(fresh), second.vote(fresh)
    np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-8)
    np.testing.assert_array_equal(a.evidence, order[b.evidence])
    fresh[:, 12:30] *= scale
    np.testing.assert_allclose(first.vote(fresh).probabilities, a.probabilities, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": ["red"] * 36}, "1 class"),
        ({"y": ["red"] * 35}, r"y must have shape \(36,\), got \(35,\)"),
        ({"groups": [0, 1]}, r"groups must have shape \(36,\)"),
        ({"views": [True]}, r"views must have shape \(36,\)"),
        ({"views": [True] + [False] * 35}, "views need groups"),
    ],
)
def test_bad_input_is_refused_with_the_reason(change: dict[str, Any], message: str) -> None:
    X, y = layers()
    arguments = {"X": X, "y": y} | change
    with pytest.raises(InputError, match=message):
        AttributeClassifier(blocks=BLOCKS).fit(**arguments)


def test_bad_features_and_layers_are_named() -> None:
    X, y = layers()
    X[4, 3], X[9, 0] = np.nan, np.inf
    with pytest.raises(InputError, match=r"rows \[4, 9\]"):
        AttributeClassifier(blocks=BLOCKS).fit(X, y)
    X, y = layers()
    with pytest.raises(InputError, match=r"'stem'.* there are: good, noise, fair"):
        AttributeClassifier(blocks=BLOCKS, layers=["stem"]).fit(X, y)
    with pytest.raises(InputError, match=r"41.*40 columns"):
        AttributeClassifier(blocks=[("a", 0, 41)]).fit(X, y)
    with pytest.raises(InputError, match="neighbours >= 1"):
        AttributeClassifier(neighbours=0).fit(X, y)
    model = AttributeClassifier(blocks=BLOCKS).fit(X, y)
    with pytest.raises(ValueError, match="5 features"):
        model.predict(X[:, :5])


def test_small_helpers() -> None:
    weights = layer_weights(np.array([0.1, 0.2, 0.9]))
    assert weights[2] == 0
    assert weights[1] / weights[0] == pytest.approx(np.exp(-1))
    rows = evenly(np.array([0] * 50 + [1] * 3), 10, np.random.default_rng(0))
    assert len(rows) == 10
    assert (rows >= 50).sum() == 3
    assert macro_f1(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])) == pytest.approx(
        (2 / 3 + 0.8) / 2
    )


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_the_regression_may_be_sure_where_no_neighbour_agrees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(120) < 0.12, "rare", "usual")
    X = rng.normal(size=(120, 12)).astype(np.float32)
    X[:, 0] += np.where(y == "rare", 3.0, 0.0)
    wrong = rng.choice(120, 6, replace=False)
    y[wrong] = np.where(y[wrong] == "usual", "rare", "usual")
    model = AttributeClassifier().fit(X, y)
    assert all(found.against for found in model.contradictions_)
