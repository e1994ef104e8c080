from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from gingham.attributes.estimators import MultiAttributeClassifier
from gingham.attributes.fitted_voters import MultiVoter
from gingham.attributes.multi_learner import logistic_curve
from gingham.errors import InputError, ShapeError

NAMES = ["collar", "belt", "zip"]
BLOCKS = [("early", 0, 20), ("late", 20, 40)]
AXES = np.random.default_rng(9).normal(size=(3, 40))


def data(
    n: int, seed: int = 0, *, unknown: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Features in which each value pushes along its own axis; the entries said, and the truth."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 3)) < 0.4).astype(float)
    X = truth @ AXES * 1.5 + rng.normal(size=(n, 40)) + 4
    said = np.where(rng.random((n, 3)) < unknown, np.nan, truth)
    return X.astype(np.float32), said, truth


@pytest.mark.parametrize("unknown", [0.0, 0.5])
def test_it_learns_any_number_of_values_and_its_probabilities_are_calibrated(
    unknown: float,
) -> None:
    X, said, _ = data(200, unknown=unknown)
    model = MultiAttributeClassifier(blocks=BLOCKS).fit(X, said, classes=NAMES)
    fresh, _, truth = data(800, seed=1)
    votes = model.vote(fresh)
    right = (votes.present == (truth == 1)).mean()
    assert right > 0.93
    assert model.cv_accuracy_ == pytest.approx(right, abs=0.05)
    assert model.cv_macro_f1_ > 0.85
    assert votes.confidence.mean() == pytest.approx(right, abs=0.05)
    assert votes.unknown.mean() < 0.03
    assert model.classes_.tolist() == NAMES
    assert model.assumed_ == []


@settings(max_examples=60, deadline=None)
# So near the optimum its line search may find nothing lower, for rounding.
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@given(
    st.lists(
        st.tuples(st.floats(-3, 3, width=32), st.sampled_from([0.0, 1.0, np.nan])),
        min_size=2,
        max_size=60,
    )
)
@example([(0.5, 0.0), (0.5, 1.0)])
@example([(-3.0, 0.0)] * 30 + [(3.0, 1.0)] * 30)
def test_the_logistic_curve_is_that_of_scikit_learn(rows: list[tuple[float, float]]) -> None:
    scores, truth = np.array(rows, np.float64).T
    slope, offset = logistic_curve(scores, truth)
    scores, truth = scores[~np.isnan(truth)], truth[~np.isnan(truth)]
    has, lacks = (truth == 1).sum(), (truth == 0).sum()
    if not has or not lacks:
        assert (slope, offset) == (8, -4)
        return
    target = np.where(truth == 1, (has + 1) / (has + 2), 1 / (lacks + 2))
    theirs = LogisticRegression(C=1e4, tol=1e-9, max_iter=5000).fit(
        np.tile(scores, 2)[:, None],
        np.repeat([1, 0], len(scores)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    np.testing.assert_allclose(
        slope * scores + offset, theirs.decision_function(scores[:, None]), rtol=1e-4, atol=1e-4
    )


def test_an_unknown_entry_pulls_neither_way() -> None:
    X, _, truth = data(120)
    said = truth.copy()
    said[60:, 0] = np.nan
    flipped = truth.copy()
    flipped[60:, 0] = 1 - truth[60:, 0]
    fresh, _, fresh_truth = data(400, seed=2)

    def accuracy(Y: NDArray[np.float64]) -> float:
        model = MultiAttributeClassifier(blocks=BLOCKS).fit(X, Y)
        return float((model.predict(fresh)[:, 0] == fresh_truth[:, 0]).mean())

    assert accuracy(said) > 0.9
    assert accuracy(flipped) < 0.7


def test_without_any_negative_the_others_stand_in_and_it_says_so() -> None:
    X, _, truth = data(200)
    said = np.where(truth == 1, 1, np.nan)
    kept = (truth == 1).any(axis=1)
    model = MultiAttributeClassifier(blocks=BLOCKS).fit(X[kept], said[kept], classes=NAMES)
    assert model.assumed_ == NAMES
    fresh, _, fresh_truth = data(400, seed=3)
    assert (model.predict(fresh) == fresh_truth).mean() > 0.85


def test_held_out_scores_equal_fitting_without_them() -> None:
    X, said, _ = data(40, unknown=0.2)
    model = MultiAttributeClassifier(layers=["all"]).fit(X, said)
    from gingham.attributes.discriminant import Ridge

    points = model.voter_.projection.space.apply(X)
    targets = model._targets(said)
    out = np.arange(5)
    exact = Ridge(points, targets, model.shrinkage).without(out)[out]
    rest = np.arange(5, 40)
    slow = Ridge(points[rest], targets[rest], model.shrinkage)
    np.testing.assert_allclose(exact, points[out] @ slow.coefficients(), rtol=1e-3, atol=1e-4)


def test_foreign_images_are_unknown() -> None:
    X, said, _ = data(150)
    model = MultiAttributeClassifier(blocks=BLOCKS).fit(X, said)
    foreign = -data(50, seed=5)[0]
    assert model.vote(foreign).unknown.mean() > 0.9


def test_views_train_but_neither_vote_nor_test() -> None:
    X, said, _ = data(60)
    views = np.repeat([False, True], 60)
    groups = np.tile(np.arange(60), 2)
    model = MultiAttributeClassifier(blocks=BLOCKS).fit(
        np.concatenate([X, X + 0.01]), np.tile(said, (2, 1)), groups=groups, views=views
    )
    assert sorted(model.voter_.example_rows) == list(range(60))
    assert model.vote(X).evidence.max() < 60


def test_saving_and_loading_gives_the_same_votes() -> None:
    X, said, _ = data(80, unknown=0.2)
    model = MultiAttributeClassifier(blocks=BLOCKS).fit(X, said, classes=NAMES)
    again = MultiVoter.from_arrays(model.voter_.to_arrays())
    first, second = model.vote(X), again.vote(X)
    for name in ("present", "probabilities", "confidence", "unknown", "evidence", "distance"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_contradictions_name_both_sides() -> None:
    X, said, _ = data(30)
    X[7] = X[3]
    said[3, 1], said[7, 1] = 1, 0
    found = MultiAttributeClassifier(blocks=BLOCKS).fit(X, said, classes=NAMES).contradictions_
    assert ("belt", 3, (7,), "!belt") in [(c.value, c.row, c.against, c.other) for c in found]


def test_what_cannot_be_learned_is_refused_by_name() -> None:
    X, said, _ = data(20)
    with pytest.raises(ShapeError, match=r"Y must have shape \(20, V\)"):
        MultiAttributeClassifier().fit(X, said[:5])
    with pytest.raises(ShapeError, match="classes"):
        MultiAttributeClassifier().fit(X, said, classes=["a"])
    with pytest.raises(InputError, match="must hold 1"):
        MultiAttributeClassifier().fit(X, said + 1)
    with pytest.raises(InputError, match="need at least two examples"):
        MultiAttributeClassifier().fit(X[:1], said[:1])
    said[:, 2] = 0
    with pytest.raises(InputError, match="no example has 'zip'"):
        MultiAttributeClassifier().fit(X, said, classes=NAMES)
    said[:, 2] = 1
    with pytest.raises(InputError, match="no example is known to lack 'zip'"):
        MultiAttributeClassifier().fit(X, said, classes=NAMES)
    X[2, 0] = np.nan
    with pytest.raises(InputError, match=r"rows \[2\]"):
        MultiAttributeClassifier().fit(X, said)
