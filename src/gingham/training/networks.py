"""Backbone and head together: images in, logits out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from gingham.backbones.builders import architecture, build_network
from gingham.backbones.pooling import PooledNetwork, pool_foreground
from gingham.backbones.table import (
    PIXELS,
    Backbone,
    FeatureConfig,
    early_layers,
    get_backbone,
)
from gingham.errors import BackboneError
from gingham.extract import PLAIN, View
from gingham.images import WHOLE
from gingham.training.config import ModelConfig
from gingham.training.heads import (
    Head,
    MultiHead,
    build_head,
    default_layers,
    reads_pooled,
)

logger = logging.getLogger(__name__)

DEFAULT_BACKBONES = ("efficientnet_b0", "efficientnet_lite0")
"""The first needs timm's hub; the second, which comes with gingham, is taken without."""


class Trunk(nn.Module):
    """Map (N, S, S, 3) uint8 RGB to what a head reads of each layer: its maps, or its maps pooled.

    Pooling gives means and deviations, and for layers in `foreground` those over the foreground
    too, as a catalogue keeps them. Batch normalisation keeps the statistics it came with, even
    while the rest learns.
    """

    def __init__(
        self,
        network: PooledNetwork,
        layers: tuple[str, ...],
        *,
        pooled: bool,
        foreground: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.layers = layers
        self.pooled = pooled
        self.foreground = foreground

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Read a batch."""
        maps = self.network.maps(images)
        if self.pooled:
            return tuple(self._pool(maps[layer], layer) for layer in self.layers)
        return tuple(maps[layer] for layer in self.layers)

    def _pool(self, maps: torch.Tensor, layer: str) -> torch.Tensor:
        # As `gingham.backbones.pooling.pool`, but that the root of a channel that is the same
        # everywhere has no slope.
        variance = maps.var((2, 3), correction=0)
        pooled = torch.cat([maps.mean((2, 3)), variance.clamp(min=1e-12).sqrt()], 1)
        if layer in self.foreground:
            pooled = torch.cat([pooled, pool_foreground(maps, layer)], 1)
        return pooled

    def train(self, mode: bool = True) -> Trunk:
        """Stay in evaluation mode: a batch of a few images says little of the statistics."""
        return super().train(False)


class Network(nn.Module):
    """Map (N, S, S, 3) uint8 RGB to (N, V) logits.

    Parameters
    ----------
    trunk, head : the two parts.
    both_sides, middle : see `ModelConfig`; only outside of learning.
    """

    def __init__(
        self, trunk: Trunk, head: Head, *, both_sides: bool = False, middle: float = 0.0
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.both_sides = both_sides
        self.middle = middle

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Answer for a batch."""
        views = [images]
        if self.middle and not self.training:
            views.append(_middle(images, self.middle))
        if self.both_sides and not self.training:
            views += [view.flip(2) for view in views]
        logits = [cast(torch.Tensor, self.head(self.trunk(view))) for view in views]
        return torch.stack(logits).mean(0)

    def views(self, size: int) -> tuple[View, ...]:
        """Say what `forward` reads of an image of this side, in its order."""
        edge = round(size * (1 - self.middle) / 2) / size
        boxes = [WHOLE, (edge, edge, 1 - edge, 1 - edge)] if self.middle else [WHOLE]
        sides = (False, True) if self.both_sides else (False,)
        return tuple(View(PLAIN, box, mirror) for mirror in sides for box in boxes)


def _middle(images: torch.Tensor, share: float) -> torch.Tensor:
    """Enlarge the middle of (N, S, S, 3) images, `share` of the side, to the whole."""
    size = int(images.shape[1])  # a tensor, while a graph is made of it
    edge = round(size * (1 - share) / 2)
    planes = images[:, edge : size - edge, edge : size - edge].permute(0, 3, 1, 2).float()
    enlarged = functional.interpolate(planes, (size, size), mode="bilinear", align_corners=False)
    return enlarged.permute(0, 2, 3, 1)


class Planar(nn.Module):
    """A network fed with (N, 3, S, S) float RGB from 0 to 255, as tools for torch expect."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Answer for a batch."""
        return cast(torch.Tensor, self.network(images.permute(0, 2, 3, 1)))


@dataclass(frozen=True)
class Built:
    """A trunk and all that decides its output; `shapes` are of one image's layers."""

    backbone: Backbone
    trunk: Trunk
    features: FeatureConfig
    shapes: tuple[tuple[int, ...], ...]


def build_trunk(config: ModelConfig) -> Built:
    """Build the backbone with its weights, up to the deepest layer that the head reads.

    Raises
    ------
    BackboneError
        If the backbone is unknown, or its weights cannot be had.
    InputError
        If it does not have a layer.
    """
    if config.backbone != "auto":
        return _build(config, get_backbone(config.backbone))
    wanted, fallback = DEFAULT_BACKBONES
    if config.weights or _in_reach(get_backbone(wanted)):
        return _build(config, get_backbone(wanted))
    logger.info("the weights of %s are out of reach: taking %s", wanted, fallback)
    return _build(config, get_backbone(fallback))


def _in_reach(backbone: Backbone) -> bool:
    """Whether a backbone's weights were downloaded before, or the hub answers.

    Asked first: the hub's client tries for a minute, and says so on stderr, before it gives up.
    """
    import socket
    from urllib.parse import urlsplit

    from huggingface_hub import constants, try_to_load_from_cache
    from timm.models import get_pretrained_cfg

    cfg = get_pretrained_cfg(backbone.architecture)
    if cfg is not None and cfg.hf_hub_id:
        for name in ("model.safetensors", "pytorch_model.bin"):
            if isinstance(try_to_load_from_cache(cfg.hf_hub_id, name), str):
                return True
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        host = urlsplit(constants.ENDPOINT).hostname or ""
        socket.create_connection((host, 443), timeout=5).close()
    except OSError:
        return False
    return True


def assemble(built: Built, config: ModelConfig, outputs: int) -> Network:
    """Put a new head on a trunk."""
    head = build_head(
        config.head,
        built.backbone,
        built.shapes,
        outputs,
        reduced=config.reduced,
        dropout=config.dropout,
    )
    return Network(built.trunk, head, both_sides=config.both_sides, middle=config.middle)


def rebuild(
    config: ModelConfig,
    features: FeatureConfig,
    outputs: int,
    weights: Mapping[str, torch.Tensor],
) -> Network:
    """Build a network as it was trained.

    Raises
    ------
    RuntimeError
        Torch's own, if the weights do not fit.
    """
    from timm.models._features_fx import create_feature_extractor

    backbone = get_backbone(config.backbone)
    names = tuple(layer.name for layer in features.layers)
    nodes = {node: layer for layer, node in backbone.layers if layer in names}
    extractor = create_feature_extractor(architecture(backbone), return_nodes=nodes)
    trunk_network = PooledNetwork(extractor.eval(), names, features.preprocess)
    network = assemble(_built(config, backbone, trunk_network, features), config, outputs)
    if isinstance(network.head, MultiHead):
        # The models of earlier versions let every input be as loud.
        even = torch.ones(network.head.output.in_features)
        weights = {"head.loudness": even, **weights}
    network.load_state_dict(weights)
    return network


def last_convolution(network: Network) -> nn.Module:
    """The convolutional layer of the backbone that acts last in what the head reads.

    Raises
    ------
    BackboneError
        If the backbone has none.
    """
    found = [m for m in network.trunk.modules() if isinstance(m, nn.Conv2d)]
    if not found:
        raise BackboneError("the backbone has no convolutional layer to look into")
    return found[-1]


def _build(config: ModelConfig, backbone: Backbone) -> Built:
    layers: Sequence[str] = config.layers or default_layers(config.head, backbone)
    network, features = build_network(
        backbone.name, config.weights or None, layers=layers, foreground=()
    )
    # Images are read in the backbone's way, but for the size and crop asked for.
    own = features.preprocess
    crop = {-1.0: own.crop, 0.0: None}.get(config.crop, config.crop)
    features = replace(features, preprocess=replace(own, size=config.size or own.size, crop=crop))
    return _built(config, backbone, network, features)


def _built(
    config: ModelConfig, backbone: Backbone, network: PooledNetwork, features: FeatureConfig
) -> Built:
    # In the network's own order, whatever the order they were asked for.
    names = tuple(layer.name for layer in features.layers)
    trunk = Trunk(
        network,
        names,
        pooled=reads_pooled(config.head, backbone),
        foreground=(PIXELS, *early_layers([name for name, _ in backbone.layers])),
    ).eval()
    size = features.preprocess.size
    with torch.inference_mode():
        example = trunk(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    shapes = tuple(tuple(one.shape[1:]) for one in example)
    return Built(backbone, trunk, features, shapes)
