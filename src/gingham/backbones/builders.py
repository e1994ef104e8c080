"""A row of the table of backbones -> its configuration; its torch module, cut and pooled.

torch and timm are imported only inside the functions that need them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gingham.backbones.descriptors import BINS
from gingham.backbones.preprocess import OWN_READING, Preprocess, Reading
from gingham.backbones.table import (
    DEFAULT_POOLING,
    PALETTE_CHANNELS,
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
from gingham.backbones.weights import fit_weights, load_weights
from gingham.errors import BackboneError, InputError, require_extra
from gingham.images import input_shapes
from gingham.names import did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from gingham.backbones.pooling import PooledNetwork


def build_network(
    name: str,
    weights: str | Path | None = None,
    *,
    layers: Sequence[str] | None = None,
    pooling: str = DEFAULT_POOLING,
    descriptors: Sequence[str] = (),
    foreground: Sequence[str] | None = None,
    reading: Reading = OWN_READING,
) -> tuple[PooledNetwork, FeatureConfig]:
    """Build a network with its weights, cut after the deepest requested layer.

    Parameters
    ----------
    name : see `gingham.backbones.table.get_backbone`.
    weights : a `.safetensors` file, or a `.pth`/`.pt` file of plain tensors (nothing in it is
        executed); None takes the backbone's own source. Where the file ends before the last
        layers, the network is cut there, with a warning.
    layers : the layers to give out, at least one of them hidden; None means `PIXELS` and all that
        the network has.
    pooling : the statistics of each channel over the positions, joined by `+`; see `STATISTICS`.
    descriptors : `fc`, `conv`, made of those of their layers that are given out; `rgb`.
    foreground : those of the layers to pool once more, over the foreground; None means `PIXELS`
        and `early_layers` of those that are given out.
    reading : what of an image is read.

    Returns
    -------
    A module in evaluation mode that maps (N, height, width, 3) uint8 RGB to a tuple of (N, 2C)
    float32, one for each layer: the C channel means over the positions, then the C population
    standard deviations (KC columns, statistic after statistic, for a pooling of K statistics),
    before them the same over the foreground, and after them the descriptors; and the configuration
    that says which these are.

    Raises
    ------
    BackboneError
        If the name is unknown, or the weights cannot be had or do not fit.
    InputError
        If `layers`, `pooling`, `descriptors` or `foreground` names one that does not exist.
    MissingExtraError
        If torch or timm is not installed.
    """
    statistics = split_pooling(pooling)
    check_descriptors(descriptors)
    backbone = read_as(get_backbone(name), reading)
    require_extra("torch", "torch", "timm", purpose=f"backbone {name!r} in torch")
    import torch

    from gingham.backbones.pooling import PooledNetwork, check_map

    model = architecture(backbone)
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    state = load_weights(backbone, expected, weights)
    nodes = dict(backbone.layers)
    if layers is not None:
        for layer in layers:
            if layer not in nodes and layer != PIXELS:
                raise InputError(
                    f"backbone {name!r} has no layer {layer!r}; it has {PIXELS}, {', '.join(nodes)}"
                    + did_you_mean(layer, [PIXELS, *nodes])
                )
        nodes = {layer: node for layer, node in nodes.items() if layer in layers}
        if not nodes:
            raise InputError(f"backbone {name!r}: give at least one hidden layer")

    @cache
    def extractor(layers: tuple[str, ...]) -> nn.Module:
        from timm.models._features_fx import create_feature_extractor

        try:
            return create_feature_extractor(  # type: ignore[no-any-return]
                model, return_nodes={nodes[layer]: layer for layer in layers}
            )
        except ValueError as error:
            raise BackboneError(
                f"backbone {name!r}: not all hidden layers that timm lists can be reached "
                f"({str(error).partition('.')[0]}); give another network"
            ) from None

    def needed(layers: tuple[str, ...]) -> set[str]:
        keys = extractor(layers).state_dict()
        return {key for key in keys if not key.endswith("num_batches_tracked")}

    fitted = fit_weights(backbone, state, expected, needed, tuple(nodes), cut=layers is None)
    network = extractor(fitted.layers).eval()
    tensors = {key: torch.tensor(value) for key, value in fitted.tensors.items()}
    network.load_state_dict(tensors, strict=False)
    with torch.inference_mode():
        try:
            maps = network(torch.zeros(1, 3, *sample_shape(backbone.preprocess)))
        except (RuntimeError, AssertionError) as error:
            raise refuse_reading(backbone, error) from None
    config = feature_config(
        backbone,
        fitted.digest,
        {layer: check_map(maps[layer], layer).shape[1] for layer in fitted.layers},
        pixels=layers is None or PIXELS in layers,
        pooling=pooling,
        descriptors=descriptors,
        foreground=foreground,
    )
    pooled = PooledNetwork(
        network,
        tuple(layer.name for layer in config.layers),
        backbone.preprocess,
        statistics,
        config.descriptors,
        config.foreground,
    )
    return pooled.eval(), config


def feature_config(
    backbone: Backbone,
    digest: str,
    channels: Mapping[str, int],
    *,
    pixels: bool = True,
    pooling: str = DEFAULT_POOLING,
    descriptors: Sequence[str] = (),
    foreground: Sequence[str] | None = None,
) -> FeatureConfig:
    """Say what is made of a network, which was perhaps cut.

    `channels` are those of the hidden layers to give out, from the input to the head; `pixels` says
    whether `PIXELS` is given out, too. For the rest see `build_network`.

    Raises
    ------
    InputError
        If `foreground` names a layer that is not given out.
    """
    hidden = tuple(channels)
    named = dict(channels) if not pixels else {PIXELS: PALETTE_CHANNELS, **channels}
    if foreground is None:
        foreground = (*((PIXELS,) if pixels else ()), *early_layers(hidden))
    if unknown := set(foreground) - set(named):
        raise InputError(
            f"foreground: unknown layer {min(unknown)!r}; there are {', '.join(named)}"
        )
    blocks = tuple(layer for layer in hidden if layer in (backbone.blocks or hidden))
    fc = tuple(layer for layer in hidden if layer in backbone.fc) or hidden[-1:]
    made = {
        "fc": Descriptor("fc", fc),
        "conv": Descriptor("conv", blocks, backbone.threshold),
        "rgb": Descriptor("rgb", (), bins=BINS),
    }
    return FeatureConfig(
        backbone.name,
        digest,
        backbone.preprocess,
        tuple(Layer(layer, count) for layer, count in named.items()),
        pooling,
        descriptors=tuple(made[name] for name in check_descriptors(descriptors)),
        foreground=tuple(foreground),
    )


def read_as(backbone: Backbone, reading: Reading) -> Backbone:
    """Let a backbone read images as it is asked to."""
    return replace(backbone, preprocess=reading.changed(backbone.preprocess))


def sample_shape(preprocess: Preprocess) -> tuple[int, int]:
    """Give the height and width of an image to try a network with: if it can, the flattest."""
    if not preprocess.keep_aspect:
        return preprocess.size, preprocess.size
    wide, high = min(input_shapes(preprocess.size), key=lambda shape: shape[1])
    return high, wide


def refuse_reading(backbone: Backbone, error: Exception) -> BackboneError:
    """Say that a network cannot read images of the shapes that it is asked to."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return BackboneError(
        f"backbone {backbone.name!r} cannot read {Reading.of(backbone.preprocess)} ({reason}): "
        "leave --view and --resolution out, or take another backbone"
    )


def architecture(backbone: Backbone) -> nn.Module:
    """Build a network without its weights, with every layer accessible."""
    import timm
    from timm.models.vgg import VGG
    from torch import nn

    model: Any = timm.create_model(backbone.architecture, pretrained=False)
    if isinstance(model, VGG):
        # timm keeps the two fully connected layers in one module that hides them.
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
