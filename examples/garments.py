"""A small catalogue of drawn garments and fabrics, to try gingham on without any data of one's own.

Every picture is made here from numbers alone: an outline cut from smooth curves, a colour drawn
from a range in OKLCh, a pattern laid along the cloth, folds lit from one side, a background.
Run it: `python examples/garments.py FOLDER [IMAGES] [SEED]`.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[np.floating[Any]]  # float32 wherever pixels are concerned
Random = np.random.Generator

SUPERSAMPLE = 3
COARSE = 3
BEHIND, BODY, RIGHT, LEFT, RIGHT_WING, LEFT_WING = range(1, 7)

COLOURS: dict[str, tuple[float, float, float, float, float, float]] = {
    # lightness from, to; chroma from, to; hue from, to in degrees (OKLCh)
    "red": (0.47, 0.60, 0.18, 0.22, 20, 29),
    "orange": (0.68, 0.76, 0.16, 0.19, 50, 62),
    "yellow": (0.84, 0.91, 0.13, 0.18, 92, 103),
    "green": (0.42, 0.72, 0.09, 0.17, 138, 160),
    "blue": (0.38, 0.66, 0.10, 0.18, 243, 264),
    "purple": (0.38, 0.62, 0.12, 0.20, 297, 314),
    "pink": (0.70, 0.84, 0.10, 0.17, 348, 366),
    "brown": (0.32, 0.48, 0.05, 0.08, 45, 68),
    "black": (0.17, 0.25, 0.00, 0.012, 0, 360),
    "white": (0.94, 0.985, 0.00, 0.010, 60, 110),
    "grey": (0.52, 0.72, 0.00, 0.010, 0, 360),
}


@dataclass(frozen=True)
class Garment:
    """One picture of the catalogue and what is true of it; `colour` is that of the ground."""

    image: str
    garment: str
    colour: str
    pattern: str


@dataclass(frozen=True)
class Part:
    """An outline cut from a piece of cloth, in its pattern or plain like a trim."""

    outline: Array
    piece: int = BODY
    trim: bool = False


@dataclass(frozen=True)
class Cut:
    """A whole garment: parts from back to front, seams, buttons, and how strongly it drapes.

    `turns` are the angles of the pattern on the pieces after the body.
    """

    parts: list[Part]
    seams: list[Array]
    buttons: list[tuple[float, float]]
    drape: float
    turns: tuple[float, ...] = ()
    fills_frame: bool = False


def _points(*pairs: tuple[float, float]) -> Array:
    return np.array(pairs, np.float32)


def _smooth(*runs: Array, steps: int = 8) -> Array:
    """Join Catmull-Rom curves through the points of each run; runs meet in corners."""
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    pieces = []
    for run in runs:
        padded = np.concatenate([2 * run[:1] - run[1:2], run, 2 * run[-1:] - run[-2:-1]])
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
            cubic = (3 * b - 3 * c + d - a) * t**3 + (2 * a - 5 * b + 4 * c - d) * t**2
            pieces.append((cubic + (c - a) * t + 2 * b) / 2)
        pieces.append(run[-1:])
    return np.concatenate(pieces).astype(np.float32)


def _mirror(points: Array) -> Array:
    return points * np.array([-1, 1], np.float32)


def _both(half: Array) -> Array:
    """Close an outline from its right half, given from the top centre to the bottom centre."""
    return np.concatenate([half, _mirror(half)[::-1]])


def _sleeves(random: Random, *, long: bool, cuffs: bool) -> tuple[list[Part], float]:
    """Both sleeves of a body whose shoulder is at (0.92, -1.3), and the angle they hang at."""
    angle = np.deg2rad(random.uniform(60, 80) if long else random.uniform(38, 64))
    length = random.uniform(1.9, 2.3) if long else random.uniform(0.7, 0.95)
    bend = random.uniform(0.0, 0.35) if long else 0.0
    wrist = random.uniform(0.17, 0.22) if long else random.uniform(0.28, 0.33)
    upper = _points((np.cos(angle), np.sin(angle)))
    lower = _points((np.cos(angle + bend), np.sin(angle + bend)))
    elbow = _points((0.8, -0.98)) + upper * length / 2
    end = elbow + lower * length / 2
    out = lower[:, ::-1] * _points((1, -1))
    thick = (0.33 + wrist) / 2
    tip = end - lower * (0.2 if long else 0.13)
    outer = [_points((0.6, -1.43), (0.9, -1.31)), elbow + out * thick, end + out * wrist]
    inner = [end - out * wrist, elbow - out * thick, _points((0.88, -0.66), (0.6, -0.7))]
    sleeve = _smooth(np.concatenate(outer), np.concatenate(inner))
    parts = [Part(sleeve, RIGHT), Part(_mirror(sleeve), LEFT)]
    if cuffs:
        wide = wrist + (0.02 if long else 0.006)
        cuff = np.concatenate(
            [tip + out * wide, end + out * wrist, end - out * wrist, tip - out * wide]
        )
        parts += [Part(cuff, RIGHT, trim=True), Part(_mirror(cuff), LEFT, trim=True)]
    return parts, float(angle - np.pi / 2)


def _top(random: Random, *, long: bool, ribbed: bool, neck: str) -> Cut:
    """T-shirts, jumpers and shirts: sleeves under a body, a neckline, a hem."""
    hem, waist = random.uniform(0.86, 1.05), random.uniform(0.82, 0.95)
    low = random.uniform(1.15, 1.6)
    deep = {"crew": -1.24, "scoop": -1.0, "v": -0.82, "collar": -1.18}[neck]
    side = 0.36 if neck != "scoop" else 0.44
    if neck == "v" or neck == "collar":
        scoop = _points((0, deep), (side * 0.55, (deep - 1.52) / 2), (side, -1.52))
    else:
        scoop = _points((0, deep), (side * 0.6, deep - 0.06), (side, -1.5))
    edge = _smooth(scoop)
    half = np.concatenate([
        edge,
        _smooth(
            _points((side, -1.5), (0.66, -1.43), (0.92, -1.3), (0.93, -1.0), (0.9, -0.66)),
            _points((0.9, -0.66), (waist, 0.1), (waist, 0.6), (hem, low)),
            _points((hem, low), (hem * 0.5, low + 0.05), (0, low + 0.06)),
        ),
    ])  # fmt: skip
    back = _smooth(
        _points((-side, -1.5), (0, -1.42), (side, -1.5)),
        _points((side, -1.5), (0, deep + 0.1), (-side, -1.5)),
    )
    sleeves, turn = _sleeves(random, long=long, cuffs=ribbed)
    parts = [Part(back, BEHIND), *sleeves, Part(_both(half))]
    seams = [edge, _mirror(edge)]
    armhole = _smooth(_points((0.92, -1.3), (0.93, -1.0), (0.9, -0.66)))
    seams += [armhole, _mirror(armhole)]
    buttons: list[tuple[float, float]] = []
    if neck == "collar":
        wing = _smooth(
            _points((0.02, deep + 0.02), (0.3, deep + 0.22)),
            _points((0.3, deep + 0.22), (0.52, -1.38)),
            _points((0.52, -1.38), (side, -1.56), (0.0, deep)),
        )
        parts += [Part(wing, RIGHT_WING), Part(_mirror(wing), LEFT_WING)]
        seams += [_points((x, deep + 0.05), (x, low + 0.05)) for x in (-0.09, 0.09)]
        seams += [np.concatenate([wing, wing[:1]]), _mirror(np.concatenate([wing, wing[:1]]))]
        buttons = [(0, y) for y in np.linspace(deep + 0.2, low - 0.15, 7)]
    else:
        inner = np.concatenate([edge, (edge * _points((1.16, 1)) + _points((0, 0.13)))[::-1]])
        parts += [Part(inner, trim=ribbed), Part(_mirror(inner), trim=ribbed)]
        seams += [edge * _points((1.16, 1)) + _points((0, 0.13))]
        seams += [_mirror(seams[-1])]
    if ribbed:
        band = _smooth(
            _points((0, low - 0.14), (hem * 0.5, low - 0.15), (hem * 0.985, low - 0.2)),
            _points((hem * 0.985, low - 0.2), (hem * 0.94, low)),
            _points((hem * 0.94, low), (0, low + 0.06)),
        )
        parts.append(Part(_both(band), trim=True))
    else:
        seams.append(_smooth(_points((-hem, low - 0.1), (0, low - 0.04), (hem, low - 0.1))))
    drape = random.uniform(0.1, 0.4)
    return Cut(parts, seams, buttons, drape, turns=(turn, -turn, -0.6, 0.6))


def _t_shirt(random: Random) -> Cut:
    return _top(
        random,
        long=False,
        ribbed=random.random() < 0.25,
        neck=random.choice(["crew", "scoop", "v"]),
    )


def _jumper(random: Random) -> Cut:
    return _top(random, long=True, ribbed=True, neck=random.choice(["crew", "crew", "v"]))


def _shirt(random: Random) -> Cut:
    return _top(random, long=random.random() < 0.6, ribbed=False, neck="collar")


def _hem(width: float, low: float, random: Random) -> Array:
    """The right half of a hem that waves with the folds above it."""
    x = np.linspace(width, 0, 14, dtype=np.float32)
    wave = np.sin(x * random.uniform(5, 9) + random.uniform(0, 6)) * random.uniform(0.0, 0.04)
    return np.stack([x, low + 0.1 * (1 - (x / width) ** 2) + wave], axis=1).astype(np.float32)


def _dress(random: Random) -> Cut:
    waist, flare = random.uniform(0.52, 0.66), random.uniform(0.95, 1.55)
    low, deep = random.uniform(1.6, 2.3), random.uniform(-1.25, -0.95)
    strap = random.uniform(0.1, 0.26)
    inner, outer = 0.62 - strap, 0.66
    sleeves = random.random() < 0.4
    if sleeves:
        inner, outer = 0.36, 0.92
    edge = _smooth(_points((0, deep), (inner * 0.7, deep - 0.1), (inner, -1.5)))
    arm = (
        _points((outer, -1.42), (outer * 0.97, -1.1), (0.74, -0.72))
        if not sleeves
        else _points((0.9, -1.32), (0.9, -1.0), (0.84, -0.66))
    )
    half = np.concatenate([
        edge,
        arm[:1],
        _smooth(arm, _points((float(arm[-1, 0]), float(arm[-1, 1])), (waist + 0.07, -0.3), (waist, 0.0), (waist + 0.18, 0.4), (flare, low))),
        _hem(flare, low, random),
    ])  # fmt: skip
    back = _smooth(
        _points((-inner, -1.5), (0, -1.3), (inner, -1.5)),
        _points((inner, -1.5), (0, deep + 0.12), (-inner, -1.5)),
    )
    parts = [Part(back, BEHIND)]
    turn = 0.0
    if sleeves:
        both, turn = _sleeves(random, long=False, cuffs=False)
        parts += both
    parts.append(Part(_both(half)))
    seams = [edge, _mirror(edge)]
    if random.random() < 0.45:
        belt = _smooth(
            _points((0, -0.04), (waist * 1.02, -0.07)),
            _points((waist * 1.02, -0.07), (waist * 1.03, 0.07)),
            _points((waist * 1.03, 0.07), (0, 0.1)),
        )
        parts.append(Part(_both(belt), trim=True))
    else:
        seams.append(_smooth(_points((-waist, 0.0), (0, 0.05), (waist, 0.0))))
    return Cut(parts, seams, [], random.uniform(0.6, 1.0), turns=(turn, -turn))


def _skirt(random: Random) -> Cut:
    waist, flare, low = (
        random.uniform(0.5, 0.62),
        random.uniform(0.72, 1.5),
        random.uniform(0.5, 1.5),
    )
    half = np.concatenate([
        _smooth(_points((0, -0.96), (waist, -1.0)), _points((waist, -1.0), (waist + 0.2, -0.55), (flare, low))),
        _hem(flare, low, random),
    ])  # fmt: skip
    band = _smooth(
        _points((0, -1.04), (waist, -1.1)),
        _points((waist, -1.1), (waist * 1.05, -0.93)),
        _points((waist * 1.05, -0.93), (0, -0.87)),
    )
    return Cut(
        [Part(_both(half)), Part(_both(band), trim=random.random() < 0.5)],
        [band[8:]],
        [],
        drape=random.uniform(0.7, 1.0),
    )


def _trousers(random: Random, low: float | None = None) -> Cut:
    low = random.uniform(1.9, 2.4) if low is None else low
    outer, inner = random.uniform(0.66 if low > 1 else 0.84, 1.0), random.uniform(0.12, 0.3)
    inner *= 1 if low > 1 else 0.6
    leg = _smooth(
        _points((-0.02, -1.5), (0.58, -1.56)),
        _points((0.58, -1.56), (0.74, -1.0), (0.78, -0.5), (outer, low)),
        _points((outer, low), ((outer + inner) / 2, low + 0.05), (inner, low + 0.02)),
        _points((inner, low + 0.02), (0.11, 0.1), (-0.02, -0.42)),
    )
    band = _smooth(
        _points((0, -1.58), (0.57, -1.64)),
        _points((0.57, -1.64), (0.61, -1.44)),
        _points((0.61, -1.44), (0, -1.37)),
    )
    pocket = _smooth(_points((0.36, -1.4), (0.5, -1.15), (0.7, -1.1)))
    fly = _smooth(
        _points((0, -1.38), (0, -0.42)), _points((0.14, -1.38), (0.14, -0.85), (0.0, -0.66))
    )
    hem = _points((outer, low - 0.12), (inner, low - 0.1))
    parts = [
        Part(_mirror(leg), LEFT),
        Part(leg, RIGHT),
        Part(_both(band), trim=random.random() < 0.3),
    ]
    seams = [pocket, _mirror(pocket), fly, hem, _mirror(hem), band[8:]]
    return Cut(parts, seams, [(0, -1.5)], drape=0.35, turns=(-0.05, 0.05))


def _shorts(random: Random) -> Cut:
    return _trousers(random, random.uniform(0.15, 0.7))


def _swatch(random: Random) -> Cut:
    """A piece of fabric: cut with pinking shears, or filling the frame."""
    if random.random() < 0.4:
        square = _points((-3, -3), (3, -3), (3, 3), (-3, 3))
        return Cut([Part(square)], [], [], drape=1.0, fills_frame=True)
    tall = random.uniform(0.9, 1.35)
    corners = _points((-1, -tall), (1, -tall), (1, tall), (-1, tall), (-1, -tall))
    teeth = []
    for start, end in pairwise(corners):
        length = float(np.abs(end - start).sum())
        t = np.linspace(0, 1, 2 * round(14 * length) + 1, dtype=np.float32)[:-1, None]
        out = (end - start)[::-1] / length * _points((1, -1))
        teeth.append(start + (end - start) * t + out * 0.025 * (np.arange(len(t)) % 2)[:, None])
    outline = np.concatenate(teeth).astype(np.float32)
    return Cut([Part(outline)], [], [], drape=0.15)


GARMENTS: dict[str, Callable[[Random], Cut]] = {
    "t-shirt": _t_shirt,
    "jumper": _jumper,
    "shirt": _shirt,
    "dress": _dress,
    "skirt": _skirt,
    "trousers": _trousers,
    "shorts": _shorts,
    "swatch": _swatch,
}


def _rgb(lightness: float, chroma: float, hue: float) -> Array:
    """OKLCh to sRGB in 0..1; chroma is lowered until the colour can be shown."""
    while True:
        a, b = chroma * np.cos(np.deg2rad(hue)), chroma * np.sin(np.deg2rad(hue))
        lms = lightness + np.array([[0.3963, 0.2158], [-0.1056, -0.0639], [-0.0895, -1.2915]]) @ [
            a,
            b,
        ]
        to_linear = [
            [4.0767, -3.3077, 0.2310],
            [-1.2684, 2.6098, -0.3413],
            [-0.0042, -0.7034, 1.7076],
        ]
        linear = np.array(to_linear) @ lms**3
        if chroma < 0.002 or (linear.min() > -0.002 and linear.max() < 1.002):
            break
        chroma *= 0.95
    linear = np.clip(linear, 0, 1)
    srgb = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return srgb.astype(np.float32)


def _dyes(random: Random, colour: str, pattern: str) -> tuple[Array, Array, Array]:
    """The ground's colour, and two others that stand out from it."""
    low, high, least, most, start, end = COLOURS[colour]
    ground_light = random.uniform(low, high)
    ground = _rgb(ground_light, random.uniform(least, most), random.uniform(start, end))
    light = _rgb(random.uniform(0.93, 0.98), random.uniform(0, 0.02), random.uniform(60, 110))
    dark = _rgb(random.uniform(0.18, 0.3), random.uniform(0, 0.05), random.uniform(0, 360))
    bright = _rgb(random.uniform(0.55, 0.8), random.uniform(0.1, 0.17), random.uniform(0, 360))
    pale = ground_light > 0.78 or (ground_light > 0.6 and random.random() < 0.4)
    second = dark if pale else light
    if pattern == "leopard":
        second = dark if ground_light > 0.42 else _rgb(0.75, 0.04, 75)
    elif pattern not in ("gingham", "argyle") and random.random() < 0.3:
        bright_light = 0.85 if ground_light < 0.6 else 0.42
        second = _rgb(
            bright_light, random.uniform(0.08, 0.16), (start + end) / 2 + random.uniform(70, 290)
        )
    return ground, second, bright


