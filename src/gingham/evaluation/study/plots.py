"""Small SVG plots, drawn as text: they stand in the page, follow its colours, and need no library.

A plot is 460 units wide, so that its words stay readable on a phone. Colours are the page's
variables `--s0`, `--s1`, ... for series and `--ink`, `--soft`, `--line` for the rest.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH = 460
FLOOR = 234
LEFT, RIGHT, TOP = 56, 14, 12


@dataclass(frozen=True)
class Series:
    """One line of a plot: points left to right, each with its deviation if there is one."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    deviation: Sequence[float] = ()
    labels: Sequence[str] = ()


def line_plot(
    series: Sequence[Series],
    *,
    title: str,
    x_name: str,
    y_name: str,
    ticks: Mapping[float, str],
) -> str:
    """Draw lines of shares, at most 1, over an axis whose ticks are given.

    Parameters
    ----------
    series : one line each; the first is drawn last, on top.
    title : read out, and shown on hover.
    x_name, y_name : of the axes.
    ticks : position -> label of the horizontal axis; its range is theirs.
    """
    values = [v for one in series for v in one.y]
    # A mean and its deviation may reach beyond what a share can be.
    bands = [
        [
            (max(y - d, 0.0), min(y + d, 1.0))
            for y, d in zip(one.y, one.deviation or [0.0] * len(one.y), strict=True)
        ]
        for one in series
    ]
    edges = [edge for band in bands for pair in band for edge in pair]
    low, high, step = _scale(min(values + edges, default=0.0), max(values + edges, default=1.0))
    first, last = min(ticks, default=0.0), max(ticks, default=1.0)

    def px(x: float) -> float:
        return LEFT + 10 + (x - first) / ((last - first) or 1) * (WIDTH - LEFT - RIGHT - 20)

    def py(y: float) -> float:
        return FLOOR - (y - low) / (high - low) * (FLOOR - TOP)

    crowded = len(ticks) > 7
    height = FLOOR + (64 if crowded else 46)
    parts = []
    for i in range(round((high - low) / step) + 1):
        y = low + i * step
        parts.append(
            f'<path class="rule" d="M{LEFT} {py(y):.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{py(y) + 4:.1f}" '
            f'text-anchor="end">{y:.2f}</text>'
        )
    for x, label in ticks.items():
        where = f'x="{px(x):.1f}" y="{FLOOR + 16}"'
        turn = f' transform="rotate(-30 {px(x):.1f} {FLOOR + 12})"' if crowded else ""
        anchor = "end" if crowded else "middle"
        parts.append(
            f'<text class="tick" {where} text-anchor="{anchor}"{turn}>{_text(label)}</text>'
        )
    parts.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 4}" '
        f'text-anchor="middle">{_text(x_name)}</text>'
        f'<text class="axis" transform="rotate(-90 12 {FLOOR / 2})" x="12" '
        f'y="{FLOOR / 2}" text-anchor="middle">{_text(y_name)}</text>'
    )
    for i, one in reversed(list(enumerate(series))):
        points = [(px(x), py(y)) for x, y in zip(one.x, one.y, strict=True)]
        if one.deviation:
            upper = [f"{px(x):.1f} {py(y):.1f}" for x, (_, y) in zip(one.x, bands[i], strict=True)]
            lower = [f"{px(x):.1f} {py(y):.1f}" for x, (y, _) in zip(one.x, bands[i], strict=True)]
            parts.append(f'<path class="band s{i % 8}" d="M{"L".join(upper + lower[::-1])}Z"/>')
        if len(points) == 1 and len(ticks) > 1:
            parts.append(
                f'<path class="line level s{i % 8}" d="M{LEFT} {points[0][1]:.1f}'
                f'H{WIDTH - RIGHT}"/>'
            )
        if len(points) > 1:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            parts.append(f'<path class="line s{i % 8}" d="M{path}"/>')
        for k, (x, y) in enumerate(points):
            label = one.labels[k] if one.labels else f"{one.name}: {one.y[k]:.3f}"
            parts.append(
                f'<circle class="dot s{i % 8}" cx="{x:.1f}" cy="{y:.1f}" r="4">'
                f"<title>{_text(label)}</title></circle>"
            )
    legend = "".join(
        f'<span><i class="s{i % 8}"></i>{_text(one.name)}</span>' for i, one in enumerate(series)
    )
    return _figure(title, "".join(parts), WIDTH, height, legend, drawn=len(values))


