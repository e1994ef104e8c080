"""What a layer costs, and which one is worth it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import Runtime
from gingham.errors import InputError
from gingham.evaluation.study.accuracy import Accuracy, no_worse

NEAR = 1.1
"""Times that differ by less than this factor are taken for the same."""


@dataclass(frozen=True)
class Cost:
    """What it takes to describe an image by one layer.

    Attributes
    ----------
    milliseconds : an image, through the network cut after the layer; decoding is not counted.
    numbers : in the vector of channel means.
    """

    milliseconds: float
    numbers: int

    @property
    def bytes(self) -> int:
        """Of the vector as float16."""
        return 2 * self.numbers


@dataclass(frozen=True)
class Choice:
    """The layer to use, of those compared.

    Attributes
    ----------
    name : the cheapest of those that are no worse than the best and lose little.
    best : the most accurate.
    no_worse : name -> p-value against the best.
    """

    name: str
    best: str
    no_worse: dict[str, float]


def layer_costs(
    runtime: Runtime, images: Sequence[NDArray[np.uint8]], *, repeats: int = 5
) -> dict[str, Cost]:
    """Measure the time to each layer, with the network cut after it.

    Parameters
    ----------
    runtime : the backbone.
    images : (S, S, 3) uint8 squares of the backbone's size, all run in one stream.
    repeats : rounds over all layers; each layer's fastest run counts.

    Returns
    -------
    layer -> cost, from the input to the head; no layer costs less than one before it.

    Raises
    ------
    InputError
        If there are no images, or no repeats.
    """
    if not images or repeats < 1:
        raise InputError(f"expected images and repeats, got {len(images)} and {repeats}")
    layers = runtime.config.hidden
    for layer in layers:
        # One image first: compiling the cut network is no part of an image's cost.
        list(runtime.stream(enumerate(images[:1]), [layer.name]))
    seconds = np.empty((repeats, len(layers)))
    # Rounds, so that other work beside, which comes and goes, slows all layers alike.
    for run in seconds:
        for i, layer in enumerate(layers):
            started = time.perf_counter()
            for _ in runtime.stream(enumerate(images), [layer.name]):
                pass
            run[i] = time.perf_counter() - started
    # A network cut later does all that one cut earlier does: to measure less is noise.
    least = np.maximum.accumulate(seconds.min(axis=0))
    return {
        layer.name: Cost(float(1000 * s / len(images)), layer.channels)
        for layer, s in zip(layers, least, strict=True)
    }


def choose_layer(
    results: Mapping[str, Accuracy],
    costs: Mapping[str, Cost],
    *,
    level: float = 0.05,
    margin: float = 0.03,
) -> Choice:
    """Choose the cheapest layer that is statistically no worse than the best, and loses little.

    Times within a tenth of the least count as equal: of those the most accurate is chosen, and
    of equally accurate ones the cheaper, then the shorter vector.

    Parameters
    ----------
    results : layer -> accuracy; layers of several backbones may be compared if they were tested
        on the same rows and folds.
    costs : layer -> its cost.
    level : see `gingham.evaluation.study.accuracy.no_worse`.
    margin : the accuracy that a layer may lose against the best: on few images the test finds
        no layer worse.

    Raises
    ------
    InputError
        If there is nothing to choose from, or a layer has no cost.
    ShapeError
        If the arrays do not fit each other.
    """
    if missing := [name for name in results if name not in costs]:
        raise InputError(f"layer {missing[0]!r} has no cost")
    best, equals = no_worse(results, level=level)
    mean = {name: round(results[name].mean, 4) for name in equals}
    near = [name for name in equals if mean[best] - mean[name] <= margin + 1e-9]
    least = min(costs[name].milliseconds for name in near)
    cheap = [name for name in near if costs[name].milliseconds <= NEAR * least]
    name = min(cheap, key=lambda n: (-mean[n], costs[n].milliseconds, costs[n].numbers))
    return Choice(name, best, equals)
