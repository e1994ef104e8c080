"""Colours as people write and name them, and as numbers in which distances mean something."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.names import did_you_mean, shortened

TERMS = (
    "black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown",
)  # fmt: skip
"""The basic colour terms of English: Berlin, Kay, *Basic Color Terms* (1969)."""


@dataclass(frozen=True)
class NamedColour:
    """A name of a colour.

    Attributes
    ----------
    term : the basic colour term that it falls under; its own name if it is one.
    written : as `#rrggbb`.
    reach : how much nearer to other colours it counts as than it is, in CIE Lab.
    """

    name: str
    term: str
    written: str
    reach: float = 0.0


def _named(rows: str) -> dict[str, NamedColour]:
    table = {}
    for row in rows.strip().splitlines():
        term, colours = row.split(": ")
        for colour in colours.split(", "):
            name, _, rest = colour.partition(" #")
            digits, _, reach = rest.partition(" ")
            table[name] = NamedColour(name, term, f"#{digits}", float(reach or 0))
    return table


NAMED: Mapping[str, NamedColour] = _named(
    """
black: black #000000, charcoal #343837
white: white #ffffff, cream #ffffe4
grey: grey #929591, silver #c5c9c7
red: red #e50000, maroon #650021 6, crimson #8c000f 8
orange: orange #f97306, coral #fc5a50 -9, peach #ffb07c, burnt orange #c04e01 5, amber #feb308
yellow: yellow #ffff14, gold #dbb40c 7, lemon #fffe7a 2
green: green #15b01a, olive #6e750e, lime #89fe05, mint #9ffeb0, light green #96f97b
green: dark green #033500, emerald #01a049, sage #87ae73 4, teal #029386, turquoise #06c2ac
green: dark teal #014d4e
blue: blue #0343df, cyan #00ffff, sky blue #75bbfd 5, light blue #95d0fc, royal blue #0504aa
blue: navy #01153e -3, denim #3b638c, steel blue #5a7d9a 3
purple: purple #7e1e9c, violet #9a0eea, lavender #c79fef, light purple #bf77f6
purple: periwinkle #8e82fe, plum #580f41 7, indigo #380282
pink: pink #ff81c0, magenta #c20078, hot pink #ff028d, fuchsia #ed0dd9, rose #cf6275 -5
pink: salmon #ff796c, light pink #ffd1df 3, dark pink #cb416b, mauve #ae7181
brown: brown #653700, beige #e6daa6, tan #d1b26f, khaki #aaa662
brown: light brown #ad8150, chocolate #3d1c02 12, taupe #b9a281 -3
"""
)
"""Name -> colour: the terms, and finer names of colours that fall under them.

What falls under which term is ours, and so are the reaches: chosen on half of the colour photos and
of the products of docs/benchmarks.md.

References
----------
Munroe, *Color Survey Results* (2010), for the colours: what 222,500 people called the colours that
their screens showed.
"""

MAX_WEIGHT = 1e6
"""Of a colour in a search."""

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")

# Linear sRGB to XYZ, whose white is D65.
_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _XYZ.sum(axis=1)
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27

Floats = NDArray[np.float64]


def lab(rgb: NDArray[np.floating[Any]]) -> Floats:
    """Map (..., 3) sRGB of 0 to 1 to (..., 3) CIE L*a*b* under D65: L* is 0 to 100.

    The Euclidean distance of two colours says how different they look; 2.3 is just noticeable.

    References
    ----------
    IEC 61966-2-1 (1999), for sRGB. CIE 15:2004, *Colorimetry*, section 8.2.1, eq. 8.3 to 8.11.
    """
    rgb = np.asarray(rgb, np.float64)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _XYZ.T / _WHITE
    f = np.where(ratio > _EPSILON, np.cbrt(ratio), (_KAPPA * ratio + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def srgb(lab: NDArray[np.floating[Any]]) -> Floats:
    """Map (..., 3) CIE L*a*b* to sRGB, as `lab` reads it; what no screen shows is nan."""
    y = (np.asarray(lab[..., 0], np.float64) + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    ratio = np.where(f**3 > _EPSILON, f**3, (116 * f - 16) / _KAPPA)
    linear = (ratio * _WHITE) @ np.linalg.inv(_XYZ).T
    inside = ((linear > -_SLACK) & (linear < 1 + _SLACK)).all(axis=-1, keepdims=True)
    linear = linear.clip(0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.where(inside, rgb, np.nan)


_SLACK = 0.02
"""So far outside the cube of linear sRGB a colour is moved to its face."""


def rgb_of(text: str) -> Floats:
    """Read a colour such as `#b03a2e`, `#b32` or `navy`: (3,) sRGB of 0 to 1.

    Raises
    ------
    InputError
        If it is neither.
    """
    name = " ".join(text.lower().replace("gray", "grey").split())
    if name in NAMED:
        name = NAMED[name].written
    if (found := _HEX.fullmatch(name)) is None:
        raise InputError(
            f"unknown colour {shortened(text)}: write it as in '#b03a2e', or give one of "
            f"{', '.join(NAMED)}{did_you_mean(name, NAMED)}"
        )
    digits = found[1] if len(found[1]) == 6 else "".join(2 * digit for digit in found[1])
    return np.frombuffer(bytes.fromhex(digits), np.uint8) / 255


def parse_colours(texts: Iterable[str]) -> dict[str, float]:
    """Read colours, each as in `#b03a2e`, `navy` or, with a weight, `#b03a2e=2`: colour -> weight.

    Raises
    ------
    InputError
        If one cannot be read, or comes twice.
    """
    weights: dict[str, float] = {}
    for text in texts:
        colour, sign, number = text.partition("=")
        try:
            weight = float(number) if sign else 1.0
        except ValueError:
            raise InputError(
                f"a colour is written COLOUR or COLOUR=WEIGHT, as in '#b03a2e=2'; got {text!r}"
            ) from None
        if colour in weights:
            raise InputError(f"colour {colour} is given twice: give one weight for it")
        weights[colour] = weight
    check_colours(weights)
    return weights


def check_colours(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the colours that count, those with a weight above 0.

    Raises
    ------
    InputError
        If a colour cannot be read, or a weight is negative, too large or no number.
    """
    for colour, weight in weights.items():
        rgb_of(colour)
        if not 0 <= weight <= MAX_WEIGHT:
            raise InputError(
                f"the weight of colour {colour} must be from 0 to {MAX_WEIGHT:,.0f}, got {weight}"
            )
    return {colour: weight for colour, weight in weights.items() if weight}
