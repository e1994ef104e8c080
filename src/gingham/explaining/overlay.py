"""A heat map laid on its picture, and the colours that it is drawn in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gingham.attributes.attribute import GRAD_CAM
from gingham.explaining.explanation import Explanation

SPEAKS_FOR = ((255, 237, 160), (254, 178, 76), (253, 141, 60), (240, 59, 32), (189, 0, 38))
SPEAKS_AGAINST = ((222, 235, 247), (158, 202, 225), (107, 174, 214), (49, 130, 189), (8, 81, 156))
"""From weak to strong, each darker than the one before, so that strength is read without hue.

Brewer's YlOrRd and Blues, told apart by the colour-blind (Harrower, Brewer, *ColorBrewer.org*,
The Cartographic Journal 40, 2003).
"""

STRONGEST = 0.85
"""How much the strongest colour covers; the picture must stay recognisable under it."""

FAINT = 0.5
"""A map that is nowhere this strong, in the score's units, is shown as faint as it is."""


def strength(explanation: Explanation) -> NDArray[np.float32]:
    """Scale a map for drawing: (H, W) float32, from -1 (against) to 1 (for).

    The scale is the map's own, 1 being what one position in twenty exceeds, so that maps of
    different pictures cannot be compared by their colours; but a faint map stays faint. (The rim
    of what is read, where a network sees the padding, would set a scale by the very strongest.)
    """
    if explanation.method == GRAD_CAM:
        return explanation.heat
    strong = float(np.quantile(np.abs(explanation.heat), 0.95))
    scaled: NDArray[np.float32] = np.clip(explanation.heat / max(strong, FAINT), -1, 1)
    return scaled


def colour(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Give strengths from -1 to 1 their colours: (..., 3) float32 of 0 to 255."""
    places = np.linspace(0, 1, len(SPEAKS_FOR))
    out = np.empty((*values.shape, 3), np.float32)
    for channel in range(3):
        for sign, anchors in ((1, SPEAKS_FOR), (-1, SPEAKS_AGAINST)):
            ramp = [anchor[channel] for anchor in anchors]
            some = values >= 0 if sign > 0 else values < 0
            out[..., channel][some] = np.interp(np.abs(values[some]), places, ramp)
    return out


def draw_overlay(picture: NDArray[np.uint8], explanation: Explanation) -> Image.Image:
    """Lay a map on its (H, W, 3) uint8 picture, whose own colours are taken out of the way.

    Gives an RGB image whose longer side is 640 pixels at most; a smaller picture is not
    enlarged. What was not read of the picture is hatched.
    """
    image = Image.fromarray(picture)
    image.thumbnail((640, 640))
    wide, high = image.size
    # A narrow range of greys, so that neither black nor white drowns the colours.
    grey = 70 + 0.6 * np.asarray(image.convert("L"), np.float32)
    left, top, right, bottom = (
        round(edge * side)
        for edge, side in zip(explanation.box, (wide, high, wide, high), strict=True)
    )
    size = (max(right - left, 1), max(bottom - top, 1))
    smooth = Image.fromarray(strength(explanation)).resize(size, Image.Resampling.BICUBIC)
    values = np.clip(np.asarray(smooth), -1, 1)
    out = np.repeat(grey[..., None], 3, axis=2)
    cover = STRONGEST * np.abs(values)[..., None]
    read = (slice(top, top + size[1]), slice(left, left + size[0]))
    out[read] += cover * (colour(values) - out[read])
    rows, columns = np.indices((high, wide))
    unread = np.ones((high, wide), bool)
    unread[read] = False
    out[unread] = 0.4 * out[unread] + 120
    out[unread & ((rows + columns) % 9 < 1)] -= 28
    return Image.fromarray(out.clip(0, 255).astype(np.uint8))
