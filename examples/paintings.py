"""A small museum of drawn pictures: what they show, and how they were made.

Run it: `python examples/paintings.py FOLDER [IMAGES] [SEED]`. It writes JPEG files and
`collection.csv`, whose labels are true by construction.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Random = np.random.Generator
SIZE = (320, 256)
ARTISTS = ("A. Grove", "M. Lind", "J. Okoro", "R. Vasari")


class Painting(NamedTuple):
    """One picture of the collection, and what is true of it."""

    image: str
    title: str
    artist: str
    year: int
    genre: str
    technique: str


def _colour(random: Random, hue: float, chroma: float, light: float) -> tuple[int, int, int]:
    """Give a colour near a hue (degrees), chroma and lightness (percent) of HSL."""
    near = random.normal([hue, chroma, light], [7, 6, 4])
    hsl = f"hsl({near[0] % 360:.0f},{np.clip(near[1], 0, 100):.0f}%,{np.clip(near[2], 4, 96):.0f}%)"
    return Image.new("RGB", (1, 1), hsl).getpixel((0, 0))  # type: ignore[return-value]


def _sky(random: Random, low: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    hue = random.choice([28, 205, 215])
    top, bottom = _colour(random, hue, 55, 55), _colour(random, hue, 45, 86)
    shade = Image.linear_gradient("L").resize((SIZE[0], low)).crop((0, 0, *SIZE))
    sky = Image.composite(Image.new("RGB", SIZE, bottom), Image.new("RGB", SIZE, top), shade)
    return sky, ImageDraw.Draw(sky)


def _ridge(random: Random, base: float, height: float) -> list[tuple[float, float]]:
    x = np.linspace(0, SIZE[0], 60)
    waves = (np.sin(x / random.uniform(18, 90) + random.uniform(0, 6)) for _ in range(4))
    y = base + height * sum(waves, np.zeros_like(x)) / 4
    return [(0, SIZE[1]), *zip(x.tolist(), y.tolist(), strict=True), SIZE]


def _landscape(random: Random) -> Image.Image:
    picture, draw = _sky(random, 150)
    for depth in range(4):
        colour = _colour(random, 105 - 12 * depth, 22 + 8 * depth, 62 - 11 * depth)
        draw.polygon(_ridge(random, 110 + 36 * depth, 26), fill=colour)
    for _ in range(int(random.integers(3, 9))):
        x, y, r = random.uniform(10, 310), random.uniform(150, 225), random.uniform(10, 26)
        draw.line((x, y, x, y + 1.6 * r), fill=_colour(random, 25, 40, 22), width=int(2 + r / 7))
        leaves = _colour(random, 110, 38, 26)
        draw.ellipse((x - r, y - 1.3 * r, x + r, y + r * 0.7), fill=leaves)
    return picture


def _seascape(random: Random) -> Image.Image:
    picture, draw = _sky(random, 130)
    for row in range(10):
        colour = _colour(random, 204, 45, 58 - 4 * row)
        draw.polygon(_ridge(random, 122 + 14 * row, 5 + row), fill=colour)
    for _ in range(int(random.integers(1, 4))):
        x, y, r = random.uniform(40, 280), random.uniform(130, 190), random.uniform(12, 34)
        wood, cloth = _colour(random, 24, 45, 22), _colour(random, 42, 35, 88)
        draw.polygon(
            [(x - r, y), (x + r, y), (x + 0.7 * r, y + r / 2.6), (x - r * 0.7, y + r / 2.6)], wood
        )
        draw.line((x, y, x, y - 2.1 * r), fill=wood, width=2)
        draw.polygon([(x + 2, y - 2 * r), (x + 0.95 * r, y - 3), (x + 2, y - 3)], cloth)
        draw.polygon([(x - 2, y - 1.8 * r), (x - 0.8 * r, y - 3), (x - 2, y - 3)], cloth)
    return picture


def _portrait(random: Random) -> Image.Image:
    picture = Image.new("RGB", SIZE, _colour(random, random.uniform(0, 60), 25, 20))
    draw = ImageDraw.Draw(picture)
    x, y, r = 160 + random.normal(0, 14), 104 + random.normal(0, 6), random.uniform(38, 48)
    coat, hair = _colour(random, random.uniform(0, 360), 35, 28), _colour(random, 25, 30, 18)
    skin = _colour(random, 24, 42, random.uniform(45, 74))
    draw.ellipse((x - 2.7 * r, y + 1.35 * r, x + 2.7 * r, y + 6 * r), fill=coat)
    draw.ellipse(
        (x - 1.2 * r, y - 1.6 * r, x + 1.2 * r, y + random.uniform(0.3, 1.5) * r), fill=hair
    )
    draw.rectangle((x - r / 2.4, y + r / 2, x + r / 2.4, y + 1.75 * r), fill=skin)
    draw.ellipse((x - r, y - 1.3 * r, x + r, y + 1.3 * r), fill=skin)
    turn = random.normal(0, r / 7)
    for side in (-1, 1):
        eye = x + turn + side * r * 0.4
        draw.ellipse((eye - 7, y - 0.35 * r, eye + 7, y - 0.35 * r + 9), fill="ivory")
        draw.ellipse(
            (eye - 3 + turn / 4, y - 0.33 * r, eye + 4 + turn / 4, y - 0.35 * r + 9), fill=hair
        )
    draw.line((x + turn, y - 0.2 * r, x + 1.6 * turn, y + 0.35 * r), fill=coat, width=2)
    draw.chord((x + turn - 12, y + 0.5 * r, x + turn + 12, y + 0.5 * r + 12), 0, 180, "#9b3b34")
    return picture


def _still_life(random: Random) -> Image.Image:
    picture = Image.new("RGB", SIZE, _colour(random, random.uniform(20, 60), 20, 26))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 168, *SIZE), fill=_colour(random, 30, 42, random.uniform(30, 75)))
    x, wide = random.uniform(60, 260), random.uniform(22, 34)
    vase = _colour(random, random.choice([8, 200, 150]), 45, 42)
    for _ in range(int(random.integers(5, 10))):
        at = (x + random.normal(0, 38), random.uniform(20, 84))
        draw.line((x, 110, *at), fill=_colour(random, 110, 40, 28), width=3)
        r, petal = random.uniform(8, 17), _colour(random, random.choice([0, 48, 320]), 70, 62)
        draw.ellipse((at[0] - r, at[1] - r, at[0] + r, at[1] + r), fill=petal)
    draw.ellipse((x - wide, 112, x + wide, 206), fill=vase)
    draw.rectangle((x - wide / 2, 98, x + wide / 2, 130), fill=vase)
    for _ in range(int(random.integers(3, 8))):
        cx, cy, r = random.uniform(20, 300), random.uniform(186, 222), random.uniform(13, 24)
        fruit = _colour(random, random.choice([4, 30, 52, 95]), 70, 47)
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fruit)
        draw.ellipse((cx - r / 2, cy - r / 2, cx - r / 6, cy - r / 6), fill="#ffffff")
    return picture


def _noise(random: Random, grain: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    small = random.standard_normal((size[1] // grain + 1, size[0] // grain + 1)).astype(np.float32)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))


def _oil(random: Random, picture: Image.Image) -> Image.Image:
    """Dab short thick strokes of the picture's colours, lit from one side."""
    canvas, draw = picture.copy(), None
    draw = ImageDraw.Draw(canvas)
    flow = 2.5 * _noise(random, 90)
    for x, y in random.integers((0, 0), SIZE, (5200, 2)).tolist():
        colour = np.array(picture.getpixel((x, y))) + random.normal(0, 11, 3)
        turn, half = flow[y, x], random.uniform(3, 9)
        dx, dy = half * np.cos(turn), half * np.sin(turn)
        draw.line((x - dx, y - dy, x + dx, y + dy), tuple(colour.clip(0, 255).astype(int)), 4)
    relief = canvas.convert("L").filter(
        ImageFilter.Kernel((3, 3), [-2, -1, 0, -1, 0, 1, 0, 1, 2], 3, 128)
    )
    return ImageChops.overlay(canvas, relief.convert("RGB"))


