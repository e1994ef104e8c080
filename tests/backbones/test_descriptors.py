from __future__ import annotations

import time
from collections.abc import Sequence

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from descriptors import VGG16, plain_loop
from gingham.backbones.descriptors import (
    border,
    cover,
    foreground_weights,
    l1_distances,
    rgb_histogram,
    significant_activations,
)
from gingham.backbones.pooling import colours
from gingham.errors import InputError, ShapeError

Maps = NDArray[np.float32]


@st.composite
def maps(draw: st.DrawFn) -> list[Maps]:
    """Blocks of one to four sizes; activations below, at and above the usual thresholds."""
    count = draw(st.integers(0, 2))
    heights = sorted(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)), reverse=True)
    widths = sorted((draw(st.integers(1, 9)) for _ in heights), reverse=True)
    values = st.sampled_from([-1.5, 0.0, 0.25, 0.5, 0.75, 2.0])
    return [
        draw(npst.arrays(np.float32, (count, draw(st.integers(1, 4)), h, w), elements=values))
        for h, w in zip(heights, widths, strict=True)
    ]


@settings(max_examples=150, deadline=None)
@given(blocks=maps(), threshold=st.sampled_from([-2.0, -1.5, 0.0, 0.5, 0.6, 2.0, 3.0]))
def test_equals_a_plain_loop(blocks: list[Maps], threshold: float) -> None:
    got = significant_activations(blocks, threshold=threshold)
    assert got.dtype == np.float32
    assert got.shape == (len(blocks[0]), sum(block.shape[1] for block in blocks))
    expected = np.reshape(plain_loop(blocks, threshold), got.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(blocks=maps())
def test_foreground_is_what_is_unlike_the_border(blocks: list[Maps]) -> None:
    block = blocks[0]
    weights = foreground_weights(block)
    assert weights.dtype == np.float32
    assert weights.shape == (len(block), *block.shape[2:])
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), 1, rtol=1e-5)
    high, wide = block.shape[2:]
    for image, found in zip(block, weights, strict=True):
        at_border = [
            image[:, k, m]
            for k, m in np.ndindex(high, wide)
            if k in (0, high - 1) or m in (0, wide - 1)
        ]
        outside = np.mean(at_border, axis=0)
        apart = np.array(
            [[np.linalg.norm(image[:, k, m] - outside) for m in range(wide)] for k in range(high)]
        )
        even = np.full_like(apart, 1 / apart.size)
        expected = apart / apart.sum() if apart.max() > 1e-3 else even
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_foreground_of_a_thing_before_a_plain_wall() -> None:
    image = np.zeros((1, 3, 28, 28), np.float32)
    image[0, :, 10:18, 8:20] = 5
    weights = foreground_weights(image)[0]
    assert weights[10:18, 8:20].sum() > 0.999
    assert border(28, 28).sum() == 28 * 28 - 24 * 24
    with pytest.raises(ShapeError, match=r"blocks\[0\] must have shape"):
        foreground_weights(image[0])


@settings(max_examples=60, deadline=None)
@given(
    images=npst.arrays(
        np.uint8,
        st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.just(3)),
    ),
    bins=st.sampled_from([2, 3, 16, 100, 255, 256]),
)
def test_the_layers_of_the_histogram_equal_it(images: NDArray[np.uint8], bins: int) -> None:
    got = colours(torch.from_numpy(images), bins)
    expected = np.stack([rgb_histogram(image, bins) for image in images])
    assert got.shape == (len(images), 3 * bins)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 4), (4, 4, 4), (4, 4, 1)])
def test_the_histogram_refuses_what_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"image must have shape \(H, W, 3\) with H, W >= 1, got"):
        rgb_histogram(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="image must be uint8, from 0 to 255; got float32"):
        rgb_histogram(np.zeros((4, 4, 3), np.float32))


def random(*shapes: Sequence[int], seed: int = 0) -> list[Maps]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize(("fine", "coarse"), [(15, 7), (27, 13), (13, 13), (9, 2), (7, 1)])
def test_odd_ratios(fine: int, coarse: int) -> None:
    blocks = random((2, 3, fine, fine + 1), (2, 4, coarse, coarse))
    np.testing.assert_allclose(
        significant_activations(blocks), plain_loop(blocks, 0.5), rtol=1e-4, atol=1e-6
    )


