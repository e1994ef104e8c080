from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import FakeRuntime, draw
from gingham import Catalogue
from gingham.errors import ImageError, InputError
from gingham.images import open_image
from gingham.parts import LEAST, Part


def png(pixels: np.ndarray, exif: Image.Exif | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **({"exif": exif} if exif else {}))
    return buffer.getvalue()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((0, 0, 1, 1), slice(0, 40), slice(0, 60)),
        ((0.5, 0.25, 1, 0.75), slice(10, 30), slice(30, 60)),
        ((0, 0, 0.0001, 0.0001), slice(0, 1), slice(0, 1)),
        ((0.9999, 0.9999, 1, 1), slice(39, 40), slice(59, 60)),
    ],
)
def test_a_part_has_the_pixels_of_its_box(
    pixels: np.ndarray,
    box: tuple[float, float, float, float],
    rows: slice,
    columns: slice,
) -> None:
    part = open_image(Part(png(pixels), box).read())
    np.testing.assert_array_equal(np.asarray(part), pixels[rows, columns])


def test_the_box_is_of_the_upright_picture(pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    part = open_image(Part(png(pixels, exif), (0, 0, 0.5, 1)).read())
    np.testing.assert_array_equal(np.asarray(part), np.rot90(pixels, -1)[:, :20])


def test_a_large_jpeg_keeps_the_pixels_that_are_read(tmp_path: Path) -> None:
    Image.new("RGB", (6000, 4000), "teal").save(tmp_path / "large.jpg")
    part = open_image(Part(tmp_path / "large.jpg", (0, 0, 0.9, 0.9)).read())
    assert part.size == (2700, 1800)
    assert min(part.size) >= 2 * LEAST


@pytest.mark.parametrize(
    "box",
    [(0, 0, 0, 1), (0.5, 0, 0.4, 1), (0, -0.1, 1, 1), (0, 0, 1, 1.01), (0, 0, float("nan"), 1)],
)
def test_a_box_that_is_none_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match=f"got 0.*{box[3]:g}"):
        Part(b"", box)


def test_the_limit_of_pixels_counts_for_the_whole(pixels: np.ndarray) -> None:
    with pytest.raises(ImageError, match="60x40 pixels"):
        Part(png(pixels), (0, 0, 0.1, 0.1), max_pixels=2399).read()


def test_a_part_is_searched_like_a_file_of_its_own(tmp_path: Path) -> None:
    for seed, colour in enumerate(("red", "green", "blue")):
        draw(tmp_path / "photos" / f"{colour}.jpg", colour, seed)
    two = [
        np.asarray(open_image((tmp_path / f"photos/{c}.jpg").read_bytes())) for c in ("red", "blue")
    ]
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        shop.index([tmp_path / "photos"])
        beside = png(np.concatenate(two, axis=1))
        for box, name in (((0, 0, 0.5, 1), "red"), ((0.5, 0, 1, 1), "blue")):
            (hit,) = shop.search(Part(beside, box), n=1, with_self=True)
            assert Path(hit.image).stem == name
            assert hit.score == pytest.approx(3, abs=1e-3)
