"""A small field survey of drawn moths at a light trap: species, families, markings.

Run it: `python examples/moths.py FOLDER [IMAGES] [SEED]`. It writes JPEG files and `survey.csv`,
whose labels are true by construction.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Random = np.random.Generator
SIZE = 256
SCALE = 2  # drawn larger, then made smaller, for smooth edges


class Species(NamedTuple):
    """How a species looks: colours as HSL, wings as width and height of the body's length."""

    family: str
    fore: tuple[int, int, int]
    hind: tuple[int, int, int]
    mark: tuple[int, int, int]
    markings: str
    wide: float
    high: float


SPECIES = {
    "Deilephila elpenor": Species(
        "Sphingidae", (66, 32, 42), (345, 55, 62), (345, 55, 62), "bands", 1.25, 0.55
    ),
    "Smerinthus ocellata": Species(
        "Sphingidae", (26, 25, 48), (350, 55, 68), (215, 45, 45), "eyespots", 1.3, 0.7
    ),
    "Saturnia pavonia": Species(
        "Saturniidae", (20, 16, 58), (28, 62, 58), (350, 20, 18), "eyespots", 1.45, 0.95
    ),
    "Aglia tau": Species(
        "Saturniidae", (32, 68, 52), (32, 66, 55), (222, 45, 20), "eyespots", 1.4, 1.0
    ),
    "Biston betularia": Species(
        "Geometridae", (50, 12, 88), (50, 10, 86), (40, 10, 14), "speckles", 1.35, 0.75
    ),
    "Geometra papilionaria": Species(
        "Geometridae", (138, 38, 52), (138, 36, 58), (138, 25, 86), "bands", 1.3, 0.85
    ),
    "Tyria jacobaeae": Species(
        "Erebidae", (220, 12, 15), (358, 72, 46), (358, 75, 48), "bands", 1.15, 0.65
    ),
    "Arctia caja": Species(
        "Erebidae", (18, 50, 22), (16, 82, 48), (40, 50, 90), "speckles", 1.2, 0.75
    ),
}


class Moth(NamedTuple):
    """One photograph of the survey, and what is true of it."""

    image: str
    species: str
    family: str
    markings: str
    locality: str


def _colour(random: Random, hsl: tuple[int, int, int], more: float = 0) -> tuple[int, int, int]:
    hue, chroma, light = random.normal((hsl[0], hsl[1], hsl[2] + more), (4, 5, 3))
    text = f"hsl({hue % 360:.0f},{np.clip(chroma, 0, 100):.0f}%,{np.clip(light, 3, 97):.0f}%)"
    return Image.new("RGB", (1, 1), text).getpixel((0, 0))  # type: ignore[return-value]


def _ground(random: Random) -> Image.Image:
    """A white sheet, bark or a leaf."""
    side = SIZE * SCALE
    kind = random.integers(3)
    hsl = ((50, 12, 88), (28, 22, 38), (100, 35, 36))[kind]
    coarse = random.standard_normal([(6, 6), (4, 60), (9, 9)][kind]).astype(np.float32)
    fine = random.standard_normal((side, side)).astype(np.float32)
    rough = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))
    tone = 1 + (0.04, 0.16, 0.1)[kind] * rough + 0.03 * fine
    flat = np.array(_colour(random, hsl), np.float32)
    return Image.fromarray((flat * tone[..., None]).clip(0, 255).astype(np.uint8))


def _wing(kind: Species, unit: float, *, hind: bool) -> np.ndarray:
    """The right wing's outline, the body at the origin, y downwards."""
    wide, high = kind.wide * unit, kind.high * unit
    fore = [
        (0, -0.25 * unit),
        (0.75 * wide, -high),
        (1.05 * wide, -0.85 * high),
        (0.85 * wide, -0.05 * high),
        (0, 0.1 * unit),
    ]
    rear = [
        (0, 0),
        (0.85 * wide, -0.05 * high),
        (0.8 * wide, 0.55 * high),
        (0.35 * wide, 0.85 * high),
        (0, 0.35 * unit),
    ]
    points = np.array(rear if hind else fore)
    for _ in range(3):  # Chaikin's corner cutting
        nexts = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * nexts, 0.25 * points + 0.75 * nexts], 1).reshape(
            -1, 2
        )
    return points


