"""The torch module that turns images into features: normalise, run the network, pool each layer.

The only module that imports torch at its top; `backbones.build_network` imports it when needed.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from gingham.backbones import Preprocess
from gingham.errors import BackboneError


class PooledNetwork(nn.Module):
    """Map (N, S, S, 3) uint8 RGB to a tuple of (N, 2C) float32, one for each layer.

    Parameters
    ----------
    extractor : maps normalised (N, 3, S, S) to a mapping of layer to (N, C, H, W), or (N, C).
    layers : the order of the outputs.
    preprocess : the network's normalisation.

    References
    ----------
    Baloian et al. (2021), section 3.2, pool by the mean alone; the deviation is ours.
    """

    def __init__(
        self, extractor: nn.Module, layers: tuple[str, ...], preprocess: Preprocess
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.layers = layers
        self.bgr = preprocess.bgr
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocess.std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Pool every layer of a batch."""
        x = images.permute(0, 3, 1, 2).float()
        if self.bgr:
            x = x.flip(1)
        x = (x - cast(torch.Tensor, self.mean)) / cast(torch.Tensor, self.std)
        maps = self.extractor(x)
        return tuple(mean_std(maps[layer], layer) for layer in self.layers)


def mean_std(maps: torch.Tensor, layer: str) -> torch.Tensor:
    """Pool (N, C, H, W) to (N, 2C): channel means, then population standard deviations.

    Raises
    ------
    BackboneError
        If the layer gives no map of channels by positions.
    """
    if maps.ndim == 2:
        maps = maps[:, :, None, None]
    if maps.ndim != 4:
        raise BackboneError(
            f"layer {layer!r} gives {tuple(maps.shape)}, not (N, C, H, W): "
            "gingham reads convolutional networks"
        )
    mean = maps.mean((2, 3), keepdim=True)
    std = (maps - mean).square().mean((2, 3)).sqrt()
    return torch.cat([mean.flatten(1), std], dim=1)
