"""A small catalogue of drawn garments and fabrics, to try gingham on without any data of one's own.

Every picture is made here from numbers alone: a garment is cut, dyed and laid on a background,
its folds lit from one side. The labels are true by construction.
Run it: `python examples/garments.py FOLDER [IMAGES] [SEED]`.
"""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from garment_cuts import BEHIND, GARMENTS, Array, Cut, Random
from garment_patterns import COLOURS, PATTERNS, choose_dyes, oklch

SUPERSAMPLE = 3
COARSE = 3


@dataclass(frozen=True)
class Garment:
    """One picture of the catalogue and what is true of it; `colour` is that of the ground."""

    image: str
    garment: str
    colour: str
    pattern: str


def _clouds(random: Random, size: tuple[int, int], cells: tuple[int, int]) -> Array:
    """Smooth noise around 0 with a deviation near 1; `size` and `cells` are (width, height)."""
    grid = random.standard_normal(cells[::-1]).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))


def _background(random: Random, wide: int, high: int) -> Array:
    y, x = np.mgrid[0:high, 0:wide].astype(np.float32)
    light = 1 - 0.1 * np.hypot(
        x / wide - random.uniform(0.2, 0.6), y / high - random.uniform(0.0, 0.5)
    )
    kind = random.choice(5, p=[0.34, 0.22, 0.2, 0.12, 0.12])
    if kind == 0:
        return np.broadcast_to((0.965 + 0.03 * light)[..., None], (high, wide, 3)).copy()
    if kind == 1:
        slope = random.uniform(0.62, 0.88) + random.uniform(-0.14, 0.14) * (y / high - 0.5)
        tint = oklch(1.0, 0.004, random.uniform(0, 360))
        return np.asarray((slope * light)[..., None] * tint)
    if kind == 2:
        tint = oklch(random.uniform(0.84, 0.94), random.uniform(0.02, 0.05), random.uniform(0, 360))
        return np.asarray(light[..., None] * tint)
    if kind == 3:
        tint = oklch(random.uniform(0.74, 0.9), random.uniform(0.0, 0.025), random.uniform(40, 110))
        rough = sum(
            _clouds(random, (wide, high), (wide // n, high // n)) * n**0.5 for n in (2, 8, 48)
        )
        rough = np.clip(1 + 0.007 * rough + 0.03 * np.gradient(rough, axis=0), 0, 1.15)
        return np.asarray((light * rough)[..., None] * tint)
    planks = int(random.integers(3, 6))
    row = y / high * planks
    which = np.minimum(row.astype(np.int32), planks - 1)
    warp = _clouds(random, (wide, high), (3, planks * 4))
    fibre = _clouds(random, (wide, high), (8, high // 2)) * 0.35
    grain = np.sin((row + 0.22 * warp) * 16 + random.uniform(0, 6, planks)[which]) * 0.4 + fibre
    gap = np.clip(np.abs(row - np.round(row)) * high / planks / 1.6, 0.55, 1)
    tint = oklch(random.uniform(0.6, 0.82), random.uniform(0.03, 0.06), random.uniform(55, 80))
    tone = random.uniform(0.93, 1.05, planks)[which]
    return np.asarray((light * gap * tone * (1 + 0.045 * grain))[..., None] * tint, np.float32)


def _folds(random: Random, x: Array, y: Array, drape: float) -> Array:
    """Height of the cloth over a coarse grid of garment coordinates: hanging folds and creases."""
    fan = x / (0.55 + 0.28 * np.clip(y + 1.2, 0, 4))
    down = np.clip((y + 0.7) / 2.0, 0, 1)
    height = np.zeros_like(x)
    for _ in range(4):
        wave = np.sin(fan * random.uniform(4, 13) + random.uniform(0, 6.3) + 0.25 * y)
        height += drape * random.uniform(0.3, 1.0) * wave * (0.12 + down)
    for _ in range(int(random.integers(5, 11))):
        cx, cy, turn = random.uniform(-1, 1), random.uniform(-1.4, 1.6), random.uniform(-1.1, 1.1)
        sin, cos = math.sin(turn), math.cos(turn)
        along = (x - cx) * sin + (y - cy) * cos
        across = (x - cx) * cos - (y - cy) * sin + 0.2 * along**2
        ridge = (across / random.uniform(0.05, 0.13)) ** 2 + (
            along / random.uniform(0.25, 0.7)
        ) ** 2
        height += random.uniform(-1.3, 1.3) * np.exp(-ridge)
    return height


def _weave(random: Random, u: Array, v: Array, garment: str) -> Array:
    """The thread of the cloth, as a small change of light."""
    if garment == "jumper":
        gauge = random.uniform(3.2, 5.5)
        stitch = v + np.abs(u % gauge - gauge / 2) * 1.1
        return np.asarray(0.055 * np.sin(stitch * (6.283 / (gauge * 0.75))))
    kind = random.integers(3)
    if kind == 0:
        return np.zeros_like(u)
    if kind == 1:
        return 0.03 * np.sin((u + v) * random.uniform(1.4, 2.2))
    warp, weft = np.sin(u * random.uniform(1.6, 2.4)), np.sin(v * random.uniform(1.6, 2.4))
    return np.asarray(0.025 * (warp + weft))


def _place(cut: Cut, random: Random, wide: int, high: int) -> tuple[Array, Array]:
    """An affine map from garment to pixel coordinates: a 2x2 matrix and an offset."""
    turn = float(np.clip(random.normal(0, 0.07), -0.22, 0.22))
    everything = np.concatenate([part.outline for part in cut.parts])
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], np.float32)
    shape = everything @ spin
    low, high_corner = shape.min(0), shape.max(0)
    frame = np.array([wide, high], np.float32)
    fit = float((frame / (high_corner - low)).min())
    scale = fit * (random.uniform(0.72, 0.95) if not cut.fills_frame else random.uniform(2.2, 2.6))
    room = np.maximum(frame - scale * (high_corner - low), 0)
    where = frame / 2 + room * random.uniform(-0.35, 0.35, 2)
    matrix = spin * scale
    return matrix, (where - (low + high_corner) / 2 * scale).astype(np.float32)


@dataclass(frozen=True)
class Raster:
    """A garment laid on the pixels: what covers them, whence, and the map that put it there."""

    cover: Array
    trim: Array
    light: Array
    pieces: NDArray[np.uint8]
    matrix: Array
    offset: Array


def _rasterise(cut: Cut, random: Random, wide: int, high: int) -> Raster:
    matrix, offset = _place(cut, random, wide, high)
    bend = random.uniform(0, 6.3, 3)

    def pixels(points: Array, scale: int = 1) -> list[tuple[float, float]]:
        x, y = points[:, 0], points[:, 1]
        sway_x = np.sin(1.3 * y + bend[0]) + 0.6 * np.sin(3.1 * y + bend[1])
        sway = np.stack([sway_x, np.sin(1.7 * x + bend[2])], 1)
        placed = ((points + 0.03 * sway) @ matrix + offset) * scale
        return list(map(tuple, placed.tolist()))

    n = SUPERSAMPLE
    canvas = Image.new("RGB", (wide * n, high * n), (0, 128, 0))  # trim, light, cover
    index = Image.new("L", (wide, high), 0)
    draw, draw_index = ImageDraw.Draw(canvas), ImageDraw.Draw(index)
    for part in cut.parts:
        tone = 80 if part.piece == BEHIND else 128
        draw.polygon(pixels(part.outline, n), fill=(255 * part.trim, tone, 255))
        draw_index.polygon(pixels(part.outline), fill=part.piece)
    cover = np.asarray(canvas.getchannel(2).reduce(n), np.float32) / 255
    for seam in cut.seams:
        draw.line(pixels(seam, n), fill=(0, 98, 255), width=n, joint="curve")
    for button in cut.buttons:
        x, y = pixels(np.array([button]), n)[0]
        for radius, tone in ((2.4 * n, 84), (1.6 * n, 170)):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(0, tone, 255))
    trim, light, _ = np.asarray(canvas.reduce(n), np.float32).reshape(-1, 3).T
    exact = np.asarray(index)
    pieces = exact.copy()
    # A pixel that is covered only in part belongs to the piece beside it.
    for there, here in (
        ((slice(1, None),), (slice(-1),)),
        ((..., slice(1, None)), (..., slice(-1))),
    ):
        np.maximum(pieces[there], exact[here], out=pieces[there], where=exact[there] == 0)
        np.maximum(pieces[here], exact[there], out=pieces[here], where=exact[here] == 0)
    return Raster(cover, trim / 255, light / 128 - 1, pieces, matrix, offset)


def _enlarge(values: Array, wide: int, high: int) -> Array:
    image = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(image.resize((wide, high), Image.Resampling.BICUBIC))


def _light_pieces(
    cut: Cut, raster: Raster, folds: Array, sun: float, strength: float, bulge: float
) -> Array:
    """How much lighter or darker each pixel is for the slope of the cloth that it shows."""
    high, wide = raster.pieces.shape
    lit = np.zeros((high, wide), np.float32)
    slant = 0.55 * math.sin(sun) + math.copysign(0.25, sun)
    for piece in sorted({part.piece for part in cut.parts}):
        mask = raster.pieces == piece
        height = folds
        if bulge:
            round_ = Image.fromarray(mask.astype(np.uint8) * 255).reduce(COARSE)
            soft = round_.filter(ImageFilter.GaussianBlur(4))
            height = folds + np.asarray(soft, np.float32) * (bulge / 255)
        down, right = np.gradient(height, axis=0), np.gradient(height, axis=1)
        shade = (right * slant + down * (0.33 * math.cos(sun))) * strength
        np.copyto(lit, _enlarge(np.clip(shade, -0.42, 0.3), wide, high), where=mask)
    return lit


def _dye(random: Random, u: Array, v: Array, trim: Array, colour: str, pattern: str) -> Array:
    """The colour of the cloth under even light, at places (u, v) along its threads."""
    dyes = choose_dyes(random, colour, pattern)
    cloth = np.tile(dyes[0], (len(u), 1))
    for amount, dye in PATTERNS[pattern](random, u, v, dyes):
        cloth += amount[:, None] * (dye - cloth)
    edging = dyes[1] if pattern != "plain" and random.random() < 0.5 else dyes[0] * 0.94
    ribs = 1 + 0.06 * np.sin(u * 2.1)
    some = np.flatnonzero(trim)
    cloth[some] += trim[some, None] * (edging * ribs[some, None] - cloth[some])
    return cloth


def draw_garment(random: Random, garment: str, colour: str, pattern: str) -> Image.Image:
    """Draw one garment of that colour and pattern, about 300 x 400 pixels.

    Parameters
    ----------
    random : numpy Generator
        Everything that is left open (cut, pose, folds, background, second colour) comes from it.
    garment, colour, pattern : str
        A key of `GARMENTS`, of `COLOURS` and of `PATTERNS`.

    Returns
    -------
    An RGB image.
    """
    wide, high = int(random.integers(280, 321)), int(random.integers(375, 426))
    cut = GARMENTS[garment](random)
    raster = _rasterise(cut, random, wide, high)

    small = (-(-wide // COARSE), -(-high // COARSE))
    y, x = np.mgrid[0 : small[1], 0 : small[0]].astype(np.float32)
    place = (np.stack([x, y], -1) * COARSE - raster.offset) @ np.linalg.inv(raster.matrix)
    folds = _folds(random, place[..., 0], place[..., 1], cut.drape)
    sun, strength = random.uniform(-0.9, 0.9), random.uniform(0.7, 1.1)
    bulge = 0.0 if cut.fills_frame else 0.5 if garment == "swatch" else 2.6
    lit = _light_pieces(cut, raster, folds, sun, strength, bulge)

    inside = np.flatnonzero(raster.cover)
    pieces = raster.pieces.ravel()[inside]
    turns = np.array([0, 0, 0, *cut.turns, *[0] * 4], np.float32)
    turns += math.atan2(raster.matrix[0, 1], raster.matrix[0, 0])
    turns += random.normal(0, 0.03) if random.random() < 0.85 else math.pi / 4
    cos, sin = np.cos(turns)[pieces], np.sin(turns)[pieces]
    px, py = (inside % wide).astype(np.float32), (inside // wide).astype(np.float32)
    shift, own = _enlarge(folds, wide, high).ravel()[inside], pieces.astype(np.float32)
    u = px * cos + py * sin + 1.6 * shift + own * 7
    v = py * cos - px * sin + shift + own * 3

    cloth = _dye(random, u, v, raster.trim[inside], colour, pattern)
    gain = lit.ravel()[inside] + raster.light[inside] + _weave(random, u, v, garment)
    gain += 0.012 * random.standard_normal(len(inside), np.float32)
    dark, bright = 1 + np.minimum(gain, 0), 0.45 * np.maximum(gain, 0)
    cloth *= dark[:, None]
    cloth += bright[:, None] * (1 - cloth)

    picture = _background(random, wide, high)
    away = (1, 0, math.copysign(3, sun), 0, 1, -float(random.integers(1, 4)))
    shadow = Image.fromarray((raster.cover * 255).astype(np.uint8)).reduce(COARSE)
    shadow = shadow.filter(ImageFilter.GaussianBlur(random.uniform(2, 5)))
    shadow = shadow.transform(small, Image.Transform.AFFINE, away)
    cast = _enlarge(np.asarray(shadow, np.float32) / 255, wide, high)
    picture *= (1 - random.uniform(0.15, 0.4) * cast)[..., None]
    flat = picture.reshape(-1, 3)
    flat[inside] += raster.cover.ravel()[inside, None] * (cloth - flat[inside])
    picture *= random.uniform(0.95, 1.03) * random.normal(1, 0.008, 3).astype(np.float32)
    picture += 0.006 * random.standard_normal((high, wide, 1), np.float32)
    return Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))


def _balanced(seed: int, stream: int, number: int, values: list[str]) -> str:
    """The value of one image, such that every run of len(values) images has each value once."""
    turn, place = divmod(number, len(values))
    order = np.random.default_rng([seed, stream, turn]).permutation(len(values))
    return values[int(order[place])]


def draw_catalogue(folder: Path, *, images: int, seed: int) -> list[Garment]:
    """Draw a catalogue into a folder: JPEG files and `labels.csv`.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    images : int
        How many to draw. Colours, patterns and garments are spread evenly and independently.
    seed : int
        The same seed draws the same pictures; more images only add to them.

    Returns
    -------
    One `Garment` an image, in the order of `labels.csv` (columns image, garment, colour, pattern).

    Raises
    ------
    ValueError
        If `images` is less than 1.
    """
    if images < 1:
        raise ValueError(f"images must be at least 1, got {images}")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    tables = list(GARMENTS), list(COLOURS), list(PATTERNS)
    for number in range(images):
        kinds = [_balanced(seed, stream, number, values) for stream, values in enumerate(tables)]
        random = np.random.default_rng([seed, len(tables), number])
        row = Garment(f"{number:04d}.jpg", *kinds)
        picture = draw_garment(random, row.garment, row.colour, row.pattern)
        picture.save(folder / row.image, quality=int(random.integers(82, 94)))
        drawn.append(row)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Garment))
        writer.writerows(astuple(row) for row in drawn)
    return drawn


def main(arguments: list[str]) -> None:
    """Draw a catalogue from the command line."""
    if not 1 <= len(arguments) <= 3:
        raise SystemExit("usage: garments.py FOLDER [IMAGES] [SEED]")
    images, seed = (int(text) for text in [*arguments[1:], "300", "1"][:2])
    draw_catalogue(Path(arguments[0]), images=images, seed=seed)


if __name__ == "__main__":
    main(sys.argv[1:])