def _band(x: Array, period: float, width: float) -> Array:
    """How much of each pixel lies in bands `width` wide, one every `period` pixels."""
    return np.clip(width / 2 + 0.5 - np.abs((x + period / 2) % period - period / 2), 0, 1)


Layer = tuple[Array, Array]  # coverage in 0..1, and the colour that covers
Painter = Callable[[Random, Array, Array, tuple[Array, Array, Array]], list[Layer]]


def _plain(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    return []


def _striped(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    period = random.uniform(9, 34)
    across = u if random.random() < 0.35 else v
    layers = [(_band(across, period, period * random.uniform(0.25, 0.46)), dyes[1])]
    if period > 22 and random.random() < 0.4:
        layers.append((_band(across + period / 2, period, period * 0.1), dyes[2]))
    return layers


def _gingham(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    period = random.uniform(12, 32)
    width = period * random.uniform(0.42, 0.48)
    return [((_band(u, period, width) + _band(v, period, width)) / 2, dyes[1])]


def _dotted(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    period = random.uniform(13, 34)
    radius = period * random.uniform(0.17, 0.29)
    row = np.round(v / period)
    x = u + (row % 2) * period / 2
    away = np.hypot(x - np.round(x / period) * period, v - row * period)
    return [(np.clip(radius - away + 0.5, 0, 1), dyes[1])]


def _zigzag(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    period, width, steep = random.uniform(14, 30), random.uniform(16, 34), random.uniform(0.6, 1.0)
    bent = v + np.abs(u % width - width / 2) * steep
    scale = float(np.hypot(1, steep))
    layers = [
        (_band(bent / scale, period / scale, period * random.uniform(0.36, 0.46) / scale), dyes[1])
    ]
    if period > 22 and random.random() < 0.35:
        layers.append((_band((bent + period / 2) / scale, period / scale, period * 0.12), dyes[2]))
    return layers


def _argyle(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    wide = random.uniform(28, 54)
    tall = wide * random.uniform(1.3, 1.7)
    x, y = np.abs(u % wide - wide / 2) / wide, np.abs(v % tall - tall / 2) / tall
    diamond = np.clip((0.49 - x - y) * wide * 0.8 + 0.5, 0, 1)
    every_other = (np.floor(u / wide) % 2).astype(np.float32)
    falling, rising = (u / wide + v / tall) % 1, (u / wide - v / tall) % 1
    thread = np.minimum(np.abs(falling - 0.5), np.abs(rising - 0.5))
    cross = np.clip(1.2 - thread * wide * 0.8, 0, 1)
    return [(diamond * (0.3 + 0.7 * every_other), dyes[1]), (cross * 0.9, dyes[2])]


def _sample(tile: Image.Image, u: Array, v: Array) -> list[Array]:
    """Read a repeating tile at fractional places; one array a band."""
    texels = np.asarray(tile, np.float32) / 255
    high, wide = texels.shape[:2]
    x, y = np.floor(u), np.floor(v)
    fx, fy = (u - x)[:, None], (v - y)[:, None]
    x0, y0 = x.astype(np.int32) % wide, y.astype(np.int32) % high
    x1, y1 = (x0 + 1) % wide, (y0 + 1) % high
    flat = texels.reshape(high * wide, -1)
    top = flat[y0 * wide + x0] * (1 - fx) + flat[y0 * wide + x1] * fx
    bottom = flat[y1 * wide + x0] * (1 - fx) + flat[y1 * wide + x1] * fx
    return list((top * (1 - fy) + bottom * fy).T)


def _scatter(random: Random, size: int, across: int) -> list[tuple[float, float]]:
    """Places on a jittered, staggered grid that wraps round the tile."""
    step = size / across
    return [
        (
            (i + 0.5 * (j % 2) + random.uniform(-0.2, 0.2)) * step,
            (j + random.uniform(-0.2, 0.2)) * step,
        )
        for j in range(across)
        for i in range(across)
    ]


def _blot(draw: ImageDraw.ImageDraw, size: int, shape: Array, fill: tuple[int, int, int]) -> None:
    """Draw a shape on a tile, again where it leaves over an edge."""
    low, high = shape.min(0), shape.max(0)
    for dx in (-size, 0, size):
        for dy in (-size, 0, size):
            if low[0] + dx < size and high[0] + dx > 0 and low[1] + dy < size and high[1] + dy > 0:
                draw.polygon(list(map(tuple, (shape + _points((dx, dy))).tolist())), fill=fill)


def _floral(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    size = int(random.uniform(48, 100))
    big, around = size * 3, np.linspace(0, 2 * np.pi, 48, endpoint=False, dtype=np.float32)
    tile = Image.new("RGB", (big, big))
    draw = ImageDraw.Draw(tile)
    across = 2 if size < 70 else int(random.choice([2, 4]))
    petals = int(random.integers(5, 8))
    for x, y in _scatter(random, big, across):
        radius, spin = big / across * random.uniform(0.27, 0.36), random.uniform(0, 6.3)
        for leaf in (spin, spin + random.uniform(1.6, 2.6)):
            t = np.linspace(0, np.pi, 12, dtype=np.float32)
            along, side = 1.65 * t / np.pi, 0.26 * np.sin(t)
            edge = np.concatenate([np.stack([along, side], 1), np.stack([along, -side], 1)[::-1]])
            c, s = np.cos(leaf), np.sin(leaf)
            _blot(
                draw,
                big,
                edge @ np.array([[c, s], [-s, c]], np.float32) * radius + _points((x, y)),
                (0, 0, 255),
            )
        reach = radius * (0.72 + 0.28 * np.abs(np.cos(petals * (around + spin) / 2)) ** 0.7)
        reach *= 1 - 0.45 * (np.abs(np.sin(petals * (around + spin) / 2)) ** 6)
        ring = np.stack([np.cos(around), np.sin(around)], 1)
        _blot(draw, big, ring * reach[:, None] + _points((x, y)), (255, 0, 0))
        _blot(draw, big, ring * radius * 0.28 + _points((x, y)), (0, 255, 0))
    petal, eye, leaf_cover = _sample(tile.reduce(3), u, v)
    leaf_colour = _rgb(random.uniform(0.35, 0.6), 0.08, random.uniform(130, 160))
    return [(leaf_cover, leaf_colour), (petal, dyes[1]), (eye, dyes[2])]


def _leopard(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    size = int(random.uniform(70, 130))
    big, around = size * 3, np.linspace(0, 2 * np.pi, 24, endpoint=False, dtype=np.float32)
    tile = Image.new("RGB", (big, big))
    draw = ImageDraw.Draw(tile)
    for x, y in _scatter(random, big, 4):
        radius = big / 4 * random.uniform(0.3, 0.46)
        squash, lean = random.uniform(0.65, 1.0), random.uniform(0, np.pi)
        spin = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]], np.float32)
        ring = np.stack([np.cos(around), np.sin(around) * squash], 1) @ spin
        wobble = 1 + 0.12 * np.sin(around * 3 + random.uniform(0, 6))
        _blot(draw, big, ring * wobble[:, None] * radius * 0.8 + _points((x, y)), (0, 255, 0))
        start, gaps = random.uniform(0, 6.3), int(random.integers(2, 5))
        for gap in range(gaps):
            sweep = random.uniform(0.55, 0.9)
            t = start + (gap + np.linspace(0.05, sweep, 9)) * 2 * np.pi / gaps
            thick = random.uniform(0.2, 0.3) * np.sin(np.linspace(0.35, np.pi - 0.35, 9)) + 0.05
            curve = np.stack([np.cos(t), np.sin(t) * squash], 1) @ spin * random.uniform(0.82, 0.98)
            arc = np.concatenate(
                [curve * (1 + thick)[:, None], (curve * (1 - thick)[:, None])[::-1]]
            )
            _blot(draw, big, (arc * radius + [x, y]).astype(np.float32), (255, 0, 0))
        spot = ring * radius * random.uniform(0.12, 0.22) + _points((x + big / 8, y + big / 9))
        _blot(draw, big, spot, (255, 0, 0))
    spots, inside, _ = _sample(tile.reduce(3), u, v)
    return [(inside, 0.72 * dyes[0] + 0.28 * dyes[1]), (spots, dyes[1])]


PATTERNS: dict[str, Painter] = {
    "plain": _plain,
    "striped": _striped,
    "gingham": _gingham,
    "dotted": _dotted,
    "floral": _floral,
    "zigzag": _zigzag,
    "argyle": _argyle,
    "leopard": _leopard,
}


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
        tint = _rgb(1.0, 0.004, random.uniform(0, 360))
        return (slope * light)[..., None] * tint
    if kind == 2:
        tint = _rgb(random.uniform(0.84, 0.94), random.uniform(0.02, 0.05), random.uniform(0, 360))
        return light[..., None] * tint
    if kind == 3:
        tint = _rgb(random.uniform(0.74, 0.9), random.uniform(0.0, 0.025), random.uniform(40, 110))
        rough = sum(
            _clouds(random, (wide, high), (wide // n, high // n)) * n**0.5 for n in (2, 8, 48)
        )
        rough = np.clip(1 + 0.007 * rough + 0.03 * np.gradient(rough, axis=0), 0, 1.15)
        return (light * rough)[..., None] * tint
    planks = int(random.integers(3, 6))
    row = y / high * planks
    which = np.minimum(row.astype(np.int32), planks - 1)
    warp = _clouds(random, (wide, high), (3, planks * 4))
    fibre = _clouds(random, (wide, high), (8, high // 2)) * 0.35
    grain = np.sin((row + 0.22 * warp) * 16 + random.uniform(0, 6, planks)[which]) * 0.4 + fibre
    gap = np.clip(np.abs(row - np.round(row)) * high / planks / 1.6, 0.55, 1)
    tint = _rgb(random.uniform(0.6, 0.82), random.uniform(0.03, 0.06), random.uniform(55, 80))
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
        return 0.055 * np.sin((v + np.abs(u % gauge - gauge / 2) * 1.1) * (6.283 / (gauge * 0.75)))
    kind = random.integers(3)
    if kind == 0:
        return np.zeros_like(u)
    if kind == 1:
        return 0.03 * np.sin((u + v) * random.uniform(1.4, 2.2))
    return 0.025 * (np.sin(u * random.uniform(1.6, 2.4)) + np.sin(v * random.uniform(1.6, 2.4)))


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
        x, y = pixels(_points(button), n)[0]
        for radius, tone in ((2.4 * n, 84), (1.6 * n, 170)):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(0, tone, 255))
    trim, light, _ = np.asarray(canvas.reduce(n), np.float32).reshape(-1, 3).T
    pieces = np.asarray(index)
    # A pixel that is covered only in part belongs to the piece beside it.
    pieces = np.where(pieces == 0, np.asarray(index.filter(ImageFilter.MaxFilter(3))), pieces)
    return Raster(cover, trim / 255, light / 128 - 1, pieces, matrix, offset)


def _enlarge(values: Array, wide: int, high: int) -> Array:
    image = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(image.resize((wide, high), Image.Resampling.BICUBIC))


def _light_pieces(raster: Raster, folds: Array, sun: float, strength: float, bulge: float) -> Array:
    """How much lighter or darker each pixel is for the slope of the cloth that it shows."""
    high, wide = raster.pieces.shape
    lit = np.zeros((high, wide), np.float32)
    slant = 0.55 * math.sin(sun) + math.copysign(0.25, sun)
    for piece in np.unique(raster.pieces)[1 if bulge else 0 :]:
        mask = raster.pieces == piece
        height = folds
        if bulge:
            round_ = Image.fromarray(mask.astype(np.uint8) * 255).resize(folds.shape[::-1])
            soft = round_.filter(ImageFilter.GaussianBlur(4))
            height = folds + np.asarray(soft, np.float32) * (bulge / 255)
        down, right = np.gradient(height)
        shade = (right * slant + down * (0.33 * math.cos(sun))) * strength
        np.copyto(lit, _enlarge(np.clip(shade, -0.42, 0.3), wide, high), where=mask)
    return lit


def _dye(random: Random, u: Array, v: Array, trim: Array, colour: str, pattern: str) -> Array:
    """The colour of the cloth under even light, at places (u, v) along its threads."""
    dyes = _dyes(random, colour, pattern)
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

    small = (wide // COARSE, high // COARSE)
    y, x = np.mgrid[0 : small[1], 0 : small[0]].astype(np.float32)
    place = (np.stack([x, y], -1) * COARSE - raster.offset) @ np.linalg.inv(raster.matrix)
    folds = _folds(random, place[..., 0], place[..., 1], cut.drape)
    sun, strength = random.uniform(-0.9, 0.9), random.uniform(0.7, 1.1)
    bulge = 0.0 if cut.fills_frame else 0.5 if garment == "swatch" else 2.6
    lit = _light_pieces(raster, folds, sun, strength, bulge)

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
    shadow = Image.fromarray((raster.cover * 255).astype(np.uint8)).resize(small)
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
    return values[np.random.default_rng([seed, stream, turn]).permutation(len(values))[place]]


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
    for number in range(images):
        tables = (GARMENTS, COLOURS, PATTERNS)
        kinds = [
            _balanced(seed, stream, number, list(table)) for stream, table in enumerate(tables)
        ]
        random = np.random.default_rng([seed, len(tables), number])
        row = Garment(f"{number:04d}.jpg", *kinds)
        picture = draw_garment(random, row.garment, row.colour, row.pattern)
        picture.save(folder / row.image, quality=int(random.integers(82, 94)))
        drawn.append(row)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [field.name for field in fields(Garment)]
        writer.writerow(names)
        writer.writerows([getattr(row, name) for name in names] for row in drawn)
    return drawn


def main(arguments: list[str]) -> None:
    """Draw a catalogue from the command line."""
    if not 1 <= len(arguments) <= 3:
        raise SystemExit("usage: garments.py FOLDER [IMAGES] [SEED]")
    images, seed = (int(text) for text in [*arguments[1:], "300", "1"][:2])
    draw_catalogue(Path(arguments[0]), images=images, seed=seed)


if __name__ == "__main__":
    main(sys.argv[1:])