@given(fine=st.integers(1, 60), coarse=st.integers(1, 60))
def test_each_finer_position_belongs_to_one_coarser_and_each_coarser_has_some(
    fine: int, coarse: int
) -> None:
    fine, coarse = max(fine, coarse), min(fine, coarse)
    places = cover(fine, coarse)
    sizes = np.bincount(places, minlength=coarse)
    assert len(places) == fine
    assert len(sizes) == coarse
    assert set(sizes.tolist()) <= {fine // coarse, -(-fine // coarse)}
    assert (np.diff(places) >= 0).all()


def test_the_threshold_below_at_and_above_the_maximum() -> None:
    fine, last = random((1, 2, 4, 4), (1, 3, 2, 2))
    peak = float(last.max())
    above = significant_activations([fine, last], threshold=np.nextafter(peak, np.inf))
    assert not above.any()
    # At the maximum nothing is above it; just below it one position of one channel is.
    assert not significant_activations([fine, last], threshold=peak).any()
    below = significant_activations([fine, last], threshold=np.nextafter(np.float32(peak), -np.inf))
    _, channel, k, m = np.argwhere(last == peak)[0]
    expected = np.zeros(5, np.float32)
    expected[2 + channel] = peak
    expected[:2] = fine[0, :, 2 * k : 2 * k + 2, 2 * m : 2 * m + 2].mean((1, 2))
    np.testing.assert_allclose(below[0], expected, rtol=1e-6)
    everything = significant_activations([fine, last], threshold=-100)
    means = np.concatenate([fine.mean((2, 3)), last.mean((2, 3))], axis=1)
    np.testing.assert_allclose(everything, means, rtol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    blocks = random((5, 4, 14, 14), (5, 6, 7, 7))
    whole = significant_activations(blocks)
    for row in range(5):
        alone = significant_activations([block[row : row + 1] for block in blocks])
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-6)


def test_at_least_fifty_times_as_fast_as_the_loop_on_a_batch_of_vgg16() -> None:
    blocks = [np.maximum(block, 0) for block in random(*((4, c, s, s) for c, s in VGG16))]
    started = time.perf_counter()
    expected = plain_loop([block[:1] for block in blocks], 0.5)
    loop = time.perf_counter() - started
    started = time.perf_counter()
    got = significant_activations(blocks)
    ours = (time.perf_counter() - started) / 4
    assert got.shape == (4, 1472)
    np.testing.assert_allclose(got[:1], expected, rtol=1e-4, atol=1e-6)
    assert loop > 50 * ours


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([], r"blocks must have shape .*at least one block, got none"),
        ([(2, 3, 4)], r"blocks\[0\] must have shape .*got \(2, 3, 4\)"),
        ([(2, 3, 0, 4)], r"blocks\[0\].*got \(2, 3, 0, 4\)"),
        ([(2, 3, 4, 4), (1, 3, 2, 2)], r"blocks\[1\] must have shape \(2, C, H, W\)"),
        ([(2, 3, 4, 4), (2, 3, 5, 4)], r"blocks\[1\].*H <= 4.*got \(2, 3, 5, 4\)"),
    ],
)
def test_bad_shapes_are_named(shapes: list[tuple[int, ...]], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        significant_activations(random(*shapes))


def test_what_is_not_finite_is_refused() -> None:
    blocks = random((1, 2, 4, 4), (1, 2, 2, 2))
    with pytest.raises(InputError, match="threshold must be a finite number, got nan"):
        significant_activations(blocks, threshold=np.nan)
    for number in (0, 1):
        bad = [block.copy() for block in blocks]
        bad[number][0, 0, 0, 0] = np.nan
        with pytest.raises(InputError, match="blocks must be finite"):
            significant_activations(bad)


@given(
    rows=npst.arrays(np.float16, (7, 5), elements=st.floats(-100, 100, width=16)),
    query=npst.arrays(np.float32, 5, elements=st.floats(-100, 100, width=32)),
)
def test_l1_is_the_mean_of_absolute_differences(rows: Maps, query: Maps) -> None:
    expected = [
        sum(abs(float(a) - float(b)) for a, b in zip(row, query, strict=True)) / 5 for row in rows
    ]
    np.testing.assert_allclose(l1_distances(query, rows), expected, rtol=1e-5, atol=1e-6)


def test_l1_refuses_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"rows must have shape \(N, 3\), got \(2, 4\)"):
        l1_distances(np.zeros(3), np.zeros((2, 4)))
    with pytest.raises(ShapeError, match="query"):
        l1_distances(np.zeros(0), np.zeros((2, 0)))
