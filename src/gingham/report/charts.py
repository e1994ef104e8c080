"""Where the marks of small charts stand, as plain data; `charts.html` draws them as SVG.

A chart is 460 units wide, a map 300, so that their words stay readable on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH, FLOOR = 460, 234
LEFT, RIGHT, TOP = 56, WIDTH - 14, 12
SIDE = 300

MARKS = (
    (0, -2.8, "a2.8 2.8 0 1 1-.1 0z"),
    (-2.4, -2.4, "h4.8v4.8h-4.8z"),
    (0, -3.4, "l3.3 5.8h-6.6z"),
    (0, -3.6, "l3.6 3.6-3.6 3.6-3.6-3.6z"),
    (-1.2, -3.5, "h2.4v2.3h2.3v2.4h-2.3v2.3h-2.4v-2.3h-2.3v-2.4h2.3z"),
    (0, 3.4, "l3.3-5.8h-6.6z"),
    (0, -1.5, "l1.8-1.8 1.5 1.5-1.8 1.8 1.8 1.8-1.5 1.5-1.8-1.8-1.8 1.8-1.5-1.5 1.8-1.8-1.8-1.8"
     " 1.5-1.5z"),
    (-3.8, -1.4, "h7.6v2.8h-7.6z"),
)  # fmt: skip
"""Shapes, so that colour is not all that tells values apart: where each begins, and its path."""


@dataclass(frozen=True)
class Series:
    """One line of a chart, left to right: what its points are called, and their deviations."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    points: Sequence[object]
    deviation: Sequence[float] = ()


def mark(kind: int, x: float = 0.0, y: float = 0.0) -> str:
    """Draw a shape around a point: the path of an SVG; there are eight, which repeat."""
    dx, dy, path = MARKS[kind % len(MARKS)]
    return f"M{x + dx:.1f} {y + dy:.1f}{path}"


def line_chart(
    series: Sequence[Series], *, title: str, x_name: str, y_name: str, ticks: Mapping[float, str]
) -> dict[str, Any]:
    """Place lines of shares, at most 1, over an axis whose ticks are given.

    Parameters
    ----------
    series : one line each; the first is drawn last, on top. A single point gets a level line.
    title : read out.
    x_name, y_name : of the axes.
    ticks : position -> label of the horizontal axis; its range is theirs.
    """
    # A mean and its deviation may reach beyond what a share can be.
    bands = [
        [(max(y - d, 0.0), min(y + d, 1.0)) for y, d in zip(one.y, one.deviation, strict=True)]
        if one.deviation
        else []
        for one in series
    ]
    edges = [edge for band in bands for pair in band for edge in pair]
    edges += [y for one in series for y in one.y]
    low, high, step = _scale(min(edges), max(edges))
    first, last = min(ticks), max(ticks)

    def px(x: float) -> float:
        return round(LEFT + 10 + (x - first) / ((last - first) or 1) * (RIGHT - LEFT - 20), 1)

    def py(y: float) -> float:
        return round(FLOOR - (y - low) / (high - low) * (FLOOR - TOP), 1)

    def path(x: Sequence[float], y: Sequence[float]) -> str:
        return "L".join(f"{px(a)} {py(b)}" for a, b in zip(x, y, strict=True))

    lines = []
    for i, (one, band) in enumerate(zip(series, bands, strict=True)):
        alone = len(one.x) == 1 and len(ticks) > 1
        upper, lower = [top for _, top in band], [bottom for bottom, _ in band]
        lines.append(
            {
                "name": one.name,
                "number": i,
                "level": alone,
                "path": f"M{LEFT} {py(one.y[0])}H{RIGHT}" if alone else "M" + path(one.x, one.y),
                "band": f"M{path(one.x, upper)}L{path(one.x[::-1], lower[::-1])}Z" if band else "",
                "key": mark(i),
                "dots": [
                    (mark(i, px(x), py(y)), f"{one.name}, {point}: {y:.3f}")
                    for x, y, point in zip(one.x, one.y, one.points, strict=True)
                ],
            }
        )
    heights = [low + i * step for i in range(round((high - low) / step) + 1)]
    turned = sum(len(label) + 2 for label in ticks.values() if label) > 62
    return {
        "title": title,
        "x_name": x_name,
        "y_name": y_name,
        "width": WIDTH,
        "height": FLOOR + (64 if turned else 46),
        "left": LEFT,
        "right": RIGHT,
        "floor": FLOOR,
        "rules": [(py(y), f"{y:.2f}") for y in heights],
        "ticks": [(px(x), label) for x, label in ticks.items()],
        "turned": turned,
        "lines": lines,
    }


def map_chart(
    x: Sequence[float], y: Sequence[float], labels: Sequence[int], names: Sequence[str]
) -> dict[str, Any]:
    """Place points of several values: one path per value, so that thousands stay light.

    Parameters
    ----------
    x, y : from 0 to 1.
    labels : index of each point's value.
    names : of the values; each stands in the middle of its points, or below another that does.
    """
    across, down = 8 + np.array(x) * (SIDE - 16), SIDE - 8 - np.array(y) * (SIDE - 16)
    own = {label: np.array(labels) == label for label in sorted(set(labels))}
    middles = {k: (np.median(across[at]), np.median(down[at])) for k, at in own.items()}
    placed: list[tuple[float, float, float, str]] = []
    for label, (a, b) in sorted(middles.items(), key=lambda one: one[1][1]):
        name = (
            names[label]
            if len(names[label]) <= 24
            else names[label][:23] + "\N{HORIZONTAL ELLIPSIS}"
        )
        half = 3.2 * len(name) + 2
        a = min(max(float(a), half), SIDE - half)
        b = float(b) + 4
        while any(abs(a - c) < half + other and abs(b - d) < 12 for c, d, other, _ in placed):
            b += 1
        placed.append((round(a, 1), round(min(b, SIDE - 4), 1), half, name))
    return {
        "side": SIDE,
        "drawn": len(x),
        "names": [(a, b, name) for a, b, _, name in placed],
        "groups": [
            (k, "".join(mark(k, a, b) for a, b in zip(across[at], down[at], strict=True)))
            for k, at in own.items()
        ],
    }


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Round a range outwards to a handful of even steps."""
    span = max(high - low, 0.02)
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, span) if span / s <= 6)
    bottom = math.floor(low / step + 1e-9) * step
    top = math.ceil(high / step - 1e-9) * step
    return bottom, max(top, bottom + step), step