def _mark(random: Random, kind: Species, unit: float, seed: int, *, hind: bool) -> Image.Image:
    """Markings of the right wings, clear elsewhere."""
    side, random = SIZE * SCALE, np.random.default_rng([seed, hind])
    layer = Image.new("RGBA", (side, side))
    draw, middle = ImageDraw.Draw(layer), side / 2
    colour = _colour(random, kind.mark)
    wide, high = kind.wide * unit, kind.high * unit
    if kind.markings == "eyespots":
        x, y = middle + 0.58 * wide, middle + (0.3 if hind else -0.5) * high
        for r, fill in (
            (0.19, colour),
            (0.13, _colour(random, (45, 60, 75))),
            (0.08, (15, 15, 20)),
        ):
            draw.ellipse((x - r * unit, y - r * unit, x + r * unit, y + r * unit), fill=fill)
    elif kind.markings == "bands":
        for share in (0.35, 0.62, 0.88):
            x = middle + share * wide + random.normal(0, 0.02 * wide)
            line = (x - 0.16 * wide, middle - 1.1 * high, x, middle + 0.9 * high)
            draw.line(line, fill=colour, width=int(0.055 * unit))
    else:
        for _ in range(46):
            x, y = middle + random.uniform(0.05, 1) * wide, middle + random.uniform(-1, 0.8) * high
            r = random.uniform(0.01, 0.055) * unit
            draw.ellipse((x - 1.6 * r, y - r, x + 1.6 * r, y + r), fill=colour)
    return layer


def draw_moth(random: Random, species: str) -> Image.Image:
    """Draw a moth with spread wings on a ground; (256, 256) RGB."""
    kind, side = SPECIES[species], SIZE * SCALE
    unit = side * random.uniform(0.24, 0.31)
    seed = int(random.integers(2**31))
    moth = Image.new("RGBA", (side, side))
    middle, veins = side / 2, _colour(random, kind.fore, -14)
    for hind in (True, False):
        outline = _wing(kind, unit, hind=hind)
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).polygon([tuple(p) for p in (outline + middle).tolist()], fill=255)
        wing = Image.new("RGBA", (side, side), _colour(random, kind.hind if hind else kind.fore))
        draw = ImageDraw.Draw(wing)
        for point in outline[::4]:
            draw.line((middle, middle, *(point + middle)), fill=veins, width=2)
        spots = _mark(random, kind, unit, seed, hind=hind)
        wing.alpha_composite(spots)
        half = Image.new("RGBA", (side, side))
        half.paste(wing, mask=mask)
        half.alpha_composite(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        moth.alpha_composite(half)
    draw = ImageDraw.Draw(moth)
    body, r = _colour(random, kind.fore, -10), 0.11 * unit
    draw.ellipse((middle - r, middle - 0.38 * unit, middle + r, middle + 0.62 * unit), fill=body)
    for way in (-1, 1):
        feeler = (middle, middle - 0.35 * unit, middle + way * 0.3 * unit, middle - 0.75 * unit)
        draw.line(feeler, fill=body, width=4)
    turn = random.uniform(-40, 40)
    moth = moth.rotate(turn, Image.Resampling.BICUBIC)
    ground = _ground(random)
    shadow = moth.getchannel("A").filter(ImageFilter.GaussianBlur(9)).point(lambda v: v * 0.45)
    ground.paste((20, 18, 14), (9, 12), shadow)
    ground.paste(moth, mask=moth.getchannel("A"))
    return ground.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def draw_survey(folder: Path, *, images: int = 96, seed: int = 1) -> list[Moth]:
    """Draw a survey into a folder: JPEG files and `survey.csv`.

    Parameters
    ----------
    folder : made if it is not there.
    images : how many to draw; species are spread evenly.
    seed : the same seed draws the same pictures.

    Returns
    -------
    One `Moth` per image, in the order of `survey.csv`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made, names = [], list(SPECIES)
    for number in range(images):
        random = np.random.default_rng([seed, number])
        name = names[number % len(names)]
        draw_moth(random, name).save(folder / f"trap-{number:04d}.jpg", quality=88)
        place = str(random.choice(("meadow", "wood", "garden")))
        made.append(
            Moth(
                f"trap-{number:04d}.jpg", name, SPECIES[name].family, SPECIES[name].markings, place
            )
        )
    with (folder / "survey.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([Moth._fields, *made])
    return made


if __name__ == "__main__":
    draw_survey(
        Path(sys.argv[1]),
        images=int([*sys.argv[2:], "96"][0]),
        seed=int([*sys.argv[3:], "1"][0]),
    )
