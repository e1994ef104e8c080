"""What is called a copy, and what is not; the index and the fast comparison against slow ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from conftest import SHARED, needs_shared
from gingham.curation.copies import (
    COLOURED,
    GREY,
    TURNS,
    difference,
    read_encoded,
    turned,
    undo,
)
from gingham.curation.neighbours import (
    UNLIKE,
    Thumbnails,
    best_turns,
    differences,
    nearest_pairs,
    perceptual_points,
)

pytest.importorskip("faiss", reason="faiss-cpu comes with the extra `train`")
LIMIT = 10**8


def scene(seed: int, size: tuple[int, int] = (90, 120)) -> Image.Image:
    """Draw something that looks like nothing else, and different however it is turned."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(rng.integers(150, 255, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    for _ in range(9):
        x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        w, h = map(int, rng.integers(8, 50, 2))
        colour = tuple(rng.integers(0, 255, 3).tolist())
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)((x, y, x + w, y + h), colour)
    return picture


def save(picture: Image.Image, path: Path, **options: object) -> str:
    picture.save(path, **options)  # type: ignore[arg-type]
    return str(path)


def compare(a: str, b: str, turn: Image.Transpose | None = None) -> bool:
    return difference(read_encoded(a, LIMIT), read_encoded(b, LIMIT), turn).is_copy


@pytest.fixture
def original(tmp_path: Path) -> str:
    return save(scene(1), tmp_path / "original.jpg", quality=90)


@pytest.mark.parametrize("quality", [95, 60, 25])
@pytest.mark.parametrize("scale", [1.0, 0.6, 1.7])
def test_a_re_encoded_or_resized_copy_is_one(
    original: str, tmp_path: Path, quality: int, scale: float
) -> None:
    with Image.open(original) as picture:
        size = (round(picture.width * scale), round(picture.height * scale))
        made = picture.resize(size, Image.Resampling.LANCZOS)
    copy = save(made, tmp_path / "copy.jpg", quality=quality)
    assert compare(original, copy)
    assert compare(copy, original)


def test_the_original_is_told_from_a_longer_copy(tmp_path: Path) -> None:
    original = save(scene(4), tmp_path / "original.jpg", quality=70)
    with Image.open(original) as picture:
        longer = save(picture, tmp_path / "longer.jpg", quality=90)
        large = save(picture.resize((180, 240)), tmp_path / "large.jpg", quality=90)
    first = read_encoded(original, LIMIT)
    for copy in (longer, large):
        assert Path(copy).stat().st_size > Path(original).stat().st_size
        other = read_encoded(copy, LIMIT)
        assert difference(first, other, None).original == -1
        assert difference(other, first, None).original == 1
    assert difference(first, first, None).original == 0


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_formats_are_copies_too(original: str, tmp_path: Path, kind: str) -> None:
    with Image.open(original) as picture:
        copy = save(picture, tmp_path / f"copy.{kind}", format=kind)
    assert compare(original, copy)


@pytest.mark.parametrize("turn", TURNS[1:])
def test_a_turned_copy_is_one_by_its_own_turn_only(
    original: str, tmp_path: Path, turn: Image.Transpose
) -> None:
    with Image.open(original) as picture:
        copy = save(picture.transpose(turn), tmp_path / "copy.jpg", quality=70)
    assert compare(original, copy, turn)
    assert compare(copy, original, undo(turn))
    assert not compare(original, copy)


def test_another_shade_is_no_copy(original: str, tmp_path: Path) -> None:
    """The same photo with one thing dyed, as shops have them of lipsticks."""
    with Image.open(original) as picture:
        pixels = np.array(picture)
    pixels[40:70, 30:60] = np.clip(pixels[40:70, 30:60] + np.array([12, -6, -8]), 0, 255)
    other = save(Image.fromarray(pixels), tmp_path / "other.jpg", quality=90)
    assert not compare(original, other)
    assert not compare(original, save(scene(2), tmp_path / "scene.jpg"))


def test_of_two_encoded_alike_only_the_untouched_is_a_copy(tmp_path: Path) -> None:
    picture = scene(5, (96, 128))
    first = save(picture, tmp_path / "first.jpg", quality=80)
    with Image.open(first) as opened:
        again = save(opened.convert("RGB"), tmp_path / "again.jpg", quality=80)
    touched = picture.copy()
    spot = touched.crop((40, 40, 56, 56)).point(lambda value: min(value + 3, 255))
    touched.paste(spot, (40, 40))
    shade = save(touched, tmp_path / "shade.jpg", quality=80)
    assert compare(first, again)
    assert not compare(first, shade)
    assert compare(save(Image.open(first), tmp_path / "first.png"), again)