def _watercolour(random: Random, picture: Image.Image) -> Image.Image:
    """Let thin washes run on rough paper, darker at their edges."""
    soft = picture.filter(ImageFilter.ModeFilter(9)).filter(ImageFilter.GaussianBlur(2.2))
    wet = 0.25 + 0.75 * np.asarray(soft, np.float32) / 255
    rim = np.asarray(
        picture.convert("L").filter(ImageFilter.FIND_EDGES).filter(ImageFilter.GaussianBlur(1))
    )
    wash = 0.8 + 0.09 * _noise(random, 40)[..., None] + 0.05 * _noise(random, 2)[..., None]
    made = 1 - (1 - wet) * wash.clip(0.3, 1) - 0.25 * rim[..., None] / 255
    paper = Image.fromarray((255 * made.clip(0, 1)).astype(np.uint8))
    blank = Image.new("L", SIZE, 0)
    ImageDraw.Draw(blank).rectangle((14, 14, SIZE[0] - 15, SIZE[1] - 15), fill=255)
    ragged = blank.filter(ImageFilter.GaussianBlur(5))
    return Image.composite(paper, Image.new("RGB", SIZE, "#f7f3e6"), ragged)


def _etching(random: Random, picture: Image.Image) -> Image.Image:
    """Hatch in black on cream paper, closer where the picture is dark."""
    even = ImageOps.equalize(picture.convert("L"))
    grey = 0.2 + 0.8 * np.asarray(even, np.float32) / 255
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.6 * np.stack([_noise(random, 14), _noise(random, 14)])
    ink = np.zeros(SIZE[::-1], bool)
    for limit, turn in ((0.75, 0.8), (0.5, -0.7), (0.3, 0.1), (0.15, 1.5)):
        lines = np.sin((x * np.cos(turn) + y * np.sin(turn)) * random.uniform(1.2, 1.5))
        ink |= (grey < limit) & (lines > 0.25)
    ink |= np.asarray(picture.convert("L").filter(ImageFilter.FIND_EDGES)) > 40
    mask = Image.fromarray((255 * ink).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.5))
    paper = Image.new("RGB", SIZE, _colour(random, 44, 40, 90))
    return Image.composite(Image.new("RGB", SIZE, "#241f1a"), paper, mask)


