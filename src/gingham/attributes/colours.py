"""The built-in attribute `colours`: what the foreground's colours are called, without teaching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import numpy as np

from gingham.attributes.attribute import SEEN, Features, HeatMap, Picture, TagBatch
from gingham.attributes.cutoffs import cut_off
from gingham.attributes.palette import LAYERS, VERSION, Shares, nearest, palette, unmix
from gingham.backbones.descriptors import foreground_weights
from gingham.backbones.runtime import MapRuntime, Runtime
from gingham.backbones.table import PIXELS, FeatureConfig
from gingham.colours import NAMED, TERMS, lab, rgb_of
from gingham.cutoff import Cutoff, CutoffResult
from gingham.errors import InputError
from gingham.results import Prediction

COLOURS = "colours"
"""The name of the attribute."""

LEAST_SHARE = 0.15
"""What a colour has of the foreground to be one of its values."""

SLOPE, OFFSET = 11.5, -0.1
"""Of the logistic curve of `_confidence`, by half of the colour photos of docs/benchmarks.md."""

LIGHTNESS = 0.5
"""Weight of a difference in lightness, in naming."""

NAMES = (*TERMS, *(name for name in NAMED if name not in TERMS))


def has_colours(config: FeatureConfig) -> bool:
    """Tell whether features hold what `Colours` reads."""
    return set(LAYERS) <= set(config.widths)


@cache
def naming() -> Shares:
    """Say what each colour of the palette is called: (J, V), 1 at its term and at its finer name.

    It is called what the nearest colour that has a name is called, in CIE Lab with lightness at
    half its scale (light and shade change it, and not the name), less each name's reach.
    """
    named = list(NAMED.values())
    points = lab(np.stack([rgb_of(one.written) for one in named]))
    differences = (palette().lab[:, None] - points) * (LIGHTNESS, 1, 1)
    apart = np.sqrt(np.square(differences).sum(axis=-1)) - [one.reach for one in named]
    called = np.zeros((len(apart), len(NAMES)), np.float32)
    for row, place in enumerate(apart.argmin(axis=1).tolist()):
        for name in (named[place].term, named[place].name):
            called[row, NAMES.index(name)] = 1
    return called


@dataclass(frozen=True)
class Colours:
    """See `gingham.attributes.attribute.Attribute`.

    Its values are the basic colour terms, then finer names; each has a share of the foreground.
    The shares of the terms add up to 1; those of finer names are parts of their terms' shares.
    """

    name: ClassVar[str] = COLOURS
    kind: ClassVar[str] = "multi"
    values: ClassVar[tuple[str, ...]] = NAMES
    stamp: ClassVar[str] = f"built in, {VERSION}"
    needs: ClassVar[Literal["features"]] = "features"
    reader: ClassVar[None] = None
    layers: ClassVar[tuple[str, ...]] = LAYERS
    method: ClassVar[str] = SEEN

    def shares(self, features: Features) -> Shares:
        """Give each value's share of the foreground: (N, V) float32."""
        return unmix(features) @ naming()

    def answer(self, features: Features, *, evidence: int = 5) -> list[Prediction]:
        """Answer for N images with the share of every value; there are no examples to show."""
        found = []
        for shares in self.shares(features):
            order = _ordered(shares)
            found.append(
                Prediction(
                    [NAMES[place] for place in _named(shares, order)],
                    _confidence(shares),
                    {NAMES[place]: float(shares[place]) for place in order},
                    (),
                )
            )
        return found

    def tags(self, features: Features) -> TagBatch:
        """Answer for N images; none is unknown."""
        shares = self.shares(features)
        values = [[NAMES[place] for place in _named(row, _ordered(row))] for row in shares]
        confidence = np.array([_confidence(row) for row in shares], np.float32)
        return TagBatch(values, confidence, [[] for _ in values])

    def cut_off(self, cutoff: Cutoff) -> CutoffResult:
        """Say how sure its answers must be: as sure as they say themselves."""
        return cut_off(self.name, self.kind, self.values, cutoff, None)

    def mapped_layers(self) -> tuple[str, ...]:
        """The colours that the network sees."""
        return (PIXELS,)

    def check_explainable(self, runtime: Runtime) -> None:
        """See `Attribute.check_explainable`."""
        if not isinstance(runtime, MapRuntime):
            raise InputError(
                f"the runtime of backbone {runtime.config.backbone!r} gives features but no maps: "
                "it cannot show where in an image a colour is"
            )

    def explain(self, picture: Picture, features: Features, values: Sequence[str]) -> list[HeatMap]:
        """Say where in a picture the foreground has colours of some names."""
        maps = picture.maps((PIXELS,))[PIXELS]
        places = nearest(maps.reshape(len(maps), -1).T).reshape(maps.shape[1:])
        weights = foreground_weights(maps[None])[0]
        shares = self.shares(features)[0]
        found = []
        for value in values:
            column = NAMES.index(value)
            heat = (naming()[:, column][places] * weights * weights.size).astype(np.float32)
            found.append(HeatMap(value, float(shares[column]), heat, {}))
        return found


def _ordered(shares: Shares) -> list[int]:
    """Give the places of all values: the terms by their share, then the finer names by theirs."""
    terms, finer = np.split(shares, [len(TERMS)])
    order = [np.argsort(-terms, kind="stable"), len(TERMS) + np.argsort(-finer, kind="stable")]
    return [int(place) for place in np.concatenate(order)]


def _named(shares: Shares, order: Sequence[int]) -> list[int]:
    """Give the places of the values that are named: the first, and those with enough."""
    return [place for place in order if place == order[0] or shares[place] >= LEAST_SHARE]


def _confidence(shares: Shares) -> float:
    """Give the probability that the first name is right, by how far it is ahead."""
    second, first = np.sort(shares[: len(TERMS)])[-2:].tolist()
    return float(1 / (1 + np.exp(-(SLOPE * (first - second) + OFFSET))))
