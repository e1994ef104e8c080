"""What a layer costs, and which one is worth it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.runtime import Runtime
from gingham.study.accuracy import Bools, no_worse


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
    name : the cheapest of those statistically no worse than the best.
    best : the one most often right.
    no_worse : name -> p-value against the best.
    """

    name: str
    best: str
    no_worse: dict[str, float]


def layer_costs(
    runtime: Runtime, images: Sequence[NDArray[np.uint8]], *, repeats: int = 3
) -> dict[str, Cost]:
    """Measure the time to each layer, with the network cut after it.

    Parameters
    ----------
    runtime : the backbone.
    images : (S, S, 3) uint8 squares of the backbone's size, all run in one stream.
    repeats : the fastest run counts.

    Returns
    -------
    layer -> cost, from the input to the head.

    Raises
    ------
    InputError
        If there are no images, or no repeats.
    """
    if not images or repeats < 1:
        raise InputError(f"expected images and repeats, got {len(images)} and {repeats}")
    costs = {}
    for layer in runtime.config.hidden:
        seconds = []
        # One image first: compiling the cut network is no part of an image's cost.
        list(runtime.stream(enumerate(images[:1]), [layer.name]))
        for _ in range(repeats):
            started = time.perf_counter()
            for _ in runtime.stream(enumerate(images), [layer.name]):
                pass
            seconds.append(time.perf_counter() - started)
        costs[layer.name] = Cost(1000 * min(seconds) / len(images), layer.channels)
    return costs


def choose_layer(
    right: Mapping[str, Bools], costs: Mapping[str, Cost], *, level: float = 0.05
) -> Choice:
    """Choose the cheapest layer that is statistically no worse than the best.

    Parameters
    ----------
    right : layer -> (N,) bool, where it was right; layers of several backbones may be compared
        if they were tested on the same rows and folds.
    costs : layer -> its cost; of equal times the shorter vector wins.
    level : see `gingham.study.accuracy.no_worse`.

    Raises
    ------
    InputError
        If there is nothing to choose from, or a layer has no cost.
    ShapeError
        If the arrays do not fit each other.
    """
    if missing := [name for name in right if name not in costs]:
        raise InputError(f"layer {missing[0]!r} has no cost")
    best, equals = no_worse(right, level=level)
    name = min(equals, key=lambda n: (costs[n].milliseconds, costs[n].numbers))
    return Choice(name, best, equals)