GENRES: dict[str, Callable[[Random], Image.Image]] = {
    "landscape": _landscape,
    "seascape": _seascape,
    "portrait": _portrait,
    "still life": _still_life,
}
TECHNIQUES: dict[str, Callable[[Random, Image.Image], Image.Image]] = {
    "oil": _oil,
    "watercolour": _watercolour,
    "etching": _etching,
}


def draw_collection(folder: Path, *, images: int = 96, seed: int = 1) -> list[Painting]:
    """Draw a collection into a folder: JPEG files and `collection.csv`.

    Parameters
    ----------
    folder : made if it is not there.
    images : how many to draw; genres and techniques are spread evenly.
    seed : the same seed draws the same pictures.

    Returns
    -------
    One `Painting` per image, in the order of `collection.csv`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    kinds = [(genre, technique) for genre in GENRES for technique in TECHNIQUES]
    for number in range(images):
        random = np.random.default_rng([seed, number])
        genre, technique = kinds[number % len(kinds)]
        picture = TECHNIQUES[technique](random, GENRES[genre](random))
        name = f"inv-{number:04d}.jpg"
        picture.save(folder / name, quality=88)
        title, artist = (
            f"{genre.capitalize()}, no. {number // len(kinds) + 1}",
            random.choice(ARTISTS),
        )
        made.append(
            Painting(name, title, str(artist), int(random.integers(1820, 1910)), genre, technique)
        )
    with (folder / "collection.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([Painting._fields, *made])
    return made


if __name__ == "__main__":
    draw_collection(
        Path(sys.argv[1]),
        images=int([*sys.argv[2:], "96"][0]),
        seed=int([*sys.argv[3:], "1"][0]),
    )