def test_faint_drawings_are_not_all_copies_of_each_other(tmp_path: Path) -> None:
    paths = []
    for number, box in enumerate(((10, 20, 60, 40), (30, 50, 80, 110))):
        picture = Image.new("RGB", (90, 120), "white")
        ImageDraw.Draw(picture).ellipse(box, outline=(235, 236, 238))
        paths.append(save(picture, tmp_path / f"{number}.jpg", quality=85))
        paths.append(save(picture, tmp_path / f"{number}.png"))
        with Image.open(paths[-2]) as drawn:
            paths.append(save(drawn.convert("RGB"), tmp_path / f"{number}c.jpg", quality=40))
    assert compare(paths[0], paths[2])
    assert compare(paths[1], paths[0])
    assert not compare(paths[0], paths[3])
    assert not compare(paths[1], paths[4])
    blank = [
        save(Image.new("RGB", (90, 120), (c, 255, 255)), tmp_path / f"{c}.png") for c in (254, 255)
    ]
    assert compare(blank[0], blank[1])


def test_a_grey_copy_is_told_apart(original: str, tmp_path: Path) -> None:
    with Image.open(original) as picture:
        grey = save(picture.convert("L"), tmp_path / "grey.jpg", quality=80)
    found = difference(read_encoded(original, LIMIT), read_encoded(grey, LIMIT), None)
    assert found.is_copy
    assert found.grey


def test_turning_arrays_is_pillow_s_turning() -> None:
    picture = scene(3, (32, 32))
    for turn in TURNS:
        laid = picture if turn is None else picture.transpose(turn)
        assert np.array_equal(turned(np.asarray(picture), turn), np.asarray(laid)), turn
        back = turned(turned(np.asarray(picture), turn), undo(turn))
        assert np.array_equal(back, np.asarray(picture)), turn


def thumbnails_of(pictures: list[Image.Image]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(p.resize((32, 32), Image.Resampling.BILINEAR)) for p in pictures])


def noisy(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


pictures_of_any_kind = hnp.arrays(np.uint8, (3, 32, 32, 3), elements=st.integers(0, 255))


@settings(max_examples=20, deadline=None)
@given(pictures_of_any_kind)
def test_turns_share_their_perceptual_points_and_copies_nearly(pixels: NDArray[np.uint8]) -> None:
    rows = np.arange(3)
    points = perceptual_points(pixels, rows, turns=True)
    plain = perceptual_points(pixels, rows, turns=False)
    basis = np.cos(np.pi * (np.arange(32) + 0.5) * np.arange(8)[:, None] / 32)
    basis *= np.sqrt(np.where(np.arange(8) == 0, 1, 2) / 32)[:, None]
    for row in rows:
        brightness = pixels[row] @ np.array([0.299, 0.587, 0.114])
        found = basis @ brightness @ basis.T
        np.testing.assert_allclose(plain[row].reshape(8, 8), found, rtol=0, atol=0.05)
        high = np.maximum(np.abs(found), np.abs(found).T)
        low = np.minimum(np.abs(found), np.abs(found).T)
        expected = np.where(np.triu(np.ones((8, 8), bool)), high, low)
        np.testing.assert_allclose(points[row].reshape(8, 8), expected, rtol=0, atol=0.05)
    for turn in TURNS:
        laid = perceptual_points(turned(pixels, turn), rows, turns=True)
        np.testing.assert_allclose(laid, points, rtol=0, atol=0.05)
        # However laid, two pictures are at least as far apart as their points.
        other = perceptual_points(turned(pixels, turn), rows, turns=False)
        apart = np.linalg.norm(other[0] - plain[1])
        assert np.linalg.norm(points[0] - points[1]) <= apart + 0.05


def test_the_index_meets_what_comparing_every_pair_would() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1500, 24)).astype(np.float32)
    points[750:] = points[:750] + rng.normal(size=(750, 24)).astype(np.float32) / 10
    rows = np.sort(rng.choice(9000, 1500, replace=False))
    found = nearest_pairs(points, rows, neighbours=6)
    assert (found[:, 0] < found[:, 1]).all()
    assert len(np.unique(found, axis=0)) == len(found) <= 1500 * 6
    apart = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    nearest = np.argsort(apart, axis=1)[:, 1:7]
    expected = {
        (int(rows[min(a, b)]), int(rows[max(a, b)])) for a in range(1500) for b in nearest[a]
    }
    pairs = {(int(a), int(b)) for a, b in found}
    assert {(int(rows[row]), int(rows[row + 750])) for row in range(750)} <= pairs
    assert len(pairs & expected) > 0.98 * len(expected)
    assert np.array_equal(nearest_pairs(points, rows, neighbours=6), found)


