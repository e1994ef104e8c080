"""EfficientNet-Lite0, the default network, of OpenVINO's own operations: neither torch nor timm.

Names and values are those of timm's `tf_efficientnet_lite0`, which tests compare it with.

References
----------
Tan, Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks* (2019), table 1;
the Lite variant has no squeeze-and-excitation, ReLU6, and a stem and head that do not scale. Its
weights were trained in TensorFlow, hence the padding (the odd pixel at the end) and `EPSILON`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gingham.backbones.openvino import import_openvino, picture_shape
from gingham.backbones.preprocess import Preprocess
from gingham.backbones.tensors import Tensors

EPSILON = 1e-3
"""Of the batch normalisation."""

STEM, HEAD, CLASSES = 32, 1280, 1000

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of each stage: blocks, side of the kernel, stride of the first block, expansion, channels."""


@dataclass(frozen=True)
class _Convolution:
    """A convolution with its batch normalisation.

    `layer` is the hidden layer that it belongs to; `depthwise` has one kernel per channel; a
    `linear` one has no ReLU6; `skip` adds the input of its block, which begins with `first`.
    """

    layer: str
    name: str
    norm: str
    shape: tuple[int, int, int, int]
    stride: int = 1
    depthwise: bool = False
    linear: bool = False
    first: bool = False
    skip: bool = False

    def tensors(self) -> dict[str, tuple[int, ...]]:
        named: dict[str, tuple[int, ...]] = {f"{self.name}.weight": self.shape}
        for kind in ("weight", "bias", "running_mean", "running_var"):
            named[f"{self.norm}.{kind}"] = self.shape[:1]
        return named


def _convolutions() -> Iterator[_Convolution]:
    """List the convolutions, from the input to the head."""
    yield _Convolution("stem", "conv_stem", "bn1", (STEM, 3, 3, 3), stride=2)
    width = STEM
    for number, (blocks, side, stride, expansion, channels) in enumerate(STAGES):
        layer = f"stage{number + 1}"
        for block in range(blocks):
            at, inner, step = f"blocks.{number}.{block}", width * expansion, 1 if block else stride
            expand = expansion > 1
            if expand:
                shape = (inner, width, 1, 1)
                yield _Convolution(layer, f"{at}.conv_pw", f"{at}.bn1", shape, first=True)
            yield _Convolution(
                layer,
                f"{at}.conv_dw",
                f"{at}.bn{1 + expand}",
                (inner, 1, side, side),
                stride=step,
                depthwise=True,
                first=not expand,
            )
            yield _Convolution(
                layer,
                f"{at}.conv_pwl" if expand else f"{at}.conv_pw",
                f"{at}.bn{2 + expand}",
                (channels, inner, 1, 1),
                linear=True,
                skip=step == 1 and width == channels,
            )
            width = channels
    yield _Convolution("head", "conv_head", "bn2", (HEAD, width, 1, 1))


CONVOLUTIONS = tuple(_convolutions())


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Name every tensor of the network, in timm's order, with its shape."""
    named: dict[str, tuple[int, ...]] = {}
    for one in CONVOLUTIONS:
        named |= one.tensors() | {f"{one.norm}.num_batches_tracked": ()}
    return named | {"classifier.weight": (CLASSES, HEAD), "classifier.bias": (CLASSES,)}


def needed_tensors(layers: tuple[str, ...]) -> set[str]:
    """Name the tensors that the network needs as far as the last of some hidden layers."""
    names = [one.layer for one in CONVOLUTIONS]
    end = len(names) - names[::-1].index(layers[-1])
    return {name for one in CONVOLUTIONS[:end] for name in one.tensors()}


def layer_channels() -> dict[str, int]:
    """Give the channels of every hidden layer, from the input to the head."""
    return {one.layer: one.shape[0] for one in CONVOLUTIONS}


def build_lite0(
    tensors: Tensors,
    layers: tuple[str, ...],
    preprocess: Preprocess,
    shape: tuple[int, int] | None = None,
) -> Any:
    """Build the network as far as the last of some hidden layers, given from the input to the head.

    `tensors` are float32, as `needed_tensors` names them; `shape` is the (height, width) that the
    graph takes, None for all that there are. Gives an `openvino.Model` that maps (1, height, width,
    3) uint8 RGB to each layer's (1, C, H, W) float32.
    """
    ov = import_openvino()
    op = ov.opset13
    images = op.parameter(picture_shape(preprocess, shape), ov.Type.u8, name="images")
    x = op.transpose(op.convert(images, "f32"), [0, 3, 1, 2])
    for values, change in ((preprocess.mean, op.subtract), (preprocess.std, op.divide)):
        x = change(x, op.constant(np.array(values, np.float32).reshape(1, 3, 1, 1)))
    maps, block = {}, x
    for one in CONVOLUTIONS:
        if one.name + ".weight" not in tensors:
            break
        if one.first:
            block = x
        kernel = tensors[f"{one.name}.weight"]
        if one.depthwise:
            kernel = kernel[:, None]
        # OpenVINO takes no read-only memory.
        constant = op.constant(kernel, shared_memory=kernel.flags.writeable)
        how = ([one.stride] * 2, [0, 0], [0, 0], [1, 1], "same_upper")
        if one.depthwise:
            x = op.group_convolution(x, constant, *how)
        else:
            x = op.convolution(x, constant, *how)
        norm = ("weight", "bias", "running_mean", "running_var")
        x = op.batch_norm_inference(
            x, *(op.constant(tensors[f"{one.norm}.{kind}"]) for kind in norm), EPSILON
        )
        if not one.linear:
            x = op.clamp(x, 0.0, 6.0)
        if one.skip:
            x = op.add(x, block)
        maps[one.layer] = x
    return ov.Model([op.result(maps[layer]) for layer in layers], [images])
