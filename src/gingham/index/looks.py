"""Similarity spaces: which hidden layers say how alike two images look, and their weighted sum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.table import FOREGROUND, early_layers
from gingham.errors import InputError, ShapeError
from gingham.names import did_you_mean

Floats = NDArray[np.float32]
AnyFloats = NDArray[np.floating[Any]]

COLOURS_LOOK = "colours"
"""Compares images with colours that are given, not with images."""
TAUGHT_PREFIX = "attribute:"
TAUGHT_SCALE = 0.5
NEGATIVE_FACTOR = 0.5
MAX_WEIGHT = 1e6
"""Of a look; scores are float32."""


@dataclass(frozen=True)
class Look:
    """One similarity space over the pooled features of some hidden layers.

    Attributes
    ----------
    name : what the slider is called.
    layers, channels : the hidden layers it reads, and the number of channels C of each.
    statistics : what is taken of each layer, L2-normalised and joined with the other layers:
        "mean" (C wide), "sum" (mean + deviation / 2, C wide) or
        "both" (half the unit mean, then the unit deviation, 2C wide).
    max_width : a wider vector goes through a fixed, seeded orthogonal projection to this width.
    scale : how fast similarity falls with the cosine, ``1 - scale * (1 - cosine)``. Cosines
        spread less in early layers than in late ones (standard deviation 0.02 in colour, 0.14 in
        semantic); without a scale the late layers would decide every mixture.
    """

    name: str
    layers: tuple[str, ...]
    channels: tuple[int, ...]
    statistics: Literal["mean", "sum", "both"]
    max_width: int
    scale: float

    @property
    def width(self) -> int:
        """Length of this look's vectors."""
        return min(self.full_width, self.max_width)

    @property
    def full_width(self) -> int:
        """Length before the projection."""
        return sum(self.channels) * (2 if self.statistics == "both" else 1)

    def embed(self, features: Mapping[str, AnyFloats]) -> Floats:
        """Map pooled features to unit vectors; a row depends on its own image alone.

        Parameters
        ----------
        features : layer name -> (N, 2C) array, channel means then channel deviations;
            further layers are ignored.

        Returns
        -------
        (N, width) float32 array; unit rows, or zero where the image activates nothing.

        Raises
        ------
        InputError
            If a layer is missing, or a feature is not finite.
        ShapeError
            If a layer's array is not (N, 2C).
        """
        parts = []
        for layer, channels in zip(self.layers, self.channels, strict=True):
            pooled = _layer(features, layer, channels)
            mean, deviation = pooled[:, :channels], pooled[:, channels:]
            if self.statistics == "both":
                parts += [unit(mean) * np.float32(0.5), unit(deviation)]
            else:
                parts.append(unit(mean + deviation / 2 if self.statistics == "sum" else mean))
        joined = np.concatenate(parts, axis=1)
        if self.width < self.full_width:
            # The product of each row alone: a blocked product may round a row
            # differently from one batch size to another.
            projection = _projection(self.full_width, self.width)
            joined = np.stack([row @ projection for row in joined]).reshape(-1, self.width)
        return unit(joined)


def builtin_looks(
    layers: Sequence[tuple[str, int]], foreground: Sequence[str] = ()
) -> tuple[Look, ...]:
    """Make the looks `colour`, `texture` and `semantic` of a backbone.

    Parameters
    ----------
    layers : (name, channels) of every hidden layer, from the input to the head.
    foreground : those of them that are pooled once more, over the foreground.

    Returns
    -------
    colour: the first third of the depth, as it is and over the foreground; texture: from 0.45 to
    0.8 of it, or the layer nearest to 0.625; semantic: the last layer.

    Raises
    ------
    InputError
        If there is no layer, a name comes twice, or a layer has no channels.

    References
    ----------
    Baloian et al. (2021) find colour in blocks 1-3 and texture in blocks 3-4 of a ResNet-50;
    these ranges keep to that, and on EfficientNet-Lite0 they are stem to stage 2 and stages
    4 to 6, the best of all runs of neighbouring layers.
    """
    names = [name for name, _ in layers]
    if not names or len(set(names)) < len(names) or min(c for _, c in layers) < 1:
        raise InputError(
            f"layers must be different (name, channels >= 1) pairs, at least one; got {layers!r}"
        )
    depth = np.linspace(0, 1, len(names)) if len(names) > 1 else np.zeros(1)
    middle = np.flatnonzero((depth >= 0.45) & (depth <= 0.8))
    if not middle.size:
        middle = np.array([np.abs(depth - 0.625).argmin()])

    def look(
        name: str,
        chosen: Sequence[int],
        statistics: Literal["mean", "sum", "both"],
        max_width: int,
        scale: float,
    ) -> Look:
        picked = [layers[i] for i in chosen]
        if name == "colour":
            picked += [(n + FOREGROUND, c) for n, c in layers if n in foreground]
        return Look(
            name,
            tuple(n for n, _ in picked),
            tuple(c for _, c in picked),
            statistics,
            max_width,
            scale,
        )

    early = range(len(early_layers(names)))
    return (
        look("colour", early, "both", 512, 4.0),
        look("texture", middle.tolist(), "mean", 512, 1.5),
        look("semantic", [len(names) - 1], "sum", 2048, 1.0),
    )