def matrix_plot(counts: NDArray[np.intp], names: Sequence[str], *, title: str) -> str:
    """Draw a confusion matrix: a row a value, its shares of what it was taken for.

    Parameters
    ----------
    counts : (V, V) int array, own value by predicted one.
    names : the V values.
    title : read out, and shown on hover.
    """
    n = len(names)
    side = max(17.0, min(34.0, 360 / n))
    left = 8 + 6.2 * max(len(name[:14]) for name in names)
    width, height = left + n * side + 4, n * side + left + 4
    parts = []
    for own in range(n):
        total = max(int(counts[own].sum()), 1)
        parts.append(
            f'<text class="tick" x="{left - 5:.1f}" y="{(own + 0.5) * side + 4:.1f}" '
            f'text-anchor="end">{_text(names[own][:14])}</text>'
        )
        for taken in range(n):
            count = int(counts[own, taken])
            share = count / total
            kind = "hit" if own == taken else "miss"
            # Small shares of mistakes must show: the root, not the share, is the strength.
            strength = math.sqrt(share) if count else 0.0
            parts.append(
                f'<g><rect class="cell" x="{left + taken * side:.1f}" y="{own * side:.1f}" '
                f'width="{side - 1:.1f}" height="{side - 1:.1f}"/>'
                f'<rect class="{kind}" x="{left + taken * side:.1f}" y="{own * side:.1f}" '
                f'width="{side - 1:.1f}" height="{side - 1:.1f}" fill-opacity="{strength:.2f}"/>'
                f"<title>{_text(names[own])} taken for {_text(names[taken])}: {count}</title>"
                + (
                    f'<text class="count{" strong" if strength > 0.6 else ""}" '
                    f'x="{left + (taken + 0.5) * side - 0.5:.1f}" '
                    f'y="{(own + 0.5) * side + 3.5:.1f}" text-anchor="middle">{count}</text>'
                    if count and side >= 20
                    else ""
                )
                + "</g>"
            )
    for taken in range(n):
        x, y = left + (taken + 0.6) * side, n * side + 10
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="end" '
            f'transform="rotate(-45 {x:.1f} {y:.1f})">{_text(names[taken][:14])}</text>'
        )
    return _figure(
        title, "".join(parts), width, height, "", drawn=int(counts.sum()), wide=width > WIDTH
    )


def map_plot(
    x: Sequence[float],
    y: Sequence[float],
    labels: Sequence[int],
    names: Sequence[str],
    *,
    title: str,
    number: int,
) -> str:
    """Draw a map of points coloured by value: one path a value, so that thousands stay light.

    Parameters
    ----------
    x, y : from 0 to 1.
    labels : index of each point's value; its colour is the page's variable `--v0`, `--v1`, ...
    names : of the values; each stands in the middle of its points.
    title : read out, and shown.
    number : by which the page's script finds the points of this map.
    """
    side = 300
    paths: dict[int, list[str]] = {}
    for a, b, label in zip(x, y, labels, strict=True):
        paths.setdefault(label, []).append(f"M{8 + a * 284:.1f} {292 - b * 284:.1f}h0")
    parts = []
    for label, moves in sorted(paths.items()):
        path = "".join(moves)
        parts.append(
            f'<g data-value="{label}"><path class="rim" d="{path}"/>'
            f'<path class="point" style="stroke:var(--v{label})" d="{path}"/></g>'
        )
    for label in paths:
        own = np.array(
            [at for at, one in zip(zip(x, y, strict=True), labels, strict=True) if one == label]
        )
        a, b = np.median(own, axis=0)
        parts.append(
            f'<text class="name" x="{8 + a * 284:.1f}" y="{292 - b * 284:.1f}" '
            f'text-anchor="middle">{_text(names[label])}</text>'
        )
    body = "".join(parts) + '<circle class="found" r="6" cx="-20" cy="-20"/>'
    return _figure(
        title, body, side, side, "", drawn=len(x), attributes=f' data-map="{number}"', caption=title
    )


def _figure(
    title: str,
    body: str,
    width: float,
    height: float,
    legend: str,
    *,
    drawn: int,
    attributes: str = "",
    caption: str = "",
    wide: bool = False,
) -> str:
    # `data-drawn` lets a test ask whether there is anything to see; what is wide keeps its size.
    size = f' width="{width:.0f}"' if wide else ""
    return (
        f'<figure class="plot{" wide" if wide else ""}">'
        + (f"<figcaption>{_text(caption)}</figcaption>" if caption else "")
        + f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{_text(title)}" '
        f'data-drawn="{drawn}"{size}{attributes}>{body}</svg>'
        + (f'<div class="legend">{legend}</div>' if legend else "")
        + "</figure>"
    )


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Round a range outwards to a handful of even steps."""
    span = max(high - low, 0.02)
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, span) if span / s <= 6)
    bottom = math.floor(low / step + 1e-9) * step
    top = math.ceil(high / step - 1e-9) * step
    return bottom, max(top, bottom + step), step


def _text(value: str) -> str:
    return html.escape(value)
