"""What is called a copy, and what is not; the index against every pair."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from conftest import SHARED, needs_shared
from gingham.curation.copies import TURNS, difference, read_encoded, turned, undo
from gingham.curation.neighbours import (
    alike_pairs,
    feature_pairs,
    hash_pairs,
    perceptual_hashes,
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


def test_the_hash_is_the_definition_s() -> None:
    thumbnails = thumbnails_of([scene(seed) for seed in range(3)])
    n = np.arange(32)
    basis = np.cos(np.pi * (n[None, :] + 0.5) * n[:, None] / 32)
    for thumbnail, found in zip(thumbnails, perceptual_hashes(thumbnails), strict=True):
        brightness = thumbnail @ np.array([0.299, 0.587, 0.114])
        lowest = (basis @ brightness @ basis.T)[:8, :8].ravel()
        expected = lowest > np.median(lowest)
        assert (np.unpackbits(found) != expected).sum() == 0


def test_the_index_of_hashes_meets_what_comparing_every_pair_would() -> None:
    rng = np.random.default_rng(0)
    pictures = [scene(seed) for seed in range(60)]
    for row in range(0, 60, 3):
        pictures[row + 1] = noisy(pictures[row], int(rng.integers(20, 90)))
    thumbnails = thumbnails_of(pictures)
    rows = np.arange(60)
    bits = np.unpackbits(perceptual_hashes(thumbnails), axis=1)
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    near = {(a, b) for a in range(60) for b in range(a + 1, 60) if apart[a, b] <= 7}
    found = hash_pairs(thumbnails, rows, turns=False, neighbours=59)
    assert near <= {(int(a), int(b)) for a, b, _ in found}
    assert {(row, row + 1) for row in range(0, 60, 3)} <= near


def test_candidates_name_rows_and_turns() -> None:
    pictures = [scene(seed) for seed in range(40)]
    pictures[30] = pictures[5].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pictures[31] = pictures[6].transpose(Image.Transpose.ROTATE_90)
    thumbnails = thumbnails_of(pictures)
    rows = np.delete(np.arange(40), [0, 1, 2])
    rng = np.random.default_rng(0)
    reduced = rng.normal(size=(40, 16)).astype(np.float32)
    reduced[30], reduced[31] = reduced[5], reduced[6]
    by_hash = hash_pairs(thumbnails, rows, turns=True, neighbours=5)
    by_features = feature_pairs(reduced[rows], thumbnails, rows, turns=True, neighbours=3)
    wanted = {
        (5, 30, TURNS.index(Image.Transpose.FLIP_LEFT_RIGHT)),
        (6, 31, TURNS.index(Image.Transpose.ROTATE_90)),
    }
    for pairs in (by_hash, by_features):
        found, mean, worst = alike_pairs(thumbnails, pairs)
        assert wanted == {(int(a), int(b), int(turn)) for a, b, turn in found}
        assert (mean < 1).all()
        assert (worst < 5).all()
    plain = hash_pairs(thumbnails, rows, turns=False, neighbours=5)
    assert len(alike_pairs(thumbnails, plain)[0]) == 0


def test_pairs_are_looked_up_not_all_compared() -> None:
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(0, 255, (3000, 32, 32, 3)).astype(np.uint8)
    pairs = hash_pairs(thumbnails, np.arange(3000), turns=False, neighbours=8)
    assert len(pairs) <= 3000 * 8


@needs_shared
def test_altered_copies_of_real_photos() -> None:
    folder = SHARED / "data" / "curation" / "near_duplicates"
    photo = str(folder / "mixed_images" / "ukbench00120.jpg")
    mirror = Image.Transpose.FLIP_LEFT_RIGHT
    assert compare(photo, str(folder / "mixed_images" / "ukbench00120_hflip.jpg"), mirror)
    assert compare(photo, str(folder / "mixed_images" / "ukbench00120_resize.jpg"))
    assert not compare(photo, str(folder / "mixed_images" / "ukbench00120_rotation.jpg"))
    assert not compare(photo, str(folder / "mixed_images" / "ukbench09268.jpg"))
