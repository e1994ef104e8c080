"""Splits and measures beside plain loops."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from gingham.attributes.measures import calibration_error, grouped_folds, macro_f1
from gingham.attributes.novelty import novelty_limit, principal_directions
from gingham.attributes.vote_rule import VoteRule, fit_vote_rule, log_shares, nearest
from gingham.errors import ShapeError


def test_folds_cover_all_rows_and_never_part_a_group() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    groups = rng.integers(0, 25, 60)
    folds = grouped_folds(labels, groups, folds=5, seed=0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(60))
    homes = [set(groups[fold]) for fold in folds]
    assert sum(len(home) for home in homes) == len(set.union(*homes))


def test_folds_are_as_many_as_the_groups_allow() -> None:
    assert len(grouped_folds(np.array([0, 0, 0, 1]), np.arange(4), folds=5, seed=0)) == 3
    assert grouped_folds(np.array([0, 1, 2]), np.arange(3), folds=5, seed=0) == []
    assert grouped_folds(np.array([0, 0, 1]), np.array([7, 7, 8]), folds=5, seed=0) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(-3, 30)), min_size=2, max_size=90),
    st.integers(2, 10),
    st.integers(0, 2**32 - 1),
)
def test_folds_are_those_of_scikit_learn(rows: list[tuple[int, int]], most: int, seed: int) -> None:
    labels, groups = np.array(rows).T
    folds = grouped_folds(labels, groups, folds=most, seed=seed)
    count = min(most, max(len(set(groups[labels == value])) for value in labels))
    if count < 2:
        assert folds == []
        return
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        theirs = [test.tolist() for _, test in splitter.split(labels, labels, groups)]
    assert [fold.tolist() for fold in folds] == [test for test in theirs if test]


def test_calibration_error_matches_a_loop_over_bins() -> None:
    rng = np.random.default_rng(0)
    confidence = np.append(rng.random(200), [0.0, 1.0])
    correct = rng.random(202) < confidence
    expected = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence >= low) & (confidence < low + 0.1)
        inside |= (low == 0.9) & (confidence == 1)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    assert calibration_error(confidence, correct) == pytest.approx(expected)
    assert calibration_error(np.ones(3), np.ones(3, bool)) == 0
    with pytest.raises(ShapeError, match="not empty"):
        calibration_error(np.empty(0), np.empty(0, bool))


def test_macro_f1_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    assert macro_f1(truth, guess) == pytest.approx(f1_score(truth, guess, average="macro"))


def test_nearest_are_the_largest_best_first() -> None:
    similarity = np.random.default_rng(0).normal(size=(5, 12))
    columns, values = nearest(similarity, 4)
    np.testing.assert_array_equal(columns, np.argsort(-similarity, axis=1)[:, :4])
    np.testing.assert_array_equal(values, np.take_along_axis(similarity, columns, axis=1))
    assert nearest(similarity, 99)[0].shape == (5, 12)


def test_shares_and_probabilities_sum_to_one_and_follow_the_nearest() -> None:
    labels, similarity = np.array([[0, 0, 2]]), np.array([[0.9, 0.8, 0.1]])
    share = np.exp(log_shares(labels, similarity, 3, 0.1))
    weight = np.exp((np.array([0.9, 0.8, 0.1]) - 1) / 0.1)
    raw = np.array([weight[0] + weight[1], 0, weight[2]]) + np.exp(-20)
    np.testing.assert_allclose(share[0], raw / raw.sum())
    found = VoteRule(0.1, 0.5, 0.02).probabilities(labels, similarity, 3)
    assert found.sum() == pytest.approx(1)
    assert found[0].argmax() == 0
    assert found.min() >= 0.02 / 3


def test_without_anything_held_out_the_vote_rule_is_cautious() -> None:
    rule = fit_vote_rule([], np.array([0, 1]), 2)
    found = rule.probabilities(np.array([[0]]), np.array([[1.0]]), 2)
    assert 0.5 < found.max() <= 0.75


def test_principal_directions_are_those_of_the_svd() -> None:
    points = np.random.default_rng(0).normal(size=(12, 30))
    points -= points.mean(axis=0)
    ours = principal_directions(points, 4)
    theirs = np.linalg.svd(points, full_matrices=False)[2][:4].T
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-10)


def test_novelty_limit_needs_folds_and_passes_its_own_kind() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 30)) + 0.1 * rng.normal(size=(80, 30))
    groups = np.arange(80)
    assert novelty_limit(points, groups, [], 3) == np.inf
    limit = novelty_limit(points, groups, np.array_split(groups, 8), 3)
    centred = points - points.mean(axis=0)
    directions = principal_directions(centred)
    inside = (centred**2).sum(axis=1) - ((centred @ directions) ** 2).sum(axis=1)
    assert (inside < limit).mean() > 0.98
