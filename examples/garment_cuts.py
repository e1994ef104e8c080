"""How garments are cut: outlines of smooth curves, y downwards, the body about 2 wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]  # float32 wherever pixels are concerned
Random = np.random.Generator

BEHIND, BODY, RIGHT, LEFT, RIGHT_WING, LEFT_WING = range(1, 7)


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
    across = upper[:, ::-1] * _points((1, -1))
    shoulder = _points((0.8, -0.98)) + upper * 0.3 + across * 0.325
    outer = [_points((0.6, -1.4), (0.88, -1.31)), shoulder, elbow + out * thick, end + out * wrist]
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
        _points((side, -1.5), (side * 0.8, deep + 0.15), (-side * 0.8, deep + 0.15)),
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
            _points((hem * 0.985, low - 0.2), (hem * 1.01, low)),
            _points((hem * 1.01, low), (hem * 0.5, low + 0.07), (0, low + 0.075)),
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
    side = np.concatenate(
        [arm[-1:], _points((waist + 0.07, -0.3), (waist, 0), (waist + 0.18, 0.4), (flare, low))]
    )
    half = np.concatenate([edge, _smooth(arm, side), _hem(flare, low, random)])
    back = _smooth(
        _points((-inner, -1.5), (0, -1.3), (inner, -1.5)),
        _points((inner, -1.5), (inner * 0.8, deep + 0.15), (-inner * 0.8, deep + 0.15)),
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
    top = _points((0, -0.96), (waist, -1.0))
    side = _points((waist, -1.0), (waist + 0.2, -0.55), (flare, low))
    half = np.concatenate([_smooth(top, side), _hem(flare, low, random)])
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
