"""A torch module -> an OpenVINO graph in two files, and the runtime that runs it without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.openvino import OpenVinoRuntime, import_openvino, save_graph
from gingham.backbones.runtime import Features
from gingham.backbones.table import FeatureConfig

if TYPE_CHECKING:
    from torch import nn

Key = TypeVar("Key")


def export_graph(module: nn.Module, size: int, file: Path) -> None:
    """Convert a module that maps (1, size, size, 3) uint8 and write FILE.xml and FILE.bin."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_graph(module, size, file)


class ExportedRuntime(OpenVinoRuntime):
    """A graph of `export_graph`, run as `gingham.extract` runs a backbone.

    Parameters
    ----------
    graph : the `.xml` file.
    config : how images are read, and the names of the graph's outputs, in order.
    """

    def __init__(self, graph: Path, config: FeatureConfig) -> None:
        self._file, self.config = graph, config
        self._compiled: dict[tuple[str, ...], Any] = {}

    @cached_property
    def _core(self) -> Any:
        # Without the cache of compiled graphs: a model's folder may be read-only.
        return import_openvino().Core()

    def _features(self, names: tuple[str, ...]) -> Any:
        model = self._core.read_model(self._file)
        given = dict(zip(self.config.widths, model.get_results(), strict=True))
        return import_openvino().Model([given[name] for name in names], model.get_parameters())


class ModuleRuntime:
    """A torch module run in batches, on CUDA, in the same way."""

    def __init__(
        self, module: nn.Module, config: FeatureConfig, *, device: str, batch_size: int = 64
    ) -> None:
        self.config = config
        self._module = module.to(device)
        self._device, self._batch_size = device, batch_size

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, Features | None]]:
        """See `gingham.backbones.runtime.Runtime`; gives every output, whatever `layers` says."""
        import torch

        names = [layer.name for layer in self.config.layers]
        batch: list[tuple[Key, NDArray[np.uint8] | None]] = []

        def finish() -> Iterator[tuple[Key, Features | None]]:
            pixels = [image for _, image in batch if image is not None]
            rows: Iterator[tuple[NDArray[np.float32], ...]] = iter(())
            if pixels:
                with torch.inference_mode():
                    given = self._module(torch.from_numpy(np.stack(pixels)).to(self._device))
                rows = zip(*(one.float().cpu().numpy() for one in given), strict=True)
            for key, image in batch:
                yield key, None if image is None else dict(zip(names, next(rows), strict=True))
            batch.clear()

        for item in images:
            batch.append(item)
            if len(batch) == self._batch_size:
                yield from finish()
        yield from finish()
