from __future__ import annotations

import json

import numpy as np
import pytest

from gingham.attributes.verdict import judge, judge_multi
from gingham.results import Verdict

VALUES = ("dots", "plaid", "stripes")


def certain(guesses: list[int], confidence: float = 0.9) -> np.ndarray:
    rows = np.full((len(guesses), 3), (1 - confidence) / 2)
    rows[np.arange(len(guesses)), guesses] = confidence
    return rows


def names(n: int) -> list[str]:
    return [f"{i}.jpg" for i in range(n)]


def test_it_counts_what_is_right_and_names_what_is_confused() -> None:
    truth = np.repeat([0, 1, 2], 20)
    guess = truth.copy()
    guess[:3], guess[20] = 1, 2
    verdict = judge(VALUES, truth, certain(guess.tolist()), names(60), 0.7)
    assert (verdict.grade, verdict.right, verdict.tested) == ("fair", 56, 60)
    assert [(one.value, one.right, one.tested) for one in verdict.values] == [
        ("dots", 17, 20), ("plaid", 19, 20), ("stripes", 20, 20)
    ]  # fmt: skip
    first, second = verdict.confusions
    assert (first.value, first.predicted, first.count) == ("dots", "plaid", 3)
    assert first.images == ("0.jpg", "1.jpg")
    assert second.images == ("20.jpg",)
    assert verdict.advice is not None
    assert verdict.advice.startswith("more examples of plaid would help most")
    assert verdict.by_chance == ()
    assert Verdict.from_dict(verdict.to_dict()) == verdict
    said = json.loads(json.dumps(verdict.to_dict()))
    assert Verdict.from_dict({**said, "newer": 1}) == verdict
    with pytest.raises(ValueError, match=r"^Verdict\.tested: "):
        Verdict.from_dict({**said, "tested": "many"})


@pytest.mark.parametrize(
    ("wrong", "grade"), [(0, "good"), (5, "good"), (6, "fair"), (20, "fair"), (21, "weak")]
)
def test_grades(wrong: int, grade: str) -> None:
    truth = np.arange(100) % 2
    guess = truth.copy()
    guess[:wrong] = 2
    verdict = judge(VALUES, truth, certain(guess.tolist()), names(100), 0.7)
    assert verdict.grade == grade
    assert verdict.sentence.startswith(f"{grade}: {100 - wrong} of 100 held-out examples right")
    assert ("suggestions" in verdict.sentence) == (grade == "weak")
    assert (verdict.advice is None) == (grade == "good")


def test_too_few_say_nothing() -> None:
    truth = np.arange(10) % 2
    verdict = judge(VALUES, truth, certain(truth.tolist()), names(10), 0.7)
    assert verdict.grade == "untested"
    nothing = judge(VALUES, truth, np.full((10, 3), np.nan), names(10), 0.7)
    assert (nothing.tested, nothing.right, nothing.answered) == (0, 0, 0.7)


def test_values_that_a_coin_would_tell_apart_are_named() -> None:
    truth = np.repeat([0, 1, 2], 20)
    guess = truth.copy()
    guess[20:60:2] = np.where(truth[20:60:2] == 1, 2, 1)
    verdict = judge(VALUES, truth, certain(guess.tolist()), names(60), 0.7)
    assert verdict.by_chance == (("plaid", "stripes"),)
    assert "plaid and stripes are told apart by chance" in verdict.sentence


def test_examples_taught_first_are_counted_by_themselves() -> None:
    truth = np.arange(40) % 2
    guess = truth.copy()
    guess[30:] = 2
    verdict = judge(VALUES, truth, certain(guess.tolist()), names(40), 0.7, first=range(30))
    assert (verdict.right, verdict.tested) == (30, 40)
    assert (verdict.first_right, verdict.first_tested) == (30, 30)


def test_of_kind_multi_each_value_counts() -> None:
    truth = np.array([[1, 0], [0, 1], [1, np.nan], [0, 0]] * 10, float)
    probabilities = np.where(np.nan_to_num(truth) == 1, 0.9, 0.1)
    probabilities[0] = 0.2, 0.8
    verdict = judge_multi(("hood", "zip"), truth, probabilities, names(40), 0.7, first=[0, 1])
    assert (verdict.right, verdict.tested) == (68, 70)
    found = {(one.value, one.predicted): one.images for one in verdict.confusions}
    assert found == {("hood", "!hood"): ("0.jpg",), ("!zip", "zip"): ("0.jpg",)}
    assert (verdict.first_right, verdict.first_tested) == (2, 4)
    assert verdict.grade == "good"
