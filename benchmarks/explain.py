"""Do the heat maps of taught attributes lie where the value is? On garments drawn two ways.

A garment is drawn twice, from the same random numbers but with two patterns or colours, and one
half of the one is laid on the other: then it is known where each value is. And of garments drawn
plainly, hiding the hottest fifth of what was read should cost confidence; hiding the same shape
elsewhere should not.

Usage: explain.py [--halves N] [--hidden N] [--picture FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

from garment_cuts import GARMENTS
from garment_patterns import COLOURS, PATTERNS
from garments import draw_catalogue, draw_garment
from gingham import Catalogue
from gingham.explaining import Explanation, draw_overlay

TAUGHT = 10
ATTRIBUTES = {"colour": list(COLOURS), "pattern": list(PATTERNS)}


@dataclass(frozen=True)
class Half:
    """A picture whose `first` half (left or upper) is of one value, the other of another."""

    file: Path
    attribute: str
    values: tuple[str, str]
    axis: int


def teach(folder: Path, images: int, seed: int) -> Catalogue:
    """Draw a catalogue and teach both attributes with the first ten garments of every value."""
    garments = draw_catalogue(folder / "photos", images=images, seed=seed)
    shop = Catalogue.create(folder / "shop")
    for attribute in ATTRIBUTES:
        examples: dict[Path, str] = {}
        for garment in garments:
            value = getattr(garment, attribute)
            if list(examples.values()).count(value) < TAUGHT:
                examples[folder / "photos" / garment.image] = value
        shop.teach(attribute, examples)
    return shop


def draw_halves(folder: Path, count: int, seed: int) -> list[Half]:
    """Draw garments of two values each, turn by turn of two colours and of two patterns."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    drawn = []
    for number in range(count):
        attribute = list(ATTRIBUTES)[number % 2]
        garment = str(random.choice(list(GARMENTS)))
        first, second = random.choice(ATTRIBUTES[attribute], 2, replace=False).tolist()
        # Two colours are seen best without a pattern; of two patterns the colour is the same.
        ground = str(random.choice(list(COLOURS)))
        looks = [(v, "plain") if attribute == "colour" else (ground, v) for v in (first, second)]
        one, other = (
            np.asarray(draw_garment(np.random.default_rng([seed, number]), garment, *look))
            for look in looks
        )
        axis = int(random.integers(2))
        picture = other.copy()
        half = (slice(None),) * axis + (slice(picture.shape[axis] // 2),)
        picture[half] = one[half]
        file = folder / f"{number:04d}.png"
        Image.fromarray(picture).save(file)
        drawn.append(Half(file, attribute, (first, second), axis))
    return drawn


@dataclass(frozen=True)
class Hits:
    """How often the hottest place, and how much of the heat, is in the half of its value."""

    attribute: str
    maps: int
    hottest: float
    heat: float
    hotter: float

    def __str__(self) -> str:
        return (
            f"{self.attribute}: of {self.maps} maps the hottest place is in the right half in "
            f"{self.hottest:.3f}, the right half is the hotter one in {self.hotter:.3f}; "
            f"{self.heat:.3f} of what speaks for the value lies there"
        )


def point(shop: Catalogue, halves: Sequence[Half]) -> list[Hits]:
    """Ask for both values of every picture; each has its half."""
    found: dict[str, list[tuple[bool, float, bool]]] = {name: [] for name in ATTRIBUTES}
    for half in halves:
        (result,) = shop.explain([half.file], attributes=[half.attribute], values=half.values)
        for explanation in result.explanations:
            heat = explanation.heat
            # What is read is the middle of the picture, so its halves are the picture's.
            inside = np.zeros(heat.shape, bool)
            inside[(slice(None),) * half.axis + (slice(heat.shape[half.axis] // 2),)] = True
            if explanation.value == half.values[1]:
                inside = ~inside
            positive = np.maximum(heat, 0)
            found[half.attribute].append(
                (
                    bool(inside.ravel()[heat.argmax()]),
                    float(positive[inside].sum() / positive.sum()),
                    bool(heat[inside].mean() > heat[~inside].mean()),
                )
            )
    return [
        Hits(name, len(rows), *(float(x) for x in np.mean(rows, axis=0)))
        for name, rows in found.items()
        if rows
    ]


def hide(
    picture: NDArray[np.uint8], explanation: Explanation, mask: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Paint the places of a mask over what was read with the picture's mean colour."""
    high, wide = picture.shape[:2]
    left, top, right, bottom = explanation.box
    size = (round((right - left) * wide), round((bottom - top) * high))
    whole = Image.new("L", (wide, high))
    whole.paste(Image.fromarray(mask).resize(size), (round(left * wide), round(top * high)))
    hidden = picture.copy()
    hidden[np.asarray(whole) > 0] = picture.reshape(-1, 3).mean(axis=0).astype(np.uint8)
    return hidden


def occlude(shop: Catalogue, folder: Path, count: int, seed: int) -> dict[str, list[float]]:
    """Give mean confidences: nothing hidden, the hottest fifth, its shape elsewhere, the coldest.

    Of garments of their own seed, and answers that are right.
    """
    random = np.random.default_rng(seed)
    garments = draw_catalogue(folder / "plain", images=count, seed=seed)
    found: dict[str, list[list[float]]] = {name: [] for name in ATTRIBUTES}
    for garment in garments:
        (result,) = shop.explain([folder / "plain" / garment.image])
        assert result.picture is not None
        for explanation in result.explanations:
            if explanation.prediction.value != getattr(garment, explanation.attribute):
                continue
            heat = explanation.heat
            hottest = heat >= np.quantile(heat, 0.8)
            turned = hottest[:: random.choice((1, -1)), :: random.choice((1, -1))]
            shift = random.integers(heat.shape[0], size=2)
            elsewhere = np.roll(turned, (int(shift[0]), int(shift[1])), (0, 1))
            files = []
            for number, mask in enumerate((hottest, elsewhere, heat <= np.quantile(heat, 0.2))):
                files.append(folder / f"hidden{number}.png")
                Image.fromarray(hide(result.picture, explanation, mask)).save(files[-1])
            answers = shop.predict(files, attributes=[explanation.attribute])
            found[explanation.attribute].append(
                [explanation.confidence]
                + [a.predictions[explanation.attribute].values[explanation.value] for a in answers]
            )
    return {
        name: [*np.mean(rows, axis=0).tolist(), len(rows)] for name, rows in found.items() if rows
    }


def measure_speed(shop: Catalogue, files: Sequence[Path]) -> None:
    """Print milliseconds an image, by the number of attributes."""
    list(shop.explain(files[:2]))
    for names in (["colour"], ["pattern"], ["colour", "pattern"]):
        started = time.perf_counter()
        results = list(shop.explain(files, attributes=names))
        seconds = time.perf_counter() - started
        print(f"explain {'+'.join(names)}: {1000 * seconds / len(files):.1f} ms an image")
    started = time.perf_counter()
    overlays = [
        draw_overlay(result.picture, explanation)
        for result in results
        if result.picture is not None
        for explanation in result.explanations
    ]
    seconds = time.perf_counter() - started
    print(f"draw an overlay: {1000 * seconds / len(overlays):.1f} ms")


def draw_picture(shop: Catalogue, halves: Sequence[Half], file: Path) -> None:
    """Put pictures beside the maps of both their values, as docs/explain.jpg does."""
    side, gap, line = 200, 8, 22
    rows = []
    for half in halves:
        (result,) = shop.explain([half.file], attributes=[half.attribute], values=half.values)
        assert result.picture is not None
        tiles = [("the picture", Image.fromarray(result.picture))]
        tiles += [(e.value, draw_overlay(result.picture, e)) for e in result.explanations]
        rows.append(tiles)
    cell = (side + gap, round(side * 4 / 3) + line + gap)
    per_line = 2
    sheet = Image.new(
        "RGB", (cell[0] * 3 * per_line + gap, cell[1] * -(-len(rows) // per_line) + gap), "white"
    )
    draw = ImageDraw.Draw(sheet)
    for number, tiles in enumerate(rows):
        for column, (words, tile) in enumerate(tiles):
            x = gap + cell[0] * (column + 3 * (number % per_line))
            y = gap + cell[1] * (number // per_line)
            draw.text((x, y + 3), words, fill="black", font_size=15)
            tile.thumbnail((side, cell[1] - line - gap), Image.Resampling.LANCZOS)
            sheet.paste(tile, (x, y + line))
    sheet.save(file, quality=88)


def main(halves: int, hidden: int, picture: Path | None) -> None:
    """Print all figures."""
    from measure import machine

    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with teach(folder, 300, 1) as shop:
            drawn = draw_halves(folder / "halves", halves, 99)
            for hits in point(shop, drawn):
                print(hits)
            for name, (whole, hottest, elsewhere, coldest, count) in occlude(
                shop, folder, hidden, 7
            ).items():
                print(
                    f"{name}: mean confidence of {count:.0f} right answers {whole:.3f}; hidden "
                    f"the hottest fifth {hottest:.3f}, its shape elsewhere {elsewhere:.3f}, the "
                    f"coldest fifth {coldest:.3f}"
                )
            measure_speed(shop, [half.file for half in drawn[:60]])
            if picture:
                draw_picture(shop, drawn[:6], picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--halves", type=int, default=200)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--picture", type=Path, help="Write examples of maps to this JPEG.")
    options = parser.parse_args()
    main(options.halves, options.hidden, options.picture)
