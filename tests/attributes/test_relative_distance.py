"""The distance relative to a background beside plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gingham.attributes.relative_distance import (
    NEIGHBOURS,
    SHRINKAGE,
    RelativeDistance,
    learn_background,
)
from gingham.errors import ShapeError

BLOCKS = [("pixels", 0, 6), ("deep", 6, 16)]


def draw(n: int, seed: int) -> NDArray[np.float64]:
    """Draw images of 20 kinds, of which each has its own features."""
    kinds = 2 * np.random.default_rng(7).normal(size=(20, 16))
    rng = np.random.default_rng(seed)
    return 4 + kinds[np.arange(n) % 20] + 0.3 * rng.normal(size=(n, 16))


@pytest.fixture(scope="module")
def background() -> RelativeDistance:
    return learn_background(draw(400, 0), BLOCKS, np.array([0.4, 0.6]), ["pixels"])


def test_whitened_images_of_the_background_have_deviation_one(background: RelativeDistance) -> None:
    X = draw(400, 0)
    z = background.whiten(X)
    np.testing.assert_allclose(z, background.space.apply(X) @ background.directions, atol=1e-9)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(z.shape[1]), atol=1e-6)


def test_the_neighbours_spread_matches_a_plain_loop(background: RelativeDistance) -> None:
    z = background.whiten(draw(400, 0))
    total = np.zeros((z.shape[1], z.shape[1]))
    for one in range(len(z)):
        squared = [(float(((z[one] - other) ** 2).sum()), i) for i, other in enumerate(z)]
        for _, other in sorted((far, i) for far, i in squared if i != one)[:NEIGHBOURS]:
            total += np.outer(z[one] - z[other], z[one] - z[other])
    expected = total / (2 * NEIGHBOURS * len(z))
    np.testing.assert_allclose(background.neighbour_spread, expected, atol=1e-5)


def test_the_distance_matches_a_plain_loop(background: RelativeDistance) -> None:
    z, labels = background.whiten(draw(60, 1)), np.arange(60) % 20
    learned = background.learn(z, labels, 20)
    means = [z[labels == value].mean(axis=0) for value in range(20)]
    within = sum(
        np.outer(one - means[label], one - means[label])
        for one, label in zip(z, labels, strict=True)
    ) / (60 - 20)
    neighbours = background.neighbour_spread
    size = np.trace(within) / np.trace(neighbours)
    inverse = np.linalg.inv((1 - SHRINKAGE) * within + SHRINKAGE * size * neighbours)
    fresh = background.whiten(draw(25, 2))
    expected = [
        min(float((one - mean) @ inverse @ (one - mean)) for mean in means) - float(one @ one)
        for one in fresh
    ]
    np.testing.assert_allclose(learned.measure(fresh), expected, rtol=1e-6, atol=1e-6)


def test_held_out_examples_are_measured_as_if_they_had_never_been_there(
    background: RelativeDistance,
) -> None:
    z, labels = background.whiten(draw(40, 1)), np.arange(40) % 5
    labels[3] = 5
    groups = np.arange(40) // 2
    fold = np.array([0, 3])
    found = background.held_out(z, labels, groups, [fold])
    rest = np.setdiff1d(np.arange(40), [0, 1, 2, 3])
    others = background.learn(z[rest], labels[rest], 6)
    assert found[0] == pytest.approx(others.measure(z[:1])[0])
    assert np.isnan(found[1:]).all()  # no other example has the value of the one in row 3


def test_other_values_of_the_same_kind_lie_farther_than_the_taught_ones(
    background: RelativeDistance,
) -> None:
    z, kind = background.whiten(draw(400, 3)), np.arange(400) % 20
    taught = kind < 12
    rows = np.flatnonzero(taught)[:60]
    learned = background.learn(z[rows], kind[rows], 12)
    distance = learned.measure(background.whiten(draw(400, 4)))
    assert distance[~taught].min() > np.quantile(distance[taught], 0.98)


def test_one_example_per_value_and_copies_alone_are_measured_too() -> None:
    for different in (1, 2):
        copies = np.repeat(draw(different, 0), 200, axis=0)
        background = learn_background(copies, BLOCKS, np.array([0.5, 0.5]), [])
        z = background.whiten(draw(4, 1))
        assert np.isfinite(background.learn(z, np.arange(4), 4).measure(z)).all()


def test_it_comes_back_from_its_arrays(background: RelativeDistance) -> None:
    z = background.whiten(draw(20, 1))
    learned = background.learn(z, np.arange(20) % 4, 4)
    arrays, images = learned.to_arrays("one"), draw(9, 2)
    again = RelativeDistance.from_arrays(arrays, "one")
    np.testing.assert_array_equal(
        again.measure(again.whiten(images)), learned.measure(learned.whiten(images))
    )
    arrays["one_precision"] = arrays["one_precision"][1:]
    with pytest.raises(ShapeError, match="one_precision must have shape"):
        RelativeDistance.from_arrays(arrays, "one")
