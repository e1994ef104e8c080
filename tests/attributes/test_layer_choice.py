"""The rule of layers: weights by error, moved to where examples are likelier."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gingham.attributes.layer_choice import DEVIATION, LEAST, layer_weights, likeliest

Floats = NDArray[np.float64]


def draw(n: int, wrong: float, seed: int) -> tuple[Floats, Floats]:
    """Make the products of a layer that shows the values and of one of noise; and indicators."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    layers = [np.eye(3)[labels] + 0.2 * rng.normal(size=(n, 3)), rng.normal(size=(n, 20))]
    products = []
    for points in layers:
        centred = points - points.mean(axis=0)
        centred /= np.sqrt((centred**2).sum(axis=1).mean())
        products.append(centred @ centred.T)
    said = np.where(rng.random(n) < wrong, rng.integers(0, 3, n), labels)
    return np.stack(products), np.eye(3)[said]


def unlikely(products: Floats, indicator: Floats, place: Floats, begin: Floats) -> float:
    """Minus the log of likelihood and prior, by plain formulas."""
    n, centred = len(indicator), indicator - indicator.mean(axis=0)
    weights = np.exp(place[:-1]) / np.exp(place[:-1]).sum()
    covariance = sum(w * one for w, one in zip(weights, products, strict=True))
    covariance = covariance + np.exp(place[-1]) * np.eye(n)
    q = sum(float(y @ np.linalg.solve(covariance, y)) for y in centred.T)
    moved = place - begin
    moved[:-1] -= moved[:-1].mean()
    size = float(np.linalg.slogdet(covariance)[1])
    return float(n * np.log(q) + size + moved @ moved / DEVIATION**2) / 2


def test_it_goes_half_of_the_way_to_where_examples_are_likeliest() -> None:
    products, indicator = draw(60, 0.3, 0)
    begin = np.log([0.4, 0.6, 0.3])
    weights, penalty = likeliest(products, indicator, np.array([0.4, 0.6]), 0.3)
    ends = 2 * np.log([*weights, penalty]) - begin
    best = unlikely(products, indicator, ends, begin)
    assert best < unlikely(products, indicator, begin, begin) - 1
    for number in range(3):
        for step in (-0.05, 0.05):
            beside = ends + step * np.eye(3)[number]
            assert best < unlikely(products, indicator, beside, begin)


def test_more_examples_move_the_weights_further_and_wrong_labels_raise_the_penalty() -> None:
    even = np.array([0.5, 0.5])
    few, many = (likeliest(*draw(n, 0.6, 1), even, 0.1) for n in (12, 240))
    assert abs(few[0][0] - 0.5) < many[0][0] - 0.5
    assert likeliest(*draw(120, 0.6, 2), even, 0.3)[1] > 0.6


def test_clean_labels_move_nothing() -> None:
    weights, penalty = likeliest(*draw(120, 0.0, 2), np.array([0.4, 0.6]), 0.5)
    assert (weights.tolist(), penalty) == ([0.4, 0.6], 0.5)


def test_a_layer_of_little_weight_is_left_out() -> None:
    weights, _ = likeliest(*draw(120, 0.6, 3), np.array([1 - LEAST / 4, LEAST / 4]), 0.3)
    assert weights.tolist() == [1.0, 0.0]
    assert layer_weights(np.array([0.1, 0.9])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("penalty", [1e-12, 1e-9, 1e-7])
def test_a_penalty_below_rounding_is_no_fault(penalty: float) -> None:
    points = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
    product = points @ points.T  # of two dimensions: all other eigenvalues are rounding
    product /= np.mean(np.diag(product))
    indicator = np.eye(3)[np.arange(24) % 3]
    weights, found = likeliest(
        np.stack([product, product]), indicator, np.array([0.5, 0.5]), penalty
    )
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)
    assert found > 0
