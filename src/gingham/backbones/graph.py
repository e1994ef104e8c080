"""Maps -> features as operations of OpenVINO: what `gingham.backbones.pooling` does in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gingham.backbones.descriptors import BORDER, LEAST, check_blocks
from gingham.backbones.openvino import import_openvino
from gingham.backbones.table import (
    CHROMAS,
    FOREGROUND,
    GEM_FLOOR,
    GEM_POWER,
    HUES,
    PALETTE_GRAIN,
    PIXELS,
    VALUES,
    Descriptor,
    FeatureConfig,
    split_pooling,
)

POSITIONS = [2, 3]


class FeatureGraph:
    """What a network sees and gives, as outputs of one graph.

    Parameters
    ----------
    network : an `openvino.Model` that maps (1, height, width, 3) uint8 RGB, of one shape or any,
        to the (1, C, H, W) float32 activations of the hidden layers of `config`, in order.
    config : the layers, their pooling and the descriptors.
    """

    def __init__(self, network: Any, config: FeatureConfig) -> None:
        self._ov = import_openvino()
        self._op = self._ov.opset13
        self._config = config
        self._parameters = network.get_parameters()
        images = self._parameters[0]
        self._pixels = self._op.transpose(self._op.convert(images, "f32"), [0, 3, 1, 2])
        self._maps = {
            layer.name: result.input_value(0)
            for layer, result in zip(config.hidden, network.get_results(), strict=True)
        }
        if config.layers[0].name == PIXELS:
            self._maps = {PIXELS: self._palette(), **self._maps}

    def maps(self, layers: Sequence[str]) -> Any:
        """Make a model of the activations of some layers."""
        return self._model([self._maps[layer] for layer in layers])

    def features(self, names: Sequence[str]) -> Any:
        """Make a model of some features: (1, K) each, as `FeatureConfig.widths` names them."""
        return self._model([self._feature(name) for name in names])

    def _model(self, ends: Sequence[Any]) -> Any:
        # Operations that no result needs are not part of a model.
        return self._ov.Model([self._op.result(end) for end in ends], self._parameters)

    def _feature(self, name: str) -> Any:
        for descriptor in self._config.descriptors:
            if name == descriptor.name:
                return (
                    self._colours(descriptor.bins)
                    if descriptor.bins
                    else self._describe(descriptor)
                )
        if name.endswith(FOREGROUND):
            return self._pool_foreground(self._maps[name.removesuffix(FOREGROUND)])
        return self._pool(self._maps[name], split_pooling(self._config.pooling))

    def _number(self, value: float) -> Any:
        return self._op.constant(np.array(value, np.float32))

    def _along(self, values: Any) -> Any:
        """Place numbers along the channels: (1, K, 1, 1)."""
        return self._op.constant(np.asarray(values, np.float32).reshape(1, -1, 1, 1))

    def _pool(self, maps: Any, statistics: Sequence[str]) -> Any:
        op = self._op
        pooled = []
        mean = op.reduce_mean(maps, POSITIONS, True)
        for name in statistics:
            if name == "mean":
                pooled.append(op.squeeze(mean, POSITIONS))
            elif name == "max":
                pooled.append(op.reduce_max(maps, POSITIONS))
            elif name == "std":
                apart = op.subtract(maps, mean)
                pooled.append(op.sqrt(op.reduce_mean(apart * apart, POSITIONS)))
            else:
                powers = op.power(
                    op.maximum(maps, self._number(GEM_FLOOR)), self._number(GEM_POWER)
                )
                powers = op.reduce_mean(powers, POSITIONS)
                pooled.append(op.power(powers, self._number(1 / GEM_POWER)))
        return op.concat(pooled, 1)

    def _pool_foreground(self, maps: Any) -> Any:
        op = self._op
        edge = self._border(maps)
        at_border = op.multiply(maps, edge)
        outside = op.reduce_sum(at_border, POSITIONS, True) / op.reduce_sum(edge, [0, 1])
        apart = op.subtract(maps, outside)
        least = self._number(LEAST**2)
        weights = op.sqrt(op.maximum(op.reduce_sum(apart * apart, [1], True), least))
        weights = weights / op.reduce_sum(weights, POSITIONS, True)
        mean = op.reduce_sum(op.multiply(maps, weights), POSITIONS, True)
        apart = op.subtract(maps, mean)
        variance = op.reduce_sum(apart * apart * weights, POSITIONS)
        return op.concat([op.squeeze(mean, POSITIONS), op.sqrt(op.maximum(variance, least))], 1)

    def _border(self, maps: Any) -> Any:
        """Mark the border of a map of any shape, as `descriptors.border` does: (H, W) float."""
        op = self._op
        inside = []
        for axis, other in zip(POSITIONS, (1, 0), strict=True):
            side = self._side(maps, axis)
            places = op.range(_count(op, 0), side, _count(op, 1), "i64")
            thick = op.maximum(side / _count(op, BORDER), _count(op, 1))
            within = op.logical_and(op.greater_equal(places, thick), op.less(places, side - thick))
            inside.append(op.unsqueeze(op.convert(within, "f32"), _count(op, other)))
        return self._number(1) - op.matmul(*inside, False, False)

    def _side(self, maps: Any, axis: int) -> Any:
        return self._op.gather(self._op.shape_of(maps), _count(self._op, axis), _count(self._op, 0))

    def _cover(self, fine: Any, coarse: Any, axis: int) -> Any:
        """Give the position of `coarse` that each of `fine` belongs to: `descriptors.cover`."""
        op = self._op
        side = self._side(fine, axis)
        places = op.range(_count(op, 0), side, _count(op, 1), "i64")
        return places * self._side(coarse, axis) / side

    def _describe(self, descriptor: Descriptor) -> Any:
        op = self._op
        blocks = [self._maps[layer] for layer in descriptor.layers]
        if descriptor.threshold is None:
            return op.concat([self._pool(block, ["mean"]) for block in blocks], 1)
        check_blocks([_longest(block) for block in blocks])
        one = self._number(1)
        last = blocks[-1]
        significant = op.convert(op.greater(last, self._number(descriptor.threshold)), "f32")
        weights = op.reduce_sum(significant, [1])
        own = op.reduce_sum(op.multiply(last, significant), POSITIONS)
        parts = [own / op.maximum(op.reduce_sum(significant, POSITIONS), one)]
        for number in reversed(range(len(blocks) - 1)):
            for axis in POSITIONS:
                places = self._cover(blocks[number], blocks[number + 1], axis)
                weights = op.gather(weights, places, op.constant(axis - 1))
            flat = op.reshape(blocks[number], [1, _longest(blocks[number])[1], -1], False)
            summed = op.matmul(flat, op.reshape(weights, [1, -1, 1], False), False, False)
            total = op.maximum(op.reduce_sum(weights, [1, 2], True), one)
            parts.append(op.squeeze(summed / total, [2]))
        return op.concat(parts[::-1], 1)

    def _palette(self) -> Any:
        op = self._op
        grain = [PALETTE_GRAIN] * 2
        rgb = op.avg_pool(self._pixels, grain, [0, 0], [0, 0], grain, True) / self._number(255)
        red, green, blue = op.split(rgb, 1, 3).outputs()
        value = op.reduce_max(rgb, [1], True)
        chroma = value - op.reduce_min(rgb, [1], True)
        spread = op.maximum(chroma, self._number(LEAST))
        hue = op.select(
            op.equal(value, red),
            op.subtract(green, blue) / spread,
            op.select(
                op.equal(value, green),
                op.subtract(blue, red) / spread + self._number(2),
                op.subtract(red, green) / spread + self._number(4),
            ),
        )
        apart = op.absolute(hue * self._number(HUES / 6) - self._along(range(HUES)))
        apart = op.minimum(apart, op.absolute(self._number(HUES) - apart))
        hues = op.relu(self._number(1) - apart)
        chromas, values = self._levels(chroma, CHROMAS + 1), self._levels(value, VALUES)
        coloured = op.gather(chromas, op.constant(np.arange(1, CHROMAS + 1)), op.constant(1))
        return op.concat([_products(op, coloured, hues), _products(op, values, chromas)], 1)

    def _levels(self, shares: Any, count: int) -> Any:
        apart = shares * self._number(count - 1) - self._along(range(count))
        return self._op.relu(self._number(1) - self._op.absolute(apart))

    def _colours(self, bins: int) -> Any:
        op = self._op
        levels = op.floor(self._pixels * self._number(bins / 256))
        shares = [
            op.reduce_mean(op.convert(op.equal(levels, self._number(level)), "f32"), POSITIONS)
            for level in range(bins)
        ]
        stacked = op.concat([op.unsqueeze(share, [2]) for share in shares], 2)
        return op.reshape(stacked * self._number(bins), [1, -1], False)


def _products(op: Any, one: Any, other: Any) -> Any:
    """Multiply each of A channels with each of B: (1, A * B, H, W)."""
    made = op.multiply(op.unsqueeze(one, [2]), op.unsqueeze(other, [1]))
    channels = _longest(one)[1] * _longest(other)[1]
    sides = op.gather(op.shape_of(one), op.constant(POSITIONS), _count(op, 0))
    return op.reshape(made, op.concat([op.constant([1, channels]), sides], 0), False)


def _count(op: Any, value: int) -> Any:
    return op.constant(np.array(value, np.int64))


def _longest(given: Any) -> tuple[int, ...]:
    """Give the longest sides that the output of an operation may have."""
    output = given if hasattr(given, "get_partial_shape") else given.output(0)
    return tuple(side.get_max_length() for side in output.get_partial_shape())
