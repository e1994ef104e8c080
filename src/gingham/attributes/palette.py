"""Which colours a picture is made of: the layer `pixels`, unmixed into a fixed palette."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.descriptors import LEAST
from gingham.backbones.table import CHROMAS, FOREGROUND, HUES, PALETTE_CHANNELS, PIXELS, VALUES
from gingham.colours import NAMED, lab, rgb_of, srgb

Floats = NDArray[np.floating[Any]]
Shares = NDArray[np.float32]
"""(N, J), the share of each colour of the palette in the foreground of each image."""

LAYERS = (PIXELS + FOREGROUND,)
"""The features that are read: of these, the means."""
VERSION = 1
"""Recipe version; bump where shares come out differently."""

SPACING = 16.0
"""Between the colours of the palette, in CIE Lab."""
STEPS = 10
"""More tell dark and pale colours apart a little better, and take longer."""
NEAR = 14.0
"""Distance in CIE Lab at which a colour is taken for another with a weight of 0.6, in a search."""
UNSEEN = 0.25
"""A colour of which as much is in bins in which nothing is seen is not there."""
BATCH = 1024
"""Images that are unmixed together."""


@dataclass(frozen=True)
class Palette:
    """J colours that any colour is near to.

    Attributes
    ----------
    lab : (J, 3), in CIE Lab.
    memberships : (J, C), what the layer `pixels` has where all is of a colour; see `memberships`.
    """

    lab: Floats
    memberships: Shares


@cache
def palette() -> Palette:
    """Make the palette: a grid in CIE Lab, as far as screens show it, and all that has a name."""
    lightness = np.linspace(0, 100, round(100 / SPACING) + 1)
    across = np.arange(-8, 9) * SPACING
    grid = srgb(np.stack(np.meshgrid(lightness, across, across, indexing="ij"), -1).reshape(-1, 3))
    named = np.stack([rgb_of(one.written) for one in NAMED.values()])
    colours = np.concatenate([grid[np.isfinite(grid).all(axis=1)], named])
    return Palette(lab(colours), memberships(colours).astype(np.float32))


def memberships(colours: Floats) -> NDArray[np.float64]:
    """Give what the layer `pixels` has of plain colours: (J, 3) sRGB of 0 to 1 -> (J, C).

    Equals `gingham.backbones.pooling.palette` of plain pictures.
    """
    value = colours.max(axis=1)
    chroma = value - colours.min(axis=1)
    red, green, blue = colours.T
    spread = np.maximum(chroma, LEAST)
    hue = np.where(
        value == red,
        (green - blue) / spread,
        np.where(value == green, 2 + (blue - red) / spread, 4 + (red - green) / spread),
    )
    apart = np.abs(hue[:, None] * (HUES / 6) - np.arange(HUES))
    hues = (1 - np.minimum(apart, np.abs(HUES - apart))).clip(min=0)
    chromas, values = _levels(chroma, CHROMAS + 1), _levels(value, VALUES)
    return np.concatenate(
        [
            (chromas[:, 1:, None] * hues[:, None]).reshape(len(colours), -1),
            (values[:, :, None] * chromas[:, None]).reshape(len(colours), -1),
        ],
        axis=1,
    )


def _levels(shares: Floats, count: int) -> NDArray[np.float64]:
    apart: NDArray[np.float64] = np.abs(shares[:, None] * (count - 1) - np.arange(count))
    return (1 - apart).clip(min=0)


def unmix(features: Mapping[str, Floats]) -> Shares:
    """Say which colours the foreground of each image is made of; a row's shares add up to 1.

    The soft histograms of a picture are the mean of those of its colours: shares of the palette's
    colours are found whose mean is most like them, by a few steps of expectation and maximisation.
    At first those are even that do not need bins in which nothing is seen.

    Parameters
    ----------
    features : layer -> (N, 2C), with the layer of `LAYERS`.

    References
    ----------
    Lucy, *An iterative technique for the rectification of observed distributions* (1974), eq. 15.
    """
    known = palette().memberships
    weights = known / known.sum(axis=1, keepdims=True)
    found = np.empty((len(features[LAYERS[0]]), len(known)), np.float32)
    for start in range(0, len(found), BATCH):
        rows = slice(start, start + BATCH)
        seen = features[LAYERS[0]][rows, :PALETTE_CHANNELS].astype(np.float32)
        shares = ((seen <= 0) @ known.T < UNSEEN).astype(np.float32)
        for _ in range(STEPS):
            expected = np.maximum(shares @ known, LEAST)
            shares = shares * ((seen / expected) @ weights.T)
            shares /= np.maximum(shares.sum(axis=1, keepdims=True), LEAST)
        found[rows] = shares
    return found


def nearest(rows: Floats) -> NDArray[np.intp]:
    """Give the colour of the palette that each of (N, C) memberships is most like: (N,)."""
    known = palette().memberships
    found: NDArray[np.intp] = (np.square(known).sum(axis=1) / 2 - rows @ known.T).argmin(axis=1)
    return found


def closeness(shares: Shares) -> Shares:
    """Give the vectors of the look `colours`: the root of the share near each colour, (N, J)."""
    return np.sqrt(shares @ _near(palette().lab, palette().lab)).astype(np.float32)


def toward(colours: Mapping[str, float]) -> NDArray[np.float32]:
    """Join colours to one vector of the look `colours`: colour -> weight above 0 -> (J,).

    Its product with an image's `closeness` is 1 where the foreground has these colours in the
    proportions of their weights, and less for any other.

    References
    ----------
    Bhattacharyya, *On a measure of divergence between two multinomial populations* (1946): the sum
    of the roots of products of shares. Here a share counts everything near its colour.
    """
    points = lab(np.stack([rgb_of(colour) for colour in colours]))
    weights = np.fromiter(colours.values(), np.float64)
    roots = np.sqrt(weights / weights.sum())
    places = _near(points, palette().lab) ** 4
    places /= places.sum(axis=1, keepdims=True)
    # Of colours near each other one share counts for several.
    most = np.sqrt(roots @ _near(points, points) @ roots)
    joined: NDArray[np.float32] = ((roots / most) @ places).astype(np.float32)
    return joined


def _near(one: Floats, other: Floats) -> NDArray[np.float64]:
    """How much colours are taken for others: (A, 3) and (B, 3) in CIE Lab -> (A, B), at most 1."""
    apart = np.square(one[:, None] - other[None]).sum(axis=-1)
    near: NDArray[np.float64] = np.exp(-apart / (2 * NEAR**2))
    return near
