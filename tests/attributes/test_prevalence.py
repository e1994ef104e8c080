"""How often values are in a catalogue, from what examples say of its images."""

from __future__ import annotations

import numpy as np
import pytest

from gingham.attributes.prevalence import HELD, SHARPER, TRUST, shifted, value_shares, value_shift


def told(labels: np.ndarray, sure: float, values: int) -> np.ndarray:
    rows = np.full((len(labels), values), (1 - sure) / (values - 1))
    rows[np.arange(len(labels)), labels] = sure
    return rows


NONE = np.empty((0, 4)), np.empty(0, np.intp)


def test_even_examples_learn_how_often_values_are() -> None:
    labels, own = np.repeat([0, 1, 2], [4000, 900, 100]), np.repeat([0, 1, 2], 10)
    shift = value_shift(told(labels, 0.98, 3), np.array([10, 10, 10]), told(own, 0.98, 3), own)
    found = shift / 3
    # The images added count for the examples' own frequencies.
    wanted = (np.array([4000, 900, 100]) + HELD / 3) / (5000 + HELD)
    np.testing.assert_allclose(found, wanted, atol=0.02)
    assert found.sum() == pytest.approx(1)


def test_a_value_that_is_often_taken_for_another_is_not_thought_rare() -> None:
    """Half of the images with value 0 are answered 1, with which the held-out examples agree."""
    answers, own = np.repeat([0, 1], [2500, 7500]), np.repeat([0, 1], 200)
    seen = np.repeat([0, 1], [100, 300])
    shift = value_shift(told(answers, 0.99, 2), np.array([200, 200]), told(seen, 0.99, 2), own)
    np.testing.assert_allclose(shift, 1, atol=0.03)
    # With nothing held out the answers are taken at their word.
    word = value_shift(told(answers, 0.99, 2), np.array([200, 200]), NONE[0][:, :2], NONE[1])
    np.testing.assert_allclose(word, [0.5, 1.5], atol=0.05)


def test_the_solution_explains_the_answers_as_a_plain_search_does() -> None:
    rng = np.random.default_rng(0)
    own = np.repeat([0, 1], 50)
    checked = rng.dirichlet([2, 1], 100)
    checked[50:] = checked[50:, ::-1]
    catalogue = np.concatenate([checked[:50], checked[50:60]])
    shift = value_shift(catalogue, np.array([50, 50]), checked, own)

    def sharper(rows: np.ndarray) -> np.ndarray:
        raised: np.ndarray = rows**SHARPER
        scaled: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
        return scaled

    confused = np.zeros((2, 2))
    for value in (0, 1):
        weight = catalogue[:, value]
        foretold = (weight @ sharper(catalogue) + 0.25) / (weight.sum() + 0.5)
        answered = sharper(checked[own == value]).sum(axis=0)
        confused[value] = (answered + TRUST * foretold) / (50 + TRUST)
    grid = np.linspace(0.001, 0.999, 999)
    rate = sharper(catalogue).sum(axis=0)
    both = np.stack([grid, 1 - grid], axis=1)
    likely = np.log(both @ confused) @ rate + HELD / 2 * np.log(both).sum(axis=1)
    assert shift[0] / 2 == pytest.approx(grid[int(likely.argmax())], abs=0.005)


def test_what_the_examples_do_not_tell_apart_changes_nothing() -> None:
    counts = np.full(4, 10)
    np.testing.assert_allclose(value_shift(np.full((500, 4), 0.25), counts, *NONE), 1)
    np.testing.assert_allclose(value_shift(np.empty((0, 4)), counts, *NONE), 1)


def test_examples_drawn_by_lot_keep_their_own_frequencies() -> None:
    unsure, own = told(np.repeat([0, 1, 2, 3], [270, 10, 10, 10]), 0.7, 4), np.arange(100) % 4
    held = told(own, 0.7, 4), own
    even = value_shift(unsure, np.full(4, 25), *held)
    uneven = value_shift(unsure, np.array([97, 1, 1, 1]), *held)
    assert even[0] > 2
    assert abs(uneven[0] - 1) < 0.05


def test_a_catalogue_that_is_mostly_foreign_says_little() -> None:
    labels, own = told(np.repeat([0, 1], [400, 40]), 0.95, 2), np.repeat([0, 1], 10)
    held = told(own, 0.95, 2), own
    whole, half = (value_shift(labels, np.array([10, 10]), *held, share) for share in (1.0, 0.5))
    assert whole[0] > 1.5
    assert abs(half - 1).max() < 0.02


def test_probabilities_follow_the_shift_and_sum_to_one() -> None:
    found = shifted(np.array([[0.5, 0.3, 0.2]]), np.array([1.0, 2.0, 1.0]))
    np.testing.assert_allclose(found, [[0.5 / 1.3, 0.6 / 1.3, 0.2 / 1.3]])
    assert value_shares(np.array([9, 1, 0])).sum() == pytest.approx(1)
    assert (value_shares(np.array([9, 0, 0])) > 0).all()
