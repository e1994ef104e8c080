"""The weighted sum of scores: its likelihood, beside a plain optimiser, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from gingham.attributes.logit_sum import HELD, LogitSum, fit_logit_sum

PRIOR = np.array([0.5, 1.0]), np.array([1.0, 2.0])
WIDE = np.array([0.5, 0.0]), np.array([100.0, 100.0])
ONE = WIDE[0][:1], WIDE[1][:1]


def loss(parameters: np.ndarray, scores: list[np.ndarray], own: np.ndarray, lapse: float) -> float:
    """The same as a plain loop over examples."""
    weights, offsets = parameters[: len(scores)], parameters[len(scores) :]
    shares = np.full(len(offsets), 1 / len(offsets))
    total = HELD * (offsets**2).sum() / 2 + (((weights - PRIOR[0]) / PRIOR[1]) ** 2).sum() / 2
    for row, value in enumerate(own):
        logits = offsets + sum(w * s[row] for w, s in zip(weights, scores, strict=True))
        told = np.exp(logits - logits.max())
        told /= told.sum()
        total -= np.log((1 - lapse) * told[value] + lapse * shares[value])
    return float(total)


def made(rng: np.random.Generator, n: int, values: int) -> tuple[list[np.ndarray], np.ndarray]:
    own = rng.choice(values, n, p=np.arange(1, values + 1) / (values * (values + 1) / 2))
    true = np.eye(values)[own]
    return [true * 2 + rng.normal(size=true.shape), true + rng.normal(size=true.shape)], own


@pytest.mark.parametrize(("n", "values", "seed"), [(60, 3, 0), (200, 5, 1), (40, 2, 2)])
def test_the_fit_is_that_of_a_plain_optimiser(n: int, values: int, seed: int) -> None:
    scores, own = made(np.random.default_rng(seed), n, values)
    found = fit_logit_sum(scores, own, *PRIOR, np.full(values, 1 / values))
    got = np.concatenate([found.weights, found.offsets])
    begin = np.concatenate([PRIOR[0], np.zeros(values)])
    bounds = [(0, None)] * 2 + [(None, None)] * values
    best = minimize(loss, begin, (scores, own, found.lapse), bounds=bounds, method="L-BFGS-B")
    assert loss(got, scores, own, found.lapse) <= best.fun + 0.02
    np.testing.assert_allclose(got, best.x, atol=0.05)


def test_what_says_nothing_gets_no_say_and_frequent_values_an_offset() -> None:
    rng = np.random.default_rng(0)
    own = np.repeat([0, 1], [350, 50])
    noise = rng.normal(size=(400, 2))
    told = np.eye(2)[own] + rng.normal(size=(400, 2))
    found = fit_logit_sum([noise, told], own, *WIDE, np.array([0.875, 0.125]))
    assert found.weights[0] < 0.25 < 0.7 < found.weights[1]
    assert found.offsets[0] - found.offsets[1] > 1
    p = found.probabilities([noise, told])
    assert p[:, 0].mean() == pytest.approx(0.875, abs=0.03)


def test_wrong_labels_are_a_lapse() -> None:
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 4, 600)
    # Some are clear and some are not: only what is clear tells a wrong label from a weak score.
    scores = [np.eye(4)[seen] * rng.uniform(0, 16, (600, 1)) + rng.normal(size=(600, 4))]
    own = np.where(rng.random(600) < 0.2, rng.integers(0, 4, 600), seen)
    found = fit_logit_sum(scores, own, *ONE, np.full(4, 0.25))
    assert found.lapse == pytest.approx(0.2, abs=0.05)
    told = found.probabilities(scores)[np.arange(600), seen]
    assert np.quantile(told, 0.9) == pytest.approx(0.85, abs=0.04)


def test_where_all_are_right_or_none_is_held_out_nothing_is_certain() -> None:
    own = np.array([0, 1, 0, 1])
    sure = [np.eye(2)[own] * 50]
    found = fit_logit_sum(sure, own, *ONE, np.full(2, 0.5))
    assert np.isfinite(found.weights).all()
    assert found.lapse == pytest.approx(1 / 6)
    assert found.probabilities(sure).max() < 1 - 1 / 13
    none = fit_logit_sum([np.zeros((0, 2))] * 2, own[:0], *PRIOR, np.full(2, 0.5))
    np.testing.assert_array_equal(none.weights, PRIOR[0])
    assert none.lapse == 0.5


def test_the_fewer_the_examples_the_less_the_weights_move() -> None:
    scores, own = made(np.random.default_rng(0), 600, 3)
    expected, deviations, even = np.full(2, 0.1), np.full(2, 0.2), np.full(3, 1 / 3)
    moved = []
    for n in (0, 6, 60, 600):
        some = [one[:n] for one in scores]
        found = fit_logit_sum(some, own[:n], expected, deviations, even)
        moved.append(np.abs(found.weights - expected).sum())
    assert moved[0] == 0
    assert moved == sorted(moved)
    assert moved[3] > 1.5


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 30))
def test_probabilities_are_positive_and_add_up_to_one(seed: int, values: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores = [rng.normal(size=(n, values)) * 10.0 ** rng.integers(-3, 4) for _ in range(2)]
    own = rng.integers(0, values, n)
    shares = np.full(values, 1 / values)
    found = fit_logit_sum(scores, own, *PRIOR, shares)
    assert (found.weights >= 0).all()
    p = found.probabilities(scores)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    # Adding a number to all scores of an image changes nothing.
    moved = found.probabilities([one + 3 for one in scores])
    np.testing.assert_allclose(moved, p, atol=1e-9)
    assert isinstance(found, LogitSum)