def test_more_neighbours_than_pictures_are_no_harm() -> None:
    found = nearest_pairs(np.eye(3, 4, dtype=np.float32), np.array([4, 7, 9]), neighbours=200)
    assert found.tolist() == [[4, 7], [4, 9], [7, 9]]


def test_copies_are_met_however_they_are_laid() -> None:
    pictures = [scene(seed) for seed in range(40)]
    for row, turn in enumerate(Image.Transpose):
        pictures[30 + row] = noisy(pictures[row].transpose(turn), 50)
    thumbnails = thumbnails_of(pictures)
    rows = np.arange(40)
    points = perceptual_points(thumbnails, rows, turns=True)
    pairs = nearest_pairs(points, rows, neighbours=3)
    looks = Thumbnails.of(thumbnails)
    turns = best_turns(looks, pairs)
    mean, worst = differences(looks, pairs, turns)
    near = (mean <= UNLIKE[0]) & (worst <= UNLIKE[1])
    assert [(*pair, turn) for pair, turn in zip(pairs[near], turns[near], strict=True)] == [
        (row, 30 + row, 1 + row) for row in range(7)
    ]


def slow_difference(
    a: NDArray[np.uint8], b: NDArray[np.uint8], turn: Image.Transpose | None
) -> tuple[float, float]:
    """Compare two thumbnails pixel by pixel."""
    laid = np.asarray(Image.fromarray(a) if turn is None else Image.fromarray(a).transpose(turn))
    less, more = sorted(
        max(int(pixel.max()) - int(pixel.min()) for pixel in one.reshape(-1, 3)) for one in (a, b)
    )
    grey = less <= GREY and more >= COLOURED
    weights = (0.299, 0.587, 0.114)
    gap = np.zeros((32, 32))
    for y in range(32):
        for x in range(32):
            apart = [int(p) - int(q) for p, q in zip(laid[y, x], b[y, x], strict=True)]
            signed = abs(sum(w * d for w, d in zip(weights, apart, strict=True)))
            gap[y, x] = signed if grey else sum(map(abs, apart)) / 3
    blocks = [gap[y : y + 4, x : x + 4].mean() for y in range(0, 32, 4) for x in range(0, 32, 4)]
    return float(gap.mean()), float(max(blocks))


@settings(max_examples=30, deadline=None)
@given(pictures_of_any_kind, st.integers(0, 7), st.integers(0, 40), st.integers(0, 2))
def test_differences_are_the_slow_ones_wherever_they_matter(
    pixels: NDArray[np.uint8], turn: int, noise: int, grey: int
) -> None:
    rng = np.random.default_rng(noise)
    # The second is the first, laid otherwise and altered; the third is anything.
    altered = turned(pixels[0], TURNS[turn]).astype(int) + rng.integers(-noise, noise + 1)
    pixels[1] = np.clip(altered + rng.integers(-2, 3, altered.shape), 0, 255)
    for row in range(grey):
        pixels[row] = pixels[row].mean(axis=2, keepdims=True).astype(np.uint8)
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    turns = np.array([turn, turn, 0])
    found = differences(Thumbnails.of(pixels), pairs, turns)
    for (a, b), laid, mean, worst in zip(pairs, turns, *found, strict=True):
        expected = slow_difference(pixels[a], pixels[b], TURNS[laid])
        if np.isfinite(mean):
            assert (mean, worst) == pytest.approx(expected, abs=1e-3)
        else:
            assert expected[0] > UNLIKE[0] or expected[1] > UNLIKE[1]


@needs_shared
def test_altered_copies_of_real_photos() -> None:
    folder = SHARED / "data" / "curation" / "near_duplicates"
    photo = str(folder / "mixed_images" / "ukbench00120.jpg")
    mirror = Image.Transpose.FLIP_LEFT_RIGHT
    assert compare(photo, str(folder / "mixed_images" / "ukbench00120_hflip.jpg"), mirror)
    assert compare(photo, str(folder / "mixed_images" / "ukbench00120_resize.jpg"))
    assert not compare(photo, str(folder / "mixed_images" / "ukbench00120_rotation.jpg"))
    assert not compare(photo, str(folder / "mixed_images" / "ukbench09268.jpg"))
