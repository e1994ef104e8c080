"""A backbone run by torch: on CUDA, or on the CPU as the reference to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.builders import build_network
from gingham.backbones.preprocess import OWN_READING, Reading
from gingham.backbones.runtime import Features, Inputs, Key, Streamed, check_layers
from gingham.backbones.table import DEFAULT_POOLING, FOREGROUND, FeatureConfig

if TYPE_CHECKING:
    from torch import nn

    from gingham.backbones.pooling import PooledNetwork


class TorchRuntime:
    """A backbone run by torch: on CUDA, or on the CPU as the reference to compare with."""

    def __init__(
        self,
        backbone: str,
        weights: str | Path | None = None,
        *,
        device: str = "cuda",
        batch_size: int = 64,
        pooling: str = DEFAULT_POOLING,
        descriptors: Sequence[str] = (),
        reading: Reading = OWN_READING,
    ) -> None:
        self._backbone, self._weights = backbone, weights
        self._device, self._batch_size, self._pooling = device, batch_size, pooling
        self._reading = reading
        network, self.config = build_network(
            backbone, weights, pooling=pooling, descriptors=descriptors, reading=reading
        )
        self._networks = {tuple(self.config.widths): (network.to(device), self.config)}

    def _network(self, wanted: tuple[str, ...]) -> tuple[PooledNetwork, FeatureConfig]:
        if wanted not in self._networks:
            made = [x for x in self.config.descriptors if x.name in wanted]
            again = [layer for layer in self.config.foreground if layer + FOREGROUND in wanted]
            needed = {layer for x in made for layer in x.layers}.union(wanted, again)
            if not any(x.name in needed for x in self.config.hidden):
                # What is made of pixels needs no hidden layer, but a network has one.
                needed.add(self.config.hidden[0].name)
            network, config = build_network(
                self._backbone,
                self._weights,
                layers=[x.name for x in self.config.layers if x.name in needed],
                pooling=self._pooling,
                descriptors=[x.name for x in made],
                foreground=again,
                reading=self._reading,
            )
            self._networks[wanted] = network.to(self._device), config
        return self._networks[wanted]

    def maps(self, image: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """See `MapRuntime.maps`."""
        import torch

        wanted = check_layers(self.config, layers)
        with torch.inference_mode():
            given = self._network(wanted)[0].maps(torch.tensor(image[None], device=self._device))
        return {layer: maps[0].cpu().numpy() for layer, maps in given.items()}

    def stream(self, images: Inputs[Key], layers: Sequence[str] | None = None) -> Streamed[Key]:
        """See `Runtime.stream`."""
        wanted = check_layers(self.config, layers)
        network, config = self._network(wanted)
        for key, features in in_batches(network, config.widths, images, self._batch_size):
            yield key, features and {name: features[name] for name in wanted}


def in_batches(
    module: nn.Module, names: Iterable[str], images: Inputs[Key], size: int
) -> Streamed[Key]:
    """Run a module over batches of images, in order; `names` are of its outputs.

    Those of a batch that are of one shape go through the module together.
    """
    import torch

    names = tuple(names)
    device = next(chain(module.parameters(), module.buffers())).device
    remaining = iter(images)
    while batch := list(islice(remaining, size)):
        alike: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
        for _, image in batch:
            if image is not None:
                alike.setdefault(image.shape, []).append(image)
        rows: dict[tuple[int, ...], Iterator[tuple[NDArray[np.float32], ...]]] = {}
        for shape, pixels in alike.items():
            with torch.inference_mode():
                given = module(torch.from_numpy(np.stack(pixels)).to(device))
            rows[shape] = zip(*(one.float().cpu().numpy() for one in given), strict=True)
        for key, image in batch:
            found = None if image is None else next(rows[image.shape])
            yield key, None if found is None else dict(zip(names, found, strict=True))
        del batch, alike  # before the next batch is read
