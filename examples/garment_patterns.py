"""Colours of cloth, as ranges in OKLCh, and the patterns laid on it.

A pattern gets the place of every pixel along the threads of the cloth (u across, v down, both in
pixels) and answers with layers of colour to lay on the ground.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.floating[Any]]  # float32 wherever pixels are concerned
Random = np.random.Generator

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


def oklch(lightness: float, chroma: float, hue: float) -> Array:
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
    return np.asarray(srgb, np.float32)


def choose_dyes(random: Random, colour: str, pattern: str) -> tuple[Array, Array, Array]:
    """The ground's colour, and two others that stand out from it."""
    low, high, least, most, start, end = COLOURS[colour]
    ground_light = random.uniform(low, high)
    ground = oklch(ground_light, random.uniform(least, most), random.uniform(start, end))
    light = oklch(random.uniform(0.93, 0.98), random.uniform(0, 0.02), random.uniform(60, 110))
    dark = oklch(random.uniform(0.18, 0.3), random.uniform(0, 0.05), random.uniform(0, 360))
    bright = oklch(random.uniform(0.55, 0.8), random.uniform(0.1, 0.17), random.uniform(0, 360))
    pale = ground_light > 0.78 or (ground_light > 0.6 and random.random() < 0.4)
    second = dark if pale else light
    if pattern == "leopard":
        second = dark if ground_light > 0.42 else oklch(0.75, 0.04, 75)
    elif pattern not in ("gingham", "argyle") and random.random() < 0.3:
        bright_light = 0.85 if ground_light < 0.6 else 0.42
        second = oklch(
            bright_light, random.uniform(0.08, 0.16), (start + end) / 2 + random.uniform(70, 290)
        )
    return ground, second, bright


def _band(x: Array, period: float, width: float) -> Array:
    """How much of each pixel lies in bands `width` wide, one every `period` pixels."""
    away = np.abs((x + period / 2) % period - period / 2)
    return np.asarray(np.clip(width / 2 + 0.5 - away, 0, 1))


Layer = tuple[Array, Array]  # coverage in 0..1, and the colour that covers
Painter = Callable[[Random, Array, Array, tuple[Array, Array, Array]], list[Layer]]


def _plain(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    return []


def _striped(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    period = random.uniform(9, 34)
    across = u if random.random() < 0.35 else v
    third = period > 22 and random.random() < 0.4
    share = random.uniform(0.22, 0.3) if third else random.uniform(0.25, 0.43)
    layers = [(_band(across, period, period * share), dyes[1])]
    if third:
        layers.append((_band(across + period / 2, period, period * 0.09), dyes[2]))
    return layers


def _gingham(random: Random, u: Array, v: Array, dyes: tuple[Array, Array, Array]) -> list[Layer]:
    period = random.uniform(12, 32)
    width = period * random.uniform(0.32, 0.44)
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
    third = period > 22 and random.random() < 0.3
    share = random.uniform(0.2, 0.26) if third else random.uniform(0.32, 0.42)
    layers = [(_band(bent / scale, period / scale, period * share / scale), dyes[1])]
    if third:
        layers.append((_band((bent + period / 2) / scale, period / scale, period * 0.07), dyes[2]))
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
                draw.polygon(list(map(tuple, (shape + np.array([dx, dy])).tolist())), fill=fill)


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
                edge @ np.array([[c, s], [-s, c]], np.float32) * radius + np.array([x, y]),
                (0, 0, 255),
            )
        reach = radius * (0.72 + 0.28 * np.abs(np.cos(petals * (around + spin) / 2)) ** 0.7)
        reach *= 1 - 0.45 * (np.abs(np.sin(petals * (around + spin) / 2)) ** 6)
        ring = np.stack([np.cos(around), np.sin(around)], 1)
        _blot(draw, big, ring * reach[:, None] + np.array([x, y]), (255, 0, 0))
        _blot(draw, big, ring * radius * 0.28 + np.array([x, y]), (0, 255, 0))
    petal, eye, leaf_cover = _sample(tile.reduce(3), u, v)
    leaf_colour = oklch(random.uniform(0.35, 0.6), 0.08, random.uniform(130, 160))
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
        _blot(draw, big, ring * wobble[:, None] * radius * 0.8 + np.array([x, y]), (0, 255, 0))
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
        spot = ring * radius * random.uniform(0.12, 0.22) + np.array([x + big / 8, y + big / 9])
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