class LookSpace:
    """The built-in looks of a catalogue.

    The similarity of two images in look k is ``1 - scale_k * (1 - cos_k)``: 1 for the same image,
    and spread alike in every look. The score of an image is ``sum_k w_k * similarity_k`` with the
    sliders' weights w. Stored vectors are ``scale_k * unit vector``, so that their dot product with
    a unit vector is the similarity up to a constant.

    Parameters
    ----------
    looks : the looks.

    Raises
    ------
    InputError
        If there is no look, or a name comes twice.
    """

    def __init__(self, looks: Sequence[Look]) -> None:
        if not looks or len({look.name for look in looks}) < len(looks):
            raise InputError(f"looks must be different, at least one; got {list(looks)!r}")
        self.looks = tuple(looks)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the looks."""
        return tuple(look.name for look in self.looks)

    @cached_property
    def widths(self) -> dict[str, int]:
        """Look -> length of its vectors."""
        return {look.name: look.width for look in self.looks}

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of everything that changes a vector's value; store it with the vectors."""
        config = {"version": 1, "looks": [asdict(look) for look in self.looks]}
        return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()

    def embed(self, features: Mapping[str, AnyFloats]) -> dict[str, Floats]:
        """Map pooled features (see `Look.embed`) to stored vectors: look -> (N, width) float32.

        Raises
        ------
        InputError, ShapeError
            As `Look.embed`.
        """
        return {look.name: look.embed(features) * np.float32(look.scale) for look in self.looks}

    def check(self, weights: Mapping[str, float], others: Collection[str] = ()) -> dict[str, float]:
        """Return the sliders that count, those above 0.

        Parameters
        ----------
        others : further looks, which are kept elsewhere.
        weights : look -> weight, 0 to `MAX_WEIGHT`, of these looks and of taught ones
            (``attribute:NAME``). To ask for what is unlike, give a negative example.

        Raises
        ------
        InputError
            If a look is unknown, a weight is negative or too large, or all are zero.
        """
        for name, weight in weights.items():
            known = name in self.names or name in others or name.startswith(TAUGHT_PREFIX)
            if not known:
                there = [*self.names, *others]
                raise InputError(
                    f"unknown look {name!r}; known: {_quoted(there)}{did_you_mean(name, there)}"
                )
            if not 0 <= weight <= MAX_WEIGHT:
                raise InputError(
                    f"the weight of look {name!r} must be from 0 to {MAX_WEIGHT:,.0f}, got "
                    f"{weight}; for what results should not look like, give an example image"
                )
        counted = {name: weight for name, weight in weights.items() if weight}
        if not counted:
            raise InputError(f"at least one look must have a weight above 0, got {dict(weights)}")
        return counted

    def scale(self, name: str) -> float:
        """Say how fast similarity falls with the cosine in a look, built-in or taught."""
        scales = {look.name: look.scale for look in self.looks}
        return scales.get(name, TAUGHT_SCALE)

    def similarity(self, name: str, cosines: Floats) -> Floats:
        """Turn cosines in one look into similarities."""
        return 1 - np.float32(self.scale(name)) * (1 - cosines)


def direction(positives: Floats, negatives: Floats | None = None) -> Floats:
    """Join examples in one look: the unit mean of the positives, less half that of the negatives.

    The sum is linear and normalised once, so that a search remains one dot product (Rocchio's
    rule with beta = 1, gamma = 1/2: a negative turns the query, it never leads it).

    Parameters
    ----------
    positives, negatives : (P, d) and (M, d) arrays; rows are L2-normalised here.

    Returns
    -------
    (d,) float32 array; zero where the examples cancel out.

    Raises
    ------
    ShapeError
        If there is no positive.
    """
    if not len(positives):
        raise ShapeError("positives", expected="(N, d) with N >= 1", got=positives.shape)
    joined = unit(unit(positives).sum(0, keepdims=True))
    if negatives is not None and len(negatives):
        joined = joined - np.float32(NEGATIVE_FACTOR) * unit(unit(negatives).sum(0, keepdims=True))
        joined = unit(joined)
    first: Floats = joined[0]
    return first


def unit(rows: AnyFloats) -> Floats:
    """L2-normalise the rows of an (N, d) array; a zero row stays zero."""
    rows = rows.astype(np.float32, copy=False)
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
    norms[norms <= 1e-12] = np.inf
    scaled: Floats = rows / norms
    return scaled


def _layer(features: Mapping[str, AnyFloats], layer: str, channels: int) -> Floats:
    if layer not in features:
        raise InputError(f"features lack the layer {layer!r}; they have {_quoted(features)}")
    pooled = np.asarray(features[layer])
    if pooled.ndim != 2 or pooled.shape[1] != 2 * channels:
        raise ShapeError(f"features[{layer!r}]", expected=f"(N, {2 * channels})", got=pooled.shape)
    if not np.isfinite(pooled).all():
        raise InputError(f"features[{layer!r}] must be finite, got NaN or infinity")
    return pooled.astype(np.float32)


@cache
def _projection(full: int, width: int) -> Floats:
    # Random signs from the bit generator, whose stream numpy promises never to change,
    # made orthogonal; fixing the diagonal's sign makes the decomposition unique.
    signs = np.random.PCG64(0).random_raw(full * width).reshape(full, width) >> 63
    q, r = np.linalg.qr(signs.astype(np.float64) * 2 - 1)
    projection: Floats = np.ascontiguousarray(q * np.sign(np.diag(r)), dtype=np.float32)
    return projection


def _quoted(names: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
