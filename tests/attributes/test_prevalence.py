"""How often values are in a catalogue, from what examples say of its images."""

from __future__ import annotations

import numpy as np
import pytest

from gingham.attributes.prevalence import HELD, shifted, value_shares, value_shift


def told(labels: np.ndarray, sure: float, values: int) -> np.ndarray:
    rows = np.full((len(labels), values), (1 - sure) / (values - 1))
    rows[np.arange(len(labels)), labels] = sure
    return rows


def test_even_examples_learn_how_often_values_are() -> None:
    labels = np.repeat([0, 1, 2], [4000, 900, 100])
    found = value_shift(told(labels, 0.98, 3), np.array([10, 10, 10])) / 3
    # The images added count for the examples' own frequencies.
    wanted = (np.array([4000, 900, 100]) + HELD / 3) / (5000 + HELD)
    np.testing.assert_allclose(found, wanted, atol=0.02)
    assert found.sum() == pytest.approx(1)


def test_a_value_that_is_often_taken_for_another_is_not_thought_rare() -> None:
    """Of two values, as frequent, one is taken for the other half of the time."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 5000)
    answer = np.where((labels == 0) & (rng.random(10_000) < 0.5), 1, labels)
    # Calibrated: of what is answered 1, a third is 0.
    rows = np.where(answer[:, None] == 0, [[1.0, 0.0]], [[1 / 3, 2 / 3]])
    np.testing.assert_allclose(value_shift(rows, np.array([200, 200])), 1, atol=0.03)


def test_the_solution_is_the_likeliest_as_a_plain_search_finds_it() -> None:
    rows = np.random.default_rng(0).dirichlet([2, 1], 300)
    shift = value_shift(rows, np.array([50, 50]))
    grid = np.linspace(0.001, 0.999, 999)
    both = np.stack([grid, 1 - grid])
    likely = np.log(rows @ both).sum(axis=0) + HELD / 2 * np.log(both).sum(axis=0)
    assert shift[0] / 2 == pytest.approx(grid[int(likely.argmax())], abs=0.002)


def test_what_the_examples_do_not_tell_apart_changes_nothing() -> None:
    counts = np.full(4, 10)
    np.testing.assert_allclose(value_shift(np.full((500, 4), 0.25), counts), 1)
    np.testing.assert_allclose(value_shift(np.empty((0, 4)), counts), 1)


def test_examples_drawn_by_lot_keep_their_own_frequencies() -> None:
    unsure = told(np.repeat([0, 1, 2, 3], [270, 10, 10, 10]), 0.7, 4)
    even = value_shift(unsure, np.full(4, 25))
    uneven = value_shift(unsure, np.array([97, 1, 1, 1]))
    assert even[0] > 1.7
    assert abs(uneven[0] - 1) < 0.05


def test_a_catalogue_that_is_mostly_foreign_says_little() -> None:
    labels = told(np.repeat([0, 1], [400, 40]), 0.95, 2)
    whole, half = (value_shift(labels, np.array([10, 10]), share) for share in (1.0, 0.5))
    assert whole[0] > 1.5
    assert abs(half - 1).max() < 0.02


def test_probabilities_follow_the_shift_and_sum_to_one() -> None:
    found = shifted(np.array([[0.5, 0.3, 0.2]]), np.array([1.0, 2.0, 1.0]))
    np.testing.assert_allclose(found, [[0.5 / 1.3, 0.6 / 1.3, 0.2 / 1.3]])
    assert value_shares(np.array([9, 1, 0])).sum() == pytest.approx(1)
    assert (value_shares(np.array([9, 0, 0])) > 0).all()
