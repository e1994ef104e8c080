from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gingham.attributes.one_pass import OnePass, Product
from gingham.attributes.space import check_blocks, chunks, learn_points, learn_space, unit, widen
from gingham.errors import InputError


def test_the_joined_space_matches_a_plain_loop() -> None:
    X = np.random.default_rng(0).normal(size=(9, 5))
    X[4, :2] = 0
    weights = np.array([0.25, 0.75])
    space = learn_space(X, [("a", 0, 2), ("b", 2, 5)], weights, rooted=["b", "c"])
    points = space.apply(X)
    assert space.rooted == ("b",)
    for (first, end), weight in zip(((0, 2), (2, 5)), weights, strict=True):
        rows = [row / (np.linalg.norm(row) or 1) for row in X[:, first:end]]
        if first == 2:
            rows = [np.sign(row) * abs(row) ** 0.5 for row in X[:, first:end]]
            rows = [row / np.linalg.norm(row) for row in rows]
        mean = sum(rows) / len(rows)
        spread = sum(((row - mean) ** 2).sum() for row in rows) / len(rows)
        expected = [(row - mean) * np.sqrt(weight / spread) for row in rows]
        np.testing.assert_allclose(points[:, first:end], expected, atol=1e-12)
    assert space.width == 5
    assert (points**2).sum(axis=1).mean() == pytest.approx(1)


def test_float16_gives_the_space_and_the_points_of_the_same_numbers_in_float32() -> None:
    X = np.random.default_rng(0).normal(size=(5000, 5)).astype(np.float16)
    blocks, weights = [("a", 0, 2), ("b", 2, 5)], np.array([0.25, 0.75])
    one, other = (learn_space(x, blocks, weights, ["b"]) for x in (X, X.astype(np.float32)))
    points = one.apply(X)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, other.apply(X.astype(np.float32)))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_learned_points_are_those_that_the_space_gives(kind: type) -> None:
    X: NDArray[np.floating] = np.random.default_rng(0).normal(size=(1200, 9)).astype(kind)
    X[5, :2] = 0
    blocks, weights = [("a", 0, 2), ("c", 7, 9), ("b", 2, 5)], np.array([0.2, 0.5, 0.3])
    space, points = learn_points(X, blocks, weights, ["b"])
    expected = space.apply(X)
    assert points.dtype == expected.dtype
    np.testing.assert_array_equal(points, expected)


def test_a_layer_that_never_changes_adds_nothing() -> None:
    X = np.concatenate([np.ones((6, 2)), np.random.default_rng(0).normal(size=(6, 3))], axis=1)
    points = learn_space(X, [("flat", 0, 2), ("b", 2, 5)], np.array([0.5, 0.5])).apply(X)
    np.testing.assert_array_equal(points[:, :2], 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-150, 1e150))
def test_unit_rows_have_length_one_whatever_their_size(seed: int, size: float) -> None:
    rows = np.random.default_rng(seed).normal(size=(4, 3)) * size
    rows[2] = 0
    scaled = unit(rows)
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), [1, 1, 0, 1])


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([("a", 0, 7)], "'a' covers columns 0 to 7, but X has 6 columns"),
        ([("a", 3, 3)], "columns 3 to 3"),
        ([("a", 0, 3), ("a", 3, 6)], "different names"),
        ([], "at least one"),
    ],
)
def test_bad_blocks_are_refused(blocks: list[tuple[str, int, int]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_blocks(blocks, 6)
    assert check_blocks(None, 6) == (("all", 0, 6),)


def test_chunks_cover_every_row_once() -> None:
    covered = [i for rows in chunks(10, 4) for i in range(10)[rows]]
    assert covered == list(range(10))
    assert list(chunks(0)) == []


def test_every_float16_is_widened_as_numpy_does() -> None:
    numbers = np.arange(2**16, dtype=np.uint16).view(np.float16)
    many = np.tile(numbers, 4)
    for block in (
        numbers[np.isfinite(numbers)],
        numbers,
        numbers[:0],
        numbers.reshape(256, -1)[:, ::2],
        many[np.isfinite(many)],
        many.reshape(256, -1)[:, ::2],
    ):
        wide, expected = widen(block), block.astype(np.float32)
        np.testing.assert_array_equal(wide, expected)
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(wide[number]), np.signbit(expected[number]))
    ones = np.ones(3)
    assert widen(ones) is ones


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_pass_gives_what_each_space_gives_by_itself(dtype: type[np.floating]) -> None:
    rng = np.random.default_rng(0)
    X: NDArray[np.floating] = rng.normal(size=(1100, 9)).astype(dtype)
    X[3] = 0
    blocks = [("a", 0, 2), ("b", 2, 5), ("c", 6, 9)]
    learned = X.astype(np.float64)
    one = learn_space(learned, blocks, np.array([0.2, 0.3, 0.5]), rooted=["b"])
    other = learn_space(learned, blocks[1:], np.array([0.5, 0.5]), rooted=["c"])
    plain = learn_space(learned, blocks[:2], np.array([0.5, 0.5]))
    parts = [
        Product(one, rng.normal(size=(8, 3))),
        Product(plain, rng.normal(size=(5, 2)), lengths=True),
        Product(other, rng.normal(size=(6, 4))),
    ]
    found, squared = OnePass(parts)(X)
    wide: NDArray[np.floating] = X.astype(np.float64 if dtype == np.float64 else np.float32)
    near = 1e-12 if dtype == np.float64 else 1e-4
    for part, got in zip(parts, found, strict=True):
        np.testing.assert_allclose(got, part.space.apply(wide) @ part.matrix, atol=near)
    np.testing.assert_allclose(squared, (plain.apply(wide) ** 2).sum(axis=1), atol=near)
    by_layer, again = OnePass(parts)({name: X[:, first:end] for name, first, end in blocks})
    for got, expected in zip([*by_layer, again], [*found, squared], strict=True):
        np.testing.assert_array_equal(got, expected)
