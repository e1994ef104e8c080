"""Runtimes of a network other than a backbone: as an exported graph, or as a torch module."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gingham.backbones.openvino import OpenVinoRuntime, Shape, import_openvino
from gingham.backbones.runtime import Inputs, Key, Streamed
from gingham.backbones.table import FeatureConfig
from gingham.backbones.torch import in_batches

if TYPE_CHECKING:
    from torch import nn


class ExportedRuntime(OpenVinoRuntime):
    """A graph of `save_graph`, run as `gingham.extract` runs a backbone.

    Parameters
    ----------
    graph : the `.xml` file.
    config : how images are read, and the names of the graph's outputs, in order.
    """

    def __init__(self, graph: Path, config: FeatureConfig) -> None:
        self._file, self.config = graph, config

    @cached_property
    def _core(self) -> Any:
        # Without the cache of compiled graphs: a model's folder may be read-only.
        return import_openvino().Core()

    def _features(self, names: tuple[str, ...], shape: Shape | None) -> Any:
        model = self._core.read_model(self._file)
        given = dict(zip(self.config.widths, model.get_results(), strict=True))
        return import_openvino().Model([given[name] for name in names], model.get_parameters())


class ModuleRuntime:
    """A torch module run in batches, on CUDA, in the same way."""

    def __init__(
        self, module: nn.Module, config: FeatureConfig, *, device: str, batch_size: int = 64
    ) -> None:
        self.config = config
        self._module, self._batch_size = module.to(device), batch_size

    def stream(self, images: Inputs[Key], layers: Sequence[str] | None = None) -> Streamed[Key]:
        """See `gingham.backbones.runtime.Runtime`; gives every output, whatever `layers` says."""
        names = [layer.name for layer in self.config.layers]
        return in_batches(self._module, names, images, self._batch_size)
