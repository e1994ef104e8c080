"""The torch module that turns images into features: normalise, run the network, pool each layer.

`gingham.backbones.graph` does the same with OpenVINO's operations. This module imports torch at its
top; `gingham.backbones.builders.build_network` imports it when needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from gingham.backbones.descriptors import LEAST, border, check_blocks, cover
from gingham.backbones.preprocess import Preprocess
from gingham.backbones.table import (
    CHROMAS,
    DEFAULT_POOLING,
    GEM_FLOOR,
    GEM_POWER,
    HUES,
    PALETTE_GRAIN,
    PIXELS,
    VALUES,
    Descriptor,
    split_pooling,
)
from gingham.errors import BackboneError


class PooledNetwork(nn.Module):
    """Map (N, S, S, 3) uint8 RGB to a tuple of float32 arrays.

    They come in the order of `FeatureConfig.widths`: a layer over its foreground gives
    (N, 2C), a layer (N, KC), a descriptor (N, sum of its layers' C) or three histograms.

    Parameters
    ----------
    extractor : maps normalised (N, 3, S, S) to a mapping of layer to (N, C, H, W), or (N, C).
    layers : the order of the outputs; `PIXELS` is made here, see `palette`.
    preprocess : the network's normalisation.
    statistics : the K statistics of each channel; see `pool`.
    descriptors : made of the maps of `layers`, or of the images; see `describe`, `colours`.
    foreground : those of `layers` that are pooled once more; see `pool_foreground`.

    References
    ----------
    Baloian et al. (2021), section 3.2, pool by the mean alone; the deviation and the foreground
    are ours.
    """

    def __init__(
        self,
        extractor: nn.Module,
        layers: tuple[str, ...],
        preprocess: Preprocess,
        statistics: tuple[str, ...] = split_pooling(DEFAULT_POOLING),
        descriptors: tuple[Descriptor, ...] = (),
        foreground: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.layers = layers
        self.statistics = statistics
        self.descriptors = descriptors
        self.foreground = foreground
        self.bgr = preprocess.bgr
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocess.std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Pool every layer of a batch, and describe it."""
        maps = self._activations(images)
        return (
            *(pool_foreground(maps[layer], layer) for layer in self.foreground),
            *(pool(maps[layer], layer, self.statistics) for layer in self.layers),
            *(
                colours(images, one.bins) if one.bins else describe(maps, one)
                for one in self.descriptors
            ),
        )

    def maps(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Give the (N, C, H, W) activations of every layer; one of (N, C) has a single position."""
        maps = self._activations(images)
        return {
            layer: values[:, :, None, None] if (values := maps[layer]).ndim == 2 else values
            for layer in self.layers
        }

    def _activations(self, images: torch.Tensor) -> Mapping[str, torch.Tensor]:
        x = images.permute(0, 3, 1, 2).float()
        if self.bgr:
            x = x.flip(1)
        x = (x - cast(torch.Tensor, self.mean)) / cast(torch.Tensor, self.std)
        activations: Mapping[str, torch.Tensor] = self.extractor(x)
        if PIXELS in self.layers:
            activations = {PIXELS: palette(images), **activations}
        return activations


class HiddenMaps(nn.Module):
    """Map (1, S, S, 3) uint8 RGB to the activations of the network's own layers, to convert it."""

    def __init__(self, network: PooledNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give (1, C, H, W) of each layer, in order."""
        maps = self.network.maps(images)
        return tuple(maps[layer] for layer in self.network.layers if layer != PIXELS)


def pool(
    maps: torch.Tensor, layer: str, statistics: tuple[str, ...] = ("mean", "std")
) -> torch.Tensor:
    """Describe each channel of (N, C, H, W) over its positions: (N, KC), statistic by statistic.

    Parameters
    ----------
    maps : one layer's activations.
    layer : its name, for the message.
    statistics : `mean`; `std`, the population standard deviation; `gem`, the generalised mean of
        power 3 of what is positive; `max`.

    Raises
    ------
    BackboneError
        If the layer gives no map of channels by positions.

    References
    ----------
    Radenovic, Tolias, Chum, *Fine-tuning CNN Image Retrieval with No Human Annotation* (2018),
    eq. 1 to 3: generalised-mean pooling with power 3. They pool rectified maps; where a layer is
    linear, its negative activations count as none.
    """
    check_map(maps, layer)
    mean = maps.mean((2, 3), keepdim=True)
    pooled = {"mean": mean.flatten(1)}
    if "std" in statistics:
        pooled["std"] = (maps - mean).square().mean((2, 3)).sqrt()
    if "gem" in statistics:
        powers = maps.clamp(min=GEM_FLOOR).pow(GEM_POWER)
        pooled["gem"] = powers.mean((2, 3)).pow(1 / GEM_POWER)
    if "max" in statistics:
        pooled["max"] = maps.amax((2, 3))
    return torch.cat([pooled[name] for name in statistics], dim=1)


def pool_foreground(maps: torch.Tensor, layer: str) -> torch.Tensor:
    """Describe each channel of (N, C, H, W) over the foreground: (N, 2C), means then deviations.

    Both are weighted by `gingham.backbones.descriptors.foreground_weights`.

    Raises
    ------
    BackboneError
        If the layer gives no map of channels by positions.
    """
    check_map(maps, layer)
    edge = torch.from_numpy(border(maps.shape[2], maps.shape[3])).to(maps)
    outside = (maps * edge).sum((2, 3), keepdim=True) / edge.sum()
    # Clamped before the root, whose slope at zero is infinite.
    weights = (maps - outside).square().sum(1, keepdim=True).clamp(min=LEAST**2).sqrt()
    weights = weights / weights.sum((2, 3), keepdim=True)
    mean = (maps * weights).sum((2, 3), keepdim=True)
    variance = ((maps - mean).square() * weights).sum((2, 3))
    return torch.cat([mean.flatten(1), variance.clamp(min=LEAST**2).sqrt()], dim=1)


def check_map(maps: torch.Tensor, layer: str) -> torch.Tensor:
    """Return a layer's activations if they are (N, C, H, W).

    Raises
    ------
    BackboneError
        If they are not.
    """
    if maps.ndim != 4:
        raise BackboneError(
            f"layer {layer!r} gives {tuple(maps.shape)}, not (N, C, H, W): "
            "gingham reads convolutional networks"
        )
    return maps


def describe(maps: Mapping[str, torch.Tensor], descriptor: Descriptor) -> torch.Tensor:
    """Make a descriptor of a batch: (N, sum of C).

    Without a threshold the means of its layers' channels are joined (of a fully connected layer
    these are its activations: neural codes); with one, see
    `gingham.backbones.descriptors.significant_activations`, which this equals.

    Raises
    ------
    ShapeError
        If a layer's map is larger than that of the layer before.
    """
    if descriptor.threshold is None:
        return torch.cat([pool(maps[name], name, ("mean",)) for name in descriptor.layers], dim=1)
    blocks = [maps[name] for name in descriptor.layers]
    shapes = [tuple(block.shape) for block in blocks]
    check_blocks(shapes)
    last = blocks[-1]
    significant = (last > descriptor.threshold).to(last.dtype)
    weights = significant.sum(1)
    parts = [(last * significant).sum((2, 3)) / significant.sum((2, 3)).clamp(min=1)]
    for number in reversed(range(len(blocks) - 1)):
        block = blocks[number]
        for axis in (2, 3):
            places = torch.from_numpy(cover(shapes[number][axis], shapes[number + 1][axis]))
            weights = weights.index_select(axis - 1, places.to(weights.device))
        summed = (block.flatten(2) @ weights.flatten(1)[:, :, None])[:, :, 0]
        # Weights are counts: where their sum is not 0 it is at least 1.
        parts.append(summed / weights.sum((1, 2)).clamp(min=1)[:, None])
    return torch.cat(parts[::-1], dim=1)


def palette(images: torch.Tensor) -> torch.Tensor:
    """Classify the colours of (N, H, W, 3) RGB of 0 to 255: (N, 56, H / 4, W / 4), in [0, 1].

    Of each mean colour of 4 x 4 pixels, in the HSV hexcone: hue (of 12) by chroma (of 3, without
    zero), which add up to 1 except where it is grey, and value (of 5) by chroma (of 4, with zero),
    which add up to 1. A colour between grid points belongs to those around it, linearly. Pooled,
    these are soft histograms.

    References
    ----------
    Smith, *Color Gamut Transform Pairs* (1978), for the hexcone. Han, Ma, *Fuzzy Color Histogram
    and Its Use in Color Image Retrieval* (2002), for colours that belong to several bins.
    """
    rgb = nn.functional.avg_pool2d(images.permute(0, 3, 1, 2).float(), PALETTE_GRAIN) / 255
    red, green, blue = rgb[:, :1], rgb[:, 1:2], rgb[:, 2:]
    value = rgb.amax(1, keepdim=True)
    chroma = value - rgb.amin(1, keepdim=True)
    # In sixths of a turn; zero where there is no chroma, where it has no weight.
    spread = chroma.clamp(min=LEAST)
    hue = torch.where(
        value == red,
        (green - blue) / spread,
        torch.where(value == green, 2 + (blue - red) / spread, 4 + (red - green) / spread),
    )
    apart = (hue * (HUES / 6) - torch.arange(HUES).view(1, -1, 1, 1).to(hue)).abs()
    hues = (1 - torch.minimum(apart, (HUES - apart).abs())).clamp(min=0)
    chromas, values = _levels(chroma, CHROMAS + 1), _levels(value, VALUES)
    return torch.cat(
        [
            (chromas[:, 1:, None] * hues[:, None]).flatten(1, 2),
            (values[:, :, None] * chromas[:, None]).flatten(1, 2),
        ],
        1,
    )


def _levels(shares: torch.Tensor, count: int) -> torch.Tensor:
    """How much a share in [0, 1] belongs to each of evenly spaced levels: (N, count, H, W)."""
    levels = torch.arange(count).view(1, -1, 1, 1).to(shares)
    return (1 - (shares * (count - 1) - levels).abs()).clamp(min=0)


def colours(images: torch.Tensor, bins: int) -> torch.Tensor:
    """Count the pixels of each brightness of red, green and blue: (N, 3 * bins).

    Equals `gingham.backbones.descriptors.rgb_histogram` of each of (N, H, W, 3) images.
    """
    # By powers of two and below 2^24 nothing is rounded before the mean.
    levels = (images.permute(0, 3, 1, 2).flatten(2).float() * bins / 256).floor()
    # A bin at a time: all at once would be `bins` times the pixels in memory.
    shares = [(levels == level).to(levels.dtype).mean(2) for level in range(bins)]
    return bins * torch.stack(shares, 2).flatten(1)
