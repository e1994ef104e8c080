"""The fake backbone with the layer `pixels`, as the default backbone has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from conftest import FakeRuntime, Key
from gingham.backbones.pooling import palette, pool, pool_foreground
from gingham.backbones.preprocess import Preprocess
from gingham.backbones.table import FOREGROUND, PALETTE_CHANNELS, PIXELS, Layer

SIDE = 64


def pixels(image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Pool the layer `pixels` of one (S, S, 3) image as the network does."""
    maps = palette(torch.from_numpy(image[None].astype(np.float32)))
    return {
        PIXELS + FOREGROUND: pool_foreground(maps, PIXELS)[0].numpy(),
        PIXELS: pool(maps, PIXELS)[0].numpy(),
    }


class ColourfulRuntime(FakeRuntime):
    """Answers with `pixels`, and gives maps of it."""

    def __init__(self, weights: str = "fake") -> None:
        super().__init__(weights)
        self.config = replace(
            self.config,
            preprocess=Preprocess(size=SIDE),
            layers=(Layer(PIXELS, PALETTE_CHANNELS), *self.config.layers),
            foreground=(PIXELS,),
        )

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, dict[str, NDArray[np.float32]] | None]]:
        names = list(self.config.widths) if layers is None else list(layers)
        plain = [name for name in names if not name.startswith(PIXELS)]
        for key, image in images:
            ((_, rows),) = super().stream([(key, image)], plain)
            if image is not None and rows is not None:
                rows |= pixels(image)
                rows = {name: rows[name] for name in names}
            yield key, rows

    def maps(
        self, image: NDArray[np.uint8], layers: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        maps = palette(torch.from_numpy(image[None].astype(np.float32)))[0].numpy()
        return {layer: maps if layer == PIXELS else maps[:1] for layer in layers}
