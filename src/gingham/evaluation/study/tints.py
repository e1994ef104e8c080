"""Colours for values: the colour itself where the value names one, else colours far apart."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

NAMED = {
    "beige": "#d9c7a0",
    "black": "#1b1b1b",
    "blue": "#2f5fd0",
    "brown": "#8a5a2b",
    "gold": "#c9a227",
    "gray": "#8f8f8f",
    "green": "#2f9e44",
    "grey": "#8f8f8f",
    "navy": "#1f2a5c",
    "orange": "#f08c1a",
    "pink": "#f48fb8",
    "purple": "#8e44ad",
    "red": "#d92b2b",
    "silver": "#c3c7cc",
    "turquoise": "#2cb5b0",
    "violet": "#8e44ad",
    "white": "#fdfdfd",
    "yellow": "#f2d21b",
}
APART = (
    "#4477dd", "#ee7733", "#228833", "#cc3377", "#8866cc", "#ccaa22", "#33aacc", "#aa4433",
    "#777777", "#66cc88", "#ff99bb", "#115566",
)  # fmt: skip


def tints(values: Sequence[str]) -> list[str]:
    """Give each value a CSS colour.

    Values that all name colours are shown in them; others get colours far apart, which repeat
    nowhere.
    """
    if all(value.lower() in NAMED for value in values):
        return [NAMED[value.lower()] for value in values]
    if len(values) <= len(APART):
        return list(APART[: len(values)])
    made = []
    for i in range(len(values)):
        # The golden ratio never comes round to the same hue.
        rgb = colorsys.hls_to_rgb(i * 0.618034 % 1, (0.45, 0.6, 0.35)[i % 3], 0.65)
        made.append("#" + "".join(f"{round(255 * part):02x}" for part in rgb))
    return made
