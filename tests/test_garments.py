from __future__ import annotations

import csv
import hashlib
from collections import Counter
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from garment_cuts import GARMENTS
from garment_patterns import COLOURS, PATTERNS
from garments import Garment, draw_catalogue, draw_garment

# What people call these colours, in sRGB; not the ranges the pictures are drawn from.
NAMED = {
    "red": [(204, 30, 40)],
    "orange": [(245, 140, 30)],
    "yellow": [(248, 214, 50), (250, 230, 110)],
    "green": [(50, 140, 60), (100, 180, 110), (30, 100, 50)],
    "blue": [(40, 100, 190), (90, 150, 220), (20, 70, 130)],
    "purple": [(120, 50, 160), (150, 100, 200), (80, 20, 130)],
    "pink": [(245, 150, 190), (240, 120, 160)],
    "brown": [(100, 65, 30), (75, 45, 30)],
    "black": [(20, 20, 20)],
    "white": [(245, 245, 242)],
    "grey": [(130, 130, 130), (165, 165, 165)],
}


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jpg")
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Garment]]:
    folder = tmp_path_factory.mktemp("garments")
    return folder, draw_catalogue(folder, images=88, seed=1)


def test_the_labels_match_the_files(drawn: tuple[Path, list[Garment]]) -> None:
    folder, rows = drawn
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file)
    assert head == ["image", "garment", "colour", "pattern"]
    assert [tuple(line) for line in lines] == [astuple(row) for row in rows]
    assert {row.image for row in rows} == set(digests(folder))
    for row in rows:
        with Image.open(folder / row.image) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert 280 <= image.width <= 320
            assert 375 <= image.height <= 425


def test_every_value_is_as_frequent_as_any_other(drawn: tuple[Path, list[Garment]]) -> None:
    _, rows = drawn
    assert Counter(row.colour for row in rows) == dict.fromkeys(COLOURS, 8)
    assert Counter(row.pattern for row in rows) == dict.fromkeys(PATTERNS, 11)
    assert Counter(row.garment for row in rows) == dict.fromkeys(GARMENTS, 11)


def test_no_two_pictures_are_alike(drawn: tuple[Path, list[Garment]]) -> None:
    assert len(set(digests(drawn[0]).values())) == 88


def test_a_seed_draws_the_same_again_and_more_images_only_add(
    tmp_path: Path, drawn: tuple[Path, list[Garment]]
) -> None:
    folder, rows = drawn
    assert draw_catalogue(tmp_path / "again", images=12, seed=1) == rows[:12]
    all_of_them = digests(folder)
    again = digests(tmp_path / "again")
    assert again == {name: all_of_them[name] for name in again}
    draw_catalogue(tmp_path / "other", images=12, seed=2)
    assert not set(digests(tmp_path / "other").values()) & set(all_of_them.values())


def test_no_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        draw_catalogue(tmp_path, images=0, seed=1)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Björn Ottosson's OKLab of sRGB in 0..255, (N, 3)."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.asarray(np.cbrt(linear @ np.array(to_cones).T) @ np.array(to_lab).T)


def nearest_names(rgb: np.ndarray) -> list[str]:
    """The name of each colour in (N, 3) sRGB."""
    here = oklab(rgb)[:, None]
    away = [np.linalg.norm(oklab(np.array(c)) - here, axis=2).min(1) for c in NAMED.values()]
    return [list(NAMED)[k] for k in np.argmin(away, axis=0)]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_plain_garment_looks_like_the_name_of_its_colour(colour: str) -> None:
    for number in range(8):
        random = np.random.default_rng([7, number])
        garment = ["swatch", "t-shirt", "skirt", "jumper"][number % 4]
        image = np.asarray(draw_garment(random, garment, colour, "plain"))
        high, wide = image.shape[:2]
        middle = image[high * 4 // 9 : high * 5 // 9, wide * 4 // 9 : wide * 5 // 9]
        middle_colour = np.median(middle, axis=(0, 1))[None]
        assert nearest_names(middle_colour) == [colour], (garment, number)


@pytest.mark.parametrize("pattern", [name for name in PATTERNS if name != "plain"])
def test_a_pattern_shows_but_leaves_more_of_the_ground_than_of_any_other(pattern: str) -> None:
    ground = 0
    for number, colour in enumerate(COLOURS):
        random = np.random.default_rng([8, number])
        image = np.asarray(draw_garment(random, "swatch", colour, pattern))
        high, wide = image.shape[:2]
        middle = image[high // 3 : high * 2 // 3 : 5, wide // 3 : wide * 2 // 3 : 5].reshape(-1, 3)
        assert oklab(middle).std(0).max() > 0.03, (colour, number)
        ((most, _),) = Counter(nearest_names(middle)).most_common(1)
        ground += most == colour
    # Half of a gingham is the mixture of its two colours, which has a name of its own.
    assert ground >= (9 if pattern != "gingham" else 0)
