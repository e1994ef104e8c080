"""Floors from held-out answers: what is promised, beside plain searches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gingham.attributes.cutoffs import (
    CONTRADICTED,
    NEVER,
    Floors,
    HeldOutAnswers,
    chance,
    cut_off,
)
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.results import Prediction


def checked(
    guess: list[int], confidence: list[float], right: list[float], weight: list[float] | None = None
) -> HeldOutAnswers:
    weights = np.ones(len(guess)) if weight is None else np.array(weight)
    return HeldOutAnswers(np.array(guess, np.intp), np.array(confidence), np.array(right), weights)


ANSWERS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 8), st.booleans(), st.integers(1, 3)), max_size=40
)


@given(ANSWERS, st.sampled_from([0.5, 0.75, 0.9]))
def test_the_limit_of_all_values_equals_a_plain_search(
    rows: list[tuple[int, int, bool, int]], precision: float
) -> None:
    wanted = NEVER
    for at in {c for _, c, _, _ in rows}:
        kept = [(right, weight) for _, c, right, weight in rows if c >= at]
        if sum(w for right, w in kept if right) >= precision * (sum(w for _, w in kept) + 1):
            wanted = min(wanted, at)
    one = checked(*([list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]))
    assert one._pooled(precision) == wanted
    least = one.least(3, precision)
    assert (least >= wanted).all()
    share, right = one.met(least)
    assert 0 <= share <= 1
    assert (right is None) == (share == 0)


def test_a_value_that_contradicts_the_precision_has_a_limit_of_its_own() -> None:
    # Value 0 is right always, value 1 only from 0.9 on.
    sure = np.linspace(0.5, 0.99, 100).tolist()
    right = [1.0] * 100 + [float(c >= 0.9) for c in sure[::5]]
    one = checked([0] * 100 + [1] * 20, sure + sure[::5], right)
    least = one.least(3, 0.8)
    assert least[0] == least[2] == 0.5
    assert 0.8 < least[1] < 0.95
    own = [r for c, r in zip(sure[::5], right[100:], strict=True) if c >= least[1]]
    assert chance(len(own) - int(sum(own)), len(own), 0.2) > CONTRADICTED


def test_few_examples_of_a_value_share_what_all_say() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 3000)
    right = rng.uniform(size=3000) < confidence
    one = checked([0] * 3000, confidence.tolist(), right.astype(float).tolist())
    few = checked(
        [*one.guess.tolist(), 1], [*confidence.tolist(), 0.97], [*one.right.tolist(), 1.0]
    )
    least = few.least(2, 0.9)
    assert least[1] == least[0]
    # Calibrated confidences: of those above t the mean is (1 + t) / 2.
    assert least[0] == pytest.approx(0.8, abs=0.03)


def test_what_is_frequent_in_the_catalogue_counts_more() -> None:
    told = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [np.nan, np.nan]])
    even = HeldOutAnswers.single(np.array([0, 1, 1, 0]), told)
    assert even.right.tolist() == [1, 0, 1]
    np.testing.assert_allclose(even.weight, 1)
    often = HeldOutAnswers.single(np.array([0, 1, 1, 0]), told, np.array([1.0, 4.0]))
    np.testing.assert_allclose(often.weight / often.weight[0], [1, 4, 4])
    # As sure as so many of equal weight.
    assert often.weight.sum() == pytest.approx(81 / 33)
    share, right = often.met(np.zeros(2))
    assert share == 1
    assert right == pytest.approx(5 / 9)


def test_of_kind_multi_the_answer_is_cut_as_a_whole() -> None:
    truth = np.array([[1, 0], [1, np.nan], [np.nan, np.nan]])
    told = np.array([[0.9, 0.4], [0.3, 0.9], [0.5, 0.5]])
    one = HeldOutAnswers.multi(truth, told)
    np.testing.assert_allclose(one.confidence, [0.75, 0.7])
    np.testing.assert_allclose(one.right, [1.0, 0.0])
    found = cut_off("parts", "multi", ["hood", "zip"], Cutoff(0.72), one)
    assert found.least == {"hood": 0.72, "zip": 0.72}
    assert (found.tested, found.answered, found.right) == (2, 0.5, 1.0)


def test_both_cut_offs_hold_together_and_one_that_cannot_be_met_answers_nothing() -> None:
    one = checked([0, 0, 1], [0.9, 0.8, 0.7], [1, 1, 0])
    found = cut_off("colour", "single", ["a", "b"], Cutoff(0.85, 0.5), one)
    assert found.least == {"a": 0.85, "b": 0.85}
    assert found.answered == pytest.approx(1 / 3)
    assert found.right == 1
    nothing = cut_off("colour", "single", ["a", "b"], Cutoff(at_precision=0.99), one)
    assert nothing.least == {"a": None, "b": None}
    assert (nothing.answered, nothing.right) == (0.0, None)


def test_without_held_out_examples_confidences_are_taken_at_their_word() -> None:
    found = cut_off("colour", "single", ["a"], Cutoff(0.3, 0.9), None)
    assert found.least == {"a": 0.9}
    assert (found.tested, found.answered, found.right) == (0, None, None)


def test_what_is_not_sure_enough_becomes_the_best_guess() -> None:
    limits = Floors({"red": 0.8})
    sure = Prediction("red", 0.8, {"red": 0.8}, ())
    assert limits.cut(sure) is sure
    unsure = Prediction("red", 0.79, {"red": 0.79}, ())
    assert limits.cut(unsure) == Prediction(None, None, {"red": 0.79}, (), "red")
    assert limits.cut(limits.cut(unsure)) == limits.cut(unsure)
    several = Prediction(["hood", "zip"], 0.4, {}, ())
    assert Floors(others=0.5).cut(several).best_guess == ["hood", "zip"]
    assert Floors.from_json(Floors({"red": NEVER}, 0.5).to_json()) == Floors({"red": NEVER}, 0.5)


@pytest.mark.parametrize("k", [0, 3, 200, 260, 501])
def test_the_chance_of_many_is_near_the_exact_one(k: int) -> None:
    exact = sum(math.comb(501, i) for i in range(k, 502)) / 2**501
    assert chance(k, 501, 0.5) == pytest.approx(exact, abs=1e-4)
    assert chance(k, 10, 0.3) == pytest.approx(
        sum(math.comb(10, i) * 0.3**i * 0.7 ** (10 - i) for i in range(k, 11))
    )


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"min_confidence": 1.2}, "min_confidence must be from 0 to 1, got 1.2"),
        ({"min_confidence": math.nan}, "min_confidence must be from 0 to 1, got nan"),
        ({"at_precision": 1.0}, "at_precision must be above 0 and below 1, as in 0.95; got 1.0"),
        ({"at_precision": 95.0}, "at_precision must be above 0 and below 1, as in 0.95; got 95.0"),
    ],
)
def test_a_cut_off_that_is_none_is_refused(given_: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Cutoff(**given_)
    assert Cutoff.asked(None, None) is None
