"""Network -> compiled graph, cut after the deepest layer asked for.

On the CPU the graph runs in OpenVINO, in float32. It is converted from torch once and kept in a
cache folder, so that a warm start imports neither torch nor timm. On CUDA torch runs it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.builders import BUILD, build_network
from gingham.backbones.table import (
    BACKBONES,
    DEFAULT_POOLING,
    FOREGROUND,
    FeatureConfig,
    check_descriptors,
)
from gingham.errors import BackboneError, InputError

if TYPE_CHECKING:
    from gingham.backbones.pooling import PooledNetwork

logger = logging.getLogger(__name__)

Key = TypeVar("Key")
Features = dict[str, NDArray[np.float32]]


class Runtime(Protocol):
    """Whatever maps square images to features."""

    @property
    def config(self) -> FeatureConfig:
        """All layers the network has, and all that decides a feature's value."""

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, Features | None]]:
        """Map (key, (S, S, 3) uint8 or None) to (key, layer -> (2C,) float32 or None), in order.

        A descriptor counts as a layer; `layers` None means all of both.
        At most a bounded number of images is held at any time; an image's features do not
        depend on its neighbours in the stream. `None` passes through.
        """


@runtime_checkable
class MapRuntime(Runtime, Protocol):
    """A runtime that can say where: it gives the activations before they are pooled, too."""

    def maps(self, image: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """Map one (S, S, 3) image to layer -> (C, H, W) float32, whose pooling is its features.

        Raises
        ------
        InputError
            If there is no such layer.
        """


def cpu_count() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cache_folder() -> Path:
    """Where converted networks are kept: `$GINGHAM_CACHE`, or `gingham` in the user's cache."""
    if folder := os.environ.get("GINGHAM_CACHE"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gingham"


def load_runtime(
    backbone: str,
    weights: str | Path | None = None,
    *,
    device: str = "auto",
    pooling: str = DEFAULT_POOLING,
    descriptors: Sequence[str] = (),
) -> Runtime:
    """Load a backbone ready to run: OpenVINO on the CPU, torch on CUDA.

    Parameters
    ----------
    backbone, weights, pooling, descriptors : see `gingham.backbones.builders.build_network`.
    device : `cpu`, `cuda`, or `auto`: CUDA if the machine has an NVIDIA device and torch can
        use it, else the CPU.

    Raises
    ------
    BackboneError
        If the backbone or its weights cannot be had, or there is no CUDA device where one is
        asked for.
    InputError
        If `device` is none of the three.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be auto, cpu or cuda, got {device!r}")
    # Looking for the driver first keeps a machine without one from importing torch.
    if device == "cuda" or (device == "auto" and Path("/proc/driver/nvidia/version").exists()):
        import torch

        if torch.cuda.is_available():
            return TorchRuntime(
                backbone, weights, device="cuda", pooling=pooling, descriptors=descriptors
            )
        if device == "cuda":
            raise BackboneError("device cuda: torch finds no CUDA device here; use --device cpu")
    return OpenVinoRuntime(backbone, weights, pooling=pooling, descriptors=descriptors)


class OpenVinoRuntime:
    """A backbone compiled for the CPU, in float32.

    Each core runs one stream of single images: as fast as batches here, and an image's features
    cannot depend on the batch it came in.
    """

    def __init__(
        self,
        backbone: str,
        weights: str | Path | None = None,
        *,
        pooling: str = DEFAULT_POOLING,
        descriptors: Sequence[str] = (),
    ) -> None:
        self._graph, self.config = _converted(backbone, weights, pooling, descriptors)
        self._compiled: dict[tuple[str, ...], Any] = {}
        self._unpooled: dict[tuple[str, ...], Any] = {}

    @cached_property
    def _core(self) -> Any:
        core = import_openvino().Core()
        core.set_property({"CACHE_DIR": str(self._graph.parent / "compiled")})
        return core

    def _compile(self, layers: tuple[str, ...]) -> Any:
        if layers not in self._compiled:
            ov = import_openvino()
            model = self._core.read_model(self._graph)
            names = list(self.config.widths)
            # Results that are not kept take every operation with them that only they need.
            model = ov.Model(
                [model.get_results()[names.index(layer)] for layer in layers],
                model.get_parameters(),
            )
            size = self.config.preprocess.size
            model.reshape([1, size, size, 3])
            self._compiled[layers] = self._core.compile_model(
                model,
                "CPU",
                {
                    # Some CPUs would pick bfloat16 by themselves.
                    "INFERENCE_PRECISION_HINT": "f32",
                    "PERFORMANCE_HINT": "THROUGHPUT",
                    "NUM_STREAMS": str(cpu_count()),
                    "INFERENCE_NUM_THREADS": str(cpu_count()),
                },
            )
        return self._compiled[layers]

    def maps(self, image: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """See `MapRuntime.maps`; the same graph, given out before it pools."""
        wanted = _check_layers(self.config, layers)
        if wanted not in self._unpooled:
            ov = import_openvino()
            model = self._core.read_model(self._graph)
            names = list(self.config.widths)
            ends = [_before_pooling(model.get_results()[names.index(layer)]) for layer in wanted]
            model = ov.Model([ov.opset13.result(end) for end in ends], model.get_parameters())
            size = self.config.preprocess.size
            model.reshape([1, size, size, 3])
            self._unpooled[wanted] = self._core.compile_model(
                model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
            )
        given = self._unpooled[wanted](image[None])
        return {layer: given[i][0].copy() for i, layer in enumerate(wanted)}

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, Features | None]]:
        """See `Runtime.stream`."""
        wanted = _check_layers(self.config, layers)
        compiled = self._compile(wanted)
        free = deque(compiled.create_infer_request() for _ in range(2 * cpu_count()))
        # Those that pass through stand in the same queue, to keep the order.
        running: deque[tuple[Key, Any]] = deque()

        def finish() -> tuple[Key, Features | None]:
            key, request = running.popleft()
            if request is None:
                return key, None
            request.wait()
            features = {
                layer: request.get_output_tensor(i).data[0].copy() for i, layer in enumerate(wanted)
            }
            free.append(request)
            return key, features

        for key, image in images:
            if image is None:
                running.append((key, None))
            else:
                while not free:
                    yield finish()
                request = free.popleft()
                request.start_async({0: image[None]}, share_inputs=False)
                running.append((key, request))
            while running and running[0][1] is None:
                yield finish()
        while running:
            yield finish()


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
    ) -> None:
        self._backbone, self._weights = backbone, weights
        self._device, self._batch_size, self._pooling = device, batch_size, pooling
        network, self.config = build_network(
            backbone, weights, pooling=pooling, descriptors=descriptors
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
            )
            self._networks[wanted] = network.to(self._device), config
        return self._networks[wanted]

    def maps(self, image: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """See `MapRuntime.maps`."""
        import torch

        wanted = _check_layers(self.config, layers)
        with torch.inference_mode():
            given = self._network(wanted)[0].maps(torch.tensor(image[None], device=self._device))
        return {layer: maps[0].cpu().numpy() for layer, maps in given.items()}

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, Features | None]]:
        """See `Runtime.stream`."""
        import torch

        wanted = _check_layers(self.config, layers)
        network, config = self._network(wanted)
        batch: list[tuple[Key, NDArray[np.uint8] | None]] = []

        def finish() -> Iterator[tuple[Key, Features | None]]:
            pixels = [image for _, image in batch if image is not None]
            rows: Iterator[tuple[NDArray[np.float32], ...]] = iter(())
            if pixels:
                with torch.inference_mode():
                    stacked = torch.from_numpy(np.stack(pixels)).to(self._device)
                    rows = zip(*(pooled.cpu().numpy() for pooled in network(stacked)), strict=True)
            for key, image in batch:
                if image is None:
                    yield key, None
                else:
                    features = dict(zip(config.widths, next(rows), strict=True))
                    yield key, {name: features[name] for name in wanted}
            batch.clear()

        for item in images:
            batch.append(item)
            if len(batch) == self._batch_size:
                yield from finish()
        yield from finish()


class LazyRuntime:
    """A backbone that is loaded when the first image must be read, and not at all without one."""

    def __init__(self, config: FeatureConfig, load: Callable[[], Runtime]) -> None:
        self.config = config
        self._load = load

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, Features | None]]:
        """See `Runtime.stream`."""
        remaining = iter(images)
        for item in remaining:
            if item[1] is not None:
                yield from self._load().stream(chain([item], remaining), layers)
                return
            yield item[0], None


def import_openvino() -> Any:
    """Import OpenVINO with its telemetry shut off: it would report the very import.

    OpenVINO falls back to a stub where the package `openvino_telemetry` is not installed; to it,
    this makes it so.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _before_pooling(result: Any) -> Any:
    """Find the output that a layer's pooling reads: what its mean is taken of."""
    node = result
    while node.get_type_name() != "ReduceMean":
        node = node.input_value(0).get_node()
    return node.input_value(0)


def _check_layers(config: FeatureConfig, layers: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(config.widths)
    if layers is None:
        return names
    if unknown := [layer for layer in layers if layer not in names]:
        raise InputError(
            f"backbone {config.backbone!r} has no layer {unknown[0]!r}; it has {', '.join(names)}"
        )
    return tuple(layer for layer in names if layer in layers)


def _converted(
    backbone: str, weights: str | Path | None, pooling: str, descriptors: Sequence[str]
) -> tuple[Path, FeatureConfig]:
    """Find the converted graph in the cache, or convert it now."""
    descriptors = check_descriptors(descriptors)
    folder = cache_folder() / _cache_key(backbone, weights, pooling, descriptors)
    graph, config_file = folder / "model.xml", folder / "config.json"
    if not config_file.exists():
        _convert(backbone, weights, pooling, descriptors, folder)
    try:
        config = FeatureConfig.from_dict(json.loads(config_file.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        raise BackboneError(f"the converted network in {folder} is damaged: delete it") from None
    return graph, config


def _cache_key(
    backbone: str, weights: str | Path | None, pooling: str, descriptors: tuple[str, ...]
) -> str:
    source = "own"
    if weights is not None:
        path = Path(weights)
        if not path.is_file():
            raise BackboneError(f"weights {path}: no such file")
        with path.open("rb") as file:
            source = hashlib.file_digest(file, "sha256").hexdigest()
    # A row of the table that changes must not find the graph of the old one.
    row = repr((BACKBONES.get(backbone, backbone), source, FeatureConfig.version, BUILD))
    if pooling != DEFAULT_POOLING:
        row += repr(pooling)
    if descriptors:
        row += repr(descriptors)
    return f"{backbone}-{hashlib.sha256(row.encode()).hexdigest()[:16]}"


def _convert(
    backbone: str,
    weights: str | Path | None,
    pooling: str,
    descriptors: tuple[str, ...],
    folder: Path,
) -> None:
    ov = import_openvino()
    import torch

    logger.info("converting %s for OpenVINO, once", backbone)
    network, config = build_network(backbone, weights, pooling=pooling, descriptors=descriptors)
    size = config.preprocess.size
    example = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracer warns of every Python number in a model's code, none of which varies here.
        warnings.simplefilter("ignore")
        model = ov.convert_model(network, example_input=example, input=[(1, size, size, 3)])
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and renamed: another process sees all of it or nothing.
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".converting-"))
    try:
        ov.save_model(model, temporary / "model.xml", compress_to_fp16=False)
        (temporary / "config.json").write_text(json.dumps(config.to_dict(), indent=1))
        try:
            temporary.rename(folder)
        except OSError:
            # Another process was first, or an older attempt was cut off before its config.
            if not (folder / "config.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
                temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
