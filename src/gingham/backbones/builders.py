"""A row of the table of backbones -> a torch module with its weights, cut and pooled.

torch and timm are imported only inside the functions, so that running a network that was converted
before costs nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gingham.backbones.descriptors import BINS
from gingham.backbones.table import (
    DEFAULT_POOLING,
    PIXELS,
    Backbone,
    Descriptor,
    FeatureConfig,
    Layer,
    check_descriptors,
    early_layers,
    get_backbone,
    split_pooling,
)
from gingham.backbones.weights import load_weights
from gingham.errors import BackboneError, InputError

if TYPE_CHECKING:
    from torch import nn

    from gingham.backbones.pooling import PooledNetwork

logger = logging.getLogger(__name__)

BUILD = 2
"""Counts changes of what is built of the same name and file; what was converted before is left."""


def build_network(
    name: str,
    weights: str | Path | None = None,
    *,
    layers: Sequence[str] | None = None,
    pooling: str = DEFAULT_POOLING,
    descriptors: Sequence[str] = (),
    foreground: Sequence[str] | None = None,
) -> tuple[PooledNetwork, FeatureConfig]:
    """Build a network with its weights, cut after the deepest layer that is asked for.

    Parameters
    ----------
    name : see `gingham.backbones.table.get_backbone`.
    weights : a `.safetensors` file, or a `.pth`/`.pt` file of plain tensors (nothing in it is
        executed); None takes the backbone's own source. Where the file ends before the last
        layers, the network is cut there, with a warning.
    layers : the layers to give out, one hidden layer at least; None means `PIXELS` and all that
        the network has.
    pooling : the statistics of each channel over the positions, joined by `+`; see `STATISTICS`.
    descriptors : `fc`, `conv`, made of those of their layers that are given out; `rgb`.
    foreground : those of the layers to pool once more, over the foreground; None means `PIXELS`
        and `early_layers` of those that are given out.

    Returns
    -------
    A module in evaluation mode that maps (N, S, S, 3) uint8 RGB to a tuple of (N, 2C) float32,
    one for each layer: the C channel means over the positions, then the C population standard
    deviations (KC columns, statistic after statistic, for a pooling of K statistics), before
    them the same over the foreground, and after them the descriptors; and the configuration that
    says which these are.

    Raises
    ------
    BackboneError
        If the name is unknown, or the weights cannot be had or do not fit.
    InputError
        If `layers`, `pooling`, `descriptors` or `foreground` names one that there is not.
    """
    statistics = split_pooling(pooling)
    check_descriptors(descriptors)
    import torch

    from gingham.backbones.pooling import PooledNetwork

    backbone = get_backbone(name)
    model = architecture(backbone)
    state = load_weights(backbone, model, weights)
    nodes = dict(backbone.layers)
    pixels = (PIXELS,) if layers is None or PIXELS in layers else ()
    if layers is not None:
        for layer in layers:
            if layer not in nodes and layer != PIXELS:
                raise InputError(
                    f"backbone {name!r} has no layer {layer!r}; it has {PIXELS}, {', '.join(nodes)}"
                )
        nodes = {layer: node for layer, node in nodes.items() if layer in layers}
        if not nodes:
            raise InputError(f"backbone {name!r}: give one hidden layer at least")
    extractor, needed = _extractor(model, nodes, name)
    given = tuple(nodes)
    while missing := needed - state.keys():
        # Only a file that holds nothing of what the deepest layer alone needs ends before it; one
        # that holds a part of it is damaged or belongs to another network.
        *shallower, deepest = nodes
        nodes = {layer: nodes[layer] for layer in shallower}
        cut, rest = _extractor(model, nodes, name) if nodes else (extractor, set[str]())
        if layers is not None or not nodes or (needed - rest) & state.keys():
            raise BackboneError(
                f"the weights of {name!r} lack {len(missing)} tensors that layer {deepest!r} needs "
                f"(such as {min(missing)}): give a file of {backbone.architecture}"
            )
        extractor, needed = cut, rest
    if lost := given[len(nodes) :]:
        logger.warning(
            "the weights of %s hold nothing of %s: the network is cut after %s",
            name,
            ", ".join(lost),
            next(reversed(nodes)),
        )
    expected = extractor.state_dict()
    for key in sorted(needed):
        if state[key].shape != expected[key].shape:
            raise BackboneError(
                f"the weights of {name!r} do not fit: {key} must have shape "
                f"{tuple(expected[key].shape)}, got {tuple(state[key].shape)}"
            )
    extractor.load_state_dict({key: state[key].float() for key in needed}, strict=False)
    described = _describe(backbone, tuple(nodes), descriptors)
    named = (*pixels, *nodes)
    again = (*pixels, *early_layers(tuple(nodes))) if foreground is None else tuple(foreground)
    if unknown := set(again) - set(named):
        raise InputError(f"there is no layer {min(unknown)!r} to pool over its foreground")
    network = PooledNetwork(
        extractor.eval(), named, backbone.preprocess, statistics, described, again
    ).eval()
    size = backbone.preprocess.size
    with torch.inference_mode():
        pooled = network(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    shapes = tuple(
        Layer(layer, values.shape[1] // len(statistics))
        for layer, values in zip(named, pooled[len(again) :], strict=False)
    )
    digest = hashlib.sha256()
    for key in sorted(needed):
        digest.update(key.encode() + state[key].float().contiguous().numpy().tobytes())
    config = FeatureConfig(
        name,
        digest.hexdigest(),
        backbone.preprocess,
        shapes,
        pooling,
        descriptors=described,
        foreground=again,
    )
    return network, config


def _extractor(model: nn.Module, nodes: Mapping[str, str], name: str) -> tuple[nn.Module, set[str]]:
    """Cut a network after some layers; name the tensors that it needs, too."""
    from timm.models._features_fx import create_feature_extractor

    try:
        extractor: nn.Module = create_feature_extractor(
            model, return_nodes={node: layer for layer, node in nodes.items()}
        )
    except ValueError as error:
        raise BackboneError(
            f"backbone {name!r}: not all hidden layers that timm lists can be reached "
            f"({str(error).partition('.')[0]}); give another network"
        ) from None
    return extractor, {
        key for key in extractor.state_dict() if not key.endswith("num_batches_tracked")
    }


def _describe(
    backbone: Backbone, layers: tuple[str, ...], names: Sequence[str]
) -> tuple[Descriptor, ...]:
    """Say of which layers each descriptor is made, where the network was cut perhaps."""
    blocks = tuple(layer for layer in layers if layer in (backbone.blocks or layers))
    fc = tuple(layer for layer in layers if layer in backbone.fc) or layers[-1:]
    made = {
        "fc": Descriptor("fc", fc),
        "conv": Descriptor("conv", blocks, backbone.threshold),
        "rgb": Descriptor("rgb", (), bins=BINS),
    }
    return tuple(made[name] for name in check_descriptors(names))


def architecture(backbone: Backbone) -> nn.Module:
    """Build a network without its weights, so that all of its layers can be looked into."""
    import timm
    from timm.models.vgg import VGG
    from torch import nn

    model: Any = timm.create_model(backbone.architecture, pretrained=False)
    if isinstance(model, VGG):
        # timm keeps the two fully connected layers in one module that cannot be looked into.
        head = model.pre_logits
        model.add_module(
            "pre_logits",
            nn.Sequential(OrderedDict(fc1=head.fc1, act1=head.act1, fc2=head.fc2, act2=head.act2)),
        )
    if backbone.name == "resnet50_keras":
        # The original Caffe network: a bias in conv1, and a stage halves its resolution in the
        # first block's 1x1 convolution instead of the 3x3; Keras normalises with its own epsilon.
        model.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=True)
        for stage in (model.layer2, model.layer3, model.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1.001e-5
    return model  # type: ignore[no-any-return]
