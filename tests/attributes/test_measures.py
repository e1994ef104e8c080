"""Splits and measures beside plain loops."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from gingham.attributes.measures import calibration_error, grouped_folds, macro_f1
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
